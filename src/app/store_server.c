/* What kind of Redis it is, before anything is counted into it. */
#include <stdio.h>
#include <string.h>

#include "app/store.h"
#include "weir/log.h"

/* The value of one line of INFO, into out; empty when it is not there. */
static void info_value(const char *info, const char *name, char *out, size_t max) {
    const char *at = strstr(info, name);
    out[0] = '\0';
    if (at)
        snprintf(out, max, "%.*s", (int)strcspn(at + strlen(name), "\r\n"), at + strlen(name));
}

static int check_info(struct weir_redis *redis, const char *server, const char *info,
                      struct weir_err *err) {
    char version[32], policy[32], aof[8], mode[16];
    info_value(info, "redis_version:", version, sizeof version);
    info_value(info, "maxmemory_policy:", policy, sizeof policy);
    info_value(info, "aof_enabled:", aof, sizeof aof);
    info_value(info, "redis_mode:", mode, sizeof mode);
    if (version[0] && (version[1] == '.' || version[1] == '\0') && version[0] < '7')
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "Redis %s at %s is too old; weir needs 7.0 or later", version, server);
    if (policy[0] && strcmp(policy, "noeviction") != 0)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "Redis at %s may evict keys (maxmemory-policy %s), which would lose "
                            "counts; set `maxmemory-policy noeviction`",
                            server, policy);
    if (strcmp(mode, "sentinel") == 0)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "%s is a Sentinel; write redis+sentinel://host:26379/<primary's name>",
                            server);
    if (strcmp(mode, "cluster") == 0 && strchr(weir_redis_name(redis), ',') == NULL)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "Redis at %s is a node of a Redis Cluster; write two or more of its "
                            "nodes with commas between them: redis://host:port,host:port",
                            server);
    if (strcmp(aof, "0") == 0)
        weir_log(WEIR_LOG_WARN, "redis",
                 "append-only file is off: a crash of Redis rewinds weir "
                 "to the last snapshot; set `appendonly yes`",
                 WEIR_STR("server", server), WEIR_LOG_END);
    return 0;
}

static int check_node(struct weir_redis *redis, size_t node, struct weir_err *err) {
    static const char *const ask[] = {"INFO", "everything"};
    const char *server = weir_redis_node_name(redis, node);
    struct weir_reply *reply = NULL;
    int status = weir_redis_node_command(redis, node, &reply, err, 2, ask);
    if (status != 0)
        return status;
    if (reply->type == WEIR_REPLY_TEXT)
        status = check_info(redis, server, reply->text, err);
    else if (reply->type == WEIR_REPLY_ERROR && strncmp(reply->text, "NOPERM", 6) == 0)
        weir_log(WEIR_LOG_WARN, "redis",
                 "this user may not see INFO: version, eviction and durability are not checked; "
                 "grant it +info",
                 WEIR_STR("server", server), WEIR_LOG_END);
    else
        status = weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s answered: %s", server,
                              weir_reply_words(reply));
    weir_reply_free(reply);
    return status;
}

int weir_store_check_server(struct weir_redis *redis, struct weir_err *err) {
    int status = weir_redis_connect(redis, err);
    for (size_t i = 0; status == 0 && i < weir_redis_nodes(redis); i++)
        status = check_node(redis, i, err);
    return status;
}
