/* The first instruction of a test guest, and the notes in which its image describes itself. */
#include <abi/arch-x86.h>
#include <abi/elfnote.h>
#include <abi/features.h>
#include <abi/xen.h>

#include "layout.h"

.macro note type, value:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \value
2:  .balign 4
    .popsection
.endm

    note XEN_ELFNOTE_GUEST_OS, .asciz "hospes-test"
    note XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0"
    note XEN_ELFNOTE_LOADER, .asciz "generic"
    note XEN_ELFNOTE_VIRT_BASE, .quad VIRT_BASE
    note XEN_ELFNOTE_PADDR_OFFSET, .quad 0
    note XEN_ELFNOTE_ENTRY, .quad start
    note XEN_ELFNOTE_SUPPORTED_FEATURES, .long 1 << XENFEAT_dom0
    note XEN_ELFNOTE_HV_START_LOW, .quad HYPERVISOR_VIRT_START

/* rsi: start_info; rsp: the loader's stack, which is given up. */
    .text
    .globl start
start:
    lea cpu_blocks + CPU_BLOCK_SIZE(%rip), %rsp
    mov %rsi, %rdi
    xor %ebp, %ebp
    call pv_start
    ud2

/* Where a vcpu that VCPUOP_up started begins. rsp: the top of its block; rdi: what to run. */
    .globl start_secondary
start_secondary:
    xor %ebp, %ebp
    call *%rdi
    ud2

    .section .note.GNU-stack, "", @progbits
