#include "core/timer.h"

#include "arch/time.h"
#include "core/cpu.h"
#include "core/heap.h"
#include "core/time.h"
#include "lib/lock.h"

struct timer_cpu {
    struct lock lock; /* RANK_TIMER, _irq; guards all below and the timers of this cpu */
    struct treap timers;
    struct timer *running; /* its fn has been called and has not returned */
    uint64_t programmed;   /* what the hardware was last asked for */
};

static struct timer *timer_of(struct treap_node *n) {
    return n ? container_of(n, struct timer, node) : NULL;
}

/* Lock the timers of the cpu t is on; t may move until we hold its lock. */
static struct timer_cpu *timer_lock(const struct timer *t, uint64_t *flags) {
    for (;;) {
        unsigned int cpu = READ_ONCE(t->cpu);
        struct timer_cpu *tc = cpus[cpu]->timers;

        *flags = lock_acquire_irq(&tc->lock);
        if (t->cpu == cpu)
            return tc;
        lock_release_irq(&tc->lock, *flags);
    }
}

static void take_out(struct timer_cpu *tc, struct timer *t) {
    if (t->set)
        treap_remove(&tc->timers, &t->node);
    t->set = false;
}

/*
 * The hardware is asked only for something earlier. If the first timer is stopped or moves away,
 * it fires once for nothing, which is cheaper than programming it at every change.
 */
static void insert(struct timer_cpu *tc, struct timer *t, uint64_t expires_ns) {
    t->node.key = expires_ns;
    t->set = true;
    treap_insert(&tc->timers, &t->node);
    if (expires_ns >= tc->programmed)
        return;
    tc->programmed = expires_ns;
    if (t->cpu == this_cpu()->id)
        arch_timer_program(expires_ns);
    else
        cpu_raise_on(t->cpu, WORK_TIMER);
}

void timer_init(struct timer *t, void (*fn)(void *), void *arg, unsigned int cpu) {
    *t = (struct timer){.fn = fn, .arg = arg, .cpu = cpu};
}

void timer_set(struct timer *t, uint64_t expires_ns) {
    uint64_t flags;
    struct timer_cpu *tc = timer_lock(t, &flags);

    take_out(tc, t);
    insert(tc, t, MIN(expires_ns, (uint64_t)INT64_MAX));
    lock_release_irq(&tc->lock, flags);
}

void timer_set_here(struct timer *t, uint64_t expires_ns) {
    if (unlikely(READ_ONCE(t->cpu) != this_cpu()->id))
        timer_migrate(t, this_cpu()->id);
    timer_set(t, expires_ns);
}

void timer_stop(struct timer *t) {
    uint64_t flags;
    struct timer_cpu *tc = timer_lock(t, &flags);

    take_out(tc, t);
    lock_release_irq(&tc->lock, flags);
}

void timer_kill(struct timer *t) {
    for (;;) {
        uint64_t flags;
        struct timer_cpu *tc = timer_lock(t, &flags);
        bool running = tc->running == t && t->cpu != this_cpu()->id;

        take_out(tc, t);
        lock_release_irq(&tc->lock, flags);
        if (!running)
            return;
        cpu_relax();
    }
}

void timer_migrate(struct timer *t, unsigned int cpu) {
    struct timer_cpu *to = cpus[cpu]->timers, *from;
    uint64_t flags = irq_save();

    for (;;) {
        unsigned int now_on = READ_ONCE(t->cpu);

        from = cpus[now_on]->timers;
        lock_pair(&from->lock, &to->lock);
        if (t->cpu == now_on)
            break;
        unlock_pair(&from->lock, &to->lock);
    }
    /* While its fn runs it stays, for timer_kill to find it there. */
    if (from != to && from->running != t) {
        bool set = t->set;

        take_out(from, t);
        WRITE_ONCE(t->cpu, cpu);
        if (set)
            insert(to, t, t->node.key);
    }
    unlock_pair(&from->lock, &to->lock);
    irq_restore(flags);
}

void timers_run(void) {
    struct timer_cpu *tc = this_cpu()->timers;
    uint64_t flags = lock_acquire_irq(&tc->lock), now = time_now();
    struct timer *t;

    while ((t = timer_of(treap_first(&tc->timers))) && t->node.key <= now) {
        take_out(tc, t);
        tc->running = t;
        lock_release_irq(&tc->lock, flags);
        t->fn(t->arg);
        flags = lock_acquire_irq(&tc->lock);
        tc->running = NULL;
        now = time_now();
    }
    tc->programmed = t ? t->node.key : UINT64_MAX;
    arch_timer_program(tc->programmed);
    lock_release_irq(&tc->lock, flags);
}

int timers_cpu_init(unsigned int cpu) {
    struct timer_cpu *tc = mem_alloc_struct(struct timer_cpu);

    if (!tc)
        return -ENOMEM;
    lock_init(&tc->lock, RANK_TIMER);
    tc->programmed = UINT64_MAX;
    cpus[cpu]->timers = tc;
    return 0;
}
