/*
 * token: random words that tell owners, evaluators, publications and silences apart.
 *
 * Thread: any. Memory: the caller's.
 */
#ifndef WEIR_APP_TOKEN_H
#define WEIR_APP_TOKEN_H

#include <stddef.h>

#define WEIR_TOKEN_LEN 32 /* of an owner and of an evaluator; nothing is longer */

/* So many hexadecimal digits, an even number, and a NUL. */
void weir_token_make(char *out, size_t digits);

#endif
