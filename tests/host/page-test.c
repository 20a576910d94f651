/* links: core/page.c core/tlb.c arch/fake/fake.c */
/* flags: -pthread */
#include "core/page.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/tlb.h"
#include "test.h"

#define FRAMES      128
#define OWNER_FRAME 1

static struct domain *owner;
static struct page *pg; /* the frame under test: two references, one of them ours */
static unsigned int nr_freed;

/* What pv's page_validate() finds, and how far it gets before the cpu has to give way. */
static struct {
    unsigned int calls, undone, bad_at, validated_to;
    unsigned int slice; /* entries a call; 0: all */
    unsigned int flushes_seen;
    enum page_type type;
} table;

void page_free(struct page *p) {
    (void)p;
    nr_freed++;
}

static unsigned int cpu0_flushes(void) {
    return cpus[0]->arch.flushes;
}

int page_validate(struct page *p, enum page_type type, unsigned int *progress) {
    uint64_t word = READ_ONCE(p->type);
    unsigned int stop = table.slice ? MIN(*progress + table.slice, 512u) : 512;

    EXPECT(word & PT_BUSY);
    EXPECT(!(word & (PT_VALID | PT_PARTIAL)));
    EXPECT_EQ(PT_TYPE(word), type);
    EXPECT_EQ(PT_COUNT(word), 1);
    EXPECT_EQ(*progress, table.validated_to);
    table.calls++;
    table.type = type;
    table.flushes_seen = cpu0_flushes();
    for (; *progress < stop; ++*progress, table.validated_to++)
        if (table.bad_at && *progress == table.bad_at)
            return -EINVAL;
    return *progress < 512 ? -ERESTART : 0;
}

int page_invalidate(struct page *p, enum page_type type, unsigned int *progress, bool preemptible) {
    unsigned int slice = preemptible && table.slice ? table.slice : 512;

    EXPECT(READ_ONCE(p->type) & PT_BUSY);
    EXPECT_EQ(PT_TYPE(p->type), type);
    EXPECT_EQ(*progress, table.validated_to);
    table.undone++;
    for (; *progress && slice; slice--) {
        --*progress;
        table.validated_to--;
    }
    return *progress ? -ERESTART : 0;
}

static void start(void) {
    fake_machine_init(FRAMES);
    fake_cpu_enter(1);
    fake_cpu_enter(0);
    memset(frame_table, 0, FRAMES * sizeof(*frame_table));
    memset(&table, 0, sizeof(table));
    nr_freed = 0;
    owner = mfn_to_virt(mfn_of(OWNER_FRAME));
    memset(owner, 0, sizeof(*owner));
    cpumask_set(&owner->dirty_cpus, 0);
    pg = mfn_to_page(mfn_of(20));
    page_set_owner(pg, owner);
    pg->refs = PG_ALLOCATED | 2;
    pg->stamp = tlb_epoch - 1;
    arch_tlb_flush_mask(&cpus_online);
    for (unsigned int id = 0; id < 2; id++)
        cpus[id]->arch.flushes = 0;
}

static uint64_t refs(void) {
    return pg->refs & PG_COUNT;
}

/* ---- references ---- */

TEST(only_the_owner_gets_a_reference) {
    start();
    EXPECT(page_get(pg, owner));
    EXPECT_EQ(refs(), 3);
    EXPECT(!page_get(pg, (struct domain *)mfn_to_virt(mfn_of(2))));
    EXPECT(!page_get(pg, NULL));
    EXPECT_EQ(refs(), 3);
    page_put(pg);
    EXPECT_EQ(nr_freed, 0);
}

TEST(nobody_gets_a_free_frame) {
    struct page *free = mfn_to_page(mfn_of(21));

    start();
    EXPECT(!page_get(free, owner));
    EXPECT(!page_get(free, NULL));
    free->refs = PG_FREE | PG_CLEAN;
    EXPECT(!page_get(free, NULL));
}

TEST(the_last_put_frees) {
    start();
    page_put(pg);
    EXPECT_EQ(nr_freed, 0);
    page_put(pg);
    EXPECT_EQ(nr_freed, 1);
    EXPECT_BUG(page_put(pg));
}

TEST(lookup_knows_ram) {
    start();
    fake_set_hole(mfn_of(30), 2);
    EXPECT_EQ(mfn_lookup(mfn_of(29)), frame_table + 29);
    EXPECT(!mfn_lookup(mfn_of(30)) && !mfn_lookup(mfn_of(31)));
    EXPECT(mfn_lookup(mfn_of(32)));
    EXPECT(!mfn_lookup(mfn_of(FRAMES)) && !mfn_lookup(MFN_INVALID));
}

/* ---- types ---- */

TEST(writable_needs_no_check_and_counts) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT(page_type_is(pg, PAGE_WRITABLE));
    EXPECT_EQ(PT_COUNT(pg->type), 2);
    EXPECT_EQ(page_get_type(pg, PAGE_L1), -EBUSY);
    EXPECT_EQ(page_get_type(pg, PAGE_SEGDESC), -EBUSY);
    page_put_type(pg);
    page_put_type(pg);
    EXPECT(!page_type_is(pg, PAGE_WRITABLE));
    EXPECT_EQ(table.calls + table.undone, 0);
    EXPECT_EQ(cpu0_flushes(), 0);
}

TEST(every_checked_type_is_validated_once_and_invalidated_at_the_end) {
    for (enum page_type t = PAGE_L1; t <= PAGE_SEGDESC; t++) {
        start();
        EXPECT_EQ(page_get_type(pg, t), 0);
        EXPECT_EQ(page_get_type(pg, t), 0);
        EXPECT_EQ(table.calls, 1);
        EXPECT_EQ(table.type, t);
        EXPECT(page_type_is(pg, t));
        EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), -EBUSY);
        EXPECT_EQ(page_get_type(pg, t == PAGE_L1 ? PAGE_L2 : PAGE_L1), -EBUSY);
        page_put_type(pg);
        EXPECT_EQ(table.undone, 0);
        page_put_type(pg);
        EXPECT_EQ(table.undone, 1);
        EXPECT_EQ(PT_COUNT(pg->type), 0);
        EXPECT(!(pg->type & (PT_VALID | PT_BUSY | PT_PARTIAL)));
        EXPECT_EQ(refs(), 2);
    }
}

TEST(a_put_too_many_is_a_bug) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    page_put_type(pg);
    EXPECT_BUG(page_put_type(pg));
}

TEST(bad_content_is_refused_and_undone) {
    start();
    table.bad_at = 7;
    EXPECT_EQ(page_get_type(pg, PAGE_L2), -EINVAL);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(table.undone, 1);
    EXPECT_EQ(PT_COUNT(pg->type), 0);
    EXPECT_EQ(refs(), 2);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
}

/* ---- the flush between commitment and reading ---- */

TEST(a_writable_page_is_flushed_before_it_is_read_as_a_table) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    page_put_type(pg);
    EXPECT_EQ(page_get_type(pg, PAGE_L1), 0);
    EXPECT_EQ(table.flushes_seen, 1);
    EXPECT_EQ(cpus[1]->arch.flushes, 0); /* the owner never ran there */
}

TEST(a_table_is_flushed_before_it_is_writable) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_L1), 0);
    page_put_type(pg);
    EXPECT_EQ(cpu0_flushes(), 0);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT_EQ(cpu0_flushes(), 1);
}

TEST(the_same_use_again_needs_no_flush) {
    start();
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(page_get_type(pg, PAGE_L1), 0);
        page_put_type(pg);
    }
    EXPECT_EQ(table.calls, 3);
    EXPECT_EQ(cpu0_flushes(), 0);
}

TEST(a_flush_since_the_last_use_is_enough) {
    uint32_t stamp;

    start();
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    page_put_type(pg);
    stamp = pg->stamp;
    tlb_flush_stale(&owner->dirty_cpus, stamp);
    EXPECT_EQ(cpu0_flushes(), 1);
    EXPECT_EQ(page_get_type(pg, PAGE_L1), 0);
    EXPECT_EQ(cpu0_flushes(), 1);
}

TEST(a_frame_others_could_write_is_flushed_everywhere) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    page_mark_foreign(pg);
    page_mark_foreign(pg);
    EXPECT_EQ(PT_COUNT(pg->type), 1);
    page_put_type(pg);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0); /* the mark stays */
    page_put_type(pg);
    EXPECT_EQ(page_get_type(pg, PAGE_L1), 0);
    EXPECT_EQ(cpus[1]->arch.flushes, 1);
    page_put_type(pg);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT_EQ(cpus[1]->arch.flushes, 1); /* and went with the old type */
}

TEST(the_end_of_the_last_use_is_stamped_and_only_forward) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    tlb_epoch += 3;
    page_put_type(pg);
    tlb_epoch++;
    page_put_type(pg); /* ends after the other, so its stamp serves both */
    EXPECT_EQ(pg->stamp, tlb_epoch);
    tlb_epoch -= 2; /* as a slow cpu might have read it */
    page_stamp(pg);
    EXPECT_EQ(pg->stamp, tlb_epoch + 2);
    tlb_epoch += 2;
}

/*
 * Between the stamp and the exchange another cpu may link the table again and unlink it: here the
 * epoch moves on by as much as if it had, and the slow half is entered as it would be then.
 */
TEST(a_table_is_stamped_when_nobody_can_link_it_any_more) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_L1), 0);
    page_stamp(pg);
    tlb_epoch += 5;
    EXPECT_EQ(page_put_type_slow(pg, true), 0);
    EXPECT_EQ(pg->stamp, tlb_epoch);
}

/* ---- partial states ---- */

TEST(a_preempted_get_goes_on_where_it_stopped) {
    start();
    table.slice = 200;
    EXPECT_EQ(page_get_type(pg, PAGE_L3), -ERESTART);
    EXPECT_EQ(PT_PROGRESS(pg->type), 200);
    EXPECT(pg->type & PT_PARTIAL && !(pg->type & (PT_VALID | PT_BUSY)));
    EXPECT_EQ(refs(), 3); /* the state has its own */
    EXPECT_EQ(page_get_type(pg, PAGE_L3), -ERESTART);
    EXPECT_EQ(refs(), 3);
    EXPECT_EQ(page_get_type(pg, PAGE_L3), 0);
    EXPECT_EQ(refs(), 2);
    EXPECT_EQ(PT_COUNT(pg->type), 1);
    EXPECT(pg->type & PT_VALID);
    EXPECT_EQ(PT_PROGRESS(pg->type), 0);
    page_put_type(pg);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(refs(), 2);
}

TEST(a_preempted_put_leaves_the_rest_to_whoever_comes) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_L4), 0);
    table.slice = 300;
    EXPECT_EQ(page_put_type_preemptible(pg), -ERESTART);
    EXPECT_EQ(refs(), 3);
    EXPECT_EQ(PT_PROGRESS(pg->type), 212);
    EXPECT_EQ(page_unwind(pg), 0);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(refs(), 2);
    EXPECT_EQ(PT_COUNT(pg->type), 0);
    EXPECT_EQ(page_unwind(pg), 0); /* nothing to do */
}

TEST(a_put_that_may_not_be_preempted_is_not) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_L4), 0);
    table.slice = 1;
    page_put_type(pg);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(refs(), 2);
}

TEST(a_half_invalidated_table_can_be_validated_again) {
    start();
    EXPECT_EQ(page_get_type(pg, PAGE_L2), 0);
    table.slice = 300;
    EXPECT_EQ(page_put_type_preemptible(pg), -ERESTART);
    table.slice = 0;
    EXPECT_EQ(page_get_type(pg, PAGE_L2), 0);
    EXPECT_EQ(table.validated_to, 512);
    EXPECT_EQ(PT_COUNT(pg->type), 1); /* ours, not the interrupted one's */
    EXPECT_EQ(refs(), 2);
    page_put_type(pg);
    EXPECT_EQ(PT_COUNT(pg->type), 0);
}

TEST(a_half_validated_table_gives_way_to_another_use) {
    start();
    table.slice = 500;
    EXPECT_EQ(page_get_type(pg, PAGE_L2), -ERESTART);
    table.slice = 300;
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), -ERESTART);
    EXPECT_EQ(PT_TYPE(pg->type), PAGE_L2);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(refs(), 2);
    EXPECT_EQ(PT_COUNT(pg->type), 1);
}

TEST(an_error_after_a_restart_undoes_everything) {
    start();
    table.slice = 100;
    table.bad_at = 150;
    EXPECT_EQ(page_get_type(pg, PAGE_L2), -ERESTART);
    EXPECT_EQ(page_get_type(pg, PAGE_L2), -EINVAL); /* undoing 150 takes two slices */
    EXPECT(pg->type & PT_PARTIAL);
    EXPECT_EQ(PT_PROGRESS(pg->type), 50);
    EXPECT_EQ(refs(), 3);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), 0);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(refs(), 2);
}

TEST(a_busy_page_is_waited_for_unless_work_is_owed) {
    start();
    pg->type = PT_WORD(PAGE_L2) | PT_BUSY | 1;
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(page_get_type(pg, PAGE_L2), -ERESTART);
    EXPECT_EQ(page_get_type(pg, PAGE_WRITABLE), -EBUSY);
    EXPECT_EQ(page_unwind(pg), 0);
    EXPECT_BUG(page_put_type(pg));
}

TEST(reference_and_type_come_together_or_not_at_all) {
    start();
    EXPECT_EQ(page_get_and_type(pg, owner, PAGE_L1), 0);
    EXPECT_EQ(refs(), 3);
    EXPECT_EQ(page_get_and_type(pg, owner, PAGE_WRITABLE), -EBUSY);
    EXPECT_EQ(page_get_and_type(pg, NULL, PAGE_L1), -EINVAL);
    EXPECT_EQ(refs(), 3);
    page_put_and_type(pg);
    EXPECT_EQ(refs(), 2);
    table.slice = 400;
    EXPECT_EQ(page_get_and_type(pg, owner, PAGE_L1), -ERESTART);
    EXPECT_EQ(page_get_and_type(pg, owner, PAGE_L1), 0);
    EXPECT_EQ(refs(), 3);
    EXPECT_EQ(page_put_and_type_preemptible(pg), -ERESTART);
    EXPECT_EQ(refs(), 3); /* the state's instead of ours */
    EXPECT_EQ(page_unwind(pg), 0);
    EXPECT_EQ(refs(), 2);
}

/* ---- many cpus: what a page is used as is never two things ---- */

#define THREADS 4
#define ROUNDS  20000

static struct {
    int as_writable, as_table; /* holders now */
    unsigned int clashes, held;
} race;

static void *use_page(void *arg) {
    unsigned int id = (unsigned int)(uintptr_t)arg, seed = id;

    fake_cpu_enter(id);
    for (int i = 0; i < ROUNDS; i++) {
        enum page_type want = rand_r(&seed) & 1 ? PAGE_WRITABLE : PAGE_L2;
        int *mine = want == PAGE_WRITABLE ? &race.as_writable : &race.as_table;
        int *others = want == PAGE_WRITABLE ? &race.as_table : &race.as_writable;

        if (page_get_and_type(pg, owner, want))
            continue;
        __atomic_fetch_add(mine, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(others, __ATOMIC_SEQ_CST) || !page_type_is(pg, want))
            __atomic_fetch_add(&race.clashes, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&race.held, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(mine, 1, __ATOMIC_SEQ_CST);
        (void)!page_put_and_type_preemptible(pg);
    }
    return NULL;
}

TEST(cpus_never_hold_two_types_at_once) {
    pthread_t t[THREADS];

    start();
    table.slice = 200; /* so that they keep taking over from each other */
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, use_page, (void *)(i + 1));
    for (unsigned int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    EXPECT_EQ(race.clashes, 0);
    EXPECT(race.held > ROUNDS / 10);
    while (page_unwind(pg))
        ;
    EXPECT_EQ(refs(), 2);
    EXPECT_EQ(PT_COUNT(pg->type), 0);
    EXPECT_EQ(table.validated_to, 0);
    EXPECT_EQ(nr_freed, 0);
}
