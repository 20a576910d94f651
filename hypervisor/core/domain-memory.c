/* The frames a domain owns: how they come, how they are shared, how they go back to the heap. */
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/page-list.h"

/* refs last: from then on anybody may take a reference. */
static void page_hand_over(struct page *pg, struct domain *d, uint64_t flags) {
    page_set_owner(pg, d);
    __atomic_store_n(&pg->refs, flags | PG_ALLOCATED | 1, __ATOMIC_RELEASE);
}

/* d's frame counters hold a reference of d while they are not zero. */
static bool adopt(struct domain *d, struct page *pg, unsigned int order, bool limited) {
    uint64_t nr = BIT(order);
    bool ok, first;

    lock_acquire(&d->page_lock);
    first = d->nr_pages == 0;
    ok = d->life == DOMAIN_ALIVE && (!limited || d->nr_pages + nr <= d->max_pages);
    if (ok) {
        d->nr_pages += nr;
        for (struct page *p = pg; p < pg + nr; p++) {
            page_list_add_tail(&d->pages, p);
            page_hand_over(p, d, 0);
        }
    }
    lock_release(&d->page_lock);
    if (ok && first)
        domain_get(d);
    return ok;
}

static void set_m2p(const struct page *pg, unsigned int order, uint64_t pfn) {
    for (uint64_t i = 0; i < BIT(order); i++)
        m2p_table[page_to_mfn(pg).n + i] = pfn == M2P_INVALID ? pfn : pfn + i;
}

bool domain_adopt_pages(struct domain *d, struct page *pg, unsigned int order, uint64_t pfn) {
    set_m2p(pg, order, pfn);
    if (adopt(d, pg, order, false))
        return true;
    set_m2p(pg, order, M2P_INVALID);
    return false;
}

struct page *domain_populate(struct domain *d, uint64_t pfn, unsigned int order,
                             unsigned int max_bits, unsigned int heap_flags) {
    struct page *pg;

    if (READ_ONCE(d->nr_pages) + BIT(order) >
        READ_ONCE(d->max_pages)) /* adopt() asks again, for sure */
        return NULL;
    pg = heap_alloc(order, max_bits, heap_flags);
    if (!pg)
        return NULL;
    /* Before the guest has them: afterwards they may be another's at any moment. */
    set_m2p(pg, order, pfn);
    if (adopt(d, pg, order, true))
        return pg;
    set_m2p(pg, order, M2P_INVALID);
    heap_free(pg, order);
    return NULL;
}

struct page *domain_alloc_pages(struct domain *d, unsigned int order, unsigned int max_bits,
                                unsigned int heap_flags) {
    return domain_populate(d, M2P_INVALID, order, max_bits, heap_flags);
}

void page_free(struct page *pg) {
    struct domain *d = page_owner(pg);
    bool last;

    BUG_ON(!d || PT_COUNT(pg->type) || pg->refs & (PG_ALLOCATED | PG_COUNT));
    m2p_table[page_to_mfn(pg).n] = M2P_INVALID;
    lock_acquire(&d->page_lock);
    if (pg->refs & PG_XEN) {
        last = --d->nr_xen_pages == 0;
    } else {
        page_list_del(&d->pages, pg);
        last = --d->nr_pages == 0;
    }
    page_set_owner(pg, NULL);
    lock_release(&d->page_lock);
    if (!(pg->refs & PG_XEN))
        heap_free(pg, 0);
    else
        pg->refs = 0; /* whoever shared it frees it, when the domain goes */
    if (last)
        domain_put(d);
}

void page_release_allocation(struct page *pg) {
    if (__atomic_fetch_and(&pg->refs, ~PG_ALLOCATED, __ATOMIC_SEQ_CST) & PG_ALLOCATED)
        page_put(pg);
}

/* A count that only domain_unshare_page() drops keeps the type what it is. */
void domain_share_page(struct domain *d, void *va, bool writable) {
    struct page *pg = virt_to_page(va);
    bool first;

    BUG_ON(pg->refs || pg->owner);
    pg->type = PT_WORD(writable ? PAGE_WRITABLE : PAGE_NONE) | PT_VALID | 1;
    m2p_table[page_to_mfn(pg).n] = M2P_INVALID;
    lock_acquire(&d->page_lock);
    first = d->nr_xen_pages++ == 0;
    lock_release(&d->page_lock);
    if (first)
        domain_get(d);
    page_hand_over(pg, d, PG_XEN);
}

void domain_unshare_page(void *va) {
    struct page *pg = virt_to_page(va);

    page_put_type(pg);
    page_release_allocation(pg);
}

/* The page at the head goes to the tail; with a reference, NULL if it is just being freed. */
static struct page *next_page(struct domain *d) {
    struct page *pg;

    lock_acquire(&d->page_lock);
    pg = page_list_first(&d->pages);
    if (pg) {
        page_list_del(&d->pages, pg);
        page_list_add_tail(&d->pages, pg);
    }
    lock_release(&d->page_lock);
    return pg && page_get(pg, d) ? pg : NULL;
}

/* It will be the next once more; the caller has a reference. */
static void put_back(struct domain *d, struct page *pg) {
    lock_acquire(&d->page_lock);
    page_list_del(&d->pages, pg);
    page_list_add(&d->pages, pg);
    lock_release(&d->page_lock);
    d->release_left++;
}

/* One round over all; what others still refer to stays. */
int domain_release_pages(struct domain *d) {
    if (!d->release_left)
        d->release_left = READ_ONCE(d->nr_pages) + 1;
    while (--d->release_left) {
        struct page *pg = next_page(d);
        int rc = pg ? page_unwind(pg) : 0;

        if (rc)
            put_back(d, pg);
        if (pg) {
            page_release_allocation(pg);
            page_put(pg);
        }
        if (rc || preempt_needed())
            return -ERESTART;
    }
    return 0;
}

bool page_seize(struct page *pg) {
    uint64_t refs = PG_ALLOCATED | 2;

    if (!__atomic_compare_exchange_n(&pg->refs, &refs, 0, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return false;
    BUG_ON(PT_COUNT(pg->type)); /* a type count without a reference */
    return true;
}

/* Teardown may have passed by while nobody could have a reference: then its part is ours. */
void page_unseize(struct page *pg) {
    __atomic_store_n(&pg->refs, PG_ALLOCATED | 2, __ATOMIC_SEQ_CST);
    if (READ_ONCE(page_owner(pg)->life) != DOMAIN_ALIVE)
        page_release_allocation(pg);
}

bool page_give(struct page *pg, struct domain *to) {
    struct domain *from = page_owner(pg);
    bool ok, first, last;

    /* No cpu may go on to reach it through a translation of the old owner's, of whatever kind. */
    page_stamp(pg);
    tlb_flush_stale(&cpus_online, READ_ONCE(pg->stamp));
    pg->type = 0;
    lock_pair(&from->page_lock, &to->page_lock);
    first = to->nr_pages == 0;
    ok = to->life == DOMAIN_ALIVE && to->nr_pages < to->max_pages;
    if (ok) {
        set_m2p(pg, 0, M2P_INVALID);
        page_list_del(&from->pages, pg);
        from->nr_pages--;
        page_list_add_tail(&to->pages, pg);
        to->nr_pages++;
        page_hand_over(pg, to, 0);
    }
    last = from->nr_pages == 0;
    unlock_pair(&from->page_lock, &to->page_lock);
    if (ok && first)
        domain_get(to);
    if (last)
        domain_put(from);
    return ok;
}
