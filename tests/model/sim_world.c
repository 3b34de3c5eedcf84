/* The schedule of one seed: some hundred steps with faults, then rest, then the checks. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define FAULTY_STEPS_MIN 60
#define FAULTY_STEPS 340
#define REST_STEPS_MAX 20000
#define ROUNDS_MAX 20
#define SLIDE_MS 10000
#define ROUND_MS 120000 /* every window moves */
#define START_MS 1767225600000

struct sim_world *sim;

/* ---- chance and verdict ---- */

uint64_t sim_next(void) { /* splitmix64 */
    uint64_t x = sim->random += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

uint32_t sim_below(uint32_t limit) {
    return (uint32_t)((sim_next() >> 32) * limit >> 32);
}

bool sim_chance(uint32_t per_mille) {
    return sim_below(1000) < per_mille;
}

void sim_fail(const char *format, ...) {
    va_list args;
    if (sim->failed)
        return;
    sim->failed = true;
    va_start(args, format);
    vsnprintf(sim->why, sizeof sim->why, format, args);
    va_end(args);
    sim_trace("BROKEN: %s", sim->why);
}

/* ---- steps ---- */

/* A process that ended is started again, but one that refused to go on: people must look. */
static void look_at_end(struct sim_proc *proc) {
    if (proc->running || proc->status != -WEIR_ERR_REFUSED)
        return;
    sim_trace("worker%d refuses to go on: %s", proc->number, proc->err.text);
    if (!sim->lost_state || !strstr(proc->err.text, "holds no state"))
        sim_fail("worker%d refused to go on for no reason: %s", proc->number, proc->err.text);
    sim->halted = true;
    sim->figures.halts++;
}

static void restart_some(void) {
    for (int i = 0; i < sim->workers + sim->evaluators; i++) {
        struct sim_proc *proc = &sim->procs[i];
        if (!proc->running && (sim->calm || sim_chance(100))) {
            sim_trace("%s%d starts", proc->evaluates ? "evaluator" : "worker", proc->number);
            sim_proc_start(proc);
        }
    }
}

static void produce(void) {
    struct sim_log *log = &sim->logs[sim_below((uint32_t)sim->partitions)];
    int64_t more = 1 + sim_below(6);
    log->end = log->end + more < log->len ? log->end + more : log->len;
    for (int i = 0; i < sim->workers; i++)
        sim->procs[i].woken = true;
}

/* Nothing can go on: time passes until something can. */
static void pass_time(void) {
    int64_t wake_us = INT64_MAX;
    for (int i = 0; i < sim->workers + sim->evaluators; i++) {
        const struct sim_proc *proc = &sim->procs[i];
        if (proc->running && !proc->frozen && proc->wake_us < wake_us)
            wake_us = proc->wake_us;
    }
    if (wake_us == INT64_MAX)
        wake_us = sim->now_us + 1000;
    sim->now_us = wake_us > sim->now_us ? wake_us : sim->now_us;
}

static void step(void) {
    int ready[SIM_PROCS_MAX], len = 0;
    sim->steps++;
    sim->now_us += sim_below(600);
    restart_some();
    for (int i = 0; i < sim->workers + sim->evaluators; i++)
        if (sim_proc_ready(&sim->procs[i]))
            ready[len++] = i;
    size_t pending = sim_links_pending();
    if (pending + (size_t)len == 0) {
        pass_time();
        return;
    }
    uint32_t chosen = sim_below((uint32_t)pending + (uint32_t)len);
    if (chosen < pending) {
        sim_link_serve(chosen);
        return;
    }
    struct sim_proc *proc = &sim->procs[ready[chosen - pending]];
    sim_proc_resume(proc);
    look_at_end(proc);
}

static bool over(void) {
    return sim->failed || sim->halted;
}

static void run_faulty(void) {
    uint32_t steps = FAULTY_STEPS_MIN + sim_below(FAULTY_STEPS);
    uint32_t fault_share = 50 + sim_below(450), record_share = 20 + sim_below(100);
    for (uint32_t i = 0; i < steps && !over(); i++) {
        if (sim_chance(fault_share))
            sim_fault_step();
        if (sim_chance(record_share))
            produce();
        step();
    }
}

/* ---- rest ---- */

static struct sim_text meta_field(int partition, const char *field) {
    char key[64];
    snprintf(key, sizeof key, "weir:{sim.shop.events.%d}:meta", partition);
    return sim_db_field(sim->db, sim_text_of(key), field);
}

static bool all_counted(void) {
    bool all = true;
    for (int p = 0; p < sim->partitions; p++)
        all &= meta_field(p, "state").len > 0 &&
               strtoll(meta_field(p, "offset").data, NULL, 10) == sim->logs[p].len;
    return all;
}

static bool none_idle(void) {
    bool none = true;
    for (int p = 0; p < sim->partitions; p++)
        none &= sim_text_equal(meta_field(p, "idle"), SIM_TEXT("0"));
    return none;
}

static int64_t shown_ms(const struct sim_db *db) {
    struct sim_text text = sim_db_field(db, SIM_TEXT("weir:{sim}:published"), "as_of:1m");
    return text.len > 0 ? strtoll(text.data, NULL, 10) : INT64_MIN;
}

static bool wait_for(bool (*condition)(int64_t), int64_t argument, const char *what) {
    for (int i = 0; i < REST_STEPS_MAX && !over(); i++) {
        if (condition(argument))
            return true;
        step();
    }
    if (!over())
        sim_fail("at rest, %s in %d steps", what, REST_STEPS_MAX);
    return false;
}

static bool is_counted(int64_t ignored) {
    (void)ignored;
    return all_counted();
}

static bool is_shown(int64_t as_of_ms) {
    return all_counted() && shown_ms(sim->db) >= as_of_ms;
}

/* No fault any more: every process runs, every partition has one owner, every record is there. */
static void calm_down(void) {
    int owners[SIM_PARTITIONS_MAX];
    sim->calm = true;
    sim_trace("no faults from here on");
    for (int i = 0; i < sim->workers + sim->evaluators; i++)
        sim->procs[i].frozen = false;
    for (int p = 0; p < sim->partitions; p++) {
        owners[p] = (int)sim_below((uint32_t)sim->workers);
        sim->logs[p].end = sim->logs[p].len;
    }
    if (!sim->faults[SIM_HALF]) /* what is half done is for its owner to mend */
        sim_group_assign(owners, true);
}

static int64_t newest_ms(void) {
    int64_t newest = 0;
    for (int p = 0; p < sim->partitions; p++) {
        int64_t watermark = strtoll(meta_field(p, "watermark").data, NULL, 10);
        for (int64_t i = 0; i < sim->logs[p].len; i++)
            if (sim->logs[p].records[i].time_ms > newest)
                newest = sim->logs[p].records[i].time_ms;
        newest = watermark > newest ? watermark : newest;
    }
    return newest;
}

/* Last records, until all partitions count at the same time and a window of all is published. One
 * that was idle meanwhile is not in that window, whatever it says of itself by then. */
static int64_t finish_windows(void) {
    int64_t behind_ms = sim->config->plan.out_of_orderness_ms, as_of_ms = 0;
    for (int round = 0; round < ROUNDS_MAX && !over(); round++) {
        int64_t time_ms = newest_ms() + ROUND_MS;
        bool settled = round > 0 && none_idle();
        sim->idled = false;
        sim_input_last(time_ms);
        for (int i = 0; i < sim->workers; i++)
            sim->procs[i].woken = true;
        as_of_ms = (time_ms - behind_ms) / SLIDE_MS * SLIDE_MS;
        if (!wait_for(is_shown, as_of_ms, "no window of the last records is published") ||
            (settled && !sim->idled))
            return as_of_ms;
    }
    if (!over())
        sim_fail("at rest, partitions stay idle");
    return as_of_ms;
}

/* A new evaluator, alone with the partitions' states. */
static struct sim_db *evaluate_anew(int64_t as_of_ms) {
    struct sim_db *published = sim->db;
    sim->db = sim_db_copy(published);
    for (size_t i = 0; i < published->size; i++) {
        const struct sim_blob *key = published->entries[i].key;
        if (key && strncmp(key->data, "weir:{sim}:", 11) == 0 &&
            strcmp(key->data, "weir:{sim}:partitions") != 0)
            sim_db_remove(sim->db, sim_text_of(key->data));
    }
    sim_watch_reset();
    int workers = sim->workers, evaluators = sim->evaluators;
    struct sim_proc saved[SIM_PROCS_MAX];
    memcpy(saved, sim->procs, sizeof saved);
    sim->procs[0] = saved[workers];
    sim->workers = 0;
    sim->evaluators = 1;
    wait_for(is_shown, as_of_ms, "a new evaluator publishes nothing");
    sim_proc_kill(&sim->procs[0]);
    saved[workers] = sim->procs[0];
    memcpy(sim->procs, saved, sizeof saved);
    sim->workers = workers;
    sim->evaluators = evaluators;
    struct sim_db *anew = sim->db;
    sim->db = published;
    return anew;
}

static void kill_all(void) {
    for (int i = 0; i < sim->workers + sim->evaluators; i++)
        sim_proc_kill(&sim->procs[i]);
}

static void rest(void) {
    calm_down();
    wait_for(is_counted, 0, "not every record is counted");
    int64_t as_of_ms = over() ? 0 : finish_windows();
    kill_all();
    if (sim->failed)
        return;
    sim_check_partitions(!sim->halted);
    sim_check_alerts();
    if (over())
        return;
    struct sim_db *anew = evaluate_anew(as_of_ms);
    if (!sim->failed)
        sim_check_shown(sim->db, anew);
    sim_db_free(anew);
}

/* ---- one seed ---- */

static void open_world(void) {
    int owners[SIM_PARTITIONS_MAX] = {0};
    sim->random = sim->seed * 0x9e3779b97f4a7c15U + 1;
    sim->base_ms = START_MS;
    sim->now_us = 1000000;
    sim->generation = 1;
    sim->lua = sim->lua ? sim->lua : sim_lua_new();
    sim_lua_forget(sim->lua);
    sim->db = sim_db_new();
    sim->partitions = 1 + (int)sim_below(SIM_PARTITIONS_MAX);
    sim->workers = 1 + (int)sim_below(SIM_WORKERS_MAX);
    sim->evaluators = 1 + (int)sim_below(SIM_EVALUATORS_MAX);
    for (int i = 0; i < sim->workers + sim->evaluators; i++) {
        sim->procs[i].number = i < sim->workers ? i : i - sim->workers;
        sim->procs[i].evaluates = i >= sim->workers;
    }
    sim_fault_draw();
    sim_input_make();
    for (int p = 0; p < sim->partitions; p++)
        owners[p] = (int)sim_below((uint32_t)sim->workers);
    sim_group_assign(owners, true);
}

static void close_world(void) {
    kill_all();
    sim_redis_close();
    sim_kafka_close();
    sim_db_free(sim->db);
    for (int i = 0; i < SIM_SNAPSHOTS; i++)
        sim_db_free(sim->snapshots[i]);
}

bool sim_run(struct sim_world *world) {
    sim = world;
    open_world();
    run_faulty();
    rest();
    close_world();
    return !sim->failed;
}
