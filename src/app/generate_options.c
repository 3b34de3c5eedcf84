/* The command line of `weir generate`. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/generate.h"
#include "weir/decode.h"
#include "weir/shown.h"

#define EVENTS_DEFAULT 100000
#define SESSIONS_PER_SECOND_DEFAULT 20.0
#define FILE_START_MS 1767571200000 /* 2026-01-05T00:00:00Z, a Monday */
#define LIVE_WARM_UP_MS 600000
#define PARTITIONS_DEFAULT 8
#define PARTITIONS_MAX 10000

enum option {
    OPTION_EVENTS,
    OPTION_RATE,
    OPTION_SESSIONS,
    OPTION_DURATION,
    OPTION_SEED,
    OPTION_START,
    OPTION_SPEED,
    OPTION_WARM_UP,
    OPTION_LEVEL,
    OPTION_INCIDENT,
    OPTION_FAULTS,
    OPTION_TO,
    OPTION_TRUTH,
    OPTION_PARTITIONS,
    OPTION_HELP,
    OPTIONS
};

static const struct {
    const char *name, *argument, *help;
} options[OPTIONS] = {
    {"--events", "N",
     "as many, as fast as they can be made; as 5k, 2M (default, without others: 100k)"},
    {"--rate", "R", "events a second, mean of a week; without --events in real time"},
    {"--sessions-per-second", "S", "the same by sessions started (default: 20)"},
    {"--duration", "D", "end after so much event time: 90s, 30m, 24h, 7d"},
    {"--seed", "X", "another shop; the same seed gives the same bytes (default: 1)"},
    {"--start", "TIME", "ISO 8601 or now (default: now, for a file 2026-01-05T00:00:00Z)"},
    {"--speed", "F", "event time runs F times as fast as the clock, or max (default: 1)"},
    {"--warm-up", "D", "sessions are under way for D at the start (default: live 10m, else 0s)"},
    {"--level", NULL, "no daily cycle and no weekend"},
    {"--incident", "SPEC", "something goes wrong, see below; may be given several times"},
    {"--faults", "SPEC", "bad data, see below"},
    {"--to", "TARGET", "kafka://host[:port][,host...]/topic, a file, or - (default: -)"},
    {"--truth", "FILE",
     "what was really done, as JSON, or none (default: <file>.truth.json; of incidents that go to "
     "no file, " WEIR_GENERATE_TRUTH ")"},
    {"--partitions", "N", "of a Kafka topic that is missing; 0: do not make it (default: 8)"},
    {"--help", NULL, "this text"},
};

void weir_generate_usage(FILE *out) {
    fputs("usage: weir generate [--events N | --rate R | --sessions-per-second S | --duration D] "
          "[option]...\n\n",
          out);
    for (int i = 0; i < OPTIONS; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s%s%s", options[i].name, options[i].argument ? " " : "",
                 options[i].argument ? options[i].argument : "");
        fprintf(out, "  %-24s %s\n", left, options[i].help);
    }
    fputs("\n  SPEC of --incident: " WEIR_TRAFFIC_INCIDENT_GRAMMAR "\n"
          "    as metric=conversion,segment=country:DE+device:mobile,size=80%,start=10m,"
          "duration=15m,shape=step\n"
          "  SPEC of --faults: " WEIR_TRAFFIC_FAULTS_GRAMMAR "\n",
          out);
}

struct given {
    const char *values[OPTIONS]; /* of --incident the last */
    const char *specs[WEIR_TRAFFIC_INCIDENTS_MAX];
    size_t specs_len;
    double rate, sessions;
    bool speed_max;
};

static int bad(enum option option, const char *value, const char *want, struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_USAGE, "%s \"%s\": write %s", options[option].name,
                        weir_word_shown(value).text, want);
}

/* Digits, then k, M or G. */
static int parse_count(const char *text, uint64_t *count) {
    char *end = NULL;
    errno = 0;
    if (*text < '0' || *text > '9')
        return -1;
    unsigned long long number = strtoull(text, &end, 10);
    uint64_t times = *end == 'k' ? 1000 : *end == 'M' ? 1000000 : *end == 'G' ? 1000000000 : 1;
    if (errno != 0 || end[times > 1 ? 1 : 0] != 0 || number > (uint64_t)INT64_MAX / times)
        return -1;
    *count = number * times;
    return 0;
}

/* A decimal number above 0, perhaps with k or M. */
static int parse_positive(const char *text, double *number) {
    char *end = NULL;
    errno = 0;
    size_t digits = strspn(text, "0123456789.");
    *number = strtod(text, &end);
    if (digits == 0 || end != text + digits || errno != 0)
        return -1;
    double times = *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1.0;
    if (end[times > 1 ? 1 : 0] != 0)
        return -1;
    *number *= times;
    return *number > 0 && isfinite(*number) ? 0 : -1;
}

static int parse_kafka(struct weir_generate_job *job, const char *value, struct weir_err *err) {
    const char *brokers = value + strlen("kafka://"), *slash = strchr(brokers, '/');
    size_t len = slash ? (size_t)(slash - brokers) : 0;
    const char *topic = slash ? slash + 1 : "";
    size_t topic_len = strlen(topic);
    bool plain =
        strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
        topic_len;
    if (len == 0 || len >= sizeof job->brokers || topic_len == 0 ||
        topic_len >= sizeof job->topic || !plain)
        return bad(OPTION_TO, value,
                   "kafka://host:port/topic, the topic in letters, digits, '.', '_' and '-'", err);
    memcpy(job->brokers, brokers, len);
    job->brokers[len] = 0;
    memcpy(job->topic, topic, topic_len + 1);
    job->target = WEIR_TO_KAFKA;
    return 0;
}

static int parse_target(struct weir_generate_job *job, const char *value, struct weir_err *err) {
    if (strncmp(value, "kafka://", 8) == 0)
        return parse_kafka(job, value, err);
    if (strstr(value, "://"))
        return bad(OPTION_TO, value, "kafka://host/topic, the name of a file, or -", err);
    if (strcmp(value, "-") == 0)
        return 0;
    if (!*value || strlen(value) >= sizeof job->path)
        return bad(OPTION_TO, value, "the name of a file of less than 4096 bytes", err);
    memcpy(job->path, value, strlen(value) + 1);
    job->target = WEIR_TO_FILE;
    return 0;
}

static int parse_duration(enum option option, const char *value, int64_t *duration_ms,
                          struct weir_err *err) {
    if (weir_traffic_duration_parse(value, strlen(value), duration_ms) != 0)
        return bad(option, value, "a duration, as 90s, 30m, 24h or 7d", err);
    if (*duration_ms == 0 && option == OPTION_DURATION)
        return bad(option, value, "a duration of more than nothing", err);
    return 0;
}

/* What needs no other option. */
static int parse_value(struct weir_generate_job *job, struct given *given, enum option option,
                       const char *value, struct weir_err *err) {
    uint64_t count = 0;
    switch (option) {
    case OPTION_EVENTS:
        if (parse_count(value, &job->traffic.events_max) != 0 || job->traffic.events_max == 0)
            return bad(option, value, "a number of at least 1, as 1000000 or 1M", err);
        return 0;
    case OPTION_RATE:
        return parse_positive(value, &given->rate) == 0
                   ? 0
                   : bad(option, value, "events a second, as 5000", err);
    case OPTION_SESSIONS:
        return parse_positive(value, &given->sessions) == 0
                   ? 0
                   : bad(option, value, "sessions a second, as 20 or 0.5", err);
    case OPTION_DURATION:
        return parse_duration(option, value, &job->traffic.duration_ms, err);
    case OPTION_WARM_UP:
        return parse_duration(option, value, &job->traffic.warm_up_ms, err);
    case OPTION_SEED:
        return parse_count(value, &job->traffic.seed) == 0
                   ? 0
                   : bad(option, value, "a whole number from 0 to 2^63-1", err);
    case OPTION_SPEED:
        given->speed_max = strcmp(value, "max") == 0;
        if (!given->speed_max &&
            (parse_positive(value, &job->speed) != 0 || job->speed > WEIR_GENERATE_SPEED_MAX))
            return bad(option, value, "a number above 0 and up to 100000, or max", err);
        return 0;
    case OPTION_PARTITIONS:
        if (parse_count(value, &count) != 0 || count > PARTITIONS_MAX)
            return bad(option, value, "a number from 0 to 10000", err);
        job->partitions = (int)count;
        return 0;
    case OPTION_FAULTS:
        return weir_traffic_faults_parse(job->traffic.faults, value, err);
    case OPTION_TO:
        return parse_target(job, value, err);
    case OPTION_TRUTH:
        if (!*value || strlen(value) >= WEIR_GENERATE_PATH_MAX)
            return bad(option, value, "the name of a file of less than 4096 bytes, or none", err);
        return 0;
    case OPTION_LEVEL:
        job->traffic.level = true;
        return 0;
    case OPTION_HELP:
        job->help = true;
        return 0;
    case OPTION_INCIDENT: /* read when the start is known */
        if (given->specs_len == WEIR_TRAFFIC_INCIDENTS_MAX)
            return weir_err_set(err, WEIR_ERR_USAGE, "at most %d times --incident",
                                WEIR_TRAFFIC_INCIDENTS_MAX);
        given->specs[given->specs_len++] = value;
        return 0;
    case OPTION_START: /* needs what is not read yet: set_start */
    case OPTIONS:
        break;
    }
    return 0;
}

/* "--name value" or "--name=value" at argv[*at]; moves *at to its last word. */
static int parse_word(struct weir_generate_job *job, struct given *given, int argc, char **argv,
                      int *at, struct weir_err *err) {
    const char *word = argv[*at], *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    for (int i = 0; i < OPTIONS; i++) {
        if (strlen(options[i].name) != len || strncmp(options[i].name, word, len) != 0)
            continue;
        const char *value = equals ? equals + 1 : NULL;
        if (!options[i].argument && value)
            return weir_err_set(err, WEIR_ERR_USAGE, "%s takes no value", options[i].name);
        if (options[i].argument && !value && *at + 1 >= argc)
            return weir_err_set(err, WEIR_ERR_USAGE, "%s needs a value: %s", options[i].name,
                                options[i].argument);
        if (options[i].argument && !value)
            value = argv[++*at];
        if (given->values[i] && i != OPTION_INCIDENT)
            return weir_err_set(err, WEIR_ERR_USAGE, "%s is given twice: give it once",
                                options[i].name);
        if (!value)
            value = "";
        if (i != OPTION_TO && strstr(value, "://"))
            return bad((enum option)i, value, options[i].argument, err);
        given->values[i] = value;
        return parse_value(job, given, (enum option)i, value, err);
    }
    return weir_err_set(err, WEIR_ERR_USAGE, "there is no option \"%s\"",
                        weir_word_shown(word).text);
}

static int parse_incidents(struct weir_generate_job *job, const struct given *given,
                           struct weir_err *err) {
    for (size_t i = 0; i < given->specs_len; i++) {
        struct weir_err why = {0};
        if (weir_traffic_incident_parse(&job->incidents[i], given->specs[i], job->traffic.start_ms,
                                        &why) != 0)
            return weir_err_set(err, WEIR_ERR_USAGE, "--incident \"%s\": %s\n  the grammar: %s",
                                given->specs[i], why.text, WEIR_TRAFFIC_INCIDENT_GRAMMAR);
    }
    job->traffic.incidents_len = given->specs_len;
    return 0;
}

static int set_rate(struct weir_generate_job *job, const struct given *given,
                    struct weir_err *err) {
    if (given->values[OPTION_RATE] && given->values[OPTION_SESSIONS])
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "--rate and --sessions-per-second say the same: give one");
    bool paced = given->values[OPTION_RATE] || given->values[OPTION_SESSIONS];
    if (!paced && !given->values[OPTION_EVENTS] && !given->values[OPTION_DURATION])
        job->traffic.events_max = EVENTS_DEFAULT;
    job->live = paced && !given->values[OPTION_EVENTS] && !given->speed_max;
    if (!job->live && given->values[OPTION_SPEED] && !given->speed_max)
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "--speed needs --rate or --sessions-per-second, without --events");
    if (given->speed_max && job->traffic.events_max == 0 && !given->values[OPTION_DURATION])
        return weir_err_set(err, WEIR_ERR_USAGE, "--speed max needs --events or --duration");
    double *sessions = &job->traffic.sessions_per_second;
    *sessions = SESSIONS_PER_SECOND_DEFAULT;
    if (given->values[OPTION_SESSIONS])
        *sessions = given->sessions;
    if (given->values[OPTION_RATE])
        *sessions = given->rate / WEIR_TRAFFIC_EVENTS_PER_SESSION;
    if (job->live && !given->values[OPTION_WARM_UP])
        job->traffic.warm_up_ms = LIVE_WARM_UP_MS;
    return 0;
}

static int set_start(struct weir_generate_job *job, const struct given *given, int64_t now_ms,
                     struct weir_err *err) {
    const char *value = given->values[OPTION_START];
    job->traffic.start_ms =
        job->live || job->target == WEIR_TO_KAFKA ? now_ms : (int64_t)FILE_START_MS;
    if (!value)
        return 0;
    if (strcmp(value, "now") == 0)
        job->traffic.start_ms = now_ms;
    else if (weir_time_parse(value, strlen(value), &job->traffic.start_ms) != 0)
        return bad(OPTION_START, value, "a time, as 2026-01-05T00:00:00Z, or now", err);
    return 0;
}

static void set_truth(struct weir_generate_job *job, const struct given *given) {
    const char *value = given->values[OPTION_TRUTH];
    if (value && strcmp(value, "none") != 0)
        snprintf(job->truth, sizeof job->truth, "%s", value);
    else if (!value && job->target == WEIR_TO_FILE && strncmp(job->path, "/dev/", 5) != 0)
        snprintf(job->truth, sizeof job->truth, "%s.truth.json", job->path);
    else if (!value && given->specs_len > 0)
        snprintf(job->truth, sizeof job->truth, "%s", WEIR_GENERATE_TRUTH);
}

int weir_generate_parse(struct weir_generate_job *job, int argc, char **argv, int64_t now_ms,
                        struct weir_err *err) {
    memset(job, 0, sizeof *job);
    job->traffic.seed = 1;
    job->speed = 1.0;
    job->partitions = PARTITIONS_DEFAULT;
    job->traffic.incidents = job->incidents;
    struct given given = {.rate = 0};
    int failed = 0;
    for (int at = 1; at < argc && !failed; at++)
        failed = parse_word(job, &given, argc, argv, &at, err);
    if (failed || job->help)
        return failed;
    failed = set_rate(job, &given, err);
    if (!failed)
        failed = set_start(job, &given, now_ms, err);
    if (!failed)
        failed = parse_incidents(job, &given, err);
    if (!failed)
        set_truth(job, &given);
    return failed;
}
