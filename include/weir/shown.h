/*
 * shown: what of a word that somebody wrote may stand in a message. The one place that decides it.
 *
 * In a place for secrets no word is shown, whatever it is: that is the caller's to know. Elsewhere
 * a word may be a secret in the wrong place, or hold one: a url has a password or a token in it,
 * `name=value` may be `sasl.password=...`, and a key may be written in PEM. Pure. Thread: any.
 */
#ifndef WEIR_SHOWN_H
#define WEIR_SHOWN_H

#include <stdbool.h>

#define WEIR_SHOWN_MAX 256

/* True for a url, `user@host`, `name=value`, or PEM. */
bool weir_may_be_secret(const char *text);

struct weir_shown {
    char text[WEIR_SHOWN_MAX];
};

/* A word of the command line: whole, cut to its length, `--name=...`, or "(not shown)". */
struct weir_shown weir_word_shown(const char *word);
/* Overwrites what is from the first `://` to the last `@` of a text: user and password of a url. */
void weir_hide_users(char *text);
/* A file's name, or "(not shown)" for a url; `@` and `=` are used in names. */
const char *weir_path_shown(const char *path);

#endif
