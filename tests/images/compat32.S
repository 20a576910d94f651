/*
 * A static 32-bit program: prints one line through the system call instruction named by its
 * argument (int80, syscall or sysenter) and exits with 0 through int 0x80.
 * sysenter and syscall return into the vDSO, which pops what its own stub would have pushed; so
 * they are entered with the stack that the stub makes.
 */
    .text
    .globl _start
_start:
    cmpl $2, (%esp)                     /* argc */
    jne fail
    mov 8(%esp), %esi                   /* argv[1] */
    cmpb $'i', (%esi)
    je by_int80
    cmpb $'y', 1(%esi)
    jne fail
    cmpb $'e', 3(%esi)
    je by_sysenter
    mov $line_syscall, %ecx
    mov $enter_syscall, %edi
    jmp write
by_sysenter:
    mov $line_sysenter, %ecx
    mov $enter_sysenter, %edi
    jmp write
by_int80:
    mov $line_int80, %ecx
    mov $enter_int80, %edi
write:
    mov $4, %eax                        /* write(1, line, length) */
    mov $1, %ebx
    mov $line_length, %edx
    call *%edi
    cmp $line_length, %eax
    jne fail
    cmp $1, %ebx                        /* the kernel has to keep the arguments */
    jne fail
    cmp $line_length, %edx
    jne fail
    xor %ebx, %ebx
    jmp exit
fail:
    mov $1, %ebx
exit:
    mov $1, %eax                        /* exit(ebx) */
    int $0x80

enter_int80:
    int $0x80
    ret

enter_syscall:
    push %ecx
    push %edx
    push %ebp
    mov %ecx, %ebp                      /* syscall loses ecx */
    syscall
    ud2                                 /* the vDSO returns to our caller */

enter_sysenter:
    push %ecx
    push %edx
    push %ebp
    mov %esp, %ebp
    sysenter
    ud2

    .section .rodata
line_int80:    .ascii "32-bit int80   \n"
line_syscall:  .ascii "32-bit syscall \n"
line_sysenter: .ascii "32-bit sysenter\n"
    .equ line_length, . - line_sysenter
    .section .note.GNU-stack, "", @progbits
