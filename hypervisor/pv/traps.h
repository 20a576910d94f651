/* Exceptions, from the machine's point of view (entry) and the guest's (bounce frames). */
#ifndef PV_TRAPS_H
#define PV_TRAPS_H

#include "core/vcpu.h"
#include "lib/types.h"

/*
 * From arch: the guest (v is current, came from ring 3) took this exception. Emulates what is
 * ours to emulate, else prepares delivery to the guest. The exit path then returns to
 * v->arch.regs. cr2 is meaningful for #PF only.
 */
void pv_exception(struct vcpu *v, unsigned int vector, uint32_t error_code, uint64_t cr2);

/*
 * Is access to va (error_code as of #PF) allowed by the page tables as they are now, so that only
 * a stale translation can have caused the fault? Then it is gone from this cpu and a retry will do.
 */
bool pv_fault_is_spurious(struct vcpu *v, uint64_t va, uint32_t error_code);

/*
 * Queue an exception for the guest: builds its frame on the guest kernel stack now. Crashes the
 * domain if it cannot.
 */
void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error_code);
void pv_inject_page_fault(struct vcpu *v, uint32_t error_code, uint64_t cr2);

/*
 * From the exit path, interrupts off, v about to run: deliver a pending event upcall (pending and
 * not masked) or NMI. Cheap test first: the exit path calls it only when
 * info->evtchn_upcall_pending && !info->evtchn_upcall_mask, or nmi_pending.
 */
void pv_deliver_pending(struct vcpu *v);

/*
 * Build {rcx, r11, [error], rip, cs|mask, rflags, rsp, ss} on the guest kernel stack (switching
 * to kernel mode if v is in user mode) and continue at eip. Errors: false: the domain was crashed.
 */
bool pv_bounce(struct vcpu *v, uint64_t eip, bool mask_events, bool has_error, uint32_t error_code);

/*
 * The processor faulted on the way out to v (iret/selector reload): tell it by failsafe callback.
 */
void pv_failsafe(struct vcpu *v);

/*
 * `syscall` in guest user mode that the assembly fast path did not take (no callback, compat mode).
 */
void pv_guest_syscall(struct vcpu *v, bool compat);
void pv_guest_sysenter(struct vcpu *v);

/*
 * v's trap table or its domain's assists changed: may entry.S deliver user page faults by itself?
 */
void pv_update_fault_path(struct vcpu *v);

#endif
