/* weir rekey: a topic copied into one that is keyed by session id. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/deadline.h"
#include "app/rekey.h"
#include "weir/log.h"
#include "weir/shown.h"

#define STOP_S 8 /* for what is on its way; README.md promises ten for the whole */

static const char usage[] =
    "usage: weir rekey [--config FILE] --to TOPIC [--once] [--append]\n"
    "\n"
    "Copies the records of kafka.topics into TOPIC, keyed by session id (by visitor id where "
    "there\n"
    "is none), with value, headers and time as they are. Exactly once, also when it is killed: "
    "run\n"
    "it again and it goes on where it was. It begins where kafka.start says.\n"
    "\n"
    "  --config FILE  the configuration (YAML or JSON); `weir run` may use it meanwhile;\n"
    "                 " WEIR_CONFIG_DEFAULT "\n"
    "  --to TOPIC     made where there is none, with as many partitions as the largest source\n"
    "  --once         ends when everything is copied that was there at the start\n"
    "  --append       also into a topic that holds records of others\n"
    "\n"
    "SIGTERM and SIGINT commit what was copied and end. Without an answer of the brokers they end "
    "it\n"
    "all the same, within seconds: what was not committed is copied at the next start.\n";

struct rekey_options {
    const char *config, *to;
    bool once, append;
};

static int parse(int argc, char **argv, struct rekey_options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"to", required_argument, NULL, 't'},
        {"once", no_argument, NULL, 'o'},         {"append", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    int option;
    optind = 1;
    while ((option = weir_arguments_next(argc, argv, known)) != -1) {
        if (option == 'c')
            options->config = optarg;
        else if (option == 't')
            options->to = optarg;
        else if (option == 'o')
            options->once = true;
        else if (option == 'a')
            options->append = true;
        else if (option == 'h')
            return fputs(usage, stdout) < 0 ? 1 : -1;
        else
            return WEIR_ERR_USAGE;
    }
    if (optind == argc && options->to)
        return 0;
    fputs(usage, stderr);
    return WEIR_ERR_USAGE;
}

static int check(const struct weir_config *config, const char *to, struct weir_err *err) {
    if (!config->kafka.brokers || config->kafka.topics_len == 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: kafka.brokers and kafka.topics are missing; add them, such as\n"
                            "  kafka:\n    brokers: [localhost:9092]\n    topics: [shop.events]",
                            config->path);
    if (strlen(config->kafka.group) + strlen(to) + sizeof ".rekey." > WEIR_REKEY_NAME_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT, "--to %.80s...: a topic's name is shorter",
                            weir_word_shown(to).text);
    for (size_t i = 0; i < config->kafka.topics_len; i++)
        if (strcmp(config->kafka.topics[i], to) == 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "--to %s is one of kafka.topics: the copy would copy itself; name "
                                "another topic",
                                to);
    if (config->dead_letter_topic && strcmp(config->dead_letter_topic, to) == 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "--to %s is kafka.dead_letter_topic; name another topic", to);
    return 0;
}

/* ---- the signal to stop ---- */

static atomic_bool stopping;

static bool is_stopping(void) {
    return atomic_load(&stopping);
}

/* Kafka's threads inherit the mask, so that the signals are left for the deadline's. */
static int watch_signals(struct weir_err *err) {
    static sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    bool started = weir_deadline_start(&(struct weir_deadline){
        .signals = &signals,
        .came = &stopping,
        .seconds = STOP_S,
        .code = WEIR_ERR_UNREACHABLE,
        .area = "rekey",
        .words = "ended before Kafka answered; what was not committed is copied at the next start",
    });
    return started ? 0 : weir_err_set(err, WEIR_ERR_REFUSED, "cannot start a thread");
}

/* ---- the copy ---- */

static int copy(struct weir_rekey *rekey, struct weir_err *err) {
    for (;;) {
        bool ends = is_stopping();
        if (ends && rekey->begun_us == 0)
            return 0;
        int status = ends ? 0 : weir_rekey_step(rekey, err);
        if (status < 0)
            return status;
        if (!ends && status == 0)
            continue;
        status = weir_rekey_commit(rekey, err);
        if (status <= 0 || ends) /* else a transaction was undone: not everything is copied yet */
            return status < 0 ? status : 0;
    }
}

static void say_begin(const struct weir_rekey *rekey) {
    weir_log(WEIR_LOG_INFO, "rekey",
             rekey->target_made ? "made the topic; copying" : "copying into the topic",
             WEIR_STR("to", rekey->to), WEIR_INT("partitions", rekey->target_partitions),
             WEIR_INT("from_partitions", (int64_t)rekey->sources_len),
             WEIR_STR("group", rekey->name), WEIR_LOG_END);
}

static void say_end(const struct weir_rekey *rekey) {
    const struct weir_rekey_figures *figures = &rekey->figures;
    printf("copied %llu records into %s: %llu keyed by session, %llu without one (their own key "
           "stays)\n",
           (unsigned long long)figures->copied, rekey->to,
           (unsigned long long)(figures->copied - figures->unkeyed),
           (unsigned long long)figures->unkeyed);
    if (figures->mixed > 0)
        printf("%llu records hold events of several sessions and are keyed by the first one: the "
               "others may still lie in several partitions\n",
               (unsigned long long)figures->mixed);
}

static int rekey(const struct weir_config *config, const struct rekey_options *options) {
    struct weir_rekey r;
    struct weir_err err;
    int status = check(config, options->to, &err);
    if (status == 0)
        status = watch_signals(&err);
    if (status == 0)
        status = weir_rekey_open(&r, config, options->to, options->once, options->append,
                                 is_stopping, &err);
    if (status == 0) {
        say_begin(&r);
        status = copy(&r, &err);
        weir_progress_end(&r.progress, r.figures.copied);
        say_end(&r);
        weir_rekey_close(&r);
    }
    if (status != 0)
        fprintf(stderr, "weir rekey: %s\n", err.text);
    return -status;
}

int weir_cmd_rekey(int argc, char **argv) {
    struct rekey_options options = {0};
    struct weir_config *config = NULL;
    int wrong = parse(argc, argv, &options);
    if (wrong != 0)
        return wrong < 0 ? 0 : wrong;
    int status = weir_config_load_or_say(&config, options.config);
    if (status != 0)
        return -status;
    weir_log_setup(config->log_level, config->log_format);
    status = rekey(config, &options);
    weir_config_free(config);
    return status;
}
