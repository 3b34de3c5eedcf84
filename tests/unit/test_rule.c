/* Rules: every transition as a table of scripts, and properties over seeded random samples. */
#include "weir/rule.h"

#include <math.h>
#include <stdlib.h>

#include "check.h"

/* One step of a script: at second `at`, a value, its denominator, and what must come of it. */
struct step {
    int at;
    double value, den;
    char quality; /* 's' suspect, 'q' silenced, else good */
    enum weir_alert_change change;
    enum weir_alert_state state;
};

struct script {
    const char *name;
    struct times {
        int for_s, keep_s, repeat_s;
    } times;
    struct step steps[10]; /* ends at second 0 */
};

#define LOW 0.02  /* below 0.025: holds */
#define MID 0.026 /* between threshold and resolve */
#define HIGH 0.03

static const struct script scripts[] = {
    {"stays inactive",
     {0, 0, 0},
     {{1, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_INACTIVE},
      {2, 0.025, 1000, 0, WEIR_NO_CHANGE, WEIR_INACTIVE},
      {3, LOW, 99, 0, WEIR_NO_CHANGE, WEIR_INACTIVE},
      {4, NAN, 1000, 0, WEIR_NO_CHANGE, WEIR_INACTIVE}}},
    {"fires at once without for, ends at once without keep",
     {0, 0, 0},
     {{1, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {2, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {3, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE},
      {4, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"pending for the whole of for",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {69, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_PENDING},
      {70, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"one good sample ends pending",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {40, MID, 1000, 0, WEIR_BECAME_INACTIVE, WEIR_INACTIVE},
      {70, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {129, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_PENDING},
      {130, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"hysteresis: only back beyond resolve is over",
     {0, 0, 0},
     {{1, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {2, MID, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {3, 0.027, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE},
      {4, MID, 1000, 0, WEIR_NO_CHANGE, WEIR_INACTIVE}}},
    {"keep_firing_for bridges a gap, and a relapse starts it anew",
     {0, 30, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {40, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {50, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {79, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {80, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE}}},
    {"too small a sample keeps every state",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {80, LOW, 99, 0, WEIR_NO_CHANGE, WEIR_PENDING},
      {90, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {100, HIGH, 99, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {110, NAN, 0, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {120, HIGH, 100, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE}}},
    {"repeats while firing, without a verdict and while kept too",
     {0, 100, 60},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {69, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {70, LOW, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING},
      {129, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {135, LOW, 1, 0, WEIR_STILL_FIRING, WEIR_FIRING},
      {195, HIGH, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING},
      {295, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE}}},
    {"old and equal samples change nothing",
     {0, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {10, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {9, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {9, HIGH, 1000, 's', WEIR_NO_CHANGE, WEIR_FIRING},
      {11, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE},
      {11, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_INACTIVE}}},
    {"suspect: inactive only where it would hold",
     {60, 0, 0},
     {{1, HIGH, 1000, 's', WEIR_NO_CHANGE, WEIR_INACTIVE},
      {2, NAN, 0, 's', WEIR_NO_CHANGE, WEIR_INACTIVE},
      {3, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {4, LOW, 1000, 's', WEIR_NO_CHANGE, WEIR_SUSPECT},
      {5, HIGH, 1000, 's', WEIR_NO_CHANGE, WEIR_SUSPECT},
      {6, HIGH, 1000, 0, WEIR_BECAME_INACTIVE, WEIR_INACTIVE}}},
    {"suspect, then good and it holds: pending from there",
     {60, 0, 0},
     {{10, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {100, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {159, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_PENDING},
      {160, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"suspect, then good and it holds, without for",
     {0, 0, 0},
     {{10, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {20, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"suspect, then no verdict: nothing is known, nothing is told",
     {0, 0, 0},
     {{10, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {20, LOW, 5, 0, WEIR_BECAME_INACTIVE, WEIR_INACTIVE}}},
    {"pending through suspect waits for the whole of for again",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {40, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {80, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {139, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_PENDING},
      {140, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"pending through suspect and over",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {20, HIGH, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {30, HIGH, 1000, 0, WEIR_BECAME_INACTIVE, WEIR_INACTIVE}}},
    {"pending through suspect without a verdict",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {20, HIGH, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {30, LOW, 1, 0, WEIR_BECAME_INACTIVE, WEIR_INACTIVE}}},
    {"firing through suspect goes on",
     {60, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_PENDING, WEIR_PENDING},
      {70, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {80, HIGH, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {90, MID, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {95, NAN, 0, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {99, HIGH, 1, 0, WEIR_BECAME_FIRING, WEIR_FIRING}}},
    {"firing through suspect and over",
     {0, 0, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {30, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE}}},
    {"keep_firing_for starts after suspect",
     {0, 30, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, HIGH, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {60, HIGH, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {89, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {90, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE}}},
    {"keep_firing_for goes on through suspect",
     {0, 30, 0},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, HIGH, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {30, HIGH, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {50, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE}}},
    {"silenced when it fires: told at the first sample without the silence, then by the interval",
     {0, 0, 60},
     {{10, LOW, 1000, 'q', WEIR_BECAME_FIRING, WEIR_FIRING},
      {90, LOW, 1000, 'q', WEIR_NO_CHANGE, WEIR_FIRING},
      {100, LOW, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING},
      {159, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {160, LOW, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING}}},
    {"silenced when it fires: told afterwards without an interval too, and without a verdict",
     {30, 0, 0},
     {{10, LOW, 1000, 'q', WEIR_BECAME_PENDING, WEIR_PENDING},
      {40, LOW, 1000, 'q', WEIR_BECAME_FIRING, WEIR_FIRING},
      {50, LOW, 1, 0, WEIR_STILL_FIRING, WEIR_FIRING},
      {60, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING}}},
    {"silenced when it fires and over afterwards",
     {0, 0, 0},
     {{10, LOW, 1000, 'q', WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, HIGH, 1000, 0, WEIR_BECAME_RESOLVED, WEIR_INACTIVE},
      {30, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {40, HIGH, 1000, 'q', WEIR_BECAME_RESOLVED, WEIR_INACTIVE},
      {50, LOW, 1000, 'q', WEIR_BECAME_FIRING, WEIR_FIRING},
      {60, LOW, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING}}},
    {"silenced later: a repeat that is due waits for the end of the silence",
     {0, 0, 60},
     {{10, LOW, 1000, 0, WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, LOW, 1000, 'q', WEIR_NO_CHANGE, WEIR_FIRING},
      {30, LOW, 1000, 0, WEIR_NO_CHANGE, WEIR_FIRING},
      {80, LOW, 1000, 'q', WEIR_NO_CHANGE, WEIR_FIRING},
      {90, LOW, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING}}},
    {"silenced out of suspect",
     {0, 0, 0},
     {{10, LOW, 1000, 'q', WEIR_BECAME_FIRING, WEIR_FIRING},
      {20, LOW, 1000, 's', WEIR_BECAME_SUSPECT, WEIR_SUSPECT},
      {30, LOW, 1000, 'q', WEIR_BECAME_FIRING, WEIR_FIRING},
      {40, LOW, 1000, 0, WEIR_STILL_FIRING, WEIR_FIRING}}},
};

static struct weir_rule a_rule(void) {
    return (struct weir_rule){
        .condition = WEIR_BELOW, .threshold = 0.025, .resolve = 0.027, .min_sample = 100};
}

static struct weir_ratio ratio(double value, double den) {
    return (struct weir_ratio){.den = (int64_t)den, .value = value};
}

static void run_script(const struct script *script) {
    struct weir_rule rule = a_rule();
    struct weir_alert alert = {0};
    uint32_t changes = 0;
    rule.for_ms = script->times.for_s * 1000;
    rule.keep_firing_for_ms = script->times.keep_s * 1000;
    for (const struct step *step = script->steps; step->at; step++) {
        struct weir_sample sample = {.now = ratio(step->value, step->den),
                                     .suspect = step->quality == 's',
                                     .silenced = step->quality == 'q',
                                     .as_of_ms = step->at * 1000};
        enum weir_alert_change change =
            weir_rule_step(&rule, &alert, &sample, script->times.repeat_s * 1000);
        changes += change != WEIR_NO_CHANGE;
        bool right = change == step->change && alert.state == step->state;
        CHECK(right);
        if (!right)
            printf("  \"%s\" at %d s: change %d, state %s\n", script->name, step->at, (int)change,
                   weir_alert_state_name(alert.state));
    }
    CHECK_INT(alert.changes, changes);
}

static void test_times(void) {
    struct weir_rule rule = a_rule();
    struct weir_alert alert = {0};
    rule.for_ms = 60000;
    struct weir_sample sample = {.now = ratio(LOW, 1000), .as_of_ms = 10000};
    weir_rule_step(&rule, &alert, &sample, 0);
    sample.as_of_ms = 80000;
    weir_rule_step(&rule, &alert, &sample, 0);
    CHECK_INT(alert.starts_ms, 10000);
    CHECK_INT(alert.since_ms, 80000);
    CHECK_INT(alert.sent_ms, 80000);
    sample.suspect = true;
    sample.as_of_ms = 90000;
    weir_rule_step(&rule, &alert, &sample, 0);
    sample.suspect = false;
    sample.as_of_ms = 95000;
    CHECK_INT(weir_rule_step(&rule, &alert, &sample, 0), WEIR_BECAME_FIRING);
    CHECK_INT(alert.starts_ms, 10000); /* the same alert, not a new one */
    sample.now = ratio(HIGH, 1000);
    sample.as_of_ms = 100000;
    CHECK_INT(weir_rule_step(&rule, &alert, &sample, 0), WEIR_BECAME_RESOLVED);
    CHECK_INT(alert.starts_ms, 10000);
    CHECK_INT(alert.since_ms, 100000); /* ends_at */
    CHECK_INT(alert.changes, 5);
}

/* Whether anybody was told goes with the alert, to its end. */
static void test_sent(void) {
    struct weir_rule rule = a_rule();
    struct weir_alert alert = {0};
    struct weir_sample sample = {.now = ratio(LOW, 1000), .silenced = true, .as_of_ms = 1000};
    weir_rule_step(&rule, &alert, &sample, 0);
    CHECK_INT(alert.sent_ms, 0);
    sample = (struct weir_sample){.now = ratio(HIGH, 1000), .as_of_ms = 2000};
    CHECK_INT(weir_rule_step(&rule, &alert, &sample, 0), WEIR_BECAME_RESOLVED);
    CHECK_INT(alert.sent_ms, 0);
    sample = (struct weir_sample){.now = ratio(LOW, 1000), .as_of_ms = 3000};
    weir_rule_step(&rule, &alert, &sample, 0);
    sample = (struct weir_sample){.now = ratio(HIGH, 1000), .as_of_ms = 4000};
    CHECK_INT(weir_rule_step(&rule, &alert, &sample, 0), WEIR_BECAME_RESOLVED);
    CHECK_INT(alert.sent_ms, 3000);
}

struct verdict {
    enum weir_condition condition;
    double threshold, resolve;
    struct weir_ratio now, previous;
    bool firing;
    int holds;
};

static void test_verdicts(void) {
    const struct verdict verdicts[] = {
        {WEIR_BELOW, 5, 6, {0, 100, 4.9}, {0}, false, 1},
        {WEIR_BELOW, 5, 6, {0, 100, 5}, {0}, false, 0},
        {WEIR_BELOW, 5, 6, {0, 100, 5.9}, {0}, true, 1},
        {WEIR_BELOW, 5, 6, {0, 100, 6}, {0}, true, 0},
        {WEIR_ABOVE, 5, 4, {0, 100, 5}, {0}, false, 0},
        {WEIR_ABOVE, 5, 4, {0, 100, 5.1}, {0}, false, 1},
        {WEIR_ABOVE, 5, 4, {0, 100, 4.1}, {0}, true, 1},
        {WEIR_ABOVE, 5, 4, {0, 100, 4}, {0}, true, 0},
        {WEIR_ABOVE, 5, 4, {0, 99, 9}, {0}, false, -1},
        {WEIR_ABOVE, 5, 4, {0, 100, NAN}, {0}, true, -1},
        {WEIR_ABOVE, 5, 4, {0, 100, INFINITY}, {0}, false, -1},
        {WEIR_BELOW, 0, 0, {0, 100, -0.1}, {0}, false, 1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0.04}, {0, 100, 0.05}, false, 1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0.0401}, {0, 100, 0.05}, false, 0},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0.045}, {0, 100, 0.05}, true, 1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0.0451}, {0, 100, 0.05}, true, 0},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0.04}, {0, 99, 0.05}, false, -1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 99, 0.04}, {0, 100, 0.05}, false, -1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0}, {0, 100, 0}, false, -1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0}, {0, 100, NAN}, false, -1},
        {WEIR_DROPS_BY, 0.2, 0.1, {0, 100, 0.06}, {0, 100, 0.05}, false, 0},
        {WEIR_DROPS_BY, 1.0, 1.0, {0, 100, 0}, {0, 100, 0.05}, false, 1},
        {WEIR_RISES_BY, 0.2, 0.1, {0, 100, 0.06}, {0, 100, 0.05}, false, 1},
        {WEIR_RISES_BY, 0.2, 0.1, {0, 100, 0.0599}, {0, 100, 0.05}, false, 0},
        {WEIR_RISES_BY, 0.2, 0.1, {0, 100, 0.055}, {0, 100, 0.05}, true, 1},
        {WEIR_RISES_BY, 0.2, 0.1, {0, 100, 0.04}, {0, 100, 0.05}, true, 0},
        {WEIR_RISES_BY, 0.2, 0.1, {0, 100, 0.06}, {0, 100, -0.05}, false, -1},
    };
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        const struct verdict *want = &verdicts[i];
        struct weir_rule rule = a_rule();
        rule.condition = want->condition;
        rule.threshold = want->threshold;
        rule.resolve = want->resolve;
        struct weir_sample sample = {.now = want->now, .previous = want->previous};
        int holds = weir_rule_holds(&rule, &sample, want->firing);
        CHECK_INT(holds, want->holds);
        if (holds != want->holds)
            printf("  verdict %zu\n", i);
    }
}

static uint64_t next_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* What the outside may rely on, said without the machine: firing begins only at the end of a run of
 * samples that held and were good, with no good sample against it, at least `for` long; it ends
 * only at a good sample beyond resolve. */
static void run_property(uint64_t seed) {
    struct weir_rule rule = a_rule();
    struct weir_alert alert = {0};
    int64_t as_of_ms = 1000, held_since_ms = 0;
    bool was_open = false;
    rule.for_ms = (int64_t)(next_random(&seed) % 4) * 20000;
    rule.keep_firing_for_ms = (int64_t)(next_random(&seed) % 3) * 15000;
    int64_t repeat_ms = (int64_t)(next_random(&seed) % 3) * 30000;
    uint64_t bad_share = next_random(&seed) % 9 + 1;
    for (int i = 0; i < 400; i++) {
        int64_t gap_ms = (int64_t)(next_random(&seed) % 12) * 1000 - 1000;
        bool taken = as_of_ms + gap_ms > alert.as_of_ms;
        double value = next_random(&seed) % 10 < bad_share ? LOW
                       : next_random(&seed) % 4 == 0       ? MID
                                                           : HIGH;
        struct weir_sample sample = {
            .now = ratio(value, next_random(&seed) % 8 == 0 ? 10 : 1000),
            .suspect = next_random(&seed) % 10 == 0,
            .silenced = next_random(&seed) % 5 == 0,
            .as_of_ms = as_of_ms + gap_ms,
        };
        struct weir_alert before = alert;
        enum weir_alert_change change = weir_rule_step(&rule, &alert, &sample, repeat_ms);
        if (!taken) {
            CHECK(change == WEIR_NO_CHANGE && memcmp(&before, &alert, sizeof alert) == 0);
            continue;
        }
        as_of_ms = sample.as_of_ms;
        int verdict = weir_rule_holds(&rule, &sample, false);
        if (sample.suspect || verdict == 0)
            held_since_ms = 0;
        else if (verdict == 1 && held_since_ms == 0)
            held_since_ms = as_of_ms;
        if (change == WEIR_BECAME_FIRING && !was_open)
            CHECK(verdict == 1 && held_since_ms && as_of_ms - held_since_ms >= rule.for_ms);
        if (change == WEIR_BECAME_RESOLVED)
            CHECK(was_open && !sample.suspect && value > MID);
        if (alert.state == WEIR_FIRING)
            was_open = true;
        else if (alert.state != WEIR_SUSPECT)
            was_open = false;
        CHECK((change == WEIR_NO_CHANGE) == (alert.changes == before.changes));
        CHECK((alert.state == before.state) ==
              (change == WEIR_NO_CHANGE || change == WEIR_STILL_FIRING));
        CHECK(alert.state == WEIR_INACTIVE || alert.starts_ms > 0);
        CHECK(change != WEIR_STILL_FIRING || !sample.silenced);
        if (change != WEIR_NO_CHANGE && alert.state == WEIR_FIRING)
            CHECK((alert.sent_ms == as_of_ms) == !sample.silenced);
        if (alert.state == WEIR_FIRING && !sample.silenced)
            CHECK(alert.sent_ms > 0); /* without a silence nobody is left untold */
    }
}

static void test_fingerprint(void) {
    char severity[] = "severity", page[] = "page", ticket[] = "ticket", team[] = "team";
    char shop[] = "shop", g[] = "g", n[] = "n", gn[] = "gn", empty[] = "";
    struct weir_label labels[] = {{severity, page}, {team, shop}};
    struct weir_label turned[] = {{team, shop}, {severity, page}};
    struct weir_label other[] = {{team, shop}, {severity, ticket}};
    struct weir_rule rule = {.group = g, .name = n, .labels = labels, .labels_len = 2};
    uint64_t total = weir_alert_fingerprint(&rule, NULL, NULL, 0);
    uint64_t de = weir_alert_fingerprint(&rule, "country", "DE", 2);
    CHECK(total != de);
    CHECK(de != weir_alert_fingerprint(&rule, "country", "DEU", 3));
    CHECK(de == weir_alert_fingerprint(&rule, "country", "DEU", 2));
    CHECK(de != weir_alert_fingerprint(&rule, "region", "DE", 2));
    CHECK(total != weir_alert_fingerprint(&rule, "country", "", 0));
    rule.labels = turned;
    CHECK(de == weir_alert_fingerprint(&rule, "country", "DE", 2));
    rule.labels = other;
    CHECK(de != weir_alert_fingerprint(&rule, "country", "DE", 2));
    rule.labels_len = 0;
    uint64_t apart = weir_alert_fingerprint(&rule, NULL, NULL, 0);
    rule.group = gn;
    rule.name = empty;
    CHECK(apart != weir_alert_fingerprint(&rule, NULL, NULL, 0));
}

static bool near(double got, double want) {
    return fabs(got - want) < 5e-7;
}

static void test_wilson(void) {
    double low, high;
    weir_wilson(412, 22514, &low, &high);
    CHECK(near(low, 0.016629) && near(high, 0.020134));
    weir_wilson(0, 10, &low, &high);
    CHECK(low <= 0 && near(high, 0.277533));
    weir_wilson(10, 10, &low, &high);
    CHECK(near(low, 0.722467) && high >= 1);
    const double bad[][2] = {{0, 0}, {5, 4}, {-1, 4}, {1, -1}, {NAN, 4}, {1, NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        weir_wilson(bad[i][0], bad[i][1], &low, &high);
        CHECK(isnan(low) && isnan(high));
    }
}

static void test_close(void) {
    struct weir_rules rules = {.rules = calloc(2, sizeof *rules.rules), .len = 2};
    CHECK(rules.rules != NULL);
    if (!rules.rules)
        return;
    struct weir_rule *rule = &rules.rules[0];
    rule->group = strdup("g");
    rule->name = strdup("n");
    rule->metric = strdup("m");
    rule->by_names[0] = strdup("country");
    rule->by_len = 1;
    rule->labels = calloc(1, sizeof *rule->labels);
    rule->labels_len = 1;
    CHECK(rule->labels != NULL);
    if (rule->labels)
        rule->labels[0] = (struct weir_label){strdup("severity"), strdup("page")};
    weir_rules_close(&rules);
    CHECK(rules.rules == NULL && rules.len == 0);
    weir_rules_close(&rules);
    CHECK_TEXT(weir_alert_state_name(WEIR_INACTIVE), "inactive");
    CHECK_TEXT(weir_alert_state_name(WEIR_PENDING), "pending");
    CHECK_TEXT(weir_alert_state_name(WEIR_FIRING), "firing");
    CHECK_TEXT(weir_alert_state_name(WEIR_SUSPECT), "suspect");
}

int main(void) {
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
        run_script(&scripts[i]);
    test_times();
    test_sent();
    test_verdicts();
    for (uint64_t seed = 1; seed <= 2000; seed++)
        run_property(seed);
    test_fingerprint();
    test_wilson();
    test_close();
    return check_done("test_rule");
}
