/* links: lib/lock.c arch/fake/fake.c */
/* flags: -pthread */
#include "lib/lock.h"

#include <pthread.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/page.h"
#include "test.h"

void page_free(struct page *pg) {
    (void)pg;
}

static struct lock domain_lock = LOCK_INIT(RANK_DOMAIN), heap_lock = LOCK_INIT(RANK_HEAP);

TEST(ranks_go_up_and_come_back) {
    fake_machine_init(16);
    lock_acquire(&domain_lock);
    EXPECT_EQ(this_cpu()->lock_rank, RANK_DOMAIN);
    lock_acquire(&heap_lock);
    EXPECT_EQ(this_cpu()->lock_rank, RANK_HEAP);
    EXPECT(lock_held(&heap_lock));
    lock_release(&heap_lock);
    EXPECT_EQ(this_cpu()->lock_rank, RANK_DOMAIN);
    lock_release(&domain_lock);
    EXPECT_EQ(this_cpu()->lock_rank, RANK_NONE);
    EXPECT(!lock_held(&domain_lock));
}

TEST(a_lower_rank_under_a_higher_is_a_bug) {
    struct lock outer = LOCK_INIT(RANK_HEAP), inner = LOCK_INIT(RANK_DOMAIN);

    fake_machine_init(16);
    lock_acquire(&outer);
    EXPECT_BUG(lock_acquire(&inner));
}

TEST(the_same_rank_twice_is_a_bug_but_in_pairs) {
    struct lock l[2] = {LOCK_INIT(RANK_HEAP), LOCK_INIT(RANK_HEAP)};

    fake_machine_init(16);
    lock_pair(&l[1], &l[0]);
    EXPECT(lock_held(&l[0]) && lock_held(&l[1]));
    unlock_pair(&l[1], &l[0]);
    EXPECT(!lock_held(&l[0]) && !lock_held(&l[1]));
    EXPECT_EQ(this_cpu()->lock_rank, RANK_NONE);
    lock_pair(&l[0], &l[0]);
    unlock_pair(&l[0], &l[0]);
    EXPECT(!lock_held(&l[0]));
    lock_acquire(&l[0]);
    EXPECT_BUG(lock_acquire(&l[1]));
}

TEST(try_takes_a_free_lock_only) {
    struct lock l;

    fake_machine_init(16);
    lock_init(&l, RANK_TIMER);
    EXPECT(lock_try_acquire(&l));
    this_cpu()->lock_rank = RANK_NONE;
    EXPECT(!lock_try_acquire(&l));
    lock_release(&l);
    EXPECT(lock_try_acquire(&l));
    lock_release(&l);
}

TEST(the_irq_forms_nest) {
    struct lock l = LOCK_INIT(RANK_EVTCHN), m = LOCK_INIT(RANK_TIMER);
    uint64_t outer, inner;

    fake_machine_init(16);
    outer = lock_acquire_irq(&l);
    EXPECT(!irq_enabled());
    inner = lock_acquire_irq(&m);
    lock_release_irq(&m, inner);
    EXPECT(!irq_enabled());
    lock_release_irq(&l, outer);
    EXPECT(irq_enabled());
}

TEST(tickets_wrap) {
    struct lock l = {.next = UINT16_MAX, .serving = UINT16_MAX, .rank = RANK_HEAP};

    fake_machine_init(16);
    for (int i = 0; i < 3; i++) {
        lock_acquire(&l);
        lock_release(&l);
    }
    EXPECT_EQ(l.serving, 2);
}

#define ROUNDS 3000
static struct lock shared = LOCK_INIT(RANK_HEAP);
static unsigned long counter;

static void *count(void *arg) {
    fake_cpu_enter((unsigned int)(uintptr_t)arg);
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&shared);
        WRITE_ONCE(counter, READ_ONCE(counter) + 1);
        lock_release(&shared);
    }
    return NULL;
}

TEST(one_cpu_at_a_time) {
    pthread_t t[3];

    fake_machine_init(16);
    for (uintptr_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_create(&t[i], NULL, count, (void *)(i + 1));
    for (unsigned int i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    EXPECT_EQ(counter, ROUNDS * ARRAY_LEN(t));
}
