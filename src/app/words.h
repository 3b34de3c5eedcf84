/*
 * words: the argument vector of a long Redis command, built word by word.
 *
 * Formatted words are kept in the words' own buffer; large values are borrowed and must stay where
 * they are until the command is sent. Cleared and used again, so that a steady sender allocates
 * nothing. One thread.
 */
#ifndef WEIR_APP_WORDS_H
#define WEIR_APP_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"

struct weir_words {
    struct weir_word {
        const char *borrowed; /* NULL: in `text` at `at` */
        size_t at, len;
    } * items;
    size_t len, cap;
    struct weir_buf text;
    const char **argv; /* after weir_words_finish */
    size_t *lens;
    size_t bytes; /* of all words */
};

void weir_words_init(struct weir_words *words);
void weir_words_close(struct weir_words *words);
void weir_words_clear(struct weir_words *words);

void weir_words_borrow(struct weir_words *words, const char *bytes, size_t len);
void weir_words_copy(struct weir_words *words, const char *bytes, size_t len);
void weir_words_text(struct weir_words *words, const char *text);
void weir_words_number(struct weir_words *words, int64_t number);
void weir_words_put(struct weir_words *words, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Overwrites an earlier formatted word with a number of at most its width (20 digits). */
size_t weir_words_reserve_number(struct weir_words *words);
void weir_words_set_number(struct weir_words *words, size_t word, size_t number);

/* Fills argv and lens for all words so far. */
void weir_words_finish(struct weir_words *words);

#endif
