/*
 * What the boot loader handed over, in one neutral shape; filled by arch, read while dom0 is built.
 */
#ifndef CORE_BOOT_INFO_H
#define CORE_BOOT_INFO_H

#include "lib/types.h"

#define BOOT_MAX_MODULES 8
#define BOOT_MAX_MEMORY  128

struct boot_module {
    uint64_t paddr, len;             /* bytes; RAM kept out of the heap until boot_free_module() */
    const char *cmdline;             /* never NULL; without the file name */
};

/* The ABI's e820 entry in natural layout. type: E820_* */
struct boot_memory {
    uint64_t start, len;
    uint32_t type;
};
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_UNUSABLE = 5 };

struct boot_video {                  /* the screen as the loader left it */
    bool present;
    bool framebuffer;                /* linear framebuffer instead of text */
    uint16_t columns, rows, cursor_x, cursor_y, font_height;
    uint64_t lfb_base;
    uint32_t width, height, pitch, bits_per_pixel;
    uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

struct boot_info {
    const char *cmdline;             /* ours, program name removed */
    unsigned int nr_modules;
    struct boot_module module[BOOT_MAX_MODULES];
    unsigned int nr_memory;
    struct boot_memory memory[BOOT_MAX_MEMORY]; /* sorted, no overlaps; our devices as reserved */
    uint64_t rsdp;                   /* physical, 0 if not handed over */
    struct boot_video video;
};

extern struct boot_info boot_info;

/* The module's memory goes to the heap. */
void boot_free_module(struct boot_module *m);

#endif
