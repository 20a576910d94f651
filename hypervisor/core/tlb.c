#include "core/tlb.h"

#include "arch/mm.h"
#include "core/cpu.h"

uint32_t tlb_epoch;

/*
 * Epochs are compared by their distance, which is right for distances below 2^31. So no cpu's
 * record may fall further behind: every so many epochs all of them flush. Stamps may be older
 * than that; then they look new, which only costs a flush.
 */
#define FLUSH_ALL_EVERY (UINT32_C(1) << 30)

static inline bool flushed_since(unsigned int cpu, uint32_t stamp) {
    const struct cpu *c = cpus[cpu];

    return !READ_ONCE(c->holds_guest) || (int32_t)(READ_ONCE(c->flush_epoch) - stamp) > 0;
}

void tlb_flush_stale(const cpumask_t *may_hold, uint32_t stamp) {
    cpumask_t stale = {{0}};
    uint32_t epoch = stamp;
    unsigned int cpu;

    cpumask_for_each(cpu, may_hold) {
        if (!flushed_since(cpu, stamp))
            stale.bits[cpu / 64] |= BIT(cpu % 64);
    }
    if (cpumask_empty(&stale))
        return;
    /* If the epoch moved on since the stamp, flushing now is enough. */
    if (__atomic_compare_exchange_n(&tlb_epoch, &epoch, stamp + 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED) &&
        (stamp + 1) % FLUSH_ALL_EVERY == 0)
        stale = cpus_online;
    arch_tlb_flush_mask(&stale);
}
