/* links: pv/vcpu-state.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include "vcpu-fixture.h"

#define HOLE HYPERVISOR_VIRT_START

static long call(hypercall_fn fn, uint64_t a, uint64_t b) {
    uint64_t arg[6] = {a, b};

    return fn(vf_v, arg);
}

TEST(stack_switch_takes_any_stack_that_frames_cannot_lead_into_our_range) {
    vf_reset();
    EXPECT_EQ(call(hypercall_stack_switch, 0x2b, 0xffffffff82a03fff), 0);
    EXPECT_EQ(vf_v->arch.kernel_sp, 0xffffffff82a03fff);
    EXPECT_EQ(call(hypercall_stack_switch, 0, 0), 0);
    EXPECT_EQ(call(hypercall_stack_switch, 0, HYPERVISOR_VIRT_END + 4096), 0);
    EXPECT_EQ(call(hypercall_stack_switch, 0, HOLE), 0); /* below it is not canonical: faults */
    EXPECT_EQ(call(hypercall_stack_switch, 0, HOLE + 16), -EINVAL);
    EXPECT_EQ(call(hypercall_stack_switch, 0, HYPERVISOR_VIRT_END), -EINVAL);
    EXPECT_EQ(call(hypercall_stack_switch, 0, HYPERVISOR_VIRT_END + 80), -EINVAL);
    EXPECT_EQ(vf_v->arch.kernel_sp, HOLE);
}

TEST(fpu_taskswitch_is_TS) {
    vf_reset();
    EXPECT_EQ(call(hypercall_fpu_taskswitch, 1, 0), 0);
    EXPECT(vf_v->arch.ts);
    EXPECT_EQ(call(hypercall_fpu_taskswitch, 0, 0), 0);
    EXPECT(!vf_v->arch.ts);
}

TEST(breakpoints_stay_out_of_our_range) {
    vf_reset();
    for (unsigned int reg = 0; reg < 4; reg++) {
        EXPECT_EQ(call(hypercall_set_debugreg, reg, 0x1000 + reg), 0);
        EXPECT_EQ(call(hypercall_set_debugreg, reg, HOLE), -EPERM);
        EXPECT_EQ(call(hypercall_set_debugreg, reg, HYPERVISOR_VIRT_END - 1), -EPERM);
        EXPECT_EQ(call(hypercall_set_debugreg, reg, HOLE - 1), -EPERM);
        EXPECT_EQ(call(hypercall_get_debugreg, reg, 0), 0x1000 + reg);
    }
    EXPECT_EQ(call(hypercall_set_debugreg, 0, HYPERVISOR_VIRT_END), 0);
}

TEST(debug_status_and_control_keep_their_fixed_bits) {
    vf_reset();
    EXPECT_EQ(call(hypercall_set_debugreg, 6, ~UINT64_C(0)), 0);
    EXPECT_EQ(vf_v->arch.debugreg[6], 0xffffefff);
    EXPECT_EQ(call(hypercall_set_debugreg, 6, 0), 0);
    EXPECT_EQ(vf_v->arch.debugreg[6], 0xffff0ff0);
    EXPECT_EQ(call(hypercall_set_debugreg, 7, 1), 0);
    EXPECT_EQ(vf_v->arch.debugreg[7], 0x401);
    EXPECT_EQ(call(hypercall_set_debugreg, 7, BIT(13)), -EPERM); /* general detect */
    EXPECT_EQ(vf_v->arch.debugreg[7], 0x401);
}

TEST(ports_are_not_to_be_watched) {
    vf_reset();
    EXPECT_EQ(call(hypercall_set_debugreg, 7, 2 << 16 | 1), -EPERM);
    EXPECT_EQ(call(hypercall_set_debugreg, 7, 2 << 20 | 1), 0); /* of a disabled one: fine */
    vf_v->arch.cr4 = CR4_DE;
    EXPECT_EQ(call(hypercall_set_debugreg, 7, 2 << 16 | 1), -EPERM);
}

TEST(debug_registers_4_and_5_are_aliases_without_debugging_extensions) {
    vf_reset();
    EXPECT_EQ(call(hypercall_set_debugreg, 5, 3), 0);
    EXPECT_EQ(vf_v->arch.debugreg[7], 0x403);
    EXPECT_EQ(call(hypercall_get_debugreg, 5, 0), 0x403);
    vf_v->arch.cr4 = CR4_DE;
    EXPECT_EQ(call(hypercall_set_debugreg, 4, 3), -ENODEV);
    EXPECT_EQ(call(hypercall_get_debugreg, 4, 0), -ENODEV);
    EXPECT_EQ(call(hypercall_set_debugreg, 8, 3), -ENODEV);
    EXPECT_EQ(call(hypercall_get_debugreg, UINT64_C(1) << 32, 0), -ENODEV);
}

TEST(segment_bases_are_canonical) {
    vf_reset();
    for (unsigned int which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++) {
        EXPECT_EQ(call(hypercall_set_segment_base, which, 0xffff888000000000 + which), 0);
        EXPECT_EQ(fake_record.segment_base[which], 0xffff888000000000 + which);
        EXPECT_EQ(call(hypercall_set_segment_base, which, UINT64_C(0x800000000000)), -EINVAL);
    }
    EXPECT_EQ(call(hypercall_set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
    EXPECT_EQ(call(hypercall_set_segment_base, SEGBASE_GS_USER_SEL, 0x2b), -EFAULT);
    EXPECT_EQ(call(hypercall_set_segment_base, 4, 0), -EINVAL);
}

TEST(assists_are_switched_by_number) {
    vf_reset();
    EXPECT_EQ(call(hypercall_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    EXPECT_EQ(call(hypercall_vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    EXPECT_EQ(vf_d.vm_assist, 1u << 2 | 1u << 5);
    EXPECT_EQ(call(hypercall_vm_assist, VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0);
    EXPECT_EQ(vf_d.vm_assist, 1u << 5);
    EXPECT_EQ(call(hypercall_vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict), -EINVAL);
    EXPECT_EQ(call(hypercall_vm_assist, VMASST_CMD_enable, 6), -EINVAL);
    EXPECT_EQ(call(hypercall_vm_assist, VMASST_CMD_enable, ~UINT64_C(0)), -EINVAL);
    EXPECT_EQ(call(hypercall_vm_assist, 2, 2), -ENOSYS);
}
