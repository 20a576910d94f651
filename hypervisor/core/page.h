/*
 * One struct page per machine frame: who owns it, how often it is referenced, what it is used as.
 *
 * refs  says that the frame exists with this owner: flags and a count. Frame and owner stay
 *       while the count is above zero.
 * type  says what the frame is used as, and how often. The type changes only while the type count
 *       is zero; the one who takes the first count validates. All in one atomic word.
 *
 * Every get has its put in the same function or in the one its comment names.
 */
#ifndef CORE_PAGE_H
#define CORE_PAGE_H

#include "arch/mm.h"
#include "core/tlb.h"
#include "lib/bug.h"
#include "lib/types.h"

struct domain;

/*
 * struct page.refs: a count, and flags. PG_XEN is hypervisor memory shown to its owner
 * (shared_info, grant frames), which is not among the owner's pages and whose memory is not given
 * back with the last reference.
 */
#define PG_ALLOCATED BIT(63) /* the owner's allocation holds one of the counts */
#define PG_XEN       BIT(62)
#define PG_CLEAN     BIT(61) /* free frame known to be all zero */
#define PG_FREE      BIT(60) /* first frame of a free block (core/heap.c) */
#define PG_COUNT     (BIT(48) - 1)

/* struct page.type, from the top: 3 bits type, flags, progress, count. */
enum page_type {
    PAGE_NONE,
    PAGE_L1,
    PAGE_L2,
    PAGE_L3,
    PAGE_L4,
    PAGE_SEGDESC,
    PAGE_WRITABLE,
};
#define PT_TYPE_SHIFT 61
#define PT_TYPE(w)    ((enum page_type)((w) >> PT_TYPE_SHIFT))
#define PT_WORD(t)    ((uint64_t)(t) << PT_TYPE_SHIFT)

#define PT_VALID   BIT(60) /* contents checked, references of all entries taken */
#define PT_PINNED  BIT(59) /* MMUEXT_PIN holds one type count and one reference */
#define PT_PARTIAL BIT(58) /* entries below the progress index are referenced, the rest not */
#define PT_BUSY    BIT(57) /* a cpu is validating or invalidating right now */
#define PT_FOREIGN BIT(56) /* a domain other than the owner has had it mapped as this type */

/* Progress: 0..512 entries done. The count cannot overflow: 2^40 entries are 8 TiB of tables. */
#define PT_PROGRESS_SHIFT 46
#define PT_PROGRESS(w)    ((unsigned int)((w) >> PT_PROGRESS_SHIFT) & 0x3ff)
#define PT_COUNT(w)       ((w) & (BIT(40) - 1))

/*
 * The states of a type word, and who may leave them:
 *
 *   count 0             the type is what the frame was last used as; PAGE_WRITABLE stays PT_VALID
 *   PT_VALID, count n   in use; anyone may add one, each holder drops its own
 *   PT_BUSY, count 1    one cpu works on it, the others wait (same type) or get -EBUSY
 *   PT_PARTIAL, count 1 nobody works on it. Whoever wants that type goes on validating; whoever
 *                       wants another type, or page_unwind(), goes on invalidating.
 *                       No caller owes anything: what a preempted get or put had is the state's own
 */

struct page {
    uint64_t refs;
    uint64_t type;
    uint32_t owner;      /* mfn of the page that holds struct domain; 0: none */
    uint32_t stamp;      /* epoch (core/tlb.h) when the last typed or writable use ended */
    uint32_t next, prev; /* list links (core/page-list.h): frame numbers */
};
_Static_assert(sizeof(struct page) == 32, "frame table: 32 bytes a frame");

static inline mfn_t page_to_mfn(const struct page *pg) {
    return mfn_of((uint64_t)(pg - frame_table));
}
static inline struct page *mfn_to_page(mfn_t mfn) {
    return &frame_table[mfn.n];
}
static inline void *page_to_virt(const struct page *pg) {
    return mfn_to_virt(page_to_mfn(pg));
}
static inline struct page *virt_to_page(const void *va) {
    return mfn_to_page(virt_to_mfn(va));
}
static inline struct domain *page_owner(const struct page *pg) {
    uint32_t owner = READ_ONCE(pg->owner);

    return owner ? mfn_to_virt(mfn_of(owner)) : NULL;
}
static inline void page_set_owner(struct page *pg, struct domain *d) { /* NULL: none */
    WRITE_ONCE(pg->owner, d ? (uint32_t)virt_to_mfn(d).n : 0);
}

/* The page behind a guest-given frame number, NULL if it is not RAM. Speculation-safe. */
static inline struct page *mfn_lookup(mfn_t mfn) {
    return arch_mfn_is_ram(mfn) ? &frame_table[index_nospec(mfn.n, max_mfn)] : NULL;
}

/* The last reference is gone: the frame goes back to where it came from (core/domain-memory.c). */
void page_free(struct page *pg);

/* Drop a reference; the last one frees the frame. Locks: below RANK_PAGE_LIST. */
static inline void page_put(struct page *pg) {
    uint64_t old = __atomic_fetch_sub(&pg->refs, 1, __ATOMIC_SEQ_CST);

    if (unlikely((old & PG_COUNT) <= 1)) {
        BUG_ON((old & PG_COUNT) == 0);
        page_free(pg);
    }
}

/* One more for a caller that already holds one. */
static inline void page_get_again(struct page *pg) {
    __atomic_fetch_add(&pg->refs, 1, __ATOMIC_SEQ_CST);
}

/*
 * Take a reference of a frame that d owns.
 * Errors: false if d does not own it, or nobody does.
 */
MUST_CHECK static inline bool page_get(struct page *pg, const struct domain *d) {
    uint64_t refs = READ_ONCE(pg->refs);

    do {
        if ((refs & PG_COUNT) == 0)
            return false;
    } while (!__atomic_compare_exchange_n(&pg->refs, &refs, refs + 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (likely(READ_ONCE(pg->owner) == virt_to_mfn(d).n))
        return true;
    page_put(pg);
    return false;
}

/*
 * Take / drop a type count. The caller holds a reference for as long as it holds the type count.
 * get: may validate (L1-L4, SEGDESC), by pv's page_validate below.
 * put_preemptible: -ERESTART: the caller's count is gone, the page is left partial: go on with
 *                  page_unwind.
 * put: for types whose invalidation is short (WRITABLE, SEGDESC, L1) or where the caller may not
 *      be preempted.
 * Errors: -EBUSY in another use; -EINVAL or -EPERM content not acceptable;
 *         -ERESTART preempted: progress is in the page, call again with the same arguments.
 * Locks:  may flush other cpus' TLBs: interrupts on, no _irq lock.
 * Note:   whoever removes a mapping changes the entry by an atomic instruction before it puts the
 *         type: the stamp is only right if other cpus see the entry gone when the epoch is read.
 *
 * A partial page (PT_PARTIAL) belongs to nobody but itself: its state holds one type count and
 * one reference, whether a get or a put was cut short, so whoever was cut short owes nothing and
 * may go away. Anyone may go on: a get of the same type completes the validation; a get of
 * another type and page_unwind take it back. All inherit what the state held. A get that fails
 * with another error than -ERESTART may leave the page partial, too (its undoing was preempted).
 */
MUST_CHECK int page_get_type_slow(struct page *pg, enum page_type want);
MUST_CHECK int page_put_type_slow(struct page *pg, bool preemptible);

/* One more count of a page that was, by its word, in use as `want`; false if it is no more. */
MUST_CHECK static inline bool page_add_type(struct page *pg, uint64_t word, enum page_type want) {
    /* The four bits from PT_VALID up. */
    return likely(word >> (PT_TYPE_SHIFT - 1) == ((uint64_t)want << 1 | 1)) &&
           likely(__atomic_compare_exchange_n(&pg->type, &word, word + 1, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_RELAXED));
}

MUST_CHECK static inline int page_get_type(struct page *pg, enum page_type want) {
    return page_add_type(pg, READ_ONCE(pg->type), want) ? 0 : page_get_type_slow(pg, want);
}

/* The stamp only moves forward: another cpu may have dropped its use at a later epoch. */
static inline void page_stamp(struct page *pg) {
    uint32_t now = tlb_stamp_now(), old = READ_ONCE(pg->stamp);

    while (unlikely((int32_t)(now - old) > 0))
        if (__atomic_compare_exchange_n(&pg->stamp, &old, now, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED))
            break;
}

MUST_CHECK static inline int page_drop_type(struct page *pg, bool preemptible) {
    uint64_t old = READ_ONCE(pg->type);

    /* Only the end of the last use is stamped: no earlier one ended later. */
    if (likely(PT_COUNT(old) > 1 &&
               __atomic_compare_exchange_n(&pg->type, &old, old - 1, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED)))
        return 0;
    page_stamp(pg);
    return page_put_type_slow(pg, preemptible);
}
MUST_CHECK static inline int page_put_type_preemptible(struct page *pg) {
    return page_drop_type(pg, true);
}
static inline void page_put_type(struct page *pg) {
    int rc = page_drop_type(pg, false);

    ASSERT(rc == 0);
    (void)rc;
}

/*
 * Take a partial page back to no use; nothing to do on any other. The caller holds a reference.
 * -ERESTART: call again.
 */
MUST_CHECK int page_unwind(struct page *pg);

/*
 * Both at once, in the right order on every error path. put_preemptible: the reference is gone
 * even at -ERESTART.
 */
MUST_CHECK static inline int page_get_and_type(struct page *pg, const struct domain *d,
                                               enum page_type want) {
    int rc;

    if (!page_get(pg, d))
        return -EINVAL;
    rc = page_get_type(pg, want);
    if (unlikely(rc))
        page_put(pg);
    return rc;
}
MUST_CHECK static inline int page_put_and_type_preemptible(struct page *pg) {
    int rc = page_put_type_preemptible(pg);

    page_put(pg);
    return rc;
}
static inline void page_put_and_type(struct page *pg) {
    page_put_type(pg);
    page_put(pg);
}

/*
 * A domain other than the owner maps it writable; the caller holds the type count. From then on a
 * change of type has to distrust the translations of every cpu, not only the owner's.
 */
static inline void page_mark_foreign(struct page *pg) {
    if (!(READ_ONCE(pg->type) & PT_FOREIGN))
        __atomic_fetch_or(&pg->type, PT_FOREIGN, __ATOMIC_SEQ_CST);
}

static inline bool page_type_is(const struct page *pg, enum page_type t) {
    uint64_t w = READ_ONCE(pg->type);

    return PT_TYPE(w) == t && PT_COUNT(w) != 0;
}

/*
 * Upward calls, defined in pv/mmu-validate.c. Entries [0, *progress) of the table hold references.
 * validate:   check and reference entries from *progress upwards, to 512.
 * invalidate: drop the references of entries from *progress - 1 downwards, to 0.
 * Both move *progress with every entry done, so that either can take over where the other stopped.
 * Errors: -ERESTART preempted; validate: another errno on a bad entry.
 */
MUST_CHECK int page_validate(struct page *pg, enum page_type type, unsigned int *progress);
MUST_CHECK int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                               bool preemptible);

#endif
