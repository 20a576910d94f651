/*
 * The rules of one L1 entry: what it may say, what it stands for, how it is exchanged. Inline,
 * since every road to a page table ends here, some of them thousands of times in a fork.
 */
#ifndef PV_MMU_ENTRY_H
#define PV_MMU_ENTRY_H

#include "pv/mmu.h"

#define PTE_CACHE (PTE_PAT | PTE_PCD | PTE_PWT)
/* A present L1 entry may change in these, and only these, without being looked at again. */
#define L1_FREE (PTE_A | PTE_D | PTE_AVL | PTE_AVL_HIGH)

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Bits that are not for this domain: cache attributes are for who has devices. */
static inline uint64_t l1e_refused(const struct domain *d) {
    return d->hardware ? 0 : PTE_CACHE;
}

/*
 * What a present L1 entry reads back as: guests run in ring 3, kernels too, so every entry is
 * user-accessible; bit 52 marks those the guest made for its kernel, the others are global.
 */
static inline uint64_t l1e_adjust(uint64_t e) {
    if (!(e & PTE_US))
        return e | PTE_US | PTE_GUEST_KERNEL;
    return e & PTE_GUEST_KERNEL ? e : e | PTE_G;
}

/*
 * The part of l1e_get for frames that are not RAM, mmu-validate.c. May change the entry's cache
 * attributes.
 */
MUST_CHECK int l1e_get_io(const struct domain *d, const struct domain *pg_owner, uint64_t *e);

/*
 * Take what a present entry of a table of d stands for; pg_owner owns the frame.
 * Errors: -EINVAL no such frame of pg_owner; -EPERM no right to it; -EBUSY it is a table;
 * -ERESTART.
 */
MUST_CHECK static ALWAYS_INLINE int l1e_get(struct domain *d, struct domain *pg_owner,
                                            uint64_t *e) {
    struct page *pg = mfn_lookup(pte_mfn(*e));
    int rc;

    if (unlikely(!pg))
        return l1e_get_io(d, pg_owner, e);
    if (unlikely(!page_get(pg, pg_owner)))
        return -EINVAL;
    if (!(*e & PTE_RW))
        return 0;
    rc = likely(pg_owner != dom_xen) ? page_get_type(pg, PAGE_WRITABLE) : -EPERM;
    if (unlikely(rc))
        page_put(pg);
    else if (unlikely(pg_owner != d))
        page_mark_foreign(pg);
    return rc;
}

/*
 * Drop a count of a writable page: no other state can follow while there is one, so it is just one
 * less.
 */
static inline void l1e_put_writable(struct page *pg) {
    ASSERT(page_type_is(pg, PAGE_WRITABLE));
    page_stamp(pg);
    __atomic_fetch_sub(&pg->type, 1, __ATOMIC_SEQ_CST);
}

/* Drop what a present entry that came out of its slot stood for. */
static ALWAYS_INLINE void l1e_put(uint64_t e) {
    struct page *pg = mfn_lookup(pte_mfn(e));

    if (unlikely(!pg))
        return;
    if (e & PTE_RW)
        l1e_put_writable(pg);
    page_put(pg);
}

static inline bool slot_exchange(uint64_t *slot, uint64_t old, uint64_t new) {
    return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* The same frame, with write access taken away: keeps its reference. */
static inline int l1e_write_protect(uint64_t *slot, uint64_t old, uint64_t val) {
    struct page *pg = mfn_lookup(pte_mfn(old));

    if (!slot_exchange(slot, old, val))
        return -EAGAIN;
    if (pg)
        l1e_put_writable(pg);
    return 0;
}

/*
 * Replace `old` by `val` in an L1 slot of d. pg_owner owns the frame that val maps.
 * Locks:  the caller holds an L1 type count of the page.
 * Errors: -EAGAIN: the slot did not hold old, nothing changed; -EINVAL bits refused; as l1e_get.
 */
MUST_CHECK static ALWAYS_INLINE int l1e_exchange(struct domain *d, struct domain *pg_owner,
                                                 uint64_t *slot, uint64_t old, uint64_t val) {
    if (val & PTE_P) {
        int rc;

        if (unlikely(val & l1e_refused(d)))
            return -EINVAL;
        val = l1e_adjust(val);
        if (old & PTE_P) {
            uint64_t changed = (old ^ val) & ~L1_FREE;

            if (!changed)
                return slot_exchange(slot, old, val) ? 0 : -EAGAIN;
            if (changed == PTE_RW && old & PTE_RW)
                return l1e_write_protect(slot, old, val);
        }
        rc = l1e_get(d, pg_owner, &val);
        if (unlikely(rc))
            return rc;
    }
    if (unlikely(!slot_exchange(slot, old, val))) {
        if (val & PTE_P)
            l1e_put(val);
        return -EAGAIN;
    }
    if (old & PTE_P)
        l1e_put(old);
    return 0;
}

#endif
