/* links: pv/iret.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
/* The iret hypercall in C; the straight form is entry.S's and is tested by guests. */
#include <string.h>

#include "vcpu-fixture.h"

static struct iret_context frame;

static long iret(void) {
    uint64_t arg[6] = {0};

    vf_v->arch.regs.rsp = vf_sp(100);
    memcpy((void *)vf_v->arch.regs.rsp, &frame, sizeof(frame));
    return hypercall_iret(vf_v, arg);
}

static void reset(uint16_t cs) {
    vf_reset();
    vf_v->arch.user_l4 = mfn_of(7);
    frame = (struct iret_context){.rax = 1, .r11 = 2, .rcx = 3, .rip = VF_USER_RIP, .cs = cs,
                                  .rflags = RFLAGS_IF | RFLAGS_FIXED, .rsp = 0x7000, .ss = 0x28};
}

TEST(a_frame_with_ring_3_code_returns_to_user_mode) {
    reset(0x33);
    EXPECT_EQ(iret(), 1);
    EXPECT(!vf_v->arch.kernel_mode);
    EXPECT(vf_v->mode_changed);
    const struct cpu_user_regs *regs = &vf_v->arch.regs;
    EXPECT_EQ(regs->rax, 1);
    EXPECT_EQ(regs->r11, 2);
    EXPECT_EQ(regs->rcx, 3);
    EXPECT_EQ(regs->rip, VF_USER_RIP);
    EXPECT_EQ(regs->cs, 0x33);
    EXPECT_EQ(regs->ss, 0x2b);
    EXPECT_EQ(regs->rsp, 0x7000);
    EXPECT_EQ(vf_v->arch.exit, EXIT_IRET);
}

TEST(any_other_code_selector_stays_in_kernel_mode) {
    reset(0xe030);
    EXPECT_EQ(iret(), 1);
    EXPECT(vf_v->arch.kernel_mode);
    EXPECT_EQ(vf_v->arch.regs.cs, 0xe033);
}

TEST(events_and_nmis_are_on_or_off_as_the_frame_says) {
    reset(0xe030);
    vf_v->arch.nmi_masked = true;
    frame.rflags = RFLAGS_FIXED;
    (void)iret();
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 1);
    EXPECT(!vf_v->arch.nmi_masked);
    frame.rflags |= RFLAGS_IF;
    (void)iret();
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 0);
}

TEST(flags_that_are_not_the_guests_are_put_right) {
    reset(0x33);
    frame.rflags = ~UINT64_C(0) & ~RFLAGS_IF;
    (void)iret();
    EXPECT_EQ(vf_v->arch.regs.rflags &
                  (RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP),
              0);
    EXPECT(vf_v->arch.regs.rflags & RFLAGS_IF);
    EXPECT(vf_v->arch.regs.rflags & RFLAGS_RF);
    EXPECT_EQ(vf_v->arch.iopl, 0);
}

TEST(iopl_counts_only_with_the_assist) {
    reset(0xe030);
    vf_d.vm_assist = 1u << VMASST_TYPE_architectural_iopl;
    frame.rflags |= 1 << 12;
    (void)iret();
    EXPECT_EQ(vf_v->arch.iopl, 1);
}

TEST(sysret_is_used_only_when_allowed_and_with_the_flat_selectors) {
    reset(FLAT_USER_CS64);
    frame.ss = FLAT_USER_SS64;
    (void)iret();
    EXPECT_EQ(vf_v->arch.exit, EXIT_IRET);
    reset(FLAT_USER_CS64);
    frame.ss = FLAT_USER_SS64;
    frame.flags = VGCF_in_syscall;
    (void)iret();
    EXPECT_EQ(vf_v->arch.exit, EXIT_SYSRET);
    reset(0x33);
    frame.flags = VGCF_in_syscall;
    (void)iret();
    EXPECT_EQ(vf_v->arch.exit, EXIT_IRET);
}

TEST(no_frame_or_no_user_table_crashes_the_domain) {
    uint64_t arg[6] = {0};

    reset(0x33);
    vf_v->arch.regs.rsp = 0x1000;
    EXPECT_EQ(hypercall_iret(vf_v, arg), -EFAULT);
    EXPECT_EQ(vf_crashes, 1);
    reset(0x33);
    vf_v->arch.user_l4 = mfn_of(0);
    EXPECT_EQ(iret(), -EFAULT);
    EXPECT_EQ(vf_crashes, 1);
    EXPECT(vf_v->arch.kernel_mode);
}
