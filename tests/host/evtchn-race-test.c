/* links: core/evtchn.c core/evtchn-2l.c core/evtchn-fifo.c core/pirq.c core/page.c core/tlb.c lib/lock.c arch/fake/fake.c arch/fake/stubs.c tests/host/evtchn-fixture.c */
/* flags: -pthread */
/*
 * Three cpus at once on the same ports: nothing is used after it was freed (ASan), no lock order
 * is broken (debug locks), every reference comes back. What each call returns is nobody's business
 * here.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "evtchn-fixture.h"

#define ROUNDS 20000
#define PORTS  6

/* Guest memory is the host's, without the record that arch/fake/guest.c keeps for one thread. */
struct fake_guest fake_guest;
void fake_guest_memory(void *ptr, size_t len) {
    (void)ptr, (void)len;
}
void fake_guest_begin(void) {
}
int copy_from_guest(void *dst, guest_va_t src, size_t len) {
    memcpy(dst, (void *)(uintptr_t)src.va, len);
    return 0;
}
int copy_to_guest(guest_va_t dst, const void *src, size_t len) {
    memcpy((void *)(uintptr_t)dst.va, src, len);
    return 0;
}

struct racer {
    unsigned int cpu, dom;
    void (*step)(const struct racer *r, uint32_t random);
    pthread_t thread;
};

static long op(const struct racer *r, unsigned int cmd, void *arg) {
    uint64_t args[6] = {cmd, (uintptr_t)arg};

    return hypercall_event_channel_op(ev_d[r->dom]->vcpu[r->cpu], args);
}

static void *race(void *arg) {
    const struct racer *r = arg;
    uint32_t random = r->cpu + 1;

    fake_cpu_enter(r->cpu);
    fake_cpu->current = ev_d[r->dom]->vcpu[r->cpu];
    for (unsigned int i = 0; i < ROUNDS; i++) {
        random = random * 1664525 + 1013904223;
        r->step(r, random >> 8);
    }
    return NULL;
}

/* The cpus are made before the threads start: that is not what this is about. */
static void run(struct racer *r, unsigned int n) {
    for (unsigned int i = 0; i < n; i++)
        fake_cpu_enter(r[i].cpu);
    fake_cpu_enter(0);
    for (unsigned int i = 1; i < n; i++)
        if (pthread_create(&r[i].thread, NULL, race, &r[i]))
            abort();
    race(&r[0]);
    for (unsigned int i = 1; i < n; i++)
        pthread_join(r[i].thread, NULL);
    for (unsigned int i = 0; i < EV_DOMAINS; i++)
        EXPECT_EQ(ev_refs(i), 0);
}

/* Close any port, or bind one of any kind, or use one. */
static void anything(const struct racer *r, uint32_t random) {
    evtchn_port_t port = 1 + random % PORTS;
    domid_t other = r->dom ? 0 : 1;
    union {
        struct evtchn_alloc_unbound unbound;
        struct evtchn_bind_interdomain interdomain;
        struct evtchn_bind_virq virq;
        struct evtchn_bind_vcpu vcpu;
        struct evtchn_status status;
        struct evtchn_set_priority priority;
        uint32_t port;
    } a = {.port = port};

    switch (random >> 8 & 15) {
    case 0:
    case 1:
        a.unbound = (struct evtchn_alloc_unbound){.dom = DOMID_SELF, .remote_dom = other};
        (void)op(r, EVTCHNOP_alloc_unbound, &a);
        break;
    case 2:
    case 3:
    case 4:
        a.interdomain = (struct evtchn_bind_interdomain){.remote_dom = other, .remote_port = port};
        (void)op(r, EVTCHNOP_bind_interdomain, &a);
        break;
    case 5:
        a.virq = (struct evtchn_bind_virq){.virq = VIRQ_TIMER, .vcpu = r->cpu};
        (void)op(r, EVTCHNOP_bind_virq, &a);
        break;
    case 6:
        a.vcpu = (struct evtchn_bind_vcpu){.port = port, .vcpu = r->cpu};
        (void)op(r, EVTCHNOP_bind_vcpu, &a);
        break;
    case 7:
        a.priority = (struct evtchn_set_priority){.port = port, .priority = random >> 12 & 15};
        (void)op(r, EVTCHNOP_set_priority, &a);
        break;
    case 8:
        a.status = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
        (void)op(r, EVTCHNOP_status, &a);
        break;
    case 9:
        evtchn_send_virq(ev_d[r->dom]->vcpu[random >> 12 & 3], VIRQ_TIMER);
        break;
    case 10:
        (void)evtchn_port_pending(ev_d[r->dom], port);
        (void)op(r, EVTCHNOP_unmask, &a);
        break;
    case 11:
    case 12:
        (void)op(r, EVTCHNOP_close, &a);
        break;
    default:
        (void)op(r, EVTCHNOP_send, &a);
    }
}

/* Change to the FIFO ABI and back, all the time. */
static mfn_t control, array;
static void change_abi(const struct racer *r, uint32_t random) {
    struct evtchn_init_control ic = {.control_gfn = control.n, .vcpu = random & 3};
    struct evtchn_expand_array ea = {.array_gfn = array.n};
    struct evtchn_reset reset = {.dom = DOMID_SELF};

    if (random & 0x30)
        anything(r, random >> 4);
    else if (random & 0x40)
        (void)op(r, EVTCHNOP_init_control, &ic);
    else if (random & 0x180)
        (void)op(r, EVTCHNOP_expand_array, &ea);
    else
        (void)op(r, EVTCHNOP_reset, &reset);
}

/* The guest as it should not be: any word, any time. */
static void scribble(const struct racer *r, uint32_t random) {
    uint32_t *words = mfn_to_virt(random & 1 ? array : control);

    __atomic_store_n(&words[random >> 1 & 63], random * 2654435761u, __ATOMIC_RELAXED);
    if (random & 0x100)
        anything(r, random >> 9);
}

TEST(two_domains_bind_close_and_send_at_once) {
    struct racer r[] = {{.cpu = 0, .dom = 0, .step = anything},
                        {.cpu = 1, .dom = 1, .step = anything},
                        {.cpu = 2, .dom = 1, .step = anything}};

    ev_reset();
    run(r, 3);
}

TEST(a_domain_changes_its_abi_under_its_senders) {
    struct racer r[] = {{.cpu = 0, .dom = 0, .step = anything},
                        {.cpu = 1, .dom = 1, .step = change_abi},
                        {.cpu = 2, .dom = 1, .step = change_abi}};

    ev_reset();
    control = ev_frame(1);
    array = ev_frame(1);
    run(r, 3);
    EXPECT_EQ(evtchn_domain_relinquish(ev_d[1]), 0);
    EXPECT_EQ(ev_frame_refs(control), 0);
    EXPECT_EQ(ev_frame_refs(array), 0);
}

TEST(a_guest_scribbles_over_its_queues) {
    struct racer r[] = {{.cpu = 0, .dom = 0, .step = anything},
                        {.cpu = 1, .dom = 1, .step = change_abi},
                        {.cpu = 2, .dom = 1, .step = scribble}};

    ev_reset();
    control = ev_frame(1);
    array = ev_frame(1);
    run(r, 3);
}

/* --- one event, never lost ------------------------------------------------------------------- */

static evtchn_port_t port_here, port_there;
static uint32_t sent, seen;

static void send_one(const struct racer *r, uint32_t random) {
    (void)random;
    if (__atomic_load_n(&sent, __ATOMIC_SEQ_CST) != __atomic_load_n(&seen, __ATOMIC_SEQ_CST))
        return;
    __atomic_fetch_add(&sent, 1, __ATOMIC_SEQ_CST);
    (void)op(r, EVTCHNOP_send, &port_here);
}

/* The other end takes each by the 2-level ABI until it changes to FIFO, once, in the middle. */
static void take_one(const struct racer *r, uint32_t random) {
    struct evtchn_init_control ic = {.control_gfn = control.n, .vcpu = 0};
    struct evtchn_expand_array ea = {.array_gfn = array.n};
    uint32_t *word = (uint32_t *)mfn_to_virt(array) + port_there;

    if (!ev_d[1]->evtchn.fifo && (random & 0xfff) == 7) {
        (void)op(r, EVTCHNOP_init_control, &ic);
        (void)op(r, EVTCHNOP_expand_array, &ea);
    }
    if (!ev_d[1]->evtchn.fifo) {
        if (ev_pending(1, port_there))
            __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
    } else if (__atomic_fetch_and(word, 0, __ATOMIC_SEQ_CST) >> EVTCHN_FIFO_PENDING & 1) {
        (void)ev_pending(1, port_there);
        __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
    }
}

TEST(no_event_is_lost_in_the_change_to_fifo) {
    struct racer r[] = {{.cpu = 0, .dom = 0, .step = send_one},
                        {.cpu = 1, .dom = 1, .step = take_one}};

    for (unsigned int i = 0; i < 20; i++) {
        ev_reset();
        control = ev_frame(1);
        array = ev_frame(1);
        port_there = (evtchn_port_t)ev_unbound(1, 0);
        port_here = (evtchn_port_t)ev_interdomain(0, 1, port_there);
        sent = seen = 0;
        run(r, 2);
        fake_cpu_enter(1);
        take_one(&r[1], 0);
        EXPECT(sent > 0);
        EXPECT(seen >= sent); /* one that comes by both roads is seen twice */
    }
}
