/* Machine-check records. */
#ifndef ABI_MCA_H
#define ABI_MCA_H

#include <abi/xen.h>

/* mca(struct xen_mc), for dom0. "->" marks results. */
#define __HYPERVISOR_mca          __HYPERVISOR_arch_0
#define VIRQ_MCA                  VIRQ_ARCH_0
#define XEN_MCA_INTERFACE_VERSION 0x01ecc003

#define XEN_MC_fetch        1
#define XEN_MC_notifydomain 2
#define XEN_MC_physcpuinfo  3
#define XEN_MC_msrinject    4
#define XEN_MC_mceinject    5
#define XEN_MC_inject_v2    6

/* xen_mc_fetch.flags: which queue, or that a record was consumed; -> outcome. */
#define XEN_MC_NONURGENT   0x0001
#define XEN_MC_URGENT      0x0002
#define XEN_MC_ACK         0x0004
#define XEN_MC_OK          0x0
#define XEN_MC_FETCHFAILED 0x1
#define XEN_MC_NODATA      0x2
#define XEN_MC_NOMATCH     0x4

struct xen_mc_fetch {
    uint32_t flags;
    uint32_t _pad0;
    uint64_t fetch_id;              /* -> to acknowledge with                 */
    guest_va_t data;                /* -> the record                          */
};
ABI_SIZE(struct xen_mc_fetch, 0x18);

struct xen_mc_physcpuinfo {
    uint32_t ncpus;                 /* room; -> cpus                          */
    uint32_t _pad0;
    guest_va_t info;                /* -> mcinfo_logical_cpu[ncpus], or NULL to count */
};
ABI_SIZE(struct xen_mc_physcpuinfo, 0x10);

struct mcinfo_msr {
    uint64_t reg;
    uint64_t value;
};
ABI_SIZE(struct mcinfo_msr, 0x10);

#define MC_NCAPS           7
#define __MC_MSR_ARRAYSIZE 8
struct mcinfo_logical_cpu {
    uint32_t mc_cpunr;
    uint32_t mc_chipid;
    uint16_t mc_coreid;
    uint16_t mc_threadid;
    uint32_t mc_apicid;
    uint32_t mc_clusterid;
    uint32_t mc_ncores;
    uint32_t mc_ncores_active;
    uint32_t mc_nthreads;
    int32_t mc_cpuid_level;
    uint32_t mc_family;
    uint32_t mc_vendor;
    uint32_t mc_model;
    uint32_t mc_step;
    char mc_vendorid[16];
    char mc_brandid[64];
    uint32_t mc_cpu_caps[MC_NCAPS];
    uint32_t mc_cache_size;
    uint32_t mc_cache_alignment;
    int32_t mc_nmsrvals;            /* valid entries of mc_msrvalues          */
    struct mcinfo_msr mc_msrvalues[__MC_MSR_ARRAYSIZE];
};
ABI_SIZE(struct mcinfo_logical_cpu, 0x130);
ABI_OFFSET(struct mcinfo_logical_cpu, mc_vendorid, 0x34);
ABI_OFFSET(struct mcinfo_logical_cpu, mc_cpu_caps, 0x84);
ABI_OFFSET(struct mcinfo_logical_cpu, mc_msrvalues, 0xb0);

#define MC_MSRINJ_MAXMSRS 8
struct xen_mc_msrinject {
    uint32_t mcinj_cpunr;
    uint32_t mcinj_flags;
    uint32_t mcinj_count;
    domid_t mcinj_domid;
    uint16_t _pad0;
    struct mcinfo_msr mcinj_msr[MC_MSRINJ_MAXMSRS];
};
ABI_SIZE(struct xen_mc_msrinject, 0x90);

struct xen_mc {
    uint32_t cmd;                   /* XEN_MC_*                               */
    uint32_t interface_version;     /* else -EACCES                           */
    union {
        struct xen_mc_fetch mc_fetch;
        struct xen_mc_physcpuinfo mc_physcpuinfo;
        struct xen_mc_msrinject mc_msrinject;
    } u;
};
ABI_SIZE(struct xen_mc, 0x98);
ABI_OFFSET(struct xen_mc, u, 8);

#endif
