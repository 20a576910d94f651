/*
 * Copies between the hypervisor and the guest addresses that are mapped now; ranges checked by
 * the caller.
 */
#include <abi/errno.h>

#include "arch/x86/asm.h"

        .text

/* int guest_copy(void *rdi: to, const void *rsi: from, size_t rdx: bytes): 0 or -EFAULT */
        .globl  guest_copy
guest_copy:
        STAC
        mov     %rdx, %rcx
        shr     $3, %rcx
1:      rep     movsq
        mov     %edx, %ecx
        and     $7, %ecx
2:      rep     movsb
        CLAC
        xor     %eax, %eax
        ret
        EXTABLE 1b, guest_copy_fault
        EXTABLE 2b, guest_copy_fault

/* int guest_clear(void *rdi: to, size_t rsi: bytes): 0 or -EFAULT */
        .globl  guest_clear
guest_clear:
        STAC
        xor     %eax, %eax
        mov     %rsi, %rcx
        shr     $3, %rcx
1:      rep     stosq
        mov     %esi, %ecx
        and     $7, %ecx
2:      rep     stosb
        CLAC
        ret
        EXTABLE 1b, guest_copy_fault
        EXTABLE 2b, guest_copy_fault

guest_copy_fault:
        CLAC
        mov     $-EFAULT, %eax
        ret
