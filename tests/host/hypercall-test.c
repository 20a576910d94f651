/* links: pv/hypercall.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
/* The dispatcher, with every hypercall replaced by one that remembers its arguments. */
#include <string.h>

#include "core/evtchn.h"
#include "core/gnttab.h"
#include "vcpu-fixture.h"

static struct {
    const char *name;
    uint64_t arg[6];
} last;
static unsigned int calls, restart_at, work_at;
static long answer;

static long called(const char *name, uint64_t arg[6]) {
    last.name = name;
    memcpy(last.arg, arg, sizeof(last.arg));
    calls++;
    if (calls == work_at)
        vf_work(true);
    if (calls == restart_at) {
        arg[0] += 100;
        return -ERESTART;
    }
    return answer;
}

#define FAKE(name)                                                                                 \
    long hypercall_##name(struct vcpu *curr, uint64_t arg[6]) {                                    \
        (void)curr;                                                                                \
        return called(#name, arg);                                                                 \
    }
FAKE(set_trap_table)
FAKE(mmu_update)
FAKE(set_gdt)
FAKE(stack_switch)
FAKE(set_callbacks)
FAKE(fpu_taskswitch)
FAKE(platform_op)
FAKE(set_debugreg)
FAKE(get_debugreg)
FAKE(update_descriptor)
FAKE(memory_op)
FAKE(update_va_mapping)
FAKE(set_timer_op)
FAKE(xen_version)
FAKE(console_io)
FAKE(grant_table_op)
FAKE(mca)
FAKE(vm_assist)
FAKE(update_va_mapping_otherdomain)
FAKE(vcpu_op)
FAKE(set_segment_base)
FAKE(mmuext_op)
FAKE(sched_op)
FAKE(callback_op)
FAKE(event_channel_op)
FAKE(physdev_op)
__attribute__((weak)) FAKE(sysctl)
__attribute__((weak)) FAKE(domctl)

long hypercall_iret(struct vcpu *curr, uint64_t arg[6]) {
    curr->arch.regs.rax = (uint64_t)answer;
    curr->mode_changed = true;
    return called("iret", arg);
}

static struct cpu_user_regs *regs;
static struct multicall_entry *entries;

static void reset(void) {
    vf_reset();
    regs = &vf_v->arch.regs;
    entries = (struct multicall_entry *)vf_memory;
    calls = restart_at = work_at = 0;
    answer = 0;
    last.name = "none";
}

/* As entry.S does it. */
static void call(uint64_t nr, uint64_t a0, uint64_t a1) {
    uint64_t arg[6] = {a0, a1, regs->rdx, regs->r10, regs->r8, regs->r9};
    long rc = nr < NR_HYPERCALLS ? hypercall_table[nr](vf_v, arg) : -ENOSYS;

    regs->rax = nr;
    if (rc == -ERESTART && !vf_v->mode_changed) {
        regs->rdi = arg[0];
        regs->rsi = arg[1];
        regs->rip -= 2;
    } else {
        regs->rax = (uint64_t)rc;
    }
    vf_v->mode_changed = false;
}

TEST(arguments_come_from_the_six_registers_and_the_result_goes_to_rax) {
    reset();
    answer = 77;
    regs->rdx = 3, regs->r10 = 4, regs->r8 = 5, regs->r9 = 6;
    call(__HYPERVISOR_mmu_update, 1, 2);
    const uint64_t arg[] = {1, 2, 3, 4, 5, 6};
    EXPECT_STR(last.name, "mmu_update");
    EXPECT_MEM(last.arg, arg, sizeof(arg));
    EXPECT_EQ(regs->rax, 77);
    EXPECT_EQ(regs->rip, VF_RIP);
}

TEST(unknown_numbers_answer_enosys) {
    static const uint64_t numbers[] = {__HYPERVISOR_sched_op_compat, 11, __HYPERVISOR_xsm_op,
                                       __HYPERVISOR_kexec_op, 49, 64, 1000,
                                       UINT64_C(1) << 32, ~UINT64_C(0)};

    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(numbers); i++) {
        call(numbers[i], 0, 0);
        EXPECT_EQ(regs->rax, -ENOSYS);
    }
    EXPECT_EQ(calls, 0);
}

TEST(a_preempted_call_is_made_again_with_its_new_arguments) {
    reset();
    restart_at = 1;
    call(__HYPERVISOR_mmuext_op, 1, 2);
    EXPECT_EQ(regs->rax, __HYPERVISOR_mmuext_op);
    EXPECT_EQ(regs->rdi, 101);
    EXPECT_EQ(regs->rsi, 2);
    EXPECT_EQ(regs->rip, VF_RIP - 2);
}

TEST(the_rax_that_iret_restores_is_never_taken_for_a_result) {
    reset();
    answer = -ERESTART;
    call(__HYPERVISOR_iret, 0, 0);
    EXPECT_EQ(regs->rip, VF_RIP);
    EXPECT_EQ(regs->rax, -ERESTART);
}

static void batch(unsigned int n) {
    for (unsigned int i = 0; i < n; i++)
        entries[i] =
            (struct multicall_entry){.op = __HYPERVISOR_sched_op, .result = 0xbad, .args = {i}};
}

TEST(a_multicall_runs_its_entries_and_writes_each_result) {
    reset();
    answer = -EINVAL;
    batch(3);
    entries[1].op = 999;
    call(__HYPERVISOR_multicall, fake_guest_va(entries).va, 3);
    EXPECT_EQ(regs->rax, 0);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(entries[0].result, -EINVAL);
    EXPECT_EQ(entries[1].result, -ENOSYS);
    EXPECT_EQ(entries[2].result, -EINVAL);
    EXPECT_EQ(last.arg[0], 2);
    EXPECT(!vf_v->in_multicall);
}

TEST(a_multicall_gives_way_between_entries) {
    reset();
    batch(3);
    work_at = 1;
    call(__HYPERVISOR_multicall, fake_guest_va(entries).va, 3);
    EXPECT_EQ(regs->rax, __HYPERVISOR_multicall);
    EXPECT_EQ(regs->rdi, fake_guest_va(&entries[1]).va);
    EXPECT_EQ(regs->rsi, 2);
    EXPECT_EQ(entries[0].result, 0);
    EXPECT_EQ(entries[1].result, 0xbad);
}

TEST(a_preempted_entry_keeps_its_progress_in_its_arguments) {
    reset();
    batch(3);
    restart_at = 2;
    call(__HYPERVISOR_multicall, fake_guest_va(entries).va, 3);
    EXPECT_EQ(regs->rdi, fake_guest_va(&entries[1]).va);
    EXPECT_EQ(regs->rsi, 2);
    EXPECT_EQ(entries[1].args[0], 101);
    EXPECT_EQ(entries[1].result, 0xbad);
    EXPECT_EQ(regs->rip, VF_RIP - 2);
}

TEST(an_iret_ends_the_batch) {
    reset();
    batch(3);
    entries[1].op = __HYPERVISOR_iret;
    answer = 42;
    call(__HYPERVISOR_multicall, fake_guest_va(entries).va, 3);
    EXPECT_STR(last.name, "iret");
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(regs->rax, 42);
    EXPECT_EQ(entries[2].result, 0xbad);
    EXPECT(!vf_v->in_multicall);
}

TEST(multicalls_do_not_nest) {
    reset();
    batch(1);
    entries[0].op = __HYPERVISOR_multicall;
    call(__HYPERVISOR_multicall, fake_guest_va(entries).va, 1);
    EXPECT_EQ(entries[0].result, -EINVAL);
}

TEST(unreadable_and_unwritable_entries_end_with_efault) {
    reset();
    call(__HYPERVISOR_multicall, 0x1000, 1);
    EXPECT_EQ(regs->rax, -EFAULT);
    batch(2);
    fake_guest.fail_at = fake_guest.accesses + 2; /* the result of the first */
    call(__HYPERVISOR_multicall, fake_guest_va(entries).va, 2);
    EXPECT_EQ(regs->rax, -EFAULT);
    EXPECT_EQ(calls, 1);
}
