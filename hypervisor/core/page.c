/* The type machine of core/page.h beyond its fast paths: every transition through PT_BUSY. */
#include "core/page.h"

#include "core/cpu.h"
#include "core/domain.h"
#include "core/tlb.h"

#define TABLE_ENTRIES 512

static bool swap_word(struct page *pg, uint64_t *old, uint64_t new) {
    return __atomic_compare_exchange_n(&pg->type, old, new, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

static uint64_t partial_word(enum page_type type, unsigned int progress) {
    return PT_WORD(type) | PT_PARTIAL | (uint64_t)progress << PT_PROGRESS_SHIFT | 1;
}

/*
 * Leave PT_BUSY. A partial state has a reference of its own: it is taken when the page becomes
 * partial, and dropped when a page that was partial no longer is. Never the last one: our caller
 * holds another.
 */
static void settle(struct page *pg, uint64_t word, bool was_partial) {
    bool partial = word & PT_PARTIAL;

    if (partial && !was_partial)
        page_get_again(pg);
    __atomic_store_n(&pg->type, word, __ATOMIC_SEQ_CST);
    if (was_partial && !partial)
        page_put(pg);
}

/*
 * The frame was last used as something else. Whoever could write to it then may still do so through
 * a stale translation; whoever walked it as a table may still walk it. The new type is committed,
 * so that no new mapping of the old kind can come up after the flush.
 */
static void flush_last_use(const struct page *pg, uint64_t last) {
    const struct domain *d = page_owner(pg);
    const cpumask_t *may_hold = d && !(last & PT_FOREIGN) ? &d->dirty_cpus : &cpus_online;

    tlb_flush_stale(may_hold, READ_ONCE(pg->stamp));
}

static int invalidate(struct page *pg, enum page_type type, unsigned int progress, bool was_partial,
                      bool preemptible) {
    int rc = page_invalidate(pg, type, &progress, preemptible);

    settle(pg, rc ? partial_word(type, progress) : PT_WORD(type), was_partial);
    return rc;
}

static int validate(struct page *pg, enum page_type type, unsigned int progress, bool was_partial) {
    int rc = type == PAGE_WRITABLE ? 0 : page_validate(pg, type, &progress);

    if (rc == 0)
        settle(pg, PT_WORD(type) | PT_VALID | 1, was_partial);
    else if (rc == -ERESTART)
        settle(pg, partial_word(type, progress), was_partial);
    else
        (void)!invalidate(pg, type, progress, was_partial, true);
    return rc;
}

int page_get_type_slow(struct page *pg, enum page_type want) {
    uint64_t old = READ_ONCE(pg->type), new;
    int rc;

    do {
        while ((old & PT_BUSY) && PT_TYPE(old) == want) {
            if (preempt_needed())
                return -ERESTART;
            cpu_relax();
            old = READ_ONCE(pg->type);
        }
        if ((old & PT_PARTIAL) && PT_TYPE(old) != want) {
            rc = page_unwind(pg);
            if (rc)
                return rc;
            old = READ_ONCE(pg->type);
        }
        if (PT_COUNT(old) == 0)
            new = PT_TYPE(old) == want && (old & PT_VALID) ? old + 1 : PT_WORD(want) | PT_BUSY | 1;
        else if (PT_TYPE(old) != want)
            return -EBUSY;
        else if (old & PT_PARTIAL)
            new = (old & ~PT_PARTIAL) | PT_BUSY;
        else
            new = old + 1;
    } while ((old & PT_BUSY) || !swap_word(pg, &old, new));

    if (new &PT_VALID)
        return 0;
    if (old & PT_PARTIAL)
        return validate(pg, want, PT_PROGRESS(old), true);
    if (PT_TYPE(old) != PAGE_NONE && PT_TYPE(old) != want)
        flush_last_use(pg, old);
    return validate(pg, want, 0, false);
}

int page_put_type_slow(struct page *pg, bool preemptible) {
    uint64_t old = READ_ONCE(pg->type), new;
    enum page_type type;

    do {
        BUG_ON(PT_COUNT(old) == 0 || (old & (PT_BUSY | PT_PARTIAL)));
        type = PT_TYPE(old);
        if (PT_COUNT(old) > 1 || type == PAGE_WRITABLE || type == PAGE_NONE)
            new = old - 1;
        else
            new = PT_WORD(type) | PT_BUSY | 1;
    } while (!swap_word(pg, &old, new));
    if (!(new &PT_BUSY))
        return 0;
    /*
     * Once more than before the exchange: between the two another cpu may have linked the table,
     * and unlinked it without a stamp, as it was not the last then. Now nobody can.
     */
    page_stamp(pg);
    return invalidate(pg, type, TABLE_ENTRIES, false, preemptible);
}

int page_unwind(struct page *pg) {
    uint64_t old = READ_ONCE(pg->type);

    do {
        if (!(old & PT_PARTIAL))
            return 0;
    } while (!swap_word(pg, &old, (old & ~PT_PARTIAL) | PT_BUSY));
    return invalidate(pg, PT_TYPE(old), PT_PROGRESS(old), true, true);
}
