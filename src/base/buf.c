#include "weir/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_buf_init(struct weir_buf *buf, size_t max) {
    *buf = (struct weir_buf){.max = max};
}

void weir_buf_close(struct weir_buf *buf) {
    free(buf->data);
    *buf = (struct weir_buf){.max = buf->max};
}

void weir_buf_clear(struct weir_buf *buf) {
    buf->len = 0;
    buf->failed = false;
}

/* Asked for each byte of a commit, and nearly always so. */
static bool has_room(const struct weir_buf *buf, size_t extra) {
    return extra <= buf->cap - buf->len && !buf->failed;
}

int weir_buf_reserve(struct weir_buf *buf, size_t extra) {
    if (buf->failed)
        return -1;
    if (extra <= buf->cap - buf->len)
        return 0;
    if (extra > buf->max - buf->len) {
        buf->failed = true;
        return -1;
    }
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < buf->len + extra)
        cap *= 2;
    if (cap > buf->max)
        cap = buf->max;
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return -1;
    }
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int weir_buf_append(struct weir_buf *buf, const void *bytes, size_t len) {
    if (!has_room(buf, len) && weir_buf_reserve(buf, len) != 0)
        return -1;
    if (len > 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    return 0;
}

int weir_buf_text(struct weir_buf *buf, const char *text) {
    return weir_buf_append(buf, text, strlen(text));
}

int weir_buf_printf(struct weir_buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0 || weir_buf_reserve(buf, (size_t)need + 1) != 0) {
        buf->failed = true;
        return -1;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)need + 1, format, args);
    va_end(args);
    buf->len += (size_t)need;
    return 0;
}

int weir_buf_byte(struct weir_buf *buf, uint8_t byte) {
    if (!has_room(buf, 1) && weir_buf_reserve(buf, 1) != 0)
        return -1;
    buf->data[buf->len++] = (char)byte;
    return 0;
}

int weir_buf_varint(struct weir_buf *buf, uint64_t value) {
    if (!has_room(buf, 10) && weir_buf_reserve(buf, 10) != 0)
        return -1;
    uint8_t *start = (uint8_t *)buf->data + buf->len;
    buf->len += (size_t)(weir_put_varint(start, value) - start);
    return 0;
}

int weir_buf_zigzag(struct weir_buf *buf, int64_t value) {
    if (!has_room(buf, 10) && weir_buf_reserve(buf, 10) != 0)
        return -1;
    uint8_t *start = (uint8_t *)buf->data + buf->len;
    buf->len += (size_t)(weir_put_zigzag(start, value) - start);
    return 0;
}

void weir_reader_init(struct weir_reader *reader, const void *bytes, size_t len) {
    reader->at = bytes;
    reader->end = reader->at + len;
    reader->failed = false;
}

uint8_t weir_reader_byte(struct weir_reader *reader) {
    if (reader->at >= reader->end) {
        reader->failed = true;
        return 0;
    }
    return *reader->at++;
}

uint64_t weir_reader_varint(struct weir_reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = weir_reader_byte(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return reader->failed ? 0 : value;
    }
    reader->failed = true;
    return 0;
}

int64_t weir_reader_zigzag(struct weir_reader *reader) {
    uint64_t value = weir_reader_varint(reader);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

const void *weir_reader_bytes(struct weir_reader *reader, size_t len) {
    if (reader->failed || len > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return NULL;
    }
    const void *bytes = reader->at;
    reader->at += len;
    return bytes;
}
