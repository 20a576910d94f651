#include "arch/x86/acpi-tables.h"

#include "lib/string.h"

INIT_TEXT bool acpi_sum_is_zero(const void *table, size_t len) {
    const uint8_t *p = table;
    uint8_t sum = 0;

    while (len--)
        sum += *p++;
    return sum == 0;
}

struct madt {
    struct acpi_header header;
    uint32_t lapic_base, flags;
} PACKED;

/* One entry; which member is meant is in type. */
struct madt_entry {
    uint8_t type, len;
    union {
        struct PACKED {
            uint8_t acpi_id, apic_id;
            uint32_t flags;
        } lapic;
        struct PACKED {
            uint8_t id, reserved;
            uint32_t base, gsi_base;
        } ioapic;
        struct PACKED {
            uint8_t bus, isa_irq;
            uint32_t gsi;
            uint16_t flags;
        } override;
        struct PACKED {
            uint16_t reserved;
            uint64_t base;
        } lapic_base;
        struct PACKED {
            uint16_t reserved;
            uint32_t apic_id, flags, acpi_id;
        } x2apic;
    };
} PACKED;
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_BASE = 5, MADT_X2APIC = 9 };
#define LAPIC_ENABLED 1
#define XAPIC_NO_ID   0xff

static INIT_TEXT void add_cpu(struct acpi_info *a, uint32_t apic_id, uint32_t acpi_id,
                              uint32_t flags) {
    if (!(flags & LAPIC_ENABLED))
        return;
    for (unsigned int i = 0; i < MIN(a->nr_cpus, NR_CPUS); i++)
        if (a->cpu[i].apic_id == apic_id)
            return;
    if (a->nr_cpus < NR_CPUS) {
        a->cpu[a->nr_cpus].apic_id = apic_id;
        a->cpu[a->nr_cpus].acpi_id = acpi_id;
    }
    a->nr_cpus++;
}

static INIT_TEXT void read_madt_entry(struct acpi_info *a, const struct madt_entry *e) {
    switch (e->type) {
    case MADT_LAPIC:
        if (e->lapic.apic_id != XAPIC_NO_ID)
            add_cpu(a, e->lapic.apic_id, e->lapic.acpi_id, e->lapic.flags);
        break;
    case MADT_X2APIC:
        add_cpu(a, e->x2apic.apic_id, e->x2apic.acpi_id, e->x2apic.flags);
        break;
    case MADT_IOAPIC:
        if (a->nr_ioapics < MAX_IOAPICS)
            a->ioapic[a->nr_ioapics++] =
                (struct acpi_ioapic){e->ioapic.base, e->ioapic.gsi_base, e->ioapic.id};
        break;
    case MADT_OVERRIDE:
        if (a->nr_overrides < ARRAY_LEN(a->override))
            a->override[a->nr_overrides++] = (struct acpi_override){
                e->override.gsi, e->override.flags, e->override.isa_irq};
        break;
    case MADT_LAPIC_BASE:
        a->lapic_base = e->lapic_base.base;
        break;
    }
}

/* Least lengths by type; 0: not ours to read. */
static INIT_DATA uint8_t madt_entry_len[] = {
    [MADT_LAPIC] = 8,       [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10,
    [MADT_LAPIC_BASE] = 12, [MADT_X2APIC] = 16,
};

INIT_TEXT void acpi_parse_madt(struct acpi_info *a, const void *table, size_t len) {
    const struct madt *madt = table;

    if (len < sizeof(*madt))
        return;
    a->lapic_base = madt->lapic_base;
    for (size_t at = sizeof(*madt); at + 2 <= len;) {
        const struct madt_entry *e = (const void *)((const char *)table + at);

        if (e->len < 2 || e->len > len - at)
            return;
        if (e->type < ARRAY_LEN(madt_entry_len) && madt_entry_len[e->type] &&
            e->len >= madt_entry_len[e->type])
            read_madt_entry(a, e);
        at += e->len;
    }
}

struct fadt {
    struct acpi_header header;
    uint32_t facs, dsdt;
    uint8_t reserved0, profile;
    uint16_t sci_irq;
    uint32_t smi_command;
    uint8_t acpi_enable, acpi_disable, s4bios, pstate;
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    uint8_t pm1_event_len, pm1_control_len, pm2_control_len, pm_timer_len, gpe0_len, gpe1_len,
        gpe1_base, cst;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_arch;
    uint8_t reserved1;
    uint32_t flags;
    /* since ACPI 2.0 */
    struct acpi_address reset_register;
    uint8_t reset_value;
    uint16_t arm_boot;
    uint8_t minor;
    uint64_t x_facs, x_dsdt;
    struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control,
        x_pm_timer;
} PACKED;
_Static_assert(offsetof(struct fadt, flags) == 112, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct fadt, x_pm_timer) == 208, "ACPI 6.4, 5.2.9");
#define FADT_HAS_RESET   BIT(10)

static INIT_TEXT uint16_t io_port(const struct acpi_address *x, uint32_t old) {
    if (x->space == ACPI_SPACE_IO && x->address && x->address <= 0xffff)
        return (uint16_t)x->address;
    return old <= 0xffff ? (uint16_t)old : 0;
}

INIT_TEXT void acpi_parse_fadt(struct acpi_info *a, const void *table, size_t len) {
    struct fadt f = {0};             /* an old, shorter one has zeroes at the end */

    memcpy(&f, table, MIN(len, sizeof(f)));
    a->pm1a_control = io_port(&f.x_pm1a_control, f.pm1a_control);
    a->pm1b_control = io_port(&f.x_pm1b_control, f.pm1b_control);
    a->pm_timer_port = io_port(&f.x_pm_timer, f.pm_timer);
    a->dsdt = f.x_dsdt ? f.x_dsdt : f.dsdt;
    a->has_reset = f.flags & FADT_HAS_RESET;
    a->reset_register = f.reset_register;
    a->reset_value = f.reset_value;
}

struct hpet_table {
    struct acpi_header header;
    uint32_t block_id;
    struct acpi_address address;
} PACKED;

INIT_TEXT void acpi_parse_hpet(struct acpi_info *a, const void *table, size_t len) {
    const struct hpet_table *h = table;

    if (len >= sizeof(*h) && h->address.space == ACPI_SPACE_MEMORY)
        a->hpet_base = h->address.address;
}
