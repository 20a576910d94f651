/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c core/page.c core/page-list.c core/tlb.c lib/lock.c tests/host/mmu-fixture.c */
/* What tables may hold: every rule, every error with its references, every point of preemption. */
#include <string.h>

#include "mmu-fixture.h"

static int pin(struct page *pg, enum page_type t) {
    return mmu_pin(fx_d, page_to_mfn(pg), t);
}

static int unpin(struct page *pg) {
    int rc = mmu_unpin(fx_d, page_to_mfn(pg));

    while (mmu_unwind_finish(fx_v))
        ;
    return rc;
}

/* Validation of a table of type t with one entry at index i, and what became of the entry. */
static int try_entry(enum page_type t, unsigned int i, uint64_t *e) {
    struct page *pg = fx_alloc(fx_d);
    int rc;

    fx_table(pg)[i] = *e;
    rc = pin(pg, t);
    EXPECT_CONSISTENT();
    *e = fx_table(pg)[i];
    if (rc == 0) {
        EXPECT_EQ(unpin(pg), 0);
        EXPECT_CONSISTENT();
    }
    EXPECT(fx_all_free());
    return rc;
}

static int try_l1(uint64_t e) {
    return try_entry(PAGE_L1, 77, &e);
}

TEST(an_empty_table_of_every_level_is_fine) {
    for (enum page_type t = PAGE_L1; t <= PAGE_L4; t++) {
        uint64_t e = 0;

        fx_reset();
        EXPECT_EQ(try_entry(t, 0, &e), 0);
    }
}

TEST(entries_that_are_not_present_may_hold_anything) {
    for (enum page_type t = PAGE_L1; t <= PAGE_L4; t++) {
        uint64_t e = ~UINT64_C(1);

        fx_reset();
        EXPECT_EQ(try_entry(t, 511, &e), 0);
        EXPECT_EQ(e, ~UINT64_C(1));
    }
}

TEST(an_l1_entry_of_kernel_kind_becomes_user_accessible_and_marked) {
    uint64_t e;

    fx_reset();
    e = fx_pte(fx_alloc(fx_d), PTE_P | PTE_RW);
    EXPECT_EQ(try_entry(PAGE_L1, 0, &e), 0);
    EXPECT_EQ(e & ~PTE_MFN_MASK, PTE_P | PTE_RW | PTE_US | PTE_GUEST_KERNEL);
}

TEST(an_l1_entry_of_user_kind_becomes_global) {
    uint64_t e;

    fx_reset();
    e = fx_pte(fx_alloc(fx_d), PTE_P | PTE_US);
    EXPECT_EQ(try_entry(PAGE_L1, 511, &e), 0);
    EXPECT_EQ(e & ~PTE_MFN_MASK, PTE_P | PTE_US | PTE_G);
}

TEST(higher_entries_become_user_accessible_and_those_of_l4_accessed) {
    for (enum page_type t = PAGE_L2; t <= PAGE_L4; t++) {
        uint64_t e;

        fx_reset();
        e = fx_pte(fx_alloc(fx_d), PTE_P | PTE_RW);
        EXPECT_EQ(try_entry(t, 5, &e), 0);
        EXPECT_EQ(e & ~PTE_MFN_MASK, PTE_P | PTE_RW | PTE_US | (t == PAGE_L4 ? PTE_A : 0));
    }
}

TEST(higher_entries_refuse_superpages_cache_bits_and_global) {
    static const uint64_t bits[] = {PTE_PSE, PTE_PWT, PTE_PCD, PTE_G};

    for (enum page_type t = PAGE_L2; t <= PAGE_L4; t++) {
        for (unsigned int i = 0; i < ARRAY_LEN(bits); i++) {
            uint64_t e;

            fx_reset();
            e = fx_pte(fx_alloc(fx_d), FX_RW | bits[i]);
            EXPECT_EQ(try_entry(t, 9, &e), -EINVAL);
        }
    }
}

TEST(cache_bits_in_l1_are_for_the_owner_of_devices) {
    static const uint64_t bits[] = {PTE_PAT, PTE_PWT, PTE_PCD};

    for (unsigned int i = 0; i < ARRAY_LEN(bits); i++) {
        fx_reset();
        EXPECT_EQ(try_l1(fx_pte(fx_alloc(fx_d), FX_RW | bits[i])), -EINVAL);
        fx_d->hardware = true;
        EXPECT_EQ(try_l1(fx_pte(fx_alloc(fx_d), FX_RW | bits[i])), 0);
    }
}

TEST(frames_of_nobody_and_of_others_are_refused) {
    fx_reset();
    EXPECT_EQ(try_l1(fx_pte(fx_alloc(fx_other), FX_RO)), -EINVAL);
    EXPECT_EQ(try_l1(fx_pte(fx_alloc(dom_xen), FX_RO)), -EINVAL);
    EXPECT_EQ(try_l1((FX_FRAMES - 1) << PAGE_SHIFT | FX_RO), -EINVAL);
    EXPECT_EQ(try_l1(virt_to_mfn(fx_d).n << PAGE_SHIFT | FX_RO), -EINVAL);
    for (enum page_type t = PAGE_L2; t <= PAGE_L4; t++) {
        uint64_t e = fx_pte(fx_alloc(fx_other), FX_RW);

        EXPECT_EQ(try_entry(t, 0, &e), -EINVAL);
        e = FX_IO.n << PAGE_SHIFT | FX_RW;
        fx_d->hardware = true;
        EXPECT_EQ(try_entry(t, 0, &e), -EINVAL);
        e = PTE_MFN_MASK | FX_RW;
        EXPECT_EQ(try_entry(t, 0, &e), -EINVAL);
        fx_d->hardware = false;
    }
}

TEST(io_frames_are_for_the_owner_of_devices_and_never_cached) {
    uint64_t e = FX_IO.n << PAGE_SHIFT | FX_RW;

    fx_reset();
    EXPECT_EQ(try_l1(e), -EPERM);
    fx_d->hardware = true;
    EXPECT_EQ(try_entry(PAGE_L1, 3, &e), 0);
    EXPECT_EQ(e & (PTE_PAT | PTE_PCD | PTE_PWT), PTE_PCD | PTE_PWT);
    e = FX_IO.n << PAGE_SHIFT | FX_RW | PTE_PWT | PTE_PAT;
    EXPECT_EQ(try_entry(PAGE_L1, 3, &e), 0);
    EXPECT_EQ(e & (PTE_PAT | PTE_PCD | PTE_PWT), PTE_PCD | PTE_PWT);
    e = FX_IO.n << PAGE_SHIFT | FX_RW | PTE_PAT; /* write-combining */
    EXPECT_EQ(try_entry(PAGE_L1, 3, &e), 0);
    EXPECT_EQ(e & (PTE_PAT | PTE_PCD | PTE_PWT), PTE_PAT);
    EXPECT_EQ(try_l1(PTE_MFN_MASK | FX_RW), -EPERM);
}

TEST(a_table_may_be_mapped_read_only_but_not_writable) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    EXPECT_EQ(pin(t.l4, PAGE_L4), 0); /* its L1 maps itself read-only */
    EXPECT_CONSISTENT();
    fx_table(t.data)[1] = fx_pte(t.l1, FX_RW);
    EXPECT_EQ(pin(t.data, PAGE_L1), -EBUSY); /* data is mapped writable by t.l1 */
    EXPECT_CONSISTENT();

    struct page *l1 = fx_alloc(fx_d);
    fx_table(l1)[1] = fx_pte(t.l2, FX_RO);
    fx_table(l1)[2] = fx_pte(t.l2, FX_RW);
    EXPECT_EQ(pin(l1, PAGE_L1), -EBUSY);
    EXPECT_CONSISTENT();
    fx_table(l1)[2] = fx_pte(l1, FX_RW); /* itself */
    EXPECT_EQ(pin(l1, PAGE_L1), -EBUSY);
    EXPECT_CONSISTENT();
}

TEST(a_table_that_refers_to_itself_or_its_own_level_is_refused) {
    for (enum page_type t = PAGE_L2; t <= PAGE_L4; t++) {
        struct page *a, *b;

        fx_reset();
        a = fx_alloc(fx_d), b = fx_alloc(fx_d);
        fx_table(a)[0] = fx_pte(a, FX_RW);
        EXPECT_EQ(pin(a, t), -EBUSY);
        EXPECT_CONSISTENT();
        EXPECT_EQ(pin(b, t), 0);
        fx_table(a)[0] = fx_pte(b, FX_RW);
        EXPECT_EQ(pin(a, t), -EBUSY);
        EXPECT_CONSISTENT();
    }
}

TEST(an_error_anywhere_in_a_tree_leaves_no_reference_behind) {
    for (unsigned int level = 0; level < 4; level++) {
        for (unsigned int bad = 0; bad < PT_ENTRIES; bad += 73) {
            struct fx_tree t;
            struct page *at[4];
            int rc;

            fx_reset();
            t = fx_tree();
            at[0] = t.l1, at[1] = t.l2, at[2] = t.l3, at[3] = t.l4;
            fx_table(at[level])[bad] = fx_pte(fx_alloc(fx_other), FX_RW);
            rc = pin(t.l4, PAGE_L4);
            EXPECT_EQ(rc, level == 3 && l4_slot_is_ours(bad) ? 0 : -EINVAL);
            EXPECT_CONSISTENT();
            if (rc)
                EXPECT(fx_all_free());
        }
    }
}

TEST(the_hypervisors_slots_of_an_l4_are_written_whatever_was_there) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    for (unsigned int i = 255; i < 273; i++)
        fx_table(t.l4)[i] = fx_pte(l4_slot_is_ours(i) ? fx_alloc(fx_other) : t.l3,
                                   FX_RW | PTE_PSE * l4_slot_is_ours(i));
    EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(PT_COUNT(t.l3->type), 3);
    for (unsigned int i = 256; i < 272; i++)
        EXPECT_EQ(fx_table(t.l4)[i], UINT64_C(0xdead001));
    EXPECT_EQ(unpin(t.l4), 0);
    EXPECT(fx_all_free());
}

TEST(a_shared_table_is_counted_once_for_each_entry) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    for (unsigned int i = 0; i < PT_ENTRIES; i++)
        fx_table(t.l2)[i] = fx_pte(t.l1, FX_RW);
    EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
    EXPECT_EQ(PT_COUNT(t.l1->type), PT_ENTRIES);
    EXPECT_CONSISTENT();
    EXPECT_EQ(unpin(t.l4), 0);
    EXPECT(fx_all_free());
}

/* A tree with several children on each level. */
static struct fx_tree bushy_tree(void) {
    struct fx_tree t = fx_tree();

    for (unsigned int i = 1; i < 4; i++) {
        struct page *l1 = fx_alloc(fx_d), *l2 = fx_alloc(fx_d), *l3 = fx_alloc(fx_d);

        fx_table(t.l2)[i * 100] = fx_pte(l1, FX_RW);
        for (unsigned int j = 0; j < 20; j++)
            fx_table(l1)[j * 25] = fx_pte(t.data, j & 1 ? FX_RW : FX_RO);
        fx_table(t.l3)[i * 99] = fx_pte(l2, FX_RW);
        fx_table(l2)[i] = fx_table(l2)[511] = fx_pte(l1, FX_RW);
        fx_table(t.l4)[i * 128 + 100] = fx_pte(l3, FX_RW);
        fx_table(l3)[0] = fx_table(l3)[i] = fx_pte(l2, FX_RW);
    }
    return t;
}

TEST(a_tree_is_validated_and_taken_apart_in_the_smallest_steps) {
    struct fx_tree t;
    unsigned int steps = 0;
    int rc;

    fx_reset();
    t = bushy_tree();
    fx_work(true);
    do {
        rc = pin(t.l4, PAGE_L4);
        EXPECT_CONSISTENT();
        steps++;
    } while (rc == -ERESTART && steps < 1000);
    EXPECT_EQ(rc, 0);
    EXPECT(steps > 12);
    EXPECT_EQ(mmu_unpin(fx_d, page_to_mfn(t.l4)), 0);
    for (steps = 0; (rc = mmu_unwind_finish(fx_v)) == -ERESTART && steps < 1000; steps++)
        EXPECT_CONSISTENT();
    EXPECT(steps > 8);
    EXPECT(fx_all_free());
    EXPECT_CONSISTENT();
}

TEST(preemption_at_every_point_of_validation_can_be_resumed) {
    for (unsigned int at = 1; at < 200; at++) {
        struct fx_tree t;
        int rc;

        fx_reset();
        t = bushy_tree();
        fx_preempt_in = at;
        rc = pin(t.l4, PAGE_L4);
        EXPECT_CONSISTENT();
        fx_work(false);
        fx_preempt_in = 0;
        if (rc == -ERESTART)
            rc = pin(t.l4, PAGE_L4);
        EXPECT_EQ(rc, 0);
        EXPECT_CONSISTENT();
        EXPECT_EQ(unpin(t.l4), 0);
        EXPECT(fx_all_free());
    }
}

TEST(preemption_at_every_point_of_validation_can_be_undone) {
    for (unsigned int at = 1; at < 200; at++) {
        struct fx_tree t;
        int rc;

        fx_reset();
        t = bushy_tree();
        fx_preempt_in = at;
        rc = pin(t.l4, PAGE_L4);
        fx_work(false);
        if (rc != -ERESTART)
            break;
        EXPECT_EQ(page_get(t.l4, fx_d), true);
        fx_preempt_in = at % 7; /* and is itself interrupted */
        while (page_unwind(t.l4) == -ERESTART)
            fx_work(false);
        fx_work(false);
        page_put(t.l4);
        EXPECT(fx_all_free());
        EXPECT_CONSISTENT();
    }
}

TEST(a_tree_half_taken_apart_can_be_used_again) {
    for (unsigned int at = 1; at < 60; at++) {
        struct fx_tree t;

        fx_reset();
        t = bushy_tree();
        EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
        fx_work(true);
        EXPECT_EQ(mmu_unpin(fx_d, page_to_mfn(t.l4)), 0);
        for (unsigned int i = 0; i < at; i++)
            if (!mmu_unwind_finish(fx_v))
                break;
        EXPECT_CONSISTENT();
        fx_work(false);
        EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
        EXPECT_CONSISTENT();
        EXPECT_EQ(mmu_unwind_finish(fx_v), 0); /* finds nothing partial any more */
        EXPECT_CONSISTENT();
        EXPECT_EQ(unpin(t.l4), 0);
        EXPECT(fx_all_free());
    }
}

TEST(a_partial_table_can_become_an_ordinary_page) {
    struct fx_tree t;
    struct page *l1;
    int rc;

    fx_reset();
    t = bushy_tree();
    fx_work(true);
    EXPECT_EQ(pin(t.l4, PAGE_L4), -ERESTART);
    l1 = fx_alloc(fx_d);
    fx_table(l1)[0] = fx_pte(t.l3, FX_RW);
    fx_table(l1)[1] = fx_pte(t.l4, FX_RW);
    while ((rc = pin(l1, PAGE_L1)) == -ERESTART)
        EXPECT_CONSISTENT();
    EXPECT_EQ(rc, 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(pin(t.l4, PAGE_L4), -EBUSY);
    EXPECT_EQ(unpin(l1), 0);
    EXPECT(fx_all_free());
}

TEST(a_bad_entry_found_after_preemption_is_undone_in_steps) {
    struct fx_tree t;
    unsigned int steps = 0;
    int rc;

    fx_reset();
    t = bushy_tree();
    fx_table(t.l4)[511] = fx_pte(fx_alloc(fx_other), FX_RW);
    fx_work(true);
    while ((rc = pin(t.l4, PAGE_L4)) == -ERESTART)
        EXPECT_CONSISTENT();
    EXPECT_EQ(rc, -EINVAL);
    EXPECT_CONSISTENT();
    while (mmu_unwind_finish(fx_v) == -ERESTART && steps++ < 1000)
        EXPECT_CONSISTENT();
    EXPECT(steps > 3);
    EXPECT(fx_all_free());
}

TEST(pinning_twice_and_unpinning_what_is_not_pinned_is_einval) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    EXPECT_EQ(unpin(t.l4), -EINVAL);
    EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
    EXPECT_EQ(pin(t.l4, PAGE_L4), -EINVAL);
    EXPECT_EQ(pin(t.l4, PAGE_L3), -EBUSY);
    EXPECT_EQ(unpin(t.l3), -EINVAL);
    EXPECT_CONSISTENT();
    EXPECT_EQ(unpin(t.l4), 0);
    EXPECT_EQ(unpin(t.l4), -EINVAL);
    EXPECT_EQ(mmu_pin(fx_d, FX_IO, PAGE_L1), -EINVAL);
    EXPECT_EQ(mmu_unpin(fx_d, FX_IO), -EINVAL);
    EXPECT_EQ(mmu_pin(fx_other, page_to_mfn(t.l1), PAGE_L1), -EINVAL);
    EXPECT_EQ(mmu_unpin(fx_other, page_to_mfn(t.l1)), -EINVAL);
    EXPECT(fx_all_free());
}

TEST(a_dying_domain_keeps_no_new_pin) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    fx_d->life = DOMAIN_DYING;
    EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
    EXPECT(fx_all_free());
}

TEST(descriptor_pages_are_checked_when_they_become_such) {
    struct page *pg, *l1;

    fx_reset();
    pg = fx_alloc(fx_d);
    fx_table(pg)[0] = ~UINT64_C(0);
    EXPECT_EQ(page_get_and_type(pg, fx_d, PAGE_SEGDESC), -EINVAL);
    fx_table(pg)[0] = 0;
    EXPECT_EQ(page_get_and_type(pg, fx_d, PAGE_SEGDESC), 0);
    l1 = fx_alloc(fx_d);
    fx_table(l1)[0] = fx_pte(pg, FX_RW);
    EXPECT_EQ(pin(l1, PAGE_L1), -EBUSY);
    page_put_and_type(pg);
    EXPECT(fx_all_free());
}

TEST(before_a_writable_page_becomes_a_table_its_writers_flush) {
    struct fx_tree t;

    fx_reset();
    t = fx_tree();
    EXPECT_EQ(pin(t.l4, PAGE_L4), 0);
    EXPECT_EQ(unpin(t.l4), 0);
    fx_flushes_all = 0;
    EXPECT_EQ(pin(t.data, PAGE_L1), 0);
    EXPECT_EQ(fx_flushes_all, 1);
    EXPECT_EQ(cpumask_weight(&fx_flushed), FX_CPUS);
    EXPECT_EQ(unpin(t.data), 0);
    EXPECT_EQ(pin(t.data, PAGE_L1), 0); /* as the same type again: nothing to fear */
    EXPECT_EQ(fx_flushes_all, 1);
}
