#include "arch/x86/acpi.h"

#include "arch/x86/acpi-tables.h"
#include "arch/x86/multiboot.h"
#include "arch/x86/paging.h"
#include "core/console.h"
#include "lib/bug.h"
#include "lib/string.h"

RO_AFTER_INIT struct acpi_info acpi;

/* No table that we read is anywhere near this; a larger length is rot. */
#define TABLE_MAX KIB(256)

static INIT_TEXT bool rsdp_is_good(const struct rsdp *r) {
    return !memcmp(r->signature, "RSD PTR ", 8) && acpi_sum_is_zero(r, RSDP_V1_LEN) &&
           (r->revision < 2 || acpi_sum_is_zero(r, sizeof(*r)));
}

/* On 16-byte boundaries of a range; the address or 0. */
static INIT_TEXT uint64_t scan_for_rsdp(uint64_t pa, uint64_t len, struct rsdp *out) {
    const char *at = map_firmware(pa, len);

    for (uint64_t i = 0; i + sizeof(*out) <= len; i += 16)
        if (rsdp_is_good((const struct rsdp *)(at + i))) {
            memcpy(out, at + i, sizeof(*out));
            return pa + i;
        }
    return 0;
}

/* The loader's copy, or where BIOSes put it: the first KiB of the EBDA, the ROM area. */
static INIT_TEXT bool find_rsdp(struct rsdp *out) {
    uint64_t ebda = (uint64_t)*(const uint16_t *)map_firmware(0x40e, 2) << 4;

    if (rsdp_is_good((const struct rsdp *)loader_rsdp)) {
        memcpy(out, loader_rsdp, sizeof(*out));
        return true;
    }
    if (ebda >= 0x80000 && ebda < 0xa0000)
        boot_info.rsdp = scan_for_rsdp(ebda, 1024, out);
    if (!boot_info.rsdp)
        boot_info.rsdp = scan_for_rsdp(0xe0000, 0x20000, out);
    return boot_info.rsdp != 0;
}

/* The whole table, verified, or NULL. */
static INIT_TEXT const struct acpi_header *map_table(uint64_t pa) {
    const struct acpi_header *h;
    uint32_t len;

    if (!pa || pa > BIT(52) - TABLE_MAX)
        return NULL;
    h = map_firmware(pa, sizeof(*h));
    len = h->length;
    if (len < sizeof(*h) || len > TABLE_MAX) {
        pr_warn("ACPI table %.4s at %lx: length %u, ignored\n", h->signature, pa, len);
        return NULL;
    }
    h = map_firmware(pa, len);
    if (acpi_sum_is_zero(h, len))
        return h;
    pr_warn("ACPI table %.4s at %lx: wrong checksum, ignored\n", h->signature, pa);
    return NULL;
}

static INIT_DATA struct reader {
    char signature[5];
    void (*read)(struct acpi_info *a, const void *table, size_t len);
} readers[] = {
    {"APIC", acpi_parse_madt},
    {"FACP", acpi_parse_fadt},
    {"HPET", acpi_parse_hpet},
};

static INIT_TEXT void read_table(uint64_t pa) {
    const struct acpi_header *h;

    if (!pa || pa > BIT(52) - TABLE_MAX)
        return;
    h = map_firmware(pa, sizeof(*h));
    for (unsigned int i = 0; i < ARRAY_LEN(readers); i++)
        if (!memcmp(h->signature, readers[i].signature, 4)) {
            h = map_table(pa);
            if (h)
                readers[i].read(&acpi, h, h->length);
            return;
        }
}

/* RSDT or XSDT: table addresses of 4 or 8 bytes. */
static INIT_TEXT bool read_root(uint64_t pa, const char *signature, unsigned int width) {
    const struct acpi_header *root = map_table(pa);

    if (!root || memcmp(root->signature, signature, 4))
        return false;
    for (uint32_t at = sizeof(*root); at + width <= root->length; at += width) {
        uint64_t table = 0;

        memcpy(&table, (const char *)root + at, width);
        read_table(table);
    }
    return true;
}

INIT_TEXT void acpi_init(void) {
    struct rsdp rsdp;

    if (!find_rsdp(&rsdp))
        panic("no ACPI tables: switch ACPI on in the firmware setup (Hospes needs its MADT)");
    if (!(rsdp.revision >= 2 && read_root(rsdp.xsdt, "XSDT", 8)) &&
        !read_root(rsdp.rsdt, "RSDT", 4))
        panic("the ACPI root table is damaged: update the firmware");
    if (!acpi.nr_cpus || !acpi.lapic_base)
        panic("ACPI names no processor (MADT): switch the APIC on in the firmware setup");
    pr_info("ACPI: %u processors, %u IO-APICs, PM timer at port 0x%x, HPET at %lx\n", acpi.nr_cpus,
            acpi.nr_ioapics, acpi.pm_timer_port, acpi.hpet_base);
}
