#include "core/presets.h"

#include <string.h>

static const struct weir_preset_type no_types[] = {{NULL, 0}};

/* Only pages, screens and product views are page views: a list or a promotion is shown several
 * times on one page (three a page in Snowplow's demonstration shop). */
static const struct weir_preset_type ga4_types[] = {
    {"page_view", WEIR_PAGE_VIEW},
    {"screen_view", WEIR_PAGE_VIEW},
    {"view_item", WEIR_PAGE_VIEW},
    {"_page_view", WEIR_PAGE_VIEW},
    {"_screen_view", WEIR_PAGE_VIEW},
    {"session_start", WEIR_SESSION_START},
    {"first_visit", WEIR_SESSION_START},
    {"first_open", WEIR_SESSION_START},
    {"_session_start", WEIR_SESSION_START},
    {"_first_open", WEIR_SESSION_START},
    {"add_to_cart", WEIR_ADD_TO_CART},
    {"remove_from_cart", WEIR_REMOVE_FROM_CART},
    {"begin_checkout", WEIR_BEGIN_CHECKOUT},
    {"purchase", WEIR_PURCHASE},
    {"in_app_purchase", WEIR_PURCHASE},
    {"ecommerce_purchase", WEIR_PURCHASE},
    {"refund", WEIR_REFUND},
    {"user_engagement", WEIR_INTERACTION},
    {"scroll", WEIR_INTERACTION},
    {"click", WEIR_INTERACTION},
    {"file_download", WEIR_INTERACTION},
    {"form_start", WEIR_INTERACTION},
    {"form_submit", WEIR_INTERACTION},
    {"video_start", WEIR_INTERACTION},
    {"video_progress", WEIR_INTERACTION},
    {"video_complete", WEIR_INTERACTION},
    {"search", WEIR_INTERACTION},
    {"view_search_results", WEIR_INTERACTION},
    {"view_item_list", WEIR_INTERACTION},
    {"select_item", WEIR_INTERACTION},
    {"view_promotion", WEIR_INTERACTION},
    {"select_promotion", WEIR_INTERACTION},
    {"select_content", WEIR_INTERACTION},
    {"view_cart", WEIR_INTERACTION},
    {"add_to_wishlist", WEIR_INTERACTION},
    {"add_shipping_info", WEIR_INTERACTION},
    {"add_payment_info", WEIR_INTERACTION},
    {"login", WEIR_INTERACTION},
    {"sign_up", WEIR_INTERACTION},
    {"share", WEIR_INTERACTION},
    {"generate_lead", WEIR_INTERACTION},
    {"join_group", WEIR_INTERACTION},
    {"tutorial_begin", WEIR_INTERACTION},
    {"tutorial_complete", WEIR_INTERACTION},
    {"_user_engagement", WEIR_INTERACTION},
    {"_scroll", WEIR_INTERACTION},
    {"_click", WEIR_INTERACTION},
    {"_search", WEIR_INTERACTION},
    {NULL, 0},
};

static const struct weir_preset_type segment_types[] = {
    {"page", WEIR_PAGE_VIEW},
    {"screen", WEIR_PAGE_VIEW},
    {"Product Viewed", WEIR_PAGE_VIEW},
    {"Viewed Product", WEIR_PAGE_VIEW},
    {"Product Added", WEIR_ADD_TO_CART},
    {"Added Product", WEIR_ADD_TO_CART},
    {"Wishlist Product Added to Cart", WEIR_ADD_TO_CART},
    {"Product Removed", WEIR_REMOVE_FROM_CART},
    {"Removed Product", WEIR_REMOVE_FROM_CART},
    {"Checkout Started", WEIR_BEGIN_CHECKOUT},
    {"Order Completed", WEIR_PURCHASE},
    {"Completed Order", WEIR_PURCHASE},
    {"Order Refunded", WEIR_REFUND},
    {"Products Searched", WEIR_INTERACTION},
    {"Product List Viewed", WEIR_INTERACTION},
    {"Viewed Product Category", WEIR_INTERACTION},
    {"Product List Filtered", WEIR_INTERACTION},
    {"Promotion Viewed", WEIR_INTERACTION},
    {"Promotion Clicked", WEIR_INTERACTION},
    {"Product Clicked", WEIR_INTERACTION},
    {"Cart Viewed", WEIR_INTERACTION},
    {"Checkout Step Viewed", WEIR_INTERACTION},
    {"Checkout Step Completed", WEIR_INTERACTION},
    {"Payment Info Entered", WEIR_INTERACTION},
    {"Order Updated", WEIR_INTERACTION},
    {"Order Cancelled", WEIR_INTERACTION},
    {"Coupon Entered", WEIR_INTERACTION},
    {"Coupon Applied", WEIR_INTERACTION},
    {"Coupon Denied", WEIR_INTERACTION},
    {"Coupon Removed", WEIR_INTERACTION},
    {"Product Added to Wishlist", WEIR_INTERACTION},
    {"Product Removed from Wishlist", WEIR_INTERACTION},
    {"Product Shared", WEIR_INTERACTION},
    {"Cart Shared", WEIR_INTERACTION},
    {"Product Reviewed", WEIR_INTERACTION},
    {NULL, 0},
};

static const struct weir_preset_type snowplow_types[] = {
    {"page_view", WEIR_PAGE_VIEW},
    {"screen_view", WEIR_PAGE_VIEW},
    {"product_view", WEIR_PAGE_VIEW},
    {"add_to_cart", WEIR_ADD_TO_CART},
    {"remove_from_cart", WEIR_REMOVE_FROM_CART},
    {"checkout_step", WEIR_BEGIN_CHECKOUT}, /* there is no other sign of a checkout */
    {"transaction", WEIR_PURCHASE},
    {"refund", WEIR_REFUND},
    {"page_ping", WEIR_INTERACTION},
    {"list_view", WEIR_INTERACTION},
    {"list_click", WEIR_INTERACTION},
    {"promo_view", WEIR_INTERACTION},
    {"promo_click", WEIR_INTERACTION},
    {"link_click", WEIR_INTERACTION},
    {"button_click", WEIR_INTERACTION},
    {"site_search", WEIR_INTERACTION},
    {"transaction_error", WEIR_INTERACTION},
    {NULL, 0},
};

static const struct weir_preset_type rees46_types[] = {
    {"view", WEIR_PAGE_VIEW},
    {"cart", WEIR_ADD_TO_CART},
    {"remove_from_cart", WEIR_REMOVE_FROM_CART},
    {"purchase", WEIR_PURCHASE},
    {NULL, 0},
};

static const struct weir_preset_type otto_types[] = {
    {"clicks", WEIR_PAGE_VIEW},
    {"carts", WEIR_ADD_TO_CART},
    {"orders", WEIR_PURCHASE},
    {NULL, 0},
};

#define PARAM(name, kind) "event_params[key=" name "].value." kind
#define SNOWPLOW_ACTION                                                                            \
    "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1.type"
#define SNOWPLOW_TRANSACTION_ID                                                                    \
    "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1[0].transaction_id"
#define SNOWPLOW_CONTEXT(path) "contexts_com_snowplowanalytics_snowplow_" path

static const struct weir_preset presets[] =
    {
        {.name = "weir",
         .own_names = true,
         .types = no_types,
         .fields =
             {
                 [WEIR_FIELD_TYPE] = {"type"},
                 [WEIR_FIELD_TIME] = {"time"},
                 [WEIR_FIELD_SESSION] = {"session"},
                 [WEIR_FIELD_VISITOR] = {"visitor"},
                 [WEIR_FIELD_EVENT_ID] = {"event_id"},
                 [WEIR_FIELD_ORDER_ID] = {"order_id"},
                 [WEIR_FIELD_VALUE] = {"value"},
                 [WEIR_FIELD_CURRENCY] = {"currency"},
                 [WEIR_FIELD_QUANTITY] = {"quantity"},
                 [WEIR_FIELD_USER_AGENT] = {"user_agent"},
             }},
        /* In this order: a hit as a server-side container sees it; Measurement Protocol (`params`);
         * rows of the BigQuery export (`event_params`, `ecommerce`); the AWS SDK (`attributes`). */
        {.name = "ga4",
         .types = ga4_types,
         .lists = {{"events", false}, {"data", true}},
         .fields =
             {
                 [WEIR_FIELD_TYPE] = {"event_name", "name", "event_type"},
                 [WEIR_FIELD_TIME] = {"timestamp_micros", "event_timestamp", "timestamp",
                                      "x-sst-system_properties.request_start_time_ms",
                                      "server_ingest_time", "ingest_time"},
                 [WEIR_FIELD_SESSION] = {"ga_session_id", "params.session_id",
                                         "params.ga_session_id",
                                         PARAM("ga_session_id", "int_value"),
                                         PARAM("ga_session_id", "string_value"),
                                         "attributes._session_id"},
                 [WEIR_FIELD_VISITOR] = {"client_id", "user_pseudo_id", "app_instance_id",
                                         "unique_id", "user_id"},
                 [WEIR_FIELD_CLIENT] = {"client_id", "user_pseudo_id", "app_instance_id",
                                        "unique_id"},
                 [WEIR_FIELD_EVENT_ID] = {"event_id", "event_key"},
                 [WEIR_FIELD_ORDER_ID] =
                     {"transaction_id", "params.transaction_id", "ecommerce.transaction_id",
                      PARAM("transaction_id", "string_value"), PARAM("transaction_id", "int_value"),
                      "attributes.transaction_id"},
                 [WEIR_FIELD_VALUE] = {"value", "params.value", "ecommerce.purchase_revenue",
                                       PARAM("value", "double_value"),
                                       PARAM("value", "float_value"), PARAM("value", "int_value"),
                                       "attributes.value"},
                 [WEIR_FIELD_CURRENCY] = {"currency", "params.currency",
                                          PARAM("currency", "string_value"), "attributes.currency"},
                 [WEIR_FIELD_QUANTITY] = {"ecommerce.total_item_quantity",
                                          "items[0].quantity", "params.items[0].quantity"},
                 [WEIR_FIELD_USER_AGENT] = {"user_agent", "ua"},
             }},
        /* revenue is Segment's own word for what an order brings in, without shipping and taxes. */
        {.name = "segment",
         .types = segment_types,
         .lists = {{"batch", false}},
         .fields =
             {
                 [WEIR_FIELD_TYPE] = {"event", "type"},
                 [WEIR_FIELD_TIME] = {"timestamp", "originalTimestamp", "sentAt", "receivedAt"},
                 [WEIR_FIELD_SESSION] = {"context.sessionId", "context.session_id",
                                         "properties.session_id", "properties.sessionId"},
                 [WEIR_FIELD_VISITOR] = {"anonymousId", "userId"},
                 [WEIR_FIELD_EVENT_ID] = {"messageId"},
                 [WEIR_FIELD_ORDER_ID] = {"properties.order_id", "properties.orderId"},
                 [WEIR_FIELD_VALUE] = {"properties.revenue", "properties.total", "properties.value",
                                       "properties.price"},
                 [WEIR_FIELD_CURRENCY] = {"properties.currency"},
                 [WEIR_FIELD_QUANTITY] = {"properties.quantity"},
                 [WEIR_FIELD_USER_AGENT] = {"context.userAgent"},
             }},
        /* Events by purpose (`payload`), then the flat names of enriched events. */
        {.name = "snowplow",
         .types = snowplow_types,
         .fields =
             {
                 [WEIR_FIELD_TYPE] = {"type", SNOWPLOW_ACTION, "event_name", "event"},
                 [WEIR_FIELD_TIME] = {"timestamp", "derived_tstamp", "metadata.collector_tstamp",
                                      "collector_tstamp"},
                 [WEIR_FIELD_SESSION] = {"session.sessionId", "domain_sessionid",
                                         SNOWPLOW_CONTEXT("client_session_1[0].sessionId")},
                 [WEIR_FIELD_VISITOR] =
                     {"enrich.user.domain_userid", "session.userId", "domain_userid",
                      "contexts_com_snowplowanalytics_snowplow_client_session_1[0].userId",
                      "network_userid", "user_id"},
                 [WEIR_FIELD_EVENT_ID] = {"id", "event_id"},
                 [WEIR_FIELD_ORDER_ID] = {"payload.transaction.transaction_id",
                                          "payload.transaction_id",
                                          SNOWPLOW_TRANSACTION_ID, "payload.refund.transaction_id",
                                          "tr_orderid"},
                 [WEIR_FIELD_VALUE] = {"payload.transaction.revenue",
                                       "payload.revenue", "payload.refund.refund_amount",
                                       SNOWPLOW_CONTEXT("ecommerce_transaction_1[0].revenue"),
                                       SNOWPLOW_CONTEXT("ecommerce_refund_1[0].refund_amount"),
                                       "tr_total", "payload.product.price"},
                 [WEIR_FIELD_CURRENCY] = {"payload.transaction.currency", "payload.currency",
                                          "payload.refund.currency",
                                          SNOWPLOW_CONTEXT("ecommerce_transaction_1[0].currency"),
                                          SNOWPLOW_CONTEXT("ecommerce_refund_1[0].currency"),
                                          "tr_currency", "payload.product.currency"},
                 [WEIR_FIELD_QUANTITY] = {"payload.transaction.total_quantity",
                                          "payload.product.quantity"},
                 [WEIR_FIELD_USER_AGENT] = {"enrich.client.useragent", "useragent"},
             }},
        {.name = "rees46",
         .types = rees46_types,
         .fields =
             {
                 [WEIR_FIELD_TYPE] = {"event_type"},
                 [WEIR_FIELD_TIME] = {"event_time"},
                 [WEIR_FIELD_SESSION] = {"user_session"},
                 [WEIR_FIELD_VISITOR] = {"user_id"},
                 [WEIR_FIELD_VALUE] = {"price"},
             }},
        {.name = "otto",
         .types = otto_types,
         .lists = {{"events", false}},
         .fields =
             {
                 [WEIR_FIELD_TYPE] = {"type"},
                 [WEIR_FIELD_TIME] = {"ts"},
                 [WEIR_FIELD_SESSION] = {"session"},
             }},
};

static const char *const names[] = {"weir", "ga4", "segment", "snowplow", "rees46", "otto", NULL};

const char *const *weir_mapping_presets(void) {
    return names;
}

const struct weir_preset *weir_preset_of(const char *name) {
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}
