#include "config_memory.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
/* An open session and all that may hang on it: 64 bytes and as much as 51 of index and wheel, two
 * orders (48), two abandoned carts (128), and its share of a commit that ends all of them (84). */
#define SESSION_BYTES 384
/* A value of a dimension: its counters in the packed buckets that events may still fall in. */
#define SEGMENT_BYTES (3 * KIB)
#define PARTITION_BYTES (2 * MIB) /* an empty one */
/* A segment in a publication: its fields and keys as commands, as one script call, and as what is
 * still to be sent. */
#define PUBLISHED_BYTES (6 * KIB)
#define SESSIONS_MIN 1000
#define WORKER_BYTES (64 * MIB) /* the least of the limit, a worker */
#define PRODUCER_MAX (256 * MIB)

/* All but what grows with the open sessions. */
static size_t without_sessions(const struct weir_plan *plan) {
    return PARTITION_BYTES + plan->dimensions_len * (plan->values_max + (size_t)2) * SEGMENT_BYTES;
}

static size_t with_sessions(const struct weir_plan *plan) {
    return without_sessions(plan) + (size_t)plan->sessions_max * SESSION_BYTES;
}

static bool is_default(const struct weir_loader *loader, const char *path) {
    const struct weir_yaml *node = weir_load_node(loader, path);
    return !node || node->line == 0;
}

/* As many as a partition's share has room for, at most the default without a limit. False: none. */
static bool choose_sessions(struct weir_loader *loader, const struct weir_yaml *node,
                            struct weir_config *config, size_t share) {
    size_t fixed = without_sessions(&config->plan), least = fixed + SESSIONS_MIN * SESSION_BYTES;
    if (share < least) {
        WEIR_MISTAKE(loader->mistakes, node,
                     "%zu MiB are too few for %u dimensions of up to %u values; write at least "
                     "%zuMiB, or a lower events.max_values",
                     config->memory.limit / MIB, config->plan.dimensions_len,
                     config->plan.values_max, least * WEIR_MEMORY_PARTITIONS * 2 / MIB + 1);
        return false;
    }
    size_t sessions = (share - fixed) / SESSION_BYTES;
    if (sessions < config->plan.sessions_max)
        config->plan.sessions_max = (uint32_t)sessions;
    return true;
}

/* sessions.max_open was written: is there room for one partition? */
static bool check_sessions(struct weir_loader *loader, const struct weir_config *config,
                           size_t half) {
    size_t fixed = without_sessions(&config->plan);
    if (with_sessions(&config->plan) <= half)
        return true;
    WEIR_MISTAKE(loader->mistakes, weir_load_node(loader, "sessions.max_open"),
                 "a partition may take up to %zu MiB with this, and half of `memory` is for "
                 "partitions; write at most %zu, or leave it out",
                 with_sessions(&config->plan) / MIB,
                 half > fixed ? (half - fixed) / SESSION_BYTES : 0);
    return false;
}

/* All windows may move in one step: is there room for what is sent of them? */
static bool check_published(struct weir_loader *loader, const struct weir_yaml *node,
                            const struct weir_config *config) {
    size_t lists = (size_t)config->plan.windows_len * config->plan.dimensions_len;
    size_t share = config->memory.limit / 16,
           needed = lists * config->publish_top * PUBLISHED_BYTES;
    if (needed <= share)
        return true;
    if (!is_default(loader, "publish.top"))
        node = weir_load_node(loader, "publish.top");
    WEIR_MISTAKE(loader->mistakes, node,
                 "%u segments of %u dimensions in %u windows take up to %zu MiB while they are "
                 "published, and a sixteenth of `memory` is for it; write `publish.top` of at most "
                 "%zu, or at least %zuMiB of memory",
                 config->publish_top, config->plan.dimensions_len, config->plan.windows_len,
                 needed / MIB + 1, share / PUBLISHED_BYTES / lists, needed * 16 / MIB + 1);
    return false;
}

void weir_load_memory(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *node = weir_load_node(loader, "memory");
    struct weir_memory_shares *memory = &config->memory;
    size_t workers = (size_t)config->workers, half = memory->limit / 2;
    if (!node || memory->limit == 0)
        return;
    if (memory->limit < (workers + 1) * WORKER_BYTES) {
        WEIR_MISTAKE(loader->mistakes, node,
                     "%zu MiB are too few for %zu workers; write at least %zuMiB, or fewer workers",
                     memory->limit / MIB, workers, (workers + 1) * WORKER_BYTES / MIB);
        return;
    }
    bool fits = is_default(loader, "sessions.max_open")
                    ? choose_sessions(loader, node, config, half / WEIR_MEMORY_PARTITIONS)
                    : check_sessions(loader, config, half);
    if (!fits || !check_published(loader, node, config))
        return;
    if (config->prefetch_bytes == 0)
        config->prefetch_bytes = config->kafka.prefetch_bytes = memory->limit / 4;
    memory->producer = memory->limit / 32 / workers + 2 * config->mapping.record_max;
    if (memory->producer > PRODUCER_MAX)
        memory->producer = PRODUCER_MAX;
    config->kafka.queue_bytes = memory->producer;
    memory->commit = memory->limit / 64 / workers;
    memory->windows = memory->limit / 8;
    memory->partition = with_sessions(&config->plan);
    memory->partitions = (uint32_t)(half / memory->partition);
}
