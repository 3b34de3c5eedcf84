/*
 * bots: is a user agent a crawler's? A built-in list of words, and a small cache of verdicts, as
 * the same few thousand agents come again and again. Pure but for the cache.
 */
#ifndef WEIR_CORE_BOTS_H
#define WEIR_CORE_BOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/event.h"

#define WEIR_BOTS_CACHE 4096

struct weir_bots {
    uint64_t verdicts[WEIR_BOTS_CACHE]; /* the agent's hash, its lowest bit the verdict */
};

/* Absent or empty is not a bot. */
bool weir_bots_is(struct weir_bots *bots, struct weir_str user_agent);

#endif
