#include "kernel-fixture.h"

#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include <abi/elfnote.h>

#include "test.h"

uint32_t noise(void) {
    static uint32_t x = 2463534242;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

void kernel_like_fill(uint8_t *p, size_t len) {
    static const uint8_t phrase[] = "\x55\x48\x89\xe5\x53 call it a function \x5b\x5d\xc3";
    size_t i = 0;

    while (i < len) {
        uint8_t piece[64];
        size_t n = sizeof(phrase);

        memcpy(piece, phrase, sizeof(phrase));
        piece[n++] = 0xe8; /* call rel32: what the x86 filter is for */
        for (unsigned int k = 0; k < 3; k++)
            piece[n++] = (uint8_t)noise();
        piece[n++] = 0;
        memcpy(p + i, piece, MIN(n, len - i));
        i += n + noise() % 4;
    }
}

void toy_kernel_init(struct toy_kernel *k) {
    memset(k, 0, sizeof(*k));
    k->eh = (struct elf64_ehdr){
        .ident = {0x7f, 'E', 'L', 'F', 2, 1, 1}, .type = 2, .machine = 62, .version = 1,
        .entry = TOY_TEXT, .phoff = offsetof(struct toy_kernel, ph),
        .shoff = offsetof(struct toy_kernel, sh), .ehsize = 64, .phentsize = 56, .phnum = 4,
        .shentsize = 64, .shnum = 1,
    };
    k->ph[0] = (struct elf64_phdr){
        .type = ELF_PT_LOAD, .flags = 5, .offset = offsetof(struct toy_kernel, text),
        .vaddr = TOY_VIRT_BASE + TOY_TEXT, .paddr = TOY_TEXT,
        .filesz = sizeof(k->text), .memsz = sizeof(k->text),
    };
    k->ph[1] = (struct elf64_phdr){ /* p_vaddr 0, as Linux' per-cpu segment */
        .type = ELF_PT_LOAD, .flags = 6, .offset = offsetof(struct toy_kernel, data),
        .paddr = TOY_DATA, .filesz = sizeof(k->data), .memsz = TOY_DATA_MEM,
    };
    k->ph[2] = (struct elf64_phdr){.type = ELF_PT_LOAD}; /* empty */
    k->ph[3] = (struct elf64_phdr){
        .type = ELF_PT_NOTE, .offset = offsetof(struct toy_kernel, note_words), .align = 4,
    };
    k->sh = (struct elf64_shdr){
        .type = ELF_SHT_NOTE, .offset = offsetof(struct toy_kernel, note_words),
    };
    kernel_like_fill(k->text, sizeof(k->text));
    kernel_like_fill(k->data, sizeof(k->data));
}

uint32_t *toy_note(struct toy_kernel *k, const char *owner, uint32_t type, const void *desc,
                   uint32_t desc_len) {
    uint32_t owner_len = (uint32_t)strlen(owner) + 1;
    uint32_t *n = k->note_words + k->ph[3].filesz / 4, *at = n;

    REQUIRE(k->ph[3].filesz + 12 + owner_len + desc_len + 6 <= sizeof(k->note_words));
    *at++ = owner_len;
    *at++ = desc_len;
    *at++ = type;
    memcpy(at, owner, owner_len);
    at += DIV_ROUND_UP(owner_len, 4);
    memcpy(at, desc, desc_len);
    at += DIV_ROUND_UP(desc_len, 4);
    k->ph[3].filesz = k->sh.size = (uint64_t)(at - k->note_words) * 4;
    return n;
}

void toy_note_u64(struct toy_kernel *k, uint32_t type, uint64_t value) {
    toy_note(k, "Xen", type, &value, sizeof(value));
}

void toy_debian_notes(struct toy_kernel *k) {
    static const char features[] = "!writable_page_tables|pae_pgdir_above_4gb";
    const uint32_t supported = 0x8801, one = 1;

    toy_note(k, "GNU", 3, "build-id", 8);
    toy_note(k, "Xen", XEN_ELFNOTE_GUEST_OS, "linux", 6);
    toy_note(k, "Xen", XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8);
    toy_note_u64(k, XEN_ELFNOTE_VIRT_BASE, TOY_VIRT_BASE);
    toy_note_u64(k, XEN_ELFNOTE_INIT_P2M, UINT64_C(0x8000000000));
    toy_note_u64(k, XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + TOY_TEXT + 0x1c0);
    toy_note(k, "Xen", XEN_ELFNOTE_FEATURES, features, sizeof(features) - 1);
    toy_note(k, "Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, &supported, 4);
    toy_note(k, "Xen", XEN_ELFNOTE_MOD_START_PFN, &one, 4);
}

static size_t pack_gzip(const void *src, size_t len, uint8_t *dst, size_t room) {
    z_stream z = {
        .next_in = (Bytef *)src, .avail_in = (uInt)len, .next_out = dst, .avail_out = (uInt)room,
    };

    REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static size_t pack_xz(const void *src, size_t len, uint8_t *dst, size_t room) {
    lzma_options_lzma lzma2;
    lzma_filter filters[] = {
        {LZMA_FILTER_X86, NULL}, {LZMA_FILTER_LZMA2, &lzma2}, {LZMA_VLI_UNKNOWN, NULL},
    };
    size_t at = 0;

    lzma_lzma_preset(&lzma2, 0);
    lzma2.dict_size = 1 << 20;
    REQUIRE(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, src, len, dst, &at, room) ==
            LZMA_OK);
    return at;
}

static size_t pack_zstd(const void *src, size_t len, uint8_t *dst, size_t room) {
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    size_t n;

    ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    n = ZSTD_compress2(ctx, dst, room, src, len);
    ZSTD_freeCCtx(ctx);
    REQUIRE(!ZSTD_isError(n));
    return n;
}

static size_t pack_lz4(const void *src, size_t len, uint8_t *dst, size_t room) {
    size_t at = 4;

    memcpy(dst, "\x02\x21\x4c\x18", 4);
    for (size_t done = 0, block; done < len; done += block) {
        block = MIN(len - done, MIB(8));
        int n = LZ4_compress_default((const char *)src + done, (char *)dst + at + 4, (int)block,
                                     (int)(room - at - 4));
        REQUIRE(n > 0);
        memcpy(dst + at, &n, 4);
        at += 4 + (size_t)n;
    }
    return at;
}

uint8_t *pack(enum packing kind, const void *src, size_t len, size_t *packed_len) {
    size_t room = len + len / 8 + 4096;
    uint8_t *dst = malloc(room);

    switch (kind) {
    case PACKING_GZIP: *packed_len = pack_gzip(src, len, dst, room); break;
    case PACKING_XZ: *packed_len = pack_xz(src, len, dst, room); break;
    case PACKING_ZSTD: *packed_len = pack_zstd(src, len, dst, room); break;
    case PACKING_LZ4: *packed_len = pack_lz4(src, len, dst, room); break;
    default: REQUIRE(!"packable");
    }
    return realloc(dst, *packed_len);
}

uint8_t *make_bzimage(enum packing kind, const void *elf, size_t len, size_t *image_len) {
    const uint32_t head = 0x30, start = 2 * 512 + head, tail = 100;
    size_t packed_len;
    uint8_t *packed = pack(kind, elf, len, &packed_len), *image;
    uint32_t size = (uint32_t)len;
    uint32_t payload_len = (uint32_t)packed_len + (kind == PACKING_GZIP ? 0 : 4);

    *image_len = start + payload_len + tail;
    image = calloc(1, *image_len);
    image[0x1f1] = 1;
    memcpy(image + 0x1fe, "\x55\xaa", 2);
    memcpy(image + 0x202, "HdrS\x0f\x02", 6);
    memcpy(image + 0x248, &head, 4);
    memcpy(image + 0x24c, &payload_len, 4);
    memcpy(image + start, packed, packed_len);
    memcpy(image + start + payload_len - 4, &size, 4); /* gzip: the same bytes again */
    free(packed);
    return image;
}

static size_t guarded_room(size_t len) {
    return ROUND_UP(len, PAGE_SIZE) + PAGE_SIZE;
}

void *guarded_alloc(size_t len) {
    uint8_t *base = mmap(NULL, guarded_room(len), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(base != MAP_FAILED);
    REQUIRE(!mprotect(base + ROUND_UP(len, PAGE_SIZE), PAGE_SIZE, PROT_NONE));
    return base + ROUND_UP(len, PAGE_SIZE) - len;
}

void guarded_free(void *p, size_t len) {
    munmap((uint8_t *)p + len - ROUND_UP(len, PAGE_SIZE), guarded_room(len));
}

const char *unpack_guarded(enum packing kind, const void *src, size_t src_len, size_t dst_len,
                           uint8_t **out) {
    size_t scratch_len = unpack_scratch_len(kind);
    uint8_t *in = guarded_alloc(src_len), *scratch = guarded_alloc(scratch_len);
    const char *why;

    memcpy(in, src, src_len);
    *out = guarded_alloc(dst_len);
    why = unpack(kind, in, src_len, *out, dst_len, scratch, scratch_len);
    guarded_free(scratch, scratch_len);
    guarded_free(in, src_len);
    return why;
}
