/* Files: what comes out of given bytes, as tables; long lines; pipes in small pieces; random rows
 * there and back; a directory, a missing file; the words of a progress line. */
#include "weir/file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"
#include "io/file_progress.h"
#include "weir/clock.h"

/* A case's bytes, and its records joined by '|'; an error ends it as "!" and a part of its text. */
struct file_case {
    const char *name, *bytes, *want;
};

static const struct file_case lines[] = {
    {"nothing", "", ""},
    {"one line", "{\"a\":1}\n", "{\"a\":1}"},
    {"a final line without an end", "a\nb", "a|b"},
    {"CRLF, and a final CR", "a\r\nb\r\n\r\nc\r", "a|b|c"},
    {"a CR inside stays", "a\rb\n", "a\rb"},
    {"empty lines", "\n\n\na\n\n\nb\n\n", "a|b"},
    {"a byte order mark", "\xef\xbb\xbf{}\n", "{}"},
    {"only a byte order mark", "\xef\xbb\xbf", ""},
    {"half of one", "\xef\xbb", "\xef\xbb"},
    {"not UTF-8 passes", "\xff\xfe\n", "\xff\xfe"},
    {"spaces are a record", "  \n", "  "},
    {"gzip", "\x1f\x8b\x08 ...", "!compressed by gzip"},
};

static const struct file_case rows[] = {
    {"a plain table", "a,b\n1,2\n3,4\n", "{\"a\":\"1\",\"b\":\"2\"}|{\"a\":\"3\",\"b\":\"4\"}"},
    {"no final end, CRLF", "a,b\r\n1,2\r\n3,4",
     "{\"a\":\"1\",\"b\":\"2\"}|{\"a\":\"3\",\"b\":\"4\"}"},
    {"empty is null", "a,b,c\n,,\n\"\",x,\n",
     "{\"a\":null,\"b\":null,\"c\":null}|{\"a\":null,\"b\":\"x\",\"c\":null}"},
    {"quotes", "a,b\n\"x,y\",\"he said \"\"no\"\"\"\n",
     "{\"a\":\"x,y\",\"b\":\"he said \\\"no\\\"\"}"},
    {"only a quote", "a\n\"\"\"\"\n", "{\"a\":\"\\\"\"}"},
    {"a line end inside", "a,b\n\"x\r\ny\nz\",1\n2,3\n",
     "{\"a\":\"x\\r\\ny\\nz\",\"b\":\"1\"}|{\"a\":\"2\",\"b\":\"3\"}"},
    {"a quote inside of a plain field", "a,b\n5\" disk,1\nx\"\",\"y\"\n",
     "{\"a\":\"5\\\" disk\",\"b\":\"1\"}|{\"a\":\"x\\\"\\\"\",\"b\":\"y\"}"},
    {"escapes", "a\nback\\slash\ttab\x01\n", "{\"a\":\"back\\\\slash\\ttab\\u0001\"}"},
    {"spaces stay", "a,b\n 1 , 2\n", "{\"a\":\" 1 \",\"b\":\" 2\"}"},
    {"a byte order mark before a quote", "\xef\xbb\xbf\"a\",b\n1,2\n", "{\"a\":\"1\",\"b\":\"2\"}"},
    {"nested names", "geo.country,type,geo.city,geo.at.lat\nDE,buy,Bonn,50\n",
     "{\"geo\":{\"country\":\"DE\",\"city\":\"Bonn\",\"at\":{\"lat\":\"50\"}},\"type\":\"buy\"}"},
    {"alike, but not nested", "ab.c,a.b,ab_c\n1,2,3\n",
     "{\"ab\":{\"c\":\"1\"},\"a\":{\"b\":\"2\"},\"ab_c\":\"3\"}"},
    {"a quoted name", "\"a \"\"x\"\"\",\"b,c\"\n1,2\n", "{\"a \\\"x\\\"\":\"1\",\"b,c\":\"2\"}"},
    {"empty lines", "a\n\n1\n\r\n2\n", "{\"a\":\"1\"}|{\"a\":\"2\"}"},
    {"not UTF-8 passes", "a\n\xff\n", "{\"a\":\"\xff\"}"},
    {"too few and too many", "a,b\n1\n1,2,3\n4,5\n",
     "CSV line 2 has another number of fields than the header: 1|"
     "CSV line 3 has another number of fields than the header: 1,2,3|"
     "{\"a\":\"4\",\"b\":\"5\"}"},
    {"a JSON line among rows is no JSON", "a,b\n{\"type\":1}\n",
     "CSV line 2 has another number of fields than the header: {\"type\":1}"},
    {"text behind a quote", "a,b\n\"1\"x,2\n3,4\n",
     "CSV line 2 has text behind a closing quote: \"1\"x,2|{\"a\":\"3\",\"b\":\"4\"}"},
    {"lines are counted in quotes too", "a,b\n\"\n\n\",2\n3\n",
     "{\"a\":\"\\n\\n\",\"b\":\"2\"}|CSV line 5 has another number of fields than the header: 3"},
    {"a quote that never closes", "a,b\n1,2\n\"3,4\n5,6\n",
     "{\"a\":\"1\",\"b\":\"2\"}|!:3: a quote that opens in this row never closes"},
    {"no header", "", "!has no CSV header"},
    {"an empty first line", "\na,b\n", "!has no CSV header"},
    {"only a header", "a,b\n", ""},
    {"a name twice", "a,b,a\n1,2,3\n", "!\"a\" twice, in columns 1 and 3"},
    {"value and object", "a,b,a.b\n1,2,3\n", "!both \"a\" and \"a.b\""},
    {"object and value", "a.b.c,a.b\n1,2\n", "!both \"a.b\" and \"a.b.c\""},
    {"no name", "a,,b\n1,2,3\n", "!column 2 of the header has no name"},
    {"no path", "a,b..c\n1,2\n", "!\"b..c\" is not a path"},
    {"a dot at the end", "a,b.\n1,2\n", "!\"b.\" is not a path"},
    {"too deep", "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a\n1\n", "!is not a path"},
    {"a header in JSON", "{\"a\":1,\"b\":2}\n", "!use --format jsonl"},
    {"a header behind its quote", "\"a\"b,c\n", "!behind a closing quote"},
    {"ends by CR alone", "a,b\r1,2\r", "!end the lines with LF"},
    {"a quote open in the header", "a,\"b\n1,2\n", "!:1: a quote that opens"},
};

static char path[] = "/tmp/weir-test-file-XXXXXX";

static void write_file(const char *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, len, file) == len);
    if (file)
        fclose(file);
}

/* All records of the source joined by '|', as a case wants them. */
static void read_all(const char *source, enum weir_file_format format, char *out, size_t room) {
    struct weir_err err;
    struct weir_file *file;
    const char *record;
    size_t len = 0, used = 0;
    int rc = weir_file_open(&file, source, format, &err);
    out[0] = '\0';
    while (rc == 0 && (rc = weir_file_next(file, &record, &len, &err)) == 1) {
        used +=
            (size_t)snprintf(out + used, room - used, "%s%.*s", used ? "|" : "", (int)len, record);
        rc = 0;
        if (used >= room)
            break;
    }
    if (rc < 0) {
        CHECK_INT(err.code, WEIR_ERR_INPUT);
        snprintf(out + used, room - used, "%s!%s", used ? "|" : "", err.text);
        CHECK_INT(weir_file_next(file, &record, &len, &err), 0); /* told once */
    }
    weir_file_close(file);
}

static void check_case(const struct file_case *want, const char *got) {
    const char *told = strchr(want->want, '!');
    bool right = strcmp(got, want->want) == 0;
    if (told) {
        size_t before = (size_t)(told - want->want) + 1;
        right = strncmp(got, want->want, before) == 0 && strstr(got + before, told + 1);
    }
    CHECK(right);
    if (!right)
        printf("  \"%s\" gives\n  %s not\n  %s\n", want->name, got, want->want);
}

/* Standard input becomes a pipe whose writer gives `step` bytes at a time. */
static pid_t pipe_in(const char *bytes, size_t len, size_t step) {
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        for (size_t at = 0; at < len;) {
            ssize_t sent = write(ends[1], bytes + at, len - at < step ? len - at : step);
            if (sent < 0)
                _exit(1);
            at += (size_t)sent;
        }
        _exit(0);
    }
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void run_cases(const struct file_case *cases, size_t len, enum weir_file_format format) {
    static char out[4096];
    for (size_t i = 0; i < len; i++) {
        size_t bytes = strlen(cases[i].bytes);
        write_file(cases[i].bytes, bytes);
        read_all(path, format, out, sizeof out);
        check_case(&cases[i], out);
        for (size_t step = 1; step <= 3; step += 2) {
            pid_t child = pipe_in(cases[i].bytes, bytes, step);
            read_all("-", format, out, sizeof out);
            check_case(&cases[i], out);
            waitpid(child, NULL, 0);
        }
    }
}

/* `len` bytes in one line, between two short ones. */
static void run_long(size_t len, enum weir_file_format format, char fill, bool from_pipe) {
    size_t total = len + 8, found = 0, at = 0;
    char *bytes = malloc(total);
    struct weir_err err;
    struct weir_file *file;
    const char *record;
    CHECK(bytes != NULL);
    if (!bytes)
        return;
    memcpy(bytes, "one\n", 4);
    memset(bytes + 4, fill, len);
    memcpy(bytes + 4 + len, "\ntwo", 4);
    pid_t child = 0;
    if (from_pipe)
        child = pipe_in(bytes, total, 60000);
    else
        write_file(bytes, total);
    CHECK_INT(weir_file_open(&file, from_pipe ? "-" : path, format, &err), 0);
    CHECK_INT(weir_file_size(file), from_pipe ? -1 : (long long)total);
    size_t sizes[3] = {0};
    while (found < 3 && weir_file_next(file, &record, &at, &err) == 1)
        sizes[found++] = at;
    size_t middle = format == WEIR_FILE_JSONL ? 1 : 0;
    size_t want = len <= WEIR_FILE_RECORD_MAX ? len : (size_t)WEIR_FILE_RECORD_MAX + 1;
    if (format == WEIR_FILE_CSV && len <= WEIR_FILE_RECORD_MAX)
        want += strlen("{\"one\":\"\"}");
    CHECK_INT(sizes[middle], want);
    CHECK_INT(sizes[middle + 1], format == WEIR_FILE_JSONL ? 3 : strlen("{\"one\":\"two\"}"));
    CHECK_INT(weir_file_read(file), total);
    weir_file_close(file);
    if (from_pipe)
        waitpid(child, NULL, 0);
    free(bytes);
}

static void test_long(void) {
    const size_t sizes[] = {262143,
                            262144,
                            600000,
                            WEIR_FILE_RECORD_MAX,
                            (size_t)WEIR_FILE_RECORD_MAX + 1,
                            (size_t)WEIR_FILE_RECORD_MAX * 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int from_pipe = 0; from_pipe < 2; from_pipe++) {
            run_long(sizes[i], WEIR_FILE_JSONL, 'x', from_pipe);
            run_long(sizes[i], WEIR_FILE_CSV, 'x', from_pipe);
        }
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* A random field as text, and appended to `row` as CSV; the length of the row. */
static size_t put_field(uint64_t *seed, char *text, char *row) {
    static const char letters[] = "abc ,\"\n\r\\\t0.{}[]:";
    size_t len = next_random(seed) % 12, used = 0;
    bool quote = next_random(seed) % 3 == 0;
    for (size_t i = 0; i < len; i++) {
        text[i] = letters[next_random(seed) % (sizeof letters - 1)];
        quote |= strchr(",\"\n\r", text[i]) != NULL;
    }
    text[len] = '\0';
    if (quote)
        row[used++] = '"';
    for (size_t i = 0; i < len; i++) {
        row[used++] = text[i];
        if (text[i] == '"')
            row[used++] = '"';
    }
    if (quote)
        row[used++] = '"';
    return used;
}

enum { FIELDS = 4, ROWS = 20000 };

static void check_row(const char *record, size_t len, char (*texts)[16]) {
    static const char *const names[FIELDS] = {"a", "x", "y", "d"};
    json_t *row = json_loadb(record, len, 0, NULL);
    bool right = row != NULL;
    for (int i = 0; right && i < FIELDS; i++) {
        json_t *in = i == 1 || i == 2 ? json_object_get(row, "b") : row;
        const char *got = json_string_value(json_object_get(in, names[i]));
        right = got ? strcmp(got, texts[i]) == 0 : texts[i][0] == '\0';
    }
    CHECK(right);
    json_decref(row);
}

/* Random rows there and back; 20,000 of them cross the buffer's end in every state. */
static void test_random_rows(void) {
    static char texts[ROWS][FIELDS][16];
    static char bytes[ROWS * FIELDS * 40];
    uint64_t seed = 7;
    size_t used = (size_t)sprintf(bytes, "a,b.x,b.y,d\n");
    for (int row = 0; row < ROWS; row++)
        for (int i = 0; i < FIELDS; i++) {
            used += put_field(&seed, texts[row][i], bytes + used);
            bytes[used++] = i + 1 < FIELDS ? ',' : '\n';
        }
    write_file(bytes, used);
    for (int from_pipe = 0; from_pipe < 2; from_pipe++) {
        struct weir_err err;
        struct weir_file *file;
        const char *record;
        size_t len;
        int row = 0;
        pid_t child = from_pipe ? pipe_in(bytes, used, 777) : 0;
        CHECK_INT(weir_file_open(&file, from_pipe ? "-" : path, WEIR_FILE_CSV, &err), 0);
        for (; row < ROWS && weir_file_next(file, &record, &len, &err) == 1; row++)
            check_row(record, len, texts[row]);
        CHECK_INT(row, ROWS);
        CHECK_INT(weir_file_next(file, &record, &len, &err), 0);
        CHECK_INT(weir_file_read(file), used);
        weir_file_close(file);
        if (from_pipe)
            waitpid(child, NULL, 0);
    }
}

static void test_sources(void) {
    struct weir_err err;
    struct weir_file *file;
    CHECK_INT(weir_file_open(&file, "/tmp", WEIR_FILE_JSONL, &err), -WEIR_ERR_INPUT);
    CHECK(file == NULL && strstr(err.text, "is a directory"));
    CHECK_INT(weir_file_open(&file, "/tmp/no/such.jsonl", WEIR_FILE_JSONL, &err), -WEIR_ERR_INPUT);
    CHECK(file == NULL && strstr(err.text, "/tmp/no/such.jsonl: no such file"));
    weir_file_close(NULL);

    int ends[2]; /* a descriptor that does not block is waited for */
    CHECK_INT(pipe(ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    dup2(ends[0], STDIN_FILENO);
    pid_t child = fork();
    if (child == 0) {
        weir_clock_sleep_ms(50);
        ssize_t sent = write(ends[1], "late\n", 5);
        _exit(sent == 5 ? 0 : 1);
    }
    close(ends[0]);
    close(ends[1]);
    char out[64];
    read_all("-", WEIR_FILE_JSONL, out, sizeof out);
    CHECK_TEXT(out, "late");
    waitpid(child, NULL, 0);
}

static void test_columns(void) {
    char *bytes = malloc(20000), out[200];
    size_t used = 0;
    CHECK(bytes != NULL);
    if (!bytes)
        return;
    for (int i = 0; i <= WEIR_FILE_COLUMNS_MAX; i++)
        used += (size_t)sprintf(bytes + used, "%sc%d", i ? "," : "", i);
    write_file(bytes, used);
    read_all(path, WEIR_FILE_CSV, out, sizeof out);
    CHECK(strstr(out, "has 1001 columns"));
    free(bytes);
}

/* The project's real data, where they are: every line is a record, and JSON. */
static void test_shared(void) {
    char real[512];
    const char *shared = getenv("WEIR_SHARED");
    snprintf(real, sizeof real, "%s/data/rees46/multicategory-2019-10-01.jsonl",
             shared ? shared : "../shared");
    if (access(real, R_OK) != 0) {
        printf("skipped: no %s\n", real);
        return;
    }
    struct weir_err err;
    struct weir_file *file;
    const char *record;
    size_t len, count = 0;
    CHECK_INT(weir_file_open(&file, real, WEIR_FILE_JSONL, &err), 0);
    for (; weir_file_next(file, &record, &len, &err) == 1; count++)
        if (record[0] != '{' || record[len - 1] != '}')
            CHECK(!"an object on every line");
    CHECK_INT(count, 17434);
    CHECK_INT(weir_file_read(file), weir_file_size(file));
    weir_file_close(file);
}

static void test_progress_text(void) {
    char text[WEIR_PROGRESS_TEXT_MAX];
    weir_progress_text(text, "replay", 2460000, 450, 1000, 2000000);
    CHECK_TEXT(text, "replay  2,460,000 events  1.23 M/s  45 %  2 s left");
    weir_progress_text(text, "generate", 999, 0, 0, 1000000);
    CHECK_TEXT(text, "generate  999 events  999/s");
    weir_progress_text(text, "rebuild", 50000, 1, 100, 2000000);
    CHECK_TEXT(text, "rebuild  50,000 events  25 k/s  1 %  3 min 18 s left");
    weir_progress_text(text, "replay", 1000000, 0, 100, 1000000);
    CHECK_TEXT(text, "replay  1,000,000 events  1.00 M/s  0 %");
    weir_progress_text(text, "replay", 1, 1, 10000, 5000000);
    CHECK_TEXT(text, "replay  1 events  0/s  0 %  13 h 53 min left");
    weir_progress_text(text, "replay", UINT64_MAX, INT64_MAX, 1, 0);
    CHECK(strstr(text, "100 %  0 s left"));
}

/* On a terminal it draws after a second; into a pipe it never does. */
static void test_progress_terminal(void) {
    int control = posix_openpt(O_RDWR | O_NOCTTY), ends[2];
    char text[4096] = "";
    if (control < 0 || grantpt(control) != 0 || unlockpt(control) != 0) {
        printf("skipped: no pseudo-terminal\n");
        return;
    }
    int terminal = open(ptsname(control), O_RDWR | O_NOCTTY), kept = dup(STDERR_FILENO);
    struct weir_progress progress, piped;
    CHECK_INT(pipe(ends), 0);
    weir_progress_start(&progress, "replay");
    weir_progress_start(&piped, "replay");
    for (int i = 1; i <= 13; i++) {
        weir_clock_sleep_ms(100);
        dup2(terminal, STDERR_FILENO);
        weir_progress_update(&progress, (uint64_t)i * 1000, i, 26);
        dup2(ends[1], STDERR_FILENO);
        weir_progress_update(&piped, (uint64_t)i * 1000, i, 26);
    }
    weir_progress_end(&piped, 13000);
    dup2(terminal, STDERR_FILENO);
    weir_progress_end(&progress, 13000);
    dup2(kept, STDERR_FILENO);
    fcntl(control, F_SETFL, O_NONBLOCK);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    size_t used = 0;
    for (ssize_t got; (got = read(control, text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)got;
    CHECK(strstr(text, "\rreplay  ") && strstr(text, " %  ") && strstr(text, " s left"));
    CHECK(strstr(text, "13,000 events") && strchr(text, '\n'));
    int draws = 0;
    for (const char *at = text; (at = strchr(at, '\r')); at++)
        draws++;
    CHECK(draws >= 2 && draws <= 13); /* not at each call; a busy machine may stretch the second */
    CHECK(read(ends[0], text, sizeof text) == -1 && errno == EAGAIN);
}

int main(void) {
    int made = mkstemp(path);
    CHECK(made >= 0);
    close(made);
    run_cases(lines, sizeof lines / sizeof lines[0], WEIR_FILE_JSONL);
    run_cases(rows, sizeof rows / sizeof rows[0], WEIR_FILE_CSV);
    test_long();
    test_random_rows();
    test_sources();
    test_columns();
    test_shared();
    test_progress_text();
    test_progress_terminal();
    unlink(path);
    return check_done("test_file");
}
