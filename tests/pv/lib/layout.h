/* Where things are in a test guest's address space. Usable from assembly. */
#ifndef LIB_LAYOUT_H
#define LIB_LAYOUT_H

#define PAGE_SIZE 4096

#define VIRT_BASE 0xffffffff80000000    /* maps pfn 0                                   */
#define P2M_BASE  0x0000008000000000    /* L4 slot 1: the p2m list, where asked for     */
#define WINDOW    0x0000010000000000    /* L4 slot 2: 512 pages to map anything at      */
#define USER_BASE 0x0000000000400000    /* L4 slot 0: what the guest's user mode sees   */

/* Each vcpu has a block, aligned to its size: struct cpu, then stacks. */
#define CPU_BLOCK_SIZE  0x10000
#define CPU_ENTRY_STACK 0x8000          /* offset of the top of the stack for entries from user */
#define MAX_VCPUS       4

#define FRAME_SIZE 0xf0                 /* sizeof(struct frame)                         */
#define FRAME_POPS 12                   /* registers in it before its iret_context      */

/* Numbers of entries that are no exception. */
#define ENTRY_EVENT     256
#define ENTRY_FAILSAFE  257
#define ENTRY_SYSCALL   258
#define ENTRY_SYSCALL32 259
#define ENTRY_SYSENTER  260
#define ENTRY_NMI       261
#define NR_ENTRIES      262

#endif
