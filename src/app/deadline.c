#include "app/deadline.h"

#include <pthread.h>
#include <unistd.h>

#include "weir/clock.h"
#include "weir/log.h"

static void *wait_and_end(void *context) {
    const struct weir_deadline *deadline = context;
    int number;
    if (deadline->signals)
        sigwait(deadline->signals, &number);
    if (deadline->came)
        atomic_store(deadline->came, true);
    weir_clock_sleep_ms(deadline->seconds * 1000);
    weir_log(WEIR_LOG_WARN, deadline->area, deadline->words, WEIR_LOG_END);
    _exit(deadline->code);
}

bool weir_deadline_start(const struct weir_deadline *deadline) {
    static struct weir_deadline own;
    pthread_t thread;
    own = *deadline;
    return pthread_create(&thread, NULL, wait_and_end, &own) == 0 && pthread_detach(thread) == 0;
}
