/*
 * rules_file: what a rule of a rules file must be to make sense. Private to rules_file*.c.
 */
#ifndef WEIR_APP_RULES_FILE_H
#define WEIR_APP_RULES_FILE_H

#include "config_load.h"

#define WEIR_RULES_MAX 1000

/* One rule while it is read. */
struct weir_rule_reading {
    struct weir_loader *loader;
    const struct weir_config *config; /* NULL: nothing to check against */
    const struct weir_yaml *map;
    struct weir_rule rule; /* its strings belong to the trees until it is copied */
    bool has_min_sample;
};

/* Metric, window and dimension against the config. Mistakes are added. */
void weir_rule_resolve(struct weir_rule_reading *reading);
/* The variables of an annotation. */
void weir_rule_check_template(struct weir_loader *loader, const struct weir_yaml *node);

#endif
