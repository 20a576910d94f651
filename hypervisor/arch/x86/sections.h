/* Edges of the image's parts, set by the linker (hospes.lds.S). All are page boundaries. */
#ifndef ARCH_X86_SECTIONS_H
#define ARCH_X86_SECTIONS_H

#include "arch/x86/layout.h"
#include "lib/types.h"

extern char image_start[], text_end[], init_text_end[], init_end[]; /* init: from text_end on */
extern char rodata_end[], ro_after_init_end[], image_end[];
extern char boot_stack[];            /* the boot cpu's stack block (boot.S) */

/* Physical address of something in the image. */
static inline uint64_t image_phys(const void *va) {
    return (uintptr_t)va - IMAGE_BASE;
}

#endif
