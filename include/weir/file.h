/*
 * file: lines and CSV rows from files or standard input, with progress.
 *
 * A line's bytes are valid until the next call. CSV (RFC 4180, header line) rows are turned into
 * one JSON object each, so that they pass through the same mapping: a header `geo.country` makes
 * {"geo":{"country":...}}; an empty field is null; every other value is a JSON string.
 */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include <stdint.h>
#include <stddef.h>

#include "weir/err.h"

enum weir_file_format { WEIR_FILE_JSONL, WEIR_FILE_CSV };

struct weir_file;
/* `path` "-" is standard input. A regular file is read by mmap where it can be. */
int weir_file_open(struct weir_file **file, const char *path, enum weir_file_format format,
                   struct weir_err *err);
void weir_file_close(struct weir_file *file);

/* 1 and the next record, 0 at the end, or a negative code (a read error; a CSV file without a
 * header; a quote that never closes). Empty lines are skipped, a final line without \n counts, a
 * CR before the LF is dropped. A CSV row with another number of fields than the header comes as a
 * record that is not JSON, so that it is counted. */
int weir_file_next(struct weir_file *file, const char **record, size_t *len, struct weir_err *err);

int64_t weir_file_size(const struct weir_file *file); /* bytes, -1 when not known */
int64_t weir_file_read(const struct weir_file *file); /* bytes taken so far */

/* Progress of whatever takes over a second, to a terminal's standard error; silent when piped.
 * Call it as often as liked: it draws at most 5 times a second. total 0: not known. */
struct weir_progress {
    const char *what; /* "replay" */
    int64_t started_us, drawn_us;
    int terminal; /* -1 until asked */
};
void weir_progress_start(struct weir_progress *progress, const char *what);
void weir_progress_update(struct weir_progress *progress, uint64_t events, int64_t done,
                          int64_t total);
void weir_progress_end(struct weir_progress *progress, uint64_t events);

#endif
