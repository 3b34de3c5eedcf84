/*
 * bench_machine: what this machine makes of memory, which no program can change: how long a cache
 * line takes from one core to another, and what the first touch of memory costs.
 *
 *     bench_machine
 *
 * The first changes from minute to minute where a hypervisor moves its processors about, and every
 * record goes from the client's thread to the reader's. The second is large where the host is given
 * back what is free. Wall clock; null where there is one core only.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common.h"
#include "weir/clock.h"

#define TURNS 100000
#define PAGE 4096
#define TOUCHED ((size_t)128 << 20)

static const char program[] = "bench_machine";

struct ball {
    _Alignas(128) atomic_int turns;
    size_t cpus[2];
};

static void run_on(size_t cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Every second turn, from `first` on. */
static void play(struct ball *ball, int first) {
    run_on(ball->cpus[first]);
    for (int turn = first; turn < 2 * TURNS; turn += 2) {
        while (atomic_load(&ball->turns) != turn)
            ;
        atomic_store(&ball->turns, turn + 1);
    }
}

static void *partner(void *context) {
    play(context, 1);
    return NULL;
}

/* Less than 0 where there are no two cores. */
static double between_cores_ns(void) {
    struct ball ball = {0};
    cpu_set_t allowed;
    int found = 0;
    pthread_t thread;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return -1;
    for (size_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            ball.cpus[found++] = cpu;
    if (found < 2 || pthread_create(&thread, NULL, partner, &ball) != 0)
        return -1;
    int64_t start_us = weir_clock_monotonic_us();
    play(&ball, 0);
    pthread_join(thread, NULL);
    int64_t took_us = weir_clock_monotonic_us() - start_us;
    sched_setaffinity(0, sizeof allowed, &allowed);
    return (double)took_us * 1000 / (2.0 * TURNS);
}

static double first_touch_us(void) {
    char *bytes = mmap(NULL, TOUCHED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) {
        perror(program);
        exit(1);
    }
    madvise(bytes, TOUCHED, MADV_HUGEPAGE);
    int64_t start_us = weir_clock_monotonic_us();
    for (size_t at = 0; at < TOUCHED; at += PAGE)
        ((volatile char *)bytes)[at] = 1;
    return (double)(weir_clock_monotonic_us() - start_us) / (double)(TOUCHED >> 20);
}

int main(int argc, char **argv) {
    bench_options(program, argc, argv, NULL, 0);
    double ns = between_cores_ns();
    if (ns < 0)
        printf("{\"between_cores_ns\":null,\"first_touch_us\":%.1f}\n", first_touch_us());
    else
        printf("{\"between_cores_ns\":%.1f,\"first_touch_us\":%.1f}\n", ns, first_touch_us());
    return 0;
}
