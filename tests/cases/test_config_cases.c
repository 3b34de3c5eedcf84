/* Every kind of mistake in a config or a rules file: one small file each, beside it the lines that
 * must be told. WEIR_UPDATE=1 writes those lines anew: read the difference before it is kept. */
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "weir/config.h"

#define TEXT_MAX 65536

static char *joined(const struct weir_problems *problems) {
    size_t len = 1;
    for (size_t i = 0; i < problems->len; i++)
        len += strlen(problems->lines[i]) + 1;
    char *text = calloc(1, len), *at = text;
    for (size_t i = 0; at && i < problems->len; i++)
        at += sprintf(at, "%s\n", problems->lines[i]);
    return text;
}

static char *expected_of(const char *name, char path[256]) {
    snprintf(path, 256, "%.*s.expected", (int)(strlen(name) - strlen(".yaml")), name);
    char *text = calloc(1, TEXT_MAX);
    FILE *file = fopen(path, "r");
    if (file && text) {
        size_t len = fread(text, 1, TEXT_MAX - 1, file);
        text[len] = '\0';
    }
    if (file)
        fclose(file);
    return text;
}

static void update(const char *path, const char *text) {
    FILE *file = *text ? fopen(path, "w") : NULL;
    if (!file)
        return;
    fputs(text, file);
    fclose(file);
}

/* A line is "file:line:column: key: what is wrong; what to write" or ends with a question. */
static void check_line(const char *line) {
    const char *at = strchr(line, ':');
    int row = 0, column = 0, used = 0;
    int got = at ? sscanf(at, ":%d:%d: %n", &row, &column, &used) : 0;
    CHECK(got == 2 && used > 0 && row >= 1 && column >= 1);
    const char *rest = at ? at + used : line;
    bool remedy = strchr(rest, ';') || rest[strlen(rest) - 1] == '?';
    CHECK(strchr(rest, ':') != NULL);
    if (!remedy)
        printf("without a remedy: %s\n", line);
    CHECK(remedy);
    CHECK(strstr(line, "hush") == NULL); /* the secret of these files */
}

static void check_case(const char *name, int code, const struct weir_problems *problems,
                       const struct weir_err *err) {
    char path[256];
    char *got = joined(problems), *want = expected_of(name, path);
    bool good = strncmp(name, "good", 4) == 0;
    CHECK_INT(code, good ? 0 : -WEIR_ERR_INPUT);
    if (getenv("WEIR_UPDATE") && !good)
        update(path, got);
    else if (strcmp(got, want) != 0)
        printf("%s: got\n%swant\n%s", name, got, want);
    CHECK(getenv("WEIR_UPDATE") || strcmp(got, want) == 0);
    CHECK(good == (problems->len == 0));
    for (size_t i = 0; i < problems->len; i++)
        check_line(problems->lines[i]);
    if (problems->len > 0)
        CHECK_TEXT(err->text, problems->lines[0]);
    free(got);
    free(want);
}

static size_t configs(void) {
    glob_t files;
    if (glob("*.yaml", 0, NULL, &files) != 0)
        return 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct weir_config *config = NULL;
        struct weir_problems problems = {0};
        struct weir_err err = {0};
        int code = weir_config_load(&config, files.gl_pathv[i], &problems, &err);
        check_case(files.gl_pathv[i], code, &problems, &err);
        CHECK((config != NULL) == (code == 0));
        weir_config_free(config);
        weir_problems_free(&problems);
    }
    size_t len = files.gl_pathc;
    globfree(&files);
    return len;
}

static size_t rules(void) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    glob_t files;
    if (weir_config_load(&config, "config.yaml", &problems, &err) != 0 ||
        glob("*.yaml", 0, NULL, &files) != 0)
        return 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct weir_rules set = {0};
        if (strcmp(files.gl_pathv[i], "config.yaml") == 0)
            continue;
        int code = weir_config_load_rules(&set, files.gl_pathv[i], config, &problems, &err);
        check_case(files.gl_pathv[i], code, &problems, &err);
        CHECK((set.len > 0) == (code == 0));
        weir_rules_close(&set);
        weir_problems_free(&problems);
    }
    size_t len = files.gl_pathc;
    globfree(&files);
    weir_config_free(config);
    return len;
}

int main(void) {
    char here[] = __FILE__;
    setenv("WEIR_TEST_WORD", "hush", 1);
    unsetenv("WEIR_TEST_NOT_SET");
    CHECK(chdir(dirname(here)) == 0 && chdir("config") == 0);
    CHECK(configs() > 60);
    CHECK(chdir("../rules") == 0);
    CHECK(rules() > 30);
    return check_done("test_config_cases");
}
