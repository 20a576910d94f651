#include "arch/x86/tlb-flush.h"

#include "arch/mm.h"
#include "arch/x86/apic.h"
#include "arch/x86/processor.h"
#include "core/cpu.h"
#include "core/tlb.h"
#include "lib/bug.h"

/* What to flush: one address (page aligned), everything, or nothing. */
#define FLUSH_NOTHING UINT64_C(0)
#define FLUSH_ALL     UINT64_C(1)
#define FLUSH_ONE     UINT64_C(2)    /* or'ed to the address */

/*
 * A cpu's mailbox. Senders first merge what they want into `what`, then take a ticket of `wanted`.
 * The owner reads `wanted` before it takes `what` away: so all whom its answer in `done` covers
 * have had their wish fulfilled, by this pass or by one before it.
 */
static struct mailbox {
    uint64_t what;
    uint32_t wanted, done;
} ALIGNED(64) mailboxes[NR_CPUS];

void arch_tlb_flush_local(void) {
    uint64_t flags = irq_save(), cr4 = read_cr4();
    uint32_t epoch = tlb_stamp_now();

    /* A change of CR4.PGE drops global entries too. */
    write_cr4(cr4 ^ CR4_PGE);
    write_cr4(cr4);
    WRITE_ONCE(this_cpu()->flush_epoch, epoch);
    irq_restore(flags);
}

void arch_tlb_flush_one_local(uint64_t va) {
    invlpg(va);
}

static void flush_local(uint64_t what) {
    if (what == FLUSH_ALL)
        arch_tlb_flush_local();
    else if (what != FLUSH_NOTHING)
        invlpg(what & PAGE_MASK);
}

void tlb_flush_requested(void) {
    struct mailbox *m = &mailboxes[this_cpu()->id];
    uint32_t wanted = __atomic_load_n(&m->wanted, __ATOMIC_ACQUIRE);

    flush_local(__atomic_exchange_n(&m->what, FLUSH_NOTHING, __ATOMIC_SEQ_CST));
    __atomic_store_n(&m->done, wanted, __ATOMIC_RELEASE);
}

/* Returns the ticket: done when m->done has reached it. */
static uint32_t post(struct mailbox *m, uint64_t what) {
    uint64_t old = READ_ONCE(m->what), merged;

    do
        merged = old == FLUSH_NOTHING || old == what ? what : FLUSH_ALL;
    while (!__atomic_compare_exchange_n(&m->what, &old, merged, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
    return __atomic_add_fetch(&m->wanted, 1, __ATOMIC_SEQ_CST);
}

static void flush_mask(const cpumask_t *mask, uint64_t what) {
    cpumask_t others = cpumask_and(mask, &cpus_online);
    uint32_t ticket[NR_CPUS];
    unsigned int self = this_cpu()->id, cpu;

    if (cpumask_test(&others, self))
        flush_local(what);
    others.bits[self / 64] &= ~BIT(self % 64);
    if (cpumask_empty(&others))
        return;

    /* With interrupts off two cpus could wait for each other. */
    BUG_ON(!irq_enabled());
    cpumask_for_each(cpu, &others) {
        ticket[cpu] = post(&mailboxes[cpu], what);
    }
    apic_send_ipi_mask(&others, VECTOR_FLUSH);
    cpumask_for_each(cpu, &others) {
        while ((int32_t)(__atomic_load_n(&mailboxes[cpu].done, __ATOMIC_ACQUIRE) - ticket[cpu]) < 0)
            cpu_relax();
    }
}

void arch_tlb_flush_mask(const cpumask_t *mask) {
    flush_mask(mask, FLUSH_ALL);
}

void arch_tlb_flush_one_mask(const cpumask_t *mask, uint64_t va) {
    flush_mask(mask, (va & PAGE_MASK) | FLUSH_ONE);
}
