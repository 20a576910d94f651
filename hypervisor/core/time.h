/* System time, and what guests are shown of it. */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include "lib/types.h"

struct domain;
struct vcpu;

/* ns since the hypervisor booted; monotonic over all cpus (within the TSC's consistency). */
uint64_t time_now(void);

/* TSC ticks to ns and back by the ABI's formula. */
uint64_t time_scale(uint64_t ticks, uint32_t mul_frac, int8_t shift);

/* Refresh vcpu_time_info (and the secondary area) if this cpu's values changed. v is current. */
void time_update_vcpu(struct vcpu *v);
/*
 * Write v's time info to an address in the loaded (kernel) page tables.
 * Errors: -EFAULT.
 */
MUST_CHECK int time_write_area(struct vcpu *v, guest_va_t area);
/* Wall clock: set by dom0 (XENPF_settime64), read at boot; written to each domain's shared_info. */
void time_set_wallclock(uint64_t secs, uint32_t nsecs, uint64_t system_time_ns);
void time_publish_wallclock(struct domain *d);
void time_init(void);

#endif
