/* A physical processor and the work it owes before it may run a guest again. */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include "arch/cpu.h"
#include "lib/types.h"

struct task;
struct vcpu;

/* Bits of cpu->work; looked at on every way back to a guest and in the idle loop. */
enum cpu_work {
    WORK_SCHED = 1 << 0,  /* the running vcpu may have to change      */
    WORK_TIMER = 1 << 1,  /* a timer may be due                        */
    WORK_TASK = 1 << 2,   /* deferred functions (core/work.h)          */
    WORK_TIME = 1 << 3,   /* refresh the current vcpu's time info      */
    WORK_EXIT = 1 << 4,   /* nothing but the long way out: arch's exit  */
};

struct cpu {
    struct vcpu *current;      /* NULL while idle; only this cpu writes it */
    uint32_t work;             /* enum cpu_work bits, set atomically by anyone */
    uint32_t id;
    uint8_t lock_rank;         /* highest rank held here */
    bool online;
    bool idle;                 /* in arch_cpu_wait() or about to be */
    uint32_t flush_epoch;      /* core/tlb.h */
    bool holds_guest;          /* may hold translations of some guest; arch's switch keeps it */
    struct sched_cpu *sched;   /* core/sched.c */
    struct timer_cpu *timers;  /* core/timer.c */
    struct task *tasks;        /* core/work.c */
    struct arch_cpu arch;
};

extern struct cpu *cpus[NR_CPUS]; /* NULL: not present */
extern cpumask_t cpus_online;
extern unsigned int nr_cpus_online;

static inline struct vcpu *current_vcpu(void) {
    return this_cpu()->current;
}

/* Owe work to this cpu / to another (which is kicked if it was not owed any). */
static inline void cpu_raise(enum cpu_work bit) {
    __atomic_fetch_or(&this_cpu()->work, bit, __ATOMIC_SEQ_CST);
}
void cpu_raise_on(unsigned int cpu, enum cpu_work bit);

/*
 * Do what is owed, schedule, idle if there is nothing to run; returns with interrupts off,
 * nothing owed, and a vcpu in cpu->current whose state is loaded. The only place
 * where a cpu changes vcpus and the only place where it sleeps.
 * Locks:  none held; called with interrupts off.
 */
void cpu_do_work(void);

/* Does the running operation have to give way (work owed)? Long loops ask this each pass. */
static inline bool preempt_needed(void) {
    return READ_ONCE(this_cpu()->work) != 0;
}

#endif
