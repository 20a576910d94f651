/*
 * From the boot loader to C: multiboot 1 and 2 headers, the 32-bit entry, the first page tables.
 *
 * The image is an ELF file whose segments follow each other in the file as in memory, and the
 * headers tell the loader every address: so it is loaded the same way by those that take 64-bit
 * ELF and those that do not.
 */
#define BIT(n) (1 << (n))

#include "arch/x86/layout.h"
#include "arch/x86/processor.h"

#define PHYS(x) ((x) - IMAGE_BASE)

#define CR0_BOOT (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)

#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x00010003                    /* addresses below; memory map; aligned modules */
#define MB2_MAGIC 0xe85250d6

        .section .multiboot, "a"
        .balign 8
mb1_header:
        .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
        .long PHYS(mb1_header), PHYS(image_start), PHYS(load_end), PHYS(image_end), PHYS(boot_entry)

        .balign 8
mb2_header:
        .long MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + mb2_end - mb2_header)
        .short 2, 0                             /* addresses */
        .long 24, PHYS(mb2_header), PHYS(image_start), PHYS(load_end), PHYS(image_end)
        .short 3, 0                             /* entry */
        .long 12, PHYS(boot_entry)
        .balign 8
        .short 5, 1                             /* any framebuffer is fine, and so is none */
        .long 20, 0, 0, 0
        .balign 8
        .short 6, 0                             /* modules on page boundaries */
        .long 8
        .short 0, 0
        .long 8
mb2_end:

        .section .init.text, "ax"
        .code32
/* From the loader: 32-bit protected mode, no paging. eax: magic; ebx: information, physical. */
        .globl boot_entry
boot_entry:
        cli
        cld
        mov     %eax, %ebp                      /* cpuid takes eax to edx */
        mov     %ebx, %esi

        /* Long mode and no-execute: leaf 0x80000001, edx bits 29 and 20. */
        mov     $0x80000000, %eax
        cpuid
        cmp     $0x80000001, %eax
        jb      too_old
        mov     $0x80000001, %eax
        cpuid
        and     $0x20100000, %edx
        cmp     $0x20100000, %edx
        jne     too_old

        mov     $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $PHYS(boot_l4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $(EFER_LME | EFER_NXE), %eax
        wrmsr
        mov     $CR0_BOOT, %eax
        mov     %eax, %cr0
        lgdt    PHYS(boot_gdtr)
        ljmp    $0x08, $PHYS(entered_64)

/* Not an x86-64 processor: say so on COM1 and on the screen, and stop. No stack is needed. */
too_old:
        mov     $PHYS(too_old_text), %esi
        mov     $0xb8000, %edi
1:      movzbl  (%esi), %eax
        test    %al, %al
        jz      2f
        mov     $0x3f8, %edx
        out     %al, %dx
        mov     $0x4f, %ah                      /* white on red */
        stosw
        inc     %esi
        jmp     1b
2:      hlt
        jmp     2b

        .code64
/* Paging is on, still at the low address. ebp: magic; esi: information. */
entered_64:
        movabs  $boot_high, %rax
        jmp     *%rax
boot_high:
        xor     %eax, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        movabs  $STACKS_VA + STACK_MAIN_TOP, %rsp
        mov     %ebp, %edi
        mov     %esi, %esi
        xor     %ebp, %ebp                      /* ends a backtrace */
        call    boot_main
        ud2

/*
 * The same for the other processors: they start in real mode in this code, copied to a page below
 * 1 MiB, at its first byte. It refers to nothing in the page but its own data.
 */
        .section .init.rodata, "a"
        .code16
        .globl trampoline_start
trampoline_start:
        cli
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   trampoline_gdtr - trampoline_start
        mov     $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $PHYS(boot_l4), %eax
        mov     %eax, %cr3
        mov     $MSR_EFER, %ecx
        rdmsr
        or      $(EFER_LME | EFER_NXE), %eax
        wrmsr
        mov     $CR0_BOOT, %eax                 /* from real mode straight to long mode */
        mov     %eax, %cr0
        ljmpl   $0x08, $PHYS(ap_entered_64)
        .balign 4
trampoline_gdtr:
        .short boot_gdtr - boot_gdt - 1
        .long PHYS(boot_gdt)
        .globl trampoline_end
trampoline_end:

        .section .init.text, "ax"
        .code64
ap_entered_64:
        movabs  $ap_high, %rax
        jmp     *%rax
ap_high:
        mov     $PHYS(idle_l4), %eax
        mov     %rax, %cr3
        xor     %eax, %eax
        mov     %eax, %ss
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     ap_stack(%rip), %rsp
        xor     %ebp, %ebp
        call    ap_main
        ud2

        .section .init.data, "aw"
        .balign 8
        .globl ap_stack
ap_stack:                                       /* stack top of the cpu being started */
        .quad 0
boot_gdt:
        .quad 0, 0x00af9a000000ffff
boot_gdtr:
        .short boot_gdtr - boot_gdt - 1
        .long PHYS(boot_gdt)
too_old_text:
        .asciz "Hospes needs a 64-bit x86 processor with NX; look for it in the firmware setup.\r\n"

/*
 * The first page tables: the lowest 4 GiB as they are and in the direct map, the image and the
 * first stack block at their final addresses. Writable and executable, so they live only until
 * paging_init().
 */
#define TABLE 0x03                              /* present, writable */
#define LARGE 0x83                              /* and a 2 MiB page  */
        .balign 4096
        .globl boot_l4
boot_l4:
        .quad PHYS(boot_l3_low) + TABLE
        .fill 256, 8, 0
        .quad PHYS(boot_l3_image) + TABLE
        .fill 4, 8, 0
        .quad PHYS(boot_l3_low) + TABLE         /* slot 262: the direct map */
        .fill 249, 8, 0
boot_l3_low:
        .irp i, 0, 1, 2, 3
        .quad PHYS(boot_l2_low) + TABLE + \i * 0x1000
        .endr
        .fill 508, 8, 0
boot_l3_image:
        .quad PHYS(boot_l2_image) + TABLE
        .fill 511, 8, 0
boot_l2_low:
        .set i, 0
        .rept 2048
        .quad i + LARGE
        .set i, i + 0x200000
        .endr
boot_l2_image:
        .set i, 0
        .rept 16
        .quad i + LARGE
        .set i, i + 0x200000
        .endr
        .fill 240, 8, 0
        .quad PHYS(boot_l1_stack) + TABLE       /* STACKS_VA is 512 MiB above */
        .fill 255, 8, 0
boot_l1_stack:
        .set i, 0
        .rept STACK_BLOCK_SIZE / 0x1000
        .quad PHYS(boot_stack) + TABLE + i
        .set i, i + 0x1000
        .endr
        .fill 512 - STACK_BLOCK_SIZE / 0x1000, 8, 0

        .section .bss.page_aligned, "aw", @nobits
        .balign 4096
        .globl boot_stack
boot_stack:
        .fill STACK_BLOCK_SIZE
