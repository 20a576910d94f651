/* links: pv/msr.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include "pv/emulate.h"
#include "vcpu-fixture.h"

static bool rdtscp;

void pv_cpuid(const struct domain *d, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    (void)d, (void)subleaf;
    regs[0] = regs[1] = regs[2] = 0;
    regs[3] = leaf == 0x80000001 && rdtscp ? BIT(27) : 0;
}

static void machine_has(unsigned int i, uint32_t msr, uint64_t value) {
    fake_record.msr[i].present = true;
    fake_record.msr[i].msr = msr;
    fake_record.msr[i].value = value;
}

TEST(segment_bases_are_those_of_the_mode) {
    uint64_t value;

    vf_reset();
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000100, 0x1000), 0);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000101, 0xffffffff83044000), 0);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000102, 0x3000), 0);
    EXPECT_EQ(fake_record.segment_base[SEGBASE_FS], 0x1000);
    EXPECT_EQ(fake_record.segment_base[SEGBASE_GS_KERNEL], 0xffffffff83044000);
    EXPECT_EQ(fake_record.segment_base[SEGBASE_GS_USER], 0x3000);
    EXPECT_EQ(pv_rdmsr(vf_v, 0xc0000102, &value), 0);
    EXPECT_EQ(value, 0x3000);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000101, UINT64_C(0x800000000000)), -EFAULT);
}

TEST(fixed_values_may_be_written_back_and_nothing_else) {
    static const struct {
        uint32_t msr;
        uint64_t value;
    } fixed[] = {{0x1b, 0xfee00900}, {0x277, 0x050100070406}, {0x140, 0}, {0x179, 0}};
    uint64_t value;

    vf_reset();
    for (unsigned int i = 0; i < ARRAY_LEN(fixed); i++) {
        EXPECT_EQ(pv_rdmsr(vf_v, fixed[i].msr, &value), 0);
        EXPECT_EQ(value, fixed[i].value);
        EXPECT_EQ(pv_wrmsr(vf_v, fixed[i].msr, value), 0);
        EXPECT_EQ(pv_wrmsr(vf_v, fixed[i].msr, value ^ 1), -EFAULT);
    }
    vf_v->id = 1;
    EXPECT_EQ(pv_rdmsr(vf_v, 0x1b, &value), 0);
    EXPECT_EQ(value, 0xfee00800); /* not the boot processor */
}

TEST(the_machines_registers_are_shown_but_never_changed) {
    uint64_t value;

    vf_reset();
    EXPECT_EQ(pv_rdmsr(vf_v, 0xc0000080, &value), -EFAULT);
    machine_has(0, 0xc0000080, 0xd01);
    EXPECT_EQ(pv_rdmsr(vf_v, 0xc0000080, &value), 0);
    EXPECT_EQ(value, 0xd01);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000080, 0xd01), 0);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000080, 0x501), -EFAULT);
    EXPECT_EQ(fake_record.msr[0].value, 0xd01);
    machine_has(1, 0x8b, 7);
    EXPECT_EQ(pv_wrmsr(vf_v, 0x8b, 0), 0);
    EXPECT_EQ(fake_record.msr[1].value, 7);
}

TEST(tsc_aux_is_the_vcpus_own_where_the_policy_has_rdtscp) {
    uint64_t value;

    vf_reset();
    machine_has(0, 0xc0000103, 0);
    rdtscp = false;
    EXPECT_EQ(pv_rdmsr(vf_v, 0xc0000103, &value), -EFAULT);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000103, 5), -EFAULT);
    rdtscp = true;
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000103, 5), 0);
    EXPECT_EQ(fake_record.msr[0].value, 5);
    EXPECT_EQ(pv_rdmsr(vf_v, 0xc0000103, &value), 0);
    EXPECT_EQ(value, 5);
    EXPECT_EQ(pv_wrmsr(vf_v, 0xc0000103, UINT64_C(1) << 32), -EFAULT);
}

TEST(the_time_stamp_counter_can_be_read_only) {
    uint64_t value;

    vf_reset();
    fake_clock.tsc = 12345;
    EXPECT_EQ(pv_rdmsr(vf_v, 0x10, &value), 0);
    EXPECT(value >= 12345);
    EXPECT_EQ(pv_wrmsr(vf_v, 0x10, 0), -EFAULT);
}

TEST(everything_else_faults_even_if_the_machine_has_it) {
    static const uint32_t others[] = {0x48, 0x49, 0x10a, 0x174, 0x1d9, 0x38f, 0x6e0,
                                      0x800, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0010117};
    uint64_t value;

    vf_reset();
    for (unsigned int i = 0; i < ARRAY_LEN(others); i++) {
        machine_has(i, others[i], 0);
        EXPECT_EQ(pv_rdmsr(vf_v, others[i], &value), -EFAULT);
        EXPECT_EQ(pv_wrmsr(vf_v, others[i], 0), -EFAULT);
    }
}
