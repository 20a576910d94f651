#include "core/kernel-image.h"

#include <abi/arch-x86.h>
#include <abi/elfnote.h>
#include <abi/features.h>

#include "core/elf.h"
#include "lib/bits.h"
#include "lib/bug.h"
#include "lib/string.h"

/* The parts of a bzImage's setup header we need (Linux' boot protocol, 2.08 and later). */
enum {
    SETUP_SECTS = 0x1f1,
    BOOT_FLAG = 0x1fe,
    HEADER_MAGIC = 0x202,
    PROTOCOL_VERSION = 0x206,
    KERNEL_VERSION = 0x20e,
    PAYLOAD_OFFSET = 0x248,
    PAYLOAD_LENGTH = 0x24c,
    SETUP_HEADER_END = 0x250,
};

static const char no_dom0[] = "lacks CONFIG_XEN_DOM0: use linux-image-amd64, not the cloud flavour";

static INIT_TEXT uint32_t read_u32(const uint8_t *p) {
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The first word of the version text, if the setup part has one. */
static INIT_TEXT void copy_version(struct kernel_image *ki, size_t setup_len) {
    size_t at = ki->data[KERNEL_VERSION] | ki->data[KERNEL_VERSION + 1] << 8, n = 0;

    if (at == 0)
        return;
    for (at += 0x200; at < setup_len && n < sizeof(ki->version) - 1; at++) {
        if (ki->data[at] <= ' ' || ki->data[at] > '~')
            break;
        ki->version[n++] = (char)ki->data[at];
    }
}

/*
 * The notes of Linux 6.1 claim dom0 support whether or not it is built in, and without it the
 * kernel comes up as first domain with no console. Only its name tells Debian's one of that kind.
 */
static INIT_TEXT bool is_debian_cloud(const struct kernel_image *ki) {
    static const char flavour[] = "-cloud-amd64";
    size_t len = strlen(ki->version);

    return len >= strlen(flavour) && !strcmp(ki->version + len - strlen(flavour), flavour);
}

static INIT_TEXT bool is_bzimage(const uint8_t *file, size_t len) {
    return len >= SETUP_HEADER_END && file[BOOT_FLAG] == 0x55 && file[BOOT_FLAG + 1] == 0xaa &&
           !memcmp(file + HEADER_MAGIC, "HdrS", 4);
}

/* Narrow *ki from the whole bzImage to its payload, and read its version. */
static INIT_TEXT const char *find_payload(struct kernel_image *ki) {
    const uint8_t *file = ki->data;
    /* The payload counts from the protected-mode code, which follows boot sector and setup. */
    size_t setup_len = ((file[SETUP_SECTS] ? file[SETUP_SECTS] : 4) + 1) * UINT64_C(512);
    uint64_t start = setup_len + read_u32(file + PAYLOAD_OFFSET);
    uint64_t len = read_u32(file + PAYLOAD_LENGTH);

    if (file[PROTOCOL_VERSION] < 8 && file[PROTOCOL_VERSION + 1] <= 2)
        return "is a bzImage from before boot protocol 2.08: use a kernel of this decade";
    if (start > ki->len || len > ki->len - start)
        return "is cut off: its payload does not end within the file; copy or install it again";
    copy_version(ki, setup_len);
    ki->data += start;
    ki->len = len;
    return is_debian_cloud(ki) ? no_dom0 : NULL;
}

INIT_TEXT const char *kernel_image_probe(struct kernel_image *ki, const void *file, size_t len) {
    bool bzimage = is_bzimage(file, len);
    const char *why = NULL;

    *ki = (struct kernel_image){.data = file, .len = len};
    if (bzimage)
        why = find_payload(ki);
    if (why)
        return why;
    ki->packing = packing_of(ki->data, ki->len);
    ki->unpacked_len = ki->len;
    switch (ki->packing) {
    case PACKING_ELF:
        return NULL;
    case PACKING_BZIP2:
        return "is packed with bzip2, which is not supported: build it with CONFIG_KERNEL_XZ";
    case PACKING_LZMA:
        return "is packed with lzma, which is not supported: build it with CONFIG_KERNEL_XZ";
    case PACKING_LZO:
        return "is packed with lzo, which is not supported: build it with CONFIG_KERNEL_XZ";
    case PACKING_UNKNOWN:
        return bzimage ? "is a bzImage with a payload of unknown format: the file is corrupt"
                       : "is neither a bzImage nor an ELF file: name a Linux kernel (vmlinuz)";
    default:
        break;
    }
    if (!bzimage && ki->packing != PACKING_GZIP)
        return "is packed, but no bzImage: unpack it first, or use the vmlinuz";

    /* The last word is the unpacked length: gzip's own, or what the kernel's build appends. */
    if (ki->len < sizeof(uint32_t))
        return "is cut off: its payload is empty; copy or install it again";
    ki->unpacked_len = read_u32(ki->data + ki->len - sizeof(uint32_t));
    if (ki->packing != PACKING_GZIP)
        ki->len -= sizeof(uint32_t);
    ki->scratch_len = unpack_scratch_len(ki->packing);
    if (ki->unpacked_len == 0 || ki->unpacked_len > KERNEL_UNPACKED_MAX)
        return "is corrupt: the unpacked length it claims is absurd; copy or install it again";
    return NULL;
}

INIT_TEXT const char *kernel_image_unpack(const struct kernel_image *ki, void *dst, size_t dst_len,
                                          void *scratch, size_t scratch_len) {
    ASSERT(dst_len == ki->unpacked_len);
    if (ki->packing == PACKING_ELF) {
        memcpy(dst, ki->data, dst_len);
        return NULL;
    }
    return unpack(ki->packing, ki->data, ki->len, dst, dst_len, scratch, scratch_len);
}

/* The Xen notes by type; those not there have no desc. */
struct xen_notes {
    bool found;
    struct elf_note by_type[XEN_ELFNOTE_MAX + 1];
};

static INIT_TEXT void collect_notes(struct xen_notes *xn, struct elf_note_list list) {
    struct elf_note n;

    while (elf_note_next(&list, &n)) {
        if (!elf_note_is_from(&n, "Xen") || n.type > XEN_ELFNOTE_MAX)
            continue;
        xn->found = true;
        xn->by_type[n.type] = n;
    }
}

static INIT_TEXT void find_notes(struct xen_notes *xn, const struct elf *e) {
    for (unsigned int i = 0; i < e->phnum; i++) {
        struct elf64_phdr ph = elf_segment(e, i);

        if (ph.type == ELF_PT_NOTE)
            collect_notes(xn, elf_notes(e, ph.offset, ph.filesz));
    }
    for (unsigned int i = 0; !xn->found && i < e->shnum; i++) {
        struct elf64_shdr sh = elf_section(e, i);

        if (sh.type == ELF_SHT_NOTE)
            collect_notes(xn, elf_notes(e, sh.offset, sh.size));
    }
}

static INIT_TEXT bool has_note(const struct xen_notes *xn, unsigned int type) {
    return xn->by_type[type].desc != NULL;
}

/* A numeric note; *value is left alone if there is none, or if it is not a number. */
static INIT_TEXT bool note_number(const struct xen_notes *xn, unsigned int type, uint64_t *value) {
    return has_note(xn, type) && elf_note_number(&xn->by_type[type], value);
}

/* The features note: names between bars, those with "!" in front are required. */
static INIT_TEXT const char *take_feature_names(struct pv_image *pi, const struct elf_note *n) {
    static const char *const names[] = {
        [XENFEAT_writable_page_tables] = "writable_page_tables",
        [XENFEAT_writable_descriptor_tables] = "writable_descriptor_tables",
        [XENFEAT_auto_translated_physmap] = "auto_translated_physmap",
        [XENFEAT_supervisor_mode_kernel] = "supervisor_mode_kernel",
        [XENFEAT_pae_pgdir_above_4gb] = "pae_pgdir_above_4gb",
    };
    const uint32_t not_pv =
        BIT(XENFEAT_auto_translated_physmap) | BIT(XENFEAT_supervisor_mode_kernel);

    const char *list = (const char *)n->desc, *end = list + elf_note_text_len(n);

    while (list < end) {
        bool required = *list == '!';
        uint32_t feature = 0;
        size_t len = 0;

        list += required;
        while (list + len < end && list[len] != '|')
            len++;
        for (unsigned int i = 0; i < ARRAY_LEN(names); i++)
            if (strlen(names[i]) == len && !memcmp(names[i], list, len))
                feature = BIT(i);
        if (required && (!feature || (feature & not_pv)))
            return "requires a feature no 64-bit PV domain has: use a stock Linux kernel";
        pi->features |= feature;
        list += len + 1;
    }
    return NULL;
}

static INIT_TEXT const char *take_features(struct pv_image *pi, const struct xen_notes *xn) {
    const char *why = NULL;
    uint64_t bits = 0;

    if (has_note(xn, XEN_ELFNOTE_FEATURES))
        why = take_feature_names(pi, &xn->by_type[XEN_ELFNOTE_FEATURES]);
    if (why)
        return why;
    /* As in Xen, a kernel without this note is one too small to know of the question. */
    if (!has_note(xn, XEN_ELFNOTE_SUPPORTED_FEATURES))
        return NULL;
    if (!note_number(xn, XEN_ELFNOTE_SUPPORTED_FEATURES, &bits) || !(bits & BIT(XENFEAT_dom0)))
        return no_dom0;
    pi->features |= (uint32_t)bits;
    return NULL;
}

static INIT_TEXT const char *take_notes(struct pv_image *pi, const struct xen_notes *xn) {
    static const char abi[] = "xen-3.0";
    const struct elf_note *n = &xn->by_type[XEN_ELFNOTE_XEN_VERSION];
    uint64_t word;

    if (!xn->found || !note_number(xn, XEN_ELFNOTE_ENTRY, &pi->entry))
        return "lacks Xen PV notes: it needs CONFIG_XEN_PV, as in linux-image-amd64";
    if (!note_number(xn, XEN_ELFNOTE_VIRT_BASE, &pi->virt_base))
        return "has no VIRT_BASE among its Xen notes: it cannot be placed";
    if (n->desc && (elf_note_text_len(n) != strlen(abi) || memcmp(n->desc, abi, strlen(abi))))
        return "is for another ABI than \"xen-3.0\": use a stock Linux kernel";
    pi->hypercall_page = pi->init_p2m = PV_NOWHERE;
    note_number(xn, XEN_ELFNOTE_HYPERCALL_PAGE, &pi->hypercall_page);
    note_number(xn, XEN_ELFNOTE_INIT_P2M, &pi->init_p2m);
    pi->mod_start_pfn = note_number(xn, XEN_ELFNOTE_MOD_START_PFN, &word) && word;
    return take_features(pi, xn);
}

static INIT_TEXT const char *take_segment(struct pv_image *pi, const struct elf *e,
                                          const struct elf64_phdr *ph, uint64_t paddr_offset) {
    struct pv_segment s = {
        .data = elf_bytes(e, ph->offset, ph->filesz),
        .offset = ph->paddr - paddr_offset,
        .file_len = ph->filesz,
        .mem_len = ph->memsz,
    };

    if (!s.data)
        return "is cut off: a segment does not end within the file; copy or install it again";
    if (s.file_len > s.mem_len || s.offset >= PV_SPAN_MAX || s.mem_len > PV_SPAN_MAX - s.offset)
        return "has a segment at an absurd place: the file is corrupt";
    for (unsigned int i = 0; i < pi->nr_segments; i++) {
        const struct pv_segment *o = &pi->segment[i];

        if (s.offset < o->offset + o->mem_len && o->offset < s.offset + s.mem_len)
            return "has overlapping segments: the file is corrupt";
    }
    if (pi->nr_segments == PV_NR_SEGMENTS)
        return "has more segments than any known kernel: the file is corrupt";
    pi->segment[pi->nr_segments++] = s;
    pi->start = MIN(pi->start, ROUND_DOWN(s.offset, PAGE_SIZE));
    pi->end = MAX(pi->end, ROUND_UP(s.offset + s.mem_len, PAGE_SIZE));
    return NULL;
}

static INIT_TEXT const char *take_segments(struct pv_image *pi, const struct elf *e,
                                           const struct xen_notes *xn) {
    uint64_t paddr_offset = 0;
    const char *why;

    note_number(xn, XEN_ELFNOTE_PADDR_OFFSET, &paddr_offset);
    pi->start = PV_SPAN_MAX;
    for (unsigned int i = 0; i < e->phnum; i++) {
        struct elf64_phdr ph = elf_segment(e, i);

        if (ph.type != ELF_PT_LOAD || ph.memsz == 0)
            continue;
        why = take_segment(pi, e, &ph, paddr_offset);
        if (why)
            return why;
    }
    return pi->nr_segments ? NULL : "has no segment to load: the file is corrupt";
}

/* May a guest have all of [va, va + len) mapped? len is not 0. */
static INIT_TEXT bool is_guest_range(uint64_t va, uint64_t len) {
    uint64_t last;

    if (__builtin_add_overflow(va, len - 1, &last))
        return false;
    return last < UINT64_C(1) << 47 || va >= HYPERVISOR_VIRT_END;
}

static INIT_TEXT bool in_segment(const struct pv_image *pi, uint64_t va) {
    uint64_t offset = va - pi->virt_base;

    for (unsigned int i = 0; i < pi->nr_segments; i++)
        if (offset - pi->segment[i].offset < pi->segment[i].mem_len)
            return true;
    return false;
}

static INIT_TEXT const char *check_addresses(const struct pv_image *pi) {
    if (pi->virt_base % PAGE_SIZE || !is_guest_range(pi->virt_base, pi->end))
        return "wants to be where a guest cannot be: its VIRT_BASE is corrupt";
    if (!in_segment(pi, pi->entry))
        return "has its entry point outside of itself: the file is corrupt";
    if (pi->hypercall_page != PV_NOWHERE &&
        (pi->hypercall_page % PAGE_SIZE || !in_segment(pi, pi->hypercall_page) ||
         !in_segment(pi, pi->hypercall_page + PAGE_SIZE - 1)))
        return "has its hypercall page outside of itself: the file is corrupt";
    if (pi->init_p2m != PV_NOWHERE &&
        (pi->init_p2m % PAGE_SIZE || !is_guest_range(pi->init_p2m, PAGE_SIZE) ||
         pi->init_p2m - pi->virt_base < pi->end))
        return "wants its p2m list where it cannot be: the file is corrupt";
    return NULL;
}

INIT_TEXT const char *kernel_image_parse(struct pv_image *pi, const void *elf, size_t len) {
    struct xen_notes xn = {.found = false};
    struct elf e;
    const char *why = elf_open(&e, elf, len);

    *pi = (struct pv_image){.nr_segments = 0};
    if (!why) {
        find_notes(&xn, &e);
        why = take_notes(pi, &xn);
    }
    if (!why)
        why = take_segments(pi, &e, &xn);
    return why ? why : check_addresses(pi);
}
