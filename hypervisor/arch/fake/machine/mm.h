/* Inline half of arch/mm.h for host programs: machine memory is one big array. */
#ifndef MACHINE_MM_H
#define MACHINE_MM_H

#include "lib/types.h"

struct page;

extern struct page *frame_table;
extern uint64_t *m2p_table;
extern uint8_t *fake_ram;            /* max_mfn pages */

static inline void *mfn_to_virt(mfn_t mfn) {
    return fake_ram + (mfn.n << PAGE_SHIFT);
}
static inline mfn_t virt_to_mfn(const void *va) {
    return mfn_of((uint64_t)((const uint8_t *)va - fake_ram) >> PAGE_SHIFT);
}

#endif
