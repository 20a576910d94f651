/* The hypervisor's own page tables. What guests see of them is slots 256-271 of every L4. */
#ifndef ARCH_X86_PAGING_H
#define ARCH_X86_PAGING_H

#include "lib/bits.h"
#include "lib/types.h"
#include "pv/pte.h"

/* Rights of leaf entries. Accessed and dirty are set so that the processor never writes them. */
#define MAP_RX     (PTE_P | PTE_A | PTE_D | PTE_G)
#define MAP_RO     (MAP_RX | PTE_NX)
#define MAP_RW     (MAP_RO | PTE_RW)
#define MAP_DEVICE (MAP_RW | PTE_PCD | PTE_PWT) /* PAT entry 3: uncached */

/* The screen's memory is in the direct map, though it is no RAM: even the first panic needs it. */
#define VGA_START UINT64_C(0xa0000)
#define VGA_END   UINT64_C(0xc0000)

extern uint64_t idle_l4[512];

/* Tables for image, stacks, direct map, frame table and M2P, and load them. Boot cpu, once. */
void paging_init(void);
/* Make ro_after_init data read-only and prove that nothing is writable and executable. */
void paging_seal(void);
/* Unmap what only boot needed and give it to the heap. */
void paging_free_init(void);

/*
 * Map [pa, pa + len) at va with the largest pages that fit; tables are allocated as needed.
 * Errors: false: out of memory; part of it may be mapped.
 * Note:   never over a present entry (BUG).
 */
MUST_CHECK bool map_range(uint64_t va, uint64_t pa, uint64_t len, uint64_t rights);

/*
 * Where device memory or firmware tables can be reached from now on; never unmapped.
 * Locks:  the callers', one at a time. Errors: NULL: out of memory or of address space (1 GiB).
 */
void *ioremap(uint64_t pa, uint64_t len);
const void *map_firmware(uint64_t pa, uint64_t len);

#endif
