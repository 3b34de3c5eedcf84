/* What may go wrong. Every seed draws which kinds of faults it has, so that each meets each other
 * alone and in company, and how often. */
#include <stdlib.h>

#include "app/evaluator_state.h"
#include "sim.h"

const char *const sim_fault_names[SIM_FAULTS] = {
    [SIM_RESET] = "reset",   [SIM_LATE] = "late",       [SIM_TWICE] = "twice",
    [SIM_REFUSE] = "refuse", [SIM_RESTART] = "restart", [SIM_ROLLBACK] = "rollback",
    [SIM_FLUSH] = "flush",   [SIM_HALF] = "half",       [SIM_KILL] = "kill",
    [SIM_STOP] = "stop",     [SIM_FREEZE] = "freeze",   [SIM_REBALANCE] = "rebalance",
    [SIM_ZOMBIE] = "zombie", [SIM_LEASE] = "lease",     [SIM_LEAP] = "leap",
    [SIM_CLOCK] = "clock",   [SIM_BROKER] = "broker",
};

#define DAY_MS 86400000
#define LEAP_MS_MAX 9000
#define LEASE_MS 5000
#define SLOW_MS_MAX 4000

/* A half-done script is mended by the same owner's next try, and only by that: Redis itself never
 * leaves one. So nothing else may touch the partition meanwhile. */
static void draw_half(void) {
    for (int f = 0; f < SIM_FAULTS; f++)
        sim->faults[f] = sim->faults[f] && (f == SIM_RESET || f == SIM_LEASE || f == SIM_BROKER);
    sim->faults[SIM_HALF] = true;
}

void sim_fault_draw(void) {
    for (int f = 0; f < SIM_FAULTS; f++)
        sim->faults[f] = sim_chance(400);
    sim->faults[SIM_FLUSH] = sim_chance(40);
    sim->faults[SIM_HALF] = false;
    if (sim_chance(60))
        draw_half();
    for (int f = 0; f < SIM_FAULTS && sim->verbose; f++)
        if (sim->faults[f])
            sim_trace("this seed has: %s", sim_fault_names[f]);
}

static struct sim_proc *any_proc(void) {
    return &sim->procs[sim_below((uint32_t)(sim->workers + sim->evaluators))];
}

/* Under open connections data go back, but not back and forth: nobody could see that while it loads
 * a state. */
static void forget_later(uint32_t at) {
    for (uint32_t i = 0; i < SIM_SNAPSHOTS; i++) {
        if (!sim->snapshots[i] || sim->taken[i] <= sim->taken[at])
            continue;
        sim_db_free(sim->snapshots[i]);
        sim->snapshots[i] = NULL;
    }
}

static void roll_back(void) {
    uint32_t at = sim_below(SIM_SNAPSHOTS);
    struct sim_db *snapshot = sim->snapshots[at];
    if (!snapshot)
        return;
    bool restarts = sim_chance(600); /* else a backup is put back while it runs */
    sim_trace("Redis %shas lost its tail", restarts ? "restarts and " : "");
    if (restarts)
        sim_redis_restart();
    else
        forget_later(at);
    sim_redis_replace(sim_db_copy(snapshot));
    /* an evaluator that is slow sees what was counted again only when it is as far as before */
    for (int i = sim->workers; i < sim->workers + sim->evaluators && !restarts; i++)
        sim->procs[i].wake_us += (int64_t)sim_below(SLOW_MS_MAX) * 1000;
}

static void flush(void) {
    if (sim->flushed || !sim_chance(250))
        return;
    bool restarts = sim_chance(500); /* else it was FLUSHALL */
    sim_trace("Redis %shas lost everything", restarts ? "restarts and " : "");
    if (restarts)
        sim_redis_restart();
    sim_redis_replace(sim_db_new());
    sim->flushed = true; /* once is enough */
}

static void kill_one(void) {
    struct sim_proc *proc = any_proc();
    if (!proc->running)
        return;
    sim_trace("%s%d is killed", proc->evaluates ? "evaluator" : "worker", proc->number);
    sim->figures.kills++;
    sim_proc_kill(proc);
}

static void freeze(void) {
    struct sim_proc *proc = any_proc();
    proc->frozen = proc->running && !proc->frozen;
    sim_trace("%s%d %s", proc->evaluates ? "evaluator" : "worker", proc->number,
              proc->frozen ? "stands still" : "goes on");
}

static void rebalance(void) {
    int owners[SIM_PARTITIONS_MAX];
    for (int p = 0; p < sim->partitions; p++)
        owners[p] = (int)sim_below((uint32_t)sim->workers);
    sim_group_assign(owners, false);
}

/* It ends early, or somebody has it who does not know. */
static void move_lease(void) {
    const struct sim_proc *proc =
        &sim->procs[sim->workers + (int)sim_below((uint32_t)sim->evaluators)];
    struct sim_text lease = SIM_TEXT("weir:{sim}:lease");
    sim_db_remove(sim->db, lease);
    sim_trace("the lease ends");
    if (!proc->evaluator || sim_chance(500))
        return;
    struct sim_value *value = sim_db_write(sim->db, lease, SIM_STRING);
    sim_value_insert(value, 0, sim_text_of(proc->evaluator->token), NULL);
    value->expires_ms = sim->base_ms + sim->now_us / 1000 + LEASE_MS;
    sim_trace("evaluator%d has the lease", proc->number);
}

static void set_clock(void) {
    struct sim_proc *proc = any_proc();
    proc->wall_ms = ((int64_t)sim_below(3) - 1) * DAY_MS;
}

static void apply(enum sim_fault fault) {
    switch (fault) {
    case SIM_RESET:
        sim_link_break();
        break;
    case SIM_RESTART:
        sim_trace("Redis restarts");
        sim_redis_restart();
        break;
    case SIM_ROLLBACK:
        roll_back();
        break;
    case SIM_FLUSH:
        flush();
        break;
    case SIM_KILL:
        kill_one();
        break;
    case SIM_STOP:
        sim_proc_stop(any_proc());
        break;
    case SIM_FREEZE:
        freeze();
        break;
    case SIM_REBALANCE:
        rebalance();
        break;
    case SIM_LEASE:
        move_lease();
        break;
    case SIM_LEAP:
        sim->now_us += (int64_t)sim_below(LEAP_MS_MAX) * 1000;
        break;
    case SIM_CLOCK:
        set_clock();
        break;
    case SIM_LATE:
    case SIM_TWICE:
    case SIM_REFUSE:
    case SIM_HALF:
    case SIM_ZOMBIE:
    case SIM_BROKER:
    case SIM_FAULTS:
        break; /* where they happen: sim_redis.c, sim_kafka.c */
    }
}

void sim_fault_step(void) {
    enum sim_fault fault = (enum sim_fault)sim_below(SIM_FAULTS);
    if (!sim->faults[fault])
        return;
    sim->figures.faults++;
    apply(fault);
}
