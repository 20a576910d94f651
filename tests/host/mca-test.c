/* links: pv/mca.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include <abi/mca.h>
#include <string.h>

#include "pv/hypercall.h"
#include "test.h"
#include "vcpu-fixture.h"

static struct xen_mc *op;

static long call(uint32_t cmd) {
    uint64_t arg[6] = {(uintptr_t)op};

    op->cmd = cmd;
    op->interface_version = XEN_MCA_INTERFACE_VERSION;
    return hypercall_mca(vf_v, arg);
}

static void reset(void) {
    vf_reset();
    vf_d.hardware = true;
    op = (struct xen_mc *)vf_memory;
    memset(op, 0, sizeof(*op));
}

TEST(only_the_hardware_domain_asks_for_machine_checks) {
    reset();
    vf_d.hardware = false;
    EXPECT_EQ(call(XEN_MC_physcpuinfo), -EPERM);
}

TEST(another_interface_version_is_eacces) {
    uint64_t arg[6];

    reset();
    op->interface_version = 1;
    arg[0] = (uintptr_t)op;
    EXPECT_EQ(hypercall_mca(vf_v, arg), -EACCES);
    arg[0] = 8;
    EXPECT_EQ(hypercall_mca(vf_v, arg), -EFAULT);
}

TEST(without_a_buffer_the_processors_are_counted) {
    reset();
    EXPECT_EQ(call(XEN_MC_physcpuinfo), 0);
    EXPECT_EQ(op->u.mc_physcpuinfo.ncpus, cpumask_weight(&cpus_online));
}

TEST(no_more_processors_are_described_than_there_is_room_for) {
    struct mcinfo_logical_cpu *info;

    reset();
    info = (struct mcinfo_logical_cpu *)(op + 1);
    memset(info, 0xee, 2 * sizeof(*info));
    op->u.mc_physcpuinfo.ncpus = 1;
    op->u.mc_physcpuinfo.info.va = (uintptr_t)info;
    EXPECT_EQ(call(XEN_MC_physcpuinfo), 0);
    EXPECT_EQ(op->u.mc_physcpuinfo.ncpus, 1);
    EXPECT_EQ(info[0].mc_cpunr, 0);
    EXPECT_EQ(info[0].mc_nmsrvals, 0);
    EXPECT_EQ(info[1].mc_cpunr, 0xeeeeeeee);
    op->u.mc_physcpuinfo.info.va = 8;
    EXPECT_EQ(call(XEN_MC_physcpuinfo), -EFAULT);
}

TEST(there_is_never_a_record_and_nothing_to_inject) {
    reset();
    EXPECT_EQ(call(XEN_MC_fetch), 0);
    EXPECT_EQ(op->u.mc_fetch.flags, XEN_MC_NODATA);
    EXPECT_EQ(call(XEN_MC_msrinject), -EINVAL);
}
