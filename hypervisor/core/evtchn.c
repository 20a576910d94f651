#include "core/evtchn.h"

#include "core/console.h"
#include "core/cpu.h"
#include "core/evtchn-internal.h"
#include "core/heap.h"
#include "core/pirq.h"
#include "lib/bits.h"
#include "lib/string.h"

/* Ports closed between two looks at preempt_needed(). */
#define CLOSE_BATCH 64

void evtchn_raise_upcall(struct vcpu *v) {
    if (!__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        vcpu_kick(v);
}

/*
 * Wake vcpus that poll for this port. The pending bit was set by a locked operation before, and a
 * poller counts itself before it looks at the bit: one of the two sees the other.
 */
static void wake_pollers(struct domain *d, evtchn_port_t port) {
    if (likely(!READ_ONCE(d->evtchn.nr_polling)))
        return;
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (!v || !(READ_ONCE(v->sched.stop) & STOP_POLL))
            continue;
        int32_t polled = READ_ONCE(v->evtchn.poll_port);

        if (polled < 0 || (evtchn_port_t)polled == port)
            vcpu_start(v, STOP_POLL);
    }
}

/*
 * If the domain changes to the FIFO ABI in this moment, the change may have looked at the bit too
 * early: the test after it has been set makes sure that one of the two sees it.
 */
static void set_pending(struct domain *d, struct evtchn *c, evtchn_port_t port) {
    if (!READ_ONCE(d->evtchn.fifo))
        evtchn_2l_set_pending(d, c, port);
    if (READ_ONCE(d->evtchn.fifo))
        evtchn_fifo_set_pending(d, c, port);
    wake_pollers(d, port);
}

/* Is the port in use, so that its place in the guest's memory may be touched? Locks: the port's. */
static bool is_open(const struct evtchn *c) {
    return c->state != PORT_FREE && c->state != PORT_RESERVED;
}

/* --- the table of ports ---------------------------------------------------------------------- */

static uint32_t port_limit(const struct domain *d) {
    uint32_t abi = d->evtchn.fifo ? EVTCHN_FIFO_NR_CHANNELS : EVTCHN_2L_NR_CHANNELS;

    return MIN(abi, d->evtchn.max_port + 1);
}

/* Make room for one more bucket of ports. Errors: -ENOSPC, -ENOMEM. Locks: none held. */
static int add_bucket(struct domain *d) {
    struct evtchn *bucket = mem_alloc(PAGE_SIZE);
    uint64_t flags;
    uint32_t nr;
    int rc = 0;

    if (!bucket)
        return -ENOMEM;
    for (unsigned int i = 0; i < PORTS_PER_BUCKET; i++) {
        lock_init(&bucket[i].lock, RANK_EVTCHN_PORT);
        bucket[i].priority = bucket[i].last_priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    }
    flags = lock_acquire_irq(&d->evtchn.lock);
    nr = d->evtchn.nr_ports;
    if (nr >= port_limit(d)) {
        rc = -ENOSPC;
    } else {
        d->evtchn.bucket[nr / PORTS_PER_BUCKET] = bucket;
        __atomic_store_n(&d->evtchn.nr_ports, nr + PORTS_PER_BUCKET, __ATOMIC_RELEASE);
    }
    lock_release_irq(&d->evtchn.lock, flags);
    if (rc)
        mem_free(bucket);
    return rc;
}

/* Lowest free port, 0 if none. Locks: the domain's. */
static evtchn_port_t find_free(struct domain *d) {
    uint32_t end = MIN(d->evtchn.nr_ports, port_limit(d));

    for (evtchn_port_t port = d->evtchn.first_free; port < end; port++)
        if (evtchn_of(d, port)->state == PORT_FREE)
            return d->evtchn.first_free = port;
    d->evtchn.first_free = end;
    return 0;
}

/*
 * Take the lowest free port out of circulation; nobody else binds or closes it until it is opened
 * or freed. It may be raised already: whatever raises it is bound first. notify: NULL: vcpu 0.
 * Errors: -ENOSPC, -ENOMEM.
 */
static int reserve_port(struct domain *d, const struct vcpu *notify, evtchn_port_t *port) {
    for (;;) {
        uint64_t flags = lock_acquire_irq(&d->evtchn.lock);
        int rc;

        *port = find_free(d);
        if (*port) {
            struct evtchn *c = evtchn_of(d, *port);

            c->state = PORT_RESERVED;
            d->evtchn.nr_open++;
            c->vcpu = notify ? (uint16_t)notify->id : 0;
            c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
        }
        lock_release_irq(&d->evtchn.lock, flags);
        if (*port)
            return 0;
        rc = add_bucket(d);
        if (rc)
            return rc;
    }
}

/* Locks: the domain's; nobody sends to the port any more. */
static void release_port_locked(struct domain *d, evtchn_port_t port) {
    struct evtchn *c = evtchn_of(d, port);

    if (d->evtchn.fifo)
        evtchn_fifo_clear_pending(d, port);
    else
        evtchn_2l_clear_pending(d, port);
    c->saved_pending = false;
    lock_acquire(&c->lock);
    c->state = PORT_FREE;
    lock_release(&c->lock);
    d->evtchn.nr_open--;
    d->evtchn.first_free = MIN(d->evtchn.first_free, port);
}

static void release_port(struct domain *d, evtchn_port_t port) {
    uint64_t flags = lock_acquire_irq(&d->evtchn.lock);

    release_port_locked(d, port);
    lock_release_irq(&d->evtchn.lock, flags);
}

/* What the guest sees of a reserved port from now on. source: the VIRQ or pirq. */
static void open_port(struct domain *d, evtchn_port_t port, enum port_state state,
                      uint32_t source) {
    struct evtchn *c = evtchn_of(d, port);
    uint64_t flags = lock_acquire_irq(&c->lock);

    c->virq = source;
    c->state = (uint8_t)state;
    lock_release_irq(&c->lock, flags);
}

/* DOMID_SELF or the caller's own id: the caller; else a domain it controls. */
static int target_domain(struct domain *curr, domid_t id, struct domain **out) {
    if (id == DOMID_SELF || id == curr->domid) {
        *out = domain_get(curr);
        return 0;
    }
    return domain_lookup_controlled(id, out);
}

/* --- binding --------------------------------------------------------------------------------- */

union evtchn_arg {
    struct evtchn_alloc_unbound alloc_unbound;
    struct evtchn_bind_interdomain bind_interdomain;
    struct evtchn_bind_virq bind_virq;
    struct evtchn_bind_pirq bind_pirq;
    struct evtchn_bind_ipi bind_ipi;
    struct evtchn_close close;
    struct evtchn_send send;
    struct evtchn_status status;
    struct evtchn_bind_vcpu bind_vcpu;
    struct evtchn_unmask unmask;
    struct evtchn_reset reset;
    struct evtchn_init_control init_control;
    struct evtchn_expand_array expand_array;
    struct evtchn_set_priority set_priority;
};

static int do_alloc_unbound(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn_alloc_unbound *a = &arg->alloc_unbound;
    domid_t remote = a->remote_dom == DOMID_SELF ? curr->domid : a->remote_dom;
    struct domain *d;
    struct evtchn *c;
    uint64_t flags;
    int rc = target_domain(curr, a->dom, &d);

    if (rc)
        return rc;
    /* A domain in the making: without a vcpu there is nobody to notify. */
    rc = domain_vcpu(d, 0) ? reserve_port(d, NULL, &a->port) : -ENOENT;
    if (!rc) {
        c = evtchn_of(d, a->port);
        flags = lock_acquire_irq(&c->lock);
        c->unbound_for = remote;
        c->state = PORT_UNBOUND;
        lock_release_irq(&c->lock, flags);
    }
    domain_put(d);
    return rc;
}

/* Join ld's reserved port to rd's unbound one. Locks: takes both domains'. */
static int join(struct domain *ld, evtchn_port_t lport, struct domain *rd, evtchn_port_t rport) {
    struct evtchn *lc = evtchn_of(ld, lport), *rc_port;
    uint64_t flags = irq_save();
    int rc = -EINVAL;

    lock_pair(&ld->evtchn.lock, &rd->evtchn.lock);
    rc_port = evtchn_of(rd, rport);
    if (rd->life == DOMAIN_ALIVE && rc_port && rc_port->state == PORT_UNBOUND &&
        rc_port->unbound_for == ld->domid) {
        lock_acquire(&rc_port->lock);
        rc_port->remote.domain = ld;
        rc_port->remote.port = lport;
        rc_port->state = PORT_INTERDOMAIN;
        lock_release(&rc_port->lock);
        lock_acquire(&lc->lock);
        lc->remote.domain = rd;
        lc->remote.port = rport;
        lc->state = PORT_INTERDOMAIN;
        /* Whatever the other end sent before the binding is not lost: the first event is free. */
        set_pending(ld, lc, lport);
        lock_release(&lc->lock);
        rc = 0;
    }
    unlock_pair(&ld->evtchn.lock, &rd->evtchn.lock);
    irq_restore(flags);
    return rc;
}

static int do_bind_interdomain(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn_bind_interdomain *b = &arg->bind_interdomain;
    struct domain *rd =
        b->remote_dom == DOMID_SELF ? domain_get(curr) : domain_lookup(b->remote_dom);
    int rc;

    if (!rd)
        return -ESRCH;
    rc = reserve_port(curr, NULL, &b->local_port);
    if (!rc) {
        rc = join(curr, b->local_port, rd, b->remote_port);
        if (rc)
            release_port(curr, b->local_port);
    }
    domain_put(rd);
    return rc;
}

/* VIRQs that every vcpu has of its own; the others exist once and only for the hardware domain. */
static bool virq_is_per_vcpu(uint32_t virq) {
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

static int do_bind_virq(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn_bind_virq *b = &arg->bind_virq;
    struct vcpu *v = domain_vcpu(curr, b->vcpu);
    uint64_t flags;
    int rc;

    if (b->virq >= NR_VIRQS)
        return -EINVAL;
    if (!virq_is_per_vcpu(b->virq) && b->vcpu != 0)
        return -EINVAL;
    if (!virq_is_per_vcpu(b->virq) && !curr->hardware && b->virq != VIRQ_ARGO)
        return -EPERM;
    if (!v)
        return -ENOENT;
    uint32_t virq = (uint32_t)index_nospec(b->virq, NR_VIRQS);

    rc = reserve_port(curr, v, &b->port);
    if (rc)
        return rc;
    flags = lock_acquire_irq(&v->evtchn.virq_lock);
    if (v->evtchn.virq_port[virq])
        rc = -EEXIST;
    else
        v->evtchn.virq_port[virq] = b->port;
    lock_release_irq(&v->evtchn.virq_lock, flags);
    if (rc)
        release_port(curr, b->port);
    else
        open_port(curr, b->port, PORT_VIRQ, virq);
    return rc;
}

static int do_bind_ipi(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn_bind_ipi *b = &arg->bind_ipi;
    struct vcpu *v = domain_vcpu(curr, b->vcpu);
    int rc;

    if (!v)
        return -ENOENT;
    rc = reserve_port(curr, v, &b->port);
    if (!rc)
        open_port(curr, b->port, PORT_IPI, 0);
    return rc;
}

static int do_bind_pirq(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn_bind_pirq *b = &arg->bind_pirq;
    struct vcpu *v = curr->vcpu[0];
    int rc;

    if (b->flags & ~(uint32_t)BIND_PIRQ__WILL_SHARE)
        return -EINVAL;
    if (!curr->pirq.table || !v)
        return -EPERM;
    rc = reserve_port(curr, v, &b->port);
    if (rc)
        return rc;
    rc = pirq_bind(curr, b->pirq, b->flags & BIND_PIRQ__WILL_SHARE, b->port, v);
    if (rc)
        release_port(curr, b->port);
    else
        open_port(curr, b->port, PORT_PIRQ, b->pirq);
    return rc;
}

/* --- closing --------------------------------------------------------------------------------- */

/* The peer of an interdomain port goes back to unbound, open for us only. Locks: both domains'. */
static void unjoin(struct domain *d, evtchn_port_t port) {
    struct evtchn *c = evtchn_of(d, port), *peer = evtchn_of(c->remote.domain, c->remote.port);

    lock_acquire(&peer->lock);
    peer->unbound_for = d->domid;
    peer->state = PORT_UNBOUND;
    lock_release(&peer->lock);
    lock_acquire(&c->lock);
    c->state = PORT_RESERVED;
    lock_release(&c->lock);
    release_port_locked(d, port);
}

static void unbind_virq(struct domain *d, const struct evtchn *c, evtchn_port_t port) {
    uint64_t flags = irq_save();

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        if (!v)
            continue;
        lock_acquire(&v->evtchn.virq_lock);
        if (v->evtchn.virq_port[c->virq] == port)
            v->evtchn.virq_port[c->virq] = 0;
        lock_release(&v->evtchn.virq_lock);
    }
    irq_restore(flags);
}

/*
 * Close a port in whatever state it is. The lock of a peer's domain may rank before ours by
 * address, so the peer is named under our lock alone, and looked at again under both.
 * Errors: -EINVAL: not open.
 */
static int close_port(struct domain *d, evtchn_port_t port) {
    struct evtchn *c = port ? evtchn_of(d, port) : NULL;
    struct domain *rd = NULL;
    enum port_state was;
    uint64_t flags;

    if (!c)
        return -EINVAL;
    flags = lock_acquire_irq(&d->evtchn.lock);
    was = c->state;
    if (was == PORT_INTERDOMAIN)
        rd = domain_get(c->remote.domain);
    else if (was == PORT_UNBOUND || was == PORT_IPI)
        release_port_locked(d, port);
    else if (was == PORT_VIRQ || was == PORT_PIRQ) {
        lock_acquire(&c->lock);
        c->state = PORT_RESERVED;
        lock_release(&c->lock);
    }
    lock_release_irq(&d->evtchn.lock, flags);

    switch (was) {
    case PORT_FREE:
    case PORT_RESERVED:
        return -EINVAL;
    case PORT_VIRQ:
        unbind_virq(d, c, port);
        release_port(d, port);
        break;
    case PORT_PIRQ:
        pirq_unbind(d, c->pirq);
        release_port(d, port);
        break;
    case PORT_INTERDOMAIN:
        flags = irq_save();
        lock_pair(&d->evtchn.lock, &rd->evtchn.lock);
        if (c->state == PORT_INTERDOMAIN && c->remote.domain == rd)
            unjoin(d, port);
        else if (c->state == PORT_UNBOUND) /* the peer closed first */
            release_port_locked(d, port);
        unlock_pair(&d->evtchn.lock, &rd->evtchn.lock);
        irq_restore(flags);
        domain_put(rd);
        break;
    default:
        break;
    }
    return 0;
}

static int do_close(struct domain *curr, union evtchn_arg *arg) {
    return close_port(curr, arg->close.port);
}

/* Close all from the top, so that an interrupted pass goes on where ports are left. -ERESTART. */
static int close_all(struct domain *d) {
    for (evtchn_port_t port = d->evtchn.nr_ports; port-- > 1;) {
        if (evtchn_of(d, port)->state != PORT_FREE)
            (void)close_port(d, port);
        if (port % CLOSE_BATCH == 0 && preempt_needed())
            return -ERESTART;
    }
    return 0;
}

static int do_reset(struct domain *curr, union evtchn_arg *arg) {
    struct domain *d;
    int rc = target_domain(curr, arg->reset.dom, &d);

    if (rc)
        return rc;
    rc = close_all(d);
    if (!rc)
        rc = evtchn_fifo_destroy(d);
    domain_put(d);
    return rc;
}

/* --- using ----------------------------------------------------------------------------------- */

static int do_send(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn *c = evtchn_of(curr, arg->send.port);
    uint64_t flags;
    int rc = 0;

    if (!c)
        return -EINVAL;
    flags = lock_acquire_irq(&c->lock);
    switch (c->state) {
    case PORT_INTERDOMAIN:
        set_pending(c->remote.domain, evtchn_of(c->remote.domain, c->remote.port), c->remote.port);
        break;
    case PORT_IPI:
        set_pending(curr, c, arg->send.port);
        break;
    case PORT_UNBOUND: /* nobody there: dropped */
        break;
    default:
        rc = -EINVAL;
    }
    lock_release_irq(&c->lock, flags);
    return rc;
}

static int do_status(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn_status *s = &arg->status;
    struct evtchn_status out = {.dom = s->dom, .port = s->port, .status = EVTCHNSTAT_closed};
    struct domain *d;
    struct evtchn *c;
    uint64_t flags;
    int rc = target_domain(curr, s->dom, &d);

    if (rc)
        return rc;
    c = evtchn_of(d, s->port);
    if (!c) {
        domain_put(d);
        return -EINVAL;
    }
    flags = lock_acquire_irq(&c->lock);
    switch (c->state) {
    case PORT_UNBOUND:
        out.status = EVTCHNSTAT_unbound;
        out.u.unbound.dom = c->unbound_for;
        break;
    case PORT_INTERDOMAIN:
        out.status = EVTCHNSTAT_interdomain;
        out.u.interdomain.dom = c->remote.domain->domid;
        out.u.interdomain.port = c->remote.port;
        break;
    case PORT_PIRQ:
        out.status = EVTCHNSTAT_pirq;
        out.u.pirq = c->pirq;
        break;
    case PORT_VIRQ:
        out.status = EVTCHNSTAT_virq;
        out.u.virq = c->virq;
        break;
    case PORT_IPI:
        out.status = EVTCHNSTAT_ipi;
        break;
    default:
        break;
    }
    out.vcpu = c->vcpu;
    lock_release_irq(&c->lock, flags);
    domain_put(d);
    *s = out;
    return 0;
}

static int do_bind_vcpu(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn *c = evtchn_of(curr, arg->bind_vcpu.port);
    struct vcpu *v = domain_vcpu(curr, arg->bind_vcpu.vcpu);
    bool is_pirq = false;
    uint32_t pirq = 0;
    uint64_t flags;
    int rc = 0;

    if (!v)
        return -ENOENT;
    if (!c)
        return -EINVAL;
    flags = lock_acquire_irq(&c->lock);
    switch (c->state) {
    case PORT_PIRQ:
        is_pirq = true;
        pirq = c->pirq;
        c->vcpu = (uint16_t)v->id;
        break;
    case PORT_VIRQ:
        if (virq_is_per_vcpu(c->virq))
            rc = -EINVAL;
        else
            c->vcpu = (uint16_t)v->id;
        break;
    case PORT_UNBOUND:
    case PORT_INTERDOMAIN:
        c->vcpu = (uint16_t)v->id;
        break;
    default:
        rc = -EINVAL;
    }
    lock_release_irq(&c->lock, flags);
    if (is_pirq)
        pirq_set_vcpu(curr, pirq, v);
    return rc;
}

void evtchn_port_unmask(struct domain *d, evtchn_port_t port) {
    struct evtchn *c = evtchn_of(d, port);
    uint64_t flags;

    if (!c)
        return;
    flags = lock_acquire_irq(&c->lock);
    if (is_open(c) && d->evtchn.fifo)
        evtchn_fifo_unmask(d, c, port);
    else if (is_open(c))
        evtchn_2l_unmask(d, c, port);
    lock_release_irq(&c->lock, flags);
}

static int do_unmask(struct domain *curr, union evtchn_arg *arg) {
    if (!evtchn_of(curr, arg->unmask.port))
        return -EINVAL;
    evtchn_port_unmask(curr, arg->unmask.port);
    return 0;
}

static int do_init_control(struct domain *curr, union evtchn_arg *arg) {
    return evtchn_fifo_init_control(curr, &arg->init_control);
}

static int do_expand_array(struct domain *curr, union evtchn_arg *arg) {
    return evtchn_fifo_expand_array(curr, &arg->expand_array);
}

static int do_set_priority(struct domain *curr, union evtchn_arg *arg) {
    struct evtchn *c = evtchn_of(curr, arg->set_priority.port);
    uint64_t flags;
    int rc = 0;

    if (!c || arg->set_priority.priority > EVTCHN_FIFO_PRIORITY_MIN)
        return -EINVAL;
    if (!curr->evtchn.fifo)
        return -ENOSYS;
    flags = lock_acquire_irq(&c->lock);
    if (!is_open(c))
        rc = -EINVAL;
    else
        c->priority = (uint8_t)arg->set_priority.priority;
    lock_release_irq(&c->lock, flags);
    return rc;
}

static const struct evtchn_cmd {
    int (*run)(struct domain *curr, union evtchn_arg *arg);
    uint8_t size; /* bytes in, and back out if .out */
    bool out;
} evtchn_cmds[] = {
    [EVTCHNOP_bind_interdomain] = {do_bind_interdomain, sizeof(struct evtchn_bind_interdomain),
                                   true},
    [EVTCHNOP_bind_virq] = {do_bind_virq, sizeof(struct evtchn_bind_virq), true},
    [EVTCHNOP_bind_pirq] = {do_bind_pirq, sizeof(struct evtchn_bind_pirq), true},
    [EVTCHNOP_close] = {do_close, sizeof(struct evtchn_close), false},
    [EVTCHNOP_send] = {do_send, sizeof(struct evtchn_send), false},
    [EVTCHNOP_status] = {do_status, sizeof(struct evtchn_status), true},
    [EVTCHNOP_alloc_unbound] = {do_alloc_unbound, sizeof(struct evtchn_alloc_unbound), true},
    [EVTCHNOP_bind_ipi] = {do_bind_ipi, sizeof(struct evtchn_bind_ipi), true},
    [EVTCHNOP_bind_vcpu] = {do_bind_vcpu, sizeof(struct evtchn_bind_vcpu), false},
    [EVTCHNOP_unmask] = {do_unmask, sizeof(struct evtchn_unmask), false},
    [EVTCHNOP_reset] = {do_reset, sizeof(struct evtchn_reset), false},
    [EVTCHNOP_init_control] = {do_init_control, sizeof(struct evtchn_init_control), true},
    [EVTCHNOP_expand_array] = {do_expand_array, sizeof(struct evtchn_expand_array), false},
    [EVTCHNOP_set_priority] = {do_set_priority, sizeof(struct evtchn_set_priority), false},
};

long hypercall_event_channel_op(struct vcpu *curr, uint64_t arg[6]) {
    guest_va_t at = {arg[1]};
    union evtchn_arg a;
    int rc;

    if (arg[0] >= ARRAY_LEN(evtchn_cmds))
        return -ENOSYS;
    const struct evtchn_cmd *c = &evtchn_cmds[index_nospec(arg[0], ARRAY_LEN(evtchn_cmds))];

    memset(&a, 0, sizeof(a));
    rc = copy_from_guest(&a, at, c->size);
    if (!rc)
        rc = c->run(curr->domain, &a);
    if (!rc && c->out)
        rc = copy_to_guest(at, &a, c->size);
    return rc;
}

/* --- from the hypervisor --------------------------------------------------------------------- */

void evtchn_send_virq(struct vcpu *v, unsigned int virq) {
    uint64_t flags = lock_acquire_irq(&v->evtchn.virq_lock);
    evtchn_port_t port = v->evtchn.virq_port[virq];

    if (port)
        set_pending(v->domain, evtchn_of(v->domain, port), port);
    lock_release_irq(&v->evtchn.virq_lock, flags);
}

void evtchn_send_global_virq(unsigned int virq) {
    if (dom0 && dom0->vcpu[0])
        evtchn_send_virq(dom0->vcpu[0], virq);
}

struct vcpu *evtchn_send_pirq(struct domain *d, evtchn_port_t port) {
    struct evtchn *c = evtchn_of(d, port);

    set_pending(d, c, port);
    return d->vcpu[READ_ONCE(c->vcpu)];
}

int evtchn_port_pending(struct domain *d, evtchn_port_t port) {
    struct evtchn *c = evtchn_of(d, port);
    uint64_t flags;
    int rc;

    if (!c)
        return -EINVAL;
    flags = lock_acquire_irq(&c->lock);
    rc = is_open(c) &&
         (d->evtchn.fifo ? evtchn_fifo_is_pending(d, port) : evtchn_2l_is_pending(d, port));
    lock_release_irq(&c->lock, flags);
    return rc;
}

/* Selector and upcall all on: the guest looks at every word once, and finds what there is. */
void evtchn_vcpu_info_moved(struct vcpu *v) {
    v->info->evtchn_pending_sel = ~UINT64_C(0);
    evtchn_raise_upcall(v);
}

int evtchn_domain_init(struct domain *d, uint32_t max_port) {
    struct evtchn_domain *e = &d->evtchn;

    lock_init(&e->lock, RANK_EVTCHN);
    e->max_port = MIN(max_port, (uint32_t)EVTCHN_FIFO_NR_CHANNELS - 1);
    e->first_free = 1; /* port 0 is nobody's */
    e->bucket =
        mem_alloc_array(DIV_ROUND_UP(e->max_port + 1, PORTS_PER_BUCKET), sizeof(*e->bucket));
    return e->bucket ? add_bucket(d) : -ENOMEM;
}

void evtchn_vcpu_init(struct vcpu *v) {
    lock_init(&v->evtchn.virq_lock, RANK_EVTCHN_PORT);
}

int evtchn_domain_relinquish(struct domain *d) {
    int rc = close_all(d);

    return rc ? rc : evtchn_fifo_destroy(d);
}

void evtchn_domain_destroy(struct domain *d) {
    for (uint32_t i = 0; d->evtchn.bucket && i < d->evtchn.nr_ports / PORTS_PER_BUCKET; i++)
        mem_free(d->evtchn.bucket[i]);
    mem_free(d->evtchn.bucket);
    d->evtchn.bucket = NULL;
}
