/* Finding out how fast the TSC and the APIC timer run. */
#ifndef ARCH_X86_CLOCK_H
#define ARCH_X86_CLOCK_H

#include "lib/types.h"

/* Calibrate, and start system time at 0. Needs ACPI and the local APIC. */
void clock_init(void);
/* Busy-wait; after clock_init(). */
void clock_delay_us(uint64_t us);
/* A cpu's TSC was seen behind another's. */
void clock_mark_unstable(unsigned int cpu, uint64_t ticks_behind);
/* The first TSC value not before the time; 0 for a time that never comes. */
uint64_t clock_ns_to_tsc(uint64_t ns);

#endif
