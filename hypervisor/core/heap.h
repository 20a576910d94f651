/* All free memory: a buddy allocator over the frame table, zones by address width. */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include "core/page.h"

#define HEAP_MAX_ORDER 18 /* 1 GiB */

enum heap_flags {
    HEAP_ZERO = 1 << 0,     /* content must be zero                                     */
    HEAP_NO_SCRUB = 1 << 1, /* caller overwrites every byte or may see old content (dom0 at boot) */
};

/* Boot: hand a range of frames to the heap. Their content is unknown (they count as dirty). */
void heap_add_range(mfn_t start, uint64_t nr_frames);

/*
 * 2^order contiguous, naturally aligned frames below 2^max_bits bytes (0: anywhere; high memory
 * first). The frames are free of stale translations (flushes if it must) and hold no earlier
 * owner's data. Returns the first page (refs 0, type 0, owner none), or NULL.
 * Locks:  takes RANK_HEAP; as arch_tlb_flush_mask otherwise.
 */
struct page *heap_alloc(unsigned int order, unsigned int max_bits, unsigned int flags);
/* Give back (refs without a count, owner none); stamped with the TLB epoch, content unknown. */
void heap_free(struct page *pg, unsigned int order);

/* Frames free now, and frames ever given to the heap. */
uint64_t heap_free_frames(void);
uint64_t heap_total_frames(void);

/* Scrub a few dirty free frames; true if some remain (idle loop). */
bool heap_scrub_some(void);

/* Hypervisor memory: 2^order zeroed pages by direct-map address. */
void *heap_alloc_virt(unsigned int order);
void heap_free_virt(void *va, unsigned int order); /* NULL is fine */

/*
 * Small objects (core/slab.c): zeroed, 16-byte aligned (64 if size >= 64), at most 64 KiB. NULL
 * if out of memory.
 */
void *mem_alloc(size_t bytes);
void mem_free(void *p); /* NULL is fine */
#define mem_alloc_struct(type) ((type *)mem_alloc(sizeof(type)))
/* n * size, NULL on overflow too. */
void *mem_alloc_array(size_t n, size_t size);

#endif
