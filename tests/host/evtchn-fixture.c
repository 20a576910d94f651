#include "evtchn-fixture.h"

#include <stdlib.h>
#include <string.h>

#include "core/console.h"
#include "core/heap.h"
#include "core/page.h"

struct domain *dom0, *ev_d[EV_DOMAINS];
unsigned int ev_kicks[EV_DOMAINS][EV_VCPUS];

static uint8_t guest[256];
static unsigned int next_frame;

/* --- what evtchn and pirq call --------------------------------------------------------------- */

void *mem_alloc(size_t bytes) {
    return calloc(1, bytes);
}
void *mem_alloc_array(size_t n, size_t size) {
    return calloc(n, size);
}
void mem_free(void *p) {
    free(p);
}

/* Frames are used as writable ones only, and their owner never lets go. */
int page_validate(struct page *pg, enum page_type type, unsigned int *progress) {
    (void)pg, (void)type, (void)progress;
    return -EINVAL;
}
int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                    bool preemptible) {
    (void)pg, (void)type, (void)progress, (void)preemptible;
    abort();
}
void page_free(struct page *pg) {
    (void)pg;
    abort();
}

struct domain *domain_get(struct domain *d) {
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
    return d;
}
void domain_put(struct domain *d) {
    __atomic_fetch_sub(&d->refs, 1, __ATOMIC_SEQ_CST);
}
struct domain *domain_lookup(domid_t domid) {
    return domid < EV_DOMAINS ? domain_get(ev_d[domid]) : NULL;
}
int domain_lookup_controlled(domid_t domid, struct domain **out) {
    if (domid >= EV_DOMAINS)
        return -ESRCH;
    if (!current_vcpu()->domain->privileged)
        return -EPERM;
    *out = domain_get(ev_d[domid]);
    return 0;
}
struct vcpu *domain_vcpu(const struct domain *d, uint64_t id) {
    return id < d->max_vcpus ? d->vcpu[id] : NULL;
}

void vcpu_kick(struct vcpu *v) {
    ev_kicks[v->domain->domid][v->id]++;
}
void vcpu_start(struct vcpu *v, enum vcpu_stop why) {
    v->sched.stop &= ~(uint32_t)why;
}
void printk(enum log_level level, const char *fmt, ...) {
    (void)level, (void)fmt;
}
void printk_guest(const struct domain *d, enum log_level level, const char *fmt, ...) {
    (void)d, (void)level, (void)fmt;
}

/* --- domains --------------------------------------------------------------------------------- */

static void *take_frame(struct domain *owner) {
    mfn_t mfn = mfn_of(next_frame++);

    if (mfn.n >= EV_FRAMES)
        abort();
    memset(mfn_to_virt(mfn), 0, PAGE_SIZE);
    *mfn_to_page(mfn) = (struct page){.refs = PG_ALLOCATED | 1};
    page_set_owner(mfn_to_page(mfn), owner);
    return mfn_to_virt(mfn);
}

static void make_domain(unsigned int id) {
    struct domain *d = take_frame(NULL);

    d->domid = (domid_t)id;
    d->privileged = d->hardware = id == 0;
    d->refs = 1;
    d->max_vcpus = EV_VCPUS;
    d->vcpu = calloc(EV_VCPUS, sizeof(*d->vcpu));
    d->shared_info = take_frame(NULL);
    for (unsigned int i = 0; i < EV_VCPUS; i++) {
        struct vcpu *v = calloc(1, sizeof(*v));

        v->domain = d;
        v->id = i;
        v->info = &d->shared_info->vcpu_info[i];
        v->sched.cpu = i;
        evtchn_vcpu_init(v);
        d->vcpu[i] = v;
    }
    if (evtchn_domain_init(d, EVTCHN_FIFO_NR_CHANNELS - 1) || pirq_domain_init(d))
        abort();
    ev_d[id] = d;
}

static void end_domain(struct domain *d) {
    if (evtchn_domain_relinquish(d))
        abort();
    pirq_domain_destroy(d);
    evtchn_domain_destroy(d);
    for (unsigned int i = 0; i < EV_VCPUS; i++)
        free(d->vcpu[i]);
    free(d->vcpu);
}

static void end_domains(void) {
    fake_cpu->work = 0;
    for (unsigned int i = 0; i < EV_DOMAINS; i++)
        end_domain(ev_d[i]);
}

void ev_reset(void) {
    if (ev_d[0])
        end_domains();
    else
        atexit(end_domains); /* what is left then is a leak */
    fake_machine_init(EV_FRAMES);
    fake_guest_memory(guest, sizeof(guest));
    next_frame = 1; /* 0 is nobody's */
    memset(ev_kicks, 0, sizeof(ev_kicks));
    for (unsigned int i = 0; i < EV_DOMAINS; i++)
        make_domain(i);
    dom0 = ev_d[0];
}

mfn_t ev_frame(unsigned int dom) {
    return virt_to_mfn(take_frame(ev_d[dom]));
}
unsigned int ev_frame_refs(mfn_t mfn) {
    const struct page *pg = mfn_to_page(mfn);

    EXPECT_EQ((pg->refs & PG_COUNT) - 1, PT_COUNT(pg->type));
    return (unsigned int)PT_COUNT(pg->type);
}
unsigned int ev_refs(unsigned int dom) {
    return ev_d[dom]->refs - 1;
}

/* --- a guest --------------------------------------------------------------------------------- */

long ev_hypercall(long (*fn)(struct vcpu *curr, uint64_t arg[6]), unsigned int dom,
                  unsigned int cmd, void *arg, size_t size) {
    uint64_t args[6] = {cmd, (uintptr_t)guest};
    long rc;

    memcpy(guest, arg, size);
    fake_cpu->current = ev_d[dom]->vcpu[0];
    fake_guest_begin();
    rc = fn(fake_cpu->current, args);
    memcpy(arg, guest, size);
    EXPECT_EQ(fake_guest.double_fetches, 0);
    EXPECT_EQ(fake_cpu->lock_rank, RANK_NONE);
    EXPECT(irq_enabled());
    return rc;
}

long ev_hypercall_bad(long (*fn)(struct vcpu *curr, uint64_t arg[6]), unsigned int dom,
                      unsigned int cmd) {
    uint64_t args[6] = {cmd, 8};

    fake_cpu->current = ev_d[dom]->vcpu[0];
    return fn(fake_cpu->current, args);
}

int ev_unbound(unsigned int dom, domid_t remote) {
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = remote};
    long rc = ev_op(dom, EVTCHNOP_alloc_unbound, &a);

    return rc ? (int)rc : (int)a.port;
}
int ev_interdomain(unsigned int dom, domid_t remote, evtchn_port_t port) {
    struct evtchn_bind_interdomain b = {.remote_dom = remote, .remote_port = port};
    long rc = ev_op(dom, EVTCHNOP_bind_interdomain, &b);

    return rc ? (int)rc : (int)b.local_port;
}
int ev_virq(unsigned int dom, uint32_t virq, uint32_t vcpu) {
    struct evtchn_bind_virq b = {.virq = virq, .vcpu = vcpu};
    long rc = ev_op(dom, EVTCHNOP_bind_virq, &b);

    return rc ? (int)rc : (int)b.port;
}
int ev_ipi(unsigned int dom, uint32_t vcpu) {
    struct evtchn_bind_ipi b = {.vcpu = vcpu};
    long rc = ev_op(dom, EVTCHNOP_bind_ipi, &b);

    return rc ? (int)rc : (int)b.port;
}
int ev_pirq(unsigned int dom, uint32_t pirq, uint32_t flags) {
    struct evtchn_bind_pirq b = {.pirq = pirq, .flags = flags};
    long rc = ev_op(dom, EVTCHNOP_bind_pirq, &b);

    return rc ? (int)rc : (int)b.port;
}
int ev_close(unsigned int dom, evtchn_port_t port) {
    struct evtchn_close c = {port};

    return (int)ev_op(dom, EVTCHNOP_close, &c);
}
int ev_send(unsigned int dom, evtchn_port_t port) {
    struct evtchn_send s = {port};

    return (int)ev_op(dom, EVTCHNOP_send, &s);
}
int ev_unmask(unsigned int dom, evtchn_port_t port) {
    struct evtchn_unmask u = {port};

    return (int)ev_op(dom, EVTCHNOP_unmask, &u);
}
struct evtchn_status ev_status(unsigned int dom, evtchn_port_t port) {
    struct evtchn_status s = {.dom = DOMID_SELF, .port = port};

    EXPECT_EQ(ev_op(dom, EVTCHNOP_status, &s), 0);
    return s;
}

bool ev_pending(unsigned int dom, evtchn_port_t port) {
    return bit_test_and_clear(ev_d[dom]->shared_info->evtchn_pending, port);
}
void ev_mask(unsigned int dom, evtchn_port_t port, bool masked) {
    if (masked)
        (void)bit_test_and_set(ev_d[dom]->shared_info->evtchn_mask, port);
    else
        (void)bit_test_and_clear(ev_d[dom]->shared_info->evtchn_mask, port);
}
bool ev_take_upcall(unsigned int dom, unsigned int vcpu) {
    struct vcpu_info *info = ev_d[dom]->vcpu[vcpu]->info;
    bool was = info->evtchn_upcall_pending;

    info->evtchn_upcall_pending = 0;
    info->evtchn_pending_sel = 0;
    return was;
}
