/* The truth beside the data, as JSON: what was set, what was drawn, what came out. */
#include "core/traffic_internal.h"

#include <jansson.h>

#define TRUTH_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(12))

static json_t *time_json(int64_t time_ms) {
    char text[32];
    if (time_ms < 0 || time_ms > WEIR_TIME_MAX_MS)
        return json_null();
    weir_traffic_time_text(time_ms, text);
    return json_string(text);
}

static json_t *count_json(uint64_t count) {
    return json_integer((json_int_t)count);
}

static json_t *ratio_json(uint64_t over, uint64_t under) {
    return under > 0 ? json_real((double)over / (double)under) : json_null();
}

static json_t *counts_json(const struct weir_traffic_counts *counts) {
    json_t *json = json_object();
    json_object_set_new(json, "sessions", count_json(counts->sessions));
    json_object_set_new(json, "bounced", count_json(counts->bounced));
    json_object_set_new(json, "page_views", count_json(counts->page_views));
    json_object_set_new(json, "cart_sessions", count_json(counts->carts));
    json_object_set_new(json, "converted", count_json(counts->converted));
    json_object_set_new(json, "checkouts", count_json(counts->checkouts));
    json_object_set_new(json, "purchases", count_json(counts->purchases));
    json_object_set_new(json, "refunds", count_json(counts->refunds));
    json_object_set_new(json, "revenue", json_real((double)counts->revenue_cents / 100.0));
    json_object_set_new(json, "conversion_rate", ratio_json(counts->converted, counts->sessions));
    json_object_set_new(json, "bounce_rate", ratio_json(counts->bounced, counts->sessions));
    json_object_set_new(json, "cart_abandonment_rate",
                        counts->carts >= counts->converted
                            ? ratio_json(counts->carts - counts->converted, counts->carts)
                            : json_null());
    return json;
}

static json_t *incident_json(const struct weir_traffic *traffic, size_t index) {
    const struct weir_traffic_incident *incident = &traffic->incidents[index];
    const struct weir_traffic_effect *effect = &traffic->effects[index];
    bool endless = incident->end_ms == INT64_MAX;
    int64_t end_ms = endless ? traffic->end_ms : incident->end_ms;
    bool falls = incident->change < 0, money = incident->metric == WEIR_TRAFFIC_VALUE;
    json_t *json = json_object(), *segment = json_object();
    json_object_set_new(json, "metric", json_string(weir_traffic_metric_name(incident->metric)));
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++)
        if (incident->segment[i] >= 0)
            json_object_set_new(segment, weir_traffic_dimension(i),
                                json_string(weir_traffic_value(i, incident->segment[i])));
    json_object_set_new(json, "segment", segment);
    json_object_set_new(json, "direction", json_string(falls ? "down" : "up"));
    json_object_set_new(json, "size", json_real(falls ? -incident->change : incident->change));
    json_object_set_new(json, "shape", json_string(weir_traffic_shape_name(incident->shape)));
    json_object_set_new(json, "start", time_json(incident->start_ms));
    json_object_set_new(json, "start_ms", json_integer(incident->start_ms));
    json_object_set_new(json, "end", time_json(end_ms));
    json_object_set_new(json, "end_ms", end_ms < INT64_MAX ? json_integer(end_ms) : json_null());
    double unit = money ? 100.0 : 1.0; /* cents to EUR */
    json_object_set_new(json, "draws", count_json(effect->draws));
    json_object_set_new(json, "expected", json_real(effect->expected / unit));
    json_object_set_new(json, "without", json_real(effect->without / unit));
    json_object_set_new(json, "actual", json_real(effect->actual / unit));
    json_object_set_new(json, "suppressed", json_real((effect->without - effect->actual) / unit));
    json_object_set_new(json, "seen", counts_json(&effect->seen));
    return json;
}

static json_t *traits_json(const struct weir_traffic_parameters *p, int dimension) {
    json_t *values = json_object();
    for (size_t i = 0; i < p->traits_len[dimension]; i++) {
        const struct weir_traffic_trait *trait = &p->traits[dimension][i];
        json_t *json = json_object();
        json_object_set_new(json, "share", json_real(trait->share));
        json_object_set_new(json, "bounce", json_real(trait->bounce));
        json_object_set_new(json, "cart", json_real(trait->cart));
        json_object_set_new(json, "checkout", json_real(trait->checkout));
        json_object_set_new(json, "purchase", json_real(trait->purchase));
        if (dimension == WEIR_TRAFFIC_CATEGORY) {
            json_object_set_new(json, "price_median", json_real(trait->price_median));
            json_object_set_new(json, "price_sigma", json_real(trait->price_sigma));
        }
        json_object_set_new(values, trait->name, json);
    }
    return values;
}

static json_t *parameters_json(const struct weir_traffic *traffic) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"bounce", p->bounce},
                   {"cart", p->cart},
                   {"second_cart", p->second_cart},
                   {"remove", p->remove},
                   {"checkout", p->checkout},
                   {"purchase", p->purchase},
                   {"returning", p->returning},
                   {"returning_factor", p->returning_factor},
                   {"bots", p->bots},
                   {"session_start", p->session_start},
                   {"session_end", p->session_end},
                   {"interaction", p->interaction},
                   {"refund", p->refund},
                   {"pages_median", p->pages_median},
                   {"pages_sigma", p->pages_sigma},
                   {"think_median_s", p->think_median_s},
                   {"think_sigma", p->think_sigma},
                   {"pay_median_s", p->pay_median_s},
                   {"pay_sigma", p->pay_sigma}};
    json_t *json = json_object(), *hours = json_array(), *weekdays = json_array();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_object_set_new(json, numbers[i].name, json_real(numbers[i].value));
    for (int i = 0; i < 24; i++)
        json_array_append_new(hours, json_real(traffic->options.level ? 1.0 : p->hours[i]));
    for (int i = 0; i < 7; i++)
        json_array_append_new(weekdays, json_real(traffic->options.level ? 1.0 : p->weekdays[i]));
    json_object_set_new(json, "hours", hours);
    json_object_set_new(json, "weekdays", weekdays);
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++)
        json_object_set_new(json, weir_traffic_dimension(i), traits_json(p, i));
    return json;
}

static json_t *totals_json(const struct weir_traffic_totals *totals) {
    json_t *json = counts_json(&totals->counts), *types = json_object();
    json_object_set_new(json, "events", count_json(totals->events));
    json_object_set_new(json, "bot_sessions", count_json(totals->bot_sessions));
    json_object_set_new(json, "bot_events", count_json(totals->bot_events));
    json_object_set_new(json, "sessions_before", count_json(totals->sessions_before));
    for (int i = 0; i < WEIR_UNKNOWN_TYPE; i++)
        json_object_set_new(types, weir_event_type_name(i), count_json(totals->types[i]));
    json_object_set_new(json, "types", types);
    return json;
}

static json_t *faults_json(const struct weir_traffic *traffic) {
    json_t *json = json_object(), *reasons = json_object();
    for (int i = 0; i < WEIR_TRAFFIC_FAULTS; i++) {
        json_t *fault = json_object();
        json_object_set_new(fault, "share", json_real(traffic->options.faults[i]));
        json_object_set_new(fault, "records", count_json(traffic->totals.faults[i]));
        json_object_set_new(json, weir_traffic_fault_name((enum weir_traffic_fault)i), fault);
    }
    for (int i = 0; i < WEIR_REASONS; i++)
        if (traffic->totals.malformed[i] > 0)
            json_object_set_new(reasons, weir_reason_name((enum weir_reason)i),
                                count_json(traffic->totals.malformed[i]));
    json_object_set_new(json_object_get(json, "malformed"), "reasons", reasons);
    return json;
}

char *weir_traffic_truth(const struct weir_traffic *traffic) {
    const struct weir_traffic_options *options = &traffic->options;
    json_t *json = json_object(), *incidents = json_array();
    json_object_set_new(json, "seed", count_json(options->seed));
    json_object_set_new(json, "start", time_json(options->start_ms));
    json_object_set_new(json, "start_ms", json_integer(options->start_ms));
    json_object_set_new(
        json, "last",
        time_json(traffic->totals.last_ms > 0 ? traffic->totals.last_ms : options->start_ms));
    json_object_set_new(json, "sessions_per_second", json_real(options->sessions_per_second));
    json_object_set_new(json, "level", json_boolean(options->level));
    json_object_set_new(json, "warm_up_ms", json_integer(options->warm_up_ms));
    for (size_t i = 0; i < options->incidents_len; i++)
        json_array_append_new(incidents, incident_json(traffic, i));
    json_object_set_new(json, "incidents", incidents);
    json_object_set_new(json, "totals", totals_json(&traffic->totals));
    json_object_set_new(json, "faults", faults_json(traffic));
    json_object_set_new(json, "parameters", parameters_json(traffic));
    char *text = json_dumps(json, TRUTH_FLAGS);
    json_decref(json);
    return text;
}
