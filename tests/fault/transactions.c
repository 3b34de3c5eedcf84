/*
 * transactions: a producer that writes in transactions and gives up every third of them.
 *
 *   transactions BROKERS TOPIC COUNT   COUNT: records of one transaction
 *
 * Records come as lines "key<tab>value" on standard input; those of a transaction that is given up
 * are lost. The last one is always given up, so that the topic ends with what nobody may count.
 * Prints the lines that were committed.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 30000
#define LINES_MAX 1000

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "transactions: %s: %s\n", what, why);
    exit(1);
}

static void check(rd_kafka_error_t *error, const char *what) {
    if (error)
        die(what, rd_kafka_error_string(error));
}

static rd_kafka_t *producer_new(const char *brokers) {
    const char *const settings[][2] = {{"bootstrap.servers", brokers},
                                       {"transactional.id", "weir-test-transactions"}};
    char words[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], words, sizeof words) != 0)
            die(settings[i][0], words);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
    if (!rk)
        die("producer", words);
    check(rd_kafka_init_transactions(rk, TIMEOUT_MS), "init");
    return rk;
}

static void produce(rd_kafka_t *rk, const char *topic, const char *line) {
    const char *tab = strchr(line, '\t');
    if (!tab)
        die("a line without a tab", line);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY((void *)(uintptr_t)line, (size_t)(tab - line)),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)(tab + 1), strlen(tab + 1)), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("produce", rd_kafka_err2str(code));
}

/* Takes up to `count` lines; returns how many there were. */
static int take(char **lines, int count) {
    size_t cap = 0;
    int len = 0;
    for (; len < count; len++) {
        lines[len] = NULL;
        ssize_t got = getline(&lines[len], &cap, stdin);
        if (got <= 0) {
            free(lines[len]);
            break;
        }
        lines[len][strcspn(lines[len], "\n")] = '\0';
        cap = 0;
    }
    return len;
}

int main(int argc, char **argv) {
    char *lines[LINES_MAX];
    int count = argc == 4 ? atoi(argv[3]) : 0;
    if (count < 1 || count > LINES_MAX) {
        fputs("usage: transactions BROKERS TOPIC COUNT\n", stderr);
        return 2;
    }
    rd_kafka_t *rk = producer_new(argv[1]);
    int len = take(lines, count);
    for (int number = 1; len > 0; number++) {
        char *next[LINES_MAX];
        int next_len = take(next, count);
        bool give_up = number % 3 == 0 || next_len == 0;
        check(rd_kafka_begin_transaction(rk), "begin");
        for (int i = 0; i < len; i++)
            produce(rk, argv[2], lines[i]);
        if (rd_kafka_flush(rk, TIMEOUT_MS) != 0)
            die("flush", "out of time");
        if (give_up)
            check(rd_kafka_abort_transaction(rk, TIMEOUT_MS), "abort");
        else
            check(rd_kafka_commit_transaction(rk, TIMEOUT_MS), "commit");
        for (int i = 0; i < len; i++) {
            if (!give_up)
                puts(lines[i]);
            free(lines[i]);
        }
        memcpy(lines, next, sizeof lines);
        len = next_len;
    }
    rd_kafka_destroy(rk);
    return 0;
}
