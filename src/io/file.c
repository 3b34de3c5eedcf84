#include "weir/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file_csv.h"
#include "weir/shown.h"

#define BUFFER_FIRST ((size_t)256 * 1024) /* in the second-level cache */
#define BUFFER_MAX ((size_t)WEIR_FILE_RECORD_MAX + BUFFER_FIRST)

struct weir_file {
    int fd;
    bool started, ended; /* ended: nothing more to read */
    bool failed;         /* told once, then the end */
    bool skipping;       /* the rest of a line that was too long */
    char *name;
    char *data;
    size_t cap, start, end; /* unread bytes are data[start, end) */
    int64_t size, fetched;
    uint64_t line; /* where the present record begins, from 1 */
    uint64_t next_line;
    struct weir_csv *csv; /* NULL for JSONL */
    bool header_read;
};

static int open_source(struct weir_file *file, const char *path, struct weir_err *err) {
    struct stat stat;
    bool standard_input = strcmp(path, "-") == 0;
    file->name = strdup(standard_input ? "standard input" : path);
    if (!file->name)
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory to open %s", path);
    file->fd =
        standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0 && errno == ENOENT)
        return weir_err_set(err, WEIR_ERR_INPUT, "%s: no such file; check the path",
                            weir_path_shown(path));
    if (file->fd < 0 || fstat(file->fd, &stat) != 0)
        return weir_err_set(err, WEIR_ERR_INPUT, "%s: cannot be opened: %s",
                            weir_path_shown(file->name), strerror(errno));
    if (S_ISDIR(stat.st_mode))
        return weir_err_set(err, WEIR_ERR_INPUT, "%s: is a directory; name the files in it",
                            file->name);
    file->size = S_ISREG(stat.st_mode) ? stat.st_size : -1;
    posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

int weir_file_open(struct weir_file **out, const char *path, enum weir_file_format format,
                   struct weir_err *err) {
    struct weir_file *file = calloc(1, sizeof *file);
    *out = NULL;
    if (!file)
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory to open %s", path);
    file->fd = -1;
    file->next_line = 1;
    int rc = open_source(file, path, err);
    if (rc != 0)
        goto failed;
    file->cap = BUFFER_FIRST;
    file->data = malloc(file->cap);
    if (format == WEIR_FILE_CSV)
        file->csv = weir_csv_new();
    if (!file->data || (format == WEIR_FILE_CSV && !file->csv)) {
        rc = weir_err_set(err, WEIR_ERR_INPUT, "no memory to read %s", path);
        goto failed;
    }
    *out = file;
    return 0;
failed:
    weir_file_close(file);
    return rc;
}

void weir_file_close(struct weir_file *file) {
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    weir_csv_free(file->csv);
    free(file->data);
    free(file->name);
    free(file);
}

static int make_room(struct weir_file *file, struct weir_err *err) {
    if (file->start > 0) {
        memmove(file->data, file->data + file->start, file->end - file->start);
        file->end -= file->start;
        file->start = 0;
    }
    if (file->end < file->cap)
        return 0;
    size_t cap = file->cap * 2 < BUFFER_MAX ? file->cap * 2 : BUFFER_MAX;
    WEIR_ASSERT(cap > file->cap); /* a longer record has been cut before */
    char *data = realloc(file->data, cap);
    if (!data)
        return weir_err_set(err, WEIR_ERR_INPUT, "%s: no memory for a line of %zu bytes",
                            file->name, file->end);
    file->data = data;
    file->cap = cap;
    return 0;
}

/* More bytes behind those that are there; `ended` at the end of the file. */
static int fill(struct weir_file *file, struct weir_err *err) {
    int rc = make_room(file, err);
    if (rc != 0)
        return rc;
    for (;;) {
        ssize_t got = read(file->fd, file->data + file->end, file->cap - file->end);
        if (got >= 0) {
            file->end += (size_t)got;
            file->fetched += got;
            file->ended = got == 0;
            return 0;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd readable = {.fd = file->fd, .events = POLLIN};
            poll(&readable, 1, -1);
        } else if (errno != EINTR) {
            return weir_err_set(err, WEIR_ERR_INPUT, "%s: cannot be read on at byte %lld: %s",
                                file->name, (long long)file->fetched, strerror(errno));
        }
    }
}

static int begin(struct weir_file *file, struct weir_err *err) {
    while (!file->ended && file->end < 3) {
        int rc = fill(file, err);
        if (rc != 0)
            return rc;
    }
    if (file->end >= 2 && memcmp(file->data, "\x1f\x8b", 2) == 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: is compressed by gzip; give `zcat FILE |` and - instead",
                            file->name);
    if (file->end >= 3 && memcmp(file->data, "\xef\xbb\xbf", 3) == 0)
        file->start = 3;
    file->started = true;
    return 0;
}

static int skip_rest(struct weir_file *file, struct weir_err *err) {
    for (;;) {
        char *at = file->data + file->start;
        char *end = memchr(at, '\n', file->end - file->start);
        if (end || file->ended) {
            file->start = end ? (size_t)(end + 1 - file->data) : file->end;
            file->skipping = false;
            return 0;
        }
        file->start = file->end;
        int rc = fill(file, err);
        if (rc != 0)
            return rc;
    }
}

/* Searches on in the record's unseen bytes: true when `*len`, its length without the LF, is found.
 */
static bool find_end(const struct weir_file *file, struct weir_csv_scan *scan, size_t *seen,
                     size_t *len) {
    const char *at = file->data + file->start + *seen;
    size_t left = file->end - file->start - *seen;
    const char *end = memchr(at, '\n', left);
    size_t plain = end ? (size_t)(end - at) : left;
    if (file->csv && (scan->state != WEIR_CSV_START || memchr(at, '"', plain))) {
        size_t stop = weir_csv_scan(scan, at, left);
        end = stop < left ? at + stop : NULL;
    } else if (file->csv && !end && left > 0) {
        weir_csv_scan(scan, at, left); /* the next piece may begin inside of a field */
    }
    *len = *seen + (end ? (size_t)(end - at) : left);
    *seen += left;
    return end != NULL;
}

static int unclosed(const struct weir_file *file, struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_INPUT,
                        "%s:%llu: a quote that opens in this row never closes; close it, and write "
                        "a quote inside of quotes twice",
                        file->name, (unsigned long long)file->line);
}

/* 1 and the next line or CSV row, as it is in the file but for its line end; 0 at the end. */
static int next_raw(struct weir_file *file, const char **record, size_t *len,
                    struct weir_err *err) {
    struct weir_csv_scan scan = {0};
    size_t seen = 0, found = 0, terminator = 1;
    if (file->skipping) {
        int rc = skip_rest(file, err);
        if (rc != 0)
            return rc;
    }
    file->line = file->next_line;
    while (!find_end(file, &scan, &seen, &found)) {
        if (file->ended || found > WEIR_FILE_RECORD_MAX) {
            if (scan.state == WEIR_CSV_QUOTED)
                return unclosed(file, err);
            terminator = 0;
            break;
        }
        int rc = fill(file, err);
        if (rc != 0)
            return rc;
    }
    *record = file->data + file->start;
    file->next_line += 1 + scan.lines;
    if (found > WEIR_FILE_RECORD_MAX) {
        file->skipping = terminator == 0;
        file->start += found + terminator;
        *len = (size_t)WEIR_FILE_RECORD_MAX + 1;
        return 1;
    }
    file->start += found + terminator;
    if (found == 0 && terminator == 0)
        return 0;
    *len = found > 0 && (*record)[found - 1] == '\r' ? found - 1 : found;
    return 1;
}

static int read_header(struct weir_file *file, struct weir_err *err) {
    const char *row;
    size_t len = 0;
    int rc = next_raw(file, &row, &len, err);
    if (rc < 0)
        return rc;
    if (rc == 0 || len == 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%s: has no CSV header; put the columns' names into the first line",
                            file->name);
    file->header_read = true;
    return weir_csv_header(file->csv, file->name, row, len, err);
}

static int next_record(struct weir_file *file, const char **record, size_t *len,
                       struct weir_err *err) {
    int rc = file->started ? 0 : begin(file, err);
    if (rc == 0 && file->csv && !file->header_read)
        rc = read_header(file, err);
    while (rc == 0) {
        rc = next_raw(file, record, len, err);
        if (rc != 1)
            return rc;
        if (*len == 0) {
            rc = 0; /* an empty line */
            continue;
        }
        if (file->csv && *len <= WEIR_FILE_RECORD_MAX)
            weir_csv_row(file->csv, *record, *len, file->line, record, len);
    }
    return rc;
}

int weir_file_next(struct weir_file *file, const char **record, size_t *len, struct weir_err *err) {
    if (file->failed)
        return 0;
    int rc = next_record(file, record, len, err);
    file->failed = rc < 0;
    return rc;
}

int64_t weir_file_size(const struct weir_file *file) {
    return file->size;
}

int64_t weir_file_read(const struct weir_file *file) {
    return file->fetched - (int64_t)(file->end - file->start);
}
