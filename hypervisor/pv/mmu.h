/*
 * PV page tables: entries, their rules, and the operations on them.
 *
 * A present L1 entry stands for a reference of its frame, and for a WRITABLE type count if it
 * allows writing; an entry of a higher table for a reference and a type count of the table below.
 * There is no lock over a table. Whoever changes an entry holds a type count of the table's page,
 * then
 *
 *     takes what the new entry stands for;  exchanges the entry;  drops what the old one stood for.
 *
 * The old entry is exactly the word that came out of the slot, so nothing is lost or dropped twice
 * whatever other vcpus do meanwhile. Non-present entries stand for nothing and may hold anything.
 */
#ifndef PV_MMU_H
#define PV_MMU_H

#include "core/cpu.h"
#include "core/domain.h"
#include "core/page.h"
#include "pv/pte.h"

#define PT_ENTRIES 512

static inline mfn_t pte_mfn(uint64_t pte) {
    return mfn_of((pte & PTE_MFN_MASK) >> PAGE_SHIFT);
}
static inline unsigned int pt_index(uint64_t va, unsigned int level) {
    return (va >> (PAGE_SHIFT + 9 * (level - 1))) & (PT_ENTRIES - 1);
}
static inline bool page_type_is_table(enum page_type t) {
    return t >= PAGE_L1 && t <= PAGE_L4;
}

/* Higher entries: no superpages, no cache attributes; and what a present one reads back as. */
#define TABLE_ENTRY_REFUSED (PTE_PSE | PTE_PCD | PTE_PWT | PTE_G)

static inline uint64_t table_entry_adjust(enum page_type type, uint64_t e) {
    return e | (type == PAGE_L4 ? PTE_US | PTE_A : PTE_US);
}

/*
 * Drop a reference and type count of a table that may be the last ones. What preemption leaves
 * partial is noted in v->arch.unwinding, and taken up by mmu_unwind_finish, which begins and ends
 * every operation. (Two places: one operation can leave the tree that an entry pointed to, and the
 * table that the entry was in.) v NULL: at boot, not preemptible.
 */
void mmu_drop(struct vcpu *v, struct page *pg);
/*
 * Take a reference and type count of a frame of d as a table; what a failure leaves partial is
 * noted likewise. Errors: as page_get_type.
 */
MUST_CHECK int mmu_get_table(struct vcpu *v, struct domain *d, mfn_t mfn, enum page_type type);
MUST_CHECK int mmu_unwind_slow(struct vcpu *v);
MUST_CHECK static inline int mmu_unwind_finish(struct vcpu *v) {
    return likely(!(v->arch.unwinding[0].n | v->arch.unwinding[1].n)) ? 0 : mmu_unwind_slow(v);
}

/*
 * The L1 entry that maps va below table l4, the rights of the tables above folded in: RW only if
 * all have it, NX if any has it. 0: not mapped, or in the hypervisor's range.
 * Note:   a snapshot; the guest may be changing the tables, so it is only good for asking.
 */
uint64_t mmu_walk(mfn_t l4, uint64_t va);
/*
 * Would v's page tables allow the access now? (If so, a fault on it was stale.)
 * user: in guest user mode.
 */
bool mmu_access_ok(const struct vcpu *v, uint64_t va, bool write, bool user, bool fetch);

/*
 * The slot of the L1 entry that maps va in v's kernel table, with a reference and an L1 type count
 * of its page; NULL if there is none.
 */
uint64_t *mmu_get_l1_slot(struct vcpu *v, uint64_t va, struct page **pg);
void mmu_put_l1_slot(struct page *pg);

/*
 * Load a new kernel / user table into v (reference and type taken, old ones dropped). A kernel
 * table of the current vcpu is in force at once, all translations flushed; a user table from the
 * next way out.
 * Errors: as page_get_type; after -ERESTART call again with the same frame.
 */
MUST_CHECK int mmu_new_kernel_base(struct vcpu *v, mfn_t mfn);
MUST_CHECK int mmu_new_user_base(struct vcpu *v, mfn_t mfn); /* mfn 0: none */
/* Drop v's tables at its end; v is off its cpu for good. -ERESTART: call again. */
MUST_CHECK int mmu_drop_bases(struct vcpu *v);

/*
 * A write fault of guest kernel on a read-only mapping: if it is a direct page-table write of a
 * form we know (pv/ptwr.c), do it. Returns true if done (regs advanced) or an exception was
 * injected; false: an ordinary fault.
 */
bool ptwr_fault(struct vcpu *v, uint64_t va, uint32_t error_code);

/* Pin / unpin (mmuext, builders). Errors as page_get_type; -EINVAL already (not) pinned. */
MUST_CHECK int mmu_pin(struct domain *d, mfn_t mfn, enum page_type type);
MUST_CHECK int mmu_unpin(struct domain *d, mfn_t mfn);
/*
 * Teardown: take away every pin of a dying domain and what was left partial, its bases dropped
 * before; so nothing of it is typed any more. -ERESTART: call again.
 */
MUST_CHECK int mmu_relinquish(struct domain *d);

/* A TLB flush in the making: what a batch asks for is collected, and issued once. */
struct mmu_flush {
    cpumask_t cpus;
    uint64_t va;
    enum { MMU_FLUSH_NONE, MMU_FLUSH_ONE, MMU_FLUSH_ALL } what;
};
void mmu_flush_add(struct mmu_flush *f, const cpumask_t *cpus, bool all, uint64_t va);
void mmu_flush_add_local(struct mmu_flush *f, bool all, uint64_t va);
/* The cpus that may hold translations of the vcpus in a guest's bitmap. Errors: -EFAULT. */
MUST_CHECK int mmu_flush_cpus(struct domain *d, guest_va_t vcpu_bitmap, cpumask_t *cpus);
/* Locks: as arch_tlb_flush_mask. */
void mmu_flush_issue(const struct mmu_flush *f);

/*
 * The domain whose frames a call names: the caller itself for DOMID_SELF, or one it controls.
 * or_system: or the owner of I/O (DOMID_IO) or of hypervisor frames (DOMID_XEN), for who is
 * privileged; they have frames to map, but no tables.
 * Errors: -ESRCH, -EPERM.
 */
MUST_CHECK int mmu_lookup_owner(struct vcpu *curr, domid_t domid, bool or_system,
                                struct domain **out);
MUST_CHECK static inline int mmu_get_owner(struct vcpu *curr, domid_t domid, bool or_system,
                                           struct domain **out) {
    *out = curr->domain;
    return likely(domid == DOMID_SELF) ? 0 : mmu_lookup_owner(curr, domid, or_system, out);
}
static inline void mmu_put_owner(struct vcpu *curr, struct domain *d) {
    if (unlikely(d != curr->domain))
        domain_put(d);
}

/* May d map this I/O frame? */
bool pv_iomem_allowed(const struct domain *d, mfn_t mfn);

/*
 * pv/descriptor.c: check a page that becomes SEGDESC, raising DPLs in place; change the LDT of the
 * current vcpu.
 */
MUST_CHECK int pv_validate_segdesc_page(uint64_t *descs);
void pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries);

#endif
