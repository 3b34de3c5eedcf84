/* io/redis against a real redis-server: REDIS_URL says where (tests/services/redis.sh). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "weir/clock.h"
#include "weir/redis.h"

static struct weir_redis *opened(const char *url, int timeout_ms) {
    struct weir_redis *redis = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_redis_new(&redis, url, timeout_ms, &err), 0);
    return redis;
}

static void test_urls(void) {
    static const char *const bad[] = {
        "",
        "localhost",
        "http://localhost",
        "redis://",
        "redis://:6379",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:6379x",
        "redis://host/x",
        "redis://host/-1",
        "redis://host/1?x=1",
        "redis://hunter2@host",
        "redis://user:@host",
        "redis://user:hunter2%zz@host",
        "redis://user:hunter2%2@host",
        "redis://user:hunter2%00@host",
        "redis://[::1",
        "redis://[::1]x",
        "unix://relative",
        "unix:///",
        "unix:///a?db=x",
        "redis://a,b/1",
        "redis://a,,b",
        "redis://a,b:0",
        "redis://host?ca_file=a",
        "rediss://host?ca=a",
        "rediss://host?ca_file=",
        "rediss://host?ca_file=a&ca_file=b",
        "rediss://host?cert_file=a",
        "redis+sentinel://host:26379",
        "redis+sentinel://host:26379/",
        "redis+sentinel://host:26379/shop/x",
        "redis+sentinel:///shop",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_redis *redis = NULL;
        struct weir_err err = {0};
        CHECK_INT(weir_redis_new(&redis, bad[i], 1000, &err), -WEIR_ERR_INPUT);
        CHECK(strstr(err.text, "redis://[user:password@]") != NULL);
        CHECK(strstr(err.text, "hunter2") == NULL);
    }
    static const char *const good[][2] = {
        {"redis://host", "host:6379"},
        {"redis://host/", "host:6379"},
        {"redis://:p%40ss%3A@host:1234/7", "host:1234"},
        {"redis://user:a@b@host", "host:6379"},
        {"redis://[::1]:7000/1", "[::1]:7000"},
        {"rediss://host:1", "host:1"},
        {"unix:///tmp/a%20b?db=3", "/tmp/a b"},
        {"unix://u:p@/tmp/a", "/tmp/a"},
        {"redis://a:7000,b,[::1]:7002", "a:7000,b,[::1]:7002"},
        {"rediss://user:hunter2@a:7000,b:7001/0", "a:7000,b:7001"},
        {"rediss://a/3?ca_file=%2Fca.pem&cert_file=c&key_file=k", "a:6379"},
        {"redis+sentinel://:hunter2@s1,s2:1/shop/4", "s1,s2:1"},
        {"rediss+sentinel://s1/shop?ca_file=ca.pem", "s1"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct weir_redis *redis = opened(good[i][0], 1000);
        if (redis)
            CHECK_TEXT(weir_redis_name(redis), good[i][1]);
        weir_redis_free(redis);
    }
}

static void test_types(const char *url) {
    struct weir_redis *redis = opened(url, 2000);
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_redis_generation(redis), 0);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "FLUSHDB", NULL), 0);
    CHECK(weir_redis_connected(redis));
    CHECK_INT(weir_redis_generation(redis), 1);
    CHECK_TEXT(reply->text, "OK");
    weir_reply_free(reply);

    const char *set[] = {"SET", "k\0ey", "a\r\n\0b"};
    const size_t lens[] = {3, 4, 5};
    CHECK_INT(weir_redis_command(redis, &reply, &err, 3, set, lens), 0);
    weir_reply_free(reply);
    const char *get[] = {"GET", "k\0ey"};
    CHECK_INT(weir_redis_command(redis, &reply, &err, 2, get, lens), 0);
    CHECK_INT(reply->type, WEIR_REPLY_TEXT);
    CHECK_INT(reply->len, 5);
    CHECK(memcmp(reply->text, "a\r\n\0b", 6) == 0);
    weir_reply_free(reply);

    CHECK_INT(weir_redis_do(redis, &reply, &err, "GET", "absent", NULL), 0);
    CHECK_INT(reply->type, WEIR_REPLY_NIL);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "DECR", "n", NULL), 0);
    CHECK_INT(reply->type, WEIR_REPLY_INTEGER);
    CHECK_INT(reply->integer, -1);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "LPUSH", "n", "x", NULL), 0);
    CHECK_INT(reply->type, WEIR_REPLY_ERROR);
    CHECK(strncmp(reply->text, "WRONGTYPE", 9) == 0);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "EVAL",
                            "return {1,'a',{},{false,{redis.error_reply('ERR inside')}}}", "0",
                            NULL),
              0);
    CHECK_INT(reply->type, WEIR_REPLY_ARRAY);
    CHECK_INT(reply->items_len, 4);
    CHECK_INT(reply->items[0]->integer, 1);
    CHECK_INT(reply->items[2]->items_len, 0);
    CHECK_INT(reply->items[3]->items[0]->type, WEIR_REPLY_NIL);
    CHECK_INT(reply->items[3]->items[1]->items[0]->type, WEIR_REPLY_ERROR);
    weir_reply_free(reply);
    CHECK(weir_redis_connected(redis));
    weir_redis_free(redis);
}

static void test_pipeline(const char *url) {
    enum { N = 100000 };
    struct weir_redis *redis = opened(url, 5000);
    struct weir_err err = {0};
    int failed = 0, wrong = 0;
    int64_t start_us = weir_clock_monotonic_us();
    for (int i = 0; i < N; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        const char *argv[] = {"ECHO", text};
        failed += weir_redis_append(redis, 2, argv, NULL, &err) != 0;
    }
    for (int i = 0; i < N; i++) {
        struct weir_reply *reply = NULL;
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        failed += weir_redis_read(redis, &reply, &err) != 0;
        wrong += !reply || reply->type != WEIR_REPLY_TEXT || strcmp(reply->text, text) != 0;
        weir_reply_free(reply);
    }
    CHECK_INT(failed, 0);
    CHECK_INT(wrong, 0);
    printf("100,000 pipelined commands in %lld ms\n",
           (long long)(weir_clock_monotonic_us() - start_us) / 1000);

    /* 40 MB asked and 40 MB answered before the first read: both directions at once */
    enum { LEN = 400000, TIMES = 100 };
    char *big = malloc(LEN);
    memset(big, 'x', LEN);
    const char *argv[] = {"ECHO", big};
    const size_t lens[] = {4, LEN};
    for (int i = 0; i < TIMES; i++)
        failed += weir_redis_append(redis, 2, argv, lens, &err) != 0;
    for (int i = 0; i < TIMES; i++) {
        struct weir_reply *reply = NULL;
        failed += weir_redis_read(redis, &reply, &err) != 0;
        wrong += !reply || reply->len != LEN || memcmp(reply->text, big, LEN) != 0;
        weir_reply_free(reply);
    }
    CHECK_INT(failed, 0);
    CHECK_INT(wrong, 0);
    free(big);
    weir_redis_free(redis);
}

static void test_large(const char *url) {
    const size_t len = (size_t)100 << 20;
    struct weir_redis *redis = opened(url, 10000);
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    char *value = malloc(len);
    for (size_t i = 0; i < len; i++)
        value[i] = (char)(i * 31 >> 3);
    int64_t start_us = weir_clock_monotonic_us();
    const char *set[] = {"SET", "large", value};
    const size_t lens[] = {3, 5, len};
    CHECK_INT(weir_redis_command(redis, &reply, &err, 3, set, lens), 0);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "GET", "large", NULL), 0);
    CHECK(reply && reply->len == len && memcmp(reply->text, value, len) == 0);
    weir_reply_free(reply);
    printf("100 MB there and back in %lld ms\n",
           (long long)(weir_clock_monotonic_us() - start_us) / 1000);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "DEL", "large", NULL), 0);
    weir_reply_free(reply);
    free(value);
    weir_redis_free(redis);
}

static void test_timeout(const char *url) {
    struct weir_redis *redis = opened(url, 300), *other = opened(url, 3000);
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_redis_do(other, &reply, &err, "DEL", "never", NULL), 0);
    weir_reply_free(reply);
    int64_t start_us = weir_clock_monotonic_us();
    CHECK_INT(weir_redis_do(redis, &reply, &err, "BLPOP", "never", "0", NULL),
              -WEIR_ERR_UNREACHABLE);
    int64_t took_ms = (weir_clock_monotonic_us() - start_us) / 1000;
    CHECK(took_ms >= 290 && took_ms < 1500);
    CHECK(!weir_redis_connected(redis));
    CHECK(strstr(err.text, "300 ms") != NULL);
    CHECK_INT(weir_redis_read(redis, &reply, &err), -WEIR_ERR_UNREACHABLE);

    /* the late reply of the closed connection never shows up in the next one */
    CHECK_INT(weir_redis_do(other, &reply, &err, "RPUSH", "never", "late", NULL), 0);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "PING", NULL), 0);
    CHECK_TEXT(reply->text, "PONG");
    CHECK_INT(weir_redis_generation(redis), 2);
    weir_reply_free(reply);

    /* a connection that Redis ends: the call fails, the next one is anew */
    CHECK_INT(weir_redis_do(other, &reply, &err, "CLIENT", "KILL", "TYPE", "normal", NULL), 0);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(redis, &reply, &err, "PING", NULL), -WEIR_ERR_UNREACHABLE);
    CHECK(!weir_redis_connected(redis));
    CHECK_INT(weir_redis_do(redis, &reply, &err, "PING", NULL), 0);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_generation(redis), 3);
    weir_redis_free(redis);
    weir_redis_free(other);
}

static void test_script(const char *url) {
    struct weir_redis *redis = opened(url, 2000);
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    struct weir_script script;
    weir_script_init(&script, "return {KEYS[1], ARGV[1], #ARGV}");
    const char *argv[] = {"key", "v\0w", "z"};
    const size_t lens[] = {3, 3, 1};
    CHECK_INT(weir_redis_do(redis, &reply, &err, "SCRIPT", "FLUSH", NULL), 0);
    weir_reply_free(reply);
    for (int i = 0; i < 2; i++) { /* by EVAL, then by EVALSHA */
        reply = NULL;
        CHECK_INT(weir_redis_script(redis, &reply, &err, &script, 1, 3, argv, lens), 0);
        CHECK_INT(reply->items_len, 3);
        CHECK_TEXT(reply->items[0]->text, "key");
        CHECK_INT(reply->items[1]->len, 3);
        CHECK_INT(reply->items[2]->integer, 2);
        weir_reply_free(reply);
    }
    CHECK_INT(weir_redis_do(redis, &reply, &err, "SCRIPT", "EXISTS", script.sha, NULL), 0);
    CHECK_INT(reply->items[0]->integer, 1);
    weir_reply_free(reply);
    weir_script_init(&script, "return redis.error_reply('FENCED by another')");
    CHECK_INT(weir_redis_script(redis, &reply, &err, &script, 0, 0, NULL, NULL), 0);
    CHECK_INT(reply->type, WEIR_REPLY_ERROR);
    CHECK(strncmp(reply->text, "FENCED", 6) == 0);
    weir_reply_free(reply);
    weir_redis_free(redis);
}

static void test_password(const char *url) {
    struct weir_redis *redis = opened(url, 2000);
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    char with[512];
    CHECK_INT(weir_redis_do(redis, &reply, &err, "ACL", "SETUSER", "weir-test", "on", ">p@ss:w/rd%",
                            "+@all", "~*", NULL),
              0);
    weir_reply_free(reply);
    const char *rest = url + strlen("redis://");
    snprintf(with, sizeof with, "redis://weir-test:p%%40ss%%3Aw%%2Frd%%25@%s", rest);
    struct weir_redis *right = opened(with, 2000);
    CHECK_INT(weir_redis_do(right, &reply, &err, "ACL", "WHOAMI", NULL), 0);
    CHECK_TEXT(reply->text, "weir-test");
    weir_reply_free(reply);
    weir_redis_free(right);

    snprintf(with, sizeof with, "redis://weir-test:hunter2@%s", rest);
    struct weir_redis *wrong = opened(with, 2000);
    CHECK_INT(weir_redis_connect(wrong, &err), -WEIR_ERR_UNREACHABLE);
    CHECK(strstr(err.text, "hunter2") == NULL);
    CHECK(strstr(err.text, "WRONGPASS") != NULL);
    CHECK(!weir_redis_connected(wrong));
    puts(err.text);
    weir_redis_free(wrong);

    CHECK_INT(weir_redis_do(redis, &reply, &err, "ACL", "DELUSER", "weir-test", NULL), 0);
    weir_reply_free(reply);
    weir_redis_free(redis);

    struct weir_redis *db = opened("redis://127.0.0.1:1/0", 500);
    CHECK_INT(weir_redis_connect(db, &err), -WEIR_ERR_UNREACHABLE);
    CHECK(strstr(err.text, "127.0.0.1:1") != NULL);
    puts(err.text);
    weir_redis_free(db);
}

static void test_db_and_socket(const char *url) {
    char other[512];
    snprintf(other, sizeof other, "%.*s/3", (int)(strrchr(url, '/') - url), url);
    struct weir_redis *third = opened(other, 2000);
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_redis_do(third, &reply, &err, "SET", "in-three", "1", NULL), 0);
    weir_reply_free(reply);
    CHECK_INT(weir_redis_do(third, &reply, &err, "CONFIG", "GET", "unixsocket", NULL), 0);
    const char *path = reply->items_len == 2 ? reply->items[1]->text : "";
    if (path[0]) {
        snprintf(other, sizeof other, "unix://%s?db=3", path);
        struct weir_redis *local = opened(other, 2000);
        struct weir_reply *got = NULL;
        CHECK_INT(weir_redis_do(local, &got, &err, "DEL", "in-three", NULL), 0);
        CHECK_INT(got->integer, 1);
        weir_reply_free(got);
        weir_redis_free(local);
    }
    weir_reply_free(reply);
    weir_redis_free(third);
    snprintf(other, sizeof other, "%.*s/999999", (int)(strrchr(url, '/') - url), url);
    struct weir_redis *none = opened(other, 2000);
    CHECK_INT(weir_redis_connect(none, &err), -WEIR_ERR_UNREACHABLE);
    CHECK(strstr(err.text, "out of range") != NULL);
    weir_redis_free(none);
}

static void test_tls(void) {
    const char *url = getenv("REDIS_TLS_URL"), *ca = getenv("REDIS_TLS_CA");
    if (!url || !ca) {
        puts("TLS left out: REDIS_TLS_URL and REDIS_TLS_CA are not set");
        return;
    }
    struct weir_err err = {0};
    struct weir_redis *redis = opened(url, 3000);
    unsetenv("SSL_CERT_FILE");
    CHECK_INT(weir_redis_connect(redis, &err), -WEIR_ERR_UNREACHABLE); /* nobody vouches for it */
    CHECK(strstr(err.text, "self-signed") != NULL);
    puts(err.text);
    setenv("SSL_CERT_FILE", ca, 1);
    CHECK_INT(weir_redis_connect(redis, &err), 0);
    weir_redis_free(redis);
    test_pipeline(url);
    test_timeout(url);

    char other[512]; /* the certificate is for 127.0.0.1 */
    snprintf(other, sizeof other, "rediss://localhost:%s", strrchr(url, ':') + 1);
    redis = opened(other, 3000);
    CHECK_INT(weir_redis_connect(redis, &err), -WEIR_ERR_UNREACHABLE);
    puts(err.text);
    weir_redis_free(redis);
    const char *plain = getenv("REDIS_URL"); /* a server that does not speak TLS */
    snprintf(other, sizeof other, "rediss%s", plain + strlen("redis"));
    redis = opened(other, 3000);
    CHECK_INT(weir_redis_connect(redis, &err), -WEIR_ERR_UNREACHABLE);
    puts(err.text);
    weir_redis_free(redis);
}

int main(void) {
    const char *url = getenv("REDIS_URL");
    signal(SIGPIPE, SIG_IGN);
    if (!url) {
        puts("skipped: REDIS_URL is not set (tests/services/redis.sh start DIR)");
        return 77;
    }
    test_urls();
    test_types(url);
    test_pipeline(url);
    test_large(url);
    test_timeout(url);
    test_script(url);
    test_password(url);
    test_db_and_socket(url);
    test_tls();
    return check_done("redis");
}
