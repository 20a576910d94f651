/* links: core/cmdline.c lib/string.c */
#include "core/cmdline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/console.h"
#include "test.h"

static char said[1024];
static unsigned int nr_said;

void printk(enum log_level level, const char *fmt, ...) {
    va_list args;

    (void)level;
    va_start(args, fmt);
    vsnprintf(said, sizeof(said), fmt, args);
    va_end(args);
    nr_said++;
}

static bool flag = false, noreboot;
static unsigned int number = 7;
static char text[8] = "old";
static char called_with[32];

static bool call(const char *value) {
    snprintf(called_with, sizeof(called_with), "%s", value);
    return value[0] != 'x';
}

OPTION_FLAG("flag", flag, "a flag");
OPTION_FLAG("noreboot", noreboot, "a flag that begins with no");
OPTION_UINT("number", number, "a number");
OPTION_STRING("text", text, "a text");
OPTION_CALL("call", call, "a function");

static void parse(const char *line) {
    nr_said = 0;
    said[0] = '\0';
    cmdline_parse(line);
}

TEST(nothing_is_nothing) {
    parse("");
    parse("   \t ");
    EXPECT_EQ(nr_said, 0);
    EXPECT_EQ(number, 7);
}

TEST(values_are_set_and_the_last_mention_wins) {
    parse(" number=5 text=abc   flag number=0x10");
    EXPECT_EQ(nr_said, 0);
    EXPECT_EQ(number, 16);
    EXPECT_STR(text, "abc");
    EXPECT(flag);
}

TEST(flags_know_every_way_to_say_no) {
    static const char *const off[] = {"no-flag", "noflag",  "flag=off",
                                      "flag=0",  "flag=no", "flag=false"};
    static const char *const on[] = {"flag", "flag=on", "flag=1", "flag=yes", "flag=true"};

    for (unsigned int i = 0; i < ARRAY_LEN(off); i++) {
        flag = true;
        parse(off[i]);
        EXPECT(!flag);
        parse(on[i % ARRAY_LEN(on)]);
        EXPECT(flag);
        EXPECT_EQ(nr_said, 0);
    }
    parse("noreboot");
    EXPECT(noreboot);
    EXPECT_EQ(nr_said, 0);
}

TEST(what_is_unknown_or_malformed_is_named_once_and_ignored) {
    static const char *const bad[] = {"numbre=5",  "number=",    "number=5x", "number",
                                      "number=4294967296", "number=99999999999999999999999",
                                      "text=toolongtext", "flag=perhaps", "no-number", "nothing",
                                      "number=-1", "=5", "number=0x"};

    number = 7;
    flag = true;
    text[0] = '\0';
    for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
        char name[32];

        snprintf(name, sizeof(name), "\"%.*s\"", (int)strcspn(bad[i], "="), bad[i]);
        parse(bad[i]);
        EXPECT_EQ(nr_said, 1);
        EXPECT(strstr(said, name) != NULL);
    }
    EXPECT_EQ(number, 7);
    EXPECT(flag);
}

TEST(functions_get_what_is_behind_the_sign) {
    parse("call=a=b");
    EXPECT_STR(called_with, "a=b");
    parse("call");
    EXPECT_STR(called_with, "");
    EXPECT_EQ(nr_said, 0);
    parse("call=x");
    EXPECT_EQ(nr_said, 1);
}

TEST(a_word_of_any_length_is_no_danger) {
    static char line[5000];

    memset(line, 'a', sizeof(line) - 1);
    parse(line);
    EXPECT_EQ(nr_said, 1);
    memcpy(line, "text=", 5);
    parse(line);
    EXPECT_EQ(nr_said, 1);
}

TEST(sizes_have_units) {
    static const struct {
        const char *text;
        uint64_t bytes;
        char next;
    } good[] = {{"1", 1024, 0},           {"512M", MIB(512), 0}, {"4g", GIB(4), 0},
                {"100k,max:2G", KIB(100), ','}, {"7b", 7, 0},    {"0x10M", MIB(16), 0},
                {"1T", GIB(1024), 0}};
    static const char *const bad[] = {"", "M", "16777216T", "99999999999999999999"};
    uint64_t bytes;

    for (unsigned int i = 0; i < ARRAY_LEN(good); i++) {
        const char *s = good[i].text;

        EXPECT(cmdline_size(&s, &bytes));
        EXPECT_EQ(bytes, good[i].bytes);
        EXPECT_EQ(*s, good[i].next);
    }
    for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
        const char *s = bad[i];

        EXPECT(!cmdline_size(&s, &bytes));
    }
}
