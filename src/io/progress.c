#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "io/file_progress.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/log.h"

#define QUIET_US 1000000 /* what is done within a second needs no progress */
#define DRAW_EVERY_US 200000
#define CLEAR_TO_END "\033[K"

static size_t at_most(int len, size_t room) {
    return len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

static size_t put_grouped(char *out, size_t room, uint64_t number) {
    char digits[24];
    size_t len =
        at_most(snprintf(digits, sizeof digits, "%llu", (unsigned long long)number), sizeof digits);
    size_t used = 0;
    for (size_t i = 0; i < len && used + 2 < room; i++) {
        out[used++] = digits[i];
        if ((len - i) % 3 == 1 && i + 1 < len)
            out[used++] = ',';
    }
    out[used] = '\0';
    return used;
}

static size_t put_left(char *out, size_t room, double seconds) {
    long long left = (long long)(seconds + 0.5);
    int len;
    if (left < 100)
        len = snprintf(out, room, "  %lld s left", left);
    else if (left < 6000)
        len = snprintf(out, room, "  %lld min %02lld s left", left / 60, left % 60);
    else
        len = snprintf(out, room, "  %lld h %02lld min left", left / 3600, left / 60 % 60);
    return at_most(len, room);
}

size_t weir_progress_text(char *out, const char *what, uint64_t events, int64_t done, int64_t total,
                          int64_t elapsed_us) {
    const size_t room = WEIR_PROGRESS_TEXT_MAX;
    double seconds = (double)(elapsed_us > 0 ? elapsed_us : 1) / 1e6;
    double rate = (double)events / seconds;
    char number[32];
    put_grouped(number, sizeof number, events);
    size_t len = at_most(snprintf(out, room, "%.40s  %s events  ", what, number), room);
    if (rate >= 1e6)
        len += at_most(snprintf(out + len, room - len, "%.2f M/s", rate / 1e6), room - len);
    else if (rate >= 1e4)
        len += at_most(snprintf(out + len, room - len, "%.0f k/s", rate / 1e3), room - len);
    else
        len += at_most(snprintf(out + len, room - len, "%.0f/s", rate), room - len);
    if (total <= 0 || done < 0)
        return len;
    double share = done < total ? (double)done / (double)total : 1;
    len += at_most(snprintf(out + len, room - len, "  %d %%", (int)(share * 100)), room - len);
    double left = share > 0 ? seconds * (1 - share) / share : -1;
    if (left >= 0 && left < 1e7)
        len += put_left(out + len, room - len, left);
    return len;
}

static void draw(const char *text, size_t len, const char *ending) {
    char line[WEIR_PROGRESS_TEXT_MAX + 16];
    size_t used =
        at_most(snprintf(line, sizeof line, "\r%.*s%s", (int)len, text, ending), sizeof line);
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* a terminal that is gone: nobody looks */
}

void weir_progress_start(struct weir_progress *progress, const char *what) {
    *progress = (struct weir_progress){
        .what = what,
        .started_us = weir_clock_monotonic_us(),
        .terminal = -1,
    };
}

void weir_progress_update(struct weir_progress *progress, uint64_t events, int64_t done,
                          int64_t total) {
    if (progress->terminal == -1)
        progress->terminal = isatty(STDERR_FILENO);
    if (!progress->terminal)
        return;
    int64_t now_us = weir_clock_monotonic_us();
    if (now_us - progress->started_us < QUIET_US || now_us - progress->drawn_us < DRAW_EVERY_US)
        return;
    char text[WEIR_PROGRESS_TEXT_MAX];
    size_t len = weir_progress_text(text, progress->what, events, done, total,
                                    now_us - progress->started_us);
    progress->drawn_us = now_us;
    draw(text, len, CLEAR_TO_END);
    weir_log_unfinished(true);
}

void weir_progress_end(struct weir_progress *progress, uint64_t events) {
    if (progress->drawn_us == 0)
        return;
    char text[WEIR_PROGRESS_TEXT_MAX];
    size_t len = weir_progress_text(text, progress->what, events, 0, 0,
                                    weir_clock_monotonic_us() - progress->started_us);
    draw(text, len, CLEAR_TO_END "\n");
    weir_log_unfinished(false);
    progress->drawn_us = 0;
}
