/*
 * redis_proxy: stands between weir and a Redis and misbehaves as a test tells it.
 *
 *   redis_proxy PORT       of the Redis on 127.0.0.1; prints "port N", the port it listens on
 *
 * Orders come as lines on standard input, each answered by one line:
 *   drop SKIP COUNT PART        the command is executed, its reply is lost with the connection
 *   mute SKIP COUNT PART        the command is executed, its reply never comes, and no later one
 *   hold SKIP COUNT PART        the command is kept back and the connection lost; see `deliver`
 *   slow SKIP COUNT PART MS     the command is executed, its reply comes MS later
 *   error SKIP COUNT PART TEXT  the command is not executed; its reply is the error TEXT, and for
 *                               TEXT|TEXT|... the next of them each time
 *   deliver                     sends what is held to the Redis of now; answers with its replies
 *   upstream PORT               another Redis from now on; all connections are lost
 *   count                       how many commands were disturbed since the start
 *   duplicates                  how many replies were DUP since then: a commit that was there
 *   hits                        which commands were disturbed since the last such order: for each
 *                               its verb and what its first keys are called behind their tags, and
 *                               the first word of the error that it got, as `HMGET:meta=LOADING`
 * PART is `*` for any command, or pieces of it as it stands on the wire, all of which it must have,
 * with `&` between them; one that begins with `!` it must not have. Of the commands that fit SKIP
 * pass, one is disturbed, SKIP pass again and so on, until COUNT were disturbed. A new order takes
 * the place of the last. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define LOOKED_AT 2000 /* how far into a command a PART is looked for */
#define MATCH_MAX 200
#define ERRORS_MAX 4000
#define ERROR_MAX 200
#define KEYS_SHOWN 3
#define DUPLICATE "$3\r\nDUP\r\n"

struct bytes {
    char *data;
    size_t len, cap;
};

enum action { PASS, DROP, MUTE, HOLD, FAIL, SLOW };

/* What answers a command: Redis, or the proxy itself. */
struct answer {
    enum action action;
    long due_ms; /* not before */
    char error[ERROR_MAX];
    struct answer *next;
};

struct client {
    int down, up;            /* sockets; down < 0: free */
    struct bytes from, back; /* read from the client, from Redis; not dealt with yet */
    struct answer *first, **last;
    bool mute, over;
};

static struct client clients[CLIENTS_MAX];
static int upstream_port;
static struct bytes held, orders, hits;
static enum action action;
static long skip, passed, left, disturbed, duplicates;
static char part[MATCH_MAX], error_texts[ERRORS_MAX], *error_next = error_texts;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "redis_proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void append(struct bytes *bytes, const char *data, size_t len) {
    if (bytes->len + len > bytes->cap) {
        bytes->cap = (bytes->len + len) * 2;
        bytes->data = realloc(bytes->data, bytes->cap);
        if (!bytes->data)
            die("memory");
    }
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

static void consume(struct bytes *bytes, size_t len) {
    memmove(bytes->data, bytes->data + len, bytes->len - len);
    bytes->len -= len;
}

/* The length of the first whole value of Redis's protocol, 0 while it is not whole. */
static size_t value_len(const char *data, size_t len) {
    const char *end = len ? memchr(data, '\n', len) : NULL;
    if (!end)
        return 0;
    size_t at = (size_t)(end - data) + 1;
    long number = strtol(data + 1, NULL, 10);
    if (data[0] == '$')
        return number < 0 ? at : at + (size_t)number + 2 <= len ? at + (size_t)number + 2 : 0;
    for (long i = 0; data[0] == '*' && i < number; i++) {
        size_t item = value_len(data + at, len - at);
        if (item == 0)
            return 0;
        at += item;
    }
    return at;
}

/* ---- sockets ---- */

static struct sockaddr_in local(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int dial(void) {
    struct sockaddr_in address = local(upstream_port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int listen_anywhere(int *port) {
    struct sockaddr_in address = local(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return fd;
}

static bool send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

static void hang_up(struct client *client) {
    while (client->first) {
        struct answer *next = client->first->next;
        free(client->first);
        client->first = next;
    }
    close(client->down);
    close(client->up);
    free(client->from.data);
    free(client->back.data);
    *client = (struct client){.down = -1, .up = -1};
}

static void welcome(int listener) {
    int down = accept(listener, NULL, NULL), up = dial();
    for (int i = 0; i < CLIENTS_MAX && down >= 0 && up >= 0; i++) {
        if (clients[i].down >= 0)
            continue;
        clients[i] = (struct client){.down = down, .up = up, .last = &clients[i].first};
        return;
    }
    if (down >= 0)
        close(down); /* as a server that is away */
    if (up >= 0)
        close(up);
}

/* ---- commands and replies ---- */

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How long until the next reply may go, -1 when none is held back. */
static int wait_ms(void) {
    long next = -1;
    for (int i = 0; i < CLIENTS_MAX; i++) {
        const struct answer *first = clients[i].down >= 0 ? clients[i].first : NULL;
        if (first && first->due_ms > 0 && (next < 0 || first->due_ms < next))
            next = first->due_ms;
    }
    long now = now_ms();
    return next < 0 ? -1 : next > now ? (int)(next - now) : 0;
}

static bool fits(const char *command, size_t len) {
    size_t looked_at = len < LOOKED_AT ? len : LOOKED_AT, piece_len;
    if (strcmp(part, "*") == 0)
        return true;
    for (const char *piece = part; *piece; piece += piece_len + (piece[piece_len] == '&')) {
        bool absent = *piece == '!';
        piece += absent;
        piece_len = strcspn(piece, "&");
        if (!memmem(command, looked_at, piece, piece_len) != absent)
            return false;
    }
    return true;
}

/* What `hits` shows of a command: its verb, then those of its words that are keys of weir's. */
static void note_hit(const char *command) {
    char *rest;
    long words = strtol(command + 1, &rest, 10), keys = 0;
    const char *at = rest + 2;
    if (hits.len > 0)
        append(&hits, " ", 1);
    for (long word = 0; word < words && keys < KEYS_SHOWN; word++) {
        size_t len = (size_t)strtol(at + 1, &rest, 10);
        const char *text = rest + 2, *tag_end = memmem(text, len, "}:", 2);
        at = text + len + 2;
        if (word == 0)
            append(&hits, text, len);
        if (word == 0 || len < 6 || memcmp(text, "weir:{", 6) != 0 || !tag_end)
            continue;
        append(&hits, keys++ ? "," : ":", 1);
        append(&hits, tag_end + 2, len - (size_t)(tag_end + 2 - text));
    }
    if (action == FAIL) {
        append(&hits, "=", 1);
        append(&hits, error_next, strcspn(error_next, " |"));
    }
}

static enum action judge(const char *command, size_t len) {
    if (left == 0 || !fits(command, len))
        return PASS;
    if (passed++ < skip)
        return PASS;
    passed = 0;
    left--;
    disturbed++;
    note_hit(command);
    return action;
}

static void expect(struct client *client, enum action with) {
    struct answer *answer = calloc(1, sizeof *answer);
    if (!answer)
        die("memory");
    answer->action = with;
    if (with == SLOW)
        answer->due_ms = now_ms() + strtol(error_texts, NULL, 10);
    if (with == FAIL) {
        size_t len = strcspn(error_next, "|");
        snprintf(answer->error, sizeof answer->error, "%.*s", (int)len, error_next);
        error_next = error_next[len] ? error_next + len + 1 : error_texts;
    }
    *client->last = answer;
    client->last = &answer->next;
}

static void on_command(struct client *client, const char *command, size_t len) {
    enum action with = judge(command, len);
    if (with == HOLD) {
        append(&held, command, len);
        client->over = true;
        return;
    }
    expect(client, with);
    if (with != FAIL && !send_all(client->up, command, len))
        client->over = true;
}

/* Gives the client what answers its commands, in their order. */
static void answer(struct client *client) {
    while (client->first && !client->over && !client->mute) {
        size_t len = 0;
        enum action with = client->first->action;
        if (client->first->due_ms > now_ms())
            return;
        client->first->due_ms = 0;
        if (with == FAIL) {
            dprintf(client->down, "-%s\r\n", client->first->error);
        } else {
            len = value_len(client->back.data, client->back.len);
            if (len == 0)
                return;
            duplicates +=
                len == strlen(DUPLICATE) && memcmp(client->back.data, DUPLICATE, len) == 0;
            client->over = with == DROP;
            client->mute = with == MUTE;
            if ((with == PASS || with == SLOW) && !send_all(client->down, client->back.data, len))
                client->over = true;
            consume(&client->back, len);
        }
        struct answer *next = client->first->next;
        free(client->first);
        client->first = next;
        if (!next)
            client->last = &client->first;
    }
}

static bool receive(int fd, struct bytes *bytes) {
    char some[65536];
    ssize_t got = recv(fd, some, sizeof some, 0);
    if (got > 0)
        append(bytes, some, (size_t)got);
    return got > 0;
}

static void serve(struct client *client, bool from_client, bool from_redis) {
    if (from_client && !receive(client->down, &client->from))
        client->over = true;
    if (from_redis && !receive(client->up, &client->back))
        client->over = true;
    size_t len;
    while (!client->over && (len = value_len(client->from.data, client->from.len)) > 0) {
        on_command(client, client->from.data, len);
        consume(&client->from, len);
    }
    answer(client);
    if (client->over)
        hang_up(client);
}

/* ---- orders ---- */

static void deliver(void) {
    struct bytes reply = {0};
    size_t answered = 0;
    int fd = dial();
    if (fd < 0 || held.len == 0 || !send_all(fd, held.data, held.len)) {
        puts("nothing");
    } else {
        long wanted = 0;
        for (size_t at = 0, len; (len = value_len(held.data + at, held.len - at)) > 0; at += len)
            wanted++;
        for (; wanted > 0; wanted--) {
            size_t len;
            while ((len = value_len(reply.data + answered, reply.len - answered)) == 0)
                if (!receive(fd, &reply))
                    die("deliver");
            answered += len;
        }
        for (size_t i = 0; i < answered; i++)
            putchar(reply.data[i] == '\r' || reply.data[i] == '\n' ? ' ' : reply.data[i]);
        putchar('\n');
    }
    if (fd >= 0)
        close(fd);
    free(reply.data);
    held.len = 0;
}

static void obey(char *order) {
    static const struct {
        const char *name;
        enum action action;
    } actions[] = {{"drop", DROP}, {"mute", MUTE}, {"hold", HOLD}, {"error", FAIL}, {"slow", SLOW}};
    char name[16] = "";
    long first = 0, count = 0;
    int text = 0;
    char new_part[MATCH_MAX] = "";
    if (strcmp(order, "deliver") == 0) {
        deliver();
    } else if (strcmp(order, "count") == 0) {
        printf("%ld\n", disturbed);
    } else if (strcmp(order, "duplicates") == 0) {
        printf("%ld\n", duplicates);
    } else if (strcmp(order, "hits") == 0) {
        printf("%.*s\n", (int)hits.len, hits.data ? hits.data : "");
        hits.len = 0;
    } else if (sscanf(order, "upstream %d", &upstream_port) == 1) {
        for (int i = 0; i < CLIENTS_MAX; i++)
            if (clients[i].down >= 0)
                hang_up(&clients[i]);
        puts("ok");
    } else if (sscanf(order, "%15s %ld %ld %199s %n", name, &first, &count, new_part, &text) == 4) {
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
            if (strcmp(name, actions[i].name) == 0)
                action = actions[i].action;
        skip = first;
        left = count;
        snprintf(part, sizeof part, "%s", new_part);
        snprintf(error_texts, sizeof error_texts, "%s", text > 0 ? order + text : "ERR");
        error_next = error_texts;
        passed = 0;
        puts("ok");
    } else {
        puts("what?");
    }
}

static void take_orders(void) {
    char some[4096];
    ssize_t got = read(STDIN_FILENO, some, sizeof some);
    if (got <= 0)
        exit(0);
    append(&orders, some, (size_t)got);
    char *end;
    while (orders.len > 0 && (end = memchr(orders.data, '\n', orders.len)) != NULL) {
        *end = '\0';
        obey(orders.data);
        consume(&orders, (size_t)(end - orders.data) + 1);
    }
}

int main(int argc, char **argv) {
    int port;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    upstream_port = argc == 2 ? atoi(argv[1]) : 0; // 0 is refused below
    if (upstream_port <= 0) {
        fputs("usage: redis_proxy PORT\n", stderr);
        return 2;
    }
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i].down = -1;
    int listener = listen_anywhere(&port);
    printf("port %d\n", port);
    for (;;) {
        struct pollfd fds[2 + 2 * CLIENTS_MAX] = {{STDIN_FILENO, POLLIN, 0}, {listener, POLLIN, 0}};
        for (int i = 0; i < CLIENTS_MAX; i++) {
            fds[2 + 2 * i] = (struct pollfd){clients[i].down, POLLIN, 0};
            fds[3 + 2 * i] = (struct pollfd){clients[i].down < 0 ? -1 : clients[i].up, POLLIN, 0};
        }
        if (poll(fds, 2 + 2 * CLIENTS_MAX, wait_ms()) < 0 && errno != EINTR)
            die("poll");
        for (int i = 0; i < CLIENTS_MAX; i++)
            if (clients[i].down >= 0)
                serve(&clients[i], fds[2 + 2 * i].revents, fds[3 + 2 * i].revents);
        if (fds[1].revents)
            welcome(listener);
        if (fds[0].revents)
            take_orders();
    }
}
