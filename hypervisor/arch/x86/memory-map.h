/* The machine's memory: the loader's map made sane, and what of it is free while we boot. */
#ifndef ARCH_X86_MEMORY_MAP_H
#define ARCH_X86_MEMORY_MAP_H

#include "core/boot-info.h"

/*
 * RAM below this counts as device memory, as in Xen: dom0's kernel maps what firmware left there by
 * its machine address, whether the map says RAM or not.
 */
#define DEVICE_LOW MIB(1)

/* A range of physical addresses [start, end). */
struct range {
    uint64_t start, end;
};

/*
 * Sort the map, resolve overlaps (the less usable type wins) and join neighbours.
 * Trust:  the loader's or firmware's: any addresses, any types. Returns the new count, at most max.
 */
unsigned int memory_map_clean(struct boot_memory *map, unsigned int nr, unsigned int max);

/* Clean boot_info's map with one range more, reserved where the map says nothing worse of it. */
void memory_map_reserve(uint64_t start, uint64_t len);

/* Whole frames of RAM: calls fn for each range, in order. */
void memory_map_for_each_ram(void (*fn)(struct range ram));

/* A page below 1 MiB, for other processors to start in. */
extern uint64_t low_page;

/* Set up the allocator below: RAM less what boot has put there (image, modules). Sets max_mfn. */
void boot_mem_init(void);

/*
 * Whole pages, as high as possible below `below`, aligned to `align`; content unknown.
 * Note:   panics when there is no such range.
 */
uint64_t boot_mem_alloc(uint64_t len, uint64_t align, uint64_t below);

/* Give all that is left to the heap; boot_mem_alloc ends here. */
void boot_mem_to_heap(void);

#endif
