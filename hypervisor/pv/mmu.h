/* PV page tables: entries, their rules, and the operations on them. */
#ifndef PV_MMU_H
#define PV_MMU_H

#include "core/domain.h"
#include "core/page.h"

#define PTE_P    BIT(0)
#define PTE_RW   BIT(1)
#define PTE_US   BIT(2)
#define PTE_PWT  BIT(3)
#define PTE_PCD  BIT(4)
#define PTE_A    BIT(5)
#define PTE_D    BIT(6)
#define PTE_PSE  BIT(7)
#define PTE_PAT  BIT(7)
#define PTE_G    BIT(8)
#define PTE_AVL  (BIT(9) | BIT(10) | BIT(11))
#define PTE_GUEST_KERNEL BIT(52)
#define PTE_NX   BIT(63)
#define PTE_MFN_MASK (((BIT(52) - 1)) & PAGE_MASK)

static inline mfn_t pte_mfn(uint64_t pte) {
    return mfn_of((pte & PTE_MFN_MASK) >> PAGE_SHIFT);
}
static inline unsigned int pt_index(uint64_t va, unsigned int level) {
    return (va >> (PAGE_SHIFT + 9 * (level - 1))) & 511;
}

/*
 * Replace one entry of a validated table (or store into a writable or untyped page) of d.
 * at: the slot; pg: its page, of which the caller holds a reference. pg_owner owns the target frames.
 * preserve_ad: accessed and dirty bits of the old entry survive, atomically.
 * Errors: -EINVAL, -EPERM, -EBUSY, -ERESTART.
 */
MUST_CHECK int mmu_set_entry(struct domain *d, struct domain *pg_owner, struct page *pg, unsigned int index,
                             uint64_t val, bool preserve_ad);

/* The slot of the L1 entry that maps va in v's kernel table, with a reference and an L1 type count on its page; NULL if none. */
uint64_t *mmu_get_l1_slot(struct vcpu *v, uint64_t va, struct page **pg);
void mmu_put_l1_slot(struct page *pg);

/* Load a new kernel / user table into v (reference and type taken, old ones dropped). Errors as page_get_type. */
MUST_CHECK int mmu_new_kernel_base(struct vcpu *v, mfn_t mfn);
MUST_CHECK int mmu_new_user_base(struct vcpu *v, mfn_t mfn); /* mfn 0: none */
/* Drop v's tables at its end. -ERESTART: call again. */
MUST_CHECK int mmu_drop_bases(struct vcpu *v);

/*
 * A write fault of guest kernel on a read-only mapping: if it is a direct page-table write of a form we know (pv/ptwr.c), do it.
 * Returns true if done (regs advanced) or an exception was injected; false: an ordinary fault.
 */
bool ptwr_fault(struct vcpu *v, uint64_t va, uint32_t error_code);

/* Pin / unpin (mmuext, builders). Errors as page_get_type; -EINVAL already (not) pinned. */
MUST_CHECK int mmu_pin(struct domain *d, mfn_t mfn, enum page_type type);
MUST_CHECK int mmu_unpin(struct domain *d, mfn_t mfn);
/* Teardown: unpin and un-type everything of a dying domain. -ERESTART: call again. */
MUST_CHECK int mmu_relinquish(struct domain *d);

/* May d map this I/O frame? */
bool pv_iomem_allowed(const struct domain *d, mfn_t mfn);

#endif
