/* links: pv/cpuid.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include "pv/emulate.h"
#include "vcpu-fixture.h"

enum { EAX, EBX, ECX, EDX };
static uint32_t regs[4];

/* A machine that has everything. */
void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    (void)subleaf;
    out[EAX] = out[EBX] = out[ECX] = out[EDX] = UINT32_MAX;
    if (leaf == 0 || leaf == 0x80000000)
        out[EAX] = leaf + 0x20;
}

static void ask(uint32_t leaf, uint32_t subleaf) {
    vf_reset();
    pv_cpuid(&vf_d, leaf, subleaf, regs);
}

TEST(the_hypervisor_says_its_name_version_and_features) {
    ask(0x40000000, 0);
    EXPECT_EQ(regs[EAX], 0x40000005);
    EXPECT_MEM(&regs[EBX], "XenV", 4);
    EXPECT_MEM(&regs[ECX], "MMXe", 4);
    EXPECT_MEM(&regs[EDX], "nVMM", 4);
    ask(0x40000001, 0);
    EXPECT_EQ(regs[EAX], 4 << 16 | 17);
    ask(0x40000002, 0);
    EXPECT_EQ(regs[ECX], 1);
    ask(0x40000005, 0);
    EXPECT_EQ(regs[EBX], 44);
    ask(0x40000006, 0);
    EXPECT_EQ(regs[EAX] | regs[EBX] | regs[ECX] | regs[EDX], 0);
    ask(0x40000100, 0);
    EXPECT_EQ(regs[EBX], 0);
}

TEST(what_ring_3_cannot_use_is_hidden) {
    static const struct { uint32_t leaf, reg; uint8_t bit;
    } hidden[] = {
        {1, EDX, 1},           {1, EDX, 3},          {1, EDX, 12},
        {1, EDX, 13},          {1, EDX, 17}, /* vme pse mtrr pge pse36 */
        {1, ECX, 3},           {1, ECX, 5},          {1, ECX, 6},
        {1, ECX, 15},          {1, ECX, 17}, /* monitor vmx smx pdcm pcid */
        {1, ECX, 21},          {1, ECX, 24}, /* x2apic tsc deadline */
        {7, EBX, 0},           {7, EBX, 1},          {7, EBX, 7},
        {7, EBX, 10},          {7, EBX, 14}, /* fsgsbase tsc_adjust smep invpcid mpx */
        {7, EBX, 20},          {7, EBX, 25},         {7, ECX, 2},
        {7, ECX, 3},           {7, ECX, 16},                       /* smap pt umip pku la57 */
        {7, EDX, 26},          {7, EDX, 29},         {7, EDX, 20}, /* spec ctrl arch caps ibt */
        {0x80000001, EDX, 26}, {0x80000001, ECX, 2}, {0x80000001, ECX, 22}, /* 1g svm topoext */
    };

    for (unsigned int i = 0; i < ARRAY_LEN(hidden); i++) {
        ask(hidden[i].leaf, 0);
        EXPECT_EQ(regs[hidden[i].reg] >> hidden[i].bit & 1, 0);
    }
}

TEST(what_kernels_need_is_shown) {
    ask(1, 0);
    EXPECT(regs[ECX] & BIT(31));
    EXPECT((regs[ECX] & (BIT(26) | BIT(27))) == (BIT(26) | BIT(27)));
    EXPECT(regs[EDX] & BIT(6));
    EXPECT_EQ(regs[EBX] >> 16, 0); /* no APIC id, no siblings */
    ask(0x80000001, 0);
    EXPECT((regs[EDX] & (BIT(11) | BIT(20) | BIT(29))) == (BIT(11) | BIT(20) | BIT(29)));
    ask(0, 0);
    EXPECT_EQ(regs[EAX], 0xd);
    ask(0x80000000, 0);
    EXPECT_EQ(regs[EAX], 0x80000008);
}

TEST(invariant_tsc_is_shown_where_it_can_be_relied_on) {
    vf_reset();
    fake_clock.stable = true;
    pv_cpuid(&vf_d, 0x80000007, 0, regs);
    EXPECT_EQ(regs[EDX], 0x100);
    fake_clock.stable = false;
    pv_cpuid(&vf_d, 0x80000007, 0, regs);
    EXPECT_EQ(regs[EDX], 0);
}

TEST(leaves_that_are_not_in_the_policy_are_zero) {
    static const uint32_t leaves[] = {3,    5,    6,    0xa,  0xb,        0xf,
                                      0x10, 0x14, 0x15, 0x1f, 0x80000009, 0x8000001e};

    for (unsigned int i = 0; i < ARRAY_LEN(leaves); i++) {
        ask(leaves[i], 0);
        EXPECT_EQ(regs[EAX] | regs[EBX] | regs[ECX] | regs[EDX], 0);
    }
    ask(7, 1);
    EXPECT_EQ(regs[EAX], 0);
}

TEST(state_components_follow_the_policy) {
    ask(0xd, 0);
    EXPECT_EQ(regs[EAX], 7); /* what the fake machine lets guests have */
    EXPECT_EQ(regs[EDX], 0);
    ask(0xd, 1);
    EXPECT_EQ(regs[EAX], 7);
    EXPECT_EQ(regs[ECX], 0);
    ask(0xd, 2);
    EXPECT_EQ(regs[EAX], UINT32_MAX);
    ask(0xd, 9);
    EXPECT_EQ(regs[EAX] | regs[EBX], 0);
    ask(0xd, 64);
    EXPECT_EQ(regs[EAX] | regs[EBX], 0);
}
