/* links: pv/io-ports.c lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include <string.h>

#include "pv/emulate.h"
#include "pv/pci-config.h"
#include "vcpu-fixture.h"

static uint8_t ports[65536];
static unsigned int reads, writes, pci_reads, pci_writes;

uint32_t arch_port_in(uint16_t port, unsigned int size) {
    uint32_t value = 0;

    memcpy(&value, &ports[port], size);
    reads++;
    return value;
}
void arch_port_out(uint16_t port, unsigned int size, uint32_t value) {
    memcpy(&ports[port], &value, size);
    writes++;
}
uint32_t pv_pci_cf8_read(struct vcpu *v, uint16_t port, unsigned int size) {
    (void)v, (void)port, (void)size;
    pci_reads++;
    return 0x1234;
}
void pv_pci_cf8_write(struct vcpu *v, uint16_t port, unsigned int size, uint32_t value) {
    (void)v, (void)port, (void)size, (void)value;
    pci_writes++;
}

static void reset(bool hardware) {
    vf_reset();
    vf_d.hardware = hardware;
    for (unsigned int i = 0; i < sizeof(ports); i++)
        ports[i] = (uint8_t)i;
    reads = writes = pci_reads = pci_writes = 0;
}

TEST(other_domains_find_nothing_at_any_port) {
    reset(false);
    EXPECT_EQ(pv_port_in(vf_v, 0x3f8, 1), 0xff);
    EXPECT_EQ(pv_port_in(vf_v, 0x3f8, 2), 0xffff);
    EXPECT_EQ(pv_port_in(vf_v, 0xcf8, 4), 0xffffffff);
    pv_port_out(vf_v, 0x3f8, 1, 1);
    EXPECT_EQ(reads + writes + pci_reads + pci_writes, 0);
}

TEST(the_hardware_domain_reaches_ordinary_ports) {
    reset(true);
    EXPECT_EQ(pv_port_in(vf_v, 0x3c0, 1), 0xc0);
    EXPECT_EQ(pv_port_in(vf_v, 0x3c0, 4), 0xc3c2c1c0);
    pv_port_out(vf_v, 0x3c0, 2, 0xabcd);
    EXPECT_EQ(ports[0x3c1], 0xab);
    EXPECT_EQ(reads, 2);
}

TEST(interrupt_controllers_and_our_timer_are_out_of_reach) {
    static const uint16_t ours[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41};

    reset(true);
    for (unsigned int i = 0; i < ARRAY_LEN(ours); i++) {
        EXPECT_EQ(pv_port_in(vf_v, ours[i], 1), 0xff);
        pv_port_out(vf_v, ours[i], 1, 0);
    }
    EXPECT_EQ(reads + writes, 0);
}

TEST(a_wide_access_cannot_reach_past_a_rule) {
    reset(true);
    EXPECT_EQ(pv_port_in(vf_v, 0x1e, 4), 0xffff1f1e);
    pv_port_out(vf_v, 0x1e, 4, 0);
    EXPECT_EQ(ports[0x1f], 0);
    EXPECT_EQ(ports[0x20], 0x20);
    EXPECT_EQ(ports[0x21], 0x21);
}

TEST(timer_commands_are_for_channel_2_only) {
    reset(true);
    ports[0x43] = 0;
    pv_port_out(vf_v, 0x43, 1, 0x34); /* channel 0 */
    pv_port_out(vf_v, 0x43, 1, 0xc2); /* read back of channel 0 */
    EXPECT_EQ(writes, 0);
    pv_port_out(vf_v, 0x43, 1, 0xb0);
    EXPECT_EQ(ports[0x43], 0xb0);
    pv_port_out(vf_v, 0x43, 1, 0xe8); /* read back of channel 2 */
    EXPECT_EQ(ports[0x43], 0xe8);
    EXPECT_EQ(pv_port_in(vf_v, 0x42, 1), 0x42);
}

TEST(of_port_61_only_gate_and_speaker_are_changed) {
    reset(true);
    ports[0x61] = 0x0c;
    pv_port_out(vf_v, 0x61, 1, 0xf3);
    EXPECT_EQ(ports[0x61], 0x0f);
}

TEST(the_battery_clock_has_an_index_of_its_own) {
    reset(true);
    pv_port_out(vf_v, 0x70, 1, 0x8a);
    EXPECT_EQ(writes, 0);
    EXPECT_EQ(pv_port_in(vf_v, 0x70, 1), 0x0a);
    EXPECT_EQ(pv_port_in(vf_v, 0x71, 1), 0x71);
    EXPECT_EQ(ports[0x70], 0x0a); /* without the NMI bit */
    pv_port_out(vf_v, 0x71, 1, 0x55);
    EXPECT_EQ(ports[0x71], 0x55);
}

TEST(pci_configuration_goes_its_own_way) {
    reset(true);
    EXPECT_EQ(pv_port_in(vf_v, 0xcf8, 4), 0x1234);
    pv_port_out(vf_v, 0xcff, 1, 0);
    EXPECT_EQ(pci_reads + pci_writes, 2);
    EXPECT_EQ(reads + writes, 0);
    /* nor can an access that only overlaps it get there */
    EXPECT_EQ(pv_port_in(vf_v, 0xcf6, 4), 0xfffff7f6);
    pv_port_out(vf_v, 0xcfe, 4, 0x11111111);
    EXPECT(ports[0xcff] == 0xff && ports[0xd00] == 0x11);
}

TEST(ports_we_reserve_are_gone) {
    reset(true);
    pv_port_reserve(0x3f8, 0x3ff);
    EXPECT_EQ(pv_port_in(vf_v, 0x3fd, 1), 0xff);
    EXPECT_EQ(pv_port_in(vf_v, 0x3f7, 1), 0xf7);
    pv_port_reserve(0x2f8, 0x2ff);
    pv_port_reserve(0x3e8, 0x3ef);
    pv_port_reserve(0x2e8, 0x2ef);
    EXPECT_BUG(pv_port_reserve(1, 2));
}
