/* vcpu_op: bringing vcpus up and down, their shared areas and their timers. */
#include <abi/sched.h>
#include <abi/vcpu.h>

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/sched.h"
#include "core/time.h"
#include "pv/hypercall.h"
#include "pv/vcpu-context.h"

#define MIN_PERIOD_NS MS_NS
#define MAX_PERIOD_NS (UINT64_C(1) << 62)

/* What a vcpu starts with: too large for our stack. */
static long do_initialise(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    struct vcpu_guest_context *ctx;
    long rc;

    (void)curr;
    if (!vcpu_has_info(v))
        return -EINVAL;
    ctx = mem_alloc_struct(struct vcpu_guest_context);
    if (!ctx)
        return -ENOMEM;
    rc = copy_from_guest(ctx, arg, sizeof(*ctx));
    if (!rc) {
        lock_acquire(&v->domain->lock);
        rc = v->initialised ? -EEXIST : pv_vcpu_context_load(v, ctx);
        lock_release(&v->domain->lock);
    }
    mem_free(ctx);
    return rc;
}

static long do_up(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    (void)curr, (void)arg;
    if (!READ_ONCE(v->initialised))
        return -EINVAL;
    vcpu_start(v, STOP_DOWN);
    return 0;
}

static bool is_up(const struct vcpu *v) {
    return !(READ_ONCE(v->sched.stop) & STOP_DOWN);
}

/* The last one to go down takes the domain with it; of two at once both may find that they are. */
static long do_down(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    struct domain *d = v->domain;

    (void)curr, (void)arg;
    vcpu_stop(v, STOP_DOWN);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i] && is_up(d->vcpu[i]))
            return 0;
    domain_shutdown(d, SHUTDOWN_poweroff);
    return 0;
}

static long do_is_up(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    (void)curr, (void)arg;
    return is_up(v);
}

static long do_get_runstate(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    struct vcpu_runstate_info rs;

    (void)curr;
    vcpu_runstate_get(v, &rs);
    return copy_to_guest(arg, &rs, sizeof(rs));
}

/* Filled at once, which also shows if it can be written; later failures are the guest's loss. */
static long register_area(struct vcpu *v, guest_va_t arg, guest_va_t *area,
                          int (*write)(struct vcpu *v, guest_va_t area)) {
    guest_va_t at;
    int rc = copy_from_guest(&at, arg, sizeof(at));

    if (!rc && at.va)
        rc = write(v, at);
    if (!rc)
        *area = at;
    return rc;
}

static long do_register_runstate(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    _Static_assert(sizeof(struct vcpu_register_runstate_memory_area) == sizeof(guest_va_t), "");
    (void)curr;
    return register_area(v, arg, &v->runstate_area, vcpu_runstate_write);
}

static long do_register_time(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    _Static_assert(sizeof(struct vcpu_register_time_memory_area) == sizeof(guest_va_t), "");
    (void)curr;
    return register_area(v, arg, &v->time_area, time_write_area);
}

static long do_register_info(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    struct vcpu_register_vcpu_info info;
    int rc = copy_from_guest(&info, arg, sizeof(info));

    (void)curr;
    return rc ? rc : vcpu_register_info(v, mfn_of(info.mfn), info.offset);
}

static long do_set_periodic(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    struct vcpu_set_periodic_timer set;
    int rc = copy_from_guest(&set, arg, sizeof(set));

    (void)curr;
    if (rc)
        return rc;
    if (set.period_ns < MIN_PERIOD_NS || set.period_ns > MAX_PERIOD_NS)
        return -EINVAL;
    vcpu_set_periodic(v, set.period_ns);
    return 0;
}

static long do_stop_periodic(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    (void)curr, (void)arg;
    vcpu_set_periodic(v, 0);
    return 0;
}

/* A time in the past fires at once whatever the flags say, as in Xen 4.17. */
static long do_set_singleshot(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    struct vcpu_set_singleshot_timer set;
    int rc;

    if (v != curr)
        return -EINVAL;
    rc = copy_from_guest(&set, arg, sizeof(set));
    if (!rc)
        vcpu_set_singleshot(v, set.timeout_abs_ns);
    return rc;
}

static long do_stop_singleshot(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    (void)arg;
    if (v != curr)
        return -EINVAL;
    timer_stop(&v->singleshot);
    return 0;
}

static long do_send_nmi(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    (void)curr, (void)arg;
    if (!__atomic_exchange_n(&v->arch.nmi_pending, true, __ATOMIC_SEQ_CST))
        vcpu_kick(v);
    cpu_raise(WORK_EXIT); /* v may be curr: hypercalls leave by a road that does not look for it */
    return 0;
}

/* Which processor this is means something only to dom0, and to a vcpu that never leaves it. */
static long do_get_physid(struct vcpu *curr, struct vcpu *v, guest_va_t arg) {
    cpumask_t where = cpumask_and(&v->sched.hard_affinity, &cpus_online);
    struct vcpu_get_physid physid;
    uint32_t apic_id, acpi_id;

    if (!curr->domain->hardware || cpumask_weight(&where) != 1)
        return -EINVAL;
    arch_cpu_firmware_ids(cpumask_next(&where, 0), &apic_id, &acpi_id);
    physid.phys_id = (uint64_t)acpi_id << 32 | apic_id;
    return copy_to_guest(arg, &physid, sizeof(physid));
}

typedef long (*vcpu_cmd)(struct vcpu *curr, struct vcpu *v, guest_va_t arg);

static const vcpu_cmd cmds[] = {
    [VCPUOP_initialise] = do_initialise,
    [VCPUOP_up] = do_up,
    [VCPUOP_down] = do_down,
    [VCPUOP_is_up] = do_is_up,
    [VCPUOP_get_runstate_info] = do_get_runstate,
    [VCPUOP_register_runstate_memory_area] = do_register_runstate,
    [VCPUOP_set_periodic_timer] = do_set_periodic,
    [VCPUOP_stop_periodic_timer] = do_stop_periodic,
    [VCPUOP_set_singleshot_timer] = do_set_singleshot,
    [VCPUOP_stop_singleshot_timer] = do_stop_singleshot,
    [VCPUOP_register_vcpu_info] = do_register_info,
    [VCPUOP_send_nmi] = do_send_nmi,
    [VCPUOP_get_physid] = do_get_physid,
    [VCPUOP_register_vcpu_time_memory_area] = do_register_time,
};

long hypercall_vcpu_op(struct vcpu *curr, uint64_t arg[6]) {
    struct vcpu *v = domain_vcpu(curr->domain, arg[1]);

    if (!v)
        return -ENOENT;
    if (arg[0] >= ARRAY_LEN(cmds))
        return -ENOSYS;
    return cmds[index_nospec(arg[0], ARRAY_LEN(cmds))](curr, v, (guest_va_t){arg[2]});
}

long hypercall_set_timer_op(struct vcpu *curr, uint64_t arg[6]) {
    if (arg[0])
        vcpu_set_singleshot(curr, arg[0]);
    else
        timer_stop(&curr->singleshot);
    return 0;
}
