/* Taking page tables apart: trees that lost their last use, a vcpu's bases, a dying domain. */
#include "core/cpu.h"
#include "pv/mmu.h"

/* Uses up a reference. */
static void unwind_later(struct vcpu *v, struct page *pg) {
    for (unsigned int i = 0; v && i < ARRAY_LEN(v->arch.unwinding); i++) {
        if (!v->arch.unwinding[i].n) {
            v->arch.unwinding[i] = page_to_mfn(pg);
            return;
        }
    }
    page_put(pg); /* it stays partial, which is safe: its next use goes on, or teardown */
}

void mmu_drop(struct vcpu *v, struct page *pg) {
    if (!v)
        page_put_and_type(pg);
    else if (page_put_type_preemptible(pg))
        unwind_later(v, pg);
    else
        page_put(pg);
}

int mmu_get_table(struct vcpu *v, struct domain *d, mfn_t mfn, enum page_type type) {
    struct page *pg = mfn_lookup(mfn);
    int rc;

    if (!pg || !page_get(pg, d))
        return -EINVAL;
    rc = page_get_type(pg, type);
    if (rc && rc != -ERESTART && READ_ONCE(pg->type) & PT_PARTIAL)
        unwind_later(v, pg);
    else if (rc)
        page_put(pg);
    return rc;
}

int mmu_unwind_slow(struct vcpu *v) {
    for (unsigned int i = 0; i < ARRAY_LEN(v->arch.unwinding); i++) {
        mfn_t table = v->arch.unwinding[i];

        if (table.n && page_unwind(mfn_to_page(table)))
            return -ERESTART;
        v->arch.unwinding[i] = mfn_of(0);
        if (table.n)
            page_put(mfn_to_page(table));
    }
    return 0;
}

int mmu_drop_bases(struct vcpu *v) {
    mfn_t *bases[] = {&v->arch.user_l4, &v->arch.kernel_l4};

    v->arch.kernel_cr3 = v->arch.user_cr3 = 0;
    for (unsigned int i = 0; i < ARRAY_LEN(bases); i++) {
        mfn_t base = *bases[i];

        if (mmu_unwind_finish(v))
            return -ERESTART;
        *bases[i] = mfn_of(0);
        if (base.n)
            mmu_drop(v, mfn_to_page(base));
    }
    return mmu_unwind_finish(v);
}

/*
 * The next page of d that is pinned or partial, with a reference; NULL at the end, or (*rc)
 * preempted. Pages may leave the list while we do not hold the lock; then the search starts again.
 */
static struct page *next_table(struct domain *d, int *rc) {
    struct page *pg;

    lock_acquire(&d->page_lock);
    pg = mfn_to_page(mfn_of(d->relinquish_at));
    if (!d->relinquish_at || page_owner(pg) != d || READ_ONCE(pg->refs) & PG_XEN)
        pg = page_list_first(&d->pages);
    for (; pg; pg = page_list_next(pg)) {
        d->relinquish_at = (uint32_t)page_to_mfn(pg).n;
        if (READ_ONCE(pg->type) & (PT_PINNED | PT_PARTIAL) && page_get(pg, d))
            break;
        if (preempt_needed() && pg->next != PAGE_LIST_END) {
            d->relinquish_at = pg->next;
            *rc = -ERESTART;
            pg = NULL;
            break;
        }
    }
    lock_release(&d->page_lock);
    return pg;
}

int mmu_relinquish(struct domain *d) {
    struct page *pg;
    int rc = 0;

    while (!rc && (pg = next_table(d, &rc))) {
        if (__atomic_fetch_and(&pg->type, ~PT_PINNED, __ATOMIC_SEQ_CST) & PT_PINNED)
            rc = page_put_and_type_preemptible(pg);
        else
            rc = page_unwind(pg);
        page_put(pg);
    }
    return rc;
}
