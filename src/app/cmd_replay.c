#include <stdio.h>
#include <string.h>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/replay.h"
#include "weir/shown.h"

#define LATE_SHARE 10 /* more than a tenth is worth a word */

static const char usage[] =
    "usage: weir replay [--config FILE] [--format jsonl|csv] [--sort] [--summary text|json]\n"
    "                   [--redis URL] INPUT...|-\n"
    "\n"
    "  --config     " WEIR_CONFIG_DEFAULT "\n"
    "  --format     what the inputs hold, one record a line (jsonl) or rows under a header (csv)\n"
    "  --sort       all records of all inputs in the order of their event time\n"
    "  --summary    totals over the whole input, every session closed at its end (text)\n"
    "  --redis URL  also leave state and windows there, as `weir run` would, in a kafka.group "
    "that\n"
    "               only replays use: each one begins anew. The series get one entry, and no "
    "alert\n"
    "               is raised\n";

struct replay_options {
    const char *config, *redis;
    enum weir_file_format format;
    bool sort, json;
};

static int wrong(const char *option, const char *value, const char *instead) {
    fprintf(stderr, "weir replay: --%s %s: write %s\n", option, weir_word_shown(value).text,
            instead);
    return WEIR_ERR_USAGE;
}

static int parse(int argc, char **argv, struct replay_options *options) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"format", required_argument, NULL, 'f'},
        {"sort", no_argument, NULL, 's'},
        {"summary", required_argument, NULL, 'm'},
        {"redis", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    optind = 1;
    while ((option = weir_arguments_next(argc, argv, known)) != -1) {
        if (option == 'c')
            options->config = optarg;
        else if (option == 'r')
            options->redis = optarg;
        else if (option == 's')
            options->sort = true;
        else if (option == 'f' && strcmp(optarg, "csv") == 0)
            options->format = WEIR_FILE_CSV;
        else if (option == 'f' && strcmp(optarg, "jsonl") != 0)
            return wrong("format", optarg, "jsonl or csv");
        else if (option == 'm' && strcmp(optarg, "json") == 0)
            options->json = true;
        else if (option == 'm' && strcmp(optarg, "text") != 0)
            return wrong("summary", optarg, "text or json");
        else if (option == 'h')
            return fputs(usage, stdout) < 0 ? 1 : -1;
        else if (option == '?')
            return WEIR_ERR_USAGE;
    }
    if (optind < argc)
        return 0;
    fputs(usage, stderr);
    return WEIR_ERR_USAGE;
}

/* One record of the far future moves the watermark, and all that follow are late. */
static void warn_late(struct weir_replay *r) {
    struct weir_partition_status status;
    weir_partition_status(r->partition, &status);
    uint64_t all = status.events + status.late;
    if (status.late <= all / LATE_SHARE)
        return;
    fprintf(stderr,
            "weir replay: warning: %llu of %llu events are late and in no total: they came behind "
            "newer ones by more than time.out_of_orderness and time.allowed_lateness. The input "
            "may not be in the order of time, or an event in it is dated too far ahead: --sort "
            "puts all in order\n",
            (unsigned long long)status.late, (unsigned long long)all);
}

static int print_summary(struct weir_replay *r, bool json, struct weir_err *err) {
    weir_partition_finish(r->partition);
    int failed = json ? weir_replay_summary_json(r, stdout) : weir_replay_summary_text(r, stdout);
    return failed ? weir_err_set(err, WEIR_ERR_INPUT, "the summary could not be written") : 0;
}

static int replay(const struct weir_config *config, const struct replay_options *options,
                  char *const *paths, int paths_len) {
    struct weir_replay r;
    struct weir_err err, unwritten;
    int status = weir_replay_open(&r, config, &err);
    if (status == 0 && options->redis)
        status = weir_replay_store_check(&r, options->redis, &err);
    if (status == 0)
        status = weir_replay_files(&r, paths, paths_len, options->format, options->sort, &err);
    bool counted = status == 0; /* then the totals are told, whatever Redis says */
    if (counted && options->redis)
        status = weir_replay_store(&r, options->redis, &err);
    if (counted && print_summary(&r, options->json, &unwritten) != 0 && status == 0) {
        err = unwritten;
        status = -err.code;
    }
    if (status != 0)
        fprintf(stderr, "weir replay: %s\n", err.text);
    if (counted)
        warn_late(&r);
    weir_replay_close(&r);
    return -status;
}

int weir_cmd_replay(int argc, char **argv) {
    struct replay_options options = {0};
    struct weir_config *config = NULL;
    int refused = parse(argc, argv, &options);
    if (refused != 0)
        return refused < 0 ? 0 : refused;
    int status = weir_config_load_or_say(&config, options.config);
    if (status != 0)
        return -status;
    status = replay(config, &options, argv + optind, argc - optind);
    weir_config_free(config);
    return status;
}
