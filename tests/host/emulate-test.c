/* links: pv/emulate.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
/* Privileged instructions: the bytes of each form, what they do to the registers, and who may. */
#include <string.h>

#include "pv/descriptor.h"
#include "pv/emulate.h"
#include "pv/mmu.h"
#include "vcpu-fixture.h"

static struct {
    uint16_t port;
    unsigned int size, reads, writes;
    uint32_t value;
} io;
static struct {
    uint32_t msr;
    uint64_t value;
    int rc;
} msr;
static struct {
    unsigned int vector, count;
    uint32_t error_code;
    uint64_t cr2;
} injected;
static uint64_t new_base, dr[8];
static int base_rc;
static bool compat;

uint32_t pv_port_in(struct vcpu *v, uint16_t port, unsigned int size) {
    (void)v;
    io.port = port, io.size = size, io.reads++;
    return io.value++ & (UINT32_MAX >> (32 - 8 * size));
}
void pv_port_out(struct vcpu *v, uint16_t port, unsigned int size, uint32_t value) {
    (void)v;
    io.port = port, io.size = size, io.writes++;
    io.value = value & (UINT32_MAX >> (32 - 8 * size));
}
int pv_rdmsr(struct vcpu *v, uint32_t nr, uint64_t *value) {
    (void)v;
    msr.msr = nr;
    *value = msr.value;
    return msr.rc;
}
int pv_wrmsr(struct vcpu *v, uint32_t nr, uint64_t value) {
    (void)v;
    msr.msr = nr, msr.value = value;
    return msr.rc;
}
void pv_cpuid(const struct domain *d, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    (void)d;
    for (unsigned int i = 0; i < 4; i++)
        regs[i] = leaf + subleaf + i;
}
void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error_code) {
    (void)v;
    injected.vector = vector, injected.error_code = error_code, injected.count++;
}
void pv_inject_page_fault(struct vcpu *v, uint32_t error_code, uint64_t cr2) {
    injected.cr2 = cr2;
    pv_inject(v, 14, error_code);
}
int mmu_new_kernel_base(struct vcpu *v, mfn_t mfn) {
    (void)v;
    new_base = mfn.n;
    return base_rc;
}
bool pv_selector_is_64bit(const struct vcpu *v, uint16_t selector) {
    (void)v, (void)selector;
    return !compat;
}
int pv_set_debugreg(struct vcpu *v, unsigned int reg, uint64_t value) {
    (void)v;
    dr[reg & 7] = value;
    return reg < 8 ? 0 : -ENODEV;
}
int pv_get_debugreg(const struct vcpu *v, unsigned int reg, uint64_t *value) {
    (void)v;
    *value = dr[reg & 7];
    return reg < 8 ? 0 : -ENODEV;
}

static struct cpu_user_regs *regs;

static void reset(void) {
    vf_reset();
    regs = &vf_v->arch.regs;
    regs->rip = (uintptr_t)vf_memory;
    vf_v->arch.iopl = 1;
    memset(&io, 0, sizeof(io));
    memset(&msr, 0, sizeof(msr));
    memset(&injected, 0, sizeof(injected));
    base_rc = 0;
    compat = false;
}
static void user(void) {
    uint64_t rip = regs->rip;

    vf_user();
    regs->rip = rip;
}

/* Run the bytes at the start of vf_memory; the number of bytes skipped, or -1 for a fault. */
static int run(const char *bytes, size_t len) {
    regs->rip = vf_put(bytes, len).va;
    if (!pv_emulate_privileged(vf_v))
        return -1;
    return (int)(regs->rip - (uintptr_t)vf_memory);
}
#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

TEST(in_and_out_take_their_port_from_the_instruction_or_dx) {
    reset();
    io.value = 0xaabbccdd;
    regs->rax = ~UINT64_C(0);
    EXPECT_EQ(RUN("\xe4\x61"), 2); /* in $0x61, %al */
    EXPECT(io.port == 0x61 && io.size == 1);
    EXPECT_EQ(regs->rax, 0xffffffffffffffdd);
    regs->rdx = 0xffff0cf8;
    EXPECT_EQ(RUN("\x66\xed"), 2); /* in %dx, %ax */
    EXPECT(io.port == 0xcf8 && io.size == 2);
    EXPECT_EQ(regs->rax, 0xffffffffffffccde);
    EXPECT_EQ(RUN("\xed"), 1); /* in %dx, %eax: the upper half goes */
    EXPECT_EQ(regs->rax, 0xaabbccdf);
    regs->rax = 0x1122334455667788;
    EXPECT_EQ(RUN("\xe6\x80"), 2);
    EXPECT(io.port == 0x80 && io.size == 1 && io.value == 0x88);
    EXPECT_EQ(RUN("\xef"), 1);
    EXPECT(io.port == 0xcf8 && io.size == 4 && io.value == 0x55667788);
    EXPECT_EQ(RUN("\x66\xef"), 2);
    EXPECT(io.size == 2 && io.value == 0x7788);
    EXPECT_EQ(io.writes, 3);
}

TEST(ports_need_iopl_or_the_bitmap) {
    uint8_t *bitmap = vf_memory + 4096;

    reset();
    vf_v->arch.iopl = 0;
    regs->rdx = 0x3f7;
    EXPECT_EQ(RUN("\xec"), -1);
    vf_v->arch.iobitmap = fake_guest_va(bitmap);
    vf_v->arch.iobitmap_ports = 0x400;
    memset(bitmap, 0xff, 128);
    EXPECT_EQ(RUN("\xec"), -1);
    bitmap[0x3f7 / 8] &= 0x7f;
    EXPECT_EQ(RUN("\xec"), 1);
    EXPECT_EQ(RUN("\xed"), -1); /* four ports, one allowed */
    bitmap[0x3f8 / 8] = 0xf8;
    EXPECT_EQ(RUN("\xed"), 1);
    regs->rdx = 0x3fd;
    EXPECT_EQ(RUN("\xed"), -1); /* the bitmap ends */
    EXPECT_EQ(io.reads, 2);
}

TEST(user_mode_needs_iopl_3_or_the_bitmap) {
    uint8_t *bitmap = vf_memory + 4096;

    reset();
    user();
    regs->rdx = 8;
    EXPECT_EQ(RUN("\xec"), -1);
    vf_v->arch.iobitmap = fake_guest_va(bitmap);
    vf_v->arch.iobitmap_ports = 64;
    EXPECT_EQ(RUN("\xec"), 1);
    EXPECT(!vf_v->arch.kernel_mode);
    vf_v->arch.iobitmap_ports = 0;
    vf_v->arch.iopl = 3;
    EXPECT_EQ(RUN("\xec"), 1);
}

TEST(cli_and_sti_are_skipped) {
    reset();
    vf_v->arch.iopl = 0;
    EXPECT_EQ(RUN("\xfa"), 1);
    EXPECT_EQ(RUN("\xfb"), 1);
    EXPECT_EQ(vf_info->evtchn_upcall_mask, 0);
    user();
    EXPECT_EQ(RUN("\xfa"), -1);
    vf_v->arch.iopl = 3;
    EXPECT_EQ(RUN("\xfa"), 1);
}

TEST(string_input_fills_memory_and_counts_down) {
    uint16_t *to = (uint16_t *)(vf_memory + 4096);

    reset();
    io.value = 0x1000;
    regs->rdi = fake_guest_va(to).va;
    regs->rcx = 3;
    regs->rdx = 0x1f0;
    EXPECT_EQ(RUN("\xf3\x66\x6d"), 3); /* rep insw */
    EXPECT(to[0] == 0x1000 && to[1] == 0x1001 && to[2] == 0x1002);
    EXPECT_EQ(regs->rcx, 0);
    EXPECT_EQ(regs->rdi, fake_guest_va(to + 3).va);
    EXPECT_EQ(RUN("\xf3\x66\x6d"), 3); /* nothing left: skipped */
    EXPECT_EQ(io.reads, 3);
}

TEST(string_output_honours_direction_and_segment) {
    uint32_t *from = (uint32_t *)(vf_memory + 4096);

    reset();
    from[0] = 1, from[1] = 2;
    fake_record.segment_base[SEGBASE_FS] = fake_guest_va(from).va;
    regs->rsi = 4;
    regs->rflags |= RFLAGS_DF;
    EXPECT_EQ(RUN("\x64\x6f"), 2); /* outsl %fs:(%rsi) */
    EXPECT(io.value == 2 && io.size == 4);
    EXPECT_EQ(regs->rsi, 0);
    EXPECT_EQ(RUN("\x64\x6f"), 2);
    EXPECT_EQ(io.value, 1);
}

TEST(string_io_stops_where_memory_does_and_goes_on_there) {
    reset();
    regs->rdi = fake_guest_va(vf_memory).va + VF_MEMORY - 2;
    regs->rcx = 4;
    EXPECT_EQ(RUN("\xf3\x6c"), 0); /* rep insb */
    EXPECT_EQ(injected.vector, 14);
    EXPECT_EQ(injected.cr2, fake_guest_va(vf_memory).va + VF_MEMORY);
    EXPECT_EQ(injected.error_code, 2);
    EXPECT_EQ(regs->rcx, 2);
    EXPECT_EQ(io.reads, 2); /* the device was not asked for what has no place */
}

TEST(string_io_gives_way) {
    reset();
    regs->rdi = fake_guest_va(vf_memory + 4096).va;
    regs->rcx = 4;
    vf_work(true);
    EXPECT_EQ(RUN("\xf3\x6c"), 0);
    EXPECT_EQ(regs->rcx, 3);
    EXPECT_EQ(injected.count, 0);
}

TEST(msrs_are_in_ecx_and_edx_eax) {
    reset();
    regs->rcx = 0xffffffff00000277;
    msr.value = 0x1122334455667788;
    EXPECT_EQ(RUN("\x0f\x32"), 2);
    EXPECT_EQ(msr.msr, 0x277);
    EXPECT_EQ(regs->rax, 0x55667788);
    EXPECT_EQ(regs->rdx, 0x11223344);
    regs->rax = 0xffffffff00000001, regs->rdx = 0xffffffff00000002;
    EXPECT_EQ(RUN("\x0f\x30"), 2);
    EXPECT_EQ(msr.value, 0x200000001);
    msr.rc = -EFAULT;
    EXPECT_EQ(RUN("\x0f\x32"), -1);
    EXPECT_EQ(RUN("\x0f\x30"), -1);
}

TEST(control_registers_are_the_guests_view) {
    reset();
    vf_v->arch.kernel_l4 = mfn_of(0); /* guest memory by pointer */
    vf_v->arch.ts = true;
    vf_v->info->arch.cr2 = 0x5000;
    EXPECT_EQ(RUN("\x0f\x20\xc3"), 3); /* mov %cr0, %rbx */
    EXPECT_EQ(regs->rbx, 0x8005003b);
    EXPECT_EQ(RUN("\x41\x0f\x20\xd0"), 4); /* mov %cr2, %r8 */
    EXPECT_EQ(regs->r8, 0x5000);
    EXPECT_EQ(RUN("\x0f\x20\xe0"), 3); /* mov %cr4, %rax */
    EXPECT_EQ(regs->rax, 0x660);
    EXPECT_EQ(RUN("\x44\x0f\x20\xc0"), -1); /* mov %cr8, %rax */
}

TEST(control_registers_change_what_the_guest_may) {
    reset();
    regs->rax = 0x80050033;
    vf_v->arch.ts = true;
    EXPECT_EQ(RUN("\x0f\x22\xc0"), 3);
    EXPECT(!vf_v->arch.ts);
    regs->rax = 0x80050013; /* NE off: no */
    EXPECT_EQ(RUN("\x0f\x22\xc0"), -1);
    regs->rax = ~UINT64_C(0);
    EXPECT_EQ(RUN("\x0f\x22\xe0"), 3);
    EXPECT_EQ(vf_v->arch.cr4, CR4_TSD | CR4_DE | CR4_OSXSAVE);
    regs->rax = 0x7000;
    EXPECT_EQ(RUN("\x0f\x22\xd0"), 3);
    EXPECT_EQ(vf_info->arch.cr2, 0x7000);
    EXPECT_EQ(RUN("\x0f\x22\xd8"), 3);
    EXPECT_EQ(new_base, 7);
    base_rc = -EINVAL;
    EXPECT_EQ(RUN("\x0f\x22\xd8"), -1);
    base_rc = -ERESTART;
    EXPECT_EQ(RUN("\x0f\x22\xd8"), 0);
    vf_v->arch.ts = true;
    EXPECT_EQ(RUN("\x0f\x06"), 2);
    EXPECT(!vf_v->arch.ts);
}

TEST(debug_registers_by_instruction) {
    reset();
    regs->rdx = 0x1234;
    EXPECT_EQ(RUN("\x0f\x23\xda"), 3); /* mov %rdx, %dr3 */
    EXPECT_EQ(dr[3], 0x1234);
    EXPECT_EQ(RUN("\x0f\x21\xd8"), 3);
    EXPECT_EQ(regs->rax, 0x1234);
    EXPECT_EQ(RUN("\x44\x0f\x23\xda"), -1);
}

TEST(xsetbv_is_checked_against_the_policy) {
    reset();
    regs->rax = 7, regs->rcx = 0;
    EXPECT_EQ(RUN("\x0f\x01\xd1"), 3);
    EXPECT_EQ(vf_v->arch.xcr0, 7);
    regs->rax = 0x87;
    EXPECT_EQ(RUN("\x0f\x01\xd1"), -1);
    regs->rax = 7, regs->rcx = 1;
    EXPECT_EQ(RUN("\x0f\x01\xd1"), -1);
    EXPECT_EQ(RUN("\x0f\x01\x18"), -1); /* lidt */
}

TEST(the_kernel_may_read_the_tsc_it_forbids_its_users) {
    reset();
    fake_clock.tsc = 0x500000000;
    EXPECT_EQ(RUN("\x0f\x31"), 2);
    EXPECT_EQ(regs->rdx, 5);
    vf_v->arch.tsc_aux = 9;
    EXPECT_EQ(RUN("\x0f\x01\xf9"), 3);
    EXPECT_EQ(regs->rcx, 9);
    user();
    EXPECT_EQ(RUN("\x0f\x31"), -1);
    EXPECT_EQ(RUN("\x0f\x01\xf9"), -1);
}

TEST(user_mode_gets_nothing_privileged) {
    static const char *const privileged[] = {"\x0f\x06", "\x0f\x09", "\x0f\x30", "\x0f\x32"};

    reset();
    user();
    for (unsigned int i = 0; i < ARRAY_LEN(privileged); i++)
        EXPECT_EQ(run(privileged[i], 2), -1);
    EXPECT_EQ(RUN("\x0f\x20\xc0"), -1);
    EXPECT_EQ(RUN("\x0f\x22\xc0"), -1);
    EXPECT_EQ(RUN("\x0f\x01\xd1"), -1);
    EXPECT_EQ(RUN("\x0f\xa2"), 2);
}

TEST(instructions_that_are_not_ours_are_left_alone) {
    static const char *const others[] = {"\xf4\x90", "\x90\x90", "\x0f\x0b", "\xcf\x90", "\x0f\x00",
                                         "\xf0\xfa"};

    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(others); i++)
        EXPECT_EQ(run(others[i], 2), -1);
    EXPECT_EQ(regs->rip, (uintptr_t)vf_memory);
}

TEST(fifteen_bytes_are_the_longest_instruction) {
    reset();
    EXPECT_EQ(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xfa"), 15);
    EXPECT_EQ(RUN("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xfa"), -1);
}

TEST(a_rex_prefix_counts_only_right_before_the_opcode) {
    reset();
    regs->rax = 1, regs->r8 = 2;
    vf_v->info->arch.cr2 = 0x5000;
    EXPECT_EQ(RUN("\x41\x66\x0f\x20\xd0"), 5);
    EXPECT_EQ(regs->rax, 0x5000);
    EXPECT_EQ(regs->r8, 2);
}

TEST(in_compatibility_mode_0x40_is_no_prefix) {
    reset();
    user();
    vf_v->arch.iopl = 3;
    compat = true;
    EXPECT_EQ(RUN("\x48\xec"), -1); /* dec %eax */
    regs->rip = vf_put("\xec", 1).va;
    EXPECT(pv_emulate_privileged(vf_v));
    EXPECT_EQ(regs->rip, ((uintptr_t)vf_memory + 1) & UINT32_MAX);
}

TEST(code_is_read_once_and_not_beyond_its_page_without_need) {
    reset();
    vf_put("", 0);
    vf_memory[VF_MEMORY - 1] = 0xfa; /* the next page is not there */
    regs->rip = fake_guest_va(vf_memory).va + VF_MEMORY - 1;
    fake_guest_begin();
    EXPECT(pv_emulate_privileged(vf_v));
    EXPECT_EQ(fake_guest.double_fetches, 0);
    vf_memory[4095] = 0x0f, vf_memory[4096] = 0x32;
    regs->rip = fake_guest_va(vf_memory).va + 4095;
    EXPECT(pv_emulate_privileged(vf_v));
    EXPECT_EQ(fake_guest.double_fetches, 0);
    vf_memory[VF_MEMORY - 1] = 0x0f;
    regs->rip = fake_guest_va(vf_memory).va + VF_MEMORY - 1;
    EXPECT(!pv_emulate_privileged(vf_v));
}

TEST(single_step_and_resume_flags_are_dealt_with) {
    reset();
    regs->rflags |= RFLAGS_RF | RFLAGS_TF;
    EXPECT_EQ(RUN("\xfa"), 1);
    EXPECT_EQ(regs->rflags & RFLAGS_RF, 0);
    EXPECT_EQ(injected.vector, 1);
    EXPECT(vf_v->arch.debugreg[6] & BIT(14));
}

TEST(forced_cpuid_works_in_both_modes_and_nothing_else_does) {
    static const char good[] = "\x0f\x0bxen\x0f\xa2", bad[] = "\x0f\x0bxen\x0f\xa3";

    for (unsigned int i = 0; i < 2; i++) {
        reset();
        if (i)
            user();
        regs->rip = vf_put(good, 7).va;
        regs->rax = 0x40000000, regs->rcx = 2;
        EXPECT(pv_emulate_forced(vf_v));
        EXPECT_EQ(regs->rip, (uintptr_t)vf_memory + 7);
        EXPECT_EQ(regs->rax, 0x40000002);
        EXPECT_EQ(regs->rbx, 0x40000003);
        EXPECT_EQ(regs->rdx, 0x40000005);
        regs->rip = vf_put(bad, 7).va;
        EXPECT(!pv_emulate_forced(vf_v));
        regs->rip = vf_put("\x0f\x0b\x90", 3).va;
        EXPECT(!pv_emulate_forced(vf_v));
        EXPECT_EQ(regs->rip, (uintptr_t)vf_memory);
    }
}
