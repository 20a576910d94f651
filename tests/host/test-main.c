/* main() of every host test program, and the hypervisor's last words turned into test failures. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/bug.h"
#include "test.h"

static struct test *tests, **tests_end = &tests;
static jmp_buf test_end;
static unsigned int nr_failures; /* of the running test */

jmp_buf *test_on_bug;

void test_register(struct test *t) {
    *tests_end = t;
    tests_end = &t->next;
}

static void report(const char *file, int line, const char *fmt, va_list ap) {
    nr_failures++;
    printf("%s:%d: ", file, line);
    vprintf(fmt, ap);
    putchar('\n');
}

void test_fail(const char *file, int line, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    report(file, line, fmt, ap);
    va_end(ap);
}

void test_give_up(void) {
    longjmp(test_end, 1);
}

void test_eq(intmax_t a, intmax_t b, const char *what, const char *file, int line) {
    if (a != b)
        test_fail(file, line, "expected %s, got %jd (%#jx) and %jd (%#jx)", what, a, (uintmax_t)a,
                  b, (uintmax_t)b);
}

void test_str(const char *a, const char *b, const char *what, const char *file, int line) {
    if (!a || !b || strcmp(a, b))
        test_fail(file, line, "expected %s, got \"%s\" and \"%s\"", what, a ? a : "(null)",
                  b ? b : "(null)");
}

void test_mem(const void *a, const void *b, size_t len, const char *what, const char *file,
              int line) {
    const unsigned char *pa = a, *pb = b;

    for (size_t i = 0; i < len; i++) {
        if (pa[i] != pb[i]) {
            test_fail(file, line, "expected %s, byte %zu is %#x and %#x", what, i, pa[i], pb[i]);
            return;
        }
    }
}

void bug(const char *expr, const char *file, int line) {
    if (test_on_bug)
        longjmp(*test_on_bug, 1);
    test_fail(file, line, "BUG: %s", expr);
    test_give_up();
}

/* Weak: a test of the real panic() links that instead. */
__attribute__((weak)) void panic(const char *fmt, ...) {
    va_list ap;

    if (test_on_bug)
        longjmp(*test_on_bug, 1);
    va_start(ap, fmt);
    report("panic", 0, fmt, ap);
    va_end(ap);
    test_give_up();
}

static bool run_one(const struct test *t) {
    nr_failures = 0;
    test_on_bug = NULL;
    if (setjmp(test_end) == 0)
        t->run();
    return nr_failures == 0;
}

/* usage: x-test [-v] [PART-OF-A-NAME]... */
int main(int argc, char **argv) {
    unsigned int passed = 0, failed = 0;
    bool verbose = argc > 1 && !strcmp(argv[1], "-v");
    char **filter = argv + 1 + verbose;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before a crash must be seen */
    for (const struct test *t = tests; t; t = t->next) {
        bool wanted = !*filter;

        for (char **f = filter; *f; f++)
            wanted |= strstr(t->name, *f) != NULL;
        if (!wanted)
            continue;
        bool ok = run_one(t);
        passed += ok;
        failed += !ok;
        if (verbose || !ok)
            printf("%s - %s\n", ok ? "ok" : "not ok", t->name);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
