/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c core/page.c core/page-list.c core/tlb.c lib/lock.c tests/host/mmu-fixture.c */
/* The end of a vcpu and of a domain: nothing stays typed, pinned, partial or referenced. */
#include "mmu-fixture.h"

static unsigned int relinquish(void) {
    unsigned int rounds = 1;

    fx_d->life = DOMAIN_DYING;
    while (mmu_relinquish(fx_d) == -ERESTART && rounds < 100000) {
        EXPECT_CONSISTENT();
        rounds++;
    }
    return rounds;
}

TEST(a_vcpu_gives_its_bases_back) {
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    EXPECT_EQ(mmu_new_user_base(fx_v, page_to_mfn(t.l4)), 0);
    EXPECT_EQ(mmu_drop_bases(fx_v), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(PT_COUNT(t.l4->type), 1); /* the pin */
    EXPECT_EQ(mmu_drop_bases(fx_v), 0);
    EXPECT_EQ(relinquish(), 1);
    EXPECT(fx_all_free());
}

TEST(bases_that_were_the_last_use_are_taken_apart_in_steps) {
    struct fx_tree t, u;
    unsigned int rounds = 0;

    fx_reset();
    t = fx_tree(), u = fx_tree();
    EXPECT_EQ(mmu_new_kernel_base(fx_v, page_to_mfn(t.l4)), 0);
    EXPECT_EQ(mmu_new_user_base(fx_v, page_to_mfn(u.l4)), 0);
    fx_work(true);
    while (mmu_drop_bases(fx_v) == -ERESTART && rounds++ < 1000)
        EXPECT_CONSISTENT();
    EXPECT(fx_all_free());
    EXPECT_CONSISTENT();
}

TEST(every_pin_of_a_dying_domain_is_taken_away) {
    fx_reset();
    for (unsigned int i = 0; i < 30; i++) {
        struct fx_tree t = fx_tree();

        if (i % 3)
            EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(t.l4), PAGE_L4), 0);
        if (i % 2)
            EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(t.l1), PAGE_L1), 0);
    }
    EXPECT_EQ(relinquish(), 1);
    EXPECT(fx_all_free());
    EXPECT_CONSISTENT();
}

TEST(teardown_in_the_smallest_steps_comes_to_an_end) {
    struct fx_tree t;

    fx_reset();
    for (unsigned int i = 0; i < 30; i++) {
        t = fx_tree();
        EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(t.l4), PAGE_L4), 0);
    }
    fx_work(true);
    EXPECT(relinquish() > 90);
    EXPECT(fx_all_free());
}

TEST(tables_left_partial_are_found) {
    struct fx_tree t, u;

    fx_reset();
    t = fx_tree(), u = fx_tree();
    EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(u.l4), PAGE_L4), 0);
    fx_work(true);
    EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(t.l4), PAGE_L4), -ERESTART);
    EXPECT_EQ(mmu_unpin(fx_d, page_to_mfn(u.l4)), 0);
    fx_work(false);
    EXPECT_EQ(mmu_drop_bases(fx_v), 0); /* and what was parked on the vcpu */
    relinquish();
    EXPECT(fx_all_free());
    EXPECT_CONSISTENT();
}

TEST(a_list_that_changes_between_steps_is_begun_again) {
    struct fx_tree t;

    fx_reset();
    for (unsigned int i = 0; i < 10; i++) {
        t = fx_tree();
        EXPECT_EQ(mmu_pin(fx_d, page_to_mfn(t.l4), PAGE_L4), 0);
    }
    fx_d->life = DOMAIN_DYING;
    fx_work(true);
    for (unsigned int i = 0; i < 20; i++)
        EXPECT_EQ(mmu_relinquish(fx_d), -ERESTART);
    page_list_del(&fx_d->pages, mfn_to_page(mfn_of(fx_d->relinquish_at)));
    page_set_owner(mfn_to_page(mfn_of(fx_d->relinquish_at)), fx_other);
    fx_work(false);
    EXPECT_EQ(mmu_relinquish(fx_d), 0);
    EXPECT_CONSISTENT();
}

TEST(a_domain_without_pages_has_nothing_to_give) {
    fx_reset();
    EXPECT_EQ(relinquish(), 1);
}
