/*
 * memory: how much more the process may take, and what it keeps. Linux; any thread, owns nothing.
 */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include <stdint.h>

/* Bytes: the least of what the machine has available, what the control group leaves and what the
 * limit of the address space leaves. INT64_MAX when nothing can be learned. */
int64_t weir_memory_available(void);

/* From now on freed pages stay with the process (mimalloc's; nothing with another allocator). The
 * queues behind Kafka fill and empty many times a second, and giving their pages back each time
 * made a fifth of all CPU. */
void weir_memory_keep(void);

#endif
