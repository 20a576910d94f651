/* One-shot timers in system time, kept per cpu in an ordered tree: setting one never allocates. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "lib/treap.h"
#include "lib/types.h"

struct timer {
    struct treap_node node;  /* key: when it expires, ns */
    void (*fn)(void *arg);   /* runs on timer->cpu from cpu_do_work, interrupts on, no lock held */
    void *arg;
    uint32_t cpu;            /* whose timers_cpu lock guards this timer */
    bool set;
};

/* Locks of all: take RANK_TIMER. */
void timer_init(struct timer *t, void (*fn)(void *), void *arg, unsigned int cpu);
void timer_set(struct timer *t, uint64_t expires_ns);
/* As timer_set, and it moves to this cpu: the cheapest place for a vcpu's own timers. */
void timer_set_here(struct timer *t, uint64_t expires_ns);
void timer_stop(struct timer *t);            /* after return it is not set, but fn may be running */
void timer_kill(struct timer *t);            /* stop, and wait until fn is not running */
void timer_migrate(struct timer *t, unsigned int cpu);
/* Run what is due on this cpu and program the next (WORK_TIMER). */
void timers_run(void);
MUST_CHECK int timers_cpu_init(unsigned int cpu);

#endif
