#include "lib/lock.h"

#include "arch/cpu.h"
#include "lib/bug.h"

static void rank_enter(struct lock *l, bool same_rank_too) {
#ifdef HOSPES_DEBUG
    uint8_t *rank = arch_cpu_lock_rank();

    ASSERT(l->rank + same_rank_too > *rank); /* order violated: see docs/locking.md */
    l->below = *rank;
    *rank = l->rank;
#else
    (void)l, (void)same_rank_too;
#endif
}

static void rank_leave(struct lock *l) {
#ifdef HOSPES_DEBUG
    *arch_cpu_lock_rank() = l->below;
#else
    (void)l;
#endif
}

static void acquire(struct lock *l, bool same_rank_too) {
    uint16_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket)
        cpu_relax();
    rank_enter(l, same_rank_too);
}

void lock_acquire(struct lock *l) {
    acquire(l, false);
}

bool lock_try_acquire(struct lock *l) {
    uint16_t ticket = READ_ONCE(l->serving);

    if (!__atomic_compare_exchange_n(&l->next, &ticket, (uint16_t)(ticket + 1), false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    rank_enter(l, false);
    return true;
}

void lock_release(struct lock *l) {
    rank_leave(l);
    __atomic_store_n(&l->serving, (uint16_t)(l->serving + 1), __ATOMIC_RELEASE);
}

uint64_t lock_acquire_irq(struct lock *l) {
    uint64_t flags = irq_save();

    acquire(l, false);
    return flags;
}

void lock_release_irq(struct lock *l, uint64_t flags) {
    lock_release(l);
    irq_restore(flags);
}

bool lock_held(const struct lock *l) {
    return READ_ONCE(l->next) != READ_ONCE(l->serving);
}

void lock_pair(struct lock *a, struct lock *b) {
    acquire(a < b ? a : b, false);
    if (a != b)
        acquire(a < b ? b : a, true);
}

/* The lock taken first goes last, so that the rank from before both comes back. */
void unlock_pair(struct lock *a, struct lock *b) {
    if (a != b)
        lock_release(a < b ? b : a);
    lock_release(a < b ? a : b);
}
