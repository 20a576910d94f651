/* Grant mappings in PV page tables: entries whose references the grant table gives and takes back.
 */
#include <abi/grant_table.h>

#include "core/gnttab.h"
#include "pv/mmu-entry.h"

/*
 * The L1 slot a grant operation names, by linear address or (GNTMAP_contains_pte) by the machine
 * address of the entry, with a reference and an L1 type count of its page; NULL if it names none.
 */
static uint64_t *get_slot(struct vcpu *curr, uint64_t host_addr, uint32_t flags, struct page **pg) {
    mfn_t mfn = mfn_of(host_addr >> PAGE_SHIFT);

    if (!(flags & GNTMAP_contains_pte))
        return mmu_get_l1_slot(curr, host_addr, pg);
    *pg = mfn_lookup(mfn);
    if (host_addr % sizeof(uint64_t) || !*pg || !page_type_is(*pg, PAGE_L1) ||
        page_get_and_type(*pg, curr->domain, PAGE_L1))
        return NULL;
    return (uint64_t *)mfn_to_virt(mfn) + host_addr % PAGE_SIZE / sizeof(uint64_t);
}

static int bad_address(uint32_t flags) {
    return flags & GNTMAP_contains_pte ? GNTST_general_error : GNTST_bad_virt_addr;
}

int pv_grant_map(struct vcpu *curr, uint64_t host_addr, mfn_t mfn, uint32_t flags) {
    uint64_t e = mfn.n << PAGE_SHIFT | PTE_P | PTE_A | PTE_D | PTE_NX;
    struct page *pg;
    uint64_t *slot = get_slot(curr, host_addr, flags, &pg), old;

    if (!slot)
        return bad_address(flags);
    if (!(flags & GNTMAP_readonly)) {
        e |= PTE_RW;
        page_mark_foreign(mfn_to_page(mfn));
    }
    if (flags & GNTMAP_application_map)
        e |= PTE_US;
    e |= (uint64_t)(flags >> _GNTMAP_guest_avail0) << 9 & PTE_AVL;
    old = __atomic_exchange_n(slot, l1e_adjust(e), __ATOMIC_SEQ_CST);
    if (old & PTE_P)
        l1e_put(old);
    mmu_put_l1_slot(pg);
    return GNTST_okay;
}

int pv_grant_unmap(struct vcpu *curr, uint64_t host_addr, mfn_t mfn, uint32_t flags,
                   uint64_t new_addr) {
    struct page *pg, *new_pg = NULL;
    uint64_t *slot = get_slot(curr, host_addr, flags, &pg), *new_slot, old, new = 0;
    uint64_t want_rw = flags & GNTMAP_readonly ? 0 : PTE_RW;
    int rc = GNTST_general_error;

    if (!slot)
        return bad_address(flags);
    if (new_addr) {
        new_slot = flags & GNTMAP_contains_pte ? NULL : mmu_get_l1_slot(curr, new_addr, &new_pg);
        if (!new_slot || new_slot == slot)
            goto out;
        new = __atomic_exchange_n(new_slot, 0, __ATOMIC_SEQ_CST); /* with what it stands for */
    }
    old = READ_ONCE(*slot);
    while (old & PTE_P && pte_mfn(old).n == mfn.n && (old & PTE_RW) == want_rw) {
        if (__atomic_compare_exchange_n(slot, &old, new, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
            new = 0;
            rc = GNTST_okay;
            break;
        }
    }
    if (new &PTE_P)
        l1e_put(new);
out:
    if (new_pg)
        mmu_put_l1_slot(new_pg);
    mmu_put_l1_slot(pg);
    return rc;
}
