/* A virtual cpu: its place in a domain, what it shares with its guest, and its machine state. */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include "arch/vcpu.h"
#include "core/evtchn.h"
#include "core/sched.h"
#include "core/timer.h"

struct domain;
struct page;

#define TIME_NEVER_PUBLISHED UINT64_MAX

struct vcpu {
    struct arch_vcpu arch;           /* first: entry.S reaches it from the stack pointer */

    struct domain *domain;           /* constant */
    uint32_t id;                     /* constant */
    bool initialised;                /* context set by VCPUOP_initialise or a builder */

    struct vcpu_info *info;          /* our mapping; legacy slot of shared_info until registered */
    struct page *info_page;          /* reference held if registered, else NULL */
    guest_va_t runstate_area;        /* 0: none; written when v is switched in or out */
    guest_va_t time_area;            /* VCPUOP_register_vcpu_time_memory_area */

    struct sched_vcpu sched;
    struct evtchn_vcpu evtchn;
    struct timer singleshot;         /* VCPUOP_set_singleshot_timer -> VIRQ_TIMER */
    struct timer periodic;
    uint64_t periodic_ns;            /* 0: off */
    uint64_t time_version_tsc;       /* tsc_stamp last published, or TIME_NEVER_PUBLISHED */
    uint32_t time_version;           /* even: version last published */

    bool in_multicall;
    bool mode_changed;               /* iret: ends a multicall batch */
};

/*
 * Create vcpu `id` of d: down, not initialised. Errors: -ENOMEM, -EINVAL id, -EEXIST.
 * Locks:  takes d->lock.
 */
MUST_CHECK int vcpu_create(struct domain *d, unsigned int id);
void vcpu_destroy(struct vcpu *v);

/* The vcpu of d with that guest-given id, or NULL. Speculation-safe. */
struct vcpu *domain_vcpu(const struct domain *d, uint64_t id);

/*
 * Move v's vcpu_info to a page of its guest, once.
 * ABI:    VCPUOP_register_vcpu_info; v is current or down.
 * Locks:  takes d->lock.
 * Errors: -ENXIO bad offset; -EINVAL not a writable frame of d, or already registered.
 */
MUST_CHECK int vcpu_register_info(struct vcpu *v, mfn_t mfn, uint32_t offset);
/* Undo it for a vcpu that will not run again, so that the guest's page can go. */
void vcpu_unregister_info(struct vcpu *v);
/* Does v have a vcpu_info that its guest can see? */
bool vcpu_has_info(const struct vcpu *v);

/* VCPUOP_set_singleshot_timer of the current vcpu; a time in the past fires at once. */
void vcpu_set_singleshot(struct vcpu *v, uint64_t timeout_ns);
/* VIRQ_TIMER every so many ns; 0 stops. */
void vcpu_set_periodic(struct vcpu *v, uint64_t period_ns);

/*
 * The guest's areas are addresses of its kernel, but the vcpu may be in guest user mode (not in a
 * hypercall): use the kernel's page tables between begin and end. v is current.
 */
static inline bool vcpu_kernel_tables_begin(struct vcpu *v) {
    bool user = !v->arch.kernel_mode;

    if (user)
        arch_toggle_guest_mode(v);
    return user;
}
static inline void vcpu_kernel_tables_end(struct vcpu *v, bool user) {
    if (user)
        arch_toggle_guest_mode(v);
}

#endif
