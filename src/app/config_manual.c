/* The manual: the table of options as Markdown. */
#include <string.h>

#include "config_load.h"
#include "config_option.h"

static const char *type_text(const struct weir_option *option) {
    switch (option->type) {
    case WEIR_OPTION_TEXT:
        return "text";
    case WEIR_OPTION_DURATION:
        return "duration";
    case WEIR_OPTION_SIZE:
        return "size";
    case WEIR_OPTION_INTEGER:
        return "whole number";
    case WEIR_OPTION_SHARE:
        return "number or percentage";
    case WEIR_OPTION_CHOICE:
        return "one of";
    case WEIR_OPTION_LIST:
        return "list";
    case WEIR_OPTION_MAP:
        return "map";
    }
    WEIR_ASSERT(!"a type that exists");
    return "";
}

static void print_row(FILE *out, const struct weir_option *option) {
    char range[96];
    fprintf(out, "| `%s` | %s", option->path, type_text(option));
    if (option->type == WEIR_OPTION_CHOICE)
        for (size_t i = 0; option->choices[i]; i++)
            fprintf(out, "%s `%s`", i ? "," : "", option->choices[i]);
    else if (weir_option_range(option, range, sizeof range))
        fprintf(out, ", %s", range);
    if (option->value)
        fprintf(out, " | `%s`", option->value);
    else
        fprintf(out, " | %s, e.g. `%s`",
                option->flags & WEIR_OPTION_REQUIRED ? "needed in its section" : "none",
                option->example);
    fprintf(out, " | %s | %s", option->flags & WEIR_OPTION_RELOAD ? "reload" : "restart",
            option->help);
    if (option->flags & WEIR_OPTION_SECRET) {
        const char *dot = strrchr(option->path, '.');
        fprintf(out, ". Also from a file: `%s_file`", dot ? dot + 1 : option->path);
    }
    fprintf(out, " |\n");
}

static void print_table(FILE *out, const struct weir_options *options) {
    fprintf(out, "| key | type | default | a change needs | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < options->len; i++)
        print_row(out, &options->items[i]);
}

void weir_config_manual(FILE *out) {
    print_table(out, weir_options_config());
    fprintf(out, "\nA rules file (`alerts.rules_files`):\n\n");
    print_table(out, weir_options_rules());
}
