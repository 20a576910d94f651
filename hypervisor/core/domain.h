/* Domains: creation, lookup, shutdown, destruction. */
#ifndef CORE_DOMAIN_H
#define CORE_DOMAIN_H

#include <abi/xen.h>

#include "arch/vcpu.h"
#include "core/evtchn.h"
#include "core/gnttab.h"
#include "core/page-list.h"
#include "core/pirq.h"
#include "core/sched.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "core/work.h"
#include "lib/list.h"
#include "lib/lock.h"

enum domain_life { DOMAIN_ALIVE, DOMAIN_DYING, DOMAIN_DEAD };

#define DOMAIN_WATCHDOGS 2
#define SHUTDOWN_NONE    0xff        /* shutdown_code before there is one */

/*
 * Lives in one page of its own (page.owner names it by frame number), which is used for domains
 * for ever: a stale pointer always points to some domain's refs, so a lookup needs no lock.
 */
struct domain {
    uint32_t refs;                   /* atomic; the domain is freed at 0 */
    domid_t domid;                   /* constant */
    bool privileged;                 /* may use the control interfaces: dom0 */
    bool hardware;                   /* owns the devices: dom0 */
    struct list link;                /* while free: in the pool of domain pages, under domlist */
    struct task reap;                /* frees it once refs is 0 */
    uint8_t handle[16];

    bool shutting_down;              /* its vcpus are being stopped; atomic, as the next two */
    bool shut_down;                  /* and none runs any more */
    uint8_t shutdown_code;           /* SHUTDOWN_*, SHUTDOWN_NONE */

    struct lock lock;                /* RANK_DOMAIN; guards: life, pausing, new vcpus, watchdogs */
    enum domain_life life;
    uint8_t destroy_stage;           /* domain_destroy: what is done */
    uint32_t watchdogs;              /* bit n: watchdog[n] is in use */
    struct timer watchdog[DOMAIN_WATCHDOGS];
    uint32_t pause_count;
    bool paused_by_control;

    unsigned int max_vcpus;          /* constant after creation */
    struct vcpu **vcpu;              /* max_vcpus entries, NULL until created */
    cpumask_t dirty_cpus;            /* cpus that may hold its translations */

    struct lock page_lock;           /* RANK_PAGE_LIST; guards: the five below */
    struct page_list pages;          /* every frame it owns, less the PG_XEN ones */
    uint64_t nr_pages, max_pages;
    uint64_t nr_xen_pages;
    uint32_t relinquish_at;          /* teardown: where mmu_relinquish goes on */
    uint64_t release_left;           /* teardown: frames left in this round, plus 1 */

    struct shared_info *shared_info; /* PG_XEN page */
    uint32_t vm_assist;              /* VMASST_TYPE_* bits */

    struct evtchn_domain evtchn;
    struct gnttab *gnttab;
    struct pirq_domain pirq;
    struct sched_domain sched;
    struct arch_domain arch;
    struct pv_domain *pv;            /* pv/: CPUID policy, io rights, memory map */
};

extern struct domain *dom0;
/* Owner of frames that belong to the hypervisor but may be mapped (M2P) / of I/O frames. */
extern struct domain *dom_xen, *dom_io;

struct domain_config {
    bool privileged, hardware;
    unsigned int max_vcpus;
    uint64_t max_pages;
    unsigned int max_evtchn_port;    /* highest port allowed */
    unsigned int max_grant_frames, max_maptrack_frames;
    uint8_t handle[16];
};

/* Boot: the special domains dom_xen and dom_io. */
void domains_init(void);

/*
 * Create a domain, paused once, without vcpus or memory. domid DOMID_INVALID: any free one.
 * Errors: -EEXIST, -EINVAL, -ENOMEM.
 */
MUST_CHECK int domain_create(domid_t domid, const struct domain_config *c, struct domain **out);

/* The domain with that id with a reference, NULL if there is none. DOMID_SELF is not resolved. */
struct domain *domain_lookup(domid_t domid);
/* As above, resolving DOMID_SELF and checking that curr may control it. Errors: -ESRCH, -EPERM. */
MUST_CHECK int domain_lookup_controlled(domid_t domid, struct domain **out);
struct domain *domain_get(struct domain *d);
/* Locks: any may be held; the last one only leaves the rest to a deferred function. */
void domain_put(struct domain *d);

/* Lowest existing domain with id >= domid (dying ones, too), with a reference; NULL at the end. */
struct domain *domain_next(unsigned int domid);

/*
 * The guest ended itself (SCHEDOP_shutdown) or must end; the control domain is told by
 * VIRQ_DOM_EXC. dom0: ends the machine. Locks: takes RANK_RUNQUEUE.
 */
void domain_shutdown(struct domain *d, uint8_t reason);
/* A vcpu of d that has STOP_SHUTDOWN left its cpu; the last one completes the shutdown. */
void domain_vcpu_ended(struct domain *d);
/* It goes on after a shutdown (a cancelled suspend), if that is complete. Locks: takes d->lock. */
void domain_resume(struct domain *d);
/* The guest did something the ABI has no error for. Returns; the caller unwinds. */
void domain_crash(struct domain *d, const char *fmt, ...) PRINTF(2, 3);

/*
 * SCHEDOP_watchdog: shut d down in so many seconds unless asked again. id 0: a new one.
 * Returns the id of a new one, else 0. Errors: -EINVAL no such id; -ENOSPC all in use.
 */
MUST_CHECK int domain_watchdog(struct domain *d, uint32_t id, uint32_t timeout_s);

/*
 * Take everything back, in the order: vcpus, grants, events, memory. The struct goes with its last
 * reference.
 * Locks:  callers serialise (RANK_DOMCTL); d is not the current one.
 * Errors: -ERESTART: call again; -EINVAL special domains, dom0.
 */
MUST_CHECK int domain_destroy(struct domain *d);

/*
 * Memory of a domain: 2^order frames owned by d, refs = PG_ALLOCATED | 1; M2P entries from pfn on
 * (M2P_INVALID: none yet), set while nobody else can have the frames.
 * Errors: NULL: out of memory, beyond max_pages, or d is dying.
 */
#define M2P_INVALID (~UINT64_C(0))
struct page *domain_populate(struct domain *d, uint64_t pfn, unsigned int order,
                             unsigned int max_bits, unsigned int heap_flags);
struct page *domain_alloc_pages(struct domain *d, unsigned int order, unsigned int max_bits,
                                unsigned int heap_flags);
/*
 * Frames from heap_alloc become d's, in exchange for others: max_pages is not looked at. False: d
 * is dying.
 */
MUST_CHECK bool domain_adopt_pages(struct domain *d, struct page *pg, unsigned int order,
                                   uint64_t pfn);
/*
 * Make a hypervisor page (heap_alloc_virt, order 0) mappable by d, read-write or read-only; one
 * PG_ALLOCATED reference.
 */
void domain_share_page(struct domain *d, void *va, bool writable);
/*
 * Undo it: no new mapping. The domain stays until the last mapping is gone; then (when it is
 * destroyed) the memory is the caller's again.
 */
void domain_unshare_page(void *va);
/*
 * The owner gives a frame up (decrease_reservation, teardown): drops PG_ALLOCATED's reference once.
 */
void page_release_allocation(struct page *pg);
/* Every frame of a dying domain, once mmu_relinquish is through. Errors: -ERESTART: call again. */
MUST_CHECK int domain_release_pages(struct domain *d);
/*
 * Take a frame away from its owner for a moment: the caller's reference must be the only one beside
 * the allocation's. Then nobody else can get any, and either page_free() or page_unseize() follows.
 * Errors: false: somebody else uses the frame; the caller still has its reference.
 */
MUST_CHECK bool page_seize(struct page *pg);
void page_unseize(struct page *pg); /* the caller still has its reference */
/*
 * A seized frame becomes another's, with its content. False: `to` is dying or has all it may have.
 */
MUST_CHECK bool page_give(struct page *pg, struct domain *to);

/* Upward calls, pv/domain.c. */
MUST_CHECK int pv_domain_init(struct domain *d);
MUST_CHECK int pv_domain_relinquish(struct domain *d); /* -ERESTART: call again */
void pv_domain_destroy(struct domain *d);
MUST_CHECK int pv_vcpu_init(struct vcpu *v);
void pv_vcpu_relinquish(struct vcpu *v);
void pv_vcpu_destroy(struct vcpu *v);

#endif
