#include <abi/callback.h>

#include "arch/mm.h"
#include "core/vcpu.h"
#include "pv/guest-state.h"
#include "pv/hypercall.h"

static void set(struct pv_callback *cb, uint64_t eip, bool masks_events) {
    cb->eip = eip;
    cb->masks_events = eip && masks_events; /* entry.S tests only this */
}

static void set_nmi(struct vcpu *v, uint64_t address) {
    v->arch.traps[2] = (struct trap_info){.vector = 2, .cs = FLAT_KERNEL_CS, .address = address};
}

static int set_callback(struct vcpu *v, const struct callback_register *reg) {
    bool masks = reg->flags & CALLBACKF_mask_events;

    if (!va_is_canonical(reg->address))
        return -EINVAL;
    switch (reg->type) {
    case CALLBACKTYPE_event:
        set(&v->arch.event, reg->address, true);
        return 0;
    case CALLBACKTYPE_failsafe:
        set(&v->arch.failsafe, reg->address, masks);
        return 0;
    case CALLBACKTYPE_syscall:
        set(&v->arch.syscall, reg->address, masks);
        return 0;
    case CALLBACKTYPE_syscall32:
        set(&v->arch.syscall32, reg->address, masks);
        return 0;
    case CALLBACKTYPE_sysenter:
        set(&v->arch.sysenter, reg->address, masks);
        return 0;
    case CALLBACKTYPE_nmi:
        set_nmi(v, reg->address);
        return 0;
    default:
        return -ENOSYS;
    }
}

/* Only the NMI callback can be taken back; a vcpu cannot do without the others. */
static int unset_callback(struct vcpu *v, uint16_t type) {
    switch (type) {
    case CALLBACKTYPE_nmi:
        set_nmi(v, 0);
        return 0;
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_syscall32:
    case CALLBACKTYPE_sysenter:
        return -EINVAL;
    default:
        return -ENOSYS;
    }
}

/* ABI: callback.h, callback_op(cmd, arg). */
long hypercall_callback_op(struct vcpu *curr, uint64_t arg[6]) {
    guest_va_t at = {arg[1]};
    struct callback_register reg;
    struct callback_unregister unreg;

    switch (arg[0]) {
    case CALLBACKOP_register:
        return copy_from_guest(&reg, at, sizeof(reg)) ? -EFAULT : set_callback(curr, &reg);
    case CALLBACKOP_unregister:
        return copy_from_guest(&unreg, at, sizeof(unreg)) ? -EFAULT
                                                          : unset_callback(curr, unreg.type);
    default:
        return -ENOSYS;
    }
}

/* The older form: set_callbacks(event, failsafe, syscall). */
long hypercall_set_callbacks(struct vcpu *curr, uint64_t arg[6]) {
    static const uint16_t types[] = {CALLBACKTYPE_event, CALLBACKTYPE_failsafe,
                                     CALLBACKTYPE_syscall};
    int rc = 0;

    for (unsigned int i = 0; i < ARRAY_LEN(types) && !rc; i++) {
        struct callback_register reg = {.type = types[i], .address = arg[i]};

        rc = set_callback(curr, &reg);
    }
    return rc;
}
