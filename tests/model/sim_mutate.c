/* Breakages on purpose: each takes one line of care out of a script, or out of the client, and
 * must be found. A simulator that finds none of them proves nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/scripts.h"
#include "sim.h"

struct patch {
    const char *mutation, *body, *from, *to;
};

static const struct patch patches[] = {
    {"commit-no-owner", weir_script_commit, "if now[1] ~= ARGV[1] then return 'FENCED' end\n", ""},
    {"commit-no-previous", weir_script_commit,
     "if now[2] ~= ARGV[2] then return 'ROLLEDBACK' end\n", ""},
    {"commit-no-duplicate", weir_script_commit,
     "if now[2] == ARGV[3] and now[3] == ARGV[4] then return 'DUP' end\n", ""},
    {"commit-no-gone", weir_script_commit, "if not now[1] then return 'GONE' end\n",
     "if not now[1] then now = {ARGV[1], ARGV[2], false} end\n"},
    {"commit-offset-first", weir_script_commit, "local at = 14\n",
     "local at = 14\nredis.call('HSET', KEYS[1], 'seq', ARGV[3], 'offset', ARGV[4])\n"},
    {"commit-no-touched", weir_script_commit,
     "for i = 1, touched do redis.call('ZADD', KEYS[2], ARGV[3], ARGV[at + i]) end\n", ""},
    {"commit-touched-without-number", weir_script_commit, "'ZADD', KEYS[2], ARGV[3],",
     "'ZADD', KEYS[2], '1',"},
    {"commit-no-removal", weir_script_commit,
     "for i = 4 + sets, #KEYS do redis.call('DEL', KEYS[i]) end\n", ""},
    {"commit-no-ticks", weir_script_commit, "redis.call('RPUSH', KEYS[3], offset .. to)", ""},
    {"commit-ticks-stay", weir_script_commit, "redis.call('LSET', KEYS[3], '-1', offset .. to)",
     ""},
    {"commit-one-key-short", weir_script_commit, "for i = 1, sets do redis.call('SET'",
     "for i = 1, sets - 1 do redis.call('SET'"},
    {"claim-keeps-owner", weir_script_claim, "'HSET', KEYS[1], 'owner', ARGV[1],",
     "'HSET', KEYS[1], 'owner', redis.call('HGET', KEYS[1], 'owner') or ARGV[1],"},
    {"claim-no-state", weir_script_claim, "return {'OK', epoch,",
     "if epoch == 3 then return {'OK', epoch, false, false} end\nreturn {'OK', epoch,"},
    {"publish-no-owner", weir_script_publish,
     "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end\n", ""},
    {"publish-no-previous", weir_script_publish,
     "if number ~= ARGV[2] or word ~= ARGV[3] then return 'STALE' end\n", ""},
    {"publish-no-number", weir_script_publish,
     "redis.call('HSET', KEYS[2], 'number', ARGV[4], 'word', ARGV[5])\n", ""},
    {"lease-for-all", weir_script_lease, "if holder and holder ~= ARGV[1] then return 0 end\n", ""},
};

const struct sim_mutation sim_mutations[] = {
    {"commit-no-owner", "a commit of a former owner is taken"},
    {"commit-no-previous", "a commit that does not follow the last one is taken"},
    {"commit-no-duplicate", "a commit that is already there is called a rollback"},
    {"commit-no-gone", "a commit is taken after Redis lost everything"},
    {"commit-offset-first", "the offset is written before the counters"},
    {"commit-no-touched", "written buckets are not listed"},
    {"commit-touched-without-number", "the list of buckets does not say when they changed"},
    {"commit-no-removal", "what fell out of retention stays"},
    {"commit-ticks-stay", "a move of the watermark does not take the place of the one before"},
    {"commit-no-ticks", "the moves of an idle partition's watermark are not on record"},
    {"commit-one-key-short", "one counter's key is left out"},
    {"claim-keeps-owner", "a claim does not replace the owner"},
    {"tokens-alike", "every owner has the same token"},
    {"claim-no-state", "a claim now and then answers that there is no state"},
    {"publish-no-owner", "an evaluator without the lease may publish"},
    {"publish-no-previous", "an evaluator that missed a publication may publish"},
    {"publish-no-number", "publications are not counted"},
    {"words-alike", "every publication has the same word"},
    {"late-replies", "a broken connection is used on, with its late answers"},
};
const size_t sim_mutations_len = sizeof sim_mutations / sizeof sim_mutations[0];

bool sim_mutated(const char *name) {
    return sim->mutation && strcmp(sim->mutation, name) == 0;
}

static struct known {
    const char *body; /* weir's own */
    enum sim_script script;
    struct weir_script as; /* as it goes to Redis */
} known[] = {
    {weir_script_claim, SIM_SCRIPT_CLAIM, {0}},
    {weir_script_commit, SIM_SCRIPT_COMMIT, {0}},
    {weir_script_lease, SIM_SCRIPT_LEASE, {0}},
    {weir_script_publish, SIM_SCRIPT_PUBLISH, {0}},
};

enum sim_script sim_script_of(struct sim_text id) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct weir_script *as = &known[i].as;
        if (!as->body)
            continue;
        if (sim_text_equal(id, sim_text_of(as->sha)) || sim_text_equal(id, sim_text_of(as->body)))
            return known[i].script;
    }
    return SIM_SCRIPT_OTHER;
}

static const char *patched(const char *body) {
    for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++) {
        const struct patch *patch = &patches[i];
        if (patch->body != body || !sim_mutated(patch->mutation))
            continue;
        const char *at = strstr(body, patch->from);
        if (!at) {
            fprintf(stderr, "sim: %s: the script no longer has: %s\n", patch->mutation,
                    patch->from);
            abort();
        }
        char *text = NULL;
        int len = asprintf(&text, "%.*s%s%s", (int)(at - body), body, patch->to,
                           at + strlen(patch->from));
        WEIR_ASSERT(len > 0);
        return text; /* once a process: known[] keeps it */
    }
    return body;
}

void __real_weir_script_init(struct weir_script *script, const char *body);
void __wrap_weir_script_init(struct weir_script *script, const char *body);

/* Every script of weir's passes here once; its hash is kept, as it is asked for often. */
void __wrap_weir_script_init(struct weir_script *script, const char *body) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].body != body)
            continue;
        if (!known[i].as.body)
            __real_weir_script_init(&known[i].as, patched(body));
        *script = known[i].as;
        return;
    }
    __real_weir_script_init(script, body);
}
