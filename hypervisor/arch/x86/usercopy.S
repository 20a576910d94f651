/*
 * Copies between the hypervisor and the guest addresses that are mapped now; ranges checked by the
 * caller.
 */
#include <abi/errno.h>
#include <abi/xen.h>

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

/*
 * int copy_pair_from_guest(uint64_t rdi: dst[2], guest_va_t rsi: src): 0 or -EFAULT. A pair that
 * begins below our hole begins at an address that is not canonical, and faults.
 */
        .globl  copy_pair_from_guest
copy_pair_from_guest:
        mov     %rsi, %rax
        shr     $43, %rax
        cmp     $HOLE_TOP_BITS, %eax
        je      guest_copy_fault
        STAC
1:      mov     (%rsi), %rax
2:      mov     8(%rsi), %rdx
        CLAC
        mov     %rax, (%rdi)
        mov     %rdx, 8(%rdi)
        xor     %eax, %eax
        ret
        EXTABLE 1b, guest_copy_fault
        EXTABLE 2b, guest_copy_fault

guest_copy_fault:
        CLAC
        mov     $-EFAULT, %eax
        ret
