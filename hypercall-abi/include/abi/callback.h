/* The entry points of a guest kernel. */
#ifndef ABI_CALLBACK_H
#define ABI_CALLBACK_H

#include <abi/xen.h>

/* callback_op(cmd, arg), for the calling vcpu */
#define CALLBACKOP_register   0
#define CALLBACKOP_unregister 1

#define CALLBACKTYPE_event               0 /* an event channel is pending       */
#define CALLBACKTYPE_failsafe            1 /* a guest selector could not be loaded */
#define CALLBACKTYPE_syscall             2 /* syscall from 64-bit user mode     */
#define CALLBACKTYPE_sysenter_deprecated 3
#define CALLBACKTYPE_nmi                 4
#define CALLBACKTYPE_sysenter            5
#define CALLBACKTYPE_syscall32           7 /* syscall from 32-bit user mode     */

#define _CALLBACKF_mask_events 0
#define CALLBACKF_mask_events  (1u << _CALLBACKF_mask_events) /* enter with events masked */

struct callback_register {
    uint16_t type;                  /* CALLBACKTYPE_*                         */
    uint16_t flags;                 /* CALLBACKF_*                            */
    xen_callback_t address;
};
ABI_SIZE(struct callback_register, 0x10);
ABI_OFFSET(struct callback_register, address, 8);

struct callback_unregister {
    uint16_t type;
    uint16_t _unused;
};
ABI_SIZE(struct callback_unregister, 4);

#endif
