/* links: core/slab.c core/heap.c core/page-list.c core/tlb.c lib/lock.c */
/* links: arch/fake/fake.c arch/fake/alloc-fail.c */
/* flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array */
#include <stdlib.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "core/heap.h"
#include "test.h"

#define FRAMES 2048

void page_free(struct page *pg) {
    (void)pg;
}

static bool is_zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

TEST(every_size_is_zeroed_aligned_and_given_back) {
    fake_machine_init(FRAMES);
    for (size_t n = 0; n <= 65536; n += n < 300 ? 1 : 509) {
        uint64_t free_before = heap_free_frames();
        uint8_t *p = mem_alloc(n);

        REQUIRE(p);
        EXPECT(is_zero(p, n));
        EXPECT_EQ((uintptr_t)p % (n >= 64 ? 64 : 16), 0);
        memset(p, 0xee, n);
        mem_free(p);
        EXPECT_EQ(heap_free_frames(), free_before);
    }
}

TEST(too_large_or_too_many_is_null) {
    fake_machine_init(FRAMES);
    EXPECT(!mem_alloc(65537));
    EXPECT(!mem_alloc(SIZE_MAX));
    EXPECT(!mem_alloc_array(SIZE_MAX / 2, 3));
    EXPECT(!mem_alloc_array(UINT64_C(1) << 32, UINT64_C(1) << 32));
    mem_free(NULL);
}

TEST(objects_share_pages) {
    void *p[256];
    uint64_t free_before;

    fake_machine_init(FRAMES);
    free_before = heap_free_frames();
    for (int i = 0; i < 256; i++)
        REQUIRE((p[i] = mem_alloc(16)));
    EXPECT_EQ(heap_free_frames(), free_before - 1);
    for (int i = 0; i < 256; i++)
        mem_free(p[i]);
    EXPECT_EQ(heap_free_frames(), free_before);
}

TEST(no_memory_is_null) {
    void *p;

    fake_machine_init(FRAMES);
    fake_alloc.fail_at = 1;
    EXPECT(!mem_alloc(5000));
    p = mem_alloc(5000);
    EXPECT(p);
    mem_free(p);
}

/* Last: the lock stays taken. */
TEST(a_wrong_free_is_a_bug) {
    uint8_t *p;

    fake_machine_init(FRAMES);
    REQUIRE((p = mem_alloc(100)));
    EXPECT_BUG(mem_free(p + 16));
}
