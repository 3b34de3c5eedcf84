#include "app/view_table.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/err.h"

#define GAP 2 /* spaces between columns */

void weir_table_init(struct weir_table *table, const char *columns) {
    *table = (struct weir_table){.columns = columns, .columns_len = strlen(columns)};
}

void weir_table_close(struct weir_table *table) {
    for (size_t i = 0; i < table->len; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct weir_table){0};
}

/* Also what a terminal takes for a control character in UTF-8: U+0080 to U+009F. */
static void make_harmless(char *text) {
    for (unsigned char *at = (unsigned char *)text; *at; at++) {
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (*at < 0x20 || *at == 0x7f || c1)
            *at = '?';
        if (c1)
            at[1] = '?';
    }
}

void weir_table_cell(struct weir_table *table, const char *format, ...) {
    char text[WEIR_TABLE_CELL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_harmless(text);
    if (table->len == table->cap) {
        table->cap = table->cap ? table->cap * 2 : 64;
        table->cells = realloc(table->cells, table->cap * sizeof *table->cells);
        WEIR_ASSERT(table->cells != NULL);
    }
    table->cells[table->len] = strdup(text);
    WEIR_ASSERT(table->cells[table->len] != NULL);
    table->len++;
}

static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct weir_table *table, size_t column) {
    size_t widest = 0;
    for (size_t i = column; i < table->len; i += table->columns_len) {
        size_t width = width_of(table->cells[i]);
        widest = width > widest ? width : widest;
    }
    return widest;
}

void weir_table_print(const struct weir_table *table, FILE *out) {
    for (size_t i = 0; i < table->len; i++) {
        size_t column = i % table->columns_len;
        const char *cell = table->cells[i];
        bool last = column + 1 == table->columns_len;
        int pad = (int)(column_width(table, column) - width_of(cell));
        if (table->columns[column] == 'r')
            fprintf(out, "%*s%s", pad, "", cell);
        else
            fprintf(out, "%s%*s", cell, last ? 0 : pad, "");
        fprintf(out, "%*s%s", last ? 0 : GAP, "", last ? "\n" : "");
    }
}

void weir_table_number(char *out, double value, int decimals) {
    char plain[WEIR_TABLE_TEXT_MAX];
    if (!isfinite(value) || fabs(value) >= 1e18) {
        snprintf(out, WEIR_TABLE_TEXT_MAX, "%.3g", value);
        return;
    }
    int len = snprintf(plain, sizeof plain, "%.*f", decimals, value);
    const char *digits = plain + (plain[0] == '-');
    int whole = len - (int)(digits - plain) - (decimals > 0 ? decimals + 1 : 0);
    size_t used = 0;
    if (digits != plain)
        out[used++] = '-';
    for (int i = 0; digits[i] && used + 2 < WEIR_TABLE_TEXT_MAX; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
}

void weir_table_time(char *out, long long time_ms) {
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    if (time_ms == INT64_MIN || !gmtime_r(&seconds, &utc) ||
        strftime(out, WEIR_TABLE_TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
        snprintf(out, WEIR_TABLE_TEXT_MAX, "-");
}

void weir_table_age(char *out, long long time_ms, long long now_ms) {
    static const struct {
        long long seconds;
        char name;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    long long seconds = llabs(now_ms - time_ms) / 1000;
    size_t unit = 0;
    while (unit < 3 && seconds < 2 * units[unit].seconds)
        unit++;
    snprintf(out, WEIR_TABLE_TEXT_MAX, "%s%lld%c%s", time_ms > now_ms ? "in " : "",
             seconds / units[unit].seconds, units[unit].name, time_ms > now_ms ? "" : " ago");
}
