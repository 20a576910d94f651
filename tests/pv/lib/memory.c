/* Pages of the image, and page tables by hypercall. */
#include "pv.h"

#define ARENA_PAGES 384
static char arena[ARENA_PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned int arena_used;
static void *free_list;

void *page_alloc(void) {
    void *page = free_list;

    if (page) {
        free_list = *(void **)page;
        *(void **)page = NULL;
        return page;
    }
    NEED(arena_used < ARENA_PAGES);
    return arena[arena_used++];
}

void page_free(void *page) {
    memset(page, 0, PAGE_SIZE);
    *(void **)page = free_list;
    free_list = page;
}

uint64_t mfn_of(const void *va) {
    return ((const uint64_t *)start_info->mfn_list)[(ADDRESS(va) - VIRT_BASE) / PAGE_SIZE];
}

void *va_of_mfn(uint64_t mfn) {
    return (void *)(VIRT_BASE + ((const uint64_t *)MACH2PHYS_VIRT_START)[mfn] * PAGE_SIZE);
}

static const volatile uint64_t *table_at(uint64_t entry) {
    NEED(entry & PTE_P);
    return va_of_mfn((entry & PTE_ADDR) >> 12);
}

const volatile uint64_t *pte_of(uint64_t va) {
    const volatile uint64_t *table = (const uint64_t *)start_info->pt_base;

    for (unsigned int shift = 39; shift > 12; shift -= 9)
        table = table_at(table[va >> shift & 511]);
    return &table[va >> 12 & 511];
}

uint64_t pte_machine(uint64_t va) {
    uint64_t at = ADDRESS(pte_of(va));

    return mfn_of((const void *)at) << 12 | (at & (PAGE_SIZE - 1));
}

long page_protect(void *page, uint64_t flags) {
    return update_va_mapping(ADDRESS(page), pte_for(page, flags), UVMF_INVLPG | UVMF_ALL);
}

long pt_write(uint64_t machine, uint64_t value) {
    struct mmu_update u = {.ptr = machine, .val = value};

    return mmu_update(&u, 1, NULL, DOMID_SELF);
}

long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2) {
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = arg1, .arg2.src_mfn = arg2};

    return mmuext_op(&op, 1, NULL, DOMID_SELF);
}

/* ---- the window ----------------------------------------------------------------------------- */

static uint64_t *window_l1;
static uint64_t window_table_mfns[3]; /* L1, L2, L3 */

static uint64_t *window(void) {
    uint64_t *l1, *l2, *l3;

    if (window_l1)
        return window_l1;
    l1 = page_alloc();
    l2 = page_alloc();
    l3 = page_alloc();
    l2[0] = pte_for(l1, RW);
    l3[0] = pte_for(l2, RW);
    window_table_mfns[0] = mfn_of(l1);
    window_table_mfns[1] = mfn_of(l2);
    window_table_mfns[2] = mfn_of(l3);
    NEED(page_protect(l1, RO) == 0 && page_protect(l2, RO) == 0 && page_protect(l3, RO) == 0);
    NEED(pt_write((mfn_of((void *)start_info->pt_base) << 12) + (WINDOW >> 39 & 511) * 8,
                  pte_for(l3, RW)) == 0);
    return window_l1 = l1;
}

uint64_t *window_tables(void) {
    (void)window();
    return window_table_mfns;
}

uint64_t window_va(unsigned int i) {
    (void)window();
    return WINDOW + i * PAGE_SIZE;
}

uint64_t window_pte_machine(unsigned int i) {
    return (mfn_of(window()) << 12) + i * 8;
}

uint64_t window_pte(unsigned int i) {
    return ((volatile uint64_t *)window())[i];
}

long window_map(unsigned int i, uint64_t pte) {
    return update_va_mapping(window_va(i), pte, UVMF_INVLPG | UVMF_ALL);
}
