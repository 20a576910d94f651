/* links: */
/* The functions under other names: the program itself and its sanitizers go on with libc's. */
#define memcpy      our_memcpy
#define memmove     our_memmove
#define memset      our_memset
#define memcmp      our_memcmp
#define strlen      our_strlen
#define strnlen     our_strnlen
#define strcmp      our_strcmp
#define strncmp     our_strncmp
#define strchr      our_strchr
#include "lib/string.c"
#include "test.h"

#define LEN 40

static void fill(uint8_t *buf) {
    for (unsigned int i = 0; i < LEN; i++)
        buf[i] = (uint8_t)(i + 1);
}

TEST(memcpy_copies_every_length_and_nothing_else) {
    for (size_t n = 0; n <= LEN; n++) {
        uint8_t src[LEN], dst[LEN] = {0};

        fill(src);
        EXPECT(memcpy(dst, src, n) == dst);
        for (size_t i = 0; i < LEN; i++)
            EXPECT_EQ(dst[i], i < n ? i + 1 : 0);
    }
}

TEST(memmove_copies_overlapping_ranges_both_ways) {
    for (size_t n = 0; n <= 24; n++)
        for (int shift = -8; shift <= 8; shift++) {
            uint8_t buf[LEN];

            fill(buf);
            EXPECT(memmove(buf + 8 + shift, buf + 8, n) == buf + 8 + shift);
            for (size_t i = 0; i < n; i++)
                EXPECT_EQ(buf[8 + shift + (int)i], 9 + i);
        }
}

TEST(memset_sets_every_length_and_nothing_else) {
    for (size_t n = 0; n <= LEN; n++) {
        uint8_t dst[LEN] = {0};

        EXPECT(memset(dst, 0x1a5, n) == dst);
        for (size_t i = 0; i < LEN; i++)
            EXPECT_EQ(dst[i], i < n ? 0xa5 : 0);
    }
}

TEST(comparisons_are_of_unsigned_bytes) {
    EXPECT(memcmp("a\xff", "a\x01", 2) > 0);
    EXPECT(memcmp("a\x01", "a\xff", 2) < 0);
    EXPECT_EQ(memcmp("ab", "ac", 1), 0);
    EXPECT_EQ(memcmp("a", "b", 0), 0);
    EXPECT(strcmp("abc", "abcd") < 0);
    EXPECT(strcmp("b\xff", "b") > 0);
    EXPECT_EQ(strcmp("", ""), 0);
    EXPECT_EQ(strncmp("abcX", "abcY", 3), 0);
    EXPECT(strncmp("abcX", "abcY", 4) < 0);
    EXPECT_EQ(strncmp("a", "b", 0), 0);
}

TEST(lengths_and_searches) {
    const char *s = "hospes";

    EXPECT_EQ(strlen(""), 0);
    EXPECT_EQ(strlen(s), 6);
    EXPECT_EQ(strnlen(s, 3), 3);
    EXPECT_EQ(strnlen(s, 7), 6);
    EXPECT(strchr(s, 's') == s + 2);
    EXPECT(strchr(s, 'x') == NULL);
    EXPECT(strchr(s, '\0') == s + 6);
}

TEST(string_copy_always_ends_its_string) {
    char buf[4] = "xyz";

    EXPECT(string_copy(buf, "abc", sizeof(buf)));
    EXPECT_STR(buf, "abc");
    EXPECT(!string_copy(buf, "abcd", sizeof(buf)));
    EXPECT_STR(buf, "abc");
    EXPECT(!string_copy(buf, "z", 0));
    EXPECT_STR(buf, "abc");
    EXPECT(string_copy(buf, "", 1));
    EXPECT_STR(buf, "");
}
