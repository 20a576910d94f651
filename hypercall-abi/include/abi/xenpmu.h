/* Virtual performance counters. */
#ifndef ABI_XENPMU_H
#define ABI_XENPMU_H

#include <abi/xen.h>

/* xenpmu_op(cmd, struct xen_pmu_params) */
#define XENPMU_VER_MAJ 0
#define XENPMU_VER_MIN 1

#define XENPMU_mode_get    0
#define XENPMU_mode_set    1
#define XENPMU_feature_get 2
#define XENPMU_feature_set 3
#define XENPMU_init        4
#define XENPMU_finish      5
#define XENPMU_lvtpc_set   6
#define XENPMU_flush       7

#define XENPMU_MODE_OFF  0
#define XENPMU_MODE_SELF (1 << 0)
#define XENPMU_MODE_HV   (1 << 1)
#define XENPMU_MODE_ALL  (1 << 2)

#define XENPMU_FEATURE_INTEL_BTS (1 << 0)
#define XENPMU_FEATURE_IPC_ONLY  (1 << 1)
#define XENPMU_FEATURE_ARCH_ONLY (1 << 2)

struct xen_pmu_params {
    struct {
        uint32_t maj;
        uint32_t min;
    } version;                      /* XENPMU_VER_*                           */
    uint64_t val;
    uint32_t vcpu;
    uint32_t pad;
};
ABI_SIZE(struct xen_pmu_params, 0x18);

#endif
