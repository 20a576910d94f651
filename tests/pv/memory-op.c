/*
 * Memory: giving frames back, getting new ones, trading them, and asking about them.
 *
 * The ABI promises (abi/memory.h):
 *  - decrease_reservation takes frames; one that is mapped or a table stays the guest's until that
 *    ends; populate_physmap gives frames with their M2P entries set; both return how many extents
 *    were done and stop at the first they cannot do;
 *  - exchange does all of a chunk or nothing of it, and nr_exchanged says how much;
 *  - a frame given back cannot be used any more, a new one is the guest's and holds nothing of
 *    others;
 *  - counts, orders, lists and domains that cannot be are refused.
 * Proof: frames beyond the boot area, which nothing maps, are moved about; page tables, mapped
 * frames, foreign frames and broken lists are put between them; the number of pages is right in the
 * end.
 */
#include "lib/pv.h"

/* pfns that the loader left unmapped; each test takes its own. */
#define FREE_PFN 0x2000ul

static uint64_t p2m(uint64_t pfn) {
    return ((const volatile uint64_t *)start_info->mfn_list)[pfn];
}

static void p2m_set(uint64_t pfn, uint64_t mfn) {
    ((volatile uint64_t *)start_info->mfn_list)[pfn] = mfn;
}

static uint64_t m2p(uint64_t mfn) {
    return ((const volatile uint64_t *)MACH2PHYS_VIRT_START)[mfn];
}

static long reservation(unsigned int cmd, uint64_t *list, uint64_t n, unsigned int order) {
    struct xen_memory_reservation r = {.extent_start.va = ADDRESS(list),
                                       .nr_extents = n,
                                       .extent_order = order,
                                       .domid = DOMID_SELF};

    return memory_op(cmd, &r);
}

static long pages(void) {
    struct xen_memory_domain d = {DOMID_SELF};

    return memory_op(XENMEM_current_reservation, &d);
}

static void questions(void) {
    struct xen_memory_domain self = {DOMID_SELF}, nobody = {5};
    struct xen_machphys_mapping map = {0};
    static struct {
        uint64_t start, len;
        uint32_t type;
    } __attribute__((packed)) e820[128];
    struct xen_memory_map list = {.nr_entries = 128, .buffer.va = ADDRESS(e820)};

    CHECK("the machine has a highest frame", memory_op(XENMEM_maximum_ram_page, NULL) > 0x4000);
    CHECK("we have the pages that start_info says",
          pages() >= (long)start_info->nr_pages && pages() < (long)start_info->nr_pages + 64);
    CHECK("and may have at least these",
          memory_op(XENMEM_maximum_reservation, &self) >= (long)start_info->nr_pages);
    CHECK_EQ("a domain that does not exist has none", -ESRCH,
             memory_op(XENMEM_current_reservation, &nobody));
    CHECK_EQ("the M2P is told", 0, memory_op(XENMEM_machphys_mapping, &map));
    CHECK("where it is and how long", map.v_start == MACH2PHYS_VIRT_START &&
                                          map.v_end > map.v_start && map.max_mfn >= p2m(FREE_PFN));
    CHECK_EQ("the machine's memory map is told", 0, memory_op(XENMEM_machine_memory_map, &list));
    unsigned int n = list.nr_entries;
    CHECK("and has memory in it", n > 1 && n <= 128 && e820[0].type == 1 && e820[0].start == 0);
    list.nr_entries = 1;
    e820[1].type = 77;
    long rc = memory_op(XENMEM_machine_memory_map, &list);
    CHECK("with room for one entry no more is written",
          (rc < 0 || list.nr_entries == 1) && e820[1].type == 77);
    list.nr_entries = 128;
    list.buffer.va = 0xffff830000000000;
    CHECK("nor into the hypervisor", memory_op(XENMEM_machine_memory_map, &list) < 0);
}

static void give_and_take(void) {
    long before = pages();
    uint64_t pfn = FREE_PFN, mfn = p2m(pfn), list[1] = {mfn};

    NEED(m2p(mfn) == pfn);
    CHECK_EQ("a frame that nothing refers to can be given back", 1,
             reservation(XENMEM_decrease_reservation, list, 1, 0));
    CHECK_EQ("it is one page less", before - 1, pages());
    CHECK("the frame is not ours any more", window_map(0, mfn << 12 | RO) < 0);
    CHECK("its M2P entry does not lead to us", m2p(mfn) != pfn);
    CHECK_EQ("it cannot be given back twice", 0,
             reservation(XENMEM_decrease_reservation, list, 1, 0));
    list[0] = pfn;
    CHECK_EQ("a frame can be had for a pfn", 1, reservation(XENMEM_populate_physmap, list, 1, 0));
    CHECK_EQ("its M2P entry is the pfn", pfn, m2p(list[0]));
    CHECK_EQ("it is one page more", before, pages());
    CHECK_EQ("it can be mapped", 0, window_map(0, list[0] << 12 | RW));
    struct series s = {.name = "and is empty"};

    for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
        series_case(&s, ((volatile uint64_t *)window_va(0))[i] == 0 || is_xen(), "word %u", i);
    series_end(&s);
    p2m_set(pfn, list[0]);
    CHECK_EQ("mapped, it can be given back too", 1,
             reservation(XENMEM_decrease_reservation, list, 1, 0));
    *(volatile uint64_t *)window_va(0) = 77;
    CHECK_EQ("it stays until it is not mapped", 77, *(volatile uint64_t *)window_va(0));
    NEED(window_map(0, 0) == 0);
    CHECK("and then is gone", window_map(0, list[0] << 12 | RO) < 0);
    CHECK_EQ("it is one page less", before - 1, pages());
    list[0] = 0;
    CHECK_EQ("more memory without a pfn can be had too", 1,
             reservation(XENMEM_increase_reservation, list, 1, 0));
    NEED(window_map(0, list[0] << 12 | RW) == 0 && window_map(0, 0) == 0);
    p2m_set(pfn, list[0]);
    struct mmu_update u = {.ptr = list[0] << 12 | MMU_MACHPHYS_UPDATE, .val = pfn};
    NEED(mmu_update(&u, 1, NULL, DOMID_SELF) == 0);
    CHECK_EQ("in the end there are as many as before", before, pages());
}

static void a_table_given_back(void) {
    uint64_t *table = page_alloc(), mfn = mfn_of(table), list[1] = {mfn};
    long before = pages();

    NEED(page_protect(table, RO) == 0 && mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0) == 0);
    long rc = reservation(XENMEM_decrease_reservation, list, 1, 0);
    CHECK("a page table can be given back or not", rc == 0 || rc == 1);
    CHECK("either way it is still one", table[0] == 0 && page_protect(table, RW) < 0);
    CHECK_EQ("until it is unpinned", 0, mmuext(MMUEXT_UNPIN_TABLE, mfn, 0));
    NEED(update_va_mapping(ADDRESS(table), 0, UVMF_INVLPG) == 0);
    if (rc == 1) {
        CHECK("and no longer mapped, then it is gone", window_map(0, mfn << 12 | RO) < 0);
        CHECK_EQ("which is one page less", before - 1, pages());
    }
}

static void frames_of_others(void) {
    struct series s = {.name = "a frame that is not ours cannot be given back"};
    const struct {
        const char *name;
        uint64_t mfn;
    } others[] = {
        {"the hypervisor's", 0x100},  {"frame 0", 0}, {"a device's", 0xfee00}, {"none", ~0ul},
        {"beyond memory", 1ul << 40},
    };
    long before = pages();

    for (unsigned int i = 0; i < ARRAY_LEN(others); i++) {
        uint64_t list[2] = {others[i].mfn, p2m(FREE_PFN + 1)};
        long rc = reservation(XENMEM_decrease_reservation, list, 2, 0);

        series_case(&s, rc <= 0, "%s: %ld", others[i].name, rc);
    }
    series_case(&s, pages() == before, "pages were lost");
    series_end(&s);
    uint64_t three[3] = {p2m(FREE_PFN + 1), 0x100, p2m(FREE_PFN + 2)};
    CHECK_EQ("a list is done up to the first that cannot be", 1,
             reservation(XENMEM_decrease_reservation, three, 3, 0));
    CHECK_EQ("and no further", FREE_PFN + 2, m2p(three[2]));
    uint64_t again[1] = {FREE_PFN + 1};
    NEED(reservation(XENMEM_populate_physmap, again, 1, 0) == 1);
    p2m_set(FREE_PFN + 1, again[0]);
}

static void odd_counts(void) {
    static const unsigned int cmds[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation,
                                        XENMEM_populate_physmap};
    static const uint64_t counts[] = {1ul << 26, 1ul << 31, 1ul << 32, 1ul << 58, 1ul << 63, ~0ul};
    static const unsigned int orders[] = {18, 19, 20, 31, 32, 52, 63, 64, 0x7fffffff, 0xffffffff};
    struct series s = {
        .name = "counts, orders and lists that cannot be are answered with what was done"};
    uint64_t list[4] = {~0ul, ~0ul, ~0ul, ~0ul};
    long before = pages(), rc;

    for (unsigned int c = 0; c < ARRAY_LEN(cmds); c++) {
        for (unsigned int i = 0; i < ARRAY_LEN(counts); i++) {
            /* the list ends in a hole after two entries that cannot be done */
            uint64_t *end = (uint64_t *)(window_va(2) - 16);

            end[0] = end[1] = ~0ul;
            rc = cmds[c] == XENMEM_increase_reservation ? 0 /* it would give us all there is */
                                                        : reservation(cmds[c], end, counts[i], 0);
            series_case(&s, rc <= 2, "command %u, count %#lx: %ld", cmds[c], counts[i], rc);
            rc = reservation(cmds[c], (void *)0xffff830000000000, counts[i], 0);
            series_case(&s, rc <= 0, "command %u, count %#lx, list in the hypervisor: %ld", cmds[c],
                        counts[i], rc);
            rc = reservation(cmds[c], (void *)window_va(2), counts[i], 0);
            series_case(&s, rc <= 0 || cmds[c] == XENMEM_increase_reservation,
                        "command %u, count %#lx, no list: %ld", cmds[c], counts[i], rc);
        }
        for (unsigned int i = 0; i < ARRAY_LEN(orders); i++) {
            for (unsigned int k = 0; k < 4; k++)
                list[k] = cmds[c] == XENMEM_decrease_reservation ? 0x100 : FREE_PFN + 16;
            rc = reservation(cmds[c], list, 1, orders[i]);
            series_case(&s, rc <= 0, "command %u, order %u: %ld", cmds[c], orders[i], rc);
            rc = reservation(cmds[c], list, 1ul << 58, orders[i]);
            series_case(&s, rc <= 0, "command %u, order %u, many: %ld", cmds[c], orders[i], rc);
        }
        /* a continuation that the guest makes up: it starts behind or within the list */
        for (unsigned int shift = 6; shift < 64; shift += 3) {
            struct xen_memory_reservation r = {
                .extent_start.va = ADDRESS(list), .nr_extents = 1, .domid = DOMID_SELF};

            list[0] = ~0ul;
            rc = hypercall(__HYPERVISOR_memory_op, cmds[c] | 1ul << shift, ADDRESS(&r), 0, 0, 0);
            series_case(&s, rc < 0 || rc < 1l << 58, "command %u | 1 << %u: %ld", cmds[c], shift,
                        rc);
        }
    }
    series_end(&s);
    struct xen_memory_reservation other = {
        .extent_start.va = ADDRESS(list), .nr_extents = 1, .domid = 5};
    rc = memory_op(XENMEM_populate_physmap, &other);
    CHECK("nothing is given to a domain that does not exist", rc <= 0);
    report(pages() >= before, "no page was lost", "%ld of %ld", pages(), before);
}

static long exchange(uint64_t *in, uint64_t nr_in, unsigned int in_order, uint64_t *out,
                     uint64_t nr_out, unsigned int out_order, uint64_t *done) {
    struct xen_memory_exchange x = {
        .in = {.extent_start.va = ADDRESS(in),
               .nr_extents = nr_in,
               .extent_order = in_order,
               .domid = DOMID_SELF},
        .out = {.extent_start.va = ADDRESS(out),
                .nr_extents = nr_out,
                .extent_order = out_order,
                .domid = DOMID_SELF},
    };
    long rc = memory_op(XENMEM_exchange, &x);

    *done = x.nr_exchanged;
    return rc;
}

#define X_PFN (FREE_PFN + 64)

static void trades(void) {
    uint64_t in[8], out[8], done, old[8];
    long before = pages(), rc;

    for (unsigned int i = 0; i < 4; i++)
        in[i] = old[i] = p2m(X_PFN + i);
    out[0] = X_PFN;
    rc = exchange(in, 4, 0, out, 1, 2, &done);
    CHECK("four pages can be traded for one extent of four", rc == 0 && done == 4);
    CHECK("which is aligned, and its M2P entries are the pfns in order",
          (out[0] & 3) == 0 && m2p(out[0]) == X_PFN && m2p(out[0] + 3) == X_PFN + 3);
    bool gone = true;

    for (unsigned int i = 0; i < 4; i++)
        if (old[i] < out[0] || old[i] > out[0] + 3)
            gone &= window_map(0, old[i] << 12 | RO) < 0;
    CHECK("the old frames are gone", gone);
    CHECK_EQ("and the new can be mapped", 0, window_map(0, out[0] << 12 | RW));
    NEED(window_map(0, 0) == 0);
    for (unsigned int i = 0; i < 4; i++)
        p2m_set(X_PFN + i, out[0] + i);
    in[0] = out[0];
    for (unsigned int i = 0; i < 4; i++)
        out[i] = X_PFN + i;
    rc = exchange(in, 1, 2, out, 4, 0, &done);
    CHECK("and one extent of four for four pages", rc == 0 && done == 1);
    for (unsigned int i = 0; i < 4; i++)
        p2m_set(X_PFN + i, out[i]);
    CHECK_EQ("there are as many pages as before", before, pages());

    struct series s = {.name = "a trade that cannot be fails, and nothing has been traded"};
#define FAILS(what, call)                                                                          \
    for (unsigned int i = 0; i < 8; i++) {                                                         \
        in[i] = p2m(X_PFN + i);                                                                    \
        out[i] = X_PFN + i;                                                                        \
    }                                                                                              \
    done = 99;                                                                                     \
    rc = call;                                                                                     \
    series_case(&s, rc < 0 && done == 0, "%s: %ld, %lu done", what, rc, done);                     \
    for (unsigned int i = 0; i < 8; i++)                                                           \
    series_case(&s, m2p(p2m(X_PFN + i)) == X_PFN + i, "%s: page %u is gone", what, i)
    FAILS("unequal sizes", exchange(in, 4, 0, out, 1, 1, &done));
    FAILS("sizes whose product overflows", exchange(in, 1ul << 60, 4, out, 1ul << 62, 2, &done));
    FAILS("an order that cannot be", exchange(in, 1ul << 20, 0, out, 1, 20, &done));
    FAILS("a huge order", exchange(in, 1, 63, out, 1, 63, &done));
    FAILS("an order beyond", exchange(in, 1, 64, out, 1, 64, &done));
    FAILS("a page table among them",
          (in[2] = mfn_of((void *)start_info->pt_base), exchange(in, 4, 0, out, 1, 2, &done)));
    FAILS("a mapped page among them",
          (in[3] = mfn_of(start_info), exchange(in, 4, 0, out, 1, 2, &done)));
    FAILS("a foreign frame among them", (in[1] = 0x100, exchange(in, 4, 0, out, 1, 2, &done)));
    FAILS("no frame among them", (in[0] = ~0ul, exchange(in, 4, 0, out, 1, 2, &done)));
    FAILS("one page twice", (in[1] = in[0], exchange(in, 4, 0, out, 1, 2, &done)));
    FAILS("a list that cannot be read",
          exchange((void *)0xffff830000000000, 4, 0, out, 1, 2, &done));
    series_end(&s);
    CHECK_EQ("and there are as many pages as before", before, pages());
    /* answers that cannot be written: the pages may be traded or not, but not lost */
    for (unsigned int i = 0; i < 4; i++)
        in[i] = p2m(X_PFN + 4 + i);
    rc = exchange(in, 4, 0, (void *)window_va(3), 1, 2, &done);
    CHECK("a list for the answer that cannot be written gives an error", rc < 0);
}

static void other_operations(void) {
    struct xen_add_to_physmap add = {.domid = DOMID_SELF, .space = XENMAPSPACE_shared_info};
    struct xen_mem_acquire_resource get = {
        .domid = 5, .type = XENMEM_resource_grant_table, .nr_frames = 1};
    struct xen_foreign_memory_map map = {.domid = DOMID_SELF, .map = {.nr_entries = ~0u}};

    CHECK("a PV guest has no physical map to add to", memory_op(XENMEM_add_to_physmap, &add) < 0);
    CHECK("resources of a domain that does not exist are refused",
          memory_op(XENMEM_acquire_resource, &get) < 0);
    get.domid = 0;
    get.type = 99;
    CHECK("and of a kind that does not exist", memory_op(XENMEM_acquire_resource, &get) < 0);
    get.type = XENMEM_resource_grant_table;
    get.pad = 1;
    CHECK("and with what must be zero", memory_op(XENMEM_acquire_resource, &get) < 0);
    CHECK("a memory map of four thousand million entries is refused",
          memory_op(XENMEM_set_memory_map, &map) < 0);
    CHECK_EQ("an unknown operation is -ENOSYS", -ENOSYS, memory_op(63, &map));
}

void test_main(void) {
    NEED(start_info->nr_pages > X_PFN + 64);
    NEED(window_map(1, pte_for(page_alloc(), RW)) == 0);
    NEED(window_map(3, pte_for(page_alloc(), RO)) == 0);
    questions();
    give_and_take();
    a_table_given_back();
    frames_of_others();
    odd_counts();
    trades();
    other_operations();
}
