/*
 * file: lines and CSV rows from files or standard input, with progress.
 *
 * Ownership: a record's bytes are the file's, valid until the next call. Thread: one at a time.
 * CSV (RFC 4180, comma, header line) rows are turned into one JSON object each, so that they pass
 * through the same mapping: a header `geo.country` makes {"geo":{"country":...}}; an empty field is
 * null; every other value is a JSON string. Bytes that are not UTF-8 pass through: decode counts
 * them.
 *
 * A regular file is read, not mapped: as fast here (the buffer stays in the cache), and a file that
 * is cut while it is read ends early instead of killing the program with SIGBUS.
 */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"

/* A longer line comes as its first WEIR_FILE_RECORD_MAX + 1 bytes, which no decoder takes (it
 * counts too_large), and the rest of it is skipped. */
#define WEIR_FILE_RECORD_MAX (16 * 1024 * 1024)
#define WEIR_FILE_COLUMNS_MAX 1000 /* of a CSV header */

enum weir_file_format { WEIR_FILE_JSONL, WEIR_FILE_CSV };

struct weir_file;
/* `path` "-" is standard input. A byte order mark is skipped. Fails with WEIR_ERR_INPUT and a
 * sentence for a missing or unreadable file and for a directory. */
int weir_file_open(struct weir_file **file, const char *path, enum weir_file_format format,
                   struct weir_err *err);
void weir_file_close(struct weir_file *file); /* NULL is fine */

/* 1 and the next record, 0 at the end, or -WEIR_ERR_INPUT (a read error; a compressed file; a CSV
 * file without a header, with a name twice, or with both `a` and `a.b`; a quote that never closes).
 * Empty lines are skipped, a final line without \n counts, a CR before the LF is dropped. A CSV row
 * with another number of fields than the header, or with text behind a closing quote, comes as a
 * record that is not JSON but says so, so that it is counted. */
int weir_file_next(struct weir_file *file, const char **record, size_t *len, struct weir_err *err);

int64_t weir_file_size(const struct weir_file *file); /* bytes, -1 when not known */
int64_t weir_file_read(const struct weir_file *file); /* bytes taken so far */

/* Progress of whatever takes over a second, to a terminal's standard error; silent when piped.
 * Call it as often as liked: it draws at most 5 times a second. total 0: not known. `done` and
 * `total` are of one unit, bytes or events. */
struct weir_progress {
    const char *what; /* "replay"; borrowed */
    int64_t started_us, drawn_us;
    int terminal; /* -1 until asked */
};
void weir_progress_start(struct weir_progress *progress, const char *what);
void weir_progress_update(struct weir_progress *progress, uint64_t events, int64_t done,
                          int64_t total);
/* Leaves the last line on the terminal where one was drawn. */
void weir_progress_end(struct weir_progress *progress, uint64_t events);

#endif
