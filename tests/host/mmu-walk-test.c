/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c */
/* links: pv/mmu-teardown.c core/page.c core/page-list.c core/tlb.c lib/lock.c */
/* links: tests/host/mmu-fixture.c */
/* Walks of tables that are right, wrong, hostile or gone. */
#include "mmu-fixture.h"

#define VA PAGE_SIZE /* t.data, read-write */

static struct fx_tree t;

static void start(void) {
    fx_reset();
    t = fx_live_tree();
}

static uint64_t walk(uint64_t va) {
    return mmu_walk(page_to_mfn(t.l4), va);
}

TEST(the_entry_comes_with_the_rights_of_all_levels) {
    start();
    EXPECT_EQ(walk(VA), fx_pte(t.data, FX_RW));
    EXPECT_EQ(walk(VA + 4095), fx_pte(t.data, FX_RW));
    EXPECT_EQ(walk(0) & PTE_RW, 0);
    fx_table(t.l2)[0] &= ~PTE_RW;
    EXPECT_EQ(walk(VA), fx_pte(t.data, FX_RW & ~PTE_RW));
    fx_table(t.l3)[0] |= PTE_NX;
    EXPECT(walk(VA) & PTE_NX);
    fx_table(t.l4)[0] &= ~PTE_US;
    EXPECT_EQ(walk(VA) & PTE_US, 0);
}

TEST(what_is_not_mapped_is_0) {
    start();
    EXPECT_EQ(walk(2 * PAGE_SIZE), 0);
    EXPECT_EQ(walk(MIB(2)), 0);
    EXPECT_EQ(walk(GIB(1)), 0);
    EXPECT_EQ(walk(GIB(512)), 0);
    EXPECT_EQ(walk(UINT64_C(0xffff800000000000)), 0); /* ours */
    EXPECT_EQ(walk(UINT64_C(0xffff87ffffffffff)), 0);
    EXPECT_EQ(walk(UINT64_C(0x0000800000000000)), 0); /* not canonical */
    EXPECT_EQ(walk(BIT(63) | VA), 0);
    EXPECT_EQ(mmu_walk(MFN_INVALID, VA), 0);
}

TEST(a_frame_that_is_no_ram_ends_the_walk_at_any_level) {
    struct page *tables[4];

    for (unsigned int level = 2; level <= 4; level++) {
        start();
        tables[1] = t.l2, tables[2] = t.l3, tables[3] = t.l4;
        fx_table(tables[level - 1])[0] = FX_IO.n << PAGE_SHIFT | FX_RW;
        EXPECT_EQ(walk(VA), 0);
    }
}

TEST(access_is_as_the_tables_say) {
    start();
    EXPECT(mmu_access_ok(fx_v, VA, true, false, false));
    EXPECT(mmu_access_ok(fx_v, VA, false, false, true));
    EXPECT(mmu_access_ok(fx_v, 0, false, false, false));
    EXPECT(!mmu_access_ok(fx_v, 0, true, false, false));
    EXPECT(!mmu_access_ok(fx_v, 2 * PAGE_SIZE, false, false, false));
    fx_table(t.l1)[1] |= PTE_NX;
    EXPECT(!mmu_access_ok(fx_v, VA, false, false, true));
    EXPECT(!mmu_access_ok(fx_v, VA, false, true, false)); /* no user table */
}

TEST(a_slot_comes_with_a_reference_and_a_count) {
    struct page *pg;
    uint64_t refs, type;

    start();
    refs = t.l1->refs, type = t.l1->type;
    EXPECT(mmu_get_l1_slot(fx_v, VA + 77, &pg) == &fx_table(t.l1)[1]);
    EXPECT(pg == t.l1);
    EXPECT_EQ(t.l1->refs, refs + 1);
    EXPECT_EQ(t.l1->type, type + 1);
    mmu_put_l1_slot(pg);
    EXPECT_CONSISTENT();
    EXPECT(mmu_get_l1_slot(fx_v, 9 * PAGE_SIZE, &pg) == &fx_table(t.l1)[9]); /* maps nothing */
    mmu_put_l1_slot(pg);
    EXPECT_CONSISTENT();
}

TEST(only_a_table_of_the_domain_has_slots) {
    struct page *pg, *foreign;

    start();
    EXPECT(!mmu_get_l1_slot(fx_v, MIB(2), &pg));
    EXPECT(!mmu_get_l1_slot(fx_v, UINT64_C(0xffff800000000000), &pg));
    /* Tables that another vcpu is just changing may lead anywhere. */
    fx_table(t.l2)[5] = fx_pte(t.data, FX_RW);
    EXPECT(!mmu_get_l1_slot(fx_v, 5 * MIB(2), &pg));
    foreign = fx_alloc(fx_other);
    EXPECT_EQ(mmu_pin(fx_other, page_to_mfn(foreign), PAGE_L1), 0);
    fx_table(t.l2)[6] = fx_pte(foreign, FX_RW);
    EXPECT(!mmu_get_l1_slot(fx_v, 6 * MIB(2), &pg));
    fx_table(t.l2)[5] = fx_table(t.l2)[6] = 0;
    EXPECT_CONSISTENT();
}
