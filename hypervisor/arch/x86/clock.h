/* Finding out how fast the TSC and the APIC timer run. */
#ifndef ARCH_X86_CLOCK_H
#define ARCH_X86_CLOCK_H

#include "lib/types.h"

/* Calibrate, and start system time at 0. Needs ACPI and the local APIC. */
void clock_init(void);
/* TSC ticks in that time. */
uint64_t clock_ticks_of(uint64_t ns);
/* Busy-wait; after clock_init(). */
void clock_delay_us(uint64_t us);
/* Time stamp counters were seen to disagree: guests are told not to trust them. */
void clock_mark_unstable(const char *why);

#endif
