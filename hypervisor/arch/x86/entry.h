/*
 * The ways in and out of the hypervisor (entry.S, traps.c).
 *
 * From a guest the processor pushes its frame straight into v->arch.regs (the TSS says so); the
 * stubs push the rest below it and continue on the cpu's stack. From the hypervisor itself frames
 * stay on the stack in use. #DB, NMI, #DF and #MC come on stacks of their own (ENTRY_IST).
 */
#ifndef ARCH_X86_ENTRY_H
#define ARCH_X86_ENTRY_H

#include <abi/arch-x86.h>

#include "lib/types.h"

struct cpu;
struct vcpu;

/* Addresses for the 256 IDT gates. All are interrupt gates; DPL 3 for ENTRY_DPL3, else 0. */
extern const uint64_t entry_vectors[256];

#define TRAP_DB  1
#define TRAP_NMI 2
#define TRAP_BP  3
#define TRAP_OF  4
#define TRAP_DF  8
#define TRAP_PF  14
#define TRAP_MC  18

/*
 * The IST slot (1-7) of a vector, 0 for none. #DB shares its stack with #DF, which never returns.
 */
static inline unsigned int entry_ist(unsigned int vector) {
    return vector == TRAP_NMI                       ? 1
           : vector == TRAP_MC                      ? 2
           : vector == TRAP_DF || vector == TRAP_DB ? 3
                                                    : 0;
}
static inline bool entry_guest_may_int(unsigned int vector) {
    return vector == TRAP_BP || vector == TRAP_OF || vector == 0x80;
}

/*
 * This cpu's syscall and sysenter entries, FPU control bits. Once per cpu, on it; boot cpu first.
 */
void cpu_entry_init(struct cpu *cpu);

/* Run this_cpu()->current; what was on the stack is gone. Interrupts may be on or off. */
_Noreturn void enter_guest(void);

/* Bytes for the two stubs of one cpu (entry.S: syscall_stubs). */
#define SYSCALL_STUB_SIZE 64

/* From entry.S. */
void guest_exception(struct vcpu *v);
void guest_stack_fault(struct vcpu *v);
void hypervisor_exception(struct cpu_user_regs *regs);

/* Run guests without this CR4 bit on this cpu from now on (context.c). */
void cpu_withhold_cr4(uint64_t bit);

/* The FPU (fpu.c): find the sizes, enable on this cpu, and move a vcpu's state. */
void fpu_cpu_init(struct cpu *cpu);
void fpu_save(struct vcpu *v);
void fpu_load(struct vcpu *v);

/* From elsewhere in arch: a device, timer or inter-processor interrupt. Interrupts off. */
void arch_interrupt(unsigned int vector);
/* Stop the machine, showing these registers. */
_Noreturn void panic_regs(const struct cpu_user_regs *regs, const char *fmt, ...) PRINTF(2, 3);

#endif
