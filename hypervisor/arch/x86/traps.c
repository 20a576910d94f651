/* Exceptions in C: from the guest (handed to pv) and from the hypervisor (fixed up, or the end). */
#include "pv/traps.h"
#include "arch/x86/apic.h"
#include "arch/x86/entry.h"
#include "arch/x86/processor.h"
#include "arch/x86/window.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "lib/string.h"
#include "pv/descriptor.h"

#define DR6_RESERVED 0xffff0ff0
#define PF_PRESENT   BIT(0)
#define PF_USER      BIT(2)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_FIXED BIT(1)
#define RFLAGS_AC    BIT(18)

struct exception_table_entry {
    int32_t from, to; /* relative to the field itself */
};
extern const struct exception_table_entry exception_table_start[], exception_table_end[];
/* entry.S: the fixup that marks an iretq to a guest, and where to go on once it is sorted out. */
extern char guest_iretq_fault[], guest_trapped[];

static uint64_t table_address(const int32_t *field) {
    return (uint64_t)((intptr_t)field + *field);
}

static uint64_t find_fixup(uint64_t rip) {
    for (const struct exception_table_entry *e = exception_table_start; e < exception_table_end;
         e++)
        if (table_address(&e->from) == rip)
            return table_address(&e->to);
    return 0;
}

/* DR6 as it is after this #DB, and the processor's cleared for the next. */
static uint64_t take_dr6(void) {
    uint64_t dr6;

    __asm__ volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r"(dr6) : "r"((uint64_t)DR6_RESERVED));
    return dr6;
}

/*
 * A fault while the processor read a descriptor: GDT slots are always mapped, LDT pages come on
 * first use. Returns true if it was that.
 */
static bool ldt_window_fault(struct vcpu *v, uint64_t va) {
    uint64_t offset = va - window_ldt_va(v);

    if (offset >= LDT_WINDOW_SIZE || v->arch.regs.error_code & PF_USER)
        return false;
    if (!pv_ldt_fault(v, (uint32_t)offset))
        pv_inject(v, 13, (uint32_t)(offset & ~UINT64_C(7)) | 4);
    return true;
}

/*
 * In ring 3 only descriptor tables are read as a supervisor, and those are ours. QEMU before 8.0
 * reads the frame of a guest's iretq in that way, too, and then finds SMAP in the way: do without.
 */
static bool smap_is_broken(const struct cpu_user_regs *regs, uint64_t va) {
    if ((regs->error_code & (PF_PRESENT | PF_USER)) != PF_PRESENT || !(read_cr4() & CR4_SMAP) ||
        (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END))
        return false;
    pr_warn("cpu %u: SMAP hinders the guest, as in some emulators; switched off\n", this_cpu()->id);
    cpu_withhold_cr4(CR4_SMAP);
    return true;
}

static void guest_page_fault(struct vcpu *v) {
    const struct cpu_user_regs *regs = &v->arch.regs;
    uint64_t va = read_cr2();

    irq_enable();
    if (!ldt_window_fault(v, va) && !smap_is_broken(regs, va))
        pv_exception(v, TRAP_PF, regs->error_code, va);
}

void guest_exception(struct vcpu *v) {
    unsigned int vector = v->arch.regs.entry_vector;

    if (vector == TRAP_PF) {
        guest_page_fault(v);
        return;
    }
    if (vector == TRAP_DB)
        v->arch.debugreg[6] |= take_dr6();
    irq_enable();
    pv_exception(v, vector, v->arch.regs.error_code, 0);
}

void guest_stack_fault(struct vcpu *v) {
    domain_crash(v->domain, "vcpu %u: kernel stack %#lx is not writable", v->id,
                 v->arch.kernel_sp);
}

/*
 * iretq would not take the frame (the guest's selectors or rip): the guest is to see that as a
 * fault of its own at its target. All its registers are in ours, its frame is where rsp points.
 */
static void iretq_failed(struct cpu_user_regs *regs) {
    struct cpu *cpu = this_cpu();
    struct vcpu *v = cpu->current;
    struct cpu_user_regs *guest = &v->arch.regs;

    memcpy(guest, regs, offsetof(struct cpu_user_regs, rip)); /* general registers, error, vector */
    memcpy(&guest->rip, (const void *)regs->rsp,
           offsetof(struct cpu_user_regs, es) - offsetof(struct cpu_user_regs, rip));
    v->arch.exit = EXIT_IRET;
    regs->rip = (uintptr_t)guest_trapped;
    regs->rsp = (uintptr_t)cpu;
    regs->rbx = (uintptr_t)v;
    regs->rflags = RFLAGS_FIXED;
}

/* A fault of ours that only a stale translation or a not yet mapped LDT page caused. */
static bool fault_cured(const struct cpu_user_regs *regs, uint64_t va) {
    struct vcpu *v = current_vcpu();

    if (!v)
        return false;
    if (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END)
        return regs->rflags & RFLAGS_IF && va - window_ldt_va(v) < LDT_WINDOW_SIZE &&
               pv_ldt_fault(v, (uint32_t)(va - window_ldt_va(v)));
    /* With SMAP, an access outside guest_copy() and its like must not be taken for a stale one. */
    return (!cpu_features.smap || regs->rflags & RFLAGS_AC) &&
           pv_fault_is_spurious(v, va, regs->error_code);
}

static void hypervisor_fault(struct cpu_user_regs *regs) {
    uint64_t va = regs->entry_vector == TRAP_PF ? read_cr2() : 0, fixup;

    if (regs->entry_vector == TRAP_PF && fault_cured(regs, va))
        return;
    fixup = find_fixup(regs->rip);
    if (fixup == (uintptr_t)guest_iretq_fault && (((const uint64_t *)regs->rsp)[1] & 3) == 3)
        iretq_failed(regs);
    else if (fixup && fixup != (uintptr_t)guest_iretq_fault)
        regs->rip = fixup;
    else
        panic_regs(regs, "exception %u in the hypervisor, error %#x, cr2 %#lx", regs->entry_vector,
                   regs->error_code, va);
}

/*
 * Here anything may be interrupted, also entry and exit code: touch nothing but this stack, leave a
 * mark where the next exit to dom0 looks, and make this cpu exit. (The work word is not for that:
 * who
 * sets it first owes the interrupt.) Reason bits are those of port 0x61.
 */
static void nmi(void) {
    uint8_t reason = inb(0x61) & 0xc0;
    struct vcpu *v = dom0 ? dom0->vcpu[0] : NULL;

    if (!reason || !v)
        return;
    outb(0x61, (inb(0x61) & 0x0f) | (reason & 0x80 ? 4 : 8));
    dom0->shared_info->arch.nmi_reason =
        reason & 0x80 ? XEN_NMIREASON_pci_serr : XEN_NMIREASON_io_error;
    v->arch.nmi_pending = true;
    apic_send_ipi_self(VECTOR_KICK);
}

void hypervisor_exception(struct cpu_user_regs *regs) {
    switch (regs->entry_vector) {
    case TRAP_DB:
        /*
         * A guest's breakpoint on its own memory that we touched, or single steps that it carried
         * in by sysenter or mov ss: it does not get to see those.
         */
        (void)take_dr6();
        regs->rflags &= ~RFLAGS_TF;
        break;
    case TRAP_NMI:
        nmi();
        break;
    case TRAP_DF:
        panic_regs(regs, "double fault");
    case TRAP_MC:
        panic_regs(regs, "machine check");
    default:
        if (regs->entry_vector >= 32)
            arch_interrupt(regs->entry_vector);
        else
            hypervisor_fault(regs);
    }
}
