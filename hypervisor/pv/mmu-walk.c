/* Reading a guest's page tables through the direct map. */
#include "pv/mmu.h"

static inline uint64_t *table_slot(mfn_t table, uint64_t va, unsigned int level) {
    return mfn_lookup(table) ? (uint64_t *)mfn_to_virt(table) + pt_index(va, level) : NULL;
}

static inline bool va_is_guest(uint64_t va) {
    return (uint64_t)((int64_t)(va << 16) >> 16) == va && !l4_slot_is_ours(pt_index(va, 4));
}

/* From the table of this level to the one below that maps va. */
static inline bool step_down(mfn_t *table, uint64_t va, unsigned int level, uint64_t *rights) {
    uint64_t *slot = table_slot(*table, va, level), e;

    if (!slot || !((e = READ_ONCE(*slot)) & PTE_P))
        return false;
    *rights &= e ^ PTE_NX;
    *table = pte_mfn(e);
    return true;
}

/*
 * The L1 table for va, MFN_INVALID if there is none; *rights: the AND of the entries passed (NX
 * inverted). No table on the way is held, so each step may read a frame that is no table any more:
 * every frame number is looked up, and the result is only a claim for the caller to check or a
 * hint.
 */
static inline mfn_t find_l1(mfn_t table, uint64_t va, uint64_t *rights) {
    *rights = ~UINT64_C(0);
    return va_is_guest(va) && step_down(&table, va, 4, rights) &&
                   step_down(&table, va, 3, rights) && step_down(&table, va, 2, rights)
               ? table
               : MFN_INVALID;
}

uint64_t mmu_walk(mfn_t l4, uint64_t va) {
    uint64_t rights, *slot = table_slot(find_l1(l4, va, &rights), va, 1), e;

    if (!slot || !((e = READ_ONCE(*slot)) & PTE_P))
        return 0;
    return (e & (rights | ~(PTE_RW | PTE_US))) | (~rights & PTE_NX);
}

bool mmu_access_ok(const struct vcpu *v, uint64_t va, bool write, bool user, bool fetch) {
    uint64_t e = mmu_walk(user ? v->arch.user_l4 : v->arch.kernel_l4, va);

    return e && (!write || e & PTE_RW) && (!fetch || !(e & PTE_NX));
}

uint64_t *mmu_get_l1_slot(struct vcpu *v, uint64_t va, struct page **pg) {
    uint64_t rights;
    mfn_t l1 = find_l1(v->arch.kernel_l4, va, &rights);

    *pg = mfn_lookup(l1);
    if (!*pg || !page_type_is(*pg, PAGE_L1) || page_get_and_type(*pg, v->domain, PAGE_L1))
        return NULL;
    return (uint64_t *)mfn_to_virt(l1) + pt_index(va, 1);
}

void mmu_put_l1_slot(struct page *pg) {
    page_put_and_type(pg);
}
