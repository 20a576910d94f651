/* links: core/evtchn.c core/evtchn-2l.c core/evtchn-fifo.c core/pirq.c core/page.c core/tlb.c lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/evtchn-fixture.c */
/*
 * The FIFO ABI: the queues an honest guest sees, and a hostile guest that writes what it likes
 * into them.
 */
#include <stdlib.h>
#include <string.h>

#include "core/evtchn-internal.h"
#include "core/page.h"
#include "evtchn-fixture.h"

#define WORDS   1024
#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)
#define BUSY    (1u << EVTCHN_FIFO_BUSY)

/* The guest is domain 1. */
static event_word_t *words;
static struct evtchn_fifo_control_block *control[EV_VCPUS];
static mfn_t control_mfn[EV_VCPUS], array_mfn;

static int init_control(unsigned int vcpu, uint64_t gfn, uint32_t offset) {
    struct evtchn_init_control ic = {.control_gfn = gfn, .offset = offset, .vcpu = vcpu};
    long rc = ev_op(1, EVTCHNOP_init_control, &ic);

    if (!rc)
        EXPECT_EQ(ic.link_bits, EVTCHN_FIFO_LINK_BITS);
    return (int)rc;
}
static int expand_array(uint64_t gfn) {
    struct evtchn_expand_array ea = {.array_gfn = gfn};

    return (int)ev_op(1, EVTCHNOP_expand_array, &ea);
}
static int set_priority(evtchn_port_t port, uint32_t priority) {
    struct evtchn_set_priority p = {.port = port, .priority = priority};

    return (int)ev_op(1, EVTCHNOP_set_priority, &p);
}
static int bind_vcpu(evtchn_port_t port, uint32_t vcpu) {
    struct evtchn_bind_vcpu b = {.port = port, .vcpu = vcpu};

    return (int)ev_op(1, EVTCHNOP_bind_vcpu, &b);
}
static int reset(void) {
    struct evtchn_reset r = {.dom = DOMID_SELF};

    return (int)ev_op(1, EVTCHNOP_reset, &r);
}

static void add_control(unsigned int vcpu) {
    control_mfn[vcpu] = ev_frame(1);
    control[vcpu] = mfn_to_virt(control_mfn[vcpu]);
    REQUIRE(init_control(vcpu, control_mfn[vcpu].n, 0) == 0);
}

static void add_array(void) {
    array_mfn = ev_frame(1);
    words = mfn_to_virt(array_mfn);
    REQUIRE(expand_array(array_mfn.n) == 0);
}

/* vcpus 0 to n-1 have control blocks, ports 1 to 3 are joined to domain 0's 1 to 3. */
static void start(unsigned int nr_vcpus) {
    ev_reset();
    for (unsigned int i = 0; i < nr_vcpus; i++)
        add_control(i);
    add_array();
    for (int port = 1; port <= 3; port++) {
        REQUIRE(ev_unbound(1, 0) == port);
        REQUIRE(ev_interdomain(0, 1, (evtchn_port_t)port) == port);
    }
}

/* Take the next event off a queue as an honest guest does: 0 if there is none. */
static evtchn_port_t take(unsigned int vcpu, unsigned int priority) {
    evtchn_port_t port = control[vcpu]->head[priority];
    event_word_t w;

    if (!(control[vcpu]->ready & 1u << priority))
        return 0;
    w = words[port];
    words[port] &= ~(LINKED | EVTCHN_FIFO_LINK_MASK);
    control[vcpu]->head[priority] = w & EVTCHN_FIFO_LINK_MASK;
    if (!(w & EVTCHN_FIFO_LINK_MASK))
        control[vcpu]->ready &= ~(1u << priority);
    words[port] &= ~PENDING;
    return port;
}

/* --- setting up ------------------------------------------------------------------------------ */

TEST(init_control_errors) {
    ev_reset();
    uint64_t mine = ev_frame(1).n, theirs = ev_frame(2).n;
    uint32_t last = PAGE_SIZE - sizeof(struct evtchn_fifo_control_block);

    EXPECT_EQ(init_control(EV_VCPUS, mine, 0), -ENOENT);
    EXPECT_EQ(init_control(UINT32_MAX, mine, 0), -ENOENT);
    EXPECT_EQ(init_control(0, mine, 4), -EINVAL);
    EXPECT_EQ(init_control(0, mine, last + 8), -EINVAL);
    EXPECT_EQ(init_control(0, mine, UINT32_MAX - 7), -EINVAL);
    EXPECT_EQ(init_control(0, theirs, 0), -EINVAL);
    EXPECT_EQ(init_control(0, EV_FRAMES, 0), -EINVAL);
    EXPECT_EQ(init_control(0, UINT64_MAX, 0), -EINVAL);
    EXPECT(!ev_d[1]->evtchn.fifo);
    EXPECT_EQ(ev_frame_refs(mfn_of(mine)), 0);
    EXPECT_EQ(init_control(0, mine, last), 0);
    EXPECT_EQ(init_control(0, mine, 0), -EINVAL); /* once */
    EXPECT_EQ(ev_frame_refs(mfn_of(mine)), 1);
    EXPECT_EQ(init_control(1, mine, 0), 0); /* two may share a page */
    EXPECT_EQ(ev_frame_refs(mfn_of(mine)), 2);
    EXPECT_EQ(reset(), 0);
    EXPECT_EQ(ev_frame_refs(mfn_of(mine)), 0);
}

TEST(expand_array_errors) {
    ev_reset();
    uint64_t mine = ev_frame(1).n, theirs = ev_frame(2).n;

    ev_d[1]->evtchn.max_port = 1023;
    EXPECT_EQ(expand_array(mine), -EOPNOTSUPP);
    add_control(0);
    EXPECT_EQ(expand_array(theirs), -EINVAL);
    EXPECT_EQ(expand_array(UINT64_MAX), -EINVAL);
    EXPECT_EQ(expand_array(mine), 0);
    EXPECT_EQ(ev_frame_refs(mfn_of(mine)), 1);
    EXPECT_EQ(expand_array(mine), -ENOSPC); /* 1024 words are all it can use */
    EXPECT_EQ(ev_frame_refs(mfn_of(mine)), 1);
}

TEST(the_whole_array_is_131072_ports) {
    ev_reset();
    add_control(0);
    mfn_t mfn = ev_frame(1);

    for (unsigned int i = 0; i < EVTCHN_FIFO_NR_CHANNELS / WORDS; i++)
        REQUIRE(expand_array(mfn.n) == 0);
    EXPECT_EQ(expand_array(mfn.n), -ENOSPC);
    EXPECT_EQ(reset(), 0);
    EXPECT_EQ(ev_frame_refs(mfn), 0);
}

TEST(there_are_more_than_4096_ports) {
    ev_reset();
    add_control(0);
    for (int port = 1; port < 5000; port++)
        REQUIRE(ev_ipi(1, 0) == port);
    EXPECT_EQ(ev_send(1, 4999), 0);
    EXPECT_EQ(reset(), 0);
    /* Back by the old ABI the ports above are there and may not be touched. */
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 4999), 0);
    EXPECT_EQ(ev_unmask(1, 4999), 0);
    EXPECT_EQ(ev_send(1, 4999), -EINVAL);
    for (int port = 1; port < EVTCHN_2L_NR_CHANNELS; port++)
        REQUIRE(ev_ipi(1, 0) == port);
    EXPECT_EQ(ev_ipi(1, 0), -ENOSPC);
}

TEST(what_was_pending_before_the_change_is_raised_when_its_word_comes) {
    ev_reset();
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(ev_ipi(1, 0), 2);
    EXPECT_EQ(ev_send(1, 2), 0);
    add_control(0);
    EXPECT_EQ(ev_send(1, 1), 0); /* between: no words yet */
    EXPECT(!ev_pending(1, 1));
    add_array();
    EXPECT_EQ(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), 1);
    EXPECT_EQ(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), 2);
    EXPECT_EQ(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), 0);
}

TEST(a_port_closed_before_its_word_comes_is_forgotten) {
    ev_reset();
    add_control(0);
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT_EQ(ev_close(1, 1), 0);
    add_array();
    EXPECT_EQ(words[1], 0);
    EXPECT_EQ(take(0, EVTCHN_FIFO_PRIORITY_DEFAULT), 0);
}

TEST(reset_gives_the_pages_back_and_the_old_abi_works_again) {
    start(2);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(reset(), 0);
    EXPECT_EQ(ev_frame_refs(array_mfn), 0);
    EXPECT_EQ(ev_frame_refs(control_mfn[0]), 0);
    EXPECT_EQ(ev_frame_refs(control_mfn[1]), 0);
    EXPECT(ev_take_upcall(1, 0));
    EXPECT_EQ(ev_ipi(1, 1), 1);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT(ev_pending(1, 1));
    EXPECT(ev_take_upcall(1, 1));
    add_control(0); /* and it can change again */
    add_array();
}

/* --- an honest guest ------------------------------------------------------------------------- */

TEST(events_come_in_the_order_they_were_sent_with_one_upcall) {
    start(1);
    EXPECT_EQ(ev_send(0, 2), 0);
    EXPECT_EQ(ev_kicks[1][0], 1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(ev_send(0, 3), 0);
    EXPECT_EQ(ev_kicks[1][0], 1);
    EXPECT_EQ(take(0, 7), 2);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(take(0, 7), 3);
    EXPECT_EQ(take(0, 7), 0);
}

TEST(a_second_send_before_the_first_is_taken_changes_nothing) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(take(0, 7), 0);
}

TEST(an_event_taken_off_and_sent_again_is_at_the_end) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(ev_send(0, 2), 0);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(take(0, 7), 2);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(take(0, 7), 0);
}

TEST(the_only_event_may_be_taken_and_sent_again_and_again) {
    start(1);
    for (unsigned int i = 0; i < 5; i++) {
        EXPECT_EQ(ev_send(0, 1), 0);
        EXPECT(ev_take_upcall(1, 0));
        EXPECT_EQ(take(0, 7), 1);
        EXPECT_EQ(take(0, 7), 0);
    }
}

TEST(a_masked_event_is_linked_when_unmasked) {
    start(1);
    words[1] |= MASKED;
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(words[1], MASKED | PENDING);
    EXPECT(!ev_take_upcall(1, 0));
    EXPECT_EQ(ev_unmask(1, 1), 0);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT(ev_take_upcall(1, 0));
}

TEST(priorities_are_queues_of_their_own) {
    start(1);
    EXPECT_EQ(set_priority(1, 0), 0);
    EXPECT_EQ(set_priority(2, 15), 0);
    for (evtchn_port_t port = 1; port <= 3; port++)
        EXPECT_EQ(ev_send(0, port), 0);
    EXPECT_EQ(control[0]->ready, 1u << 0 | 1u << 7 | 1u << 15);
    EXPECT_EQ(take(0, 0), 1);
    EXPECT_EQ(take(0, 15), 2);
    EXPECT_EQ(take(0, 7), 3);
}

TEST(an_event_moves_to_a_new_priority_when_it_is_linked_next) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(set_priority(1, 0), 0);
    EXPECT_EQ(ev_send(0, 1), 0); /* still on the old queue */
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(take(0, 0), 1);
    EXPECT_EQ(ev_send(0, 2),
              0); /* the old queue had 1 as its tail: it must not be linked behind it */
    EXPECT_EQ(words[1], 0);
    EXPECT_EQ(take(0, 7), 2);
}

TEST(an_event_moves_to_another_vcpu) {
    start(2);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(bind_vcpu(1, 1), 0);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(take(0, 7), 0);
    EXPECT_EQ(take(1, 7), 1);
    EXPECT_EQ(ev_kicks[1][1], 1);
}

TEST(an_event_of_a_vcpu_without_control_block_stays_pending) {
    start(1);
    EXPECT_EQ(bind_vcpu(1, 1), 0);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(words[1], PENDING);
    add_control(1);
    EXPECT_EQ(ev_unmask(1, 1), 0);
    EXPECT_EQ(take(1, 7), 1);
}

TEST(ports_of_the_old_abi_start_on_the_queue_that_exists) {
    ev_reset();
    EXPECT_EQ(ev_unbound(1, 0), 1);
    EXPECT_EQ(ev_interdomain(0, 1, 1), 1);
    EXPECT_EQ(bind_vcpu(1, 3), 0);
    add_control(0);
    add_array();
    EXPECT_EQ(bind_vcpu(1, 0), 0);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(take(0, 7), 1);
}

TEST(a_closed_port_stays_linked_and_its_next_owner_is_not_linked_twice) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(ev_send(0, 2), 0);
    EXPECT_EQ(ev_close(1, 1), 0);
    EXPECT_EQ(words[1], LINKED | 2);
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT_EQ(words[1], PENDING | LINKED | 2);
    EXPECT_EQ(take(0, 7), 1);
    EXPECT_EQ(take(0, 7), 2);
    EXPECT_EQ(take(0, 7), 0);
}

TEST(poll_sees_pending_of_open_ports) {
    start(1);
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 1), 0);
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 1), 1);
    words[9] = PENDING;
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 9), 0);
}

TEST(set_priority_of_a_closed_port_is_einval) {
    start(1);
    EXPECT_EQ(set_priority(9, 1), -EINVAL);
    EXPECT_EQ(set_priority(1, 16), -EINVAL);
    EXPECT_EQ(set_priority(1, UINT32_MAX), -EINVAL);
}

/* --- a hostile guest ------------------------------------------------------------------------- */

TEST(a_link_to_anywhere_is_never_followed) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    words[1] |= EVTCHN_FIFO_LINK_MASK; /* the tail points beyond the array */
    EXPECT_EQ(ev_send(0, 2), 0);
    EXPECT_EQ(words[1] & EVTCHN_FIFO_LINK_MASK, 2);
    control[0]->head[7] = UINT32_MAX;
    EXPECT_EQ(ev_send(0, 3), 0);
    EXPECT_EQ(words[2] & EVTCHN_FIFO_LINK_MASK, 3);
}

TEST(a_busy_bit_the_guest_sets_does_not_stop_us) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    words[1] |= BUSY;
    EXPECT_EQ(ev_send(0, 2), 0);
    EXPECT_EQ(words[1], PENDING | LINKED | 2);
}

TEST(clearing_linked_under_us_costs_the_guest_its_own_events_only) {
    start(1);
    EXPECT_EQ(ev_send(0, 1), 0);
    words[1] = 0; /* off the queue, but the guest did not take it */
    EXPECT_EQ(ev_send(0, 1), 0);
    EXPECT_EQ(control[0]->head[7], 1);
    EXPECT_EQ(ev_send(0, 2), 0);
    EXPECT_EQ(words[1] & EVTCHN_FIFO_LINK_MASK, 2);
}

TEST(random_words_never_make_us_touch_anything_but_the_guests_pages) {
    uint64_t seed = 12345;

    start(EV_VCPUS);
    uint8_t *after_array = mfn_to_virt(ev_frame(2)), zero[64] = {0};

    for (unsigned int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t r = (uint32_t)(seed >> 33);
        evtchn_port_t port = 1 + r % 3;

        switch (r >> 4 & 7) {
        case 0:
            words[r >> 8 & 3] = r * 2654435761u;
            break;
        case 1:
            control[r >> 8 & 3]->head[r >> 10 & 15] = r;
            control[r >> 8 & 3]->ready = r >> 12;
            break;
        case 2:
            (void)set_priority(port, r >> 8 & 15);
            break;
        case 3:
            (void)bind_vcpu(port, r >> 8 & 3);
            break;
        case 4:
            (void)ev_unmask(1, port);
            break;
        default:
            (void)ev_send(0, port);
        }
    }
    EXPECT_MEM(after_array, zero, sizeof(zero));
    EXPECT_EQ(reset(), 0);
    EXPECT_EQ(ev_frame_refs(array_mfn), 0);
}
