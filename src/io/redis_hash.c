#include "weir/redis_hash.h"

#include <pthread.h>
#include <string.h>

#include "weir/err.h"
#include "weir/number.h"

#define BYTES_MAX ((size_t)64 << 20)
#define TYPE_HASH_LISTPACK 16
#define VERSION 10
#define HEAD 6 /* room before the listpack: its type and length */
#define LISTPACK_HEAD 6
#define LISTPACK_END 0xff
#define ENTRIES_UNKNOWN 0xffff
#define FOOT 10 /* version and checksum */

/* ---- the checksum: CRC-64 of Jones, eight bytes at a time ---- */

static uint64_t crc_tables[8][256];

static void make_crc_tables(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ 0x95ac9329ac4bc9b5U : crc >> 1;
        crc_tables[0][i] = crc;
    }
    for (int t = 1; t < 8; t++)
        for (int i = 0; i < 256; i++) {
            uint64_t crc = crc_tables[t - 1][i];
            crc_tables[t][i] = crc_tables[0][crc & 0xff] ^ (crc >> 8);
        }
}

static uint64_t get_little(const uint8_t *at, int bytes) {
    uint64_t number = 0;
    for (int i = bytes; i-- > 0;)
        number = number << 8 | at[i];
    return number;
}

static uint64_t crc_of(const uint8_t *at, size_t len) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_crc_tables);
    uint64_t crc = 0;
    for (; len >= 8; len -= 8, at += 8) {
        crc ^= get_little(at, 8);
        crc = crc_tables[7][crc & 0xff] ^ crc_tables[6][crc >> 8 & 0xff] ^
              crc_tables[5][crc >> 16 & 0xff] ^ crc_tables[4][crc >> 24 & 0xff] ^
              crc_tables[3][crc >> 32 & 0xff] ^ crc_tables[2][crc >> 40 & 0xff] ^
              crc_tables[1][crc >> 48 & 0xff] ^ crc_tables[0][crc >> 56];
    }
    for (; len > 0; len--, at++)
        crc = crc_tables[0][(crc ^ *at) & 0xff] ^ (crc >> 8);
    return crc;
}

/* ---- writing ---- */

static void put_little(uint8_t *at, uint64_t number, int bytes) {
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> 8 * i);
}

void weir_redis_hash_init(struct weir_redis_hash *hash) {
    *hash = (struct weir_redis_hash){0};
    weir_buf_init(&hash->buf, BYTES_MAX);
}

void weir_redis_hash_close(struct weir_redis_hash *hash) {
    weir_buf_close(&hash->buf);
}

void weir_redis_hash_begin(struct weir_redis_hash *hash) {
    static const char room[HEAD + LISTPACK_HEAD];
    weir_buf_clear(&hash->buf);
    weir_buf_append(&hash->buf, room, sizeof room);
    hash->entries = 0;
}

/* Behind an entry stands its length, to be read from the end. */
static int put_length_behind(uint8_t *at, size_t len) {
    int bytes = len <= 127 ? 1 : len < 16383 ? 2 : len < 2097151 ? 3 : 4;
    for (int i = 0; i < bytes; i++) {
        unsigned shift = 7 * (unsigned)(bytes - 1 - i);
        at[i] = (uint8_t)((len >> shift & 127) | (i > 0 ? 128 : 0));
    }
    return bytes;
}

static void put_entry(struct weir_redis_hash *hash, const uint8_t *head, size_t head_len,
                      const char *text, size_t len) {
    uint8_t behind[8];
    size_t behind_len = (size_t)put_length_behind(behind, head_len + len);
    weir_buf_reserve(&hash->buf, head_len + len + behind_len);
    weir_buf_append(&hash->buf, head, head_len);
    weir_buf_append(&hash->buf, text, len);
    weir_buf_append(&hash->buf, behind, behind_len);
    hash->entries++;
}

void weir_redis_hash_whole(struct weir_redis_hash *hash, int64_t number) {
    uint8_t head[9];
    int len = 2;
    if (number >= 0 && number <= 127) {
        head[0] = (uint8_t)number;
        len = 1;
    } else if (number >= -4096 && number <= 4095) {
        head[0] = (uint8_t)(0xc0 | ((uint64_t)number >> 8 & 0x1f));
        head[1] = (uint8_t)number;
    } else {
        int bytes = number == (int16_t)number                         ? 2
                    : number >= -(1 << 23) && number <= (1 << 23) - 1 ? 3
                    : number == (int32_t)number                       ? 4
                                                                      : 8;
        head[0] = (uint8_t)(bytes == 8 ? 0xf4 : 0xf1 + bytes - 2);
        put_little(head + 1, (uint64_t)number, bytes);
        len = 1 + bytes;
    }
    put_entry(hash, head, (size_t)len, "", 0);
}

/* The number that a text is, when that gives the text again. */
static bool is_whole(const char *text, size_t len, int64_t *number) {
    size_t at = len > 0 && text[0] == '-';
    uint64_t magnitude = 0, most = (uint64_t)INT64_MAX + at;
    if (len == at || len - at > 19 || (text[at] == '0' && len > 1))
        return false;
    for (; at < len; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        magnitude = 10 * magnitude + (uint64_t)(text[at] - '0');
    }
    if (magnitude > most)
        return false;
    *number = (int64_t)(text[0] == '-' ? 0 - magnitude : magnitude);
    return true;
}

void weir_redis_hash_text(struct weir_redis_hash *hash, const char *text, size_t len) {
    int64_t number;
    uint8_t head[5];
    size_t head_len = len < 64 ? 1 : len < 4096 ? 2 : 5;
    if (is_whole(text, len, &number)) {
        weir_redis_hash_whole(hash, number);
        return;
    }
    if (head_len == 1) {
        head[0] = (uint8_t)(0x80 | len);
    } else if (head_len == 2) {
        head[0] = (uint8_t)(0xe0 | len >> 8);
        head[1] = (uint8_t)len;
    } else {
        head[0] = 0xf0;
        put_little(head + 1, len, 4);
    }
    put_entry(hash, head, head_len, text, len);
}

/* Type and length go right before the listpack. */
static size_t put_head(uint8_t *bytes, size_t len) {
    size_t from = len < 64 ? HEAD - 2 : len < 16384 ? HEAD - 3 : 0;
    bytes[from] = TYPE_HASH_LISTPACK;
    if (from == HEAD - 2) {
        bytes[from + 1] = (uint8_t)len;
    } else if (from == HEAD - 3) {
        bytes[from + 1] = (uint8_t)(0x40 | len >> 8);
        bytes[from + 2] = (uint8_t)len;
    } else {
        bytes[1] = 0x80;
        for (int i = 0; i < 4; i++)
            bytes[2 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
    return from;
}

void weir_redis_hash_end(struct weir_redis_hash *hash) {
    static const char foot[FOOT] = {VERSION};
    struct weir_buf *buf = &hash->buf;
    weir_buf_byte(buf, LISTPACK_END);
    size_t len = buf->len - HEAD;
    weir_buf_append(buf, foot, sizeof foot);
    WEIR_ASSERT(!buf->failed);
    uint8_t *bytes = (uint8_t *)buf->data;
    uint32_t entries = hash->entries < ENTRIES_UNKNOWN ? hash->entries : ENTRIES_UNKNOWN;
    put_little(bytes + HEAD, len, 4);
    put_little(bytes + HEAD + 4, entries, 2);
    size_t from = put_head(bytes, len);
    hash->bytes = buf->data + from;
    hash->len = buf->len - from;
    put_little(bytes + buf->len - 8, crc_of(bytes + from, hash->len - 8), 8);
}

/* ---- reading ---- */

static size_t read_length(struct weir_reader *in) {
    uint8_t first = weir_reader_byte(in);
    if (first < 0x40)
        return first;
    if (first < 0x80)
        return (size_t)(first & 0x3f) << 8 | weir_reader_byte(in);
    size_t len = 0;
    for (int i = 0; i < 4; i++)
        len = len << 8 | weir_reader_byte(in);
    in->failed |= first != 0x80;
    return len;
}

int weir_redis_hash_read(struct weir_redis_hash_reader *reader, const void *bytes, size_t len) {
    struct weir_reader *in = &reader->in;
    if (len < FOOT)
        return -1;
    const uint8_t *foot = (const uint8_t *)bytes + len - FOOT;
    if (get_little(foot, 2) > VERSION || get_little(foot + 2, 8) != crc_of(bytes, len - 8))
        return -1;
    weir_reader_init(in, bytes, len - FOOT);
    if (weir_reader_byte(in) != TYPE_HASH_LISTPACK)
        return -1;
    size_t listpack_len = read_length(in);
    const uint8_t *head = weir_reader_bytes(in, LISTPACK_HEAD);
    if (!head || head + listpack_len != in->end || get_little(head, 4) != listpack_len)
        return -1;
    return 0;
}

static int64_t read_signed(struct weir_reader *in, int bytes) {
    const uint8_t *at = weir_reader_bytes(in, (size_t)bytes);
    uint64_t number = at ? get_little(at, bytes) : 0;
    unsigned unused = 64 - 8 * (unsigned)bytes;
    return (int64_t)(number << unused) >> unused;
}

/* A whole number behind its first byte. */
static int64_t read_whole(struct weir_reader *in, uint8_t first) {
    static const uint8_t bytes[] = {2, 3, 4, 8};
    if (first < 0x80)
        return first;
    if (first >= 0xf1 && first <= 0xf4)
        return read_signed(in, bytes[first - 0xf1]);
    in->failed |= first >= 0xe0;
    int64_t number = (first & 0x1f) << 8 | weir_reader_byte(in);
    return number < 4096 ? number : number - 8192;
}

int weir_redis_hash_next(struct weir_redis_hash_reader *reader, struct weir_str *text) {
    struct weir_reader *in = &reader->in;
    uint8_t behind[8], first = weir_reader_byte(in);
    const uint8_t *start = in->at - 1;
    if (first == LISTPACK_END && in->at == in->end)
        return 0;
    bool is_text = (first & 0xc0) == 0x80 || (first & 0xf0) == 0xe0 || first == 0xf0;
    if (is_text) {
        size_t len = first & 0x3f;
        if (first == 0xf0)
            len = (size_t)(read_signed(in, 4) & 0xffffffff);
        else if (first >= 0xe0)
            len = (size_t)(first & 0x0f) << 8 | weir_reader_byte(in);
        const char *bytes = weir_reader_bytes(in, len);
        *text = (struct weir_str){bytes, (uint32_t)len};
    } else {
        int len = weir_number_put(reader->number, read_whole(in, first));
        *text = (struct weir_str){reader->number, (uint32_t)len};
    }
    if (!in->failed)
        weir_reader_bytes(in, (size_t)put_length_behind(behind, (size_t)(in->at - start)));
    return in->failed ? -1 : 1;
}
