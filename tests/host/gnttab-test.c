/* links: arch/fake/guest.c arch/fake/alloc-fail.c tests/host/gnttab-fixture.c */
/* flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array */
/* The table itself: growth, versions, who may ask; and what all sub-ops have in common. */
#include <string.h>

#include "core/heap.h"
#include "gnttab-fixture.h"

#define FRAME_LIST (GF_ARGS + PAGE_SIZE)
#define NOWHERE    gf_va(GF_FREE) /* no guest memory there */

static long call(unsigned int cmd, uint64_t at, uint64_t count) {
    uint64_t arg[6] = {cmd, at, count};

    fake_guest_begin();
    return hypercall_grant_table_op(current_vcpu(), arg);
}

static int setup(domid_t dom, uint32_t nr_frames, uint64_t list) {
    struct gnttab_setup_table op = {.dom = dom, .nr_frames = nr_frames, .frame_list = {list}};

    return gf_op(GNTTABOP_setup_table, &op);
}

static const uint64_t *listed(void) {
    return page_to_virt(gf[current_vcpu()->domain->domid].arg[1]);
}

TEST(a_table_begins_with_one_frame_and_grows_as_asked) {
    struct gnttab_query_size size = {.dom = DOMID_SELF};

    gf_start();
    EXPECT_EQ(gf_op(GNTTABOP_query_size, &size), GNTST_okay);
    EXPECT_EQ(size.nr_frames, 1);
    EXPECT_EQ(size.max_nr_frames, GF_MAX_GRANT);
    EXPECT_EQ(setup(DOMID_SELF, 3, FRAME_LIST), GNTST_okay);
    for (unsigned int i = 0; i < 3; i++) {
        EXPECT(mfn_to_virt(mfn_of(listed()[i])) == gf[1].d->gnttab->shared[i]);
        EXPECT(page_owner(mfn_to_page(mfn_of(listed()[i]))) == gf[1].d);
    }
    EXPECT_EQ(setup(DOMID_SELF, 2, FRAME_LIST), GNTST_okay); /* it never shrinks */
    EXPECT_EQ(gf_op(GNTTABOP_query_size, &size), GNTST_okay);
    EXPECT_EQ(size.nr_frames, 3);
    EXPECT_EQ(setup(1, 0, 0), GNTST_okay);
    EXPECT_CONSISTENT();
    gf_finish();
}

TEST(the_owner_maps_its_table_writable_but_nobody_else_may) {
    uint64_t e;

    gf_start();
    EXPECT_EQ(setup(DOMID_SELF, 1, FRAME_LIST), GNTST_okay);
    e = listed()[0] << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US;
    EXPECT_EQ(gf_set_pte(20, e), 0);
    EXPECT_CONSISTENT();
    gf_run(2, 0);
    EXPECT_EQ(gf_set_pte(20, e), -EINVAL);
    gf_finish();
}

TEST(setup_table_says_what_is_wrong) {
    gf_start();
    EXPECT_EQ(setup(DOMID_SELF, GF_MAX_GRANT + 1, FRAME_LIST), GNTST_general_error);
    EXPECT_EQ(setup(DOMID_SELF, UINT32_MAX, FRAME_LIST), GNTST_general_error);
    EXPECT_EQ(setup(DOMID_SELF, 1, NOWHERE), GNTST_bad_virt_addr);
    EXPECT_EQ(setup(DOMID_SELF, 2, UINT64_MAX - 7), GNTST_bad_virt_addr);
    EXPECT_EQ(setup(2, 1, FRAME_LIST), GNTST_permission_denied);
    EXPECT_EQ(setup(77, 1, FRAME_LIST), GNTST_permission_denied);
    EXPECT_EQ(call(GNTTABOP_setup_table, GF_ARGS, 2), -EINVAL);
    EXPECT_EQ(call(GNTTABOP_setup_table, GF_ARGS, 0), -EINVAL);
    EXPECT_EQ(call(GNTTABOP_setup_table, NOWHERE, 1), -EFAULT);
    gf_run(0, 0);
    EXPECT_EQ(setup(77, 1, FRAME_LIST), GNTST_bad_domain);
    EXPECT_EQ(setup(2, 2, FRAME_LIST), GNTST_okay);
    EXPECT(mfn_to_virt(mfn_of(listed()[1])) == gf[2].d->gnttab->shared[1]);
    gf_finish();
}

TEST(a_dying_domain_gets_no_more_frames) {
    mfn_t mfn;

    gf_start();
    gf_run(0, 0);
    gf[1].d->life = DOMAIN_DYING;
    EXPECT_EQ(setup(1, 2, FRAME_LIST), GNTST_general_error);
    EXPECT_EQ(gnttab_get_frame(gf[1].d, false, 1, &mfn), -EINVAL);
    EXPECT_EQ(gf[1].d->gnttab->nr_frames, 1);
    gf[1].d->life = DOMAIN_ALIVE;
    gf_finish();
}

TEST(a_table_that_cannot_grow_stays_as_it_is) {
    gf_start();
    for (unsigned int nth = 1; nth <= 2; nth++) {
        fake_alloc.fail_at = fake_alloc.calls + nth;
        EXPECT_EQ(setup(DOMID_SELF, 2, FRAME_LIST), GNTST_general_error);
        EXPECT_EQ(gf[1].d->gnttab->nr_frames, 1);
        EXPECT_CONSISTENT();
    }
    EXPECT_EQ(setup(DOMID_SELF, 2, FRAME_LIST), GNTST_okay);
    gf_finish();
}

TEST(a_domain_without_memory_for_its_tables_comes_to_nothing) {
    struct domain *d;
    uint64_t free_before, free_after;

    gf_start();
    d = heap_alloc_virt(0);
    lock_init(&d->page_lock, RANK_PAGE_LIST);
    gnttab_domain_unshare(d);
    EXPECT_EQ(gnttab_domain_relinquish(d), 0);
    gnttab_domain_destroy(d); /* one that never got that far */
    free_before = heap_free_frames();
    for (unsigned int nth = 1; nth <= 6; nth++) {
        fake_alloc.fail_at = fake_alloc.calls + nth;
        EXPECT_EQ(gnttab_domain_init(d, 4, 4), -ENOMEM);
        EXPECT_EQ(gnttab_domain_relinquish(d), 0);
        gnttab_domain_unshare(d);
        gnttab_domain_destroy(d);
        free_after = heap_free_frames();
        EXPECT_EQ(free_after, free_before);
        EXPECT_EQ(d->refs, 0);
    }
    heap_free_virt(d, 0);
    gf_finish();
}

TEST(frames_of_a_table_as_a_resource) {
    mfn_t mfn;

    gf_start();
    EXPECT_EQ(gnttab_max_frames(gf[1].d), GF_MAX_GRANT);
    EXPECT_EQ(gnttab_get_frame(gf[1].d, false, 1, &mfn), 0);
    EXPECT(mfn_to_virt(mfn) == gf[1].d->gnttab->shared[1]);
    EXPECT_EQ(gf[1].d->gnttab->nr_frames, 2);
    EXPECT_EQ(gnttab_get_frame(gf[1].d, false, GF_MAX_GRANT, &mfn), -EINVAL);
    EXPECT_EQ(gnttab_get_frame(gf[1].d, false, UINT32_MAX, &mfn), -EINVAL);
    EXPECT_EQ(gnttab_get_frame(gf[1].d, true, 0, &mfn), -EINVAL);
    fake_alloc.fail_at = fake_alloc.calls + 1;
    EXPECT_EQ(gnttab_get_frame(gf[1].d, false, 2, &mfn), -ENOMEM);
    gf_finish();
}

TEST(query_size_says_what_is_wrong) {
    struct gnttab_query_size op = {.dom = 2};

    gf_start();
    EXPECT_EQ(gf_op(GNTTABOP_query_size, &op), GNTST_permission_denied);
    EXPECT_EQ(call(GNTTABOP_query_size, GF_ARGS, 2), -EINVAL);
    EXPECT_EQ(call(GNTTABOP_query_size, NOWHERE, 1), -EFAULT);
    gf_run(0, 0);
    EXPECT_EQ(gf_op(GNTTABOP_query_size, &op), GNTST_okay);
    op.dom = 77;
    EXPECT_EQ(gf_op(GNTTABOP_query_size, &op), GNTST_bad_domain);
    gf_finish();
}

TEST(there_is_version_1_only) {
    struct gnttab_set_version set = {.version = 2};
    struct gnttab_get_version get = {.dom = DOMID_SELF};
    struct gnttab_get_status_frames frames = {.dom = DOMID_SELF, .nr_frames = 1};

    gf_start();
    EXPECT_EQ(gf_ops(GNTTABOP_set_version, &set, sizeof(set), 1), -ENOSYS);
    EXPECT_EQ(set.version, 1);
    EXPECT_EQ(gf_ops(GNTTABOP_set_version, &set, sizeof(set), 1), 0);
    set.version = 3;
    EXPECT_EQ(gf_ops(GNTTABOP_set_version, &set, sizeof(set), 1), -EINVAL);
    EXPECT_EQ(gf_ops(GNTTABOP_get_version, &get, sizeof(get), 1), 0);
    EXPECT_EQ(get.version, 1);
    EXPECT_EQ(gf_op(GNTTABOP_get_status_frames, &frames), GNTST_general_error);
    for (unsigned int cmd = GNTTABOP_set_version; cmd <= GNTTABOP_get_version; cmd++) {
        EXPECT_EQ(call(cmd, GF_ARGS, 0), -EINVAL);
        EXPECT_EQ(call(cmd, NOWHERE, 1), -EFAULT);
    }
    get.dom = 2;
    EXPECT_EQ(gf_ops(GNTTABOP_get_version, &get, sizeof(get), 1), -EPERM);
    gf_run(0, 0);
    EXPECT_EQ(gf_ops(GNTTABOP_get_version, &get, sizeof(get), 1), 0);
    get.dom = 77;
    EXPECT_EQ(gf_ops(GNTTABOP_get_version, &get, sizeof(get), 1), -ESRCH);
    gf_finish();
}

TEST(results_that_cannot_be_written_back_are_efault) {
    static const unsigned int cmds[] = {GNTTABOP_setup_table,
                                        GNTTABOP_query_size,
                                        GNTTABOP_set_version,
                                        GNTTABOP_get_version,
                                        GNTTABOP_copy,
                                        GNTTABOP_map_grant_ref,
                                        GNTTABOP_transfer,
                                        GNTTABOP_swap_grant_ref,
                                        GNTTABOP_unmap_grant_ref,
                                        GNTTABOP_unmap_and_replace,
                                        GNTTABOP_get_status_frames};

    gf_start();
    for (unsigned int i = 0; i < ARRAY_LEN(cmds); i++) {
        memset(page_to_virt(gf[1].arg[0]), 0, PAGE_SIZE);
        *(domid_t *)page_to_virt(gf[1].arg[0]) = DOMID_SELF;
        fake_guest.fail_at = fake_guest.accesses + 2;
        EXPECT_EQ(call(cmds[i], GF_ARGS, 1), -EFAULT);
        EXPECT_CONSISTENT();
    }
    gf_finish();
}

TEST(what_is_not_done_is_enosys) {
    gf_start();
    EXPECT_EQ(call(GNTTABOP_dump_table, GF_ARGS, 1), -ENOSYS);
    EXPECT_EQ(call(GNTTABOP_cache_flush, GF_ARGS, 1), -ENOSYS);
    EXPECT_EQ(call(13, GF_ARGS, 1), -ENOSYS);
    EXPECT_EQ(call(UINT32_MAX, GF_ARGS, 1), -ENOSYS);
    gf_finish();
}

TEST(counts_are_32_bits_and_not_negative) {
    gf_start();
    EXPECT_EQ(call(GNTTABOP_copy, NOWHERE, UINT64_C(1) << 31), -EINVAL);
    EXPECT_EQ(call(GNTTABOP_copy, NOWHERE, UINT32_MAX), -EINVAL);
    EXPECT_EQ(call(GNTTABOP_copy, NOWHERE, 0), 0);
    EXPECT_EQ(call(GNTTABOP_copy, NOWHERE, UINT64_C(1) << 32), 0);
    EXPECT_EQ(call(GNTTABOP_unmap_grant_ref, NOWHERE, 0), 0);
    EXPECT_EQ(call(GNTTABOP_unmap_grant_ref, NOWHERE, 1), -EFAULT);
    EXPECT_EQ(call(GNTTABOP_unmap_and_replace, NOWHERE, 1), -EFAULT);
    gf_finish();
}

TEST(an_array_gives_way_between_two_elements) {
    struct gnttab_swap_grant_ref ops[5];
    struct gnttab_unmap_grant_ref unmaps[65];

    gf_start();
    for (unsigned int i = 0; i < 5; i++)
        ops[i] = (struct gnttab_swap_grant_ref){i, i, 99};
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(gf_ops(GNTTABOP_swap_grant_ref, ops, sizeof(ops[0]), 5), 0);
    EXPECT_EQ(gf_rounds, 5);
    for (unsigned int i = 0; i < 5; i++)
        EXPECT_EQ(ops[i].status, GNTST_okay);
    memset(unmaps, 0, sizeof(unmaps));
    EXPECT_EQ(gf_ops(GNTTABOP_unmap_grant_ref, unmaps, sizeof(unmaps[0]), 65), 0);
    EXPECT_EQ(gf_rounds, 3); /* batches of 32 */
    for (unsigned int i = 0; i < 65; i++)
        EXPECT_EQ(unmaps[i].status, GNTST_bad_handle);
    this_cpu()->work = 0;
    gf_finish();
}

TEST(an_array_that_ends_in_nowhere_is_done_up_to_there) {
    uint64_t arg[6] = {GNTTABOP_swap_grant_ref, GF_ARGS + GF_ARG_PAGES * PAGE_SIZE - 24, 3};
    struct gnttab_swap_grant_ref *last;

    gf_start();
    last = (void *)((char *)page_to_virt(gf[1].arg[GF_ARG_PAGES - 1]) + PAGE_SIZE - 24);
    last[0].status = last[1].status = 99;
    EXPECT_EQ(hypercall_grant_table_op(current_vcpu(), arg), -EFAULT);
    EXPECT_EQ(last[0].status, GNTST_okay);
    EXPECT_EQ(last[1].status, GNTST_okay);
    EXPECT_EQ(arg[2], 1);
    gf_finish();
}

TEST(swap_exchanges_two_entries_that_nobody_uses) {
    struct gnttab_swap_grant_ref op = {8, 9, 0};
    struct page *pg;
    uint32_t handle;

    gf_start();
    pg = gf_page(1);
    gf_grant(1, 8, 2, pg, GTF_readonly);
    EXPECT_EQ(gf_op(GNTTABOP_swap_grant_ref, &op), GNTST_okay);
    EXPECT_EQ(gf_entry(1, 8)->flags, 0);
    EXPECT_EQ(gf_entry(1, 9)->flags, GTF_permit_access | GTF_readonly);
    EXPECT_EQ(gf_entry(1, 9)->frame, page_to_mfn(pg).n);
    op = (struct gnttab_swap_grant_ref){9, 9, 0};
    EXPECT_EQ(gf_op(GNTTABOP_swap_grant_ref, &op), GNTST_okay);
    op.ref_b = GRANTS_PER_FRAME;
    EXPECT_EQ(gf_op(GNTTABOP_swap_grant_ref, &op), GNTST_bad_gntref);
    op = (struct gnttab_swap_grant_ref){UINT32_MAX, 9, 0};
    EXPECT_EQ(gf_op(GNTTABOP_swap_grant_ref, &op), GNTST_bad_gntref);

    gf_run(2, 0);
    EXPECT_EQ(gf_map(1, 9, gf_va(20), GNTMAP_host_map | GNTMAP_readonly, &handle), GNTST_okay);
    gf_run(1, 0);
    op = (struct gnttab_swap_grant_ref){8, 9, 0};
    EXPECT_EQ(gf_op(GNTTABOP_swap_grant_ref, &op), GNTST_eagain);
    op = (struct gnttab_swap_grant_ref){9, 8, 0};
    EXPECT_EQ(gf_op(GNTTABOP_swap_grant_ref, &op), GNTST_eagain);
    EXPECT_EQ(gf_entry(1, 9)->frame, page_to_mfn(pg).n);
    gf_finish();
}
