#include "io/redis_slot.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

uint16_t weir_slot_crc16(const char *bytes, size_t len) {
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000U) ? (crc << 1) ^ 0x1021U : crc << 1;
    }
    return (uint16_t)crc;
}

uint16_t weir_slot_of_key(const char *key, size_t len) {
    const char *open = memchr(key, '{', len);
    const char *close = open ? memchr(open, '}', len - (size_t)(open - key)) : NULL;
    if (close && close > open + 1)
        return weir_slot_crc16(open + 1, (size_t)(close - open - 1)) % WEIR_SLOTS;
    return weir_slot_crc16(key, len) % WEIR_SLOTS;
}

static bool is(const char *const *argv, const size_t *lens, int i, const char *word) {
    size_t len = strlen(word);
    return (lens ? lens[i] : strlen(argv[i])) == len && strncasecmp(argv[i], word, len) == 0;
}

int weir_slot_key_argument(int argc, const char *const *argv, const size_t *lens) {
    static const char *const keyless[] = {"PING",    "ECHO",     "INFO", "CONFIG", "SCRIPT", "ROLE",
                                          "FLUSHDB", "FLUSHALL", "WAIT", "CLIENT", "COMMAND"};
    if (argc < 2)
        return 0;
    for (size_t i = 0; i < sizeof keyless / sizeof keyless[0]; i++)
        if (is(argv, lens, 0, keyless[i]))
            return 0;
    if (is(argv, lens, 0, "EVALSHA") || is(argv, lens, 0, "EVAL"))
        return argc > 3 && !is(argv, lens, 2, "0") ? 3 : 0;
    if (!is(argv, lens, 0, "XREAD"))
        return 1;
    for (int i = 1; i + 1 < argc; i++)
        if (is(argv, lens, i, "STREAMS"))
            return i + 1;
    return 0;
}
