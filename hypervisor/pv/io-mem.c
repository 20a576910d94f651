#include "arch/cpu.h"
#include "arch/mm.h"
#include "pv/mmu.h"

/*
 * The hardware domain owns all device memory but what the hypervisor itself drives. A frame the
 * processor cannot address would make every access through the entry a reserved-bit fault.
 */
bool pv_iomem_allowed(const struct domain *d, mfn_t mfn) {
    return d->hardware && !(mfn.n >> (arch_cpu_maxphyaddr() - PAGE_SHIFT)) &&
           !arch_mmio_is_ours(mfn);
}
