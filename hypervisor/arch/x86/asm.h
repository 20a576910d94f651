/*
 * Assembly and inline assembly share these: fixups for faulting instructions, and the SMAP
 * switch.
 */
#ifndef ARCH_X86_ASM_H
#define ARCH_X86_ASM_H

/*
 * Exception table: if the instruction at `from` faults in the hypervisor, go on at `to`.
 * Offsets are from the field itself.
 */
#ifdef __ASSEMBLER__

.macro EXTABLE from, to
        .pushsection .exception_table, "a"
        .long   \from - ., \to - .
        .popsection
.endm

/* HYPERVISOR_VIRT_START and _END (abi/xen.h) as bits 43-63 of an address. */
#define HOLE_TOP_BITS (HYPERVISOR_VIRT_START >> 43)

/* Room for stac and clac; cpu_entry_init() writes them where the processor has SMAP. */
.macro SMAP_SITE last_byte
        .pushsection .smap_sites, "a"
        .long   771f - ., \last_byte
        .popsection
771:    nopl    (%rax)
.endm
#define STAC SMAP_SITE 0xcb
#define CLAC SMAP_SITE 0xca

#else
#define EXTABLE(from, to)                                                                          \
    ".pushsection .exception_table, \"a\"\n\t.long " #from " - ., " #to " - .\n\t.popsection\n"
#endif

#endif
