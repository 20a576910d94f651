/* links: core/unpack.c arch/fake/unpack-libs.c core/elf.c tests/host/kernel-fixture.c */
/* flags: -llzma -lzstd -llz4 -lz */
#include "core/unpack.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "kernel-fixture.h"
#include "test.h"

static const enum packing kinds[] = {PACKING_GZIP, PACKING_XZ, PACKING_ZSTD, PACKING_LZ4};

#define for_each_kind(kind)                                                                        \
    for (enum packing kind, *p_ = (enum packing *)kinds;                                           \
         p_ < kinds + ARRAY_LEN(kinds) && (kind = *p_, 1); p_++)

/* Unpack and compare; true if that gave exactly want. */
static bool unpacks_to(enum packing kind, const uint8_t *src, size_t src_len, const uint8_t *want,
                       size_t want_len, const char **why) {
    uint8_t *out;
    bool same;

    *why = unpack_guarded(kind, src, src_len, want_len, &out);
    same = !*why && !memcmp(out, want, want_len);
    guarded_free(out, want_len);
    return same;
}

static void check_round_trip(enum packing kind, size_t len) {
    uint8_t *plain = malloc(len + 1), *packed;
    size_t packed_len;
    const char *why;

    kernel_like_fill(plain, len);
    packed = pack(kind, plain, len, &packed_len);
    EXPECT_EQ(packing_of(packed, packed_len), kind);
    EXPECT(unpacks_to(kind, packed, packed_len, plain, len, &why));
    EXPECT_EQ(why, NULL);
    /* A claimed length that is wrong by one is noticed, whichever way. */
    EXPECT(!unpacks_to(kind, packed, packed_len, plain, len - 1, &why));
    EXPECT(why);
    EXPECT(!unpacks_to(kind, packed, packed_len, plain, len + 1, &why));
    EXPECT(why);
    free(packed);
    free(plain);
}

TEST(what_was_packed_comes_back) {
    for_each_kind(kind) {
        check_round_trip(kind, 1);
        check_round_trip(kind, 4096);
        check_round_trip(kind, 300001);
    }
}

TEST(lz4_blocks_are_joined) {
    check_round_trip(PACKING_LZ4, MIB(8));
    check_round_trip(PACKING_LZ4, MIB(8) + 1);
    check_round_trip(PACKING_LZ4, MIB(17));
}

TEST(a_cut_stream_is_never_taken_for_whole) {
    const size_t len = 20000;
    uint8_t *plain = malloc(len);

    kernel_like_fill(plain, len);
    for_each_kind(kind) {
        size_t packed_len;
        uint8_t *packed = pack(kind, plain, len, &packed_len);
        const char *why;

        for (size_t cut = 0; cut < packed_len; cut += cut < 64 || cut + 64 > packed_len ? 1 : 37) {
            EXPECT(!unpacks_to(kind, packed, cut, plain, len, &why));
            EXPECT(why);
        }
        free(packed);
    }
    free(plain);
}

TEST(a_flipped_bit_is_an_error_or_changes_nothing) {
    const size_t len = 20000;
    uint8_t *plain = malloc(len);

    kernel_like_fill(plain, len);
    for_each_kind(kind) {
        size_t packed_len;
        uint8_t *packed = pack(kind, plain, len, &packed_len);
        const char *why;

        for (size_t i = 0; i < packed_len; i += i < 64 || i + 64 > packed_len ? 1 : 13) {
            for (unsigned int bit = 0; bit < 8; bit++) {
                packed[i] ^= (uint8_t)(1u << bit);
                bool same = unpacks_to(kind, packed, packed_len, plain, len, &why);
                /* The legacy lz4 frame has no checksum: there it only must not do harm. */
                EXPECT(same || why || kind == PACKING_LZ4);
                packed[i] ^= (uint8_t)(1u << bit);
            }
        }
        free(packed);
    }
    free(plain);
}

TEST(noise_behind_a_good_beginning_does_no_harm) {
    const size_t len = 50000;
    uint8_t *plain = malloc(len);

    kernel_like_fill(plain, len);
    for_each_kind(kind) {
        size_t packed_len;
        uint8_t *packed = pack(kind, plain, len, &packed_len);
        const char *why;

        for (unsigned int round = 0; round < 200; round++) {
            uint8_t *bad = malloc(packed_len);
            size_t from = noise() % packed_len, n = noise() % 64;

            memcpy(bad, packed, packed_len);
            for (size_t i = from; i < packed_len && i < from + n; i++)
                bad[i] = (uint8_t)noise();
            bool same = unpacks_to(kind, bad, packed_len, plain, len, &why);
            EXPECT(same || why || kind == PACKING_LZ4);
            free(bad);
        }
        free(packed);
    }
    free(plain);
}

TEST(formats_are_told_by_their_first_bytes) {
    EXPECT_EQ(packing_of("\177ELF", 4), PACKING_ELF);
    EXPECT_EQ(packing_of("\x1f\x8b", 2), PACKING_GZIP);
    EXPECT_EQ(packing_of("BZh9", 4), PACKING_BZIP2);
    EXPECT_EQ(packing_of("\x5d\0\0\x80", 4), PACKING_LZMA);
    EXPECT_EQ(packing_of("\x89LZO", 4), PACKING_LZO);
    EXPECT_EQ(packing_of("\xfd"
                         "7zXZ",
                         6),
              PACKING_XZ);
    EXPECT_EQ(packing_of("\xfd"
                         "7zXZ",
                         5),
              PACKING_UNKNOWN);
    EXPECT_EQ(packing_of("", 0), PACKING_UNKNOWN);
    EXPECT_STR(packing_name(PACKING_ZSTD), "zstd");
}

TEST(what_cannot_be_unpacked_is_said) {
    uint8_t out[16];

    EXPECT(unpack(PACKING_ELF, "\177ELF", 4, out, sizeof(out), NULL, 0));
    EXPECT(unpack(PACKING_LZO, "\x89LZO", 4, out, sizeof(out), NULL, 0));
    EXPECT(unpack(PACKING_LZ4, "", UINT64_C(1) << 31, out, sizeof(out), NULL, 0));
    EXPECT(unpack(PACKING_LZ4, "", 0, out, UINT64_C(1) << 31, NULL, 0));
}

TEST(too_little_scratch_memory_is_an_error) {
    uint8_t plain[1000], out[1000], scratch[64] ALIGNED(64);

    kernel_like_fill(plain, sizeof(plain));
    for_each_kind(kind) {
        size_t packed_len;
        uint8_t *packed = pack(kind, plain, sizeof(plain), &packed_len);

        if (kind != PACKING_LZ4) {
            EXPECT(unpack(kind, packed, packed_len, out, sizeof(out), scratch, sizeof(scratch)));
            EXPECT(unpack(kind, packed, packed_len, out, sizeof(out), scratch, 0));
        }
        free(packed);
    }
}

/* xz as someone else than the kernel's build might make it. */
static uint8_t *pack_xz_with(uint32_t dict_size, lzma_check check, const uint8_t *plain, size_t len,
                             size_t *packed_len) {
    lzma_options_lzma lzma2;
    lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &lzma2}, {LZMA_VLI_UNKNOWN, NULL}};
    uint8_t *dst = malloc(len + 4096);

    lzma_lzma_preset(&lzma2, 0);
    lzma2.dict_size = dict_size;
    *packed_len = 0;
    REQUIRE(lzma_stream_buffer_encode(filters, check, NULL, plain, len, dst, packed_len,
                                      len + 4096) == LZMA_OK);
    return dst;
}

TEST(xz_may_use_any_check_and_the_kernels_dictionary_but_no_larger) {
    static const lzma_check checks[] = {LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64,
                                        LZMA_CHECK_SHA256};
    uint8_t plain[5000], *packed;
    size_t packed_len;
    const char *why;

    kernel_like_fill(plain, sizeof(plain));
    for (unsigned int i = 0; i < ARRAY_LEN(checks); i++) {
        packed = pack_xz_with(32 << 20, checks[i], plain, sizeof(plain), &packed_len);
        EXPECT(unpacks_to(PACKING_XZ, packed, packed_len, plain, sizeof(plain), &why));
        free(packed);
    }
    packed = pack_xz_with(33 << 20, LZMA_CHECK_CRC32, plain, sizeof(plain), &packed_len);
    EXPECT(!unpacks_to(PACKING_XZ, packed, packed_len, plain, sizeof(plain), &why));
    EXPECT(strstr(why, "needs more memory"));
    free(packed);
}

TEST(a_kind_of_check_liblzma_does_not_know_is_not_passed_over) {
    uint8_t plain[500], *packed;
    size_t packed_len;
    const char *why;

    kernel_like_fill(plain, sizeof(plain));
    packed = pack(PACKING_XZ, plain, sizeof(plain), &packed_len);
    packed[7] = 2; /* a reserved check of four bytes */
    uint32_t crc = lzma_crc32(packed + 6, 2, 0);
    memcpy(packed + 8, &crc, 4);
    EXPECT(!unpacks_to(PACKING_XZ, packed, packed_len, plain, sizeof(plain), &why));
    EXPECT(strstr(why, "xz options"));
    free(packed);
}

TEST(zstd_does_not_look_beyond_its_first_frame) {
    uint8_t plain[5000], *packed;
    size_t packed_len;
    const char *why;

    kernel_like_fill(plain, sizeof(plain));
    packed = pack(PACKING_ZSTD, plain, sizeof(plain), &packed_len);
    packed = realloc(packed, packed_len + 4);
    memcpy(packed + packed_len, "\x27\xb5\x2f\xfd", 4); /* a frame of version 0.7 */
    EXPECT(unpacks_to(PACKING_ZSTD, packed, packed_len + 4, plain, sizeof(plain), &why));
    /* Nor does it take an old frame for its first. */
    packed[0] = 0x27;
    EXPECT(!unpacks_to(PACKING_ZSTD, packed, packed_len, plain, sizeof(plain), &why));
    EXPECT(why);
    free(packed);
}
