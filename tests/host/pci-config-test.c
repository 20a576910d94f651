/* links: pv/pci-config.c lib/lock.c arch/fake/fake.c arch/fake/stubs.c */
/* Ports 0xcf8 to 0xcff as dom0 uses them. */
#include "pv/pci-config.h"

#include <string.h>

#include "arch/fake/fake.h"
#include "test.h"

#define ENABLE                   0x80000000u
#define ADDRESS(bus, devfn, reg) (ENABLE | (bus) << 16 | (devfn) << 8 | (reg))

static struct vcpu v;
static bool refuse;

bool arch_msi_allow_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                          uint32_t *value) {
    EXPECT(bus == 0 && devfn == 0x18 && reg + size <= 256);
    if (*value == 0x55)
        *value = 0x66; /* bits that are ours */
    return !refuse;
}

static void start(void) {
    fake_machine_init(16);
    refuse = false;
    pv_pci_cf8_write(&v, 0xcf8, 4, 0);
    memset(fake_record.pci[0x18], 0, sizeof(fake_record.pci[0x18]));
}

TEST(the_address_is_kept_and_the_machines_own_never_written) {
    start();
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 0x10u));
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcf8, 4), ADDRESS(0u, 0x18u, 0x10u));
    EXPECT_EQ(fake_record.port.writes, 0);
    EXPECT_EQ(fake_record.port.reads, 0);
}

TEST(data_of_every_size_and_offset) {
    start();
    fake_record.pci[0x18][4] = 0x44332211;
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 0x10u));
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfc, 4), 0x44332211);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfc, 2), 0x2211);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfe, 2), 0x4433);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfd, 1), 0x22);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcff, 1), 0x44);
    pv_pci_cf8_write(&v, 0xcfe, 2, 0xbbaa);
    pv_pci_cf8_write(&v, 0xcfd, 1, 0x99);
    EXPECT_EQ(fake_record.pci[0x18][4], 0xbbaa9911);
    pv_pci_cf8_write(&v, 0xcfc, 4, 7);
    EXPECT_EQ(fake_record.pci[0x18][4], 7);
}

TEST(the_two_low_bits_of_the_address_do_not_count) {
    start();
    fake_record.pci[0x18][0] = 0x12345678;
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 3u));
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfc, 4), 0x12345678);
}

TEST(without_the_enable_bit_there_is_nothing) {
    start();
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 0u) & ~ENABLE);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfc, 4), UINT32_MAX);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfc, 2), 0xffff);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcff, 1), 0xff);
    pv_pci_cf8_write(&v, 0xcfc, 4, 1);
    EXPECT_EQ(fake_record.pci[0x18][0], 0);
}

TEST(accesses_across_the_register_reach_nothing) {
    start();
    fake_record.pci[0x18][0] = 0x44332211;
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 0u));
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfd, 2), 0xffff);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfd, 4), UINT32_MAX);
    pv_pci_cf8_write(&v, 0xcfd, 2, 0);
    fake_record.port.port = 0;
    pv_pci_cf8_write(&v, 0xcfa, 4, 0); /* half in the address, half in the data */
    pv_pci_cf8_write(&v, 0xcfb, 2, 0);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcfa, 4), UINT32_MAX);
    EXPECT_EQ(fake_record.port.port, 0);
    EXPECT_EQ(fake_record.pci[0x18][0], 0x44332211);
}

TEST(small_accesses_below_are_other_registers_of_the_machine) {
    start();
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 0u));
    pv_pci_cf8_write(&v, 0xcf9, 1, 6);
    EXPECT_EQ(fake_record.port.port, 0xcf9);
    EXPECT_EQ(fake_record.port.size, 1);
    EXPECT_EQ(fake_record.port.value, 6);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcf9, 1), 6);
    EXPECT_EQ(pv_pci_cf8_read(&v, 0xcf8, 4), ADDRESS(0u, 0x18u, 0u));
}

TEST(what_the_hypervisor_programmed_stays) {
    start();
    pv_pci_cf8_write(&v, 0xcf8, 4, ADDRESS(0u, 0x18u, 0x50u));
    refuse = true;
    pv_pci_cf8_write(&v, 0xcfc, 4, 0xfee00000);
    EXPECT_EQ(fake_record.pci[0x18][0x14], 0);
    refuse = false;
    pv_pci_cf8_write(&v, 0xcfc, 2, 0x55);
    EXPECT_EQ(fake_record.pci[0x18][0x14], 0x66);
}
