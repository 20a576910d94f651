/* One vcpu of one domain, with a kernel stack and handlers, for the tests of pv's cpu side. */
#ifndef VCPU_FIXTURE_H
#define VCPU_FIXTURE_H

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "pv/guest-state.h"
#include "pv/hypercall.h"
#include "pv/traps.h"
#include "test.h"

#define VF_HANDLER(n) (UINT64_C(0xffffffff81000000) + (n) * 16) /* of exception n */
#define VF_RIP        UINT64_C(0xffffffff81234567)
#define VF_USER_RIP   UINT64_C(0x401000)

extern struct domain vf_d;
extern struct vcpu *vf_v;
extern struct vcpu_info *vf_info;
extern uint64_t vf_stack[512];            /* the guest kernel's, registered as guest memory */
/* For arguments and code; the first VF_MEMORY bytes are registered, what follows faults. */
#define VF_MEMORY (2 * PAGE_SIZE)
extern uint8_t vf_memory[VF_MEMORY + PAGE_SIZE];
extern unsigned int vf_crashes;           /* domain_crash() calls */

/* Kernel mode at VF_RIP with rsp in the middle of vf_stack, every exception handled, events on. */
void vf_reset(void);
/* The same vcpu in user mode, kernel_sp at the end of vf_stack. */
void vf_user(void);

static inline uint64_t vf_sp(unsigned int word) {
    return (uintptr_t)&vf_stack[word];
}
/* The words the guest's handler finds at its rsp. */
static inline const uint64_t *vf_frame(void) {
    return (const uint64_t *)vf_v->arch.regs.rsp;
}
static inline guest_va_t vf_put(const void *bytes, size_t len) {
    __builtin_memcpy(vf_memory, bytes, len);
    return fake_guest_va(vf_memory);
}
static inline void vf_work(bool on) {
    this_cpu()->work = on;
}

#endif
