/* links: pv/callback.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include <abi/callback.h>

#include "vcpu-fixture.h"

static long op(unsigned int cmd, uint16_t type, uint16_t flags, uint64_t address) {
    struct callback_register reg = {type, flags, address};
    uint64_t arg[6] = {cmd, vf_put(&reg, sizeof(reg)).va};

    return hypercall_callback_op(vf_v, arg);
}

TEST(each_callback_is_remembered_with_its_flag) {
    static const struct { uint16_t type; size_t at; } kinds[] = {
        {CALLBACKTYPE_failsafe, offsetof(struct arch_vcpu, failsafe)},
        {CALLBACKTYPE_syscall, offsetof(struct arch_vcpu, syscall)},
        {CALLBACKTYPE_syscall32, offsetof(struct arch_vcpu, syscall32)},
        {CALLBACKTYPE_sysenter, offsetof(struct arch_vcpu, sysenter)},
    };

    vf_reset();
    for (unsigned int i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct pv_callback *cb = (void *)((char *)&vf_v->arch + kinds[i].at);

        EXPECT_EQ(op(CALLBACKOP_register, kinds[i].type, 0, 0x1000 + i), 0);
        EXPECT(cb->eip == 0x1000 + i && !cb->masks_events);
        EXPECT_EQ(op(CALLBACKOP_register, kinds[i].type, CALLBACKF_mask_events, 0x2000 + i), 0);
        EXPECT(cb->eip == 0x2000 + i && cb->masks_events);
        EXPECT_EQ(op(CALLBACKOP_unregister, kinds[i].type, 0, 0), -EINVAL);
    }
}

TEST(the_event_callback_always_masks) {
    vf_reset();
    EXPECT_EQ(op(CALLBACKOP_register, CALLBACKTYPE_event, 0, 0x1000), 0);
    EXPECT(vf_v->arch.event.masks_events);
}

TEST(no_callback_never_masks_because_the_entry_code_tests_only_that) {
    vf_reset();
    EXPECT_EQ(op(CALLBACKOP_register, CALLBACKTYPE_syscall, CALLBACKF_mask_events, 0), 0);
    EXPECT(!vf_v->arch.syscall.masks_events);
}

TEST(the_nmi_callback_is_trap_2_and_can_be_taken_back) {
    vf_reset();
    EXPECT_EQ(op(CALLBACKOP_register, CALLBACKTYPE_nmi, 0, 0x5000), 0);
    EXPECT_EQ(vf_v->arch.traps[2].address, 0x5000);
    EXPECT_EQ(op(CALLBACKOP_unregister, CALLBACKTYPE_nmi, 0, 0), 0);
    EXPECT_EQ(vf_v->arch.traps[2].address, 0);
}

TEST(bad_types_commands_and_addresses_are_refused) {
    uint64_t arg[6] = {CALLBACKOP_register, 0x1000};

    vf_reset();
    EXPECT_EQ(op(CALLBACKOP_register, CALLBACKTYPE_sysenter_deprecated, 0, 0x1000), -ENOSYS);
    EXPECT_EQ(op(CALLBACKOP_register, 77, 0, 0x1000), -ENOSYS);
    EXPECT_EQ(op(CALLBACKOP_unregister, 77, 0, 0), -ENOSYS);
    EXPECT_EQ(op(2, CALLBACKTYPE_event, 0, 0), -ENOSYS);
    EXPECT_EQ(op(CALLBACKOP_register, CALLBACKTYPE_event, 0, UINT64_C(0x800000000000)), -EINVAL);
    EXPECT_EQ(hypercall_callback_op(vf_v, arg), -EFAULT);
    arg[0] = CALLBACKOP_unregister;
    EXPECT_EQ(hypercall_callback_op(vf_v, arg), -EFAULT);
}

TEST(set_callbacks_sets_three) {
    uint64_t arg[6] = {0x1000, 0x2000, 0x3000};

    vf_reset();
    EXPECT_EQ(hypercall_set_callbacks(vf_v, arg), 0);
    EXPECT_EQ(vf_v->arch.event.eip, 0x1000);
    EXPECT_EQ(vf_v->arch.failsafe.eip, 0x2000);
    EXPECT_EQ(vf_v->arch.syscall.eip, 0x3000);
    EXPECT(!vf_v->arch.failsafe.masks_events);
    arg[2] = UINT64_C(0x800000000000);
    EXPECT_EQ(hypercall_set_callbacks(vf_v, arg), -EINVAL);
}
