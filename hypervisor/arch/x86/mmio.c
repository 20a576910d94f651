/* Which device memory is the hypervisor's own. */
#include "arch/mm.h"
#include "arch/x86/acpi.h"

#define MSI_WINDOW_FIRST 0xfee00 /* frames 0xfee00-0xfeeff: writes are interrupts */
#define MSI_WINDOW_LAST  0xfeeff

bool arch_mmio_is_ours(mfn_t mfn) {
    if (mfn.n >= MSI_WINDOW_FIRST && mfn.n <= MSI_WINDOW_LAST)
        return true;
    if (mfn.n == acpi.lapic_base >> PAGE_SHIFT)
        return true;
    for (unsigned int i = 0; i < acpi.nr_ioapics; i++)
        if (mfn.n == acpi.ioapic[i].base >> PAGE_SHIFT)
            return true;
    return false;
}
