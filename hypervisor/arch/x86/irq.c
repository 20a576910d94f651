#include "arch/x86/irq.h"

#include "arch/x86/apic.h"
#include "core/cpu.h"
#include "core/pirq.h"
#include "lib/bug.h"

#define VECTOR_GUEST_INT80 0x80
#define NO_IRQ             UINT16_MAX

struct lock irq_lock = LOCK_INIT(RANK_IRQ);
struct irq irqs[NR_IRQS];
RO_AFTER_INIT unsigned int nr_gsis;

static uint16_t irq_of_vector[256] = {[0 ... 255] = NO_IRQ};

static bool vectors_free(unsigned int first, unsigned int count) {
    for (unsigned int v = first; v < first + count; v++)
        if (irq_of_vector[v] != NO_IRQ || v == VECTOR_GUEST_INT80)
            return false;
    return true;
}

int irq_alloc_vectors(unsigned int irq, unsigned int count) {
    for (unsigned int first = ROUND_UP(VECTOR_DEVICE_FIRST, count);
         first + count <= VECTOR_DEVICE_LAST + 1; first += count) {
        if (!vectors_free(first, count))
            continue;
        for (unsigned int i = 0; i < count; i++) {
            irqs[irq + i].vector = (uint8_t)(first + i);
            WRITE_ONCE(irq_of_vector[first + i], (uint16_t)(irq + i));
        }
        return 0;
    }
    return -ENOSPC;
}

void irq_free_vector(unsigned int irq) {
    WRITE_ONCE(irq_of_vector[irqs[irq].vector], NO_IRQ);
    irqs[irq].vector = 0;
}

void arch_cpu_firmware_ids(unsigned int cpu, uint32_t *apic_id, uint32_t *acpi_id) {
    *apic_id = cpus[cpu]->arch.apic_id;
    *acpi_id = cpus[cpu]->arch.acpi_id;
}

/*
 * The APIC id for a cpu. Neither an IO-APIC pin nor an MSI can name an id above 254 without
 * interrupt remapping: such a cpu's interrupts go to the boot cpu.
 */
static uint8_t dest_of(unsigned int cpu) {
    uint32_t id = cpu < NR_CPUS && cpus[cpu] ? cpus[cpu]->arch.apic_id : UINT32_MAX;

    return (uint8_t)(id < 255 ? id : cpus[0]->arch.apic_id);
}

static bool is_gsi(unsigned int irq) {
    return irq < nr_gsis;
}

static void write_mask(unsigned int irq) {
    if (is_gsi(irq))
        ioapic_write_mask(irq);
    else
        msi_write_mask(irq);
}

/* Where it goes, and then the mask. */
static void write_route(unsigned int irq) {
    if (is_gsi(irq))
        ioapic_write_pin(irq);
    else
        msi_write_message(irq);
}

/* Locks: irq_lock. */
static int enable_locked(unsigned int irq, unsigned int cpu) {
    struct irq *i = &irqs[irq];
    int rc = 0;

    if (!i->vector)
        rc = is_gsi(irq) ? irq_alloc_vectors(irq, 1) : -EINVAL;
    if (rc)
        return rc;
    i->dest = dest_of(cpu);
    i->enabled = true;
    i->in_service = false;
    write_route(irq);
    return 0;
}

int arch_irq_enable(unsigned int irq, unsigned int cpu) {
    uint64_t flags = lock_acquire_irq(&irq_lock);
    int rc = irqs[irq].handler ? -EBUSY : enable_locked(irq, cpu);

    lock_release_irq(&irq_lock, flags);
    return rc;
}

void arch_irq_disable(unsigned int irq) {
    uint64_t flags = lock_acquire_irq(&irq_lock);

    irqs[irq].enabled = irqs[irq].in_service = false;
    write_mask(irq);
    lock_release_irq(&irq_lock, flags);
}

void arch_irq_eoi(unsigned int irq) {
    uint64_t flags = lock_acquire_irq(&irq_lock);

    if (irqs[irq].in_service) {
        irqs[irq].in_service = false;
        write_mask(irq);
    }
    lock_release_irq(&irq_lock, flags);
}

bool arch_irq_needs_eoi(unsigned int irq) {
    return READ_ONCE(irqs[irq].level);
}

void arch_irq_set_cpu(unsigned int irq, unsigned int cpu) {
    uint64_t flags = lock_acquire_irq(&irq_lock);

    if (irqs[irq].vector && irqs[irq].dest != dest_of(cpu)) {
        irqs[irq].dest = dest_of(cpu);
        write_route(irq);
    }
    lock_release_irq(&irq_lock, flags);
}

int arch_gsi_setup(unsigned int gsi, bool level, bool active_low) {
    struct irq *i;
    uint64_t flags;
    int rc = 0;

    if (!is_gsi(gsi))
        return -EINVAL;
    i = &irqs[index_nospec(gsi, NR_IRQS)];
    flags = lock_acquire_irq(&irq_lock);
    if (i->level != level || i->active_low != active_low) {
        if (i->enabled) {
            rc = -EEXIST;
        } else {
            i->level = level;
            i->active_low = active_low;
            ioapic_write_pin(gsi);
        }
    }
    lock_release_irq(&irq_lock, flags);
    return rc;
}

INIT_TEXT void irq_claim_isa(unsigned int isa_irq, void (*handler)(void)) {
    unsigned int gsi = ioapic_gsi_of_isa(isa_irq);
    uint64_t flags;

    if (!is_gsi(gsi))
        panic("there is no irq %u on this machine", isa_irq);
    flags = lock_acquire_irq(&irq_lock);
    irqs[gsi].handler = handler;
    if (enable_locked(gsi, 0))
        panic("no interrupt vector left for irq %u", isa_irq);
    lock_release_irq(&irq_lock, flags);
}

/* Level: off until whoever handles it says that the device has let go of the line. */
static void mask_in_service(unsigned int irq) {
    uint64_t flags = lock_acquire_irq(&irq_lock);

    irqs[irq].in_service = true;
    write_mask(irq);
    lock_release_irq(&irq_lock, flags);
}

static void dispatch(unsigned int irq) {
    void (*handler)(void) = READ_ONCE(irqs[irq].handler);
    bool level = READ_ONCE(irqs[irq].level);

    if (level)
        mask_in_service(irq);
    apic_eoi();
    if (!handler) {
        pirq_fire(irq);
        return;
    }
    handler();
    if (level)
        arch_irq_eoi(irq);
}

/* A vector that is nobody's: its irq was freed while the message was on its way. */
void irq_dispatch(unsigned int vector) {
    unsigned int irq = READ_ONCE(irq_of_vector[vector]);

    if (irq == NO_IRQ)
        apic_eoi();
    else
        dispatch(irq);
}
