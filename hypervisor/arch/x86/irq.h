/*
 * Device interrupts: vectors, and the two kinds of source that use them (IO-APIC pins, MSI).
 * A vector means the same irq on every cpu: moving an irq changes its destination, nothing else.
 */
#ifndef ARCH_X86_IRQ_H
#define ARCH_X86_IRQ_H

#include "arch/irq.h"
#include "lib/lock.h"

struct irq {
    uint8_t vector;         /* 0: none yet; a GSI keeps its first for good */
    uint8_t dest;           /* APIC id it is delivered to */
    bool level, active_low; /* GSIs */
    bool enabled;           /* bound: may fire */
    bool in_service;        /* level: masked since it fired */
    void (*handler)(void);  /* the hypervisor's own, else NULL */
};

extern struct lock irq_lock; /* RANK_IRQ, _irq; guards irqs[], IO-APIC registers, MSI messages */
extern struct irq irqs[NR_IRQS];

/* Boot cpu, when the ACPI tables are known: find the IO-APICs, mask every pin; sets nr_gsis. */
void irq_init(void);

/* Keep an ISA interrupt for the hypervisor, enabled. handler: interrupt context, no lock held. */
void irq_claim_isa(unsigned int isa_irq, void (*handler)(void));

/*
 * `count` vectors in a row, aligned to count (a power of two), for irqs from `irq` on.
 * Locks:  irq_lock. Errors: -ENOSPC.
 */
MUST_CHECK int irq_alloc_vectors(unsigned int irq, unsigned int count);
void irq_free_vector(unsigned int irq);

/* ioapic.c: the pin an ISA interrupt is wired to. */
unsigned int ioapic_gsi_of_isa(unsigned int isa_irq);
/* Write the whole pin, or only the half with its mask bit, as irqs[] says. Locks: irq_lock. */
void ioapic_write_pin(unsigned int gsi);
void ioapic_write_mask(unsigned int gsi);

/* msi.c: write message and mask bit as irqs[] says. Locks: irq_lock. */
void msi_write_message(unsigned int irq);
void msi_write_mask(unsigned int irq);

/* pci.c: offset of a capability, 0 if there is none; the device need not exist. */
unsigned int pci_find_capability(uint8_t bus, uint8_t devfn, uint8_t id);

#endif
