#include "core/bots.h"

#include <string.h>
#include <strings.h>
#include <xxhash.h>

/* Lower-case parts of the agents of crawlers, monitors and scripts. */
static const char *const words[] = {
    "bot",
    "crawl",
    "spider",
    "slurp",
    "headless",
    "phantomjs",
    "selenium",
    "puppeteer",
    "playwright",
    "curl/",
    "wget/",
    "python-",
    "java/",
    "go-http",
    "okhttp/",
    "scrapy",
    "httpclient",
    "lighthouse",
    "pingdom",
    "uptime",
    "monitor",
    "preview",
    "facebookexternalhit",
    "bingpreview",
    "archiver",
};

static bool has_word(const char *text, size_t len, const char *word) {
    size_t word_len = strlen(word);
    for (size_t at = 0; at + word_len <= len; at++)
        if ((text[at] | 0x20) == word[0] && strncasecmp(text + at, word, word_len) == 0)
            return true;
    return false;
}

static bool is_bot(struct weir_str user_agent) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (has_word(user_agent.data, user_agent.len, words[i]))
            return true;
    return false;
}

bool weir_bots_is(struct weir_bots *bots, struct weir_str user_agent) {
    if (!user_agent.data || user_agent.len == 0)
        return false;
    uint64_t hash = XXH3_64bits(user_agent.data, user_agent.len) & ~1ULL;
    uint64_t *verdict = &bots->verdicts[hash >> 52];
    if ((*verdict & ~1ULL) != hash)
        *verdict = hash | is_bot(user_agent);
    return *verdict & 1;
}
