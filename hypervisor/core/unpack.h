/*
 * Unpacking of the compressed streams kernels are shipped in, by the distribution's own liblzma,
 * libzstd, liblz4 and zlib: static archives linked into memory that is given back after boot.
 */
#ifndef CORE_UNPACK_H
#define CORE_UNPACK_H

#include "lib/types.h"

enum packing {
    PACKING_UNKNOWN,
    PACKING_ELF, /* not packed */
    PACKING_GZIP,
    PACKING_XZ,
    PACKING_ZSTD,
    PACKING_LZ4, /* the legacy frame, as the kernel's build makes it */
    PACKING_BZIP2,
    PACKING_LZMA,
    PACKING_LZO,
};

/* What the first bytes say the data is. */
enum packing packing_of(const void *data, size_t len);

/* "xz", ...; for messages. */
const char *packing_name(enum packing kind);

/* Bytes of scratch memory unpack() needs. */
size_t unpack_scratch_len(enum packing kind);

/*
 * Unpack one whole stream of PACKING_GZIP to PACKING_LZ4. Interrupts are off meanwhile.
 * Trust:  src is hostile; so is dst_len, the size the file claims. Nothing but dst and scratch
 *         is written. The stream's own check (gzip and xz: CRC, zstd: XXH64) is verified; the
 *         legacy lz4 frame has none.
 * Errors: NULL is success, with exactly dst_len bytes in dst; else one sentence. What is in dst
 *         is then undefined.
 * Units:  bytes; scratch aligned to 64.
 */
MUST_CHECK const char *unpack(enum packing kind, const void *src, size_t src_len, void *dst,
                              size_t dst_len, void *scratch, size_t scratch_len);

#endif
