#include "pv/traps.h"

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "pv/descriptor.h"
#include "pv/emulate.h"
#include "pv/guest-state.h"
#include "pv/hypercall.h"
#include "pv/mmu.h"

enum {
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_INT80 = 0x80,
};
/* Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP. */
#define HAS_ERROR_CODE(vector) ((vector) < 32 && 0x227d00 >> (vector)&1)

#define PF_PRESENT  BIT(0)
#define PF_WRITE    BIT(1)
#define PF_USER     BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH    BIT(4)

#define EC_IDT 2 /* a selector error code that names an IDT gate */

/* Flags a handler never starts with. */
#define BOUNCE_CLEARS (RFLAGS_TF | RFLAGS_RF | RFLAGS_AC | RFLAGS_FORCED)

#define EXTRA_MAX 4

/* The frame of an entry to the guest kernel, with up to four words of the entry's own after r11. */
static bool bounce(struct vcpu *v, uint64_t eip, bool mask_events, const uint64_t *extra,
                   unsigned int nr_extra) {
    struct cpu_user_regs *regs = &v->arch.regs;
    uint64_t frame[7 + EXTRA_MAX], sp = v->arch.kernel_mode ? regs->rsp : v->arch.kernel_sp;
    uint8_t masked = READ_ONCE(v->info->evtchn_upcall_mask);
    size_t len = (7 + nr_extra) * sizeof(uint64_t);
    uint64_t *f = frame;

    *f++ = regs->rcx;
    *f++ = regs->r11;
    for (unsigned int i = 0; i < nr_extra; i++)
        *f++ = extra[i];
    *f++ = regs->rip;
    *f++ = (v->arch.kernel_mode ? regs->cs & ~UINT64_C(3) : regs->cs) | (uint64_t)masked << 32;
    *f++ =
        (regs->rflags & ~(RFLAGS_IF | RFLAGS_IOPL)) | (masked ? 0 : RFLAGS_IF) |
        (v->domain->vm_assist & 1u << VMASST_TYPE_architectural_iopl ? v->arch.iopl * BIT(12) : 0);
    *f++ = regs->rsp;
    *f++ = regs->ss;

    if (!v->arch.kernel_mode)
        arch_toggle_guest_mode(v);
    sp = (sp & ~UINT64_C(15)) - len;
    if (!eip || copy_to_guest((guest_va_t){sp}, frame, len)) {
        domain_crash(v->domain, "vcpu %u: cannot enter its kernel at %#lx, stack %#lx", v->id, eip,
                     sp);
        return false;
    }
    if (mask_events)
        WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
    regs->rip = eip;
    regs->cs = FLAT_KERNEL_CS;
    regs->ss = FLAT_KERNEL_SS;
    regs->rsp = sp;
    regs->rflags = (regs->rflags & ~BOUNCE_CLEARS) | RFLAGS_IF;
    v->arch.exit = EXIT_SYSRET;
    return true;
}

bool pv_bounce(struct vcpu *v, uint64_t eip, bool mask_events, bool has_error,
               uint32_t error_code) {
    uint64_t extra = error_code;

    return bounce(v, eip, mask_events, &extra, has_error);
}

void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error_code) {
    const struct trap_info *ti = &v->arch.traps[vector & 255];

    if (!ti->address) {
        domain_crash(v->domain, "vcpu %u: exception %u at %#lx, and no handler", v->id, vector,
                     v->arch.regs.rip);
        return;
    }
    pv_bounce(v, ti->address, TI_GET_IF(ti), HAS_ERROR_CODE(vector), error_code);
}

void pv_inject_page_fault(struct vcpu *v, uint32_t error_code, uint64_t cr2) {
    v->info->arch.cr2 = cr2;
    pv_inject(v, VEC_PF, error_code);
}

/* ---- routing ---- */

bool pv_fault_is_spurious(struct vcpu *v, uint64_t va, uint32_t error_code) {
    if (!(error_code & PF_PRESENT) || error_code & PF_RESERVED ||
        !mmu_access_ok(v, va, error_code & PF_WRITE, !v->arch.kernel_mode, error_code & PF_FETCH))
        return false;
    arch_tlb_flush_one_local(va);
    return true;
}

static void page_fault(struct vcpu *v, uint32_t error_code, uint64_t va) {
    if (error_code & PF_PRESENT) {
        bool table_write = v->arch.kernel_mode &&
                           (error_code & (PF_WRITE | PF_RESERVED)) == PF_WRITE &&
                           v->domain->vm_assist & 1u << VMASST_TYPE_writable_pagetables;

        if (table_write && ptwr_fault(v, va, error_code))
            return;
        if (pv_fault_is_spurious(v, va, error_code))
            return;
    }
    /* To the processor all of the guest is user mode. */
    error_code &= PF_PRESENT | PF_WRITE | PF_RESERVED | PF_FETCH;
    pv_inject_page_fault(v, v->arch.kernel_mode ? error_code : error_code | PF_USER, va);
}

/* Whom a handler lets raise it by INT n: kernel mode counts as ring 1. */
static bool may_raise(const struct vcpu *v, const struct trap_info *ti) {
    return ti->address && TI_GET_DPL(ti) >= (v->arch.kernel_mode ? 1 : 3);
}

static void raise_by_software(struct vcpu *v, const struct trap_info *ti) {
    pv_bounce(v, ti->address, TI_GET_IF(ti), false, 0);
}

/* An INT n whose gate is not for ring 3, or an instruction that is ours to do. */
static void general_protection(struct vcpu *v, uint32_t error_code) {
    const struct trap_info *ti = &v->arch.traps[error_code >> 3 & 255];

    if ((error_code & 3) == EC_IDT && may_raise(v, ti)) {
        v->arch.regs.rip += 2;
        raise_by_software(v, ti);
    } else if (error_code || !pv_emulate_privileged(v)) {
        pv_inject(v, VEC_GP, error_code);
    }
}

/* Its gate is for ring 3, so rip is behind it already. */
static void int80(struct vcpu *v) {
    const struct trap_info *ti = &v->arch.traps[VEC_INT80];

    if (may_raise(v, ti)) {
        raise_by_software(v, ti);
    } else {
        v->arch.regs.rip -= 2;
        pv_inject(v, VEC_GP, VEC_INT80 << 3 | EC_IDT);
    }
}

/* The handler's first act would be to clear TS, so that is done with the delivery. */
static void device_not_available(struct vcpu *v) {
    bool wanted = v->arch.ts;

    v->arch.ts = false;
    arch_vcpu_update_cr(v);
    if (wanted)
        pv_inject(v, VEC_NM, 0);
}

void pv_exception(struct vcpu *v, unsigned int vector, uint32_t error_code, uint64_t cr2) {
    switch (vector) {
    case VEC_PF:
        page_fault(v, error_code, cr2);
        break;
    case VEC_GP:
        general_protection(v, error_code);
        break;
    case VEC_NM:
        device_not_available(v);
        break;
    case VEC_INT80:
        int80(v);
        break;
    case VEC_UD:
        if (pv_emulate_forced(v))
            break;
        /* fall through */
    default:
        pv_inject(v, vector, error_code);
    }
}

void pv_deliver_pending(struct vcpu *v) {
    const struct trap_info *nmi = &v->arch.traps[VEC_NMI];

    if (v->arch.nmi_pending && !v->arch.nmi_masked && nmi->address) {
        v->arch.nmi_pending = false;
        v->arch.nmi_masked = true;
        pv_bounce(v, nmi->address, TI_GET_IF(nmi), false, 0);
    } else if (READ_ONCE(v->info->evtchn_upcall_pending) &&
               !READ_ONCE(v->info->evtchn_upcall_mask) && v->arch.event.eip) {
        pv_bounce(v, v->arch.event.eip, true, false, 0);
    }
}

void pv_failsafe(struct vcpu *v) {
    const struct cpu_user_regs *regs = &v->arch.regs;
    const uint64_t selectors[] = {regs->ds, regs->es, regs->fs, regs->gs};

    bounce(v, v->arch.failsafe.eip, v->arch.failsafe.masks_events, selectors, ARRAY_LEN(selectors));
}

/* ---- fast system calls without a callback are undefined instructions ---- */

static void enter_by(struct vcpu *v, const struct pv_callback *cb, unsigned int insn_len) {
    if (cb->eip && !v->arch.kernel_mode) {
        pv_bounce(v, cb->eip, cb->masks_events, false, 0);
        v->arch.regs.rflags &= ~RFLAGS_DF;
    } else {
        v->arch.regs.rip -= insn_len;
        pv_inject(v, VEC_UD, 0);
    }
}

void pv_guest_syscall(struct vcpu *v, bool compat) {
    enter_by(v, compat ? &v->arch.syscall32 : &v->arch.syscall, 2);
}

/*
 * It leaves no return address: whoever has no callback for it gets #GP, as with MSR SYSENTER_CS
 * 0.
 */
void pv_guest_sysenter(struct vcpu *v) {
    if (v->arch.sysenter.eip && !v->arch.kernel_mode)
        enter_by(v, &v->arch.sysenter, 0);
    else
        pv_inject(v, VEC_GP, 0);
}

/* The fast roads know nothing of a virtual IOPL, that of page faults masks events. */
void pv_update_fault_path(struct vcpu *v) {
    const struct trap_info *ti = &v->arch.traps[VEC_PF];

    v->arch.shows_iopl = READ_ONCE(v->domain->vm_assist) & 1u << VMASST_TYPE_architectural_iopl;
    WRITE_ONCE(v->arch.page_fault_eip,
               TI_GET_IF(ti) && !v->arch.shows_iopl ? ti->address : 0);
}

/* ---- set_trap_table(traps): NULL clears, an address of 0 ends ---- */

long hypercall_set_trap_table(struct vcpu *curr, uint64_t arg[6]) {
    struct trap_info *traps = curr->arch.traps, ti;

    if (!arg[0]) {
        for (unsigned int i = 0; i < 256; i++)
            traps[i] = (struct trap_info){.vector = 0};
        pv_update_fault_path(curr);
        return 0;
    }
    for (;;) {
        if (copy_from_guest(&ti, (guest_va_t){arg[0]}, sizeof(ti)))
            return -EFAULT;
        if (!ti.address)
            return 0;
        if (!va_is_canonical(ti.address))
            return -EINVAL;
        ti.cs = selector_ring3(ti.cs);
        traps[ti.vector] = ti;
        if (ti.vector == VEC_PF)
            pv_update_fault_path(curr);
        arg[0] += sizeof(ti);
        if (preempt_needed())
            return -ERESTART;
    }
}
