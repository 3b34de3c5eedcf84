#include "io/notify_hide.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

static void hide_word(char *text, const char *word, size_t len) {
    if (len < WEIR_HIDDEN_MIN)
        return;
    size_t left = strlen(text);
    for (char *at = text; left > 0; at++, left--) {
        size_t same = 0;
        while (same < len && same < left && at[same] == word[same])
            same++;
        if (same == len || (same == left && same > 2))
            memset(at, '*', same);
    }
}

/* The words between what separates them in a url. */
static void hide_words(char *text, const char *part, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t word = 0;
        while (at + word < len && !strchr("/?&=#:@;,", part[at + word]))
            word++;
        hide_word(text, part + at, word);
        at += word + 1;
    }
}

static void hide_user(char *text, const char *user, size_t len) {
    int decoded_len = 0;
    char *decoded = curl_easy_unescape(NULL, user, (int)len, &decoded_len);
    if (!decoded)
        return;
    hide_words(text, decoded, (size_t)decoded_len);
    char *encoded = malloc((size_t)decoded_len * 2 + 8);
    WEIR_ASSERT(encoded != NULL);
    int encoded_len = EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)decoded,
                                      decoded_len); /* of a Basic Authorization */
    hide_word(text, encoded, (size_t)encoded_len);
    free(encoded);
    curl_free(decoded);
}

void weir_notify_hide(char *text, const struct weir_sink *sink) {
    const char *scheme = strstr(sink->url, "://");
    const char *host = scheme ? scheme + 3 : sink->url;
    const char *path = host + strcspn(host, "/?#");
    const char *at = memrchr(host, '@', (size_t)(path - host));
    if (sink->secret)
        hide_word(text, sink->secret, strlen(sink->secret));
    if (at) {
        hide_words(text, host, (size_t)(at - host));
        hide_user(text, host, (size_t)(at - host));
    }
    hide_words(text, path, strlen(path));
}
