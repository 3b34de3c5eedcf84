#include "io/redis_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX 4096
#define DB_MAX 1000000

static const char shape[] = "write redis://[user:password@]host[:port][/db], rediss:// for TLS, "
                            "or unix:///path; %-encode any of :/@?% in a user or password";

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

static int parse_host(struct weir_redis_url *url, const char *text, size_t len,
                      struct weir_err *err) {
    size_t host_len = len;
    const char *port = NULL;
    bool bracket = len > 0 && text[0] == '[';
    if (bracket) {
        const char *close = memchr(text, ']', len);
        if (!close)
            return bad(err, "has a [ without its ]");
        host_len = (size_t)(close - text) + 1;
        if (host_len < len && text[host_len] != ':')
            return bad(err, "has something between ] and the port");
        if (host_len < len)
            port = text + host_len + 1;
    } else {
        const char *colon = memchr(text, ':', len);
        if (colon) {
            host_len = (size_t)(colon - text);
            port = colon + 1;
        }
    }
    long number = 6379;
    if (port && parse_number(port, len - (size_t)(port - text), 1, 65535, &number) != 0)
        return bad(err, "has a port that is not 1 to 65535");
    snprintf(url->port, sizeof url->port, "%ld", number);
    url->host = bracket ? decoded(text + 1, host_len - 2) : decoded(text, host_len);
    if (!url->host || !url->host[0])
        return bad(err, "has no host");
    size_t name_size = strlen(url->host) + sizeof url->port + 4;
    url->name = malloc(name_size);
    if (!url->name)
        return bad(err, "does not fit into memory");
    snprintf(url->name, name_size, bracket ? "[%s]:%s" : "%s:%s", url->host, url->port);
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

static int parse_tcp(struct weir_redis_url *url, const char *text, size_t len,
                     struct weir_err *err) {
    const char *rest = text + len;
    if (*rest == '/')
        rest++;
    long db = 0;
    if (*rest && parse_number(rest, strlen(rest), 0, DB_MAX, &db) != 0)
        return bad(err, "has a database that is not a number");
    url->db = (int)db;
    return parse_host(url, text, len, err);
}

int weir_redis_url_parse(struct weir_redis_url *url, const char *text, struct weir_err *err) {
    *url = (struct weir_redis_url){0};
    bool is_unix = strncmp(text, "unix://", 7) == 0;
    url->tls = strncmp(text, "rediss://", 9) == 0;
    if (strlen(text) > URL_MAX)
        return bad(err, "is longer than 4096 bytes");
    if (!is_unix && !url->tls && strncmp(text, "redis://", 8) != 0)
        return bad(err, "has another scheme");
    const char *rest = strstr(text, "://") + 3;
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
        code = is_unix ? parse_unix(url, rest, err) : parse_tcp(url, rest, authority, err);
    if (code != 0)
        weir_redis_url_close(url);
    return code;
}

void weir_redis_url_close(struct weir_redis_url *url) {
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    free(url->user);
    free(url->host);
    free(url->path);
    free(url->name);
    *url = (struct weir_redis_url){0};
}
