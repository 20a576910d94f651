/* A vcpu's whole state in the ABI's form: what a builder, VCPUOP_initialise or restore gives it. */
#ifndef PV_VCPU_CONTEXT_H
#define PV_VCPU_CONTEXT_H

#include <abi/xen.h>

#include "core/vcpu.h"

/*
 * Check the state and make it v's; v->initialised is set if all of it was acceptable.
 * Trust:  ctx is a private copy of any content.
 * Locks:  d->lock held; v is off its cpu.
 * Errors: -EINVAL; those of page_get_type, -ERESTART included: call again with the same state.
 */
MUST_CHECK int pv_vcpu_context_load(struct vcpu *v, const struct vcpu_guest_context *ctx);

#endif
