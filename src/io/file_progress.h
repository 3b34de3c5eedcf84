/*
 * file_progress: the text of a progress line, apart from the terminal that it is drawn on.
 * Pure; thread: any. Used by progress.c and its test.
 */
#ifndef WEIR_IO_FILE_PROGRESS_H
#define WEIR_IO_FILE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_PROGRESS_TEXT_MAX 160

/* "replay  1,200,000 events  1.23 M/s  45 %  3 s left"; no share where total is 0. Returns the
 * length; `out` holds WEIR_PROGRESS_TEXT_MAX bytes. */
size_t weir_progress_text(char *out, const char *what, uint64_t events, int64_t done, int64_t total,
                          int64_t elapsed_us);

#endif
