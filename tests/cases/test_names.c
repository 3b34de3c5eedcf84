/* The names of windows and keys in Redis. */
#include "app/names.h"

#include "check.h"

int main(void) {
    static const struct {
        int64_t ms;
        const char *name;
    } windows[] = {
        {60000, "1m"},
        {300000, "5m"},
        {900000, "15m"},
        {3600000, "1h"},
        {86400000, "24h"},
        {172800000, "2d"},
        {604800000, "7d"},
        {90000, "90s"},
        {5400000, "90m"},
        {90000000, "25h"},
        {10000, "10s"},
        {500, "500ms"},
        {172800000 + 3600000, "49h"},
        {61000, "61s"},
        {1500, "1500ms"},
    };
    char text[WEIR_NAME_WINDOW_MAX], key[64], small[8];
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        CHECK_INT(weir_window_name(text, sizeof text, windows[i].ms), strlen(windows[i].name));
        CHECK_TEXT(text, windows[i].name);
    }
    CHECK(weir_window_name(text, sizeof text, INT64_MAX) > 0);
    CHECK_INT(weir_window_name(text, 3, 900000), -1);
    CHECK_TEXT(text, "");

    CHECK_INT(weir_name_key(key, sizeof key, "shop", "now:%s:%s", "5m", "country"), 26);
    CHECK_TEXT(key, "weir:{shop}:now:5m:country");
    CHECK_INT(weir_name_key(key, 26, "shop", "now:%s:%s", "5m", "country"), -1);
    CHECK_TEXT(key, "");
    CHECK_INT(weir_name_key(small, sizeof small, "shop", "x"), -1);
    CHECK_TEXT(small, "");

    CHECK_INT(weir_name_tag(key, sizeof key, "shop", "shop.events", 7), 25);
    CHECK_TEXT(key, "weir:{shop.shop.events.7}");
    CHECK_INT(weir_name_tag(small, sizeof small, "shop", "e", 7), -1);
    CHECK_TEXT(small, "");
    return check_done("names");
}
