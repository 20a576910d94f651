/* Whole tables: taking and dropping what all their entries stand for. */
#include "pv/mmu-entry.h"

/* Not RAM: no references. What the guest takes for write-back or write-through is made uncached. */
int l1e_get_io(const struct domain *d, const struct domain *pg_owner, uint64_t *e) {
    uint64_t cache = *e & PTE_CACHE;

    if (!d->hardware || (pg_owner != d && pg_owner != dom_io) || !pv_iomem_allowed(d, pte_mfn(*e)))
        return -EPERM;
    if (cache == 0 || cache == PTE_PWT || cache == (PTE_PWT | PTE_PAT))
        *e = (*e & ~PTE_CACHE) | PTE_PWT | PTE_PCD;
    return 0;
}

/*
 * Tables are mostly empty, and walking over them is where fork and exec spend their time: sixteen
 * empty entries are passed in one step of some twenty instructions.
 */
#define STEP 16

static inline bool none_present(const uint64_t *t) {
    return !((t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7] | t[8] | t[9] | t[10] | t[11] |
              t[12] | t[13] | t[14] | t[15]) &
             PTE_P);
}

/* The present entries of table t at and above `from`, upwards / below `top`, downwards. */
#define for_each_present(i, t, from)                                                               \
    for (size_t step_ = ROUND_DOWN(from, STEP); step_ < PT_ENTRIES; step_ += STEP)                 \
        if (!none_present((t) + step_))                                                            \
            for (i = MAX(step_, from); i < step_ + STEP; i++)                                      \
                if ((t)[i] & PTE_P)
#define for_each_present_down(i, t, top)                                                           \
    for (size_t step_ = ROUND_UP(top, STEP); step_ > 0; step_ -= STEP)                             \
        if (!none_present((t) + step_ - STEP))                                                     \
            for (i = MIN(step_, top); i-- > step_ - STEP;)                                         \
                if ((t)[i] & PTE_P)

/*
 * While a table is validated nobody can write to it: each entry is read once and adjusted in place.
 */
static int validate_l1(struct domain *d, uint64_t *t, unsigned int *progress) {
    uint64_t refused = l1e_refused(d);
    size_t i, start = *progress;

    for_each_present(i, t, start) {
        uint64_t e = t[i], new = l1e_adjust(e);
        int rc = e & refused ? -EINVAL : l1e_get(d, d, &new);

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
    size_t i, start = *progress;

    for_each_present(i, t, start) {
        uint64_t e = t[i];
        struct page *child;
        int rc;

        if (type == PAGE_L4 && l4_slot_is_ours(i))
            continue;
        child = e & TABLE_ENTRY_REFUSED ? NULL : mfn_lookup(pte_mfn(e));
        rc = child ? page_get_and_type(child, d, type - 1) : -EINVAL;
        if (rc) {
            *progress = i;
            return rc;
        }
        t[i] = table_entry_adjust(type, e);
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
    size_t i, top = *progress;

    while (top < PT_ENTRIES && t[top] & PTE_P && unwind_child(d, t[top]))
        if (preemptible)
            return -ERESTART;

    for_each_present_down(i, t, top) {
        struct page *child = mfn_to_page(pte_mfn(t[i]));

        if (type == PAGE_L4 && l4_slot_is_ours(i))
            continue;
        *progress = i;
        if (!preemptible)
            page_put_and_type(child);
        else if (page_put_and_type_preemptible(child) || (preempt_needed() && i > 0))
            return -ERESTART;
    }
    *progress = 0;
    return 0;
}

static void invalidate_l1(const uint64_t *t, unsigned int *progress) {
    size_t i, top = *progress;

    for_each_present_down(i, t, top) l1e_put(t[i]);
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
