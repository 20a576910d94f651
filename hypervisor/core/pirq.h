/* Physical interrupts given to a domain: pirq number -> irq of the machine and event channel. */
#ifndef CORE_PIRQ_H
#define CORE_PIRQ_H

#include "arch/irq.h"
#include "lib/lock.h"
#include "lib/types.h"

struct domain;
struct vcpu;

#define NR_PIRQS NR_IRQS

struct pirq {
    uint16_t irq;                /* the machine's irq; PIRQ_UNMAPPED if none */
    evtchn_port_t port;          /* 0: not bound */
    bool waiting_eoi;            /* level: masked until the guest ends it */
    bool is_msi;
};
#define PIRQ_UNMAPPED UINT16_MAX

struct pirq_domain {
    struct lock lock;            /* RANK_PIRQ, _irq */
    struct pirq *table;          /* NR_PIRQS entries; NULL for domains without devices */
};

/* From arch, in interrupt context: this irq fired. */
void pirq_fire(unsigned int irq);
/* From evtchn: bind/unbind a mapped pirq to a port. Errors: -EINVAL, -EEXIST, -EBUSY. */
MUST_CHECK int pirq_bind(struct domain *d, unsigned int pirq, bool share, evtchn_port_t port, struct vcpu *v);
void pirq_unbind(struct domain *d, unsigned int pirq);
void pirq_set_vcpu(struct domain *d, unsigned int pirq, struct vcpu *v);
void pirq_domain_destroy(struct domain *d);

#endif
