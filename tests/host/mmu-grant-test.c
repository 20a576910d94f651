/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c pv/mmu-grant.c core/page.c core/page-list.c core/tlb.c lib/lock.c tests/host/mmu-fixture.c */
/*
 * Grant mappings: entries made and removed with references that come from and go to the grant
 * table.
 */
#include <abi/grant_table.h>

#include "core/gnttab.h"
#include "mmu-fixture.h"

/* The grant table's part: references of the mapping, which the entry then has. */
static int map(uint64_t at, struct page *pg, uint32_t flags) {
    int rc;

    if (flags & GNTMAP_readonly)
        REQUIRE(page_get(pg, fx_other));
    else
        REQUIRE(page_get_and_type(pg, fx_other, PAGE_WRITABLE) == 0);
    rc = pv_grant_map(fx_v, at, page_to_mfn(pg), flags | GNTMAP_host_map);
    if (rc != GNTST_okay) {
        if (!(flags & GNTMAP_readonly))
            page_put_type(pg);
        page_put(pg);
    }
    EXPECT_CONSISTENT();
    return rc;
}

static int unmap_to(uint64_t at, struct page *pg, uint32_t flags, uint64_t new_addr) {
    int rc = pv_grant_unmap(fx_v, at, page_to_mfn(pg), flags | GNTMAP_host_map, new_addr);

    if (rc == GNTST_okay) {
        if (!(flags & GNTMAP_readonly))
            page_put_type(pg);
        page_put(pg);
    }
    EXPECT_CONSISTENT();
    return rc;
}

static int unmap(uint64_t at, struct page *pg, uint32_t flags) {
    return unmap_to(at, pg, flags, 0);
}

TEST(a_grant_is_mapped_and_unmapped_by_address) {
    struct fx_tree t;
    struct page *g;

    fx_reset();
    t = fx_live_tree();
    g = fx_alloc(fx_other);
    EXPECT_EQ(map(9 * PAGE_SIZE, g, 0), GNTST_okay);
    EXPECT_EQ(fx_table(t.l1)[9], fx_pte(g, FX_RW | PTE_NX));
    EXPECT(g->type & PT_FOREIGN);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, g, GNTMAP_readonly), GNTST_general_error);
    EXPECT_EQ(unmap(10 * PAGE_SIZE, g, 0), GNTST_general_error);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, t.data, 0), GNTST_general_error);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, g, 0), GNTST_okay);
    EXPECT_EQ(fx_table(t.l1)[9], 0);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, g, 0), GNTST_general_error);
    EXPECT_EQ(g->refs, PG_ALLOCATED | 1);
}

TEST(a_read_only_grant_stays_read_only) {
    struct fx_tree t;
    struct page *g;

    fx_reset();
    t = fx_live_tree();
    g = fx_alloc(fx_other);
    EXPECT_EQ(map(9 * PAGE_SIZE, g, GNTMAP_readonly), GNTST_okay);
    EXPECT_EQ(PT_COUNT(g->type), 0);
    struct mmu_update req = {page_to_mfn(t.l1).n << PAGE_SHIFT | 9 * 8, fx_pte(g, FX_RW)};
    EXPECT_EQ(fx_mmu_update(&req, 1, NULL, DOMID_SELF), -EINVAL);
    EXPECT_EQ(fx_table(t.l1)[9] & PTE_RW, 0);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, g, 0), GNTST_general_error);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, g, GNTMAP_readonly), GNTST_okay);
}

TEST(a_grant_is_mapped_at_an_entry_with_the_bits_asked_for) {
    struct fx_tree t;
    struct page *g;
    uint32_t flags = GNTMAP_contains_pte | GNTMAP_application_map | 5u << _GNTMAP_guest_avail0;
    uint64_t at;

    fx_reset();
    t = fx_live_tree();
    g = fx_alloc(fx_other);
    at = page_to_mfn(t.l1).n << PAGE_SHIFT | 20 * 8;
    EXPECT_EQ(map(at, g, flags), GNTST_okay);
    EXPECT_EQ(fx_table(t.l1)[20],
              fx_pte(g, PTE_P | PTE_RW | PTE_US | PTE_G | PTE_AD | PTE_NX | BIT(9) | BIT(11)));
    EXPECT_EQ(map(at + 4, g, flags), GNTST_general_error);
    EXPECT_EQ(unmap(at + 4, g, flags), GNTST_general_error);
    EXPECT_EQ(map(page_to_mfn(t.l2).n << PAGE_SHIFT, g, flags), GNTST_general_error);
    EXPECT_EQ(map(page_to_mfn(t.data).n << PAGE_SHIFT, g, flags), GNTST_general_error);
    EXPECT_EQ(map(FX_IO.n << PAGE_SHIFT, g, flags), GNTST_general_error);
    EXPECT_EQ(map(page_to_mfn(g).n << PAGE_SHIFT, g, flags), GNTST_general_error);
    EXPECT_EQ(unmap(at, g, flags), GNTST_okay);
}

TEST(addresses_without_an_entry_are_bad) {
    struct page *g;

    fx_reset();
    fx_live_tree();
    g = fx_alloc(fx_other);
    EXPECT_EQ(map(MIB(2), g, 0), GNTST_bad_virt_addr);
    EXPECT_EQ(map(UINT64_C(0xffff830000000000), g, 0), GNTST_bad_virt_addr);
    EXPECT_EQ(unmap(MIB(2), g, 0), GNTST_bad_virt_addr);
}

TEST(what_the_entry_held_before_is_dropped) {
    struct page *g;
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    g = fx_alloc(fx_other);
    EXPECT_EQ(map(PAGE_SIZE, g, 0), GNTST_okay); /* over the mapping of t.data */
    EXPECT_EQ(t.data->refs, PG_ALLOCATED | 1);
    EXPECT_EQ(map(PAGE_SIZE, g, 0), GNTST_okay);
    EXPECT_EQ(unmap(PAGE_SIZE, g, 0), GNTST_okay);
    EXPECT_EQ(g->refs, PG_ALLOCATED | 1);
}

TEST(a_guest_that_overwrites_the_entry_drops_the_mapping_itself) {
    struct fx_tree t;
    struct page *g;

    fx_reset();
    t = fx_live_tree();
    g = fx_alloc(fx_other);
    EXPECT_EQ(map(9 * PAGE_SIZE, g, 0), GNTST_okay);
    struct mmu_update req = {page_to_mfn(t.l1).n << PAGE_SHIFT | 9 * 8, 0};
    EXPECT_EQ(fx_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(g->refs, PG_ALLOCATED | 1);
    EXPECT_EQ(unmap(9 * PAGE_SIZE, g, 0), GNTST_general_error);
}

TEST(unmap_and_replace_moves_the_other_entry) {
    struct fx_tree t;
    struct page *g;

    fx_reset();
    t = fx_live_tree();
    g = fx_alloc(fx_other);
    EXPECT_EQ(map(9 * PAGE_SIZE, g, 0), GNTST_okay);
    EXPECT_EQ(unmap_to(9 * PAGE_SIZE, g, 0, 9 * PAGE_SIZE), GNTST_general_error);
    EXPECT_EQ(unmap_to(9 * PAGE_SIZE, g, 0, MIB(2)), GNTST_general_error);
    EXPECT_EQ(unmap_to(9 * PAGE_SIZE, g, 0, PAGE_SIZE), GNTST_okay);
    EXPECT_EQ(fx_table(t.l1)[9], fx_pte(t.data, FX_RW));
    EXPECT_EQ(fx_table(t.l1)[1], 0);
    EXPECT_EQ(unmap_to(9 * PAGE_SIZE, g, 0, 0), GNTST_general_error);
}
