/*
 * Floating-point and vector state, switched eagerly: a cpu never holds one vcpu's registers while
 * another runs. While a vcpu's virtual TS is set the real one is, so that #NM comes.
 */
#include "arch/x86/asm.h"
#include "arch/x86/entry.h"
#include "arch/x86/processor.h"
#include "core/cpu.h"
#include "core/vcpu.h"
#include "lib/string.h"

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define XCR0_POLICY (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

#define FCW_DEFAULT   0x37f
#define MXCSR_DEFAULT 0x1f80

/* The FXSAVE image, and behind it what XSAVE adds. */
struct fpu_area {
    uint16_t fcw;
    uint8_t reserved0[22];
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[480];
    uint64_t xstate_bv, xcomp_bv, reserved1[6];
};
_Static_assert(offsetof(struct fpu_area, xstate_bv) == 512, "XSAVE header");

static RO_AFTER_INIT size_t area_size = 512;
static RO_AFTER_INIT uint64_t xcr0_mask; /* 0: no XSAVE */
static RO_AFTER_INIT uint32_t mxcsr_mask = 0xffbf;

static void load_xcr0(uint64_t value) {
    struct cpu *cpu = this_cpu();

    if (value == cpu->arch.xcr0)
        return;
    cpu->arch.xcr0 = value;
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* The sizes are the same on all cpus; components lie where CPUID leaf 0xd says. */
static INIT_TEXT void find_sizes(void) {
    ALIGNED(16) struct fpu_area probe;
    uint32_t regs[4];

    memset(&probe, 0, sizeof(probe));
    __asm__ volatile("fxsave %0" : "=m"(probe));
    if (probe.mxcsr_mask)
        mxcsr_mask = probe.mxcsr_mask;
    if (!cpu_features.xsave)
        return;
    cpuid(0xd, 0, regs);
    xcr0_mask = regs[0] & XCR0_POLICY;
    if ((xcr0_mask & XCR0_AVX512) != XCR0_AVX512)
        xcr0_mask &= ~XCR0_AVX512;
    area_size = sizeof(struct fpu_area);
    for (unsigned int i = 2; xcr0_mask >> i; i++) {
        if (!(xcr0_mask & BIT(i)))
            continue;
        cpuid(0xd, i, regs);
        area_size = MAX(area_size, (size_t)regs[0] + regs[1]);
    }
}

INIT_TEXT void fpu_cpu_init(struct cpu *cpu) {
    if (cpu->id == 0)
        find_sizes();
    if (xcr0_mask)
        load_xcr0(xcr0_mask);
}

size_t arch_fpu_area_size(void) {
    return area_size;
}

uint64_t arch_xcr0_mask(void) {
    return xcr0_mask;
}

void arch_vcpu_fpu_reset(struct vcpu *v) {
    struct fpu_area *a = v->arch.fpu;

    memset(a, 0, area_size);
    a->fcw = FCW_DEFAULT;
    a->mxcsr = MXCSR_DEFAULT;
    v->arch.xcr0 = xcr0_mask & XCR0_X87;
}

void arch_vcpu_fpu_load(struct vcpu *v, const void *fxsave_512) {
    struct fpu_area *a = v->arch.fpu;

    arch_vcpu_fpu_reset(v);
    memcpy(a, fxsave_512, 512);
    a->mxcsr &= mxcsr_mask;
    if (xcr0_mask)
        a->xstate_bv = XCR0_X87 | XCR0_SSE;
}

/* AVX needs SSE, AVX-512 needs AVX and comes whole; the processor insists on the same. */
int arch_vcpu_set_xcr0(struct vcpu *v, uint64_t xcr0) {
    if (!(xcr0 & XCR0_X87) || xcr0 & ~xcr0_mask || (xcr0 & XCR0_AVX && !(xcr0 & XCR0_SSE)) ||
        (xcr0 & XCR0_AVX512 && (xcr0 & (XCR0_AVX | XCR0_AVX512)) != (XCR0_AVX | XCR0_AVX512)))
        return -EINVAL;
    v->arch.xcr0 = xcr0;
    if (v == current_vcpu())
        load_xcr0(xcr0);
    return 0;
}

/* All components, whatever the guest has switched on: what it switches on later must be its own. */
void fpu_save(struct vcpu *v) {
    struct fpu_area *a = v->arch.fpu;
    uint64_t cr0 = read_cr0();

    if (cr0 & CR0_TS)
        __asm__ volatile("clts");
    if (xcr0_mask) {
        load_xcr0(xcr0_mask);
        __asm__ volatile("xsave64 %0" : "+m"(*a) : "a"((uint32_t)xcr0_mask), "d"(0) : "memory");
        load_xcr0(v->arch.xcr0);
    } else {
        __asm__ volatile("fxsave64 %0" : "=m"(*a)::"memory");
    }
    if (cr0 & CR0_TS)
        write_cr0(cr0);
}

static bool restore_area(const struct fpu_area *a) {
    bool ok = false;

    if (xcr0_mask)
        __asm__ volatile("1: xrstor64 %1; mov $1, %0\n2:\n" EXTABLE(1b, 2b)
                         : "+q"(ok)
                         : "m"(*a), "a"((uint32_t)xcr0_mask), "d"(0)
                         : "memory");
    else
        __asm__ volatile("1: fxrstor64 %1; mov $1, %0\n2:\n" EXTABLE(1b, 2b)
                         : "+q"(ok)
                         : "m"(*a)
                         : "memory");
    return ok;
}

/* An image that came from a toolstack may be one the processor refuses: then start afresh. */
void fpu_load(struct vcpu *v) {
    static const uint32_t zero;

    /*
     * Some processors restore the last instruction's addresses only with an exception pending, so
     * the next vcpu would see the last one's: make them ours.
     */
    __asm__ volatile("clts; fnclex; ffree %%st(7); fildl %0" ::"m"(zero));
    if (xcr0_mask)
        load_xcr0(xcr0_mask);
    if (!restore_area(v->arch.fpu)) {
        arch_vcpu_fpu_reset(v);
        (void)restore_area(v->arch.fpu);
    }
    if (xcr0_mask)
        load_xcr0(v->arch.xcr0);
}
