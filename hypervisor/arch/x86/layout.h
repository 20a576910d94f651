/*
 * Where everything is in the hypervisor's address space: L4 slots 256-271 of every page table.
 * Guests may read slot 256 and nothing else.
 */
#ifndef ARCH_X86_LAYOUT_H
#define ARCH_X86_LAYOUT_H

#ifdef __ASSEMBLER__
#define VA(x) x
#else
#define VA(x) x##UL
#endif

#define LOAD_PHYS      VA(0x200000)             /* where GRUB puts the image: 2 MiB */
/* slot 256 */
#define M2P_VA         VA(0xffff800000000000)   /* guests' view: read-only, user-accessible */
/* slot 257 */
#define IMAGE_BASE     VA(0xffff808000000000)   /* of physical 0; the image is at + LOAD_PHYS */
#define STACKS_VA      VA(0xffff808020000000)   /* per-cpu stack blocks, STACK_BLOCK_SIZE apart */
#define IOREMAP_VA     VA(0xffff808040000000)   /* device memory mapped at run time (1 GiB) */
#define M2P_RW_VA      VA(0xffff818000000000)   /* slot 259: our writable view of the M2P */
#define FRAME_TABLE_VA VA(0xffff810000000000)   /* slot 258: 32 bytes a frame */
#define WINDOW_VA      VA(0xffff820000000000)   /* slot 260, per domain: GDT and LDT windows */
#define WINDOW_VCPU_SHIFT 17                    /* 32 pages a vcpu: 16 GDT, 16 LDT */
/* slots 262-271 */
#define DIRECTMAP_VA   VA(0xffff830000000000)
#define DIRECTMAP_END  VA(0xffff880000000000)

/*
 * One block of stacks a cpu, aligned to its size so that the cpu's area is found from any stack
 * pointer in it: page 0 guard, 1 NMI, 2 #MC, 3 #DF, 4 guard, 5-7 main stack with struct cpu at the
 * top.
 */
#define STACK_BLOCK_SIZE 0x8000
#define STACK_GUARD_PAGE 4                      /* besides page 0 */
#define CPU_AREA_SIZE    1024
#define STACK_IST_NMI    0x2000                 /* offsets of the stack tops in the block */
#define STACK_IST_MC     0x3000
#define STACK_IST_DF     0x4000
#define STACK_MAIN_TOP   (STACK_BLOCK_SIZE - CPU_AREA_SIZE)

/* The hypervisor's part of every GDT: page 14, selectors 0xe000 and up (FLAT_RING3_* are ABI). */
#define GDT_HV_FIRST   0xe000
#define GDT_LIMIT      0xe7ff                   /* the page's other half holds the TSS */
#define HV_CS          0xe008
#define HV_DS          0xe010
#define HV_TSS         0xe040                   /* 16 bytes */
#define HV_LDT         0xe050                   /* 16 bytes */

#endif
