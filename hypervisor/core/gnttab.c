#include "core/gnttab.h"

#include "core/console.h"
#include "core/cpu.h"
#include "core/gnttab-internal.h"
#include "core/heap.h"
#include "core/tlb.h"
#include "lib/string.h"

/* Unmaps that share one flush, and are done without giving way. */
#define UNMAP_BATCH 32

/* --- the table ---------------------------------------------------------------------------- */

/* Locks: the table's. */
static int add_frame(struct domain *d) {
    struct gnttab *gt = d->gnttab;
    struct grant_entry_v1 *shared = heap_alloc_virt(0);
    struct grant_active *active = heap_alloc_virt(ACTIVE_ORDER);

    if (!shared || !active) {
        if (shared)
            heap_free_virt(shared, 0);
        if (active)
            heap_free_virt(active, ACTIVE_ORDER);
        return -ENOMEM;
    }
    for (unsigned int i = 0; i < GRANTS_PER_FRAME; i++)
        lock_init(&active[i].lock, RANK_GNTTAB_ENTRY);
    domain_share_page(d, shared, true);
    gt->shared[gt->nr_frames] = shared;
    gt->active[gt->nr_frames] = active;
    __atomic_store_n(&gt->nr_frames, gt->nr_frames + 1, __ATOMIC_RELEASE);
    return 0;
}

int gnttab_grow(struct domain *d, uint32_t nr_frames) {
    struct gnttab *gt = d->gnttab;
    int rc = 0;

    if (nr_frames > gt->max_frames)
        return -EINVAL;
    lock_acquire(&gt->lock);
    if (d->life != DOMAIN_ALIVE)
        rc = -EINVAL; /* its frames are, or will soon be, no longer shared */
    while (!rc && gt->nr_frames < nr_frames)
        rc = add_frame(d);
    lock_release(&gt->lock);
    return rc;
}

unsigned int gnttab_max_frames(const struct domain *d) {
    return d->gnttab->max_frames;
}

int gnttab_get_frame(struct domain *d, bool status, unsigned int idx, mfn_t *mfn) {
    int rc;

    if (status || idx >= d->gnttab->max_frames) /* status frames are version 2's */
        return -EINVAL;
    rc = gnttab_grow(d, idx + 1);
    if (!rc)
        *mfn = virt_to_mfn(d->gnttab->shared[index_nospec(idx, d->gnttab->max_frames)]);
    return rc;
}

int gnttab_domain_init(struct domain *d, unsigned int max_frames, unsigned int max_maptrack) {
    struct gnttab *gt = mem_alloc_struct(struct gnttab);

    if (!gt)
        return -ENOMEM;
    d->gnttab = gt;
    lock_init(&gt->lock, RANK_GNTTAB);
    lock_init(&gt->maptrack_lock, RANK_MAPTRACK);
    gt->max_frames = MAX(max_frames, 1u);
    gt->max_maptracks = max_maptrack * (uint32_t)MAPTRACKS_PER_PAGE;
    gt->free_maptrack = MAPTRACK_END;
    gt->shared = mem_alloc_array(gt->max_frames, sizeof(*gt->shared));
    gt->active = mem_alloc_array(gt->max_frames, sizeof(*gt->active));
    gt->maptrack = mem_alloc_array(MAX(max_maptrack, 1u), sizeof(*gt->maptrack));
    if (!gt->shared || !gt->active || !gt->maptrack)
        return -ENOMEM; /* gnttab_domain_destroy frees the rest */
    return gnttab_grow(d, 1);
}

void gnttab_domain_unshare(struct domain *d) {
    struct gnttab *gt = d->gnttab;

    if (!gt)
        return;
    lock_acquire(&gt->lock);
    for (uint32_t i = 0; i < gt->nr_frames; i++)
        domain_unshare_page(gt->shared[i]);
    lock_release(&gt->lock);
}

void gnttab_domain_destroy(struct domain *d) {
    struct gnttab *gt = d->gnttab;

    if (!gt)
        return;
    d->gnttab = NULL;
    for (uint32_t i = 0; i < gt->nr_frames; i++) {
        heap_free_virt(gt->shared[i], 0);
        heap_free_virt(gt->active[i], ACTIVE_ORDER);
    }
    for (uint32_t i = 0; i < gt->nr_maptracks / MAPTRACKS_PER_PAGE; i++)
        mem_free(gt->maptrack[i]);
    mem_free(gt->shared);
    mem_free(gt->active);
    mem_free(gt->maptrack);
    mem_free(gt);
}

/* --- pins ----------------------------------------------------------------------------------- */

static bool grant_of(const struct domain *d, uint32_t ref, struct grant_entry_v1 **sha,
                     struct grant_active **act) {
    const struct gnttab *gt = d->gnttab;
    uint64_t nr = __atomic_load_n(&gt->nr_frames, __ATOMIC_ACQUIRE) * GRANTS_PER_FRAME;

    if (ref >= nr)
        return false;
    ref = (uint32_t)index_nospec(ref, nr);
    *sha = &gt->shared[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
    *act = &gt->active[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
    return true;
}

/*
 * If the guest's entry says `want` of the flags in mask, for that domain, set more flags. It is one
 * atomic step: the guest revokes by a compare-and-exchange of the same word. A guest that changes
 * the word all the time keeps nobody here.
 */
static int entry_mark(struct grant_entry_v1 *sha, uint16_t mask, uint16_t want, domid_t domid,
                      uint16_t set) {
    uint32_t *word = (uint32_t *)sha; /* flags low, domid high */
    uint32_t old = READ_ONCE(*word);

    for (unsigned int tries = 0; tries < 16; tries++) {
        if ((old & mask) != want || old >> 16 != domid)
            return GNTST_general_error;
        if (__atomic_compare_exchange_n(word, &old, old | set, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return GNTST_okay;
    }
    return GNTST_eagain;
}

static int mark_in_use(struct grant_entry_v1 *sha, domid_t user, bool writable) {
    return entry_mark(sha, GTF_type_mask | (writable ? GTF_readonly : 0), GTF_permit_access, user,
                      GTF_reading | (writable ? GTF_writing : 0));
}

static void clear_in_use(struct grant_entry_v1 *sha, const struct grant_active *act) {
    uint16_t gone = 0;

    if (!act->writers)
        gone |= GTF_writing;
    if (!act->writers && !act->readers)
        gone |= GTF_reading;
    if (gone)
        __atomic_fetch_and(&sha->flags, (uint16_t)~gone, __ATOMIC_SEQ_CST);
}

int grant_get_frame(const struct grant_use *u) {
    struct page *pg = mfn_lookup(u->mfn);
    int rc;

    if (!pg || !page_get(pg, u->granter))
        return GNTST_bad_page;
    rc = u->writable ? page_get_type(pg, PAGE_WRITABLE) : 0;
    if (rc) {
        page_put(pg);
        return rc == -ERESTART ? rc : GNTST_general_error;
    }
    return GNTST_okay;
}

void grant_put_frame(const struct grant_use *u) {
    struct page *pg = mfn_to_page(u->mfn);

    if (u->writable)
        page_put_and_type(pg);
    else
        page_put(pg);
}

/* Locks: the entry's. */
static int pin_locked(struct grant_use *u, const struct domain *user, struct grant_entry_v1 *sha,
                      struct grant_active *act) {
    bool pinned = act->readers || act->writers;
    int rc = GNTST_okay;

    if (act->readers == UINT16_MAX || act->writers == UINT16_MAX ||
        (pinned && act->domid != user->domid))
        return GNTST_general_error;
    if (!pinned || (u->writable && !act->writers))
        rc = mark_in_use(sha, user->domid, u->writable);
    if (rc != GNTST_okay)
        return rc;
    u->mfn = mfn_of(pinned ? act->mfn : READ_ONCE(sha->frame));
    rc = grant_get_frame(u);
    if (rc != GNTST_okay) {
        clear_in_use(sha, act);
        return rc;
    }
    act->domid = user->domid;
    act->mfn = (uint32_t)u->mfn.n;
    if (u->writable)
        act->writers++;
    else
        act->readers++;
    return GNTST_okay;
}

int grant_pin(struct grant_use *u, const struct domain *user) {
    struct grant_entry_v1 *sha;
    struct grant_active *act;
    int rc;

    if (!grant_of(u->granter, u->ref, &sha, &act))
        return GNTST_bad_gntref;
    lock_acquire(&act->lock);
    rc = pin_locked(u, user, sha, act);
    lock_release(&act->lock);
    return rc;
}

void grant_unpin(const struct grant_use *u) {
    struct grant_entry_v1 *sha;
    struct grant_active *act;

    BUG_ON(!grant_of(u->granter, u->ref, &sha, &act)); /* tables never shrink */
    lock_acquire(&act->lock);
    if (u->writable)
        act->writers--;
    else
        act->readers--;
    clear_in_use(sha, act);
    lock_release(&act->lock);
}

int grant_transfer_begin(struct domain *d, uint32_t ref, domid_t from) {
    struct grant_entry_v1 *sha;
    struct grant_active *act;

    if (!grant_of(d, ref, &sha, &act))
        return GNTST_bad_gntref;
    return entry_mark(sha, UINT16_MAX, GTF_accept_transfer, from, GTF_transfer_committed);
}

void grant_transfer_end(struct domain *d, uint32_t ref, mfn_t mfn) {
    struct grant_entry_v1 *sha;
    struct grant_active *act;

    BUG_ON(!grant_of(d, ref, &sha, &act));
    if (mfn.n == MFN_INVALID.n) {
        __atomic_fetch_and(&sha->flags, (uint16_t)~GTF_transfer_committed, __ATOMIC_SEQ_CST);
        return;
    }
    WRITE_ONCE(sha->frame, (uint32_t)mfn.n);
    __atomic_fetch_or(&sha->flags, GTF_transfer_completed, __ATOMIC_SEQ_CST);
}

int gnttab_swap_one(struct vcpu *curr, const struct gnttab_swap_grant_ref *op) {
    struct grant_entry_v1 *sha[2], copy;
    struct grant_active *act[2];
    int rc = GNTST_okay;

    if (!grant_of(curr->domain, op->ref_a, &sha[0], &act[0]) ||
        !grant_of(curr->domain, op->ref_b, &sha[1], &act[1]))
        return GNTST_bad_gntref;
    if (sha[0] == sha[1])
        return GNTST_okay;
    lock_pair(&act[0]->lock, &act[1]->lock);
    if (act[0]->readers || act[0]->writers || act[1]->readers || act[1]->writers) {
        rc = GNTST_eagain;
    } else {
        copy = *sha[0];
        *sha[0] = *sha[1];
        *sha[1] = copy;
    }
    unlock_pair(&act[0]->lock, &act[1]->lock);
    return rc;
}

static int granter_of(struct vcpu *curr, domid_t id, struct domain **d) {
    if (id == DOMID_SELF || id == curr->domain->domid) {
        *d = domain_get(curr->domain);
        return GNTST_okay;
    }
    switch (domain_lookup_controlled(id, d)) {
    case 0:
        return GNTST_okay;
    case -EPERM:
        return GNTST_permission_denied;
    default:
        return GNTST_bad_domain;
    }
}

static int setup_frames(struct domain *d, const struct gnttab_setup_table *op) {
    struct gnttab *gt = d->gnttab;

    if (gnttab_grow(d, op->nr_frames))
        return GNTST_general_error;
    for (uint32_t i = 0; i < op->nr_frames; i++) {
        xen_pfn_t mfn = virt_to_mfn(gt->shared[i]).n;

        if (copy_to_guest((guest_va_t){op->frame_list.va + i * sizeof(mfn)}, &mfn, sizeof(mfn)))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

/* --- sub-ops by element ----------------------------------------------------------------------- */

union element {
    struct gnttab_map_grant_ref map;
    struct gnttab_copy copy;
    struct gnttab_transfer transfer;
    struct gnttab_swap_grant_ref swap;
    struct gnttab_setup_table setup;
    struct gnttab_query_size size;
    struct gnttab_set_version set_version;
    struct gnttab_get_version get_version;
    struct gnttab_get_status_frames status_frames;
};

/* A GNTST_* goes into the element and is no error of the call; -ERESTART is not for the guest. */
static int put_status(int16_t *status, int rc) {
    if (rc == -ERESTART)
        return rc;
    *status = (int16_t)rc;
    return 0;
}

static int do_map(struct vcpu *curr, union element *op) {
    return put_status(&op->map.status, gnttab_map_one(curr, &op->map));
}
static int do_copy(struct vcpu *curr, union element *op) {
    return put_status(&op->copy.status, gnttab_copy_one(curr, &op->copy));
}
static int do_transfer(struct vcpu *curr, union element *op) {
    return put_status(&op->transfer.status, gnttab_transfer_one(curr, &op->transfer));
}
static int do_swap(struct vcpu *curr, union element *op) {
    return put_status(&op->swap.status, gnttab_swap_one(curr, &op->swap));
}

static int do_setup_table(struct vcpu *curr, union element *op) {
    struct domain *d;
    int rc = granter_of(curr, op->setup.dom, &d);

    if (rc == GNTST_okay) {
        rc = setup_frames(d, &op->setup);
        domain_put(d);
    }
    return put_status(&op->setup.status, rc);
}

static int do_query_size(struct vcpu *curr, union element *op) {
    struct domain *d;
    int rc = granter_of(curr, op->size.dom, &d);

    if (rc == GNTST_okay) {
        op->size.nr_frames = READ_ONCE(d->gnttab->nr_frames);
        op->size.max_nr_frames = d->gnttab->max_frames;
        domain_put(d);
    }
    return put_status(&op->size.status, rc);
}

/* There is version 1 only. A guest that asks for 2 is told no and uses 1, as Linux does. */
static int do_set_version(struct vcpu *curr, union element *op) {
    uint32_t wanted = op->set_version.version;

    (void)curr;
    op->set_version.version = 1;
    return wanted == 1 ? 0 : wanted == 2 ? -ENOSYS : -EINVAL;
}

static int do_get_version(struct vcpu *curr, union element *op) {
    struct domain *d;
    int rc = granter_of(curr, op->get_version.dom, &d);

    if (rc != GNTST_okay)
        return rc == GNTST_permission_denied ? -EPERM : -ESRCH;
    op->get_version.version = 1;
    domain_put(d);
    return 0;
}

static int do_get_status_frames(struct vcpu *curr, union element *op) {
    (void)curr;
    return put_status(&op->status_frames.status, GNTST_general_error); /* version 2's */
}

static const struct gnttab_cmd {
    int (*run)(struct vcpu *curr, union element *op);
    uint8_t size;
    bool single; /* there can be only one element */
} gnttab_cmds[] = {
    [GNTTABOP_map_grant_ref] = {do_map, sizeof(struct gnttab_map_grant_ref), false},
    [GNTTABOP_setup_table] = {do_setup_table, sizeof(struct gnttab_setup_table), true},
    [GNTTABOP_transfer] = {do_transfer, sizeof(struct gnttab_transfer), false},
    [GNTTABOP_copy] = {do_copy, sizeof(struct gnttab_copy), false},
    [GNTTABOP_query_size] = {do_query_size, sizeof(struct gnttab_query_size), true},
    [GNTTABOP_set_version] = {do_set_version, sizeof(struct gnttab_set_version), true},
    [GNTTABOP_get_status_frames] = {do_get_status_frames,
                                    sizeof(struct gnttab_get_status_frames), true},
    [GNTTABOP_get_version] = {do_get_version, sizeof(struct gnttab_get_version), true},
    [GNTTABOP_swap_grant_ref] = {do_swap, sizeof(struct gnttab_swap_grant_ref), false},
};

/*
 * Independent elements: fetch one, do it, write its results back. Gives way between two elements;
 * arg[1] and arg[2] then name the rest.
 */
static long each_element(struct vcpu *curr, uint64_t arg[6], const struct gnttab_cmd *c) {
    if (c->single && arg[2] != 1)
        return -EINVAL;
    while (arg[2]) {
        guest_va_t at = {arg[1]};
        union element op;
        int rc;

        if (copy_from_guest(&op, at, c->size))
            return -EFAULT;
        rc = c->run(curr, &op);
        if (rc == -ERESTART)
            return rc;
        if (copy_to_guest(at, &op, c->size))
            return -EFAULT;
        if (rc)
            return rc;
        arg[1] += c->size;
        if (--arg[2] && preempt_needed())
            return -ERESTART;
    }
    return 0;
}

/* The second address of unmap_and_replace is where the other sub-op has the device's. */
_Static_assert(offsetof(struct gnttab_unmap_and_replace, new_addr) ==
                       offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
                   offsetof(struct gnttab_unmap_and_replace, status) ==
                       offsetof(struct gnttab_unmap_grant_ref, status),
               "one struct serves both");

static int unmap_begin(struct vcpu *curr, struct gnttab_unmap *u,
                       const struct gnttab_unmap_grant_ref *op, bool replace) {
    if (!replace)
        return gnttab_unmap_begin(curr, u, op->handle, op->host_addr, op->dev_bus_addr, 0);
    if (!op->dev_bus_addr)
        return GNTST_bad_virt_addr;
    return gnttab_unmap_begin(curr, u, op->handle, op->host_addr, 0, op->dev_bus_addr);
}

/*
 * A batch is cleared first, then flushed, then let go: a cpu of the grantee may reach the frame
 * until it has flushed, so the granter must not get it back before.
 */
static int unmap_batch(struct vcpu *curr, uint64_t arg[6], bool replace) {
    struct gnttab_unmap batch[UNMAP_BATCH];
    unsigned int n = 0;
    int rc = 0;

    for (unsigned int i = 0; !rc && i < UNMAP_BATCH && arg[2]; i++) {
        struct gnttab_unmap_grant_ref op;
        guest_va_t status_at = {arg[1] + offsetof(struct gnttab_unmap_grant_ref, status)};

        rc = copy_from_guest(&op, (guest_va_t){arg[1]}, sizeof(op));
        if (rc)
            break;
        op.status = (int16_t)unmap_begin(curr, &batch[n], &op, replace);
        if (op.status == GNTST_okay && batch[n].done)
            n++;
        rc = copy_to_guest(status_at, &op.status, sizeof(op.status));
        arg[1] += sizeof(op);
        arg[2]--;
    }
    if (n)
        arch_tlb_flush_mask(&curr->domain->dirty_cpus);
    for (unsigned int i = 0; i < n; i++)
        gnttab_unmap_finish(curr, &batch[i]);
    return rc;
}

static long unmap_array(struct vcpu *curr, uint64_t arg[6], bool replace) {
    int rc = 0;

    while (!rc && arg[2]) {
        rc = unmap_batch(curr, arg, replace);
        if (!rc && arg[2] && preempt_needed())
            rc = -ERESTART;
    }
    return rc;
}

long hypercall_grant_table_op(struct vcpu *curr, uint64_t arg[6]) {
    const struct gnttab_cmd *c;

    arg[2] = (uint32_t)arg[2];
    if (arg[2] > INT32_MAX)
        return -EINVAL;
    if (arg[0] == GNTTABOP_unmap_grant_ref || arg[0] == GNTTABOP_unmap_and_replace)
        return unmap_array(curr, arg, arg[0] == GNTTABOP_unmap_and_replace);
    if (arg[0] >= ARRAY_LEN(gnttab_cmds))
        return -ENOSYS;
    c = &gnttab_cmds[index_nospec(arg[0], ARRAY_LEN(gnttab_cmds))];
    return c->run ? each_element(curr, arg, c) : -ENOSYS;
}
