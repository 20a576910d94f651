#include "arch/cpu.h"
#include "arch/time.h"
#include "core/domain.h"
#include "pv/emulate.h"
#include "pv/guest-state.h"

#define MSR_FS_BASE   0xc0000100
#define MSR_KERNEL_GS 0xc0000102
#define MSR_TSC_AUX   0xc0000103

/* The memory types PV guests are promised, WB WT UC- UC WC WP UC UC. */
#define PAT_VALUE UINT64_C(0x050100070406)
/* Enabled, at its usual address; the boot processor's says so. */
#define APIC_BASE_VALUE UINT64_C(0xfee00800)
#define APIC_BASE_BSP   BIT(8)

#define CPUID_RDTSCP BIT(27) /* leaf 0x80000001, edx */

static bool has_tsc_aux(const struct domain *d) {
    uint32_t regs[4];

    pv_cpuid(d, 0x80000001, 0, regs);
    return regs[3] & CPUID_RDTSCP;
}

/*
 * FS_BASE, GS_BASE, KERNEL_GS_BASE: a kernel in ring 0 sees its own GS first, the user's behind
 * swapgs.
 */
static unsigned int segment_of(uint32_t msr) {
    static const uint8_t segments[] = {SEGBASE_FS, SEGBASE_GS_KERNEL, SEGBASE_GS_USER};

    return segments[msr - MSR_FS_BASE];
}

static int read_base(struct vcpu *v, uint32_t msr, uint64_t *value) {
    *value = arch_get_segment_base(v, segment_of(msr));
    return 0;
}
static int write_base(struct vcpu *v, uint32_t msr, uint64_t value) {
    if (!va_is_canonical(value))
        return -EFAULT;
    arch_set_segment_base(v, segment_of(msr), value);
    return 0;
}

static int read_tsc(struct vcpu *v, uint32_t msr, uint64_t *value) {
    (void)v, (void)msr;
    *value = arch_read_tsc();
    return 0;
}

static int read_apic_base(struct vcpu *v, uint32_t msr, uint64_t *value) {
    (void)msr;
    *value = APIC_BASE_VALUE | (v->id == 0 ? APIC_BASE_BSP : 0);
    return 0;
}

static int read_pat(struct vcpu *v, uint32_t msr, uint64_t *value) {
    (void)v, (void)msr;
    *value = PAT_VALUE;
    return 0;
}

static int read_zero(struct vcpu *v, uint32_t msr, uint64_t *value) {
    (void)v, (void)msr;
    *value = 0;
    return 0;
}

static int read_tsc_aux(struct vcpu *v, uint32_t msr, uint64_t *value) {
    (void)msr;
    *value = v->arch.tsc_aux;
    return has_tsc_aux(v->domain) ? 0 : -EFAULT;
}
static int write_tsc_aux(struct vcpu *v, uint32_t msr, uint64_t value) {
    if (value > UINT32_MAX || !has_tsc_aux(v->domain))
        return -EFAULT;
    v->arch.tsc_aux = (uint32_t)value;
    return arch_wrmsr_safe(msr, value);
}

static int read_machine(struct vcpu *v, uint32_t msr, uint64_t *value) {
    (void)v;
    return arch_rdmsr_safe(msr, value);
}

/* Written back unchanged by careful kernels: fine. Anything else: no. */
static int write_same(struct vcpu *v, uint32_t msr, uint64_t value) {
    uint64_t now;
    int rc = pv_rdmsr(v, msr, &now);

    return rc || now != value ? -EFAULT : 0;
}

static int write_nothing(struct vcpu *v, uint32_t msr, uint64_t value) {
    (void)v, (void)msr, (void)value;
    return 0;
}

static const struct msr_rule {
    uint32_t first, last;
    int (*read)(struct vcpu *v, uint32_t msr, uint64_t *value);
    int (*write)(struct vcpu *v, uint32_t msr, uint64_t value);
} rules[] = {
    {0xc0000100, 0xc0000102, read_base, write_base},         /* FS_BASE, GS_BASE, KERNEL_GS_BASE */
    {MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux}, /* what rdtscp and rdpid tell */
    {0xc0000080, 0xc0000080, read_machine, write_same},      /* EFER */
    {0x10, 0x10, read_tsc, NULL},                            /* TSC */
    {0x1b, 0x1b, read_apic_base, write_same},                /* APIC_BASE */
    {0x8b, 0x8b, read_machine, write_nothing},               /* microcode: cleared, then read */
    {0xce, 0xce, read_zero, NULL},                           /* PLATFORM_INFO: no CPUID faulting */
    {0x140, 0x140, read_zero, write_same},                   /* MISC_FEATURES_ENABLES */
    {0x179, 0x17a, read_zero, write_same},                   /* MCG_CAP, MCG_STATUS: no banks */
    {0x1a0, 0x1a0, read_machine, write_same},                /* MISC_ENABLE */
    {0x277, 0x277, read_pat, write_same},                    /* PAT */
    {0xc0010000, 0xc0010007, read_zero, write_nothing},      /* K7 counters: none */
    {0xc0010015, 0xc0010015, read_machine, write_same},      /* HWCR */
    {0xc001001f, 0xc001001f, read_zero, write_same},         /* NB_CFG */
    {0xc0011020, 0xc0011020, read_zero, write_same},         /* LS_CFG */
    {0xc0011028, 0xc0011029, read_zero, write_same},         /* FP_CFG, DE_CFG */
};

static const struct msr_rule *find_rule(uint32_t msr) {
    for (unsigned int i = 0; i < ARRAY_LEN(rules); i++)
        if (msr >= rules[i].first && msr <= rules[i].last)
            return &rules[i];
    return NULL;
}

int pv_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value) {
    const struct msr_rule *rule = find_rule(msr);

    return rule && rule->read ? rule->read(v, msr, value) : -EFAULT;
}

int pv_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value) {
    const struct msr_rule *rule = find_rule(msr);

    return rule && rule->write ? rule->write(v, msr, value) : -EFAULT;
}
