#include "arch/cpu.h"
#include "arch/x86/processor.h"

RO_AFTER_INIT struct cpu_features cpu_features;
RO_AFTER_INIT uint64_t cr4_policy = CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

/* One CPUID bit, the field it sets, and the CR4 bit that goes with it (0: none). */
static INIT_DATA struct feature {
    uint32_t leaf;
    uint8_t reg, bit;
    uint16_t field;
    uint32_t cr4;
} features[] = {
#define FIELD(f) offsetof(struct cpu_features, f)
    {1, 2, 21, FIELD(x2apic), 0},
    {1, 2, 24, FIELD(tsc_deadline), 0},
    {1, 2, 26, FIELD(xsave), CR4_OSXSAVE},
    {1, 2, 31, FIELD(hypervisor), 0},
    /* Not enabled: guest user mode could change bases behind the back of its kernel. */
    {7, 1, 0, FIELD(fsgsbase), 0},
    {7, 1, 7, FIELD(smep), CR4_SMEP},
    {7, 1, 20, FIELD(smap), CR4_SMAP},
    {7, 2, 2, FIELD(umip), CR4_UMIP},
    {0x80000001, 3, 26, FIELD(page_1g), 0},
    {0x80000001, 3, 27, FIELD(rdtscp), 0},
    {0x80000007, 3, 8, FIELD(tsc_invariant), 0},
};

static INIT_TEXT bool leaf_exists(uint32_t leaf) {
    uint32_t regs[4];

    cpuid(leaf & 0x80000000, 0, regs);
    return leaf <= regs[0];
}

INIT_TEXT void cpu_features_detect(void) {
    uint32_t regs[4];

    for (unsigned int i = 0; i < ARRAY_LEN(features); i++) {
        const struct feature *f = &features[i];

        if (!leaf_exists(f->leaf))
            continue;
        cpuid(f->leaf, 0, regs);
        if (regs[f->reg] >> f->bit & 1) {
            *((bool *)&cpu_features + f->field) = true;
            cr4_policy |= f->cr4;
        }
    }
    cpu_features.maxphyaddr = 36;
    if (leaf_exists(0x80000008)) {
        cpuid(0x80000008, 0, regs);
        cpu_features.maxphyaddr = MIN(regs[0] & 0xff, 52);
    }
}

void cpu_features_enable(void) {
    wrmsr(MSR_PAT, PAT_VALUE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE | EFER_SCE);
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    write_cr4(cr4_policy);
}

/* Without NX the boot code goes no further. */
unsigned int arch_cpu_maxphyaddr(void) {
    return cpu_features.maxphyaddr;
}
