#include "weir/supervisor.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/err.h"
#include "weir/log.h"
#include "weir/number.h"

#define MESSAGE_MAX 1000

/* The protocol is one datagram a message: no reason to load a library into every process. */
struct weir_supervisor {
    int fd; /* -1: nobody listens */
    int64_t watchdog_us;
};

/* A path, or with '@' a name in the abstract name space. */
static int connect_to(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const struct timeval patience = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (connect(fd, (const struct sockaddr *)&address, size) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int64_t watchdog_us(void) {
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t us = 0, whose = 0;
    if (!text || weir_number_whole(text, &us) != 0 || us < 0)
        return 0;
    if (pid && (weir_number_whole(pid, &whose) != 0 || whose != getpid()))
        return 0; /* meant for the process that started us */
    return us;
}

struct weir_supervisor *weir_supervisor_new(void) {
    struct weir_supervisor *supervisor = calloc(1, sizeof *supervisor);
    WEIR_ASSERT(supervisor != NULL);
    supervisor->fd = -1;
    const char *name = getenv("NOTIFY_SOCKET");
    if (!name || !*name)
        return supervisor;
    supervisor->fd = connect_to(name);
    if (supervisor->fd < 0)
        weir_log(WEIR_LOG_WARN, "supervisor",
                 "cannot use NOTIFY_SOCKET, so systemd does not learn when weir is ready",
                 WEIR_STR("socket", name), WEIR_STR("why", strerror(errno)), WEIR_LOG_END);
    else
        supervisor->watchdog_us = watchdog_us();
    return supervisor;
}

void weir_supervisor_free(struct weir_supervisor *supervisor) {
    if (!supervisor)
        return;
    if (supervisor->fd >= 0)
        close(supervisor->fd);
    free(supervisor);
}

bool weir_supervisor_listens(const struct weir_supervisor *supervisor) {
    return supervisor->fd >= 0;
}

int64_t weir_supervisor_watchdog_us(const struct weir_supervisor *supervisor) {
    return supervisor->watchdog_us;
}

void weir_supervisor_tell(const struct weir_supervisor *supervisor, const char *format, ...) {
    char message[MESSAGE_MAX];
    va_list args;
    if (supervisor->fd < 0)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    ssize_t sent = send(supervisor->fd, message, strlen(message), MSG_NOSIGNAL);
    (void)sent; /* a supervisor that has gone needs no news */
}
