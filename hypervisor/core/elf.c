#include "core/elf.h"

#include "lib/string.h"

enum { EM_X86_64 = 62, ELFCLASS32 = 1, ELFCLASS64 = 2, ELFDATA2LSB = 1 };

INIT_TEXT bool elf_has_magic(const void *data, size_t len) {
    return len >= 4 && !memcmp(data, "\177ELF", 4);
}

INIT_TEXT const void *elf_bytes(const struct elf *e, uint64_t offset, uint64_t len) {
    if (offset > e->len || len > e->len - offset)
        return NULL;
    return e->data + offset;
}

INIT_TEXT const char *elf_open(struct elf *e, const void *data, size_t len) {
    struct elf64_ehdr h;

    if (!elf_has_magic(data, len))
        return "is not an ELF file";
    if (len < sizeof(h))
        return "is cut off within the ELF header";
    memcpy(&h, data, sizeof(h));
    if (h.ident[4] == ELFCLASS32)
        return "is a 32-bit ELF file: use a 64-bit (amd64) kernel";
    if (h.ident[4] != ELFCLASS64 || h.ident[5] != ELFDATA2LSB || h.machine != EM_X86_64)
        return "is an ELF file for another processor: use an x86-64 kernel";
    if (h.phentsize != sizeof(struct elf64_phdr))
        return "has ELF program headers of an unknown size: the file is corrupt";

    *e = (struct elf){.data = data, .len = len, .phoff = h.phoff, .phnum = h.phnum};
    if (!elf_bytes(e, h.phoff, h.phnum * sizeof(struct elf64_phdr)))
        return "is cut off: its ELF program headers are not in the file";
    if (h.shentsize == sizeof(struct elf64_shdr) &&
        elf_bytes(e, h.shoff, h.shnum * sizeof(struct elf64_shdr))) {
        e->shoff = h.shoff;
        e->shnum = h.shnum;
    }
    return NULL;
}

INIT_TEXT struct elf64_phdr elf_segment(const struct elf *e, unsigned int i) {
    struct elf64_phdr ph;

    memcpy(&ph, e->data + e->phoff + i * sizeof(ph), sizeof(ph));
    return ph;
}

INIT_TEXT struct elf64_shdr elf_section(const struct elf *e, unsigned int i) {
    struct elf64_shdr sh;

    memcpy(&sh, e->data + e->shoff + i * sizeof(sh), sizeof(sh));
    return sh;
}

INIT_TEXT struct elf_note_list elf_notes(const struct elf *e, uint64_t offset, uint64_t len) {
    if (offset > e->len)
        return (struct elf_note_list){.left = 0};
    return (struct elf_note_list){e->data + offset, MIN(len, e->len - offset)};
}

/* Move over len bytes and the padding to the next word; NULL if they are not all there. */
static INIT_TEXT const uint8_t *note_take(struct elf_note_list *l, uint64_t len) {
    const uint8_t *p = l->at;

    if (len > l->left)
        return NULL;
    len = MIN(ROUND_UP(len, 4), l->left); /* the last one need not be padded */
    l->at += len;
    l->left -= len;
    return p;
}

INIT_TEXT bool elf_note_next(struct elf_note_list *l, struct elf_note *n) {
    struct {
        uint32_t name_len, desc_len, type;
    } h;
    const uint8_t *p = note_take(l, sizeof(h));

    if (!p)
        return false;
    memcpy(&h, p, sizeof(h));
    *n = (struct elf_note){.name_len = h.name_len, .desc_len = h.desc_len, .type = h.type};
    n->name = note_take(l, h.name_len);
    if (!n->name)
        return false;
    n->desc = note_take(l, h.desc_len);
    return n->desc != NULL;
}

INIT_TEXT bool elf_note_is_from(const struct elf_note *n, const char *owner) {
    size_t len = strlen(owner) + 1;

    return n->name_len == len && !memcmp(n->name, owner, len);
}

INIT_TEXT bool elf_note_number(const struct elf_note *n, uint64_t *value) {
    if (n->desc_len == 0 || n->desc_len > 8 || (n->desc_len & (n->desc_len - 1)))
        return false;
    *value = 0;
    memcpy(value, n->desc, n->desc_len);
    return true;
}

INIT_TEXT size_t elf_note_text_len(const struct elf_note *n) {
    return strnlen((const char *)n->desc, n->desc_len);
}
