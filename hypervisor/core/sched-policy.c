#include "core/sched-policy.h"

#include "lib/bug.h"

static struct sched_vcpu *vcpu_of(struct treap_node *n) {
    return n ? container_of(n, struct sched_vcpu, node) : NULL;
}

/* Real time as v's virtual time, rounded up so that no run is free. */
static uint64_t charge(const struct sched_vcpu *v, uint64_t ns) {
    uint64_t weight = MAX(READ_ONCE(v->share->weight), 1);

    return (ns * SCHED_DEFAULT_WEIGHT + weight - 1) / weight;
}

/*
 * Caps. A domain has so many ns a period. Before a vcpu runs, a part is reserved for it, and what
 * it did not use is given back, so its vcpus together never exceed the cap. One atomic word.
 */
static uint64_t cap_quota(const struct sched_domain *share) {
    return READ_ONCE(share->cap) * (POLICY_CAP_PERIOD / 100);
}

static uint64_t cap_period_end(uint64_t now) {
    return (now / POLICY_CAP_PERIOD + 1) * POLICY_CAP_PERIOD;
}

/* What the word says is used in the period of `now`; the period moves on if its time has come. */
static uint32_t cap_used(uint64_t word, uint64_t now, uint32_t *period) {
    *period = (uint32_t)(now / POLICY_CAP_PERIOD);
    if ((int32_t)(*period - (uint32_t)(word >> 32)) > 0)
        return 0;
    *period = (uint32_t)(word >> 32);
    return (uint32_t)word;
}

static uint64_t cap_left(const struct sched_domain *share, uint64_t now) {
    uint32_t period;
    uint64_t quota = cap_quota(share);

    return quota - MIN(quota, cap_used(READ_ONCE(share->cap_used), now, &period));
}

static uint64_t cap_reserve(struct sched_domain *share, uint64_t now) {
    uint64_t old = READ_ONCE(share->cap_used), quota = cap_quota(share), take;
    uint32_t period, used;

    do {
        used = cap_used(old, now, &period);
        take = MIN(quota - MIN(quota, used), POLICY_SLICE_NS);
        take = MIN(take, cap_period_end(now) - now);
    } while (!__atomic_compare_exchange_n(&share->cap_used, &old,
                                          (uint64_t)period << 32 | (used + take), false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return take;
}

static void cap_give_back(struct sched_vcpu *v, uint64_t now) {
    uint64_t old = READ_ONCE(v->share->cap_used);
    uint32_t period, used;

    if (!v->granted_ns)
        return;
    do {
        used = cap_used(old, now, &period);
        used -= MIN(used, (uint32_t)v->granted_ns);
    } while (!__atomic_compare_exchange_n(&v->share->cap_used, &old, (uint64_t)period << 32 | used,
                                          false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    v->granted_ns = 0;
}

/* May v run now? Reserves its next part if it is capped and has none left. */
static bool cap_admits(struct sched_vcpu *v, uint64_t now) {
    if (!READ_ONCE(v->share->cap)) {
        v->granted_ns = 0;
        return true;
    }
    if (!v->granted_ns)
        v->granted_ns = cap_reserve(v->share, now);
    return v->granted_ns != 0;
}

struct sched_vcpu *policy_first(const struct policy_cpu *pc) {
    return vcpu_of(treap_first(&pc->ready));
}

static void update_head(struct policy_cpu *pc) {
    struct treap_node *first = treap_first(&pc->ready);

    if (first)
        WRITE_ONCE(pc->head, first->key);
}

static void ready_insert(struct policy_cpu *pc, struct sched_vcpu *v) {
    v->queued = true;
    v->node.key = v->vtime;
    treap_insert(&pc->ready, &v->node);
    WRITE_ONCE(pc->nr_ready, pc->nr_ready + 1);
    update_head(pc);
}

static void park(struct policy_cpu *pc, struct sched_vcpu *v, uint64_t now) {
    v->queued = v->parked = true;
    v->node.key = cap_period_end(now);
    treap_insert(&pc->parked, &v->node);
}

void policy_remove(struct policy_cpu *pc, struct sched_vcpu *v) {
    if (v->parked) {
        treap_remove(&pc->parked, &v->node);
    } else {
        treap_remove(&pc->ready, &v->node);
        WRITE_ONCE(pc->nr_ready, pc->nr_ready - 1);
        update_head(pc);
    }
    v->queued = v->parked = false;
}

/* The clock follows the lowest virtual time here; not back, for those who wake up behind it. */
static void advance_clock(struct policy_cpu *pc) {
    uint64_t lowest = pc->clock;

    if (pc->curr && !(pc->nr_ready && key_before(pc->head, pc->curr->vtime)))
        lowest = pc->curr->vtime;
    else if (pc->nr_ready)
        lowest = pc->head;
    if (key_before(pc->clock, lowest))
        WRITE_ONCE(pc->clock, lowest);
}

/*
 * Where on this cpu's scale v starts; it was on `from` last. Who slept keeps its distance to the
 * clock: the better of then and now, because the clock goes back for a lagging vcpu that moves
 * here. Who moves keeps its virtual time. Neither brings much credit, nor debt beyond a few slices
 * of its own. Nobody else here: the scale becomes v's.
 */
static void enter_clock(struct policy_cpu *pc, struct sched_vcpu *v, const struct policy_cpu *from,
                        bool slept) {
    int64_t limit = MAX((int64_t)POLICY_MAX_LAG, (int64_t)charge(v, POLICY_MAX_LAG));
    bool moves = !slept && from != pc, alone = !pc->curr && !pc->nr_ready;
    int64_t lag;

    if (slept && !alone) {
        lag = MIN((int64_t)(v->vtime - READ_ONCE(from->clock)), v->sleep_lag);
        v->vtime = pc->clock + (uint64_t)MIN(MAX(lag, -(int64_t)POLICY_CREDIT), limit);
    } else if (moves && !alone) {
        lag = (int64_t)(v->vtime - pc->clock);
        v->vtime = pc->clock + (uint64_t)MIN(MAX(lag, -limit), limit);
    }
    if (alone || (moves && key_before(v->vtime, pc->clock)))
        WRITE_ONCE(pc->clock, v->vtime);
}

static void unpark_due(struct policy_cpu *pc, uint64_t now) {
    struct sched_vcpu *v;

    while ((v = vcpu_of(treap_first(&pc->parked))) && v->node.key <= now) {
        policy_remove(pc, v);
        enter_clock(pc, v, pc, true);
        ready_insert(pc, v);
    }
}

static void account(struct policy_cpu *pc, uint64_t now) {
    struct sched_vcpu *v = pc->curr;

    if (v && now > v->accounted_ns) {
        uint64_t ran = now - v->accounted_ns;

        v->accounted_ns = now;
        v->vtime += charge(v, ran);
        v->granted_ns -= MIN(v->granted_ns, ran);
    }
    advance_clock(pc);
}

uint64_t policy_ready(struct policy_cpu *pc, struct sched_vcpu *v, const struct policy_cpu *from,
                      bool slept, uint64_t now) {
    ASSERT(!v->queued && v != pc->curr);
    account(pc, now);
    enter_clock(pc, v, from, slept);
    if (v->share->cap && !cap_left(v->share, now)) {
        park(pc, v, now);
        return v->node.key;
    }
    ready_insert(pc, v);
    if (!pc->curr)
        return now;
    if (key_before(v->vtime + POLICY_MARGIN, pc->curr->vtime))
        pc->slice_end_ns = MIN(pc->slice_end_ns, pc->picked_ns + POLICY_MIN_RUN_NS);
    else if (pc->slice_end_ns <= now)
        pc->slice_end_ns = now + POLICY_SLICE_NS;
    return pc->slice_end_ns;
}

void policy_yield(struct policy_cpu *pc, uint64_t now) {
    account(pc, now);
    pc->slice_end_ns = now;
    if (pc->curr && pc->nr_ready && key_before(pc->curr->vtime, pc->head + 1))
        pc->curr->vtime = pc->head + 1;
}

bool policy_balance_due(struct policy_cpu *pc, uint64_t now) {
    bool on_credit = (pc->curr && key_before(pc->curr->vtime, pc->clock)) ||
                     (pc->nr_ready && key_before(pc->head, pc->clock));

    if (now - pc->balanced_ns < POLICY_SLICE_NS || on_credit)
        return false;
    pc->balanced_ns = now;
    return true;
}

/* Does the one that ran stay ahead of the first in the queue? */
static bool goes_on(const struct policy_cpu *pc, const struct sched_vcpu *curr,
                    const struct sched_vcpu *head, uint64_t now) {
    return !head || now < pc->slice_end_ns || key_before(curr->vtime, head->vtime);
}

static struct sched_vcpu *choose(struct policy_cpu *pc, struct sched_vcpu *curr, uint64_t now) {
    for (;;) {
        struct sched_vcpu *head = policy_first(pc);

        if (curr && goes_on(pc, curr, head, now)) {
            if (cap_admits(curr, now))
                return curr;
            curr = NULL; /* parked when the caller queues it again */
        } else if (!head) {
            return NULL;
        } else {
            policy_remove(pc, head);
            if (cap_admits(head, now))
                return head;
            park(pc, head, now);
        }
    }
}

struct sched_vcpu *policy_pick(struct policy_cpu *pc, bool keep, uint64_t now, uint64_t *until) {
    struct sched_vcpu *prev = pc->curr, *next;
    struct treap_node *first_parked;

    account(pc, now);
    unpark_due(pc, now);
    next = choose(pc, keep ? prev : NULL, now);
    if (prev && prev != next)
        cap_give_back(prev, now);
    if (next && (next != prev || pc->slice_end_ns <= now)) {
        next->accounted_ns = pc->picked_ns = now;
        pc->slice_end_ns = now + POLICY_SLICE_NS;
    }
    pc->curr = next;
    advance_clock(pc);
    if (prev &&
        prev != next) /* from a cpu with time to spare it leaves with all the credit there is */
        prev->sleep_lag = next ? (int64_t)(prev->vtime - pc->clock) : -(int64_t)POLICY_CREDIT;

    *until = next && pc->nr_ready ? pc->slice_end_ns : UINT64_MAX;
    if (next && next->granted_ns)
        *until = MIN(*until, now + next->granted_ns);
    first_parked = treap_first(&pc->parked);
    if (first_parked)
        *until = MIN(*until, first_parked->key);
    return next;
}

/* Waiting vcpus to look at for one that may move: bounds the time the locks are held. */
#define TAKE_LOOKS 64

bool policy_may_take(const struct policy_cpu *from, const struct policy_cpu *to, bool lagging) {
    return READ_ONCE(from->nr_ready) &&
           (!lagging || key_before(READ_ONCE(from->head) + POLICY_PULL_LAG, to->clock));
}

struct sched_vcpu *policy_take(struct policy_cpu *from, const struct policy_cpu *to, bool lagging) {
    struct treap_node *n = treap_first(&from->ready);
    struct sched_vcpu *found = NULL;

    for (unsigned int i = 0; n && i < TAKE_LOOKS; i++, n = treap_next(&from->ready, n)) {
        struct sched_vcpu *v = vcpu_of(n);

        if (lagging && !key_before(v->vtime + POLICY_PULL_LAG, to->clock))
            break;
        if (!cpumask_test(&v->hard_affinity, to->id))
            continue;
        if (!found || cpumask_test(&v->soft_affinity, to->id))
            found = v;
        if (cpumask_test(&found->soft_affinity, to->id))
            break;
    }
    if (found)
        policy_remove(from, found);
    return found;
}

/* A cpu of the mask, `near` if it is in it, else the next after it; NR_CPUS if it is empty. */
static unsigned int nearest(const cpumask_t *mask, unsigned int near) {
    unsigned int cpu = cpumask_next(mask, near);

    return cpu < NR_CPUS ? cpu : cpumask_next(mask, 0);
}

unsigned int policy_place(const struct sched_vcpu *v, const cpumask_t *idle,
                          const cpumask_t *online) {
    cpumask_t hard = cpumask_and(&v->hard_affinity, online);
    cpumask_t soft = cpumask_and(&hard, &v->soft_affinity);
    cpumask_t idle_soft = cpumask_and(&soft, idle), idle_hard = cpumask_and(&hard, idle);
    unsigned int cpu = nearest(&idle_soft, v->cpu);

    if (cpu == NR_CPUS)
        cpu = nearest(&idle_hard, v->cpu);
    if (cpu == NR_CPUS && cpumask_test(&hard, v->cpu))
        cpu = v->cpu;
    if (cpu == NR_CPUS)
        cpu = nearest(&soft, v->cpu);
    if (cpu == NR_CPUS)
        cpu = nearest(&hard, v->cpu);
    return cpu;
}
