/* A virtual cpu: its place in a domain, what it shares with its guest, and its machine state. */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include "arch/vcpu.h"
#include "core/evtchn.h"
#include "core/sched.h"
#include "core/timer.h"

struct domain;
struct page;

struct vcpu {
    struct arch_vcpu arch;           /* first: entry.S reaches it from the stack pointer */

    struct domain *domain;           /* constant */
    uint32_t id;                     /* constant */
    bool initialised;                /* context set by VCPUOP_initialise or a builder */

    struct vcpu_info *info;          /* hypervisor's mapping; legacy slot of shared_info until registered */
    struct page *info_page;          /* reference held if registered, else NULL */
    guest_va_t runstate_area;        /* 0: none; written when v is switched in or out */
    guest_va_t time_area;            /* VCPUOP_register_vcpu_time_memory_area */

    struct sched_vcpu sched;
    struct evtchn_vcpu evtchn;
    struct timer singleshot;         /* VCPUOP_set_singleshot_timer -> VIRQ_TIMER */
    struct timer periodic;
    uint64_t periodic_ns;            /* 0: off */
    uint64_t time_version_tsc;       /* tsc_stamp last published */

    bool in_multicall;
    bool mode_changed;               /* iret: ends a multicall batch */
};

/*
 * Create vcpu `id` of d: down, not initialised. Errors: -ENOMEM, -EINVAL id, -EEXIST.
 */
MUST_CHECK int vcpu_create(struct domain *d, unsigned int id);
void vcpu_destroy(struct vcpu *v);

#endif
