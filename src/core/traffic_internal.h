/*
 * traffic_internal: what the files of the traffic generator share; nobody else includes it.
 *
 * traffic_table the parameters; traffic_session how a session goes on; traffic_effect what
 * incidents change; traffic_render the bytes; traffic_faults what is held back or damaged;
 * traffic the queue that puts it all in order. One thread, no I/O, no clock.
 */
#ifndef WEIR_TRAFFIC_INTERNAL_H
#define WEIR_TRAFFIC_INTERNAL_H

#include "weir/buf.h"
#include "weir/traffic.h"

enum weir_traffic_axis { /* the order of the dimensions */
                         WEIR_TRAFFIC_DEVICE,
                         WEIR_TRAFFIC_COUNTRY,
                         WEIR_TRAFFIC_CHANNEL,
                         WEIR_TRAFFIC_CATEGORY
};

/* One value of a dimension. The factors of a session's four values are multiplied with the base
 * probability of weir_traffic_parameters. */
struct weir_traffic_trait {
    const char *name;
    double share; /* of the visitors; the shares of a dimension add up to 1 */
    double bounce, cart, checkout, purchase;
    double price_median, price_sigma; /* category only: EUR, sigma of the logarithm */
    const char *text;                 /* channel: the referrer of its visits */
};

struct weir_traffic_agent {
    const char *text;
    int device; /* -1: a bot's */
};

struct weir_traffic_parameters {
    double hours[24];   /* relative weight at each full hour UTC, straight lines between */
    double weekdays[7]; /* relative weight from Monday on */

    double bounce;                /* base, times the factors of device and channel */
    double bounce_interacts;      /* of bounces: one interaction within 8 s */
    double cart;                  /* per product view, times the factors of all four */
    double second_cart;           /* per product view with a cart already */
    double remove;                /* after an add_to_cart */
    double checkout;              /* at the end of browsing with a cart, times device and country */
    double purchase;              /* at the end of a checkout, times device and country */
    double returning;             /* visitors who were here before */
    double returning_factor;      /* on their cart probability */
    double bots;                  /* of sessions */
    double session_start;         /* sessions whose first event is one */
    double session_end;           /* engaged sessions whose last event is one */
    double interaction;           /* instead of the next page */
    double product_page;          /* of page views */
    double refund, again, thanks; /* after a purchase: refund, more browsing, thank-you page */
    double persists;              /* after a failed checkout: one more page */

    /* log-normal, none beyond WEIR_TRAFFIC_CUT sigmas */
    double pages_median, pages_sigma;   /* pages after the first, when engaged */
    double think_median_s, think_sigma; /* between two events */
    double pay_median_s, pay_sigma;     /* from checkout to purchase */
    double refund_min_s, refund_max_s;
    double bot_think_min_s, bot_think_max_s;
    unsigned bot_pages_min, bot_pages_max;

    const struct weir_traffic_trait *traits[WEIR_TRAFFIC_DIMENSIONS];
    size_t traits_len[WEIR_TRAFFIC_DIMENSIONS];
    const struct weir_traffic_agent *agents;
    size_t agents_len;
};
const struct weir_traffic_parameters *weir_traffic_parameters(void);

enum weir_traffic_step {
    WEIR_STEP_START,
    WEIR_STEP_LANDING,
    WEIR_STEP_PAGE,
    WEIR_STEP_INTERACTION,
    WEIR_STEP_ADD,
    WEIR_STEP_REMOVE,
    WEIR_STEP_CHECKOUT,
    WEIR_STEP_PURCHASE,
    WEIR_STEP_THANKS,
    WEIR_STEP_REFUND,
    WEIR_STEP_END,
    WEIR_STEP_GONE /* no event: the session is over */
};

enum weir_traffic_flag {
    WEIR_FLAG_BOT = 1,
    WEIR_FLAG_RETURNING = 2,
    WEIR_FLAG_BOUNCE = 4,
    WEIR_FLAG_HAD_CART = 8,
    WEIR_FLAG_BEFORE = 16,  /* began in the warm-up */
    WEIR_FLAG_GAVE_UP = 32, /* its checkout failed: no second try */
    WEIR_FLAG_CART_NEW = 64 /* the add_to_cart being written is its first */
};

/* One cache line. */
struct weir_traffic_session {
    uint64_t random;                 /* state of its own generator */
    uint64_t number;                 /* n-th candidate: its ids are hashes of it */
    uint64_t visitor;                /* a number like it */
    uint32_t next;                   /* in the queue's bucket or the free list */
    uint32_t cart_cents, last_cents; /* last_cents: of the last add_to_cart */
    uint32_t product;                /* on the page, 0: none */
    uint32_t value_cents;            /* of the event that is being written */
    uint16_t events, pages_left;
    uint8_t cart_quantity, last_quantity, quantity; /* quantity: of the event being written */
    uint8_t orders;
    uint8_t step; /* enum weir_traffic_step of the event to come */
    uint8_t flags;
    uint8_t agent;
    uint8_t segment[WEIR_TRAFFIC_DIMENSIONS];
};

/* Bytes that are copied into every event. */
#define WEIR_TRAFFIC_VALUES_MAX 16 /* of a dimension */
#define WEIR_TRAFFIC_AGENTS_MAX 16
struct weir_traffic_piece {
    char text[250];
    uint8_t len;
};

/* The calendar queue: one bucket a millisecond, a ring over the longest silence. */
#define WEIR_TRAFFIC_RING (1u << 21)
struct weir_traffic_queue {
    uint32_t *heads; /* slot + 1, 0: empty */
    uint64_t *bits;  /* one a bucket: not empty */
    int64_t at_ms;   /* every entry is in [at_ms, at_ms + ring) */
    uint64_t len;
};

struct weir_traffic_held {
    int64_t at_ms, time_ms;
    uint64_t order; /* of equal at_ms the first held comes first */
    char *line;     /* key, then line; owned */
    size_t len;
};

struct weir_traffic_faults {
    bool any;
    uint64_t random;
    struct weir_traffic_held *heap;
    size_t len, cap;
    uint64_t order;
    char *given; /* the line that the caller holds */
};

struct weir_traffic {
    struct weir_traffic_options options; /* incidents points to the copy below */
    struct weir_traffic_incident incidents[WEIR_TRAFFIC_INCIDENTS_MAX];
    struct weir_traffic_effect effects[WEIR_TRAFFIC_INCIDENTS_MAX];
    size_t incidents_of[WEIR_TRAFFIC_METRICS];
    struct weir_traffic_totals totals;
    int64_t end_ms; /* INT64_MAX: none */
    bool stopped;

    double arrival_peak; /* candidates a second: the rate at the cycle's and incidents' top */
    double accept_scale; /* cycle x this = share of candidates that come */
    uint64_t arrivals;   /* state of their generator */
    int64_t arrival_us;  /* the next candidate */
    uint64_t candidates;

    struct weir_traffic_session *sessions;
    uint32_t sessions_len, sessions_cap, sessions_free;
    struct weir_traffic_queue queue;

    struct weir_traffic_piece values[WEIR_TRAFFIC_DIMENSIONS][WEIR_TRAFFIC_VALUES_MAX];
    struct weir_traffic_piece agents[WEIR_TRAFFIC_AGENTS_MAX]; /* to the end of the line */
    int64_t second;                                            /* whose text is in `stamp` */
    char stamp[24];                                            /* "2026-01-05T00:00:00." */
    struct weir_traffic_faults faults;
    bool has_ready; /* `line` waits for what is held back before it */
    int64_t ready_ms;
    char key[WEIR_TRAFFIC_KEY_LEN];
    size_t line_len;
    char line[WEIR_TRAFFIC_LINE_MAX];
};

/* traffic_session */
enum weir_event_type weir_traffic_step_type(const struct weir_traffic_session *session);
/* Draws who the n-th candidate is. */
void weir_traffic_session_init(const struct weir_traffic *traffic,
                               struct weir_traffic_session *session, uint64_t number);
/* Does what the step at `time_ms` does to the session, before it is written. */
void weir_traffic_session_fire(struct weir_traffic *traffic, struct weir_traffic_session *session,
                               int64_t time_ms);
/* Sets the next step and returns its time, or leaves WEIR_STEP_GONE. */
int64_t weir_traffic_session_advance(struct weir_traffic *traffic,
                                     struct weir_traffic_session *session, int64_t time_ms);

/* traffic_effect */
bool weir_traffic_draw(struct weir_traffic *traffic, struct weir_traffic_session *session,
                       enum weir_traffic_metric metric, double probability, int64_t time_ms);
uint32_t weir_traffic_change_value(struct weir_traffic *traffic,
                                   const struct weir_traffic_session *session, uint32_t cents,
                                   int64_t time_ms);
void weir_traffic_count_start(struct weir_traffic *traffic,
                              const struct weir_traffic_session *session, int64_t time_ms);
void weir_traffic_count_event(struct weir_traffic *traffic,
                              const struct weir_traffic_session *session, int64_t time_ms);

/* traffic_render: init makes the pieces; render writes line and key. */
void weir_traffic_render_init(struct weir_traffic *traffic);
void weir_traffic_render(struct weir_traffic *traffic, const struct weir_traffic_session *session,
                         int64_t time_ms);
/* "2026-01-05T00:00:00.000Z", 24 bytes and a NUL. */
void weir_traffic_time_text(int64_t time_ms, char *text);

/* traffic_faults. `apply` may hold back traffic->line or add records to what is held; returns 1
 * when the line is to be given now, 0 when it is held, or a negative code. */
int weir_traffic_faults_apply(struct weir_traffic *traffic, int64_t time_ms, struct weir_err *err);
bool weir_traffic_faults_due(const struct weir_traffic *traffic, int64_t before_ms);
void weir_traffic_faults_take(struct weir_traffic *traffic, struct weir_traffic_record *record);
void weir_traffic_faults_close(struct weir_traffic *traffic);

#endif
