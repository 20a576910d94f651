/* What the hypervisor reads of ACPI: static tables. AML and power management are dom0's. */
#ifndef ARCH_X86_ACPI_H
#define ARCH_X86_ACPI_H

#include "lib/bits.h"
#include "lib/types.h"

#define MAX_IOAPICS 16

struct acpi_ioapic {
    uint64_t base;
    uint32_t gsi_base;
    uint8_t id;
};

/* An ISA interrupt that is wired elsewhere; trigger and polarity as the MADT codes them. */
struct acpi_override {
    uint32_t gsi;
    uint16_t flags;
    uint8_t isa_irq;
};

/* Generic address: where a register is. */
struct acpi_address {
    uint8_t space, bits, offset, access;
    uint64_t address;
} PACKED;
enum { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1 };

/* Found at boot, constant afterwards. */
extern struct acpi_info {
    /* MADT */
    unsigned int nr_cpus;            /* enabled; entries beyond NR_CPUS are only counted */
    struct {
        uint32_t apic_id, acpi_id;
    } cpu[NR_CPUS];
    uint64_t lapic_base;
    unsigned int nr_ioapics;
    struct acpi_ioapic ioapic[MAX_IOAPICS];
    unsigned int nr_overrides;
    struct acpi_override override[16];
    /* FADT */
    uint32_t pm_timer_port;          /* 0: none */
    uint16_t pm1a_control, pm1b_control;
    struct acpi_address reset_register;
    uint8_t reset_value;
    bool has_reset;
    uint64_t dsdt;
    /* HPET; 0 if there is no such table */
    uint64_t hpet_base;
} acpi;

/*
 * Find and read the tables. Stops with a line if there is no usable MADT.
 * Trust:  tables may be rotten: lengths and checksums are verified, a bad table counts as absent.
 */
void acpi_init(void);

#endif
