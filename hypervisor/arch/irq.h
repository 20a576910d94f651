/*
 * The seam, part 5: device interrupts. A GSI (IO-APIC pin) or an MSI is an `irq` here: a small
 * index. When it fires, arch calls pirq_fire() with it (core/pirq.h).
 */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include "lib/types.h"

/* Number of IO-APIC pins: irqs 0 .. nr_gsis-1 are the GSIs, the rest MSIs up to NR_IRQS. */
extern unsigned int nr_gsis;
#define NR_IRQS 512

struct msi_where {
    uint16_t seg;
    uint8_t bus, devfn;
    uint16_t entry_nr;   /* MSI-X table index; 0 for MSI */
    uint64_t table_base; /* physical address of the MSI-X table, 0 for MSI */
    unsigned int count;  /* vectors wanted; > 1 only for multi-MSI */
    bool msix;
};

/*
 * Set trigger and polarity of a GSI before first use.
 * Errors: -EINVAL no such pin; -EEXIST set differently and in use.
 */
MUST_CHECK int arch_gsi_setup(unsigned int gsi, bool level, bool active_low);
/*
 * Let it fire on that cpu / mask it.
 * Errors: -EINVAL an MSI that was not allocated, -EBUSY the hypervisor's own, -ENOSPC no vector.
 */
MUST_CHECK int arch_irq_enable(unsigned int irq, unsigned int cpu);
void arch_irq_disable(unsigned int irq);
/*
 * Level-triggered: end of handling by dom0 (unmasks). No-op for edge and MSI.
 * needs_eoi: it is of the kind that is masked when it fires, until arch_irq_eoi.
 */
void arch_irq_eoi(unsigned int irq);
bool arch_irq_needs_eoi(unsigned int irq);
/* Move delivery to a cpu (evtchn bind_vcpu follows the vcpu). */
void arch_irq_set_cpu(unsigned int irq, unsigned int cpu);
/*
 * Program MSI or an MSI-X entry of a device, masked; returns the first of w->count irqs, all from
 * nr_gsis on. free: one of them; the device must not send it any more.
 * Trust:  w is what dom0 says of its own device; nothing but that device is written to.
 * Locks:  takes RANK_MSI (it may allocate memory).
 * Errors: -ENODEV no such device or capability, -ENOSPC no vector, -EINVAL count, entry or table,
 *         -EEXIST it is programmed already.
 */
MUST_CHECK int arch_msi_alloc(const struct msi_where *w);
void arch_msi_free(unsigned int irq);
/* Write a device's messages again, after dom0 has reset it. Errors: -ENODEV it has none. */
MUST_CHECK int arch_msi_restore(uint16_t seg, uint8_t bus, uint8_t devfn);
/*
 * dom0 writes to configuration space: may it? *value is changed so that mask bits that are ours
 * stay as they are. Messages of a device that arch_msi_alloc programmed are not dom0's to write.
 */
bool arch_msi_allow_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                          uint32_t *value);

/* IO-APIC registers as dom0 may read them. Errors: -EINVAL no such IO-APIC or register. */
MUST_CHECK int arch_ioapic_read(uint64_t apic_physbase, uint32_t reg, uint32_t *value);

/* PCI configuration space by mechanism 1; size 1, 2 or 4, aligned by the caller. */
uint32_t arch_pci_read(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size);
void arch_pci_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                    uint32_t value);

#endif
