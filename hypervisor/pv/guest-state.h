/* Small rules about vcpu state that several hypercalls and the emulator share. */
#ifndef PV_GUEST_STATE_H
#define PV_GUEST_STATE_H

#include "core/vcpu.h"
#include "lib/types.h"

#define RFLAGS_FIXED BIT(1)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_DF    BIT(10)
#define RFLAGS_IOPL  (BIT(12) | BIT(13))
#define RFLAGS_NT    BIT(14)
#define RFLAGS_RF    BIT(16)
#define RFLAGS_VM    BIT(17)
#define RFLAGS_AC    BIT(18)
#define RFLAGS_VIF   BIT(19)
#define RFLAGS_VIP   BIT(20)
/* What a guest may not choose in the real flags; IF is always set. */
#define RFLAGS_FORCED (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)

#define CR0_TS      BIT(3)
#define CR4_TSD     BIT(2)
#define CR4_DE      BIT(3)
#define CR4_OSXSAVE BIT(18)
/* What a guest may set in its CR4; only TSD and DE reach the processor. */
#define CR4_GUEST (CR4_TSD | CR4_DE | CR4_OSXSAVE)

/* Assists a domain may switch on. */
#define PV_ASSISTS                                                                                 \
    (1u << VMASST_TYPE_4gb_segments | 1u << VMASST_TYPE_4gb_segments_notify |                      \
     1u << VMASST_TYPE_writable_pagetables | 1u << VMASST_TYPE_pae_extended_cr3 |                  \
     1u << VMASST_TYPE_architectural_iopl | 1u << VMASST_TYPE_runstate_update_flag)

static inline bool va_is_canonical(uint64_t va) {
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}
/* Ring 3 for everything a guest names; the null selector stays what it is. */
static inline uint16_t selector_ring3(uint16_t selector) {
    return selector & ~3 ? selector | 3 : selector;
}
static inline uint64_t rflags_for_guest(uint64_t wanted) {
    return (wanted & 0xffffffff & ~RFLAGS_FORCED) | RFLAGS_IF | RFLAGS_FIXED;
}

/*
 * May frames be pushed below this stack pointer? Not if they would lie in the hypervisor's range:
 * the entry code relies on kernel_sp having passed this.
 */
bool pv_kernel_sp_ok(uint64_t sp);

/*
 * Debug registers of v as the guest sees them. Errors: -EPERM an address or condition it may not
 * watch; -ENODEV no such register.
 */
MUST_CHECK int pv_set_debugreg(struct vcpu *v, unsigned int reg, uint64_t value);
MUST_CHECK int pv_get_debugreg(const struct vcpu *v, unsigned int reg, uint64_t *value);

#endif
