/*
 * When must a cpu flush before a frame changes its use?
 *
 * There is one epoch counter. A frame gets the current epoch as its stamp when the last writable
 * or typed use of it ends; a cpu records the epoch it read before each full flush. A cpu may hold
 * a stale translation of the frame only if its recorded epoch is not above the stamp. Whoever
 * needs certainty advances the epoch and flushes those cpus; this pays for every frame
 * stamped before, so a burst of allocations costs one round of flushes, and hot paths (context
 * switches) only read the counter.
 */
#ifndef CORE_TLB_H
#define CORE_TLB_H

#include "lib/bits.h"
#include "lib/types.h"

extern uint32_t tlb_epoch;

static inline uint32_t tlb_stamp_now(void) {
    return READ_ONCE(tlb_epoch);
}
/*
 * Flush those cpus of `may_hold` that have not flushed since `stamp`. Locks: as
 * arch_tlb_flush_mask.
 */
void tlb_flush_stale(const cpumask_t *may_hold, uint32_t stamp);

#endif
