/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c */
#include "core-fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <abi/vcpu.h>

static struct domain *d;
static struct vcpu *a, *b, *c;

/* Three vcpus that are up, on two idle cpus. */
static void start(void) {
    cf_start();
    d = cf_running(1, 3);
    a = d->vcpu[0];
    b = d->vcpu[1];
    c = d->vcpu[2];
}

static bool on_cpu(const struct vcpu *v) {
    return v->sched.running && cpus[v->sched.cpu]->current == v;
}

TEST(vcpus_run_on_all_cpus_and_the_rest_waits) {
    start();
    cf_settle();
    EXPECT(cpus[0]->current && cpus[1]->current && cpus[0]->current != cpus[1]->current);
    EXPECT_EQ(on_cpu(a) + on_cpu(b) + on_cpu(c), 2);
    EXPECT_EQ(a->sched.queued + b->sched.queued + c->sched.queued, 1);
    cf_end(d);
}

TEST(who_waits_gets_its_turn_after_a_slice) {
    start();
    cf_settle();
    struct vcpu *waiting = a->sched.queued ? a : b->sched.queued ? b : c;

    for (int i = 0; i < 5 && !on_cpu(waiting); i++) {
        cf_sleep(MS_NS);
        cf_settle();
    }
    EXPECT(on_cpu(waiting));
    cf_end(d);
}

TEST(a_stopped_vcpu_leaves_its_cpu_and_comes_back) {
    start();
    cf_settle();
    vcpu_stop(a, STOP_BLOCKED);
    vcpu_stop(b, STOP_DOWN);
    vcpu_stop(c, STOP_DOWN);
    cf_settle();
    EXPECT(!cpus[0]->current && !cpus[1]->current);
    EXPECT(!a->sched.running && !a->sched.queued);
    EXPECT_EQ(a->sched.runstate.state, RUNSTATE_blocked);
    EXPECT_EQ(b->sched.runstate.state, RUNSTATE_offline);
    vcpu_start(a, STOP_BLOCKED);
    cf_settle();
    EXPECT(on_cpu(a));
    cf_end(d);
}

TEST(every_reason_to_stop_counts) {
    start();
    vcpu_stop(a, STOP_BLOCKED);
    vcpu_stop(a, STOP_DOWN);
    vcpu_start(a, STOP_BLOCKED);
    cf_settle();
    EXPECT(!on_cpu(a) && !a->sched.queued);
    EXPECT_EQ(a->sched.runstate.state, RUNSTATE_offline);
    vcpu_start(a, STOP_DOWN);
    vcpu_start(a, STOP_DOWN);
    EXPECT(a->sched.queued);
    cf_end(d);
}

TEST(stopping_and_starting_before_the_switch_changes_nothing) {
    start();
    cf_settle();
    struct vcpu *v = cpus[1]->current;
    unsigned int switches = cf.nr_switches;

    vcpu_stop(v, STOP_BLOCKED);
    vcpu_start(v, STOP_BLOCKED);
    cf_settle();
    EXPECT(cpus[1]->current == v);
    EXPECT_EQ(cf.nr_switches, switches);
    cf_end(d);
}

/*
 * It is woken while the cpu is switching away from it: after the choice, before its state is saved.
 */
static void wake(struct vcpu *v) {
    vcpu_start(v, STOP_BLOCKED);
}

TEST(a_wake_up_during_the_switch_is_not_lost) {
    start();
    cf_settle();
    struct vcpu *v = cpus[0]->current;

    vcpu_stop(v, STOP_BLOCKED);
    cf.on_switch = wake;
    cf.on_switch_vcpu = v;
    cf_settle();
    EXPECT(!cf.on_switch);
    EXPECT(v->sched.queued || on_cpu(v));
    cf_end(d);
}

TEST(an_idle_cpu_is_kicked_for_a_waking_vcpu) {
    start();
    vcpu_stop(b, STOP_DOWN);
    vcpu_stop(c, STOP_DOWN);
    vcpu_stop(a, STOP_BLOCKED);
    cf_settle();
    fake_cpu_enter(a->sched.cpu ^ 1);
    unsigned int kicks = cpus[a->sched.cpu]->arch.kicks;

    vcpu_start(a, STOP_BLOCKED);
    EXPECT_EQ(cpus[a->sched.cpu]->arch.kicks, kicks + 1);
    EXPECT(cpus[a->sched.cpu]->work & WORK_SCHED);
    cf_end(d);
}

TEST(a_kick_ends_block_and_poll) {
    start();
    vcpu_stop(a, STOP_BLOCKED);
    vcpu_stop(b, STOP_POLL);
    vcpu_kick(a);
    vcpu_kick(b);
    EXPECT_EQ(a->sched.stop | b->sched.stop, 0);
    cf_end(d);
}

TEST(a_kick_interrupts_the_guest_elsewhere_events_masked_or_not) {
    start();
    cf_settle();
    fake_cpu_enter(0);
    struct vcpu *here = cpus[0]->current, *there = cpus[1]->current;
    unsigned int kicks = cpus[1]->arch.kicks, own = cpus[0]->arch.kicks;

    there->info->evtchn_upcall_mask = here->info->evtchn_upcall_mask = 0;
    vcpu_kick(there);
    EXPECT_EQ(cpus[1]->arch.kicks, kicks + 1);
    there->info->evtchn_upcall_mask = 1;
    vcpu_kick(there);
    EXPECT_EQ(cpus[1]->arch.kicks, kicks + 2);
    vcpu_kick(here);
    EXPECT_EQ(cpus[0]->arch.kicks, own);
    cf_end(d);
}

TEST(pauses_nest_and_wait_for_the_cpu) {
    start();
    vcpu_stop(b, STOP_DOWN);
    vcpu_stop(c, STOP_DOWN);
    cf_settle();
    vcpu_pause_nosync(a);
    vcpu_pause_nosync(a);
    EXPECT(a->sched.running);
    cf_settle();
    EXPECT(!a->sched.running);
    vcpu_sleep_sync(a);
    vcpu_unpause(a);
    EXPECT(!a->sched.queued);
    vcpu_unpause(a);
    EXPECT(a->sched.queued);
    vcpu_pause(a); /* not running: need not wait */
    vcpu_unpause(a);
    cf_end(d);
}

TEST(a_paused_domain_runs_nothing_and_its_new_vcpus_are_paused) {
    cf_start();
    d = cf_domain(1, 2);
    domain_pause(d);
    domain_pause(d);
    vcpu_start(d->vcpu[0], STOP_DOWN);
    cf_settle();
    EXPECT(!on_cpu(d->vcpu[0]));
    domain_unpause(d);
    EXPECT(!d->vcpu[0]->sched.queued);
    domain_unpause(d);
    EXPECT(d->vcpu[0]->sched.queued);
    cf_end(d);
}

TEST(yielding_lets_the_waiting_one_run) {
    start();
    cf_settle();
    struct vcpu *waiting = a->sched.queued ? a : b->sched.queued ? b : c;

    fake_cpu_enter(waiting->sched.cpu);
    vcpu_yield();
    cf_settle();
    EXPECT(on_cpu(waiting));
    cf_end(d);
}

TEST(runstates_add_up_to_the_time_that_passed) {
    struct vcpu_runstate_info rs;
    uint64_t sum = 0, born;

    start();
    born = a->sched.runstate.state_entry_time;
    for (int i = 0; i < 100; i++) {
        cf_sleep(700 * US_NS);
        if (i % 7 == 0)
            vcpu_stop(a, STOP_BLOCKED);
        if (i % 7 == 3)
            vcpu_start(a, STOP_BLOCKED);
        cf_settle();
    }
    vcpu_runstate_get(a, &rs);
    for (int i = 0; i < 4; i++)
        sum += rs.time[i];
    EXPECT_EQ(sum, time_now() - born);
    EXPECT(rs.time[RUNSTATE_blocked] >= 100 / 7 * 3 * 700 * US_NS);
    EXPECT(rs.time[RUNSTATE_running] > 0 && rs.time[RUNSTATE_runnable] > 0);
    cf_end(d);
}

static struct vcpu_runstate_info area;

TEST(the_runstate_area_is_written_on_the_way_in_and_out) {
    start();
    memset(&area, 0xee, sizeof(area));
    fake_guest_memory(&area, sizeof(area));
    a->runstate_area = fake_guest_va(&area);
    cf_settle();
    while (!on_cpu(a)) {
        cf_sleep(MS_NS);
        cf_settle();
    }
    EXPECT_EQ(area.state, RUNSTATE_running);
    EXPECT_MEM(&area, &a->sched.runstate, sizeof(area));
    cf_sleep(MS_NS);
    vcpu_stop(a, STOP_BLOCKED);
    cf_settle();
    EXPECT_EQ(area.state, RUNSTATE_blocked);
    EXPECT_MEM(&area, &a->sched.runstate, sizeof(area));
    cf_end(d);
}

TEST(the_update_flag_is_gone_when_the_area_is_complete) {
    start();
    d->vm_assist = 1u << VMASST_TYPE_runstate_update_flag;
    memset(&area, 0, sizeof(area));
    fake_guest_memory(&area, sizeof(area));
    fake_cpu_enter(0);
    unsigned long before = fake_guest.accesses;

    EXPECT_EQ(vcpu_runstate_write(a, fake_guest_va(&area)), 0);
    EXPECT_EQ(fake_guest.accesses - before, 3);
    EXPECT_MEM(&area, &a->sched.runstate, sizeof(area));
    fake_guest.fail_at = fake_guest.accesses + 3;
    EXPECT_EQ(vcpu_runstate_write(a, fake_guest_va(&area)), -EFAULT);
    EXPECT(area.state_entry_time & XEN_RUNSTATE_UPDATE); /* a reader sees that it is not complete */
    cf_end(d);
}

TEST(a_vcpu_preempted_in_user_mode_gets_its_area_through_kernel_tables) {
    start();
    fake_guest_memory(&area, sizeof(area));
    a->runstate_area = fake_guest_va(&area);
    cf_settle();
    while (!on_cpu(a)) {
        cf_sleep(MS_NS);
        cf_settle();
    }
    a->arch.kernel_mode = false;
    cf.toggles = 0;
    vcpu_stop(a, STOP_PAUSED);
    cf_settle();
    EXPECT_EQ(cf.toggles, 2);
    EXPECT(!a->arch.kernel_mode);
    vcpu_start(a, STOP_PAUSED);
    cf_end(d);
}

TEST(hard_affinity_moves_running_and_waiting_vcpus) {
    cpumask_t only = {{2}}, none = {{0}}, offline = {{4}}, both = {{3}};

    start();
    cf_settle();
    EXPECT_EQ(vcpu_set_hard_affinity(a, &none), -EINVAL);
    EXPECT_EQ(vcpu_set_hard_affinity(a, &offline), -EINVAL);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(vcpu_set_hard_affinity(d->vcpu[i], &only), 0);
    cf_settle();
    EXPECT(!cpus[0]->current);
    EXPECT(a->sched.cpu == 1 && b->sched.cpu == 1 && c->sched.cpu == 1);
    EXPECT_EQ(on_cpu(a) + on_cpu(b) + on_cpu(c), 1);
    EXPECT_EQ(vcpu_set_hard_affinity(a, &both), 0);
    EXPECT_EQ(vcpu_set_hard_affinity(b, &both), 0);
    cf_settle();
    EXPECT(cpus[0]->current);
    cf_end(d);
}

TEST(pin_override_ties_and_releases) {
    cpumask_t first = {{1}};

    start();
    cf_settle();
    EXPECT_EQ(vcpu_pin_override(a, -1), -EINVAL);
    EXPECT_EQ(vcpu_pin_override(a, 9), -EINVAL);
    EXPECT_EQ(vcpu_pin_override(a, NR_CPUS + 5), -EINVAL);
    EXPECT_EQ(vcpu_pin_override(a, 1), 0);
    EXPECT_EQ(vcpu_pin_override(a, 0), -EBUSY);
    EXPECT_EQ(vcpu_set_hard_affinity(a, &first), 0); /* for later */
    cf_settle();
    EXPECT_EQ(a->sched.cpu, 1);
    EXPECT_EQ(vcpu_pin_override(a, -1), 0);
    cf_settle();
    EXPECT_EQ(a->sched.cpu, 0);
    cf_end(d);
}

TEST(a_cap_stops_even_who_runs_alone) {
    uint64_t ran = 0;

    cf_start();
    d = cf_running(1, 1);
    a = d->vcpu[0];
    cf_settle();
    domain_set_share(d, 256, 30);
    for (int i = 0; i < 10000; i++) {
        cf_settle();
        ran += on_cpu(a) ? 100 * US_NS : 0;
        cf_sleep(100 * US_NS);
    }
    EXPECT(ran >= 285 * MS_NS && ran <= 316 * MS_NS);
    domain_set_share(d, 256, 0);
    cf_settle();
    EXPECT(on_cpu(a));
    cf_end(d);
}

/* Two cpus for real: each runs its loop, and both stop, start, pause and tie the same vcpus. */
#define ROUNDS 3000

static void *hammer(void *arg) {
    unsigned int id = (unsigned int)(uintptr_t)arg, seed = id + 7;

    fake_cpu_enter(id);
    for (int i = 0; i < ROUNDS; i++) {
        struct vcpu *v = d->vcpu[(unsigned int)rand_r(&seed) % d->max_vcpus];
        cpumask_t mask = {{1 + (unsigned int)rand_r(&seed) % 3}};

        switch (rand_r(&seed) % 8) {
        case 0: vcpu_stop(v, STOP_BLOCKED); break;
        case 1: case 2: vcpu_kick(v); break;
        case 3: vcpu_pause_nosync(v); vcpu_unpause(v); break;
        case 4: (void)!vcpu_set_hard_affinity(v, &mask); break;
        case 5: domain_set_share(d, 256, (uint16_t)((unsigned int)rand_r(&seed) % 2 * 50)); break;
        case 6: vcpu_yield(); break;
        default: cpu_raise(WORK_SCHED);
        }
        __atomic_fetch_add(&fake_clock.tsc, 20 * US_NS, __ATOMIC_SEQ_CST);
        cpu_raise(WORK_TIMER);
        cf_run(id);
        if (cpus[id]->current)
            EXPECT(cpus[id]->current->sched.running && cpus[id]->current->sched.cpu == id);
    }
    return NULL;
}

TEST(two_cpus_at_once_lose_no_vcpu) {
    cpumask_t any = {{3}};
    pthread_t thread[2];

    cf_start();
    d = cf_running(1, 5);
    for (uintptr_t i = 0; i < 2; i++)
        REQUIRE(!pthread_create(&thread[i], NULL, hammer, (void *)i));
    for (unsigned int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    fake_cpu_enter(0);
    domain_set_share(d, 256, 0);
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        EXPECT_EQ(vcpu_set_hard_affinity(d->vcpu[i], &any), 0);
        vcpu_kick(d->vcpu[i]);
    }
    cf_settle();
    unsigned int running = 0, queued = 0;

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        EXPECT_EQ(d->vcpu[i]->sched.stop, 0);
        running += on_cpu(d->vcpu[i]);
        queued += d->vcpu[i]->sched.queued;
    }
    EXPECT_EQ(running, 2);
    EXPECT_EQ(queued, 3);
    cf_end(d);
}
