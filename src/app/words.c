#include "app/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/err.h"
#include "weir/number.h"

#define TEXT_MAX ((size_t)256 << 20)
#define NUMBER_WIDTH 20

void weir_words_init(struct weir_words *words) {
    *words = (struct weir_words){0};
    weir_buf_init(&words->text, TEXT_MAX);
}

void weir_words_close(struct weir_words *words) {
    free(words->items);
    free(words->argv);
    free(words->lens);
    weir_buf_close(&words->text);
}

void weir_words_clear(struct weir_words *words) {
    words->len = 0;
    words->bytes = 0;
    weir_buf_clear(&words->text);
}

static struct weir_word *add(struct weir_words *words, size_t len) {
    if (words->len == words->cap) {
        words->cap = words->cap ? words->cap * 2 : 256;
        words->items = realloc(words->items, words->cap * sizeof *words->items);
        words->argv = realloc(words->argv, words->cap * sizeof *words->argv);
        words->lens = realloc(words->lens, words->cap * sizeof *words->lens);
        WEIR_ASSERT(words->items && words->argv && words->lens);
    }
    struct weir_word *word = &words->items[words->len++];
    *word = (struct weir_word){.at = words->text.len, .len = len};
    words->bytes += len;
    return word;
}

void weir_words_borrow(struct weir_words *words, const char *bytes, size_t len) {
    add(words, len)->borrowed = len ? bytes : "";
}

void weir_words_copy(struct weir_words *words, const char *bytes, size_t len) {
    add(words, len);
    weir_buf_append(&words->text, bytes, len);
    WEIR_ASSERT(!words->text.failed);
}

void weir_words_text(struct weir_words *words, const char *text) {
    weir_words_copy(words, text, strlen(text));
}

void weir_words_number(struct weir_words *words, int64_t number) {
    char text[WEIR_NUMBER_TEXT_MAX];
    weir_words_copy(words, text, (size_t)weir_number_put(text, number));
}

void weir_words_put(struct weir_words *words, const char *format, ...) {
    char small[256];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(small, sizeof small, format, values);
    va_end(values);
    WEIR_ASSERT(len >= 0);
    struct weir_word *word = add(words, (size_t)len);
    if ((size_t)len < sizeof small) {
        weir_buf_append(&words->text, small, (size_t)len);
    } else {
        weir_buf_reserve(&words->text, (size_t)len + 1);
        WEIR_ASSERT(!words->text.failed);
        va_start(values, format);
        vsnprintf(words->text.data + word->at, (size_t)len + 1, format, values);
        va_end(values);
        words->text.len += (size_t)len;
    }
    WEIR_ASSERT(!words->text.failed);
}

size_t weir_words_reserve_number(struct weir_words *words) {
    static const char room[NUMBER_WIDTH];
    weir_words_copy(words, room, sizeof room);
    return words->len - 1;
}

void weir_words_set_number(struct weir_words *words, size_t word, size_t number) {
    char text[WEIR_NUMBER_TEXT_MAX];
    int len = weir_number_put_unsigned(text, number);
    char *at = words->text.data + words->items[word].at;
    memcpy(at, text, (size_t)len);
    words->items[word].len = (size_t)len;
}

void weir_words_finish(struct weir_words *words) {
    for (size_t i = 0; i < words->len; i++) {
        const struct weir_word *word = &words->items[i];
        words->argv[i] = word->borrowed ? word->borrowed : words->text.data + word->at;
        words->lens[i] = word->len;
        if (word->len == 0)
            words->argv[i] = "";
    }
}
