/* The descriptor window of a vcpu: 16 pages of GDT, then 16 of LDT, in the per-domain slot. */
#ifndef ARCH_X86_WINDOW_H
#define ARCH_X86_WINDOW_H

#include "arch/x86/layout.h"
#include "core/vcpu.h"

#define WINDOW_SLOTS    32
#define WINDOW_HV_SLOT  14 /* the running cpu's page of descriptors */
#define WINDOW_LDT_SLOT 16
#define LDT_WINDOW_SIZE (16 * PAGE_SIZE)

static inline uint64_t window_va(const struct vcpu *v) {
    return WINDOW_VA + ((uint64_t)v->id << WINDOW_VCPU_SHIFT);
}
static inline uint64_t window_ldt_va(const struct vcpu *v) {
    return window_va(v) + WINDOW_LDT_SLOT * PAGE_SIZE;
}

#endif
