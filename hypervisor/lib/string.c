#include "lib/string.h"

/* `rep movs` is fast on every processor of the last decade, and needs no vector registers. */
void *memcpy(void *dst, const void *src, size_t n) {
    void *d = dst;
    size_t words = n / 8, bytes = n % 8;

    __asm__ volatile("rep movsq; mov %3, %2; rep movsb"
                     : "+D"(d), "+S"(src), "+c"(words)
                     : "r"(bytes)
                     : "memory");
    return dst;
}

void *memmove(void *dst, const void *src, size_t n) {
    const uint8_t *s = (const uint8_t *)src + n - 1;
    uint8_t *d = (uint8_t *)dst + n - 1;

    if ((uintptr_t)dst - (uintptr_t)src >= n)
        return memcpy(dst, src, n);
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return dst;
}

void *memset(void *dst, int byte, size_t n) {
    void *d = dst;
    size_t words = n / 8, bytes = n % 8;

    __asm__ volatile("rep stosq; mov %2, %1; rep stosb"
                     : "+D"(d), "+c"(words)
                     : "r"(bytes), "a"((uint8_t)byte * UINT64_C(0x0101010101010101))
                     : "memory");
    return dst;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *p = a, *q = b;

    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

size_t strlen(const char *s) {
    return strnlen(s, PTRDIFF_MAX);
}

size_t strnlen(const char *s, size_t max) {
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b) {
    return strncmp(a, b, PTRDIFF_MAX);
}

int strncmp(const char *a, const char *b, size_t n) {
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

char *strchr(const char *s, int c) {
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)s;
}

bool string_copy(char *dst, const char *src, size_t size) {
    size_t len = strnlen(src, size);
    bool fits = len < size;

    if (!size)
        return false;
    if (!fits)
        len = size - 1;
    memcpy(dst, src, len);
    dst[len] = '\0';
    return fits;
}
