/* Physical interrupts given to a domain: pirq number -> irq of the machine and event channel. */
#ifndef CORE_PIRQ_H
#define CORE_PIRQ_H

#include "arch/irq.h"
#include "lib/lock.h"
#include "lib/types.h"

struct domain;
struct page;
struct vcpu;

#define NR_PIRQS NR_IRQS

struct pirq {
    uint16_t irq;       /* the machine's irq; PIRQ_UNMAPPED if none */
    uint16_t cpu;       /* where it is delivered */
    uint8_t strays;     /* times in a row that the notified vcpu was elsewhere */
    evtchn_port_t port; /* 0: not bound */
    bool waiting_eoi;   /* level: masked until the guest ends it */
    bool is_msi;
    bool shared; /* the guest has more than one handler for it */
};
#define PIRQ_UNMAPPED UINT16_MAX

/* Only the hardware domain has any. */
struct pirq_domain {
    struct lock lock;      /* RANK_PIRQ, _irq; guards all below */
    struct pirq *table;    /* NR_PIRQS entries; NULL for domains without devices */
    uint64_t *eoi_bits;    /* guest memory: a bit for each pirq that wants an EOI; or NULL */
    struct page *eoi_page; /* its page; reference and writable type held */
    bool eoi_unmasks;      /* an EOI also unmasks the port */
};

/* Errors: -ENOMEM. Does nothing for domains without devices. */
MUST_CHECK int pirq_domain_init(struct domain *d);
void pirq_domain_destroy(struct domain *d);

/*
 * Give `count` irqs from `irq` on numbers of d: from `want` on, or any (want < 0) of the range the
 * kind of irq has. A GSI that is mapped already keeps its number.
 * Errors: the first number; -EINVAL want out of range, -EEXIST number taken, -EBUSY the irq has
 *         another number, -ENOSPC no number free.
 */
MUST_CHECK int pirq_map(struct domain *d, unsigned int irq, unsigned int count, int want);
/* A number nobody uses now, for a GSI or an MSI. Errors: -ENOSPC. */
MUST_CHECK int pirq_find_free(struct domain *d, bool msi);
/* Undo, and unbind its port; an MSI is given back to the machine. Errors: -EINVAL not mapped. */
MUST_CHECK int pirq_unmap(struct domain *d, unsigned int pirq);

/* From arch, in interrupt context: this irq fired. */
void pirq_fire(unsigned int irq);
/* The guest has handled it: PHYSDEVOP_eoi. Errors: -EINVAL not mapped. */
MUST_CHECK int pirq_eoi(struct domain *d, unsigned int pirq);
/* XENIRQSTAT_* of any pirq; 0 if it is not mapped. */
uint32_t pirq_status(struct domain *d, unsigned int pirq);
/*
 * PHYSDEVOP_pirq_eoi_gmfn: keep the page's bits true from now on.
 * Errors: -EINVAL not d's writable frame, -EBUSY there is a page already.
 */
MUST_CHECK int pirq_set_eoi_page(struct domain *d, mfn_t mfn, bool eoi_unmasks);

/*
 * From evtchn: bind a mapped pirq to a port and let it fire.
 * Errors: -EINVAL not mapped, -EEXIST bound already, else as arch_irq_enable.
 */
MUST_CHECK int pirq_bind(struct domain *d, unsigned int pirq, bool share, evtchn_port_t port,
                         struct vcpu *v);
void pirq_unbind(struct domain *d, unsigned int pirq);
void pirq_set_vcpu(struct domain *d, unsigned int pirq, struct vcpu *v);

#endif
