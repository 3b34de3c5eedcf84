/* Connections to the one Redis. What a client has written lies in its link until the scheduler
 * lets Redis take it up; what Redis answers lies there until the client reads. A link whose client
 * has gone may still bring what was written on it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define WORDS_MAX 64
#define LINKS_MAX 64
#define HALF_CALLS_MAX 24

struct request {
    size_t argc;
    struct sim_text *argv; /* one block with the texts behind */
};

struct queue {
    void **items;
    size_t first, len, cap;
};

struct sim_link {
    struct sim_proc *proc; /* NULL: the client has gone */
    struct queue requests, replies;
    bool broken;
};

struct weir_redis {
    struct sim_link *link; /* NULL: not connected */
    struct queue out;
    uint64_t generation;
    size_t due;
};

static struct sim_link *links[LINKS_MAX];
static size_t links_len;

/* ---- queues ---- */

static void put(struct queue *queue, void *item) {
    if (queue->first + queue->len == queue->cap) {
        queue->cap = queue->cap ? queue->cap * 2 : 16;
        queue->items = realloc(queue->items, queue->cap * sizeof *queue->items);
        WEIR_ASSERT(queue->items != NULL);
    }
    queue->items[queue->first + queue->len++] = item;
}

static void *take(struct queue *queue) {
    void *item = queue->items[queue->first++];
    if (--queue->len == 0)
        queue->first = 0;
    return item;
}

static void free_requests(struct queue *queue) {
    while (queue->len > 0)
        free(take(queue));
    free(queue->items);
    *queue = (struct queue){0};
}

static void free_replies(struct queue *queue) {
    while (queue->len > 0)
        weir_reply_free(take(queue));
    free(queue->items);
    *queue = (struct queue){0};
}

static struct request *request_new(size_t argc, const struct sim_text *argv) {
    size_t bytes = sizeof(struct request) + argc * sizeof *argv;
    for (size_t i = 0; i < argc; i++)
        bytes += argv[i].len + 1;
    struct request *request = malloc(bytes);
    WEIR_ASSERT(request != NULL);
    request->argc = argc;
    request->argv = (struct sim_text *)(request + 1);
    char *at = (char *)(request->argv + argc);
    for (size_t i = 0; i < argc; i++) {
        memcpy(at, argv[i].data, argv[i].len);
        at[argv[i].len] = '\0';
        request->argv[i] = (struct sim_text){at, argv[i].len};
        at += argv[i].len + 1;
    }
    return request;
}

/* ---- links ---- */

static struct sim_link *link_new(struct sim_proc *proc) {
    WEIR_ASSERT(links_len < LINKS_MAX);
    struct sim_link *link = calloc(1, sizeof *link);
    WEIR_ASSERT(link != NULL);
    link->proc = proc;
    links[links_len++] = link;
    return link;
}

static void link_free(size_t at) {
    free_requests(&links[at]->requests);
    free_replies(&links[at]->replies);
    free(links[at]);
    links[at] = links[--links_len];
}

static void sweep(void) {
    for (size_t i = links_len; i-- > 0;)
        if (!links[i]->proc && links[i]->requests.len == 0)
            link_free(i);
}

/* The client is gone. The network may keep the first of what it wrote, for a while. */
static void link_leave(struct sim_link *link) {
    link->proc = NULL;
    free_replies(&link->replies);
    bool arrives = !sim->calm && sim->faults[SIM_LATE] && links_len < LINKS_MAX / 2;
    size_t keep = arrives ? sim_below((uint32_t)link->requests.len + 1) : 0;
    while (link->requests.len > keep)
        free(link->requests.items[link->requests.first + --link->requests.len]);
    if (keep > 0)
        sim_trace("%zu requests stay in the network", keep);
    sweep();
}

size_t sim_links_pending(void) {
    size_t count = 0;
    for (size_t i = 0; i < links_len; i++)
        count += links[i]->requests.len > 0;
    return count;
}

/* ---- Redis takes up a request ---- */

static const char *const refusals[] = {
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.",
    "BUSY Redis is busy running a script.",
};

static bool is_script(const struct request *request) {
    return request->argv[0].len >= 4 && memcmp(request->argv[0].data, "EVAL", 4) == 0;
}

static void keep_snapshot(void) {
    if (!sim->faults[SIM_ROLLBACK] || sim->calm || !sim_chance(150))
        return;
    uint32_t at = sim_below(SIM_SNAPSHOTS);
    sim_db_free(sim->snapshots[at]);
    sim->snapshots[at] = sim_db_copy(sim->db);
    sim->taken[at] = ++sim->last_taken;
}

static void say(const struct request *request, const struct weir_reply *reply) {
    static const char *const scripts[] = {"a script", "claim", "commit", "lease", "publish"};
    const char *what = request->argv[0].data;
    if (is_script(request))
        what = scripts[sim_script_of(request->argv[1])];
    const struct weir_reply *first = reply->items_len > 0 ? reply->items[0] : reply;
    sim_trace("Redis: %s %.60s: %.60s", what,
              is_script(request)  ? request->argv[3].data
              : request->argc > 1 ? request->argv[1].data
                                  : "",
              first->text                         ? first->text
              : first->type == WEIR_REPLY_INTEGER ? (first->integer ? "a number" : "0")
                                                  : "nothing");
}

static struct weir_reply *answer(const struct request *request, bool heard) {
    uint32_t die_at = 0;
    if (!sim->calm && sim->faults[SIM_REFUSE] && sim_chance(15))
        return sim_reply_error(refusals[sim_below(sizeof refusals / sizeof refusals[0])]);
    if (!sim->calm && sim->faults[SIM_HALF] && is_script(request) &&
        sim_script_of(request->argv[1]) == SIM_SCRIPT_COMMIT && sim_chance(200))
        die_at = 1 + sim_below(HALF_CALLS_MAX);
    sim->db->now_ms = sim->base_ms + sim->now_us / 1000;
    struct weir_reply *reply =
        sim_lua_call(sim->lua, sim->db, request->argc, request->argv, die_at);
    sim_watch_call(request->argc, request->argv, reply, heard);
    if (is_script(request))
        keep_snapshot();
    return reply;
}

static void serve_one(struct sim_link *link) {
    struct request *request = take(&link->requests);
    struct weir_reply *reply = answer(request, link->proc != NULL);
    if (sim->verbose && (is_script(request) || reply->type == WEIR_REPLY_ERROR))
        say(request, reply);
    if (!sim->calm && sim->faults[SIM_TWICE] && sim_chance(20) && links_len < LINKS_MAX / 2) {
        put(&link_new(NULL)->requests, request);
        request = NULL;
    }
    if (link->proc) {
        put(&link->replies, reply);
        link->proc->woken = true;
    } else {
        weir_reply_free(reply);
    }
    free(request);
}

static void link_cut(struct sim_link *link) {
    link->broken = true;
    if (link->proc)
        link->proc->woken = true;
}

void sim_link_serve(size_t at) {
    size_t i = 0;
    for (;; i++)
        if (links[i]->requests.len > 0 && at-- == 0)
            break;
    struct sim_link *link = links[i];
    size_t count =
        sim_chance(850) ? link->requests.len : 1 + sim_below((uint32_t)link->requests.len);
    while (count-- > 0)
        serve_one(link);
    if (!sim->calm && sim->faults[SIM_RESET] && link->proc && sim_chance(10)) {
        sim_trace("a connection breaks after it was answered");
        link_cut(link);
    }
    sweep();
}

void sim_link_break(void) {
    if (links_len == 0)
        return;
    struct sim_link *link = links[sim_below((uint32_t)links_len)];
    sim_trace("a connection breaks");
    link_cut(link);
}

void sim_redis_restart(void) {
    for (size_t i = links_len; i-- > 0;) {
        free_requests(&links[i]->requests);
        link_cut(links[i]);
    }
    sweep();
    sim_lua_forget(sim->lua);
}

void sim_redis_replace(struct sim_db *db) {
    sim_db_free(sim->db);
    sim->db = db;
    sim_watch_reset();
}

void sim_redis_close(void) {
    while (links_len > 0)
        link_free(links_len - 1);
}

/* ---- weir/redis.h: the client's side ---- */

int weir_redis_new(struct weir_redis **redis, const char *url, int timeout_ms,
                   struct weir_err *err) {
    (void)url, (void)timeout_ms, (void)err;
    *redis = calloc(1, sizeof **redis);
    WEIR_ASSERT(*redis != NULL);
    return 0;
}

void weir_redis_disconnect(struct weir_redis *redis) {
    if (sim_mutated("late-replies"))
        return;
    if (redis->link)
        link_leave(redis->link);
    redis->link = NULL;
    redis->due = 0;
    free_requests(&redis->out);
}

void weir_redis_free(struct weir_redis *redis) {
    if (!redis)
        return;
    if (redis->link)
        link_leave(redis->link);
    free_requests(&redis->out);
    free(redis);
}

static int broken(struct weir_redis *redis, struct weir_err *err, const char *what) {
    weir_redis_disconnect(redis);
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis: %s", what);
}

int weir_redis_connect(struct weir_redis *redis, struct weir_err *err) {
    if (redis->link)
        return 0;
    if (sim->current->dead || (!sim->calm && sim->faults[SIM_RESET] && sim_chance(10)))
        return broken(redis, err, "no connection");
    redis->link = link_new(sim->current);
    redis->generation++;
    return 0;
}

bool weir_redis_connected(const struct weir_redis *redis) {
    return redis->link != NULL;
}

uint64_t weir_redis_generation(const struct weir_redis *redis) {
    return redis->generation;
}

const char *weir_redis_name(const struct weir_redis *redis) {
    (void)redis;
    return "redis";
}

static void append(struct weir_redis *redis, size_t argc, const char *const *argv,
                   const size_t *lens) {
    struct sim_text *texts = malloc(argc * sizeof *texts);
    WEIR_ASSERT(texts != NULL);
    for (size_t i = 0; i < argc; i++)
        texts[i] = (struct sim_text){argv[i], lens ? lens[i] : strlen(argv[i])};
    put(&redis->out, request_new(argc, texts));
    free(texts);
    redis->due++;
}

int weir_redis_append(struct weir_redis *redis, int argc, const char *const *argv,
                      const size_t *lens, struct weir_err *err) {
    int status = weir_redis_connect(redis, err);
    if (status == 0)
        append(redis, (size_t)argc, argv, lens);
    return status;
}

int weir_redis_read(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err) {
    struct sim_proc *proc = sim->current;
    if (redis->due == 0)
        return broken(redis, err, "no reply is due");
    struct sim_link *link = redis->link;
    if (!link->broken)
        while (redis->out.len > 0)
            put(&link->requests, take(&redis->out));
    while (link->replies.len == 0) {
        if (proc->dead)
            return broken(redis, err, "killed");
        if (link->broken)
            return broken(redis, err, "connection reset");
        proc->woken = false;
        int64_t since_us = sim->now_us;
        sim_wait((int64_t)5000000);
        if (link->replies.len == 0 && !link->broken && sim->now_us - since_us >= 5000000)
            return broken(redis, err, "no answer in time, connection closed");
    }
    *reply = take(&link->replies);
    redis->due--;
    return 0;
}

int weir_redis_command(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err,
                       int argc, const char *const *argv, const size_t *lens) {
    WEIR_ASSERT(redis->due == 0 || sim_mutated("late-replies"));
    int status = weir_redis_append(redis, argc, argv, lens, err);
    return status == 0 ? weir_redis_read(redis, reply, err) : status;
}

int weir_redis_do(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err, ...) {
    const char *argv[WORDS_MAX];
    int argc = 0;
    va_list args;
    va_start(args, err);
    for (const char *arg; (arg = va_arg(args, const char *)) != NULL; argc++) {
        WEIR_ASSERT(argc < WORDS_MAX);
        argv[argc] = arg;
    }
    va_end(args);
    return weir_redis_command(redis, reply, err, argc, argv, NULL);
}
