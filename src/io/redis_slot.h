/*
 * redis_slot: which of a Redis Cluster's 16,384 slots a command belongs to. Private to io/redis.
 *
 * Pure functions; nothing is kept. Thread: any.
 */
#ifndef WEIR_IO_REDIS_SLOT_H
#define WEIR_IO_REDIS_SLOT_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_SLOTS 16384

/* CRC-16/XMODEM, as Redis Cluster reckons it. */
uint16_t weir_slot_crc16(const char *bytes, size_t len);
/* Of a key: what stands in its first {...} counts, if there is something, else all of it. */
uint16_t weir_slot_of_key(const char *key, size_t len);
/* The argument that holds the first key, 0 for a command without one; lens may be NULL. */
int weir_slot_key_argument(int argc, const char *const *argv, const size_t *lens);

#endif
