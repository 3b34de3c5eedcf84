#include "io/file_csv.h"

#include <stdlib.h>
#include <string.h>

#include "weir/buf.h"
#include "weir/event.h"
#include "weir/file.h"

#define NAMES_BYTES_MAX ((size_t)1 << 20)
#define ROW_SHOWN_MAX 200 /* bytes of a bad row that go into its record */

struct field {
    const char *at;
    size_t len;
    bool escaped; /* quotes come doubled */
};

/* What an object has before a column's value: braces, names and commas, all known beforehand. */
struct slot {
    size_t text, text_len; /* in `texts` */
    size_t column;
};

struct weir_csv {
    struct field *fields; /* of the present row */
    size_t fields_len;
    char **names;
    bool *placed;
    struct slot *slots;
    size_t columns, slots_len;
    size_t tail, tail_len; /* in `texts`: what closes the object */
    struct weir_buf texts, json;
};

struct weir_csv *weir_csv_new(void) {
    struct weir_csv *csv = calloc(1, sizeof *csv);
    if (!csv)
        return NULL;
    weir_buf_init(&csv->texts, NAMES_BYTES_MAX);
    weir_buf_init(&csv->json, (size_t)2 * WEIR_FILE_RECORD_MAX);
    csv->fields = calloc(WEIR_FILE_COLUMNS_MAX, sizeof *csv->fields);
    csv->names = calloc(WEIR_FILE_COLUMNS_MAX, sizeof *csv->names);
    csv->slots = calloc(WEIR_FILE_COLUMNS_MAX, sizeof *csv->slots);
    csv->placed = calloc(WEIR_FILE_COLUMNS_MAX, sizeof *csv->placed);
    if (csv->fields && csv->names && csv->slots && csv->placed)
        return csv;
    weir_csv_free(csv);
    return NULL;
}

void weir_csv_free(struct weir_csv *csv) {
    if (!csv)
        return;
    for (size_t i = 0; csv->names && i < csv->columns; i++)
        free(csv->names[i]);
    free(csv->fields);
    free(csv->names);
    free(csv->slots);
    free(csv->placed);
    weir_buf_close(&csv->texts);
    weir_buf_close(&csv->json);
    free(csv);
}

size_t weir_csv_scan(struct weir_csv_scan *scan, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        if (scan->state == WEIR_CSV_QUOTED) {
            if (c == '"')
                scan->state = WEIR_CSV_CLOSED;
            else if (c == '\n')
                scan->lines++;
        } else if (c == '\n') {
            return i;
        } else if (c == ',') {
            scan->state = WEIR_CSV_START;
        } else if (c == '"' && scan->state != WEIR_CSV_PLAIN) {
            scan->state = WEIR_CSV_QUOTED; /* a field opens, or a doubled quote goes on */
        } else {
            scan->state = WEIR_CSV_PLAIN;
        }
    }
    return len;
}

static const char *quoted_field(const char *at, const char *end, struct field *field) {
    at++;
    *field = (struct field){.at = at};
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (!quote)
            break;
        at = quote + 1;
        if (at < end && *at == '"') {
            field->escaped = true;
            at++;
            continue;
        }
        field->len = (size_t)(quote - field->at);
        return at;
    }
    return NULL;
}

/* The fields of a row, also those beyond the ceiling counted; false where a quote is misplaced. */
static bool split(struct weir_csv *csv, const char *row, size_t len) {
    const char *at = row, *end = row + len;
    csv->fields_len = 0;
    for (;;) {
        struct field field;
        if (at < end && *at == '"') {
            at = quoted_field(at, end, &field);
            if (!at || (at < end && *at != ','))
                return false;
        } else {
            const char *comma = memchr(at, ',', (size_t)(end - at));
            const char *stop = comma ? comma : end;
            field = (struct field){.at = at, .len = (size_t)(stop - at)};
            at = stop;
        }
        if (csv->fields_len < WEIR_FILE_COLUMNS_MAX)
            csv->fields[csv->fields_len] = field;
        csv->fields_len++;
        if (at >= end)
            return true;
        at++;
    }
}

static void put_escape(struct weir_buf *out, unsigned char c) {
    switch (c) {
    case '"':
        weir_buf_append(out, "\\\"", 2);
        break;
    case '\\':
        weir_buf_append(out, "\\\\", 2);
        break;
    case '\n':
        weir_buf_append(out, "\\n", 2);
        break;
    case '\r':
        weir_buf_append(out, "\\r", 2);
        break;
    case '\t':
        weir_buf_append(out, "\\t", 2);
        break;
    default:
        weir_buf_printf(out, "\\u%04x", c);
    }
}

static void put_string(struct weir_buf *out, const char *at, size_t len, bool escaped) {
    const char *end = at + len, *from = at;
    weir_buf_append(out, "\"", 1);
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        weir_buf_append(out, from, (size_t)(at - from));
        put_escape(out, c);
        if (c == '"' && escaped)
            at++; /* the second of a doubled quote */
        from = at + 1;
    }
    if (from < end)
        weir_buf_append(out, from, (size_t)(end - from));
    weir_buf_append(out, "\"", 1);
}

static char *field_text(const struct field *field) {
    char *text = calloc(field->len + 1, 1);
    size_t len = 0;
    if (!text)
        return NULL;
    for (size_t i = 0; i < field->len; i++) {
        text[len++] = field->at[i];
        if (field->escaped && field->at[i] == '"')
            i++;
    }
    return text;
}

static int check_name(const struct weir_csv *csv, size_t column, const char *file,
                      struct weir_err *err) {
    const char *name = csv->names[column];
    size_t len = strlen(name), dots = 0;
    if (len == 0 || memchr(csv->fields[column].at, '\0', csv->fields[column].len))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: column %zu of the header has no name; name every column", file,
                            column + 1);
    for (size_t i = 0; i < len; i++)
        dots += name[i] == '.';
    if (name[0] == '.' || name[len - 1] == '.' || strstr(name, "..") || dots >= WEIR_DEPTH_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: the header's \"%.100s\" is not a path; write names joined by "
                            "single dots, at most %d deep",
                            file, name, WEIR_DEPTH_MAX);
    for (size_t i = 0; i < column; i++) {
        const char *a = csv->names[i], *b = name;
        if (strcmp(a, b) == 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "%s: the header has \"%.100s\" twice, in columns %zu and %zu; "
                                "rename one",
                                file, name, i + 1, column + 1);
        if (strlen(a) > strlen(b)) {
            a = name;
            b = csv->names[i];
        }
        if (strncmp(a, b, strlen(a)) == 0 && b[strlen(a)] == '.')
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "%s: the header has both \"%.100s\" and \"%.100s\", a value and an "
                                "object of one name; rename one",
                                file, a, b);
    }
    return 0;
}

/* Lays out the object of all columns whose names begin with `prefix`, in the header's order. */
static void lay_out(struct weir_csv *csv, const char *prefix, size_t prefix_len, size_t *from) {
    bool first = true;
    weir_buf_append(&csv->texts, "{", 1);
    for (size_t i = 0; i < csv->columns; i++) {
        const char *name = csv->names[i];
        if (csv->placed[i] || strncmp(name, prefix, prefix_len) != 0)
            continue;
        const char *key = name + prefix_len;
        size_t key_len = strcspn(key, ".");
        if (!first)
            weir_buf_append(&csv->texts, ",", 1);
        first = false;
        put_string(&csv->texts, key, key_len, false);
        weir_buf_append(&csv->texts, ":", 1);
        if (key[key_len] == '.') {
            lay_out(csv, name, prefix_len + key_len + 1, from);
            continue;
        }
        csv->placed[i] = true;
        csv->slots[csv->slots_len++] =
            (struct slot){.text = *from, .text_len = csv->texts.len - *from, .column = i};
        *from = csv->texts.len;
    }
    weir_buf_append(&csv->texts, "}", 1);
}

int weir_csv_header(struct weir_csv *csv, const char *name, const char *row, size_t len,
                    struct weir_err *err) {
    if (row[0] == '{')
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: the first line is JSON, not a CSV header; use --format jsonl",
                            name);
    if (memchr(row, '\r', len))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: a CR inside of the header; end the lines with LF or CRLF", name);
    if (!split(csv, row, len))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: the header has text behind a closing quote; quote whole names",
                            name);
    if (csv->fields_len > WEIR_FILE_COLUMNS_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: the header has %zu columns; keep the mapped ones, at most %d",
                            name, csv->fields_len, WEIR_FILE_COLUMNS_MAX);
    for (size_t i = 0; i < csv->fields_len; i++) {
        csv->names[i] = field_text(&csv->fields[i]);
        if (!csv->names[i])
            return weir_err_set(err, WEIR_ERR_INPUT, "%s: no memory for the header", name);
        csv->columns = i + 1;
        int rc = check_name(csv, i, name, err);
        if (rc != 0)
            return rc;
    }
    size_t from = 0;
    lay_out(csv, "", 0, &from);
    csv->tail = from;
    csv->tail_len = csv->texts.len - from;
    if (csv->texts.failed)
        return weir_err_set(err, WEIR_ERR_INPUT, "%s: the header is longer than %zu bytes", name,
                            NAMES_BYTES_MAX);
    return 0;
}

void weir_csv_row(struct weir_csv *csv, const char *row, size_t len, uint64_t line,
                  const char **record, size_t *record_len) {
    struct weir_buf *out = &csv->json;
    const char *trouble = NULL;
    weir_buf_clear(out);
    if (!split(csv, row, len)) {
        trouble = "text behind a closing quote";
    } else if (csv->fields_len != csv->columns) {
        trouble = "another number of fields than the header";
    } else {
        for (size_t i = 0; i < csv->slots_len; i++) {
            const struct slot *slot = &csv->slots[i];
            const struct field *field = &csv->fields[slot->column];
            weir_buf_append(out, csv->texts.data + slot->text, slot->text_len);
            if (field->len == 0)
                weir_buf_append(out, "null", 4);
            else
                put_string(out, field->at, field->len, field->escaped);
        }
        weir_buf_append(out, csv->texts.data + csv->tail, csv->tail_len);
        if (out->failed)
            trouble = "more bytes as JSON than are taken";
    }
    if (trouble) {
        weir_buf_clear(out);
        weir_buf_printf(out, "CSV line %llu has %s: ", (unsigned long long)line, trouble);
        weir_buf_append(out, row, len < ROW_SHOWN_MAX ? len : ROW_SHOWN_MAX);
    }
    *record = out->data;
    *record_len = out->len;
}
