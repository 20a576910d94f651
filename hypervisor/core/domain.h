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
#include "core/vcpu.h"
#include "lib/list.h"
#include "lib/lock.h"

enum domain_life { DOMAIN_ALIVE, DOMAIN_DYING, DOMAIN_DEAD };

/* Lives in one page of its own (page.owner names it by frame number). */
struct domain {
    domid_t domid;                   /* constant */
    bool privileged;                 /* may use the control interfaces: dom0 */
    bool hardware;                   /* owns the devices: dom0 */
    uint32_t refs;                   /* atomic; struct is freed at 0 */
    struct list link;                /* in the id hash, under domlist */
    uint8_t handle[16];

    struct lock lock;                /* RANK_DOMAIN; guards: life, shutdown, vcpu creation */
    enum domain_life life;
    bool shutting_down, shut_down;
    uint8_t shutdown_code;           /* SHUTDOWN_* */
    uint32_t pause_count;            /* atomic */
    bool paused_by_control;

    unsigned int max_vcpus;          /* constant after creation */
    struct vcpu **vcpu;              /* max_vcpus entries, NULL until created */
    cpumask_t dirty_cpus;            /* cpus that may hold its translations */

    struct lock page_lock;           /* RANK_PAGE_LIST; guards: the five below */
    struct page_list pages;          /* every frame it owns, less the PG_XEN ones */
    uint64_t nr_pages, max_pages;
    uint64_t nr_xen_pages;
    uint32_t relinquish_at;          /* teardown: frame where mmu_relinquish goes on; 0: the first */

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

/*
 * Create a domain, paused once, without vcpus or memory. domid DOMID_INVALID: any free one.
 * Errors: -EEXIST, -EINVAL, -ENOMEM.
 */
MUST_CHECK int domain_create(domid_t domid, const struct domain_config *c, struct domain **out);

/* The domain with that id with a reference, NULL if there is none (or it is dead). DOMID_SELF is not resolved. */
struct domain *domain_lookup(domid_t domid);
/* As above, resolving DOMID_SELF and checking that curr may control it. Errors: -ESRCH, -EPERM. */
MUST_CHECK int domain_lookup_controlled(domid_t domid, struct domain **out);
struct domain *domain_get(struct domain *d);
void domain_put(struct domain *d);

/* Lowest live domain with id >= domid, with a reference; NULL at the end. */
struct domain *domain_next(domid_t domid);

/* The guest ended itself (SCHEDOP_shutdown) or must end; tells the control domain by VIRQ_DOM_EXC. */
void domain_shutdown(struct domain *d, uint8_t reason);
/* The guest did something the ABI has no error for. Returns; the caller unwinds. dom0: ends the machine. */
void domain_crash(struct domain *d, const char *fmt, ...) PRINTF(2, 3);

/* Take everything back. Errors: -ERESTART: call again. */
MUST_CHECK int domain_destroy(struct domain *d);

/*
 * Memory of a domain. alloc: 2^order frames owned by d, refs = PG_ALLOCATED | 1, M2P left to the caller.
 * Errors: NULL: out of memory or beyond max_pages.
 */
struct page *domain_alloc_pages(struct domain *d, unsigned int order, unsigned int max_bits,
                                unsigned int heap_flags);
/* Make a hypervisor page (heap_alloc_virt, order 0) mappable by d, read-write or read-only; one PG_ALLOCATED reference. */
void domain_share_page(struct domain *d, void *va, bool writable);
/* Undo it and free the page once nobody maps it any more. */
void domain_unshare_page(void *va);
/* The owner gives a frame up (decrease_reservation, teardown): drops PG_ALLOCATED's reference once. */
void page_release_allocation(struct page *pg);

/* Upward calls, pv/domain.c. */
MUST_CHECK int pv_domain_init(struct domain *d);
MUST_CHECK int pv_domain_relinquish(struct domain *d); /* -ERESTART: call again */
void pv_domain_destroy(struct domain *d);
MUST_CHECK int pv_vcpu_init(struct vcpu *v);
void pv_vcpu_relinquish(struct vcpu *v);
void pv_vcpu_destroy(struct vcpu *v);

#endif
