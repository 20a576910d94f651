/* links: lib/string.c */
/* Under other names, so that the expected text can come from libc's own. */
#define vsnprintf our_vsnprintf
#define snprintf  our_snprintf
#include "lib/printf.c"
#undef vsnprintf
#undef snprintf

#include <stdio.h>

#include "test.h"

#pragma GCC diagnostic ignored "-Wformat"

/* Ours and libc's agree, in text and in length, for a full and for a short buffer. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char ours[128], theirs[128];                                                               \
        for (volatile size_t size = sizeof(ours); size; size = size == 5 ? 0 : 5) {                \
            int len = our_snprintf(ours, size, __VA_ARGS__);                                       \
            EXPECT_EQ(len, snprintf(theirs, size, __VA_ARGS__));                                   \
            EXPECT_STR(ours, theirs);                                                              \
        }                                                                                          \
    } while (0)

TEST(integers_print_as_libc_does) {
    SAME("%d %i %u", 0, -7, 42u);
    SAME("%d %ld", INT32_MIN, INT64_MIN);
    SAME("%u %lu %zu %jd %td", UINT32_MAX, UINT64_MAX, (size_t)1, (intmax_t)-1, (ptrdiff_t)-2);
    SAME("%x %X %o", 0xbeefu, 0xbeefu, 0755u);
    SAME("%#x %#X %#o %#x", 0xbeefu, 0xbeefu, 0755u, 0u);
    SAME("%hhd %hhu %hd %hu", 0x1ff, 0x1ff, 0x1ffff, 0x1ffff);
    SAME("%llx", 0x123456789abcdefULL);
    SAME("%+d %+d %+d", 1, -1, 0);
}

TEST(width_precision_and_flags_print_as_libc_does) {
    SAME("[%5d] [%-5d] [%05d]", 42, 42, 42);
    SAME("[%5d] [%-5d] [%05d]", -42, -42, -42);
    SAME("[%.3d] [%6.3d] [%-6.3d]", 7, 7, 7);
    SAME("[%#8x] [%#08x] [%-#8x]", 0xabu, 0xabu, 0xabu);
    SAME("[%*d] [%-*d] [%*d]", 6, 1, 6, 2, -6, 3);
    SAME("[%.*d] [%.*s]", 4, 5, 2, "abc");
    SAME("[%016lx]", 0xffff808000200000UL);
    SAME("[%.0d] [%+5d] [%+05d]", 0, 3, 3);
}

TEST(strings_and_characters_print_as_libc_does) {
    SAME("%s|%10s|%-10s|%.2s|%c|%5c|%%", "one", "two", "three", "four", 'x', 'y');
    SAME("%s", "");
    SAME("plain");
}

TEST(a_string_without_end_is_read_no_further_than_the_precision) {
    char buf[8];
    const char raw[3] = {'a', 'b', 'c'};

    EXPECT_EQ(our_snprintf(buf, sizeof(buf), "%.3s", raw), 3);
    EXPECT_STR(buf, "abc");
}

TEST(what_libc_leaves_open_is_harmless) {
    char buf[32], *volatile nothing = NULL;

    EXPECT_EQ(our_snprintf(buf, sizeof(buf), "%s", nothing), 6);
    EXPECT_STR(buf, "(null)");
    our_snprintf(buf, sizeof(buf), "%p", (void *)0x1234);
    EXPECT_STR(buf, "0x1234");
    our_snprintf(buf, sizeof(buf), "50%");
    EXPECT_STR(buf, "50");
    EXPECT_EQ(our_snprintf(NULL, 0, "%d", 12345), 5);
    EXPECT_EQ(our_snprintf(buf, 1, "%d", 12345), 5);
    EXPECT_STR(buf, "");
}
