#include "vcpu-fixture.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pv/traps.h"

struct domain vf_d;
struct vcpu *vf_v;
struct vcpu_info *vf_info;
_Alignas(16) uint64_t vf_stack[512];
_Alignas(4096) uint8_t vf_memory[VF_MEMORY + PAGE_SIZE];
unsigned int vf_crashes;

static struct shared_info shared;
static struct trap_info traps[256];

__attribute__((weak)) void domain_crash(struct domain *d, const char *fmt, ...) {
    (void)d, (void)fmt;
    vf_crashes++;
}

/* pv/traps.c's, for tests that do not link it. */
__attribute__((weak)) void pv_update_fault_path(struct vcpu *v) {
    (void)v;
}

void vf_reset(void) {
    struct vcpu *v;

    fake_machine_init(64);
    fake_guest_memory(vf_stack, sizeof(vf_stack));
    fake_guest_memory(vf_memory, VF_MEMORY);
    memset(&vf_d, 0, sizeof(vf_d));
    memset(&shared, 0, sizeof(shared));
    memset(vf_stack, 0, sizeof(vf_stack));
    memset(vf_memory, 0, sizeof(vf_memory));
    if (vf_v) {
        arch_vcpu_destroy(vf_v);
        free(vf_v);
    }
    vf_crashes = 0;
    vf_d.shared_info = &shared;
    v = vf_v = calloc(1, sizeof(*v));
    v->domain = &vf_d;
    v->info = vf_info = &shared.vcpu_info[0];
    REQUIRE(arch_vcpu_init(v) == 0);
    for (unsigned int i = 0; i < 256; i++)
        traps[i] = (struct trap_info){.vector = (uint8_t)i, .address = VF_HANDLER(i)};
    v->arch.traps = traps;
    v->arch.kernel_mode = true;
    v->arch.kernel_sp = vf_sp(512);
    v->arch.event = (struct pv_callback){VF_HANDLER(300), true};
    v->arch.failsafe = (struct pv_callback){VF_HANDLER(301), true};
    v->arch.regs = (struct cpu_user_regs){.rip = VF_RIP,
                                          .cs = FLAT_KERNEL_CS,
                                          .ss = FLAT_KERNEL_SS,
                                          .rflags = RFLAGS_IF | RFLAGS_FIXED,
                                          .rsp = vf_sp(256),
                                          .rcx = 0xccc,
                                          .r11 = 0xb11};
    fake_cpu->current = v;
    vf_work(false);
}

void vf_user(void) {
    struct cpu_user_regs *regs = &vf_v->arch.regs;

    vf_v->arch.kernel_mode = false;
    vf_v->arch.user_l4 = mfn_of(7);
    regs->rip = VF_USER_RIP;
    regs->cs = 0x33;
    regs->ss = 0x2b;
    regs->rsp = 0x7ffffff0;
}
