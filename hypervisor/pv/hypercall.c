#include "pv/hypercall.h"

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/evtchn.h"
#include "core/gnttab.h"

/* Numbers that are not here answer -ENOSYS, as real Xen does where a part is not built in. */
static const hypercall_fn hypercalls[] = {
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
};

static long dispatch(struct vcpu *curr, uint64_t nr, uint64_t arg[6]) {
    hypercall_fn fn;

    if (nr >= ARRAY_LEN(hypercalls))
        return -ENOSYS;
    fn = hypercalls[index_nospec(nr, ARRAY_LEN(hypercalls))];
    return fn ? fn(curr, arg) : -ENOSYS;
}

/* `syscall` is two bytes: back over it, with the number still in rax, and the guest calls again. */
static void continue_later(struct cpu_user_regs *regs, const uint64_t arg[6]) {
    regs->rdi = arg[0];
    regs->rsi = arg[1];
    regs->rdx = arg[2];
    regs->r10 = arg[3];
    regs->r8 = arg[4];
    regs->r9 = arg[5];
    regs->rip -= 2;
}

void pv_hypercall(struct vcpu *curr, uint64_t arg[6]) {
    struct cpu_user_regs *regs = &curr->arch.regs;
    long rc;

    curr->mode_changed = false;
    rc = dispatch(curr, regs->rax, arg);
    /* What iret returns is the guest's rax and means nothing. */
    if (unlikely(rc == -ERESTART) && !curr->mode_changed)
        continue_later(regs, arg);
    else
        regs->rax = (uint64_t)rc;
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
    return curr->mode_changed ? (long)curr->arch.regs.rax : rc;
}
