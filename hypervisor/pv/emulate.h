/* Instructions that a guest may think it executes, but cannot in ring 3. */
#ifndef PV_EMULATE_H
#define PV_EMULATE_H

#include "core/vcpu.h"
#include "lib/types.h"

/*
 * v (current) took a #GP without error code. True: the instruction was one of ours and is dealt
 * with: done and skipped, or an exception injected. False: the fault is the guest's own.
 * Trust:  the instruction bytes are read once; everything in the registers is the guest's.
 */
MUST_CHECK bool pv_emulate_privileged(struct vcpu *v);

/*
 * v took a #UD: is it the forced-emulation form ud2; "xen"; cpuid? Legal in kernel and user mode.
 */
MUST_CHECK bool pv_emulate_forced(struct vcpu *v);

/*
 * What CPUID tells d: the machine's answer under the policy's masks, and the leaves from
 * 0x40000000. regs: eax, ebx, ecx, edx.
 */
void pv_cpuid(const struct domain *d, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/* Model-specific registers by allow list. Errors: -EFAULT: #GP for the guest. */
MUST_CHECK int pv_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *value);
MUST_CHECK int pv_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value);

/*
 * Port I/O of v once its own kernel allows it: the machine's for the hardware domain, else
 * nothing there.
 */
uint32_t pv_port_in(struct vcpu *v, uint16_t port, unsigned int size);
void pv_port_out(struct vcpu *v, uint16_t port, unsigned int size, uint32_t value);
/* Boot: the hypervisor uses these ports itself (a serial port): nothing there for anyone. */
void pv_port_reserve(uint16_t first, uint16_t last);

#endif
