/* The ACPI tables we read (ACPI 6.4), and the readers: pure functions of verified bytes. */
#ifndef ARCH_X86_ACPI_TABLES_H
#define ARCH_X86_ACPI_TABLES_H

#include "arch/x86/acpi.h"

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} PACKED;
#define RSDP_V1_LEN 20

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[14];
    uint32_t oem_revision, creator, creator_revision;
} PACKED;

bool acpi_sum_is_zero(const void *table, size_t len);

/* Each takes a whole table of len bytes, checksum verified; contents may still be nonsense. */
void acpi_parse_madt(struct acpi_info *a, const void *table, size_t len);
void acpi_parse_fadt(struct acpi_info *a, const void *table, size_t len);
void acpi_parse_hpet(struct acpi_info *a, const void *table, size_t len);

#endif
