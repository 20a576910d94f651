/* mmu_update and update_va_mapping: the guest changes entries of its page tables by hypercall. */
#include <abi/xen.h>

#include "pv/hypercall.h"
#include "pv/mmu-batch.h"
#include "pv/mmu-entry.h"

int mmu_lookup_owner(struct vcpu *curr, domid_t domid, bool or_system, struct domain **out) {
    bool system = domid == DOMID_IO || domid == DOMID_XEN;

    if (domid == curr->domain->domid)
        return 0;
    if (!system || !or_system)
        return domain_lookup_controlled(domid, out);
    if (!curr->domain->privileged)
        return -EPERM;
    *out = domain_get(domid == DOMID_IO ? dom_io : dom_xen);
    return 0;
}

/* Store val, with the accessed and dirty bits of the old entry if so asked; returns that entry. */
static uint64_t slot_store(uint64_t *slot, uint64_t val, bool preserve_ad) {
    uint64_t old = READ_ONCE(*slot);

    while (!__atomic_compare_exchange_n(slot, &old, preserve_ad ? val | (old & PTE_AD) : val, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    return old;
}

static ALWAYS_INLINE int set_l1e(struct domain *d, struct domain *pg_owner, uint64_t *slot,
                                 uint64_t val, bool preserve_ad) {
    int rc;

    do {
        uint64_t old = READ_ONCE(*slot);

        rc = l1e_exchange(d, pg_owner, slot, old, preserve_ad ? val | (old & PTE_AD) : val);
    } while (unlikely(rc == -EAGAIN));
    return rc;
}

static int set_table_entry(struct vcpu *curr, struct domain *d, enum page_type type, uint64_t *slot,
                           uint64_t val, bool preserve_ad) {
    uint64_t old;

    if (val & PTE_P) {
        int rc =
            val & TABLE_ENTRY_REFUSED ? -EINVAL : mmu_get_table(curr, d, pte_mfn(val), type - 1);

        if (rc)
            return rc;
        val = table_entry_adjust(type, val);
    }
    old = slot_store(slot, val, preserve_ad);
    if (old & PTE_P)
        mmu_drop(curr, mfn_to_page(pte_mfn(old)));
    return 0;
}

struct update_owners {
    struct domain *tables, *frames;
};

/* The long form of set_entry: any type of page, also one that is changing. */
static NOINLINE int set_other_entry(struct vcpu *curr, const struct update_owners *owners,
                                    struct page *pg, unsigned int index, uint64_t val,
                                    bool preserve_ad) {
    uint64_t *slot = (uint64_t *)page_to_virt(pg) + index;
    uint64_t word = READ_ONCE(pg->type);
    enum page_type type =
        PT_COUNT(word) && page_type_is_table(PT_TYPE(word)) ? PT_TYPE(word) : PAGE_WRITABLE;
    int rc = mmu_unwind_finish(curr);

    if (!rc)
        rc = type == PAGE_L4 && l4_slot_is_ours(index) ? -EINVAL : page_get_type(pg, type);
    if (rc) {
        page_put(pg);
        return rc;
    }
    if (type == PAGE_L1) {
        rc = set_l1e(owners->tables, owners->frames, slot, val, preserve_ad);
    } else if (type == PAGE_WRITABLE) {
        slot_store(slot, val, preserve_ad);
    } else {
        rc = set_table_entry(curr, owners->tables, type, slot, val, preserve_ad);
        mmu_drop(curr, pg); /* another vcpu may have unlinked the table: this can be the last */
        return rc;
    }
    page_put_and_type(pg);
    return rc;
}

/*
 * Change one entry of a page as its present type demands: by the rules of a table, or by a plain
 * store if it is writable or not in use. Uses up a reference of pg.
 */
static ALWAYS_INLINE int set_entry(struct vcpu *curr, const struct update_owners *owners,
                                   struct page *pg, unsigned int index, uint64_t val,
                                   bool preserve_ad) {
    uint64_t *slot = (uint64_t *)page_to_virt(pg) + index;
    uint64_t word = READ_ONCE(pg->type);
    int rc;

    if (unlikely(!page_add_type(pg, word, PAGE_L1)))
        return set_other_entry(curr, owners, pg, index, val, preserve_ad);
    rc = set_l1e(owners->tables, owners->frames, slot, val, preserve_ad);
    page_put_and_type(pg);
    return rc;
}

static int set_m2p(struct domain *d, mfn_t mfn, uint64_t pfn) {
    struct page *pg = mfn_lookup(mfn);

    if (!pg || !page_get(pg, d))
        return -EINVAL;
    WRITE_ONCE(m2p_table[mfn.n], pfn);
    page_put(pg);
    return 0;
}

static ALWAYS_INLINE int update_one(struct vcpu *curr, const struct update_owners *owners,
                                    const struct mmu_update *req) {
    unsigned int cmd = req->ptr & 3;
    mfn_t mfn = mfn_of(req->ptr >> PAGE_SHIFT);
    struct page *pg;

    if (cmd == MMU_MACHPHYS_UPDATE)
        return set_m2p(owners->frames, mfn, req->val);
    pg = mfn_lookup(mfn);
    if (!pg || req->ptr & 4 || !page_get(pg, owners->tables))
        return -EINVAL;
    return set_entry(curr, owners, pg, (req->ptr & ~PAGE_MASK) / sizeof(uint64_t), req->val,
                     cmd == MMU_PT_UPDATE_PRESERVE_AD);
}

static int update_in_batch(struct vcpu *curr, void *owners, const void *req) {
    return update_one(curr, owners, req);
}

static NOINLINE long update_batch(struct vcpu *curr, uint64_t arg[6]) {
    /* Low half: owner of the frames. High half: owner of the tables + 1, 0 for the caller. */
    uint32_t domids = (uint32_t)arg[3], tables = domids >> 16;
    struct update_owners owners;
    struct mmu_update req;
    long rc = mmu_get_owner(curr, tables ? (domid_t)(tables - 1) : DOMID_SELF, false,
                            &owners.tables);

    if (rc)
        return rc;
    rc = mmu_get_owner(curr, (domid_t)domids, true, &owners.frames);
    if (!rc) {
        rc = mmu_batch_run(curr, arg, &req, sizeof(req), update_in_batch, &owners);
        mmu_put_owner(curr, owners.frames);
    }
    mmu_put_owner(curr, owners.tables);
    return rc;
}

long hypercall_mmu_update(struct vcpu *curr, uint64_t arg[6]) {
    struct update_owners self = {curr->domain, curr->domain};
    struct mmu_update req;

    if (unlikely(!mmu_batch_is_plain(arg)))
        return update_batch(curr, arg);
    if (copy_pair_from_guest((uint64_t *)&req, (guest_va_t){arg[0]}))
        return -EFAULT;
    return mmu_batch_plain_end(curr, arg, update_one(curr, &self, &req));
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
        rc = l1e_exchange(curr->domain, pg_owner, slot, READ_ONCE(*slot), val);
    while (unlikely(rc == -EAGAIN));
    mmu_put_l1_slot(pg);
    return rc ? rc : flush_after_update(curr, va, flags);
}

long hypercall_update_va_mapping(struct vcpu *curr, uint64_t arg[6]) {
    return update_va_mapping(curr, curr->domain, arg[0], arg[1], arg[2]);
}

long hypercall_update_va_mapping_otherdomain(struct vcpu *curr, uint64_t arg[6]) {
    struct domain *pg_owner;
    long rc = mmu_get_owner(curr, (domid_t)arg[3], true, &pg_owner);

    if (!rc) {
        rc = update_va_mapping(curr, pg_owner, arg[0], arg[1], arg[2]);
        mmu_put_owner(curr, pg_owner);
    }
    return rc;
}
