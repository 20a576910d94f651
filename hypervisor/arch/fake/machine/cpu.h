/* Inline half of arch/cpu.h for host programs: whoever called fake_cpu_enter() is a cpu. */
#ifndef MACHINE_CPU_H
#define MACHINE_CPU_H

#include "lib/types.h"

struct cpu;

struct arch_cpu {
    bool irqs_on;
    unsigned int kicks;         /* arch_cpu_kick() calls, for tests to look at */
    unsigned int flushes;       /* full TLB flushes of this cpu */
    unsigned int flushes_one;   /* of one address */
    uint64_t flushed_va;        /* the last of these */
    uint64_t cr3;               /* what arch_load_page_table() loaded; 0: the hypervisor's own */
    uint64_t timer_deadline_ns; /* what arch_timer_program() asked for */
};

extern _Thread_local struct cpu *fake_cpu;

static inline struct cpu *this_cpu(void) {
    return fake_cpu;
}
uint64_t irq_save(void);
void irq_restore(uint64_t flags);
void irq_disable(void);
void irq_enable(void);
bool irq_enabled(void);
void cpu_relax(void);

#endif
