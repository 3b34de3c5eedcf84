/* A log line is one line and, as JSON, one object, whatever the texts are. */
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "weir/log.h"

#define LINE_MAX_BYTES 8192
#define RANDOM 2000

static char line[2 * LINE_MAX_BYTES];

/* What the call writes to standard error. */
#define LOGGED(...)                                                                                \
    do {                                                                                           \
        int kept = dup(STDERR_FILENO), file = open("/tmp", O_TMPFILE | O_RDWR, 0600);              \
        dup2(file, STDERR_FILENO);                                                                 \
        weir_log(WEIR_LOG_WARN, __VA_ARGS__, WEIR_LOG_END);                                        \
        dup2(kept, STDERR_FILENO);                                                                 \
        ssize_t got = pread(file, line, sizeof line - 1, 0);                                       \
        line[got < 0 ? 0 : got] = '\0';                                                            \
        close(file);                                                                               \
        close(kept);                                                                               \
    } while (0)

static json_t *object(void) {
    json_error_t error;
    size_t len = strlen(line);
    json_t *tree = json_loads(line, 0, &error);
    if (!tree)
        printf("%s in %.200s ... %s\n", error.text, line, line + (len > 100 ? len - 100 : 0));
    CHECK(json_is_object(tree));
    CHECK(len > 0 && len <= LINE_MAX_BYTES && strchr(line, '\n') == line + len - 1);
    return tree;
}

static void check_json(const char *text, const char *want) {
    LOGGED("area", "message", WEIR_STR("text", text), WEIR_INT("number", 7));
    json_t *tree = object();
    CHECK_TEXT(json_string_value(json_object_get(tree, "text")), want);
    CHECK_INT(json_integer_value(json_object_get(tree, "number")), 7);
    json_decref(tree);
}

static void texts(void) {
    check_json("plain", "plain");
    check_json("a \"quote\", a \\ and a\ttab\n", "a \"quote\", a \\ and a\ttab\n");
    check_json("\x7f \xc2\x80 \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x9f",
               "\x7f \xc2\x80 \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\x9f");
    check_json("\xed\x9f\xbf \xf4\x8f\xbf\xbf",
               "\xed\x9f\xbf \xf4\x8f\xbf\xbf"); /* the last ones */
#define BAD "\xef\xbf\xbd"
    check_json("a\xff", "a" BAD);
    check_json("\x80x", BAD "x");
    check_json("\xc3", BAD); /* cut within a character */
    check_json("\xe2\x82", BAD BAD);
    check_json("\xe2\x82\"", BAD BAD "\"");
    check_json("\xc0\xaf", BAD BAD); /* longer than it need be */
    check_json("\xe0\x80\x80", BAD BAD BAD);
    check_json("\xed\xa0\x80", BAD BAD BAD); /* half of a pair */
    check_json("\xf4\x90\x80\x80", BAD BAD BAD BAD);
}

/* Fields of every length around the ceiling. */
static void lengths(char fill) {
    static char text[LINE_MAX_BYTES + 100];
    for (size_t len = LINE_MAX_BYTES - 1500; len < sizeof text; len++) {
        memset(text, fill, len);
        text[len] = '\0';
        LOGGED("area", text, WEIR_STR("after", "value"), WEIR_INT("number", -1234567));
        json_decref(object());
    }
    CHECK(strlen(line) > LINE_MAX_BYTES - 16); /* as much as there is room for */
}

static void any_bytes(void) {
    char text[LINE_MAX_BYTES + 1000];
    for (int i = 0; i < RANDOM; i++) {
        size_t len = (size_t)random() % sizeof text;
        for (size_t at = 0; at < len; at++)
            text[at] = (char)(1 + random() % 255);
        text[len ? len - 1 : 0] = '\0';
        LOGGED("area", text, WEIR_STR("again", text));
        json_decref(object());
    }
}

static void logfmt(void) {
    static char text[LINE_MAX_BYTES + 100];
    weir_log_setup(WEIR_LOG_INFO, WEIR_LOG_LOGFMT);
    LOGGED("area", "two words", WEIR_STR("plain", "word"), WEIR_STR("bad", "\xff"));
    CHECK(strstr(line, "msg=\"two words\" plain=word bad=\"" BAD "\"\n") != NULL);
    memset(text, 'a', sizeof text - 1);
    LOGGED("area", text, WEIR_INT("number", 1));
    CHECK(strlen(line) > LINE_MAX_BYTES - 16 && strlen(line) <= LINE_MAX_BYTES);
    CHECK_TEXT(line + strlen(line) - 3, "a\"\n");
}

int main(void) {
    weir_log_setup(WEIR_LOG_INFO, WEIR_LOG_JSON);
    texts();
    lengths('a');
    lengths('"');
    lengths('\x01');
    any_bytes();
    logfmt();
    return check_done("test_log");
}
