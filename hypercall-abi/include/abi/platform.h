/* What dom0 does with the machine: clock, sleep, processors, firmware data. */
#ifndef ABI_PLATFORM_H
#define ABI_PLATFORM_H

#include <abi/xen.h>

/* platform_op(struct xen_platform_op). "->" marks results. */
#define XENPF_INTERFACE_VERSION 0x03000001

#define XENPF_settime32          17
#define XENPF_add_memtype        31
#define XENPF_del_memtype        32
#define XENPF_read_memtype       33
#define XENPF_microcode_update   35
#define XENPF_platform_quirk     39
#define XENPF_get_cpu_version    48
#define XENPF_efi_runtime_call   49 /* not offered: we never call EFI     */
#define XENPF_firmware_info      50
#define XENPF_enter_acpi_sleep   51
#define XENPF_change_freq        52
#define XENPF_getidletime        53
#define XENPF_set_processor_pminfo 54
#define XENPF_get_cpuinfo        55
#define XENPF_cpu_online         56 /* xenpf_cpu_ol                           */
#define XENPF_cpu_offline        57 /* xenpf_cpu_ol                           */
#define XENPF_cpu_hotadd         58
#define XENPF_mem_hotadd         59
#define XENPF_core_parking       60
#define XENPF_resource_op        61
#define XENPF_settime64          62
#define XENPF_get_symbol         63
#define XENPF_settime            XENPF_settime64

/* Set the wall clock: this date was current at this system time. */
struct xenpf_settime32 {
    uint32_t secs;
    uint32_t nsecs;
    uint64_t system_time;
};
ABI_SIZE(struct xenpf_settime32, 0x10);

struct xenpf_settime64 {
    uint64_t secs;
    uint32_t nsecs;
    uint32_t mbz;                   /* must be 0                              */
    uint64_t system_time;
};
ABI_SIZE(struct xenpf_settime64, 0x18);

/* Memory type ranges (MTRRs). */
struct xenpf_add_memtype {
    xen_pfn_t mfn;
    uint64_t nr_mfns;
    uint32_t type;
    uint32_t handle;                /* ->                                     */
    uint32_t reg;                   /* ->                                     */
};
ABI_SIZE(struct xenpf_add_memtype, 0x20);

struct xenpf_del_memtype {
    uint32_t handle;
    uint32_t reg;
};
ABI_SIZE(struct xenpf_del_memtype, 8);

struct xenpf_read_memtype {
    uint32_t reg;
    xen_pfn_t mfn;                  /* ->                                     */
    uint64_t nr_mfns;               /* ->                                     */
    uint32_t type;                  /* ->                                     */
};
ABI_SIZE(struct xenpf_read_memtype, 0x20);

struct xenpf_microcode_update {
    guest_va_t data;
    uint32_t length;
};
ABI_SIZE(struct xenpf_microcode_update, 0x10);

struct xenpf_platform_quirk {
    uint32_t quirk_id;
};
ABI_SIZE(struct xenpf_platform_quirk, 4);

/* What the firmware knew before we took the machine over. -ESRCH ends an enumeration. */
#define XEN_FW_DISK_INFO          1
#define XEN_FW_DISK_MBR_SIGNATURE 2
#define XEN_FW_VBEDDC_INFO        3
#define XEN_FW_EFI_INFO           4
#define XEN_FW_KBD_SHIFT_FLAGS    5
#define XEN_FW_EFI_VERSION          0 /* index, with XEN_FW_EFI_INFO            */
#define XEN_FW_EFI_CONFIG_TABLE     1
#define XEN_FW_EFI_VENDOR           2
#define XEN_FW_EFI_MEM_INFO         3
#define XEN_FW_EFI_RT_VERSION       4
#define XEN_FW_EFI_PCI_ROM          5
#define XEN_FW_EFI_APPLE_PROPERTIES 6
struct xenpf_firmware_info {
    uint32_t type;                  /* XEN_FW_*                               */
    uint32_t index;                 /* which disk, or which EFI item          */
    union {
        struct {
            uint8_t device;         /* BIOS drive number                      */
            uint8_t version;
            uint16_t interface_support;
            uint16_t legacy_max_cylinder;
            uint8_t legacy_max_head;
            uint8_t legacy_sectors_per_track;
            guest_va_t edd_params;  /* int 13h function 48h result            */
        } disk_info;
        struct {
            uint8_t device;
            uint32_t mbr_signature;
        } disk_mbr_signature;
        struct {
            uint8_t capabilities;
            uint8_t edid_transfer_time;
            guest_va_t edid;        /* 128 bytes                              */
        } vbeddc_info;
        union xenpf_efi_info {
            uint32_t version;
            struct {
                uint64_t addr;
                uint32_t nent;
            } cfg;
            struct {
                uint32_t revision;
                uint32_t bufsz;
                guest_va_t name;    /* CHAR16 string                          */
            } vendor;
            struct {
                uint64_t addr;
                uint64_t size;
                uint64_t attr;
                uint32_t type;
            } mem;
        } efi_info;
        uint8_t kbd_shift_flags;    /* int 16h function 2                     */
    } u;
};
ABI_SIZE(struct xenpf_firmware_info, 0x28);
ABI_OFFSET(struct xenpf_firmware_info, u, 8);

/* Write the sleep type to the PM1 control registers. */
struct xenpf_enter_acpi_sleep {
    uint16_t val_a;                 /* PM1a control, or sleep type A if extended */
    uint16_t val_b;                 /* PM1b control, or sleep type B          */
    uint32_t sleep_state;           /* 1..5                                   */
    uint32_t flags;                 /* XENPF_ACPI_SLEEP_EXTENDED              */
};
ABI_SIZE(struct xenpf_enter_acpi_sleep, 0xc);
#define XENPF_ACPI_SLEEP_EXTENDED 0x00000001

struct xenpf_change_freq {
    uint32_t flags;
    uint32_t cpu;
    uint64_t freq;                  /* Hz                                     */
};
ABI_SIZE(struct xenpf_change_freq, 0x10);

struct xenpf_getidletime {
    guest_va_t cpumap_bitmap;       /* which cpus; -> which exist             */
    uint32_t cpumap_nr_cpus;
    guest_va_t idletime;            /* -> uint64_t ns, indexed by cpu         */
    uint64_t now;                   /* -> system time                         */
};
ABI_SIZE(struct xenpf_getidletime, 0x20);

/* Power management data dom0 read from ACPI. */
#define XEN_PROCESSOR_PM_CX 1
#define XEN_PROCESSOR_PM_PX 2
#define XEN_PROCESSOR_PM_TX 4
#define XEN_PM_CX  0                /* type: idle states                      */
#define XEN_PM_PX  1                /* type: performance states               */
#define XEN_PM_TX  2
#define XEN_PM_PDC 3                /* type: negotiate _PDC bits              */
#define XEN_PX_PCT 1
#define XEN_PX_PSS 2
#define XEN_PX_PPC 4
#define XEN_PX_PSD 8

struct xen_power_register {
    uint32_t space_id;
    uint32_t bit_width;
    uint32_t bit_offset;
    uint32_t access_size;
    uint64_t address;
};
ABI_SIZE(struct xen_power_register, 0x18);

struct xen_processor_csd {
    uint32_t domain;
    uint32_t coord_type;
    uint32_t num;
};
ABI_SIZE(struct xen_processor_csd, 0xc);

struct xen_processor_cx {
    struct xen_power_register reg;
    uint8_t type;
    uint32_t latency;
    uint32_t power;
    uint32_t dpcnt;
    guest_va_t dp;                  /* xen_processor_csd[dpcnt]               */
};
ABI_SIZE(struct xen_processor_cx, 0x30);

struct xen_processor_flags {
    uint32_t bm_control : 1;
    uint32_t bm_check : 1;
    uint32_t has_cst : 1;
    uint32_t power_setup_done : 1;
    uint32_t bm_rld_set : 1;
};
ABI_SIZE(struct xen_processor_flags, 4);

struct xen_processor_power {
    uint32_t count;
    struct xen_processor_flags flags;
    guest_va_t states;              /* xen_processor_cx[count]                */
};
ABI_SIZE(struct xen_processor_power, 0x10);

struct xen_pct_register {
    uint8_t descriptor;
    uint16_t length;
    uint8_t space_id;
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t reserved;
    uint64_t address;
};
ABI_SIZE(struct xen_pct_register, 0x10);

struct xen_processor_px {
    uint64_t core_frequency;
    uint64_t power;
    uint64_t transition_latency;
    uint64_t bus_master_latency;
    uint64_t control;
    uint64_t status;
};
ABI_SIZE(struct xen_processor_px, 0x30);

struct xen_psd_package {
    uint64_t num_entries;
    uint64_t revision;
    uint64_t domain;
    uint64_t coord_type;
    uint64_t num_processors;
};
ABI_SIZE(struct xen_psd_package, 0x28);

struct xen_processor_performance {
    uint32_t flags;                 /* XEN_PX_*: which parts are valid        */
    uint32_t platform_limit;
    struct xen_pct_register control_register;
    struct xen_pct_register status_register;
    uint32_t state_count;
    guest_va_t states;              /* xen_processor_px[state_count]          */
    struct xen_psd_package domain_info;
    uint32_t shared_type;           /* XEN_CPUPERF_SHARED_TYPE_*              */
};
ABI_SIZE(struct xen_processor_performance, 0x68);
#define XEN_CPUPERF_SHARED_TYPE_HW  1
#define XEN_CPUPERF_SHARED_TYPE_ALL 2
#define XEN_CPUPERF_SHARED_TYPE_ANY 3

struct xenpf_set_processor_pminfo {
    uint32_t id;                    /* ACPI id of the cpu                     */
    uint32_t type;                  /* XEN_PM_*                               */
    union {
        struct xen_processor_power power;
        struct xen_processor_performance perf;
        guest_va_t pdc;             /* uint32_t[]                             */
    } u;
};
ABI_SIZE(struct xenpf_set_processor_pminfo, 0x70);
ABI_OFFSET(struct xenpf_set_processor_pminfo, u, 8);

struct xenpf_pcpuinfo {
    uint32_t xen_cpuid;
    uint32_t max_present;           /* -> highest cpu number                  */
    uint32_t flags;                 /* -> XEN_PCPU_FLAGS_*                    */
    uint32_t apic_id;               /* ->                                     */
    uint32_t acpi_id;               /* ->                                     */
};
ABI_SIZE(struct xenpf_pcpuinfo, 0x14);
#define XEN_PCPU_FLAGS_ONLINE  1
#define XEN_PCPU_FLAGS_INVALID 2    /* no such cpu                            */

struct xenpf_pcpu_version {
    uint32_t xen_cpuid;
    uint32_t max_present;           /* ->                                     */
    char vendor_id[12];             /* -> no NUL                              */
    uint32_t family;                /* ->                                     */
    uint32_t model;                 /* ->                                     */
    uint32_t stepping;              /* ->                                     */
};
ABI_SIZE(struct xenpf_pcpu_version, 0x20);

struct xenpf_cpu_ol {
    uint32_t cpuid;
};
ABI_SIZE(struct xenpf_cpu_ol, 4);

struct xenpf_cpu_hotadd {
    uint32_t apic_id;
    uint32_t acpi_id;
    uint32_t pxm;
};
ABI_SIZE(struct xenpf_cpu_hotadd, 0xc);

struct xenpf_mem_hotadd {
    uint64_t spfn;
    uint64_t epfn;
    uint32_t pxm;
    uint32_t flags;
};
ABI_SIZE(struct xenpf_mem_hotadd, 0x18);

struct xenpf_core_parking {
    uint32_t type;                  /* XEN_CORE_PARKING_*                     */
    uint32_t idle_nums;
};
ABI_SIZE(struct xenpf_core_parking, 8);
#define XEN_CORE_PARKING_SET 1
#define XEN_CORE_PARKING_GET 2

/* Read or write MSRs on a given cpu. */
struct xenpf_resource_entry {
    union {
        uint32_t cmd;               /* XEN_RESOURCE_OP_*                      */
        int32_t ret;                /* ->                                     */
    } u;
    uint32_t rsvd;
    uint64_t idx;
    uint64_t val;
};
ABI_SIZE(struct xenpf_resource_entry, 0x18);
#define XEN_RESOURCE_OP_MSR_READ  0
#define XEN_RESOURCE_OP_MSR_WRITE 1

struct xenpf_resource_op {
    uint32_t nr_entries;
    uint32_t cpu;
    guest_va_t entries;             /* xenpf_resource_entry[nr_entries]       */
};
ABI_SIZE(struct xenpf_resource_op, 0x10);

/* Enumerate the hypervisor's symbols. */
struct xenpf_symdata {
    uint32_t namelen;               /* room; -> needed                        */
    uint32_t symnum;                /* which; -> the next                     */
    guest_va_t name;                /* ->                                     */
    uint64_t address;               /* ->                                     */
    char type;                      /* ->                                     */
};
ABI_SIZE(struct xenpf_symdata, 0x20);

struct xen_platform_op {
    uint32_t cmd;                   /* XENPF_*                                */
    uint32_t interface_version;     /* else -EACCES                           */
    union {
        struct xenpf_settime32 settime32;
        struct xenpf_settime64 settime64;
        struct xenpf_add_memtype add_memtype;
        struct xenpf_del_memtype del_memtype;
        struct xenpf_read_memtype read_memtype;
        struct xenpf_microcode_update microcode;
        struct xenpf_platform_quirk platform_quirk;
        struct xenpf_firmware_info firmware_info;
        struct xenpf_enter_acpi_sleep enter_acpi_sleep;
        struct xenpf_change_freq change_freq;
        struct xenpf_getidletime getidletime;
        struct xenpf_set_processor_pminfo set_pminfo;
        struct xenpf_pcpuinfo pcpu_info;
        struct xenpf_pcpu_version pcpu_version;
        struct xenpf_cpu_ol cpu_ol;
        struct xenpf_cpu_hotadd cpu_add;
        struct xenpf_mem_hotadd mem_add;
        struct xenpf_core_parking core_parking;
        struct xenpf_resource_op resource_op;
        struct xenpf_symdata symdata;
        uint8_t pad[128];
    } u;
};
ABI_SIZE(struct xen_platform_op, 0x88);
ABI_OFFSET(struct xen_platform_op, u, 8);

#endif
