/* links: pv/io-mem.c arch/fake/fake.c arch/fake/stubs.c */
/* Which device memory a domain may map. */
#include "arch/fake/fake.h"
#include "pv/mmu.h"
#include "test.h"

#define OURS UINT64_C(0xfee00)

static struct domain d;

bool arch_mmio_is_ours(mfn_t mfn) {
    return mfn.n == OURS;
}

TEST(the_hardware_domain_may_have_all_but_what_is_ours) {
    d.hardware = true;
    EXPECT(pv_iomem_allowed(&d, mfn_of(OURS - 1)));
    EXPECT(!pv_iomem_allowed(&d, mfn_of(OURS)));
    EXPECT(pv_iomem_allowed(&d, mfn_of(OURS + 1)));
}

TEST(others_may_have_nothing) {
    d.hardware = false;
    d.privileged = true;
    EXPECT(!pv_iomem_allowed(&d, mfn_of(OURS + 1)));
}

TEST(no_frame_is_beyond_what_the_processor_can_address) {
    uint64_t first = UINT64_C(1) << (arch_cpu_maxphyaddr() - PAGE_SHIFT);

    d.hardware = true;
    EXPECT(pv_iomem_allowed(&d, mfn_of(first - 1)));
    EXPECT(!pv_iomem_allowed(&d, mfn_of(first)));
    EXPECT(!pv_iomem_allowed(&d, MFN_INVALID));
}
