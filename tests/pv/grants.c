/*
 * Grant tables, of a domain to itself: mapping, unmapping, copying, and every way to be refused.
 *
 * The ABI promises (abi/grant_table.h):
 *  - each operation of a list has its own status, and one that fails leaves nothing behind;
 *  - an entry is usable by the domain it names, for what it permits, while it is valid; reading and
 *    writing are marked in it while it is in use;
 *  - a mapping is known by its handle; removed once, the handle and the mapping are gone;
 *  - dev_bus_addr tells where the frame is;
 *  - a copy stays within one page at both ends.
 * Proof: vcpu 0 of the domain grants to itself (domid 0) and uses the grants; wrong references,
 * handles, addresses, counts and lists are tried, and afterwards the pages can be put to other
 * uses.
 */
#include "lib/pv.h"

static struct grant_entry_v1 *table;
static unsigned int nr_refs;

static void set_up(void) {
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 4};
    struct gnttab_set_version version = {.version = 1};
    uint64_t frames[4] = {0};

    CHECK_EQ("version 1 can be chosen", 0, grant_table_op(GNTTABOP_set_version, &version, 1));
    CHECK("the size can be asked for", grant_table_op(GNTTABOP_query_size, &size, 1) == 0 &&
                                           size.status == GNTST_okay && size.max_nr_frames >= 4);
    setup.frame_list.va = ADDRESS(frames);
    CHECK("a table of four frames can be had",
          grant_table_op(GNTTABOP_setup_table, &setup, 1) == 0 && setup.status == GNTST_okay &&
              frames[0] && frames[3]);
    for (unsigned int i = 0; i < 4; i++)
        NEED(window_map(i, frames[i] << 12 | RW) == 0);
    CHECK("its frames can be mapped by their owner", true);
    table = (struct grant_entry_v1 *)window_va(0);
    nr_refs = 4 * PAGE_SIZE / sizeof(*table);
    CHECK("and are no page tables", mmuext(MMUEXT_PIN_L1_TABLE, frames[1], 0) < 0);

    struct series s = {.name = "a table for nobody, or too long, or to nowhere is refused"};
    struct gnttab_setup_table bad = setup;

    bad.dom = 5;
    series_case(&s, grant_table_op(GNTTABOP_setup_table, &bad, 1) == 0 && bad.status < 0,
                "domain 5: %d", bad.status);
    bad = setup;
    bad.nr_frames = size.max_nr_frames + 1;
    long rc = grant_table_op(GNTTABOP_setup_table, &bad, 1);
    series_case(&s, rc < 0 || bad.status < 0, "too long: %ld, %d", rc, bad.status);
    bad.nr_frames = ~0u;
    rc = grant_table_op(GNTTABOP_setup_table, &bad, 1);
    series_case(&s, rc < 0 || bad.status < 0, "far too long: %ld, %d", rc, bad.status);
    bad = setup;
    bad.frame_list.va = 0xffff830000000000;
    rc = grant_table_op(GNTTABOP_setup_table, &bad, 1);
    series_case(&s, rc < 0 || bad.status < 0, "list in the hypervisor: %ld, %d", rc, bad.status);
    bad = setup;
    bad.frame_list.va = window_va(100);
    rc = grant_table_op(GNTTABOP_setup_table, &bad, 1);
    series_case(&s, rc < 0 || bad.status < 0, "list nowhere: %ld, %d", rc, bad.status);
    series_end(&s);
    version.version = 3;
    CHECK_EQ("there is no version 3", -EINVAL, grant_table_op(GNTTABOP_set_version, &version, 1));
}

static void grant(unsigned int ref, const void *page, unsigned int flags, domid_t to) {
    table[ref].frame = (uint32_t)mfn_of(page);
    table[ref].domid = to;
    __atomic_store_n(&table[ref].flags, (uint16_t)flags, __ATOMIC_SEQ_CST);
}

static struct gnttab_map_grant_ref map(unsigned int ref, uint64_t at, unsigned int flags) {
    struct gnttab_map_grant_ref m = {
        .host_addr = at, .flags = flags, .ref = ref, .dom = 0, .status = 99};

    NEED(grant_table_op(GNTTABOP_map_grant_ref, &m, 1) == 0);
    return m;
}

static int unmap(grant_handle_t handle, uint64_t at, uint64_t bus) {
    struct gnttab_unmap_grant_ref u = {
        .host_addr = at, .dev_bus_addr = bus, .handle = handle, .status = 99};

    NEED(grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1) == 0);
    return u.status;
}

static void map_and_unmap(void) {
    char *page = page_alloc();
    struct gnttab_map_grant_ref m, again;

    page[7] = 42;
    grant(9, page, GTF_permit_access, 0);
    m = map(9, window_va(10), GNTMAP_host_map);
    CHECK_EQ("a grant to oneself can be mapped", GNTST_okay, m.status);
    CHECK_EQ("its bus address is the frame's", mfn_of(page) << 12, m.dev_bus_addr & ~0xffful);
    CHECK_EQ("the mapping shows the page", 42, ((volatile char *)window_va(10))[7]);
    ((volatile char *)window_va(10))[8] = 43;
    CHECK_EQ("and can be written through", 43, page[8]);
    CHECK_EQ("the entry says that it is in use", GTF_permit_access | GTF_reading | GTF_writing,
             table[9].flags);
    again = map(9, window_va(11), GNTMAP_host_map | GNTMAP_readonly);
    CHECK("it can be mapped twice, with another handle",
          again.status == GNTST_okay && again.handle != m.handle);
    CHECK_EQ("a read-only mapping cannot be written", 14,
             FAULT(*(volatile char *)window_va(11) = 1)->vector);
    CHECK("a granted and mapped page is no page table",
          page_protect(page, RO) == 0 && mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0);
    CHECK("a handle is good at its address only", unmap(again.handle, window_va(12), 0) < 0);
    CHECK_EQ("the writable mapping can be removed", GNTST_okay, unmap(m.handle, window_va(10), 0));
    CHECK_EQ("and is gone", 0, window_pte(10) & PTE_P);
    CHECK("but not removed twice", unmap(m.handle, window_va(10), 0) < 0);
    CHECK_EQ("the entry is still being read", GTF_permit_access | GTF_reading, table[9].flags);
    CHECK_EQ("the other mapping can be removed", GNTST_okay, unmap(again.handle, window_va(11), 0));
    CHECK_EQ("then the entry is free", GTF_permit_access, table[9].flags);
    CHECK("and the page can be a table",
          mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0 || /* it holds 42 and 43 */
              mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0) == 0);
    NEED(page_protect(page, RW) == 0);
    memset(page, 0, PAGE_SIZE);
    NEED(page_protect(page, RO) == 0);
    CHECK("once it is empty", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) == 0 &&
                                  mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0) == 0);
    NEED(page_protect(page, RW) == 0);
    table[9].flags = 0;
    page_free(page);
}

static void maps_that_fail(void) {
    void *page = page_alloc(), *pt = (void *)start_info->pt_base;
    struct series s = {.name = "a map that may not be has its status and maps nothing"};
    static const uint64_t nowhere[] = {
        0,   1, 0x0000800000000000, 0xffff830000000000, MACH2PHYS_VIRT_START, 0xffff888000000000,
        ~0ul};
    struct gnttab_map_grant_ref m;

#define FAILS(what, wanted, call)                                                                  \
    m = call;                                                                                      \
    series_case(&s, m.status == (wanted) || ((wanted) == 1 && m.status < 0), "%s: status %d",      \
                what, m.status);                                                                   \
    series_case(&s, !(window_pte(10) & PTE_P), "%s: mapped", what)
    FAILS("a reference beyond the table", GNTST_bad_gntref,
          map(nr_refs, window_va(10), GNTMAP_host_map));
    FAILS("a reference far beyond", GNTST_bad_gntref, map(~0u, window_va(10), GNTMAP_host_map));
    FAILS("an empty entry", 1, map(10, window_va(10), GNTMAP_host_map));
    grant(10, page, GTF_permit_access, 5);
    FAILS("an entry for another domain", 1, map(10, window_va(10), GNTMAP_host_map));
    grant(10, page, GTF_permit_access | GTF_readonly, 0);
    FAILS("a read-only entry mapped writable", 1, map(10, window_va(10), GNTMAP_host_map));
    grant(10, page, GTF_accept_transfer, 0);
    FAILS("an entry for a transfer", 1, map(10, window_va(10), GNTMAP_host_map));
    grant(10, pt, GTF_permit_access, 0);
    FAILS("a page table, writable", 1, map(10, window_va(10), GNTMAP_host_map));
    table[10].frame = (uint32_t)(start_info->shared_info >> 12) ^ 1;
    FAILS("a frame of somebody else", 1, map(10, window_va(10), GNTMAP_host_map));
    table[10].frame = ~0u;
    FAILS("a frame that does not exist", 1, map(10, window_va(10), GNTMAP_host_map));
    table[10].frame = 0xfee00;
    FAILS("the local APIC", 1, map(10, window_va(10), GNTMAP_host_map));
    grant(10, page, GTF_permit_access, 0);
    FAILS("neither for the cpu nor for devices", 1, map(10, window_va(10), 0));
    for (unsigned int i = 0; i < ARRAY_LEN(nowhere); i++) {
        FAILS("an address without a table of mine", 1, map(10, nowhere[i], GNTMAP_host_map));
    }
    FAILS("a PTE that is not in memory of mine", 1,
          map(10, 0x100000, GNTMAP_host_map | GNTMAP_contains_pte));
    FAILS("a PTE in a page that is no L1", 1,
          map(10, mfn_of(page) << 12, GNTMAP_host_map | GNTMAP_contains_pte));
    FAILS("a PTE that is not aligned", 1,
          map(10, window_pte_machine(10) + 4, GNTMAP_host_map | GNTMAP_contains_pte));
    FAILS("a PTE in an L2", 1,
          map(10, (window_tables()[1] << 12) + 8, GNTMAP_host_map | GNTMAP_contains_pte));
    FAILS("a PTE in the L4", 1,
          map(10, (mfn_of(pt) << 12) + 256 * 8, GNTMAP_host_map | GNTMAP_contains_pte));
    FAILS("a PTE beyond memory", 1, map(10, 1ul << 45, GNTMAP_host_map | GNTMAP_contains_pte));
    m = (struct gnttab_map_grant_ref){
        .host_addr = window_va(10), .flags = GNTMAP_host_map, .ref = 10, .dom = 5};
    NEED(grant_table_op(GNTTABOP_map_grant_ref, &m, 1) == 0);
    series_case(&s, m.status == GNTST_bad_domain, "a domain that does not exist: %d", m.status);
    series_end(&s);
    CHECK_EQ("no entry says that it is in use", GTF_permit_access, table[10].flags);
    table[10].flags = 0;
    NEED(page_protect(page, RO) == 0);
    CHECK("and the page can be a table", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) == 0 &&
                                             mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0) == 0);
    NEED(page_protect(page, RW) == 0);
    page_free(page);
}

static void by_entry_address(void) {
    char *page = page_alloc();
    struct gnttab_map_grant_ref m;

    page[0] = 17;
    grant(11, page, GTF_permit_access, 0);
    m = map(11, window_pte_machine(12),
            GNTMAP_host_map | GNTMAP_contains_pte | GNTMAP_application_map |
                1 << _GNTMAP_guest_avail0);
    CHECK_EQ("a grant can be mapped by the address of its entry", GNTST_okay, m.status);
    CHECK("which then has the software bit that was asked for",
          (window_pte(12) & 0x200) && *(volatile char *)window_va(12) == 17);
    CHECK("it is removed by the same address only", unmap(m.handle, window_pte_machine(13), 0) < 0);
    CHECK_EQ("and by that", GNTST_okay, unmap(m.handle, window_pte_machine(12), 0));
    CHECK_EQ("it is gone", 0, window_pte(12) & PTE_P);

    /* the guest takes the mapping away itself, then the handle */
    m = map(11, window_va(12), GNTMAP_host_map);
    NEED(m.status == GNTST_okay);
    (void)window_map(12, 0);
    int status = unmap(m.handle, window_va(12), 0);
    CHECK("a mapping that the guest removed itself leaves a handle with some answer",
          status <= 0 && status >= -13);
    if (table[11].flags != GTF_permit_access)
        (void)unmap(m.handle, 0, m.dev_bus_addr);
    table[11].flags = 0;
    page_free(page);
}

static void bad_handles(void) {
    static const uint32_t handles[] = {0, 1, 12345, 0x7fffffff, 0x80000000, 0xffffffff};
    struct series s = {.name = "a handle that is not one is refused"};

    for (unsigned int i = 0; i < ARRAY_LEN(handles); i++) {
        int status = unmap(handles[i], window_va(10), 0);

        series_case(&s, status < 0, "handle %#x: %d", handles[i], status);
        status = unmap(handles[i], 0, 0x1000);
        series_case(&s, status <= 0, "handle %#x by bus address: %d", handles[i], status);
    }
    series_end(&s);
}

/* As many mappings as the hypervisor keeps: it must run out in order. */
static void many(void) {
    static grant_handle_t handle[500];
    void *page = page_alloc();
    unsigned int n = 0, bad = 0;

    grant(12, page, GTF_permit_access, 0);
    for (; n < ARRAY_LEN(handle); n++) {
        struct gnttab_map_grant_ref m = map(12, window_va(4 + n), GNTMAP_host_map);

        if (m.status != GNTST_okay)
            break;
        handle[n] = m.handle;
    }
    report(n >= 100, "one grant can be mapped a hundred times", "only %u times", n);
    while (n--)
        bad += unmap(handle[n], window_va(4 + n), 0) != GNTST_okay;
    CHECK_EQ("and unmapped as often", 0, bad);
    CHECK_EQ("then it is free", GTF_permit_access, table[12].flags);
    table[12].flags = 0;
    page_free(page);
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void lists(void) {
    static struct gnttab_map_grant_ref list[3];
    void *page = page_alloc();

    grant(13, page, GTF_permit_access, 0);
    for (unsigned int i = 0; i < 3; i++)
        list[i] = (struct gnttab_map_grant_ref){.host_addr = window_va(20 + i),
                                                .flags = GNTMAP_host_map,
                                                .ref = i == 1 ? 10000 : 13,
                                                .dom = 0};
    CHECK_EQ("a list with one bad operation goes through", 0,
             grant_table_op(GNTTABOP_map_grant_ref, list, 3));
    CHECK("each has its own status",
          list[0].status == GNTST_okay && list[1].status < 0 && list[2].status == GNTST_okay);
    NEED(unmap(list[0].handle, window_va(20), 0) == 0 &&
         unmap(list[2].handle, window_va(22), 0) == 0);
    CHECK("an unknown operation is refused", grant_table_op(13, list, 1) < 0 &&
                                                 grant_table_op(99, list, 1) < 0 &&
                                                 grant_table_op(~0u, list, 1) < 0);
    CHECK_EQ("a negative count is -EINVAL", -EINVAL,
             grant_table_op(GNTTABOP_map_grant_ref, list, 0x80000000));
    table[13].flags = 0;
    page_free(page);
}

/* ---- copies --------------------------------------------------------------------------------- */

static int copy(struct gnttab_copy c) {
    c.status = 99;
    NEED(grant_table_op(GNTTABOP_copy, &c, 1) == 0);
    return c.status;
}

#define BY_FRAME(page, where)                                                                      \
    { .u.gmfn = mfn_of(page), .domid = DOMID_SELF, .offset = where }
#define BY_REF(reference, where)                                                                   \
    { .u.ref = reference, .domid = DOMID_SELF, .offset = where }
#define COPY(src, dst, length, how)                                                                \
    copy((struct gnttab_copy){.source = src, .dest = dst, .len = length, .flags = how})
typedef struct gnttab_copy_ptr end_t;

static void copies(void) {
    char *from = page_alloc(), *to = page_alloc();
    end_t f = BY_FRAME(from, 0), t = BY_FRAME(to, 0), r = BY_REF(14, 0), w = BY_REF(15, 0);
    struct series s = {.name = "a copy that may not be has its status and copies nothing"};

    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        from[i] = (char)(i * 7);
    CHECK("a whole page can be copied between frames",
          COPY(f, t, PAGE_SIZE, 0) == GNTST_okay && memcmp(from, to, PAGE_SIZE) == 0);
    grant(14, from, GTF_permit_access | GTF_readonly, 0);
    grant(15, to, GTF_permit_access, 0);
    memset(to, 0, PAGE_SIZE);
    r.offset = 100;
    w.offset = 200;
    CHECK("parts of pages between grants",
          COPY(r, w, 300, GNTCOPY_source_gref | GNTCOPY_dest_gref) == GNTST_okay &&
              memcmp(from + 100, to + 200, 300) == 0 && to[199] == 0 && to[500] == 0);
    CHECK("the entries are free afterwards",
          table[14].flags == (GTF_permit_access | GTF_readonly) &&
              table[15].flags == GTF_permit_access);
    memset(to, 0, PAGE_SIZE);
    r.offset = w.offset = 0;
#define COPY_FAILS(what, src, dst, length, how)                                                    \
    series_case(&s, COPY(src, dst, length, how) < 0 && to[0] == 0 && to[PAGE_SIZE - 1] == 0, what)
    f.offset = 4000;
    COPY_FAILS("beyond the source's page", f, t, 97, 0);
    f.offset = 0;
    t.offset = 1;
    COPY_FAILS("beyond the destination's page", f, t, PAGE_SIZE, 0);
    t.offset = 0;
    COPY_FAILS("much too long", f, t, 0xffff, 0);
    f.offset = 0xffff;
    COPY_FAILS("from an offset beyond", f, t, 1, 0);
    f.offset = 0;
    COPY_FAILS("into a read-only grant", f, r, 8, GNTCOPY_dest_gref);
    end_t nobody = BY_REF(16, 0), far = BY_REF(0x7fffffff, 0), table_end = {.domid = DOMID_SELF},
          other = BY_REF(14, 0);
    COPY_FAILS("from an empty entry", nobody, t, 8, GNTCOPY_source_gref);
    COPY_FAILS("from a reference beyond", far, t, 8, GNTCOPY_source_gref);
    table_end.u.gmfn = mfn_of((void *)start_info->pt_base);
    COPY_FAILS("into a page table", f, table_end, 8, 0);
    table_end.u.gmfn = 0x100;
    COPY_FAILS("from the hypervisor", table_end, t, 8, 0);
    COPY_FAILS("into the hypervisor", f, table_end, 8, 0);
    table_end.u.gmfn = ~0ul;
    COPY_FAILS("from nowhere", table_end, t, 8, 0);
    table_end.u.gmfn = 0xfee00;
    COPY_FAILS("from the local APIC", table_end, t, 8, 0);
    other.domid = 5;
    COPY_FAILS("from a domain that does not exist", other, t, 8, GNTCOPY_source_gref);
    f.domid = 5;
    COPY_FAILS("from a frame of a domain that does not exist", f, t, 8, 0);
    f.domid = DOMID_SELF;
    series_end(&s);
    CHECK_EQ("a copy of nothing is fine", GNTST_okay, COPY(f, t, 0, 0));
    CHECK("a page can be copied onto itself", COPY(f, f, 100, 0) == GNTST_okay);
    table[14].flags = table[15].flags = 0;
    NEED(page_protect(to, RO) == 0);
    CHECK("afterwards the destination can be a table",
          mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(to), 0) == 0 &&
              mmuext(MMUEXT_UNPIN_TABLE, mfn_of(to), 0) == 0);
    NEED(page_protect(to, RW) == 0);
    page_free(from);
    page_free(to);
}

void test_main(void) {
    set_up();
    map_and_unmap();
    maps_that_fail();
    by_entry_address();
    bad_handles();
    many();
    lists();
    copies();
}
