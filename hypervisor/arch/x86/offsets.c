/*
 * Compiled to assembly only: the structure offsets that entry.S and usercopy.S need become
 * build/offsets.h.
 */
#include <abi/xen.h>

#include "arch/x86/entry.h"
#include "core/cpu.h"
#include "core/vcpu.h"
#include "pv/hypercall.h"

#define OFFSET(name, type, field)                                                                  \
    __asm__ volatile("\n.ascii \"@@ " #name " %c0\"" ::"i"(__builtin_offsetof(type, field)))
#define CONSTANT(name, value) __asm__ volatile("\n.ascii \"@@ " #name " %c0\"" ::"i"(value))
#define VCPU(name, field)     OFFSET(V_##name, struct vcpu, arch.field)

void asm_offsets(void);
void asm_offsets(void) {
    /* The entry code finds the vcpu below the frame, and the cpu's stack in its first word. */
    _Static_assert(offsetof(struct vcpu, arch.cpu_stack) == 0, "entry.S: first word of a vcpu");
    VCPU(regs, regs);
    VCPU(r15, regs.r15);
    VCPU(r14, regs.r14);
    VCPU(r13, regs.r13);
    VCPU(r12, regs.r12);
    VCPU(rbp, regs.rbp);
    VCPU(rbx, regs.rbx);
    VCPU(r11, regs.r11);
    VCPU(r10, regs.r10);
    VCPU(r9, regs.r9);
    VCPU(r8, regs.r8);
    VCPU(rax, regs.rax);
    VCPU(rcx, regs.rcx);
    VCPU(rdx, regs.rdx);
    VCPU(rsi, regs.rsi);
    VCPU(rdi, regs.rdi);
    VCPU(error_code, regs.error_code);
    VCPU(entry_vector, regs.entry_vector);
    VCPU(rip, regs.rip);
    VCPU(cs, regs.cs);
    VCPU(rflags, regs.rflags);
    VCPU(rsp, regs.rsp);
    VCPU(ss, regs.ss);

    VCPU(kernel_mode, kernel_mode);
    VCPU(exit, exit);
    VCPU(page_fault_eip, page_fault_eip);
    VCPU(nmi_masked, nmi_masked);
    VCPU(nmi_pending, nmi_pending);
    VCPU(shows_iopl, shows_iopl);
    _Static_assert(offsetof(struct arch_vcpu, nmi_pending) ==
                           offsetof(struct arch_vcpu, nmi_masked) + 1 &&
                       offsetof(struct arch_vcpu, shows_iopl) ==
                           offsetof(struct arch_vcpu, nmi_masked) + 2,
                   "entry.S: guest_iret looks at all three");
    VCPU(kernel_cr3, kernel_cr3);
    VCPU(user_cr3, user_cr3);
    VCPU(kernel_sp, kernel_sp);
    VCPU(syscall_eip, syscall.eip);
    VCPU(syscall_masks, syscall.masks_events);
    OFFSET(V_info, struct vcpu, info);
    OFFSET(V_mode_changed, struct vcpu, mode_changed);

    OFFSET(INFO_pending, struct vcpu_info, evtchn_upcall_pending);
    OFFSET(INFO_mask, struct vcpu_info, evtchn_upcall_mask);
    OFFSET(INFO_cr2, struct vcpu_info, arch.cr2);

    OFFSET(IRET_rax, struct iret_context, rax);
    OFFSET(IRET_r11, struct iret_context, r11);
    OFFSET(IRET_rcx, struct iret_context, rcx);
    OFFSET(IRET_rip, struct iret_context, rip);
    OFFSET(IRET_cs, struct iret_context, cs);
    OFFSET(IRET_rflags, struct iret_context, rflags);
    OFFSET(IRET_rsp, struct iret_context, rsp);
    OFFSET(IRET_ss, struct iret_context, ss);

    OFFSET(CPU_current, struct cpu, current);
    OFFSET(CPU_work, struct cpu, work);
    OFFSET(CPU_guest_rsp, struct cpu, arch.scratch);

    CONSTANT(MAX_CPUS, NR_CPUS);
    CONSTANT(HYPERCALLS, NR_HYPERCALLS);
    CONSTANT(SYSCALL_STUB_SIZE, SYSCALL_STUB_SIZE);
    CONSTANT(EXIT_IRET, EXIT_IRET);
    CONSTANT(EXIT_SYSRET, EXIT_SYSRET);
}
