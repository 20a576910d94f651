/*
 * The seam, part 2: memory. machine/mm.h holds the inline half:
 *   void *mfn_to_virt(mfn_t), mfn_t virt_to_mfn(const void *)   the direct map of all RAM
 *   struct page *frame_table    one struct page per frame below max_mfn
 *   uint64_t *m2p_table         machine-to-phys, writable alias
 */
#ifndef ARCH_MM_H
#define ARCH_MM_H

#include "lib/bits.h"
#include "lib/types.h"
#include <machine/mm.h>

struct domain;
struct vcpu;

/* First frame number beyond all RAM; frames at or above it (and holes below) are I/O. */
extern uint64_t max_mfn;

/* First frame of the n-th 2 MiB of the M2P; MFN_INVALID if there is no RAM in what it describes. */
mfn_t arch_m2p_frame(unsigned int n);

/* Is there RAM behind this frame (so that struct page and direct map exist and are meaningful). */
bool arch_mfn_is_ram(mfn_t mfn);

/* Device memory that only the hypervisor may touch: interrupt controllers and the MSI window. */
bool arch_mmio_is_ours(mfn_t mfn);

/*
 * Guest memory of the current vcpu, through the page tables it has loaded in kernel mode.
 * Trust:  any address; the hypervisor's range is refused, overflow-safe, first and last byte.
 * Errors: -EFAULT, and then dst may be partly written (of copy_to: guest memory).
 * Locks:  none of RANK_RUNQUEUE or above; may fault, never sleeps.
 */
MUST_CHECK int copy_from_guest(void *dst, guest_va_t src, size_t len);
/* The same for two words: what a page-table update is made of. */
MUST_CHECK int copy_pair_from_guest(uint64_t dst[2], guest_va_t src);
MUST_CHECK int copy_to_guest(guest_va_t dst, const void *src, size_t len);

/* Scrub or copy whole frames through the direct map. */
void arch_page_clear(void *page);
void arch_page_copy(void *dst, const void *src);

/*
 * TLB. A full flush (global entries too) of this cpu records the flush epoch (core/tlb.h).
 * _mask: every cpu of the mask incl. this one; returns when all have flushed.
 * Locks:  _mask: interrupts on, no _irq lock held (the others may be waiting for us).
 */
void arch_tlb_flush_local(void);
void arch_tlb_flush_one_local(uint64_t va);
void arch_tlb_flush_mask(const cpumask_t *cpus);
void arch_tlb_flush_one_mask(const cpumask_t *cpus, uint64_t va);

/*
 * Page-table plumbing the machine owns.
 * _l4_install: write the hypervisor's slots (256-271) of domain d into a page that becomes an L4.
 */
void arch_l4_install(struct domain *d, uint64_t *l4);
/* Is this L4 slot the hypervisor's (never the guest's to set)? */
static inline bool l4_slot_is_ours(unsigned int slot) {
    return slot >= 256 && slot < 272;
}

/* Load the page table v should run on now (kernel or user by v->arch.kernel_mode); v is current. */
void arch_load_page_table(struct vcpu *v);
/* Load the hypervisor's own page table, so that no guest table is in use on this cpu. */
void arch_load_idle_page_table(void);

/*
 * The current mapping of the descriptor windows: slot 0-13 GDT frames, 16-31 LDT frames.
 * entry 0 unmaps. The caller flushes.
 */
void arch_window_set(struct vcpu *v, unsigned int slot, mfn_t mfn, bool present);
/* GDT limits and LDT of v changed; if v is current reload them. */
void arch_load_descriptor_tables(struct vcpu *v);

#endif
