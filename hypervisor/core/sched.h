/*
 * The scheduler: which vcpu runs on which cpu, and the states a vcpu can be in.
 * Policy (weights, caps, affinity; core/sched-policy.c) knows only explicit time and no machine.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include <abi/vcpu.h>

#include "core/timer.h"
#include "lib/bits.h"
#include "lib/treap.h"
#include "lib/types.h"

struct domain;
struct vcpu;

/* Why a vcpu must not run; bits of v->sched.stop. 0: runnable. */
enum vcpu_stop {
    STOP_DOWN = 1 << 0,      /* VCPUOP_down, or never brought up          */
    STOP_BLOCKED = 1 << 1,   /* SCHEDOP_block: an event ends it           */
    STOP_POLL = 1 << 2,      /* SCHEDOP_poll: a polled port or the timeout */
    STOP_PAUSED = 1 << 3,    /* vcpu or domain pause count above zero     */
    STOP_SHUTDOWN = 1 << 4,  /* its domain has shut down or is dying      */
};

#define SCHED_DEFAULT_WEIGHT 256

struct sched_domain {
    uint16_t weight;         /* of each of its vcpus, above 0; SCHED_DEFAULT_WEIGHT */
    uint16_t cap;            /* percent of one cpu for all of them together, 0: none */
    uint64_t cap_used;       /* policy: period number << 32 | ns used in it, atomic */
};

struct sched_vcpu {
    uint32_t stop;           /* enum vcpu_stop bits, atomic */

    /* Guarded by the runqueue lock of `cpu`. */
    uint32_t cpu;            /* where it runs, ran last or is queued */
    bool running;            /* some cpu has its state loaded; cleared by the switch away from it */
    bool pinned;             /* SCHEDOP_pin_override: saved_affinity is what it will get back */
    uint32_t pause_count;    /* vcpu_pause nesting, the domain's pauses included */
    cpumask_t hard_affinity, soft_affinity, saved_affinity;
    struct vcpu_runstate_info runstate; /* truth; copied out on each switch */

    /* Policy's part, same lock. */
    struct sched_domain *share;
    struct treap_node node;  /* in a ready queue (key: vtime) or parked (key: time) */
    bool queued, parked;
    uint64_t vtime;          /* cpu time received, divided by weight */
    int64_t sleep_lag;       /* vtime less its cpu's clock when it last left a cpu */
    uint64_t accounted_ns;   /* while it runs: charged up to here */
    uint64_t granted_ns;     /* of its domain's cap, reserved and not yet used */

    struct timer poll_timer;
};

MUST_CHECK int sched_cpu_init(unsigned int cpu);
MUST_CHECK int sched_vcpu_init(struct vcpu *v);
void sched_vcpu_destroy(struct vcpu *v);

/*
 * Set or clear reasons to stop. Clearing the last makes it runnable and finds it a cpu; setting one
 * on a running vcpu makes its cpu reschedule. vcpu_sleep_sync also waits until it is off its cpu
 * (v must not be current, and something must keep it stopped).
 * Locks:  take RANK_RUNQUEUE. _sync: interrupts on, no _irq lock held.
 */
void vcpu_stop(struct vcpu *v, enum vcpu_stop why);
void vcpu_start(struct vcpu *v, enum vcpu_stop why);
void vcpu_sleep_sync(struct vcpu *v);

/* An event or NMI is pending for v: end block and poll, or interrupt it if it runs elsewhere. */
void vcpu_kick(struct vcpu *v);

void vcpu_pause(struct vcpu *v);          /* and wait until it is off its cpu */
void vcpu_pause_nosync(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
/* Locks: take d->lock. domain_pause skips the wait for the current vcpu. */
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);

/* SCHEDOP_yield for the current vcpu. */
void vcpu_yield(void);

/*
 * Pick what this cpu runs next and switch to it (WORK_SCHED); current is NULL if nothing can run.
 * Locks:  none held, interrupts off.
 */
void schedule(void);

/* Current runstate times of v, as VCPUOP_get_runstate_info wants them. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out);
/*
 * Write v's runstate to an address in the loaded (kernel) page tables, by the protocol that its
 * domain chose.
 * Errors: -EFAULT.
 */
MUST_CHECK int vcpu_runstate_write(struct vcpu *v, guest_va_t area);

/* Weight (1 to 65535) and cap (percent of one cpu, 0: none) of all vcpus of d, at once. */
void domain_set_share(struct domain *d, uint16_t weight, uint16_t cap);

/* Affinity. Errors: -EINVAL no online cpu in the mask. */
MUST_CHECK int vcpu_set_hard_affinity(struct vcpu *v, const cpumask_t *mask);
void vcpu_set_soft_affinity(struct vcpu *v, const cpumask_t *mask);
/* Tie v to one cpu until released (cpu < 0). Errors: -EINVAL no such cpu, not tied; -EBUSY tied. */
MUST_CHECK int vcpu_pin_override(struct vcpu *v, int cpu);

#endif
