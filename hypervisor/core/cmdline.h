/*
 * Command line options, each declared where it is used:
 *
 *     static unsigned int opt_maxcpus = NR_CPUS;
 *     OPTION_UINT("maxcpus", opt_maxcpus, "use no more than this many processors");
 *
 * `name=value` or, for flags, `name`, `no-name`, `noname`, `name=off`. Words that name no option or
 * have a value that is none get one warning each and are ignored. The last mention wins.
 */
#ifndef CORE_CMDLINE_H
#define CORE_CMDLINE_H

#include "lib/types.h"

enum option_kind { OPTION_KIND_FLAG, OPTION_KIND_UINT, OPTION_KIND_STRING, OPTION_KIND_CALL };

struct option {
    const char *name, *help;
    enum option_kind kind;
    uint32_t size;                   /* of a string's buffer */
    union {
        void *var;
        bool (*call)(const char *value);
    };
};

#define OPTION(ident, ...)                                                                         \
    static const struct option option_##ident                                                      \
        __attribute__((used, section("hospes_options"), aligned(8))) = {__VA_ARGS__}
#define OPTION_FLAG(name, var, help)                                                               \
    OPTION(var, name, help, OPTION_KIND_FLAG, 0, {&(var) + 0 * sizeof(&(var) == (bool *)0)})
#define OPTION_UINT(name, var, help)                                                               \
    OPTION(var, name, help, OPTION_KIND_UINT, 0, {&(var) + 0 * sizeof(&(var) == (unsigned int *)0)})
#define OPTION_STRING(name, var, help)                                                             \
    OPTION(var, name, help, OPTION_KIND_STRING, sizeof(var), {var})
/* The function takes what is after '=' ("" if nothing is) and says whether it is acceptable. */
#define OPTION_CALL(name, fn, help) OPTION(fn, name, help, OPTION_KIND_CALL, 0, {.call = fn})

/* Set every option that the line mentions. Options it does not mention keep their value. */
void cmdline_parse(const char *line);

/* For OPTION_CALL: a number (decimal or 0x) at *s, which moves on behind it; false if none. */
bool cmdline_number(const char **s, uint64_t *n);
/* The same with a unit: B, K, M, G or T, in either case; KiB if there is no letter, as in Xen. */
bool cmdline_size(const char **s, uint64_t *bytes);

#endif
