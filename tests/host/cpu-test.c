/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c */
#include "core-fixture.h"

#include "core/work.h"

TEST(an_idle_cpu_scrubs_and_then_waits) {
    cf_start();
    cpu_raise(WORK_TIMER);
    EXPECT(cf_run(0) == NULL);
    EXPECT_EQ(fake_record.waits, 1);
    EXPECT_EQ(cpus[0]->work, 0);
}

TEST(a_cpu_owed_nothing_is_kicked_once) {
    cf_start();
    cpu_raise_on(1, WORK_TIMER);
    cpu_raise_on(1, WORK_SCHED);
    EXPECT_EQ(cpus[1]->arch.kicks, 1);
    cpu_raise_on(0, WORK_SCHED); /* itself: it will look on its way out */
    EXPECT_EQ(cpus[0]->arch.kicks, 0);
    cf_settle();
}

static unsigned int ran;
static struct task tasks[3];

static void run_task(struct task *t) {
    EXPECT(irq_enabled());
    if (ran++ == 0)
        task_raise(t); /* again, from itself */
}

TEST(deferred_functions_run_with_interrupts_on_before_the_cpu_goes_on) {
    cf_start();
    ran = 0;
    for (unsigned int i = 0; i < ARRAY_LEN(tasks); i++) {
        tasks[i].fn = run_task;
        task_raise(&tasks[i]);
    }
    EXPECT(preempt_needed());
    cf_run(0);
    EXPECT_EQ(ran, 4);
    EXPECT(!preempt_needed());
}

TEST(a_cpu_with_a_vcpu_returns_to_it) {
    cf_start();
    struct domain *d = cf_running(1, 2);

    EXPECT(cf_run(0) != NULL);
    EXPECT(current_vcpu() == cpus[0]->current);
    EXPECT_EQ(fake_record.waits, 0);
    cf_settle();
    cpu_raise(WORK_TIME);
    fake_clock.scale.tsc_stamp = 9;
    fake_clock.scale.time_ns = 9;
    cf_run(0);
    EXPECT_EQ(cpus[0]->current->info->time.tsc_timestamp, 9);
    cf_end(d);
}
