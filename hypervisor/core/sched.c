#include "core/sched.h"

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/sched-policy.h"
#include "core/time.h"
#include "lib/lock.h"

/*
 * A vcpu is in one of three places: queued on a cpu; running (its state is in a cpu, or not saved
 * yet); or neither, when it has a reason to stop. It is queued again only after it stopped running,
 * so whoever takes it from a queue may load it at once.
 */
struct sched_cpu {
    struct lock lock; /* RANK_RUNQUEUE, _irq; guards policy and the vcpus whose cpu this is */
    struct policy_cpu policy;
    struct timer timer; /* when to schedule() next */
};

/* Cpus with nothing to run. A line of its own: every wake reads it. */
static ALIGNED(64) cpumask_t idle_cpus;

static struct vcpu *vcpu_of(struct sched_vcpu *s) {
    return s ? container_of(s, struct vcpu, sched) : NULL;
}

/* Lock the runqueue of v's cpu; v may move until we hold it. */
static struct sched_cpu *vcpu_lock(const struct vcpu *v, uint64_t *flags) {
    for (;;) {
        unsigned int cpu = READ_ONCE(v->sched.cpu);
        struct sched_cpu *sc = cpus[cpu]->sched;

        *flags = lock_acquire_irq(&sc->lock);
        if (v->sched.cpu == cpu)
            return sc;
        lock_release_irq(&sc->lock, *flags);
    }
}

static bool vcpu_is_curr(const struct sched_cpu *sc, const struct vcpu *v) {
    return sc->policy.curr == &v->sched;
}

/* Runstates. */

static int32_t runstate_for(uint32_t stop) {
    return !stop                               ? RUNSTATE_runnable
           : stop & (STOP_BLOCKED | STOP_POLL) ? RUNSTATE_blocked
                                               : RUNSTATE_offline;
}

static void runstate_set(struct vcpu *v, int32_t state, uint64_t now) {
    struct vcpu_runstate_info *rs = &v->sched.runstate;

    if (rs->state == state)
        return;
    if (now > rs->state_entry_time) {
        rs->time[rs->state] += now - rs->state_entry_time;
        rs->state_entry_time = now;
    }
    rs->state = state;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out) {
    uint64_t flags, now;
    struct sched_cpu *sc = vcpu_lock(v, &flags);

    *out = v->sched.runstate;
    lock_release_irq(&sc->lock, flags);
    now = time_now();
    if (now > out->state_entry_time)
        out->time[out->state] += now - out->state_entry_time;
}

int vcpu_runstate_write(struct vcpu *v, guest_va_t area) {
    struct vcpu_runstate_info rs = v->sched.runstate;
    guest_va_t entry_time = {area.va + offsetof(struct vcpu_runstate_info, state_entry_time)};
    int rc;

    if (!(READ_ONCE(v->domain->vm_assist) & BIT(VMASST_TYPE_runstate_update_flag)))
        return copy_to_guest(area, &rs, sizeof(rs));

    rs.state_entry_time |= XEN_RUNSTATE_UPDATE;
    rc = copy_to_guest(entry_time, &rs.state_entry_time, sizeof(rs.state_entry_time));
    if (!rc)
        rc = copy_to_guest(area, &rs, sizeof(rs));
    rs.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
    if (!rc)
        rc = copy_to_guest(entry_time, &rs.state_entry_time, sizeof(rs.state_entry_time));
    return rc;
}

/* v's page tables are loaded. */
static void runstate_publish(struct vcpu *v) {
    bool user;

    if (!v->runstate_area.va)
        return;
    user = vcpu_kernel_tables_begin(v);
    /* A guest that took its area away sees no more of it. */
    (void)!vcpu_runstate_write(v, v->runstate_area);
    vcpu_kernel_tables_end(v, user);
}

/* Queueing. */

/* It has, or is about to get, something to run. */
static void not_idle(unsigned int cpu) {
    if (cpumask_test(&idle_cpus, cpu))
        cpumask_clear(&idle_cpus, cpu);
}

/* Have the cpu call schedule() at that time. Locks: its lock is held. */
static void schedule_at(struct sched_cpu *sc, uint64_t at, uint64_t now) {
    if (at <= now)
        cpu_raise_on(sc->policy.id, WORK_SCHED);
    else if (!sc->timer.set || at < sc->timer.node.key)
        timer_set(&sc->timer, at);
}

/*
 * Something waits on a busy cpu. A cpu that went idle meanwhile may not have seen it: it set its
 * idle bit before it looked, we queued before we look at the bits.
 */
static void offer_to_idle(const struct sched_vcpu *s) {
    unsigned int cpu;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (cpumask_empty(&idle_cpus))
        return;
    cpu = policy_place(s, &idle_cpus, &cpus_online);
    if (cpumask_test(&idle_cpus, cpu))
        cpu_raise_on(cpu, WORK_SCHED);
}

/* Queue v if it may run and is not queued or running. slept: it did not just lose its cpu. */
static void enqueue(struct vcpu *v, bool slept) {
    struct sched_vcpu *s = &v->sched;
    unsigned int came_from = READ_ONCE(s->cpu);
    struct sched_cpu *sc;
    uint64_t flags, now, at;
    bool placed = false;

    for (;;) {
        unsigned int cpu;

        sc = vcpu_lock(v, &flags);
        if (READ_ONCE(s->stop) || s->queued || s->running) {
            if (!s->running && s->stop)
                runstate_set(v, runstate_for(s->stop), time_now());
            lock_release_irq(&sc->lock, flags);
            return;
        }
        placed = placed && cpumask_test(&s->hard_affinity, s->cpu);
        cpu = placed ? s->cpu : policy_place(s, &idle_cpus, &cpus_online);
        if (cpu == s->cpu)
            break;
        WRITE_ONCE(s->cpu, cpu);
        placed = true;
        lock_release_irq(&sc->lock, flags);
    }
    not_idle(s->cpu);
    now = time_now();
    runstate_set(v, RUNSTATE_runnable, now);
    at = policy_ready(&sc->policy, s, &cpus[came_from]->sched->policy, slept, now);
    schedule_at(sc, at, now);
    if (at > now && !s->parked)
        offer_to_idle(s);
    lock_release_irq(&sc->lock, flags);
}

void vcpu_start(struct vcpu *v, enum vcpu_stop why) {
    uint32_t ended = __atomic_fetch_and(&v->sched.stop, ~(uint32_t)why, __ATOMIC_SEQ_CST) & why;

    if (ended & STOP_POLL)
        __atomic_fetch_sub(&v->domain->evtchn.nr_polling, 1, __ATOMIC_SEQ_CST);
    if (ended)
        enqueue(v, true);
}

/* v has a reason to stop: take it from its queue, or have its cpu switch. Locks: v's. */
static void take_off(struct sched_cpu *sc, struct vcpu *v) {
    if (v->sched.queued) {
        policy_remove(&sc->policy, &v->sched);
        runstate_set(v, runstate_for(v->sched.stop), time_now());
    } else if (vcpu_is_curr(sc, v)) {
        cpu_raise_on(v->sched.cpu, WORK_SCHED);
    }
}

void vcpu_stop(struct vcpu *v, enum vcpu_stop why) {
    uint32_t old = __atomic_fetch_or(&v->sched.stop, why, __ATOMIC_SEQ_CST);
    struct sched_cpu *sc;
    uint64_t flags;

    if (why & ~old & STOP_POLL)
        __atomic_fetch_add(&v->domain->evtchn.nr_polling, 1, __ATOMIC_SEQ_CST);
    if (v == current_vcpu()) {
        cpu_raise(WORK_SCHED);
    } else if (!old) {
        sc = vcpu_lock(v, &flags);
        if (v->sched.stop)
            take_off(sc, v);
        lock_release_irq(&sc->lock, flags);
    }
}

void vcpu_sleep_sync(struct vcpu *v) {
    ASSERT(v != current_vcpu());
    while (__atomic_load_n(&v->sched.running, __ATOMIC_ACQUIRE))
        cpu_relax();
}

/*
 * Also if it has events masked: a guest unmasks by a plain store and a look at the pending bit,
 * which the processor may do in the other order. Only an interrupt comes after both.
 */
void vcpu_kick(struct vcpu *v) {
    unsigned int cpu = READ_ONCE(v->sched.cpu);

    if (READ_ONCE(v->sched.stop) & (STOP_BLOCKED | STOP_POLL))
        vcpu_start(v, STOP_BLOCKED | STOP_POLL);
    else if (READ_ONCE(v->sched.running) && cpu != this_cpu()->id)
        arch_cpu_kick(cpu);
}

/* Pausing. */

void vcpu_pause_nosync(struct vcpu *v) {
    uint64_t flags;
    struct sched_cpu *sc = vcpu_lock(v, &flags);

    v->sched.pause_count++;
    __atomic_fetch_or(&v->sched.stop, STOP_PAUSED, __ATOMIC_SEQ_CST);
    take_off(sc, v);
    lock_release_irq(&sc->lock, flags);
}

void vcpu_pause(struct vcpu *v) {
    vcpu_pause_nosync(v);
    vcpu_sleep_sync(v);
}

void vcpu_unpause(struct vcpu *v) {
    uint64_t flags;
    struct sched_cpu *sc = vcpu_lock(v, &flags);

    ASSERT(v->sched.pause_count);
    if (--v->sched.pause_count == 0)
        __atomic_fetch_and(&v->sched.stop, ~(uint32_t)STOP_PAUSED, __ATOMIC_SEQ_CST);
    lock_release_irq(&sc->lock, flags);
    enqueue(v, true);
}

void domain_pause(struct domain *d) {
    lock_acquire(&d->lock);
    d->pause_count++;
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_pause_nosync(d->vcpu[i]);
    lock_release(&d->lock);

    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i] && d->vcpu[i] != current_vcpu())
            vcpu_sleep_sync(d->vcpu[i]);
}

void domain_unpause(struct domain *d) {
    lock_acquire(&d->lock);
    ASSERT(d->pause_count);
    d->pause_count--;
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_unpause(d->vcpu[i]);
    lock_release(&d->lock);
}

/* Switching. */

void vcpu_yield(void) {
    struct sched_cpu *sc = this_cpu()->sched;
    uint64_t flags = lock_acquire_irq(&sc->lock);

    policy_yield(&sc->policy, time_now());
    lock_release_irq(&sc->lock, flags);
    cpu_raise(WORK_SCHED);
}

/* Bring one vcpu that waits elsewhere here. lagging: only for the sake of fairness. */
static bool pull(struct sched_cpu *sc, bool lagging) {
    unsigned int self = sc->policy.id, cpu;

    for (unsigned int i = 1; i < NR_CPUS; i++) {
        struct sched_cpu *from;
        struct sched_vcpu *s;
        uint64_t now;

        cpu = (self + i) % NR_CPUS;
        if (!cpumask_test(&cpus_online, cpu))
            continue;
        from = cpus[cpu]->sched;
        if (!policy_may_take(&from->policy, &sc->policy, lagging))
            continue;
        lock_pair(&sc->lock, &from->lock);
        s = policy_take(&from->policy, &sc->policy, lagging);
        if (s) {
            WRITE_ONCE(s->cpu, self);
            now = time_now();
            schedule_at(sc, policy_ready(&sc->policy, s, &from->policy, false, now), now);
        }
        unlock_pair(&sc->lock, &from->lock);
        if (s)
            return true;
    }
    return false;
}

/* Others wait here: have a cpu that runs one vcpu look around, for it has no end of slice. */
static void nudge_one(const struct sched_cpu *sc) {
    for (unsigned int i = 1; i < NR_CPUS; i++) {
        unsigned int cpu = (sc->policy.id + i) % NR_CPUS;
        const struct policy_cpu *pc;

        if (!cpumask_test(&cpus_online, cpu))
            continue;
        pc = &cpus[cpu]->sched->policy;
        if (!READ_ONCE(pc->nr_ready)) {
            cpu_raise_on(cpu, WORK_SCHED);
            return;
        }
    }
}

static bool may_go_on(const struct vcpu *v, unsigned int cpu) {
    return v && !READ_ONCE(v->sched.stop) && cpumask_test(&v->sched.hard_affinity, cpu);
}

/* Returns with the lock held and the choice made. */
static struct vcpu *pick_next(struct sched_cpu *sc, struct vcpu *prev, uint64_t *now,
                              uint64_t *until) {
    unsigned int self = sc->policy.id;
    struct sched_vcpu *next;

    lock_acquire(&sc->lock);
    *now = time_now();
    next = policy_pick(&sc->policy, may_go_on(prev, self), *now, until);
    if (next) {
        not_idle(self);
        if (sc->policy.nr_ready)
            offer_to_idle(policy_first(&sc->policy));
        return vcpu_of(next);
    }

    /* Announce it first, then look around: see offer_to_idle(). */
    cpumask_set(&idle_cpus, self);
    lock_release(&sc->lock);
    (void)pull(sc, false);
    lock_acquire(&sc->lock);
    *now = time_now();
    next = policy_pick(&sc->policy, false, *now, until);
    if (next)
        not_idle(self);
    return vcpu_of(next);
}

/* prev's state is saved and its page tables are not in use here: others may have it. */
static void release_prev(struct sched_cpu *sc, struct vcpu *prev) {
    struct domain *ending = NULL;
    bool runnable;

    lock_acquire(&sc->lock);
    if (prev->sched.stop & STOP_SHUTDOWN)
        ending = domain_get(prev->domain);
    __atomic_store_n(&prev->sched.running, false, __ATOMIC_RELEASE);
    runnable = !prev->sched.stop;
    lock_release(&sc->lock);

    if (runnable)
        enqueue(prev, false);
    if (ending) {
        domain_vcpu_ended(ending);
        domain_put(ending);
    }
}

static void switch_to(struct cpu *cpu, struct vcpu *prev, struct vcpu *next) {
    if (prev)
        runstate_publish(prev);
    cpu->current = next;
    arch_context_switch(prev, next);
    if (prev)
        release_prev(cpu->sched, prev);
    if (next) {
        time_update_vcpu(next);
        runstate_publish(next);
    }
}

void schedule(void) {
    struct cpu *cpu = this_cpu();
    struct sched_cpu *sc = cpu->sched;
    struct vcpu *prev = cpu->current, *next;
    uint64_t now, until;

    next = pick_next(sc, prev, &now, &until);
    if (until != UINT64_MAX)
        timer_set(&sc->timer, until);
    else if (sc->timer.set)
        timer_stop(&sc->timer);
    if (prev && prev != next)
        runstate_set(prev, runstate_for(READ_ONCE(prev->sched.stop)), now);
    if (next && prev != next) {
        next->sched.running = true;
        runstate_set(next, RUNSTATE_running, now);
    }
    lock_release(&sc->lock);

    if (next != prev)
        switch_to(cpu, prev, next);
    if (next && policy_balance_due(&sc->policy, now)) {
        (void)pull(sc, true);
        if (READ_ONCE(sc->policy.nr_ready))
            nudge_one(sc);
    }
}

/* Shares and affinity. */

/* The rules for v changed: if it runs or waits, decide anew. */
static void reconsider(struct vcpu *v) {
    uint64_t flags;
    struct sched_cpu *sc = vcpu_lock(v, &flags);
    bool queued = v->sched.queued;

    if (queued)
        policy_remove(&sc->policy, &v->sched);
    else if (vcpu_is_curr(sc, v))
        cpu_raise_on(v->sched.cpu, WORK_SCHED);
    lock_release_irq(&sc->lock, flags);
    if (queued)
        enqueue(v, false);
}

void domain_set_share(struct domain *d, uint16_t weight, uint16_t cap) {
    WRITE_ONCE(d->sched.weight, weight);
    WRITE_ONCE(d->sched.cap, cap);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            reconsider(d->vcpu[i]);
}

static bool usable(const cpumask_t *mask) {
    cpumask_t online = cpumask_and(mask, &cpus_online);

    return !cpumask_empty(&online);
}

int vcpu_set_hard_affinity(struct vcpu *v, const cpumask_t *mask) {
    uint64_t flags;
    struct sched_cpu *sc;

    if (!usable(mask))
        return -EINVAL;
    sc = vcpu_lock(v, &flags);
    if (v->sched.pinned)
        v->sched.saved_affinity = *mask;
    else
        v->sched.hard_affinity = *mask;
    lock_release_irq(&sc->lock, flags);
    reconsider(v);
    return 0;
}

void vcpu_set_soft_affinity(struct vcpu *v, const cpumask_t *mask) {
    uint64_t flags;
    struct sched_cpu *sc = vcpu_lock(v, &flags);

    v->sched.soft_affinity = *mask;
    lock_release_irq(&sc->lock, flags);
    reconsider(v);
}

int vcpu_pin_override(struct vcpu *v, int cpu) {
    uint64_t flags;
    struct sched_cpu *sc;
    int rc = 0;

    if (cpu >= NR_CPUS || (cpu >= 0 && !cpumask_test(&cpus_online, (unsigned int)cpu)))
        return -EINVAL;
    sc = vcpu_lock(v, &flags);
    if (cpu < 0 && v->sched.pinned) {
        v->sched.hard_affinity = v->sched.saved_affinity;
        v->sched.pinned = false;
    } else if (cpu < 0) {
        rc = -EINVAL;
    } else if (v->sched.pinned) {
        rc = -EBUSY;
    } else {
        v->sched.saved_affinity = v->sched.hard_affinity;
        v->sched.hard_affinity = (cpumask_t){0};
        cpumask_set(&v->sched.hard_affinity, (unsigned int)cpu);
        v->sched.pinned = true;
    }
    lock_release_irq(&sc->lock, flags);
    if (!rc)
        reconsider(v);
    return rc;
}

/* Setting up. */

static void poll_timed_out(void *arg) {
    vcpu_start(arg, STOP_POLL);
}

static void slice_ended(void *arg) {
    (void)arg;
    cpu_raise(WORK_SCHED);
}

int sched_cpu_init(unsigned int cpu) {
    struct sched_cpu *sc = mem_alloc_struct(struct sched_cpu);

    if (!sc)
        return -ENOMEM;
    lock_init(&sc->lock, RANK_RUNQUEUE);
    sc->policy.id = cpu;
    timer_init(&sc->timer, slice_ended, NULL, cpu);
    cpus[cpu]->sched = sc;
    /* Its first look for work, or its first announcement that it has none. */
    __atomic_fetch_or(&cpus[cpu]->work, WORK_SCHED, __ATOMIC_SEQ_CST);
    return 0;
}

int sched_vcpu_init(struct vcpu *v) {
    struct sched_vcpu *s = &v->sched;
    cpumask_t all;

    for (unsigned int i = 0; i < ARRAY_LEN(all.bits); i++)
        all.bits[i] = ~UINT64_C(0);
    *s = (struct sched_vcpu){
        .stop = STOP_DOWN | (v->domain->pause_count ? STOP_PAUSED : 0),
        .pause_count = v->domain->pause_count,
        .hard_affinity = all,
        .soft_affinity = all,
        .share = &v->domain->sched,
        .runstate = {.state = RUNSTATE_offline, .state_entry_time = time_now()},
    };
    /* Spread them: the n-th online cpu for the n-th vcpu. */
    for (unsigned int n = v->id % nr_cpus_online; n; n--)
        s->cpu = cpumask_next(&cpus_online, s->cpu + 1);
    s->vtime = READ_ONCE(cpus[s->cpu]->sched->policy.clock);
    timer_init(&s->poll_timer, poll_timed_out, v, s->cpu);
    return 0;
}

void sched_vcpu_destroy(struct vcpu *v) {
    ASSERT(!v->sched.queued && !v->sched.running);
    timer_kill(&v->sched.poll_timer);
}
