/* links: core/page-list.c arch/fake/fake.c */
#include "core/page-list.h"

#include "arch/fake/fake.h"
#include "test.h"

#define FRAMES 64

void page_free(struct page *pg) {
    (void)pg;
}

static struct page *frame(unsigned int n) {
    return mfn_to_page(mfn_of(n));
}

static void expect_list(const struct page_list *l, const unsigned int *frames, unsigned int nr) {
    const struct page *pg = page_list_first(l);
    uint32_t prev = PAGE_LIST_END;

    for (unsigned int i = 0; i < nr; i++) {
        REQUIRE(pg);
        EXPECT_EQ(page_to_mfn(pg).n, frames[i]);
        EXPECT_EQ(pg->prev, prev);
        prev = frames[i];
        pg = page_list_next(pg);
    }
    EXPECT(!pg);
    EXPECT_EQ(l->tail, prev);
    EXPECT_EQ(page_list_empty(l), nr == 0);
}
#define EXPECT_LIST(l, ...)                                                                        \
    do {                                                                                           \
        unsigned int f_[] = {__VA_ARGS__};                                                         \
        expect_list(l, f_, ARRAY_LEN(f_));                                                         \
    } while (0)

TEST(a_list_keeps_its_order_at_both_ends) {
    struct page_list l;

    fake_machine_init(FRAMES);
    page_list_init(&l);
    expect_list(&l, NULL, 0);
    page_list_add(&l, frame(5));
    EXPECT_LIST(&l, 5);
    page_list_add(&l, frame(0)); /* frame 0 is as good as any */
    page_list_add_tail(&l, frame(63));
    EXPECT_LIST(&l, 0, 5, 63);
}

TEST(any_member_can_leave) {
    struct page_list l;

    fake_machine_init(FRAMES);
    page_list_init(&l);
    for (unsigned int i = 1; i <= 5; i++)
        page_list_add_tail(&l, frame(i));
    page_list_del(&l, frame(3));
    EXPECT_LIST(&l, 1, 2, 4, 5);
    page_list_del(&l, frame(1));
    EXPECT_LIST(&l, 2, 4, 5);
    page_list_del(&l, frame(5));
    EXPECT_LIST(&l, 2, 4);
    page_list_del(&l, frame(2));
    page_list_del(&l, frame(4));
    expect_list(&l, NULL, 0);
    page_list_add_tail(&l, frame(4));
    EXPECT_LIST(&l, 4);
}
