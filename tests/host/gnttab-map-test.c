/* links: arch/fake/guest.c arch/fake/alloc-fail.c tests/host/gnttab-fixture.c */
/* flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array */
/*
 * Mapping and unmapping: domain 1 uses frames of domain 2. After every step everything that
 * references anything is counted anew.
 */
#include <string.h>

#include "gnttab-fixture.h"

#define REF   8
#define HOST  GNTMAP_host_map
#define DEV   GNTMAP_device_map
#define RO    GNTMAP_readonly
#define USED  (GTF_reading | GTF_writing)
#define AT(n) gf_va(GF_FREE + (n))

static struct page *pg; /* what domain 2 grants */
static uint64_t bus;    /* its address */

/* What has to be so at the moment when the translations go. */
static void (*at_flush)(void);
static unsigned int flushes;
static cpumask_t flushed;

void arch_tlb_flush_mask(const cpumask_t *mask) {
    unsigned int cpu;

    cpumask_for_each(cpu, mask)
        cpus[cpu]->flush_epoch = tlb_stamp_now();
    flushes++;
    flushed = *mask;
    if (at_flush)
        at_flush();
}

static void start(void) {
    at_flush = NULL;
    gf_start();
    pg = gf_page(2);
    bus = page_to_mfn(pg).n << PAGE_SHIFT;
    gf_grant(2, REF, 1, pg, 0);
    flushes = 0;
}

static int map(unsigned int n, uint32_t flags, uint32_t *handle) {
    int status = gf_map(2, REF, AT(n), flags, handle);

    EXPECT_CONSISTENT();
    return status;
}

static int unmap(uint32_t handle, uint64_t host_addr, uint64_t dev_bus_addr) {
    int status = gf_unmap(handle, host_addr, dev_bus_addr);

    EXPECT_CONSISTENT();
    return status;
}

static uint16_t in_use(void) {
    return gf_entry(2, REF)->flags & USED;
}

TEST(a_grant_is_mapped_seen_to_be_in_use_and_unmapped) {
    uint32_t handle;

    start();
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    EXPECT_EQ(*gf_pte(1, GF_FREE) & (PTE_MFN_MASK | PTE_P | PTE_RW), bus | PTE_P | PTE_RW);
    EXPECT_EQ(in_use(), USED);
    EXPECT_EQ(pg->refs, PG_ALLOCATED | 2);
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_okay);
    EXPECT_EQ(*gf_pte(1, GF_FREE), 0);
    EXPECT_EQ(in_use(), 0);
    EXPECT_EQ(pg->refs, PG_ALLOCATED | 1);
    EXPECT_EQ(PT_COUNT(pg->type), 0);
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_bad_handle);
    gf_finish();
}

TEST(a_read_only_mapping_lets_the_frame_be_anything) {
    uint32_t handle, other;

    start();
    EXPECT_EQ(map(0, HOST | RO, &handle), GNTST_okay);
    EXPECT_EQ(*gf_pte(1, GF_FREE) & PTE_RW, 0);
    EXPECT_EQ(in_use(), GTF_reading);
    EXPECT_EQ(PT_COUNT(pg->type), 0);
    gf_entry(2, REF)->frame = (uint32_t)page_to_mfn(gf[2].l1).n; /* a page table may be read */
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_okay);
    EXPECT_EQ(map(0, HOST | RO, &handle), GNTST_okay);
    EXPECT_EQ(map(1, HOST, &other), GNTST_general_error); /* but not written */
    EXPECT_EQ(in_use(), GTF_reading);
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_okay);
    gf_finish();
}

TEST(user_space_mappings_are_named_by_their_entry) {
    uint32_t handle, flags = HOST | GNTMAP_contains_pte | GNTMAP_application_map | 1 << 16;
    uint64_t at;

    start();
    at = gf_pte_address(1, 30);
    EXPECT_EQ(gf_map(2, REF, at, flags, &handle), GNTST_okay);
    EXPECT_EQ(*gf_pte(1, 30) & (PTE_AVL | PTE_GUEST_KERNEL), BIT(9));
    EXPECT_EQ(unmap(handle, gf_va(30), 0),
              GNTST_general_error); /* it is still an entry's address */
    EXPECT_EQ(unmap(handle, at, 0), GNTST_okay);
    EXPECT_EQ(gf_map(2, REF, gf_pte_address(2, 30), flags, &handle), GNTST_general_error);
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(one_grant_is_mapped_as_often_as_one_likes) {
    uint32_t rw[2], ro[2];

    start();
    EXPECT_EQ(map(0, HOST | RO, &ro[0]), GNTST_okay);
    EXPECT_EQ(map(1, HOST, &rw[0]), GNTST_okay);
    EXPECT_EQ(in_use(), USED);
    EXPECT_EQ(map(2, HOST, &rw[1]), GNTST_okay);
    EXPECT_EQ(map(3, HOST | RO, &ro[1]), GNTST_okay);
    EXPECT_EQ(unmap(rw[0], AT(1), 0), GNTST_okay);
    EXPECT_EQ(in_use(), USED);
    EXPECT_EQ(unmap(rw[1], AT(2), 0), GNTST_okay);
    EXPECT_EQ(in_use(), GTF_reading);
    EXPECT_EQ(map(2, HOST, &rw[1]), GNTST_okay);
    EXPECT_EQ(unmap(ro[0], AT(0), 0), GNTST_okay);
    EXPECT_EQ(unmap(ro[1], AT(3), 0), GNTST_okay);
    EXPECT_EQ(in_use(), USED);
    EXPECT_EQ(unmap(rw[1], AT(2), 0), GNTST_okay);
    EXPECT_EQ(in_use(), 0);
    gf_finish();
}

TEST(what_was_granted_first_holds_whatever_the_entry_says_later) {
    uint32_t first, second;
    struct page *other;

    start();
    other = gf_page(2);
    EXPECT_EQ(map(0, HOST | RO, &first), GNTST_okay);
    gf_entry(2, REF)->frame = (uint32_t)page_to_mfn(other).n;
    struct gnttab_map_grant_ref op = {AT(1), HOST | RO, REF, 2, 0, 0, 0};
    EXPECT_EQ(gf_op(GNTTABOP_map_grant_ref, &op), GNTST_okay);
    EXPECT_EQ(op.dev_bus_addr, bus);
    /* A first writer asks the entry again. */
    gf_entry(2, REF)->flags |= GTF_readonly;
    EXPECT_EQ(map(2, HOST, &second), GNTST_general_error);
    gf_entry(2, REF)->flags = 0;
    EXPECT_EQ(map(2, HOST, &second), GNTST_general_error);
    /* It is domain 1's as long as that uses it. */
    gf_grant(2, REF, 0, other, 0);
    gf_run(0, 0);
    EXPECT_EQ(gf_map(2, REF, AT(0), HOST, &second), GNTST_general_error);
    gf_run(1, 0);
    EXPECT_EQ(gf_unmap(first, AT(0), 0), GNTST_okay);
    EXPECT_EQ(gf_unmap(op.handle, AT(1), 0), GNTST_okay);
    EXPECT_CONSISTENT();
    gf_run(0, 0);
    EXPECT_EQ(gf_map(2, REF, AT(0), HOST, &second), GNTST_okay);
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(a_mapping_that_cannot_be_changes_nothing) {
    uint32_t handle;
    struct page *own;

    start();
    own = gf_page(1);
    EXPECT_EQ(map(0, 0, &handle), GNTST_bad_gntref);
    EXPECT_EQ(map(0, RO | GNTMAP_application_map, &handle), GNTST_bad_gntref);
    EXPECT_EQ(gf_map(77, REF, AT(0), HOST, &handle), GNTST_bad_domain);
    EXPECT_EQ(gf_map(DOMID_SELF, REF, AT(0), HOST, &handle), GNTST_bad_domain);
    EXPECT_EQ(gf_map(DOMID_IO, REF, AT(0), HOST, &handle), GNTST_bad_domain);
    EXPECT_EQ(gf_map(2, GRANTS_PER_FRAME, AT(0), HOST, &handle), GNTST_bad_gntref);
    EXPECT_EQ(gf_map(2, UINT32_MAX, AT(0), HOST, &handle), GNTST_bad_gntref);
    EXPECT_EQ(gf_map(2, REF + 1, AT(0), HOST, &handle), GNTST_general_error);
    gf_entry(2, REF)->flags = GTF_accept_transfer;
    EXPECT_EQ(map(0, HOST, &handle), GNTST_general_error);
    gf_entry(2, REF)->flags = GTF_transitive;
    EXPECT_EQ(map(0, HOST, &handle), GNTST_general_error);
    gf_grant(2, REF, 0, pg, 0);
    EXPECT_EQ(map(0, HOST, &handle), GNTST_general_error);
    gf_grant(2, REF, 1, pg, GTF_readonly);
    EXPECT_EQ(map(0, HOST, &handle), GNTST_general_error);
    gf_grant(2, REF, 1, gf[2].l1, 0); /* a page table */
    EXPECT_EQ(map(0, HOST, &handle), GNTST_general_error);
    EXPECT_EQ(in_use(), 0);
    gf_grant(2, REF, 1, own, 0); /* not the granter's */
    EXPECT_EQ(map(0, HOST, &handle), GNTST_bad_page);
    EXPECT_EQ(map(0, HOST | RO, &handle), GNTST_bad_page);
    gf_entry(2, REF)->frame = GF_FRAMES; /* no RAM */
    EXPECT_EQ(map(0, HOST, &handle), GNTST_bad_page);
    gf_entry(2, REF)->frame = UINT32_MAX;
    EXPECT_EQ(map(0, HOST | RO, &handle), GNTST_bad_page);
    EXPECT_EQ(in_use(), 0);
    gf_grant(2, REF, 1, pg, 0);
    EXPECT_EQ(gf_map(2, REF, MIB(2), HOST, &handle), GNTST_bad_virt_addr);
    EXPECT_EQ(gf_map(2, REF, MIB(2), HOST | DEV, &handle), GNTST_bad_virt_addr);
    EXPECT_EQ(gf_map(2, REF, MIB(2), HOST | DEV | RO, &handle), GNTST_bad_virt_addr);
    EXPECT_EQ(gf_map(2, REF, 4, HOST | GNTMAP_contains_pte, &handle), GNTST_general_error);
    EXPECT_CONSISTENT();
    EXPECT_EQ(in_use(), 0);
    gf_finish();
}

TEST(a_grant_of_grant_frames_is_a_grant_like_any) {
    uint32_t handle;

    start();
    gf_entry(2, REF)->frame = (uint32_t)virt_to_mfn(gf[2].d->gnttab->shared[0]).n;
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    gf_destroy(2);
    EXPECT(!gf_gone(2));
    EXPECT_EQ(gf_unmap(handle, AT(0), 0), GNTST_okay);
    EXPECT(gf_gone(2));
    gf_finish();
}

TEST(pins_do_not_overflow) {
    struct grant_active *act;
    uint32_t handle;

    start();
    act = &gf[2].d->gnttab->active[0][REF];
    act->domid = 1;
    act->readers = UINT16_MAX;
    EXPECT_EQ(gf_map(2, REF, AT(0), HOST | RO, &handle), GNTST_general_error);
    act->readers = 0;
    act->writers = UINT16_MAX;
    EXPECT_EQ(gf_map(2, REF, AT(0), HOST, &handle), GNTST_general_error);
    act->writers = 0;
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(handles_run_out_and_come_back) {
    uint32_t nr = GF_MAX_TRACK * MAPTRACKS_PER_PAGE, handles[GF_MAX_TRACK * MAPTRACKS_PER_PAGE], n;

    start();
    for (uint32_t i = 0; i < nr; i++)
        EXPECT_EQ(gf_map(2, REF, AT(i % 400), DEV | RO, &handles[i]), GNTST_okay);
    EXPECT_EQ(map(0, DEV, &n), GNTST_no_device_space);
    EXPECT_EQ(gf_unmap(handles[7], 0, bus), GNTST_okay);
    EXPECT_EQ(map(0, DEV, &n), GNTST_okay);
    EXPECT_EQ(n, handles[7]);
    EXPECT_EQ(map(0, DEV, &n), GNTST_no_device_space);
    for (uint32_t i = 0; i < nr; i++)
        EXPECT_EQ(gf_unmap(handles[i], 0, bus), GNTST_okay);
    EXPECT_EQ(pg->refs, PG_ALLOCATED | 1);
    gf_finish();
}

TEST(no_memory_for_handles_is_no_device_space) {
    uint32_t handle;

    start();
    fake_alloc.fail_at = fake_alloc.calls + 1;
    EXPECT_EQ(map(0, HOST, &handle), GNTST_no_device_space);
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    gf_finish();
}

TEST(device_mappings_hold_the_frame_themselves) {
    uint32_t handle;

    start();
    for (uint32_t flags = DEV; flags <= (DEV | RO); flags += RO) {
        EXPECT_EQ(map(0, flags, &handle), GNTST_okay);
        EXPECT_EQ(*gf_pte(1, GF_FREE), 0);
        EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_okay); /* not what it is */
        EXPECT_EQ(unmap(handle, 0, 0), GNTST_okay);
        EXPECT(in_use());
        EXPECT_EQ(unmap(handle, 0, bus + PAGE_SIZE), GNTST_bad_dev_addr);
        EXPECT_EQ(unmap(handle, 0, bus), GNTST_okay);
        EXPECT_EQ(in_use(), 0);
        EXPECT_EQ(unmap(handle, 0, bus), GNTST_bad_handle);
    }
    gf_finish();
}

TEST(two_uses_of_one_handle_end_one_by_one_or_together) {
    static const struct {
        bool host, dev;
    } steps[][2] = {{{true, true}, {false, false}},
                    {{true, false}, {false, true}},
                    {{false, true}, {true, false}}};
    uint32_t handle;

    start();
    for (unsigned int i = 0; i < ARRAY_LEN(steps); i++) {
        for (uint32_t flags = HOST | DEV; flags <= (HOST | DEV | RO); flags += RO) {
            EXPECT_EQ(map(0, flags, &handle), GNTST_okay);
            for (unsigned int j = 0; j < 2 && (steps[i][j].host || steps[i][j].dev); j++) {
                EXPECT(in_use());
                EXPECT_EQ(unmap(handle, steps[i][j].host ? AT(0) : 0, steps[i][j].dev ? bus : 0),
                          GNTST_okay);
            }
            EXPECT_EQ(in_use(), 0);
            EXPECT_EQ(unmap(handle, AT(0), bus), GNTST_bad_handle);
        }
    }
    gf_finish();
}

TEST(an_unmap_that_fails_in_one_use_leaves_both) {
    uint32_t handle;

    start();
    EXPECT_EQ(map(0, HOST | DEV, &handle), GNTST_okay);
    EXPECT_EQ(unmap(handle, AT(1), bus), GNTST_general_error);
    EXPECT_EQ(unmap(handle, AT(0), bus - PAGE_SIZE), GNTST_bad_dev_addr);
    EXPECT_EQ(unmap(handle, AT(0), bus), GNTST_okay);
    gf_finish();
}

TEST(an_unmap_that_cannot_be_changes_nothing) {
    uint32_t handle;

    start();
    EXPECT_EQ(unmap(0, AT(0), 0), GNTST_bad_handle);
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    EXPECT_EQ(unmap(handle + 1, AT(0), 0), GNTST_bad_handle);
    EXPECT_EQ(unmap(UINT32_MAX, AT(0), 0), GNTST_bad_handle);
    EXPECT_EQ(unmap(handle, MIB(2), 0), GNTST_bad_virt_addr);
    EXPECT_EQ(unmap(handle, AT(1), 0), GNTST_general_error);
    EXPECT_EQ(unmap(handle, GF_ARGS, 0), GNTST_general_error);
    gf_run(2, 0); /* handles are their domain's own */
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_bad_handle);
    gf_run(1, 0);
    EXPECT_EQ(gf_set_pte(GF_FREE, *gf_pte(1, GF_FREE) & ~PTE_RW), 0);
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_general_error); /* not as it was mapped */
    EXPECT_EQ(gf_set_pte(GF_FREE, 0), 0);
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_general_error);
    EXPECT_EQ(in_use(), USED);
    gf_finish();
}

TEST(handles_of_one_frame_may_be_mixed_up) {
    uint32_t a, b;

    start();
    EXPECT_EQ(map(0, HOST, &a), GNTST_okay);
    EXPECT_EQ(map(1, HOST, &b), GNTST_okay);
    EXPECT_EQ(unmap(a, AT(1), 0), GNTST_okay);
    EXPECT_EQ(unmap(b, AT(0), 0), GNTST_okay);
    EXPECT_EQ(pg->refs, PG_ALLOCATED | 1);
    gf_finish();
}

/* --- batches, flushes ----------------------------------------------------------------------- */

static void still_in_use(void) {
    EXPECT_EQ(in_use(), USED);
    EXPECT((pg->refs & PG_COUNT) > 1);
    EXPECT(PT_COUNT(pg->type) > 0);
    EXPECT_EQ(*gf_pte(1, GF_FREE), 0);
}

TEST(a_batch_flushes_once_before_anything_is_let_go) {
    struct gnttab_unmap_grant_ref ops[40];
    uint32_t handle;

    start();
    for (unsigned int i = 0; i < 40; i++) {
        EXPECT_EQ(map(i, HOST, &handle), GNTST_okay);
        ops[i] = (struct gnttab_unmap_grant_ref){AT(i), 0, handle, 99};
    }
    ops[5].handle = 12345;
    flushes = 0;
    at_flush = still_in_use;
    EXPECT_EQ(gf_ops(GNTTABOP_unmap_grant_ref, ops, sizeof(ops[0]), 40), 0);
    at_flush = NULL;
    EXPECT_EQ(flushes, 2);
    EXPECT_MEM(&flushed, &gf[1].d->dirty_cpus, sizeof(flushed));
    for (unsigned int i = 0; i < 40; i++)
        EXPECT_EQ(ops[i].status, i == 5 ? GNTST_bad_handle : GNTST_okay);
    EXPECT_CONSISTENT();
    flushes = 0;
    EXPECT_EQ(gf_unmap(ops[0].handle, AT(0), 0), GNTST_bad_handle);
    EXPECT_EQ(flushes, 0); /* nothing to flush */
    gf_finish();
}

TEST(one_batch_may_end_both_uses_and_name_a_handle_twice) {
    struct gnttab_unmap_grant_ref ops[4];
    uint32_t handle;

    start();
    EXPECT_EQ(map(0, HOST | DEV, &handle), GNTST_okay);
    ops[0] = (struct gnttab_unmap_grant_ref){AT(0), 0, handle, 99};
    ops[1] = (struct gnttab_unmap_grant_ref){AT(0), 0, handle, 99};
    ops[2] = (struct gnttab_unmap_grant_ref){0, bus, handle, 99};
    ops[3] = (struct gnttab_unmap_grant_ref){0, bus, handle, 99};
    at_flush = still_in_use;
    EXPECT_EQ(gf_ops(GNTTABOP_unmap_grant_ref, ops, sizeof(ops[0]), 4), 0);
    at_flush = NULL;
    EXPECT_EQ(ops[0].status, GNTST_okay);
    EXPECT_EQ(ops[1].status, GNTST_okay); /* that use has ended: nothing to do */
    EXPECT_EQ(ops[2].status, GNTST_okay);
    EXPECT_EQ(ops[3].status, GNTST_bad_handle);
    EXPECT_EQ(in_use(), 0);
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(a_use_that_is_still_being_flushed_keeps_the_grant_in_use) {
    struct gnttab_unmap host, dev;
    struct vcpu *v;
    uint32_t handle;

    for (unsigned int order = 0; order < 2; order++) {
        start();
        v = gf_run(1, 0);
        EXPECT_EQ(map(0, HOST | DEV, &handle), GNTST_okay);
        /* Two vcpus, each with a batch of its own. */
        EXPECT_EQ(gnttab_unmap_begin(v, &host, handle, AT(0), 0, 0), GNTST_okay);
        EXPECT_EQ(gnttab_unmap_begin(v, &dev, handle, 0, bus, 0), GNTST_okay);
        EXPECT_EQ(gnttab_unmap_begin(v, &dev, handle, 0, bus, 0), GNTST_bad_handle);
        gnttab_unmap_finish(v, order ? &host : &dev);
        EXPECT_EQ(in_use(), USED);
        EXPECT_EQ(pg->refs, PG_ALLOCATED | 2);
        gnttab_unmap_finish(v, order ? &dev : &host);
        EXPECT_EQ(in_use(), 0);
        gf_finish();
    }
}

TEST(a_batch_that_ends_in_nowhere_is_finished_up_to_there) {
    uint64_t arg[6] = {GNTTABOP_unmap_grant_ref, GF_ARGS, 2};
    struct gnttab_unmap_grant_ref *ops;
    uint32_t handle;

    start();
    ops = page_to_virt(gf[1].arg[0]);
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    ops[0] = (struct gnttab_unmap_grant_ref){AT(0), 0, handle, 99};
    fake_guest.fail_at = fake_guest.accesses + 3;
    EXPECT_EQ(hypercall_grant_table_op(current_vcpu(), arg), -EFAULT);
    EXPECT_EQ(ops[0].status, GNTST_okay);
    EXPECT_EQ(in_use(), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    ops[0].handle = handle;
    arg[1] = GF_ARGS, arg[2] = 1;
    fake_guest.fail_at = fake_guest.accesses + 2; /* its status cannot be written */
    EXPECT_EQ(hypercall_grant_table_op(current_vcpu(), arg), -EFAULT);
    EXPECT_EQ(in_use(), 0);
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(unmap_and_replace_moves_another_mapping_there) {
    struct gnttab_unmap_and_replace op = {.host_addr = AT(0)};
    struct page *own;
    uint32_t handle;
    uint64_t e;

    start();
    own = gf_page(1);
    EXPECT_EQ(map(0, HOST, &op.handle), GNTST_okay);
    EXPECT_EQ(gf_set_pte(GF_FREE + 1, page_to_mfn(own).n << PAGE_SHIFT | 7), 0);
    e = *gf_pte(1, GF_FREE + 1);
    EXPECT_EQ(gf_op(GNTTABOP_unmap_and_replace, &op), GNTST_bad_virt_addr);
    op.new_addr = MIB(2);
    EXPECT_EQ(gf_op(GNTTABOP_unmap_and_replace, &op), GNTST_general_error);
    op.new_addr = AT(0);
    EXPECT_EQ(gf_op(GNTTABOP_unmap_and_replace, &op), GNTST_general_error);
    EXPECT_CONSISTENT();
    op.new_addr = AT(1);
    at_flush = NULL;
    EXPECT_EQ(gf_op(GNTTABOP_unmap_and_replace, &op), GNTST_okay);
    EXPECT_EQ(*gf_pte(1, GF_FREE), e);
    EXPECT_EQ(*gf_pte(1, GF_FREE + 1), 0);
    EXPECT_EQ(in_use(), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(gf_op(GNTTABOP_unmap_and_replace, &op), GNTST_bad_handle);

    EXPECT_EQ(gf_map(2, REF, gf_pte_address(1, 40), HOST | GNTMAP_contains_pte, &handle),
              GNTST_okay);
    op = (struct gnttab_unmap_and_replace){gf_pte_address(1, 40), AT(0), handle, 0};
    EXPECT_EQ(gf_op(GNTTABOP_unmap_and_replace, &op), GNTST_general_error);
    EXPECT_CONSISTENT();
    gf_finish();
}

/* --- giving way ----------------------------------------------------------------------------- */

TEST(a_frame_that_just_changes_its_use_is_waited_for) {
    uint64_t arg[6] = {GNTTABOP_map_grant_ref, GF_ARGS, 1};
    struct gnttab_map_grant_ref *op;

    start();
    op = page_to_virt(gf[1].arg[0]);
    *op = (struct gnttab_map_grant_ref){AT(0), HOST, REF, 2, 99, 0, 0};
    pg->type = PT_WORD(PAGE_WRITABLE) | PT_BUSY | 1; /* another cpu is at it */
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(hypercall_grant_table_op(current_vcpu(), arg), -ERESTART);
    EXPECT_EQ(arg[1], GF_ARGS);
    EXPECT_EQ(arg[2], 1);
    EXPECT_EQ(op->status, 99);
    EXPECT_EQ(in_use(), 0);
    EXPECT_EQ(gf[1].d->gnttab->nr_maptracks, MAPTRACKS_PER_PAGE);
    pg->type = PT_WORD(PAGE_WRITABLE) | PT_VALID;
    EXPECT_CONSISTENT();
    this_cpu()->work = 0;
    fake_guest_begin();
    EXPECT_EQ(hypercall_grant_table_op(current_vcpu(), arg), 0);
    EXPECT_EQ(op->status, GNTST_okay);
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(a_table_that_is_half_taken_apart_is_taken_apart_first) {
    struct page *l1[8], *l2;
    uint32_t handle;

    start();
    l2 = gf_page(2);
    for (unsigned int i = 0; i < 8; i++) {
        l1[i] = gf_page(2);
        ((uint64_t *)page_to_virt(l2))[i] = page_to_mfn(l1[i]).n << PAGE_SHIFT | 7;
    }
    gf_run(2, 0);
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(mmu_pin(gf[2].d, page_to_mfn(l2), PAGE_L2), -ERESTART);
    EXPECT_EQ(mmu_pin(gf[2].d, page_to_mfn(l2), PAGE_L2), -ERESTART);
    EXPECT_CONSISTENT();
    gf_run(1, 0);
    gf_grant(2, REF, 1, l2, 0);
    EXPECT_EQ(gf_map(2, REF, AT(0), HOST, &handle), GNTST_okay);
    EXPECT(gf_rounds > 1);
    this_cpu()->work = 0;
    EXPECT_CONSISTENT();
    gf_finish();
}

/* --- ends ----------------------------------------------------------------------------------- */

TEST(a_granter_that_dies_goes_when_its_last_frame_is_unmapped) {
    uint32_t host, dev;

    start();
    EXPECT_EQ(map(0, HOST, &host), GNTST_okay);
    EXPECT_EQ(map(1, DEV | RO, &dev), GNTST_okay);
    gf_destroy(2);
    EXPECT_CONSISTENT();
    EXPECT(!gf_gone(2));
    memset(page_to_virt(pg), 0x5a, PAGE_SIZE); /* still there */
    EXPECT_EQ(gf_unmap(host, AT(0), 0), GNTST_okay);
    EXPECT_CONSISTENT();
    EXPECT(!gf_gone(2));
    EXPECT_EQ(gf_unmap(dev, 0, bus), GNTST_okay);
    EXPECT(gf_gone(2));
    EXPECT_EQ(gf_map(2, REF, AT(0), HOST, &host), GNTST_bad_domain);
    gf_finish();
}

TEST(a_grantee_that_dies_leaves_nothing_behind) {
    uint32_t handle;

    start();
    for (unsigned int i = 0; i < 50; i++)
        EXPECT_EQ(gf_map(2, REF, AT(i),
                         i % 3   ? HOST
                         : i % 2 ? DEV
                                 : DEV | HOST | RO,
                         &handle),
                  GNTST_okay);
    EXPECT_CONSISTENT();
    gf_run(0, 0);
    this_cpu()->work = WORK_SCHED; /* in the smallest steps */
    gf_destroy(1);
    this_cpu()->work = 0;
    EXPECT(gf_gone(1));
    EXPECT_EQ(in_use(), 0);
    EXPECT_EQ(pg->refs, PG_ALLOCATED | 1);
    gf_finish();
}

TEST(domains_that_hold_each_other_and_themselves_all_go) {
    uint32_t handle;
    struct page *own;

    start();
    own = gf_page(1);
    EXPECT_EQ(map(0, HOST | DEV, &handle), GNTST_okay);
    gf_grant(1, REF, 2, own, 0);
    gf_grant(1, REF + 1, 1, own, 0);
    EXPECT_EQ(gf_map(1, REF + 1, AT(1), HOST | DEV, &handle), GNTST_okay);
    gf_run(2, 0);
    EXPECT_EQ(gf_map(1, REF, AT(0), HOST | DEV, &handle), GNTST_okay);
    EXPECT_CONSISTENT();
    gf_run(0, 0);
    gf_destroy(1);
    EXPECT(!gf_gone(1)); /* domain 2 maps a frame of it */
    EXPECT_CONSISTENT();
    gf_destroy(2);
    EXPECT(gf_gone(1));
    EXPECT(gf_gone(2));
    gf_finish();
}

TEST(a_mapping_the_guest_dropped_itself_pins_the_grant_until_the_end) {
    uint32_t handle;

    start();
    EXPECT_EQ(map(0, HOST, &handle), GNTST_okay);
    EXPECT_EQ(gf_set_pte(GF_FREE, 0), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(pg->refs, PG_ALLOCATED | 1);
    EXPECT_EQ(in_use(), USED);
    /* The granter takes the frame back by force; the handle stands for nothing any more. */
    page_release_allocation(pg);
    EXPECT_EQ(unmap(handle, AT(0), 0), GNTST_general_error);
    gf_run(0, 0);
    gf_destroy(1);
    EXPECT(gf_gone(1));
    EXPECT_EQ(in_use(), 0);
    gf_finish();
}
