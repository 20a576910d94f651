/* What pv/ keeps of a domain (struct domain.pv). */
#ifndef PV_PV_DOMAIN_H
#define PV_PV_DOMAIN_H

#include "lib/types.h"

/* As the firmware's E820 call has it, and XENMEM_memory_map. */
struct e820_entry {
    uint64_t start, len;
    uint32_t type;
} PACKED;
_Static_assert(sizeof(struct e820_entry) == 20, "xen_memory_map.buffer");

#define PV_MEMORY_MAX 128

struct pv_domain {
    /* The domain's own memory map, from XENMEM_set_memory_map; guarded by domain.lock. */
    unsigned int nr_memory;
    struct e820_entry memory[PV_MEMORY_MAX];
};

#endif
