/* Mapping another's frames: handles, and the two halves of unmapping. */
#include "core/cpu.h"
#include "core/gnttab-internal.h"
#include "core/heap.h"

#define USES (GNTMAP_host_map | GNTMAP_device_map)

struct maptrack *maptrack_of(const struct domain *d, uint32_t handle) {
    const struct gnttab *gt = d->gnttab;
    uint32_t nr = __atomic_load_n(&gt->nr_maptracks, __ATOMIC_ACQUIRE);

    if (handle >= nr)
        return NULL;
    handle = (uint32_t)index_nospec(handle, nr);
    return &gt->maptrack[handle / MAPTRACKS_PER_PAGE][handle % MAPTRACKS_PER_PAGE];
}

/* Locks: maptrack's. */
static bool pop_free(struct domain *d, uint32_t *handle) {
    struct gnttab *gt = d->gnttab;

    *handle = gt->free_maptrack;
    if (*handle == MAPTRACK_END)
        return false;
    gt->free_maptrack = maptrack_of(d, *handle)->next_free;
    return true;
}

static void push_free(struct domain *d, uint32_t handle) {
    struct gnttab *gt = d->gnttab;
    struct maptrack *mt = maptrack_of(d, handle);

    mt->granter = NULL;
    lock_acquire(&gt->maptrack_lock);
    __atomic_store_n(&mt->state, MAPTRACK_FREE, __ATOMIC_RELEASE);
    mt->next_free = gt->free_maptrack;
    gt->free_maptrack = handle;
    lock_release(&gt->maptrack_lock);
}

/* Locks: maptrack's. */
static bool add_page(struct gnttab *gt, struct maptrack *page) {
    uint32_t first = gt->nr_maptracks;

    if (first >= gt->max_maptracks)
        return false;
    for (uint32_t i = 0; i < MAPTRACKS_PER_PAGE; i++)
        page[i].next_free = i + 1 < MAPTRACKS_PER_PAGE ? first + i + 1 : gt->free_maptrack;
    gt->maptrack[first / MAPTRACKS_PER_PAGE] = page;
    gt->free_maptrack = first;
    __atomic_store_n(&gt->nr_maptracks, first + (uint32_t)MAPTRACKS_PER_PAGE, __ATOMIC_RELEASE);
    return true;
}

/* A free handle, in state BUSY: nobody can unmap it before it is live. False: none left. */
static bool maptrack_alloc(struct domain *d, uint32_t *handle) {
    struct gnttab *gt = d->gnttab;
    bool ok;

    lock_acquire(&gt->maptrack_lock);
    ok = pop_free(d, handle);
    lock_release(&gt->maptrack_lock);
    if (!ok && READ_ONCE(gt->nr_maptracks) < gt->max_maptracks) {
        struct maptrack *page = mem_alloc(PAGE_SIZE);

        lock_acquire(&gt->maptrack_lock);
        if (page && add_page(gt, page))
            page = NULL;
        ok = pop_free(d, handle);
        lock_release(&gt->maptrack_lock);
        mem_free(page);
    }
    if (ok)
        WRITE_ONCE(maptrack_of(d, *handle)->state, MAPTRACK_BUSY);
    return ok;
}

/* Pin and enter into the page table. Each kind of use holds references of its own. */
static int establish(struct vcpu *curr, const struct gnttab_map_grant_ref *op,
                     struct grant_use *u) {
    bool both = (op->flags & USES) == USES;
    int rc = grant_pin(u, curr->domain);

    if (rc != GNTST_okay)
        return rc;
    if (both)
        rc = grant_get_frame(u);
    if (rc == GNTST_okay && (op->flags & GNTMAP_host_map)) {
        rc = pv_grant_map(curr, op->host_addr, u->mfn, op->flags);
        if (rc != GNTST_okay && both)
            grant_put_frame(u);
    }
    if (rc != GNTST_okay) {
        grant_put_frame(u);
        grant_unpin(u);
    }
    return rc;
}

int gnttab_map_one(struct vcpu *curr, struct gnttab_map_grant_ref *op) {
    struct grant_use u = {NULL, op->ref, !(op->flags & GNTMAP_readonly), MFN_INVALID};
    struct maptrack *mt;
    uint32_t handle;
    int rc;

    if (!(op->flags & USES))
        return GNTST_bad_gntref;
    u.granter = domain_lookup(op->dom);
    if (!u.granter)
        return GNTST_bad_domain;
    if (!maptrack_alloc(curr->domain, &handle)) {
        domain_put(u.granter);
        return GNTST_no_device_space;
    }
    rc = establish(curr, op, &u);
    if (rc != GNTST_okay) {
        push_free(curr->domain, handle);
        domain_put(u.granter);
        return rc;
    }
    mt = maptrack_of(curr->domain, handle);
    mt->granter = u.granter; /* with its reference */
    mt->ref = op->ref;
    mt->flags = op->flags & (USES | GNTMAP_readonly | GNTMAP_application_map | GNTMAP_contains_pte);
    mt->held = op->flags & USES;
    __atomic_store_n(&mt->state, MAPTRACK_LIVE, __ATOMIC_RELEASE);
    op->handle = handle;
    op->dev_bus_addr = u.mfn.n << PAGE_SHIFT;
    return GNTST_okay;
}

/* The frame a live handle stands for; it is pinned, so the entry cannot change. */
static struct grant_use use_of(const struct maptrack *mt) {
    const struct gnttab *gt = mt->granter->gnttab;
    const struct grant_active *act =
        &gt->active[mt->ref / GRANTS_PER_FRAME][mt->ref % GRANTS_PER_FRAME];

    return (struct grant_use){mt->granter, mt->ref, !(mt->flags & GNTMAP_readonly),
                              mfn_of(READ_ONCE(act->mfn))};
}

static bool claim(struct maptrack *mt) {
    uint32_t live = MAPTRACK_LIVE;

    return __atomic_compare_exchange_n(&mt->state, &live, MAPTRACK_BUSY, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

int gnttab_unmap_begin(struct vcpu *curr, struct gnttab_unmap *u, uint32_t handle,
                       uint64_t host_addr, uint64_t dev_bus_addr, uint64_t new_addr) {
    struct maptrack *mt = maptrack_of(curr->domain, handle);
    int rc = GNTST_okay;

    if (!mt || !claim(mt))
        return GNTST_bad_handle;
    *u = (struct gnttab_unmap){.use = use_of(mt), .handle = handle};
    if (dev_bus_addr && (mt->flags & GNTMAP_device_map)) {
        if (dev_bus_addr >> PAGE_SHIFT != u->use.mfn.n)
            rc = GNTST_bad_dev_addr;
        else
            u->done |= GNTMAP_device_map;
    }
    if (rc == GNTST_okay && host_addr && (mt->flags & GNTMAP_host_map)) {
        rc = pv_grant_unmap(curr, host_addr, u->use.mfn, mt->flags, new_addr);
        if (rc == GNTST_okay)
            u->done |= GNTMAP_host_map;
    }
    if (rc == GNTST_okay)
        mt->flags &= (uint16_t)~u->done;
    /* Without a use left to unmap it stays busy until it is free. */
    if (mt->flags & USES)
        __atomic_store_n(&mt->state, MAPTRACK_LIVE, __ATOMIC_RELEASE);
    return rc;
}

void gnttab_unmap_finish(struct vcpu *curr, const struct gnttab_unmap *u) {
    struct maptrack *mt = maptrack_of(curr->domain, u->handle);

    if (u->done & GNTMAP_host_map)
        grant_put_frame(&u->use);
    if (u->done & GNTMAP_device_map)
        grant_put_frame(&u->use);
    /* Another vcpu may have unmapped the other use and still be flushing. */
    if (__atomic_and_fetch(&mt->held, (uint16_t)~u->done, __ATOMIC_SEQ_CST))
        return;
    grant_unpin(&u->use);
    push_free(curr->domain, u->handle);
    domain_put(u->use.granter);
}

/*
 * A dying domain's mappings: host mappings' frame references belong to its page tables and go with
 * them; pins and device references are ours.
 */
int gnttab_domain_relinquish(struct domain *d) {
    struct gnttab *gt = d->gnttab;

    while (gt && gt->relinquish_next < gt->nr_maptracks) {
        uint32_t handle = gt->relinquish_next;
        struct maptrack *mt = maptrack_of(d, handle);

        if (claim(mt)) {
            struct grant_use u = use_of(mt);

            if (mt->flags & GNTMAP_device_map)
                grant_put_frame(&u);
            grant_unpin(&u);
            push_free(d, handle);
            domain_put(u.granter);
        }
        gt->relinquish_next = handle + 1;
        if (preempt_needed())
            return -ERESTART;
    }
    return 0;
}
