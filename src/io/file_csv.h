/*
 * file_csv: RFC 4180 rows to JSON objects. Feed it whole rows; it does no I/O.
 *
 * Ownership: weir_csv_row's bytes are the csv's, valid until its next call. Thread: one at a time.
 */
#ifndef WEIR_IO_FILE_CSV_H
#define WEIR_IO_FILE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"

struct weir_csv;
struct weir_csv *weir_csv_new(void); /* NULL when memory is out */
void weir_csv_free(struct weir_csv *csv);

/* The header's names become the shape of every object. `name` is the file's, for the sentence. */
int weir_csv_header(struct weir_csv *csv, const char *name, const char *row, size_t len,
                    struct weir_err *err);

/* One row, without its line end, to JSON, or to a text that is not JSON and says why. `line` is
 * the row's place in the file. */
void weir_csv_row(struct weir_csv *csv, const char *row, size_t len, uint64_t line,
                  const char **record, size_t *record_len);

/* Finds a row's end in bytes that come piece by piece. Zero it at the start of a row. */
struct weir_csv_scan {
    enum { WEIR_CSV_START, WEIR_CSV_PLAIN, WEIR_CSV_QUOTED, WEIR_CSV_CLOSED } state;
    uint64_t lines; /* line ends inside of quotes */
};
/* The offset of the LF that ends the row, or `len`. */
size_t weir_csv_scan(struct weir_csv_scan *scan, const char *bytes, size_t len);

#endif
