/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c core/page.c core/page-list.c core/tlb.c lib/lock.c tests/host/mmu-fixture.c */
/* mmuext_op: pins, bases, flushes, and the odd ones. */
#include <string.h>

#include <abi/xen.h>

#include "mmu-fixture.h"
#include "pv/hypercall.h"

static long ext_by(unsigned int cmd, uint64_t arg1, uint64_t arg2, domid_t domid) {
    struct mmuext_op op = {.cmd = cmd, .arg1.mfn = arg1, .arg2.src_mfn = arg2};
    unsigned int done = 0;
    long rc = fx_mmuext(&op, 1, &done, domid);

    EXPECT_EQ(done, rc == 0);
    EXPECT_CONSISTENT();
    return rc;
}

static long ext(unsigned int cmd, uint64_t arg1, uint64_t arg2) {
    return ext_by(cmd, arg1, arg2, DOMID_SELF);
}

static uint64_t mfn(const struct page *pg) {
    return page_to_mfn(pg).n;
}

TEST(tables_of_each_level_are_pinned_and_unpinned) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn(t.l1), 0), 0);
    EXPECT_EQ(ext(MMUEXT_PIN_L2_TABLE, mfn(t.l2), 0), 0);
    EXPECT_EQ(ext(MMUEXT_PIN_L3_TABLE, mfn(t.l3), 0), 0);
    EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(t.l4), 0), 0);
    EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(t.l4), 0), -EINVAL);
    EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, mfn(t.data), 0), -EBUSY);
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l1), 0), 0);
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l1), 0), -EINVAL);
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l4), 0), 0);
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l3), 0), 0);
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l2), 0), 0);
    EXPECT(fx_all_free());
}

TEST(a_builder_pins_for_its_domain) {
    struct page *l4;

    fx_reset();
    l4 = fx_alloc(fx_other);
    EXPECT_EQ(ext_by(MMUEXT_PIN_L4_TABLE, mfn(l4), 0, fx_other->domid), -EPERM);
    fx_d->privileged = true;
    EXPECT_EQ(ext_by(MMUEXT_PIN_L4_TABLE, mfn(l4), 0, fx_other->domid), 0);
    EXPECT_EQ(ext_by(MMUEXT_UNPIN_TABLE, mfn(l4), 0, fx_d->domid), -EINVAL);
    EXPECT_EQ(ext_by(MMUEXT_UNPIN_TABLE, mfn(l4), 0, fx_other->domid), 0);
    EXPECT_EQ(ext_by(MMUEXT_NEW_BASEPTR, mfn(l4), 0, fx_other->domid), -EPERM);
    EXPECT_EQ(ext_by(MMUEXT_TLB_FLUSH_LOCAL, 0, 0, fx_other->domid), -EPERM);
    EXPECT(fx_all_free());
    EXPECT_EQ(fx_other->refs, 0);
}

TEST(the_owners_of_io_and_hypervisor_frames_have_no_tables) {
    struct page *m2p;

    fx_reset();
    m2p = fx_alloc(dom_xen);
    fx_d->privileged = true;
    EXPECT_EQ(ext_by(MMUEXT_PIN_L1_TABLE, mfn(m2p), 0, DOMID_XEN), -ESRCH);
    EXPECT(fx_all_free());
}

TEST(a_pin_and_unpin_cut_into_steps_is_the_same) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    fx_table(t.l4)[9] = fx_table(t.l4)[10] = fx_table(t.l4)[11] = fx_pte(t.l3, FX_RW);
    fx_work(true);
    EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, mfn(t.l4), 0), 0);
    EXPECT(fx_rounds > 1);
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l4), 0), 0);
    EXPECT(fx_rounds > 1);
    EXPECT(fx_all_free());
}

TEST(bases_are_switched_and_hold_their_tables) {
    struct fx_tree t, u;

    fx_reset();
    t = fx_live_tree();
    u = fx_tree();
    EXPECT_EQ(ext(MMUEXT_UNPIN_TABLE, mfn(t.l4), 0), 0);
    EXPECT(page_type_is(t.l1, PAGE_L1));
    fx_loads = fx_flushes_all = 0;
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, mfn(u.l4), 0), 0); /* not pinned: validated now */
    EXPECT_EQ(fx_loads, 1);
    EXPECT(fx_flushes_all > 0);
    EXPECT_EQ(fx_v->arch.kernel_cr3, mfn(u.l4) << PAGE_SHIFT);
    EXPECT(!page_type_is(t.l1, PAGE_L1));
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, mfn(u.l4), 0), 0);
    EXPECT_EQ(ext(MMUEXT_NEW_USER_BASEPTR, mfn(u.l4), 0), 0);
    EXPECT_EQ(ext(MMUEXT_NEW_USER_BASEPTR, mfn(t.l4), 0), 0);
    EXPECT_EQ(ext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
    EXPECT_EQ(fx_v->arch.user_l4.n, 0);
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, 0, 0), -EINVAL);
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, mfn(u.l3), 0), -EBUSY);
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, FX_IO.n, 0), -EINVAL);
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, mfn(fx_alloc(fx_other)), 0), -EINVAL);
    EXPECT_EQ(fx_v->arch.kernel_l4.n, mfn(u.l4));
}

TEST(a_base_that_cannot_be_dropped_at_once_is_not_lost) {
    struct fx_tree t, u;
    unsigned int rounds = 0;

    fx_reset();
    t = fx_tree(), u = fx_tree();
    for (unsigned int i = 9; i < 20; i++)
        fx_table(t.l4)[i] = fx_pte(t.l3, FX_RW);
    EXPECT_EQ(ext(MMUEXT_NEW_BASEPTR, mfn(t.l4), 0), 0);
    EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(u.l4), PAGE_L4), 0);
    fx_work(true);
    EXPECT_EQ(mmu_new_kernel_base(fx_v, page_to_mfn(u.l4)), -ERESTART);
    EXPECT_EQ(fx_v->arch.kernel_l4.n, mfn(u.l4)); /* switched; the old tree is what is left to do */
    EXPECT_EQ(fx_loads, 2);
    do {
        EXPECT_CONSISTENT();
        rounds++;
    } while (mmu_new_kernel_base(fx_v, page_to_mfn(u.l4)) == -ERESTART);
    EXPECT(rounds > 8);
    EXPECT(!page_type_is(t.l4, PAGE_L4));
    EXPECT_EQ(fx_v->arch.unwinding[0].n, 0);
    EXPECT_CONSISTENT();
}

TEST(a_vcpu_that_does_not_run_gets_a_base_without_loading_it) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    EXPECT_EQ(mmu_new_kernel_base(fx_d->vcpu[1], page_to_mfn(t.l4)), 0);
    EXPECT_EQ(fx_loads, 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(mmu_drop_bases(fx_d->vcpu[1]), 0);
    EXPECT(fx_all_free());
}

TEST(flushes_of_a_batch_are_issued_once) {
    uint64_t vcpus = 1 << 1 | 1 << 3;
    struct mmuext_op op[4] = {
        {.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = 0x5000},
        {.cmd = MMUEXT_INVLPG_MULTI,
         .arg1.linear_addr = 0x5000,
         .arg2.vcpumask = {FX_GUEST + 8192}},
        {.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = 0x6000},
        {.cmd = MMUEXT_TLB_FLUSH_ALL},
    };

    fx_reset();
    memcpy(fx_guest + 8192, &vcpus, sizeof(vcpus));
    EXPECT_EQ(fx_mmuext(op, 1, NULL, DOMID_SELF), 0);
    EXPECT_EQ(fx_flushes_one, 1);
    EXPECT_EQ(cpumask_weight(&fx_flushed), 0);
    EXPECT_EQ(fx_mmuext(op, 2, NULL, DOMID_SELF), 0);
    EXPECT_EQ(fx_flushes_one, 2);
    EXPECT_EQ(fx_flushed.bits[0], 1 | 1 << 1 | 1 << 3);
    EXPECT_EQ(fx_mmuext(op, 3, NULL, DOMID_SELF), 0); /* two addresses: all of it */
    EXPECT_EQ(fx_flushes_one, 2);
    EXPECT_EQ(fx_flushes_all, 1);
    EXPECT_EQ(fx_mmuext(op, 4, NULL, DOMID_SELF), 0);
    EXPECT_EQ(fx_flushes_all, 2);
    EXPECT_EQ(cpumask_weight(&fx_flushed), FX_CPUS);
    op[1].arg2.vcpumask.va = 0;
    EXPECT_EQ(fx_mmuext(op, 4, NULL, DOMID_SELF), -EFAULT);
    EXPECT_EQ(fx_flushes_one, 3); /* the one before the error */
    fx_d->dirty_cpus.bits[0] = 1 << 3;
    EXPECT_EQ(fx_mmuext(op + 3, 1, NULL, DOMID_SELF), 0);
    EXPECT_EQ(fx_flushed.bits[0], 1 << 3);
}

TEST(an_ldt_is_page_aligned_and_bounded) {
    fx_reset();
    EXPECT_EQ(ext(MMUEXT_SET_LDT, 0x7000, 8192), 0);
    EXPECT_EQ(fx_v->arch.ldt_base, 0x7000);
    EXPECT_EQ(ext(MMUEXT_SET_LDT, 0x7008, 1), -EINVAL);
    EXPECT_EQ(ext(MMUEXT_SET_LDT, 0x7000, 8193), -EINVAL);
    EXPECT_EQ(ext(MMUEXT_SET_LDT, 0, 0), 0);
    EXPECT_EQ(fx_v->arch.ldt_entries, 0);
}

TEST(unknown_operations_are_refused) {
    fx_reset();
    EXPECT_EQ(ext(14, 0, 0), -EOPNOTSUPP);
    EXPECT_EQ(ext(MMUEXT_MARK_SUPER, 0, 0), -EOPNOTSUPP);
    EXPECT_EQ(ext(21, 0, 0), -ENOSYS);
    EXPECT_EQ(ext(~0u, 0, 0), -ENOSYS);
}
