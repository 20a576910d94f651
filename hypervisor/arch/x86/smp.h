/* The other processors. */
#ifndef ARCH_X86_SMP_H
#define ARCH_X86_SMP_H

#include "core/cpu.h"

/* Start all that firmware names, up to NR_CPUS and maxcpus=. Boot cpu, interrupts on. */
void smp_init(void);
/* Until then they only answer flush requests; now they look for work. */
void smp_release(void);
/* Enter the calling cpu into the sets of online cpus. */
void cpu_online(struct cpu *cpu);
/* Halt every other cpu for good (panic, power off). */
void smp_stop_others(void);
/* For the interrupt dispatcher: VECTOR_STOP. */
_Noreturn void smp_stopped(void);

/* What every cpu needs of core before it may run anything (start.c). */
void cpu_core_init(unsigned int cpu);

#endif
