/* Processes: each is a fiber that runs weir's own start, thread and end. It leaves off only where
 * weir waits: for Redis, for Kafka, or asleep. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app/evaluator_state.h"
#include "app/worker.h"
#include "sim.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/memory.h"

#define STACK_BYTES ((size_t)512 << 10)
#define START_MS_MAX 20

static ucontext_t scheduler;
static char *stacks[SIM_PROCS_MAX]; /* used again from seed to seed */

/* ---- what the linker puts in place of the C library's ---- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context);
int __wrap_pthread_join(pthread_t thread, void **result);
ssize_t __wrap_getrandom(void *bytes, size_t len, unsigned flags);

/* The thread is run by the fiber that asked for it, once the start is done. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context) {
    (void)attributes;
    *thread = pthread_self();
    sim->current->thread = start;
    sim->current->thread_context = context;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result) {
    (void)thread, (void)result;
    return 0;
}

ssize_t __wrap_getrandom(void *bytes, size_t len, unsigned flags) {
    (void)flags;
    unsigned char *at = bytes;
    bool alike = sim_mutated(2 * len == WEIR_WORD_LEN ? "words-alike" : "tokens-alike");
    for (size_t i = 0; i < len; i++)
        at[i] = alike ? 7 : (unsigned char)sim_next();
    return (ssize_t)len;
}

/* ---- in place of weir's clock, memory and log ---- */

int64_t weir_clock_monotonic_us(void) {
    return sim->now_us;
}

int64_t weir_clock_wall_ms(void) {
    int64_t off_ms = sim->current ? sim->current->wall_ms : 0;
    return sim->base_ms + sim->now_us / 1000 + off_ms;
}

void weir_clock_sleep_ms(int64_t ms) {
    sim->current->woken = false;
    sim_wait(ms * 1000);
}

int64_t weir_memory_available(void) {
    return INT64_MAX;
}

static void trace(const char *format, va_list args) {
    const struct sim_proc *proc = sim->current;
    char who[16] = "-";
    if (proc)
        snprintf(who, sizeof who, "%s%d", proc->evaluates ? "evaluator" : "worker", proc->number);
    printf("%6llu %9.3f %-10s ", (unsigned long long)sim->steps, (double)sim->now_us / 1e6, who);
    vprintf(format, args);
    putchar('\n');
}

void sim_trace(const char *format, ...) {
    va_list args;
    if (!sim->verbose)
        return;
    va_start(args, format);
    trace(format, args);
    va_end(args);
}

void weir_log(enum weir_log_level level, const char *area, const char *message, ...) {
    va_list fields;
    (void)level;
    if (!sim->verbose || sim->current->dead)
        return;
    char text[1200];
    size_t len = (size_t)snprintf(text, sizeof text, "%s: %s", area, message);
    va_start(fields, message);
    for (;;) {
        struct weir_log_field field = va_arg(fields, struct weir_log_field);
        if (!field.key || len >= sizeof text)
            break;
        if (field.text)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%s", field.key, field.text);
        else
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%lld", field.key,
                                    (long long)field.number);
    }
    va_end(fields);
    sim_trace("%s", text);
}

/* ---- fibers ---- */

static void run_worker(struct sim_proc *proc) {
    struct weir_worker *worker = NULL;
    proc->status = weir_worker_start(&worker, sim->config, 0, false, &proc->err);
    if (proc->status != 0)
        return;
    proc->worker = worker;
    if (proc->dead)
        weir_worker_stop(worker);
    proc->thread(proc->thread_context);
    proc->worker = NULL;
    proc->status = weir_worker_join(worker, &proc->err);
}

static void run_evaluator(struct sim_proc *proc) {
    struct weir_evaluator *evaluator = NULL;
    proc->status = weir_evaluator_start(&evaluator, sim->config, &proc->err);
    if (proc->status != 0)
        return;
    proc->evaluator = evaluator;
    if (proc->dead)
        atomic_store(&evaluator->stopping, true);
    proc->thread(proc->thread_context);
    proc->evaluator = NULL;
    weir_evaluator_stop(evaluator);
}

static void fiber_main(void) {
    struct sim_proc *proc = sim->current;
    if (!proc->dead) {
        if (proc->evaluates)
            run_evaluator(proc);
        else
            run_worker(proc);
    }
    proc->running = false;
    swapcontext(&proc->context, &scheduler);
}

void sim_proc_start(struct sim_proc *proc) {
    char **stack = &stacks[proc - sim->procs];
    if (!*stack)
        *stack = malloc(STACK_BYTES);
    WEIR_ASSERT(*stack != NULL && !proc->running);
    proc->running = true;
    proc->dead = proc->frozen = false;
    proc->woken = false;
    proc->status = 0;
    proc->wake_us = sim->now_us + (int64_t)sim_below(START_MS_MAX) * 1000;
    getcontext(&proc->context);
    proc->context.uc_stack.ss_sp = *stack;
    proc->context.uc_stack.ss_size = STACK_BYTES;
    proc->context.uc_link = NULL;
    makecontext(&proc->context, fiber_main, 0);
}

void sim_proc_resume(struct sim_proc *proc) {
    sim->current = proc;
    swapcontext(&scheduler, &proc->context);
    sim->current = NULL;
}

bool sim_wait(int64_t for_us) {
    struct sim_proc *proc = sim->current;
    if (proc->dead)
        return false;
    proc->wake_us = sim->now_us + for_us;
    if (swapcontext(&proc->context, &scheduler) != 0)
        abort();
    return !proc->dead;
}

bool sim_proc_ready(const struct sim_proc *proc) {
    return proc->running && !proc->frozen && (proc->woken || proc->wake_us <= sim->now_us);
}

void sim_proc_stop(struct sim_proc *proc) {
    if (proc->worker)
        weir_worker_stop(proc->worker);
    if (proc->evaluator)
        atomic_store(&proc->evaluator->stopping, true);
}

void sim_proc_kill(struct sim_proc *proc) {
    if (!proc->running)
        return;
    proc->dead = true;
    sim_proc_stop(proc);
    sim_proc_resume(proc);
    WEIR_ASSERT(!proc->running);
}
