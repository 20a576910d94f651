/* mmu_update and update_va_mapping: the guest changes entries of its page tables by hypercall. */
#include <abi/xen.h>

#include "pv/hypercall.h"
#include "pv/mmu-batch.h"
#include "pv/mmu.h"

int mmu_get_pg_owner(struct vcpu *curr, domid_t domid, struct domain **out) {
    if (likely(domid == DOMID_SELF || domid == curr->domain->domid)) {
        *out = curr->domain;
        return 0;
    }
    if (domid == DOMID_IO || domid == DOMID_XEN) {
        *out = domid == DOMID_IO ? dom_io : dom_xen;
        return curr->domain->privileged ? 0 : -EPERM;
    }
    return domain_lookup_controlled(domid, out);
}

void mmu_put_pg_owner(struct vcpu *curr, struct domain *d) {
    if (d != curr->domain && d != dom_io && d != dom_xen)
        domain_put(d);
}

struct update_owners {
    struct domain *tables, *frames;
};

static int set_m2p(struct domain *d, mfn_t mfn, uint64_t pfn) {
    struct page *pg = mfn_lookup(mfn);

    if (!pg || !page_get(pg, d))
        return -EINVAL;
    WRITE_ONCE(m2p_table[mfn.n], pfn);
    page_put(pg);
    return 0;
}

static int update_one(struct vcpu *curr, void *context, const void *op) {
    const struct update_owners *owners = context;
    const struct mmu_update *req = op;
    unsigned int cmd = req->ptr & 3;
    mfn_t mfn = mfn_of(req->ptr >> PAGE_SHIFT);
    struct page *pg;

    if (cmd == MMU_MACHPHYS_UPDATE)
        return set_m2p(owners->frames, mfn, req->val);
    pg = mfn_lookup(mfn);
    if (!pg || req->ptr & 4 || !page_get(pg, owners->tables))
        return -EINVAL;
    return mmu_set_entry(curr, owners->tables, owners->frames, pg,
                         (req->ptr & ~PAGE_MASK) / sizeof(uint64_t), req->val,
                         cmd == MMU_PT_UPDATE_PRESERVE_AD);
}

long hypercall_mmu_update(struct vcpu *curr, uint64_t arg[6]) {
    uint32_t domids =
        (uint32_t)arg[3]; /* low half: owner of the frames; high half: owner of the tables + 1 */
    struct update_owners owners = {.tables = curr->domain};
    struct mmu_update req;
    long rc;

    if (domids >> 16) {
        rc = mmu_get_pg_owner(curr, (domids >> 16) - 1, &owners.tables);
        if (rc)
            return rc;
    }
    rc = mmu_get_pg_owner(curr, (domid_t)domids, &owners.frames);
    if (!rc) {
        rc = mmu_batch_run(curr, arg, &req, sizeof(req), update_one, &owners);
        mmu_put_pg_owner(curr, owners.frames);
    }
    mmu_put_pg_owner(curr, owners.tables);
    return rc;
}

/* The flush that update_va_mapping carries: what in the low two bits, where in the rest. */
static int flush_after_update(struct vcpu *curr, uint64_t va, uint64_t flags) {
    uint64_t where = flags & ~(uint64_t)UVMF_FLUSHTYPE_MASK;
    bool all = flags & UVMF_TLB_FLUSH;
    struct mmu_flush flush = {.what = MMU_FLUSH_NONE};
    cpumask_t cpus;
    int rc = 0;

    if (!(flags & UVMF_FLUSHTYPE_MASK))
        return 0;
    if (where == UVMF_LOCAL) {
        mmu_flush_add_local(&flush, all, va);
    } else {
        cpus = curr->domain->dirty_cpus;
        if (where != UVMF_ALL)
            rc = mmu_flush_cpus(curr->domain, (guest_va_t){where}, &cpus);
        if (rc)
            return rc;
        mmu_flush_add(&flush, &cpus, all, va);
    }
    mmu_flush_issue(&flush);
    return 0;
}

static int update_va_mapping(struct vcpu *curr, struct domain *pg_owner, uint64_t va, uint64_t val,
                             uint64_t flags) {
    struct page *pg;
    uint64_t *slot;
    int rc;

    slot = mmu_get_l1_slot(curr, va, &pg);
    if (!slot)
        return -EINVAL;
    do
        rc = mmu_exchange_l1e(curr->domain, pg_owner, slot, READ_ONCE(*slot), val);
    while (unlikely(rc == -EAGAIN));
    mmu_put_l1_slot(pg);
    return rc ? rc : flush_after_update(curr, va, flags);
}

long hypercall_update_va_mapping(struct vcpu *curr, uint64_t arg[6]) {
    return update_va_mapping(curr, curr->domain, arg[0], arg[1], arg[2]);
}

long hypercall_update_va_mapping_otherdomain(struct vcpu *curr, uint64_t arg[6]) {
    struct domain *pg_owner;
    long rc = mmu_get_pg_owner(curr, (domid_t)arg[3], &pg_owner);

    if (!rc) {
        rc = update_va_mapping(curr, pg_owner, arg[0], arg[1], arg[2]);
        mmu_put_pg_owner(curr, pg_owner);
    }
    return rc;
}
