/* Where the hypervisor enters the guest: 256 exceptions, then the callbacks. All end in trap(). */
#include <abi/xen.h>

#include "layout.h"

    .text
/* rsp: rcx, r11, [error code], rip, cs|mask, rflags, rsp, ss. */
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    pushq $vector
    jmp entered
    .set vector, vector + 1
    .endr

.macro entry name, number
    .globl \name
\name:
    pushq $\number
    jmp entered
.endm
    entry event_entry, ENTRY_EVENT
    entry failsafe_entry, ENTRY_FAILSAFE
    entry syscall_entry, ENTRY_SYSCALL
    entry syscall32_entry, ENTRY_SYSCALL32
    entry sysenter_entry, ENTRY_SYSENTER
    entry nmi_entry, ENTRY_NMI

/* rsp: the entry's number, then what the hypervisor pushed; registers are as they were. */
entered:
    pushfq
    cld
    push %rdi
    push %rsi
    push %rdx
    push %r8
    push %r9
    push %r10
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rax
    mov %rsp, %rdi
    and $-16, %rsp
    sub $FRAME_SIZE, %rsp
    mov %rsp, %rsi
    call trap                   /* (what is on the stack, struct frame to fill) */

/* rsp: struct frame. Back to where it says. */
resume:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r10
    pop %r9
    pop %r8
    pop %rdx
    pop %rsi
    pop %rdi
    mov $__HYPERVISOR_iret, %eax
    syscall
    ud2

/* rdi: struct frame, copied below our stack so that an event may come at any time. */
    .globl iret_to
iret_to:
    sub $FRAME_SIZE, %rsp
    mov %rdi, %rsi
    mov %rsp, %rdi
    mov $FRAME_SIZE / 8, %ecx
    cld
    rep movsq
    jmp resume

/* rdi: struct jump. Returns 0; a frame made from the jump returns 1. */
    .globl jump_save
jump_save:
    mov (%rsp), %rax
    mov %rax, 0(%rdi)
    lea 8(%rsp), %rax
    mov %rax, 8(%rdi)
    mov %rbx, 16(%rdi)
    mov %rbp, 24(%rdi)
    mov %r12, 32(%rdi)
    mov %r13, 40(%rdi)
    mov %r14, 48(%rdi)
    mov %r15, 56(%rdi)
    xor %eax, %eax
    ret

    .section .note.GNU-stack, "", @progbits
