#include "arch/x86/acpi.h"
#include "arch/x86/irq.h"
#include "arch/x86/paging.h"
#include "core/console.h"
#include "lib/bug.h"

enum { REG_ID = 0, REG_VERSION = 1, REG_PINS = 0x10 };

#define PIN_ACTIVE_LOW BIT(13)
#define PIN_LEVEL      BIT(15)
#define PIN_MASKED     BIT(16)

/* MADT override flags: two bits each of polarity and trigger; 0: as ISA has it (high, edge). */
#define OVERRIDE_ACTIVE_LOW(f) (((f)&3) == 3)
#define OVERRIDE_LEVEL(f)      (((f) >> 2 & 3) == 3)

static RO_AFTER_INIT struct ioapic {
    volatile uint32_t *regs; /* index at 0, data at 16 bytes */
    uint64_t base;
    unsigned int gsi_base, nr_pins;
} ioapics[MAX_IOAPICS];

static uint32_t read_reg(const struct ioapic *a, uint32_t reg) {
    a->regs[0] = reg;
    return a->regs[4];
}
static void write_reg(const struct ioapic *a, uint32_t reg, uint32_t value) {
    a->regs[0] = reg;
    a->regs[4] = value;
}

static const struct ioapic *ioapic_of(unsigned int gsi) {
    for (unsigned int i = 0; i < acpi.nr_ioapics; i++)
        if (gsi - ioapics[i].gsi_base < ioapics[i].nr_pins)
            return &ioapics[i];
    return NULL;
}

/* The half with the mask bit. gsi may be in a hole between two IO-APICs: nothing there. */
static void write_low(unsigned int gsi, bool masked) {
    const struct ioapic *a = ioapic_of(gsi);
    const struct irq *i = &irqs[gsi];

    if (a)
        write_reg(a, REG_PINS + 2 * (gsi - a->gsi_base),
                  (uint32_t)(i->vector | (i->active_low ? PIN_ACTIVE_LOW : 0) |
                             (i->level ? PIN_LEVEL : 0) | (masked ? PIN_MASKED : 0)));
}

void ioapic_write_mask(unsigned int gsi) {
    write_low(gsi, !irqs[gsi].enabled || irqs[gsi].in_service);
}

/* Masked while its two halves disagree. */
void ioapic_write_pin(unsigned int gsi) {
    const struct ioapic *a = ioapic_of(gsi);

    write_low(gsi, true);
    if (a)
        write_reg(a, REG_PINS + 2 * (gsi - a->gsi_base) + 1, (uint32_t)irqs[gsi].dest << 24);
    ioapic_write_mask(gsi);
}

INIT_TEXT unsigned int ioapic_gsi_of_isa(unsigned int isa_irq) {
    for (unsigned int i = 0; i < acpi.nr_overrides; i++)
        if (acpi.override[i].isa_irq == isa_irq)
            return acpi.override[i].gsi;
    return isa_irq;
}

static INIT_TEXT void ioapic_setup(struct ioapic *a, const struct acpi_ioapic *found) {
    a->base = found->base;
    a->gsi_base = found->gsi_base;
    a->regs = ioremap(a->base, 32);
    a->nr_pins = (read_reg(a, REG_VERSION) >> 16 & 0xff) + 1;
    if (a->gsi_base >= NR_IRQS / 2 || a->nr_pins > NR_IRQS / 2 - a->gsi_base) {
        pr_warn("IO-APIC at %#lx: interrupts from %u on are not supported\n", a->base, a->gsi_base);
        a->nr_pins = 0;
    }
    nr_gsis = MAX(nr_gsis, a->gsi_base + a->nr_pins);
}

/* ISA's interrupts are edge-triggered and active high, all others PCI's: level and low. */
INIT_TEXT void irq_init(void) {
    uint64_t flags;

    for (unsigned int i = 0; i < acpi.nr_ioapics; i++)
        ioapic_setup(&ioapics[i], &acpi.ioapic[i]);
    if (!nr_gsis)
        panic("no usable IO-APIC: enable it (APIC mode) in the firmware's settings");
    for (unsigned int gsi = 16; gsi < nr_gsis; gsi++)
        irqs[gsi].level = irqs[gsi].active_low = true;
    for (unsigned int i = 0; i < acpi.nr_overrides; i++) {
        const struct acpi_override *o = &acpi.override[i];

        if (o->gsi < nr_gsis) {
            irqs[o->gsi].level = OVERRIDE_LEVEL(o->flags);
            irqs[o->gsi].active_low = OVERRIDE_ACTIVE_LOW(o->flags);
        }
    }
    flags = lock_acquire_irq(&irq_lock);
    for (unsigned int gsi = 0; gsi < nr_gsis; gsi++)
        ioapic_write_pin(gsi);
    lock_release_irq(&irq_lock, flags);
}

/* Registers that exist, and no others: the window's index is written with what the guest says. */
int arch_ioapic_read(uint64_t apic_physbase, uint32_t reg, uint32_t *value) {
    for (unsigned int i = 0; i < acpi.nr_ioapics; i++) {
        const struct ioapic *a = &ioapics[i];
        uint64_t flags;

        if (a->base != apic_physbase || reg >= REG_PINS + 2 * a->nr_pins)
            continue;
        flags = lock_acquire_irq(&irq_lock);
        *value = read_reg(a, reg);
        lock_release_irq(&irq_lock, flags);
        return 0;
    }
    return -EINVAL;
}
