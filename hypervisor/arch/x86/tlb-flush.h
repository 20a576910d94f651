/* Shootdown requests from other cpus. */
#ifndef ARCH_X86_TLB_FLUSH_H
#define ARCH_X86_TLB_FLUSH_H

/* VECTOR_FLUSH: do what was asked of this cpu. */
void tlb_flush_requested(void);

#endif
