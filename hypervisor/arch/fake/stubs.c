/* The rest of the seam: remembers what it was told, answers what it was told to. All weak. */
#include <stdlib.h>
#include <string.h>

#include "arch/console.h"
#include "arch/fake/fake.h"
#include "arch/vcpu.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/vcpu.h"

#define WEAK            __attribute__((weak))
#define FPU_AREA_SIZE   4096
#define NR_WINDOW_SLOTS 32

struct fake_record fake_record;
WEAK unsigned int nr_gsis = 24;

void fake_stubs_reset(void);

void fake_stubs_reset(void) {
    memset(&fake_record, 0, sizeof(fake_record));
    memset(fake_record.pci, 0xff, sizeof(fake_record.pci));
}

WEAK void arch_console_write(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        fake_record.console[fake_record.console_len++ % sizeof(fake_record.console)] = bytes[i];
}

WEAK void arch_cpu_wait(void) {
    fake_record.waits++;
}
WEAK void arch_context_switch(struct vcpu *prev, struct vcpu *next) {
    (void)prev;
    fake_record.context_switches++;
    if (next)
        arch_load_page_table(next);
}
WEAK void arch_vcpu_sync_state(struct vcpu *v) {
    (void)v;
}
WEAK unsigned int arch_cpu_maxphyaddr(void) {
    return 46;
}
WEAK void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    (void)leaf, (void)subleaf;
    memset(regs, 0, 4 * sizeof(regs[0]));
}
WEAK void arch_cpu_firmware_ids(unsigned int cpu, uint32_t *apic_id, uint32_t *acpi_id) {
    *apic_id = cpu;
    *acpi_id = cpu + 1;
}

WEAK int arch_rdmsr_safe(uint32_t msr, uint64_t *value) {
    for (unsigned int i = 0; i < FAKE_MSRS; i++) {
        if (fake_record.msr[i].present && fake_record.msr[i].msr == msr) {
            *value = fake_record.msr[i].value;
            return 0;
        }
    }
    return -EFAULT;
}
WEAK int arch_wrmsr_safe(uint32_t msr, uint64_t value) {
    for (unsigned int i = 0; i < FAKE_MSRS; i++) {
        if (fake_record.msr[i].present && fake_record.msr[i].msr == msr) {
            fake_record.msr[i].value = value;
            return 0;
        }
    }
    return -EFAULT;
}

WEAK uint32_t arch_port_in(uint16_t port, unsigned int size) {
    fake_record.port.port = port;
    fake_record.port.size = size;
    fake_record.port.reads++;
    return fake_record.port.value;
}
WEAK void arch_port_out(uint16_t port, unsigned int size, uint32_t value) {
    fake_record.port.port = port;
    fake_record.port.size = size;
    fake_record.port.value = value;
    fake_record.port.writes++;
}

WEAK void arch_power_off(void) {
    fake_record.power_offs++;
    panic("power off");
}
WEAK void arch_reboot(void) {
    fake_record.reboots++;
    panic("reboot");
}
WEAK int arch_acpi_sleep(unsigned int state, uint16_t pm1a, uint16_t pm1b) {
    if (state != 5)
        return -EINVAL;
    fake_record.sleep.state = state;
    fake_record.sleep.pm1a = pm1a;
    fake_record.sleep.pm1b = pm1b;
    return 0;
}

WEAK int arch_gsi_setup(unsigned int gsi, bool level, bool active_low) {
    if (gsi >= nr_gsis)
        return -EINVAL;
    if (fake_record.irq[gsi].enabled &&
        (fake_record.irq[gsi].level != level || fake_record.irq[gsi].low != active_low))
        return -EEXIST;
    fake_record.irq[gsi].setup = true;
    fake_record.irq[gsi].level = level;
    fake_record.irq[gsi].low = active_low;
    return 0;
}
WEAK int arch_irq_enable(unsigned int irq, unsigned int cpu) {
    if (irq >= NR_IRQS || (irq >= nr_gsis && !fake_record.irq[irq].setup))
        return -EINVAL;
    fake_record.irq[irq].enabled = true;
    fake_record.irq[irq].cpu = cpu;
    return 0;
}
WEAK void arch_irq_disable(unsigned int irq) {
    fake_record.irq[irq].enabled = false;
}
WEAK void arch_irq_eoi(unsigned int irq) {
    fake_record.irq[irq].eois++;
}
WEAK bool arch_irq_needs_eoi(unsigned int irq) {
    return fake_record.irq[irq].level;
}
WEAK void arch_irq_set_cpu(unsigned int irq, unsigned int cpu) {
    fake_record.irq[irq].cpu = cpu;
}
WEAK int arch_msi_alloc(const struct msi_where *w) {
    unsigned int irq = nr_gsis + fake_record.msis;

    if (!w->count)
        return -EINVAL;
    if (w->count > NR_IRQS - irq)
        return -ENOSPC;
    for (unsigned int i = 0; i < w->count; i++)
        fake_record.irq[irq + i].setup = true;
    fake_record.msis += w->count;
    return (int)irq;
}
WEAK void arch_msi_free(unsigned int irq) {
    memset(&fake_record.irq[irq], 0, sizeof(fake_record.irq[irq]));
}
WEAK int arch_msi_restore(uint16_t seg, uint8_t bus, uint8_t devfn) {
    (void)seg, (void)bus, (void)devfn;
    fake_record.msi_restores++;
    return 0;
}
WEAK bool arch_msi_allow_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                               uint32_t *value) {
    (void)bus, (void)devfn, (void)reg, (void)size, (void)value;
    return true;
}
WEAK int arch_ioapic_read(uint64_t apic_physbase, uint32_t reg, uint32_t *value) {
    *value = reg == 1 ? (nr_gsis - 1) << 16 | 0x20 : 0;
    return apic_physbase == 0xfec00000 && reg <= 1 ? 0 : -EINVAL;
}

WEAK uint32_t arch_pci_read(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size) {
    uint32_t value = ~UINT32_C(0);

    if (bus == 0 && reg + size <= 256)
        memcpy(&value, (char *)fake_record.pci[devfn] + reg, size);
    return value & (uint32_t)(~UINT64_C(0) >> (64 - 8 * size));
}
WEAK void arch_pci_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                         uint32_t value) {
    if (bus == 0 && reg + size <= 256)
        memcpy((char *)fake_record.pci[devfn] + reg, &value, size);
}

WEAK int arch_domain_init(struct domain *d) {
    (void)d;
    return 0;
}
WEAK void arch_domain_destroy(struct domain *d) {
    (void)d;
}
WEAK int arch_vcpu_init(struct vcpu *v) {
    v->arch.fpu = aligned_alloc(64, FPU_AREA_SIZE);
    v->arch.window = calloc(NR_WINDOW_SLOTS, sizeof(uint64_t));
    if (!v->arch.fpu || !v->arch.window)
        abort();
    memset(v->arch.fpu, 0, FPU_AREA_SIZE);
    return 0;
}
WEAK void arch_vcpu_destroy(struct vcpu *v) {
    free(v->arch.fpu);
    free(v->arch.window);
    v->arch.fpu = v->arch.window = NULL;
}
WEAK size_t arch_fpu_area_size(void) {
    return FPU_AREA_SIZE;
}
WEAK void arch_vcpu_fpu_reset(struct vcpu *v) {
    if (v->arch.fpu)
        memset(v->arch.fpu, 0, FPU_AREA_SIZE);
}
WEAK void arch_vcpu_fpu_load(struct vcpu *v, const void *fxsave_512) {
    if (v->arch.fpu)
        memcpy(v->arch.fpu, fxsave_512, 512);
}
WEAK uint64_t arch_xcr0_mask(void) {
    return 7;
}
WEAK int arch_vcpu_set_xcr0(struct vcpu *v, uint64_t xcr0) {
    if (!(xcr0 & 1) || xcr0 & ~arch_xcr0_mask())
        return -EINVAL;
    v->arch.xcr0 = xcr0;
    return 0;
}
WEAK void arch_vcpu_update_cr(struct vcpu *v) {
    (void)v;
}
WEAK void arch_vcpu_load_debugregs(struct vcpu *v) {
    (void)v;
}
WEAK void arch_set_segment_base(struct vcpu *v, unsigned int which, uint64_t base) {
    (void)v;
    fake_record.segment_base[which % ARRAY_LEN(fake_record.segment_base)] = base;
}
WEAK uint64_t arch_get_segment_base(struct vcpu *v, unsigned int which) {
    (void)v;
    return fake_record.segment_base[which % ARRAY_LEN(fake_record.segment_base)];
}
WEAK int arch_load_user_gs(struct vcpu *v, uint16_t selector) {
    (void)v;
    return selector <= 3 ? 0 : -EFAULT;
}
WEAK void arch_toggle_guest_mode(struct vcpu *v) {
    v->arch.kernel_mode = !v->arch.kernel_mode;
    arch_load_page_table(v);
}

/* The hypervisor's slots get something else than the guest had there: nothing. */
WEAK void arch_l4_install(struct domain *d, uint64_t *l4) {
    (void)d;
    fake_record.l4_installs++;
    for (unsigned int slot = 0; slot < 512; slot++)
        if (l4_slot_is_ours(slot))
            l4[slot] = 0;
}
/* The M2P of the fake machine is no guest's business: pretend it begins in frame 1. */
WEAK mfn_t arch_m2p_frame(unsigned int n) {
    return n == 0 ? mfn_of(1) : MFN_INVALID;
}
WEAK void arch_load_page_table(struct vcpu *v) {
    fake_record.loads++;
    fake_cpu->arch.cr3 = v->arch.kernel_mode ? v->arch.kernel_cr3 : v->arch.user_cr3;
}
WEAK void arch_load_idle_page_table(void) {
    fake_record.idle_loads++;
    fake_cpu->arch.cr3 = 0;
}
WEAK void arch_window_set(struct vcpu *v, unsigned int slot, mfn_t mfn, bool present) {
    fake_record.windows++;
    if (v->arch.window)
        ((uint64_t *)v->arch.window)[slot % NR_WINDOW_SLOTS] =
            present ? mfn.n << PAGE_SHIFT | 1 : 0;
}
WEAK void arch_load_descriptor_tables(struct vcpu *v) {
    (void)v;
    fake_record.descriptor_loads++;
}
