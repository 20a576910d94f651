/*
 * The one file outside arch/fake that sees C library headers: the libraries' public headers
 * include them for types. No libc function is called; what the libraries themselves need of
 * libc is in arch/x86/unpack-libs.c, and in host tests it is the host's.
 */
#define ZLIB_CONST               /* next_in points to const */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_initStaticDCtx(): a context in memory of our own */
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "core/unpack.h"

#include "arch/cpu.h"
#include "lib/string.h"

/* What the kernel's build gives xz; the decoder's state comes on top. */
#define XZ_DICTIONARY MIB(32)

/* lz4's legacy frame: a magic number, then blocks, each preceded by its packed length. */
#define LZ4_LEGACY_MAGIC UINT32_C(0x184c2102)
#define LZ4_BLOCK_LEN    MIB(8) /* unpacked, all but the last */

static const char corrupt[] =
    "is corrupt: its packed data does not unpack; copy or install it again";
static const char no_scratch[] = "needs more memory to unpack than kernels do: build it with the "
                                 "kernel's own xz settings (dictionary of at most 32 MiB)";

/* The libraries' memory: handed out in order, never taken back. */
struct scratch {
    uint8_t *at;
    size_t left;
};

static INIT_TEXT void *scratch_alloc(void *opaque, size_t count, size_t size) {
    struct scratch *s = opaque;
    size_t len;

    if (__builtin_mul_overflow(count, size, &len) || len > s->left ||
        (len = ROUND_UP(len, 64)) > s->left)
        return NULL;
    s->at += len;
    s->left -= len;
    return s->at - len;
}

static INIT_TEXT void scratch_free(void *opaque, void *p) {
    (void)opaque, (void)p;
}

static INIT_TEXT void *gzip_alloc(void *opaque, unsigned int count, unsigned int size) {
    return scratch_alloc(opaque, count, size);
}

static INIT_TEXT const char *unpack_gzip(const uint8_t *src, size_t src_len, uint8_t *dst,
                                         size_t dst_len, struct scratch *s) {
    z_stream z = {
        .next_in = src,
        .avail_in = (unsigned int)src_len,
        .next_out = dst,
        .avail_out = (unsigned int)dst_len,
        .zalloc = gzip_alloc,
        .zfree = scratch_free,
        .opaque = s,
    };

    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK) /* + 16: gzip, not zlib */
        return no_scratch;
    return inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == dst_len ? NULL : corrupt;
}

static INIT_TEXT const char *unpack_xz(const uint8_t *src, size_t src_len, uint8_t *dst,
                                       size_t dst_len, struct scratch *s) {
    const lzma_allocator allocator = {scratch_alloc, scratch_free, s};
    uint64_t memory_limit = s->left;
    size_t src_at = 0, dst_at = 0;

    /* An unknown kind of check is an error, not something to pass over. */
    switch (lzma_stream_buffer_decode(&memory_limit, LZMA_TELL_UNSUPPORTED_CHECK, &allocator, src,
                                      &src_at, src_len, dst, &dst_at, dst_len)) {
    case LZMA_OK:
        return dst_at == dst_len ? NULL : corrupt;
    case LZMA_MEM_ERROR:
    case LZMA_MEMLIMIT_ERROR:
        return no_scratch;
    case LZMA_OPTIONS_ERROR:
    case LZMA_UNSUPPORTED_CHECK:
        return "is packed with xz options unknown here: build it with the kernel's own xz settings";
    default:
        return corrupt;
    }
}

static INIT_TEXT const char *unpack_zstd(const uint8_t *src, size_t src_len, uint8_t *dst,
                                         size_t dst_len, struct scratch *s) {
    ZSTD_DCtx *ctx = ZSTD_initStaticDCtx(s->at, s->left);
    /* Give it this frame alone: the library would look into what follows for its older formats. */
    size_t frame_len = ZSTD_findFrameCompressedSize(src, src_len);

    if (!ctx)
        return no_scratch;
    if (ZSTD_isError(frame_len))
        return corrupt;
    return ZSTD_decompressDCtx(ctx, dst, dst_len, src, frame_len) == dst_len ? NULL : corrupt;
}

static INIT_TEXT const char *unpack_lz4(const uint8_t *src, size_t src_len, uint8_t *dst,
                                        size_t dst_len, struct scratch *s) {
    (void)s;
    while (src_len) {
        uint32_t block_len;
        int n;

        if (src_len < sizeof(block_len))
            return corrupt;
        memcpy(&block_len, src, sizeof(block_len));
        src += sizeof(block_len);
        src_len -= sizeof(block_len);
        if (block_len == LZ4_LEGACY_MAGIC) /* the first, and where streams were joined */
            continue;
        if (block_len > src_len)
            return corrupt;
        n = LZ4_decompress_safe((const char *)src, (char *)dst, (int)block_len,
                                (int)MIN(dst_len, LZ4_BLOCK_LEN));
        if (n <= 0)
            return corrupt;
        src += block_len;
        src_len -= block_len;
        dst += n;
        dst_len -= (size_t)n;
    }
    return dst_len == 0 ? NULL : corrupt;
}

/* What there is, how it begins, and for what can be unpacked: how, and with how much memory. */
static const struct {
    const char *name, *magic;
    const char *(*unpack)(const uint8_t *src, size_t src_len, uint8_t *dst, size_t dst_len,
                          struct scratch *s);
    size_t scratch_len;
    uint8_t magic_len;
} packings[] = {
    [PACKING_UNKNOWN] = {.name = "an unknown format"},
    [PACKING_ELF] = {.name = "ELF", .magic = "\177ELF", .magic_len = 4},
    [PACKING_GZIP] = {"gzip", "\x1f\x8b", unpack_gzip, KIB(64), 2},
    [PACKING_XZ] = {"xz", "\3757zXZ", unpack_xz, XZ_DICTIONARY + KIB(512), 6},
    [PACKING_ZSTD] = {"zstd", "\x28\xb5\x2f\xfd", unpack_zstd, KIB(256), 4},
    [PACKING_LZ4] = {"lz4", "\x02\x21\x4c\x18", unpack_lz4, 0, 4},
    [PACKING_BZIP2] = {.name = "bzip2", .magic = "BZh", .magic_len = 3},
    [PACKING_LZMA] = {.name = "lzma", .magic = "\x5d\0\0", .magic_len = 3},
    [PACKING_LZO] = {.name = "lzo", .magic = "\x89LZO", .magic_len = 4},
};

INIT_TEXT enum packing packing_of(const void *data, size_t len) {
    for (size_t i = PACKING_ELF; i < ARRAY_LEN(packings); i++)
        if (len >= packings[i].magic_len && !memcmp(data, packings[i].magic, packings[i].magic_len))
            return (enum packing)i;
    return PACKING_UNKNOWN;
}

INIT_TEXT const char *packing_name(enum packing kind) {
    return packings[kind].name;
}

INIT_TEXT size_t unpack_scratch_len(enum packing kind) {
    return packings[kind].scratch_len;
}

INIT_TEXT const char *unpack(enum packing kind, const void *src, size_t src_len, void *dst,
                             size_t dst_len, void *scratch, size_t scratch_len) {
    struct scratch s = {scratch, scratch_len};
    const char *why;

    if (!packings[kind].unpack)
        return "is packed in a way that cannot be unpacked here";
    if (src_len > INT32_MAX || dst_len > INT32_MAX)
        return "is over 2 GiB: use a smaller kernel";
    if (packing_of(src, src_len) != kind) /* libzstd takes more than this one format */
        return corrupt;
    arch_libs_begin();
    why = packings[kind].unpack(src, src_len, dst, dst_len, &s);
    arch_libs_end();
    return why;
}
