/*
 * bench_decode: ns that one event costs.
 *
 *     bench_decode [preset FILE]     events of weir's own with 8 fields and 4 dimensions, half of
 *                                    them nested, half as `weir generate` writes them; then the
 *                                    records of the file (one a line), with the same dimensions
 *     bench_decode --once            20,000 events of weir's own, for bench/guard
 *
 * CPU time, the best of several rounds: a shared machine only ever adds to it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/decode.h"

#define ROUNDS 9
#define EVENTS 200000
#define EVENTS_ONCE 20000
#define COPIES 64

/* Called where the optimiser cannot look into it: bench/guard counts the calls. */
static void (*volatile decode)(struct weir_decoder *, const char *, size_t,
                               struct weir_decoded *) = weir_decode;

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

struct records {
    char **bytes;
    size_t *lens, len;
};

static void measure(const char *what, const struct weir_mapping_options *options,
                    const struct records *records, int rounds, size_t at_least) {
    struct weir_mapping *mapping;
    struct weir_err err = {0};
    if (weir_mapping_new(&mapping, options, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    struct weir_decoder *decoder = weir_decoder_new(mapping, 1);
    struct weir_decoded out;
    double best_ns = 1e18;
    size_t events = 0, bad = 0, bytes = 0, count = at_least / records->len * records->len;
    count = count ? count : records->len;
    for (int round = 0; decoder && round < rounds; round++) {
        events = bad = bytes = 0;
        double start_ns = now_ns();
        for (size_t i = 0, at = 0; i < count; i++, at = at + 1 == records->len ? 0 : at + 1) {
            decode(decoder, records->bytes[at], records->lens[at], &out);
            bytes += records->lens[at];
            events += out.len;
            for (size_t j = 0; j < out.len; j++)
                bad += out.events[j].reason != WEIR_OK;
        }
        double took_ns = now_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    printf("decode %s: %.1f ns/event, %.2f GB/s, %.0f bytes/record, %zu events, %zu bad\n", what,
           best_ns / (double)(events ? events : 1), (double)bytes / best_ns,
           (double)bytes / (double)count, events, bad);
    weir_decoder_free(decoder);
    weir_mapping_free(mapping);
}

static void add(struct records *records, const char *bytes, size_t len) {
    records->bytes = realloc(records->bytes, (records->len + 1) * sizeof(*records->bytes));
    records->lens = realloc(records->lens, (records->len + 1) * sizeof(*records->lens));
    if (!records->bytes || !records->lens)
        exit(1);
    char *copy = malloc(len + 1);
    if (!copy)
        exit(1);
    memcpy(copy, bytes, len);
    records->bytes[records->len] = copy;
    records->lens[records->len++] = len;
}

static void clear(struct records *records) {
    for (size_t i = 0; i < records->len; i++)
        free(records->bytes[i]);
    free(records->bytes);
    free(records->lens);
    *records = (struct records){0};
}

static const char *const types[] = {"page_view", "add_to_cart", "purchase", "interaction"};

/* As a shop's page sends it: an epoch's time, objects that nothing is mapped of. */
static int nested_event(char *text, size_t max, int i) {
    return snprintf(
        text, max,
        "{\"type\":\"%s\",\"time\":%lld,\"session\":\"s-%08x-%04x-4c1e-9a52-%012x\","
        "\"visitor\":\"v-%012x\",\"event_id\":\"e-%016x\",\"order_id\":\"o-%08d\","
        "\"value\":%d.%02d,\"currency\":\"EUR\","
        "\"device\":\"mobile\",\"country\":\"DE\",\"channel\":\"paid_search\","
        "\"category\":\"shoes.running\",\"page\":{\"url\":\"https://shop.example/p/%06d\","
        "\"title\":\"Running shoe, light and fast\",\"referrer\":\"https://search.example/\"},"
        "\"app\":{\"name\":\"web\",\"version\":\"4.18.2\"},\"ab\":[12,88,%d],\"ok\":true}",
        types[i % 4], 1700000000000LL + i * 137, (unsigned)i * 2654435761u, i & 0xffff, i, i * 7919,
        i * 104729, i * 31, i % 300, i % 100, i * 977, i);
}

/* As `weir generate` writes it: ISO times, flat, texts that nothing is mapped of. */
static int flat_event(char *text, size_t max, int i) {
    return snprintf(
        text, max,
        "{\"type\":\"%s\",\"time\":\"2026-01-05T%02d:%02d:%02d.%03dZ\","
        "\"session\":\"%08x-%04x-4f14-a63b-%012x\",\"visitor\":\"v-%016x\","
        "\"event_id\":\"%016x\",\"device\":\"desktop\",\"country\":\"DE\","
        "\"channel\":\"paid_social\",\"category\":\"toys\","
        "\"url\":\"https://shop.example/toys/%06d\",\"referrer\":\"https://l.example/\","
        "\"ip\":\"203.0.113.%d\",\"user_agent\":\"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15\"}",
        types[i % 4], i / 3600 % 24, i / 60 % 60, i % 60, i % 1000, (unsigned)i * 2654435761u,
        i & 0xffff, i, i * 7919, i * 104729, i * 977, i % 256);
}

static void own_events(struct records *records) {
    char text[600];
    for (int i = 0; i < COPIES; i++) {
        int len =
            i < COPIES / 2 ? nested_event(text, sizeof text, i) : flat_event(text, sizeof text, i);
        add(records, text, (size_t)len);
    }
}

int main(int argc, char **argv) {
    const struct weir_name_pair dimensions[] = {{"device", "device"},
                                                {"country", "country"},
                                                {"channel", "channel"},
                                                {"category", "category"}};
    struct weir_mapping_options options = {
        .preset = "weir", .dimensions = dimensions, .dimensions_len = 4, .currency_to = "EUR"};
    struct records records = {0};
    own_events(&records);
    bool once = argc == 2 && strcmp(argv[1], "--once") == 0;
    measure("weir, 8 fields and 4 dimensions", &options, &records, once ? 1 : ROUNDS,
            once ? EVENTS_ONCE : EVENTS);
    clear(&records);
    if (argc != 3)
        return 0;
    FILE *file = fopen(argv[2], "rb");
    if (!file) {
        fprintf(stderr, "cannot read %s\n", argv[2]);
        return 1;
    }
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t len; (len = getline(&line, &cap, file)) > 0;)
        add(&records, line, (size_t)len);
    fclose(file);
    free(line);
    options.preset = argv[1];
    if (records.len > 0)
        measure(argv[1], &options, &records, ROUNDS, EVENTS);
    clear(&records);
    return 0;
}
