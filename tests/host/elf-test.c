/* links: core/elf.c tests/host/kernel-fixture.c core/unpack.c arch/fake/unpack-libs.c */
/* flags: -llzma -lzstd -llz4 -lz */
#include "core/elf.h"

#include <stdlib.h>
#include <string.h>

#include "kernel-fixture.h"
#include "test.h"

static struct toy_kernel k;
static struct elf e;

TEST(a_kernel_opens_and_shows_its_headers) {
    toy_kernel_init(&k);
    EXPECT_EQ(elf_open(&e, &k, sizeof(k)), NULL);
    EXPECT_EQ(e.phnum, 4);
    EXPECT_EQ(e.shnum, 1);
    EXPECT_EQ(elf_segment(&e, 1).paddr, TOY_DATA);
    EXPECT_EQ(elf_section(&e, 0).type, ELF_SHT_NOTE);
}

TEST(what_is_no_elf64_for_x86_is_told_apart) {
    EXPECT_STR(elf_open(&e, "", 0), "is not an ELF file");
    EXPECT_STR(elf_open(&e, "\177EL", 3), "is not an ELF file");
    toy_kernel_init(&k);
    k.eh.ident[4] = 1;
    EXPECT_STR(elf_open(&e, &k, sizeof(k)), "is a 32-bit ELF file: use a 64-bit (amd64) kernel");
    k.eh.ident[4] = 2;
    k.eh.machine = 183;
    EXPECT(elf_open(&e, &k, sizeof(k)));
    k.eh.machine = 62;
    k.eh.ident[5] = 2;
    EXPECT(elf_open(&e, &k, sizeof(k)));
    k.eh.ident[5] = 1;
    k.eh.phentsize = 32;
    EXPECT(elf_open(&e, &k, sizeof(k)));
}

TEST(every_cut_of_the_headers_is_noticed) {
    toy_kernel_init(&k);
    for (size_t len = 0; len < offsetof(struct toy_kernel, sh); len++) {
        void *copy = guarded_alloc(len);

        memcpy(copy, &k, len);
        EXPECT(elf_open(&e, copy, len));
        guarded_free(copy, len);
    }
}

TEST(a_section_table_outside_the_file_counts_as_none) {
    toy_kernel_init(&k);
    k.eh.shoff = UINT64_MAX - 10;
    EXPECT_EQ(elf_open(&e, &k, sizeof(k)), NULL);
    EXPECT_EQ(e.shnum, 0);
    k.eh.shoff = sizeof(k) - 63;
    EXPECT_EQ(elf_open(&e, &k, sizeof(k)), NULL);
    EXPECT_EQ(e.shnum, 0);
    k.eh.shoff = sizeof(k) - 64;
    EXPECT_EQ(elf_open(&e, &k, sizeof(k)), NULL);
    EXPECT_EQ(e.shnum, 1);
    k.eh.shentsize = 0;
    EXPECT_EQ(elf_open(&e, &k, sizeof(k)), NULL);
    EXPECT_EQ(e.shnum, 0);
}

TEST(program_headers_that_wrap_around_are_refused) {
    toy_kernel_init(&k);
    k.eh.phoff = UINT64_MAX - 55;
    EXPECT(elf_open(&e, &k, sizeof(k)));
    k.eh.phoff = 64;
    k.eh.phnum = 0xffff;
    EXPECT(elf_open(&e, &k, sizeof(k)));
}

TEST(bytes_are_given_only_if_all_are_there) {
    e = (struct elf){.data = (const uint8_t *)"abcd", .len = 4};
    EXPECT_EQ(elf_bytes(&e, 0, 4), e.data);
    EXPECT_EQ(elf_bytes(&e, 4, 0), e.data + 4);
    EXPECT_EQ(elf_bytes(&e, 1, 4), NULL);
    EXPECT_EQ(elf_bytes(&e, 5, 0), NULL);
    EXPECT_EQ(elf_bytes(&e, 2, UINT64_MAX), NULL);
    EXPECT_EQ(elf_bytes(&e, UINT64_MAX, 2), NULL);
}

TEST(notes_come_in_order_and_end) {
    struct elf_note_list l;
    struct elf_note n;

    toy_kernel_init(&k);
    toy_note(&k, "GNU", 3, "abc", 3); /* padded */
    toy_note(&k, "Xen", 5, "xen-3.0", 8);
    REQUIRE(!elf_open(&e, &k, sizeof(k)));
    l = elf_notes(&e, k.ph[3].offset, k.ph[3].filesz);
    EXPECT(elf_note_next(&l, &n));
    EXPECT(elf_note_is_from(&n, "GNU"));
    EXPECT(!elf_note_is_from(&n, "GN"));
    EXPECT_EQ(n.desc_len, 3);
    EXPECT(elf_note_next(&l, &n));
    EXPECT(elf_note_is_from(&n, "Xen"));
    EXPECT_EQ(elf_note_text_len(&n), 7);
    EXPECT(!elf_note_next(&l, &n));
}

TEST(a_cut_note_ends_the_list_quietly) {
    for (unsigned int cut = 0; cut < 24; cut++) {
        uint32_t *words = guarded_alloc(cut);
        const uint32_t note[] = {4, 8, 9, 0x6e6558, 0, 0};
        struct elf_note_list l = {(uint8_t *)words, cut};
        struct elf_note n;

        memcpy(words, note, cut);
        EXPECT(!elf_note_next(&l, &n));
        guarded_free(words, cut);
    }
}

TEST(the_last_note_need_not_be_padded) {
    const uint32_t note[] = {4, 5, 6, 0x6e6558, 0x756e696c, 0x78};
    struct elf_note_list l = {(const uint8_t *)note, 21};
    struct elf_note n;

    EXPECT(elf_note_next(&l, &n));
    EXPECT_EQ(n.desc_len, 5);
    EXPECT(!elf_note_next(&l, &n));
}

TEST(lengths_of_four_gigabytes_are_cut_notes) {
    const uint32_t note[2][4] = {{UINT32_MAX, 0, 1, 0}, {0, UINT32_MAX, 1, 0}};
    struct elf_note n;

    for (unsigned int i = 0; i < 2; i++) {
        struct elf_note_list l = {(const uint8_t *)note[i], sizeof(note[i])};

        EXPECT(!elf_note_next(&l, &n));
    }
}

TEST(a_note_area_outside_the_file_is_empty_or_clipped) {
    struct elf_note n;
    struct elf_note_list l;

    toy_kernel_init(&k);
    toy_note(&k, "Xen", 1, "12345678", 8);
    REQUIRE(!elf_open(&e, &k, sizeof(k)));
    l = elf_notes(&e, UINT64_MAX, 8);
    EXPECT(!elf_note_next(&l, &n));
    l = elf_notes(&e, k.ph[3].offset, UINT64_MAX);
    EXPECT(elf_note_next(&l, &n));
}

TEST(numbers_have_one_two_four_or_eight_bytes) {
    static const uint64_t want[] = {
        [1] = 0x11, [2] = 0x2211, [4] = 0x44332211, [8] = 0x8877665544332211};
    struct elf_note n = {.desc = (const uint8_t *)"\x11\x22\x33\x44\x55\x66\x77\x88\x99"};

    for (n.desc_len = 0; n.desc_len <= 9; n.desc_len++) {
        bool is_number = n.desc_len < ARRAY_LEN(want) && want[n.desc_len];
        uint64_t v = 7;

        EXPECT_EQ(elf_note_number(&n, &v), is_number);
        EXPECT_EQ(v, is_number ? want[n.desc_len] : 7);
    }
}

TEST(text_ends_at_its_nul_or_with_the_note) {
    struct elf_note n = {.desc = (const uint8_t *)"xyz"};

    for (n.desc_len = 0; n.desc_len <= 4; n.desc_len++)
        EXPECT_EQ(elf_note_text_len(&n), MIN(n.desc_len, 3u));
}
