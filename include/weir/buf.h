/*
 * buf: bytes that grow up to a ceiling.
 *
 * init/close for the caller's storage. After a failed append `failed` stays set and every later
 * append does nothing, so a writer may check once at its end. The bytes are owned by the buffer.
 * Thread: one at a time.
 */
#ifndef WEIR_BUF_H
#define WEIR_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_buf {
    char *data; /* NULL until the first append */
    size_t len, cap, max;
    bool failed; /* the ceiling was reached or memory ran out */
};

void weir_buf_init(struct weir_buf *buf, size_t max);
void weir_buf_close(struct weir_buf *buf);
void weir_buf_clear(struct weir_buf *buf); /* keeps the memory, clears `failed` */

/* 0, or -1 with `failed` set. */
int weir_buf_reserve(struct weir_buf *buf, size_t extra);
int weir_buf_append(struct weir_buf *buf, const void *bytes, size_t len);
int weir_buf_text(struct weir_buf *buf, const char *text);
int weir_buf_printf(struct weir_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int weir_buf_byte(struct weir_buf *buf, uint8_t byte);
int weir_buf_varint(struct weir_buf *buf, uint64_t value); /* LEB128, 1 to 10 bytes */
int weir_buf_zigzag(struct weir_buf *buf, int64_t value);  /* signed, small magnitudes short */

/* The same into memory that has room for 10 bytes; one past the last byte written. */
static inline uint8_t *weir_put_varint(uint8_t *at, uint64_t value) {
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}
static inline uint8_t *weir_put_zigzag(uint8_t *at, int64_t value) {
    return weir_put_varint(at, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* A reader over bytes that it does not own. A read past the end or a malformed varint sets
 * `failed` and gives 0; the caller checks once at its end. */
struct weir_reader {
    const uint8_t *at, *end;
    bool failed;
};

void weir_reader_init(struct weir_reader *reader, const void *bytes, size_t len);
uint8_t weir_reader_byte(struct weir_reader *reader);
uint64_t weir_reader_varint(struct weir_reader *reader);
int64_t weir_reader_zigzag(struct weir_reader *reader);
/* `len` bytes in place, or NULL with `failed` set. */
const void *weir_reader_bytes(struct weir_reader *reader, size_t len);

#endif
