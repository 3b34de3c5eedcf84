/* weir generate: made-up traffic to Kafka, a file or standard output, with its truth beside it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/generate.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/log.h"

#define LOOK_EVERY 4096     /* records between two looks at signals and progress */
#define TICK_MAX_MS 100     /* a live run looks at the clock at least so often */
#define LONG_LIVE_MS 60000  /* of a bounded run: say how long it takes */
#define BEHIND_WARN_MS 2000 /* of wall clock */

struct run {
    struct weir_generate_job job;
    struct weir_traffic *traffic;
    struct weir_generate_sink *sink;
    struct weir_progress progress;
    int signals; /* a signalfd */
    bool signalled;
    uint64_t records;
    int64_t begun_us, warned_us;
};

/* Signals come as a file descriptor; a reader that goes away is an error of write. */
static int watch_signals(struct run *run, struct weir_err *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return weir_err_set(err, WEIR_ERR_INPUT, "cannot watch for signals: %s", strerror(errno));
    return 0;
}

/* Waits for up to timeout_ms. After the first signal the next one ends the program at once, should
 * the last flush hang. */
static bool signal_came(struct run *run, int timeout_ms) {
    struct pollfd wait = {.fd = run->signals, .events = POLLIN};
    if (!run->signalled && poll(&wait, 1, timeout_ms) > 0) {
        struct signalfd_siginfo info;
        ssize_t got = read(run->signals, &info, sizeof info);
        run->signalled = got == (ssize_t)sizeof info;
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    return run->signalled;
}

static int write_truth(const struct run *run, struct weir_err *err) {
    const char *path = run->job.truth;
    if (!*path)
        return 0;
    char beside[sizeof run->job.truth + 8];
    snprintf(beside, sizeof beside, "%s.part", path);
    char *text = weir_traffic_truth(run->traffic);
    FILE *file = text ? fopen(beside, "we") : NULL;
    bool good = file && fputs(text, file) >= 0 && fputc('\n', file) != EOF;
    if (file && fclose(file) != 0)
        good = false;
    free(text);
    if (good && rename(beside, path) == 0)
        return 0;
    return weir_err_set(err, WEIR_ERR_INPUT,
                        "cannot write the truth to %s: %s; --truth names another file, or none",
                        path, strerror(errno));
}

static void show_progress(struct run *run, int64_t time_ms) {
    const struct weir_traffic_options *options = &run->job.traffic;
    uint64_t events = weir_traffic_totals(run->traffic)->events;
    if (options->events_max > 0)
        weir_progress_update(&run->progress, events, (int64_t)events, (int64_t)options->events_max);
    else
        weir_progress_update(&run->progress, events, time_ms - options->start_ms,
                             options->duration_ms);
}

/* As fast as it goes. 1 when the reader has gone. */
static int run_fast(struct run *run, struct weir_err *err) {
    struct weir_traffic_record record;
    for (;;) {
        int got = weir_traffic_next(run->traffic, &record, err);
        if (got <= 0)
            return got;
        got = weir_generate_sink_write(run->sink, &record, err);
        if (got != 0)
            return got;
        if (++run->records % LOOK_EVERY != 0)
            continue;
        if (signal_came(run, 0))
            weir_traffic_stop(run->traffic);
        show_progress(run, record.time_ms);
    }
}

static void warn_behind(struct run *run, int64_t behind_ms) {
    int64_t now_us = weir_clock_monotonic_us();
    if (behind_ms < BEHIND_WARN_MS || now_us - run->warned_us < 10000000)
        return;
    run->warned_us = now_us;
    weir_log(WEIR_LOG_WARN, "generate", "behind the clock: lower --rate or --speed",
             WEIR_INT("behind_ms", behind_ms), WEIR_LOG_END);
}

/* Until the record's time has come; a signal makes all times come: what has been drawn still comes
 * out, so that the truth is true. 1 when the reader has gone. */
static int await_turn(struct run *run, int64_t at_ms, struct weir_err *err) {
    int64_t start_ms = run->job.traffic.start_ms;
    double due_ms = (double)(at_ms - start_ms) / run->job.speed;
    while (!run->signalled) {
        double passed_ms = (double)(weir_clock_monotonic_us() - run->begun_us) / 1000.0;
        if (due_ms <= passed_ms) {
            warn_behind(run, (int64_t)(passed_ms - due_ms));
            return 0;
        }
        int failed = weir_generate_sink_flush(run->sink, err);
        if (failed)
            return failed;
        show_progress(run, start_ms + (int64_t)(passed_ms * run->job.speed));
        double wait_ms = due_ms - passed_ms + 1.0;
        signal_came(run, wait_ms < TICK_MAX_MS ? (int)wait_ms : TICK_MAX_MS);
    }
    weir_traffic_stop(run->traffic);
    return 0;
}

/* Each record when its time has come. 1 when the reader has gone. */
static int run_live(struct run *run, struct weir_err *err) {
    struct weir_traffic_record record;
    double takes_ms = (double)run->job.traffic.duration_ms / run->job.speed;
    if (takes_ms > LONG_LIVE_MS)
        weir_log(WEIR_LOG_INFO, "generate", "in real time; --speed max makes it at once",
                 WEIR_INT("takes_s", (int64_t)(takes_ms / 1000.0)), WEIR_LOG_END);
    for (;;) {
        int got = weir_traffic_next(run->traffic, &record, err);
        if (got <= 0)
            return got;
        if (run->records == 0) /* the warm-up is over: now the clock runs */
            run->begun_us = weir_clock_monotonic_us();
        got = await_turn(run, record.at_ms, err);
        if (got == 0)
            got = weir_generate_sink_write(run->sink, &record, err);
        if (got != 0)
            return got;
        if (++run->records % LOOK_EVERY == 0)
            signal_came(run, 0);
    }
}

static void say_what_was_done(const struct run *run) {
    const struct weir_traffic_totals *totals = weir_traffic_totals(run->traffic);
    const struct weir_generate_job *job = &run->job;
    int64_t took_ms = (weir_clock_monotonic_us() - run->begun_us) / 1000;
    weir_log(WEIR_LOG_INFO, "generate", run->signalled ? "stopped" : "done",
             WEIR_INT("events", (int64_t)totals->events),
             WEIR_INT("records", (int64_t)run->records),
             WEIR_INT("sessions", (int64_t)totals->counts.sessions),
             WEIR_INT("purchases", (int64_t)totals->counts.purchases), WEIR_INT("took_ms", took_ms),
             WEIR_INT("per_second", took_ms > 0 ? (int64_t)run->records * 1000 / took_ms : 0),
             WEIR_STR("truth", *job->truth ? job->truth : "none"), WEIR_LOG_END);
}

/* What runs between open and close, so that one place frees. */
static int run_open(struct run *run, struct weir_err *err) {
    int failed = weir_traffic_new(&run->traffic, &run->job.traffic, err);
    if (!failed)
        failed = weir_generate_sink_open(&run->sink, &run->job, err);
    if (!failed)
        failed = watch_signals(run, err);
    if (!failed)
        failed = write_truth(run, err); /* a live run's incidents are known from its start */
    if (failed)
        return failed;
    if (strcmp(run->job.truth, WEIR_GENERATE_TRUTH) == 0) /* nobody named it */
        weir_log(WEIR_LOG_INFO, "generate", "what the incidents really do stands in a file here",
                 WEIR_STR("truth", run->job.truth), WEIR_LOG_END);
    weir_progress_start(&run->progress, "generate");
    run->begun_us = weir_clock_monotonic_us();
    failed = run->job.live ? run_live(run, err) : run_fast(run, err);
    if (failed == 0)
        failed = weir_generate_sink_finish(run->sink, err);
    weir_progress_end(&run->progress, weir_traffic_totals(run->traffic)->events);
    if (failed < 0) {
        struct weir_err second = {0};
        write_truth(run, &second); /* what there is of it; the first error is the one to tell */
        return failed;
    }
    failed = write_truth(run, err);
    if (!failed)
        say_what_was_done(run);
    return failed;
}

int weir_cmd_generate(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    struct weir_err err = {0};
    if (!run) {
        fprintf(stderr, "weir generate: no memory\n");
        return WEIR_ERR_INPUT;
    }
    run->signals = -1;
    int failed = weir_generate_parse(&run->job, argc, argv, weir_clock_wall_ms(), &err);
    if (!failed && run->job.help)
        weir_generate_usage(stdout);
    else if (!failed)
        failed = run_open(run, &err);
    if (failed)
        fprintf(stderr, "weir generate: %s\n", err.text);
    if (failed == -WEIR_ERR_USAGE)
        fprintf(stderr, "usage: weir generate [--events N | --rate R | --sessions-per-second S | "
                        "--duration D]\n"
                        "    [--seed X] [--start TIME] [--incident SPEC]... [--faults SPEC] [--to "
                        "kafka://host/topic | FILE | -]\n"
                        "weir generate --help lists all options\n");
    if (run->signals >= 0)
        close(run->signals);
    weir_generate_sink_free(run->sink);
    weir_traffic_free(run->traffic);
    free(run);
    return -failed;
}
