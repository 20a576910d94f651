/*
 * The seam, part 3: a PV vcpu as the entry code, the machine and pv/ see it.
 * The same on every machine; the assembly reads it through generated offsets.
 */
#ifndef ARCH_VCPU_H
#define ARCH_VCPU_H

#include <abi/xen.h>

#include "lib/types.h"

struct domain;
struct vcpu;

/* Where a guest asked to be called, and how (callback_op). */
struct pv_callback {
    uint64_t eip;
    bool masks_events;
};

/* How the exit path may leave to the guest. */
enum guest_exit {
    EXIT_IRET = 0,    /* every register is restored */
    EXIT_SYSRET = 1,  /* rcx and r11 may be lost: the guest came by syscall */
};

struct arch_vcpu {
    uint64_t cpu_stack;              /* stack top of the cpu we run on; entry code loads it */
    /*
     * The guest's registers. On entry from the guest the processor pushes straight into
     * this frame (the TSS stack pointer is &regs.es), so it is always the truth while
     * the hypervisor runs. &regs.es must be 16-byte aligned (asserted in arch).
     */
    struct cpu_user_regs regs;

    /* Mode. Guest kernel and guest user both run in ring 3. */
    bool kernel_mode;                /* which of the two we came from / return to  */
    uint8_t exit;                    /* enum guest_exit; EXIT_SYSRET while it runs  */
    uint8_t iopl;                    /* virtual IOPL, PHYSDEVOP_set_iopl           */
    bool ts;                         /* virtual CR0.TS                             */
    bool nmi_masked;                 /* an NMI is being handled, until iret        */
    bool nmi_pending;
    bool shows_iopl;                 /* the domain has VMASST_TYPE_architectural_iopl */
    uint32_t cr4;                    /* the guest's view of CR4                    */

    /* Page tables: mfns; each non-zero one holds a PAGE_L4 type reference. */
    mfn_t kernel_l4, user_l4;        /* user_l4.n == 0: none                       */
    uint64_t kernel_cr3, user_cr3;   /* the values to load                         */
    mfn_t unwinding[2];              /* tables left partial on our account, pv/mmu.h  */

    /* Segment state; valid while not loaded in a processor. gs_base_* by mode. */
    uint64_t fs_base, gs_base_kernel, gs_base_user;

    /* Upcalls. */
    uint64_t kernel_sp, kernel_ss;
    struct pv_callback event, failsafe, syscall, syscall32, sysenter;
    struct trap_info *traps;         /* 256 entries, one page */
    uint64_t page_fault_eip;         /* #PF handler if user faults may go straight to it, or 0 */

    /* Descriptor tables. */
    uint64_t gdt_mfn[16];            /* 14 used; each holds a PAGE_SEGDESC reference */
    unsigned int gdt_entries;
    uint64_t ldt_base;               /* guest linear address */
    unsigned int ldt_entries;
    uint32_t ldt_mapped;             /* bit n: LDT page n is in the window, holding a reference */
    uint64_t ldt_mfn[16];            /* the frames of those */

    uint64_t debugreg[8];            /* dr0-3, 6, 7 */

    guest_va_t iobitmap;             /* PHYSDEVOP_set_iobitmap: guest address of the bitmap */
    unsigned int iobitmap_ports;

    void *fpu;                       /* XSAVE area, 64-byte aligned, one allocation */
    uint64_t xcr0;                   /* guest's XCR0 */
    uint32_t tsc_aux;

    void *window;                    /* machine: L1 entries of the descriptor window */
};

struct arch_domain {
    void *window_l3;                 /* machine: page table page of the per-domain slot */
    void *priv;
};

/*
 * Allocate / release the machine's part (window, FPU area, stack links).
 * Errors: -ENOMEM.
 */
MUST_CHECK int arch_domain_init(struct domain *d);
void arch_domain_destroy(struct domain *d);
MUST_CHECK int arch_vcpu_init(struct vcpu *v);
void arch_vcpu_destroy(struct vcpu *v);

/* Bytes at v->arch.fpu: an XSAVE image in the standard form, or an FXSAVE image. */
size_t arch_fpu_area_size(void);
/* Reset FPU state to what a fresh processor has / load it from and to the ABI's fpu_ctxt. */
void arch_vcpu_fpu_reset(struct vcpu *v);
void arch_vcpu_fpu_load(struct vcpu *v, const void *fxsave_512);
/*
 * XCR0 bits a guest may set (0: no XSAVE), and setting them for v.
 * Errors: -EINVAL a value the processor or the policy does not allow.
 */
uint64_t arch_xcr0_mask(void);
MUST_CHECK int arch_vcpu_set_xcr0(struct vcpu *v, uint64_t xcr0);
/* v->arch.ts, cr4, debugreg or iopl changed and v is current: make the processor agree. */
void arch_vcpu_update_cr(struct vcpu *v);
void arch_vcpu_load_debugregs(struct vcpu *v);
/* Load one of FS base, kernel GS base, user GS base (SEGBASE_*) of the current vcpu now. */
void arch_set_segment_base(struct vcpu *v, unsigned int which, uint64_t base);
uint64_t arch_get_segment_base(struct vcpu *v, unsigned int which);
/* Load the user GS selector of the current vcpu; -EFAULT if it faults (NUL loaded instead). */
MUST_CHECK int arch_load_user_gs(struct vcpu *v, uint16_t selector);

/*
 * The current vcpu changes between guest kernel and guest user mode: swap GS bases, load the
 * other page table. The caller has checked that a user table exists.
 */
void arch_toggle_guest_mode(struct vcpu *v);

#endif
