/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c arch/fake/alloc-fail.c */
/* flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array */
#include "core-fixture.h"

#include <string.h>

#include "core/page.h"

static struct domain *d;
static struct vcpu *v;

static void start(unsigned int nr_vcpus) {
    cf_start();
    d = cf_running(1, nr_vcpus);
    v = d->vcpu[0];
}

static struct page *guest_page(void) {
    struct page *pg = domain_alloc_pages(d, 0, 0, HEAP_ZERO);

    REQUIRE(pg);
    return pg;
}

TEST(a_vcpu_is_made_once_and_down) {
    cf_start();
    d = cf_domain(1, 2);
    EXPECT_EQ(vcpu_create(d, 1), -EEXIST);
    EXPECT_EQ(vcpu_create(d, 2), -EINVAL);
    EXPECT_EQ(d->vcpu[0]->sched.stop, STOP_DOWN);
    EXPECT(!d->vcpu[0]->initialised);
    EXPECT(domain_vcpu(d, 1) == d->vcpu[1]);
    EXPECT(domain_vcpu(d, 2) == NULL);
    EXPECT(domain_vcpu(d, ~UINT64_C(0)) == NULL);
    cf_end(d);
}

TEST(creation_that_runs_out_of_memory_leaves_nothing) {
    struct domain_config c = {.max_vcpus = 1};
    unsigned long fail;
    int rc;

    cf_start();
    REQUIRE(!domain_create(1, &c, &d));
    for (fail = 1;; fail++) {
        uint64_t frames = heap_free_frames();

        fake_alloc.fail_at = fake_alloc.calls + fail;
        rc = vcpu_create(d, 0);
        fake_alloc.fail_at = 0;
        if (!rc)
            break;
        EXPECT_EQ(rc, -ENOMEM);
        EXPECT(d->vcpu[0] == NULL);
        EXPECT(heap_free_frames() + 8 >= frames); /* the slab keeps some */
    }
    EXPECT(fail > 1);
    cf_end(d);
}

TEST(vcpu_info_moves_once_with_its_content) {
    start(1);
    struct page *pg = guest_page();

    v->info->evtchn_upcall_pending = 1;
    v->info->evtchn_pending_sel = 0x55;
    EXPECT(vcpu_has_info(v));
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(pg), PAGE_SIZE - 63), -ENXIO);
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(pg), 4), -ENXIO);
    EXPECT_EQ(vcpu_register_info(v, mfn_of(1), 0), -EINVAL); /* not the domain's */
    EXPECT_EQ(vcpu_register_info(v, mfn_of(~UINT64_C(0)), 0), -EINVAL);
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(pg), 64), -EINVAL); /* up, and not current */
    EXPECT_EQ(PT_COUNT(pg->type), 0);

    vcpu_stop(v, STOP_DOWN);
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(pg), PAGE_SIZE - 64), 0);
    EXPECT(v->info == (struct vcpu_info *)((char *)page_to_virt(pg) + PAGE_SIZE - 64));
    EXPECT_EQ(v->info->evtchn_pending_sel, 0x55);
    EXPECT_EQ(cf.info_moved, 1);
    EXPECT(page_type_is(pg, PAGE_WRITABLE));
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(pg), 0), -EINVAL);
    EXPECT_EQ(PT_COUNT(pg->type), 1);
    vcpu_start(v, STOP_DOWN);
    cf_settle();
    EXPECT(v->info->time.version != 0); /* published anew */
    cf_end(d);
}

TEST(the_current_vcpu_may_move_its_own_info) {
    start(1);
    cf_settle();
    unsigned int cpu = v->sched.cpu;

    fake_cpu_enter(cpu);
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(guest_page()), 0), 0);
    EXPECT(v->info->time.version != 0);
    cf_end(d);
}

TEST(a_vcpu_beyond_the_legacy_slots_has_no_info_at_first) {
    cf_start();
    d = cf_domain(1, 33);
    v = d->vcpu[32];
    EXPECT(!vcpu_has_info(v));
    EXPECT_EQ(vcpu_register_info(v, page_to_mfn(guest_page()), 128), 0);
    EXPECT(vcpu_has_info(v));
    EXPECT_EQ(v->info->evtchn_upcall_mask, 1);
    cf_end(d);
}

TEST(a_singleshot_timer_raises_virq_timer_once) {
    start(1);
    cf_settle();
    fake_cpu_enter(v->sched.cpu);
    vcpu_set_singleshot(v, time_now() + 50 * US_NS);
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 0);
    cf_sleep(50 * US_NS);
    cf_settle();
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 1);
    vcpu_set_singleshot(v, time_now() + 50 * US_NS);
    vcpu_set_singleshot(v, time_now() - 1); /* past: at once, instead of the other */
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 2);
    cf_sleep(SECOND_NS);
    cf_settle();
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 2);
    cf_end(d);
}

TEST(a_timer_wakes_a_blocked_vcpu) {
    start(1);
    cf_settle();
    fake_cpu_enter(v->sched.cpu);
    vcpu_set_singleshot(v, time_now() + MS_NS);
    vcpu_stop(v, STOP_BLOCKED);
    cf_settle();
    EXPECT(!v->sched.running);
    cf_sleep(MS_NS);
    cf_settle();
    EXPECT(v->sched.running);
    cf_end(d);
}

TEST(a_periodic_timer_goes_on_until_stopped) {
    start(1);
    vcpu_set_periodic(v, 10 * MS_NS);
    for (int i = 0; i < 55; i++) {
        cf_settle();
        cf_sleep(MS_NS);
    }
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 5);
    vcpu_set_periodic(v, 0);
    cf_sleep(SECOND_NS);
    cf_settle();
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 5);
    cf_end(d);
}
