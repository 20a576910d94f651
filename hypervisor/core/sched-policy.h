/*
 * Scheduling policy: proportional share by virtual time, with caps and affinity. No machine, no
 * clock, no locks of its own: time is an argument, and a simulator can drive it.
 *
 * A vcpu's virtual time advances while it runs, by ns * 256 / weight; of those that are ready a
 * cpu runs the one with the lowest. All charges are exact, so when somebody sleeps changes nothing.
 * A cpu's own clock follows the lowest virtual time on it. Who wakes up starts at most
 * POLICY_CREDIT behind that clock: enough to run at once if it used less than its share, not
 * enough to hoard. Cpus are kept together by pulling waiting vcpus from those that lag.
 *
 * Units:  ns, of real or virtual time; virtual time wraps and is compared by key_before().
 * Locks:  all functions: the caller holds the lock of that policy_cpu.
 */
#ifndef CORE_SCHED_POLICY_H
#define CORE_SCHED_POLICY_H

#include "core/sched.h"
#include "lib/treap.h"

#define POLICY_SLICE_NS   (3 * MS_NS)   /* run at least this long if nobody is more urgent  */
#define POLICY_MIN_RUN_NS (200 * US_NS) /* not preempted earlier, even by a waking vcpu      */
#define POLICY_CREDIT     MS_NS         /* how far behind a waking vcpu may start            */
#define POLICY_MARGIN     (200 * US_NS) /* how far behind it must be to preempt              */
#define POLICY_PULL_LAG   (6 * MS_NS)   /* a cpu lagging by more loses vcpus to the others   */
#define POLICY_MAX_LAG    (12 * MS_NS)  /* and no vcpu brings a greater lag to a new cpu     */
#define POLICY_CAP_PERIOD (10 * MS_NS)

struct policy_cpu {
    uint32_t id;
    uint32_t nr_ready;           /* other cpus may read this, */
    uint64_t head;               /* this (lowest vtime waiting; any value if nr_ready is 0), */
    uint64_t clock;              /* and this without the lock: as hints */
    struct treap ready, parked;
    struct sched_vcpu *curr;
    uint64_t picked_ns, slice_end_ns, balanced_ns;
};

/*
 * v may run: queue it here. from: the cpu it was on last. slept: it woke up; else it was preempted
 * or is moved. Returns when this cpu should call policy_pick next; now or earlier: at once.
 */
uint64_t policy_ready(struct policy_cpu *pc, struct sched_vcpu *v, const struct policy_cpu *from,
                      bool slept, uint64_t now);
/* v is queued here and must not run after all. */
void policy_remove(struct policy_cpu *pc, struct sched_vcpu *v);

/*
 * Who runs next: becomes curr, and is in no queue. keep: the one that ran may go on; if it could
 * and does not, the caller queues it again once its state is saved. *until: call again then.
 */
struct sched_vcpu *policy_pick(struct policy_cpu *pc, bool keep, uint64_t now, uint64_t *until);
/* The most urgent of those that wait here, NULL if none does. */
struct sched_vcpu *policy_first(const struct policy_cpu *pc);
/* curr offers to let others go first. */
void policy_yield(struct policy_cpu *pc, uint64_t now);
/*
 * Is it time (once a slice) to look if others lag behind this cpu, and, if vcpus wait here, to have
 * a cpu that runs a single one look? That has no end of slice of its own. Not while somebody who
 * woke up runs or waits: a vcpu that lags would get in the way. Called by that cpu only.
 */
bool policy_balance_due(struct policy_cpu *pc, uint64_t now);

/*
 * Take a waiting vcpu that may run on `to` out of `from`'s queue, for policy_ready there: the most
 * urgent of those that prefer it, else the most urgent. lagging: only one so far behind to's clock
 * that fairness asks for it. Locks: of both. NULL if there is none.
 */
struct sched_vcpu *policy_take(struct policy_cpu *from, const struct policy_cpu *to, bool lagging);
/* Is it worth to look there? Needs no lock, promises nothing. */
bool policy_may_take(const struct policy_cpu *from, const struct policy_cpu *to, bool lagging);

/* The cpu to queue v on: its own if idle, an idle one it prefers, an idle one, its own. */
unsigned int policy_place(const struct sched_vcpu *v, const cpumask_t *idle,
                          const cpumask_t *online);

#endif
