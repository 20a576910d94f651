/*
 * The seam, part 1: what core and pv ask of a processor.
 * machine/cpu.h holds the inline half, one per machine: arch/x86/machine, arch/fake/machine.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include "lib/bits.h"
#include "lib/types.h"
#include <machine/cpu.h>

struct cpu;
struct vcpu;

/*
 * machine/cpu.h provides:
 *   struct arch_cpu                           the machine's part of struct cpu
 *   static inline struct cpu *this_cpu(void)
 *   static inline uint64_t irq_save(void); void irq_restore(uint64_t flags);
 *   static inline void irq_disable(void), irq_enable(void), cpu_relax(void);
 *   static inline bool irq_enabled(void);
 */

/* Make `cpu` look at its work word soon, wherever it is; callable with any lock held. */
void arch_cpu_kick(unsigned int cpu);

/*
 * Wait for an interrupt. Called with interrupts off and no work pending; returns with
 * interrupts off after at least one was taken.
 */
void arch_cpu_wait(void);

/*
 * Give this cpu to `next` (NULL: to nobody): saves prev's live state (segment bases and
 * selectors, debug registers, FPU) and loads next's, its page tables and descriptor tables
 * included. v->arch.regs needs no care: it is where the entry code saves to.
 * Locks:  none held, interrupts off.
 */
void arch_context_switch(struct vcpu *prev, struct vcpu *next);

/*
 * Save what is only in the processor (segment bases, FPU, ...) into v->arch so that it can be
 * read; v is current on this cpu.
 */
void arch_vcpu_sync_state(struct vcpu *v);

/* Highest rank of the locks this cpu holds (debug builds). */
uint8_t *arch_cpu_lock_rank(void);

/* Most physical address bits the processor has. */
unsigned int arch_cpu_maxphyaddr(void);

/* The machine's own CPUID leaf, unmasked. regs[] is eax, ebx, ecx, edx. */
void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/* What the firmware calls a cpu that is present: its APIC id, its number in the ACPI tables. */
void arch_cpu_firmware_ids(unsigned int cpu, uint32_t *apic_id, uint32_t *acpi_id);

/* Read/write an MSR of this processor; -EFAULT if it faults. */
MUST_CHECK int arch_rdmsr_safe(uint32_t msr, uint64_t *value);
MUST_CHECK int arch_wrmsr_safe(uint32_t msr, uint64_t value);

/* Port I/O on behalf of a guest that may do it; size is 1, 2 or 4 bytes. */
uint32_t arch_port_in(uint16_t port, unsigned int size);
void arch_port_out(uint16_t port, unsigned int size, uint32_t value);

/*
 * Around calls into the libraries core/unpack.c uses, which are compiled for user space: between
 * the two, SSE works, the stack canary's place is mapped and interrupts are off (red zone).
 * Boot only, one cpu; _begin first runs the libraries' constructors if they have not been.
 */
void arch_libs_begin(void);
void arch_libs_end(void);

/* The machine goes off, restarts, or (after a fatal error) stops. */
_Noreturn void arch_power_off(void);
_Noreturn void arch_reboot(void);
/*
 * Write the PM1 sleep values dom0's ACPI code computed.
 * Errors: -EINVAL if the state is not S5 or the FADT names no PM1 port.
 */
MUST_CHECK int arch_acpi_sleep(unsigned int state, uint16_t pm1a, uint16_t pm1b);

#endif
