#include "arch/mm.h"
#include "core/domain.h"
#include "pv/guest-state.h"
#include "pv/hypercall.h"

/*
 * iret: back to what a bounce frame interrupted, or to anything else the guest kernel made up.
 * Note:   the common form never gets here (entry.S, guest_iret). Whoever changes one changes both.
 */
long hypercall_iret(struct vcpu *curr, uint64_t arg[6]) {
    struct cpu_user_regs *regs = &curr->arch.regs;
    struct iret_context frame;
    bool user;

    (void)arg;
    if (copy_from_guest(&frame, (guest_va_t){regs->rsp}, sizeof(frame))) {
        domain_crash(curr->domain, "vcpu %u: no iret frame at %#lx", curr->id, regs->rsp);
        return -EFAULT;
    }
    user = (frame.cs & 3) == 3;
    if (user && !curr->arch.user_l4.n) {
        domain_crash(curr->domain, "vcpu %u: iret to user mode without a user page table",
                     curr->id);
        return -EFAULT;
    }

    regs->rip = frame.rip;
    regs->cs = (uint16_t)frame.cs | 3;
    regs->ss = (uint16_t)frame.ss | 3;
    regs->rsp = frame.rsp;
    regs->rflags = rflags_for_guest(frame.rflags);
    regs->rax = frame.rax;
    regs->rcx = frame.rcx;
    regs->r11 = frame.r11;
    curr->arch.exit = frame.flags & VGCF_in_syscall && regs->cs == FLAT_USER_CS64 &&
                              regs->ss == FLAT_USER_SS64 && va_is_canonical(frame.rip)
                          ? EXIT_SYSRET
                          : EXIT_IRET;
    if (curr->domain->vm_assist & 1u << VMASST_TYPE_architectural_iopl)
        curr->arch.iopl = frame.rflags >> 12 & 3;
    curr->arch.nmi_masked = false;
    WRITE_ONCE(curr->info->evtchn_upcall_mask, !(frame.rflags & RFLAGS_IF));
    curr->mode_changed = true;
    if (user)
        arch_toggle_guest_mode(curr);
    return (long)frame.rax;
}
