#include "config_memory.h"

#include "weir/footprint.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
/* A segment in a publication: its fields and keys as commands, as one script call, and as what is
 * still to be sent. */
#define PUBLISHED_BYTES (6 * KIB)
#define SESSIONS_MIN 1000
#define BUFFERS_MIN (256 * KIB)
#define WORKER_BYTES (64 * MIB) /* the least of the limit, a worker */
#define PRODUCER_MAX (256 * MIB)

/* What a partition's counters may take before they are folded or committed: a 32nd of the share
 * where as many as are reckoned with have one. */
static size_t buffers_of(size_t limit) {
    size_t bytes = limit / 2 / WEIR_MEMORY_PARTITIONS / 32;
    if (bytes < BUFFERS_MIN)
        return BUFFERS_MIN;
    return bytes > WEIR_BUFFERS_MAX ? WEIR_BUFFERS_MAX : bytes;
}

/* The least limit with room for so many partitions of few sessions; what their buffers take grows
 * with it, but by less than it does. */
static size_t least_limit(const struct weir_config *config, size_t partitions) {
    struct weir_plan plan = config->plan;
    size_t limit = 0, needed = 0;
    do {
        limit = needed;
        plan.buffers_bytes = buffers_of(limit);
        plan.sessions_max = SESSIONS_MIN;
        needed = 2 * partitions * weir_footprint(&plan);
    } while (needed > limit);
    return limit;
}

static bool refuse_counters(struct weir_loader *loader, const struct weir_yaml *node,
                            const struct weir_config *config, size_t partitions) {
    WEIR_MISTAKE(loader->mistakes, node,
                 "%zu MiB are too few for the counters of %u dimensions of up to %u values, kept "
                 "while events may be %s late; write at least %zuMiB, or a lower "
                 "events.max_values or time.allowed_lateness",
                 config->memory.limit / MIB, config->plan.dimensions_len, config->plan.values_max,
                 weir_load_node(loader, "time.allowed_lateness")->written,
                 least_limit(config, partitions) / MIB + 1);
    return false;
}

static bool is_default(const struct weir_loader *loader, const char *path) {
    const struct weir_yaml *node = weir_load_node(loader, path);
    return !node || node->line == 0;
}

/* As many as a partition's share has room for, at most the default without a limit. False: none. */
static bool choose_sessions(struct weir_loader *loader, const struct weir_yaml *node,
                            struct weir_config *config, size_t share) {
    size_t fixed = weir_footprint_fixed(&config->plan);
    if (share < fixed + SESSIONS_MIN * (size_t)WEIR_SESSION_BYTES)
        return refuse_counters(loader, node, config, WEIR_MEMORY_PARTITIONS);
    size_t sessions = (share - fixed) / WEIR_SESSION_BYTES;
    if (sessions < config->plan.sessions_max)
        config->plan.sessions_max = (uint32_t)sessions;
    return true;
}

/* sessions.max_open was written: is there room for one partition? */
static bool check_sessions(struct weir_loader *loader, const struct weir_yaml *node,
                           const struct weir_config *config, size_t half) {
    size_t fixed = weir_footprint_fixed(&config->plan);
    if (half < fixed + SESSIONS_MIN * (size_t)WEIR_SESSION_BYTES)
        return refuse_counters(loader, node, config, 1);
    if (weir_footprint(&config->plan) <= half)
        return true;
    WEIR_MISTAKE(loader->mistakes, weir_load_node(loader, "sessions.max_open"),
                 "a partition may take up to %zu MiB with this, and half of `memory` is for "
                 "partitions; write at most %zu, or leave it out",
                 weir_footprint(&config->plan) / MIB, (half - fixed) / WEIR_SESSION_BYTES);
    return false;
}

static bool choose_prefetch(struct weir_loader *loader, struct weir_config *config) {
    size_t share = config->memory.limit / 4;
    if (config->prefetch_bytes == 0)
        config->prefetch_bytes = config->kafka.prefetch_bytes = share;
    if (config->prefetch_bytes <= share)
        return true;
    WEIR_MISTAKE(loader->mistakes, weir_load_node(loader, "kafka.prefetch"),
                 "a quarter of `memory` is for records fetched ahead; write at most %zuMiB, or "
                 "leave it out",
                 share / MIB);
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
    config->plan.buffers_bytes = buffers_of(memory->limit);
    bool fits = is_default(loader, "sessions.max_open")
                    ? choose_sessions(loader, node, config, half / WEIR_MEMORY_PARTITIONS)
                    : check_sessions(loader, node, config, half);
    fits = choose_prefetch(loader, config) && fits;
    if (!fits || !check_published(loader, node, config))
        return;
    memory->producer = memory->limit / 32 / workers + 2 * config->mapping.record_max;
    if (memory->producer > PRODUCER_MAX)
        memory->producer = PRODUCER_MAX;
    config->kafka.queue_bytes = memory->producer;
    memory->commit = memory->limit / 64 / workers;
    memory->windows = memory->limit / 8;
    memory->partition = weir_footprint(&config->plan);
    memory->partitions = (uint32_t)(half / memory->partition);
}
