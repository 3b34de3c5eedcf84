/* The timer wheel against a plain list: every item comes out at its second, in order. */
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "core/wheel.h"

#define ITEMS 5000

static uint64_t state = 7;
static uint32_t next_random(uint32_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % below;
}

static struct weir_wheel wheel;
static int64_t due[ITEMS + 1];

static void file_item(uint32_t item) {
    weir_wheel_add(&wheel, due[item], item);
}

static void run(int64_t start, uint32_t spread, int64_t stride) {
    bool out[ITEMS + 1] = {false};
    uint32_t left = ITEMS;
    weir_wheel_init(&wheel, start);
    for (uint32_t item = 1; item <= ITEMS; item++) {
        due[item] = start + 1 + next_random(spread);
        file_item(item);
    }
    for (int64_t until = start; left > 0; until += stride) {
        struct weir_wheel_batch batch;
        while (weir_wheel_take(&wheel, until, &batch)) {
            CHECK(wheel.now <= until && batch.len > 0);
            while (batch.len > 0) {
                uint32_t item = batch.items[--batch.len];
                if (due[item] > wheel.now) {
                    file_item(item);
                    continue;
                }
                CHECK(due[item] == wheel.now && !out[item]);
                out[item] = true;
                left--;
            }
        }
        for (uint32_t item = 1; item <= ITEMS && next_random(20) == 0; item++)
            CHECK(out[item] == (due[item] <= until));
    }
}

int main(void) {
    run(1767571200, 600, 1);
    run(1767571199, 5000, 7);
    run(1767571200 - 1767571200 % 1024 - 1, 3000000, 997);
    run(0, 300000000, 12345678); /* ten years */
    weir_wheel_close(&wheel);
    return check_done("test_wheel");
}
