/*
 * config_memory: what `memory` is divided into. Private to config*.c and to who explains it.
 *
 * A quarter is for records fetched ahead, half for partitions, an eighth for the windows over all
 * partitions, a sixteenth for what is published of them at once; the rest is for the program and
 * commits on their way. sessions.max_open is part of how counts come about, so it follows from the
 * config alone, never from what a process owns: by default half of the memory holds
 * WEIR_MEMORY_PARTITIONS partitions.
 */
#ifndef WEIR_APP_CONFIG_MEMORY_H
#define WEIR_APP_CONFIG_MEMORY_H

#include "config_load.h"

#define WEIR_MEMORY_PARTITIONS 8

/* Before the fingerprint, as it may set plan.sessions_max. */
void weir_load_memory(struct weir_loader *loader, struct weir_config *config);

#endif
