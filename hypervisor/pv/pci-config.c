#include "pv/pci-config.h"

#include "arch/cpu.h"
#include "arch/irq.h"
#include "lib/bits.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  BIT(31)

/* The hardware domain's address register. Its kernel keeps address and data accesses together. */
static uint32_t latch;

static bool is_address(uint16_t port, unsigned int size) {
    return port == CONFIG_ADDRESS && size == 4;
}

/* The machine's own small registers beside the address; nothing that reaches into the data. */
static bool is_beside(uint16_t port, unsigned int size) {
    return port + size <= CONFIG_DATA;
}

/* Where a data access goes. */
struct target {
    uint8_t bus, devfn;
    unsigned int reg;
};

/* Errors: false: nowhere; disabled, or beyond the end of the data register. */
static bool find_target(uint16_t port, unsigned int size, struct target *t) {
    uint32_t address = READ_ONCE(latch);
    unsigned int offset = port - CONFIG_DATA;

    if (port < CONFIG_DATA || !(address & CONFIG_ENABLE) || offset % size)
        return false;
    *t = (struct target){(uint8_t)(address >> 16), (uint8_t)(address >> 8),
                         (address & 0xfc) + offset};
    return true;
}

uint32_t pv_pci_cf8_read(struct vcpu *v, uint16_t port, unsigned int size) {
    struct target t;

    (void)v;
    if (is_address(port, size))
        return READ_ONCE(latch);
    if (is_beside(port, size))
        return arch_port_in(port, size);
    return find_target(port, size, &t) ? arch_pci_read(t.bus, t.devfn, t.reg, size)
                                       : UINT32_MAX >> (32 - 8 * size);
}

void pv_pci_cf8_write(struct vcpu *v, uint16_t port, unsigned int size, uint32_t value) {
    struct target t;

    (void)v;
    if (is_address(port, size))
        WRITE_ONCE(latch, value);
    else if (is_beside(port, size))
        arch_port_out(port, size, value);
    else if (find_target(port, size, &t) &&
             arch_msi_allow_write(t.bus, t.devfn, t.reg, size, &value))
        arch_pci_write(t.bus, t.devfn, t.reg, size, value);
}
