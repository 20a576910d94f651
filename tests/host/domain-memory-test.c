/* links: core/domain-memory.c core/page.c core/heap.c core/page-list.c core/tlb.c */
/* links: lib/lock.c arch/fake/fake.c */
#include <string.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "test.h"

#define FRAMES 2048

static struct domain *d, *other;
static uint64_t free_at_start;
static unsigned int slice; /* entries page_invalidate() does before it gives way; 0: all */

int page_validate(struct page *pg, enum page_type type, unsigned int *progress) {
    (void)pg, (void)type;
    *progress = 512;
    return 0;
}
int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                    bool preemptible) {
    (void)pg, (void)type;
    *progress -= slice && preemptible ? MIN(slice, *progress) : *progress;
    return *progress ? -ERESTART : 0;
}

struct domain *domain_get(struct domain *of) {
    of->refs++;
    return of;
}
void domain_put(struct domain *of) {
    of->refs--;
}

static struct domain *make_domain(void) {
    struct domain *made = heap_alloc_virt(0);

    REQUIRE(made);
    lock_init(&made->page_lock, RANK_PAGE_LIST);
    page_list_init(&made->pages);
    made->refs = 1;
    made->max_pages = 100;
    return made;
}

static void start(void) {
    fake_machine_init(FRAMES);
    slice = 0;
    d = make_domain();
    other = make_domain();
    free_at_start = heap_free_frames();
}

static void finish(void) {
    while (domain_release_pages(d))
        this_cpu()->work = 0;
    EXPECT_EQ(d->nr_pages + d->nr_xen_pages, 0);
    EXPECT_EQ(d->refs, 1);
    EXPECT_EQ(other->refs, 1);
    EXPECT(page_list_empty(&d->pages));
    EXPECT_EQ(heap_free_frames(), free_at_start);
    for (uint64_t i = 0; i < FRAMES; i++)
        EXPECT(m2p_table[i] == M2P_INVALID);
    heap_free_virt(d, 0);
    heap_free_virt(other, 0);
}

TEST(pages_are_owned_referenced_counted_and_listed) {
    struct page *pg;

    start();
    REQUIRE((pg = domain_populate(d, 1000, 3, 0, 0)));
    EXPECT_EQ(d->nr_pages, 8);
    EXPECT_EQ(d->refs, 2);
    for (unsigned int i = 0; i < 8; i++) {
        EXPECT_EQ(page_owner(pg + i), d);
        EXPECT_EQ(pg[i].refs, PG_ALLOCATED | 1);
        EXPECT_EQ(m2p_table[page_to_mfn(pg).n + i], 1000 + i);
    }
    EXPECT_EQ(page_list_first(&d->pages), pg);
    REQUIRE((pg = domain_alloc_pages(d, 0, 0, 0)));
    EXPECT_EQ(m2p_table[page_to_mfn(pg).n], M2P_INVALID);
    EXPECT_EQ(d->refs, 2);
    finish();
}

TEST(the_limit_and_death_are_kept) {
    struct page *pg;

    start();
    EXPECT(!domain_alloc_pages(d, 7, 0, 0));
    REQUIRE(domain_alloc_pages(d, 6, 0, 0) && domain_alloc_pages(d, 5, 0, 0));
    EXPECT(!domain_alloc_pages(d, 3, 0, 0));
    EXPECT(domain_alloc_pages(d, 2, 0, 0));
    EXPECT(!domain_alloc_pages(d, 0, 0, 0));
    EXPECT_EQ(heap_free_frames(), free_at_start - 100);
    d->max_pages = 200;
    d->life = DOMAIN_DYING;
    EXPECT(!domain_alloc_pages(d, 0, 0, 0));
    REQUIRE((pg = heap_alloc(0, 0, 0)));
    EXPECT(!domain_adopt_pages(d, pg, 0, 5));
    EXPECT_EQ(m2p_table[page_to_mfn(pg).n], M2P_INVALID);
    heap_free(pg, 0);
    finish();
}

TEST(no_memory_is_null) {
    start();
    d->max_pages = UINT64_MAX >> 1;
    EXPECT(!domain_alloc_pages(d, 11, 0, 0));
    EXPECT(!domain_alloc_pages(d, 0, 12, 0));
    EXPECT_EQ(d->nr_pages, 0);
    finish();
}

TEST(a_released_page_lives_until_the_last_reference) {
    struct page *pg;

    start();
    REQUIRE((pg = domain_populate(d, 7, 0, 0, 0)));
    EXPECT(page_get(pg, d));
    page_release_allocation(pg);
    page_release_allocation(pg); /* once only */
    EXPECT_EQ(pg->refs, 1);
    EXPECT_EQ(d->nr_pages, 1);
    EXPECT_EQ(m2p_table[page_to_mfn(pg).n], 7);
    page_put(pg);
    EXPECT_EQ(d->nr_pages, 0);
    EXPECT_EQ(page_owner(pg), NULL);
    finish();
}

TEST(a_shared_page_keeps_its_type_and_its_domain) {
    struct page *pg;
    void *va;

    start();
    REQUIRE((va = heap_alloc_virt(0)));
    pg = virt_to_page(va);
    domain_share_page(d, va, true);
    EXPECT_EQ(d->nr_pages, 0);
    EXPECT_EQ(d->refs, 2);
    EXPECT_EQ(page_get_and_type(pg, d, PAGE_L1), -EBUSY);
    EXPECT_EQ(page_get_and_type(pg, d, PAGE_WRITABLE), 0);
    EXPECT_EQ(page_get_and_type(pg, other, PAGE_WRITABLE), -EINVAL);
    EXPECT(!page_seize(pg));
    domain_unshare_page(va);
    EXPECT_EQ(d->refs, 2); /* still mapped */
    page_put_and_type(pg);
    EXPECT_EQ(d->refs, 1);
    EXPECT_EQ(page_owner(pg), NULL);
    heap_free_virt(va, 0);
    finish();
}

TEST(a_page_shared_read_only_is_never_writable) {
    void *va;

    start();
    REQUIRE((va = heap_alloc_virt(0)));
    domain_share_page(d, va, false);
    EXPECT_EQ(page_get_and_type(virt_to_page(va), d, PAGE_WRITABLE), -EBUSY);
    EXPECT(page_get(virt_to_page(va), d));
    page_put(virt_to_page(va));
    domain_unshare_page(va);
    heap_free_virt(va, 0);
    finish();
}

TEST(only_a_frame_nobody_else_uses_can_be_seized) {
    struct page *pg;

    start();
    REQUIRE((pg = domain_alloc_pages(d, 0, 0, 0)));
    EXPECT(page_get(pg, d));
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    page_get_again(pg); /* a mapping */
    EXPECT(!page_seize(pg));
    page_put_and_type(pg);
    EXPECT(page_seize(pg));
    EXPECT(!page_get(pg, d));
    page_unseize(pg);
    EXPECT(page_get(pg, d));
    page_put(pg);
    EXPECT(page_seize(pg));
    page_free(pg);
    finish();
}

TEST(a_frame_seized_while_its_domain_is_released_is_not_lost) {
    struct page *pg;

    start();
    REQUIRE((pg = domain_alloc_pages(d, 0, 0, 0)));
    EXPECT(page_get(pg, d));
    EXPECT(page_seize(pg));
    d->life = DOMAIN_DYING;
    EXPECT_EQ(domain_release_pages(d), 0);
    EXPECT_EQ(d->nr_pages, 1);
    page_unseize(pg);
    page_put(pg);
    EXPECT_EQ(d->nr_pages, 0);
    finish();
}

TEST(what_others_still_use_is_not_freed) {
    struct page *pg, *table;

    start();
    REQUIRE((pg = domain_alloc_pages(d, 2, 0, 0)) && (table = domain_alloc_pages(d, 0, 0, 0)));
    EXPECT(page_get(pg + 1, d));
    EXPECT_EQ(page_get_and_type(table, d, PAGE_L2), 0);
    slice = 200;
    EXPECT_EQ(page_put_and_type_preemptible(table), -ERESTART);
    EXPECT_EQ(domain_release_pages(d), -ERESTART); /* the table is half undone */
    EXPECT_EQ(domain_release_pages(d), 0);
    EXPECT_EQ(d->nr_pages, 1);
    EXPECT_EQ(d->refs, 2);
    EXPECT_EQ(domain_release_pages(d), 0);
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(domain_release_pages(d), -ERESTART); /* passing over is work, too */
    EXPECT_EQ(domain_release_pages(d), 0);
    this_cpu()->work = 0;
    page_put(pg + 1);
    finish();
}

TEST(releasing_gives_way) {
    start();
    REQUIRE(domain_alloc_pages(d, 6, 0, 0));
    this_cpu()->work = WORK_SCHED;
    for (int i = 0; i < 64; i++)
        EXPECT_EQ(domain_release_pages(d), -ERESTART);
    EXPECT_EQ(domain_release_pages(d), 0);
    EXPECT_EQ(d->nr_pages, 0);
    finish();
}
