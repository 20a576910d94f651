/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c */
#include "core-fixture.h"

#include <string.h>

static struct vcpu_time_info area;

TEST(ticks_scale_by_the_formula_of_the_abi) {
    EXPECT_EQ(time_scale(1000, UINT32_C(1) << 31, 1), 1000);
    EXPECT_EQ(time_scale(1000, UINT32_C(1) << 31, 0), 500);
    EXPECT_EQ(time_scale(1000, UINT32_C(1) << 31, -2), 125);
    /* 3 GHz: a year of ticks does not overflow. */
    EXPECT_EQ(time_scale(UINT64_C(94608000) * SECOND_NS, 0xaaaaaaab, -1) / SECOND_NS, 31536000);
}

TEST(a_tsc_behind_the_stamp_is_the_stamp) {
    cf_start();
    uint64_t tsc = fake_clock.tsc;

    fake_clock.scale.tsc_stamp = tsc;
    fake_clock.scale.time_ns = 77 * SECOND_NS;
    fake_clock.tsc = tsc - 5;
    EXPECT_EQ(time_now(), 77 * SECOND_NS);
    fake_clock.tsc = tsc + 5;
    EXPECT_EQ(time_now(), 77 * SECOND_NS + 5);
    fake_clock.scale = (struct tsc_scale){.mul_frac = UINT32_C(1) << 31, .shift = 1};
}

TEST(a_vcpu_finds_its_time_info_when_it_first_runs) {
    cf_start();
    struct domain *d = cf_running(1, 1);
    struct vcpu_time_info *t = &d->shared_info->vcpu_info[0].time;

    EXPECT_EQ(t->version, 0);
    cf_settle();
    EXPECT(t->version && t->version % 2 == 0);
    EXPECT_EQ(t->tsc_to_system_mul, UINT32_C(1) << 31);
    EXPECT_EQ(t->tsc_shift, 1);
    EXPECT_EQ(t->flags, XEN_PVCLOCK_TSC_STABLE_BIT);
    uint32_t version = t->version;

    time_update_vcpu(d->vcpu[0]);
    EXPECT_EQ(t->version, version); /* nothing new */
    t->version = 0xdeadbeef;        /* the guest may write there what it likes */
    fake_clock.stable = false;
    fake_clock.scale.tsc_stamp = 5;
    fake_clock.scale.time_ns = 5;
    time_update_vcpu(d->vcpu[0]);
    EXPECT_EQ(t->version, version + 2);
    EXPECT_EQ(t->tsc_timestamp, 5);
    EXPECT_EQ(t->system_time, 5);
    EXPECT_EQ(t->flags, 0);
    cf_end(d);
}

TEST(the_secondary_area_follows) {
    cf_start();
    struct domain *d = cf_running(1, 1);
    struct vcpu *v = d->vcpu[0];

    cf_settle();
    fake_guest_memory(&area, sizeof(area));
    memset(&area, 0xee, sizeof(area));
    EXPECT_EQ(time_write_area(v, fake_guest_va(&area)), 0);
    EXPECT_MEM(&area, &v->info->time, sizeof(area));
    v->time_area = fake_guest_va(&area);
    v->arch.kernel_mode = false;
    fake_clock.scale.tsc_stamp += 8;
    fake_clock.scale.time_ns += 8;
    time_update_vcpu(v);
    EXPECT_MEM(&area, &v->info->time, sizeof(area));
    EXPECT(!v->arch.kernel_mode);
    fake_guest.fail_at = fake_guest.accesses + 2;
    EXPECT_EQ(time_write_area(v, fake_guest_va(&area)), -EFAULT);
    EXPECT_EQ(area.version % 2, 1);
    cf_end(d);
}

TEST(the_wall_clock_reaches_old_and_new_domains) {
    cf_start();
    time_init();
    struct domain *first = cf_domain(1, 1), *second;
    struct shared_info *si = first->shared_info;
    uint64_t boot = fake_clock.wallclock - time_now() / SECOND_NS;

    EXPECT(si->wc_version && si->wc_version % 2 == 0);
    EXPECT(si->wc_sec + 1 >= boot && si->wc_sec <= boot);
    uint32_t version = si->wc_version;

    time_set_wallclock((UINT64_C(1) << 32) + 100, 7, 100 * SECOND_NS + 3);
    EXPECT_EQ(si->wc_version, version + 2);
    EXPECT_EQ(si->wc_sec, 0);
    EXPECT_EQ(si->wc_sec_hi, 1);
    EXPECT_EQ(si->wc_nsec, 4);
    second = cf_domain(2, 1);
    EXPECT_EQ(second->shared_info->wc_sec_hi, 1);
    EXPECT_EQ(second->shared_info->wc_nsec, 4);
    cf_end(second);
    cf_end(first);
}
