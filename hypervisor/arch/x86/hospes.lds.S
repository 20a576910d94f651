/*
 * The image: loaded at LOAD_PHYS, running at IMAGE_BASE + LOAD_PHYS. Sections of equal rights are
 * whole pages; what is needed only at boot lies together so that its pages can be given away.
 */
#include "arch/x86/layout.h"

ENTRY(boot_entry)

#define PAGE_ALIGN . = ALIGN(4096)
#define PHYS(x) ((x) - IMAGE_BASE)

PHDRS {
    text PT_LOAD FLAGS(5);
    init_text PT_LOAD FLAGS(5);
    init_data PT_LOAD FLAGS(6);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    bss PT_LOAD FLAGS(6);
}

SECTIONS {
    . = IMAGE_BASE + LOAD_PHYS;
    image_start = .;

    .text : AT(PHYS(ADDR(.text))) {
        KEEP(*(.multiboot))
        *(.text.entry)
        *(.text .text.*)
        PAGE_ALIGN;
    } :text
    text_end = .;

    .init.text : AT(PHYS(ADDR(.init.text))) {
        *(.init.text)
        *(.init.text.*)
        PAGE_ALIGN;
    } :init_text
    init_text_end = .;

    .init.data : AT(PHYS(ADDR(.init.data))) {
        *(.init.data .init.data.*)
        . = ALIGN(8);
        __start_hospes_options = .;
        KEEP(*(hospes_options))
        __stop_hospes_options = .;
        . = ALIGN(8);
        smap_sites_start = .;
        KEEP(*(.smap_sites))
        smap_sites_end = .;
        *(.init.rodata .init.rodata.* .init.bss .init.bss.*)
        . = ALIGN(8);
        unpack_libs_init_start = .;
        KEEP(*(.init.init_array))
        unpack_libs_init_end = .;
        PAGE_ALIGN;
    } :init_data
    init_end = .;

    .rodata : AT(PHYS(ADDR(.rodata))) {
        *(.rodata .rodata.*)
        *(.data.rel.ro .data.rel.ro.*)
        *(.got .got.plt .igot .igot.plt .iplt .rela.*)
        . = ALIGN(8);
        exception_table_start = .;
        KEEP(*(.exception_table))
        exception_table_end = .;
        /* Last, and after all code: generating it moves no function. */
        . = ALIGN(8);
        symbols_start = .;
        KEEP(*(.symbols))
        symbols_end = .;
        PAGE_ALIGN;
    } :rodata
    rodata_end = .;

    .data : AT(PHYS(ADDR(.data))) {
        *(.data.ro_after_init)
        PAGE_ALIGN;
        ro_after_init_end = .;
        *(.data .data.*)
        PAGE_ALIGN;
    } :data
    load_end = .;

    .bss : AT(PHYS(ADDR(.bss))) {
        *(.bss.page_aligned)
        *(.bss .bss.* COMMON)
        PAGE_ALIGN;
    } :bss
    image_end = .;

    #define DEBUG_SECTION(name) name 0 : { *(name) }
    DEBUG_SECTION(.debug_abbrev)
    DEBUG_SECTION(.debug_addr)
    DEBUG_SECTION(.debug_aranges)
    DEBUG_SECTION(.debug_frame)
    DEBUG_SECTION(.debug_info)
    DEBUG_SECTION(.debug_line)
    DEBUG_SECTION(.debug_line_str)
    DEBUG_SECTION(.debug_loclists)
    DEBUG_SECTION(.debug_rnglists)
    DEBUG_SECTION(.debug_str)
    DEBUG_SECTION(.debug_str_offsets)
    DEBUG_SECTION(.symtab)
    DEBUG_SECTION(.strtab)
    DEBUG_SECTION(.shstrtab)

    /DISCARD/ : {
        *(.note .note.* .comment .eh_frame .eh_frame_hdr .llvm_addrsig)
        *(.interp .dynamic .dynsym .dynstr .hash .gnu.*)
    }
}

ASSERT(PHYS(image_end) < 0x2000000, "the boot page tables map 32 MiB of image")
ASSERT(SIZEOF(.text) > 0, "no text")
