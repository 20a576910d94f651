/* Inline half of arch/cpu.h for x86-64. */
#ifndef MACHINE_CPU_H
#define MACHINE_CPU_H

#include "arch/x86/layout.h"
#include "lib/types.h"

struct cpu;

struct tss64 {
    uint32_t reserved0;
    uint64_t rsp0, rsp1, rsp2;
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, iomap_base;
} PACKED;

/* The machine's part of struct cpu. entry.S knows some offsets. */
struct arch_cpu {
    uint64_t scratch[4];             /* syscall entry: a place before there is a stack */
    struct tss64 *tss;
    uint64_t *gdt;                   /* this cpu's copy of GDT page 14, by direct map */
    uint32_t apic_id, acpi_id;
    uint64_t cr4, cr4_withheld;      /* loaded; bits of the policy not used here */
    struct flush_request *flush;     /* shootdown mailbox, tlb-flush.c */
    uint64_t dr7;                    /* loaded debug control */
    uint64_t xcr0;                   /* loaded XCR0 */
};

static inline struct cpu *this_cpu(void) {
    uintptr_t sp;

    __asm__("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu *)((sp | (STACK_BLOCK_SIZE - 1)) + 1 - CPU_AREA_SIZE);
}

static inline uint64_t irq_save(void) {
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return flags;
}
static inline void irq_restore(uint64_t flags) {
    __asm__ volatile("pushq %0; popfq" ::"r"(flags) : "memory", "cc");
}
static inline void irq_disable(void) {
    __asm__ volatile("cli" ::: "memory");
}
static inline void irq_enable(void) {
    __asm__ volatile("sti" ::: "memory");
}
static inline bool irq_enabled(void) {
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags & 0x200;
}
static inline void cpu_relax(void) {
    __asm__ volatile("pause");
}

#endif
