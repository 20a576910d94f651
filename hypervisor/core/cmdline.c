#include "core/cmdline.h"

#include "core/console.h"
#include "lib/string.h"

extern const struct option __start_hospes_options[], __stop_hospes_options[];

#define WORD_MAX 256

static unsigned int digit_value(char c) {
    return c >= '0' && c <= '9'   ? (unsigned int)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned int)(c - 'A') + 10
                                  : 16;
}

INIT_TEXT bool cmdline_number(const char **s, uint64_t *n) {
    const char *p = *s;
    unsigned int base = 10;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    if (digit_value(*p) >= base)
        return false;
    for (*n = 0; digit_value(*p) < base; p++)
        if (__builtin_mul_overflow(*n, base, n) || __builtin_add_overflow(*n, digit_value(*p), n))
            return false;
    *s = p;
    return true;
}

INIT_TEXT bool cmdline_size(const char **s, uint64_t *bytes) {
    static const char units[] = "bkmgt";
    const char *unit;
    unsigned int shift = 10;

    if (!cmdline_number(s, bytes))
        return false;
    unit = **s ? strchr(units, **s | 0x20) : NULL;
    if (unit) {
        shift = 10 * (unsigned int)(unit - units);
        ++*s;
    }
    if (*bytes > UINT64_MAX >> shift)
        return false;
    *bytes <<= shift;
    return true;
}

static INIT_TEXT bool set_flag(bool *var, const char *value) {
    static const char *const words[] = {"off", "on", "0", "1", "no", "yes", "false", "true"};

    for (unsigned int i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(value, words[i])) {
            *var = i % 2;
            return true;
        }
    return false;
}

/* value: NULL if the word has no '='. */
static INIT_TEXT bool set_option(const struct option *o, const char *value) {
    uint64_t n;

    if (o->kind == OPTION_KIND_CALL)
        return o->call(value ? value : "");
    if (o->kind == OPTION_KIND_FLAG && !value)
        return *(bool *)o->var = true;
    if (!value)
        return false;
    switch (o->kind) {
    case OPTION_KIND_FLAG:
        return set_flag(o->var, value);
    case OPTION_KIND_UINT:
        if (!cmdline_number(&value, &n) || *value || n > UINT32_MAX)
            return false;
        *(unsigned int *)o->var = (unsigned int)n;
        return true;
    default:
        return string_copy(o->var, value, o->size);
    }
}

static INIT_TEXT const struct option *find_option(const char *name) {
    for (const struct option *o = __start_hospes_options; o < __stop_hospes_options; o++)
        if (!strcmp(o->name, name))
            return o;
    return NULL;
}

/* "noreboot" is an option of its own, so whole names go first. */
static INIT_TEXT void parse_word(char *word) {
    const struct option *o;
    char *value = strchr(word, '=');
    const char *positive = word + 2;
    bool ok;

    if (value)
        *value++ = '\0';
    o = find_option(word);
    if (o) {
        ok = set_option(o, value);
    } else if (!strncmp(word, "no", 2) && !value) {
        o = find_option(*positive == '-' ? positive + 1 : positive);
        ok = o && o->kind == OPTION_KIND_FLAG && set_option(o, "off");
        o = ok ? o : NULL;
    } else {
        ok = false;
    }
    if (!o)
        pr_warn("unknown option \"%s\" on the command line is ignored\n", word);
    else if (!ok)
        pr_warn("option \"%s\" has no meaning as \"%s\" and is ignored: %s\n", word,
                value ? value : "", o->help);
}

INIT_TEXT void cmdline_parse(const char *line) {
    char word[WORD_MAX];

    while (*line) {
        size_t len = 0;

        for (; *line && *line != ' ' && *line != '\t'; line++)
            if (len < sizeof(word) - 1)
                word[len++] = *line;
        word[len] = '\0';
        if (len)
            parse_word(word);
        while (*line == ' ' || *line == '\t')
            line++;
    }
}
