/* Event channels: ports, their bindings, and the two ways to tell a guest (2-level, FIFO). */
#ifndef CORE_EVTCHN_H
#define CORE_EVTCHN_H

#include <abi/event_channel.h>
#include <abi/xen.h>

#include "lib/lock.h"
#include "lib/types.h"

struct domain;
struct vcpu;
struct evtchn;             /* one port: evtchn-internal.h */
struct evtchn_fifo_domain; /* evtchn-fifo.c */
struct evtchn_fifo_vcpu;

struct evtchn_domain {
    struct lock lock;       /* RANK_EVTCHN, _irq; guards bindings (not the pending bits) */
    struct evtchn **bucket; /* pages of ports, grown on demand, kept till the domain ends */
    uint32_t nr_ports;      /* ports backed by buckets now; grows only */
    uint32_t max_port;      /* highest port allowed */
    uint32_t first_free;    /* no port below it is free */
    uint32_t nr_open;       /* ports that are not free */
    struct evtchn_fifo_domain *fifo; /* NULL: 2-level */
    uint32_t nr_polling;             /* vcpus in STOP_POLL, atomic (core/sched.c) */
};

struct evtchn_vcpu {
    struct lock virq_lock;             /* RANK_EVTCHN_PORT, _irq; guards virq_port */
    evtchn_port_t virq_port[NR_VIRQS]; /* 0: not bound; global VIRQs: on vcpu 0 */
    int32_t poll_port;                 /* SCHEDOP_poll: 0 none, -1 several, else the one */
    struct evtchn_fifo_vcpu *fifo;     /* NULL: no control block */
};

MUST_CHECK int evtchn_domain_init(struct domain *d, uint32_t max_port);
/* Close everything. Errors: -ERESTART: call again. */
MUST_CHECK int evtchn_domain_relinquish(struct domain *d);
void evtchn_domain_destroy(struct domain *d);
void evtchn_vcpu_init(struct vcpu *v);

/* Raise a VIRQ; nothing if not bound. Global ones go to dom0's vcpu 0. Callable from interrupts. */
void evtchn_send_virq(struct vcpu *v, unsigned int virq);
void evtchn_send_global_virq(unsigned int virq);
/* A pirq's port, which is bound (from pirq_fire, interrupt context); returns who is notified. */
struct vcpu *evtchn_send_pirq(struct domain *d, evtchn_port_t port);

/* Unmask a port, whoever is on it; nothing if it is not open. */
void evtchn_port_unmask(struct domain *d, evtchn_port_t port);

/* Is the port pending now (SCHEDOP_poll)? -EINVAL: no such port. */
int evtchn_port_pending(struct domain *d, evtchn_port_t port);

/* v's vcpu_info moved (VCPUOP_register_vcpu_info): make every pending event be seen there. */
void evtchn_vcpu_info_moved(struct vcpu *v);

long hypercall_event_channel_op(struct vcpu *curr, uint64_t arg[6]);

#endif
