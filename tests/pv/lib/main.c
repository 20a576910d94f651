/* Start, reports and the end of a test guest. */
#include "pv.h"

#include <stdarg.h>

struct start_info *start_info;
struct shared_info *shared_info;
static char shared_info_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static unsigned int passed, failed;

/* ---- strings -------------------------------------------------------------------------------- */

void *memset(void *to, int byte, size_t len) {
    void *d = to;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(byte) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t len) {
    void *d = to;

    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(len)::"memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t len) {
    const unsigned char *x = a, *y = b;

    for (; len--; x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

bool str_equal(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

const char *option(const char *name) {
    static char word[64];
    const char *at = (const char *)start_info->cmd_line;

    while (*at) {
        const char *n = name;
        unsigned int len = 0;

        while (*at == ' ')
            at++;
        while (*n && *at == *n) {
            at++;
            n++;
        }
        if (*n == 0 && *at == '=') {
            while (*++at && *at != ' ' && len < sizeof(word) - 1)
                word[len++] = *at;
            word[len] = 0;
            return word;
        }
        while (*at && *at != ' ')
            at++;
    }
    return NULL;
}

/* ---- formatted output ----------------------------------------------------------------------- */

struct text {
    char *at, *end;
};

static void put(struct text *t, char c) {
    if (t->at < t->end)
        *t->at++ = c;
}

static void put_number(struct text *t, uint64_t n, unsigned int base, unsigned int width) {
    char digit[24];
    unsigned int len = 0;

    do {
        digit[len++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    for (; width > len; width--)
        put(t, '0');
    while (len)
        put(t, digit[--len]);
}

static void format(struct text *t, const char *fmt, va_list args) {
    for (; *fmt; fmt++) {
        bool is_long = false, alternate = false;
        unsigned int width = 0;

        if (*fmt != '%') {
            put(t, *fmt);
            continue;
        }
        for (fmt++; *fmt == '#' || (*fmt >= '0' && *fmt <= '9') || *fmt == 'l'; fmt++) {
            if (*fmt == '#')
                alternate = true;
            else if (*fmt == 'l')
                is_long = true;
            else
                width = width * 10 + (unsigned int)(*fmt - '0');
        }
        if (*fmt == 's') {
            for (const char *s = va_arg(args, const char *); *s; s++)
                put(t, *s);
        } else if (*fmt == 'c') {
            put(t, (char)va_arg(args, int));
        } else if (*fmt == 'd') {
            int64_t n = is_long ? va_arg(args, long) : va_arg(args, int);

            if (n < 0)
                put(t, '-');
            put_number(t, n < 0 ? -(uint64_t)n : (uint64_t)n, 10, width);
        } else if (*fmt == 'u' || *fmt == 'x') {
            uint64_t n = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned int);

            if (alternate) {
                put(t, '0');
                put(t, 'x');
            }
            put_number(t, n, *fmt == 'x' ? 16 : 10, width);
        } else {
            put(t, *fmt);
        }
    }
}

static void print_text(const char *from, const struct text *t) {
    (void)console_io(CONSOLEIO_write, (uint64_t)(t->at - from), from);
}

void print(const char *fmt, ...) {
    char line[400];
    struct text t = {line, line + sizeof(line)};
    va_list args;

    va_start(args, fmt);
    format(&t, fmt, args);
    va_end(args);
    print_text(line, &t);
}

void report(bool good, const char *name, const char *fmt, ...) {
    char line[400];
    struct text t = {line, line + sizeof(line) - 1};
    va_list args;

    *(good ? &passed : &failed) += 1;
    for (const char *s = good ? "ok - " : "not ok - "; *s; s++)
        put(&t, *s);
    for (; *name; name++)
        put(&t, *name);
    if (!good) {
        put(&t, ':');
        put(&t, ' ');
        va_start(args, fmt);
        format(&t, fmt, args);
        va_end(args);
    }
    t.end = line + sizeof(line);
    put(&t, '\n');
    print_text(line, &t);
}

void series_case(struct series *s, bool good, const char *fmt, ...) {
    struct text t = {s->first, s->first + sizeof(s->first) - 1};
    char more[sizeof(s->first)];
    va_list args;

    s->cases++;
    if (good)
        return;
    if (s->failures++) {
        if (!option("cases"))
            return;
        t = (struct text){more, more + sizeof(more) - 1};
    }
    va_start(args, fmt);
    format(&t, fmt, args);
    va_end(args);
    *t.at = 0;
    if (t.end == more + sizeof(more) - 1)
        print("  also: %s\n", more);
}

void series_end(struct series *s) {
    report(s->failures == 0, s->name, "%u of %u cases; the first: %s", s->failures, s->cases,
           s->first);
}

/* ---- start and end -------------------------------------------------------------------------- */

static _Noreturn void end(void) {
    struct sched_shutdown off = {.reason = SHUTDOWN_poweroff};

    print("%u passed, %u failed\n", passed, failed);
    for (;;)
        (void)sched_op(SCHEDOP_shutdown, &off);
}

void give_up(const char *why) {
    report(false, "the test runs to its end", "%s", why);
    end();
}

bool is_xen(void) {
    xen_extraversion_t extra;

    NEED(xen_version(XENVER_extraversion, extra) == 0);
    return !str_equal(extra, "-hospes");
}

void refused(void) {
    report(true, "the hypervisor refuses what would crash the domain", "-");
    end();
}

void crash_if_asked(const struct crash *list, size_t n) {
    const char *name = option("crash");

    if (!name)
        return;
    for (; n; n--, list++) {
        if (!str_equal(name, list->name))
            continue;
        print("crashing: %s\n", name);
        list->run();
        give_up("the domain lives on");
    }
    give_up("no such crash");
}

/* From start.S. */
_Noreturn void pv_start(struct start_info *si) {
    start_info = si;
    NEED(update_va_mapping(ADDRESS(shared_info_page), si->shared_info | RW, UVMF_INVLPG) == 0);
    shared_info = (struct shared_info *)shared_info_page;
    traps_init();
    test_main();
    end();
}
