/* What a page-table entry may say and stands for; whole tables; the exchange of one L1 entry. */
#include "pv/mmu.h"

#define CACHE_BITS    (PTE_PAT | PTE_PCD | PTE_PWT)
#define TABLE_REFUSED (PTE_PSE | PTE_PCD | PTE_PWT | PTE_G)
/* A present L1 entry may change in these, and only these, without being looked at again. */
#define L1_FREE (PTE_A | PTE_D | PTE_AVL)

static inline uint64_t l1_refused(const struct domain *d) {
    return d->hardware ? 0 : CACHE_BITS;
}

/* Not RAM: no references. What the guest takes for write-back or write-through is made uncached. */
static int get_l1e_io(const struct domain *d, const struct domain *pg_owner, uint64_t *e) {
    uint64_t cache = *e & CACHE_BITS;

    if (!d->hardware || (pg_owner != d && pg_owner != dom_io) || !pv_iomem_allowed(d, pte_mfn(*e)))
        return -EPERM;
    if (cache == 0 || cache == PTE_PWT || cache == (PTE_PWT | PTE_PAT))
        *e = (*e & ~CACHE_BITS) | PTE_PWT | PTE_PCD;
    return 0;
}

/* Take what a present L1 entry stands for. */
static inline __attribute__((always_inline)) int get_l1e(struct domain *d, struct domain *pg_owner, uint64_t *e) {
    struct page *pg = mfn_lookup(pte_mfn(*e));
    int rc;

    if (unlikely(!pg))
        return get_l1e_io(d, pg_owner, e);
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

static inline void put_l1e(uint64_t e) {
    struct page *pg = mfn_lookup(pte_mfn(e));

    if (unlikely(!pg))
        return;
    if (e & PTE_RW)
        page_put_type(pg);
    page_put(pg);
}

void mmu_put_l1e(uint64_t e) {
    if (e & PTE_P)
        put_l1e(e);
}

static inline bool slot_exchange(uint64_t *slot, uint64_t old, uint64_t new) {
    return __atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

int mmu_exchange_l1e(struct domain *d, struct domain *pg_owner, uint64_t *slot, uint64_t old,
                     uint64_t val) {
    int rc;

    if (val & PTE_P) {
        if (unlikely(val & l1_refused(d)))
            return -EINVAL;
        val = mmu_adjust_l1e(val);
        if (old & PTE_P) {
            uint64_t changed = (old ^ val) & ~L1_FREE;

            if (!changed)
                return slot_exchange(slot, old, val) ? 0 : -EAGAIN;
            if (changed == PTE_RW && !(val & PTE_RW)) { /* write-protected: keeps its reference */
                struct page *pg = mfn_lookup(pte_mfn(old));

                if (!slot_exchange(slot, old, val))
                    return -EAGAIN;
                if (pg)
                    page_put_type(pg);
                return 0;
            }
        }
        rc = get_l1e(d, pg_owner, &val);
        if (unlikely(rc))
            return rc;
    }
    if (unlikely(!slot_exchange(slot, old, val))) {
        mmu_put_l1e(val);
        return -EAGAIN;
    }
    mmu_put_l1e(old);
    return 0;
}

/* What a present entry of a higher table reads back as. */
static inline uint64_t adjust_table_entry(enum page_type type, uint64_t e) {
    return e | (type == PAGE_L4 ? PTE_US | PTE_A : PTE_US);
}

/* Store val, with the accessed and dirty bits of the old entry if so asked; returns that entry. */
static uint64_t slot_store(uint64_t *slot, uint64_t val, bool preserve_ad) {
    uint64_t old = READ_ONCE(*slot);

    while (!__atomic_compare_exchange_n(slot, &old, preserve_ad ? val | (old & PTE_AD) : val, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    return old;
}

static int set_l1e(struct domain *d, struct domain *pg_owner, uint64_t *slot, uint64_t val,
                   bool preserve_ad) {
    int rc;

    do {
        uint64_t old = READ_ONCE(*slot);

        rc = mmu_exchange_l1e(d, pg_owner, slot, old, preserve_ad ? val | (old & PTE_AD) : val);
    } while (unlikely(rc == -EAGAIN));
    return rc;
}

static int set_table_entry(struct vcpu *curr, struct domain *d, enum page_type type, uint64_t *slot,
                           uint64_t val, bool preserve_ad) {
    uint64_t old;

    if (val & PTE_P) {
        int rc = val & TABLE_REFUSED ? -EINVAL : mmu_get_table(curr, d, pte_mfn(val), type - 1);

        if (rc)
            return rc;
        val = adjust_table_entry(type, val);
    }
    old = slot_store(slot, val, preserve_ad);
    if (old & PTE_P)
        mmu_drop(curr, mfn_to_page(pte_mfn(old)));
    return 0;
}

int mmu_set_entry(struct vcpu *curr, struct domain *d, struct domain *pg_owner, struct page *pg,
                  unsigned int index, uint64_t val, bool preserve_ad) {
    uint64_t *slot = (uint64_t *)page_to_virt(pg) + index;
    uint64_t word = READ_ONCE(pg->type);
    enum page_type type =
        PT_COUNT(word) && page_type_is_table(PT_TYPE(word)) ? PT_TYPE(word) : PAGE_WRITABLE;
    int rc = type == PAGE_L4 && l4_slot_is_ours(index) ? -EINVAL : page_get_type(pg, type);

    if (unlikely(rc)) {
        page_put(pg);
        return rc;
    }
    if (likely(type == PAGE_L1)) {
        rc = set_l1e(d, pg_owner, slot, val, preserve_ad);
    } else if (type == PAGE_WRITABLE) {
        slot_store(slot, val, preserve_ad);
    } else {
        rc = set_table_entry(curr, d, type, slot, val, preserve_ad);
        mmu_drop(curr,
                 pg); /* another vcpu may have unlinked the table meanwhile: this can be the last */
        return rc;
    }
    page_put_and_type(pg);
    return rc;
}

/*
 * Is none of the sixteen entries from t on present? Tables are mostly empty, and walking over them is
 * where fork and exec spend their time: so the empty parts are passed in some twenty instructions a step.
 */
#define EMPTY_STEP 16

static inline bool none_present(const uint64_t *t) {
    return !((t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7] | t[8] | t[9] | t[10] | t[11] |
              t[12] | t[13] | t[14] | t[15]) & PTE_P);
}

/* The first present entry at or above i, PT_ENTRIES if there is none. */
static inline size_t next_present(const uint64_t *t, size_t i) {
    while (i < PT_ENTRIES) {
        if (i % EMPTY_STEP == 0 && none_present(t + i))
            i += EMPTY_STEP;
        else if (t[i] & PTE_P)
            break;
        else
            i++;
    }
    return i;
}

/* One above the last present entry below n, 0 if there is none. */
static inline size_t prev_present(const uint64_t *t, size_t n) {
    while (n > 0) {
        if (n % EMPTY_STEP == 0 && none_present(t + n - EMPTY_STEP))
            n -= EMPTY_STEP;
        else if (t[n - 1] & PTE_P)
            break;
        else
            n--;
    }
    return n;
}

/* While a table is validated nobody can write to it, so each entry is read once and adjusted in
 * place. */
static int validate_l1(struct domain *d, uint64_t *t, unsigned int *progress) {
    uint64_t refused = l1_refused(d);
    size_t i;

    for (i = next_present(t, *progress); i < PT_ENTRIES; i = next_present(t, i + 1)) {
        uint64_t e = t[i], new = mmu_adjust_l1e(e);
        int rc = e & refused ? -EINVAL : get_l1e(d, d, &new);

        if (unlikely(rc)) {
            *progress = i;
            return rc;
        }
        if (new != e)
            t[i] = new;
    }
    *progress = PT_ENTRIES;
    return 0;
}

static int validate_table(struct domain *d, enum page_type type, uint64_t *t,
                          unsigned int *progress) {
    size_t i;

    for (i = next_present(t, *progress); i < PT_ENTRIES; i = next_present(t, i + 1)) {
        uint64_t e = t[i];
        struct page *child;
        int rc;

        if (type == PAGE_L4 && l4_slot_is_ours(i))
            continue;
        child = e & TABLE_REFUSED ? NULL : mfn_lookup(pte_mfn(e));
        rc = child ? page_get_and_type(child, d, type - 1) : -EINVAL;
        if (rc) {
            *progress = i;
            return rc;
        }
        t[i] = adjust_table_entry(type, e);
        if (preempt_needed()) {
            *progress = i + 1;
            return -ERESTART;
        }
    }
    *progress = PT_ENTRIES;
    if (type == PAGE_L4)
        arch_l4_install(d, t);
    return 0;
}

int page_validate(struct page *pg, enum page_type type, unsigned int *progress) {
    uint64_t *t = page_to_virt(pg);
    int rc;

    switch (type) {
    case PAGE_L1:
        return validate_l1(page_owner(pg), t, progress);
    case PAGE_SEGDESC:
        rc = pv_validate_segdesc_page(t);
        *progress = rc ? 0 : PT_ENTRIES;
        return rc;
    default:
        return validate_table(page_owner(pg), type, t, progress);
    }
}

/* The entry where the work stopped may point to a table that was left partial then. */
static int unwind_child(const struct domain *d, uint64_t e) {
    struct page *child = mfn_lookup(pte_mfn(e));
    int rc = 0;

    if (child && READ_ONCE(child->type) & PT_PARTIAL && page_get(child, d)) {
        rc = page_unwind(child);
        page_put(child);
    }
    return rc;
}

static int invalidate_table(const struct domain *d, enum page_type type, uint64_t *t,
                            unsigned int *progress, bool preemptible) {
    size_t n = *progress;

    while (n < PT_ENTRIES && t[n] & PTE_P && unwind_child(d, t[n]))
        if (preemptible)
            return -ERESTART;

    for (n = prev_present(t, n); n; n = prev_present(t, n - 1)) {
        struct page *child = mfn_to_page(pte_mfn(t[n - 1]));

        if (type == PAGE_L4 && l4_slot_is_ours(n - 1))
            continue;
        *progress = n - 1;
        if (!preemptible)
            page_put_and_type(child);
        else if (page_put_and_type_preemptible(child) || (preempt_needed() && n > 1))
            return -ERESTART;
    }
    *progress = 0;
    return 0;
}

static void invalidate_l1(const uint64_t *t, unsigned int *progress) {
    for (size_t n = prev_present(t, *progress); n; n = prev_present(t, n - 1))
        put_l1e(t[n - 1]);
    *progress = 0;
}

int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                    bool preemptible) {
    uint64_t *t = page_to_virt(pg);

    switch (type) {
    case PAGE_L1:
        invalidate_l1(t, progress);
        return 0;
    case PAGE_SEGDESC:
        *progress = 0;
        return 0;
    default:
        return invalidate_table(page_owner(pg), type, t, progress, preemptible);
    }
}
