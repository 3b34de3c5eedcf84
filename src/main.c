/* weir: arguments to a command. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/config_mistakes.h"
#include "weir/err.h"
#include "weir/shown.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"run", weir_cmd_run, "the service: Kafka to Redis to alerts"},
    {"check", weir_cmd_check, "every mistake in a config or a rules file"},
    {"replay", weir_cmd_replay, "files through the very step that run uses"},
    {"rekey", weir_cmd_rekey, "a topic copied into one that is keyed by session"},
    {"generate", weir_cmd_generate, "a made-up shop's traffic, with incidents"},
    {"get", weir_cmd_get, "what Redis holds now: windows, segments, alerts, partitions"},
    {"silence", weir_cmd_silence, "alerts that nobody wants to hear of for a while"},
    {"demo", weir_cmd_demo, "a shop, its Kafka and run on it, to look at"},
    {"manual", weir_cmd_manual, "all config keys and all metrics, as tables"},
    {"version", weir_cmd_version, "weir's version and its libraries'"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *out) {
    fprintf(out, "usage: weir COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fprintf(out, "\nweir COMMAND --help tells a command's options.\n"
                 "Exit codes: 0 done, 1 the input or config is wrong, 2 wrong usage, 3 a service "
                 "cannot be reached,\n4 refused to go on. Results go to standard output, logs to "
                 "standard error.\n");
}

static int refuse(const char *name) {
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *nearest = weir_names_nearest(name, names, COMMANDS);
    fprintf(stderr, "weir: there is no command %s%s%s%s; weir --help lists them\n",
            weir_word_shown(name).text, nearest ? ", did you mean " : "", nearest ? nearest : "",
            nearest ? "?" : "");
    return WEIR_ERR_USAGE;
}

/* A result that did not reach its reader is no success. */
static int flush_results(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "weir: cannot write the results: %s\n", strerror(errno));
    return code != 0 ? code : WEIR_ERR_INPUT;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return WEIR_ERR_USAGE;
    }
    argv = weir_arguments_take(argc, argv);
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return flush_results(0);
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return flush_results(commands[i].run(argc - 1, argv + 1));
    return refuse(name);
}
