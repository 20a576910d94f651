/* links: core/evtchn.c core/evtchn-2l.c core/evtchn-fifo.c core/pirq.c core/page.c core/tlb.c lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/evtchn-fixture.c */
/* Ports and their bindings by the 2-level ABI; every error of every sub-op. */
#include <string.h>

#include "core/evtchn-internal.h"
#include "evtchn-fixture.h"

/* --- binding --------------------------------------------------------------------------------- */

TEST(ports_are_given_out_lowest_first_from_1) {
    ev_reset();
    EXPECT_EQ(ev_unbound(1, 0), 1);
    EXPECT_EQ(ev_unbound(1, 0), 2);
    EXPECT_EQ(ev_ipi(1, 0), 3);
    EXPECT_EQ(ev_close(1, 2), 0);
    EXPECT_EQ(ev_ipi(1, 0), 2);
    EXPECT_EQ(ev_ipi(1, 0), 4);
}

TEST(a_domain_has_4096_ports_by_the_2_level_abi) {
    ev_reset();
    for (int port = 1; port < EVTCHN_2L_NR_CHANNELS; port++)
        REQUIRE(ev_ipi(1, 0) == port);
    EXPECT_EQ(ev_ipi(1, 0), -ENOSPC);
    EXPECT_EQ(ev_close(1, 4095), 0);
    EXPECT_EQ(ev_unbound(1, 0), 4095);
}

TEST(max_port_limits_a_domain) {
    ev_reset();
    ev_d[1]->evtchn.max_port = 1023;
    for (int port = 1; port <= 1023; port++)
        REQUIRE(ev_ipi(1, 0) == port);
    EXPECT_EQ(ev_ipi(1, 0), -ENOSPC);
}

TEST(an_unbound_port_is_bound_by_the_one_it_is_for_and_starts_pending) {
    ev_reset();
    int there = ev_unbound(1, 0), here = ev_interdomain(0, 1, (evtchn_port_t)there);

    REQUIRE(here > 0);
    EXPECT(ev_pending(0, (evtchn_port_t)here));
    EXPECT(ev_take_upcall(0, 0));
    EXPECT(!ev_pending(1, (evtchn_port_t)there));
    EXPECT_EQ(ev_status(0, (evtchn_port_t)here).status, EVTCHNSTAT_interdomain);
    EXPECT_EQ(ev_status(0, (evtchn_port_t)here).u.interdomain.dom, 1);
    EXPECT_EQ(ev_status(0, (evtchn_port_t)here).u.interdomain.port, there);
    EXPECT_EQ(ev_status(1, (evtchn_port_t)there).u.interdomain.dom, 0);
    EXPECT_EQ(ev_refs(0), 0);
    EXPECT_EQ(ev_refs(1), 0);
}

TEST(bind_interdomain_errors) {
    ev_reset();
    int for_2 = ev_unbound(1, 2), ipi = ev_ipi(1, 0), for_0 = ev_unbound(1, 0);

    EXPECT_EQ(ev_interdomain(0, 99, 1), -ESRCH);
    EXPECT_EQ(ev_interdomain(0, 1, (evtchn_port_t)for_2), -EINVAL);
    EXPECT_EQ(ev_interdomain(0, 1, (evtchn_port_t)ipi), -EINVAL);
    EXPECT_EQ(ev_interdomain(0, 1, 0), -EINVAL);
    EXPECT_EQ(ev_interdomain(0, 1, 77), -EINVAL);
    EXPECT_EQ(ev_interdomain(0, 1, UINT32_MAX), -EINVAL);
    EXPECT_EQ(ev_interdomain(0, 1, (evtchn_port_t)for_0), 1); /* the failed ones kept no port */
    EXPECT_EQ(ev_interdomain(0, 1, (evtchn_port_t)for_0), -EINVAL);
    EXPECT_EQ(ev_d[0]->evtchn.nr_open, 1);
    EXPECT_EQ(ev_refs(1), 0);
}

TEST(a_dying_domain_cannot_be_bound_to) {
    ev_reset();
    int port = ev_unbound(1, 0);

    ev_d[1]->life = DOMAIN_DYING;
    EXPECT_EQ(ev_interdomain(0, 1, (evtchn_port_t)port), -EINVAL);
    ev_d[1]->life = DOMAIN_ALIVE;
}

TEST(a_domain_may_be_joined_to_itself) {
    ev_reset();
    int a = ev_unbound(1, DOMID_SELF), b = ev_interdomain(1, DOMID_SELF, (evtchn_port_t)a);

    REQUIRE(b > 0);
    EXPECT(ev_pending(1, (evtchn_port_t)b));
    EXPECT_EQ(ev_send(1, (evtchn_port_t)b), 0);
    EXPECT(ev_pending(1, (evtchn_port_t)a));
    EXPECT_EQ(ev_close(1, (evtchn_port_t)a), 0);
    EXPECT_EQ(ev_status(1, (evtchn_port_t)b).status, EVTCHNSTAT_unbound);
    EXPECT_EQ(ev_status(1, (evtchn_port_t)b).u.unbound.dom, 1);
    EXPECT_EQ(ev_close(1, (evtchn_port_t)b), 0);
    EXPECT_EQ(ev_d[1]->evtchn.nr_open, 0);
}

TEST(alloc_unbound_for_others_is_for_the_privileged) {
    struct evtchn_alloc_unbound a = {.dom = 2, .remote_dom = DOMID_SELF};

    ev_reset();
    EXPECT_EQ(ev_op(1, EVTCHNOP_alloc_unbound, &a), -EPERM);
    EXPECT_EQ(ev_op(0, EVTCHNOP_alloc_unbound, &a), 0);
    EXPECT_EQ(ev_status(2, a.port).u.unbound.dom, 0);
    a.dom = 99;
    EXPECT_EQ(ev_op(0, EVTCHNOP_alloc_unbound, &a), -ESRCH);
    a.dom = 2;
    struct vcpu *first = ev_d[2]->vcpu[0];

    ev_d[2]->vcpu[0] = NULL; /* a domain in the making */
    EXPECT_EQ(ev_op(0, EVTCHNOP_alloc_unbound, &a), -ENOENT);
    ev_d[2]->vcpu[0] = first;
    EXPECT_EQ(ev_refs(2), 0);
}

TEST(bind_virq_errors) {
    ev_reset();
    EXPECT_EQ(ev_virq(0, NR_VIRQS, 0), -EINVAL);
    EXPECT_EQ(ev_virq(0, UINT32_MAX, 0), -EINVAL);
    EXPECT_EQ(ev_virq(0, VIRQ_DOM_EXC, 1), -EINVAL);
    EXPECT_EQ(ev_virq(1, VIRQ_DOM_EXC, 0), -EPERM);
    EXPECT_EQ(ev_virq(0, VIRQ_TIMER, EV_VCPUS), -ENOENT);
    EXPECT_EQ(ev_virq(0, VIRQ_TIMER, UINT32_MAX), -ENOENT);
    EXPECT_EQ(ev_virq(0, VIRQ_TIMER, 2), 1);
    EXPECT_EQ(ev_virq(0, VIRQ_TIMER, 2), -EEXIST);
    EXPECT_EQ(ev_virq(0, VIRQ_TIMER, 3), 2);
    EXPECT_EQ(ev_status(0, 1).status, EVTCHNSTAT_virq);
    EXPECT_EQ(ev_status(0, 1).u.virq, VIRQ_TIMER);
    EXPECT_EQ(ev_status(0, 1).vcpu, 2);
}

TEST(a_closed_virq_can_be_bound_again_and_is_silent_meanwhile) {
    ev_reset();
    EXPECT_EQ(ev_virq(1, VIRQ_TIMER, 1), 1);
    EXPECT_EQ(ev_close(1, 1), 0);
    evtchn_send_virq(ev_d[1]->vcpu[1], VIRQ_TIMER);
    EXPECT(!ev_pending(1, 1));
    EXPECT_EQ(ev_virq(1, VIRQ_TIMER, 1), 1);
    evtchn_send_virq(ev_d[1]->vcpu[1], VIRQ_TIMER);
    EXPECT(ev_pending(1, 1));
    EXPECT(ev_take_upcall(1, 1));
    EXPECT(!ev_take_upcall(1, 0));
}

TEST(a_global_virq_goes_to_dom0) {
    ev_reset();
    evtchn_send_global_virq(VIRQ_DOM_EXC); /* nobody listens */
    EXPECT_EQ(ev_virq(0, VIRQ_DOM_EXC, 0), 1);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    EXPECT(ev_pending(0, 1));
}

TEST(bind_ipi_needs_a_vcpu) {
    ev_reset();
    EXPECT_EQ(ev_ipi(1, EV_VCPUS), -ENOENT);
    EXPECT_EQ(ev_ipi(1, 3), 1);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT(ev_take_upcall(1, 3));
    EXPECT_EQ(ev_kicks[1][3], 1);
}

TEST(bind_pirq_errors) {
    ev_reset();
    EXPECT_EQ(ev_pirq(1, 4, 0), -EPERM);
    EXPECT_EQ(ev_pirq(0, 4, 2), -EINVAL);
    EXPECT_EQ(ev_pirq(0, 4, 0), -EINVAL); /* not mapped */
    EXPECT_EQ(ev_pirq(0, UINT32_MAX, 0), -EINVAL);
    EXPECT_EQ(pirq_map(ev_d[0], 4, 1, 4), 4);
    EXPECT_EQ(ev_pirq(0, 4, 0), 1);
    EXPECT_EQ(ev_pirq(0, 4, 0), -EEXIST);
    EXPECT_EQ(ev_d[0]->evtchn.nr_open, 1);
    EXPECT_EQ(ev_status(0, 1).status, EVTCHNSTAT_pirq);
    EXPECT_EQ(ev_status(0, 1).u.pirq, 4);
    EXPECT(fake_record.irq[4].enabled);
    EXPECT_EQ(ev_close(0, 1), 0);
    EXPECT(!fake_record.irq[4].enabled);
    EXPECT_EQ(ev_pirq(0, 4, BIND_PIRQ__WILL_SHARE), 1);
}

/* --- closing --------------------------------------------------------------------------------- */

TEST(close_of_what_is_not_open_is_einval) {
    ev_reset();
    EXPECT_EQ(ev_close(1, 0), -EINVAL);
    EXPECT_EQ(ev_close(1, 1), -EINVAL);
    EXPECT_EQ(ev_close(1, UINT32_MAX), -EINVAL);
}

TEST(close_clears_pending_so_the_next_owner_starts_clean) {
    ev_reset();
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT_EQ(ev_close(1, 1), 0);
    EXPECT(!ev_pending(1, 1));
}

TEST(the_peer_of_a_closed_port_is_unbound_for_the_closer) {
    ev_reset();
    int there = ev_unbound(1, 0), here = ev_interdomain(0, 1, (evtchn_port_t)there);

    EXPECT_EQ(ev_close(0, (evtchn_port_t)here), 0);
    EXPECT_EQ(ev_status(1, (evtchn_port_t)there).status, EVTCHNSTAT_unbound);
    EXPECT_EQ(ev_status(1, (evtchn_port_t)there).u.unbound.dom, 0);
    EXPECT_EQ(ev_send(1, (evtchn_port_t)there), 0); /* dropped */
    EXPECT_EQ(ev_interdomain(2, 1, (evtchn_port_t)there), -EINVAL);
    EXPECT(ev_interdomain(0, 1, (evtchn_port_t)there) > 0);
}

TEST(reset_closes_everything) {
    struct evtchn_reset r = {.dom = DOMID_SELF};

    ev_reset();
    for (unsigned int i = 0; i < 300; i++)
        (void)ev_ipi(1, 0);
    int there = ev_unbound(1, 0), here = ev_interdomain(0, 1, (evtchn_port_t)there);

    EXPECT_EQ(ev_virq(1, VIRQ_TIMER, 0), there + 1);
    EXPECT_EQ(ev_op(1, EVTCHNOP_reset, &r), 0);
    EXPECT_EQ(ev_d[1]->evtchn.nr_open, 0);
    EXPECT_EQ(ev_status(0, (evtchn_port_t)here).status, EVTCHNSTAT_unbound);
    EXPECT_EQ(ev_virq(1, VIRQ_TIMER, 0), 1);
    EXPECT_EQ(ev_refs(0), 0);
    EXPECT_EQ(ev_refs(1), 0);
}

TEST(reset_gives_way_and_goes_on) {
    struct evtchn_reset r = {.dom = 1};

    ev_reset();
    for (unsigned int i = 0; i < 1000; i++)
        (void)ev_ipi(1, 0);
    fake_cpu->work = WORK_TIMER;
    EXPECT_EQ(ev_op(0, EVTCHNOP_reset, &r), -ERESTART);
    EXPECT(ev_d[1]->evtchn.nr_open > 0);
    EXPECT_EQ(ev_refs(1), 0);
    fake_cpu->work = 0;
    EXPECT_EQ(ev_op(0, EVTCHNOP_reset, &r), 0);
    EXPECT_EQ(ev_d[1]->evtchn.nr_open, 0);
}

TEST(reset_of_others_is_for_the_privileged) {
    struct evtchn_reset r = {.dom = 2};

    ev_reset();
    EXPECT_EQ(ev_op(1, EVTCHNOP_reset, &r), -EPERM);
    r.dom = 99;
    EXPECT_EQ(ev_op(0, EVTCHNOP_reset, &r), -ESRCH);
}

/* --- sending --------------------------------------------------------------------------------- */

TEST(a_send_sets_pending_selector_and_upcall_and_kicks_once) {
    ev_reset();
    int there = ev_unbound(1, 0), here = ev_interdomain(0, 1, (evtchn_port_t)there);
    struct vcpu_info *info = ev_d[1]->vcpu[0]->info;

    EXPECT_EQ(ev_send(0, (evtchn_port_t)here), 0);
    EXPECT_EQ(info->evtchn_upcall_pending, 1);
    EXPECT_EQ(info->evtchn_pending_sel, 1);
    EXPECT_EQ(ev_kicks[1][0], 1);
    EXPECT_EQ(ev_send(0, (evtchn_port_t)here), 0);
    EXPECT_EQ(ev_kicks[1][0], 1);
    EXPECT(ev_pending(1, (evtchn_port_t)there));
}

TEST(a_masked_port_is_told_when_it_is_unmasked) {
    ev_reset();
    EXPECT_EQ(ev_ipi(1, 2), 1);
    ev_mask(1, 1, true);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT(!ev_take_upcall(1, 2));
    EXPECT_EQ(ev_unmask(1, 1), 0);
    EXPECT(ev_take_upcall(1, 2));
    EXPECT(!bit_test(ev_d[1]->shared_info->evtchn_mask, 1));
    EXPECT_EQ(ev_unmask(1, 1), 0); /* not masked: nothing more */
    EXPECT(!ev_take_upcall(1, 2));
}

TEST(send_errors) {
    ev_reset();
    EXPECT_EQ(ev_send(1, 0), -EINVAL);
    EXPECT_EQ(ev_send(1, 1), -EINVAL);
    EXPECT_EQ(ev_send(1, UINT32_MAX), -EINVAL);
    EXPECT_EQ(ev_virq(1, VIRQ_TIMER, 0), 1);
    EXPECT_EQ(ev_send(1, 1), -EINVAL);
    EXPECT_EQ(pirq_map(ev_d[0], 4, 1, 4), 4);
    EXPECT_EQ(ev_pirq(0, 4, 0), 1);
    EXPECT_EQ(ev_send(0, 1), -EINVAL);
    EXPECT_EQ(ev_unbound(1, 0), 2);
    EXPECT_EQ(ev_send(1, 2), 0);
    EXPECT(!ev_pending(1, 2));
}

TEST(unmask_of_no_port_is_einval_and_of_a_closed_one_nothing) {
    ev_reset();
    EXPECT_EQ(ev_unmask(1, UINT32_MAX), -EINVAL);
    ev_mask(1, 5, true);
    EXPECT_EQ(ev_unmask(1, 5), 0);
    EXPECT(bit_test(ev_d[1]->shared_info->evtchn_mask, 5));
}

TEST(bind_vcpu_moves_what_may_move) {
    struct evtchn_bind_vcpu b = {.port = 1, .vcpu = 3};

    ev_reset();
    EXPECT_EQ(ev_unbound(1, 0), 1);
    EXPECT_EQ(ev_ipi(1, 0), 2);
    EXPECT_EQ(ev_virq(1, VIRQ_TIMER, 0), 3);
    int here = ev_interdomain(0, 1, 1);

    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_vcpu, &b), 0);
    EXPECT_EQ(ev_send(0, (evtchn_port_t)here), 0);
    EXPECT(ev_take_upcall(1, 3));
    EXPECT_EQ(ev_status(1, 1).vcpu, 3);
    b.port = 2;
    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_vcpu, &b), -EINVAL);
    b.port = 3;
    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_vcpu, &b), -EINVAL);
    b.port = 9;
    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_vcpu, &b), -EINVAL);
    b.port = UINT32_MAX;
    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_vcpu, &b), -EINVAL);
    b = (struct evtchn_bind_vcpu){.port = 1, .vcpu = EV_VCPUS};
    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_vcpu, &b), -ENOENT);
}

TEST(bind_vcpu_of_a_pirq_moves_the_interrupt) {
    struct evtchn_bind_vcpu b = {.port = 1, .vcpu = 2};

    ev_reset();
    EXPECT_EQ(pirq_map(ev_d[0], 9, 1, -1), 9);
    EXPECT_EQ(ev_pirq(0, 9, 0), 1);
    EXPECT_EQ(ev_op(0, EVTCHNOP_bind_vcpu, &b), 0);
    EXPECT_EQ(fake_record.irq[9].cpu, 2);
}

TEST(a_global_virq_may_move_to_another_vcpu) {
    struct evtchn_bind_vcpu b = {.port = 1, .vcpu = 2};

    ev_reset();
    EXPECT_EQ(ev_virq(0, VIRQ_CONSOLE, 0), 1);
    EXPECT_EQ(ev_op(0, EVTCHNOP_bind_vcpu, &b), 0);
    evtchn_send_global_virq(VIRQ_CONSOLE);
    EXPECT(ev_take_upcall(0, 2));
}

TEST(status_errors) {
    struct evtchn_status s = {.dom = 2, .port = 1};

    ev_reset();
    EXPECT_EQ(ev_op(1, EVTCHNOP_status, &s), -EPERM);
    s.dom = 99;
    EXPECT_EQ(ev_op(0, EVTCHNOP_status, &s), -ESRCH);
    s = (struct evtchn_status){.dom = DOMID_SELF, .port = UINT32_MAX};
    EXPECT_EQ(ev_op(1, EVTCHNOP_status, &s), -EINVAL);
    EXPECT_EQ(ev_status(1, 7).status, EVTCHNSTAT_closed);
    EXPECT_EQ(ev_ipi(1, 2), 1);
    EXPECT_EQ(ev_status(1, 1).status, EVTCHNSTAT_ipi);
    EXPECT_EQ(ev_refs(1), 0);
}

TEST(set_priority_errors) {
    struct evtchn_set_priority p = {.port = 1, .priority = 3};

    ev_reset();
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(ev_op(1, EVTCHNOP_set_priority, &p), -ENOSYS);
    p.priority = 16;
    EXPECT_EQ(ev_op(1, EVTCHNOP_set_priority, &p), -EINVAL);
    p = (struct evtchn_set_priority){.port = UINT32_MAX, .priority = 3};
    EXPECT_EQ(ev_op(1, EVTCHNOP_set_priority, &p), -EINVAL);
}

/* --- polling --------------------------------------------------------------------------------- */

static bool polling(unsigned int vcpu) {
    return ev_d[1]->vcpu[vcpu]->sched.stop & STOP_POLL;
}

static void start_poll(unsigned int vcpu, int32_t port) {
    ev_d[1]->vcpu[vcpu]->evtchn.poll_port = port;
    ev_d[1]->vcpu[vcpu]->sched.stop |= STOP_POLL;
    ev_d[1]->evtchn.nr_polling++;
}

TEST(a_send_wakes_the_pollers_of_that_port_even_if_it_is_masked) {
    ev_reset();
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(ev_ipi(1, 0), 2);
    ev_mask(1, 1, true);
    start_poll(1, 1);
    start_poll(2, 2);
    start_poll(3, -1);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT(!polling(1));
    EXPECT(polling(2));
    EXPECT(!polling(3));
}

TEST(port_pending_tells_of_open_ports_only) {
    ev_reset();
    EXPECT_EQ(evtchn_port_pending(ev_d[1], UINT32_MAX), -EINVAL);
    EXPECT_EQ(ev_ipi(1, 0), 1);
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 1), 0);
    EXPECT_EQ(ev_send(1, 1), 0);
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 1), 1);
    memset(ev_d[1]->shared_info->evtchn_pending, 0xff,
           sizeof(ev_d[1]->shared_info->evtchn_pending));
    EXPECT_EQ(evtchn_port_pending(ev_d[1], 2), 0);
}

TEST(a_moved_vcpu_info_sees_every_event) {
    ev_reset();
    evtchn_vcpu_info_moved(ev_d[1]->vcpu[2]);
    EXPECT_EQ(ev_d[1]->vcpu[2]->info->evtchn_pending_sel, UINT64_MAX);
    EXPECT(ev_take_upcall(1, 2));
    EXPECT_EQ(ev_kicks[1][2], 1);
}

/* --- the call itself ------------------------------------------------------------------------- */

TEST(unknown_sub_ops_are_enosys) {
    uint64_t arg[6] = {14};

    ev_reset();
    EXPECT_EQ(hypercall_event_channel_op(ev_d[1]->vcpu[0], arg), -ENOSYS);
    arg[0] = UINT64_MAX;
    EXPECT_EQ(hypercall_event_channel_op(ev_d[1]->vcpu[0], arg), -ENOSYS);
}

TEST(every_sub_op_needs_a_readable_argument) {
    ev_reset();
    for (unsigned int cmd = 0; cmd <= EVTCHNOP_set_priority; cmd++)
        EXPECT_EQ(ev_hypercall_bad(hypercall_event_channel_op, 1, cmd), -EFAULT);
    EXPECT_EQ(ev_d[1]->evtchn.nr_open, 0);
}

TEST(an_argument_that_cannot_be_written_back_is_efault) {
    struct evtchn_bind_ipi b = {.vcpu = 0};

    ev_reset();
    fake_guest.fail_at = fake_guest.accesses + 2;
    EXPECT_EQ(ev_op(1, EVTCHNOP_bind_ipi, &b), -EFAULT);
}
