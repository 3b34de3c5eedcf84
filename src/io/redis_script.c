#include "weir/redis.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_script_init(struct weir_script *script, const char *body) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    WEIR_ASSERT(EVP_Digest(body, strlen(body), digest, &len, EVP_sha1(), NULL) == 1 && len == 20);
    script->body = body;
    for (size_t i = 0; i < 20; i++)
        snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
}

int weir_redis_script(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err,
                      const struct weir_script *script, int keys, int argc, const char *const *argv,
                      const size_t *lens) {
    WEIR_ASSERT(keys >= 0 && keys <= argc);
    size_t total = (size_t)argc + 3;
    const char **all = calloc(total, sizeof *all);
    size_t *all_lens = calloc(total, sizeof *all_lens);
    int code = 0;
    if (!all || !all_lens) {
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for a script's arguments");
        goto done;
    }
    char count[16];
    all_lens[2] = (size_t)snprintf(count, sizeof count, "%d", keys);
    all[0] = "EVALSHA";
    all_lens[0] = 7;
    all[1] = script->sha;
    all_lens[1] = 40;
    all[2] = count;
    for (int i = 0; i < argc; i++) {
        all[i + 3] = argv[i];
        all_lens[i + 3] = lens ? lens[i] : strlen(argv[i]);
    }
    code = weir_redis_command(redis, reply, err, argc + 3, all, all_lens);
    if (code != 0 || (*reply)->type != WEIR_REPLY_ERROR ||
        strncmp((*reply)->text, "NOSCRIPT", 8) != 0)
        goto done;
    weir_reply_free(*reply);
    *reply = NULL;
    all[0] = "EVAL";
    all_lens[0] = 4;
    all[1] = script->body;
    all_lens[1] = strlen(script->body);
    code = weir_redis_command(redis, reply, err, argc + 3, all, all_lens);
done:
    free(all);
    free(all_lens);
    return code;
}
