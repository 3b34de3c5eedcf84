#include "weir/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "weir/buf.h"
#include "weir/clock.h"

#define LINE_MAX_BYTES 8192

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

static void quoted(struct weir_buf *line, const char *text) {
    weir_buf_byte(line, '"');
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            weir_buf_byte(line, '\\');
            weir_buf_byte(line, c);
        } else if (c < 0x20) {
            weir_buf_printf(line, "\\u%04x", c);
        } else {
            weir_buf_byte(line, c);
        }
    }
    weir_buf_byte(line, '"');
}

static bool is_plain(const char *text) {
    if (!*text)
        return false;
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == '"' || *at == '=' || *at == '\\')
            return false;
    return true;
}

static void put_text(struct weir_buf *line, bool json, const char *key, const char *text) {
    weir_buf_printf(line, json ? ",\"%s\":" : " %s=", key);
    if (!json && is_plain(text))
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
        else
            weir_buf_printf(&line, json ? ",\"%s\":%lld" : " %s=%lld", field.key,
                            (long long)field.number);
    }
    va_end(fields);

    if (line.failed && line.len > 1) /* the ceiling: the line ends early but stays a line */
        line.len = line.len < line.max - 2 ? line.len : line.max - 2;
    line.failed = false;
    weir_buf_text(&line, json ? "}\n" : "\n");
    ssize_t written = write(STDERR_FILENO, line.data, line.len);
    (void)written; /* nobody is left to tell */
    weir_buf_close(&line);
}
