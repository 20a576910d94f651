/* Off and on again. */
#include "arch/x86/power.h"

#include "arch/cpu.h"
#include "arch/x86/acpi.h"
#include "arch/x86/acpi-tables.h"
#include "arch/x86/paging.h"
#include "arch/x86/processor.h"
#include "arch/x86/smp.h"
#include "core/console.h"
#include "lib/string.h"

#define PM1_SLEEP_TYPE(n) ((uint16_t)((n) & 7) << 10)
#define PM1_SLEEP_ENABLE  (1 << 13)

/* SLP_TYPa and b for S5, from the DSDT; -1: not found. */
static RO_AFTER_INIT int s5_type[2] = {-1, -1};
static RO_AFTER_INIT volatile uint8_t *reset_memory;

/* An AML integer of one byte at most; the byte behind it, NULL if it is another thing. */
static INIT_TEXT const uint8_t *aml_small_integer(const uint8_t *p, int *value) {
    enum { AML_ZERO = 0, AML_ONE = 1, AML_BYTE = 0x0a };

    if (*p != AML_ZERO && *p != AML_ONE && *p != AML_BYTE)
        return NULL;
    *value = *p == AML_BYTE ? p[1] : *p;
    return p + (*p == AML_BYTE ? 2 : 1);
}

/*
 * Name (_S5, Package () {a, b, ...}) as compilers write it. This is no AML interpreter: where the
 * package is built in another way, only dom0 can switch the machine off.
 */
static INIT_TEXT void find_s5(const uint8_t *aml, size_t len) {
    static const uint8_t name[] = {'_', 'S', '5', '_', 0x12};

    for (size_t i = 0; i + 16 < len; i++) {
        const uint8_t *p = aml + i + sizeof(name) + 2; /* length, number of elements */
        int a, b;

        if (memcmp(aml + i, name, sizeof(name)) || aml[i + sizeof(name)] & 0xc0)
            continue;
        p = aml_small_integer(p, &a);
        if (p && aml_small_integer(p, &b)) {
            s5_type[0] = a;
            s5_type[1] = b;
        }
    }
}

INIT_TEXT void power_init(void) {
    const struct acpi_header *dsdt;

    if (acpi.has_reset && acpi.reset_register.space == ACPI_SPACE_MEMORY)
        reset_memory = ioremap(acpi.reset_register.address, 1);
    if (!acpi.dsdt)
        return;
    dsdt = map_firmware(acpi.dsdt, sizeof(*dsdt));
    if (!memcmp(dsdt->signature, "DSDT", 4) && dsdt->length <= MIB(4))
        find_s5(map_firmware(acpi.dsdt, dsdt->length), dsdt->length);
}

static void write_pm1(uint16_t port, uint16_t value) {
    if (port)
        outw(port, value | PM1_SLEEP_ENABLE);
}

int arch_acpi_sleep(unsigned int state, uint16_t pm1a, uint16_t pm1b) {
    if (state != 5 || !acpi.pm1a_control)
        return -EINVAL;
    smp_stop_others();
    write_pm1(acpi.pm1a_control, pm1a);
    write_pm1(acpi.pm1b_control, pm1b);
    return 0;
}

static void pause_ms(unsigned int ms) {
    for (unsigned int i = 0; i < ms * 1000; i++)
        (void)inb(0x80);
}

static _Noreturn void halt(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}

void arch_power_off(void) {
    irq_disable();
    if (s5_type[0] >= 0)
        (void)!arch_acpi_sleep(5, PM1_SLEEP_TYPE(s5_type[0]), PM1_SLEEP_TYPE(s5_type[1]));
    smp_stop_others();
    pause_ms(200);
    pr_err("This machine does not switch itself off; it is safe to do so now.\n");
    halt();
}

/* From the cleanest way to the surest. */
void arch_reboot(void) {
    static const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } no_idt;

    irq_disable();
    smp_stop_others();
    if (reset_memory)
        *reset_memory = acpi.reset_value;
    else if (acpi.has_reset && acpi.reset_register.space == ACPI_SPACE_IO)
        outb((uint16_t)acpi.reset_register.address, acpi.reset_value);
    pause_ms(50);
    outb(0xcf9, 0x02);
    pause_ms(1);
    outb(0xcf9, 0x06);
    pause_ms(50);
    outb(0x64, 0xfe);                /* keyboard controller: pulse the reset line */
    pause_ms(50);
    __asm__ volatile("lidt %0; int3" ::"m"(no_idt));
    halt();
}
