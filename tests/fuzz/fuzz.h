/* What the fuzz targets share: numbers and pieces taken from the front of the input. Past its end
 * every number is 0 and every piece is empty. */
#ifndef WEIR_FUZZ_H
#define WEIR_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"

struct fuzz {
    const uint8_t *at;
    size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline uint8_t fuzz_byte(struct fuzz *in) {
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint32_t fuzz_u16(struct fuzz *in) {
    uint32_t high = fuzz_byte(in);
    return high << 8 | fuzz_byte(in);
}

/* Up to `max` bytes, their number being the input's next two bytes. */
static inline const uint8_t *fuzz_piece(struct fuzz *in, size_t max, size_t *len) {
    size_t want = fuzz_u16(in);
    want = want < max ? want : max;
    *len = want < in->left ? want : in->left;
    const uint8_t *piece = in->at;
    in->at += *len;
    in->left -= *len;
    return piece;
}

/* Whatever was refused, was refused in words. */
static inline void fuzz_refused(const struct weir_err *err, int code) {
    WEIR_ASSERT(code < 0 && err->code == -code && err->text[0] != 0);
}

#endif
