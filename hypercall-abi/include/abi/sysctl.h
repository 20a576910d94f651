/* What the toolstack asks about the host. */
#ifndef ABI_SYSCTL_H
#define ABI_SYSCTL_H

#include <abi/domctl.h>

/* sysctl(struct xen_sysctl). "->" marks results. */
#define XEN_SYSCTL_INTERFACE_VERSION 0x00000015

#define XEN_SYSCTL_readconsole          1
#define XEN_SYSCTL_tbuf_op              2
#define XEN_SYSCTL_physinfo             3
#define XEN_SYSCTL_sched_id             4
#define XEN_SYSCTL_perfc_op             5
#define XEN_SYSCTL_getdomaininfolist    6
#define XEN_SYSCTL_debug_keys           7
#define XEN_SYSCTL_getcpuinfo           8
#define XEN_SYSCTL_availheap            9
#define XEN_SYSCTL_get_pmstat           10
#define XEN_SYSCTL_cpu_hotplug          11
#define XEN_SYSCTL_pm_op                12
#define XEN_SYSCTL_page_offline_op      14
#define XEN_SYSCTL_lockprof_op          15
#define XEN_SYSCTL_cputopoinfo          16
#define XEN_SYSCTL_numainfo             17
#define XEN_SYSCTL_cpupool_op           18
#define XEN_SYSCTL_scheduler_op         19
#define XEN_SYSCTL_coverage_op          20
#define XEN_SYSCTL_psr_cmt_op           21
#define XEN_SYSCTL_pcitopoinfo          22
#define XEN_SYSCTL_psr_alloc            23
#define XEN_SYSCTL_get_cpu_levelling_caps 25
#define XEN_SYSCTL_get_cpu_featureset   26
#define XEN_SYSCTL_livepatch_op         27
#define XEN_SYSCTL_get_cpu_policy       29

/* Read the hypervisor's log, from the start or from where the last call stopped. */
struct xen_sysctl_readconsole {
    uint8_t clear;                  /* forget what was read                   */
    uint8_t incremental;            /* start at index                         */
    uint8_t pad0, pad1;
    uint32_t index;                 /* -> where to go on                      */
    guest_va_t buffer;              /* ->                                     */
    uint32_t count;                 /* room; -> bytes                         */
};
ABI_SIZE(struct xen_sysctl_readconsole, 0x18);
ABI_OFFSET(struct xen_sysctl_readconsole, index, 4);
ABI_OFFSET(struct xen_sysctl_readconsole, buffer, 8);
ABI_OFFSET(struct xen_sysctl_readconsole, count, 0x10);

struct xen_sysctl_physinfo {
    uint32_t threads_per_core;
    uint32_t cores_per_socket;
    uint32_t nr_cpus;               /* online                                 */
    uint32_t max_cpu_id;
    uint32_t nr_nodes;
    uint32_t max_node_id;
    uint32_t cpu_khz;
    uint32_t capabilities;          /* XEN_SYSCTL_PHYSCAP_*                   */
    uint32_t arch_capabilities;
    uint32_t pad;
    uint64_t total_pages;
    uint64_t free_pages;
    uint64_t scrub_pages;           /* freed, not yet usable                  */
    uint64_t outstanding_pages;     /* claimed                                */
    uint64_t max_mfn;
    uint32_t hw_cap[8];             /* feature words of the boot cpu          */
};
ABI_SIZE(struct xen_sysctl_physinfo, 0x70);
ABI_OFFSET(struct xen_sysctl_physinfo, capabilities, 0x1c);
ABI_OFFSET(struct xen_sysctl_physinfo, total_pages, 0x28);
ABI_OFFSET(struct xen_sysctl_physinfo, max_mfn, 0x48);
ABI_OFFSET(struct xen_sysctl_physinfo, hw_cap, 0x50);
#define XEN_SYSCTL_PHYSCAP_hvm       (1u << 0)
#define XEN_SYSCTL_PHYSCAP_pv        (1u << 1)
#define XEN_SYSCTL_PHYSCAP_directio  (1u << 2)
#define XEN_SYSCTL_PHYSCAP_hap       (1u << 3)
#define XEN_SYSCTL_PHYSCAP_shadow    (1u << 4)
#define XEN_SYSCTL_PHYSCAP_iommu_hap_pt_share (1u << 5)
#define XEN_SYSCTL_PHYSCAP_vmtrace   (1u << 6)
#define XEN_SYSCTL_PHYSCAP_vpmu      (1u << 7)
#define XEN_SYSCTL_PHYSCAP_gnttab_v1 (1u << 8)
#define XEN_SYSCTL_PHYSCAP_gnttab_v2 (1u << 9)
#define XEN_SYSCTL_PHYSCAP_MAX       XEN_SYSCTL_PHYSCAP_gnttab_v2

struct xen_sysctl_sched_id {
    uint32_t sched_id;              /* -> XEN_SCHEDULER_*                     */
};
ABI_SIZE(struct xen_sysctl_sched_id, 4);

struct xen_sysctl_getdomaininfolist {
    domid_t first_domain;
    uint32_t max_domains;
    guest_va_t buffer;              /* -> xen_domctl_getdomaininfo[max_domains] */
    uint32_t num_domains;           /* -> entries written                     */
};
ABI_SIZE(struct xen_sysctl_getdomaininfolist, 0x18);
ABI_OFFSET(struct xen_sysctl_getdomaininfolist, max_domains, 4);
ABI_OFFSET(struct xen_sysctl_getdomaininfolist, buffer, 8);
ABI_OFFSET(struct xen_sysctl_getdomaininfolist, num_domains, 0x10);

/* Inject debug keys, as if typed on the hypervisor's console. */
struct xen_sysctl_debug_keys {
    guest_va_t keys;
    uint32_t nr_keys;
};
ABI_SIZE(struct xen_sysctl_debug_keys, 0x10);

struct xen_sysctl_cpuinfo {
    uint64_t idletime;              /* ns                                     */
};
ABI_SIZE(struct xen_sysctl_cpuinfo, 8);

struct xen_sysctl_getcpuinfo {
    uint32_t max_cpus;
    guest_va_t info;                /* -> xen_sysctl_cpuinfo[max_cpus]        */
    uint32_t nr_cpus;               /* -> entries written                     */
};
ABI_SIZE(struct xen_sysctl_getcpuinfo, 0x18);

struct xen_sysctl_availheap {
    uint32_t min_bitwidth;          /* 0: do not care                         */
    uint32_t max_bitwidth;
    int32_t node;                   /* -1: all                                */
    uint64_t avail_bytes;           /* ->                                     */
};
ABI_SIZE(struct xen_sysctl_availheap, 0x18);

struct xen_sysctl_cpu_hotplug {
    uint32_t cpu;
    uint32_t op;                    /* XEN_SYSCTL_CPU_HOTPLUG_*               */
};
ABI_SIZE(struct xen_sysctl_cpu_hotplug, 8);
#define XEN_SYSCTL_CPU_HOTPLUG_ONLINE      0
#define XEN_SYSCTL_CPU_HOTPLUG_OFFLINE     1
#define XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE  2
#define XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE 3

#define XEN_INVALID_CORE_ID   (~0u)
#define XEN_INVALID_SOCKET_ID (~0u)
#define XEN_INVALID_NODE_ID   (~0u)
struct xen_sysctl_cputopo {
    uint32_t core;
    uint32_t socket;
    uint32_t node;
};
ABI_SIZE(struct xen_sysctl_cputopo, 0xc);

struct xen_sysctl_cputopoinfo {
    uint32_t num_cpus;              /* room; -> highest cpu + 1               */
    guest_va_t cputopo;             /* -> xen_sysctl_cputopo[num_cpus]        */
};
ABI_SIZE(struct xen_sysctl_cputopoinfo, 0x10);

#define XEN_INVALID_MEM_SZ    (~0u)
#define XEN_INVALID_NODE_DIST (~0u)
struct xen_sysctl_meminfo {
    uint64_t memsize;               /* bytes                                  */
    uint64_t memfree;
};
ABI_SIZE(struct xen_sysctl_meminfo, 0x10);

struct xen_sysctl_numainfo {
    uint32_t num_nodes;             /* room; -> highest node + 1              */
    guest_va_t meminfo;             /* -> xen_sysctl_meminfo[num_nodes]       */
    guest_va_t distance;            /* -> uint32_t[num_nodes][num_nodes]      */
};
ABI_SIZE(struct xen_sysctl_numainfo, 0x18);

/* Pools of cpus. There is one, number 0, with all cpus; -ENOENT ends an enumeration. */
struct xen_sysctl_cpupool_op {
    uint32_t op;                    /* XEN_SYSCTL_CPUPOOL_OP_*                */
    uint32_t cpupool_id;            /* INFO: -> the first pool not below it   */
    uint32_t sched_id;              /* ->                                     */
    uint32_t domid;
    uint32_t cpu;
    uint32_t n_dom;                 /* ->                                     */
    struct xenctl_bitmap cpumap;    /* ->                                     */
};
ABI_SIZE(struct xen_sysctl_cpupool_op, 0x28);
ABI_OFFSET(struct xen_sysctl_cpupool_op, cpumap, 0x18);
#define XEN_SYSCTL_CPUPOOL_OP_CREATE     1
#define XEN_SYSCTL_CPUPOOL_OP_DESTROY    2
#define XEN_SYSCTL_CPUPOOL_OP_INFO       3
#define XEN_SYSCTL_CPUPOOL_OP_ADDCPU     4
#define XEN_SYSCTL_CPUPOOL_OP_RMCPU      5
#define XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN 6
#define XEN_SYSCTL_CPUPOOL_OP_FREEINFO   7
#define XEN_SYSCTL_CPUPOOL_PAR_ANY       0xffffffff

#define XEN_SYSCTL_SCHED_RATELIMIT_MAX 500000
#define XEN_SYSCTL_SCHED_RATELIMIT_MIN 100
#define XEN_SYSCTL_CSCHED_TSLICE_MAX   1000
#define XEN_SYSCTL_CSCHED_TSLICE_MIN   1
#define XEN_SYSCTL_CSCHED_MGR_DLY_MAX_US (100 * 1000)
struct xen_sysctl_credit_schedule {
    uint32_t tslice_ms;
    uint32_t ratelimit_us;          /* least time between two switches        */
    uint32_t vcpu_migr_delay_us;
};
ABI_SIZE(struct xen_sysctl_credit_schedule, 0xc);

struct xen_sysctl_credit2_schedule {
    uint32_t ratelimit_us;
};
ABI_SIZE(struct xen_sysctl_credit2_schedule, 4);

struct xen_sysctl_scheduler_op {
    uint32_t cpupool_id;
    uint32_t sched_id;              /* XEN_SCHEDULER_*, must be the pool's    */
    uint32_t cmd;                   /* XEN_SYSCTL_SCHEDOP_*                   */
    union {
        struct xen_sysctl_sched_arinc653 {
            guest_va_t schedule;
        } sched_arinc653;
        struct xen_sysctl_credit_schedule sched_credit;
        struct xen_sysctl_credit2_schedule sched_credit2;
    } u;
};
ABI_SIZE(struct xen_sysctl_scheduler_op, 0x20);
ABI_OFFSET(struct xen_sysctl_scheduler_op, u, 0x10);
#define XEN_SYSCTL_SCHEDOP_putinfo 0
#define XEN_SYSCTL_SCHEDOP_getinfo 1

struct xen_sysctl_cpu_levelling_caps {
    uint32_t caps;                  /* -> XEN_SYSCTL_CPU_LEVELCAP_*           */
};
ABI_SIZE(struct xen_sysctl_cpu_levelling_caps, 4);
#define XEN_SYSCTL_CPU_LEVELCAP_faulting (1ul << 0)

/* Feature words of a CPUID policy. */
struct xen_sysctl_cpu_featureset {
    uint32_t index;                 /* XEN_SYSCTL_cpu_featureset_*            */
    uint32_t nr_features;           /* of features; -> written, or needed if NULL */
    guest_va_t features;            /* -> uint32_t[nr_features]               */
};
ABI_SIZE(struct xen_sysctl_cpu_featureset, 0x10);
#define XEN_SYSCTL_cpu_featureset_raw     0
#define XEN_SYSCTL_cpu_featureset_host    1
#define XEN_SYSCTL_cpu_featureset_pv      2
#define XEN_SYSCTL_cpu_featureset_hvm     3
#define XEN_SYSCTL_cpu_featureset_pv_max  4
#define XEN_SYSCTL_cpu_featureset_hvm_max 5

struct xen_sysctl_cpu_policy {
    uint32_t index;                 /* XEN_SYSCTL_cpu_policy_*                */
    uint32_t nr_leaves;             /* of leaves; -> written, or needed if NULL */
    uint32_t nr_msrs;               /* of msrs; likewise                      */
    uint32_t _rsvd;                 /* must be 0                              */
    guest_va_t leaves;              /* -> xen_cpuid_leaf[nr_leaves]           */
    guest_va_t msrs;                /* -> xen_msr_entry[nr_msrs]              */
};
ABI_SIZE(struct xen_sysctl_cpu_policy, 0x20);
#define XEN_SYSCTL_cpu_policy_raw         0
#define XEN_SYSCTL_cpu_policy_host        1
#define XEN_SYSCTL_cpu_policy_pv_max      2
#define XEN_SYSCTL_cpu_policy_hvm_max     3
#define XEN_SYSCTL_cpu_policy_pv_default  4
#define XEN_SYSCTL_cpu_policy_hvm_default 5

struct xen_sysctl {
    uint32_t cmd;                   /* XEN_SYSCTL_*                           */
    uint32_t interface_version;     /* else -EACCES                           */
    union {
        struct xen_sysctl_readconsole readconsole;
        struct xen_sysctl_physinfo physinfo;
        struct xen_sysctl_cputopoinfo cputopoinfo;
        struct xen_sysctl_numainfo numainfo;
        struct xen_sysctl_sched_id sched_id;
        struct xen_sysctl_getdomaininfolist getdomaininfolist;
        struct xen_sysctl_debug_keys debug_keys;
        struct xen_sysctl_getcpuinfo getcpuinfo;
        struct xen_sysctl_availheap availheap;
        struct xen_sysctl_cpu_hotplug cpu_hotplug;
        struct xen_sysctl_cpupool_op cpupool_op;
        struct xen_sysctl_scheduler_op scheduler_op;
        struct xen_sysctl_cpu_levelling_caps cpu_levelling_caps;
        struct xen_sysctl_cpu_featureset cpu_featureset;
        struct xen_sysctl_cpu_policy cpu_policy;
        uint8_t pad[128];
    } u;
};
ABI_SIZE(struct xen_sysctl, 0x88);
ABI_OFFSET(struct xen_sysctl, u, 8);

#endif
