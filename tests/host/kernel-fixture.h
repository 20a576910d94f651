/* Small kernels made up in memory, packed as kernels are: for tests of what reads such files. */
#ifndef KERNEL_FIXTURE_H
#define KERNEL_FIXTURE_H

#include "core/elf.h"
#include "core/unpack.h"

/* An ELF file with two segments and a page-full of notes; change a field, then parse. */
struct toy_kernel {
    struct elf64_ehdr eh;
    struct elf64_phdr ph[4];
    struct elf64_shdr sh;
    uint32_t note_words[256];
    uint8_t text[8192], data[3000];
};

#define TOY_VIRT_BASE UINT64_C(0xffffffff80000000)
#define TOY_TEXT      UINT64_C(0x1000000)
#define TOY_DATA      UINT64_C(0x1003000)
#define TOY_DATA_MEM  UINT64_C(0x5001)

/* Without notes; the last program header covers them. */
void toy_kernel_init(struct toy_kernel *k);
/* Append a note to the area; returns it, so that a test can spoil it. */
uint32_t *toy_note(struct toy_kernel *k, const char *owner, uint32_t type, const void *desc,
                   uint32_t desc_len);
void toy_note_u64(struct toy_kernel *k, uint32_t type, uint64_t value);
/* The notes of Debian's 6.1 kernel, for this toy. */
void toy_debian_notes(struct toy_kernel *k);

/* Bytes like those of a kernel: text with call instructions, runs, noise. Same every time. */
void kernel_like_fill(uint8_t *p, size_t len);

/* Packed as a kernel's build would; malloc()ed. */
uint8_t *pack(enum packing kind, const void *src, size_t len, size_t *packed_len);
/* A bzImage around a payload of this kind; malloc()ed. */
uint8_t *make_bzimage(enum packing kind, const void *elf, size_t len, size_t *image_len);

/* len bytes that end where no memory is, at an address that is a multiple of 64 if len is. */
void *guarded_alloc(size_t len);
void guarded_free(void *p, size_t len);

/* Unpack with memory of the exact size, guarded; *out to be given to guarded_free(). */
const char *unpack_guarded(enum packing kind, const void *src, size_t src_len, size_t dst_len,
                           uint8_t **out);

/* Repeatable noise. */
uint32_t noise(void);

#endif
