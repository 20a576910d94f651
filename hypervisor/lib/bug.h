/* What to do when our own state is wrong (style: no guest input may reach these). */
#ifndef LIB_BUG_H
#define LIB_BUG_H

/*
 * Stop the machine: registers, backtrace, the words given. Never returns.
 * Note: host tests replace it by a jump back into EXPECT_BUG.
 */
_Noreturn void bug(const char *expr, const char *file, int line);

/* Stop with one readable line that says what is wrong and what to change (boot, machine limits). */
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define BUG_ON(x)                                                                                  \
    do {                                                                                           \
        if (__builtin_expect(!!(x), 0))                                                            \
            bug(#x, __FILE__, __LINE__);                                                           \
    } while (0)

#ifdef HOSPES_DEBUG
#define ASSERT(x) BUG_ON(!(x))
#else
#define ASSERT(x) ((void)sizeof(!(x)))
#endif

#endif
