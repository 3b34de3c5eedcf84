/*
 * log: one line an event of the program's life, as logfmt or JSON, to standard error.
 *
 *     weir_log(WEIR_LOG_INFO, "worker", "claimed a partition",
 *              WEIR_STR("topic", topic), WEIR_INT("partition", 3), WEIR_LOG_END);
 *
 * Thread: callable from any; a line is written by one write(2). Level and format may change at run
 * time (reload). Never called on the hot path. Values are escaped; a secret must never be a value.
 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum weir_log_level { WEIR_LOG_DEBUG, WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR };
enum weir_log_format { WEIR_LOG_LOGFMT, WEIR_LOG_JSON };

struct weir_log_field {
    const char *key; /* NULL ends the list */
    const char *text;
    int64_t number;
};

#define WEIR_STR(key_, text_) ((struct weir_log_field){.key = (key_), .text = (text_)})
#define WEIR_INT(key_, number_) ((struct weir_log_field){.key = (key_), .number = (number_)})
#define WEIR_LOG_END ((struct weir_log_field){.key = 0})

/* Sets both; until then info and logfmt. */
void weir_log_setup(enum weir_log_level level, enum weir_log_format format);
enum weir_log_level weir_log_level(void);

/* True: what a terminal shows last is a line without an end, over which the next one is written. */
void weir_log_unfinished(bool is_unfinished);

/* Variable part: values of struct weir_log_field, the last one WEIR_LOG_END. */
void weir_log(enum weir_log_level level, const char *area, const char *message, ...);

#endif
