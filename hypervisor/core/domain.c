#include "core/domain.h"

#include <abi/sched.h>

#include "core/cmdline.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/heap.h"
#include "core/time.h"
#include "lib/printf.h"
#include "lib/string.h"

struct domain *dom0, *dom_xen, *dom_io;

static bool opt_noreboot;
OPTION_FLAG("noreboot", opt_noreboot,
            "stop instead of restarting when dom0 crashes or its watchdog ends it");

/*
 * All domains, by id, in pages of slots made on demand and kept. Readers take no lock: a slot
 * points to a page that is a struct domain for ever, whose count of references says if it is alive.
 */
#define SLOTS_PER_PAGE (PAGE_SIZE / sizeof(struct domain *))
#define NR_SLOT_PAGES  DIV_ROUND_UP(DOMID_FIRST_RESERVED, SLOTS_PER_PAGE)

static struct domain **slots[NR_SLOT_PAGES];
static struct lock domlist_lock = LOCK_INIT(RANK_DOMLIST); /* guards: writing slots, all below */
static struct list pool = LIST_INIT(pool);
static domid_t last_domid;

_Static_assert(sizeof(struct domain) <= PAGE_SIZE,
               "struct page names a domain by one frame number");

static struct domain **slot_of(unsigned int domid) {
    struct domain **page;

    if (domid >= DOMID_FIRST_RESERVED)
        return NULL;
    domid = (unsigned int)index_nospec(domid, DOMID_FIRST_RESERVED);
    page = __atomic_load_n(&slots[domid / SLOTS_PER_PAGE], __ATOMIC_ACQUIRE);
    return page ? &page[domid % SLOTS_PER_PAGE] : NULL;
}

static struct domain *slot_read(unsigned int domid) {
    struct domain **slot = slot_of(domid);

    return slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : NULL;
}

/* References. */

static bool get_if_alive(struct domain *d) {
    uint32_t refs = READ_ONCE(d->refs);

    do {
        if (!refs)
            return false;
    } while (!__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    return true;
}

struct domain *domain_get(struct domain *d) {
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

void domain_put(struct domain *d) {
    uint32_t old = __atomic_fetch_sub(&d->refs, 1, __ATOMIC_SEQ_CST);

    BUG_ON(!old);
    if (old == 1)
        task_raise(&d->reap);
}

struct domain *domain_lookup(domid_t domid) {
    struct domain *d = slot_read(domid);

    if (!d || !get_if_alive(d))
        return NULL;
    /* The page may have become another domain since we read the slot. */
    if (slot_read(domid) == d)
        return d;
    domain_put(d);
    return NULL;
}

int domain_lookup_controlled(domid_t domid, struct domain **out) {
    struct domain *curr = current_vcpu()->domain;

    if (domid == DOMID_SELF || domid == curr->domid) {
        *out = domain_get(curr);
        return 0;
    }
    if (!curr->privileged)
        return -EPERM;
    *out = domain_lookup(domid);
    return *out ? 0 : -ESRCH;
}

struct domain *domain_next(unsigned int domid) {
    while (domid < DOMID_FIRST_RESERVED) {
        struct domain *d;

        if (!slots[domid / SLOTS_PER_PAGE]) {
            domid = ROUND_DOWN(domid, SLOTS_PER_PAGE) + SLOTS_PER_PAGE;
            continue;
        }
        d = domain_lookup((domid_t)domid);
        if (d)
            return d;
        domid++;
    }
    return NULL;
}

/* Creation. */

/* An empty page to be a struct domain: a used one if there is any. */
static struct domain *domain_page(void) {
    struct domain *d = NULL;

    lock_acquire(&domlist_lock);
    if (!list_empty(&pool)) {
        d = list_first(&pool, struct domain, link);
        list_del(&d->link);
    }
    lock_release(&domlist_lock);
    if (!d)
        return heap_alloc_virt(0);
    memset(d, 0, sizeof(*d));
    return d;
}

static int slot_page_make(unsigned int domid) {
    struct domain ***page = &slots[domid / SLOTS_PER_PAGE];

    if (!*page)
        __atomic_store_n(page, heap_alloc_virt(0), __ATOMIC_RELEASE);
    return *page ? 0 : -ENOMEM;
}

/* Next after the one given last, so that ids are not reused soon. Locks: domlist. */
static int free_domid(void) {
    for (unsigned int tries = 1; tries < DOMID_FIRST_RESERVED; tries++) {
        last_domid = last_domid + 1 < DOMID_FIRST_RESERVED ? last_domid + 1 : 1;
        if (!slot_read(last_domid))
            return last_domid;
    }
    return -ENOMEM;
}

/* From here on others find it. */
static int publish(struct domain *d, domid_t want) {
    int rc, domid;

    lock_acquire(&domlist_lock);
    domid = want == DOMID_INVALID ? free_domid() : want;
    rc = domid < 0 ? domid : slot_page_make((unsigned int)domid);
    if (!rc && slot_read((unsigned int)domid))
        rc = -EEXIST;
    if (!rc) {
        d->domid = (domid_t)domid;
        __atomic_store_n(slot_of((unsigned int)domid), d, __ATOMIC_RELEASE);
    }
    lock_release(&domlist_lock);
    return rc;
}

static void watchdog_fired(void *arg) {
    struct domain *d = arg;

    printk_guest(d, LOG_WARN, "watchdog fired");
    domain_shutdown(d, SHUTDOWN_watchdog);
}

static void reap(struct task *t);

static void domain_init_fields(struct domain *d, const struct domain_config *c) {
    d->reap.fn = reap;
    d->privileged = c->privileged;
    d->hardware = c->hardware;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    lock_init(&d->lock, RANK_DOMAIN);
    lock_init(&d->page_lock, RANK_PAGE_LIST);
    page_list_init(&d->pages);
    d->shutdown_code = SHUTDOWN_NONE;
    d->pause_count = 1;
    d->paused_by_control = true;
    d->max_pages = c->max_pages;
    d->sched.weight = SCHED_DEFAULT_WEIGHT;
    for (unsigned int i = 0; i < DOMAIN_WATCHDOGS; i++)
        timer_init(&d->watchdog[i], watchdog_fired, d, this_cpu()->id);
    /* The one that domain_destroy drops. */
    __atomic_store_n(&d->refs, 1, __ATOMIC_RELEASE);
}

static int shared_info_make(struct domain *d) {
    struct shared_info *si = heap_alloc_virt(0);

    if (!si)
        return -ENOMEM;
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        si->vcpu_info[i].evtchn_upcall_mask = 1;
    domain_share_page(d, si, true);
    d->shared_info = si;
    return 0;
}

/* No part of d can be mapped from now on; its last reference goes when none is. */
static int unshare(struct domain *d) {
    gnttab_domain_unshare(d);
    if (d->shared_info)
        domain_unshare_page(d->shared_info);
    return 0;
}

/* Each of these also accepts a domain where its counterpart failed or was not reached. */
static void destroy_parts(struct domain *d) {
    pirq_domain_destroy(d);
    pv_domain_destroy(d);
    arch_domain_destroy(d);
    gnttab_domain_destroy(d);
    evtchn_domain_destroy(d);
    mem_free(d->vcpu);
    heap_free_virt(d->shared_info, 0);
}

static int make_parts(struct domain *d, const struct domain_config *c) {
    int rc = shared_info_make(d);

    d->vcpu = mem_alloc_array(c->max_vcpus, sizeof(*d->vcpu));
    d->max_vcpus = d->vcpu ? c->max_vcpus : 0;
    if (!rc && !d->vcpu)
        rc = -ENOMEM;
    if (!rc)
        rc = evtchn_domain_init(d, c->max_evtchn_port);
    if (!rc)
        rc = gnttab_domain_init(d, c->max_grant_frames, c->max_maptrack_frames);
    if (!rc)
        rc = arch_domain_init(d);
    if (!rc)
        rc = pv_domain_init(d);
    if (!rc)
        rc = pirq_domain_init(d);
    return rc;
}

int domain_create(domid_t domid, const struct domain_config *c, struct domain **out) {
    struct domain *d;
    int rc;

    if (!c->max_vcpus || (domid >= DOMID_FIRST_RESERVED && domid != DOMID_INVALID))
        return -EINVAL;
    d = domain_page();
    if (!d)
        return -ENOMEM;
    domain_init_fields(d, c);
    d->domid = domid;
    rc = make_parts(d, c);
    if (!rc)
        rc = publish(d, domid);
    if (rc) {
        unshare(d);
        domain_put(d);
        return rc;
    }
    time_publish_wallclock(d);
    *out = d;
    return 0;
}

/* Owners of frames, and nothing else: no slot, no vcpu, never freed. */
static struct domain *special_domain(domid_t domid) {
    static const struct domain_config none;
    struct domain *d = domain_page();

    if (!d)
        panic("no memory for the first domains");
    domain_init_fields(d, &none);
    d->domid = domid;
    return d;
}

void domains_init(void) {
    dom_xen = special_domain(DOMID_XEN);
    dom_io = special_domain(DOMID_IO);
}

/* Shutdown. */

/* dom0 has ended: so does the machine. */
static _Noreturn void machine_end(uint8_t reason) {
    if (reason == SHUTDOWN_poweroff) {
        pr_info("dom0 powers off\n");
        arch_power_off();
    }
    if (reason == SHUTDOWN_reboot) {
        pr_info("dom0 restarts\n");
        arch_reboot();
    }
    pr_err("dom0 has ended: %s\n", reason == SHUTDOWN_watchdog ? "watchdog" : "crash");
    if (!opt_noreboot)
        arch_reboot();
    panic("noreboot: stopped because dom0 has ended");
}

static void for_each_vcpu_stop(struct domain *d, bool stop) {
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (v && stop)
            vcpu_stop(v, STOP_SHUTDOWN);
        else if (v)
            vcpu_start(v, STOP_SHUTDOWN);
    }
}

void domain_vcpu_ended(struct domain *d) {
    /* Each vcpu says that it left before it looks at the others: the last sees them all gone. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!READ_ONCE(d->shutting_down))
        return;
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i] && READ_ONCE(d->vcpu[i]->sched.running))
            return;
    if (!__atomic_exchange_n(&d->shut_down, true, __ATOMIC_SEQ_CST))
        evtchn_send_global_virq(VIRQ_DOM_EXC);
}

/* Takes no lock: a domain is crashed from wherever it misbehaves. */
void domain_shutdown(struct domain *d, uint8_t reason) {
    uint8_t code = SHUTDOWN_NONE;

    if (__atomic_compare_exchange_n(&d->shutdown_code, &code, reason, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST))
        code = reason;
    if (d->hardware)
        machine_end(code);
    if (__atomic_exchange_n(&d->shutting_down, true, __ATOMIC_SEQ_CST))
        return;
    for_each_vcpu_stop(d, true);
    domain_vcpu_ended(d);
}

void domain_resume(struct domain *d) {
    lock_acquire(&d->lock);
    if (d->life == DOMAIN_ALIVE && d->shut_down) {
        d->shut_down = false;
        d->shutdown_code = SHUTDOWN_NONE;
        WRITE_ONCE(d->shutting_down, false);
        for_each_vcpu_stop(d, false);
    }
    lock_release(&d->lock);
}

void domain_crash(struct domain *d, const char *fmt, ...) {
    char why[120];
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    if (current_vcpu() && current_vcpu()->domain == d)
        printk_guest(d, LOG_ERR, "crashed on vcpu %u at %#lx: %s\n", current_vcpu()->id,
                     current_vcpu()->arch.regs.rip, why);
    else
        printk_guest(d, LOG_ERR, "crashed: %s\n", why);
    domain_shutdown(d, SHUTDOWN_crash);
}

int domain_watchdog(struct domain *d, uint32_t id, uint32_t timeout_s) {
    int rc = 0;

    if (id > DOMAIN_WATCHDOGS || (!id && !timeout_s))
        return -EINVAL;
    lock_acquire(&d->lock);
    if (!id) {
        while (id < DOMAIN_WATCHDOGS && d->watchdogs & 1u << id)
            id++;
        rc = id < DOMAIN_WATCHDOGS ? (int)++id : -ENOSPC;
    } else if (!(d->watchdogs & 1u << (id - 1))) {
        rc = -EINVAL;
    }
    if (rc >= 0 && timeout_s) {
        d->watchdogs |= 1u << (id - 1);
        timer_set(&d->watchdog[id - 1], time_now() + timeout_s * SECOND_NS);
    } else if (rc >= 0) {
        d->watchdogs &= ~(1u << (id - 1));
        timer_stop(&d->watchdog[id - 1]);
    }
    lock_release(&d->lock);
    return rc;
}

/* Destruction. */

/* The last reference is gone: no page, event or grant of it is known to anyone. */
static void reap(struct task *t) {
    struct domain *d = container_of(t, struct domain, reap);

    BUG_ON(d->nr_pages);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_destroy(d->vcpu[i]);
    destroy_parts(d);

    lock_acquire(&domlist_lock);
    if (slot_read(d->domid) == d)
        __atomic_store_n(slot_of(d->domid), NULL, __ATOMIC_RELEASE);
    list_add(&d->link, &pool);
    lock_release(&domlist_lock);
    /* A tool that listed it as dying looks again. */
    evtchn_send_global_virq(VIRQ_DOM_EXC);
}

/* From now on it has no will of its own. */
static int stop_vcpus(struct domain *d) {
    lock_acquire(&d->lock);
    d->life = DOMAIN_DYING;
    WRITE_ONCE(d->shutting_down, true);
    for_each_vcpu_stop(d, true);
    lock_release(&d->lock);

    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_sleep_sync(d->vcpu[i]);
    for (unsigned int i = 0; i < DOMAIN_WATCHDOGS; i++)
        timer_kill(&d->watchdog[i]);
    return 0;
}

static int release_devices(struct domain *d) {
    pirq_domain_destroy(d);
    return 0;
}

int domain_destroy(struct domain *d) {
    static int (*const stages[])(struct domain *) = {
        stop_vcpus,      gnttab_domain_relinquish, evtchn_domain_relinquish,
        release_devices, pv_domain_relinquish,     unshare,
    };

    if (d->domid >= DOMID_FIRST_RESERVED || d->hardware)
        return -EINVAL;
    if (d->life == DOMAIN_DEAD)
        return 0;
    for (; d->destroy_stage < ARRAY_LEN(stages); d->destroy_stage++) {
        int rc = stages[d->destroy_stage](d);

        if (rc)
            return rc;
    }
    WRITE_ONCE(d->life, DOMAIN_DEAD);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    domain_put(d);
    return 0;
}
