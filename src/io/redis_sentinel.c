#include "io/redis_sentinel.h"

#include <string.h>

#define TIMEOUT_MS 2000

/* With the url's password only where a Sentinel wants one. */
static int ask(struct weir_conn *conn, struct weir_reply **reply, struct weir_err *err) {
    const char *words[] = {"SENTINEL", "get-master-addr-by-name", conn->url->master};
    int code = weir_conn_ask(conn, reply, err, 3, words);
    if (code != 0 || (*reply)->type != WEIR_REPLY_ERROR || !conn->url->password ||
        strncmp((*reply)->text, "NOAUTH", 6) != 0)
        return code;
    weir_reply_free(*reply);
    *reply = NULL;
    code = weir_conn_authenticate(conn, err);
    return code == 0 ? weir_conn_ask(conn, reply, err, 3, words) : code;
}

static int ask_one(const struct weir_redis_url *url, const struct weir_redis_host *sentinel,
                   int timeout_ms, struct weir_redis_host *primary, struct weir_err *err) {
    struct weir_conn conn;
    struct weir_reply *reply = NULL;
    weir_conn_init(&conn, url, timeout_ms);
    int code = 0;
    if (!weir_redis_host_join(&conn.host, sentinel->host, sentinel->port))
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for a host's name");
    if (code == 0)
        code = weir_conn_open(&conn, false, err);
    if (code == 0)
        code = ask(&conn, &reply, err);
    if (code == 0 && reply->type == WEIR_REPLY_NIL)
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "the Sentinel at %s knows no primary called %s; correct the name at "
                            "the end of redis.url",
                            sentinel->name, url->master);
    else if (code == 0 &&
             (reply->type != WEIR_REPLY_ARRAY || reply->items_len != 2 || !reply->items[0]->text ||
              !reply->items[1]->text ||
              !weir_redis_host_join(primary, reply->items[0]->text, reply->items[1]->text)))
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "the Sentinel at %s answered: %.200s",
                            sentinel->name, weir_reply_words(reply));
    weir_reply_free(reply);
    weir_conn_close(&conn);
    return code;
}

int weir_sentinel_find(const struct weir_redis_url *url, size_t *turn, int timeout_ms,
                       struct weir_redis_host *primary, struct weir_err *err) {
    int code = -WEIR_ERR_UNREACHABLE;
    for (size_t i = 0; i < url->hosts_len && code != 0; i++) {
        code = ask_one(url, &url->hosts[*turn % url->hosts_len],
                       timeout_ms < TIMEOUT_MS ? timeout_ms : TIMEOUT_MS, primary, err);
        *turn += code != 0;
    }
    return code;
}

int weir_sentinel_confirm(struct weir_conn *conn, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int code = weir_conn_ask(conn, &reply, err, 1, (const char *[]){"ROLE"});
    if (code != 0)
        return code;
    bool refused = reply->type == WEIR_REPLY_ERROR;
    bool primary = reply->type == WEIR_REPLY_ARRAY && reply->items_len > 0 &&
                   reply->items[0]->text && strcmp(reply->items[0]->text, "master") == 0;
    if (refused)
        code = weir_conn_broken(conn, err, reply->text);
    else if (!primary)
        code = weir_conn_broken(conn, err, "the Sentinels call it the primary, it is none yet");
    weir_reply_free(reply);
    return code;
}
