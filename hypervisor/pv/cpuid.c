#include "arch/cpu.h"
#include "arch/time.h"
#include "arch/vcpu.h"
#include "core/domain.h"
#include "pv/emulate.h"

#define LAST_BASIC    0xd
#define LAST_EXTENDED 0x80000008
#define ALL           UINT32_MAX
#define ANY           UINT32_MAX /* subleaf */

enum { EAX, EBX, ECX, EDX };

/*
 * The policy: of each leaf, the bits of the machine that a PV guest sees. A leaf that is not here
 * is zero. Left out is what the guest cannot use in ring 3 or what a hypervisor must virtualise
 * first: paging modes (PSE, PGE, PCID, SMEP, SMAP, LA57, 1G pages), protection keys, APIC modes
 * and timers, MTRRs, monitor/mwait, virtualisation, performance counters, speculation controls,
 * topology.
 */
static const struct cpuid_mask {
    uint32_t leaf, subleaf;
    uint32_t mask[4];
} masks[] = {
    {0, ANY, {ALL, ALL, ALL, ALL}},
    /*
     * sse3 pclmul ssse3 fma cx16 sse4.1 sse4.2 movbe popcnt aes xsave osxsave avx f16c rdrand;
     * fpu de tsc msr pae mce cx8 apic sep mca cmov pat clfsh acpi mmx fxsr sse sse2 ss
     */
    {1, ANY, {ALL, 0x0000ffff, 0x7ed83203, 0x0fc9cbf5}},
    {2, ANY, {ALL, ALL, ALL, ALL}},
    {4, ANY, {0x00003fff, ALL, ALL, ALL}},
    /*
     * bmi1 avx2 fdp bmi2 erms nofpusel avx512f dq rdseed adx ifma clflushopt clwb pf er cd sha
     * bw vl; vbmi vbmi2 gfni vaes vpclmul vnni bitalg popcntdq rdpid movdiri movdir64b;
     * 4vnniw 4fmaps fsrm vp2intersect md_clear serialize
     */
    {7, 0, {0, 0xfdaf2368, 0x18405f42, 0x0000451c}},
    {0xd, 0, {ALL, ALL, ALL, 0}},
    {0xd, 1, {0x00000007, 0, 0, 0}}, /* xsaveopt xsavec xgetbv1 */
    {0xd, ANY, {ALL, ALL, 0, 0}},
    {0x80000000, ANY, {ALL, ALL, ALL, ALL}},
    /*
     * lahf abm sse4a misalign prefetch xop fma4 tbm; those of leaf 1, syscall nx mmxext ffxsr
     * rdtscp lm 3dnow
     */
    {0x80000001, ANY, {ALL, 0, 0x002109e1, 0xebd1cbf5}},
    {0x80000002, ANY, {ALL, ALL, ALL, ALL}}, /* name */
    {0x80000003, ANY, {ALL, ALL, ALL, ALL}},
    {0x80000004, ANY, {ALL, ALL, ALL, ALL}},
    {0x80000005, ANY, {ALL, ALL, ALL, ALL}}, /* caches */
    {0x80000006, ANY, {ALL, ALL, ALL, ALL}},
    {0x80000007, ANY, {0, 0, 0, BIT(8)}}, /* invariant tsc */
    {0x80000008, ANY, {0x0000ffff, 0x00000205, 0, 0}}, /* address widths; clzero rstr wbnoinvd */
};

static const struct cpuid_mask *find_mask(uint32_t leaf, uint32_t subleaf) {
    for (unsigned int i = 0; i < ARRAY_LEN(masks); i++)
        if (masks[i].leaf == leaf && (masks[i].subleaf == ANY || masks[i].subleaf == subleaf))
            return &masks[i];
    return NULL;
}

/* The leaves through which a guest finds the hypervisor (ABI: Xen's arch-x86/cpuid.h). */
static void hypervisor_leaf(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    const struct tsc_scale *tsc = arch_tsc_scale();

    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        regs[EAX] = XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES);
        regs[EBX] = XEN_CPUID_SIGNATURE_EBX;
        regs[ECX] = XEN_CPUID_SIGNATURE_ECX;
        regs[EDX] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        regs[EAX] = 4 << 16 | 17;
        break;
    case 2:
        regs[EAX] = 1; /* pages of hypercalls, by an MSR that PV does not use */
        regs[EBX] = 0x40000000;
        regs[ECX] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        if (subleaf == 0) {
            regs[EAX] = arch_tsc_is_stable() ? BIT(1) : 0;
            regs[ECX] = (uint32_t)arch_tsc_khz();
        } else if (subleaf == 1) {
            regs[ECX] = tsc->mul_frac; /* offset 0 */
            regs[EDX] = (uint8_t)tsc->shift;
        } else if (subleaf == 2) {
            regs[EAX] = (uint32_t)arch_tsc_khz();
        }
        break;
    case 5:
        regs[EBX] = MIN(arch_cpu_maxphyaddr(), 44u); /* more makes Linux want wide grant entries */
        break;
    }
}

/*
 * State components beyond the policy do not exist; the sizes are live values of this vcpu's XCR0.
 */
static void xsave_leaf(uint32_t subleaf, uint32_t regs[4]) {
    uint64_t policy = arch_xcr0_mask();

    if (subleaf == 0) {
        regs[EAX] &= (uint32_t)policy;
        regs[EDX] = (uint32_t)(policy >> 32);
    } else if (subleaf > 1 && (subleaf >= 64 || !(policy >> subleaf & 1))) {
        regs[EAX] = regs[EBX] = 0;
    }
}

static void adjust(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    switch (leaf) {
    case 0:
        regs[EAX] = MIN(regs[EAX], (uint32_t)LAST_BASIC);
        break;
    case 1:
        regs[ECX] |= BIT(31); /* hypervisor */
        if (!arch_xcr0_mask())
            regs[ECX] &= ~(uint32_t)(BIT(26) | BIT(27) | BIT(28)); /* xsave osxsave avx */
        break;
    case 0xd:
        xsave_leaf(subleaf, regs);
        break;
    case 0x80000000:
        regs[EAX] = MIN(regs[EAX], (uint32_t)LAST_EXTENDED);
        break;
    case 0x80000007:
        if (!arch_tsc_is_stable())
            regs[EDX] = 0;
        break;
    }
}

/* One policy for all so far; d is where a domain's own will come from. */
void pv_cpuid(const struct domain *d, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    const struct cpuid_mask *m = find_mask(leaf, subleaf);

    (void)d;
    regs[EAX] = regs[EBX] = regs[ECX] = regs[EDX] = 0;
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf <= XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES)) {
        hypervisor_leaf(leaf, subleaf, regs);
    } else if (m) {
        arch_cpuid(leaf, subleaf, regs);
        for (unsigned int i = 0; i < 4; i++)
            regs[i] &= m->mask[i];
        adjust(leaf, subleaf, regs);
    }
}
