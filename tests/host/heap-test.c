/* links: core/heap.c core/page-list.c core/tlb.c lib/lock.c arch/fake/fake.c */
#include "core/heap.h"

#include <stdlib.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/tlb.h"
#include "test.h"

#define FRAMES 4096 /* 16 MiB; the largest block is frames 2048-4095 */

void page_free(struct page *pg) {
    (void)pg;
    test_fail(__FILE__, __LINE__, "page_free of a frame that has no owner");
}

static bool all_zero(const struct page *pg, unsigned int order) {
    const uint64_t *w = page_to_virt(pg);

    for (uint64_t i = 0; i < (PAGE_SIZE << order) / sizeof(*w); i++)
        if (w[i])
            return false;
    return true;
}

static void dirty(struct page *pg, unsigned int order) {
    memset(page_to_virt(pg), 0x5a, PAGE_SIZE << order);
}

static void scrub_all(void) {
    while (heap_scrub_some())
        ;
}

TEST(frame_zero_is_never_given_out) {
    fake_machine_init(FRAMES);
    EXPECT_EQ(heap_total_frames(), FRAMES - 1);
    EXPECT_EQ(heap_free_frames(), FRAMES - 1);
}

TEST(blocks_are_aligned_zero_and_blank) {
    fake_machine_init(FRAMES);
    for (unsigned int order = 0; order <= 11; order++) {
        struct page *pg = heap_alloc(order, 0, HEAP_ZERO);

        REQUIRE(pg);
        EXPECT_EQ(page_to_mfn(pg).n % BIT(order), 0);
        EXPECT(all_zero(pg, order));
        for (uint64_t i = 0; i < BIT(order); i++)
            EXPECT(!pg[i].refs && !pg[i].type && !pg[i].owner);
        EXPECT_EQ(heap_free_frames(), FRAMES - 1 - BIT(order));
        dirty(pg, order);
        heap_free(pg, order);
        EXPECT_EQ(heap_free_frames(), FRAMES - 1);
    }
    EXPECT(!heap_alloc(12, 0, 0));
    EXPECT(!heap_alloc(HEAP_MAX_ORDER + 1, 0, 0));
    EXPECT(!heap_alloc(~0u, 0, 0));
}

TEST(high_memory_goes_first_and_width_is_kept) {
    struct page *a, *b;

    fake_machine_init(FRAMES);
    a = heap_alloc(0, 0, 0);
    REQUIRE(a);
    EXPECT(page_to_mfn(a).n >= 2048);
    b = heap_alloc(0, 20, 0); /* below 1 MiB */
    REQUIRE(b);
    EXPECT(page_to_mfn(b).n < 256 && page_to_mfn(b).n >= 128);
    heap_free(a, 0);
    heap_free(b, 0);
    EXPECT(!heap_alloc(8, 20, 0)); /* frames 0-255 are not whole */
    EXPECT(!heap_alloc(0, 12, 0));
    EXPECT(!heap_alloc(0, 1, 0));
    a = heap_alloc(7, 20, 0);
    REQUIRE(a);
    EXPECT_EQ(page_to_mfn(a).n, 128);
    heap_free(a, 7);
}

TEST(free_neighbours_unite) {
    struct page *page[64];

    fake_machine_init(FRAMES);
    for (int i = 0; i < 64; i++)
        REQUIRE((page[i] = heap_alloc(0, 0, 0)));
    for (int i = 0; i < 64; i += 2)
        heap_free(page[i], 0);
    for (int i = 63; i > 0; i -= 2)
        heap_free(page[i], 0);
    page[0] = heap_alloc(11, 0, 0);
    REQUIRE(page[0]);
    heap_free(page[0], 11);
}

TEST(no_scrub_shows_old_content_and_costs_no_clear) {
    struct page *pg;

    fake_machine_init(FRAMES);
    pg = heap_alloc(11, 0, 0);
    REQUIRE(pg);
    dirty(pg, 11);
    heap_free(pg, 11);
    pg = heap_alloc(11, 0, HEAP_NO_SCRUB);
    REQUIRE(pg);
    EXPECT(!all_zero(pg, 11));
    heap_free(pg, 11);
}

TEST(scrubbed_frames_are_known_zero) {
    struct page *pg, *other;

    fake_machine_init(FRAMES);
    scrub_all();
    EXPECT(!heap_scrub_some());
    for (uint64_t i = 1; i < FRAMES; i++)
        EXPECT(mfn_to_page(mfn_of(i))->refs & PG_CLEAN);
    /* Known zero means not cleared again: what is put there behind the heap's back stays. */
    ((uint64_t *)mfn_to_virt(mfn_of(2048)))[5] = 7;
    pg = heap_alloc(11, 0, HEAP_ZERO);
    REQUIRE(pg);
    EXPECT_EQ(((uint64_t *)page_to_virt(pg))[5], 7);
    heap_free(pg, 11);

    /* One dirty frame in a clean block is found again wherever it ends up. */
    scrub_all();
    other = heap_alloc(0, 0, 0);
    REQUIRE(other);
    dirty(other, 0);
    heap_free(other, 0);
    pg = heap_alloc(11, 0, HEAP_ZERO);
    REQUIRE(pg);
    EXPECT(all_zero(pg, 11));
    heap_free(pg, 11);
    scrub_all();
}

TEST(clean_blocks_are_taken_for_zero_and_dirty_ones_for_no_scrub) {
    struct page *a, *b, *keep[2];

    fake_machine_init(FRAMES);
    scrub_all();
    REQUIRE((keep[0] = heap_alloc(0, 0, 0)) && (a = heap_alloc(0, 0, 0)));
    REQUIRE((keep[1] = heap_alloc(0, 0, 0)) && (b = heap_alloc(0, 0, 0)));
    heap_free(a, 0);
    scrub_all();
    heap_free(b, 0); /* two single frames are free: a clean, b dirty */
    EXPECT_EQ(heap_alloc(0, 0, HEAP_NO_SCRUB), b);
    heap_free(b, 0);
    EXPECT_EQ(heap_alloc(0, 0, HEAP_ZERO), a);
    heap_free(a, 0);
    heap_free(keep[0], 0);
    heap_free(keep[1], 0);
}

TEST(a_freed_frame_is_flushed_before_it_is_used_again) {
    struct page *pg;
    unsigned int before;

    fake_machine_init(FRAMES);
    REQUIRE((pg = heap_alloc(0, 0, 0)));
    heap_free(pg, 0);
    before = fake_cpu->arch.flushes;
    REQUIRE((pg = heap_alloc(0, 0, 0)));
    EXPECT_EQ(fake_cpu->arch.flushes, before + 1);
    heap_free(pg, 0);
    arch_tlb_flush_local(); /* in the same epoch: proves nothing */
    REQUIRE((pg = heap_alloc(0, 0, 0)));
    EXPECT_EQ(fake_cpu->arch.flushes, before + 3);
    heap_free(pg, 0);
}

TEST(one_flush_pays_for_all_frames_freed_before) {
    struct page *page[32];
    unsigned int before;

    fake_machine_init(FRAMES);
    for (int i = 0; i < 32; i++)
        REQUIRE((page[i] = heap_alloc(0, 0, 0)));
    for (int i = 0; i < 32; i++)
        heap_free(page[i], 0);
    before = fake_cpu->arch.flushes;
    for (int i = 0; i < 32; i++)
        REQUIRE((page[i] = heap_alloc(0, 0, 0)));
    EXPECT_EQ(fake_cpu->arch.flushes, before + 1);
    for (int i = 0; i < 32; i++)
        heap_free(page[i], 0);
}

TEST(a_frame_still_referenced_cannot_be_freed) {
    struct page *pg;

    fake_machine_init(FRAMES);
    REQUIRE((pg = heap_alloc(0, 0, 0)));
    pg->refs = 1;
    EXPECT_BUG(heap_free(pg, 0));
    pg->refs = 0;
    pg->owner = 1;
    EXPECT_BUG(heap_free(pg, 0));
    pg->owner = 0;
    heap_free(pg, 0);
    EXPECT_BUG(heap_free(mfn_to_page(mfn_of(2048)), 0)); /* twice */
}

TEST(blocks_do_not_unite_across_a_hole) {
    struct page *pg[2];

    fake_machine_init(FRAMES);
    REQUIRE((pg[0] = heap_alloc(10, 0, 0)) && (pg[1] = heap_alloc(10, 0, 0)));
    fake_set_hole(page_to_mfn(pg[1]), 1024);
    heap_free(pg[0], 10);
    fake_set_hole(mfn_of(0), 0);
    EXPECT(!heap_alloc(11, 0, 0));
    heap_free(pg[1], 10);
    REQUIRE((pg[0] = heap_alloc(11, 0, 0)));
    heap_free(pg[0], 11);
}

/* Against a model: no frame given twice, all of them back at the end. */
TEST(random_use_neither_loses_nor_doubles_a_frame) {
    static struct {
        struct page *pg;
        unsigned int order;
    } held[256];
    static uint8_t used[FRAMES];
    uint64_t nr_used = 0;
    unsigned int seed = 1;

    fake_machine_init(FRAMES);
    for (int step = 0; step < 60000; step++) {
        unsigned int i = (unsigned int)rand_r(&seed) % ARRAY_LEN(held);

        if (held[i].pg) {
            memset(&used[page_to_mfn(held[i].pg).n], 0, BIT(held[i].order));
            nr_used -= BIT(held[i].order);
            heap_free(held[i].pg, held[i].order);
            held[i].pg = NULL;
        } else {
            unsigned int bits = rand_r(&seed) % 4 ? 0 : 13 + (unsigned int)rand_r(&seed) % 12;
            unsigned int flags = rand_r(&seed) % 3 ? 0 : HEAP_NO_SCRUB;

            held[i].order = (unsigned int)rand_r(&seed) % 7;
            held[i].pg = heap_alloc(held[i].order, bits, flags);
            if (!held[i].pg)
                continue;
            nr_used += BIT(held[i].order);
            for (uint64_t f = page_to_mfn(held[i].pg).n;
                 f < page_to_mfn(held[i].pg).n + BIT(held[i].order); f++) {
                REQUIRE(f && f < FRAMES && !used[f]++);
                REQUIRE(!bits || f < BIT(bits - PAGE_SHIFT));
                REQUIRE(flags || !((uint64_t *)mfn_to_virt(mfn_of(f)))[17]);
                ((uint64_t *)mfn_to_virt(mfn_of(f)))[17] = 1;
                REQUIRE(!mfn_to_page(mfn_of(f))->refs && !mfn_to_page(mfn_of(f))->type);
            }
        }
        if (rand_r(&seed) % 8 == 0)
            heap_scrub_some();
        REQUIRE(heap_free_frames() == FRAMES - 1 - nr_used);
    }
    for (unsigned int i = 0; i < ARRAY_LEN(held); i++)
        if (held[i].pg)
            heap_free(held[i].pg, held[i].order);
    REQUIRE((held[0].pg = heap_alloc(11, 0, 0)));
    heap_free(held[0].pg, 11);
}
