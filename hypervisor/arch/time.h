/* The seam, part 4: clocks. */
#ifndef ARCH_TIME_H
#define ARCH_TIME_H

#include "lib/types.h"

struct tsc_scale {
    uint64_t tsc_stamp;   /* TSC when ns was time_ns */
    uint64_t time_ns;
    uint32_t mul_frac;    /* ns per (shifted) tick, 0.32 fixed point */
    int8_t shift;
};

/* The time stamp counter now. */
uint64_t arch_read_tsc(void);
/* This cpu's conversion from TSC to system time; constant after boot where the TSC is invariant. */
const struct tsc_scale *arch_tsc_scale(void);
/* May guests take the TSC as consistent over all cpus (the stable flag of the time ABI)? */
bool arch_tsc_is_stable(void);
uint64_t arch_tsc_khz(void);

/*
 * Fire the timer interrupt (which raises WORK_TIMER) at or soon after this time; UINT64_MAX: never.
 */
void arch_timer_program(uint64_t deadline_ns);

/* Seconds since 1970 by the battery clock; read at boot. */
uint64_t arch_wallclock_read(void);

#endif
