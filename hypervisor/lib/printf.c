#include "lib/printf.h"

#include "lib/string.h"

/* Where the text goes: `length` counts on when the buffer is full. */
struct out {
    char *buf;
    size_t size, length;
};

/* One conversion, as its letters in the format say. */
struct spec {
    bool left, zero, plus, alternate;
    int width, precision;            /* precision -1: none given */
    int shift;                       /* 1: h, 2: hh, -1: l, ll, z, t, j */
};

static void put(struct out *o, char c) {
    if (o->length + 1 < o->size)
        o->buf[o->length] = c;
    o->length++;
}

static void put_padded(struct out *o, const char *text, int len, const struct spec *s) {
    int pad = s->width - len;

    for (; !s->left && pad > 0; pad--)
        put(o, ' ');
    for (int i = 0; i < len; i++)
        put(o, text[i]);
    for (; pad > 0; pad--)
        put(o, ' ');
}

/* `sign` is "", "-", "+" or a prefix such as "0x". */
static void put_number(struct out *o, uint64_t n, unsigned int base, bool upper, const char *sign,
                       struct spec *s) {
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[32];
    int at = sizeof(text), min = s->precision, sign_len = (int)strlen(sign), zeros;

    for (; n; n /= base)
        text[--at] = digits[n % base];
    if (min < 0)
        min = s->zero && !s->left ? MAX(s->width - sign_len, 1) : 1;
    zeros = MAX(min - ((int)sizeof(text) - at), 0);

    s->width -= sign_len + zeros;
    if (!s->left)
        for (; s->width > (int)sizeof(text) - at; s->width--)
            put(o, ' ');
    while (*sign)
        put(o, *sign++);
    while (zeros-- > 0)
        put(o, '0');
    put_padded(o, text + at, (int)sizeof(text) - at, s);
}

static int64_t narrow_signed(int64_t n, int shift) {
    return shift < 0 ? n : shift == 0 ? (int)n : shift == 1 ? (short)n : (signed char)n;
}

static uint64_t narrow_unsigned(uint64_t n, int shift) {
    return shift < 0 ? n : shift == 0 ? (uint32_t)n : shift == 1 ? (uint16_t)n : (uint8_t)n;
}

static const char *parse_flags(const char *f, struct spec *s) {
    for (;; f++) {
        switch (*f) {
        case '-':
            s->left = true;
            break;
        case '0':
            s->zero = true;
            break;
        case '+':
            s->plus = true;
            break;
        case '#':
            s->alternate = true;
            break;
        default:
            return f;
        }
    }
}

static const char *parse_count(const char *f, int *n) {
    for (*n = 0; *f >= '0' && *f <= '9'; f++)
        *n = MIN(*n * 10 + *f - '0', 4096);
    return f;
}

static const char *parse_length(const char *f, struct spec *s) {
    for (; *f == 'h' || *f == 'l' || *f == 'z' || *f == 't' || *f == 'j'; f++)
        s->shift = *f == 'h' ? s->shift + 1 : -1;
    return f;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args) {
    struct out o = {buf, size, 0};
    va_list ap;

    va_copy(ap, args);
    for (const char *f = fmt; *f; f++) {
        struct spec s = {.precision = -1};
        const char *text;
        uint64_t u;
        int64_t i;
        char c;

        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        f = parse_flags(f + 1, &s);
        if (*f == '*') {
            s.width = va_arg(ap, int);
            s.left |= s.width < 0;
            s.width = s.width < 0 ? -s.width : s.width;
            f++;
        } else {
            f = parse_count(f, &s.width);
        }
        if (*f == '.' && f[1] == '*') {
            s.precision = va_arg(ap, int);
            s.precision = MAX(s.precision, -1);
            f += 2;
        } else if (*f == '.') {
            f = parse_count(f + 1, &s.precision);
        }
        f = parse_length(f, &s);

        switch (*f) {
        case 'd':
        case 'i':
            i = narrow_signed(s.shift < 0 ? va_arg(ap, int64_t) : va_arg(ap, int), s.shift);
            u = i < 0 ? -(uint64_t)i : (uint64_t)i;
            put_number(&o, u, 10, false, i < 0 ? "-" : s.plus ? "+" : "", &s);
            break;
        case 'u':
        case 'x':
        case 'X':
        case 'o':
            u = narrow_unsigned(s.shift < 0 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned int),
                                s.shift);
            text = !s.alternate || !u ? ""
                   : *f == 'x'        ? "0x"
                   : *f == 'X'        ? "0X"
                   : *f == 'o'        ? "0"
                                      : "";
            put_number(&o, u, *f == 'u' ? 10 : *f == 'o' ? 8 : 16, *f == 'X', text, &s);
            break;
        case 'p':
            put_number(&o, (uintptr_t)va_arg(ap, void *), 16, false, "0x", &s);
            break;
        case 'c':
            c = (char)va_arg(ap, int);
            put_padded(&o, &c, 1, &s);
            break;
        case 's':
            text = va_arg(ap, const char *);
            if (!text)
                text = "(null)";
            put_padded(&o, text,
                       (int)strnlen(text, s.precision < 0 ? INT32_MAX : (size_t)s.precision), &s);
            break;
        case '\0':
            f--;
            break;
        default:                     /* also %% */
            put(&o, *f);
        }
    }
    va_end(ap);
    if (size)
        buf[MIN(o.length, size - 1)] = '\0';
    return (int)o.length;
}

int snprintf(char *buf, size_t size, const char *fmt, ...) {
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return len;
}
