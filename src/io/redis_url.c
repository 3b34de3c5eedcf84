#include "io/redis_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 8192
#define DB_MAX 1000000

static const char shape[] =
    "write redis://[user:password@]host[:port][/db], rediss:// for TLS, hosts with commas between "
    "them for a Redis Cluster, redis+sentinel://host[:port],host[:port]/primary[/db], or "
    "unix:///path; %-encode any of :/@?% in a user or password";

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decodes into fresh memory; NULL on a bad escape, a NUL or no memory. */
static char *decoded(const char *text, size_t len) {
    char *out = calloc(1, len + 1);
    size_t used = 0;
    for (size_t i = 0; out && i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
            c = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0) {
            explicit_bzero(out, len);
            free(out);
            return NULL;
        }
        out[used++] = (char)c;
    }
    return out;
}

static int bad(struct weir_err *err, const char *what) {
    return weir_err_set(err, WEIR_ERR_INPUT, "the Redis url %s: %s", what, shape);
}

static int parse_number(const char *text, size_t len, long low, long high, long *number) {
    char digits[8], *end;
    if (len == 0 || len >= sizeof digits || text[0] < '0' || text[0] > '9')
        return -1;
    memcpy(digits, text, len);
    digits[len] = '\0';
    errno = 0;
    *number = strtol(digits, &end, 10);
    return errno != 0 || *end != '\0' || *number < low || *number > high ? -1 : 0;
}

static int parse_user(struct weir_redis_url *url, const char *text, size_t len,
                      struct weir_err *err) {
    const char *colon = memchr(text, ':', len);
    if (!colon)
        return bad(err, "has a user or a password alone (a password alone is :password@)");
    size_t user_len = (size_t)(colon - text);
    if (user_len > 0 && !(url->user = decoded(text, user_len)))
        return bad(err, "has a malformed % in its user");
    url->password = decoded(colon + 1, len - user_len - 1);
    if (!url->password)
        return bad(err, "has a malformed % in its password");
    if (!url->password[0])
        return bad(err, "has a user and no password");
    return 0;
}

/* ---- hosts ---- */

bool weir_redis_host_join(struct weir_redis_host *host, const char *name, const char *port) {
    long number = 0;
    if (!name[0] || parse_number(port, strlen(port), 1, 65535, &number) != 0)
        return false;
    size_t size = strlen(name) + sizeof host->port + 4;
    struct weir_redis_host made = {.host = strdup(name), .name = malloc(size)};
    if (!made.host || !made.name) {
        weir_redis_host_close(&made);
        return false;
    }
    snprintf(made.port, sizeof made.port, "%ld", number);
    snprintf(made.name, size, strchr(name, ':') ? "[%s]:%s" : "%s:%s", name, made.port);
    weir_redis_host_close(host);
    *host = made;
    return true;
}

bool weir_redis_host_set(struct weir_redis_host *host, const char *text, size_t len,
                         const char *port_default) {
    const char *end = text + len, *start = text, *stop = memchr(text, ':', len);
    char port[8] = "", name[256];
    if (len > 0 && text[0] == '[') {
        start = text + 1;
        stop = memchr(text, ']', len);
        if (!stop || (stop + 1 < end && stop[1] != ':'))
            return false;
    }
    const char *colon = stop && *stop == ']' ? stop + 1 : stop;
    stop = stop ? stop : end;
    bool has_port = colon && colon < end;
    size_t port_len = has_port ? (size_t)(end - colon - 1) : 0;
    if ((size_t)(stop - start) >= sizeof name || port_len >= sizeof port)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(stop - start), start);
    snprintf(port, sizeof port, "%.*s", (int)port_len, has_port ? colon + 1 : "");
    return weir_redis_host_join(host, name, has_port ? port : port_default);
}

void weir_redis_host_close(struct weir_redis_host *host) {
    free(host->host);
    free(host->name);
    *host = (struct weir_redis_host){0};
}

static int parse_hosts(struct weir_redis_url *url, const char *text, size_t len,
                       struct weir_err *err) {
    const char *port = url->master ? "26379" : "6379", *end = text + len;
    url->name = strndup(text, len);
    if (!url->name)
        return bad(err, "does not fit into memory");
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma ? comma : end;
        if (url->hosts_len == WEIR_REDIS_HOSTS_MAX)
            return bad(err, "has more than 64 hosts");
        if (!weir_redis_host_set(&url->hosts[url->hosts_len++], text, (size_t)(stop - text), port))
            return bad(err, "has no host, or a port that is not 1 to 65535");
        if (!comma)
            break;
        text = comma + 1;
    }
    if (url->hosts_len == 1 && !url->master) { /* with its port, for logs */
        free(url->name);
        url->name = strdup(url->hosts[0].name);
        if (!url->name)
            return bad(err, "does not fit into memory");
    }
    return 0;
}

/* ---- what follows them ---- */

/* ?ca_file=...&cert_file=...&key_file=..., or ?db=number of a unix socket; `text` is what follows
 * the question mark. */
static int parse_query(struct weir_redis_url *url, const char *text, struct weir_err *err) {
    const struct {
        const char *name;
        char **value;
    } files[] = {{"ca_file=", &url->ca_file},
                 {"cert_file=", &url->cert_file},
                 {"key_file=", &url->key_file}};
    while (*text) {
        size_t len = strcspn(text, "&"), known = 0;
        while (known < 3 && strncmp(text, files[known].name, strlen(files[known].name)) != 0)
            known++;
        if (known == 3 || !url->tls || *files[known].value)
            return bad(err, "has something other than ca_file, cert_file and key_file of TLS, each "
                            "once, after its ?");
        size_t name_len = strlen(files[known].name);
        *files[known].value = decoded(text + name_len, len - name_len);
        if (!*files[known].value || !**files[known].value)
            return bad(err, "has an empty file, or a malformed % in it");
        text += len + (text[len] == '&');
    }
    if (!url->cert_file != !url->key_file)
        return bad(err, "has one of cert_file and key_file; a client's certificate needs both");
    return 0;
}

/* `text` is what follows the scheme. */
static int parse_unix(struct weir_redis_url *url, const char *text, struct weir_err *err) {
    const char *query = strchr(text, '?');
    size_t len = query ? (size_t)(query - text) : strlen(text);
    if (len < 2 || text[0] != '/')
        return bad(err, "has no absolute path of a socket");
    long db = 0;
    if (query && (strncmp(query, "?db=", 4) != 0 ||
                  parse_number(query + 4, strlen(query + 4), 0, DB_MAX, &db) != 0))
        return bad(err, "has something other than ?db=number at its end");
    url->db = (int)db;
    url->path = decoded(text, len);
    url->name = decoded(text, len);
    return url->path && url->name ? 0 : bad(err, "has a malformed % in its path");
}

/* hosts[/master][/db][?query] */
static int parse_tcp(struct weir_redis_url *url, const char *text, size_t len, bool sentinel,
                     struct weir_err *err) {
    const char *rest = text + len;
    long db = 0;
    if (sentinel) {
        rest += *rest == '/';
        size_t name_len = strcspn(rest, "/?#");
        url->master = name_len > 0 ? decoded(rest, name_len) : NULL;
        if (!url->master)
            return bad(err, "does not say the name by which the Sentinels know the primary");
        rest += name_len;
    }
    rest += *rest == '/';
    size_t db_len = strcspn(rest, "?");
    if (db_len > 0 && parse_number(rest, db_len, 0, DB_MAX, &db) != 0)
        return bad(err, "has a database that is not a number");
    url->db = (int)db;
    int code = parse_hosts(url, text, len, err);
    if (code == 0 && db != 0 && weir_redis_url_is_cluster(url))
        code = bad(err, "has a database, and a Redis Cluster has only 0; take out /db");
    if (code == 0 && rest[db_len] == '?')
        code = parse_query(url, rest + db_len + 1, err);
    return code;
}

bool weir_redis_url_is_cluster(const struct weir_redis_url *url) {
    return url->hosts_len > 1 && !url->master;
}

int weir_redis_url_parse(struct weir_redis_url *url, const char *text, struct weir_err *err) {
    static const struct {
        const char *scheme;
        bool is_unix, tls, sentinel;
    } schemes[] = {{"redis://", false, false, false},
                   {"rediss://", false, true, false},
                   {"redis+sentinel://", false, false, true},
                   {"rediss+sentinel://", false, true, true},
                   {"unix://", true, false, false}};
    size_t found = 0, count = sizeof schemes / sizeof schemes[0];
    *url = (struct weir_redis_url){0};
    if (strlen(text) > URL_MAX)
        return bad(err, "is longer than 8192 bytes");
    while (found < count &&
           strncmp(text, schemes[found].scheme, strlen(schemes[found].scheme)) != 0)
        found++;
    if (found == count)
        return bad(err, "has another scheme");
    url->tls = schemes[found].tls;
    const char *rest = text + strlen(schemes[found].scheme);
    size_t authority = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', authority);
    int code = 0;
    if (at)
        code = parse_user(url, rest, (size_t)(at - rest), err);
    if (at) {
        authority -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    if (code == 0)
        code = schemes[found].is_unix
                   ? parse_unix(url, rest, err)
                   : parse_tcp(url, rest, authority, schemes[found].sentinel, err);
    if (code != 0)
        weir_redis_url_close(url);
    return code;
}

void weir_redis_url_close(struct weir_redis_url *url) {
    char *const texts[] = {url->password, url->user,      url->path,     url->name,
                           url->ca_file,  url->cert_file, url->key_file, url->master};
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    for (size_t i = 0; i < url->hosts_len; i++)
        weir_redis_host_close(&url->hosts[i]);
    *url = (struct weir_redis_url){0};
}
