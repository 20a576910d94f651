/*
 * The core of the ABI: hypercall numbers, memory-management calls, special domain ids, and the
 * pages a domain shares with the hypervisor. Usable from assembly up to the __ASSEMBLER__ line.
 */
#ifndef ABI_XEN_H
#define ABI_XEN_H

#include <abi/arch-x86.h>

/* Hypercall numbers, in RAX. A hole, or one we do not know, answers -ENOSYS. */
#define __HYPERVISOR_set_trap_table        0
#define __HYPERVISOR_mmu_update            1
#define __HYPERVISOR_set_gdt               2
#define __HYPERVISOR_stack_switch          3
#define __HYPERVISOR_set_callbacks         4
#define __HYPERVISOR_fpu_taskswitch        5
#define __HYPERVISOR_sched_op_compat       6
#define __HYPERVISOR_platform_op           7
#define __HYPERVISOR_set_debugreg          8
#define __HYPERVISOR_get_debugreg          9
#define __HYPERVISOR_update_descriptor     10
#define __HYPERVISOR_memory_op             12
#define __HYPERVISOR_multicall             13
#define __HYPERVISOR_update_va_mapping     14
#define __HYPERVISOR_set_timer_op          15
#define __HYPERVISOR_event_channel_op_compat 16
#define __HYPERVISOR_xen_version           17
#define __HYPERVISOR_console_io            18
#define __HYPERVISOR_physdev_op_compat     19
#define __HYPERVISOR_grant_table_op        20
#define __HYPERVISOR_vm_assist             21
#define __HYPERVISOR_update_va_mapping_otherdomain 22
#define __HYPERVISOR_iret                  23
#define __HYPERVISOR_vcpu_op               24
#define __HYPERVISOR_set_segment_base      25
#define __HYPERVISOR_mmuext_op             26
#define __HYPERVISOR_xsm_op                27
#define __HYPERVISOR_nmi_op                28
#define __HYPERVISOR_sched_op              29
#define __HYPERVISOR_callback_op           30
#define __HYPERVISOR_xenoprof_op           31
#define __HYPERVISOR_event_channel_op      32
#define __HYPERVISOR_physdev_op            33
#define __HYPERVISOR_hvm_op                34
#define __HYPERVISOR_sysctl                35
#define __HYPERVISOR_domctl                36
#define __HYPERVISOR_kexec_op              37
#define __HYPERVISOR_tmem_op               38
#define __HYPERVISOR_argo_op               39
#define __HYPERVISOR_xenpmu_op             40
#define __HYPERVISOR_dm_op                 41
#define __HYPERVISOR_hypfs_op              42
#define __HYPERVISOR_arch_0                48 /* machine checks, see mca.h */
#define __HYPERVISOR_arch_1                49
#define __HYPERVISOR_arch_2                50
#define __HYPERVISOR_arch_3                51
#define __HYPERVISOR_arch_4                52
#define __HYPERVISOR_arch_5                53
#define __HYPERVISOR_arch_6                54
#define __HYPERVISOR_arch_7                55

/* Virtual interrupts. Those marked v exist once per vcpu, the others once per domain or host. */
#define VIRQ_TIMER      0  /* v: the one-shot or periodic timer fired          */
#define VIRQ_DEBUG      1  /* v: asked to dump state                           */
#define VIRQ_CONSOLE    2  /* dom0: input on the emergency console             */
#define VIRQ_DOM_EXC    3  /* dom0: some domain shut down or died              */
#define VIRQ_TBUF       4  /* dom0: trace buffer has data                      */
#define VIRQ_DEBUGGER   6  /* dom0: a domain paused for its debugger           */
#define VIRQ_XENOPROF   7  /* v: profiling sample                              */
#define VIRQ_CON_RING   8  /* dom0: the hypervisor log grew                    */
#define VIRQ_PCPU_STATE 9  /* dom0: a physical cpu came or went                */
#define VIRQ_MEM_EVENT  10 /* dom0: memory event                               */
#define VIRQ_ARGO       11 /* argo message                                     */
#define VIRQ_ENOMEM     12 /* dom0: memory is short                            */
#define VIRQ_XENPMU     13 /* v: performance counter overflow                  */
#define VIRQ_ARCH_0     16 /* machine check, see mca.h                         */
#define VIRQ_ARCH_1     17
#define VIRQ_ARCH_2     18
#define VIRQ_ARCH_3     19
#define VIRQ_ARCH_4     20
#define VIRQ_ARCH_5     21
#define VIRQ_ARCH_6     22
#define VIRQ_ARCH_7     23
#define NR_VIRQS        24

/* mmu_update: what to do, in the two low bits of mmu_update.ptr. */
#define MMU_NORMAL_PT_UPDATE       0 /* store val into the entry at machine address ptr */
#define MMU_MACHPHYS_UPDATE        1 /* set the M2P entry of frame ptr to val           */
#define MMU_PT_UPDATE_PRESERVE_AD  2 /* as 0, keeping the accessed and dirty bits set   */
#define MMU_PT_UPDATE_NO_TRANSLATE 3 /* as 0, val already holds a machine frame         */

/* mmuext_op.cmd */
#define MMUEXT_PIN_L1_TABLE       0  /* mfn                                    */
#define MMUEXT_PIN_L2_TABLE       1  /* mfn                                    */
#define MMUEXT_PIN_L3_TABLE       2  /* mfn                                    */
#define MMUEXT_PIN_L4_TABLE       3  /* mfn                                    */
#define MMUEXT_UNPIN_TABLE        4  /* mfn                                    */
#define MMUEXT_NEW_BASEPTR        5  /* mfn of the kernel's L4                 */
#define MMUEXT_TLB_FLUSH_LOCAL    6
#define MMUEXT_INVLPG_LOCAL       7  /* linear_addr                            */
#define MMUEXT_TLB_FLUSH_MULTI    8  /* vcpumask                               */
#define MMUEXT_INVLPG_MULTI       9  /* linear_addr, vcpumask                  */
#define MMUEXT_TLB_FLUSH_ALL      10
#define MMUEXT_INVLPG_ALL         11 /* linear_addr                            */
#define MMUEXT_FLUSH_CACHE        12
#define MMUEXT_SET_LDT            13 /* linear_addr, nr_ents                   */
#define MMUEXT_NEW_USER_BASEPTR   15 /* mfn of the user's L4, or 0 for none    */
#define MMUEXT_CLEAR_PAGE         16 /* mfn                                    */
#define MMUEXT_COPY_PAGE          17 /* mfn, src_mfn                           */
#define MMUEXT_FLUSH_CACHE_GLOBAL 18
#define MMUEXT_MARK_SUPER         19
#define MMUEXT_UNMARK_SUPER       20

/* update_va_mapping flags: what to flush, and on which vcpus (or a pointer to a vcpu bitmap). */
#define UVMF_NONE           0
#define UVMF_TLB_FLUSH      1
#define UVMF_INVLPG         2
#define UVMF_FLUSHTYPE_MASK 3
#define UVMF_MULTI          0 /* with a bitmap pointer in the remaining bits */
#define UVMF_LOCAL          0
#define UVMF_ALL            4

#define CONSOLEIO_write 0
#define CONSOLEIO_read  1

/* vm_assist: switches a guest turns on for itself. */
#define VMASST_CMD_enable  0
#define VMASST_CMD_disable 1
#define VMASST_TYPE_4gb_segments          0
#define VMASST_TYPE_4gb_segments_notify   1
#define VMASST_TYPE_writable_pagetables   2  /* emulate the guest's plain PTE writes    */
#define VMASST_TYPE_pae_extended_cr3      3
#define VMASST_TYPE_architectural_iopl    4  /* show IOPL in the flags of event frames  */
#define VMASST_TYPE_runstate_update_flag  5  /* XEN_RUNSTATE_UPDATE while we write      */
#define VMASST_TYPE_m2p_strict            32 /* hide the M2P from guest user mode       */

/* Domain ids from here up name no domain; each is allowed only where its call says so. */
#define DOMID_FIRST_RESERVED 0x7ff0
#define DOMID_SELF    0x7ff0
#define DOMID_IO      0x7ff1 /* owner of frames that are not RAM               */
#define DOMID_XEN     0x7ff2 /* owner of hypervisor frames guests may map      */
#define DOMID_COW     0x7ff3
#define DOMID_INVALID 0x7ff4
#define DOMID_IDLE    0x7fff
#define DOMID_MASK    0x7fff

/* start_info.flags */
#define SIF_PRIVILEGED      (1 << 0)
#define SIF_INITDOMAIN      (1 << 1)
#define SIF_MULTIBOOT_MOD   (1 << 2) /* mod_start leads to a list of modules        */
#define SIF_MOD_START_PFN   (1 << 3) /* mod_start is a pfn, the module is unmapped  */
#define SIF_VIRT_P2M_4TOOLS (1 << 4) /* tools understand the linear p2m             */
#define SIF_PM_MASK         (0xff << 8)

#define MAX_GUEST_CMDLINE 1024

/* vcpu_time_info.flags */
#define XEN_PVCLOCK_TSC_STABLE_BIT (1 << 0) /* same line on every vcpu: no need to compare */
#define XEN_PVCLOCK_GUEST_STOPPED  (1 << 1)

#ifndef __ASSEMBLER__

typedef uint16_t domid_t;
typedef uint8_t xen_domain_handle_t[16];    /* a UUID, opaque to the hypervisor */

struct mmuext_op {
    uint32_t cmd;                   /* MMUEXT_*                               */
    union {
        xen_pfn_t mfn;
        uint64_t linear_addr;
    } arg1;
    union {
        uint32_t nr_ents;
        guest_va_t vcpumask;        /* one bit per vcpu, whole bytes          */
        xen_pfn_t src_mfn;
    } arg2;
};
ABI_SIZE(struct mmuext_op, 0x18);
ABI_OFFSET(struct mmuext_op, arg1, 8);
ABI_OFFSET(struct mmuext_op, arg2, 0x10);

struct mmu_update {
    uint64_t ptr;                   /* machine address | MMU_*                */
    uint64_t val;
};
ABI_SIZE(struct mmu_update, 0x10);

struct multicall_entry {
    xen_ulong_t op, result;
    xen_ulong_t args[6];
};
ABI_SIZE(struct multicall_entry, 0x40);
ABI_OFFSET(struct multicall_entry, result, 8);
ABI_OFFSET(struct multicall_entry, args, 0x10);

/*
 * The line that turns a TSC value into nanoseconds since the host booted:
 *   system_time + ((tsc - tsc_timestamp) << tsc_shift) * tsc_to_system_mul / 2^32.
 * Odd version: being written, read again.
 */
struct vcpu_time_info {
    uint32_t version;
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;               /* negative: shift right                  */
    uint8_t flags;                  /* XEN_PVCLOCK_*                          */
    uint8_t pad1[2];
};
ABI_SIZE(struct vcpu_time_info, 0x20);
ABI_OFFSET(struct vcpu_time_info, tsc_timestamp, 8);
ABI_OFFSET(struct vcpu_time_info, system_time, 0x10);
ABI_OFFSET(struct vcpu_time_info, tsc_to_system_mul, 0x18);
ABI_OFFSET(struct vcpu_time_info, tsc_shift, 0x1c);
ABI_OFFSET(struct vcpu_time_info, flags, 0x1d);

/* Per-vcpu shared state. Exactly one cache line; an upcall is due if pending and not masked. */
struct vcpu_info {
    uint8_t evtchn_upcall_pending;
    uint8_t evtchn_upcall_mask;
    xen_ulong_t evtchn_pending_sel; /* which words of evtchn_pending to look at */
    struct arch_vcpu_info arch;
    struct vcpu_time_info time;
};
ABI_SIZE(struct vcpu_info, 0x40);
ABI_OFFSET(struct vcpu_info, evtchn_upcall_mask, 1);
ABI_OFFSET(struct vcpu_info, evtchn_pending_sel, 8);
ABI_OFFSET(struct vcpu_info, arch, 0x10);
ABI_OFFSET(struct vcpu_info, time, 0x20);

/* The page every domain shares with the hypervisor. Both sides write it at any time. */
struct shared_info {
    struct vcpu_info vcpu_info[XEN_LEGACY_MAX_VCPUS];
    xen_ulong_t evtchn_pending[64];
    xen_ulong_t evtchn_mask[64];
    uint32_t wc_version;            /* wall clock at system time 0; odd: being written */
    uint32_t wc_sec;
    uint32_t wc_nsec;
    uint32_t wc_sec_hi;             /* bits 32.. of the seconds               */
    struct arch_shared_info arch;
};
ABI_SIZE(struct shared_info, 0xc40);
ABI_OFFSET(struct shared_info, evtchn_pending, 0x800);
ABI_OFFSET(struct shared_info, evtchn_mask, 0xa00);
ABI_OFFSET(struct shared_info, wc_version, 0xc00);
ABI_OFFSET(struct shared_info, wc_sec_hi, 0xc0c);
ABI_OFFSET(struct shared_info, arch, 0xc10);

/* What a starting kernel finds at RSI. */
struct start_info {
    char magic[32];                 /* "xen-3.0-x86_64", a 'p' after it means nothing here */
    uint64_t nr_pages;
    uint64_t shared_info;           /* machine address                        */
    uint32_t flags;                 /* SIF_*                                  */
    xen_pfn_t store_mfn;
    uint32_t store_evtchn;
    union {
        struct {
            xen_pfn_t mfn;
            uint32_t evtchn;
        } domU;
        struct {
            uint32_t info_off;      /* dom0_vga_console_info, from start_info */
            uint32_t info_size;
        } dom0;
    } console;
    uint64_t pt_base;               /* address of the boot L4                 */
    uint64_t nr_pt_frames;
    uint64_t mfn_list;              /* address of the p2m list                */
    uint64_t mod_start;             /* initial ramdisk                        */
    uint64_t mod_len;
    int8_t cmd_line[MAX_GUEST_CMDLINE];
    uint64_t first_p2m_pfn;         /* where the p2m list and its tables lie  */
    uint64_t nr_p2m_frames;
};
ABI_SIZE(struct start_info, 0x490);
ABI_OFFSET(struct start_info, nr_pages, 0x20);
ABI_OFFSET(struct start_info, shared_info, 0x28);
ABI_OFFSET(struct start_info, flags, 0x30);
ABI_OFFSET(struct start_info, store_mfn, 0x38);
ABI_OFFSET(struct start_info, store_evtchn, 0x40);
ABI_OFFSET(struct start_info, console, 0x48);
ABI_OFFSET(struct start_info, pt_base, 0x58);
ABI_OFFSET(struct start_info, mfn_list, 0x68);
ABI_OFFSET(struct start_info, mod_start, 0x70);
ABI_OFFSET(struct start_info, cmd_line, 0x80);
ABI_OFFSET(struct start_info, first_p2m_pfn, 0x480);

/* One element of the list SIF_MULTIBOOT_MOD announces. */
struct xen_multiboot_mod_list {
    uint32_t mod_start;
    uint32_t mod_end;
    uint32_t cmdline;
    uint32_t pad;
};
ABI_SIZE(struct xen_multiboot_mod_list, 0x10);

/* The display the firmware or boot loader left to dom0. */
#define XEN_VGATYPE_TEXT_MODE_3 0x03
#define XEN_VGATYPE_VESA_LFB    0x23
#define XEN_VGATYPE_EFI_LFB     0x70
struct dom0_vga_console_info {
    uint8_t video_type;             /* XEN_VGATYPE_*                          */
    union {
        struct {
            uint16_t font_height;
            uint16_t cursor_x, cursor_y;
            uint16_t rows, columns;
        } text_mode_3;
        struct {
            uint16_t width, height; /* pixels                                 */
            uint16_t bytes_per_line;
            uint16_t bits_per_pixel;
            uint32_t lfb_base;
            uint32_t lfb_size;      /* units of 64 KiB                        */
            uint8_t red_pos, red_size;
            uint8_t green_pos, green_size;
            uint8_t blue_pos, blue_size;
            uint8_t rsvd_pos, rsvd_size;
            uint32_t gbl_caps;
            uint16_t mode_attrs;
            uint16_t pad;
            uint32_t ext_lfb_base;  /* bits 32.. of lfb_base                  */
        } vesa_lfb;
    } u;
};
ABI_SIZE(struct dom0_vga_console_info, 0x28);
ABI_OFFSET(struct dom0_vga_console_info, u, 4);

/* A bitmap in the caller's memory: of cpus, vcpus or nodes. */
struct xenctl_bitmap {
    guest_va_t bitmap;
    uint32_t nr_bits;
};
ABI_SIZE(struct xenctl_bitmap, 0x10);

#endif /* !__ASSEMBLER__ */
#endif
