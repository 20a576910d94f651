/* links: arch/x86/acpi-tables.c */
/* The readers are pure functions of bytes, so they run on the host, as boot-info-test.c does. */
#include "arch/x86/acpi-tables.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct acpi_info info;

/* Tables in heap blocks of their exact length: the sanitizer sees a read beyond the end. */
static void madt(const void *entries, size_t len) {
    uint8_t *table = calloc(1, 44 + len);

    memset(&info, 0, sizeof(info));
    table[36 + 2] = 0xe0;
    table[36 + 3] = 0xfe;
    table[40] = 1;
    memcpy(table + 44, entries, len);
    acpi_parse_madt(&info, table, 44 + len);
    free(table);
}

TEST(a_madt_names_processors_ioapics_and_overrides) {
    static const uint8_t entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,                              /* cpu */
        0, 8, 1, 2, 1, 0, 0, 0,                              /* cpu */
        0, 8, 2, 4, 0, 0, 0, 0,                              /* disabled */
        9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0,  /* x2APIC id 300 */
        1, 12, 5, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0,          /* IO-APIC */
        2, 10, 0, 9, 20, 0, 0, 0, 0x0d, 0,                   /* irq 9 is GSI 20 */
        0x7f, 2,                                             /* from the future */
        4, 6, 0xff, 0, 0, 1,                                 /* NMI: not ours */
    };

    madt(entries, sizeof(entries));
    EXPECT_EQ(info.nr_cpus, 3);
    EXPECT_EQ(info.cpu[1].apic_id, 2);
    EXPECT_EQ(info.cpu[2].apic_id, 300);
    EXPECT_EQ(info.cpu[2].acpi_id, 9);
    EXPECT_EQ(info.lapic_base, 0xfee00000);
    EXPECT_EQ(info.nr_ioapics, 1);
    EXPECT_EQ(info.ioapic[0].base, 0xfec00000);
    EXPECT_EQ(info.ioapic[0].gsi_base, 24);
    EXPECT_EQ(info.nr_overrides, 1);
    EXPECT_EQ(info.override[0].gsi, 20);
    EXPECT_EQ(info.override[0].flags, 0x0d);
}

TEST(a_processor_named_twice_is_one) {
    static const uint8_t entries[] = {0, 8,  0, 6, 1, 0, 0, 0, /* LAPIC */
                                      9, 16, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};

    madt(entries, sizeof(entries));
    EXPECT_EQ(info.nr_cpus, 1);
}

TEST(more_processors_than_fit_are_counted) {
    static uint8_t entries[(NR_CPUS + 10) * 16];

    for (unsigned int i = 0; i < NR_CPUS + 10; i++)
        memcpy(entries + i * 16, (uint8_t[16]){9, 16, 0, 0, (uint8_t)i, 1, 0, 0, 1}, 16);
    madt(entries, sizeof(entries));
    EXPECT_EQ(info.nr_cpus, NR_CPUS + 10);
    EXPECT_EQ(info.cpu[NR_CPUS - 1].apic_id, 256 + NR_CPUS - 1);
}

TEST(lengths_that_lie_end_the_reading) {
    static const uint8_t zero[] = {0, 0, 1, 1, 1, 0, 0, 0}, one[] = {0, 1}, half[] = {0},
                         beyond[] = {0, 9, 1, 1, 1, 0, 0, 0}, too_short[] = {0, 4, 1, 1};

    madt(zero, sizeof(zero));
    EXPECT_EQ(info.nr_cpus, 0);
    madt(one, sizeof(one));
    madt(beyond, sizeof(beyond));
    EXPECT_EQ(info.nr_cpus, 0);
    madt(too_short, sizeof(too_short));
    EXPECT_EQ(info.nr_cpus, 0);
    madt(half, sizeof(half));
}

TEST(any_bytes_are_safe) {
    srand(1);
    for (unsigned int i = 0; i < 20000; i++) {
        size_t len = (size_t)rand() % 300;
        uint8_t *table = malloc(len);

        for (size_t j = 0; j < len; j++)
            table[j] = (uint8_t)(rand() % 4 ? rand() % 24 : rand());
        memset(&info, 0, sizeof(info));
        acpi_parse_madt(&info, table, len);
        acpi_parse_fadt(&info, table, len);
        acpi_parse_hpet(&info, table, len);
        EXPECT(info.nr_ioapics <= MAX_IOAPICS);
        free(table);
    }
}

TEST(a_short_fadt_of_acpi_1_has_no_reset_register) {
    uint8_t table[116] = {0};

    table[76] = 0x08;                /* PM timer at 0x608 */
    table[77] = 0x06;
    table[113] = 0x04;               /* reset supported, says the flag */
    memset(&info, 0, sizeof(info));
    acpi_parse_fadt(&info, table, sizeof(table));
    EXPECT_EQ(info.pm_timer_port, 0x608);
    EXPECT(!info.has_reset || info.reset_register.address == 0);
}

TEST(checksums) {
    EXPECT(acpi_sum_is_zero("\x01\xff", 2));
    EXPECT(!acpi_sum_is_zero("\x01\xfe", 2));
    EXPECT(acpi_sum_is_zero("", 0));
}
