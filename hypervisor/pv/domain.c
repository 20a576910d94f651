/* The PV part of domains and vcpus: composed of what page tables, descriptors and traps provide. */
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "pv/descriptor.h"
#include "pv/mmu.h"

int pv_vcpu_init(struct vcpu *v) {
    /* 256 entries of 16 bytes are exactly a page. */
    v->arch.traps = heap_alloc_virt(0);
    return v->arch.traps ? 0 : -ENOMEM;
}

void pv_vcpu_relinquish(struct vcpu *v) {
    v->runstate_area.va = v->time_area.va = 0;
    pv_release_descriptors(v);
    vcpu_unregister_info(v);
}

void pv_vcpu_destroy(struct vcpu *v) {
    heap_free_virt(v->arch.traps, 0);
    v->arch.traps = NULL;
}

/* The next page of d that its allocation still holds, with a reference; NULL at the end. */
static struct page *next_allocated(struct domain *d) {
    struct page *pg;

    lock_acquire(&d->page_lock);
    pg = mfn_to_page(mfn_of(d->relinquish_at));
    if (!d->relinquish_at || page_owner(pg) != d || READ_ONCE(pg->refs) & PG_XEN)
        pg = page_list_first(&d->pages);
    while (pg && !(READ_ONCE(pg->refs) & PG_ALLOCATED && page_get(pg, d)))
        pg = page_list_next(pg);
    d->relinquish_at = pg && pg->next != PAGE_LIST_END ? pg->next : 0;
    lock_release(&d->page_lock);
    return pg;
}

static int release_pages(struct domain *d) {
    struct page *pg;

    while ((pg = next_allocated(d))) {
        page_release_allocation(pg);
        page_put(pg);
        if (preempt_needed())
            return -ERESTART;
    }
    return 0;
}

int pv_domain_relinquish(struct domain *d) {
    int rc;

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        rc = v ? mmu_drop_bases(v) : 0;
        if (rc)
            return rc;
        if (v)
            pv_vcpu_relinquish(v);
    }
    rc = mmu_relinquish(d);
    return rc ? rc : release_pages(d);
}
