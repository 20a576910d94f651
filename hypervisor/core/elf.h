/*
 * ELF64 files in memory, read with every bound checked. The file is hostile: nothing in it is
 * trusted, aligned or in order, and no read leaves [data, data + len).
 */
#ifndef CORE_ELF_H
#define CORE_ELF_H

#include "lib/types.h"

struct elf64_ehdr {
    uint8_t ident[16]; /* magic, class, byte order, ... */
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf64_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct elf64_shdr {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};
_Static_assert(sizeof(struct elf64_ehdr) == 64, "ELF-64: file header");
_Static_assert(sizeof(struct elf64_phdr) == 56, "ELF-64: program header");
_Static_assert(sizeof(struct elf64_shdr) == 64, "ELF-64: section header");

enum { ELF_PT_LOAD = 1, ELF_PT_NOTE = 4, ELF_SHT_NOTE = 7 };

struct elf {
    const uint8_t *data;
    size_t len;
    uint64_t phoff, shoff;
    unsigned int phnum, shnum;
};

bool elf_has_magic(const void *data, size_t len);

/*
 * Check the file header and that the program headers are in the file. A section table that is
 * not is taken as absent: a loader does not need one.
 * Errors: NULL is success; else one sentence.
 */
MUST_CHECK const char *elf_open(struct elf *e, const void *data, size_t len);

/* Copies of program header i < e->phnum and section header i < e->shnum. */
struct elf64_phdr elf_segment(const struct elf *e, unsigned int i);
struct elf64_shdr elf_section(const struct elf *e, unsigned int i);

/* len bytes of the file from offset; NULL if not all of them are there. */
const void *elf_bytes(const struct elf *e, uint64_t offset, uint64_t len);

/* A note; name and desc point into the file and are not terminated. */
struct elf_note {
    const uint8_t *name, *desc;
    uint32_t name_len, desc_len, type;
};
struct elf_note_list {
    const uint8_t *at;
    size_t left;
};

/* The notes of a PT_NOTE or SHT_NOTE area, as far as the file has it. */
struct elf_note_list elf_notes(const struct elf *e, uint64_t offset, uint64_t len);

/* Take the next note; false at the end, and at a note that is cut (GRUB's own PV image has one). */
bool elf_note_next(struct elf_note_list *l, struct elf_note *n);
bool elf_note_is_from(const struct elf_note *n, const char *owner);

/* The value of a 1, 2, 4 or 8 byte note; false if it is none. */
bool elf_note_number(const struct elf_note *n, uint64_t *value);
/* How much of the desc is text: up to its NUL, or all (Linux' feature names have none). */
size_t elf_note_text_len(const struct elf_note *n);

#endif
