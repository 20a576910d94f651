#include "arch/x86/multiboot.h"

#include "lib/string.h"

struct boot_info boot_info;
INIT_DATA uint8_t loader_rsdp[36];

/* Our command line stays (guests' tools may ask for it); the modules' are needed only at boot. */
static char own_cmdline[1024];
static INIT_DATA char module_cmdlines[4096];
static INIT_DATA size_t module_cmdlines_used;

/* Multiboot 1; which fields are valid is in flags. */
struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
        mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
};
enum { MB1_CMDLINE = 1 << 2, MB1_MODS = 1 << 3, MB1_MMAP = 1 << 6, MB1_LOADER_NAME = 1 << 9 };

struct mb1_module {
    uint32_t start, end, cmdline, reserved;
};
struct mb1_memory {
    uint32_t size;                   /* of what follows */
    uint64_t start, len;
    uint32_t type;
} PACKED;

/* Multiboot 2: a header, then tags on 8-byte boundaries. */
struct mb2_info {
    uint32_t total_size, reserved;
};
struct mb2_tag {
    uint32_t type, size;
};
enum {
    TAG_END,
    TAG_CMDLINE,
    TAG_LOADER_NAME,
    TAG_MODULE,
    TAG_MMAP = 6,
    TAG_FRAMEBUFFER = 8,
    TAG_EFI64 = 12,
    TAG_ACPI_OLD = 14,
    TAG_ACPI_NEW = 15,
};
struct mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
    char cmdline[];
};
struct mb2_mmap {
    struct mb2_tag tag;
    uint32_t entry_size, entry_version;
    char entries[];
};
struct mb2_memory {
    uint64_t start, len;
    uint32_t type, reserved;
};
struct mb2_framebuffer {
    struct mb2_tag tag;
    uint64_t addr;
    uint32_t pitch, width, height;
    uint8_t bpp, type;
    uint16_t reserved;
    uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};
enum { FRAMEBUFFER_RGB = 1, FRAMEBUFFER_TEXT = 2 };
struct mb2_efi64 {
    struct mb2_tag tag;
    uint64_t system_table;
};

/* As much of UEFI's tables as leads to the RSDP. Nothing there is ever called. */
struct efi_config_table {
    uint64_t guid[2], table;
};
struct efi_system_table {
    uint8_t other[104];
    uint64_t nr_tables, tables;
};
#define GUID_ACPI20_0 UINT64_C(0x11d3e4f18868e871)
#define GUID_ACPI20_1 UINT64_C(0x81883cc7800022bc)

static const void *at_phys(uint32_t pa) {
    return (const void *)(uintptr_t)pa;
}

/*
 * GRUB 2 leaves the file name out of command lines, all others put it first. Debian's GRUB
 * scripts fill its place with the word "placeholder".
 */
static INIT_TEXT const char *skip_name(const char *line, bool has_name) {
    static const char placeholder[] = "placeholder";
    size_t len = sizeof(placeholder) - 1;

    while (*line == ' ')
        line++;
    if (has_name || (!strncmp(line, placeholder, len) && (line[len] == ' ' || !line[len])))
        while (*line && *line != ' ')
            line++;
    while (*line == ' ')
        line++;
    return line;
}

static INIT_TEXT bool is_grub2(const char *name) {
    return !strncmp(name, "GRUB ", 5) && name[5] >= '1';
}

static INIT_TEXT const char *add_module(struct boot_info *b, uint32_t start, uint32_t end,
                                        const char *cmdline, bool has_name) {
    size_t left = sizeof(module_cmdlines) - module_cmdlines_used;
    char *copy = module_cmdlines + module_cmdlines_used;

    if (b->nr_modules == BOOT_MAX_MODULES)
        return "the boot loader passes more modules than Hospes takes (8)";
    if (end < start)
        return "the boot loader passes a module that ends before it starts";
    if (!left || !string_copy(copy, skip_name(cmdline, has_name), left))
        return "the modules' command lines are too long (more than 4 KiB in all)";
    module_cmdlines_used += strlen(copy) + 1;
    b->module[b->nr_modules++] = (struct boot_module){start, end - start, copy};
    return NULL;
}

static INIT_TEXT const char *set_cmdline(struct boot_info *b, const char *line, bool has_name) {
    b->cmdline = own_cmdline;
    if (!string_copy(own_cmdline, skip_name(line, has_name), sizeof(own_cmdline)))
        return "the command line is too long (more than 1023 characters)";
    return NULL;
}

static INIT_TEXT void add_memory(struct boot_info *b, uint64_t start, uint64_t len, uint32_t type) {
    if (b->nr_memory < BOOT_MAX_MEMORY)
        b->memory[b->nr_memory++] = (struct boot_memory){start, len, type};
}

static INIT_TEXT const char *parse_mb1(struct boot_info *b, const struct mb1_info *mb) {
    bool has_name = !(mb->flags & MB1_LOADER_NAME) || !is_grub2(at_phys(mb->boot_loader_name));
    const struct mb1_module *mods = at_phys(mb->mods_addr);
    const char *line = mb->flags & MB1_CMDLINE ? at_phys(mb->cmdline) : "";
    const char *error = set_cmdline(b, line, has_name);
    uint32_t mmap_len = mb->flags & MB1_MMAP ? mb->mmap_length : 0;

    /* It says nothing of the screen, which is as the firmware leaves it. */
    b->video = (struct boot_video){.present = true, .columns = 80, .rows = 25, .font_height = 16};
    for (uint32_t i = 0; !error && mb->flags & MB1_MODS && i < mb->mods_count; i++)
        error = add_module(b, mods[i].start, mods[i].end,
                           mods[i].cmdline ? at_phys(mods[i].cmdline) : "", has_name);
    for (uint32_t at = 0; at + sizeof(struct mb1_memory) <= mmap_len;) {
        const struct mb1_memory *m = at_phys(mb->mmap_addr + at);

        add_memory(b, m->start, m->len, m->type);
        if (m->size > mmap_len)
            break;
        at += m->size + sizeof(m->size);
    }
    return error;
}

static INIT_TEXT void parse_mb2_mmap(struct boot_info *b, const struct mb2_mmap *mmap) {
    uint32_t step = mmap->entry_size, len = mmap->tag.size;

    if (step < sizeof(struct mb2_memory))
        return;
    for (uint32_t at = sizeof(*mmap); at <= len && step <= len - at; at += step) {
        const struct mb2_memory *m = (const void *)((const char *)mmap + at);

        add_memory(b, m->start, m->len, m->type);
    }
}

static INIT_TEXT void parse_mb2_framebuffer(struct boot_video *v, const struct mb2_framebuffer *f) {
    *v = (struct boot_video){.present = true};
    if (f->type == FRAMEBUFFER_TEXT) {
        v->columns = (uint16_t)f->width;
        v->rows = (uint16_t)f->height;
        v->font_height = 16;
        return;
    }
    v->present = v->framebuffer = f->type == FRAMEBUFFER_RGB;
    v->lfb_base = f->addr;
    v->width = f->width;
    v->height = f->height;
    v->pitch = f->pitch;
    v->bits_per_pixel = f->bpp;
    v->red_pos = f->red_pos;
    v->red_size = f->red_size;
    v->green_pos = f->green_pos;
    v->green_size = f->green_size;
    v->blue_pos = f->blue_pos;
    v->blue_size = f->blue_size;
}

/* Does the tag hold a string from `offset` on, with its end? */
static INIT_TEXT bool has_string(const struct mb2_tag *tag, uint32_t offset) {
    const char *s = (const char *)tag + offset;

    return tag->size > offset && strnlen(s, tag->size - offset) < tag->size - offset;
}

/* Where UEFI has the RSDP; dom0 has no other way to learn it. */
static INIT_TEXT uint64_t find_efi_rsdp(uint64_t system_table) {
    const struct efi_system_table *st = at_phys((uint32_t)system_table);
    const struct efi_config_table *t;

    if (system_table >= GIB(4) || st->tables >= GIB(4) || st->nr_tables > 256)
        return 0;
    t = at_phys((uint32_t)st->tables);
    for (uint64_t i = 0; i < st->nr_tables; i++)
        if (t[i].guid[0] == GUID_ACPI20_0 && t[i].guid[1] == GUID_ACPI20_1)
            return t[i].table;
    return 0;
}

static INIT_TEXT const char *parse_mb2_tag(struct boot_info *b, const struct mb2_tag *tag) {
    const char *text = (const char *)(tag + 1);
    const struct mb2_module *mod = (const void *)tag;

    switch (tag->type) {
    case TAG_CMDLINE:
        return has_string(tag, sizeof(*tag)) ? set_cmdline(b, text, false) : NULL;
    case TAG_MODULE:
        return has_string(tag, sizeof(*mod))
                   ? add_module(b, mod->start, mod->end, mod->cmdline, false)
                   : "the boot loader passes a cut module tag";
    case TAG_MMAP:
        if (tag->size >= sizeof(struct mb2_mmap))
            parse_mb2_mmap(b, (const void *)tag);
        break;
    case TAG_FRAMEBUFFER:
        if (tag->size >= offsetof(struct mb2_framebuffer, red_pos))
            parse_mb2_framebuffer(&b->video, (const void *)tag);
        break;
    case TAG_EFI64:
        if (tag->size >= sizeof(struct mb2_efi64))
            b->rsdp = find_efi_rsdp(((const struct mb2_efi64 *)tag)->system_table);
        break;
    case TAG_ACPI_NEW:
    case TAG_ACPI_OLD:               /* comes first if both are there */
        memcpy(loader_rsdp, text, MIN(tag->size - sizeof(*tag), sizeof(loader_rsdp)));
        break;
    }
    return NULL;
}

static INIT_TEXT const char *parse_mb2(struct boot_info *b, const struct mb2_info *mb) {
    const char *error = set_cmdline(b, "", false);
    const struct mb2_tag *tag;

    for (uint32_t at = sizeof(*mb); !error && at <= mb->total_size - sizeof(*tag);
         at += ROUND_UP(tag->size, 8)) {
        tag = (const void *)((const char *)mb + at);
        if (tag->size < sizeof(*tag) || tag->size > mb->total_size - at)
            return "the boot loader's information is cut";
        if (tag->type == TAG_END)
            break;
        error = parse_mb2_tag(b, tag);
    }
    return error;
}

INIT_TEXT const char *multiboot_parse(struct boot_info *b, uint32_t magic, uint32_t info) {
    const char *error = "not started by a multiboot loader; use GRUB's multiboot2 command";

    if (magic == MULTIBOOT1_LOADER_MAGIC)
        error = parse_mb1(b, at_phys(info));
    else if (magic == MULTIBOOT2_LOADER_MAGIC)
        error = parse_mb2(b, at_phys(info));
    if (!error && !b->nr_memory)
        error = "the boot loader passes no memory map";
    return error;
}
