/* Single instructions, the register bits they take, and what this machine's processors can do. */
#ifndef ARCH_X86_PROCESSOR_H
#define ARCH_X86_PROCESSOR_H

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_PG BIT(31)

#define CR4_DE         BIT(3)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_NXE BIT(11)

#define MSR_APIC_BASE    0x1b
#define MSR_PAT          0x277
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800                  /* + register / 16 */
#define MSR_EFER         0xc0000080
#define MSR_STAR         0xc0000081
#define MSR_LSTAR        0xc0000082
#define MSR_CSTAR        0xc0000083
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_FS_BASE      0xc0000100
#define MSR_GS_BASE      0xc0000101
#define MSR_KERNEL_GS    0xc0000102
#define MSR_TSC_AUX      0xc0000103

/* Memory types by PAT index, the ones PV guests are promised: WB WT UC- UC WC WP UC UC. */
#define PAT_VALUE UINT64_C(0x050100070406)

#ifndef __ASSEMBLER__

#include "lib/bits.h"
#include "lib/types.h"

struct cpu_features {
    bool fsgsbase, smep, smap, umip, xsave, page_1g, x2apic, tsc_deadline, tsc_invariant,
        rdtscp, hypervisor;
    unsigned int maxphyaddr;
};
extern struct cpu_features cpu_features; /* of the boot processor; constant after boot */

/* Every cpu runs with this CR4: guests' views of it are fiction. */
extern uint64_t cr4_policy;

/* Find features; stops with a line if something Hospes needs is missing. Boot cpu, once. */
void cpu_features_detect(void);
/* Control registers, PAT and EFER of this cpu as the policy says. */
void cpu_features_enable(void);

static inline uint64_t rdmsr(uint32_t msr) {
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t value) {
    uint32_t lo = (uint32_t)value, hi = (uint32_t)(value >> 32);

    __asm__ volatile("wrmsr" ::"c"(msr), "a"(lo), "d"(hi) : "memory");
}
static inline uint64_t rdtsc(void) {
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}
/* The counter, read after all earlier loads are done. */
static inline uint64_t rdtsc_ordered(void) {
    __asm__ volatile("lfence" ::: "memory");
    return rdtsc();
}

#define CONTROL_REGISTER(cr)                                                                       \
    static inline uint64_t read_##cr(void) {                                                       \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%" #cr ", %0" : "=r"(value));                                       \
        return value;                                                                              \
    }                                                                                              \
    static inline void write_##cr(uint64_t value) {                                                \
        __asm__ volatile("mov %0, %%" #cr ::"r"(value) : "memory");                                \
    }
CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)

static inline void invlpg(uint64_t va) {
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}
static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    __asm__ volatile("cpuid"
                     : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
                     : "a"(leaf), "c"(subleaf));
}

#define PORT_IO(type, suffix)                                                                      \
    static inline type in##suffix(uint16_t port) {                                                 \
        type value;                                                                                \
        __asm__ volatile("in %1, %0" : "=a"(value) : "Nd"(port));                                  \
        return value;                                                                              \
    }                                                                                              \
    static inline void out##suffix(uint16_t port, type value) {                                    \
        __asm__ volatile("out %0, %1" ::"a"(value), "Nd"(port));                                   \
    }
PORT_IO(uint8_t, b)
PORT_IO(uint16_t, w)
PORT_IO(uint32_t, l)

#endif
#endif
