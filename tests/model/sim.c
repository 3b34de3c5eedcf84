/*
 * sim: many schedules of faults over weir's own workers and evaluators; see sim.h.
 *
 *   sim [--schedules N] [--first SEED] [--jobs N] [--mutations N]   every seed from the first on;
 *                                      then each breakage on purpose must be found within N seeds
 *   sim --seed SEED [--verbose]        one seed, with what happens in it
 *   sim --mutate NAME ...              with that breakage
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define JOBS_MAX 64
#define SCHEDULES 100000
#define MUTATION_SCHEDULES 50000
#define AGAIN_MAX 32 /* seeds of each job that are run a second time */
#define AGAIN_EVERY 1009

struct options {
    uint64_t schedules, first, seed, mutations;
    int jobs;
    bool one, verbose;
    const char *mutate, *config;
};

/* A seed, and what it came to. */
struct run {
    uint64_t seed, print;
};

/* One job's part of the shared memory. */
struct job {
    pid_t pid;
    uint64_t seed, done;
    _Atomic bool failed;
    char why[2048];
    struct sim_figures figures;
    uint64_t steps, faults[SIM_FAULTS];
    struct run runs[AGAIN_MAX];
    size_t runs_len; /* behind them is the last one so far */
};

static struct sim_world world;

static bool run_seed(const struct weir_config *config, const struct options *options,
                     const char *mutation, uint64_t seed) {
    struct sim_lua *lua = world.lua;
    world = (struct sim_world){
        .seed = seed, .config = config, .verbose = options->verbose, .mutation = mutation};
    world.lua = lua;
    return sim_run(&world);
}

/* ---- jobs ---- */

static void add_figures(struct job *job) {
    const uint64_t *from = (const uint64_t *)&world.figures;
    uint64_t *to = (uint64_t *)&job->figures;
    for (size_t i = 0; i < sizeof job->figures / sizeof *to; i++)
        to[i] += from[i];
    job->steps += world.steps;
    for (int f = 0; f < SIM_FAULTS; f++)
        job->faults[f] += world.faults[f];
    job->done++;
}

static void keep_print(struct job *job) {
    job->runs[job->runs_len] = (struct run){job->seed, world.print};
    if (job->done % AGAIN_EVERY == AGAIN_EVERY - 1 && job->runs_len + 1 < AGAIN_MAX)
        job->runs_len++;
}

/* Another job has found a lower seed: this one need not go on. */
static bool is_beaten(const struct job *jobs, int len, uint64_t seed) {
    for (int j = 0; j < len; j++)
        if (jobs[j].failed && jobs[j].seed < seed)
            return true;
    return false;
}

static void run_job(struct job *jobs, int number, const struct weir_config *config,
                    const struct options *options, const char *mutation) {
    struct job *job = &jobs[number];
    for (; job->seed < options->first + options->schedules; job->seed += (uint64_t)options->jobs) {
        if (is_beaten(jobs, options->jobs, job->seed))
            return;
        if (!run_seed(config, options, mutation, job->seed)) {
            memcpy(job->why, world.why, sizeof job->why);
            job->failed = true;
            return;
        }
        keep_print(job);
        add_figures(job);
    }
}

/* A job that died of a broken invariant has its seed on record. */
static void wait_for(struct job *job) {
    int status = 0;
    pid_t ended;
    do
        ended = waitpid(job->pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    WEIR_ASSERT(ended == job->pid);
    if (status == 0)
        return;
    job->failed = true;
    snprintf(job->why, sizeof job->why, "the program died (%s %d)",
             WIFSIGNALED(status) ? "signal" : "exit",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* The jobs share the seeds between them. The lowest seed that failed, or 0. */
static uint64_t run_jobs(struct job *jobs, const struct weir_config *config,
                         const struct options *options, const char *mutation) {
    uint64_t failed = 0;
    fflush(stdout);
    for (int j = 0; j < options->jobs; j++)
        jobs[j] = (struct job){.seed = options->first + (uint64_t)j};
    for (int j = 0; j < options->jobs; j++) {
        pid_t pid = fork();
        WEIR_ASSERT(pid >= 0);
        if (pid > 0) {
            jobs[j].pid = pid; /* the parent's to write: the child shares the memory */
            continue;
        }
        if (mutation && !freopen("/dev/null", "w", stderr)) /* an assert is a find, too */
            _exit(2);
        run_job(jobs, j, config, options, mutation);
        _exit(0);
    }
    for (int j = 0; j < options->jobs; j++) {
        wait_for(&jobs[j]);
        if (jobs[j].failed && (!failed || jobs[j].seed < failed))
            failed = jobs[j].seed;
    }
    return failed;
}

static const char *why_of(const struct job *jobs, const struct options *options, uint64_t seed) {
    for (int j = 0; j < options->jobs; j++)
        if (jobs[j].failed && jobs[j].seed == seed)
            return jobs[j].why;
    return "";
}

/* ---- the sum ---- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_sum(const struct job *jobs, const struct options *options, double took) {
    struct job sum = {0};
    for (int j = 0; j < options->jobs; j++) {
        const uint64_t *from = (const uint64_t *)&jobs[j].figures;
        uint64_t *to = (uint64_t *)&sum.figures;
        for (size_t i = 0; i < sizeof sum.figures / sizeof *to; i++)
            to[i] += from[i];
        sum.done += jobs[j].done;
        sum.steps += jobs[j].steps;
        for (int f = 0; f < SIM_FAULTS; f++)
            sum.faults[f] += jobs[j].faults[f];
    }
    printf("%" PRIu64 " schedules of %" PRIu64
           " steps on average in %.1f s, %.2f ms each and job\n",
           sum.done, sum.done ? sum.steps / sum.done : 0, took,
           sum.done ? took * 1000 * options->jobs / (double)sum.done : 0);
    printf("  faults %" PRIu64 ", kills %" PRIu64 "; commits %" PRIu64 ", repeats %" PRIu64
           ", fenced %" PRIu64 ", rolled back %" PRIu64 ", publications %" PRIu64 ", halts %" PRIu64
           "\n  schedules with",
           sum.figures.faults, sum.figures.kills, sum.figures.commits, sum.figures.duplicates,
           sum.figures.fenced, sum.figures.rolled_back, sum.figures.publications,
           sum.figures.halts);
    for (int f = 0; f < SIM_FAULTS; f++)
        printf(" %s %" PRIu64, sim_fault_names[f], sum.faults[f]);
    printf("\n");
}

static int run_schedules(struct job *jobs, const struct weir_config *config,
                         const struct options *options) {
    double start = seconds();
    uint64_t failed = run_jobs(jobs, config, options, options->mutate);
    print_sum(jobs, options, seconds() - start);
    if (failed == 0)
        return 0;
    printf("seed %" PRIu64 " failed: %s\n  see it with: sim --seed %" PRIu64 " --verbose%s%s\n",
           failed, why_of(jobs, options, failed), failed, options->mutate ? " --mutate " : "",
           options->mutate ? options->mutate : "");
    return 1;
}

/* In a process of its own, as by --seed, a seed must come to what it came to behind all those that
 * a job ran before. The number that did not. */
static int run_again(const struct job *jobs, const struct weir_config *config,
                     const struct options *options) {
    size_t len = 0;
    int differ = 0;
    fflush(stdout);
    for (int j = 0; j < options->jobs; j++)
        for (size_t r = 0; r <= jobs[j].runs_len && jobs[j].done > 0; r++, len++) {
            const struct run *run = &jobs[j].runs[r];
            int status = 0;
            pid_t pid = fork();
            WEIR_ASSERT(pid >= 0);
            if (pid == 0)
                _exit(run_seed(config, options, options->mutate, run->seed) &&
                              world.print == run->print
                          ? 0
                          : 1);
            WEIR_ASSERT(waitpid(pid, &status, 0) == pid);
            if (status != 0)
                printf("seed %" PRIu64 " alone is another run than behind others\n", run->seed);
            differ += status != 0;
        }
    printf("%zu seeds run again, each alone: %zu the same\n", len, len - (size_t)differ);
    return differ > 0;
}

static int run_mutations(struct job *jobs, const struct weir_config *config,
                         const struct options *options) {
    int missed = 0;
    for (size_t m = 0; m < sim_mutations_len; m++) {
        struct options few = *options;
        few.schedules = options->mutations;
        uint64_t found = run_jobs(jobs, config, &few, sim_mutations[m].name);
        missed += found == 0;
        if (found == 0)
            printf("NOT FOUND in %" PRIu64 " seeds: %s: %s\n", few.schedules, sim_mutations[m].name,
                   sim_mutations[m].what);
        else
            printf("found by seed %" PRIu64 ": %s: %s\n    %.200s\n", found, sim_mutations[m].name,
                   sim_mutations[m].what, why_of(jobs, options, found));
    }
    return missed;
}

static int run_one(const struct weir_config *config, const struct options *options) {
    bool good = run_seed(config, options, options->mutate, options->seed);
    printf("seed %" PRIu64 ": %s\n", options->seed, good ? "all holds" : world.why);
    return good ? 0 : 1;
}

/* ---- options ---- */

static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end) {
        fprintf(stderr, "sim: %s is not a number\n", text);
        exit(2);
    }
    return value;
}

static void read_options(struct options *options, int argc, char **argv) {
    static const struct option known[] = {
        {"schedules", required_argument, NULL, 'n'},
        {"first", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},
        {"mutate", required_argument, NULL, 'm'},
        {"mutations", required_argument, NULL, 'M'},
        {"config", required_argument, NULL, 'c'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'n':
            options->schedules = number(optarg);
            break;
        case 'f':
            options->first = number(optarg);
            break;
        case 's':
            options->seed = number(optarg);
            options->one = true;
            break;
        case 'j':
            options->jobs = (int)number(optarg);
            break;
        case 'm':
            options->mutate = optarg;
            break;
        case 'M':
            options->mutations = number(optarg);
            break;
        case 'c':
            options->config = optarg;
            break;
        case 'v':
            options->verbose = true;
            break;
        default:
            exit(2);
        }
    }
    if (options->jobs < 1 || options->jobs > JOBS_MAX)
        options->jobs = 1;
}

int main(int argc, char **argv) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct options options = {.schedules = SCHEDULES,
                              .first = 1,
                              .jobs = cores > 0 && cores < JOBS_MAX ? (int)cores : 1,
                              .mutations = MUTATION_SCHEDULES,
                              .config = SIM_CONFIG};
    read_options(&options, argc, argv);
    struct weir_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_err err;
    if (weir_config_load(&config, options.config, &problems, &err) != 0) {
        fprintf(stderr, "sim: %s\n", err.text);
        return 1;
    }
    if (options.one)
        return run_one(config, &options);
    struct job *jobs = mmap(NULL, JOBS_MAX * sizeof *jobs, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WEIR_ASSERT(jobs != MAP_FAILED);
    int failed = run_schedules(jobs, config, &options);
    int differ = failed ? 0 : run_again(jobs, config, &options);
    bool mutates = !options.mutate && options.mutations > 0;
    int missed = mutates ? run_mutations(jobs, config, &options) : 0;
    int passed = 2 + (mutates ? (int)sim_mutations_len : 0) - failed - differ - missed;
    printf("sim: %d passed, %d failed\n", passed, failed + differ + missed);
    weir_config_free(config);
    return failed + differ + missed ? 1 : 0;
}
