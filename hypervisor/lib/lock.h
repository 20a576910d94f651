/*
 * Spin locks with ranks. A cpu may only take a lock of a higher rank than any it holds;
 * debug builds stop at the first violation. The reasons are in docs/locking.md.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/types.h"

enum lock_rank {
    RANK_NONE,
    RANK_DOMLIST,
    RANK_DOMCTL,
    RANK_DOMAIN,
    RANK_GNTTAB,
    RANK_GNTTAB_ENTRY,
    RANK_MAPTRACK,
    RANK_PAGE_LIST,
    RANK_MSI,
    RANK_PIRQ,
    RANK_EVTCHN,
    RANK_EVTCHN_PORT,
    RANK_EVTCHN_QUEUE,
    RANK_HEAP,
    RANK_SLAB,
    RANK_RUNQUEUE,
    RANK_TIMER,
    RANK_IRQ,
    RANK_PCI,
    RANK_CONSOLE,
};

/* Ticket lock: fair, because a guest can make others wait on some of these. */
struct lock {
    uint16_t next, serving;
    uint8_t rank;
    uint8_t below; /* rank this cpu held before; valid while held */
};

#define LOCK_INIT(r) {.rank = (r)}

static inline void lock_init(struct lock *l, enum lock_rank rank) {
    *l = (struct lock)LOCK_INIT(rank);
}

/*
 * Locks:  a lock taken by interrupt handlers is always taken by the _irq forms.
 * Note:   with plain locks interrupts stay as they are, so a cpu that waits for
 *         one still answers TLB-flush requests. Never wait for another cpu's
 *         flush while holding an _irq lock.
 */
void lock_acquire(struct lock *l);
bool lock_try_acquire(struct lock *l);
void lock_release(struct lock *l);
/* Take with interrupts off; returns the flags for lock_release_irq. */
uint64_t lock_acquire_irq(struct lock *l);
void lock_release_irq(struct lock *l, uint64_t flags);
bool lock_held(const struct lock *l);
/* Two locks of one rank, lower address first; a == b is taken once. */
void lock_pair(struct lock *a, struct lock *b);
void unlock_pair(struct lock *a, struct lock *b);

#endif
