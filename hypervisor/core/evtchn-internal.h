/* What evtchn.c and its two ways of delivery (evtchn-2l.c, evtchn-fifo.c) share. */
#ifndef CORE_EVTCHN_INTERNAL_H
#define CORE_EVTCHN_INTERNAL_H

#include "arch/mm.h"
#include "core/domain.h"

enum port_state {
    PORT_FREE,
    PORT_RESERVED, /* being bound or closed with the lock dropped: nobody else may touch it */
    PORT_UNBOUND,
    PORT_INTERDOMAIN,
    PORT_PIRQ,
    PORT_VIRQ,
    PORT_IPI,
};

/*
 * One port. A binding changes under the domain's evtchn lock and the port's own; a sender holds
 * only the port's, so senders on different ports never meet.
 */
struct evtchn {
    struct lock lock; /* RANK_EVTCHN_PORT, _irq */
    uint8_t state;    /* enum port_state */
    uint8_t priority; /* FIFO: queue it goes to when next linked */
    union {
        domid_t unbound_for; /* who may bind */
        struct {
            struct domain *domain;
            evtchn_port_t port;
        } remote;
        uint32_t virq, pirq;
    };
    uint16_t vcpu;      /* who is notified */
    uint16_t last_vcpu; /* FIFO: the queue it was linked on last */
    uint8_t last_priority;
    bool saved_pending; /* FIFO: raised before its event word existed */
};

#define PORTS_PER_BUCKET (PAGE_SIZE / 32)
_Static_assert(sizeof(struct evtchn) <= 32, "ports of a bucket fit into a page");

/* The port's state, NULL if d has no such port. Any port number; speculation-safe. */
static inline struct evtchn *evtchn_of(const struct domain *d, evtchn_port_t port) {
    uint32_t nr = __atomic_load_n(&d->evtchn.nr_ports, __ATOMIC_ACQUIRE);

    if (port >= nr)
        return NULL;
    port = (evtchn_port_t)index_nospec(port, nr);
    return &d->evtchn.bucket[port / PORTS_PER_BUCKET][port % PORTS_PER_BUCKET];
}

/*
 * The three things a delivery ABI does with a port. Locks: the port's, or another that keeps its
 * binding (virq_lock, the pirq lock, the domain's).
 */
void evtchn_2l_set_pending(struct domain *d, struct evtchn *c, evtchn_port_t port);
void evtchn_2l_clear_pending(struct domain *d, evtchn_port_t port);
void evtchn_2l_unmask(struct domain *d, struct evtchn *c, evtchn_port_t port);
bool evtchn_2l_is_pending(const struct domain *d, evtchn_port_t port);

void evtchn_fifo_set_pending(struct domain *d, struct evtchn *c, evtchn_port_t port);
void evtchn_fifo_clear_pending(struct domain *d, evtchn_port_t port);
void evtchn_fifo_unmask(struct domain *d, struct evtchn *c, evtchn_port_t port);
bool evtchn_fifo_is_pending(const struct domain *d, evtchn_port_t port);

/* EVTCHNOP_init_control, _expand_array; locks: the domain's evtchn lock is taken inside. */
MUST_CHECK int evtchn_fifo_init_control(struct domain *d, struct evtchn_init_control *ic);
MUST_CHECK int evtchn_fifo_expand_array(struct domain *d, const struct evtchn_expand_array *ea);
/*
 * Back to the 2-level ABI; the guest's pages are given back.
 * Locks:  takes the domain's.
 * Errors: -ERESTART: some port is open (another vcpu opened it meanwhile): close all again.
 */
MUST_CHECK int evtchn_fifo_destroy(struct domain *d);

/* The upcall bit of v goes on; if it was off, v is woken or interrupted. */
void evtchn_raise_upcall(struct vcpu *v);

#endif
