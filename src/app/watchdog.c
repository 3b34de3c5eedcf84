#include "app/watchdog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir/clock.h"
#include "weir/log.h"

#define LOOK_US 5000000 /* between two looks, or a quarter of the supervisor's patience */
#define STATUS_MAX 200

struct weir_watchdog {
    struct weir_service *service;
    const struct weir_supervisor *supervisor;
    int64_t silent_us; /* a thread that gives no sign for so long is stuck; 0: nobody asks */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards `stopping` */
    pthread_cond_t changed;
    bool stopping;
};

struct sight {
    bool lives;
    char status[STATUS_MAX];
};

static void see_thread(const struct weir_watchdog *dog, struct sight *sight, const char *what,
                       int64_t seen_us) {
    int64_t silent_us = weir_clock_monotonic_us() - seen_us;
    if (dog->silent_us == 0 || silent_us <= dog->silent_us || !sight->lives)
        return;
    sight->lives = false;
    snprintf(sight->status, sizeof sight->status, "%s gave no sign of life for %" PRId64 " s", what,
             silent_us / 1000000);
}

static struct sight look(const struct weir_watchdog *dog) {
    struct sight sight = {.lives = true};
    struct weir_worker_figures figures = {0};
    struct weir_evaluator_figures evaluator;
    uint32_t partitions = 0;
    int64_t lag = 0;
    const char *waits = "";
    for (int i = 0; i < dog->service->workers_len; i++) {
        char what[32];
        weir_worker_figures(dog->service->workers[i], &figures);
        snprintf(what, sizeof what, "worker %d", i);
        see_thread(dog, &sight, what, figures.seen_us);
        partitions += figures.partitions_len;
        for (uint32_t p = 0; p < figures.partitions_len; p++)
            lag += figures.partitions[p].lag > 0 ? figures.partitions[p].lag : 0;
        if (figures.stalled)
            waits = figures.redis_up ? "; waits for Kafka" : "; waits for Redis";
        else if (!figures.kafka_up)
            waits = "; waits for Kafka";
    }
    weir_worker_figures_close(&figures);
    weir_evaluator_figures(dog->service->evaluator, &evaluator);
    if (!evaluator.redis_up) /* a worker with nothing to commit does not ask */
        waits = "; waits for Redis";
    see_thread(dog, &sight, "the evaluator", evaluator.seen_us);
    if (sight.lives)
        snprintf(sight.status, sizeof sight.status, "%u partitions, %" PRId64 " records behind%s%s",
                 partitions, lag, evaluator.leader ? ", publishes" : "", waits);
    return sight;
}

/* False when it is time to end. */
static bool wait_us(struct weir_watchdog *dog, int64_t us) {
    int64_t until_us = weir_clock_monotonic_us() + us;
    const struct timespec until = {.tv_sec = until_us / 1000000,
                                   .tv_nsec = until_us % 1000000 * 1000};
    pthread_mutex_lock(&dog->lock);
    int rc = 0;
    while (!dog->stopping && rc == 0)
        rc = pthread_cond_timedwait(&dog->changed, &dog->lock, &until);
    bool goes_on = !dog->stopping;
    pthread_mutex_unlock(&dog->lock);
    return goes_on;
}

static void *thread_main(void *context) {
    struct weir_watchdog *dog = context;
    int64_t patience_us = weir_supervisor_watchdog_us(dog->supervisor);
    int64_t pause_us =
        patience_us > 0 && patience_us / 4 < LOOK_US ? patience_us / 4 : (int64_t)LOOK_US;
    bool said = false;
    pthread_setname_np(pthread_self(), "watchdog");
    do {
        struct sight sight = look(dog);
        weir_supervisor_tell(dog->supervisor, "%sSTATUS=%s",
                             sight.lives && dog->silent_us > 0 ? "WATCHDOG=1\n" : "", sight.status);
        if (!sight.lives && !said)
            weir_log(WEIR_LOG_ERROR, "watchdog", "a thread hangs: systemd is to restart weir",
                     WEIR_STR("why", sight.status), WEIR_LOG_END);
        said = !sight.lives;
    } while (wait_us(dog, pause_us));
    return NULL;
}

int weir_watchdog_start(struct weir_watchdog **watchdog, struct weir_service *service,
                        const struct weir_supervisor *supervisor, struct weir_err *err) {
    struct weir_watchdog *dog = calloc(1, sizeof *dog);
    WEIR_ASSERT(dog != NULL);
    dog->service = service;
    dog->supervisor = supervisor;
    dog->silent_us = weir_supervisor_watchdog_us(supervisor) / 2;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&dog->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&dog->lock, NULL);
    *watchdog = dog;
    if (!weir_supervisor_listens(supervisor))
        return 0;
    if (pthread_create(&dog->thread, NULL, thread_main, dog) != 0)
        return weir_err_set(err, WEIR_ERR_REFUSED, "cannot start a thread");
    dog->started = true;
    return 0;
}

void weir_watchdog_stop(struct weir_watchdog *dog) {
    if (!dog)
        return;
    pthread_mutex_lock(&dog->lock);
    dog->stopping = true;
    pthread_cond_signal(&dog->changed);
    pthread_mutex_unlock(&dog->lock);
    if (dog->started)
        pthread_join(dog->thread, NULL);
    pthread_cond_destroy(&dog->changed);
    pthread_mutex_destroy(&dog->lock);
    free(dog);
}
