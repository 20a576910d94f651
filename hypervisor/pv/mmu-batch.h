/*
 * The loop that mmu_update and mmuext_op share: args (ops, count, done, domid).
 *
 * Stops at the first operation that fails. *done counts those that succeeded, over all
 * continuations: bit 31 of count says "this goes on", and then *done holds the number so far. All
 * of it comes from the guest again each time, which can only mislead itself.
 */
#ifndef PV_MMU_BATCH_H
#define PV_MMU_BATCH_H

#include "pv/mmu.h"

#define MMU_BATCH_GOES_ON (UINT32_C(1) << 31)

/*
 * Nearly all calls: one operation on the caller's own behalf, and nobody asks how many were done.
 */
static inline bool mmu_batch_is_plain(const uint64_t arg[6]) {
    return arg[1] == 1 && !arg[2] && (uint32_t)arg[3] == DOMID_SELF;
}

/* What mmu_batch_run does behind its only operation, whose result is rc. */
static inline long mmu_batch_plain_end(struct vcpu *curr, uint64_t arg[6], int rc) {
    if (rc)
        return rc;
    rc = mmu_unwind_finish(curr);
    if (unlikely(rc == -ERESTART))
        arg[1] = MMU_BATCH_GOES_ON;
    return rc;
}

typedef int (*mmu_batch_fn)(struct vcpu *curr, void *context, const void *op);

static inline __attribute__((always_inline)) long mmu_batch_run(struct vcpu *curr, uint64_t arg[6],
                                                                void *op, size_t op_size,
                                                                mmu_batch_fn run, void *context) {
    uint32_t count = (uint32_t)arg[1] & ~MMU_BATCH_GOES_ON, i = 0, done = 0;
    guest_va_t pdone = {arg[2]};
    int rc;

    if (arg[1] & MMU_BATCH_GOES_ON && pdone.va && copy_from_guest(&done, pdone, sizeof(done)))
        return -EFAULT;

    for (;;) {
        rc = mmu_unwind_finish(curr);
        if (unlikely(rc) || i == count)
            break;
        if (i && preempt_needed()) {
            rc = -ERESTART;
            break;
        }
        rc = copy_from_guest(op, (guest_va_t){arg[0] + i * op_size}, op_size);
        if (likely(!rc))
            rc = run(curr, context, op);
        if (unlikely(rc))
            break;
        i++;
    }

    done += i;
    if (rc == -ERESTART) {
        arg[0] += i * op_size;
        arg[1] = (count - i) | MMU_BATCH_GOES_ON;
    }
    if (pdone.va && copy_to_guest(pdone, &done, sizeof(done)) && rc != -ERESTART)
        rc = -EFAULT;
    return rc;
}

#endif
