/* PCI configuration space by mechanism 1: the address in port 0xcf8, the data in 0xcfc. */
#include "arch/cpu.h"
#include "arch/x86/irq.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  BIT(31)

enum { REG_ID = 0, REG_STATUS = 6, STATUS_CAPABILITIES = 0x10, REG_CAPABILITIES = 0x34 };

static struct lock pci_lock = LOCK_INIT(RANK_PCI);

static void select_register(uint8_t bus, uint8_t devfn, unsigned int reg) {
    arch_port_out(
        CONFIG_ADDRESS, 4,
        (uint32_t)(CONFIG_ENABLE | (uint32_t)bus << 16 | (uint32_t)devfn << 8 | (reg & 0xfc)));
}

uint32_t arch_pci_read(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size) {
    uint64_t flags = lock_acquire_irq(&pci_lock);
    uint32_t value;

    select_register(bus, devfn, reg);
    value = arch_port_in((uint16_t)(CONFIG_DATA + (reg & 3)), size);
    lock_release_irq(&pci_lock, flags);
    return value;
}

void arch_pci_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                    uint32_t value) {
    uint64_t flags = lock_acquire_irq(&pci_lock);

    select_register(bus, devfn, reg);
    arch_port_out((uint16_t)(CONFIG_DATA + (reg & 3)), size, value);
    lock_release_irq(&pci_lock, flags);
}

/* The list is the device's: bounded by the number of capabilities that fit. */
unsigned int pci_find_capability(uint8_t bus, uint8_t devfn, uint8_t id) {
    unsigned int at = REG_CAPABILITIES;

    if (arch_pci_read(bus, devfn, REG_ID, 2) == 0xffff ||
        !(arch_pci_read(bus, devfn, REG_STATUS, 2) & STATUS_CAPABILITIES))
        return 0;
    for (unsigned int n = 0; n < 48; n++) {
        at = arch_pci_read(bus, devfn, at, 1) & 0xfc;
        if (at < 0x40)
            return 0;
        if (arch_pci_read(bus, devfn, at, 1) == id)
            return at;
        at++;
    }
    return 0;
}
