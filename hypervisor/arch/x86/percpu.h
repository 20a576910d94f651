/* A processor's own memory (stacks with struct cpu, GDT page, TSS), and the IDT all share. */
#ifndef ARCH_X86_PERCPU_H
#define ARCH_X86_PERCPU_H

#include "core/cpu.h"

static inline struct cpu *cpu_area(unsigned int id) {
    return (struct cpu *)(STACKS_VA + (id + 1) * (uint64_t)STACK_BLOCK_SIZE - CPU_AREA_SIZE);
}

/* The boot cpu's, in the image: before there is memory, and again with the direct map up. */
void percpu_init_boot(void);
/* Make cpus[id]. Errors: -ENOMEM. */
MUST_CHECK int percpu_create(unsigned int id);
/* Use GDT, TSS and IDT of this cpu. */
void percpu_load(const void *gdt_page);

void idt_init(void);
void idt_load(void);

#endif
