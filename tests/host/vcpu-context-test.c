/* links: pv/vcpu-context.c pv/vcpu-state.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
#include <stdlib.h>
#include <string.h>

#include "pv/descriptor.h"
#include "pv/mmu.h"
#include "pv/vcpu-context.h"
#include "vcpu-fixture.h"

static int kernel_rc, user_rc, gdt_rc;
static uint64_t gdt_frame;

int mmu_new_kernel_base(struct vcpu *v, mfn_t mfn) {
    if (!kernel_rc)
        v->arch.kernel_l4 = mfn;
    return kernel_rc;
}
int mmu_new_user_base(struct vcpu *v, mfn_t mfn) {
    if (!user_rc)
        v->arch.user_l4 = mfn;
    return user_rc;
}
int pv_set_gdt(struct vcpu *v, const uint64_t *frames, unsigned int entries) {
    if (!gdt_rc) {
        gdt_frame = v->arch.gdt_mfn[0] = frames[0];
        v->arch.gdt_entries = entries;
    }
    return gdt_rc;
}
void pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries) {
    v->arch.ldt_base = base;
    v->arch.ldt_entries = entries;
}

static struct vcpu_guest_context *c;

/* What Linux fills in for a processor it brings up. */
static void reset(void) {
    vf_reset();
    free(c);
    c = calloc(1, sizeof(*c));
    kernel_rc = user_rc = gdt_rc = 0;
    c->flags = VGCF_IN_KERNEL;
    c->user_regs = (struct cpu_user_regs){.rip = VF_RIP, .rsp = 0xffffc90000003f58, .cs = 0x10,
                                          .ss = 0x18, .rflags = 0x1000, .rdi = 1, .r15 = 15};
    c->gdt_frames[0] = 5;
    c->gdt_ents = 16;
    c->kernel_ss = 0x18;
    c->kernel_sp = 0xffffc90000004000;
    c->ctrlreg[3] = xen_pfn_to_cr3(9);
    c->event_callback_eip = VF_HANDLER(300);
    c->failsafe_callback_eip = VF_HANDLER(301);
    c->gs_base_kernel = 0xffff88803ec00000;
    c->trap_ctxt[14] = (struct trap_info){14, 4, 0x10, VF_HANDLER(14)};
}

TEST(a_kernels_context_becomes_a_vcpu_that_can_run) {
    reset();
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), 0);
    const struct cpu_user_regs *regs = &vf_v->arch.regs;
    EXPECT(vf_v->initialised && vf_v->arch.kernel_mode);
    EXPECT_EQ(regs->rip, VF_RIP);
    EXPECT_EQ(regs->rdi, 1);
    EXPECT_EQ(regs->r15, 15);
    EXPECT_EQ(regs->cs, 0x13);
    EXPECT_EQ(regs->ss, 0x1b);
    EXPECT_EQ(regs->rflags, RFLAGS_IF | RFLAGS_FIXED);
    EXPECT_EQ(vf_v->arch.iopl, 1);
    EXPECT_EQ(vf_v->arch.exit, EXIT_IRET);
    EXPECT_EQ(vf_v->arch.kernel_l4.n, 9);
    EXPECT_EQ(vf_v->arch.user_l4.n, 0);
    EXPECT_EQ(gdt_frame, 5);
    EXPECT_EQ(vf_v->arch.kernel_sp, 0xffffc90000004000);
    EXPECT_EQ(vf_v->arch.gs_base_kernel, 0xffff88803ec00000);
    EXPECT_EQ(vf_v->arch.traps[14].cs, 0x13);
    EXPECT(vf_v->arch.event.masks_events && !vf_v->arch.syscall.eip);
}

TEST(every_address_is_checked_before_anything_changes) {
    static const size_t addresses[] = {
        offsetof(struct vcpu_guest_context, user_regs.rip),
        offsetof(struct vcpu_guest_context, event_callback_eip),
        offsetof(struct vcpu_guest_context, failsafe_callback_eip),
        offsetof(struct vcpu_guest_context, syscall_callback_eip),
        offsetof(struct vcpu_guest_context, fs_base),
        offsetof(struct vcpu_guest_context, gs_base_kernel),
        offsetof(struct vcpu_guest_context, gs_base_user),
        offsetof(struct vcpu_guest_context, ldt_base),
        offsetof(struct vcpu_guest_context, trap_ctxt[200].address),
    };

    for (unsigned int i = 0; i < ARRAY_LEN(addresses); i++) {
        reset();
        *(uint64_t *)((char *)c + addresses[i]) = UINT64_C(0x800000000000);
        EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
        EXPECT(!vf_v->initialised);
        EXPECT_EQ(vf_v->arch.kernel_l4.n, 0);
    }
    reset();
    c->kernel_sp = HYPERVISOR_VIRT_START + 4096;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
}

TEST(table_sizes_and_modes_are_checked) {
    reset();
    c->gdt_ents = FIRST_RESERVED_GDT_ENTRY + 1;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
    reset();
    c->ldt_ents = 8193;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
    reset();
    c->ldt_base = 0x1008;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
    reset();
    c->flags = 0; /* user mode, and no table for it */
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
    c->ctrlreg[1] = xen_pfn_to_cr3(10);
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), 0);
    EXPECT(!vf_v->arch.kernel_mode);
    EXPECT_EQ(vf_v->arch.user_l4.n, 10);
}

TEST(failures_of_the_frames_are_passed_on) {
    reset();
    kernel_rc = -ERESTART;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -ERESTART);
    reset();
    user_rc = -EBUSY;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EBUSY);
    reset();
    gdt_rc = -EINVAL;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), -EINVAL);
    EXPECT(!vf_v->initialised);
}

TEST(what_was_saved_loads_to_the_same) {
    struct vcpu_guest_context *again = calloc(1, sizeof(*again));

    reset();
    c->flags = VGCF_IN_KERNEL | VGCF_I387_VALID | VGCF_syscall_disables_events | VGCF_online;
    c->user_regs.cs |= 3, c->user_regs.ss |= 3, c->user_regs.rflags |= RFLAGS_IF | RFLAGS_FIXED;
    c->kernel_ss |= 3;
    c->trap_ctxt[14].cs |= 3;
    c->ctrlreg[0] = CR0_TS;
    c->ctrlreg[4] = CR4_DE;
    c->debugreg[0] = 0x1000;
    c->debugreg[6] = 0xffff0ff0;
    c->debugreg[7] = 0x402;
    c->syscall_callback_eip = VF_HANDLER(302);
    c->vm_assist = 1u << VMASST_TYPE_writable_pagetables;
    memset(&c->fpu_ctxt, 0x5a, sizeof(c->fpu_ctxt));
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), 0);
    EXPECT_EQ(vf_d.vm_assist, c->vm_assist);
    pv_vcpu_context_save(vf_v, again);
    for (unsigned int i = 0; i < 256; i++) /* the vector in a trap is only its place */
        c->trap_ctxt[i].vector = again->trap_ctxt[i].vector;
    EXPECT_MEM(again, c, sizeof(*c));
    free(again);
}

TEST(breakpoints_a_guest_may_not_have_are_left_out) {
    reset();
    c->debugreg[1] = HYPERVISOR_VIRT_START;
    c->debugreg[7] = 0x2000;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), 0);
    EXPECT_EQ(vf_v->arch.debugreg[1], 0);
    EXPECT_EQ(vf_v->arch.debugreg[7], 0);
}

TEST(assists_come_with_vcpu_0_only) {
    reset();
    vf_v->id = 1;
    c->vm_assist = ~UINT64_C(0);
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), 0);
    EXPECT_EQ(vf_d.vm_assist, 0);
    vf_v->id = 0;
    EXPECT_EQ(pv_vcpu_context_load(vf_v, c), 0);
    EXPECT_EQ(vf_d.vm_assist, PV_ASSISTS);
}
