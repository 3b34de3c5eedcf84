/*
 * sim: weir's own workers and evaluators, unchanged, in a world that a seed decides.
 *
 * The program links weir's app library with fakes of what lies below it: Redis (its scripts run
 * word for word, see sim_lua.h), Kafka, the clock, randomness and threads. Every process of weir is
 * a fiber that goes from one question to Redis or Kafka to the next; which of them goes on, which
 * request arrives, what is lost, repeated, late, killed, frozen or rolled back is drawn from the
 * seed. The same seed gives the same run.
 *
 *   sim_world.c   the schedule of one seed: faults, then rest, then the checks
 *   sim_faults.c  what may go wrong
 *   sim_proc.c    processes: fibers, threads, the clock, randomness, the log
 *   sim_redis.c   connections to the one Redis, its restarts and snapshots
 *   sim_kafka.c   the log, the group, and the consumers
 *   sim_input.c   the records
 *   sim_watch.c   what must hold after every script
 *   sim_check.c   what must hold at rest: equal to one undisturbed run
 *   sim_mutate.c  breakages on purpose, which must be found
 *   sim.c         options, jobs, the sum
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "sim_db.h"
#include "sim_lua.h"
#include "weir/config.h"
#include "weir/kafka.h"
#include "weir/partition.h"
#include "weir/redis.h"

#define SIM_PARTITIONS_MAX 2
#define SIM_WORKERS_MAX 3
#define SIM_EVALUATORS_MAX 2
#define SIM_PROCS_MAX (SIM_WORKERS_MAX + SIM_EVALUATORS_MAX)
#define SIM_RECORDS_MAX 64 /* in one partition */
#define SIM_RECORD_BYTES 320
#define SIM_SNAPSHOTS 6

/* ---- chance ---- */

uint64_t sim_next(void);
uint32_t sim_below(uint32_t limit);
bool sim_chance(uint32_t per_mille);

/* ---- faults: each seed draws which ones it has ---- */

enum sim_fault {
    SIM_RESET,     /* a connection breaks, before or after what it asked was done */
    SIM_LATE,      /* what was sent on a broken connection may still arrive, much later */
    SIM_TWICE,     /* a request arrives a second time, much later */
    SIM_REFUSE,    /* Redis refuses a command: OOM, READONLY, LOADING ... */
    SIM_RESTART,   /* Redis restarts and has lost nothing but its scripts */
    SIM_ROLLBACK,  /* Redis has lost its tail */
    SIM_FLUSH,     /* Redis has lost everything */
    SIM_HALF,      /* a script dies between two of its commands */
    SIM_KILL,      /* a process dies and is started again */
    SIM_STOP,      /* a process is stopped in order */
    SIM_FREEZE,    /* a process stands still, then goes on */
    SIM_REBALANCE, /* partitions move */
    SIM_ZOMBIE,    /* ... and their old owner does not hear of it */
    SIM_LEASE,     /* the evaluators' lease ends early */
    SIM_LEAP,      /* much time passes at once */
    SIM_CLOCK,     /* a wall clock is set */
    SIM_BROKER,    /* Kafka does not answer a question */
    SIM_FAULTS
};
extern const char *const sim_fault_names[SIM_FAULTS];

/* ---- processes ---- */

struct sim_proc {
    int number;
    bool evaluates; /* an evaluator, else a worker */
    ucontext_t context;
    bool running;    /* from its start to its end */
    bool dead;       /* killed: what it does reaches nobody */
    bool frozen;     /* stands still */
    bool woken;      /* what it waits for is there */
    int64_t wake_us; /* or it waits no longer than this */
    int64_t wall_ms; /* by how much its wall clock is off */
    struct weir_worker *worker;
    struct weir_evaluator *evaluator;
    void *(*thread)(void *);
    void *thread_context;
    int status;
    struct weir_err err;
};

void sim_proc_start(struct sim_proc *proc);
/* Goes on until the process waits again, or has ended. */
void sim_proc_resume(struct sim_proc *proc);
/* At once: what it still does on its way out reaches nobody. */
void sim_proc_kill(struct sim_proc *proc);
/* As by SIGTERM: it commits and leaves in its own time. */
void sim_proc_stop(struct sim_proc *proc);
bool sim_proc_ready(const struct sim_proc *proc);
/* From inside a process: waits for `woken`, or for the time. False when it is dead. */
bool sim_wait(int64_t for_us);
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Redis: its side of the connections ---- */

struct sim_link;
/* Connections on which something has been sent and not been taken up. */
size_t sim_links_pending(void);
/* Takes up requests of the `at`-th of these. */
void sim_link_serve(size_t at);
/* Breaks a connection that is open, if there is any; sent requests may arrive later. */
void sim_link_break(void);
/* Redis restarts: no connection, no script stays. */
void sim_redis_restart(void);
/* Redis holds something else from now on. */
void sim_redis_replace(struct sim_db *db);
void sim_redis_close(void);

/* ---- Kafka ---- */

struct sim_record {
    int64_t time_ms;
    uint32_t len;
    char bytes[SIM_RECORD_BYTES];
};

struct sim_log {
    struct sim_record records[SIM_RECORDS_MAX];
    int64_t len, end;  /* how many there will be, and how many there are */
    int64_t committed; /* the group's offset, for displays; -1: none */
};

void sim_input_make(void);
void sim_input_last(int64_t time_ms); /* one more record for every partition */
/* Gives the partitions to these processes of workers; `heard`: without exception. */
void sim_group_assign(const int *owners, bool heard);
void sim_kafka_close(void);

/* ---- the world of one seed ---- */

struct sim_published {
    uint64_t number;
    int64_t as_of_ms[WEIR_WINDOWS_MAX];
};

struct sim_world {
    uint64_t seed, random;
    const struct weir_config *config;
    bool verbose;
    const char *mutation; /* NULL: none */

    bool faults[SIM_FAULTS];
    bool calm; /* no fault any more */
    uint64_t steps;
    int64_t now_us, base_ms;

    struct sim_proc procs[SIM_PROCS_MAX];
    int workers, evaluators;
    struct sim_proc *current;

    struct sim_lua *lua;
    struct sim_db *db;
    struct sim_db *snapshots[SIM_SNAPSHOTS];
    uint64_t taken[SIM_SNAPSHOTS], last_taken; /* their order */
    bool rolled_back, lost_state, flushed;
    bool halted;

    int partitions;
    struct sim_log logs[SIM_PARTITIONS_MAX];
    uint64_t generation; /* of the group */
    int owners[SIM_PARTITIONS_MAX];

    uint64_t seqs[SIM_PARTITIONS_MAX]; /* what was seen last, see sim_watch.c */
    int64_t offsets[SIM_PARTITIONS_MAX];
    char doomed[SIM_PARTITIONS_MAX][40]; /* the token of a claim that must not be used */
    uint64_t print;                      /* of every command that reached Redis, in its order */
    bool idled; /* a commit called its partition idle, since this was cleared */
    struct sim_published published;

    bool failed; /* a promise is broken ... */
    char why[2048];
    struct sim_figures {
        uint64_t commits, duplicates, fenced, rolled_back, publications, faults, kills, halts;
    } figures;
};
extern struct sim_world *sim;

/* A promise is broken; the first one counts. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void sim_fault_draw(void);
void sim_fault_step(void);

/* After each command that reaches Redis; `heard`: its sender is there to read the answer. */
void sim_watch_call(size_t argc, const struct sim_text *argv, const struct weir_reply *reply,
                    bool heard);
/* Redis may hold an older state: what is there now counts. */
void sim_watch_reset(void);

/* Every partition's state against one undisturbed run up to its offset; `whole`: to its end. */
void sim_check_partitions(bool whole);
/* What is published against what a new evaluator made of the same states. */
void sim_check_shown(const struct sim_db *got, const struct sim_db *want);
void sim_check_alerts(void);

struct sim_mutation {
    const char *name, *what;
};
extern const struct sim_mutation sim_mutations[];
extern const size_t sim_mutations_len;
bool sim_mutated(const char *name);
/* Which of weir's scripts a hash belongs to, whatever a mutation made of it. */
enum sim_script {
    SIM_SCRIPT_OTHER,
    SIM_SCRIPT_CLAIM,
    SIM_SCRIPT_COMMIT,
    SIM_SCRIPT_LEASE,
    SIM_SCRIPT_PUBLISH
};
enum sim_script sim_script_of(struct sim_text sha);

/* One schedule. False: a promise is broken, `why` says which. */
bool sim_run(struct sim_world *world);

#endif
