/* sched_op: what a vcpu may say about its own running, and a domain about its end. */
#include <abi/sched.h>

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/sched.h"
#include "core/time.h"
#include "pv/hypercall.h"

#define MAX_POLL_PORTS 128

union sched_arg {
    struct sched_shutdown shutdown;
    struct sched_poll poll;
    struct sched_remote_shutdown remote_shutdown;
    struct sched_watchdog watchdog;
    struct sched_pin_override pin_override;
};

_Static_assert(sizeof(struct sched_poll) == 24, "sched.h: SCHEDOP_poll");
_Static_assert(sizeof(struct sched_remote_shutdown) == 8, "sched.h: SCHEDOP_remote_shutdown");

static long do_yield(struct vcpu *curr, union sched_arg *arg) {
    (void)curr, (void)arg;
    vcpu_yield();
    return 0;
}

/*
 * Unmask and sleep in one step: whoever makes an event pending after our test sees STOP_BLOCKED
 * and wakes us.
 */
static long do_block(struct vcpu *curr, union sched_arg *arg) {
    (void)arg;
    __atomic_store_n(&curr->info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    if (READ_ONCE(curr->info->evtchn_upcall_pending))
        return 0;
    vcpu_stop(curr, STOP_BLOCKED);
    if (READ_ONCE(curr->info->evtchn_upcall_pending))
        vcpu_start(curr, STOP_BLOCKED);
    return 0;
}

static long do_shutdown(struct vcpu *curr, union sched_arg *arg) {
    domain_shutdown(curr->domain, (uint8_t)arg->shutdown.reason);
    return 0;
}

static long do_shutdown_code(struct vcpu *curr, union sched_arg *arg) {
    uint8_t none = SHUTDOWN_NONE;

    (void)!__atomic_compare_exchange_n(&curr->domain->shutdown_code, &none,
                                       (uint8_t)arg->shutdown.reason, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
    return 0;
}

static bool upcall_due(const struct vcpu *v) {
    return READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask);
}

/* 1: one of them is pending, 0: none, or -EINVAL. */
static int any_pending(struct domain *d, const evtchn_port_t *ports, unsigned int n) {
    int rc = 0;

    for (unsigned int i = 0; i < n && !rc; i++)
        rc = evtchn_port_pending(d, ports[i]);
    return rc;
}

static long do_poll(struct vcpu *curr, union sched_arg *arg) {
    const struct sched_poll *poll = &arg->poll;
    evtchn_port_t ports[MAX_POLL_PORTS];
    int rc;

    if (poll->nr_ports > MAX_POLL_PORTS)
        return -EINVAL;
    rc = copy_from_guest(ports, poll->ports, poll->nr_ports * sizeof(ports[0]));
    if (rc)
        return rc;

    WRITE_ONCE(curr->evtchn.poll_port, poll->nr_ports == 1 ? (int32_t)ports[0] : -1);
    timer_stop(&curr->sched.poll_timer);
    vcpu_stop(curr, STOP_POLL);
    rc = upcall_due(curr) ? 1 : any_pending(curr->domain, ports, poll->nr_ports);
    if (rc)
        vcpu_start(curr, STOP_POLL);
    else if (poll->timeout)
        timer_set_here(&curr->sched.poll_timer, poll->timeout);
    return MIN(rc, 0);
}

static long do_remote_shutdown(struct vcpu *curr, union sched_arg *arg) {
    struct domain *d;
    int rc;

    if (!curr->domain->privileged)
        return -EPERM;
    rc = domain_lookup_controlled(arg->remote_shutdown.domain_id, &d);
    if (rc)
        return rc;
    domain_shutdown(d, (uint8_t)arg->remote_shutdown.reason);
    domain_put(d);
    return 0;
}

static long do_watchdog(struct vcpu *curr, union sched_arg *arg) {
    return domain_watchdog(curr->domain, arg->watchdog.id, arg->watchdog.timeout);
}

static long do_pin_override(struct vcpu *curr, union sched_arg *arg) {
    return curr->domain->hardware ? vcpu_pin_override(curr, arg->pin_override.pcpu) : -EPERM;
}

static const struct sched_cmd {
    long (*run)(struct vcpu *curr, union sched_arg *arg);
    uint8_t size;
} cmds[] = {
    [SCHEDOP_yield] = {do_yield, 0},
    [SCHEDOP_block] = {do_block, 0},
    [SCHEDOP_shutdown] = {do_shutdown, sizeof(struct sched_shutdown)},
    [SCHEDOP_poll] = {do_poll, sizeof(struct sched_poll)},
    [SCHEDOP_remote_shutdown] = {do_remote_shutdown, sizeof(struct sched_remote_shutdown)},
    [SCHEDOP_shutdown_code] = {do_shutdown_code, sizeof(struct sched_shutdown)},
    [SCHEDOP_watchdog] = {do_watchdog, sizeof(struct sched_watchdog)},
    [SCHEDOP_pin_override] = {do_pin_override, sizeof(struct sched_pin_override)},
};

long hypercall_sched_op(struct vcpu *curr, uint64_t arg[6]) {
    const struct sched_cmd *c;
    union sched_arg op;
    int rc = 0;

    if (arg[0] >= ARRAY_LEN(cmds))
        return -ENOSYS;
    c = &cmds[index_nospec(arg[0], ARRAY_LEN(cmds))];
    if (c->size)
        rc = copy_from_guest(&op, (guest_va_t){arg[1]}, c->size);
    return rc ? rc : c->run(curr, &op);
}
