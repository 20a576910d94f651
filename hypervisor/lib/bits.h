/* Bit sets: single words, arrays of words shared with guests, and sets of processors. */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include "lib/types.h"

#define BIT(n)        (UINT64_C(1) << (n))
#define BITS_PER_WORD 64
#define BIT_WORDS(n)  DIV_ROUND_UP(n, BITS_PER_WORD)

/* Index of the lowest / highest set bit; w must not be 0. */
static inline unsigned int bit_lowest(uint64_t w) {
    return (unsigned int)__builtin_ctzll(w);
}
static inline unsigned int bit_highest(uint64_t w) {
    return 63 - (unsigned int)__builtin_clzll(w);
}

static inline bool bit_test(const uint64_t *set, unsigned int n) {
    return READ_ONCE(set[n / 64]) >> (n % 64) & 1;
}

/* Atomic; each returns the bit's old value. Full barriers. */
static inline bool bit_test_and_set(uint64_t *set, unsigned int n) {
    return __atomic_fetch_or(&set[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST) >> (n % 64) & 1;
}
static inline bool bit_test_and_clear(uint64_t *set, unsigned int n) {
    return __atomic_fetch_and(&set[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST) >> (n % 64) & 1;
}

/* Lowest bit set at or after `from`, or nr_bits if there is none. */
static inline unsigned int bit_next(const uint64_t *set, unsigned int nr_bits, unsigned int from) {
    for (unsigned int i = from / 64; i < BIT_WORDS(nr_bits); i++) {
        uint64_t w = READ_ONCE(set[i]);

        if (i == from / 64)
            w &= ~UINT64_C(0) << (from % 64);
        if (w)
            return MIN(i * 64 + bit_lowest(w), nr_bits);
    }
    return nr_bits;
}

/* Most processors the hypervisor drives. */
#define NR_CPUS 128

typedef struct {
    uint64_t bits[BIT_WORDS(NR_CPUS)];
} cpumask_t;

static inline bool cpumask_test(const cpumask_t *m, unsigned int cpu) {
    return bit_test(m->bits, cpu);
}
static inline void cpumask_set(cpumask_t *m, unsigned int cpu) { /* atomic */
    (void)bit_test_and_set(m->bits, cpu);
}
static inline void cpumask_clear(cpumask_t *m, unsigned int cpu) { /* atomic */
    (void)bit_test_and_clear(m->bits, cpu);
}
static inline bool cpumask_empty(const cpumask_t *m) {
    for (unsigned int i = 0; i < ARRAY_LEN(m->bits); i++)
        if (READ_ONCE(m->bits[i]))
            return false;
    return true;
}
static inline cpumask_t cpumask_and(const cpumask_t *a, const cpumask_t *b) {
    cpumask_t r;

    for (unsigned int i = 0; i < ARRAY_LEN(r.bits); i++)
        r.bits[i] = READ_ONCE(a->bits[i]) & READ_ONCE(b->bits[i]);
    return r;
}
static inline unsigned int cpumask_weight(const cpumask_t *m) {
    unsigned int n = 0;

    /* The compiler's own counter is a call into its library. */
    for (unsigned int i = 0; i < ARRAY_LEN(m->bits); i++)
        for (uint64_t w = m->bits[i]; w; w &= w - 1)
            n++;
    return n;
}
#define cpumask_next(m, from) bit_next((m)->bits, NR_CPUS, from)
#define cpumask_for_each(cpu, m)                                                                   \
    for (cpu = cpumask_next(m, 0); cpu < NR_CPUS; cpu = cpumask_next(m, cpu + 1))

/*
 * The index itself if it is below size, else 0, without a branch the cpu could
 * speculate past: for guest-chosen indexes, after the architectural check.
 */
static inline uint64_t index_nospec(uint64_t index, uint64_t size) {
    uint64_t mask;

    __asm__("cmp %1, %2; sbb %0, %0" : "=r"(mask) : "g"(size), "r"(index) : "cc");
    return index & mask;
}

#endif
