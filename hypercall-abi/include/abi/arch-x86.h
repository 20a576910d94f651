/*
 * What is particular to x86-64 in the PV ABI: selectors, register frames, the hypervisor hole,
 * trap tables and the state of a virtual CPU. Usable from assembly up to the __ASSEMBLER__ line.
 */
#ifndef ABI_ARCH_X86_H
#define ABI_ARCH_X86_H

/* Ring-3 selectors the hypervisor puts behind the guest's part of the GDT. */
#define FLAT_RING3_CS32 0xe023
#define FLAT_RING3_CS64 0xe033
#define FLAT_RING3_DS32 0xe02b
#define FLAT_RING3_DS64 0x0000 /* in 64-bit mode a null data selector is flat */
#define FLAT_RING3_SS32 0xe02b
#define FLAT_RING3_SS64 0xe02b

/* Guest kernel and guest user both run in ring 3, so both see the same selectors. */
#define FLAT_KERNEL_DS64 FLAT_RING3_DS64
#define FLAT_KERNEL_DS32 FLAT_RING3_DS32
#define FLAT_KERNEL_DS   FLAT_KERNEL_DS64
#define FLAT_KERNEL_CS64 FLAT_RING3_CS64
#define FLAT_KERNEL_CS32 FLAT_RING3_CS32
#define FLAT_KERNEL_CS   FLAT_KERNEL_CS64
#define FLAT_KERNEL_SS64 FLAT_RING3_SS64
#define FLAT_KERNEL_SS32 FLAT_RING3_SS32
#define FLAT_KERNEL_SS   FLAT_KERNEL_SS64
#define FLAT_USER_DS64   FLAT_RING3_DS64
#define FLAT_USER_DS32   FLAT_RING3_DS32
#define FLAT_USER_DS     FLAT_USER_DS64
#define FLAT_USER_CS64   FLAT_RING3_CS64
#define FLAT_USER_CS32   FLAT_RING3_CS32
#define FLAT_USER_CS     FLAT_USER_CS64
#define FLAT_USER_SS64   FLAT_RING3_SS64
#define FLAT_USER_SS32   FLAT_RING3_SS32
#define FLAT_USER_SS     FLAT_USER_SS64

/* The guest owns the GDT below this; entries from here on are the hypervisor's. */
#define FIRST_RESERVED_GDT_PAGE  14
#define FIRST_RESERVED_GDT_BYTE  (FIRST_RESERVED_GDT_PAGE * 4096)
#define FIRST_RESERVED_GDT_ENTRY (FIRST_RESERVED_GDT_BYTE / 8)

/* The hole in every address space that belongs to the hypervisor; the M2P sits at its start. */
#define HYPERVISOR_VIRT_START 0xffff800000000000
#define HYPERVISOR_VIRT_END   0xffff880000000000
#define MACH2PHYS_VIRT_START  0xffff800000000000
#define MACH2PHYS_VIRT_END    0xffff804000000000
#define MACH2PHYS_NR_ENTRIES  ((MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) >> 3)

/* First argument of set_segment_base. */
#define SEGBASE_FS          0
#define SEGBASE_GS_USER     1
#define SEGBASE_GS_KERNEL   2
#define SEGBASE_GS_USER_SEL 3 /* load a selector into the user's GS; the argument is no base */

/* vcpu_guest_context.flags; in_syscall is a bit of the iret frame only. */
#define _VGCF_i387_valid              0
#define VGCF_i387_valid               (1 << _VGCF_i387_valid)
#define _VGCF_in_kernel               2
#define VGCF_in_kernel                (1 << _VGCF_in_kernel)
#define _VGCF_failsafe_disables_events 3
#define VGCF_failsafe_disables_events (1 << _VGCF_failsafe_disables_events)
#define _VGCF_syscall_disables_events 4
#define VGCF_syscall_disables_events  (1 << _VGCF_syscall_disables_events)
#define _VGCF_online                  5
#define VGCF_online                   (1 << _VGCF_online)
#define _VGCF_in_syscall              8
#define VGCF_in_syscall               (1 << _VGCF_in_syscall)
#define VGCF_I387_VALID               (1 << 0)
#define VGCF_IN_KERNEL                (1 << 2)
#define VGCF_IN_SYSCALL               VGCF_in_syscall

/* vcpu_info slots inside shared_info; further vcpus register a page of their own. */
#define XEN_LEGACY_MAX_VCPUS 32

/* CPUID leaves through which a guest finds the hypervisor: "XenVMMXenVMM". */
#define XEN_CPUID_FIRST_LEAF    0x40000000
#define XEN_CPUID_LEAF(i)       (XEN_CPUID_FIRST_LEAF + (i))
#define XEN_CPUID_SIGNATURE_EBX 0x566e6558
#define XEN_CPUID_SIGNATURE_ECX 0x65584d4d
#define XEN_CPUID_SIGNATURE_EDX 0x4d4d566e
#define XEN_CPUID_MAX_NUM_LEAVES 5
#define _XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD 0
#define XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD  (1 << 0)
#define XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK       0xff /* leaf 5, EBX */

#ifndef __ASSEMBLER__

#include <abi/guest.h>

typedef uint64_t xen_pfn_t;
typedef uint64_t xen_ulong_t;
typedef uint64_t xen_callback_t;    /* where a callback or handler starts */

/* The frame the iret hypercall finds at the guest's stack pointer. */
struct iret_context {
    uint64_t rax, r11, rcx;
    uint64_t flags;                 /* 0 or VGCF_in_syscall                   */
    uint64_t rip, cs, rflags, rsp, ss;
};
ABI_SIZE(struct iret_context, 0x48);
ABI_OFFSET(struct iret_context, rcx, 0x10);
ABI_OFFSET(struct iret_context, flags, 0x18);
ABI_OFFSET(struct iret_context, rip, 0x20);
ABI_OFFSET(struct iret_context, ss, 0x40);

/*
 * A vcpu's general registers: saved in this order by the entry code, and handed to and taken
 * from the toolstack and a booting kernel inside vcpu_guest_context.
 */
struct cpu_user_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8;
    uint64_t rax, rcx, rdx, rsi, rdi;
    uint32_t error_code;            /* hypervisor's own use                   */
    uint32_t entry_vector;          /* hypervisor's own use                   */
    uint64_t rip;
    uint16_t cs, _pad0[1];
    uint8_t saved_upcall_mask;      /* mask at the time of the interruption   */
    uint8_t _pad1[3];
    uint64_t rflags;
    uint64_t rsp;
    uint16_t ss, _pad2[3];
    uint16_t es, _pad3[3];
    uint16_t ds, _pad4[3];
    uint16_t fs, _pad5[3];
    uint16_t gs, _pad6[3];
};
ABI_SIZE(struct cpu_user_regs, 0xc8);
ABI_OFFSET(struct cpu_user_regs, rbx, 0x28);
ABI_OFFSET(struct cpu_user_regs, rax, 0x50);
ABI_OFFSET(struct cpu_user_regs, rdi, 0x70);
ABI_OFFSET(struct cpu_user_regs, error_code, 0x78);
ABI_OFFSET(struct cpu_user_regs, rip, 0x80);
ABI_OFFSET(struct cpu_user_regs, cs, 0x88);
ABI_OFFSET(struct cpu_user_regs, rflags, 0x90);
ABI_OFFSET(struct cpu_user_regs, ss, 0xa0);
ABI_OFFSET(struct cpu_user_regs, gs, 0xc0);

/* One entry of set_trap_table; a zero address ends the array. */
struct trap_info {
    uint8_t vector;
    uint8_t flags;                  /* 0-1: who may INT n; 2: mask events     */
    uint16_t cs;                    /* stored, not used for 64-bit delivery   */
    uint64_t address;
};
ABI_SIZE(struct trap_info, 0x10);
ABI_OFFSET(struct trap_info, cs, 2);
ABI_OFFSET(struct trap_info, address, 8);
#define TI_GET_DPL(_ti)       ((_ti)->flags & 3)
#define TI_GET_IF(_ti)        ((_ti)->flags & 4)
#define TI_SET_DPL(_ti, _dpl) ((_ti)->flags |= (_dpl))
#define TI_SET_IF(_ti, _if)   ((_ti)->flags |= (!!(_if) << 2))

/* Everything a vcpu starts from: VCPUOP_initialise and get/setvcpucontext. */
struct vcpu_guest_context {
    struct {
        char x[512];
    } fpu_ctxt;                     /* FXSAVE image, if VGCF_i387_valid       */
    uint64_t flags;                 /* VGCF_*                                 */
    struct cpu_user_regs user_regs;
    struct trap_info trap_ctxt[256];
    uint64_t ldt_base, ldt_ents;
    uint64_t gdt_frames[16], gdt_ents;
    uint64_t kernel_ss, kernel_sp;  /* stack for entries from guest user mode */
    uint64_t ctrlreg[8];            /* [3] kernel base, [1] user base; xen_cr3_to_pfn() */
    uint64_t debugreg[8];
    uint64_t event_callback_eip;
    uint64_t failsafe_callback_eip;
    uint64_t syscall_callback_eip;
    uint64_t vm_assist;             /* bit per VMASST_TYPE_*                  */
    uint64_t fs_base;
    uint64_t gs_base_kernel;
    uint64_t gs_base_user;
};
ABI_SIZE(struct vcpu_guest_context, 0x1430);
ABI_OFFSET(struct vcpu_guest_context, flags, 0x200);
ABI_OFFSET(struct vcpu_guest_context, user_regs, 0x208);
ABI_OFFSET(struct vcpu_guest_context, trap_ctxt, 0x2d0);
ABI_OFFSET(struct vcpu_guest_context, ldt_base, 0x12d0);
ABI_OFFSET(struct vcpu_guest_context, gdt_frames, 0x12e0);
ABI_OFFSET(struct vcpu_guest_context, kernel_ss, 0x1368);
ABI_OFFSET(struct vcpu_guest_context, ctrlreg, 0x1378);
ABI_OFFSET(struct vcpu_guest_context, debugreg, 0x13b8);
ABI_OFFSET(struct vcpu_guest_context, event_callback_eip, 0x13f8);
ABI_OFFSET(struct vcpu_guest_context, vm_assist, 0x1410);
ABI_OFFSET(struct vcpu_guest_context, fs_base, 0x1418);

/* Control registers in a context hold a frame number in the form CR3 has on 64-bit: shifted. */
#define xen_pfn_to_cr3(pfn) ((uint64_t)(pfn) << 12)
#define xen_cr3_to_pfn(cr3) ((uint64_t)(cr3) >> 12)

/* Where a guest publishes its p2m so that save and restore can find it. */
struct arch_shared_info {
    uint64_t max_pfn;
    xen_pfn_t pfn_to_mfn_frame_list_list; /* root of the old three-level list */
    uint64_t nmi_reason;            /* XEN_NMIREASON_*                        */
    uint64_t p2m_cr3;               /* 0: the linear p2m below is not in use  */
    uint64_t p2m_vaddr;
    uint64_t p2m_generation;        /* odd while the guest is changing it     */
};
ABI_SIZE(struct arch_shared_info, 0x30);
ABI_OFFSET(struct arch_shared_info, p2m_cr3, 0x18);
ABI_OFFSET(struct arch_shared_info, p2m_vaddr, 0x20);
ABI_OFFSET(struct arch_shared_info, p2m_generation, 0x28);

struct arch_vcpu_info {
    uint64_t cr2;                   /* fault address of the last #PF delivered */
    uint64_t pad;
};
ABI_SIZE(struct arch_vcpu_info, 0x10);

#define XEN_NMIREASON_io_error (1ul << 0)
#define XEN_NMIREASON_pci_serr (1ul << 1)
#define XEN_NMIREASON_unknown  (1ul << 2)

/* x86 part of createdomain. A PV domain asks for no emulated device at all. */
struct xen_arch_domainconfig {
    uint32_t emulation_flags;       /* XEN_X86_EMU_*                          */
    uint32_t misc_flags;            /* XEN_X86_MSR_RELAXED                    */
};
ABI_SIZE(struct xen_arch_domainconfig, 8);
#define XEN_X86_EMU_LAPIC    (1u << 0)
#define XEN_X86_EMU_HPET     (1u << 1)
#define XEN_X86_EMU_PM       (1u << 2)
#define XEN_X86_EMU_RTC      (1u << 3)
#define XEN_X86_EMU_IOAPIC   (1u << 4)
#define XEN_X86_EMU_PIC      (1u << 5)
#define XEN_X86_EMU_VGA      (1u << 6)
#define XEN_X86_EMU_IOMMU    (1u << 7)
#define XEN_X86_EMU_PIT      (1u << 8)
#define XEN_X86_EMU_USE_PIRQ (1u << 9)
#define XEN_X86_EMU_VPCI     (1u << 10)
#define XEN_X86_EMU_ALL      0x7ffu
#define XEN_X86_MSR_RELAXED  (1u << 0) /* unknown MSRs read as 0 instead of faulting */
#define XEN_X86_MISC_FLAGS_MAX XEN_X86_MSR_RELAXED

/* One CPUID leaf and one MSR of a cpu policy, as the toolstack exchanges them. */
#define XEN_CPUID_NO_SUBLEAF 0xffffffffu
struct xen_cpuid_leaf {
    uint32_t leaf, subleaf;
    uint32_t a, b, c, d;
};
ABI_SIZE(struct xen_cpuid_leaf, 0x18);

struct xen_msr_entry {
    uint32_t idx;
    uint32_t flags;                 /* none defined, must be 0                */
    uint64_t val;
};
ABI_SIZE(struct xen_msr_entry, 0x10);

#endif /* !__ASSEMBLER__ */
#endif
