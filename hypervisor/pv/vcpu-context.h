/* A vcpu's whole state in the ABI's form: VCPUOP_initialise, and the toolstack's get and set. */
#ifndef PV_VCPU_CONTEXT_H
#define PV_VCPU_CONTEXT_H

#include <abi/xen.h>

#include "core/vcpu.h"
#include "lib/types.h"

/*
 * Make v start from c; v is then initialised.
 * ABI:    vcpu_guest_context; for vcpu 0 it also sets the domain's assists.
 * Trust:  c is a private copy; everything in it is checked before anything changes, but for the
 *         frames, which are taken one table after the other.
 * Locks:  v cannot run. As page_get_type.
 * Errors: -EINVAL; those of page_get_type; -ERESTART: call again with the same context.
 */
MUST_CHECK int pv_vcpu_context_load(struct vcpu *v, const struct vcpu_guest_context *c);

/* The state of v, which does not run, or is current and synced. */
void pv_vcpu_context_save(const struct vcpu *v, struct vcpu_guest_context *c);

#endif
