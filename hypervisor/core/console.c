#include "core/console.h"

#include "arch/console.h"
#include "core/cmdline.h"
#include "core/domain.h"
#include "core/time.h"
#include "lib/lock.h"
#include "lib/printf.h"
#include "lib/string.h"

#define LOG_SIZE     KIB(16)         /* powers of two */
#define INPUT_SIZE   128
#define LINE_MAX     256
#define PREFIX       "(hospes) "

/* What guests together may make us say: this many messages at once, and one more each interval. */
#define GUEST_BURST       10
#define GUEST_INTERVAL_NS (500 * MS_NS)

static struct lock console_lock = LOCK_INIT(RANK_CONSOLE);
/* Guarded by console_lock, all but the counters of messages dropped. */
static char log_ring[LOG_SIZE];
static uint64_t log_end, log_cleared;    /* free-running byte counters */
static char input_ring[INPUT_SIZE];
static unsigned int input_head, input_tail;
/* Who began the line that the console is in. */
static enum { NOBODY, US, DOM0 } line_of;
static enum log_level level = LOG_INFO;
static bool unlocked;                /* a panic goes on without the lock */
static unsigned int guest_budget = GUEST_BURST, guest_dropped;
static uint64_t guest_refilled_ns;

static uint64_t console_lock_acquire(void) {
    return unlocked ? 0 : lock_acquire_irq(&console_lock);
}
static void console_lock_release(uint64_t flags) {
    if (!unlocked)
        lock_release_irq(&console_lock, flags);
}

static void emit(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        log_ring[log_end++ % LOG_SIZE] = bytes[i];
    arch_console_write(bytes, len);
}

/* Under the lock. */
static void print_message(const char *text, size_t len) {
    if (!len)
        return;
    if (line_of == DOM0)
        emit("\n", 1);
    if (line_of != US)
        emit(PREFIX, sizeof(PREFIX) - 1);
    emit(text, len);
    line_of = text[len - 1] == '\n' ? NOBODY : US;
}

static void print_formatted(const char *prefix, const char *fmt, va_list args) {
    char line[LINE_MAX];
    size_t at = (size_t)snprintf(line, sizeof(line), "%s", prefix), len;
    uint64_t flags;

    len = at + (size_t)vsnprintf(line + at, sizeof(line) - at, fmt, args);
    if (len >= sizeof(line)) {
        len = sizeof(line) - 1;
        line[len - 1] = '\n';
    }
    flags = console_lock_acquire();
    print_message(line, len);
    console_lock_release(flags);
}

void printk(enum log_level l, const char *fmt, ...) {
    va_list args;

    if (l > level)
        return;
    va_start(args, fmt);
    print_formatted("", fmt, args);
    va_end(args);
}

/* Takes one message from the guests' budget; *dropped: how many went unsaid since the last. */
static bool guest_may_print(unsigned int *dropped) {
    uint64_t flags = console_lock_acquire(), now = time_now();
    uint64_t earned = (now - guest_refilled_ns) / GUEST_INTERVAL_NS;
    bool ok;

    if (earned) {
        guest_budget = (unsigned int)MIN(guest_budget + earned, GUEST_BURST);
        guest_refilled_ns = now;
    }
    ok = guest_budget != 0;
    *dropped = guest_dropped;
    guest_budget -= ok;
    guest_dropped = ok ? 0 : guest_dropped + 1;
    console_lock_release(flags);
    return ok;
}

void printk_guest(const struct domain *d, enum log_level l, const char *fmt, ...) {
    char prefix[16];
    unsigned int dropped;
    va_list args;

    if (l > level || !guest_may_print(&dropped))
        return;
    if (dropped)
        printk(LOG_WARN, "%u messages about guests were dropped\n", dropped);
    snprintf(prefix, sizeof(prefix), "d%u: ", d->domid);
    va_start(args, fmt);
    print_formatted(prefix, fmt, args);
    va_end(args);
}

void console_write(const char *bytes, size_t len) {
    uint64_t flags = console_lock_acquire();

    emit(bytes, len);
    if (len)
        line_of = bytes[len - 1] == '\n' ? NOBODY : DOM0;
    console_lock_release(flags);
}

void console_input(char c) {
    uint64_t flags = console_lock_acquire();

    if (input_head - input_tail < INPUT_SIZE)
        input_ring[input_head++ % INPUT_SIZE] = c;
    console_lock_release(flags);
    evtchn_send_global_virq(VIRQ_CONSOLE);
}

size_t console_read_input(char *buf, size_t len) {
    uint64_t flags = console_lock_acquire();
    size_t n = 0;

    while (n < len && input_tail != input_head)
        buf[n++] = input_ring[input_tail++ % INPUT_SIZE];
    console_lock_release(flags);
    return n;
}

size_t console_read_log(char *buf, size_t len, uint64_t *index) {
    uint64_t flags = console_lock_acquire();
    uint64_t oldest = MAX(log_end > LOG_SIZE ? log_end - LOG_SIZE : 0, log_cleared);
    size_t n = 0;

    if (*index < oldest || *index > log_end)
        *index = oldest;
    while (n < len && *index < log_end)
        buf[n++] = log_ring[(*index)++ % LOG_SIZE];
    console_lock_release(flags);
    return n;
}

void console_clear_log(void) {
    uint64_t flags = console_lock_acquire();

    log_cleared = log_end;
    console_lock_release(flags);
}

void console_set_level(enum log_level l) {
    level = l;
}

void console_force_unlock(void) {
    unlocked = true;
    if (line_of != NOBODY)
        emit("\n", 1);
    line_of = NOBODY;
}

/* Xen's words; what it says after a '/' about guests' messages is accepted and has no effect. */
static INIT_TEXT bool parse_level(const char *value) {
    static const struct {
        const char *name;
        enum log_level level;
    } words[] = {{"none", LOG_ERR},    {"error", LOG_ERR},   {"warning", LOG_WARN},
                 {"info", LOG_INFO},   {"debug", LOG_DEBUG}, {"all", LOG_DEBUG}};

    for (unsigned int i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i].name);

        if (!strncmp(value, words[i].name, len) && (!value[len] || value[len] == '/')) {
            console_set_level(words[i].level);
            return true;
        }
    }
    return false;
}
OPTION_CALL("loglvl", parse_level, "error, warning, info, debug or all");

static INIT_TEXT bool parse_guest_level(const char *value) {
    return value[0] != '\0';
}
OPTION_CALL("guest_loglvl", parse_guest_level, "a level; taken for Xen's sake, without effect");
