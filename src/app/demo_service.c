/* `weir run` as a child process, in a temporary folder with a config of its own. */
#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir/buf.h"
#include "weir/clock.h"

#define STOP_MS 15000
#define LOG_TAIL 4096
#define CONFIG_MAX 16384
#define ANSWER_MAX 262144

static const char *const files[] = {"weir.yaml", "rules.yaml", "run.log"};

static void path_of(const struct weir_demo_service *service, const char *name, char *out,
                    size_t max) {
    snprintf(out, max, "%s/%s", service->folder, name);
}

/* Nobody listens there now; weir says so itself should somebody take it meanwhile. */
static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    int port = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (bind(fd, (struct sockaddr *)&address, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    close(fd);
    return port;
}

static int write_file(const struct weir_demo_service *service, const char *name,
                      const struct weir_buf *text, struct weir_err *err) {
    char path[512];
    path_of(service, name, path, sizeof path);
    FILE *file = text->failed ? NULL : fopen(path, "we");
    size_t written = file ? fwrite(text->data, 1, text->len, file) : 0;
    if (!file || fclose(file) != 0 || written != text->len)
        return weir_err_set(err, WEIR_ERR_REFUSED, "cannot write %s: %s; is the disk full?", path,
                            strerror(errno));
    return 0;
}

/* A YAML string in double quotes, whatever is in it. */
static void put_quoted(struct weir_buf *out, const char *text) {
    weir_buf_byte(out, '"');
    for (const char *at = text; *at; at++) {
        if (*at == '"' || *at == '\\')
            weir_buf_byte(out, '\\');
        weir_buf_byte(out, (uint8_t)*at);
    }
    weir_buf_byte(out, '"');
}

static int write_config(const struct weir_demo_service *service,
                        const struct weir_demo_options *options, const char *brokers,
                        const char *topic, struct weir_err *err) {
    struct weir_buf text;
    weir_buf_init(&text, CONFIG_MAX);
    weir_buf_text(&text, "kafka:\n  brokers: [");
    put_quoted(&text, brokers);
    weir_buf_text(&text, "]\n  topics: [");
    put_quoted(&text, topic);
    weir_buf_printf(&text, "]\n  group: %s\n  start: earliest\n", service->group);
    /* the address may hold a password: it goes by the environment, not into a file */
    weir_buf_text(&text, "redis: { url: \"${WEIR_DEMO_REDIS}\" }\n"
                         "events:\n  preset: ");
    put_quoted(&text, options->preset);
    if (!options->topic)
        weir_buf_text(&text, "\n  dimensions: { device: device, country: country }");
    weir_buf_text(&text, "\ntime: { out_of_orderness: 1s }\n"
                         "windows: [" WEIR_DEMO_WINDOW ", 1m, 5m]\n"
                         "alerts: { rules_files: [rules.yaml], warm_up: " WEIR_DEMO_WARM_UP " }\n"
                         "sinks: [ { type: log } ]\n"
                         "workers: 1\n"
                         "http: { listen: ");
    put_quoted(&text, service->listen);
    weir_buf_text(&text, " }\n");
    int result = write_file(service, "weir.yaml", &text, err);
    weir_buf_close(&text);
    return result;
}

#define RULES_HEAD "groups:\n  - name: demo\n    rules:"
#define RULES_TAIL                                                                                 \
    "        labels: { severity: page }\n"                                                         \
    "        annotations: { summary: \"Conversion {{value}} ({{num}} of {{den}} sessions), "       \
    "threshold {{threshold}}\" }\n"

/* Of the generated shop: a normal country converts 2.3 % to 3.2 % of its sessions; nine failed
 * payments of ten bring it to 0.3 %. Small countries have no verdict: 30 s are too few sessions. */
static const char rules_shop[] =
    RULES_HEAD "\n      - alert: ConversionDown\n        metric: conversion_rate\n"
               "        window: " WEIR_DEMO_WINDOW "\n        by: [country]\n"
               "        below: 1.6%\n        resolve: 1.7%\n"
               "        min_sample: 1500\n        for: 10s\n" RULES_TAIL;
/* Of traffic that is not known here. */
static const char rules_any[] =
    RULES_HEAD "\n      - alert: ConversionDown\n        metric: conversion_rate\n"
               "        window: 5m\n        drops_by: 30%\n        min_sample: 1000\n"
               "        for: 30s\n" RULES_TAIL;

static int write_rules(const struct weir_demo_service *service, const char *rules,
                       struct weir_err *err) {
    struct weir_buf text;
    weir_buf_init(&text, CONFIG_MAX);
    weir_buf_text(&text, rules);
    int result = write_file(service, "rules.yaml", &text, err);
    weir_buf_close(&text);
    return result;
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static _Noreturn void become_service(const char *config, int log, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* a Ctrl-C reaches the demo alone, and the demo ends the service */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    char name[] = "weir", command[] = "run", option[] = "--config";
    char path[512];
    size_t len = strlen(config);
    memcpy(path, config, len + 1);
    char *argv[] = {name, command, option, path, NULL};
    execv("/proc/self/exe", argv);
    _exit(127);
}

static int spawn(struct weir_demo_service *service, struct weir_err *err) {
    char config[512], path[512];
    path_of(service, "weir.yaml", config, sizeof config);
    path_of(service, "run.log", path, sizeof path);
    int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return weir_err_set(err, WEIR_ERR_REFUSED, "cannot write %s: %s", path, strerror(errno));
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become_service(config, log, parent);
    close(log);
    if (pid < 0)
        return weir_err_set(err, WEIR_ERR_REFUSED, "cannot start a process: %s", strerror(errno));
    service->pid = pid;
    return 0;
}

int weir_demo_service_start(struct weir_demo_service *service,
                            const struct weir_demo_options *options, const char *group,
                            const char *brokers, const char *topic, struct weir_err *err) {
    const char *temporary = getenv("TMPDIR");
    snprintf(service->folder, sizeof service->folder, "%.200s/weir-demo.XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(service->folder)) {
        weir_err_set(err, WEIR_ERR_REFUSED,
                     "cannot make the folder %s: %s; set TMPDIR to one "
                     "that can be written",
                     service->folder, strerror(errno));
        service->folder[0] = 0;
        return -WEIR_ERR_REFUSED;
    }
    snprintf(service->group, sizeof service->group, "%s", group);
    if (options->listen)
        snprintf(service->listen, sizeof service->listen, "%s", options->listen);
    else
        snprintf(service->listen, sizeof service->listen, "127.0.0.1:%d", free_port());
    int result = write_config(service, options, brokers, topic, err);
    if (result == 0)
        result = write_rules(service, options->topic ? rules_any : rules_shop, err);
    if (result == 0 && setenv("WEIR_DEMO_REDIS", options->redis_url, 1) != 0)
        result = weir_err_set(err, WEIR_ERR_REFUSED, "no memory for the environment");
    return result == 0 ? spawn(service, err) : result;
}

static int connect_to(const char *listen) {
    char host[256];
    snprintf(host, sizeof host, "%s", listen);
    char *colon = strrchr(host, ':');
    if (!colon)
        return -1;
    *colon = 0;
    char *name = host;
    size_t len = strlen(host);
    if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = 0;
        name++;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(*name ? name : NULL, colon + 1, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* One GET: the whole answer as text, cut at its ceiling; false when there is none. */
static bool get(const char *listen, const char *path, char *answer, size_t max) {
    char request[128];
    struct timeval limit = {.tv_sec = 1};
    int fd = connect_to(listen);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
    ssize_t got = 0;
    if (send(fd, request, (size_t)len, MSG_NOSIGNAL) == len)
        got = recv(fd, answer, max - 1, MSG_WAITALL); /* to the end, or to the limit */
    close(fd);
    answer[got > 0 ? got : 0] = 0;
    return got > 0;
}

/* Ready, and a worker has partitions: a mock Kafka forgets what nobody reads in time. */
static bool is_ready(const char *listen, char *answer, size_t max) {
    static const char owned[] = "\nweir_worker_partitions{";
    if (!get(listen, "/-/ready", answer, max) || strncmp(answer, "HTTP/1.", 7) != 0 ||
        strncmp(answer + 8, " 200", 4) != 0 || !get(listen, "/metrics", answer, max))
        return false;
    for (const char *at = strstr(answer, owned); at; at = strstr(at + 1, owned)) {
        const char *number = strchr(at, '}');
        if (number && strncmp(number, "} 0", 3) != 0)
            return true;
    }
    return false;
}

bool weir_demo_service_ready(const struct weir_demo_service *service, int64_t timeout_ms) {
    int64_t end_us = weir_clock_monotonic_us() + timeout_ms * 1000;
    char *answer = malloc(ANSWER_MAX);
    bool ready = false, ended = answer == NULL;
    while (!ready && !ended && weir_clock_monotonic_us() < end_us) {
        siginfo_t info = {0};
        ready = is_ready(service->listen, answer, ANSWER_MAX);
        ended = waitid(P_PID, (id_t)service->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                info.si_pid != 0;
        if (!ready && !ended)
            weir_clock_sleep_ms(50);
    }
    free(answer);
    return ready;
}

bool weir_demo_service_alive(struct weir_demo_service *service, int *code) {
    int status = 0;
    if (service->pid == 0 || waitpid(service->pid, &status, WNOHANG) != service->pid)
        return service->pid != 0;
    service->pid = 0;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return false;
}

void weir_demo_service_explain(const struct weir_demo_service *service) {
    char path[512], tail[LOG_TAIL];
    path_of(service, "run.log", path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fseek(file, -(long)sizeof tail, SEEK_END) != 0)
        rewind(file);
    size_t len = fread(tail, 1, sizeof tail, file);
    fprintf(stderr, "the end of the log of weir run:\n");
    fwrite(tail, 1, len, stderr);
    fclose(file);
}

void weir_demo_service_stop(struct weir_demo_service *service) {
    int code = 0;
    if (service->pid != 0) {
        kill(service->pid, SIGTERM);
        int64_t end_us = weir_clock_monotonic_us() + STOP_MS * 1000;
        while (weir_demo_service_alive(service, &code) && weir_clock_monotonic_us() < end_us)
            weir_clock_sleep_ms(20);
        if (service->pid != 0) {
            kill(service->pid, SIGKILL);
            waitpid(service->pid, NULL, 0);
            service->pid = 0;
        }
    }
    if (!service->folder[0])
        return;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        path_of(service, files[i], path, sizeof path);
        unlink(path);
    }
    rmdir(service->folder);
    service->folder[0] = 0;
}
