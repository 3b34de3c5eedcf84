/* The real records of shared/data through both parsers, and how many there are of each type,
 * counted apart (by hand for the small files, by Python for REES46 and OTTO). */
#include "test_decode.h"

struct file_case {
    const char *path, *preset;
    size_t records;
    size_t types[WEIR_UNKNOWN_TYPE + 1]; /* by enum weir_event_type */
    size_t reasons[WEIR_REASONS];        /* of single events */
    int64_t purchased_micros;
};

static const struct file_case files[] = {
    {.path = "data/rees46/multicategory-2019-10-01.jsonl",
     .preset = "rees46",
     .records = 17434,
     .types = {[WEIR_PAGE_VIEW] = 17055, [WEIR_ADD_TO_CART] = 165, [WEIR_PURCHASE] = 214},
     .purchased_micros = 59442630000},
    {.path = "data/rees46/cosmetics-2022-oct.jsonl",
     .preset = "rees46",
     .records = 999,
     .types = {[WEIR_PAGE_VIEW] = 319,
               [WEIR_ADD_TO_CART] = 287,
               [WEIR_REMOVE_FROM_CART] = 252,
               [WEIR_PURCHASE] = 141},
     .purchased_micros = -1},
    {.path = "data/rees46/cosmetics-2022-nov.jsonl",
     .preset = "rees46",
     .records = 999,
     .types = {[WEIR_PAGE_VIEW] = 474,
               [WEIR_ADD_TO_CART] = 274,
               [WEIR_REMOVE_FROM_CART] = 217,
               [WEIR_PURCHASE] = 34},
     .purchased_micros = -1},
    {.path = "data/rees46/cosmetics-2022-dec.jsonl",
     .preset = "rees46",
     .records = 999,
     .types = {[WEIR_PAGE_VIEW] = 459,
               [WEIR_ADD_TO_CART] = 292,
               [WEIR_REMOVE_FROM_CART] = 166,
               [WEIR_PURCHASE] = 82},
     .purchased_micros = -1},
    {.path = "data/rees46/cosmetics-2023-jan.jsonl",
     .preset = "rees46",
     .records = 999,
     .types = {[WEIR_PAGE_VIEW] = 496,
               [WEIR_ADD_TO_CART] = 237,
               [WEIR_REMOVE_FROM_CART] = 240,
               [WEIR_PURCHASE] = 26},
     .purchased_micros = -1},
    {.path = "data/rees46/cosmetics-2023-feb.jsonl",
     .preset = "rees46",
     .records = 999,
     .types = {[WEIR_PAGE_VIEW] = 573,
               [WEIR_ADD_TO_CART] = 210,
               [WEIR_REMOVE_FROM_CART] = 176,
               [WEIR_PURCHASE] = 40},
     .purchased_micros = -1},
    {.path = "data/otto/events.jsonl",
     .preset = "otto",
     .records = 862,
     .types = {[WEIR_PAGE_VIEW] = 800, [WEIR_ADD_TO_CART] = 52, [WEIR_PURCHASE] = 10}},
    /* Examples of a specification: they have neither a time nor a user. */
    {.path = "data/formats/segment/segment_ecommerce_events.jsonl",
     .preset = "segment",
     .records = 25,
     .reasons = {[WEIR_NO_TIME] = 25}},
    /* 9 list_view, 8 page_view, 3 promo_view, 1 list_click, 1 product_view, 1 add_to_cart, 3
     * checkout_step */
    {.path = "data/formats/snowplow/successful_checkout.jsonl",
     .preset = "snowplow",
     .records = 26,
     .types = {[WEIR_PAGE_VIEW] = 9,
               [WEIR_INTERACTION] = 13,
               [WEIR_ADD_TO_CART] = 1,
               [WEIR_BEGIN_CHECKOUT] = 3}},
    /* Click3 */
    {.path = "data/formats/ga4/aws_clickstream_sdk_original_data_with_items.json",
     .preset = "ga4",
     .records = 1,
     .types = {[WEIR_UNKNOWN_TYPE] = 1}},
    /* first_visit, twice */
    {.path = "data/formats/ga4/ga4_bq_export_rows.jsonl",
     .preset = "ga4",
     .records = 2,
     .types = {[WEIR_SESSION_START] = 2}},
    /* select_item */
    {.path = "data/formats/ga4/server-items.json",
     .preset = "ga4",
     .records = 1,
     .types = {[WEIR_INTERACTION] = 1}},
    /* user_engagement */
    {.path = "data/formats/ga4/server-session-start.json",
     .preset = "ga4",
     .records = 1,
     .types = {[WEIR_INTERACTION] = 1}},
    {.path = "data/formats/ga4/server-single.json",
     .preset = "ga4",
     .records = 3,
     .types = {[WEIR_PAGE_VIEW] = 3}},
    /* login */
    {.path = "data/formats/ga4/server-user-props.json",
     .preset = "ga4",
     .records = 1,
     .types = {[WEIR_INTERACTION] = 1}},
};

struct tally {
    size_t records, events, types[WEIR_UNKNOWN_TYPE + 1], reasons[WEIR_REASONS];
    int64_t purchased_micros;
};

static void count(struct tally *tally, const struct weir_decoded *decoded) {
    tally->records++;
    if (decoded->reason != WEIR_OK)
        tally->reasons[decoded->reason]++;
    for (size_t i = 0; i < decoded->len; i++) {
        const struct weir_event *event = &decoded->events[i];
        tally->events++;
        if (event->reason != WEIR_OK) {
            tally->reasons[event->reason]++;
            continue;
        }
        tally->types[event->type]++;
        if (event->type == WEIR_PURCHASE)
            tally->purchased_micros += event->value_micros;
    }
}

static void check_file(const struct file_case *want) {
    char path[1024];
    struct both both;
    const struct weir_name_pair dimensions[] = {{"country", "geo.country"}, {"brand", "brand"}};
    struct weir_mapping_options options = {
        .preset = want->preset, .dimensions = dimensions, .dimensions_len = 2};
    struct tally tally = {0};
    if (!shared_path(path, sizeof(path), want->path)) {
        printf("skipped: %s is not there\n", want->path);
        return;
    }
    FILE *file = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0, differ = 0;
    CHECK(both_open(&both, &options));
    for (ssize_t len; file && (len = getline(&line, &cap, file)) > 0;) {
        differ += !both_decode(&both, line, (size_t)len) || both.ref.reason != WEIR_OK;
        count(&tally, &both.fast);
    }
    CHECK_INT(differ, 0);
    CHECK_INT(tally.records, want->records);
    CHECK_INT(tally.events, want->records);
    for (int type = 0; type <= WEIR_UNKNOWN_TYPE; type++)
        CHECK_INT(tally.types[type], want->types[type]);
    for (int reason = 0; reason < WEIR_REASONS; reason++)
        CHECK_INT(tally.reasons[reason], want->reasons[reason]);
    if (want->purchased_micros >= 0)
        CHECK_INT(tally.purchased_micros, want->purchased_micros);
    both_close(&both);
    free(line);
    if (file)
        fclose(file);
}

/* Segment's examples with what a real call has besides. */
static void check_segment_in_a_batch(void) {
    char path[1024], record[8192];
    struct both both;
    struct weir_mapping_options options = {.preset = "segment"};
    struct tally tally = {0};
    if (!shared_path(path, sizeof(path), "data/formats/segment/segment_ecommerce_events.jsonl"))
        return;
    FILE *file = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0;
    CHECK(both_open(&both, &options));
    for (ssize_t len; file && (len = getline(&line, &cap, file)) > 0;) {
        int size = snprintf(record, sizeof(record),
                            "{\"sentAt\":\"2023-11-14T22:13:20Z\",\"anonymousId\":\"a\","
                            "\"batch\":[%s]}",
                            line);
        CHECK(both_decode(&both, record, (size_t)size));
        CHECK(both.ref.reason == WEIR_OK);
        count(&tally, &both.fast);
    }
    CHECK_INT(tally.events, 25);
    CHECK_INT(tally.types[WEIR_PAGE_VIEW], 1);        /* Product Viewed */
    CHECK_INT(tally.types[WEIR_ADD_TO_CART], 2);      /* Product Added, from the wishlist too */
    CHECK_INT(tally.types[WEIR_REMOVE_FROM_CART], 1); /* Product Removed */
    CHECK_INT(tally.types[WEIR_BEGIN_CHECKOUT], 1);   /* Checkout Started */
    CHECK_INT(tally.types[WEIR_PURCHASE], 1);         /* Order Completed */
    CHECK_INT(tally.types[WEIR_REFUND], 1);           /* Order Refunded */
    CHECK_INT(tally.types[WEIR_INTERACTION], 18);
    CHECK_INT(tally.types[WEIR_UNKNOWN_TYPE], 0);
    CHECK_INT(tally.purchased_micros, 22500000); /* its revenue, not its total of 27.5 */
    both_close(&both);
    free(line);
    if (file)
        fclose(file);
}

/* One record over many lines. */
static void check_product_view(void) {
    char path[1024], bytes[8192], line[EVENT_LINE_MAX];
    struct both both;
    if (!shared_path(path, sizeof(path), "data/formats/snowplow/product_view.json"))
        return;
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
    struct weir_name_pair zone = {"zone", "enrich.client.device.os_timezone"};
    CHECK(both_open(&both, &(struct weir_mapping_options){
                               .preset = "snowplow", .dimensions = &zone, .dimensions_len = 1}));
    CHECK(both_decode(&both, bytes, len));
    CHECK_INT(both.fast.len, 1);
    if (both.fast.len == 1) {
        both.fast.events[0].user_agent.data = NULL;
        event_line(&both.fast.events[0], line);
        CHECK_TEXT(line, "page_view 1743777219968 session=116cf32d-74ac-4d54-aae1-65277a0ea749 "
                         "visitor=67430c52-68fb-4277-baeb-b6033403094a "
                         "event_id=e9081481-82fb-4e7f-9771-82ce58dc22a3 value=42.99 "
                         "d0=Europe/Amsterdam");
    }
    both_close(&both);
    if (file)
        fclose(file);
}

int main(void) {
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        check_file(&files[i]);
    check_segment_in_a_batch();
    check_product_view();
    return check_done("decode_data");
}
