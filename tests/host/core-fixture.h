/*
 * The real core (domains, vcpus, scheduler, timers, clocks, memory) on the fake machine, with
 * events, grants and page tables replaced by what records calls. timer-test.c links just that.
 */
#ifndef CORE_FIXTURE_H
#define CORE_FIXTURE_H

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/sched.h"
#include "core/time.h"
#include "core/timer.h"
#include "test.h"

extern struct cf_record {
    unsigned int virq[NR_VIRQS];         /* evtchn_send_virq, to any vcpu */
    unsigned int global_virq[NR_VIRQS];
    struct vcpu *virq_vcpu;              /* the last one */
    unsigned int info_moved;
    bool pending[64];                    /* event ports that evtchn_port_pending knows */
    unsigned int restarts;               /* -ERESTART that the next relinquish calls give */
    char order[64]; /* relinquish calls: g e p(irq) m(mmu) u(nshare), in order */
    int fail_init;                       /* what gnttab_domain_init returns */
    struct { struct vcpu *prev, *next; } switches[64];
    unsigned int nr_switches;
    unsigned int toggles;
    void (*on_switch)(struct vcpu *v);   /* called once, in the middle of the next context switch */
    struct vcpu *on_switch_vcpu;
} cf;

#define CF_CPUS 2

/* A machine without domains, later than any before; the calling thread is cpu 0. */
void cf_start(void);

/* A domain with so many vcpus, all down, not paused. 0: dom0. */
struct domain *cf_domain(domid_t domid, unsigned int nr_vcpus);
/* One whose vcpus are all up. */
struct domain *cf_running(domid_t domid, unsigned int nr_vcpus);
/* End it: destroy and reap. */
void cf_end(struct domain *d);

/* Time goes on; timers that become due raise WORK_TIMER as the interrupt would, on every cpu. */
void cf_sleep(uint64_t ns);
/*
 * This thread becomes the cpu, which does what it owes until it would enter a guest or idle.
 * Returns its vcpu.
 */
struct vcpu *cf_run(unsigned int cpu);
/* All cpus, until none owes anything. */
void cf_settle(void);

#endif
