#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/deadline.h"
#include "app/service.h"
#include "app/watchdog.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/memory.h"

#define STOP_S 15 /* systemd and others kill after 30 */

static const char usage[] =
    "usage: weir run [--config FILE] [--rebuild]\n"
    "\n"
    "  --config FILE   the configuration (YAML or JSON); " WEIR_CONFIG_DEFAULT "\n"
    "  --rebuild       forget the stored counts and count again from the earliest offset\n"
    "\n"
    "SIGTERM and SIGINT drain and commit; SIGHUP reads rules, sinks and log level again.\n";

struct run_options {
    const char *config;
    bool rebuild;
};

static int parse(int argc, char **argv, struct run_options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"rebuild", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    optind = 1;
    while ((option = weir_arguments_next(argc, argv, known)) != -1) {
        if (option == 'c')
            options->config = optarg;
        else if (option == 'r')
            options->rebuild = true;
        else if (option == 'h')
            return fputs(usage, stdout) < 0 ? 1 : -1;
        else
            return WEIR_ERR_USAGE;
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return WEIR_ERR_USAGE;
    }
    return 0;
}

/* A replay may leave these out; the service cannot. */
static int check_complete(const struct weir_config *config, struct weir_err *err) {
    if (!config->kafka.brokers || config->kafka.topics_len == 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: kafka.brokers and kafka.topics are missing; add them, such as\n"
                            "  kafka:\n    brokers: [localhost:9092]\n    topics: [shop.events]",
                            config->path);
    if (!config->redis_url)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: redis.url is missing; add it, such as\n"
                            "  redis:\n    url: redis://localhost:6379/0",
                            config->path);
    return 0;
}

static int load(const char *path, struct weir_config **config) {
    struct weir_err err;
    int status = weir_config_load_or_say(config, path);
    if (status != 0)
        return status;
    status = check_complete(*config, &err);
    if (status == 0) /* first: a mistake is no service that is away, which would be tried again */
        status = weir_config_check_clients(*config, &err);
    if (status != 0) {
        fprintf(stderr, "%s\n", err.text);
        weir_config_free(*config);
    }
    return status;
}

/* Every thread inherits the mask, so signals come to wait_for_end alone. */
static void block_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* In the words of Type=notify-reload. */
static void reload(struct weir_service *service, const struct weir_supervisor *supervisor) {
    weir_supervisor_tell(supervisor, "RELOADING=1\nMONOTONIC_USEC=%lld",
                         (long long)weir_clock_monotonic_us());
    weir_service_reload(service);
    weir_supervisor_tell(supervisor, "READY=1");
}

static void wait_for_end(struct weir_service *service, const struct weir_supervisor *supervisor,
                         const sigset_t *signals) {
    const struct timespec look = {.tv_nsec = 200 * 1000000};
    while (!weir_service_failed(service)) {
        int got = sigtimedwait(signals, NULL, &look);
        if (got == SIGTERM || got == SIGINT) {
            weir_log(WEIR_LOG_INFO, "run", "ends: draining and committing", WEIR_LOG_END);
            return;
        }
        weir_service_watch_memory(service);
        weir_service_watch_rebuild(service);
        if (got == SIGHUP || atomic_exchange(&service->reload_wanted, false))
            reload(service, supervisor);
    }
}

/* Without a thread for it the stop takes as long as it takes. */
static void set_deadline(int code) {
    (void)weir_deadline_start(&(struct weir_deadline){
        .seconds = STOP_S,
        .code = code,
        .area = "run",
        .words = "ended before everything had answered; nothing is lost, and what was not "
                 "committed is read again",
    });
}

int weir_cmd_run(int argc, char **argv) {
    struct run_options options = {0};
    struct weir_config *config = NULL;
    struct weir_service service;
    struct weir_watchdog *watchdog = NULL;
    struct weir_err err;
    sigset_t signals;
    int wrong = parse(argc, argv, &options);
    if (wrong != 0)
        return wrong < 0 ? 0 : wrong;
    block_signals(&signals); /* one that comes during the start is answered after it */
    int status = load(options.config, &config);
    if (status != 0)
        return -status;
    weir_log_setup(config->log_level, config->log_format);
    if (config->memory.limit == 0)
        weir_memory_keep();
    struct weir_supervisor *supervisor = weir_supervisor_new();
    status = weir_service_start(&service, config, options.rebuild, &err);
    if (status == 0)
        status = weir_watchdog_start(&watchdog, &service, supervisor, &err);
    if (status == 0) {
        weir_log(WEIR_LOG_INFO, "run", "started", WEIR_STR("version", WEIR_VERSION),
                 WEIR_STR("group", config->kafka.group), WEIR_INT("workers", config->workers),
                 WEIR_LOG_END);
        weir_supervisor_tell(supervisor, "READY=1");
        wait_for_end(&service, supervisor, &signals);
    } else {
        fprintf(stderr, "weir: %s\n", err.text);
    }
    weir_supervisor_tell(supervisor, "STOPPING=1\nSTATUS=draining and committing");
    weir_watchdog_stop(watchdog);
    set_deadline(status == 0 && weir_service_failed(&service) ? WEIR_ERR_UNREACHABLE : -status);
    struct weir_err ended;
    int stopped = weir_service_stop(&service, &ended);
    if (stopped != 0)
        fprintf(stderr, "weir: %s\n", ended.text);
    weir_supervisor_free(supervisor);
    return status != 0 ? -status : -stopped;
}
