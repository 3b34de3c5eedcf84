/*
 * memory: how much more the process may take. Linux; pure reading, any thread, owns nothing.
 */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include <stdint.h>

/* Bytes: the least of what the machine has available, what the control group leaves and what the
 * limit of the address space leaves. INT64_MAX when nothing can be learned. */
int64_t weir_memory_available(void);

#endif
