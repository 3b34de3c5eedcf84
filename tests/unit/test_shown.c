/* What of a word may stand in a message. */
#include "check.h"
#include "weir/shown.h"

static void words(void) {
    CHECK_TEXT(weir_word_shown("windows").text, "windows");
    CHECK_TEXT(weir_word_shown("--jsno").text, "--jsno");
    CHECK_TEXT(weir_word_shown("--redsi=redis://:hush@h").text, "--redsi=...");
    CHECK_TEXT(weir_word_shown("--passwrd=hush").text, "--passwrd=...");
    CHECK_TEXT(weir_word_shown("--u:hush@h=x").text, "(not shown)");
    CHECK_TEXT(weir_word_shown("redis://:hush@h/0").text, "(not shown)");
    CHECK_TEXT(weir_word_shown("https://hooks.example.com/hush").text, "(not shown)");
    CHECK_TEXT(weir_word_shown("u:hush@h:9092").text, "(not shown)");
    CHECK_TEXT(weir_word_shown("sasl.password=hush").text, "(not shown)");
    CHECK_TEXT(weir_word_shown("").text, "");
    char longer[1000];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    struct weir_shown cut = weir_word_shown(longer);
    CHECK(strlen(cut.text) < sizeof cut.text);
    CHECK_TEXT(cut.text + strlen(cut.text) - 4, "a...");
}

static void others(void) {
    CHECK(weir_may_be_secret("redis://h"));
    CHECK(weir_may_be_secret("u@h"));
    CHECK(weir_may_be_secret("a=b"));
    CHECK(weir_may_be_secret("-----BEGIN PRIVATE KEY-----"));
    CHECK(!weir_may_be_secret("kafka-1:9092"));
    CHECK(!weir_may_be_secret("/etc/weir/rules/*.yaml"));
    CHECK_TEXT(weir_path_shown("/etc/weir@1/a=b.yaml"), "/etc/weir@1/a=b.yaml");
    CHECK_TEXT(weir_path_shown("redis://:hush@h"), "(not shown)");
    char text[] = "no token from https://u:p/@x@idp/token: refused";
    weir_hide_users(text);
    CHECK_TEXT(text, "no token from https://xxxxxx@idp/token: refused");
    char none[] = "u@h";
    weir_hide_users(none);
    CHECK_TEXT(none, "u@h");
}

int main(void) {
    words();
    others();
    return check_done("test_shown");
}
