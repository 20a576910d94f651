/* links: core/evtchn.c core/evtchn-2l.c core/evtchn-fifo.c core/pirq.c core/page.c core/tlb.c */
/* links: lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c */
/* links: tests/host/evtchn-fixture.c */
/* Three levels of a pending event: its bit, its selector bit, the upcall; and what stops it. */
#include "core/evtchn-internal.h"
#include "evtchn-fixture.h"

static struct domain *d;
static struct evtchn *c;
static evtchn_port_t port;

/* A port of domain 1 that notifies vcpu 2, in the second selector word. */
static void start(void) {
    ev_reset();
    d = ev_d[1];
    do
        port = (evtchn_port_t)ev_ipi(1, 2);
    while (port <= BITS_PER_WORD);
    c = evtchn_of(d, port);
    ev_mask(1, port, false);
}

static bool selected(unsigned int vcpu) {
    return d->shared_info->vcpu_info[vcpu].evtchn_pending_sel & BIT(port / BITS_PER_WORD);
}

TEST(an_event_goes_up_all_three_levels) {
    start();
    EXPECT(!evtchn_2l_is_pending(d, port));
    evtchn_2l_set_pending(d, c, port);
    EXPECT(evtchn_2l_is_pending(d, port));
    EXPECT(selected(2) && !selected(0));
    EXPECT(ev_take_upcall(1, 2));
    EXPECT(!ev_take_upcall(1, 0));
    EXPECT_EQ(ev_kicks[1][2], 1);
}

TEST(one_that_is_pending_already_kicks_nobody) {
    start();
    evtchn_2l_set_pending(d, c, port);
    EXPECT(ev_take_upcall(1, 2));
    evtchn_2l_set_pending(d, c, port);
    EXPECT(!ev_take_upcall(1, 2));
    EXPECT_EQ(ev_kicks[1][2], 1);
}

TEST(a_masked_one_waits_for_unmask) {
    start();
    ev_mask(1, port, true);
    evtchn_2l_set_pending(d, c, port);
    EXPECT(evtchn_2l_is_pending(d, port));
    EXPECT(!selected(2) && !ev_take_upcall(1, 2));
    evtchn_2l_unmask(d, c, port);
    EXPECT(selected(2) && ev_take_upcall(1, 2));
    evtchn_2l_unmask(d, c, port); /* no news */
    EXPECT(!ev_take_upcall(1, 2));
}

TEST(unmask_without_an_event_is_silent) {
    start();
    ev_mask(1, port, true);
    evtchn_2l_unmask(d, c, port);
    EXPECT(!selected(2) && !ev_take_upcall(1, 2));
}

TEST(what_is_cleared_is_not_pending) {
    start();
    evtchn_2l_set_pending(d, c, port);
    evtchn_2l_clear_pending(d, port);
    EXPECT(!evtchn_2l_is_pending(d, port));
    evtchn_2l_clear_pending(d, port);
    EXPECT(!evtchn_2l_is_pending(d, port));
}

TEST(a_vcpu_whose_selector_is_set_is_on_its_way) {
    start();
    d->shared_info->vcpu_info[2].evtchn_pending_sel = ~0ul;
    evtchn_2l_set_pending(d, c, port);
    EXPECT(!ev_take_upcall(1, 2));
}
