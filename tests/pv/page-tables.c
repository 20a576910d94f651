/*
 * Page tables, page types, descriptor tables: what a guest may install, and what it may not.
 *
 * The ABI promises (abi/xen.h: mmu_update, mmuext_op, update_va_mapping, vm_assist):
 *  - a page has one use at a time: what is a page table or a descriptor table cannot be mapped
 *    writable, what is mapped writable cannot become one; the use ends with its last reference;
 *  - an entry in use names only the guest's own frames, of the right kind for its level, with no
 *    bit that the level does not allow; the hypervisor's L4 slots, frames and tables stay out of
 *    reach;
 *  - a refused entry, pin or list leaves everything as it was, and no reference behind;
 *  - with the writable_pagetables assist, plain stores to an L1 in use work as if it were memory;
 *  - a frame becomes a table only after every translation that could still write to it is gone.
 * Proof: each rule is broken once or more; that a page can be put to another use afterwards shows
 * that no reference is left. Where Xen 4.17 allows more (linear tables, call gates) the test says
 * so.
 */
#include "lib/pv.h"

static uint64_t l4_machine(unsigned int slot) {
    return (mfn_of((void *)start_info->pt_base) << 12) + slot * 8;
}

static uint64_t l4_entry(unsigned int slot) {
    return ((volatile uint64_t *)start_info->pt_base)[slot];
}

/* A page of the image, mapped read-only, that can become a table. */
static uint64_t *table_alloc(void) {
    uint64_t *page = page_alloc();

    NEED(page_protect(page, RO) == 0);
    return page;
}

/* Back to an ordinary page: proof that no use of it is left. */
static bool table_free(uint64_t *page) {
    if (page_protect(page, RW))
        return false;
    page_free(page);
    return true;
}

/* ---- L1 entries ----------------------------------------------------------------------------- */

static void tables_are_not_writable(void) {
    uint64_t *mfns = window_tables();
    uint64_t tables[] = {mfns[0], mfns[1], mfns[2], mfn_of((void *)start_info->pt_base),
                         mfn_of((const void *)pte_of(VIRT_BASE + 0x100000))};
    struct series rw = {.name = "no page table can be mapped writable"};
    struct series ro = {.name = "every page table can be mapped read-only"};

    for (unsigned int i = 0; i < ARRAY_LEN(tables); i++) {
        long rc = window_map(20, tables[i] << 12 | RW);

        series_case(&rw, rc < 0 && window_pte(20) == 0, "mfn %#lx by update_va_mapping: %ld",
                    tables[i], rc);
        rc = pt_write(window_pte_machine(20), tables[i] << 12 | RW);
        series_case(&rw, rc < 0 && window_pte(20) == 0, "mfn %#lx by mmu_update: %ld", tables[i],
                    rc);
        rc = window_map(20, tables[i] << 12 | RO);
        series_case(&ro, rc == 0, "mfn %#lx: %ld", tables[i], rc);
        rc = pt_write(window_pte_machine(20), tables[i] << 12 | RW);
        series_case(&rw, rc < 0 && !(window_pte(20) & PTE_RW), "mfn %#lx by adding RW: %ld",
                    tables[i], rc);
        NEED(window_map(20, 0) == 0);
    }
    series_end(&rw);
    series_end(&ro);
}

static bool is_mine(uint64_t mfn) {
    uint64_t pfn = ((const uint64_t *)MACH2PHYS_VIRT_START)[mfn];

    return pfn < start_info->nr_pages && ((const uint64_t *)start_info->mfn_list)[pfn] == mfn;
}

/* The machine has 512 MiB; its last page of RAM is well below that. */
#define RAM_END (0x1f000000ul >> 12)

static void only_my_frames(void) {
    struct series s = {.name = "no frame of RAM that is not mine can be mapped"};
    uint64_t shared = start_info->shared_info >> 12;
    long rc;

    for (uint64_t mfn = 0x100; mfn < RAM_END; mfn += 5) {
        if (mfn == shared || is_mine(mfn))
            continue;
        rc = window_map(20, mfn << 12 | RW);
        series_case(&s, rc < 0, "mfn %#lx writable: %ld", mfn, rc);
        rc = window_map(20, mfn << 12 | RO);
        series_case(&s, rc < 0, "mfn %#lx read-only: %ld", mfn, rc);
    }
    series_end(&s);

    struct series far = {.name = "no frame beyond the machine's addresses can be mapped"};

    for (unsigned int bit = 40; bit < 52; bit++) {
        rc = window_map(20, 1ul << bit | RO);
        series_case(&far, rc < 0, "address bit %u: %ld", bit, rc);
        rc = window_map(20, (1ul << bit | 0xfeb00000) | RO);
        series_case(&far, rc < 0, "address bit %u and a device: %ld", bit, rc);
    }
    rc = window_map(20, PTE_ADDR | RO);
    series_case(&far, rc < 0, "all address bits: %ld", rc);
    series_end(&far);
    CHECK("the local APIC cannot be mapped", window_map(20, 0xfee00000 | RW) < 0);
    CHECK("nor the I/O APIC, writable",
          window_map(20, 0xfec00000 | RW) < 0 || !(window_pte(20) & PTE_RW));
    CHECK_EQ("the shared info page can, writable", 0, window_map(20, shared << 12 | RW));
    NEED(window_map(20, 0) == 0);
}

static void foreign_owners(void) {
    struct mmu_update u = {.ptr = window_pte_machine(20), .val = start_info->shared_info | RO};
    uint64_t m2p[16] = {0};
    struct xen_machphys_mfn_list list = {.max_extents = 16, .extent_start = {ADDRESS(m2p)}};

    CHECK("a frame of mine is not another domain's", mmu_update(&u, 1, NULL, 5) < 0);
    u.val = mfn_of(start_info) << 12 | RO;
    CHECK("nor the hypervisor's", mmu_update(&u, 1, NULL, DOMID_XEN) < 0);
    CHECK("nor a device's", mmu_update(&u, 1, NULL, DOMID_IO) < 0);
    CHECK("nor nobody's", mmu_update(&u, 1, NULL, DOMID_INVALID) < 0);
    CHECK("nor a domain's beyond all numbers", mmu_update(&u, 1, NULL, 0x8000) < 0);
    CHECK_EQ("the M2P's frames are told", 0, memory_op(XENMEM_machphys_mfn_list, &list));
    u.val = m2p[0] << 12 | RW;
    CHECK("they cannot be mapped writable", mmu_update(&u, 1, NULL, DOMID_XEN) < 0);
    CHECK("nor as mine", window_map(20, m2p[0] << 12 | RO) < 0);
    u.val = m2p[0] << 12 | RO;
    CHECK_EQ("but read-only in the hypervisor's name", 0, mmu_update(&u, 1, NULL, DOMID_XEN));
    CHECK("and read as what they are",
          *(volatile uint64_t *)window_va(20) == *(volatile uint64_t *)MACH2PHYS_VIRT_START);
    NEED(window_map(20, 0) == 0);
}

static void l1_bits(void) {
    void *page = page_alloc();
    struct series s = {.name = "an L1 entry reads back with the bits it was given, US and G aside"};

    for (unsigned int bit = 1; bit < 64; bit++) {
        uint64_t flag = 1ul << bit, got;

        if (flag & (PTE_ADDR | PTE_PWT | PTE_PCD | PTE_PAT | 1ul << 62))
            continue; /* cache attributes and bit 62 are up to the hypervisor */
        if (window_map(20, pte_for(page, PTE_P | flag)) < 0) {
            series_case(&s, false, "bit %u is refused", bit);
            continue;
        }
        got = window_pte(20);
        series_case(&s,
                    (got & PTE_P) && (got & PTE_ADDR) == mfn_of(page) << 12 && (got & flag) &&
                        (got & PTE_US),
                    "bit %u: %#lx", bit, got);
    }
    series_end(&s);
    NEED(window_map(20, pte_for(page, PTE_P | PTE_RW)) == 0);
    CHECK("an entry without US is marked as the kernel's",
          (window_pte(20) & (PTE_US | PTE_KERNEL)) == (PTE_US | PTE_KERNEL));
    NEED(window_map(20, pte_for(page, PTE_P | PTE_US)) == 0);
    CHECK("an entry with US is made global",
          (window_pte(20) & (PTE_US | PTE_KERNEL | PTE_G)) == (PTE_US | PTE_G));
    struct series odd = {.name = "odd cache attributes and what is absent are answered"};

    for (unsigned int bits = 0; bits < 8; bits++) {
        uint64_t attr =
            (bits & 1 ? PTE_PWT : 0) | (bits & 2 ? PTE_PCD : 0) | (bits & 4 ? PTE_PAT : 0);
        long rc = window_map(20, pte_for(page, RW | attr));

        series_case(&odd, rc <= 0 && rc >= -4095, "attributes %#lx: %ld", attr, rc);
        series_case(&odd, window_map(20, 0) == 0, "attributes %#lx: not removed", attr);
    }
    for (unsigned int bit = 1; bit < 64; bit++) {
        long rc = window_map(20, ~(uint64_t)1 & (1ul << bit | 0x1230));

        series_case(&odd, rc <= 0 && rc >= -4095, "absent with bit %u: %ld", bit, rc);
    }
    series_end(&odd);
    NEED(window_map(20, 0) == 0);
    page_free(page);
}

static void accessed_and_dirty(void) {
    void *page = page_alloc();
    struct mmu_update u = {.ptr = window_pte_machine(20) | MMU_PT_UPDATE_PRESERVE_AD,
                           .val = pte_for(page, PTE_P | PTE_US)};

    NEED(window_map(20, pte_for(page, PTE_P | PTE_US | PTE_RW)) == 0);
    *(volatile char *)window_va(20) = 1;
    CHECK_EQ("the processor sets accessed and dirty", PTE_A | PTE_D,
             window_pte(20) & (PTE_A | PTE_D));
    CHECK_EQ("an update can keep them", 0, mmu_update(&u, 1, NULL, DOMID_SELF));
    CHECK_EQ("and does", PTE_A | PTE_D, window_pte(20) & (PTE_A | PTE_D | PTE_RW));
    NEED(pt_write(window_pte_machine(20), pte_for(page, PTE_P | PTE_US)) == 0);
    CHECK_EQ("a plain update does not", 0, window_pte(20) & PTE_D);
    NEED(window_map(20, 0) == 0);
    page_free(page);
}

/* ---- L2, L3, L4 ----------------------------------------------------------------------------- */

static void upper_levels(void) {
    uint64_t *mfns = window_tables(), *l1 = table_alloc(), *l2 = table_alloc(),
             *plain = page_alloc();
    uint64_t l2_slot = (mfns[1] << 12) + 8, l3_slot = (mfns[2] << 12) + 8, l4_slot = l4_machine(3);
    static const uint64_t bad_bits[] = {PTE_PSE, PTE_G, PTE_PWT, PTE_PCD, 1ul << 40, 1ul << 51};
    struct series bits = {.name = "PSE, G, PWT, PCD and address bits beyond are refused above L1"};
    struct series kinds = {.name = "a table is used at its own level only"};
    long rc;

    for (unsigned int i = 0; i < ARRAY_LEN(bad_bits); i++) {
        rc = pt_write(l2_slot, pte_for(l1, RW | bad_bits[i]));
        series_case(&bits, rc < 0, "L2, bit %#lx: %ld", bad_bits[i], rc);
        rc = pt_write(l3_slot, pte_for(l2, RW | bad_bits[i]));
        series_case(&bits, rc < 0, "L3, bit %#lx: %ld", bad_bits[i], rc);
        rc = pt_write(l4_slot, mfns[2] << 12 | RW | bad_bits[i]);
        series_case(&bits, rc < 0, "L4, bit %#lx: %ld", bad_bits[i], rc);
    }
    rc = pt_write(l2_slot, (mfn_of(plain) & ~511ul) << 12 | RW | PTE_PSE);
    series_case(&bits, rc < 0, "L2, a superpage: %ld", rc);
    rc = pt_write(l2_slot, (mfn_of(plain) & ~511ul) << 12 | RO | PTE_PSE);
    series_case(&bits, rc < 0, "L2, a read-only superpage: %ld", rc);
    rc = pt_write(l3_slot, RW | PTE_PSE);
    series_case(&bits, rc < 0, "L3, a gigabyte: %ld", rc);
    series_end(&bits);

    const struct {
        const char *name;
        uint64_t slot, mfn;
    } wrong[] = {
        {"L2 to itself", l2_slot, mfns[1]},
        {"L2 to an L3", l2_slot, mfns[2]},
        {"L2 to the L4", l2_slot, l4_machine(0) >> 12},
        {"L3 to an L1", l3_slot, mfns[0]},
        {"L3 to itself", l3_slot, mfns[2]},
        {"L3 to the L4", l3_slot, l4_machine(0) >> 12},
        {"L4 to an L1", l4_slot, mfns[0]},
        {"L4 to an L2", l4_slot, mfns[1]},
        {"L2 to memory mapped writable", l2_slot, mfn_of(plain)},
        {"L3 to memory mapped writable", l3_slot, mfn_of(plain)},
        {"L4 to memory mapped writable", l4_slot, mfn_of(plain)},
        {"L2 to the shared info", l2_slot, start_info->shared_info >> 12},
        {"L2 to frame 0", l2_slot, 0},
        {"L4 to nowhere", l4_slot, PTE_ADDR >> 12},
    };
    bool linear = is_xen(); /* it lets tables of one level name each other, read-only */

    for (unsigned int i = 0; i < ARRAY_LEN(wrong); i++) {
        rc = pt_write(wrong[i].slot, wrong[i].mfn << 12 | RW);
        series_case(&kinds, rc < 0, "%s: %ld", wrong[i].name, rc);
        rc = pt_write(wrong[i].slot, wrong[i].mfn << 12 | RO);
        series_case(&kinds, rc < 0 || linear, "%s, read-only: %ld", wrong[i].name, rc);
        if (rc == 0)
            NEED(pt_write(wrong[i].slot, 0) == 0);
    }
    series_end(&kinds);

    CHECK_EQ("an L2 takes an empty L1", 0, pt_write(l2_slot, pte_for(l1, RW)));
    CHECK("which is then not an L2", pt_write(l3_slot, pte_for(l1, RW)) < 0);
    CHECK("and not writable", page_protect(l1, RW) < 0);
    CHECK_EQ("the same L1 may be there twice", 0, pt_write(l2_slot + 8, pte_for(l1, RW)));
    NEED(pt_write(l2_slot, 0) == 0);
    CHECK("it stays an L1 until the last reference is gone", page_protect(l1, RW) < 0);
    NEED(pt_write(l2_slot + 8, 0) == 0);
    CHECK("and is an ordinary page then", table_free(l1));
    CHECK_EQ("an L3 takes an empty L2", 0, pt_write(l3_slot, pte_for(l2, RW)));
    NEED(pt_write(l3_slot, 0) == 0);
    CHECK("and gives it back", table_free(l2));
    page_free(plain);
}

static void the_hypervisors_slots(void) {
    uint64_t *mfns = window_tables();
    struct series s = {.name = "L4 slots 256 to 271 cannot be written"};
    struct series own = {.name = "the slots around them can"};

    for (unsigned int slot = 256; slot < 272; slot++) {
        uint64_t old = l4_entry(slot);
        long rc = pt_write(l4_machine(slot), mfns[2] << 12 | RW);

        series_case(&s, rc < 0 && l4_entry(slot) == old, "slot %u: %ld", slot, rc);
        rc = pt_write(l4_machine(slot), 0);
        series_case(&s, l4_entry(slot) == old, "slot %u to 0: %ld", slot, rc);
    }
    series_end(&s);
    for (unsigned int slot = 254; slot < 274; slot++) {
        if (slot >= 256 && slot < 272)
            continue;
        series_case(&own, pt_write(l4_machine(slot), mfns[2] << 12 | RW) == 0, "slot %u", slot);
        series_case(&own, pt_write(l4_machine(slot), 0) == 0, "slot %u to 0", slot);
    }
    series_end(&own);
}

static void linear_tables(void) {
    volatile uint64_t *through =
        (uint64_t *)(0xffff000000000000ul | 300ul << 39 | 300ul << 30 | 300ul << 21 | 300ul << 12);
    uint64_t self = mfn_of((void *)start_info->pt_base) << 12;
    long rc;

    CHECK("the L4 cannot be its own table, writable", pt_write(l4_machine(300), self | RW) < 0);
    rc = pt_write(l4_machine(300), self | RO);
    if (rc == 0) {
        CHECK_EQ("where it can be read-only (Xen), it cannot be written through", 14,
                 FAULT(through[5] = 0)->vector);
        NEED(pt_write(l4_machine(300), 0) == 0);
    } else {
        CHECK("nor read-only", rc < 0);
    }
}

/* ---- pinning -------------------------------------------------------------------------------- */

static void pins(void) {
    uint64_t *l1 = table_alloc(), *plain = page_alloc();

    CHECK_EQ("an empty page can be pinned as an L1", 0, mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(l1), 0));
    CHECK_EQ("but not twice", -EINVAL, mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(l1), 0));
    CHECK("nor as an L2 to L4", mmuext(MMUEXT_PIN_L2_TABLE, mfn_of(l1), 0) < 0 &&
                                    mmuext(MMUEXT_PIN_L3_TABLE, mfn_of(l1), 0) < 0 &&
                                    mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l1), 0) < 0);
    CHECK("it cannot be mapped writable", page_protect(l1, RW) < 0);
    CHECK_EQ("unpinning works once", 0, mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0));
    CHECK_EQ("and not again", -EINVAL, mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0));
    CHECK_EQ("then it can be an L4", 0, mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l1), 0));
    CHECK_EQ("and no longer", 0, mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0));
    CHECK("the page is ordinary again", page_protect(l1, RW) == 0);
    memset(l1, 0, PAGE_SIZE);
    for (unsigned int i = 256; i < 272; i++)
        l1[i] = ~0ul;
    NEED(page_protect(l1, RO) == 0);
    CHECK_EQ("what a new L4 has in the hypervisor's slots is not looked at", 0,
             mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l1), 0));
    CHECK("and replaced", l1[256] != ~0ul && l1[271] != ~0ul);
    NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0) == 0);
    CHECK("memory mapped writable cannot be pinned",
          mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(plain), 0) < 0);
    CHECK("nor the shared info page",
          mmuext(MMUEXT_PIN_L1_TABLE, start_info->shared_info >> 12, 0) < 0);
    CHECK("nor what is not a frame", mmuext(MMUEXT_PIN_L1_TABLE, ~0ul, 0) < 0 &&
                                         mmuext(MMUEXT_PIN_L4_TABLE, 1ul << 40, 0) < 0 &&
                                         mmuext(MMUEXT_UNPIN_TABLE, ~0ul, 0) < 0);
    CHECK("nor somebody else's frame",
          mmuext(MMUEXT_PIN_L1_TABLE, 0x100, 0) < 0 && mmuext(MMUEXT_UNPIN_TABLE, 0x100, 0) < 0);
    NEED(page_protect(l1, RW) == 0);
    page_free(l1);
    page_free(plain);
}

/* Tables with one bad entry, at the start, in the middle, at the end. */
static void pins_that_fail(void) {
    static const unsigned int places[] = {0, 1, 255, 256, 511};
    uint64_t *target = table_alloc(), *l4 = (void *)start_info->pt_base;
    struct series s = {.name =
                           "a table with one bad entry cannot be pinned and no reference stays"};

    for (unsigned int i = 0; i < ARRAY_LEN(places); i++) {
        uint64_t *l1 = page_alloc();
        long rc;

        for (unsigned int k = 0; k < 512; k++)
            l1[k] = k % 7 ? pte_for(target, RW) : 0;
        l1[places[i]] = pte_for(l4, RW);
        NEED(page_protect(l1, RO) == 0);
        rc = mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(l1), 0);
        series_case(&s, rc < 0, "bad entry %u: %ld", places[i], rc);
        /* had a writable mapping of the target survived, it could not be a table now */
        rc = mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(target), 0);
        series_case(&s, rc == 0, "bad entry %u: the target is still writable somewhere", places[i]);
        NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(target), 0) == 0);
        series_case(&s, table_free(l1), "bad entry %u: the table is still one", places[i]);
    }
    for (unsigned int i = 0; i < ARRAY_LEN(places); i++) {
        uint64_t *l2 = page_alloc();
        long rc;

        for (unsigned int k = 0; k < 512; k++)
            l2[k] = k % 7 ? pte_for(target, RW) : 0;
        l2[places[i]] = pte_for(l4, RW);
        NEED(page_protect(l2, RO) == 0);
        rc = mmuext(MMUEXT_PIN_L2_TABLE, mfn_of(l2), 0);
        series_case(&s, rc < 0, "L2, bad entry %u: %ld", places[i], rc);
        series_case(&s, page_protect(target, RW) == 0 && page_protect(target, RO) == 0,
                    "L2, bad entry %u: the target is still an L1", places[i]);
        series_case(&s, table_free(l2), "L2, bad entry %u: the table is still one", places[i]);
    }
    series_end(&s);
    NEED(table_free(target));
}

static void stale_translations(void) {
    uint64_t *page = page_alloc();
    volatile uint64_t *entry = page + 7;
    const struct frame *f;

    *entry = 0; /* now this cpu may write without looking */
    NEED(update_va_mapping(ADDRESS(page), pte_for(page, RO), UVMF_NONE) == 0);
    NEED(mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) == 0);
    f = FAULT(*entry = mfn_of((void *)start_info->pt_base) << 12 | RW);
    CHECK("what could be written before it became a table cannot after, without a flush of ours",
          f->vector == 14 && *entry == 0);
    NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0) == 0);
    NEED(table_free(page));

    /* the same through an upper level: the window's L1 is taken out of its L2 */
    uint64_t *mfns = window_tables(), *memory = page_alloc(), *l1 = table_alloc();
    uint64_t l2_slot = (mfns[1] << 12) + 8;
    volatile uint64_t *far = (uint64_t *)(WINDOW + (1ul << 21));

    NEED(pt_write(l2_slot, pte_for(l1, RW)) == 0);
    NEED(pt_write(mfn_of(l1) << 12, pte_for(memory, RW)) == 0);
    *far = 0;
    NEED(pt_write(l2_slot, 0) == 0);
    NEED(page_protect(memory, RO) == 0);
    NEED(mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(memory), 0) == 0);
    f = FAULT(*far = 2);
    CHECK("nor by a table that is no longer in its place", f->vector == 14 && memory[0] == 0);
    NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(memory), 0) == 0);
    NEED(table_free(memory));
    NEED(table_free(l1));
}

/* ---- base pointers -------------------------------------------------------------------------- */

static void base_pointers(void) {
    uint64_t *old = (void *)start_info->pt_base, *l4 = page_alloc(), cr3;
    const struct frame *f;

    memcpy(l4, old, PAGE_SIZE);
    NEED(page_protect(l4, RO) == 0);
    CHECK("a base that is no L4 is refused",
          mmuext(MMUEXT_NEW_BASEPTR, mfn_of(start_info), 0) < 0 &&
              mmuext(MMUEXT_NEW_BASEPTR, ~0ul, 0) < 0 && mmuext(MMUEXT_NEW_BASEPTR, 0x100, 0) < 0 &&
              mmuext(MMUEXT_NEW_BASEPTR, window_tables()[0], 0) < 0);
    CHECK("and so for user mode", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(start_info), 0) < 0 &&
                                      mmuext(MMUEXT_NEW_USER_BASEPTR, window_tables()[2], 0) < 0);
    CHECK_EQ("a copy of the L4 can be the base, not pinned", 0,
             mmuext(MMUEXT_NEW_BASEPTR, mfn_of(l4), 0));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    CHECK_EQ("and cr3 says so", mfn_of(l4), cr3 >> 12);
    CHECK("in use it cannot be written", page_protect(l4, RW) < 0);
    NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(old), 0) == 0);
    CHECK_EQ("the old one can be the base again", 0, mmuext(MMUEXT_NEW_BASEPTR, mfn_of(old), 0));
    CHECK_EQ("and be pinned", 0, mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(old), 0));
    CHECK("out of use the copy is an ordinary page", table_free(l4));
    f = FAULT(__asm__ volatile("mov %0, %%cr3" ::"r"(mfn_of(old) << 12)));
    CHECK("mov to cr3 sets the base as well", f->vector == NO_FAULT);
    f = FAULT(__asm__ volatile("mov %0, %%cr3" ::"r"(window_tables()[0] << 12)));
    CHECK("but not to what is no L4", f->vector == 13);
    CHECK("user mode may have no table", mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0) == 0);
}

/* ---- plain stores to a table ---------------------------------------------------------------- */

struct pair {
    uint64_t rax, flags;
};
typedef struct pair form_t(volatile uint64_t *at, uint64_t value);

#define FORM(name, code)                                                                           \
    form_t form_##name;                                                                            \
    __asm__(".pushsection .text\nform_" #name ": xor %eax, %eax; mov %rsi, %rax\n" code            \
            "\npushfq; pop %rdx; and $0x8d5, %edx; ret\n.popsection")
FORM(mov8, "mov %rsi, (%rdi)");
FORM(mov8_zero, "movq $0, (%rdi)");
FORM(mov4, "mov %esi, (%rdi)");
FORM(mov4_upper, "movl $0, 4(%rdi)");
FORM(mov2, "mov %si, (%rdi)");
FORM(mov1, "mov %sil, (%rdi)");
FORM(mov_sib, "xor %ecx, %ecx; mov %rsi, (%rdi,%rcx,8)");
FORM(mov_disp, "sub $0x100, %rdi; mov %rsi, 0x100(%rdi)");
FORM(xchg8, "xchg %rax, (%rdi)");
FORM(xchg4, "xchg %eax, (%rdi)");
FORM(xchg1, "xchg %al, (%rdi)");
FORM(lock_and1, "lock andb $0xfd, (%rdi)");
FORM(lock_and8, "lock andq $-3, (%rdi)");
FORM(and8_reg, "mov $-3, %rax; and %rax, (%rdi)");
FORM(lock_or8, "lock orq $0x200, (%rdi)");
FORM(lock_or1, "lock orb $0x2, 1(%rdi)");
FORM(lock_xor8, "lock xorq $0x200, (%rdi)");
FORM(lock_add8, "lock addq $0x400, (%rdi)");
FORM(sub8, "subq $0x400, (%rdi); addq $0x400, (%rdi)");
FORM(lock_btr, "lock btrq $1, (%rdi)");
FORM(lock_btr4, "lock btrl $1, (%rdi)");
FORM(lock_btr_reg, "mov $1, %ecx; lock btr %rcx, (%rdi)");
FORM(lock_btr_far, "mov $65, %ecx; lock btr %rcx, -8(%rdi)");
FORM(lock_btr_near, "mov $-63, %rcx; lock btr %rcx, 8(%rdi)");
FORM(lock_bts, "lock btsq $9, (%rdi)");
FORM(lock_btc, "lock btcq $9, (%rdi)");
FORM(bts, "btsq $10, (%rdi)");
FORM(cmpxchg8, "mov (%rdi), %rax; lock cmpxchg %rsi, (%rdi)");
FORM(cmpxchg8_not, "xor %eax, %eax; lock cmpxchg %rsi, (%rdi)");
FORM(cmpxchg4, "mov (%rdi), %eax; lock cmpxchg %esi, (%rdi)");
FORM(xadd, "mov $0x200, %eax; lock xadd %rax, (%rdi)");
FORM(movnti, "movnti %rsi, (%rdi)");
FORM(stos, "stosq");
FORM(rep_stos, "mov $1, %ecx; rep stosq");
FORM(movs, "push %rsi; mov %rsp, %rsi; movsq; pop %rsi");
FORM(pop, "push %rsi; popq (%rdi)");
FORM(not2, "notq (%rdi); notq (%rdi)");
FORM(inc, "lock incb 6(%rdi)");

static const struct {
    const char *name;
    form_t *run;
    bool needed; /* Linux relies on it; else a #PF will do as well */
} forms[] = {
    {"mov 8", form_mov8, true},
    {"mov 8, immediate", form_mov8_zero, true},
    {"mov 4", form_mov4, false},
    {"mov 4, upper half", form_mov4_upper, false},
    {"mov 2", form_mov2, false},
    {"mov 1", form_mov1, false},
    {"mov with sib", form_mov_sib, true},
    {"mov with displacement", form_mov_disp, true},
    {"xchg 8", form_xchg8, true},
    {"xchg 4", form_xchg4, false},
    {"xchg 1", form_xchg1, false},
    {"lock and 1", form_lock_and1, true},
    {"lock and 8", form_lock_and8, true},
    {"and 8", form_and8_reg, false},
    {"lock or 8", form_lock_or8, true},
    {"lock or 1", form_lock_or1, true},
    {"lock xor 8", form_lock_xor8, false},
    {"lock add 8", form_lock_add8, false},
    {"sub, add 8", form_sub8, false},
    {"lock btr", form_lock_btr, true},
    {"lock btr 4", form_lock_btr4, false},
    {"lock btr by register", form_lock_btr_reg, true},
    {"lock btr beyond the word", form_lock_btr_far, false},
    {"lock btr before the word", form_lock_btr_near, false},
    {"lock bts", form_lock_bts, true},
    {"lock btc", form_lock_btc, false},
    {"bts", form_bts, false},
    {"lock cmpxchg 8", form_cmpxchg8, true},
    {"lock cmpxchg 8 that fails", form_cmpxchg8_not, true},
    {"lock cmpxchg 4", form_cmpxchg4, false},
    {"lock xadd", form_xadd, false},
    {"movnti", form_movnti, false},
    {"stos", form_stos, false},
    {"rep stos", form_rep_stos, false},
    {"movs", form_movs, false},
    {"pop", form_pop, false},
    {"not twice", form_not2, false},
    {"lock inc", form_inc, false},
};

#define SET_BY_OTHERS (PTE_A | PTE_D | PTE_G | PTE_US | PTE_KERNEL)

static void plain_stores(void) {
    void *page = page_alloc();
    volatile uint64_t *l1 = va_of_mfn(window_tables()[0]), *entry = l1 + 30;
    struct series s = {.name = "plain stores to an L1 work, or fault and change nothing"};
    struct pair native, here;
    uint64_t memory[64], start, value;

    NEED(vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables) == 0);
    for (unsigned int i = 0; i < ARRAY_LEN(forms); i++) {
        const struct frame *f;

        NEED(window_map(30, pte_for(page, RO)) == 0);
        start = *entry;
        value = start | PTE_RW | 0x200;
        memory[40] = start;
        native = forms[i].run(&memory[40], value);
        f = FAULT(here = forms[i].run(entry, value));
        if (f->vector != NO_FAULT) {
            series_case(&s, !forms[i].needed && f->vector == 14 && *entry == start,
                        "%s: vector %ld, entry %#lx was %#lx", forms[i].name, (long)f->vector,
                        *entry, start);
            continue;
        }
        series_case(&s, ((*entry ^ memory[40]) & ~SET_BY_OTHERS) == 0,
                    "%s: entry %#lx, in memory %#lx", forms[i].name, *entry, memory[40]);
        series_case(&s, ((here.rax ^ native.rax) & ~SET_BY_OTHERS) == 0,
                    "%s: rax %#lx, natively %#lx", forms[i].name, here.rax, native.rax);
        series_case(&s, here.flags == native.flags, "%s: flags %#lx, natively %#lx", forms[i].name,
                    here.flags, native.flags);
    }
    series_end(&s);

    uint64_t bad = mfn_of((void *)start_info->pt_base) << 12 | RW;

    NEED(window_map(30, pte_for(page, RO)) == 0 && window_map(31, 0) == 0);
    start = *entry;
    CHECK("a plain store of a forbidden entry is #PF and changes nothing",
          FAULT((void)form_mov8(entry, bad))->vector == 14 && *entry == start);
    CHECK("and so is an xchg",
          FAULT((void)form_xchg8(entry, bad))->vector == 14 && *entry == start);
    CHECK("and a cmpxchg", FAULT((void)form_cmpxchg8(entry, bad))->vector == 14 && *entry == start);
    CHECK("and half of one", FAULT((void)form_mov4(entry, bad))->vector == 14 && *entry == start);
    CHECK("a store across two entries is #PF and changes nothing",
          FAULT(*(volatile uint64_t *)(ADDRESS(entry) + 4) = 0)->vector == 14 && *entry == start);
    CHECK("and one out of the page",
          FAULT(*(volatile uint64_t *)(ADDRESS(l1) + PAGE_SIZE - 4) = 0)->vector == 14);
    CHECK("a store to an L2 is #PF",
          FAULT(*(volatile uint64_t *)va_of_mfn(window_tables()[1]) = 0)->vector == 14);
    CHECK("a store to the L4 is #PF",
          FAULT(*(volatile uint64_t *)(start_info->pt_base + 300 * 8) = 0)->vector == 14);
    NEED(vm_assist(VMASST_CMD_disable, VMASST_TYPE_writable_pagetables) == 0);
    CHECK("without the assist a store to an L1 is #PF, but for Xen 4.17",
          (FAULT((void)form_mov8(entry, 0))->vector == 14 && *entry == start) || is_xen());
    NEED(vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables) == 0);
    NEED(window_map(30, 0) == 0);
    page_free(page);
}

/* ---- odd arguments -------------------------------------------------------------------------- */

static void odd_updates(void) {
    void *page = page_alloc();
    uint64_t machine = mfn_of(page) << 12, *word = page, old;
    const uint64_t *m2p = (const uint64_t *)MACH2PHYS_VIRT_START;
    struct mmu_update u;
    static const uint64_t nowhere[] = {0x1000,
                                       0x0000700000000000,
                                       0x0000800000000000,
                                       0xffff7ffffffff000,
                                       MACH2PHYS_VIRT_START,
                                       0xffff830000000000,
                                       HYPERVISOR_VIRT_END - 4096,
                                       0xffff888000000000,
                                       ~0ul};
    struct series s = {.name = "update_va_mapping where there is no L1 of mine is refused"};

    for (unsigned int i = 0; i < ARRAY_LEN(nowhere); i++) {
        long rc = update_va_mapping(nowhere[i], pte_for(page, RO), UVMF_INVLPG);

        series_case(&s, rc < 0, "%#lx: %ld", nowhere[i], rc);
    }
    series_end(&s);
    CHECK_EQ("mmu_update stores into plain memory", 0, pt_write(machine + 8, 0x1234));
    CHECK_EQ("what it was given", 0x1234, word[1]);
    (void)pt_write(machine + 12, ~0ul);
    CHECK("an address between two words harms none",
          word[0] == 0 && (word[1] == 0x1234 || is_xen()));
    CHECK("mmu_update of a frame not mine is refused",
          pt_write(0x100000, 0) < 0 && pt_write(1ul << 45, 0) < 0 && pt_write(~7ul, 0) < 0);
    u = (struct mmu_update){.ptr = machine | MMU_MACHPHYS_UPDATE, .val = 0x4567};
    old = m2p[mfn_of(page)];
    CHECK_EQ("the M2P takes a new pfn", 0, mmu_update(&u, 1, NULL, DOMID_SELF));
    CHECK_EQ("and shows it", 0x4567, m2p[machine >> 12]);
    u.val = old;
    NEED(mmu_update(&u, 1, NULL, DOMID_SELF) == 0);
    u.ptr = 0x100000 | MMU_MACHPHYS_UPDATE;
    CHECK("but not for a frame not mine", mmu_update(&u, 1, NULL, DOMID_SELF) < 0);
    u.ptr = 1ul << 45 | MMU_MACHPHYS_UPDATE;
    CHECK("nor for no frame", mmu_update(&u, 1, NULL, DOMID_SELF) < 0);
    CHECK("page tables cannot be cleared or copied over",
          mmuext(MMUEXT_CLEAR_PAGE, window_tables()[0], 0) < 0 &&
              mmuext(MMUEXT_COPY_PAGE, window_tables()[0], mfn_of(page)) < 0);
    CHECK("nor frames that are not mine", mmuext(MMUEXT_CLEAR_PAGE, 0x100, 0) < 0 &&
                                              mmuext(MMUEXT_COPY_PAGE, mfn_of(page), 0x100) < 0 &&
                                              mmuext(MMUEXT_CLEAR_PAGE, ~0ul, 0) < 0);
    CHECK("superpages cannot be marked", mmuext(MMUEXT_MARK_SUPER, mfn_of(page) & ~511ul, 0) < 0);
    CHECK("unknown operations are refused",
          mmuext(14, 0, 0) < 0 && mmuext(99, 0, 0) < 0 && mmuext(~0u, 0, 0) < 0);
    page_free(page);
}

static void flushes(void) {
    static const uint64_t masks[] = {0, 1, ~0ul};
    static const uint64_t places[] = {0, 0xffffffff80100000, 0x0000800000000000, 0xffff830000000000,
                                      ~0ul};
    uint64_t mask[4];
    struct series s = {.name = "every flush of every place and mask is answered"};
    long rc;

    for (unsigned int i = 0; i < ARRAY_LEN(places); i++) {
        for (unsigned int k = 0; k < ARRAY_LEN(masks); k++) {
            mask[0] = mask[1] = mask[2] = mask[3] = masks[k];
            for (unsigned int cmd = MMUEXT_TLB_FLUSH_LOCAL; cmd <= MMUEXT_INVLPG_ALL; cmd++) {
                rc = mmuext(cmd, places[i], ADDRESS(mask));
                series_case(&s, rc == 0 || rc == -EINVAL, "command %u, %#lx, mask %#lx: %ld", cmd,
                            places[i], masks[k], rc);
            }
            for (unsigned int type = 0; type < 4; type++) {
                rc = update_va_mapping(window_va(20), 0, ADDRESS(mask) | type);
                series_case(&s, rc <= 0 && rc >= -4095, "update_va_mapping, type %u: %ld", type,
                            rc);
            }
        }
    }
    series_end(&s);
    CHECK("a mask that cannot be read gives an error",
          mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, window_va(100)) < 0 &&
              mmuext(MMUEXT_INVLPG_MULTI, 0, 0xffff830000000000) < 0);
    rc = update_va_mapping(window_va(20), 0, window_va(100) | UVMF_TLB_FLUSH);
    CHECK("and so for update_va_mapping, done or not", rc <= 0 && rc >= -4095);
    rc = mmuext(MMUEXT_FLUSH_CACHE, 0, 0);
    CHECK("caches can be flushed, or there is no such operation", rc == 0 || rc == -EOPNOTSUPP);
}

/* ---- descriptor tables ---------------------------------------------------------------------- */

#define DATA_DPL0    0x00cf92000000fffful
#define CODE_DPL0    0x00af9a000000fffful
#define DATA_DPL3    0x00cff2000000fffful
#define DPL3         (3ul << 45)
#define SYSTEM(type) (0x0000800000000000ul | (uint64_t)(type) << 40)

static void gdt(void) {
    uint64_t *table = page_alloc(), frame[16] = {mfn_of(table)}, ds = 1 << 3 | 3;
    const struct frame *f;

    table[1] = DATA_DPL0;
    table[2] = CODE_DPL0;
    table[3] = DATA_DPL3;
    table[4] = 0x1234; /* absent: anything */
    CHECK("a page that is mapped writable cannot be the GDT", set_gdt(frame, 512) < 0);
    NEED(page_protect(table, RO) == 0);
    CHECK_EQ("one that is not can", 0, set_gdt(frame, 512));
    CHECK("descriptors are raised to DPL 3 in place",
          (table[1] & DPL3) == DPL3 && (table[2] & DPL3) == DPL3 && table[4] == 0x1234);
    CHECK("in use it cannot be mapped writable",
          page_protect(table, RW) < 0 && window_map(20, pte_for(table, RW)) < 0);
    CHECK("nor be stored to by mmu_update", pt_write(mfn_of(table) << 12, 0) < 0);
    CHECK("nor be a page table", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(table), 0) < 0);
    f = FAULT(__asm__ volatile("mov %0, %%ds" ::"r"(ds)));
    CHECK("its segments can be loaded", f->vector == NO_FAULT);
    CHECK("absent ones cannot",
          FAULT(__asm__ volatile("mov %0, %%es" ::"r"(4 << 3 | 3)))->vector != NO_FAULT);
    CHECK("nor those behind its end",
          FAULT(__asm__ volatile("mov %0, %%es" ::"r"(512 << 3 | 3)))->vector == 13);
    struct series s = {.name =
                           "a system segment or gate is refused by update_descriptor and set_gdt"};

    for (unsigned int type = 1; type < 16; type++) {
        uint64_t *other = page_alloc(), other_frame[16] = {mfn_of(other)};
        uint64_t gate = SYSTEM(type) | (uint64_t)FLAT_KERNEL_CS << 16;
        long rc;

        if (type == 12)
            continue; /* call gates, below */
        rc = update_descriptor((mfn_of(table) << 12) + 5 * 8, gate);
        series_case(&s, rc < 0 && table[5] == 0, "type %u by update_descriptor: %ld", type, rc);
        rc = update_descriptor((mfn_of(table) << 12) + 5 * 8, gate | DPL3);
        series_case(&s, rc < 0 && table[5] == 0, "type %u with DPL 3: %ld", type, rc);
        other[1] = DATA_DPL0;
        other[511] = gate;
        NEED(page_protect(other, RO) == 0);
        rc = set_gdt(other_frame, 512);
        series_case(&s, rc < 0, "type %u by set_gdt: %ld", type, rc);
        series_case(&s, table_free(other), "type %u: the page is still a GDT", type);
    }
    series_end(&s);
    long rc = update_descriptor((mfn_of(table) << 12) + 5 * 8, SYSTEM(12) | 0xe0080000 | DPL3);
    CHECK("a call gate into the hypervisor is refused", rc < 0 && table[5] == 0);
    CHECK_EQ("a descriptor can be updated", 0,
             update_descriptor((mfn_of(table) << 12) + 5 * 8, DATA_DPL0));
    CHECK_EQ("and is raised to DPL 3", DPL3, table[5] & DPL3);
    CHECK("update_descriptor does not write to page tables or foreign frames",
          update_descriptor(window_tables()[0] << 12, DATA_DPL0) < 0 &&
              update_descriptor(0x100000, DATA_DPL0) < 0 &&
              update_descriptor(1ul << 45, DATA_DPL0) < 0 &&
              update_descriptor((mfn_of(table) << 12) + 4, DATA_DPL0) < 0);
    __asm__ volatile("mov %0, %%ds" ::"r"(0));
    CHECK_EQ("without a GDT again", 0, set_gdt(frame, 0));
    CHECK("the page is an ordinary one", table_free(table));
}

static void ldt(void) {
    uint64_t *table = page_alloc();
    const struct frame *f;

    table[1] = DATA_DPL3;
    table[2] = SYSTEM(14) | (uint64_t)FLAT_KERNEL_CS << 16;
    CHECK("an LDT that is not page aligned or too long is refused",
          mmuext(MMUEXT_SET_LDT, ADDRESS(table) + 8, 8) < 0 &&
              mmuext(MMUEXT_SET_LDT, ADDRESS(table), 8193) < 0 &&
              mmuext(MMUEXT_SET_LDT, ADDRESS(table), 0xffffffff) < 0);
    NEED(mmuext(MMUEXT_SET_LDT, ADDRESS(table), 8) == 0);
    f = FAULT(__asm__ volatile("mov %0, %%es" ::"r"(1 << 3 | 7)));
    CHECK("an LDT in writable memory does not work", f->vector == 13 || f->vector == 14);
    NEED(page_protect(table, RO) == 0);
    f = FAULT(__asm__ volatile("mov %0, %%es" ::"r"(1 << 3 | 7)));
    CHECK("nor one with a gate in it", f->vector == 13 || f->vector == 14);
    NEED(page_protect(table, RW) == 0);
    table[2] = 0;
    NEED(page_protect(table, RO) == 0);
    f = FAULT(__asm__ volatile("mov %0, %%es" ::"r"(1 << 3 | 7)));
    CHECK("one in read-only memory does", f->vector == NO_FAULT);
    CHECK("and cannot be written while it is in use",
          page_protect(table, RW) < 0 && window_map(20, pte_for(table, RW)) < 0);
    CHECK("its limit counts",
          FAULT(__asm__ volatile("mov %0, %%es" ::"r"(8 << 3 | 7)))->vector == 13);
    __asm__ volatile("mov %0, %%es" ::"r"(0));
    NEED(mmuext(MMUEXT_SET_LDT, 0, 0) == 0);
    CHECK("afterwards it is an ordinary page", table_free(table));
    static const uint64_t nowhere[] = {0x0000700000000000, 0x0000800000000000, 0xffff830000000000,
                                       MACH2PHYS_VIRT_START, 0xffffffffffff0000};
    struct series s = {.name = "an LDT where there is nothing faults when it is used"};

    for (unsigned int i = 0; i < ARRAY_LEN(nowhere); i++) {
        if (mmuext(MMUEXT_SET_LDT, nowhere[i], 8192) < 0)
            continue;
        f = FAULT(__asm__ volatile("mov %0, %%es" ::"r"(0xffff)));
        series_case(&s, f->vector == 13 || f->vector == 14, "%#lx: vector %ld", nowhere[i],
                    (long)f->vector);
    }
    series_end(&s);
    NEED(mmuext(MMUEXT_SET_LDT, 0, 0) == 0);
}

/* ---- what must end the domain --------------------------------------------------------------- */

static void crash_base_without_kernel(void) {
    uint64_t *l4 = table_alloc();

    (void)mmuext(MMUEXT_NEW_BASEPTR, mfn_of(l4), 0);
}

static const struct crash crashes[] = {
    {"base-without-kernel", crash_base_without_kernel},
};

void test_main(void) {
    (void)window_tables();
    crash_if_asked(crashes, ARRAY_LEN(crashes));
    tables_are_not_writable();
    only_my_frames();
    foreign_owners();
    l1_bits();
    accessed_and_dirty();
    upper_levels();
    the_hypervisors_slots();
    linear_tables();
    pins();
    pins_that_fail();
    stale_translations();
    base_pointers();
    plain_stores();
    odd_updates();
    flushes();
    gdt();
    ldt();
}
