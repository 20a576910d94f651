/* What switching the machine off and resetting it need from boot. */
#ifndef ARCH_X86_POWER_H
#define ARCH_X86_POWER_H

/* After acpi_init(). */
void power_init(void);

#endif
