#ifndef TEST_H
#define TEST_H

/*
 * Host tests: one program per tests/host/x-test.c, linked with the real x.c; see README.md.
 *
 *     TEST(close_of_a_free_port_is_einval) {
 *         EXPECT_EQ(evtchn_close(&d, 3), -EINVAL);
 *     }
 *
 * A failed EXPECT is reported and the test goes on; a failed REQUIRE ends the test.
 */

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *t);
void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_give_up(void);
void test_eq(intmax_t a, intmax_t b, const char *what, const char *file, int line);
void test_str(const char *a, const char *b, const char *what, const char *file, int line);
void test_mem(const void *a, const void *b, size_t len, const char *what, const char *file,
              int line);

/* bug() and panic() jump to *test_on_bug; EXPECT_BUG() points it at itself for one statement. */
extern jmp_buf *test_on_bug;

#define TEST(sentence)                                                          \
    static void sentence(void);                                                 \
    __attribute__((constructor)) static void test_register_##sentence(void) {   \
        static struct test t = { #sentence, sentence, NULL };                   \
        test_register(&t);                                                      \
    }                                                                           \
    static void sentence(void)

#define EXPECT(cond) \
    do { if (!(cond)) test_fail(__FILE__, __LINE__, "expected %s", #cond); } while (0)
#define REQUIRE(cond)                                                           \
    do {                                                                        \
        if (!(cond)) {                                                          \
            test_fail(__FILE__, __LINE__, "required %s", #cond);                \
            test_give_up();                                                     \
        }                                                                       \
    } while (0)
/* Integers, pointers, enums: compared as 64-bit values. */
#define EXPECT_EQ(a, b) \
    test_eq((intmax_t)(a), (intmax_t)(b), #a " == " #b, __FILE__, __LINE__)
#define EXPECT_STR(a, b) test_str((a), (b), #a " == " #b, __FILE__, __LINE__)
#define EXPECT_MEM(a, b, len) test_mem((a), (b), (len), #a " == " #b, __FILE__, __LINE__)

/*
 * The statement must end in bug() or panic(). Locals it changes are indeterminate afterwards unless
 * volatile, and what it locked stays locked: make it the last use of its objects.
 */
#define EXPECT_BUG(stmt)                                                        \
    do {                                                                        \
        jmp_buf here_, *outer_ = test_on_bug;                                   \
        if (setjmp(here_) == 0) {                                               \
            test_on_bug = &here_;                                               \
            stmt;                                                               \
            test_fail(__FILE__, __LINE__, "expected a BUG in %s", #stmt);       \
        }                                                                       \
        test_on_bug = outer_;                                                   \
    } while (0)

#endif
