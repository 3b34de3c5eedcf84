/* weir demo: a shop, its Kafka and `weir run` on it, to look at; deploy/quickstart brings the
 * Redis. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "arguments.h"
#include "commands.h"
#include "demo.h"
#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/shown.h"

#define PARTITIONS 4
#define INCIDENT_AFTER_MS 20000 /* at least, for a look at the normal state */
#define SLIDE_MS 10000 /* it begins with a bucket, so that its course is the same each time */
#define HISTORY_WAIT_MS 120000
#define READY_MS 20000
#define DRAW_MS 500

struct demo {
    struct weir_demo_options options;
    char name[64]; /* of the group and of the topic that is made: nobody else's */
    const char *brokers, *topic;
    bool made_topic; /* in the user's Kafka */
    struct weir_mock_kafka *mock;
    struct weir_demo_service service;
    struct weir_demo_feed *feed;
    struct weir_demo_view view;
    struct weir_demo_note note;
    int signals; /* a signalfd */
};

static const char usage[] =
    "usage: weir demo --redis URL [--seconds N] [--brokers B [--topic T] [--preset P]]\n"
    "                 [--listen HOST:PORT]\n"
    "\n"
    "  --redis URL     where weir run keeps its state; what the demo wrote is removed at the end\n"
    "  --seconds N     ends by itself after N seconds: 0, or 1 when no alert came\n"
    "  --brokers B     your own Kafka instead of one inside this process; the generated traffic\n"
    "                  goes to a topic that is made for it and removed at the end\n"
    "  --topic T       no traffic is generated: this topic of yours is read as it is\n"
    "  --preset P      the form of its events: weir, ga4, segment, snowplow, rees46 or otto\n"
    "  --listen H:P    the address of the API and /metrics; a free port of 127.0.0.1 without it\n";

static int parse_seconds(const char *text, int64_t *seconds) {
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || value < 1 || value > 86400)
        return -1;
    *seconds = value;
    return 0;
}

/* 0, 1 when only help was wanted, or a negative code. */
static int parse(struct weir_demo_options *options, int argc, char **argv, struct weir_err *err) {
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'}, {"redis", required_argument, NULL, 'r'},
        {"brokers", required_argument, NULL, 'b'}, {"topic", required_argument, NULL, 't'},
        {"preset", required_argument, NULL, 'p'},  {"listen", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    const char *preset = NULL;
    const char **texts[] = {['r'] = &options->redis_url,
                            ['b'] = &options->brokers,
                            ['t'] = &options->topic,
                            ['p'] = &preset,
                            ['l'] = &options->listen};
    int option;
    optind = 1;
    while ((option = weir_arguments_next(argc, argv, known)) != -1) {
        if (option == 'h')
            return 1;
        if (option == '?')
            return weir_err_set(err, WEIR_ERR_USAGE, "see weir demo --help");
        if (option != 's')
            *texts[option] = optarg;
        else if (parse_seconds(optarg, &options->seconds) != 0)
            return weir_err_set(err, WEIR_ERR_USAGE, "--seconds is a number from 1 to 86400");
    }
    if (optind < argc)
        return weir_err_set(err, WEIR_ERR_USAGE, "what is '%s'? see weir demo --help",
                            weir_word_shown(argv[optind]).text);
    if (!options->redis_url)
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "--redis URL is missing; deploy/quickstart starts one for you");
    if (options->topic && !options->brokers)
        return weir_err_set(err, WEIR_ERR_USAGE, "--topic wants --brokers: whose topic is it?");
    if (preset && !options->topic)
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "--preset wants --topic: the generated traffic has weir's own form");
    options->preset = preset ? preset : "weir";
    return 0;
}

/* Says what is being done, and then how long it took. */
static int64_t begin_step(const char *what) {
    printf("  %-58s ", what);
    fflush(stdout);
    return weir_clock_monotonic_us();
}

static void end_step(int64_t started_us) {
    int64_t took_ms = (weir_clock_monotonic_us() - started_us) / 1000;
    printf("%" PRId64 ".%" PRId64 " s\n", took_ms / 1000, took_ms % 1000 / 100);
    fflush(stdout);
}

/* Blocked here and in every thread from now on; read through a descriptor. */
static int open_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        signal(numbers[i], SIG_DFL); /* a shell's background child begins with SIGINT ignored */
        sigaddset(&set, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* True when a signal asks for the end; waits for one for at most wait_ms. */
static bool is_told_to_end(const struct demo *demo, int wait_ms) {
    struct pollfd waits = {.fd = demo->signals, .events = POLLIN};
    return poll(&waits, 1, wait_ms) > 0;
}

static struct weir_kafka_options own_kafka(const struct demo *demo) {
    return (struct weir_kafka_options){.brokers = demo->options.brokers, .client_id = "weir-demo"};
}

static int make_topic(struct demo *demo, struct weir_err *err) {
    char what[96];
    struct weir_kafka_options options = own_kafka(demo);
    snprintf(what, sizeof what, "make the topic %s", demo->topic);
    int64_t began = begin_step(what);
    int result = weir_kafka_create_topic(&options, demo->topic, PARTITIONS, 1, err);
    demo->made_topic = result == 0;
    if (result == 0)
        end_step(began);
    return result;
}

/* What cannot be removed is told: it is the user's Kafka. */
static void remove_topic(const struct demo *demo) {
    struct weir_err err = {0};
    struct weir_kafka_options options = own_kafka(demo);
    if (weir_kafka_delete_topic(&options, demo->topic, &err) != 0)
        fprintf(stderr, "\nweir demo: %s; remove it by hand\n", err.text);
}

static int start_kafka(struct demo *demo, struct weir_err *err) {
    snprintf(demo->name, sizeof demo->name, "weir-demo-%llx-%x",
             (unsigned long long)weir_clock_wall_ms(), (unsigned)getpid());
    demo->topic = demo->options.topic ? demo->options.topic : demo->name;
    if (demo->options.brokers) {
        demo->brokers = demo->options.brokers;
        return demo->options.topic ? 0 : make_topic(demo, err);
    }
    int64_t began = begin_step("start a Kafka inside this process");
    int result = weir_mock_kafka_new(&demo->mock, 1, err);
    if (result == 0)
        result = weir_mock_kafka_create_topic(demo->mock, demo->topic, PARTITIONS, err);
    if (result != 0)
        return result;
    demo->brokers = weir_mock_kafka_brokers(demo->mock);
    end_step(began);
    return 0;
}

static int start_service(struct demo *demo, struct weir_err *err) {
    int64_t began = begin_step("start weir run");
    int result = weir_demo_service_start(&demo->service, &demo->options, demo->name, demo->brokers,
                                         demo->topic, err);
    if (result != 0)
        return result;
    if (!weir_demo_service_ready(&demo->service, READY_MS)) {
        weir_demo_service_explain(&demo->service);
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "weir run is not ready after %d s: see its log above", READY_MS / 1000);
    }
    end_step(began);
    return 0;
}

/* Something that the demo stands on is gone. */
static int check_parts(struct demo *demo, struct weir_err *err) {
    int code = 0;
    if (!weir_demo_service_alive(&demo->service, &code)) {
        weir_demo_service_explain(&demo->service);
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "weir run ended by itself, with %d", code);
    }
    const char *trouble = demo->feed ? weir_demo_feed_error(demo->feed) : NULL;
    return trouble ? weir_err_set(err, WEIR_ERR_UNREACHABLE, "the traffic stopped: %s", trouble)
                   : 0;
}

/* The windows are full, and weir has counted them. */
static bool has_caught_up(const struct demo *demo) {
    int64_t behind_ms = weir_clock_wall_ms() - demo->view.windows[0].as_of_ms;
    return weir_demo_feed_caught_up(demo->feed) && behind_ms < 2 * SLIDE_MS;
}

static int start_traffic(struct demo *demo, struct weir_err *err) {
    int64_t first = demo->note.started_ms + INCIDENT_AFTER_MS;
    demo->note.incident_ms = (first + SLIDE_MS - 1) / SLIDE_MS * SLIDE_MS;
    int64_t began = begin_step("150 s of a shop's history, through Kafka and weir");
    int result =
        weir_demo_feed_start(&demo->feed, demo->brokers, demo->topic, demo->note.incident_ms, err);
    while (result == 0 && !has_caught_up(demo) && !is_told_to_end(demo, 100)) {
        result = check_parts(demo, err);
        if (result == 0)
            result = weir_demo_view_read(&demo->view, err);
        if (result == 0 && weir_clock_wall_ms() - demo->note.started_ms > HISTORY_WAIT_MS)
            result = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                                  "weir run has not counted the history within %d s",
                                  HISTORY_WAIT_MS / 1000);
    }
    if (result != 0)
        return result;
    end_step(began);
    return 0;
}

static int start_all(struct demo *demo, struct weir_err *err) {
    int result = start_kafka(demo, err);
    if (result == 0)
        result = start_service(demo, err);
    if (result == 0)
        result = weir_demo_view_open(&demo->view, demo->options.redis_url, demo->service.group,
                                     !demo->options.topic, err);
    if (result != 0)
        return result;
    demo->note.started_ms = weir_clock_wall_ms();
    demo->note.seconds = demo->options.seconds;
    demo->note.listen = demo->service.listen;
    return demo->options.topic ? 0 : start_traffic(demo, err);
}

static int watch(struct demo *demo, struct weir_err *err) {
    struct weir_demo_screen screen;
    weir_demo_screen_open(&screen);
    int result = 0;
    while (result == 0 && !is_told_to_end(demo, DRAW_MS)) {
        int64_t now_ms = weir_clock_wall_ms();
        result = check_parts(demo, err);
        if (result == 0)
            result = weir_demo_view_read(&demo->view, err);
        if (demo->feed)
            demo->note.sent = weir_demo_feed_sent(demo->feed);
        if (result == 0)
            weir_demo_screen_draw(&screen, &demo->view, &demo->note, now_ms);
        if (demo->note.seconds > 0 && now_ms - demo->note.started_ms >= demo->note.seconds * 1000)
            break;
    }
    return result;
}

static void print_after(const char *what, int64_t then_ms, int64_t since_ms, const char *since) {
    if (then_ms == 0)
        printf("%s: not within this time\n", what);
    else
        printf("%s: %" PRId64 " s after %s\n", what, (then_ms - since_ms) / 1000, since);
}

/* A demo of the generated traffic that ran its time must have shown the alert. */
static int judge(const struct demo *demo) {
    int64_t incident_ms = demo->note.incident_ms;
    if (!demo->feed || weir_clock_wall_ms() < incident_ms)
        return demo->feed && demo->options.seconds > 0 ? 1 : 0;
    printf("\n");
    print_after("the alert fired", demo->view.fired_ms, incident_ms, "the payments began to fail");
    print_after("the alert resolved", demo->view.resolved_ms, incident_ms + WEIR_DEMO_INCIDENT_MS,
                "they worked again");
    return demo->view.fired_ms == 0 && demo->options.seconds > 0 ? 1 : 0;
}

static void stop_all(struct demo *demo) {
    weir_demo_feed_stop(demo->feed);
    demo->feed = NULL;
    weir_demo_service_stop(&demo->service);
    weir_demo_view_forget(&demo->view);
    weir_demo_view_close(&demo->view);
    if (demo->made_topic)
        remove_topic(demo);
    if (demo->mock)
        weir_mock_kafka_free(demo->mock);
    if (demo->signals >= 0)
        close(demo->signals);
}

int weir_cmd_demo(int argc, char **argv) {
    struct demo demo = {.signals = -1};
    struct weir_err err = {0};
    int result = parse(&demo.options, argc, argv, &err);
    if (result == 1)
        return fputs(usage, stdout) < 0 ? 1 : 0;
    if (result == 0) {
        demo.signals = open_signals();
        result = start_all(&demo, &err);
        if (result == 0)
            result = watch(&demo, &err);
        if (result == 0)
            result = judge(&demo);
        int64_t began = begin_step("end weir run, remove what was made");
        stop_all(&demo);
        end_step(began);
    }
    if (result < 0)
        fprintf(stderr, "%sweir demo: %s\n", err.code == WEIR_ERR_USAGE ? "" : "\n", err.text);
    return result < 0 ? err.code : result;
}
