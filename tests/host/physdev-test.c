/* links: pv/physdev.c core/pirq.c core/evtchn.c core/evtchn-2l.c core/evtchn-fifo.c core/page.c core/tlb.c lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/evtchn-fixture.c */
/* physdev_op: every sub-op, every error, in the order in which Linux uses them as dom0. */
#include <abi/physdev.h>
#include <string.h>

#include "evtchn-fixture.h"
#include "pv/hypercall.h"

#define NR_CMDS (PHYSDEVOP_release_msix + 1)

#define phys(dom, cmd, arg)                                                                        \
    ev_hypercall(hypercall_physdev_op, dom, PHYSDEVOP_##cmd, arg, sizeof(*(arg)))

static struct msi_where asked;
static int msi_answer;
static unsigned int frees;

int arch_msi_alloc(const struct msi_where *w) {
    asked = *w;
    return msi_answer;
}
void arch_msi_free(unsigned int irq) {
    (void)irq;
    frees++;
}
static struct physdev_pci_device restored;
int arch_msi_restore(uint16_t seg, uint8_t bus, uint8_t devfn) {
    restored = (struct physdev_pci_device){seg, bus, devfn};
    return bus == 9 ? -ENODEV : 0;
}

static void start(void) {
    ev_reset();
    msi_answer = (int)nr_gsis;
    frees = 0;
}

/* --- of every vcpu --------------------------------------------------------------------------- */

TEST(set_iopl_is_of_the_calling_vcpu_and_at_most_3) {
    struct physdev_set_iopl s = {3};

    start();
    EXPECT_EQ(phys(1, set_iopl, &s), 0);
    EXPECT_EQ(ev_d[1]->vcpu[0]->arch.iopl, 3);
    s.iopl = 4;
    EXPECT_EQ(phys(1, set_iopl, &s), -EINVAL);
    s.iopl = 259;
    EXPECT_EQ(phys(1, set_iopl, &s), -EINVAL);
    EXPECT_EQ(ev_d[1]->vcpu[0]->arch.iopl, 3);
}

TEST(set_iobitmap_keeps_where_the_bitmap_is) {
    struct physdev_set_iobitmap s = {.bitmap = {0x1234}, .nr_ports = 65536};

    start();
    EXPECT_EQ(phys(1, set_iobitmap, &s), 0);
    EXPECT_EQ(ev_d[1]->vcpu[0]->arch.iobitmap.va, 0x1234);
    EXPECT_EQ(ev_d[1]->vcpu[0]->arch.iobitmap_ports, 65536);
    s.nr_ports = 65537;
    EXPECT_EQ(phys(1, set_iobitmap, &s), -EINVAL);
}

/* --- interrupts ------------------------------------------------------------------------------ */

TEST(apic_read_reads_registers_that_exist) {
    struct physdev_apic a = {.apic_physbase = 0xfec00000, .reg = 1};

    start();
    EXPECT_EQ(phys(0, apic_read, &a), 0);
    EXPECT_EQ(a.value >> 16, nr_gsis - 1);
    EXPECT_EQ(phys(0, apic_write, &a), 0);
    a.reg = 0x10000;
    EXPECT_EQ(phys(0, apic_read, &a), -EINVAL);
    EXPECT_EQ(phys(0, apic_write, &a), -EINVAL);
    a = (struct physdev_apic){.apic_physbase = 0xfee00000, .reg = 1};
    EXPECT_EQ(phys(0, apic_read, &a), -EINVAL);
}

static struct physdev_map_pirq gsi_request(int32_t gsi, int32_t pirq) {
    return (struct physdev_map_pirq){
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = pirq};
}

TEST(a_gsi_is_mapped_set_up_and_bound) {
    struct physdev_map_pirq m = gsi_request(17, 17);
    struct physdev_irq v = {.irq = 17};
    struct physdev_setup_gsi s = {.gsi = 17, .triggering = 1, .polarity = 1};
    struct physdev_irq_status_query q = {.irq = 17};
    struct physdev_eoi e = {17};

    start();
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT_EQ(m.pirq, 17);
    EXPECT_EQ(phys(0, alloc_irq_vector, &v), 0);
    EXPECT_EQ(v.vector, 17);
    EXPECT_EQ(phys(0, setup_gsi, &s), 0);
    EXPECT(fake_record.irq[17].level && fake_record.irq[17].low);
    EXPECT_EQ(phys(0, irq_status_query, &q), 0);
    EXPECT_EQ(q.flags, XENIRQSTAT_needs_eoi);
    EXPECT_EQ(ev_pirq(0, 17, BIND_PIRQ__WILL_SHARE), 1);
    EXPECT_EQ(phys(0, irq_status_query, &q), 0);
    EXPECT_EQ(q.flags, XENIRQSTAT_needs_eoi | XENIRQSTAT_shared);
    pirq_fire(17);
    EXPECT_EQ(phys(0, eoi, &e), 0);
    EXPECT_EQ(fake_record.irq[17].eois, 1);
    s.polarity = 0;
    EXPECT_EQ(phys(0, setup_gsi, &s), -EEXIST);
}

TEST(gsi_errors) {
    struct physdev_map_pirq m = gsi_request(24, 24);
    struct physdev_irq v = {.irq = 24};
    struct physdev_setup_gsi s = {.gsi = 24};
    struct physdev_irq_status_query q = {.irq = NR_PIRQS};
    struct physdev_eoi e = {17};

    start();
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m = gsi_request(-1, 3);
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m = gsi_request(3, NR_PIRQS);
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m = gsi_request(3, INT32_MAX);
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m = gsi_request(3, 4);
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    m = gsi_request(4, 4);
    EXPECT_EQ(phys(0, map_pirq, &m), -EEXIST);
    m = gsi_request(3, 5);
    EXPECT_EQ(phys(0, map_pirq, &m), -EBUSY);
    m.type = MAP_PIRQ_TYPE_UNKNOWN;
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m.type = -1;
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    EXPECT_EQ(phys(0, alloc_irq_vector, &v), -EINVAL);
    v.irq = UINT32_MAX;
    EXPECT_EQ(phys(0, alloc_irq_vector, &v), -EINVAL);
    v.irq = 4;
    EXPECT_EQ(phys(0, alloc_irq_vector, &v), -EEXIST);
    v.irq = 3; /* it has another number: fine */
    EXPECT_EQ(phys(0, alloc_irq_vector, &v), 0);
    EXPECT_EQ(phys(0, setup_gsi, &s), -EINVAL);
    s.gsi = -1;
    EXPECT_EQ(phys(0, setup_gsi, &s), -EINVAL);
    EXPECT_EQ(phys(0, irq_status_query, &q), -EINVAL);
    q.irq = 20;
    EXPECT_EQ(phys(0, irq_status_query, &q), 0);
    EXPECT_EQ(q.flags, 0);
    EXPECT_EQ(phys(0, eoi, &e), -EINVAL);
    e.irq = UINT32_MAX;
    EXPECT_EQ(phys(0, eoi, &e), -EINVAL);
    EXPECT_EQ(phys(1, eoi, &e), -EINVAL);
}

static struct physdev_map_pirq msi_request(int32_t type) {
    return (struct physdev_map_pirq){
        .domid = DOMID_SELF, .type = type, .index = -1, .pirq = -1, .bus = 3, .devfn = 0x28};
}

TEST(msi_requests_say_what_the_device_is) {
    struct physdev_map_pirq m = msi_request(MAP_PIRQ_TYPE_MSI);

    start();
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT_EQ(m.pirq, nr_gsis);
    EXPECT(asked.bus == 3 && asked.devfn == 0x28 && !asked.msix && asked.count == 1 && !asked.seg);

    msi_answer++;
    m = msi_request(MAP_PIRQ_TYPE_MSI_SEG);
    m.bus = 2 << 16 | 7;
    m.entry_nr = 5;
    m.table_base = 0xfebf0000;
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT(asked.seg == 2 && asked.bus == 7 && asked.msix && asked.count == 1);
    EXPECT_EQ(asked.entry_nr, 5);
    EXPECT_EQ(asked.table_base, 0xfebf0000);

    msi_answer++;
    m = msi_request(MAP_PIRQ_TYPE_MULTI_MSI);
    m.entry_nr = 3;
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT(!asked.msix && asked.count == 4);
}

TEST(msi_errors) {
    struct physdev_map_pirq m = msi_request(MAP_PIRQ_TYPE_MULTI_MSI);

    start();
    EXPECT_EQ(phys(0, map_pirq, &m), -EDOM);
    m.entry_nr = 33;
    EXPECT_EQ(phys(0, map_pirq, &m), -EDOM);
    m.entry_nr = -1;
    EXPECT_EQ(phys(0, map_pirq, &m), -EDOM);
    m.entry_nr = 2;
    m.table_base = 0x1000;
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m = msi_request(MAP_PIRQ_TYPE_MSI_SEG);
    m.table_base = 0x1000;
    m.entry_nr = -1;
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m.entry_nr = 65536;
    EXPECT_EQ(phys(0, map_pirq, &m), -EINVAL);
    m = msi_request(MAP_PIRQ_TYPE_MSI_SEG);
    msi_answer = -ENODEV;
    EXPECT_EQ(phys(0, map_pirq, &m), -ENODEV);
    EXPECT_EQ(frees, 0);
}

TEST(an_msi_that_gets_no_number_is_given_back) {
    struct physdev_map_pirq m = gsi_request(3, 40);

    start();
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    m = msi_request(MAP_PIRQ_TYPE_MULTI_MSI);
    m.entry_nr = 4;
    m.pirq = 38;
    EXPECT_EQ(phys(0, map_pirq, &m), -EEXIST);
    EXPECT_EQ(frees, 4);
}

TEST(interrupts_are_for_the_hardware_domain) {
    struct physdev_map_pirq m = gsi_request(3, 3);
    struct physdev_unmap_pirq u = {.domid = 1, .pirq = 3};

    start();
    m.domid = 1;
    EXPECT_EQ(phys(0, map_pirq, &m), -EPERM);
    m.domid = 99;
    EXPECT_EQ(phys(0, map_pirq, &m), -ESRCH);
    m.domid = 0;
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT_EQ(phys(0, unmap_pirq, &u), -EPERM);
    u.domid = 99;
    EXPECT_EQ(phys(0, unmap_pirq, &u), -ESRCH);
    EXPECT_EQ(ev_refs(0), 0);
    EXPECT_EQ(ev_refs(1), 0);
}

TEST(unmap_pirq_errors) {
    struct physdev_map_pirq m = msi_request(MAP_PIRQ_TYPE_MSI);
    struct physdev_unmap_pirq u = {.domid = DOMID_SELF, .pirq = (int32_t)nr_gsis};

    start();
    EXPECT_EQ(phys(0, unmap_pirq, &u), -EINVAL);
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT_EQ(phys(0, unmap_pirq, &u), 0);
    EXPECT_EQ(frees, 1);
    u.pirq = -1;
    EXPECT_EQ(phys(0, unmap_pirq, &u), -EINVAL);
}

TEST(get_free_pirq_names_one_nobody_has) {
    struct physdev_map_pirq m = msi_request(MAP_PIRQ_TYPE_MSI);
    struct physdev_get_free_pirq f = {.type = MAP_PIRQ_TYPE_MSI};

    start();
    EXPECT_EQ(phys(0, map_pirq, &m), 0);
    EXPECT_EQ(phys(0, get_free_pirq, &f), 0);
    EXPECT_EQ(f.pirq, nr_gsis + 1);
    f.type = MAP_PIRQ_TYPE_GSI;
    EXPECT_EQ(phys(0, get_free_pirq, &f), 0);
    EXPECT_EQ(f.pirq, 16);
}

TEST(the_eoi_page_is_a_frame_of_dom0) {
    struct physdev_pirq_eoi_gmfn g;

    start();
    g.gmfn = ev_frame(1).n;
    EXPECT_EQ(phys(0, pirq_eoi_gmfn_v2, &g), -EINVAL);
    g.gmfn = UINT64_MAX;
    EXPECT_EQ(phys(0, pirq_eoi_gmfn_v2, &g), -EINVAL);
    g.gmfn = ev_frame(0).n;
    EXPECT_EQ(phys(0, pirq_eoi_gmfn_v2, &g), 0);
    EXPECT(!ev_d[0]->pirq.eoi_unmasks);
    EXPECT_EQ(phys(0, pirq_eoi_gmfn_v1, &g), -EBUSY);
}

/* --- PCI ------------------------------------------------------------------------------------- */

TEST(restore_msi_of_a_device_without_any_is_enodev) {
    struct physdev_restore_msi r = {.bus = 2, .devfn = 8};
    struct physdev_pci_device e = {.seg = 1, .bus = 9, .devfn = 16};

    start();
    EXPECT_EQ(phys(0, restore_msi, &r), 0);
    EXPECT(restored.bus == 2 && restored.devfn == 8 && restored.seg == 0);
    EXPECT_EQ(phys(0, restore_msi_ext, &e), -ENODEV);
    EXPECT(restored.bus == 9 && restored.devfn == 16 && restored.seg == 1);
}

TEST(device_reports_are_accepted) {
    static const unsigned int cmds[] = {
        PHYSDEVOP_manage_pci_add,     PHYSDEVOP_manage_pci_remove, PHYSDEVOP_manage_pci_add_ext,
        PHYSDEVOP_pci_mmcfg_reserved, PHYSDEVOP_pci_device_add,    PHYSDEVOP_pci_device_remove,
        PHYSDEVOP_prepare_msix,       PHYSDEVOP_release_msix,      PHYSDEVOP_free_irq_vector};
    uint8_t any[16] = {0};

    start();
    for (unsigned int i = 0; i < ARRAY_LEN(cmds); i++)
        EXPECT_EQ(ev_hypercall(hypercall_physdev_op, 0, cmds[i], any, sizeof(any)), 0);
}

/* --- the call itself ------------------------------------------------------------------------- */

static bool exists(unsigned int cmd) {
    return cmd >= PHYSDEVOP_irq_status_query && cmd != 18 && cmd != 22 && cmd != PHYSDEVOP_dbgp_op;
}

TEST(what_is_not_offered_is_enosys) {
    uint64_t arg[6] = {NR_CMDS};

    start();
    EXPECT_EQ(hypercall_physdev_op(ev_d[0]->vcpu[0], arg), -ENOSYS);
    arg[0] = UINT64_MAX;
    EXPECT_EQ(hypercall_physdev_op(ev_d[0]->vcpu[0], arg), -ENOSYS);
    for (arg[0] = 0; arg[0] < NR_CMDS; arg[0]++)
        if (!exists((unsigned int)arg[0]))
            EXPECT_EQ(hypercall_physdev_op(ev_d[0]->vcpu[0], arg), -ENOSYS);
}

TEST(only_three_sub_ops_are_for_every_domain) {
    start();
    for (unsigned int cmd = 0; cmd < NR_CMDS; cmd++) {
        bool anyone =
            cmd == PHYSDEVOP_set_iopl || cmd == PHYSDEVOP_set_iobitmap || cmd == PHYSDEVOP_eoi;

        if (exists(cmd))
            EXPECT_EQ(ev_hypercall_bad(hypercall_physdev_op, 1, cmd), anyone ? -EFAULT : -EPERM);
    }
}

TEST(every_sub_op_needs_a_readable_argument) {
    start();
    for (unsigned int cmd = 0; cmd < NR_CMDS; cmd++)
        if (exists(cmd))
            EXPECT_EQ(ev_hypercall_bad(hypercall_physdev_op, 0, cmd), -EFAULT);
}

TEST(a_result_that_cannot_be_written_is_efault) {
    struct physdev_map_pirq m = gsi_request(3, 3);

    start();
    fake_guest.fail_at = fake_guest.accesses + 2;
    EXPECT_EQ(phys(0, map_pirq, &m), -EFAULT);
}
