#include "weir/bucket.h"

#include <math.h>
#include <string.h>

#define VERSION 1
#define HLL_NONE 0
#define HLL_SPARSE 1
#define HLL_DENSE 2
#define HLL_SPARSE_MAX 1500 /* two bytes an entry, then dense is shorter in the end */
#define GAMMA (1.01 / 0.99)

static int read_hll(struct weir_reader *in, uint8_t *hll) {
    uint8_t kind = weir_reader_byte(in);
    if (kind == HLL_DENSE) {
        const uint8_t *ranks = weir_reader_bytes(in, WEIR_HLL_REGISTERS);
        for (int i = 0; ranks && hll && i < WEIR_HLL_REGISTERS; i++)
            hll[i] = ranks[i] > hll[i] ? ranks[i] : hll[i];
    } else if (kind == HLL_SPARSE) {
        uint64_t at = 0;
        for (uint64_t left = weir_reader_varint(in); left > 0 && !in->failed; left--) {
            at += weir_reader_varint(in);
            uint8_t rank = weir_reader_byte(in);
            if (at >= WEIR_HLL_REGISTERS)
                return -1;
            if (hll && rank > hll[at])
                hll[at] = rank;
        }
    } else if (kind != HLL_NONE) {
        return -1;
    }
    return in->failed ? -1 : 0;
}

int weir_bucket_read(struct weir_bucket_reader *reader, const void *bytes, size_t len,
                     uint8_t *hll) {
    *reader = (struct weir_bucket_reader){0};
    weir_reader_init(&reader->in, bytes, len);
    if (weir_reader_byte(&reader->in) != VERSION)
        return -1;
    return read_hll(&reader->in, hll);
}

/* Nearly every number is below 128: one byte. */
static inline uint64_t read_varint(struct weir_reader *in) {
    if (in->at < in->end && *in->at < 0x80)
        return *in->at++;
    return weir_reader_varint(in);
}

int weir_bucket_entry(struct weir_bucket_reader *reader, struct weir_entry *entry) {
    if (reader->entries_left == 0)
        return 0;
    reader->entries_left--;
    uint64_t id = reader->id + read_varint(&reader->in), value = read_varint(&reader->in);
    entry->value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    if (reader->in.failed || id >= WEIR_ENTRIES_MAX)
        return -1;
    entry->id = reader->id = (uint32_t)id;
    return 1;
}

int weir_bucket_segment(struct weir_bucket_reader *reader, uint32_t *segment) {
    struct weir_entry skipped;
    while (reader->entries_left > 0)
        if (weir_bucket_entry(reader, &skipped) < 0)
            return -1;
    if (reader->in.at == reader->in.end)
        return 0;
    uint64_t next = reader->segment + read_varint(&reader->in);
    uint64_t entries = read_varint(&reader->in);
    if (reader->in.failed || next > UINT32_MAX || entries > WEIR_ENTRIES_MAX)
        return -1;
    *segment = reader->segment = (uint32_t)next;
    reader->entries_left = (uint32_t)entries;
    reader->id = 0;
    return 1;
}

int weir_bucket_entries(struct weir_bucket_reader *reader, struct weir_entry *entries) {
    struct weir_reader in = reader->in; /* in registers */
    uint32_t len = reader->entries_left;
    uint64_t id = 0;
    for (uint32_t i = 0; i < len; i++) {
        id += read_varint(&in);
        uint64_t value = read_varint(&in);
        if (in.failed || id >= WEIR_ENTRIES_MAX)
            return -1;
        entries[i].id = (uint32_t)id;
        entries[i].value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    reader->in = in;
    reader->entries_left = 0;
    return (int)len;
}

int weir_bucket_check(const void *bytes, size_t len) {
    struct weir_bucket_reader reader;
    struct weir_entry entry;
    uint32_t segment;
    int more;
    if (weir_bucket_read(&reader, bytes, len, NULL) != 0)
        return -1;
    while ((more = weir_bucket_segment(&reader, &segment)) > 0)
        while ((more = weir_bucket_entry(&reader, &entry)) != 0)
            if (more < 0 || (entry.id >= WEIR_COUNTERS && entry.id < WEIR_BIN_FIRST))
                return -1;
    return more;
}

static void write_hll(struct weir_buf *out, const uint8_t *hll) {
    uint32_t used = 0;
    for (int i = 0; hll && i < WEIR_HLL_REGISTERS; i++)
        used += hll[i] != 0;
    if (used == 0) {
        weir_buf_byte(out, HLL_NONE);
    } else if (used > HLL_SPARSE_MAX) {
        weir_buf_byte(out, HLL_DENSE);
        weir_buf_append(out, hll, WEIR_HLL_REGISTERS);
    } else {
        weir_buf_byte(out, HLL_SPARSE);
        weir_buf_varint(out, used);
        uint32_t last = 0;
        for (uint32_t i = 0; i < WEIR_HLL_REGISTERS; i++) {
            if (hll[i] == 0)
                continue;
            weir_buf_varint(out, i - last);
            weir_buf_byte(out, hll[i]);
            last = i;
        }
    }
}

void weir_bucket_write(struct weir_bucket_writer *writer, struct weir_buf *out,
                       const uint8_t *hll) {
    writer->out = out;
    writer->segment = 0;
    weir_buf_byte(out, VERSION);
    write_hll(out, hll);
}

void weir_bucket_write_segment(struct weir_bucket_writer *writer, uint32_t segment,
                               const struct weir_entry *entries, uint32_t len) {
    if (len == 0)
        return;
    weir_buf_varint(writer->out, segment - writer->segment);
    weir_buf_varint(writer->out, len);
    writer->segment = segment;
    uint32_t id = 0;
    for (uint32_t i = 0; i < len; i++) {
        weir_buf_varint(writer->out, entries[i].id - id);
        weir_buf_zigzag(writer->out, entries[i].value);
        id = entries[i].id;
    }
}

uint32_t weir_sketch_bin(int64_t ms) {
    if (ms <= 0)
        return 0;
    double bin = ceil(log((double)ms) / log(GAMMA)) + 1; /* 1 ms is in bin 1 */
    return bin >= WEIR_BINS ? WEIR_BINS - 1 : (uint32_t)bin;
}

double weir_sketch_quantile(const int64_t *bins, double q) {
    int64_t total = 0;
    for (int i = 0; i < WEIR_BINS; i++)
        total += bins[i];
    if (total <= 0)
        return NAN;
    double rank = q * (double)(total - 1);
    int64_t below = 0;
    int bin = 0;
    while (bin < WEIR_BINS - 1 && (double)(below += bins[bin]) <= rank)
        bin++;
    if (bin == 0)
        return 0;
    return 2 * pow(GAMMA, bin - 1) / (GAMMA + 1); /* the value within 1 % of all in the bin */
}

void weir_hll_add(uint8_t *hll, uint64_t hash) {
    uint32_t at = (uint32_t)(hash >> (64 - WEIR_HLL_BITS));
    uint64_t rest = hash << WEIR_HLL_BITS;
    uint8_t rank = rest ? (uint8_t)(__builtin_clzll(rest) + 1) : 64 - WEIR_HLL_BITS + 1;
    if (rank > hll[at])
        hll[at] = rank;
}

double weir_hll_estimate(const uint8_t *hll) {
    const double m = WEIR_HLL_REGISTERS;
    int of_rank[256] = {0};
    for (int i = 0; i < WEIR_HLL_REGISTERS; i++)
        of_rank[hll[i]]++;
    double sum = 0;
    for (int rank = 0; rank < 256; rank++)
        sum += ldexp(of_rank[rank], -rank);
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && of_rank[0] > 0)
        return m * log(m / of_rank[0]);
    return estimate;
}
