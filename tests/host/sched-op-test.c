/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c pv/sched-op.c */
#include "core-fixture.h"

#include <string.h>

#include <abi/sched.h>

#include "pv/hypercall.h"

static struct domain *d;
static struct vcpu *v;
static union {
    struct sched_shutdown shutdown;
    struct sched_poll poll;
    struct sched_remote_shutdown remote;
    struct sched_watchdog watchdog;
    struct sched_pin_override pin;
} arg;
static evtchn_port_t ports[200];

/* A domain whose only vcpu runs here. */
static void start(domid_t domid) {
    cf_start();
    d = cf_running(domid, 1);
    v = d->vcpu[0];
    cf_settle();
    fake_cpu_enter(v->sched.cpu);
    fake_guest_memory(&arg, sizeof(arg));
    fake_guest_memory(ports, sizeof(ports));
    v->info->evtchn_upcall_mask = 1;
}

static long op(uint64_t cmd) {
    uint64_t args[6] = {cmd, fake_guest_va(&arg).va};

    fake_guest_begin();
    return hypercall_sched_op(v, args);
}

TEST(unknown_commands_are_enosys_and_bad_addresses_efault) {
    start(1);
    EXPECT_EQ(op(8), -ENOSYS);
    EXPECT_EQ(op(~UINT64_C(0)), -ENOSYS);
    for (uint64_t cmd = SCHEDOP_shutdown; cmd <= SCHEDOP_pin_override; cmd++) {
        uint64_t args[6] = {cmd, 0x1000};

        EXPECT_EQ(hypercall_sched_op(v, args), -EFAULT);
    }
    EXPECT_EQ(op(SCHEDOP_yield), 0);
    cf_end(d);
}

TEST(block_unmasks_and_sleeps_until_an_event) {
    start(1);
    EXPECT_EQ(op(SCHEDOP_block), 0);
    EXPECT_EQ(v->info->evtchn_upcall_mask, 0);
    cf_settle();
    EXPECT(!v->sched.running);
    evtchn_send_virq(v, VIRQ_TIMER);
    cf_settle();
    EXPECT(v->sched.running);
    cf_end(d);
}

TEST(block_with_an_event_pending_returns_at_once) {
    start(1);
    v->info->evtchn_upcall_pending = 1;
    EXPECT_EQ(op(SCHEDOP_block), 0);
    EXPECT_EQ(v->info->evtchn_upcall_mask, 0);
    EXPECT_EQ(v->sched.stop, 0);
    cf_end(d);
}

static long poll(unsigned int nr, uint64_t timeout) {
    arg.poll = (struct sched_poll){fake_guest_va(ports), nr, timeout};
    return op(SCHEDOP_poll);
}

TEST(poll_checks_its_arguments) {
    start(1);
    EXPECT_EQ(poll(129, 0), -EINVAL);
    arg.poll = (struct sched_poll){{0x1000}, 1, 0};
    EXPECT_EQ(op(SCHEDOP_poll), -EFAULT);
    ports[0] = 3;
    ports[1] = 64; /* no such port */
    EXPECT_EQ(poll(2, 0), -EINVAL);
    EXPECT_EQ(v->sched.stop, 0);
    cf_end(d);
}

TEST(poll_returns_when_a_port_is_pending_though_masked) {
    start(1);
    ports[0] = 3;
    ports[1] = 4;
    cf.pending[4] = true;
    EXPECT_EQ(poll(2, 0), 0);
    EXPECT_EQ(v->sched.stop, 0);
    EXPECT_EQ(v->info->evtchn_upcall_mask, 1);
    cf_end(d);
}

TEST(poll_returns_when_an_upcall_is_due) {
    start(1);
    ports[0] = 3;
    v->info->evtchn_upcall_pending = 1;
    EXPECT_EQ(poll(1, 0), 0);
    EXPECT_EQ(v->sched.stop, STOP_POLL); /* masked: not due */
    vcpu_start(v, STOP_POLL);
    v->info->evtchn_upcall_mask = 0;
    EXPECT_EQ(poll(1, 0), 0);
    EXPECT_EQ(v->sched.stop, 0);
    cf_end(d);
}

TEST(poll_says_which_port_it_waits_for_and_times_out) {
    start(1);
    ports[0] = 3;
    EXPECT_EQ(poll(1, time_now() + MS_NS), 0);
    EXPECT_EQ(v->evtchn.poll_port, 3);
    cf_settle();
    EXPECT(!v->sched.running);
    cf_sleep(MS_NS);
    cf_settle();
    EXPECT(v->sched.running);
    fake_cpu_enter(v->sched.cpu);
    ports[1] = 5;
    EXPECT_EQ(poll(2, 0), 0);
    EXPECT_EQ(v->evtchn.poll_port, -1);
    cf_sleep(SECOND_NS);
    cf_settle();
    EXPECT(!v->sched.running); /* without a timeout it waits for ever */
    cf_end(d);
}

TEST(shutdown_keeps_the_code_that_was_given_first) {
    start(1);
    arg.shutdown.reason = SHUTDOWN_watchdog;
    EXPECT_EQ(op(SCHEDOP_shutdown_code), 0);
    EXPECT(!d->shutting_down);
    arg.shutdown.reason = SHUTDOWN_reboot;
    EXPECT_EQ(op(SCHEDOP_shutdown), 0);
    cf_settle();
    EXPECT(d->shut_down);
    EXPECT_EQ(d->shutdown_code, SHUTDOWN_watchdog);
    cf_end(d);
}

TEST(remote_shutdown_is_for_the_privileged) {
    start(1);
    arg.remote = (struct sched_remote_shutdown){1, SHUTDOWN_poweroff};
    EXPECT_EQ(op(SCHEDOP_remote_shutdown), -EPERM);
    cf_end(d);

    struct domain *other = cf_domain(2, 1);

    start(0);
    arg.remote = (struct sched_remote_shutdown){9, SHUTDOWN_poweroff};
    EXPECT_EQ(op(SCHEDOP_remote_shutdown), -ESRCH);
    arg.remote.domain_id = 2;
    EXPECT_EQ(op(SCHEDOP_remote_shutdown), 0);
    EXPECT(other->shut_down);
    EXPECT_EQ(other->refs, 2); /* its own, and its shared page's */
    cf_end(other);
    cf_end(d);
}

TEST(watchdog_ids_come_back) {
    start(1);
    arg.watchdog = (struct sched_watchdog){0, 5};
    EXPECT_EQ(op(SCHEDOP_watchdog), 1);
    arg.watchdog = (struct sched_watchdog){1, 0};
    EXPECT_EQ(op(SCHEDOP_watchdog), 0);
    EXPECT_EQ(op(SCHEDOP_watchdog), -EINVAL);
    cf_end(d);
}

TEST(pin_override_is_dom0s) {
    start(1);
    arg.pin.pcpu = 0;
    EXPECT_EQ(op(SCHEDOP_pin_override), -EPERM);
    cf_end(d);
    start(0);
    arg.pin.pcpu = 1;
    EXPECT_EQ(op(SCHEDOP_pin_override), 0);
    cf_settle();
    EXPECT_EQ(v->sched.cpu, 1);
    fake_cpu_enter(1);
    arg.pin.pcpu = INT32_MIN;
    EXPECT_EQ(op(SCHEDOP_pin_override), 0);
    arg.pin.pcpu = INT32_MAX;
    EXPECT_EQ(op(SCHEDOP_pin_override), -EINVAL);
    cf_end(d);
}

TEST(arguments_are_fetched_once) {
    start(1);
    ports[0] = 3;
    EXPECT_EQ(poll(1, time_now() + 1), 0);
    EXPECT_EQ(fake_guest.double_fetches, 0);
    cf_end(d);
}
