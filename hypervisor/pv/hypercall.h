/*
 * Hypercalls. Every handler has the same shape: the calling vcpu and its six arguments.
 *
 * A handler that gives way stores in arg[] how far it got and returns -ERESTART; the dispatcher
 * makes the guest call again with those arguments (or writes them back to the multicall entry). So
 * the whole continuation lives in guest registers, and is fetched and checked anew.
 */
#ifndef PV_HYPERCALL_H
#define PV_HYPERCALL_H

#include "core/vcpu.h"
#include "lib/types.h"

typedef long (*hypercall_fn)(struct vcpu *curr, uint64_t arg[6]);

/*
 * All of them by number; entry.S calls through it, with the argument registers as arg. Of
 * v->arch.regs only rip, rsp, rflags and rax are up to date during a hypercall.
 */
#define NR_HYPERCALLS 64
extern const hypercall_fn hypercall_table[NR_HYPERCALLS];

/*
 * Fill a page with call stubs, 32 bytes a hypercall, for kernels that ask for one
 * (note HYPERCALL_PAGE). Everything else in it is ud2.
 */
void pv_fill_hypercall_page(void *page);

/* One per hypercall; the table is in pv/hypercall.c, each is defined in the file named. */
long hypercall_set_trap_table(struct vcpu *curr, uint64_t arg[6]);      /* traps.c */
long hypercall_mmu_update(struct vcpu *curr, uint64_t arg[6]);          /* mmu-update.c */
long hypercall_set_gdt(struct vcpu *curr, uint64_t arg[6]);             /* descriptor.c */
long hypercall_stack_switch(struct vcpu *curr, uint64_t arg[6]);        /* vcpu-state.c */
long hypercall_set_callbacks(struct vcpu *curr, uint64_t arg[6]);       /* callback.c */
long hypercall_fpu_taskswitch(struct vcpu *curr, uint64_t arg[6]);      /* vcpu-state.c */
long hypercall_platform_op(struct vcpu *curr, uint64_t arg[6]);         /* platform.c */
long hypercall_set_debugreg(struct vcpu *curr, uint64_t arg[6]);        /* vcpu-state.c */
long hypercall_get_debugreg(struct vcpu *curr, uint64_t arg[6]);        /* vcpu-state.c */
long hypercall_update_descriptor(struct vcpu *curr, uint64_t arg[6]);   /* descriptor.c */
long hypercall_memory_op(struct vcpu *curr, uint64_t arg[6]);           /* memory-op.c */
long hypercall_multicall(struct vcpu *curr, uint64_t arg[6]);           /* hypercall.c */
long hypercall_update_va_mapping(struct vcpu *curr, uint64_t arg[6]);   /* mmu-update.c */
long hypercall_update_va_mapping_otherdomain(struct vcpu *curr, uint64_t arg[6]);
long hypercall_set_timer_op(struct vcpu *curr, uint64_t arg[6]);        /* vcpu-op.c */
long hypercall_xen_version(struct vcpu *curr, uint64_t arg[6]);         /* xen-version.c */
long hypercall_console_io(struct vcpu *curr, uint64_t arg[6]);          /* console-io.c */
long hypercall_vm_assist(struct vcpu *curr, uint64_t arg[6]);           /* vcpu-state.c */
long hypercall_iret(struct vcpu *curr, uint64_t arg[6]);                /* iret.c */
long hypercall_vcpu_op(struct vcpu *curr, uint64_t arg[6]);             /* vcpu-op.c */
long hypercall_set_segment_base(struct vcpu *curr, uint64_t arg[6]);    /* vcpu-state.c */
long hypercall_mmuext_op(struct vcpu *curr, uint64_t arg[6]);           /* mmuext.c */
long hypercall_sched_op(struct vcpu *curr, uint64_t arg[6]);            /* sched-op.c */
long hypercall_callback_op(struct vcpu *curr, uint64_t arg[6]);         /* callback.c */
long hypercall_physdev_op(struct vcpu *curr, uint64_t arg[6]);          /* physdev.c */
/* Boot: the M2P's frames become dom_xen's, for tools to map read-only (memory-op.c). */
void memory_share_m2p(void);

long hypercall_mca(struct vcpu *curr, uint64_t arg[6]);                 /* mca.c */
/* core: hypercall_event_channel_op, hypercall_grant_table_op */

#endif
