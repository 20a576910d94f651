#include "core/pirq.h"

#include <abi/physdev.h>

#include "arch/mm.h"
#include "core/domain.h"
#include "core/evtchn.h"
#include "core/heap.h"
#include "core/page.h"
#include "lib/bits.h"

#define NO_PIRQ        UINT16_MAX
#define FIRST_FREE_GSI 16 /* the numbers below are ISA's, and asked for by number */

#define STRAYS_TO_FOLLOW 8

_Static_assert(NR_PIRQS <= PAGE_SIZE * 8, "one page of EOI bits");

/* The way back from irq to pirq of the one hardware domain; under its pirq lock. */
static uint16_t pirq_of_irq[NR_IRQS] = {[0 ... NR_IRQS - 1] = NO_PIRQ};

int pirq_domain_init(struct domain *d) {
    lock_init(&d->pirq.lock, RANK_PIRQ);
    if (!d->hardware)
        return 0;
    d->pirq.table = mem_alloc_array(NR_PIRQS, sizeof(*d->pirq.table));
    if (!d->pirq.table)
        return -ENOMEM;
    for (unsigned int i = 0; i < NR_PIRQS; i++)
        d->pirq.table[i].irq = PIRQ_UNMAPPED;
    return 0;
}

/* The mapped pirq of that number, else NULL. Any number; speculation-safe. Locks: the domain's. */
static struct pirq *mapped(struct domain *d, unsigned int pirq) {
    struct pirq *p;

    if (!d->pirq.table || pirq >= NR_PIRQS)
        return NULL;
    p = &d->pirq.table[index_nospec(pirq, NR_PIRQS)];
    return p->irq == PIRQ_UNMAPPED ? NULL : p;
}

/* --- numbers --------------------------------------------------------------------------------- */

static bool all_free(const struct domain *d, unsigned int first, unsigned int count) {
    for (unsigned int i = 0; i < count; i++)
        if (d->pirq.table[first + i].irq != PIRQ_UNMAPPED)
            return false;
    return true;
}

/* First of `count` free numbers in the range of the kind, -ENOSPC if there are none. */
static int find_free(const struct domain *d, bool msi, unsigned int count) {
    unsigned int from = msi ? nr_gsis : FIRST_FREE_GSI, to = msi ? NR_PIRQS : nr_gsis;

    for (unsigned int first = from; first + count <= to; first++)
        if (all_free(d, first, count))
            return (int)first;
    return -ENOSPC;
}

int pirq_find_free(struct domain *d, bool msi) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    int rc = find_free(d, msi, 1);

    lock_release_irq(&d->pirq.lock, flags);
    return rc;
}

/* Locks: the domain's. */
static int map_locked(struct domain *d, unsigned int irq, unsigned int count, int want) {
    bool msi = irq >= nr_gsis;
    int first = want < 0 ? find_free(d, msi, count) : want;

    if (pirq_of_irq[irq] != NO_PIRQ)
        return want < 0 || want == pirq_of_irq[irq] ? pirq_of_irq[irq] : -EBUSY;
    if (want < 0 && !msi && d->pirq.table[irq].irq == PIRQ_UNMAPPED)
        first = (int)irq;
    if (first < 0)
        return first;
    if (!all_free(d, (unsigned int)first, count))
        return -EEXIST;
    for (unsigned int i = 0; i < count; i++) {
        d->pirq.table[first + (int)i] = (struct pirq){.irq = (uint16_t)(irq + i), .is_msi = msi};
        pirq_of_irq[irq + i] = (uint16_t)(first + (int)i);
    }
    return first;
}

int pirq_map(struct domain *d, unsigned int irq, unsigned int count, int want) {
    uint64_t flags;
    int rc;

    if (want >= 0 && (unsigned int)want > NR_PIRQS - count)
        return -EINVAL;
    flags = lock_acquire_irq(&d->pirq.lock);
    rc = map_locked(d, irq, count, want);
    lock_release_irq(&d->pirq.lock, flags);
    return rc;
}

/* Locks: the domain's. */
static void route(struct pirq *p, const struct vcpu *v) {
    p->cpu = (uint16_t)READ_ONCE(v->sched.cpu);
    p->strays = 0;
    arch_irq_set_cpu(p->irq, p->cpu);
}

/* Locks: the domain's. */
static void unbind_locked(struct domain *d, struct pirq *p, unsigned int pirq) {
    if (!p->port)
        return;
    arch_irq_disable(p->irq);
    p->port = 0;
    p->waiting_eoi = p->shared = false;
    if (d->pirq.eoi_bits)
        (void)bit_test_and_clear(d->pirq.eoi_bits, pirq);
}

int pirq_unmap(struct domain *d, unsigned int pirq) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    struct pirq *p = mapped(d, pirq), was;

    if (p) {
        unbind_locked(d, p, pirq);
        was = *p;
        p->irq = PIRQ_UNMAPPED;
        pirq_of_irq[was.irq] = NO_PIRQ;
    }
    lock_release_irq(&d->pirq.lock, flags);
    if (!p)
        return -EINVAL;
    if (was.is_msi)
        arch_msi_free(was.irq);
    return 0;
}

void pirq_domain_destroy(struct domain *d) {
    for (unsigned int pirq = 0; d->pirq.table && pirq < NR_PIRQS; pirq++)
        (void)!pirq_unmap(d, pirq);
    if (d->pirq.eoi_page)
        page_put_and_type(d->pirq.eoi_page);
    mem_free(d->pirq.table);
    d->pirq = (struct pirq_domain){.lock = LOCK_INIT(RANK_PIRQ)};
}

/* --- firing and its end ---------------------------------------------------------------------- */

/*
 * Deliver it where v is, so that v need not be told by a second interrupt. A vcpu that is only
 * passing through a cpu is not followed there: each move is several accesses to the device.
 */
static void follow(struct pirq *p, const struct vcpu *v) {
    unsigned int cpu = READ_ONCE(v->sched.cpu);

    if (p->cpu == cpu)
        p->strays = 0;
    else if (++p->strays == STRAYS_TO_FOLLOW)
        route(p, v);
}

/*
 * A level interrupt stays masked in the machine until the guest's EOI. One that nobody has bound
 * is masked for good (edge: lost), which arch saw to before it called.
 */
void pirq_fire(unsigned int irq) {
    struct domain *d = dom0;
    uint64_t flags;

    if (!d || !d->pirq.table)
        return;
    flags = lock_acquire_irq(&d->pirq.lock);
    struct pirq *p = mapped(d, pirq_of_irq[irq]);

    if (p && p->port) {
        p->waiting_eoi = arch_irq_needs_eoi(irq);
        follow(p, evtchn_send_pirq(d, p->port));
    }
    lock_release_irq(&d->pirq.lock, flags);
}

int pirq_eoi(struct domain *d, unsigned int pirq) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    struct pirq *p = mapped(d, pirq);
    evtchn_port_t unmask = p && d->pirq.eoi_unmasks ? p->port : 0;

    if (p && p->waiting_eoi) {
        p->waiting_eoi = false;
        arch_irq_eoi(p->irq);
    }
    lock_release_irq(&d->pirq.lock, flags);
    if (unmask)
        evtchn_port_unmask(d, unmask);
    return p ? 0 : -EINVAL;
}

uint32_t pirq_status(struct domain *d, unsigned int pirq) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    const struct pirq *p = mapped(d, pirq);
    uint32_t status = 0;

    if (p && arch_irq_needs_eoi(p->irq))
        status |= XENIRQSTAT_needs_eoi;
    if (p && p->shared)
        status |= XENIRQSTAT_shared;
    lock_release_irq(&d->pirq.lock, flags);
    return status;
}

/* Locks: the domain's. */
static void note_needs_eoi(struct domain *d, const struct pirq *p, unsigned int pirq) {
    if (d->pirq.eoi_bits && p->port && arch_irq_needs_eoi(p->irq))
        (void)bit_test_and_set(d->pirq.eoi_bits, pirq);
}

int pirq_set_eoi_page(struct domain *d, mfn_t mfn, bool eoi_unmasks) {
    struct page *pg = mfn_lookup(mfn);
    uint64_t flags;
    int rc = 0;

    if (!pg || page_get_and_type(pg, d, PAGE_WRITABLE))
        return -EINVAL;
    flags = lock_acquire_irq(&d->pirq.lock);
    if (d->pirq.eoi_page) {
        rc = -EBUSY;
    } else {
        d->pirq.eoi_page = pg;
        d->pirq.eoi_bits = page_to_virt(pg);
        d->pirq.eoi_unmasks = eoi_unmasks;
        for (unsigned int pirq = 0; pirq < NR_PIRQS; pirq++)
            note_needs_eoi(d, &d->pirq.table[pirq], pirq);
    }
    lock_release_irq(&d->pirq.lock, flags);
    if (rc)
        page_put_and_type(pg);
    return rc;
}

/* --- binding, from evtchn -------------------------------------------------------------------- */

int pirq_bind(struct domain *d, unsigned int pirq, bool share, evtchn_port_t port, struct vcpu *v) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    struct pirq *p = mapped(d, pirq);
    int rc = !p ? -EINVAL : p->port ? -EEXIST : 0;

    if (!rc) {
        p->port = port; /* before it can fire */
        p->shared = share;
        p->strays = 0;
        p->cpu = (uint16_t)READ_ONCE(v->sched.cpu);
        rc = arch_irq_enable(p->irq, p->cpu);
        if (rc)
            p->port = 0;
        else
            note_needs_eoi(d, p, pirq);
    }
    lock_release_irq(&d->pirq.lock, flags);
    return rc;
}

void pirq_unbind(struct domain *d, unsigned int pirq) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    struct pirq *p = mapped(d, pirq);

    if (p)
        unbind_locked(d, p, pirq);
    lock_release_irq(&d->pirq.lock, flags);
}

void pirq_set_vcpu(struct domain *d, unsigned int pirq, struct vcpu *v) {
    uint64_t flags = lock_acquire_irq(&d->pirq.lock);
    struct pirq *p = mapped(d, pirq);

    if (p && p->port)
        route(p, v);
    lock_release_irq(&d->pirq.lock, flags);
}
