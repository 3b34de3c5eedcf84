#include "weir/overlap.h"

#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

#define HOUR_LAST (INT64_MAX / WEIR_OVERLAP_SPAN_MS)

static void hour_init(struct weir_overlap_hour *hour) {
    hour->len = 0;
    memset(hour->hashes, 0xff, sizeof hour->hashes);
}

void weir_overlap_init(struct weir_overlap *sample) {
    sample->hour = INT64_MIN;
    sample->changed = false;
    hour_init(&sample->now);
    hour_init(&sample->before);
}

/* True when it was put in. */
static bool hour_put(struct weir_overlap_hour *hour, uint64_t hash) {
    if (hash >= hour->hashes[WEIR_OVERLAP_MAX - 1])
        return false;
    uint32_t at = hour->len < WEIR_OVERLAP_MAX ? hour->len : WEIR_OVERLAP_MAX - 1;
    while (at > 0 && hour->hashes[at - 1] > hash)
        at--;
    if (at > 0 && hour->hashes[at - 1] == hash)
        return false;
    memmove(&hour->hashes[at + 1], &hour->hashes[at],
            (WEIR_OVERLAP_MAX - 1 - at) * sizeof hour->hashes[0]);
    hour->hashes[at] = hash;
    hour->len += hour->len < WEIR_OVERLAP_MAX;
    return true;
}

void weir_overlap_take(struct weir_overlap *sample, uint64_t hash, int64_t hour) {
    if (hour > sample->hour) {
        if (hour == sample->hour + 1)
            sample->before = sample->now;
        else
            hour_init(&sample->before);
        hour_init(&sample->now);
        sample->hour = hour;
        sample->changed = true;
    }
    if (hour == sample->hour)
        sample->changed |= hour_put(&sample->now, hash);
    else if (hour == sample->hour - 1)
        sample->changed |= hour_put(&sample->before, hash);
}

/* ---- stored ---- */

static void hour_write(const struct weir_overlap_hour *hour, struct weir_buf *out) {
    uint64_t last = 0;
    weir_buf_varint(out, hour->len);
    for (uint32_t i = 0; i < hour->len; i++) {
        weir_buf_varint(out, hour->hashes[i] - last);
        last = hour->hashes[i];
    }
}

static int hour_read(struct weir_overlap_hour *hour, struct weir_reader *in) {
    uint64_t len = weir_reader_varint(in), last = 0;
    hour_init(hour);
    if (in->failed || len > WEIR_OVERLAP_MAX)
        return -1;
    for (uint64_t i = 0; i < len; i++) {
        uint64_t more = weir_reader_varint(in);
        if (in->failed || (i > 0 && more == 0) || more >= UINT64_MAX - last)
            return -1;
        hour->hashes[i] = last += more;
    }
    hour->len = (uint32_t)len;
    return 0;
}

void weir_overlap_write(const struct weir_overlap *sample, struct weir_buf *out) {
    weir_buf_zigzag(out, sample->hour);
    hour_write(&sample->now, out);
    hour_write(&sample->before, out);
}

int weir_overlap_read(struct weir_overlap *sample, const void *bytes, size_t len) {
    struct weir_reader in;
    weir_reader_init(&in, bytes, len);
    weir_overlap_init(sample);
    sample->hour = weir_reader_zigzag(&in);
    int failed = in.failed || hour_read(&sample->now, &in) || hour_read(&sample->before, &in);
    bool known = sample->hour >= -HOUR_LAST && sample->hour <= HOUR_LAST;
    bool fresh = sample->hour == INT64_MIN && sample->now.len == 0 && sample->before.len == 0;
    if (!failed && in.at == in.end && (known || fresh))
        return 0;
    weir_overlap_init(sample);
    return -1;
}

/* ---- compared ---- */

struct seen {
    int64_t hour;
    uint64_t hash;
    size_t where;
};

static int by_hour_and_hash(const void *left, const void *right) {
    const struct seen *a = left, *b = right;
    if (a->hour != b->hour)
        return a->hour < b->hour ? -1 : 1;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

static size_t list_hour(struct seen *list, size_t len, const struct weir_overlap_hour *hour,
                        int64_t number, size_t where) {
    for (uint32_t i = 0; i < hour->len; i++)
        list[len++] = (struct seen){number, hour->hashes[i], where};
    return len;
}

/* How many partitions have sessions of this hour, and up to which hash all of them tell all. */
static size_t reached(const struct weir_overlap *samples, size_t len, int64_t number,
                      uint64_t *ceiling) {
    size_t partitions = 0;
    *ceiling = UINT64_MAX;
    for (size_t i = 0; i < len; i++) {
        const struct weir_overlap_hour *hour = NULL;
        if (samples[i].hour == number)
            hour = &samples[i].now;
        else if (samples[i].before.len > 0 && samples[i].hour - 1 == number)
            hour = &samples[i].before;
        if (!hour || hour->len == 0)
            continue;
        partitions++;
        uint64_t last = hour->hashes[WEIR_OVERLAP_MAX - 1]; /* UINT64_MAX while there is room */
        *ceiling = last < *ceiling ? last : *ceiling;
    }
    return partitions;
}

/* One session: `list` up to `len` is where it was seen. */
static void count(struct weir_split *all, struct weir_split *each, const struct seen *list,
                  size_t len) {
    all->sampled++;
    all->split += len > 1;
    for (size_t i = 0; each && i < len; i++) {
        each[list[i].where].sampled++;
        each[list[i].where].split += len > 1;
    }
}

static void count_hour(struct weir_split *all, struct weir_split *each, const struct seen *list,
                       size_t len, uint64_t ceiling) {
    for (size_t at = 0, next; at < len && list[at].hash <= ceiling; at = next) {
        for (next = at + 1; next < len && list[next].hash == list[at].hash; next++)
            ;
        count(all, each, &list[at], next - at);
    }
}

struct weir_split weir_overlap_compare(const struct weir_overlap *samples, size_t len,
                                       struct weir_split *each) {
    struct weir_split all = {0};
    struct seen *list = malloc((len + 1) * 2 * WEIR_OVERLAP_MAX * sizeof *list);
    size_t listed = 0;
    WEIR_ASSERT(list != NULL);
    if (each)
        memset(each, 0, len * sizeof *each);
    for (size_t i = 0; i < len; i++) {
        if (samples[i].hour == INT64_MIN)
            continue;
        listed = list_hour(list, listed, &samples[i].now, samples[i].hour, i);
        listed = list_hour(list, listed, &samples[i].before, samples[i].hour - 1, i);
    }
    qsort(list, listed, sizeof *list, by_hour_and_hash);
    for (size_t at = 0, next; at < listed; at = next) {
        uint64_t ceiling;
        for (next = at + 1; next < listed && list[next].hour == list[at].hour; next++)
            ;
        if (reached(samples, len, list[at].hour, &ceiling) > 1)
            count_hour(&all, each, &list[at], next - at, ceiling);
    }
    free(list);
    return all;
}
