#include "pv/hypercall.h"

#include <abi/mca.h>

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/evtchn.h"
#include "core/gnttab.h"

static long hypercall_none(struct vcpu *curr, uint64_t arg[6]) {
    (void)curr, (void)arg;
    return -ENOSYS;
}

/* What is not here is not for PV guests, has a successor, or is not built yet. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const hypercall_fn hypercall_table[NR_HYPERCALLS] = {
    [0 ... NR_HYPERCALLS - 1] = hypercall_none,
    [__HYPERVISOR_set_trap_table] = hypercall_set_trap_table,
    [__HYPERVISOR_mmu_update] = hypercall_mmu_update,
    [__HYPERVISOR_set_gdt] = hypercall_set_gdt,
    [__HYPERVISOR_stack_switch] = hypercall_stack_switch,
    [__HYPERVISOR_set_callbacks] = hypercall_set_callbacks,
    [__HYPERVISOR_fpu_taskswitch] = hypercall_fpu_taskswitch,
    [__HYPERVISOR_platform_op] = hypercall_platform_op,
    [__HYPERVISOR_set_debugreg] = hypercall_set_debugreg,
    [__HYPERVISOR_get_debugreg] = hypercall_get_debugreg,
    [__HYPERVISOR_update_descriptor] = hypercall_update_descriptor,
    [__HYPERVISOR_memory_op] = hypercall_memory_op,
    [__HYPERVISOR_multicall] = hypercall_multicall,
    [__HYPERVISOR_update_va_mapping] = hypercall_update_va_mapping,
    [__HYPERVISOR_set_timer_op] = hypercall_set_timer_op,
    [__HYPERVISOR_xen_version] = hypercall_xen_version,
    [__HYPERVISOR_console_io] = hypercall_console_io,
    [__HYPERVISOR_grant_table_op] = hypercall_grant_table_op,
    [__HYPERVISOR_vm_assist] = hypercall_vm_assist,
    [__HYPERVISOR_update_va_mapping_otherdomain] = hypercall_update_va_mapping_otherdomain,
    [__HYPERVISOR_iret] = hypercall_iret,
    [__HYPERVISOR_vcpu_op] = hypercall_vcpu_op,
    [__HYPERVISOR_set_segment_base] = hypercall_set_segment_base,
    [__HYPERVISOR_mmuext_op] = hypercall_mmuext_op,
    [__HYPERVISOR_sched_op] = hypercall_sched_op,
    [__HYPERVISOR_callback_op] = hypercall_callback_op,
    [__HYPERVISOR_event_channel_op] = hypercall_event_channel_op,
    [__HYPERVISOR_physdev_op] = hypercall_physdev_op,
    [__HYPERVISOR_mca] = hypercall_mca,
};
#pragma GCC diagnostic pop

static long dispatch(struct vcpu *curr, uint64_t nr, uint64_t arg[6]) {
    return nr < NR_HYPERCALLS ? hypercall_table[index_nospec(nr, NR_HYPERCALLS)](curr, arg)
                              : -ENOSYS;
}

/* One entry: -ERESTART if it has to go on later, with its progress in its arguments. */
static int multicall_one(struct vcpu *curr, guest_va_t at) {
    struct multicall_entry e;
    long rc;

    if (copy_from_guest(&e, at, sizeof(e)))
        return -EFAULT;
    rc = dispatch(curr, e.op, e.args);
    if (curr->mode_changed)
        return 0;
    if (rc == -ERESTART) {
        at.va += offsetof(struct multicall_entry, args);
        return copy_to_guest(at, e.args, sizeof(e.args)) ? -EFAULT : -ERESTART;
    }
    e.result = (uint64_t)rc;
    at.va += offsetof(struct multicall_entry, result);
    return copy_to_guest(at, &e.result, sizeof(e.result));
}

/*
 * multicall(entries, count). After an iret the rest of the batch would run with another mode's
 * rights and page table, so it ends there; so it does at an unreadable entry.
 */
long hypercall_multicall(struct vcpu *curr, uint64_t arg[6]) {
    int rc = 0;

    if (curr->in_multicall)
        return -EINVAL;
    curr->in_multicall = true;
    curr->mode_changed = false;
    arg[1] = (uint32_t)arg[1];
    while (arg[1] && !rc && !curr->mode_changed) {
        rc = multicall_one(curr, (guest_va_t){arg[0]});
        if (rc)
            break;
        arg[0] += sizeof(struct multicall_entry);
        arg[1]--;
        if (arg[1] && preempt_needed())
            rc = -ERESTART;
    }
    curr->in_multicall = false;
    if (!curr->mode_changed)
        return rc;
    cpu_raise(WORK_EXIT); /* what iret loaded needs the long way out */
    return (long)curr->arch.regs.rax;
}
