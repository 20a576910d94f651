/* Inline half of arch/mm.h for x86-64: everything is a constant offset. */
#ifndef MACHINE_MM_H
#define MACHINE_MM_H

#include "arch/x86/layout.h"
#include "lib/bits.h"
#include "lib/types.h"

struct page;

#define frame_table ((struct page *)FRAME_TABLE_VA)
#define m2p_table   ((uint64_t *)M2P_RW_VA)

static inline void *mfn_to_virt(mfn_t mfn) {
    return (void *)(DIRECTMAP_VA + (mfn.n << PAGE_SHIFT));
}
static inline mfn_t virt_to_mfn(const void *va) {
    return mfn_of(((uintptr_t)va - DIRECTMAP_VA) >> PAGE_SHIFT);
}
/* One bit for every frame below max_mfn. */
extern uint64_t *ram_frames;
extern uint64_t max_mfn;

static inline bool arch_mfn_is_ram(mfn_t mfn) {
    return mfn.n < max_mfn && ram_frames[index_nospec(mfn.n, max_mfn) / 64] >> mfn.n % 64 & 1;
}
static inline void *phys_to_virt(uint64_t pa) {
    return (void *)(DIRECTMAP_VA + pa);
}
static inline uint64_t virt_to_phys(const void *va) {
    return (uintptr_t)va - DIRECTMAP_VA;
}

#endif
