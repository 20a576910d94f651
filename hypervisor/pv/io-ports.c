#include "arch/cpu.h"
#include "core/domain.h"
#include "lib/bug.h"
#include "lib/lock.h"
#include "pv/emulate.h"
#include "pv/pci-config.h"

/*
 * The ports that are not simply the machine's, even to the hardware domain: interrupt controllers
 * and timer channels 0 and 1 are ours; timer channel 2, the battery clock and PCI configuration
 * are shared.
 */
struct port_rule {
    uint16_t first, last;
    uint32_t (*in)(uint16_t port);             /* one byte; NULL: reads ones */
    void (*out)(uint16_t port, uint8_t value); /* NULL: dropped */
};

static struct lock cmos_lock = LOCK_INIT(RANK_PCI);
static uint8_t cmos_index;

static uint32_t byte_in(uint16_t port) {
    return arch_port_in(port, 1);
}
static void byte_out(uint16_t port, uint8_t value) {
    arch_port_out(port, 1, value);
}

/* Commands to channel 2 only, and of the read-back command those that name only channel 2. */
static void pit_command(uint16_t port, uint8_t value) {
    if (value >> 6 == 2 || (value & 0xcf) == 0xc8)
        byte_out(port, value);
}
/* Gate of channel 2 and speaker; the other bits are the machine's. */
static void port_b_out(uint16_t port, uint8_t value) {
    byte_out(port, (uint8_t)((byte_in(port) & 0x0c) | (value & 3)));
}

/* Index and data are two accesses; another vcpu may come between. */
static uint32_t cmos_in(uint16_t port) {
    uint64_t flags;
    uint32_t value;

    if (port == 0x70)
        return cmos_index;
    flags = lock_acquire_irq(&cmos_lock);
    byte_out(0x70, cmos_index);
    value = byte_in(0x71);
    lock_release_irq(&cmos_lock, flags);
    return value;
}
static void cmos_out(uint16_t port, uint8_t value) {
    uint64_t flags = lock_acquire_irq(&cmos_lock);

    if (port == 0x70) {
        cmos_index = value & 0x7f;
    } else {
        byte_out(0x70, cmos_index);
        byte_out(0x71, value);
    }
    lock_release_irq(&cmos_lock, flags);
}

#define RESERVED_MAX 4
static struct port_rule rules[8 + RESERVED_MAX] = {
    {0x20, 0x21, NULL, NULL},          {0x40, 0x41, NULL, NULL},
    {0x42, 0x42, byte_in, byte_out},   {0x43, 0x43, NULL, pit_command},
    {0x61, 0x61, byte_in, port_b_out}, {0x70, 0x71, cmos_in, cmos_out},
    {0xa0, 0xa1, NULL, NULL},
    {PCI_CONFIG_PORT_FIRST, PCI_CONFIG_PORT_LAST, NULL, NULL}, /* what only overlaps it */
};
static unsigned int nr_rules = 8;

void pv_port_reserve(uint16_t first, uint16_t last) {
    BUG_ON(nr_rules == ARRAY_LEN(rules));
    rules[nr_rules++] = (struct port_rule){first, last, NULL, NULL};
}

/* A rule for any of the ports [first, last]. */
static const struct port_rule *find_rule(unsigned int first, unsigned int last) {
    for (unsigned int i = 0; i < nr_rules; i++)
        if (first <= rules[i].last && last >= rules[i].first)
            return &rules[i];
    return NULL;
}

static bool is_pci_config(unsigned int port, unsigned int size) {
    return port >= PCI_CONFIG_PORT_FIRST && port + size - 1 <= PCI_CONFIG_PORT_LAST;
}

uint32_t pv_port_in(struct vcpu *v, uint16_t port, unsigned int size) {
    uint32_t value = 0;

    if (!v->domain->hardware)
        return UINT32_MAX >> (32 - 8 * size);
    if (is_pci_config(port, size))
        return pv_pci_cf8_read(v, port, size);
    if (!find_rule(port, port + size - 1u))
        return arch_port_in(port, size);
    for (unsigned int i = 0; i < size; i++) {
        uint16_t p = (uint16_t)(port + i);
        const struct port_rule *rule = find_rule(p, p);
        uint32_t byte = !rule ? byte_in(p) : rule->in ? rule->in(p) : 0xff;

        value |= byte << (8 * i);
    }
    return value;
}

void pv_port_out(struct vcpu *v, uint16_t port, unsigned int size, uint32_t value) {
    if (!v->domain->hardware)
        return;
    if (is_pci_config(port, size)) {
        pv_pci_cf8_write(v, port, size, value);
        return;
    }
    if (!find_rule(port, port + size - 1u)) {
        arch_port_out(port, size, value);
        return;
    }
    for (unsigned int i = 0; i < size; i++) {
        uint16_t p = (uint16_t)(port + i);
        const struct port_rule *rule = find_rule(p, p);

        if (!rule)
            byte_out(p, (uint8_t)(value >> (8 * i)));
        else if (rule->out)
            rule->out(p, (uint8_t)(value >> (8 * i)));
    }
}
