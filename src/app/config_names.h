/*
 * config_names: what names there are: of presets and of event types. Private to config*.c.
 */
#ifndef WEIR_APP_CONFIG_NAMES_H
#define WEIR_APP_CONFIG_NAMES_H

#include "config_load.h"

/* False when the name looks like a slip: events.types does not speak of it, and one of weir's own
 * types is as near as a letter or two. Anything else may be a source's own type. */
bool weir_type_is_meant(const struct weir_loader *loader, const char *name);
/* The nearest of weir's types, NULL when none is near. */
const char *weir_type_nearest(const char *name);

/* Whether the preset reads the name as one of weir's own types, and events.types says nothing
 * else: a metric that counts it would stay at 0. */
bool weir_type_is_taken(const struct weir_loader *loader, const char *name);

/* Whether any event can ever be of the type: by the preset, by events.types, or by its own name. */
bool weir_type_is_reached(const struct weir_config *config, int type);

#endif
