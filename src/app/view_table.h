/*
 * view_table: columns of text, aligned for people.
 *
 * init/close for the caller's storage, which owns a copy of every cell. Cells fill the rows from
 * left to right; the first row is the header. Control characters become `?`, as values come from
 * events and must not reach a terminal. A width is counted in code points. Thread: one at a time.
 * Limits: a cell is cut at WEIR_TABLE_CELL_MAX bytes.
 */
#ifndef WEIR_APP_VIEW_TABLE_H
#define WEIR_APP_VIEW_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define WEIR_TABLE_CELL_MAX 512

struct weir_table {
    const char *columns; /* a letter each: l or r, where the text stands */
    size_t columns_len;
    char **cells;
    size_t len, cap;
};

/* `columns` is borrowed. */
void weir_table_init(struct weir_table *table, const char *columns);
void weir_table_close(struct weir_table *table);
void weir_table_cell(struct weir_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void weir_table_print(const struct weir_table *table, FILE *out);

/* The texts of numbers and times in a table; `out` holds WEIR_TABLE_TEXT_MAX bytes. */
#define WEIR_TABLE_TEXT_MAX 64
/* 1234567.5 with two decimals: 1,234,567.50 */
void weir_table_number(char *out, double value, int decimals);
/* 2026-01-31 12:00:05 UTC; - for INT64_MIN */
void weir_table_time(char *out, long long time_ms);
/* "14s ago", "90m ago", "in 3h" */
void weir_table_age(char *out, long long time_ms, long long now_ms);

#endif
