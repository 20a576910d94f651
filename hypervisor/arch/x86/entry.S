/*
 * Every way into the hypervisor and out to a guest.
 *
 * Registers by convention, once a frame is saved: rbx is the struct vcpu (whose first word is the
 * stack top of the cpu it runs on, which is also that cpu's struct cpu), rsp is that stack top.
 * So CPU_x(%rsp) works wherever the stack is empty. GS and FS bases are always the guest's.
 */
#include <abi/errno.h>
#include <abi/xen.h>

#include "arch/x86/asm.h"
#include "arch/x86/layout.h"
#include "offsets.h"

#define RFLAGS_IF     0x200
/* Bits of a frame a guest may not choose: IOPL, NT, VM, VIF, VIP. */
#define RFLAGS_FORCED 0x1a7000

/* rsp at the end of regs.rdi; then at regs.r15. Flags are kept. */
.macro SAVE_REGS
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
.endm

.macro POP_REGS
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
.endm

/* To the vcpu in \v: what C functions preserve. */
.macro STORE_CALLEE_REGS v
        mov     %r15, V_r15(\v)
        mov     %r14, V_r14(\v)
        mov     %r13, V_r13(\v)
        mov     %r12, V_r12(\v)
        mov     %rbp, V_rbp(\v)
        mov     %rbx, V_rbx(\v)
.endm
/* To the vcpu in \v: the argument registers. */
.macro STORE_ARGUMENTS v
        mov     %rdi, V_rdi(\v)
        mov     %rsi, V_rsi(\v)
        mov     %rdx, V_rdx(\v)
        mov     %r10, V_r10(\v)
        mov     %r8, V_r8(\v)
        mov     %r9, V_r9(\v)
.endm
/* From the vcpu in rbx: all but rcx, r11, rsp, and rbx itself. */
.macro LOAD_REGS
        mov     V_r15(%rbx), %r15
        mov     V_r14(%rbx), %r14
        mov     V_r13(%rbx), %r13
        mov     V_r12(%rbx), %r12
        mov     V_rbp(%rbx), %rbp
        mov     V_r10(%rbx), %r10
        mov     V_r9(%rbx), %r9
        mov     V_r8(%rbx), %r8
        mov     V_rax(%rbx), %rax
        mov     V_rdx(%rbx), %rdx
        mov     V_rsi(%rbx), %rsi
        mov     V_rdi(%rbx), %rdi
.endm

/* The whole frame of a `syscall` from rsp = vcpu, rcx = rip, r11 = rflags; then rbx is the vcpu. */
.macro SAVE_SYSCALL_FRAME cs
        mov     %rcx, V_rip(%rsp)
        movq    $\cs, V_cs(%rsp)
        mov     %r11, V_rflags(%rsp)
        movq    $FLAT_USER_SS, V_ss(%rsp)
        add     $V_error_code, %rsp
        SAVE_REGS
        lea     -V_regs(%rsp), %rbx
        mov     (%rbx), %rsp
        mov     CPU_guest_rsp(%rsp), %rax
        mov     %rax, V_rsp(%rbx)
.endm

        .section .text.entry, "ax"

/*
 * Exceptions and interrupts: one stub a vector, 16 bytes apart. The processor has pushed
 * ss, rsp, rflags, cs, rip, and an error code for some.
 */
#define HAS_ERROR_CODE(v) ((v) < 32 && (0x60227d00 >> ((v) & 31)) & 1)

        .balign 16
vector_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !HAS_ERROR_CODE(vector)
        pushq   $0
        .endif
        movl    $vector, 4(%rsp)
        .if     vector == 1
        jmp     entry_debug
        .elseif vector == 2 || vector == 8 || vector == 18
        jmp     entry_ist
        .elseif vector == 14
        jmp     entry_page_fault
        .else
        jmp     entry_common
        .endif
        .set    vector, vector + 1
        .endr

/* rsp: error code and vector, rip, cs, rflags, rsp, ss. Inside v->arch.regs if from the guest. */
        .balign 64
entry_common:
        testb   $3, 16(%rsp)
        SAVE_REGS
        jz      from_hypervisor
        lea     -V_regs(%rsp), %rbx

/* rbx: vcpu, its frame complete. */
guest_saved:
        mov     (%rbx), %rsp
        cld
        CLAC
        movb    $EXIT_IRET, V_exit(%rbx)
        mov     V_entry_vector(%rbx), %edi
        cmp     $32, %edi
        jae     guest_interrupted

/* rbx: vcpu, rsp: stack top. Also where hypervisor_exception() comes after a failed iretq. */
        .globl  guest_trapped
guest_trapped:
        mov     %rbx, %rdi
        call    guest_exception
        jmp     exit_to_guest

/* edi: vector. The only software interrupt that has a gate is 0x80. */
guest_interrupted:
        cmp     $0x80, %edi
        je      guest_trapped
        call    arch_interrupt
        jmp     exit_to_guest

/*
 * #PF. From guest user mode it is nearly always the guest kernel's: hand it over as guest_syscall
 * does, with {rcx, r11, error, rip, cs, rflags, rsp, ss} on its stack. Everything else takes the
 * long way, and so do faults that are not the guest's own doing: the processor reading a
 * descriptor.
 */
        .balign 64
entry_page_fault:
        testb   $3, 16(%rsp)
        jz      entry_common
        mov     %rdx, V_rdx - V_error_code(%rsp)
        lea     -V_error_code(%rsp), %rdx
        testb   $4, V_error_code(%rdx)
        jz      page_fault_in_c
        cmpb    $0, V_kernel_mode(%rdx)
        jne     page_fault_in_c
        cmpq    $0, V_page_fault_eip(%rdx)
        je      page_fault_in_c
        mov     %rax, V_rax(%rdx)
        mov     V_info(%rdx), %rax
        cmpb    $0, INFO_mask(%rax)
        jne     page_fault_masked
        mov     %rcx, V_rcx(%rdx)
        movb    $1, INFO_mask(%rax)
        mov     %cr2, %rcx
        mov     %rcx, INFO_cr2(%rax)
        movb    $1, V_kernel_mode(%rdx)
        mov     V_kernel_cr3(%rdx), %rax
        mov     %rax, %cr3
        swapgs

        mov     (%rdx), %rsp
        mov     V_kernel_sp(%rdx), %rax
        and     $-16, %rax
        STAC
        mov     V_rcx(%rdx), %rcx
1:      mov     %rcx, -64(%rax)
2:      mov     %r11, -56(%rax)
        mov     V_error_code(%rdx), %ecx
        and     $0x1f, %ecx
3:      mov     %rcx, -48(%rax)
        mov     V_rip(%rdx), %rcx
4:      mov     %rcx, -40(%rax)
        movzwl  V_cs(%rdx), %ecx
5:      mov     %rcx, -32(%rax)
        mov     V_rflags(%rdx), %rcx
6:      mov     %rcx, -24(%rax)
        mov     V_rsp(%rdx), %rcx
7:      mov     %rcx, -16(%rax)
        movzwl  V_ss(%rdx), %ecx
8:      mov     %rcx, -8(%rax)
        CLAC
        .irp    n, 1, 2, 3, 4, 5, 6, 7, 8
        EXTABLE \n\()b, guest_stack_broken
        .endr

        lea     -64(%rax), %rsp
        mov     V_page_fault_eip(%rdx), %rcx    /* canonical, checked when it was set */
        mov     $(RFLAGS_IF | 2), %r11d
        mov     V_rax(%rdx), %rax
        mov     V_rdx(%rdx), %rdx
        sysretq

page_fault_masked:
        mov     V_rax(%rdx), %rax
page_fault_in_c:
        mov     V_rdx(%rdx), %rdx
        jmp     entry_common

/* #DB, on its own stack: a guest can make it hit the first instruction of any entry below. */
entry_debug:
        testb   $3, 16(%rsp)
        SAVE_REGS
        jz      from_hypervisor
        /* From the guest: move the frame to where the others are. */
        mov     %rsp, %rax
        or      $(STACK_BLOCK_SIZE - 1), %rax
        mov     CPU_current + 1 - CPU_AREA_SIZE(%rax), %rbx
        mov     %rsp, %rsi
        lea     V_regs(%rbx), %rdi
        mov     $(15 + 1 + 5), %ecx
        cld
        rep     movsq
        jmp     guest_saved

/* NMI, #DF, #MC: handled where they are, wherever they came from. */
entry_ist:
        SAVE_REGS
from_hypervisor:
        cld
        CLAC
        mov     %rsp, %rdi
        sub     $8, %rsp                        /* keeps the stack 16-byte aligned */
        call    hypervisor_exception
        add     $8, %rsp
        POP_REGS
        add     $8, %rsp
1:      iretq
        EXTABLE 1b, guest_iretq_fault

/*
 * `syscall`. A stub of this cpu's own (cpu_entry_init) has stored rsp in CPU_guest_rsp and loaded
 * rsp with cpu->current. rcx: return address, r11: rflags. Interrupts are off, AC and DF clear.
 */
        .balign 64
        .globl  entry_syscall
entry_syscall:
        cmpb    $0, V_kernel_mode(%rsp)
        je      guest_syscall
        cmp     $__HYPERVISOR_iret, %rax
        je      guest_iret

/*
 * A hypercall: fn(vcpu, arguments as an array). Only what C may change is saved, the arguments as
 * that array: the ABI lets them change. The handlers of pv/hypercall.c leave V_exit at EXIT_SYSRET
 * unless they leave work, too.
 */
hypercall:
        mov     %rcx, V_rip(%rsp)
        mov     %r11, V_rflags(%rsp)
        mov     %rax, V_rax(%rsp)
        mov     (%rsp), %rsp
        push    %r9
        push    %r8
        push    %r10
        push    %rdx
        push    %rsi
        push    %rdi
        mov     CPU_current + 48(%rsp), %rdi
        mov     %rsp, %rsi
        mov     CPU_guest_rsp + 48(%rsp), %rdx
        mov     %rdx, V_rsp(%rdi)
        test    $~(HYPERCALLS - 1), %rax
        jnz     no_such_call
        and     $HYPERCALLS - 1, %eax           /* speculation, too, stays in the table */
        lea     hypercall_table(%rip), %rdx
        sti
        call    *(%rdx, %rax, 8)
call_done:
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %r10
        pop     %r8
        pop     %r9
        cli
        cmp     $-ERESTART, %rax
        je      restart_call

/*
 * rax: result, rdi, rsi, rdx, r8-r10: the guest's, as are rbx, rbp, r12-r15, which nobody has
 * looked at; rsp: stack top.
 */
exit_from_call:
        cmpl    $0, CPU_work(%rsp)
        jne     exit_from_call_slow
        mov     CPU_current(%rsp), %rcx
        mov     V_info(%rcx), %r11
        cmpb    $0, INFO_pending(%r11)
        jne     exit_from_call_slow
        cmpb    $0, V_rip + 7(%rcx)
        jns     exit_low
1:      mov     V_rflags(%rcx), %r11
        mov     V_rsp(%rcx), %rsp
        mov     V_rip(%rcx), %rcx
        sysretq

/* `syscall` in the last two bytes of the low half: sysret to behind it would fault, in ring 0. */
exit_low:
        btl     $15, V_rip + 4(%rcx)
        jnc     1b
        jmp     exit_from_call_slow

no_such_call:
        sti
        mov     $-ENOSYS, %rax
        jmp     call_done

/* The guest makes the same call again, with the arguments as they are now: back over `syscall`. */
restart_call:
        mov     CPU_current(%rsp), %rcx
        cmpb    $0, V_mode_changed(%rcx)
        jne     exit_from_call_slow             /* this is a rax that iret loaded */
        subq    $2, V_rip(%rcx)
        mov     V_rax(%rcx), %rax

/* The frame is completed for the long way out. */
exit_from_call_slow:
        mov     CPU_current(%rsp), %rcx
        movb    $0, V_mode_changed(%rcx)
        mov     %rax, V_rax(%rcx)
        STORE_ARGUMENTS %rcx
        STORE_CALLEE_REGS %rcx
        cmpb    $EXIT_SYSRET, V_exit(%rcx)
        mov     %rcx, %rbx
        jne     exit_checks
        movq    $FLAT_KERNEL_CS, V_cs(%rbx)
        movq    $FLAT_KERNEL_SS, V_ss(%rbx)
        jmp     exit_checks

/* rbx: vcpu that ran last, its frame complete; rsp: stack top of this cpu. */
exit_to_guest:
        cli
exit_checks:
        cmpl    $0, CPU_work(%rsp)
        jne     do_work
        mov     V_info(%rbx), %rax
        cmpb    $0, INFO_pending(%rax)
        jne     event_pending
        cmpb    $0, V_nmi_pending(%rbx)
        jne     deliver

exit_checked:
        cmpb    $EXIT_SYSRET, V_exit(%rbx)
        jne     exit_iret
        /* Where sysret would fault on a non-canonical rip, in ring 0, iretq faults with a fixup. */
        mov     V_rip(%rbx), %rcx
        mov     %rcx, %rax
        sar     $47, %rax
        inc     %eax
        cmp     $1, %eax
        ja      exit_iret
        LOAD_REGS
        mov     V_rflags(%rbx), %r11
        mov     V_rsp(%rbx), %rsp
        mov     V_rbx(%rbx), %rbx
        sysretq

exit_iret:
        movb    $EXIT_SYSRET, V_exit(%rbx)      /* what it is whenever a guest runs */
        pushq   V_ss(%rbx)
        pushq   V_rsp(%rbx)
        pushq   V_rflags(%rbx)
        pushq   V_cs(%rbx)
        pushq   V_rip(%rbx)
        andl    $~RFLAGS_FORCED, 16(%rsp)
        orl     $RFLAGS_IF, 16(%rsp)
        LOAD_REGS
        mov     V_r11(%rbx), %r11
        mov     V_rcx(%rbx), %rcx
        mov     V_rbx(%rbx), %rbx
1:      iretq
        EXTABLE 1b, guest_iretq_fault

/* rax: vcpu_info */
event_pending:
        cmpb    $0, INFO_mask(%rax)
        je      deliver
        cmpb    $0, V_nmi_pending(%rbx)
        je      exit_checked
deliver:
        mov     %rbx, %rdi
        call    pv_deliver_pending
        cmpl    $0, CPU_work(%rsp)              /* the domain may have crashed on it */
        je      exit_checked
do_work:
        call    cpu_do_work
        mov     CPU_current(%rsp), %rbx
        jmp     exit_checks

/* _Noreturn void enter_guest(void) */
        .globl  enter_guest
enter_guest:
        or      $(STACK_BLOCK_SIZE - 1), %rsp
        sub     $(CPU_AREA_SIZE - 1), %rsp
        mov     CPU_current(%rsp), %rbx
        jmp     exit_to_guest

/*
 * `syscall` in guest user mode: enter the guest kernel where it registered, on its stack, with
 * {rcx, r11, rip, cs, rflags, rsp, ss} there. Only the common form, the rest is pv_guest_syscall().
 * The work word needs no look: whoever sets it sends an interrupt, which comes after sysret.
 */
guest_syscall:
        mov     %rax, V_rax(%rsp)
        mov     %rdx, V_rdx(%rsp)
        mov     %rsp, %rdx
        mov     (%rdx), %rsp
        mov     V_info(%rdx), %rax
        cmpb    $0, V_syscall_masks(%rdx)       /* no callback: no masking either */
        je      guest_syscall_in_c
        cmpb    $0, INFO_mask(%rax)
        jne     guest_syscall_in_c
        cmpb    $0, V_shows_iopl(%rdx)
        jne     guest_syscall_in_c
        movb    $1, INFO_mask(%rax)
        movb    $1, V_kernel_mode(%rdx)
        mov     V_kernel_cr3(%rdx), %rax
        mov     %rax, %cr3
        swapgs

        /* kernel_sp was checked not to be ours when it was set. */
        mov     V_kernel_sp(%rdx), %rax
        and     $-16, %rax
        STAC
1:      mov     %rcx, -56(%rax)
2:      mov     %r11, -48(%rax)
3:      mov     %rcx, -40(%rax)
4:      movq    $FLAT_USER_CS, -32(%rax)
5:      mov     %r11, -24(%rax)
        mov     CPU_guest_rsp(%rsp), %rcx
6:      mov     %rcx, -16(%rax)
7:      movq    $FLAT_USER_SS, -8(%rax)
        CLAC
        .irp    n, 1, 2, 3, 4, 5, 6, 7
        EXTABLE \n\()b, guest_stack_broken
        .endr

        lea     -56(%rax), %rsp
        mov     V_syscall_eip(%rdx), %rcx       /* canonical, checked when it was set */
        mov     $(RFLAGS_IF | 2), %r11d
        mov     V_rax(%rdx), %rax
        mov     V_rdx(%rdx), %rdx
        sysretq

/* rdx: vcpu, nothing changed yet. */
guest_syscall_in_c:
        mov     %rdx, %rsp
        mov     V_rax(%rsp), %rax
        mov     V_rdx(%rsp), %rdx
        SAVE_SYSCALL_FRAME FLAT_USER_CS
        mov     %rbx, %rdi
        xor     %esi, %esi
        sti
        call    pv_guest_syscall
        jmp     exit_to_guest

/* rdx: vcpu, rsp: stack top. The guest kernel's stack is not writable. */
guest_stack_broken:
        cld                                     /* after a fault in user mode it is the guest's */
        CLAC
        mov     %rdx, %rbx
        mov     %rbx, %rdi
        sti
        call    guest_stack_fault
        jmp     exit_to_guest

/*
 * The iret hypercall, rsp: vcpu. Common form: returns with events on and none pending, no NMI
 * about, no IOPL to keep, to a user mode that has a page table, or to kernel mode. Everything else:
 * the C handler.
 * The frame is read once, onto our stack, and judged there.
 */
guest_iret:
        mov     %rdx, V_rdx(%rsp)
        mov     %rsp, %rdx
        mov     (%rdx), %rsp
        mov     CPU_guest_rsp(%rsp), %rcx
        mov     %rcx, %r11                      /* a frame that begins below our hole faults at */
        shr     $43, %r11                       /* its first word, which is not canonical */
        cmp     $HOLE_TOP_BITS, %r11d
        je      guest_iret_in_c
        STAC
1:      mov     IRET_rax(%rcx), %r11
        mov     %r11, V_rax(%rdx)
2:      pushq   IRET_ss(%rcx)
3:      pushq   IRET_rsp(%rcx)
4:      pushq   IRET_rflags(%rcx)
5:      pushq   IRET_cs(%rcx)
6:      pushq   IRET_rip(%rcx)
7:      mov     IRET_r11(%rcx), %r11
8:      mov     IRET_rcx(%rcx), %rcx
        CLAC
        .irp    n, 1, 2, 3, 4, 5, 6, 7, 8
        EXTABLE \n\()b, guest_iret_fault
        .endr

        mov     16(%rsp), %eax
        and     $(RFLAGS_FORCED | RFLAGS_IF), %eax
        cmp     $RFLAGS_IF, %eax
        jne     guest_iret_in_c
        testl   $0xffffff, V_nmi_masked(%rdx)   /* and nmi_pending and shows_iopl behind it */
        jne     guest_iret_in_c
        mov     V_info(%rdx), %rax
        cmpb    $0, INFO_pending(%rax)
        jne     guest_iret_in_c
        movb    $0, INFO_mask(%rax)

        orb     $3, 32(%rsp)
        mov     8(%rsp), %eax
        and     $3, %eax
        cmp     $3, %eax
        jne     2f
        mov     V_user_cr3(%rdx), %rax
        test    %rax, %rax
        je      guest_iret_in_c
        movb    $0, V_kernel_mode(%rdx)
        mov     %rax, %cr3
        swapgs
3:      mov     V_rax(%rdx), %rax
        mov     V_rdx(%rdx), %rdx
1:      iretq
        EXTABLE 1b, guest_iretq_fault

2:      orb     $3, 8(%rsp)                     /* stays in kernel mode */
        jmp     3b

/*
 * rdx: vcpu, in whose frame the guest's rdx is; rdi, rsi, rbx, rbp, r8-r10, r12-r15: the guest's.
 */
guest_iret_fault:
        CLAC
guest_iret_in_c:
        mov     %rdx, %rcx
        mov     V_rdx(%rcx), %rdx
        mov     (%rcx), %rsp
        STORE_ARGUMENTS %rcx
        STORE_CALLEE_REGS %rcx
        mov     CPU_guest_rsp(%rsp), %rax
        mov     %rax, V_rsp(%rcx)
        mov     %rcx, %rbx
        mov     %rbx, %rdi
        xor     %esi, %esi
        sti
        call    hypercall_iret
        movb    $0, V_mode_changed(%rbx)
        jmp     exit_to_guest

/* `syscall` in compatibility mode (AMD); as entry_syscall. */
        .globl  entry_syscall_compat
entry_syscall_compat:
        SAVE_SYSCALL_FRAME FLAT_USER_CS32
        mov     %rbx, %rdi
        mov     $1, %esi
        sti
        call    pv_guest_syscall
        jmp     exit_to_guest

/*
 * `sysenter` (Intel). rsp: stack top. It keeps no return address, and rflags but for IF as they
 * were.
 */
        .globl  entry_sysenter
entry_sysenter:
        pushfq
        pop     %r11
        pushq   $2
        popfq
        and     $~RFLAGS_FORCED, %r11d
        or      $RFLAGS_IF, %r11d
        movq    $0, CPU_guest_rsp(%rsp)
        mov     CPU_current(%rsp), %rsp
        SAVE_SYSCALL_FRAME 3
        movq    $0, V_rip(%rbx)
        mov     %rbx, %rdi
        sti
        call    pv_guest_sysenter
        jmp     exit_to_guest

/* Marks, in the exception table, the iretqs that go to a guest; hypervisor_exception() knows it. */
        .globl  guest_iretq_fault
guest_iretq_fault:
        ud2

/* Room for each cpu's stubs; cpu_entry_init() writes them. */
        .balign 64
        .globl  syscall_stubs
syscall_stubs:
        .fill   SYSCALL_STUB_SIZE * MAX_CPUS, 1, 0xcc

        .section .rodata
        .balign 8
        .globl  entry_vectors
entry_vectors:
        .set    vector, 0
        .rept   256
        .quad   vector_stubs + vector * 16
        .set    vector, vector + 1
        .endr
