/* PCI configuration space as the hardware domain reaches it: ports 0xcf8-0xcff. */
#ifndef PV_PCI_CONFIG_H
#define PV_PCI_CONFIG_H

#include "core/vcpu.h"

#define PCI_CONFIG_PORT_FIRST 0xcf8
#define PCI_CONFIG_PORT_LAST  0xcff

/*
 * The access the guest makes, done on its behalf. The address register is a private one; smaller
 * accesses to 0xcf8-0xcfb are other registers of the machine (0xcf9 resets it) and go there.
 * Trust:  v is of the hardware domain; size is 1, 2 or 4 and the port any of the eight.
 */
uint32_t pv_pci_cf8_read(struct vcpu *v, uint16_t port, unsigned int size);
void pv_pci_cf8_write(struct vcpu *v, uint16_t port, unsigned int size, uint32_t value);

#endif
