/*
 * bench_step: what one event costs after it is decoded: the key, the step, its share of a commit.
 *
 *     bench_step [--events N] [--sessions N] [--commit N] [--gap SECONDS] [--rounds N]
 *
 * A made-up shop, the same events each time: `sessions` visits are under way at once, each of 4.3
 * events on average, 1 ms from event to event, four dimensions with a few frequent values. They
 * are made a batch at a time, beside the clock. CPU time, minimum and median over the rounds. The
 * last line is a hash of every byte that was exported: it must not change with a change for speed.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "weir/partition.h"

#define BATCH 512
#define PIPE 8 /* as in app/worker */
#define ROUNDS_MAX 99
#define START_MS 1700000000000LL
#define EVENTS_PER_SESSION 4.3

enum stage { PREPARE_AND_APPLY, EXPORT, COMMITTED, STAGES };
static const char *const stage_names[STAGES] = {"prepare and apply", "export", "committed"};

struct options {
    long events, sessions, commit, gap_s, rounds;
};

struct texts {
    char session[36], visitor[18], order[16];
};

struct shop {
    uint64_t random, next_session;
    uint64_t *sessions; /* under way */
    long sessions_len;
    int64_t time_ms;
    struct weir_event events[BATCH];
    struct texts texts[BATCH];
};

struct run {
    double ns[STAGES];
    struct weir_partition_status status;
    uint64_t hash;
    size_t bytes;
};

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- the shop ---- */

static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static double draw(struct shop *shop) {
    shop->random++;
    return (double)(mix(shop->random) >> 11) / (double)(1ULL << 53);
}

static struct weir_str hex(char *to, uint32_t len, uint64_t seed) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < len; i++, bits >>= 4) {
        if (i % 16 == 0)
            bits = mix(seed + i);
        to[i] = "0123456789abcdef"[bits & 15];
    }
    return (struct weir_str){to, len};
}

/* One of `len` values of a session's dimension; the first ones are by far the most frequent. */
static struct weir_str value(uint64_t session, uint32_t dimension, uint32_t len) {
    static char names[4][256][8];
    double x = (double)(mix(session * 4 + dimension) >> 11) / (double)(1ULL << 53);
    uint32_t i = (uint32_t)(x * x * x * (double)len);
    char *name = names[dimension][i];
    if (!name[0])
        snprintf(name, sizeof names[0][0], "%c-%u", (char)('a' + dimension), i);
    return (struct weir_str){name, (uint32_t)strlen(name)};
}

static int type_of(double x) {
    static const struct {
        double until;
        int type;
    } shares[] = {
        {0.70, WEIR_PAGE_VIEW},        {0.83, WEIR_INTERACTION},    {0.91, WEIR_ADD_TO_CART},
        {0.93, WEIR_REMOVE_FROM_CART}, {0.96, WEIR_BEGIN_CHECKOUT}, {0.985, WEIR_PURCHASE},
        {0.99, WEIR_SESSION_END},      {0.995, WEIR_REFUND},
    };
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (x < shares[i].until)
            return shares[i].type;
    return WEIR_UNKNOWN_TYPE;
}

static void make_event(struct shop *shop, struct weir_event *event, struct texts *texts) {
    static const uint32_t values[4] = {3, 30, 8, 200};
    static const char *const agents[4] = {
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
        "Mozilla/5.0 (compatible; Examplebot/2.1; +https://search.example/bot.html)",
    };
    long at = (long)(draw(shop) * (double)shop->sessions_len);
    uint64_t session = shop->sessions[at];
    uint64_t dice = mix(session);
    const char *agent = agents[dice % 50 == 0 ? 3 : dice % 3];
    *event = (struct weir_event){.time_ms = shop->time_ms++, .type = type_of(draw(shop))};
    event->session = hex(texts->session, sizeof texts->session, session * 100);
    event->visitor = hex(texts->visitor, sizeof texts->visitor, session / 2 * 100 + 50);
    event->user_agent = (struct weir_str){agent, (uint32_t)strlen(agent)};
    event->quantity_micros = WEIR_MICROS;
    for (uint32_t d = 0; d < 4; d++)
        event->dimensions[d] = value(session, d, values[d]);
    if (event->type == WEIR_PURCHASE || event->type == WEIR_REFUND)
        event->value_micros = (int64_t)(draw(shop) * 20000) * (WEIR_MICROS / 100);
    if (event->type == WEIR_PURCHASE)
        event->order_id = hex(texts->order, sizeof texts->order, shop->random);
    if (event->type == WEIR_SESSION_END || draw(shop) < 1 / EVENTS_PER_SESSION)
        shop->sessions[at] = shop->next_session++;
}

static struct shop *open_shop(long sessions) {
    struct shop *shop = calloc(1, sizeof *shop);
    uint64_t *under_way = calloc((size_t)sessions, sizeof *under_way);
    if (!shop || !under_way)
        exit(1);
    shop->sessions = under_way;
    shop->sessions_len = sessions;
    shop->time_ms = START_MS;
    for (long i = 0; i < sessions; i++)
        shop->sessions[i] = shop->next_session++;
    return shop;
}

/* ---- what is measured ---- */

/* Called where the optimiser cannot look into them: bench/guard counts the calls. */
static void (*volatile prepare)(const struct weir_partition *, const struct weir_event *,
                                struct weir_key *) = weir_partition_prepare;
static enum weir_reason (*volatile apply)(struct weir_partition *, const struct weir_event *,
                                          const struct weir_key *, int64_t) = weir_partition_apply;
static int (*volatile export)(struct weir_partition *, struct weir_changes *,
                              struct weir_err *) = weir_partition_export;
static void (*volatile committed)(struct weir_partition *) = weir_partition_committed;

static void step(struct weir_partition *partition, const struct weir_event *events, long len) {
    struct weir_key keys[PIPE];
    for (long i = 0; i < len + PIPE; i++) {
        struct weir_key *key = &keys[i % PIPE];
        if (i >= PIPE) {
            const struct weir_event *event = &events[i - PIPE];
            weir_partition_record(partition, event->time_ms - START_MS,
                                  apply(partition, event, key, event->time_ms));
        }
        if (i < len)
            prepare(partition, &events[i], key);
    }
}

static void commit(struct weir_partition *partition, struct run *run) {
    struct weir_changes changes;
    struct weir_err err;
    double start_ns = now_ns();
    if (export(partition, &changes, &err) != 0)
        exit(1);
    run->ns[EXPORT] += now_ns() - start_ns;
    run->hash = mix(run->hash ^ XXH3_64bits(changes.bytes, changes.bytes_len));
    run->hash = mix(run->hash ^ XXH3_64bits(changes.meta, changes.meta_len));
    run->bytes += changes.bytes_len + changes.meta_len;
    start_ns = now_ns();
    committed(partition);
    run->ns[COMMITTED] += now_ns() - start_ns;
}

static struct run measure(const struct options *options, const struct weir_plan *plan) {
    struct run run = {0};
    struct shop *shop = open_shop(options->sessions);
    struct weir_partition *partition = weir_partition_new(plan);
    if (!partition)
        exit(1);
    for (long done = 0, due = options->commit; done < options->events;) {
        long len = options->events - done < BATCH ? options->events - done : BATCH;
        for (long i = 0; i < len; i++)
            make_event(shop, &shop->events[i], &shop->texts[i]);
        double start_ns = now_ns();
        step(partition, shop->events, len);
        run.ns[PREPARE_AND_APPLY] += now_ns() - start_ns;
        done += len;
        if (done >= due || done == options->events) {
            commit(partition, &run);
            due = done + options->commit;
        }
    }
    weir_partition_status(partition, &run.status);
    weir_partition_free(partition);
    free(shop->sessions);
    free(shop);
    return run;
}

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static long number(const char *text, long max) {
    char *end;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > max) {
        fprintf(stderr, "bench_step: '%s' is not a number from 1 to %ld\n", text, max);
        exit(2);
    }
    return n;
}

static struct options read_options(int argc, char **argv) {
    struct options options = {1000000, 100000, 50000, 300, 5};
    const struct option names[] = {
        {"events", required_argument, NULL, 'e'}, {"sessions", required_argument, NULL, 's'},
        {"commit", required_argument, NULL, 'c'}, {"gap", required_argument, NULL, 'g'},
        {"rounds", required_argument, NULL, 'r'}, {0}};
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (name == 'e')
            options.events = number(optarg, 1000000000);
        else if (name == 's')
            options.sessions = number(optarg, 100000000);
        else if (name == 'c')
            options.commit = number(optarg, 1000000000);
        else if (name == 'g')
            options.gap_s = number(optarg, 86400);
        else if (name == 'r')
            options.rounds = number(optarg, ROUNDS_MAX);
        else
            exit(2);
    }
    return options;
}

int main(int argc, char **argv) {
    struct options options = read_options(argc, argv);
    const struct weir_plan plan = {
        .gap_ms = options.gap_s * 1000,
        .cap_ms = 24 * 3600000LL,
        .recovery_ms = 24 * 3600000LL,
        .sessions_max = 20000000,
        .out_of_orderness_ms = 5000,
        .allowed_lateness_ms = 600000,
        .max_ahead_ms = 60000,
        .dimensions_len = 4,
        .values_max = 1000,
        .bot_events_max = 1000,
        .bot_user_agents = true,
        .windows_ms = {60000, 300000, 900000, 3600000, 86400000},
        .windows_len = 5,
    };
    double ns[STAGES][ROUNDS_MAX];
    struct run run = {0};
    for (long round = 0; round < options.rounds; round++) {
        run = measure(&options, &plan);
        for (int stage = 0; stage < STAGES; stage++)
            ns[stage][round] = run.ns[stage] / (double)options.events;
    }
    for (int stage = 0; stage < STAGES; stage++) {
        qsort(ns[stage], (size_t)options.rounds, sizeof(double), by_size);
        printf("%s: %.1f ns/event (median %.1f)\n", stage_names[stage], ns[stage][0],
               ns[stage][options.rounds / 2]);
    }
    printf("%ld events, %llu counted, %u sessions open, %.1f bytes/event exported, hash %016llx\n",
           options.events, (unsigned long long)run.status.events, run.status.open_sessions,
           (double)run.bytes / (double)options.events, (unsigned long long)run.hash);
    return 0;
}
