/* The admin beside a Redis that hangs: one thread answers everybody, so that who asks for Redis may
 * not keep all others waiting. The Redis is a real one of this test's own, which it freezes. */
#include "app/admin.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "weir/clock.h"
#include "weir/redis.h"

#define TIMEOUT_MS 2000 /* the admin's */

static char folder[] = "/tmp/weir-test-frozen-XXXXXX";
static char socket_path[64], url[80], group_text[] = "test.frozen";

static pid_t start_redis(void) {
    WEIR_ASSERT(mkdtemp(folder) != NULL);
    snprintf(socket_path, sizeof socket_path, "%s/redis", folder);
    snprintf(url, sizeof url, "unix://%s", socket_path);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--save",
               "", "--dir", folder, "--logfile", "/dev/null", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool answers(void) {
    struct weir_redis *redis = NULL;
    struct weir_reply *reply = NULL;
    struct weir_err err;
    WEIR_ASSERT(weir_redis_new(&redis, url, 1000, &err) == 0);
    bool good = weir_redis_do(redis, &reply, &err, "PING", NULL) == 0;
    weir_reply_free(reply);
    weir_redis_free(redis);
    return good;
}

static const char *no_query(const struct weir_request *request, const char *name) {
    (void)request;
    (void)name;
    return NULL;
}

/* The status; how long it took, in ms, into `took_ms`. */
static int ask(struct weir_admin *admin, const char *path, int64_t *took_ms) {
    struct weir_request request = {.method = "GET", .path = path, .query = no_query};
    struct weir_response response = {.status = 200};
    int64_t since_us = weir_clock_monotonic_us();
    weir_buf_init(&response.body, 1 << 20);
    weir_admin_handle(admin, &request, &response);
    weir_buf_close(&response.body);
    *took_ms = (weir_clock_monotonic_us() - since_us) / 1000;
    return response.status;
}

static void test_frozen(struct weir_admin *admin, pid_t server) {
    static const char *const paths[] = {"/-/ready",       "/api/v1/windows", "/api/v1/segments",
                                        "/api/v1/series", "/api/v1/alerts",  "/api/v1/partitions"};
    int64_t took_ms;
    CHECK_INT(ask(admin, "/-/ready", &took_ms), 200);
    kill(server, SIGSTOP);
    CHECK_INT(ask(admin, "/-/ready", &took_ms), 503);
    CHECK(took_ms >= TIMEOUT_MS);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK_INT(ask(admin, paths[i], &took_ms), 503); /* at once: it was just away */
        CHECK(took_ms < TIMEOUT_MS / 4);
    }
    kill(server, SIGCONT);
    for (int i = 0; i < 100 && ask(admin, "/-/ready", &took_ms) != 200; i++)
        weir_clock_sleep_ms(100); /* soon it is asked again */
    CHECK_INT(ask(admin, "/-/ready", &took_ms), 200);
    CHECK_INT(ask(admin, "/api/v1/windows", &took_ms), 200);
}

int main(void) {
    struct weir_config config = {.kafka = {.group = group_text},
                                 .redis_url = url,
                                 .plan = {.windows_ms = {60000}, .windows_len = 1}};
    struct weir_service service = {.config = &config};
    struct weir_admin *admin = NULL;
    struct weir_err err = {0};
    pid_t server = start_redis();
    for (int i = 0; i < 200 && !answers(); i++)
        weir_clock_sleep_ms(50);
    pthread_mutex_init(&service.lock, NULL);
    CHECK_INT(weir_admin_new(&admin, &service, &err), 0);
    test_frozen(admin, server);
    weir_admin_free(admin);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    rmdir(folder);
    return check_done("admin_frozen");
}
