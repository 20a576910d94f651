/* links: core/tlb.c arch/fake/fake.c */
#include "core/tlb.h"

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "test.h"

static cpumask_t mask(uint64_t bits) {
    return (cpumask_t){{bits}};
}

static void start(uint32_t epoch) {
    fake_machine_init(16);
    for (unsigned int id = 3; id < 4; id--)
        fake_cpu_enter(id);
    tlb_epoch = epoch;
    for (unsigned int id = 0; id < 4; id++)
        cpus[id]->flush_epoch = epoch;
}

TEST(who_has_not_flushed_since_the_stamp_flushes) {
    cpumask_t all = mask(0xf);
    uint32_t stamp;

    start(100);
    stamp = tlb_stamp_now();
    tlb_flush_stale(&all, stamp);
    for (unsigned int id = 0; id < 4; id++)
        EXPECT_EQ(cpus[id]->arch.flushes, 1);
    EXPECT_EQ(tlb_epoch, 101);
    tlb_flush_stale(&all, stamp); /* all have, now */
    EXPECT_EQ(cpus[1]->arch.flushes, 1);
    EXPECT_EQ(tlb_epoch, 101);
}

TEST(only_cpus_that_may_hold_it_flush) {
    cpumask_t some = mask(0x6), none = mask(0);

    start(100);
    tlb_flush_stale(&some, tlb_stamp_now());
    EXPECT_EQ(cpus[0]->arch.flushes + cpus[3]->arch.flushes, 0);
    EXPECT_EQ(cpus[1]->arch.flushes + cpus[2]->arch.flushes, 2);
    tlb_flush_stale(&none, tlb_stamp_now());
    EXPECT_EQ(tlb_epoch, 101);
}

TEST(a_flush_in_the_epoch_of_the_stamp_is_not_enough) {
    cpumask_t one = mask(1);
    uint32_t stamp;

    start(100);
    arch_tlb_flush_local();
    stamp = tlb_stamp_now();
    tlb_flush_stale(&one, stamp);
    EXPECT_EQ(cpus[0]->arch.flushes, 2);
}

TEST(an_epoch_moved_on_by_another_serves_all) {
    cpumask_t one = mask(1), two = mask(2);
    uint32_t stamp;

    start(100);
    stamp = tlb_stamp_now();
    tlb_flush_stale(&one, stamp);
    tlb_flush_stale(&two, stamp);
    EXPECT_EQ(tlb_epoch, 101);
    EXPECT_EQ(cpus[1]->arch.flushes, 1);
}

TEST(epochs_may_wrap) {
    cpumask_t all = mask(0xf);
    uint32_t stamp;

    start(UINT32_MAX);
    stamp = tlb_stamp_now();
    tlb_flush_stale(&all, stamp);
    EXPECT_EQ(tlb_epoch, 0);
    EXPECT_EQ(cpus[2]->arch.flushes, 1);
    tlb_flush_stale(&all, stamp);
    EXPECT_EQ(cpus[2]->arch.flushes, 1);
    tlb_flush_stale(&all, tlb_stamp_now());
    EXPECT_EQ(cpus[2]->arch.flushes, 2);
}

TEST(no_cpu_falls_half_a_round_behind) {
    cpumask_t one = mask(1);

    start((UINT32_C(1) << 30) - 1);
    tlb_flush_stale(&one, tlb_stamp_now());
    for (unsigned int id = 0; id < 4; id++)
        EXPECT_EQ(cpus[id]->arch.flushes, 1);
}

TEST(a_stamp_older_than_half_a_round_only_costs_a_flush) {
    cpumask_t one = mask(1);

    start(UINT32_C(0x90000000));
    tlb_flush_stale(&one, 5);
    EXPECT_EQ(cpus[0]->arch.flushes, 1);
    EXPECT_EQ(tlb_epoch, UINT32_C(0x90000000));
}
