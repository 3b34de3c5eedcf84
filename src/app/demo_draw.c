/* The demo's picture: a frame that is drawn over itself on a terminal, lines where it is piped. */
#include "demo.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "weir/buf.h"

#define FRAME_MAX 65536
#define PIPED_EVERY_MS 15000
#define PIPED_SEGMENTS 5
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

struct frame {
    struct weir_buf text;
    int lines;
    bool color;
};

static const char *style(const struct frame *frame, const char *escape) {
    return frame->color ? escape : "";
}

/* One line; what was there before is cleared to its end. */
static void line(struct frame *frame, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void line(struct frame *frame, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    weir_buf_printf(&frame->text, "%s\033[K\n", text);
    frame->lines++;
}

static void clock_text(char *out, size_t max, int64_t ms) {
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    if (ms <= 0 || !localtime_r(&seconds, &parts) || strftime(out, max, "%H:%M:%S", &parts) == 0)
        snprintf(out, max, "-");
}

static void count_text(char *out, size_t max, int64_t value) {
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%" PRId64, value);
    size_t at = 0;
    for (int i = 0; i < len && at + 2 < max; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

static void share_text(char *out, size_t max, double value) {
    if (isfinite(value))
        snprintf(out, max, "%.2f %%", value * 100);
    else
        snprintf(out, max, "-");
}

static void money_text(char *out, size_t max, double value) {
    char whole[32];
    if (!isfinite(value) || fabs(value) > 9e15) {
        snprintf(out, max, "-");
        return;
    }
    count_text(whole, sizeof whole, (int64_t)value);
    snprintf(out, max, "%s.%02d", whole, (int)(fabs(value - trunc(value)) * 100));
}

struct row_text {
    char as_of[16], sessions[32], conversion[32], bounce[32], abandonment[32], order_value[48],
        revenue[48];
};

static void row_text(struct row_text *out, const struct weir_demo_row *row) {
    clock_text(out->as_of, sizeof out->as_of, row->as_of_ms);
    count_text(out->sessions, sizeof out->sessions, row->sessions);
    share_text(out->conversion, sizeof out->conversion, row->conversion);
    share_text(out->bounce, sizeof out->bounce, row->bounce);
    share_text(out->abandonment, sizeof out->abandonment, row->abandonment);
    money_text(out->order_value, sizeof out->order_value, row->order_value);
    money_text(out->revenue, sizeof out->revenue, row->revenue);
}

/* Eighths of a block, from nothing to the largest of the row; as wide as the history may grow. */
static void sparkline(char *out, size_t max, const struct weir_demo_row *row) {
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double largest = 0;
    for (int i = 0; i < row->history_len; i++)
        if (isfinite(row->history[i]))
            largest = fmax(largest, row->history[i]);
    size_t at = 0;
    for (int i = 0; i < WEIR_DEMO_HISTORY && at + 4 < max; i++) {
        double value = i < row->history_len ? row->history[i] : NAN;
        const char *block = " ";
        if (isfinite(value) && value >= 0 && largest > 0)
            block = blocks[(int)fmin(7, value / largest * 7.999)];
        at += (size_t)snprintf(out + at, max - at, "%s", block);
    }
    out[at] = 0;
}

static void draw_head(struct frame *frame, const struct weir_demo_note *note, int64_t now_ms) {
    char now[16], sent[32], made[48] = "", left[64] = "Ctrl-C ends it";
    clock_text(now, sizeof now, now_ms);
    count_text(sent, sizeof sent, (int64_t)note->sent);
    if (note->incident_ms != 0)
        snprintf(made, sizeof made, "%s records made  ", sent);
    int64_t rest = note->seconds - (now_ms - note->started_ms) / 1000;
    if (note->seconds > 0)
        snprintf(left, sizeof left, "%" PRId64 " s left", rest > 0 ? rest : 0);
    line(frame, "%s", "");
    line(frame, "%sweir%s  %s  %s%s%s%s", style(frame, BOLD), style(frame, PLAIN), now, made,
         style(frame, DIM), left, style(frame, PLAIN));
    line(frame, "API http://%s/api/v1/windows  and /metrics, /api/v1/alerts", note->listen);
    line(frame, "%s", "");
}

static void draw_windows(struct frame *frame, const struct weir_demo_view *view) {
    line(frame, "%s%-9s %11s %11s %9s %12s %12s %14s %9s%s", style(frame, DIM), "window",
         "sessions", "conversion", "bounce", "abandonment", "order value", "revenue", "as of",
         style(frame, PLAIN));
    for (int i = 0; i < WEIR_DEMO_WINDOWS; i++) {
        struct row_text text;
        row_text(&text, &view->windows[i]);
        if (!view->windows[i].known)
            line(frame, "%-9s %11s", view->windows[i].name, "-");
        else
            line(frame, "%-9s %11s %s%11s%s %9s %12s %12s %14s %9s", view->windows[i].name,
                 text.sessions, style(frame, BOLD), text.conversion, style(frame, PLAIN),
                 text.bounce, text.abandonment, text.order_value, text.revenue, text.as_of);
    }
    line(frame, "%s", "");
}

static void draw_segments(struct frame *frame, const struct weir_demo_view *view) {
    if (!view->countries)
        return;
    line(frame, "%s%-9s %11s %11s %9s %12s %12s   conversion, last %s each time%s",
         style(frame, DIM), "country", "sessions", "conversion", "bounce", "abandonment",
         "order value", WEIR_DEMO_WINDOW, style(frame, PLAIN));
    for (int i = 0; i < WEIR_DEMO_COUNTRIES; i++) {
        const struct weir_demo_row *row = &view->segments[i];
        struct row_text text;
        char spark[WEIR_DEMO_HISTORY * 4 + 1];
        if (i >= view->segments_len || !row->known) {
            line(frame, "%s", "");
            continue;
        }
        row_text(&text, row);
        sparkline(spark, sizeof spark, row);
        const char *mark = style(frame, row->firing ? RED : GREEN);
        line(frame, "%-9s %11s %s%11s%s %9s %12s %12s   %s%s%s", row->name, text.sessions, mark,
             text.conversion, style(frame, PLAIN), text.bounce, text.abandonment, text.order_value,
             mark, spark, style(frame, PLAIN));
    }
    line(frame, "%s", "");
}

static void incident_text(char *out, size_t max, const struct weir_demo_note *note,
                          int64_t now_ms) {
    char start[16], end[16];
    int64_t end_ms = note->incident_ms + WEIR_DEMO_INCIDENT_MS;
    clock_text(start, sizeof start, note->incident_ms);
    clock_text(end, sizeof end, end_ms);
    if (note->incident_ms == 0)
        snprintf(out, max, "no incident is injected: this is your traffic");
    else if (now_ms < note->incident_ms)
        snprintf(out, max, "at %s nine payments of ten will begin to fail in %s", start,
                 WEIR_DEMO_COUNTRY);
    else if (now_ms < end_ms)
        snprintf(out, max, "since %s nine payments of ten fail in %s, until %s", start,
                 WEIR_DEMO_COUNTRY, end);
    else
        snprintf(out, max, "from %s to %s nine payments of ten failed in %s", start, end,
                 WEIR_DEMO_COUNTRY);
}

static const char *status_style(const char *status) {
    if (strcmp(status, "firing") == 0)
        return RED;
    return strcmp(status, "resolved") == 0 ? GREEN : PLAIN;
}

static void draw_alerts(struct frame *frame, const struct weir_demo_view *view,
                        const struct weir_demo_note *note, int64_t now_ms) {
    char text[192];
    incident_text(text, sizeof text, note, now_ms);
    line(frame, "%salerts%s   (%s)", style(frame, DIM), style(frame, PLAIN), text);
    uint64_t first = view->alerts_len > WEIR_DEMO_ALERTS ? view->alerts_len - WEIR_DEMO_ALERTS : 0;
    for (uint64_t i = first; i < first + WEIR_DEMO_ALERTS; i++) {
        const struct weir_demo_alert *alert = &view->alerts[i % WEIR_DEMO_ALERTS];
        if (i >= view->alerts_len) {
            line(frame, "%s", "");
            continue;
        }
        clock_text(text, sizeof text, alert->as_of_ms);
        line(frame, "%s  %s%-8s%s  %s  %s  %s", text, style(frame, status_style(alert->status)),
             alert->status, style(frame, PLAIN), alert->rule, alert->segment, alert->summary);
    }
}

static void draw_terminal(struct weir_demo_screen *screen, const struct weir_demo_view *view,
                          const struct weir_demo_note *note, int64_t now_ms) {
    struct frame frame = {.color = screen->color};
    weir_buf_init(&frame.text, FRAME_MAX);
    if (screen->lines > 0)
        weir_buf_printf(&frame.text, "\033[%dA", screen->lines);
    weir_buf_text(&frame.text, "\033[?7l"); /* a line too long is cut, not wrapped */
    draw_head(&frame, note, now_ms);
    draw_windows(&frame, view);
    draw_segments(&frame, view);
    draw_alerts(&frame, view, note, now_ms);
    weir_buf_text(&frame.text, "\033[?7h");
    fwrite(frame.text.data, 1, frame.text.len, stdout);
    fflush(stdout);
    screen->lines = frame.lines;
    weir_buf_close(&frame.text);
}

static void print_row(const char *now, const char *what, const struct weir_demo_row *row) {
    struct row_text text;
    row_text(&text, row);
    printf("%s  %-10s sessions %s  conversion %s  bounce %s  abandonment %s  order value %s\n", now,
           what, text.sessions, text.conversion, text.bounce, text.abandonment, text.order_value);
}

static void print_lines(struct weir_demo_screen *screen, const struct weir_demo_view *view,
                        const struct weir_demo_note *note, int64_t now_ms) {
    char now[16], text[192];
    for (uint64_t i = screen->alerts_len; i < view->alerts_len; i++) {
        if (view->alerts_len - i > WEIR_DEMO_ALERTS)
            continue;
        const struct weir_demo_alert *alert = &view->alerts[i % WEIR_DEMO_ALERTS];
        clock_text(now, sizeof now, alert->as_of_ms);
        printf("%s  alert %s: %s  %s  %s\n", now, alert->status, alert->rule, alert->segment,
               alert->summary);
    }
    screen->alerts_len = view->alerts_len;
    bool moved = view->windows[0].as_of_ms != screen->as_of_ms;
    if (moved || now_ms - screen->printed_ms >= PIPED_EVERY_MS) {
        screen->printed_ms = now_ms;
        screen->as_of_ms = view->windows[0].as_of_ms;
        clock_text(now, sizeof now, now_ms);
        incident_text(text, sizeof text, note, now_ms);
        printf("%s  API http://%s/, %s\n", now, note->listen, text);
        for (int i = 0; i < WEIR_DEMO_WINDOWS; i++)
            if (view->windows[i].known)
                print_row(now, view->windows[i].name, &view->windows[i]);
        for (int i = 0; i < view->segments_len && i < PIPED_SEGMENTS; i++)
            if (view->segments[i].known)
                print_row(now, view->segments[i].name, &view->segments[i]);
    }
    fflush(stdout);
}

void weir_demo_screen_open(struct weir_demo_screen *screen) {
    memset(screen, 0, sizeof *screen);
    const char *term = getenv("TERM");
    struct winsize size = {0};
    screen->terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    /* a frame is drawn over itself only where it fits */
    if (screen->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
        size.ws_row < 28)
        screen->terminal = false;
    screen->color = screen->terminal && !getenv("NO_COLOR");
}

void weir_demo_screen_draw(struct weir_demo_screen *screen, const struct weir_demo_view *view,
                           const struct weir_demo_note *note, int64_t now_ms) {
    if (screen->terminal)
        draw_terminal(screen, view, note, now_ms);
    else
        print_lines(screen, view, note, now_ms);
}
