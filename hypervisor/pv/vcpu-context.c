#include "pv/vcpu-context.h"

#include "core/domain.h"
#include "lib/string.h"
#include "pv/descriptor.h"
#include "pv/guest-state.h"
#include "pv/mmu.h"
#include "pv/traps.h"

static bool addresses_ok(const struct vcpu_guest_context *c) {
    const uint64_t must_be_canonical[] = {
        c->user_regs.rip, c->event_callback_eip, c->failsafe_callback_eip, c->syscall_callback_eip,
        c->fs_base,       c->gs_base_kernel,     c->gs_base_user,          c->ldt_base,
    };

    for (unsigned int i = 0; i < ARRAY_LEN(must_be_canonical); i++)
        if (!va_is_canonical(must_be_canonical[i]))
            return false;
    for (unsigned int i = 0; i < ARRAY_LEN(c->trap_ctxt); i++)
        if (!va_is_canonical(c->trap_ctxt[i].address))
            return false;
    return pv_kernel_sp_ok(c->kernel_sp);
}

static bool context_ok(const struct vcpu_guest_context *c) {
    if (!(c->flags & VGCF_in_kernel) && !c->ctrlreg[1])
        return false;
    if (c->gdt_ents > FIRST_RESERVED_GDT_ENTRY || c->ldt_ents > LDT_MAX_ENTRIES ||
        c->ldt_base & ~PAGE_MASK)
        return false;
    return addresses_ok(c);
}

static void load_regs(struct vcpu *v, const struct vcpu_guest_context *c) {
    struct cpu_user_regs *regs = &v->arch.regs;

    *regs = c->user_regs;
    regs->error_code = regs->entry_vector = 0;
    regs->cs |= 3;
    regs->ss |= 3;
    regs->ds = selector_ring3(regs->ds);
    regs->es = selector_ring3(regs->es);
    regs->fs = selector_ring3(regs->fs);
    regs->gs = selector_ring3(regs->gs);
    v->arch.iopl = regs->rflags >> 12 & 3;
    regs->rflags = rflags_for_guest(regs->rflags);
    v->arch.kernel_mode = c->flags & VGCF_in_kernel;
    v->arch.exit = EXIT_IRET;
    v->arch.fs_base = c->fs_base;
    v->arch.gs_base_kernel = c->gs_base_kernel;
    v->arch.gs_base_user = c->gs_base_user;
    v->arch.kernel_ss = selector_ring3((uint16_t)c->kernel_ss);
    v->arch.kernel_sp = c->kernel_sp;
}

static struct pv_callback callback(uint64_t eip, bool masks_events) {
    return (struct pv_callback){.eip = eip, .masks_events = eip && masks_events};
}

static void load_entries(struct vcpu *v, const struct vcpu_guest_context *c) {
    for (unsigned int i = 0; i < ARRAY_LEN(c->trap_ctxt); i++) {
        v->arch.traps[i] = c->trap_ctxt[i];
        v->arch.traps[i].cs = selector_ring3(c->trap_ctxt[i].cs);
    }
    pv_update_fault_path(v);
    v->arch.event = callback(c->event_callback_eip, true);
    v->arch.failsafe = callback(c->failsafe_callback_eip, c->flags & VGCF_failsafe_disables_events);
    v->arch.syscall = callback(c->syscall_callback_eip, c->flags & VGCF_syscall_disables_events);
}

/*
 * What a context cannot hold (control bits out of the policy, breakpoints in our range) is left
 * out.
 */
static void load_control(struct vcpu *v, const struct vcpu_guest_context *c) {
    v->arch.ts = c->ctrlreg[0] & CR0_TS;
    v->arch.cr4 = (uint32_t)(c->ctrlreg[4] & CR4_GUEST);
    for (unsigned int i = 0; i < 8; i++)
        if (i != 4 && i != 5 && pv_set_debugreg(v, i, c->debugreg[i]))
            v->arch.debugreg[i] = 0;
    if (c->flags & VGCF_i387_valid)
        arch_vcpu_fpu_load(v, &c->fpu_ctxt);
    else
        arch_vcpu_fpu_reset(v);
    if (v->id == 0)
        v->domain->vm_assist = (uint32_t)c->vm_assist & PV_ASSISTS;
}

int pv_vcpu_context_load(struct vcpu *v, const struct vcpu_guest_context *c) {
    int rc;

    if (!context_ok(c))
        return -EINVAL;
    rc = mmu_new_kernel_base(v, mfn_of(xen_cr3_to_pfn(c->ctrlreg[3])));
    if (!rc)
        rc = mmu_new_user_base(v, mfn_of(xen_cr3_to_pfn(c->ctrlreg[1])));
    if (!rc)
        rc = pv_set_gdt(v, c->gdt_frames, (unsigned int)c->gdt_ents);
    if (rc)
        return rc;
    pv_set_ldt(v, c->ldt_base, (unsigned int)c->ldt_ents);
    load_regs(v, c);
    load_control(v, c);
    load_entries(v, c);
    __atomic_store_n(&v->initialised, true, __ATOMIC_RELEASE);
    return 0;
}

void pv_vcpu_context_save(const struct vcpu *v, struct vcpu_guest_context *c) {
    memset(c, 0, sizeof(*c));
    memcpy(&c->fpu_ctxt, v->arch.fpu, sizeof(c->fpu_ctxt));
    c->flags = VGCF_i387_valid | (v->arch.kernel_mode ? VGCF_in_kernel : 0) |
               (READ_ONCE(v->sched.stop) & STOP_DOWN ? 0 : VGCF_online) |
               (v->arch.failsafe.masks_events ? VGCF_failsafe_disables_events : 0) |
               (v->arch.syscall.masks_events ? VGCF_syscall_disables_events : 0);
    c->user_regs = v->arch.regs;
    c->user_regs.error_code = c->user_regs.entry_vector = 0;
    c->user_regs.rflags |= v->arch.iopl * BIT(12);
    memcpy(c->trap_ctxt, v->arch.traps, sizeof(c->trap_ctxt));
    c->ldt_base = v->arch.ldt_base;
    c->ldt_ents = v->arch.ldt_entries;
    memcpy(c->gdt_frames, v->arch.gdt_mfn, sizeof(c->gdt_frames));
    c->gdt_ents = v->arch.gdt_entries;
    c->kernel_ss = v->arch.kernel_ss;
    c->kernel_sp = v->arch.kernel_sp;
    c->ctrlreg[0] = v->arch.ts ? CR0_TS : 0;
    c->ctrlreg[1] = xen_pfn_to_cr3(v->arch.user_l4.n);
    c->ctrlreg[3] = xen_pfn_to_cr3(v->arch.kernel_l4.n);
    c->ctrlreg[4] = v->arch.cr4;
    memcpy(c->debugreg, v->arch.debugreg, sizeof(c->debugreg));
    c->event_callback_eip = v->arch.event.eip;
    c->failsafe_callback_eip = v->arch.failsafe.eip;
    c->syscall_callback_eip = v->arch.syscall.eip;
    c->vm_assist = v->id == 0 ? v->domain->vm_assist : 0;
    c->fs_base = v->arch.fs_base;
    c->gs_base_kernel = v->arch.gs_base_kernel;
    c->gs_base_user = v->arch.gs_base_user;
}
