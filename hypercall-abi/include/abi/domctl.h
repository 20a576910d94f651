/*
 * domctl(struct xen_domctl): the toolstack makes, inspects and unmakes domains. This interface
 * is tied to one hypervisor release; a caller of another version gets -EACCES.
 * "->" marks results.
 */
#ifndef ABI_DOMCTL_H
#define ABI_DOMCTL_H

#include <abi/xen.h>

#define XEN_DOMCTL_INTERFACE_VERSION 0x00000015

#define XEN_DOMCTL_createdomain         1
#define XEN_DOMCTL_destroydomain        2
#define XEN_DOMCTL_pausedomain          3
#define XEN_DOMCTL_unpausedomain        4
#define XEN_DOMCTL_getdomaininfo        5
#define XEN_DOMCTL_setvcpuaffinity      9
#define XEN_DOMCTL_shadow_op            10
#define XEN_DOMCTL_max_mem              11
#define XEN_DOMCTL_setvcpucontext       12
#define XEN_DOMCTL_getvcpucontext       13
#define XEN_DOMCTL_getvcpuinfo          14
#define XEN_DOMCTL_max_vcpus            15
#define XEN_DOMCTL_scheduler_op         16
#define XEN_DOMCTL_setdomainhandle      17
#define XEN_DOMCTL_setdebugging         18
#define XEN_DOMCTL_irq_permission       19
#define XEN_DOMCTL_iomem_permission     20
#define XEN_DOMCTL_ioport_permission    21
#define XEN_DOMCTL_hypercall_init       22
#define XEN_DOMCTL_settimeoffset        24
#define XEN_DOMCTL_getvcpuaffinity      25
#define XEN_DOMCTL_real_mode_area       26
#define XEN_DOMCTL_resumedomain         27
#define XEN_DOMCTL_sendtrigger          28
#define XEN_DOMCTL_subscribe            29
#define XEN_DOMCTL_gethvmcontext        33
#define XEN_DOMCTL_sethvmcontext        34
#define XEN_DOMCTL_set_address_size     35
#define XEN_DOMCTL_get_address_size     36
#define XEN_DOMCTL_assign_device        37
#define XEN_DOMCTL_bind_pt_irq          38
#define XEN_DOMCTL_memory_mapping       39
#define XEN_DOMCTL_ioport_mapping       40
#define XEN_DOMCTL_set_ext_vcpucontext  42
#define XEN_DOMCTL_get_ext_vcpucontext  43
#define XEN_DOMCTL_set_opt_feature      44
#define XEN_DOMCTL_test_assign_device   45
#define XEN_DOMCTL_set_target           46
#define XEN_DOMCTL_deassign_device      47
#define XEN_DOMCTL_unbind_pt_irq        48
#define XEN_DOMCTL_get_device_group     50
#define XEN_DOMCTL_debug_op             54
#define XEN_DOMCTL_gethvmcontext_partial 55
#define XEN_DOMCTL_vm_event_op          56
#define XEN_DOMCTL_mem_sharing_op       57
#define XEN_DOMCTL_gettscinfo           59
#define XEN_DOMCTL_settscinfo           60
#define XEN_DOMCTL_getpageframeinfo3    61
#define XEN_DOMCTL_setvcpuextstate      62
#define XEN_DOMCTL_getvcpuextstate      63
#define XEN_DOMCTL_set_access_required  64
#define XEN_DOMCTL_audit_p2m            65
#define XEN_DOMCTL_set_virq_handler     66
#define XEN_DOMCTL_set_broken_page_p2m  67
#define XEN_DOMCTL_setnodeaffinity      68
#define XEN_DOMCTL_getnodeaffinity      69
#define XEN_DOMCTL_cacheflush           71
#define XEN_DOMCTL_get_vcpu_msrs        72
#define XEN_DOMCTL_set_vcpu_msrs        73
#define XEN_DOMCTL_setvnumainfo         74
#define XEN_DOMCTL_psr_cmt_op           75
#define XEN_DOMCTL_monitor_op           77
#define XEN_DOMCTL_psr_alloc            78
#define XEN_DOMCTL_soft_reset           79
#define XEN_DOMCTL_vuart_op             81
#define XEN_DOMCTL_get_cpu_policy       82
#define XEN_DOMCTL_set_cpu_policy       83
#define XEN_DOMCTL_vmtrace_op           84
#define XEN_DOMCTL_get_paging_mempool_size 85
#define XEN_DOMCTL_set_paging_mempool_size 86
#define XEN_DOMCTL_gdbsx_guestmemio     1000
#define XEN_DOMCTL_gdbsx_pausevcpu      1001
#define XEN_DOMCTL_gdbsx_unpausevcpu    1002
#define XEN_DOMCTL_gdbsx_domstatus      1003

/* The id goes in and out in xen_domctl.domain; 0 or a reserved one lets the hypervisor choose. */
struct xen_domctl_createdomain {
    uint32_t ssidref;               /* security label, unused                 */
    xen_domain_handle_t handle;
    uint32_t flags;                 /* XEN_DOMCTL_CDF_*                       */
    uint32_t iommu_opts;            /* XEN_DOMCTL_IOMMU_*                     */
    uint32_t max_vcpus;
    uint32_t max_evtchn_port;       /* highest port the domain may ever hold  */
    int32_t max_grant_frames;       /* negative: the default                  */
    int32_t max_maptrack_frames;    /* negative: the default                  */
    uint32_t grant_opts;            /* XEN_DOMCTL_GRANT_version()             */
    uint32_t vmtrace_size;
    uint32_t cpupool_id;
    struct xen_arch_domainconfig arch;
};
ABI_SIZE(struct xen_domctl_createdomain, 0x40);
ABI_OFFSET(struct xen_domctl_createdomain, handle, 4);
ABI_OFFSET(struct xen_domctl_createdomain, flags, 0x14);
ABI_OFFSET(struct xen_domctl_createdomain, max_vcpus, 0x1c);
ABI_OFFSET(struct xen_domctl_createdomain, max_grant_frames, 0x24);
ABI_OFFSET(struct xen_domctl_createdomain, cpupool_id, 0x34);
ABI_OFFSET(struct xen_domctl_createdomain, arch, 0x38);
#define XEN_DOMCTL_CDF_hvm          (1u << 0)
#define XEN_DOMCTL_CDF_hap          (1u << 1)
#define XEN_DOMCTL_CDF_s3_integrity (1u << 2)
#define XEN_DOMCTL_CDF_oos_off      (1u << 3)
#define XEN_DOMCTL_CDF_xs_domain    (1u << 4) /* holds the store            */
#define XEN_DOMCTL_CDF_iommu        (1u << 5)
#define XEN_DOMCTL_CDF_nested_virt  (1u << 6)
#define XEN_DOMCTL_CDF_vpmu         (1u << 7)
#define XEN_DOMCTL_CDF_MAX          XEN_DOMCTL_CDF_vpmu
#define XEN_DOMCTL_IOMMU_no_sharept (1u << 0)
#define XEN_DOMCTL_IOMMU_MAX        XEN_DOMCTL_IOMMU_no_sharept
#define XEN_DOMCTL_GRANT_version_mask 0xf
#define XEN_DOMCTL_GRANT_version(v) ((v) & XEN_DOMCTL_GRANT_version_mask)

/* All results. Answers for the first domain whose id is not below the one asked for. */
struct xen_domctl_getdomaininfo {
    domid_t domain;
    uint16_t pad1;
    uint32_t flags;                 /* XEN_DOMINF_*, shutdown reason          */
    uint64_t tot_pages;
    uint64_t max_pages;
    uint64_t outstanding_pages;     /* claimed, not yet allocated             */
    uint64_t shr_pages;
    uint64_t paged_pages;
    uint64_t shared_info_frame;
    uint64_t cpu_time;              /* ns, all vcpus                          */
    uint32_t nr_online_vcpus;
    uint32_t max_vcpu_id;           /* or XEN_INVALID_MAX_VCPU_ID: none       */
    uint32_t ssidref;
    xen_domain_handle_t handle;
    uint32_t cpupool;
    uint8_t gpaddr_bits;            /* width of a guest-physical address      */
    uint8_t pad2[7];
    struct xen_arch_domainconfig arch_config;
};
ABI_SIZE(struct xen_domctl_getdomaininfo, 0x70);
ABI_OFFSET(struct xen_domctl_getdomaininfo, flags, 4);
ABI_OFFSET(struct xen_domctl_getdomaininfo, tot_pages, 8);
ABI_OFFSET(struct xen_domctl_getdomaininfo, shared_info_frame, 0x30);
ABI_OFFSET(struct xen_domctl_getdomaininfo, cpu_time, 0x38);
ABI_OFFSET(struct xen_domctl_getdomaininfo, max_vcpu_id, 0x44);
ABI_OFFSET(struct xen_domctl_getdomaininfo, handle, 0x4c);
ABI_OFFSET(struct xen_domctl_getdomaininfo, cpupool, 0x5c);
ABI_OFFSET(struct xen_domctl_getdomaininfo, gpaddr_bits, 0x60);
ABI_OFFSET(struct xen_domctl_getdomaininfo, arch_config, 0x68);
#define XEN_DOMINF_dying     (1u << 0)
#define XEN_DOMINF_hvm_guest (1u << 1)
#define XEN_DOMINF_shutdown  (1u << 2)
#define XEN_DOMINF_paused    (1u << 3) /* by the toolstack                   */
#define XEN_DOMINF_blocked   (1u << 4) /* all vcpus wait for an event        */
#define XEN_DOMINF_running   (1u << 5) /* some vcpu is on a cpu now          */
#define XEN_DOMINF_debugged  (1u << 6)
#define XEN_DOMINF_xs_domain (1u << 7)
#define XEN_DOMINF_hap       (1u << 8)
#define XEN_DOMINF_shutdownmask  255   /* SHUTDOWN_*, valid with shutdown    */
#define XEN_DOMINF_shutdownshift 16
#define XEN_INVALID_MAX_VCPU_ID (~0u)

/* Replace each mfn of the array by its type, XEN_DOMCTL_PFINFO_*. */
struct xen_domctl_getpageframeinfo3 {
    uint64_t num;
    guest_va_t array;               /* xen_pfn_t[num], in and out             */
};
ABI_SIZE(struct xen_domctl_getpageframeinfo3, 0x10);
#define XEN_DOMCTL_PFINFO_LTAB_SHIFT    28
#define XEN_DOMCTL_PFINFO_NOTAB         (0x0u << 28)
#define XEN_DOMCTL_PFINFO_L1TAB         (0x1u << 28)
#define XEN_DOMCTL_PFINFO_L2TAB         (0x2u << 28)
#define XEN_DOMCTL_PFINFO_L3TAB         (0x3u << 28)
#define XEN_DOMCTL_PFINFO_L4TAB         (0x4u << 28)
#define XEN_DOMCTL_PFINFO_LTABTYPE_MASK (0x7u << 28)
#define XEN_DOMCTL_PFINFO_LPINTAB       (0x1u << 31)
#define XEN_DOMCTL_PFINFO_XTAB          (0xfu << 28) /* not a page of the domain */
#define XEN_DOMCTL_PFINFO_XALLOC        (0xeu << 28)
#define XEN_DOMCTL_PFINFO_BROKEN        (0xdu << 28)
#define XEN_DOMCTL_PFINFO_LTAB_MASK     (0xfu << 28)

/* Track which pages a running domain dirties, for live migration. */
struct xen_domctl_shadow_op_stats {
    uint32_t fault_count;
    uint32_t dirty_count;
};
ABI_SIZE(struct xen_domctl_shadow_op_stats, 8);

struct xen_domctl_shadow_op {
    uint32_t op;                    /* XEN_DOMCTL_SHADOW_OP_*                 */
    uint32_t mode;                  /* of ENABLE, or LOGDIRTY_FINAL of CLEAN  */
    uint32_t mb;
    guest_va_t dirty_bitmap;        /* -> a bit per pfn                       */
    uint64_t pages;                 /* size of the bitmap; -> bits written    */
    struct xen_domctl_shadow_op_stats stats; /* ->                            */
};
ABI_SIZE(struct xen_domctl_shadow_op, 0x28);
ABI_OFFSET(struct xen_domctl_shadow_op, dirty_bitmap, 0x10);
ABI_OFFSET(struct xen_domctl_shadow_op, pages, 0x18);
ABI_OFFSET(struct xen_domctl_shadow_op, stats, 0x20);
#define XEN_DOMCTL_SHADOW_OP_OFF             0
#define XEN_DOMCTL_SHADOW_OP_ENABLE_TEST     1
#define XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY 2
#define XEN_DOMCTL_SHADOW_OP_CLEAN           11 /* read the bitmap and clear it */
#define XEN_DOMCTL_SHADOW_OP_PEEK            12 /* read the bitmap              */
#define XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION  30
#define XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION  31
#define XEN_DOMCTL_SHADOW_OP_ENABLE          32
#define XEN_DOMCTL_SHADOW_ENABLE_REFCOUNT    (1 << 1)
#define XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY   (1 << 2)
#define XEN_DOMCTL_SHADOW_ENABLE_TRANSLATE   (1 << 3)
#define XEN_DOMCTL_SHADOW_ENABLE_EXTERNAL    (1 << 4)
#define XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL     (1 << 0)

struct xen_domctl_max_mem {
    uint64_t max_memkb;
};
ABI_SIZE(struct xen_domctl_max_mem, 8);

/* get/setvcpucontext */
struct xen_domctl_vcpucontext {
    uint32_t vcpu;
    guest_va_t ctxt;                /* struct vcpu_guest_context              */
};
ABI_SIZE(struct xen_domctl_vcpucontext, 0x10);

struct xen_domctl_getvcpuinfo {
    uint32_t vcpu;
    uint8_t online;                 /* -> not down                            */
    uint8_t blocked;                /* -> waits for an event                  */
    uint8_t running;                /* -> is on a cpu now                     */
    uint64_t cpu_time;              /* -> ns                                  */
    uint32_t cpu;                   /* -> where it runs or last ran           */
};
ABI_SIZE(struct xen_domctl_getvcpuinfo, 0x18);
ABI_OFFSET(struct xen_domctl_getvcpuinfo, online, 4);
ABI_OFFSET(struct xen_domctl_getvcpuinfo, cpu_time, 8);
ABI_OFFSET(struct xen_domctl_getvcpuinfo, cpu, 0x10);

/* get/setnodeaffinity */
struct xen_domctl_nodeaffinity {
    struct xenctl_bitmap nodemap;
};
ABI_SIZE(struct xen_domctl_nodeaffinity, 0x10);

/* get/setvcpuaffinity: hard is obeyed, soft preferred; -> set: what is in effect now. */
struct xen_domctl_vcpuaffinity {
    uint32_t vcpu;
    uint32_t flags;                 /* XEN_VCPUAFFINITY_*: which maps are meant */
    struct xenctl_bitmap cpumap_hard;
    struct xenctl_bitmap cpumap_soft;
};
ABI_SIZE(struct xen_domctl_vcpuaffinity, 0x28);
#define XEN_VCPUAFFINITY_HARD  (1u << 0)
#define XEN_VCPUAFFINITY_SOFT  (1u << 1)
#define XEN_VCPUAFFINITY_FORCE (1u << 2) /* undo a SCHEDOP_pin_override     */

struct xen_domctl_max_vcpus {
    uint32_t max;
};
ABI_SIZE(struct xen_domctl_max_vcpus, 4);

/* Scheduler numbers, as sched_id. */
#define XEN_SCHEDULER_CREDIT   5
#define XEN_SCHEDULER_CREDIT2  6
#define XEN_SCHEDULER_ARINC653 7
#define XEN_SCHEDULER_RTDS     8
#define XEN_SCHEDULER_NULL     9

struct xen_domctl_sched_credit {
    uint16_t weight;
    uint16_t cap;                   /* per cent of one cpu; 0: none           */
};
ABI_SIZE(struct xen_domctl_sched_credit, 4);

struct xen_domctl_sched_credit2 {
    uint16_t weight;
    uint16_t cap;
};
ABI_SIZE(struct xen_domctl_sched_credit2, 4);

struct xen_domctl_sched_rtds {
    uint32_t period;                /* us                                     */
    uint32_t budget;                /* us in each period                      */
    uint32_t flags;
};
ABI_SIZE(struct xen_domctl_sched_rtds, 0xc);
#define XEN_DOMCTL_SCHEDRT_extra (1u << 0)

struct xen_domctl_schedparam_vcpu {
    union {
        struct xen_domctl_sched_credit credit;
        struct xen_domctl_sched_credit2 credit2;
        struct xen_domctl_sched_rtds rtds;
    } u;
    uint32_t vcpuid;
};
ABI_SIZE(struct xen_domctl_schedparam_vcpu, 0x10);

struct xen_domctl_scheduler_op {
    uint32_t sched_id;              /* XEN_SCHEDULER_*, must be the one in use */
    uint32_t cmd;                   /* XEN_DOMCTL_SCHEDOP_*                   */
    union {
        struct xen_domctl_sched_credit credit;
        struct xen_domctl_sched_credit2 credit2;
        struct xen_domctl_sched_rtds rtds;
        struct {
            guest_va_t vcpus;       /* xen_domctl_schedparam_vcpu[nr_vcpus]   */
            uint32_t nr_vcpus;
            uint32_t padding;
        } v;
    } u;
};
ABI_SIZE(struct xen_domctl_scheduler_op, 0x18);
ABI_OFFSET(struct xen_domctl_scheduler_op, u, 8);
#define XEN_DOMCTL_SCHEDOP_putinfo     0
#define XEN_DOMCTL_SCHEDOP_getinfo     1
#define XEN_DOMCTL_SCHEDOP_putvcpuinfo 2
#define XEN_DOMCTL_SCHEDOP_getvcpuinfo 3

struct xen_domctl_setdomainhandle {
    xen_domain_handle_t handle;
};
ABI_SIZE(struct xen_domctl_setdomainhandle, 0x10);

struct xen_domctl_setdebugging {
    uint8_t enable;
};
ABI_SIZE(struct xen_domctl_setdebugging, 1);

struct xen_domctl_irq_permission {
    uint32_t pirq;
    uint8_t allow_access;
    uint8_t pad[3];
};
ABI_SIZE(struct xen_domctl_irq_permission, 8);

struct xen_domctl_iomem_permission {
    uint64_t first_mfn;
    uint64_t nr_mfns;
    uint8_t allow_access;
};
ABI_SIZE(struct xen_domctl_iomem_permission, 0x18);

struct xen_domctl_ioport_permission {
    uint32_t first_port;
    uint32_t nr_ports;
    uint8_t allow_access;
};
ABI_SIZE(struct xen_domctl_ioport_permission, 0xc);

/* Write hypercall stubs into a page of the guest. */
struct xen_domctl_hypercall_init {
    uint64_t gmfn;
};
ABI_SIZE(struct xen_domctl_hypercall_init, 8);

struct xen_domctl_settimeoffset {
    int64_t time_offset_seconds;
};
ABI_SIZE(struct xen_domctl_settimeoffset, 8);

/* get/set_address_size: width of the guest in bits, 64. */
struct xen_domctl_address_size {
    uint32_t size;
};
ABI_SIZE(struct xen_domctl_address_size, 4);

#define XEN_DOMCTL_SENDTRIGGER_NMI   0
#define XEN_DOMCTL_SENDTRIGGER_RESET 1
#define XEN_DOMCTL_SENDTRIGGER_INIT  2
#define XEN_DOMCTL_SENDTRIGGER_POWER 3
#define XEN_DOMCTL_SENDTRIGGER_SLEEP 4
struct xen_domctl_sendtrigger {
    uint32_t trigger;               /* XEN_DOMCTL_SENDTRIGGER_*               */
    uint32_t vcpu;
};
ABI_SIZE(struct xen_domctl_sendtrigger, 8);

/* Machine-check banks of a vcpu. */
struct hvm_vmce_vcpu {
    uint64_t caps;
    uint64_t mci_ctl2_bank0;
    uint64_t mci_ctl2_bank1;
    uint64_t mcg_ext_ctl;
};
ABI_SIZE(struct hvm_vmce_vcpu, 0x20);

/* get/set_ext_vcpucontext: what vcpu_guest_context has no room for. */
struct xen_domctl_ext_vcpucontext {
    uint32_t vcpu;
    uint32_t size;                  /* of this struct as the caller knows it  */
    uint64_t syscall32_callback_eip;
    uint64_t sysenter_callback_eip;
    uint16_t syscall32_callback_cs;
    uint16_t sysenter_callback_cs;
    uint8_t syscall32_disables_events;
    uint8_t sysenter_disables_events;
    union {
        uint64_t mcg_cap;
        struct hvm_vmce_vcpu vmce;
    };
};
ABI_SIZE(struct xen_domctl_ext_vcpucontext, 0x40);
ABI_OFFSET(struct xen_domctl_ext_vcpucontext, syscall32_callback_cs, 0x18);
ABI_OFFSET(struct xen_domctl_ext_vcpucontext, mcg_cap, 0x20);
ABI_OFFSET(struct xen_domctl_ext_vcpucontext, vmce, 0x20);

/* get/set_cpu_policy: what CPUID and the feature MSRs shall tell the domain. */
struct xen_domctl_cpu_policy {
    uint32_t nr_leaves;             /* of leaves; -> written, or needed if NULL */
    uint32_t nr_msrs;               /* of msrs; likewise                      */
    guest_va_t leaves;              /* xen_cpuid_leaf[]                       */
    guest_va_t msrs;                /* xen_msr_entry[]                        */
    uint32_t err_leaf, err_subleaf, err_msr; /* -> set: what was refused      */
};
ABI_SIZE(struct xen_domctl_cpu_policy, 0x28);
ABI_OFFSET(struct xen_domctl_cpu_policy, leaves, 8);
ABI_OFFSET(struct xen_domctl_cpu_policy, msrs, 0x10);
ABI_OFFSET(struct xen_domctl_cpu_policy, err_leaf, 0x18);
#define XEN_CPUID_INPUT_UNUSED 0xffffffff

struct xen_domctl_subscribe {
    uint32_t port;                  /* notified when the domain suspends      */
};
ABI_SIZE(struct xen_domctl_subscribe, 4);

/* get/settscinfo */
struct xen_domctl_tsc_info {
    uint32_t tsc_mode;              /* 0 default, 1 emulate, 2 native         */
    uint32_t gtsc_khz;
    uint32_t incarnation;           /* times it was moved                     */
    uint32_t pad;
    uint64_t elapsed_nsec;
};
ABI_SIZE(struct xen_domctl_tsc_info, 0x18);

struct xen_domctl_set_virq_handler {
    uint32_t virq;
};
ABI_SIZE(struct xen_domctl_set_virq_handler, 4);

/* get/setvcpuextstate: the XSAVE area. */
struct xen_domctl_vcpuextstate {
    uint32_t vcpu;
    uint64_t xfeature_mask;         /* ->                                     */
    uint64_t size;                  /* of buffer; -> needed if it is NULL     */
    guest_va_t buffer;              /* {xcr0, xcr0_accum, area}               */
};
ABI_SIZE(struct xen_domctl_vcpuextstate, 0x20);
ABI_OFFSET(struct xen_domctl_vcpuextstate, xfeature_mask, 8);
ABI_OFFSET(struct xen_domctl_vcpuextstate, size, 0x10);
ABI_OFFSET(struct xen_domctl_vcpuextstate, buffer, 0x18);

struct xen_domctl_vcpu_msr {
    uint32_t index;
    uint32_t reserved;
    uint64_t value;
};
ABI_SIZE(struct xen_domctl_vcpu_msr, 0x10);

/* get/set_vcpu_msrs */
struct xen_domctl_vcpu_msrs {
    uint32_t vcpu;
    uint32_t msr_count;             /* of msrs; -> written, or needed if NULL */
    guest_va_t msrs;                /* xen_domctl_vcpu_msr[]                  */
};
ABI_SIZE(struct xen_domctl_vcpu_msrs, 0x10);

struct xen_domctl_paging_mempool {
    uint64_t size;                  /* bytes                                  */
};
ABI_SIZE(struct xen_domctl_paging_mempool, 8);

struct xen_domctl {
    uint32_t cmd;                   /* XEN_DOMCTL_*                           */
    uint32_t interface_version;
    domid_t domain;
    uint16_t _pad[3];
    union {
        struct xen_domctl_createdomain createdomain;
        struct xen_domctl_getdomaininfo getdomaininfo;
        struct xen_domctl_getpageframeinfo3 getpageframeinfo3;
        struct xen_domctl_nodeaffinity nodeaffinity;
        struct xen_domctl_vcpuaffinity vcpuaffinity;
        struct xen_domctl_shadow_op shadow_op;
        struct xen_domctl_max_mem max_mem;
        struct xen_domctl_vcpucontext vcpucontext;
        struct xen_domctl_getvcpuinfo getvcpuinfo;
        struct xen_domctl_max_vcpus max_vcpus;
        struct xen_domctl_scheduler_op scheduler_op;
        struct xen_domctl_setdomainhandle setdomainhandle;
        struct xen_domctl_setdebugging setdebugging;
        struct xen_domctl_irq_permission irq_permission;
        struct xen_domctl_iomem_permission iomem_permission;
        struct xen_domctl_ioport_permission ioport_permission;
        struct xen_domctl_hypercall_init hypercall_init;
        struct xen_domctl_settimeoffset settimeoffset;
        struct xen_domctl_tsc_info tsc_info;
        struct xen_domctl_address_size address_size;
        struct xen_domctl_sendtrigger sendtrigger;
        struct xen_domctl_ext_vcpucontext ext_vcpucontext;
        struct xen_domctl_subscribe subscribe;
        struct xen_domctl_cpu_policy cpu_policy;
        struct xen_domctl_vcpuextstate vcpuextstate;
        struct xen_domctl_vcpu_msrs vcpu_msrs;
        struct xen_domctl_set_virq_handler set_virq_handler;
        struct xen_domctl_paging_mempool paging_mempool;
        uint8_t pad[128];
    } u;
};
ABI_SIZE(struct xen_domctl, 0x90);
ABI_OFFSET(struct xen_domctl, domain, 8);
ABI_OFFSET(struct xen_domctl, u, 0x10);

#endif
