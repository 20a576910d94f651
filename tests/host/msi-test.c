/* links: arch/x86/msi.c arch/x86/pci.c lib/lock.c arch/fake/fake.c arch/fake/stubs.c */
/* flags: -Wl,--wrap=arch_port_in,--wrap=arch_port_out */
/*
 * MSI and MSI-X of devices that are a configuration space behind ports 0xcf8 and 0xcfc, and a
 * table in "device memory"; vectors come from a counter.
 */
#include <stdlib.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "arch/x86/irq.h"
#include "arch/x86/paging.h"
#include "core/heap.h"
#include "test.h"

#define TABLE_BAR    0xfe000000u
#define TABLE_OFFSET 0x800u
#define CAP          0x50
#define MSI_ENABLE   1u

/* The device at 0:3.0. */
#define BUS   0
#define DEVFN 0x18
static uint8_t config[256];
static uint32_t table[8][4];

struct lock irq_lock = LOCK_INIT(RANK_IRQ);
struct irq irqs[NR_IRQS];
static unsigned int next_vector, ioremaps;
static bool no_vectors;

/* --- what msi.c calls ------------------------------------------------------------------------ */

int irq_alloc_vectors(unsigned int irq, unsigned int count) {
    if (no_vectors)
        return -ENOSPC;
    next_vector = ROUND_UP(next_vector, count);
    for (unsigned int i = 0; i < count; i++)
        irqs[irq + i].vector = (uint8_t)next_vector++;
    return 0;
}
void irq_free_vector(unsigned int irq) {
    irqs[irq].vector = 0;
}
bool arch_mmio_is_ours(mfn_t mfn) {
    return mfn.n == 0xfee00;
}
void *ioremap(uint64_t pa, uint64_t len) {
    ioremaps++;
    EXPECT_EQ(pa, TABLE_BAR + TABLE_OFFSET);
    EXPECT(len <= sizeof(table));
    return table;
}
void *mem_alloc(size_t bytes) {
    static uint64_t room[64];
    static size_t used;

    used += bytes / 8;
    if (used > ARRAY_LEN(room))
        abort();
    return &room[used - bytes / 8];
}

/* Mechanism 1, which pci.c speaks. */
static uint32_t address;
uint32_t __wrap_arch_port_in(uint16_t port, unsigned int size);
void __wrap_arch_port_out(uint16_t port, unsigned int size, uint32_t value);

static uint8_t *selected(uint16_t port) {
    static uint8_t nothing[4];

    memset(nothing, 0xff, sizeof(nothing));
    if ((address & 0xffffff00) != (0x80000000u | BUS << 16 | DEVFN << 8))
        return nothing + (port & 3);
    return config + (address & 0xfc) + (port & 3);
}
uint32_t __wrap_arch_port_in(uint16_t port, unsigned int size) {
    uint32_t value = 0;

    EXPECT(port >= 0xcfc && port + size <= 0xd00);
    memcpy(&value, selected(port), size);
    return value;
}
void __wrap_arch_port_out(uint16_t port, unsigned int size, uint32_t value) {
    if (port == 0xcf8 && size == 4)
        address = value;
    else
        memcpy(selected(port), &value, size);
}

/* --- the device ------------------------------------------------------------------------------ */

static void put(unsigned int reg, unsigned int size, uint32_t value) {
    memcpy(config + reg, &value, size);
}
static uint32_t get(unsigned int reg, unsigned int size) {
    uint32_t value = 0;

    memcpy(&value, config + reg, size);
    return value;
}

/* Nothing is programmed at the start of a test: what a test allocates it frees. */
static void start(void) {
    fake_machine_init(16);
    memset(config, 0, sizeof(config));
    memset(table, 0xff, sizeof(table));
    memset(irqs, 0, sizeof(irqs));
    next_vector = 0x41;
    no_vectors = false;
    put(0, 4, 0x12348086);
    put(6, 2, 0x10);
    put(0x34, 1, 0x40);
    put(0x40, 2, 0x01 | CAP << 8); /* power management first */
}

/* capable: log2 of its messages. */
static void msi_device(unsigned int capable, bool is_64, bool maskable) {
    start();
    put(CAP, 2, 0x05);
    put(CAP + 2, 2, capable << 1 | (is_64 ? 0x80 : 0) | (maskable ? 0x100 : 0));
}
static void msix_device(void) {
    start();
    put(CAP, 2, 0x11);
    put(CAP + 2, 2, ARRAY_LEN(table) - 1);
    put(CAP + 4, 4, TABLE_OFFSET | 1); /* in BAR 1 */
}

static int alloc_msi(unsigned int count) {
    struct msi_where w = {.bus = BUS, .devfn = DEVFN, .count = count};

    return arch_msi_alloc(&w);
}
static int alloc_msix(uint16_t entry) {
    struct msi_where w = {.bus = BUS,
                          .devfn = DEVFN,
                          .count = 1,
                          .entry_nr = entry,
                          .table_base = TABLE_BAR,
                          .msix = true};

    return arch_msi_alloc(&w);
}
static void enable(int irq, uint8_t dest) {
    irqs[irq].enabled = true;
    irqs[irq].dest = dest;
    msi_write_message((unsigned int)irq);
}

/* --- MSI ------------------------------------------------------------------------------------- */

TEST(a_message_of_32_bits) {
    msi_device(0, false, false);
    int irq = alloc_msi(1);

    EXPECT_EQ(irq, nr_gsis);
    enable(irq, 3);
    EXPECT_EQ(get(CAP + 4, 4), 0xfee03000);
    EXPECT_EQ(get(CAP + 8, 2), irqs[irq].vector);
    EXPECT_EQ(get(CAP + 0xa, 2), 0); /* and nothing behind it */
    EXPECT_EQ(get(CAP + 0xc, 4), 0);
    EXPECT_EQ(get(CAP + 2, 2) & MSI_ENABLE, 0);
    arch_msi_free((unsigned int)irq);
}

TEST(a_message_of_64_bits_with_a_mask) {
    msi_device(0, true, true);
    put(CAP + 8, 4, 0xdead);
    put(CAP + 0x10, 4, 0xfffffff0);
    int irq = alloc_msi(1);

    EXPECT_EQ(get(CAP + 0x10, 4), 0xfffffff1);
    enable(irq, 0);
    EXPECT_EQ(get(CAP + 4, 4), 0xfee00000);
    EXPECT_EQ(get(CAP + 8, 4), 0);
    EXPECT_EQ(get(CAP + 0xc, 2), irqs[irq].vector);
    EXPECT_EQ(get(CAP + 0x10, 4), 0xfffffff0);
    arch_msi_free((unsigned int)irq);
    EXPECT_EQ(get(CAP + 0x10, 4), 0xfffffff1);
}

TEST(several_messages_are_consecutive_vectors_from_an_aligned_one) {
    msi_device(3, true, true);
    int irq = alloc_msi(4);

    EXPECT_EQ(irq, nr_gsis);
    EXPECT_EQ(irqs[irq].vector, 0x44);
    EXPECT_EQ(irqs[irq + 3].vector, 0x47);
    EXPECT_EQ(get(CAP + 2, 2) >> 4 & 7, 2);
    EXPECT_EQ(get(CAP + 0x10, 4), 0xf);
    enable(irq + 2, 1);
    EXPECT_EQ(get(CAP + 0xc, 2), 0x44); /* the base, whichever is written */
    EXPECT_EQ(get(CAP + 0x10, 4), 0xb);
    for (int i = 0; i < 4; i++)
        arch_msi_free((unsigned int)(irq + i));
    EXPECT_EQ(alloc_msi(1), irq);
    arch_msi_free((unsigned int)irq);
}

TEST(a_message_outlives_the_first_one) {
    msi_device(3, true, true);
    int irq = alloc_msi(4);

    arch_msi_free((unsigned int)irq);
    EXPECT_EQ(irqs[irq].vector, 0);
    enable(irq + 2, 1);
    EXPECT_EQ(get(CAP + 0xc, 2), 0x44); /* and not an exception's */
    for (int i = 1; i < 4; i++)
        arch_msi_free((unsigned int)(irq + i));
}

TEST(msi_errors) {
    struct msi_where elsewhere = {.bus = 1, .devfn = DEVFN, .count = 1},
                     segment = {.seg = 1, .bus = BUS, .devfn = DEVFN, .count = 1};

    msi_device(1, true, false);
    EXPECT_EQ(arch_msi_alloc(&elsewhere), -ENODEV);
    EXPECT_EQ(arch_msi_alloc(&segment), -ENODEV);
    EXPECT_EQ(alloc_msix(0), -ENODEV);
    EXPECT_EQ(alloc_msi(0), -EINVAL);
    EXPECT_EQ(alloc_msi(3), -EINVAL);
    EXPECT_EQ(alloc_msi(4), -EINVAL);
    no_vectors = true;
    EXPECT_EQ(alloc_msi(2), -ENOSPC);
    no_vectors = false;
    int irq = alloc_msi(2);

    EXPECT_EQ(irq, nr_gsis);
    EXPECT_EQ(alloc_msi(1), -EEXIST);
    arch_msi_free((unsigned int)irq);
    EXPECT_EQ(alloc_msi(1), -EEXIST); /* its second is still there */
    arch_msi_free((unsigned int)irq + 1);
    arch_msi_free((unsigned int)irq + 1); /* twice is harmless */
    EXPECT_EQ(arch_msi_restore(0, BUS, DEVFN), -ENODEV);
}

TEST(a_freed_device_is_silent) {
    msi_device(0, false, false);
    int irq = alloc_msi(1);

    put(CAP + 2, 2, get(CAP + 2, 2) | MSI_ENABLE); /* dom0 did, and forgot */
    arch_msi_free((unsigned int)irq);
    EXPECT_EQ(get(CAP + 2, 2) & MSI_ENABLE, 0);
    EXPECT_EQ(irqs[irq].vector, 0);
}

TEST(capability_lists_that_run_in_circles_end) {
    start();
    put(0x40, 2, 0x01 | 0x40 << 8);
    EXPECT_EQ(alloc_msi(1), -ENODEV);
    put(6, 2, 0);
    EXPECT_EQ(alloc_msi(1), -ENODEV);
}

/* --- MSI-X ----------------------------------------------------------------------------------- */

TEST(an_entry_is_written_masked_and_unmasked_when_enabled) {
    msix_device();
    int irq = alloc_msix(5);

    EXPECT_EQ(irq, nr_gsis);
    EXPECT_EQ(table[5][3], 1);
    enable(irq, 2);
    EXPECT_EQ(table[5][0], 0xfee02000);
    EXPECT_EQ(table[5][1], 0);
    EXPECT_EQ(table[5][2], irqs[irq].vector);
    EXPECT_EQ(table[5][3], 0);
    EXPECT_EQ(table[4][0], UINT32_MAX); /* the others are left alone */
    EXPECT_EQ(table[6][0], UINT32_MAX);
    arch_msi_free((unsigned int)irq);
    EXPECT_EQ(table[5][3], 1);
}

TEST(a_table_is_mapped_once) {
    msix_device();
    unsigned int before = ioremaps;
    int a = alloc_msix(0), b = alloc_msix(7);

    EXPECT_EQ(b, a + 1);
    arch_msi_free((unsigned int)a);
    EXPECT_EQ(alloc_msix(0), a);
    EXPECT(ioremaps <= before + 1);
    arch_msi_free((unsigned int)a);
    arch_msi_free((unsigned int)b);
}

TEST(msix_errors) {
    struct msi_where w = {.bus = BUS, .devfn = DEVFN, .count = 1, .msix = true};

    msix_device();
    EXPECT_EQ(alloc_msix(ARRAY_LEN(table)), -EINVAL);
    EXPECT_EQ(alloc_msi(1), -ENODEV);
    w.table_base = 0x1000; /* RAM */
    EXPECT_EQ(arch_msi_alloc(&w), -EINVAL);
    w.table_base = TABLE_BAR + 4;
    EXPECT_EQ(arch_msi_alloc(&w), -EINVAL);
    w.table_base = UINT64_MAX - 15;
    EXPECT_EQ(arch_msi_alloc(&w), -EINVAL);
    w.table_base = 0xfee00000 - TABLE_OFFSET; /* the interrupt controller's own */
    EXPECT_EQ(arch_msi_alloc(&w), -EINVAL);
    w.table_base = BIT(60); /* beyond the processor's addresses */
    EXPECT_EQ(arch_msi_alloc(&w), -EINVAL);
    int irq = alloc_msix(1);

    EXPECT_EQ(alloc_msix(1), -EEXIST);
    arch_msi_free((unsigned int)irq);
}

TEST(restore_writes_all_messages_again) {
    msix_device();
    int a = alloc_msix(0), b = alloc_msix(1);

    enable(a, 1);
    memset(table, 0, sizeof(table)); /* a reset */
    EXPECT_EQ(arch_msi_restore(1, BUS, DEVFN), -ENODEV);
    EXPECT_EQ(arch_msi_restore(0, BUS, DEVFN), 0);
    EXPECT_EQ(table[0][2], irqs[a].vector);
    EXPECT_EQ(table[0][3], 0);
    EXPECT_EQ(table[1][2], irqs[b].vector);
    EXPECT_EQ(table[1][3], 1);
    arch_msi_free((unsigned int)a);
    arch_msi_free((unsigned int)b);
}

/* --- dom0's writes --------------------------------------------------------------------------- */

static bool allowed(unsigned int reg, unsigned int size, uint32_t value, uint32_t *out) {
    *out = value;
    return arch_msi_allow_write(BUS, DEVFN, reg, size, out);
}

TEST(a_device_without_messages_is_dom0s) {
    uint32_t v;

    msi_device(0, true, true);
    for (unsigned int reg = 0; reg < 256; reg++)
        EXPECT(allowed(reg, 1, 7, &v) && v == 7);
}

TEST(of_an_msi_capability_dom0_may_write_the_control_register) {
    uint32_t v;

    msi_device(2, true, true);
    int irq = alloc_msi(2);

    EXPECT(allowed(CAP + 2, 2, 0x71, &v)); /* on, with 128 messages: on, with the two it has */
    EXPECT_EQ(v, 0x11);
    EXPECT(!allowed(CAP, 4, 0x710000, &v));
    for (unsigned int reg = CAP; reg < CAP + 0x18; reg++)
        EXPECT(!allowed(reg, 1, 0, &v));
    EXPECT(allowed(CAP - 4, 4, 1, &v));
    EXPECT(!allowed(CAP - 2, 4, 1, &v));
    EXPECT(allowed(CAP + 0x18, 4, 1, &v));
    EXPECT(arch_msi_allow_write(BUS, DEVFN + 1, CAP + 4, 4, &v));
    arch_msi_free((unsigned int)irq);
    arch_msi_free((unsigned int)irq + 1);
    EXPECT(allowed(CAP + 4, 4, 1, &v));
}

TEST(of_an_msix_capability_too) {
    uint32_t v;

    msix_device();
    int irq = alloc_msix(0);

    EXPECT(allowed(CAP + 2, 2, 0xc000, &v));
    EXPECT_EQ(v, 0xc000);
    EXPECT(!allowed(CAP + 4, 4, 0, &v));
    EXPECT(allowed(CAP + 12, 4, 0, &v));
    arch_msi_free((unsigned int)irq);
}
