/* Hypercalls that change one piece of the calling vcpu's own state. */
#include "arch/mm.h"
#include "core/domain.h"
#include "pv/guest-state.h"
#include "pv/hypercall.h"
#include "pv/traps.h"

#define DR6_ONES   0xffff0ff0
#define DR6_ZEROES BIT(12)
#define DR7_ONES   0x400
#define DR7_GD     0x2000
#define DR7_ZEROES (BIT(11) | BIT(12) | BIT(14) | BIT(15))
#define DR_RW_IO   2

/* The largest frame is 11 words, and a stack is aligned by up to 15 bytes first. */
bool pv_kernel_sp_ok(uint64_t sp) {
    uint64_t low = (sp & ~UINT64_C(15)) - 11 * 8;

    return (low + 11 * 8 - 1 < HYPERVISOR_VIRT_START || low >= HYPERVISOR_VIRT_END ||
            low > low + 11 * 8 - 1);
}

/*
 * stack_switch(ss, sp). Errors: -EINVAL: in the hypervisor's range (as on Xen the first use would
 * be fatal).
 */
long hypercall_stack_switch(struct vcpu *curr, uint64_t arg[6]) {
    if (!pv_kernel_sp_ok(arg[1]))
        return -EINVAL;
    curr->arch.kernel_ss = selector_ring3((uint16_t)arg[0]);
    curr->arch.kernel_sp = arg[1];
    return 0;
}

/* fpu_taskswitch(set) */
long hypercall_fpu_taskswitch(struct vcpu *curr, uint64_t arg[6]) {
    curr->arch.ts = arg[0];
    arch_vcpu_update_cr(curr);
    return 0;
}

/*
 * Ports are not to be watched: only we access them, in an NMI too, where a breakpoint would be one
 * interruption too many.
 */
static bool dr7_ok(uint64_t value) {
    if (value & DR7_GD)
        return false;
    for (unsigned int i = 0; i < 4; i++)
        if (value >> (2 * i) & 3 && (value >> (16 + 4 * i) & 3) == DR_RW_IO)
            return false;
    return true;
}

/* DR4 and DR5 are other names of 6 and 7, unless CR4.DE takes them away. */
static unsigned int debugreg_alias(const struct vcpu *v, unsigned int reg) {
    return (reg == 4 || reg == 5) && !(v->arch.cr4 & CR4_DE) ? reg + 2 : reg;
}

int pv_set_debugreg(struct vcpu *v, unsigned int reg, uint64_t value) {
    reg = debugreg_alias(v, reg);
    switch (reg) {
    case 0 ... 3:
        if (!va_is_canonical(value) ||
            (value + 7 >= HYPERVISOR_VIRT_START && value < HYPERVISOR_VIRT_END))
            return -EPERM;
        break;
    case 6:
        value = (value & 0xffffffff & ~DR6_ZEROES) | DR6_ONES;
        break;
    case 7:
        value = (value & 0xffffffff & ~DR7_ZEROES) | DR7_ONES;
        if (!dr7_ok(value))
            return -EPERM;
        break;
    default:
        return -ENODEV;
    }
    v->arch.debugreg[reg] = value;
    arch_vcpu_load_debugregs(v);
    return 0;
}

int pv_get_debugreg(const struct vcpu *v, unsigned int reg, uint64_t *value) {
    reg = debugreg_alias(v, reg);
    if (reg > 7 || reg == 4 || reg == 5)
        return -ENODEV;
    *value = v->arch.debugreg[reg];
    return 0;
}

long hypercall_set_debugreg(struct vcpu *curr, uint64_t arg[6]) {
    return arg[0] < 8 ? pv_set_debugreg(curr, (unsigned int)arg[0], arg[1]) : -ENODEV;
}

long hypercall_get_debugreg(struct vcpu *curr, uint64_t arg[6]) {
    uint64_t value;
    int rc = arg[0] < 8 ? pv_get_debugreg(curr, (unsigned int)arg[0], &value) : -ENODEV;

    return rc ? rc : (long)value;
}

/* set_segment_base(which, base or selector) */
long hypercall_set_segment_base(struct vcpu *curr, uint64_t arg[6]) {
    switch (arg[0]) {
    case SEGBASE_FS:
    case SEGBASE_GS_USER:
    case SEGBASE_GS_KERNEL:
        if (!va_is_canonical(arg[1]))
            return -EINVAL;
        arch_set_segment_base(curr, (unsigned int)arg[0], arg[1]);
        return 0;
    case SEGBASE_GS_USER_SEL:
        return arch_load_user_gs(curr, selector_ring3((uint16_t)arg[1]));
    default:
        return -EINVAL;
    }
}

/* vm_assist(cmd, type) */
long hypercall_vm_assist(struct vcpu *curr, uint64_t arg[6]) {
    struct domain *d = curr->domain;

    if (arg[1] >= 32 || !(PV_ASSISTS >> arg[1] & 1))
        return -EINVAL;
    switch (arg[0]) {
    case VMASST_CMD_enable:
        __atomic_fetch_or(&d->vm_assist, 1u << arg[1], __ATOMIC_SEQ_CST);
        break;
    case VMASST_CMD_disable:
        __atomic_fetch_and(&d->vm_assist, ~(1u << arg[1]), __ATOMIC_SEQ_CST);
        break;
    default:
        return -ENOSYS;
    }
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            pv_update_fault_path(d->vcpu[i]);
    return 0;
}
