/* links: pv/traps.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
/* Exceptions, callbacks and the frames a guest kernel finds. */
#include <string.h>

#include "pv/emulate.h"
#include "pv/mmu.h"
#include "vcpu-fixture.h"

static bool emulated, table_write, access_ok;
static unsigned int ptwr_calls;

bool pv_emulate_privileged(struct vcpu *v) {
    (void)v;
    return emulated;
}
bool pv_emulate_forced(struct vcpu *v) {
    return pv_emulate_privileged(v);
}
bool ptwr_fault(struct vcpu *v, uint64_t va, uint32_t error_code) {
    (void)v, (void)va, (void)error_code;
    ptwr_calls++;
    return table_write;
}
bool mmu_access_ok(const struct vcpu *v, uint64_t va, bool write, bool user, bool fetch) {
    (void)v, (void)va, (void)write, (void)user, (void)fetch;
    return access_ok;
}

static struct cpu_user_regs *regs;

static void reset(void) {
    vf_reset();
    regs = &vf_v->arch.regs;
    emulated = table_write = access_ok = false;
    ptwr_calls = 0;
}

TEST(an_exception_in_kernel_mode_goes_on_below_its_stack_pointer) {
    reset();
    regs->rsp = vf_sp(256) + 8;
    pv_exception(vf_v, 0, 0, 0);
    EXPECT_EQ(regs->rip, VF_HANDLER(0));
    EXPECT_EQ(regs->rsp, vf_sp(256) - 7 * 8);
    const uint64_t frame[] = {0xccc, 0xb11, VF_RIP, 0xe030, 0x202, vf_sp(256) + 8, FLAT_KERNEL_SS};
    EXPECT_MEM(vf_frame(), frame, sizeof(frame));
    EXPECT_EQ(vf_v->arch.exit, EXIT_SYSRET);
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 0);
}

TEST(an_exception_in_user_mode_goes_to_the_kernel_stack_and_tables) {
    reset();
    vf_user();
    pv_exception(vf_v, 0, 0, 0);
    EXPECT(vf_v->arch.kernel_mode);
    EXPECT_EQ(regs->rsp, vf_sp(512) - 7 * 8);
    const uint64_t frame[] = {0xccc, 0xb11, VF_USER_RIP, 0x33, 0x202, 0x7ffffff0, 0x2b};
    EXPECT_MEM(vf_frame(), frame, sizeof(frame));
    EXPECT_EQ(regs->cs, FLAT_KERNEL_CS);
    EXPECT_EQ(regs->ss, FLAT_KERNEL_SS);
}

TEST(exceptions_with_an_error_code_push_it_after_r11) {
    static const uint8_t with[] = {8, 10, 11, 12, 13, 17};

    for (unsigned int i = 0; i < sizeof(with); i++) {
        reset();
        pv_inject(vf_v, with[i], 0x18);
        EXPECT_EQ(vf_frame()[2], 0x18);
        EXPECT_EQ(vf_frame()[3], VF_RIP);
        EXPECT_EQ(regs->rsp, vf_sp(256) - 8 * 8);
    }
    reset();
    pv_inject(vf_v, 6, 0x18);
    EXPECT_EQ(vf_frame()[2], VF_RIP);
}

TEST(the_mask_of_before_is_in_the_cs_slot_and_in_IF) {
    reset();
    vf_info->evtchn_upcall_mask = 1;
    pv_inject(vf_v, 0, 0);
    EXPECT_EQ(vf_frame()[3], 0xe030 | UINT64_C(1) << 32);
    EXPECT_EQ(vf_frame()[4], 0x002);
    EXPECT(regs->rflags & RFLAGS_IF);
}

TEST(an_interrupt_gate_masks_events) {
    reset();
    vf_v->arch.traps[2].flags = 4;
    pv_inject(vf_v, 2, 0);
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 1);
    vf_v->arch.traps[2].flags = 0;
}

TEST(a_handler_starts_without_trap_resume_nested_and_alignment_flags) {
    reset();
    regs->rflags |= RFLAGS_TF | RFLAGS_RF | RFLAGS_NT | RFLAGS_AC | RFLAGS_DF;
    pv_inject(vf_v, 1, 0);
    EXPECT_EQ(regs->rflags, RFLAGS_IF | RFLAGS_FIXED | RFLAGS_DF);
    EXPECT(vf_frame()[4] & RFLAGS_TF);
}

TEST(iopl_is_shown_only_to_domains_that_asked_for_it) {
    reset();
    vf_v->arch.iopl = 3;
    pv_inject(vf_v, 0, 0);
    EXPECT_EQ(vf_frame()[4] & RFLAGS_IOPL, 0);
    vf_d.vm_assist = 1u << VMASST_TYPE_architectural_iopl;
    pv_inject(vf_v, 0, 0);
    EXPECT_EQ(vf_frame()[4] & RFLAGS_IOPL, 0x3000);
}

TEST(no_handler_no_stack_or_one_of_ours_crashes_the_domain) {
    reset();
    vf_v->arch.traps[5].address = 0;
    pv_inject(vf_v, 5, 0);
    vf_v->arch.traps[5].address = VF_HANDLER(5);
    EXPECT_EQ(vf_crashes, 1);
    regs->rsp = 0x1000;
    EXPECT(!pv_bounce(vf_v, VF_HANDLER(0), false, false, 0));
    regs->rsp = HYPERVISOR_VIRT_START + 4096;
    EXPECT(!pv_bounce(vf_v, VF_HANDLER(0), false, false, 0));
    EXPECT_EQ(vf_crashes, 3);
}

TEST(a_page_fault_tells_its_address_and_who_made_it) {
    reset();
    pv_exception(vf_v, 14, 0x6, 0xabcd000);
    EXPECT_EQ(vf_info->arch.cr2, 0xabcd000);
    EXPECT_EQ(vf_v->info->arch.cr2, 0xabcd000);
    EXPECT_EQ(vf_frame()[2], 0x2); /* kernel mode: not a user access */
    reset();
    vf_user();
    pv_exception(vf_v, 14, 0x6, 0xabcd000);
    EXPECT_EQ(vf_frame()[2], 0x6);
    EXPECT_EQ(ptwr_calls, 0);
}

TEST(direct_table_writes_are_tried_only_from_the_kernel_and_with_the_assist) {
    reset();
    table_write = true;
    pv_exception(vf_v, 14, 0x7, 0x1000);
    EXPECT_EQ(ptwr_calls, 0);
    EXPECT_EQ(regs->rip, VF_HANDLER(14));

    reset();
    vf_d.vm_assist = 1u << VMASST_TYPE_writable_pagetables;
    table_write = true;
    pv_exception(vf_v, 14, 0x7, 0x1000);
    EXPECT_EQ(ptwr_calls, 1);
    EXPECT_EQ(regs->rip, VF_RIP);

    vf_user();
    pv_exception(vf_v, 14, 0x7, 0x1000);
    EXPECT_EQ(ptwr_calls, 1);
    EXPECT_EQ(regs->rip, VF_HANDLER(14));
}

TEST(a_fault_the_tables_do_not_explain_is_retried) {
    reset();
    access_ok = true;
    pv_exception(vf_v, 14, 0x7, 0x1000);
    EXPECT_EQ(regs->rip, VF_RIP);
    pv_exception(vf_v, 14, 0x6, 0x1000); /* not present is never stale */
    EXPECT_EQ(regs->rip, VF_HANDLER(14));
    reset();
    access_ok = true;
    pv_exception(vf_v, 14, 0xf, 0x1000); /* reserved bit */
    EXPECT_EQ(regs->rip, VF_HANDLER(14));
}

TEST(an_emulated_instruction_is_not_reported) {
    reset();
    emulated = true;
    pv_exception(vf_v, 13, 0, 0);
    pv_exception(vf_v, 6, 0, 0);
    EXPECT_EQ(regs->rip, VF_RIP);
    pv_exception(vf_v, 13, 0x18, 0); /* a selector is at fault, not a privilege */
    EXPECT_EQ(regs->rip, VF_HANDLER(13));
}

TEST(int_n_goes_to_its_handler_if_that_lets_it) {
    reset();
    vf_v->arch.traps[0x20].flags = 1;
    pv_exception(vf_v, 13, 0x20 << 3 | 2, 0); /* kernel counts as ring 1 */
    EXPECT_EQ(regs->rip, VF_HANDLER(0x20));
    EXPECT_EQ(vf_frame()[2], VF_RIP + 2);
    reset();
    vf_user();
    pv_exception(vf_v, 13, 0x20 << 3 | 2, 0);
    EXPECT_EQ(regs->rip, VF_HANDLER(13));
    EXPECT_EQ(vf_frame()[2], 0x20 << 3 | 2);
    EXPECT_EQ(vf_frame()[3], VF_USER_RIP);
    vf_v->arch.traps[0x20].flags = 0;
}

TEST(int_0x80_has_a_gate_of_its_own) {
    reset();
    vf_user();
    regs->rip += 2;
    pv_exception(vf_v, 0x80, 0, 0);
    EXPECT_EQ(regs->rip, VF_HANDLER(13)); /* its handler wants ring 0 */
    EXPECT_EQ(vf_frame()[2], 0x80 << 3 | 2);
    EXPECT_EQ(vf_frame()[3], VF_USER_RIP);
    reset();
    vf_v->arch.traps[0x80].flags = 3;
    vf_user();
    regs->rip += 2;
    pv_exception(vf_v, 0x80, 0, 0);
    EXPECT_EQ(regs->rip, VF_HANDLER(0x80));
    EXPECT_EQ(vf_frame()[2], VF_USER_RIP + 2);
    vf_v->arch.traps[0x80].flags = 0;
}

TEST(device_not_available_is_delivered_once_per_set_TS) {
    reset();
    vf_v->arch.ts = true;
    pv_exception(vf_v, 7, 0, 0);
    EXPECT_EQ(regs->rip, VF_HANDLER(7));
    EXPECT(!vf_v->arch.ts);
    regs->rip = VF_RIP;
    pv_exception(vf_v, 7, 0, 0);
    EXPECT_EQ(regs->rip, VF_RIP);
}

TEST(events_are_delivered_when_pending_and_not_masked) {
    reset();
    pv_deliver_pending(vf_v);
    EXPECT_EQ(regs->rip, VF_RIP);
    vf_info->evtchn_upcall_pending = 1;
    vf_info->evtchn_upcall_mask = 1;
    pv_deliver_pending(vf_v);
    EXPECT_EQ(regs->rip, VF_RIP);
    vf_info->evtchn_upcall_mask = 0;
    pv_deliver_pending(vf_v);
    EXPECT_EQ(regs->rip, VF_HANDLER(300));
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 1);
    EXPECT_EQ(vf_frame()[3], 0xe030);
}

TEST(before_there_is_a_callback_events_wait) {
    reset();
    vf_v->arch.event.eip = 0;
    vf_info->evtchn_upcall_pending = 1;
    pv_deliver_pending(vf_v);
    EXPECT_EQ(regs->rip, VF_RIP);
    EXPECT_EQ(vf_crashes, 0);
}

TEST(an_nmi_goes_first_and_does_not_nest) {
    reset();
    vf_info->evtchn_upcall_pending = 1;
    vf_v->arch.nmi_pending = true;
    pv_deliver_pending(vf_v);
    EXPECT_EQ(regs->rip, VF_HANDLER(2));
    EXPECT(vf_v->arch.nmi_masked && !vf_v->arch.nmi_pending);
    vf_v->arch.nmi_pending = true;
    pv_deliver_pending(vf_v);
    EXPECT_EQ(regs->rip, VF_HANDLER(300));
    EXPECT(vf_v->arch.nmi_pending);
}

TEST(failsafe_hands_over_the_selectors) {
    reset();
    regs->ds = 1, regs->es = 2, regs->fs = 3, regs->gs = 4;
    pv_failsafe(vf_v);
    const uint64_t frame[] = {0xccc,      0xb11,         1, 2, 3, 4, VF_RIP, 0xe030, 0x202,
                              vf_sp(256), FLAT_KERNEL_SS};
    EXPECT_MEM(vf_frame(), frame, sizeof(frame));
    EXPECT_EQ(regs->rip, VF_HANDLER(301));
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 1);
}

TEST(system_calls_enter_by_their_callbacks) {
    reset();
    vf_user();
    regs->rflags |= RFLAGS_DF;
    vf_v->arch.syscall = (struct pv_callback){VF_HANDLER(310), false};
    vf_v->arch.syscall32 = (struct pv_callback){VF_HANDLER(311), true};
    pv_guest_syscall(vf_v, false);
    EXPECT_EQ(regs->rip, VF_HANDLER(310));
    EXPECT_EQ(vf_frame()[2], VF_USER_RIP);
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 0);
    EXPECT_EQ(regs->rflags & RFLAGS_DF, 0);
    vf_user();
    pv_guest_syscall(vf_v, true);
    EXPECT_EQ(regs->rip, VF_HANDLER(311));
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 1);
}

TEST(without_a_callback_a_system_call_is_an_undefined_instruction) {
    reset();
    vf_user();
    pv_guest_syscall(vf_v, false);
    EXPECT_EQ(regs->rip, VF_HANDLER(6));
    EXPECT_EQ(vf_frame()[2], VF_USER_RIP - 2);
    reset();
    vf_user();
    pv_guest_sysenter(vf_v);
    EXPECT_EQ(regs->rip, VF_HANDLER(13));
    vf_user();
    vf_v->arch.sysenter = (struct pv_callback){VF_HANDLER(312), true};
    pv_guest_sysenter(vf_v);
    EXPECT_EQ(regs->rip, VF_HANDLER(312));
}

TEST(trap_tables_are_read_up_to_a_zero_address) {
    const struct trap_info table[] = {
        {3, 7, 0x10, VF_HANDLER(400)}, {14, 4, 0x10, VF_HANDLER(401)}, {.vector = 5}};
    uint64_t arg[6];

    reset();
    arg[0] = vf_put(table, sizeof(table)).va;
    EXPECT_EQ(hypercall_set_trap_table(vf_v, arg), 0);
    EXPECT_EQ(vf_v->arch.traps[3].address, VF_HANDLER(400));
    EXPECT_EQ(vf_v->arch.traps[3].cs, 0x13);
    EXPECT_EQ(vf_v->arch.traps[14].flags, 4);
    EXPECT_EQ(vf_v->arch.traps[5].address, VF_HANDLER(5));
    arg[0] = 0;
    EXPECT_EQ(hypercall_set_trap_table(vf_v, arg), 0);
    EXPECT_EQ(vf_v->arch.traps[3].address, 0);
}

TEST(trap_tables_with_bad_addresses_are_refused) {
    struct trap_info bad = {3, 0, 0, UINT64_C(0x800000000000)};
    uint64_t arg[6];

    reset();
    arg[0] = vf_put(&bad, sizeof(bad)).va;
    EXPECT_EQ(hypercall_set_trap_table(vf_v, arg), -EINVAL);
    arg[0] = 0x1000;
    EXPECT_EQ(hypercall_set_trap_table(vf_v, arg), -EFAULT);
}

TEST(a_preempted_trap_table_goes_on_behind_the_entry_that_was_set) {
    struct trap_info table[] = {{3, 0, 0, 0x3000}, {4, 0, 0, 0x4000}, {0, 0, 0, 0}};
    uint64_t arg[6], start;

    reset();
    arg[0] = start = vf_put(table, sizeof(table)).va;
    vf_work(true);
    EXPECT_EQ(hypercall_set_trap_table(vf_v, arg), -ERESTART);
    EXPECT_EQ(arg[0], start + sizeof(table[0]));
    EXPECT_EQ(vf_v->arch.traps[3].address, 0x3000);
    EXPECT(vf_v->arch.traps[4].address != 0x4000);
    vf_work(false);
    EXPECT_EQ(hypercall_set_trap_table(vf_v, arg), 0);
    EXPECT_EQ(vf_v->arch.traps[4].address, 0x4000);
}
