#include "weir/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weir/buf.h"
#include "weir/clock.h"

#define LINE_MAX_BYTES 8192
#define LINE_END_BYTES 4 /* what closes a text, the object and the line */
#define NUMBER_BYTES 21
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for a byte that is not UTF-8 */

static const char *const level_names[] = {"debug", "info", "warn", "error"};
/* The only state of the process outside its objects: what to write, and how. */
static _Atomic int current_level = WEIR_LOG_INFO;
static _Atomic int current_format = WEIR_LOG_LOGFMT;
static _Atomic bool unfinished;

void weir_log_setup(enum weir_log_level level, enum weir_log_format format) {
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}

enum weir_log_level weir_log_level(void) {
    return (enum weir_log_level)atomic_load(&current_level);
}

void weir_log_unfinished(bool is_unfinished) {
    atomic_store(&unfinished, is_unfinished);
}

/* Beyond the ceiling a line ends early, but stays a line and an object. */
static bool has_room(const struct weir_buf *line, size_t extra) {
    return line->len + extra + LINE_END_BYTES <= line->max;
}

/* Of the character at `at`, its bytes in UTF-8; 0 when it is none. */
static size_t character_bytes(const char *at) {
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)*at;
    if (first < 0x80)
        return 1;
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc0 || first > 0xf4)
        return 0;
    unsigned code = first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)at[i] & 0xc0) != 0x80) /* also the text's end */
            return 0;
        code = code << 6 | ((unsigned char)at[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[len] || surrogate || code > 0x10ffff ? 0 : len;
}

static void put_character(struct weir_buf *line, const char *at, size_t len) {
    unsigned char c = (unsigned char)*at;
    if (len == 0)
        weir_buf_text(line, REPLACEMENT);
    else if (c < 0x20)
        weir_buf_printf(line, "\\u%04x", c);
    else if (c == '"' || c == '\\')
        weir_buf_printf(line, "\\%c", c);
    else
        weir_buf_append(line, at, len);
}

static void quoted(struct weir_buf *line, const char *text) {
    weir_buf_byte(line, '"');
    for (const char *at = text; *at && has_room(line, sizeof "\\u0000");) {
        size_t len = character_bytes(at);
        put_character(line, at, len);
        at += len ? len : 1;
    }
    weir_buf_byte(line, '"');
}

static bool is_plain(const char *text) {
    if (!*text)
        return false;
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || *at == '"' || *at == '=' ||
            *at == '\\')
            return false;
    return true;
}

static void put_text(struct weir_buf *line, bool json, const char *key, const char *text) {
    if (!has_room(line, strlen(key) + sizeof ",\"\":\"\""))
        return;
    weir_buf_printf(line, json ? ",\"%s\":" : " %s=", key);
    if (!json && is_plain(text) && has_room(line, strlen(text)))
        weir_buf_text(line, text);
    else
        quoted(line, text);
}

static void put_time(struct weir_buf *line, bool json) {
    int64_t now_ms = weir_clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    weir_buf_printf(line, json ? "{\"ts\":\"%s.%03dZ\"" : "ts=%s.%03dZ", text,
                    (int)(now_ms % 1000));
}

void weir_log(enum weir_log_level level, const char *area, const char *message, ...) {
    if ((int)level < atomic_load(&current_level))
        return;
    bool json = atomic_load(&current_format) == WEIR_LOG_JSON;
    struct weir_buf line;
    weir_buf_init(&line, LINE_MAX_BYTES);
    if (atomic_exchange(&unfinished, false))
        weir_buf_text(&line, "\r\033[K");
    put_time(&line, json);
    put_text(&line, json, "level", level_names[level]);
    put_text(&line, json, "area", area);
    put_text(&line, json, "msg", message);

    va_list fields;
    va_start(fields, message);
    for (;;) {
        struct weir_log_field field = va_arg(fields, struct weir_log_field);
        if (!field.key)
            break;
        if (field.text)
            put_text(&line, json, field.key, field.text);
        else if (has_room(&line, strlen(field.key) + sizeof ",\"\":" + NUMBER_BYTES))
            weir_buf_printf(&line, json ? ",\"%s\":%lld" : " %s=%lld", field.key,
                            (long long)field.number);
    }
    va_end(fields);

    weir_buf_text(&line, json ? "}\n" : "\n");
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written; /* nobody is left to tell */
    weir_buf_close(&line);
}
