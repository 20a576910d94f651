/* Boot loaders' information, by multiboot 1 and 2, into struct boot_info. */
#ifndef ARCH_X86_MULTIBOOT_H
#define ARCH_X86_MULTIBOOT_H

#include "core/boot-info.h"

#define MULTIBOOT1_LOADER_MAGIC 0x2badb002
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289

/* The loader's copy of the ACPI RSDP; all zero if it gave none. */
extern uint8_t loader_rsdp[36];

/*
 * Fill *b from the loader's structures, below 4 GiB and mapped as they are. Strings are copied.
 * Trust:  the loader; but every length is checked, because a wrong one is hard to find later.
 * Errors: NULL, or a sentence that says what is wrong.
 */
MUST_CHECK const char *multiboot_parse(struct boot_info *b, uint32_t magic, uint32_t info);

#endif
