/*
 * What of a vcpu lives in the processor while it runs: page tables, descriptor tables, segments,
 * debug registers.
 */
#include "arch/x86/asm.h"
#include "arch/x86/entry.h"
#include "arch/x86/paging.h"
#include "arch/x86/processor.h"
#include "arch/x86/sections.h"
#include "arch/x86/window.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "pv/traps.h"

/* The vcpus whose windows one L1 table of the per-domain slot maps. */
#define VCPUS_PER_L1 (512 / WINDOW_SLOTS)
#define DR7_OFF      0x400
#define DR7_ENABLES  0xff
#define CR4_GUEST    (BIT(2) | CR4_DE) /* TSD and DE: what a guest sets, it gets */

static ALIGNED(4096) const uint64_t zero_page[512];

/* ---- the per-domain slot: L3 -> L2 -> one L1 for every 16 vcpus ---- */

static uint64_t table_entry(const void *table) {
    return virt_to_phys(table) | PTE_P | PTE_RW | PTE_A;
}

int arch_domain_init(struct domain *d) {
    uint64_t *l3 = heap_alloc_virt(0), *l2 = heap_alloc_virt(0);

    if (!l3 || !l2) {
        heap_free_virt(l3, 0);
        heap_free_virt(l2, 0);
        return -ENOMEM;
    }
    l3[0] = table_entry(l2);
    d->arch.window_l3 = l3;
    d->arch.priv = l2;
    return 0;
}

void arch_domain_destroy(struct domain *d) {
    uint64_t *l2 = d->arch.priv;

    if (!l2)
        return;
    for (unsigned int i = 0; i < 512; i++)
        if (l2[i])
            heap_free_virt(phys_to_virt(l2[i] & PTE_MFN_MASK), 0);
    heap_free_virt(l2, 0);
    heap_free_virt(d->arch.window_l3, 0);
    d->arch.priv = d->arch.window_l3 = NULL;
}

/* Guest GDT pages that are not set read as zero: a selector into them is a plain #GP. */
static void window_init(struct vcpu *v) {
    mfn_t zeroes = mfn_of(image_phys(zero_page) >> PAGE_SHIFT);

    for (unsigned int slot = 0; slot < WINDOW_HV_SLOT; slot++)
        ((uint64_t *)v->arch.window)[slot] = zeroes.n << PAGE_SHIFT | (MAP_RO & ~PTE_G);
}

int arch_vcpu_init(struct vcpu *v) {
    uint64_t *l2e = (uint64_t *)v->domain->arch.priv + v->id / VCPUS_PER_L1;

    BUG_ON((uintptr_t)&v->arch.regs.es % 16 || v->id >= 512 * VCPUS_PER_L1);
    if (!*l2e) {
        void *l1 = heap_alloc_virt(0);

        if (!l1)
            return -ENOMEM;
        *l2e = table_entry(l1);
    }
    v->arch.window =
        (uint64_t *)phys_to_virt(*l2e & PTE_MFN_MASK) + v->id % VCPUS_PER_L1 * WINDOW_SLOTS;
    v->arch.fpu = mem_alloc(arch_fpu_area_size());
    if (!v->arch.fpu)
        return -ENOMEM;
    window_init(v);
    arch_vcpu_fpu_reset(v);
    v->arch.debugreg[6] = 0xffff0ff0;
    v->arch.debugreg[7] = DR7_OFF;
    return 0;
}

void arch_vcpu_destroy(struct vcpu *v) {
    mem_free(v->arch.fpu);
    v->arch.fpu = NULL;
}

void arch_window_set(struct vcpu *v, unsigned int slot, mfn_t mfn, bool present) {
    uint64_t *e = (uint64_t *)v->arch.window + slot;

    if (present)
        WRITE_ONCE(*e, mfn.n << PAGE_SHIFT | (MAP_RW & ~PTE_G));
    else if (slot < WINDOW_HV_SLOT)
        WRITE_ONCE(*e, image_phys(zero_page) | (MAP_RO & ~PTE_G));
    else
        WRITE_ONCE(*e, 0);
}

/* ---- descriptor tables ---- */

/*
 * The running cpu's own page of descriptors is the last of either table, so HV_x always mean the
 * same.
 */
static void load_gdt(uint64_t base) {
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } gdtr = {GDT_LIMIT, base};

    __asm__ volatile("lgdt %0" ::"m"(gdtr));
}

static void load_cpu_gdt(const struct cpu *cpu) {
    load_gdt((uintptr_t)cpu->arch.gdt - GDT_HV_FIRST);
}

static void load_ldt(struct cpu *cpu, uint64_t base, unsigned int entries) {
    uint64_t *desc = &cpu->arch.gdt[(HV_LDT - GDT_HV_FIRST) / 8], limit = entries * UINT64_C(8) - 1;

    if (entries) {
        desc[0] = UINT64_C(0x820000000000) | (limit & 0xffff) | (base & 0xffffff) << 16 |
                  (base >> 24 & 0xff) << 56 | (limit >> 16) << 48;
        desc[1] = base >> 32;
    }
    __asm__ volatile("lldt %w0" ::"r"(entries ? HV_LDT : 0) : "memory");
}

void arch_load_descriptor_tables(struct vcpu *v) {
    if (v != current_vcpu())
        return;
    load_gdt(window_va(v));
    load_ldt(this_cpu(), window_ldt_va(v), v->arch.ldt_entries);
}

/* ---- page tables ---- */

void arch_load_page_table(struct vcpu *v) {
    write_cr3(v->arch.kernel_mode ? v->arch.kernel_cr3 : v->arch.user_cr3);
}

void arch_load_idle_page_table(void) {
    write_cr3(image_phys(idle_l4));
}

void arch_toggle_guest_mode(struct vcpu *v) {
    v->arch.kernel_mode = !v->arch.kernel_mode;
    __asm__ volatile("swapgs" ::: "memory");
    arch_load_page_table(v);
}

/* ---- segments ---- */

/* Load a data selector; false, and the null selector, if the processor refuses it. */
#define LOAD_SELECTOR(reg)                                                                         \
    static bool load_##reg(uint16_t selector) {                                                    \
        unsigned int ok = 0;                                                                       \
        __asm__ volatile("1: mov %k1, %%" #reg "; mov $1, %0\n"                                    \
                         "2: .pushsection .text.unlikely, \"ax\"\n"                                \
                         "3: mov %0, %%" #reg "; jmp 2b\n"                                         \
                         ".popsection\n" EXTABLE(1b, 3b)                                           \
                         : "+r"(ok)                                                                \
                         : "r"((uint32_t)selector));                                               \
        return ok;                                                                                 \
    }                                                                                              \
    static uint16_t read_##reg(void) {                                                             \
        uint32_t selector;                                                                         \
        __asm__ volatile("mov %%" #reg ", %0" : "=r"(selector));                                   \
        return (uint16_t)selector;                                                                 \
    }                                                                                              \
    static bool change_##reg(uint16_t selector) {                                                  \
        return !(read_##reg() | selector) || load_##reg(selector);                                 \
    }
LOAD_SELECTOR(ds)
LOAD_SELECTOR(es)
LOAD_SELECTOR(fs)
LOAD_SELECTOR(gs)

static uint32_t active_gs_msr(const struct vcpu *v, unsigned int which) {
    return (which == SEGBASE_GS_KERNEL) == v->arch.kernel_mode ? MSR_GS_BASE : MSR_KERNEL_GS;
}

static void save_segments(struct vcpu *v) {
    struct cpu_user_regs *regs = &v->arch.regs;

    regs->ds = read_ds();
    regs->es = read_es();
    regs->fs = read_fs();
    regs->gs = read_gs();
    v->arch.fs_base = rdmsr(MSR_FS_BASE);
    v->arch.gs_base_kernel = rdmsr(active_gs_msr(v, SEGBASE_GS_KERNEL));
    v->arch.gs_base_user = rdmsr(active_gs_msr(v, SEGBASE_GS_USER));
}

/* Returns false if a selector had to be dropped. Bases last: loading a selector changes them. */
static bool load_segments(const struct vcpu *v) {
    const struct cpu_user_regs *regs = &v->arch.regs;
    bool ok = change_ds(regs->ds);

    ok &= change_es(regs->es);
    ok &= change_fs(regs->fs);
    ok &= change_gs(regs->gs);
    wrmsr(MSR_FS_BASE, v->arch.fs_base);
    wrmsr(active_gs_msr(v, SEGBASE_GS_KERNEL), v->arch.gs_base_kernel);
    wrmsr(active_gs_msr(v, SEGBASE_GS_USER), v->arch.gs_base_user);
    return ok;
}

void arch_set_segment_base(struct vcpu *v, unsigned int which, uint64_t base) {
    wrmsr(which == SEGBASE_FS ? MSR_FS_BASE : active_gs_msr(v, which), base);
}

uint64_t arch_get_segment_base(struct vcpu *v, unsigned int which) {
    return rdmsr(which == SEGBASE_FS ? MSR_FS_BASE : active_gs_msr(v, which));
}

/*
 * v is in kernel mode. Some processors keep the old base with a null selector, hence the flat one
 * first. Interrupts stay on, to them GS is nothing: the selector may be the first use of an LDT
 * page.
 */
int arch_load_user_gs(struct vcpu *v, uint16_t selector) {
    bool ok;

    BUG_ON(!v->arch.kernel_mode);
    __asm__ volatile("swapgs");
    ok = load_gs(FLAT_RING3_DS32) && load_gs(selector);
    __asm__ volatile("swapgs");
    return ok ? 0 : -EFAULT;
}

/* ---- control and debug registers ---- */

static void load_cr(struct cpu *cpu, const struct vcpu *v) {
    uint64_t cr4 = (cr4_policy | (v->arch.cr4 & CR4_GUEST)) & ~cpu->arch.cr4_withheld;
    uint64_t cr0 = read_cr0();

    if (cr4 != cpu->arch.cr4)
        write_cr4(cpu->arch.cr4 = cr4);
    if (!!(cr0 & CR0_TS) != v->arch.ts)
        write_cr0(cr0 ^ CR0_TS);
}

void arch_vcpu_update_cr(struct vcpu *v) {
    if (v == current_vcpu())
        load_cr(this_cpu(), v);
}

void cpu_withhold_cr4(uint64_t bit) {
    this_cpu()->arch.cr4_withheld |= bit;
    arch_vcpu_update_cr(current_vcpu());
}

#define WRITE_DR(n, value) __asm__ volatile("mov %0, %%dr" #n ::"r"(value))

static void load_dr7(struct cpu *cpu, uint64_t dr7) {
    if (dr7 != cpu->arch.dr7)
        WRITE_DR(7, cpu->arch.dr7 = dr7);
}

/* With no breakpoint enabled the rest is not worth loading: guests read their registers from us. */
static void load_debugregs(struct cpu *cpu, const struct vcpu *v) {
    const uint64_t *dr = v->arch.debugreg;

    load_dr7(cpu, DR7_OFF);
    if (!(dr[7] & DR7_ENABLES))
        return;
    WRITE_DR(0, dr[0]);
    WRITE_DR(1, dr[1]);
    WRITE_DR(2, dr[2]);
    WRITE_DR(3, dr[3]);
    load_dr7(cpu, dr[7]);
}

void arch_vcpu_load_debugregs(struct vcpu *v) {
    if (v == current_vcpu())
        load_debugregs(this_cpu(), v);
}

/* ---- the switch ---- */

void arch_vcpu_sync_state(struct vcpu *v) {
    save_segments(v);
    fpu_save(v);
}

/*
 * Whoever leaves takes its translations along, global ones too, so a cpu that idles or runs
 * another domain needs no flush requests for it. The GDT is the cpu's own while tables change: an
 * NMI may come at any point, and the window belongs to the table.
 */
static void leave(struct cpu *cpu, struct vcpu *prev) {
    arch_vcpu_sync_state(prev);
    load_dr7(cpu, DR7_OFF);
    load_ldt(cpu, 0, 0);
    load_cpu_gdt(cpu);
    arch_load_idle_page_table();
    arch_tlb_flush_local();
    cpumask_clear(&prev->domain->dirty_cpus, cpu->id);
    WRITE_ONCE(cpu->holds_guest, false);
}

static bool enter(struct cpu *cpu, struct vcpu *next) {
    cpumask_set(&next->domain->dirty_cpus, cpu->id);
    WRITE_ONCE(cpu->holds_guest, true); /* before the table: loading that orders the two */
    next->arch.cpu_stack = (uintptr_t)cpu;
    cpu->arch.tss->rsp0 = (uintptr_t)&next->arch.regs.es;
    arch_window_set(next, WINDOW_HV_SLOT, virt_to_mfn(cpu->arch.gdt), true);
    arch_load_page_table(next);
    load_gdt(window_va(next));
    load_ldt(cpu, window_ldt_va(next), next->arch.ldt_entries);
    if (cpu_features.rdtscp)
        wrmsr(MSR_TSC_AUX, next->arch.tsc_aux);
    fpu_load(next);
    load_cr(cpu, next);
    load_debugregs(cpu, next);
    return load_segments(next);
}

void arch_context_switch(struct vcpu *prev, struct vcpu *next) {
    struct cpu *cpu = this_cpu();

    if (prev)
        leave(cpu, prev);
    if (next && !enter(cpu, next))
        pv_failsafe(next);
}
