/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c pv/vcpu-op.c */
#include "core-fixture.h"

#include <string.h>

#include "core/page.h"
#include "pv/hypercall.h"
#include "pv/vcpu-context.h"

static struct domain *d;
static struct vcpu *v, *other;
static union {
    struct vcpu_guest_context context;
    struct vcpu_runstate_info runstate;
    struct vcpu_register_runstate_memory_area runstate_area;
    struct vcpu_register_time_memory_area time_area;
    struct vcpu_set_periodic_timer periodic;
    struct vcpu_set_singleshot_timer singleshot;
    struct vcpu_register_vcpu_info info;
    struct vcpu_get_physid physid;
} arg;
static struct {
    struct vcpu_runstate_info runstate;
    struct vcpu_time_info time;
} area;
static int load_rc;
static uint64_t loaded_rip;

int pv_vcpu_context_load(struct vcpu *of, const struct vcpu_guest_context *ctx) {
    EXPECT(lock_held(&of->domain->lock));
    loaded_rip = ctx->user_regs.rip;
    of->initialised = load_rc == 0;
    return load_rc;
}

/* vcpu 0 runs here, vcpu 1 is down and has no state. */
static void start(domid_t domid) {
    cf_start();
    d = cf_domain(domid, 2);
    v = d->vcpu[0];
    other = d->vcpu[1];
    v->initialised = true;
    vcpu_start(v, STOP_DOWN);
    cf_settle();
    fake_cpu_enter(v->sched.cpu);
    load_rc = 0;
    memset(&arg, 0, sizeof(arg));
    fake_guest_memory(&arg, sizeof(arg));
    fake_guest_memory(&area, sizeof(area));
}

static long op(uint64_t cmd, uint64_t vcpu) {
    uint64_t args[6] = {cmd, vcpu, fake_guest_va(&arg).va};

    fake_guest_begin();
    return hypercall_vcpu_op(v, args);
}

TEST(vcpus_that_do_not_exist_are_enoent) {
    start(1);
    for (uint64_t cmd = VCPUOP_initialise; cmd <= VCPUOP_register_vcpu_time_memory_area; cmd++) {
        EXPECT_EQ(op(cmd, 2), -ENOENT);
        EXPECT_EQ(op(cmd, 8191), -ENOENT);
        EXPECT_EQ(op(cmd, ~UINT64_C(0)), -ENOENT);
    }
    EXPECT_EQ(op(14, 0), -ENOSYS);
    EXPECT_EQ(op(~UINT64_C(0), 0), -ENOSYS);
    cf_end(d);
}

TEST(bad_addresses_are_efault) {
    static const unsigned int cmds[] = {
        VCPUOP_initialise, VCPUOP_get_runstate_info, VCPUOP_register_runstate_memory_area,
        VCPUOP_set_periodic_timer, VCPUOP_set_singleshot_timer, VCPUOP_register_vcpu_info,
        VCPUOP_register_vcpu_time_memory_area,
    };

    start(1);
    for (unsigned int i = 0; i < ARRAY_LEN(cmds); i++) {
        uint64_t args[6] = {cmds[i], 0, 0x1000};

        EXPECT_EQ(hypercall_vcpu_op(v, args), -EFAULT);
    }
    cf_end(d);
}

TEST(a_second_vcpu_is_initialised_brought_up_and_down) {
    start(1);
    EXPECT_EQ(op(VCPUOP_is_up, 0), 1);
    EXPECT_EQ(op(VCPUOP_is_up, 1), 0);
    EXPECT_EQ(op(VCPUOP_up, 1), -EINVAL); /* not initialised */
    arg.context.user_regs.rip = 0x1234;
    load_rc = -ERESTART;
    EXPECT_EQ(op(VCPUOP_initialise, 1), -ERESTART);
    load_rc = 0;
    EXPECT_EQ(op(VCPUOP_initialise, 1), 0);
    EXPECT_EQ(loaded_rip, 0x1234);
    EXPECT_EQ(op(VCPUOP_initialise, 1), -EEXIST);
    EXPECT_EQ(op(VCPUOP_up, 1), 0);
    cf_settle();
    EXPECT_EQ(op(VCPUOP_is_up, 1), 1);
    EXPECT(other->sched.running);
    EXPECT_EQ(op(VCPUOP_down, 1), 0);
    cf_settle();
    EXPECT(!other->sched.running);
    EXPECT_EQ(op(VCPUOP_is_up, 1), 0);
    EXPECT(!d->shutting_down);
    EXPECT_EQ(op(VCPUOP_down, 0), 0); /* the last one */
    EXPECT(d->shutting_down);
    cf_end(d);
}

TEST(runstate_info_is_copied_out) {
    start(1);
    cf_sleep(5000);
    EXPECT_EQ(op(VCPUOP_get_runstate_info, 0), 0);
    EXPECT_EQ(arg.runstate.state, RUNSTATE_running);
    EXPECT_EQ(arg.runstate.time[RUNSTATE_running], 5000);
    EXPECT_EQ(op(VCPUOP_get_runstate_info, 1), 0);
    EXPECT_EQ(arg.runstate.state, RUNSTATE_offline);
    cf_end(d);
}

TEST(areas_are_filled_when_they_are_registered) {
    start(1);
    memset(&area, 0xee, sizeof(area));
    arg.runstate_area.addr.h = fake_guest_va(&area.runstate);
    EXPECT_EQ(op(VCPUOP_register_runstate_memory_area, 0), 0);
    EXPECT_EQ(area.runstate.state, RUNSTATE_running);
    arg.time_area.addr.h = fake_guest_va(&area.time);
    EXPECT_EQ(op(VCPUOP_register_vcpu_time_memory_area, 0), 0);
    EXPECT_MEM(&area.time, &v->info->time, sizeof(area.time));

    arg.time_area.addr.h.va = 0x1000;
    EXPECT_EQ(op(VCPUOP_register_vcpu_time_memory_area, 0), -EFAULT);
    EXPECT_EQ(op(VCPUOP_register_runstate_memory_area, 0), -EFAULT);
    EXPECT_EQ(v->time_area.va, fake_guest_va(&area.time).va); /* as it was */
    arg.time_area.addr.h.va = 0;
    EXPECT_EQ(op(VCPUOP_register_vcpu_time_memory_area, 0), 0);
    EXPECT_EQ(op(VCPUOP_register_runstate_memory_area, 0), 0);
    EXPECT_EQ(v->time_area.va | v->runstate_area.va, 0);
    cf_end(d);
}

TEST(a_singleshot_timer_is_the_callers_own) {
    start(1);
    arg.singleshot.timeout_abs_ns = time_now() + MS_NS;
    EXPECT_EQ(op(VCPUOP_set_singleshot_timer, 1), -EINVAL);
    EXPECT_EQ(op(VCPUOP_stop_singleshot_timer, 1), -EINVAL);
    EXPECT_EQ(op(VCPUOP_set_singleshot_timer, 0), 0);
    EXPECT(v->singleshot.set);
    EXPECT_EQ(op(VCPUOP_stop_singleshot_timer, 0), 0);
    EXPECT(!v->singleshot.set);
    arg.singleshot = (struct vcpu_set_singleshot_timer){1, VCPU_SSHOTTMR_future};
    EXPECT_EQ(op(VCPUOP_set_singleshot_timer, 0), 0);
    EXPECT_EQ(cf.virq[VIRQ_TIMER], 1);
    cf_end(d);
}

TEST(set_timer_op_is_the_same_timer) {
    start(1);
    uint64_t args[6] = {time_now() + MS_NS};

    EXPECT_EQ(hypercall_set_timer_op(v, args), 0);
    EXPECT(v->singleshot.set);
    args[0] = 0;
    EXPECT_EQ(hypercall_set_timer_op(v, args), 0);
    EXPECT(!v->singleshot.set);
    cf_end(d);
}

TEST(periods_have_bounds) {
    start(1);
    arg.periodic.period_ns = MS_NS - 1;
    EXPECT_EQ(op(VCPUOP_set_periodic_timer, 1), -EINVAL);
    arg.periodic.period_ns = UINT64_MAX;
    EXPECT_EQ(op(VCPUOP_set_periodic_timer, 1), -EINVAL);
    arg.periodic.period_ns = MS_NS;
    EXPECT_EQ(op(VCPUOP_set_periodic_timer, 1), 0);
    EXPECT(other->periodic.set);
    EXPECT_EQ(op(VCPUOP_stop_periodic_timer, 1), 0);
    EXPECT(!other->periodic.set);
    EXPECT_EQ(op(VCPUOP_stop_periodic_timer, 0), 0);
    cf_end(d);
}

TEST(vcpu_info_is_registered_through_the_core) {
    start(1);
    struct page *pg = domain_alloc_pages(d, 0, 0, HEAP_ZERO);

    arg.info = (struct vcpu_register_vcpu_info){.mfn = page_to_mfn(pg).n, .offset = 4090};
    EXPECT_EQ(op(VCPUOP_register_vcpu_info, 0), -ENXIO);
    arg.info.offset = 640;
    EXPECT_EQ(op(VCPUOP_register_vcpu_info, 0), 0);
    EXPECT(v->info == (struct vcpu_info *)((char *)page_to_virt(pg) + 640));
    cf_end(d);
}

TEST(an_nmi_wakes_and_is_pending_once) {
    start(1);
    vcpu_stop(v, STOP_BLOCKED);
    EXPECT_EQ(op(VCPUOP_send_nmi, 0), 0);
    EXPECT_EQ(op(VCPUOP_send_nmi, 0), 0);
    EXPECT(v->arch.nmi_pending);
    EXPECT_EQ(v->sched.stop, 0);
    cf_end(d);
}

TEST(physical_ids_are_for_dom0s_tied_vcpus) {
    cpumask_t second = {{2}};

    start(1);
    EXPECT_EQ(vcpu_set_hard_affinity(other, &second), 0);
    EXPECT_EQ(op(VCPUOP_get_physid, 1), -EINVAL);
    cf_end(d);
    start(0);
    EXPECT_EQ(op(VCPUOP_get_physid, 1), -EINVAL);
    EXPECT_EQ(vcpu_set_hard_affinity(other, &second), 0);
    EXPECT_EQ(op(VCPUOP_get_physid, 1), 0);
    EXPECT_EQ(xen_vcpu_physid_to_x86_apicid(arg.physid.phys_id), 1);
    EXPECT_EQ(xen_vcpu_physid_to_x86_acpiid(arg.physid.phys_id), 2);
    cf_end(d);
}
