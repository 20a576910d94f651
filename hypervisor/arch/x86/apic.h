/* The local APIC: inter-processor interrupts and the timer. */
#ifndef ARCH_X86_APIC_H
#define ARCH_X86_APIC_H

#include "core/cpu.h"

/* Vectors 0x20-0xef are for devices, except 0x80 (guests' int 0x80). */
#define VECTOR_DEVICE_FIRST 0x20
#define VECTOR_DEVICE_LAST  0xef
#define VECTOR_STOP         0xfa
#define VECTOR_FLUSH        0xfb
#define VECTOR_KICK         0xfc
#define VECTOR_TIMER        0xfd
#define VECTOR_ERROR        0xfe
#define VECTOR_SPURIOUS     0xff

/* Boot cpu: find and enable the APIC and mask the 8259. Every cpu: enable it, on that cpu. */
void apic_init(void);
void apic_cpu_init(struct cpu *cpu);

/* End the interrupt being handled, unless it was spurious. */
void apic_eoi(void);
void apic_send_ipi(uint32_t apic_id, uint8_t vector);
void apic_send_ipi_mask(const cpumask_t *cpus, uint8_t vector);
void apic_send_ipi_others(uint8_t vector);
/* To this cpu itself; from an NMI, too. */
void apic_send_ipi_self(uint8_t vector);

/* Start-up of another processor. */
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint8_t page);

/* For calibration (clock.c): let the timer run from its top, unseen; what it counted since. */
void apic_timer_free_run(void);
uint32_t apic_timer_counted(void);
void apic_timer_set_khz(uint64_t khz);

/* A device interrupt fired (irq.c). */
void irq_dispatch(unsigned int vector);

#endif
