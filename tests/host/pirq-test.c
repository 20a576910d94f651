/* links: core/pirq.c core/evtchn.c core/evtchn-2l.c core/evtchn-fifo.c core/page.c core/tlb.c lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/evtchn-fixture.c */
/* From an interrupt of the machine to a port of dom0 and back to its EOI. */
#include "core/pirq.h"

#include <abi/physdev.h>
#include <string.h>

#include "core/page.h"
#include "evtchn-fixture.h"

static struct domain *d;

static void start(void) {
    ev_reset();
    d = ev_d[0];
}

/* A mapped GSI, bound; the port. */
static evtchn_port_t bound(unsigned int gsi, bool level) {
    int port;

    fake_record.irq[gsi].level = level;
    REQUIRE(pirq_map(d, gsi, 1, (int)gsi) == (int)gsi);
    port = ev_pirq(0, gsi, 0);
    REQUIRE(port > 0);
    return (evtchn_port_t)port;
}

static int msi(unsigned int count) {
    struct msi_where w = {.count = count};

    return arch_msi_alloc(&w);
}

/* --- numbers --------------------------------------------------------------------------------- */

TEST(a_gsi_gets_the_number_it_has_or_the_one_asked_for) {
    start();
    EXPECT_EQ(pirq_map(d, 9, 1, -1), 9);
    EXPECT_EQ(pirq_map(d, 10, 1, 200), 200);
    EXPECT_EQ(pirq_map(d, 10, 1, -1), 200); /* it has one */
    EXPECT_EQ(pirq_map(d, 10, 1, 200), 200);
    EXPECT_EQ(pirq_map(d, 10, 1, 201), -EBUSY);
    EXPECT_EQ(pirq_map(d, 11, 1, 200), -EEXIST);
    EXPECT_EQ(pirq_map(d, 11, 1, NR_PIRQS), -EINVAL);
    EXPECT_EQ(pirq_map(d, 11, 1, NR_PIRQS - 1), NR_PIRQS - 1);
}

TEST(a_gsi_whose_number_is_taken_gets_a_free_one) {
    start();
    EXPECT_EQ(pirq_map(d, 9, 1, 18), 18);
    EXPECT_EQ(pirq_map(d, 18, 1, -1), 16);
}

TEST(msis_get_numbers_above_the_gsis) {
    start();
    EXPECT_EQ(pirq_map(d, (unsigned int)msi(1), 1, -1), nr_gsis);
    EXPECT_EQ(pirq_map(d, (unsigned int)msi(4), 4, -1), nr_gsis + 1);
    EXPECT_EQ(pirq_map(d, (unsigned int)msi(1), 1, -1), nr_gsis + 5);
    EXPECT_EQ(pirq_map(d, (unsigned int)msi(4), 4, NR_PIRQS - 3), -EINVAL);
    EXPECT_EQ(pirq_find_free(d, true), nr_gsis + 6);
    EXPECT_EQ(pirq_find_free(d, false), 16);
}

TEST(numbers_run_out) {
    start();
    for (unsigned int i = nr_gsis; i < NR_PIRQS; i++)
        REQUIRE(pirq_map(d, i, 1, -1) == (int)i);
    REQUIRE(pirq_unmap(d, 100) == 0);
    EXPECT_EQ(pirq_map(d, 100, 1, 3), 3);
    REQUIRE(pirq_map(d, 101, 1, 101) == 101);
    EXPECT_EQ(pirq_find_free(d, true), 100);
    EXPECT_EQ(pirq_map(d, 4, 1, 100), 100);
    EXPECT_EQ(pirq_find_free(d, true), -ENOSPC);
}

TEST(unmap_unbinds_and_gives_an_msi_back) {
    start();
    int irq = msi(1), pirq = pirq_map(d, (unsigned int)irq, 1, -1);

    EXPECT_EQ(ev_pirq(0, (uint32_t)pirq, 0), 1);
    EXPECT(fake_record.irq[irq].enabled);
    EXPECT_EQ(pirq_unmap(d, (unsigned int)pirq), 0);
    EXPECT(!fake_record.irq[irq].enabled);
    EXPECT(!fake_record.irq[irq].setup);
    EXPECT_EQ(pirq_unmap(d, (unsigned int)pirq), -EINVAL);
    EXPECT_EQ(pirq_unmap(d, UINT32_MAX), -EINVAL);
    EXPECT_EQ(ev_close(0, 1), 0); /* the port is still there */
    pirq_fire((unsigned int)irq); /* and a straggler harms nobody */
}

TEST(domains_without_devices_have_none) {
    start();
    EXPECT(!ev_d[1]->pirq.table);
    EXPECT_EQ(pirq_eoi(ev_d[1], 4), -EINVAL);
    EXPECT_EQ(pirq_status(ev_d[1], 4), 0);
    EXPECT_EQ(pirq_unmap(ev_d[1], 4), -EINVAL);
}

/* --- firing ---------------------------------------------------------------------------------- */

TEST(an_edge_interrupt_raises_the_port_and_wants_no_eoi) {
    start();
    evtchn_port_t port = bound(4, false);

    pirq_fire(4);
    EXPECT(ev_pending(0, port));
    EXPECT(ev_take_upcall(0, 0));
    EXPECT_EQ(pirq_status(d, 4), 0);
    EXPECT_EQ(pirq_eoi(d, 4), 0);
    EXPECT_EQ(fake_record.irq[4].eois, 0);
}

TEST(a_level_interrupt_is_ended_once_by_the_guest) {
    start();
    evtchn_port_t port = bound(17, true);

    EXPECT_EQ(pirq_status(d, 17), XENIRQSTAT_needs_eoi);
    EXPECT_EQ(pirq_eoi(d, 17), 0); /* before it fired: nothing to end */
    EXPECT_EQ(fake_record.irq[17].eois, 0);
    pirq_fire(17);
    EXPECT(ev_pending(0, port));
    EXPECT_EQ(pirq_eoi(d, 17), 0);
    EXPECT_EQ(pirq_eoi(d, 17), 0);
    EXPECT_EQ(fake_record.irq[17].eois, 1);
}

TEST(what_nobody_has_bound_or_mapped_is_dropped) {
    start();
    pirq_fire(17);
    EXPECT_EQ(pirq_map(d, 17, 1, -1), 17);
    pirq_fire(17);
    EXPECT_EQ(ev_d[0]->vcpu[0]->info->evtchn_upcall_pending, 0);
    EXPECT_EQ(pirq_eoi(d, 18), -EINVAL);
    dom0 = NULL;
    pirq_fire(17);
}

TEST(an_interrupt_in_service_can_be_closed_and_bound_anew) {
    start();
    evtchn_port_t port = bound(17, true);

    pirq_fire(17);
    EXPECT_EQ(ev_close(0, port), 0);
    EXPECT(!fake_record.irq[17].enabled);
    EXPECT_EQ(ev_pirq(0, 17, 0), port);
    EXPECT(fake_record.irq[17].enabled);
    EXPECT_EQ(pirq_eoi(d, 17), 0); /* of the old one: too late, enabling it unmasked it */
    EXPECT_EQ(fake_record.irq[17].eois, 0);
}

static int refuse;
int arch_irq_enable(unsigned int irq, unsigned int cpu) {
    if (refuse)
        return refuse;
    fake_record.irq[irq].enabled = true;
    fake_record.irq[irq].cpu = cpu;
    return 0;
}

TEST(an_interrupt_the_machine_refuses_is_not_bound) {
    start();
    EXPECT_EQ(pirq_map(d, 4, 1, 4), 4);
    refuse = -EBUSY;
    EXPECT_EQ(ev_pirq(0, 4, 0), -EBUSY);
    refuse = 0;
    EXPECT_EQ(d->evtchn.nr_open, 0);
    EXPECT_EQ(ev_pirq(0, 4, 0), 1);
}

TEST(an_interrupt_follows_its_vcpu_to_another_cpu) {
    start();
    evtchn_port_t port = bound(4, false);
    struct vcpu *v = d->vcpu[0];

    EXPECT_EQ(fake_record.irq[4].cpu, 0);
    v->sched.cpu = 2;
    for (unsigned int i = 0; i < 7; i++)
        pirq_fire(4);
    v->sched.cpu = 0; /* back again: it was only passing through */
    pirq_fire(4);
    v->sched.cpu = 2;
    for (unsigned int i = 0; i < 7; i++)
        pirq_fire(4);
    EXPECT_EQ(fake_record.irq[4].cpu, 0);
    pirq_fire(4);
    EXPECT_EQ(fake_record.irq[4].cpu, 2);
    EXPECT(ev_pending(0, port));
}

TEST(sharing_is_told) {
    start();
    EXPECT_EQ(pirq_map(d, 5, 1, 5), 5);
    EXPECT_EQ(ev_pirq(0, 5, BIND_PIRQ__WILL_SHARE), 1);
    EXPECT_EQ(pirq_status(d, 5), XENIRQSTAT_shared);
    EXPECT_EQ(ev_close(0, 1), 0);
    EXPECT_EQ(pirq_status(d, 5), 0);
}

/* --- the page of EOI bits -------------------------------------------------------------------- */

TEST(the_eoi_page_follows_the_bindings) {
    start();
    mfn_t mfn = ev_frame(0);
    uint64_t *bits = mfn_to_virt(mfn);
    evtchn_port_t port = bound(17, true);

    (void)bound(4, false);
    EXPECT_EQ(pirq_set_eoi_page(d, mfn, false), 0);
    EXPECT_EQ(bits[0], BIT(17));
    (void)bound(18, true);
    EXPECT_EQ(bits[0], BIT(17) | BIT(18));
    EXPECT_EQ(ev_close(0, port), 0);
    EXPECT_EQ(bits[0], BIT(18));
    EXPECT_EQ(pirq_unmap(d, 18), 0);
    EXPECT_EQ(bits[0], 0);
    EXPECT_EQ(ev_frame_refs(mfn), 1);
}

TEST(eoi_page_errors) {
    start();
    mfn_t mfn = ev_frame(0), second = ev_frame(0);

    EXPECT_EQ(pirq_set_eoi_page(d, ev_frame(1), false), -EINVAL);
    EXPECT_EQ(pirq_set_eoi_page(d, MFN_INVALID, false), -EINVAL);
    EXPECT_EQ(pirq_set_eoi_page(d, mfn, false), 0);
    EXPECT_EQ(pirq_set_eoi_page(d, second, false), -EBUSY);
    EXPECT_EQ(ev_frame_refs(second), 0);
    pirq_domain_destroy(d);
    EXPECT_EQ(ev_frame_refs(mfn), 0);
}

TEST(version_1_of_the_eoi_page_makes_an_eoi_unmask_the_port) {
    start();
    evtchn_port_t port = bound(17, true);

    EXPECT_EQ(pirq_set_eoi_page(d, ev_frame(0), true), 0);
    ev_mask(0, port, true);
    pirq_fire(17);
    EXPECT(!ev_take_upcall(0, 0));
    EXPECT_EQ(pirq_eoi(d, 17), 0);
    EXPECT(ev_take_upcall(0, 0));
    EXPECT_EQ(fake_record.irq[17].eois, 1);
}
