/* links: core/kernel-image.c core/elf.c core/unpack.c arch/fake/unpack-libs.c */
/* links: tests/host/kernel-fixture.c */
/* flags: -llzma -lzstd -llz4 -lz */
#include "core/kernel-image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abi/elfnote.h>
#include <abi/features.h>

#include "kernel-fixture.h"
#include "test.h"

static struct toy_kernel k;
static struct pv_image pi;

static void reset(void) {
    toy_kernel_init(&k);
    toy_debian_notes(&k);
}

static const char *parse(void) {
    return kernel_image_parse(&pi, &k, sizeof(k));
}

#define EXPECT_REFUSED(part)                                                    \
    do {                                                                        \
        const char *why_ = parse();                                             \
        if (!why_ || !strstr(why_, part))                                       \
            test_fail(__FILE__, __LINE__, "expected \"...%s...\", got %s", part,   \
                      why_ ? why_ : "success");                                 \
    } while (0)

/* A later note of the same type wins, so a test can override one of Debian's. */
#define EXPECT_NOTE_REFUSED(type, value, part)                                  \
    do {                                                                        \
        reset();                                                                \
        toy_note_u64(&k, type, value);                                          \
        EXPECT_REFUSED(part);                                                   \
    } while (0)

TEST(a_debian_kernel_is_described) {
    reset();
    EXPECT_EQ(parse(), NULL);
    EXPECT_EQ(pi.virt_base, TOY_VIRT_BASE);
    EXPECT_EQ(pi.entry, TOY_VIRT_BASE + TOY_TEXT + 0x1c0);
    EXPECT_EQ(pi.hypercall_page, PV_NOWHERE);
    EXPECT_EQ(pi.init_p2m, UINT64_C(0x8000000000));
    EXPECT(pi.mod_start_pfn);
    EXPECT_EQ(pi.features, 0x8801 | 1 << XENFEAT_pae_pgdir_above_4gb);
    EXPECT_EQ(pi.start, TOY_TEXT);
    EXPECT_EQ(pi.end, ROUND_UP(TOY_DATA + TOY_DATA_MEM, PAGE_SIZE));
    REQUIRE(pi.nr_segments == 2); /* the empty one is not listed */
    EXPECT_EQ(pi.segment[0].offset, TOY_TEXT);
    EXPECT_EQ(pi.segment[0].data, k.text);
    EXPECT_EQ(pi.segment[1].offset, TOY_DATA); /* by p_paddr: its p_vaddr is 0 */
    EXPECT_EQ(pi.segment[1].file_len, sizeof(k.data));
    EXPECT_EQ(pi.segment[1].mem_len, TOY_DATA_MEM);
}

TEST(notes_are_found_in_sections_if_no_program_header_has_them) {
    reset();
    k.ph[3].type = 0;
    EXPECT_EQ(parse(), NULL);
    EXPECT_EQ(pi.virt_base, TOY_VIRT_BASE);
    k.sh.type = 1;
    EXPECT_REFUSED("needs CONFIG_XEN_PV");
}

TEST(a_cut_note_at_the_end_is_passed_over) {
    reset();
    toy_note(&k, "Xen", XEN_ELFNOTE_PAE_MODE, "yes", 4)[1] = 12000;
    EXPECT_EQ(parse(), NULL);
}

TEST(segments_move_by_paddr_offset) {
    reset();
    toy_note_u64(&k, XEN_ELFNOTE_PADDR_OFFSET, 0x1000000);
    toy_note_u64(&k, XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + 0x10);
    EXPECT_EQ(parse(), NULL);
    EXPECT_EQ(pi.start, 0);
    EXPECT_EQ(pi.segment[1].offset, TOY_DATA - 0x1000000);
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_PADDR_OFFSET, 0x1000001, "absurd place");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_PADDR_OFFSET, UINT64_MAX - PV_SPAN_MAX, "absurd place");
}

TEST(a_kernel_with_the_bare_minimum_of_notes_will_do) {
    toy_kernel_init(&k);
    toy_note_u64(&k, XEN_ELFNOTE_VIRT_BASE, 0);
    toy_note_u64(&k, XEN_ELFNOTE_ENTRY, TOY_TEXT);
    toy_note_u64(&k, XEN_ELFNOTE_HYPERCALL_PAGE, TOY_TEXT + 0x1000);
    EXPECT_EQ(parse(), NULL);
    EXPECT_EQ(pi.init_p2m, PV_NOWHERE);
    EXPECT_EQ(pi.hypercall_page, TOY_TEXT + 0x1000);
    EXPECT(!pi.mod_start_pfn);
}

TEST(a_kernel_without_xen_is_refused) {
    toy_kernel_init(&k);
    EXPECT_REFUSED("needs CONFIG_XEN_PV");
    toy_note(&k, "Linux", XEN_ELFNOTE_ENTRY, "12345678", 8);
    toy_note(&k, "GNU", XEN_ELFNOTE_VIRT_BASE, "12345678", 8);
    EXPECT_REFUSED("needs CONFIG_XEN_PV");
    toy_note_u64(&k, XEN_ELFNOTE_PHYS32_ENTRY, 0x1000850); /* PVH alone is not enough */
    EXPECT_REFUSED("needs CONFIG_XEN_PV");
    toy_note_u64(&k, XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + TOY_TEXT);
    EXPECT_REFUSED("VIRT_BASE");
}

TEST(the_cloud_flavour_is_refused) {
    const uint32_t supported = 0x8001;

    reset();
    toy_note(&k, "Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, &supported, 4);
    EXPECT_REFUSED("lacks CONFIG_XEN_DOM0: use linux-image-amd64, not the cloud flavour");
    reset();
    toy_note(&k, "Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, "abc", 3);
    EXPECT_REFUSED("CONFIG_XEN_DOM0");
}

static void feature_note(const char *names) {
    reset();
    toy_note(&k, "Xen", XEN_ELFNOTE_FEATURES, names, (uint32_t)strlen(names) + 1);
}

TEST(features_may_be_wished_for_but_not_all_required) {
    feature_note("");
    EXPECT_EQ(parse(), NULL);
    EXPECT_EQ(pi.features, 0x8801);
    feature_note("auto_translated_physmap|next_years_feature||writable_descriptor_tables");
    EXPECT_EQ(parse(), NULL);
    EXPECT_EQ(pi.features, 0x8801 | 1 << XENFEAT_auto_translated_physmap |
                               1 << XENFEAT_writable_descriptor_tables);
    feature_note("writable_page_tables|!auto_translated_physmap");
    EXPECT_REFUSED("requires a feature");
    feature_note("!supervisor_mode_kernel");
    EXPECT_REFUSED("requires a feature");
    feature_note("!next_years_feature");
    EXPECT_REFUSED("requires a feature");
    feature_note("!");
    EXPECT_REFUSED("requires a feature");
    reset();
    toy_note(&k, "Xen", XEN_ELFNOTE_FEATURES, "!writable_page_tables", 20); /* cut short */
    EXPECT_REFUSED("requires a feature");
}

TEST(another_abi_is_refused) {
    reset();
    toy_note(&k, "Xen", XEN_ELFNOTE_XEN_VERSION, "xen-4.0", 8);
    EXPECT_REFUSED("another ABI");
    toy_note(&k, "Xen", XEN_ELFNOTE_XEN_VERSION, "xen-3.0.1", 10);
    EXPECT_REFUSED("another ABI");
}

TEST(absurd_addresses_are_refused) {
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_VIRT_BASE, TOY_VIRT_BASE + 1, "VIRT_BASE");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_VIRT_BASE, UINT64_MAX & PAGE_MASK, "VIRT_BASE");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_VIRT_BASE, UINT64_C(0xffff800000000000), "VIRT_BASE");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_VIRT_BASE, UINT64_C(0xffff87ffffff0000), "VIRT_BASE");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_VIRT_BASE, UINT64_C(0x0000800000000000), "VIRT_BASE");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_VIRT_BASE, UINT64_C(0x00007fffff000000), "VIRT_BASE");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_ENTRY, 0, "entry point");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + TOY_TEXT - 1, "entry point");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + TOY_TEXT + 8192, "entry point");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + TOY_DATA + TOY_DATA_MEM, "entry point");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_HYPERCALL_PAGE, TOY_VIRT_BASE + TOY_TEXT + 8, "hypercall page");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_HYPERCALL_PAGE, TOY_VIRT_BASE + TOY_TEXT + 8192, "hypercall");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_HYPERCALL_PAGE, TOY_VIRT_BASE + TOY_DATA + 0x5000, "hypercall");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_INIT_P2M, 8, "p2m");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_INIT_P2M, UINT64_C(0xffff830000000000), "p2m");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_INIT_P2M, TOY_VIRT_BASE + TOY_TEXT, "p2m");
    EXPECT_NOTE_REFUSED(XEN_ELFNOTE_INIT_P2M, TOY_VIRT_BASE, "p2m");
}

TEST(absurd_segments_are_refused) {
    static const uint64_t bad_paddr[] = {UINT64_MAX, UINT64_MAX - 0xfff, UINT64_C(1) << 63,
                                         PV_SPAN_MAX, PV_SPAN_MAX - TOY_DATA_MEM + 1};

    for (unsigned int i = 0; i < ARRAY_LEN(bad_paddr); i++) {
        reset();
        k.ph[1].paddr = bad_paddr[i];
        EXPECT_REFUSED("absurd place");
    }
    reset();
    k.ph[1].paddr = PV_SPAN_MAX - TOY_DATA_MEM;
    EXPECT_EQ(parse(), NULL);
    k.ph[1].memsz = UINT64_MAX;
    EXPECT_REFUSED("absurd place");
    k.ph[1].memsz = k.ph[1].filesz - 1;
    EXPECT_REFUSED("absurd place");
    reset();
    k.ph[1].paddr = TOY_TEXT + 8191;
    EXPECT_REFUSED("overlapping");
    k.ph[1].paddr = TOY_TEXT - TOY_DATA_MEM + 1;
    EXPECT_REFUSED("overlapping");
    k.ph[1].paddr = TOY_TEXT - TOY_DATA_MEM;
    EXPECT_EQ(parse(), NULL);
    reset();
    k.ph[0].offset = sizeof(k) - 8191;
    EXPECT_REFUSED("cut off");
    k.ph[0].offset = UINT64_MAX;
    EXPECT_REFUSED("cut off");
    reset();
    k.ph[0].type = k.ph[1].type = 0;
    EXPECT_REFUSED("no segment");
}

TEST(seventeen_segments_are_too_many) {
    struct {
        struct elf64_phdr ph[18];
        struct toy_kernel k;
    } *big = calloc(1, sizeof(*big));

    reset();
    big->k = k;
    struct elf64_ehdr *eh = (struct elf64_ehdr *)big; /* headers first, the toy behind them */
    for (unsigned int nr = 16; nr <= 17; nr++) {
        struct elf64_phdr *ph = (struct elf64_phdr *)(eh + 1);

        *eh = k.eh;
        eh->phnum = (uint16_t)nr;
        eh->shoff = (size_t)((uint8_t *)&big->k.sh - (uint8_t *)big);
        big->k.sh.offset = (size_t)((uint8_t *)big->k.note_words - (uint8_t *)big);
        for (unsigned int i = 0; i < nr && i < 16; i++)
            ph[i] = (struct elf64_phdr){.type = ELF_PT_LOAD, .paddr = TOY_TEXT + i * PAGE_SIZE,
                                        .memsz = PAGE_SIZE};
        ph[16] = (struct elf64_phdr){.type = ELF_PT_LOAD, .paddr = MIB(64), .memsz = 1};
        const char *why = kernel_image_parse(&pi, big, sizeof(*big));
        if (nr == 16)
            EXPECT_EQ(why, NULL);
        else
            EXPECT(why && strstr(why, "more segments"));
    }
    free(big);
}

/* From file to description, as the builder does it; the ELF is in *elf if there is one. */
static const char *load(const void *file, size_t len, uint8_t **elf, size_t *elf_len) {
    struct kernel_image ki;
    const char *why = kernel_image_probe(&ki, file, len);

    *elf = NULL;
    if (why)
        return why;
    *elf_len = ki.unpacked_len;
    *elf = malloc(ki.unpacked_len);
    uint8_t *scratch = aligned_alloc(64, ROUND_UP(ki.scratch_len + 1, 64));
    if (ki.packing == PACKING_ELF)
        memcpy(*elf, ki.data, ki.unpacked_len);
    else
        why = kernel_image_unpack(&ki, *elf, ki.unpacked_len, scratch, ki.scratch_len);
    free(scratch);
    return why ? why : kernel_image_parse(&pi, *elf, *elf_len);
}

static const char *load_only(const void *file, size_t len) {
    uint8_t *elf;
    size_t elf_len;
    const char *why = load(file, len, &elf, &elf_len);

    free(elf);
    return why;
}

static const enum packing kinds[] = {PACKING_GZIP, PACKING_XZ, PACKING_ZSTD, PACKING_LZ4};

TEST(a_bzimage_of_each_packing_loads) {
    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len, elf_len;
        uint8_t *file = make_bzimage(kinds[i], &k, sizeof(k), &len), *elf;

        EXPECT_EQ(load(file, len, &elf, &elf_len), NULL);
        EXPECT_EQ(elf_len, sizeof(k));
        EXPECT_MEM(elf, &k, sizeof(k));
        free(elf);
        free(file);
    }
}

TEST(the_version_is_what_the_setup_header_points_at) {
    static const struct {
        uint16_t at;
        const char *text, *want;
    } versions[] = {
        {0x100, "6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1 SMP", "6.1.0-56-amd64"},
        {0x100, "6.1\033[2J", "6.1"},
        {0x3000, NULL, ""}, /* not in the setup */
        {UINT16_MAX, NULL, ""},
        {0, NULL, ""},
    };
    struct kernel_image ki;
    size_t len;

    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(versions); i++) {
        uint8_t *file = make_bzimage(PACKING_LZ4, &k, sizeof(k), &len);

        memcpy(file + 0x20e, &versions[i].at, 2);
        if (versions[i].text)
            strcpy((char *)file + 0x200 + versions[i].at, versions[i].text);
        EXPECT_EQ(kernel_image_probe(&ki, file, len), NULL);
        EXPECT_STR(ki.version, versions[i].want);
        free(file);
    }
    EXPECT_EQ(kernel_image_probe(&ki, &k, sizeof(k)), NULL);
    EXPECT_STR(ki.version, "");
}

TEST(debians_cloud_kernel_is_known_by_its_name) {
    struct kernel_image ki;
    size_t len;
    uint8_t *file;

    reset(); /* its notes are those of the kernel that can be dom0 */
    file = make_bzimage(PACKING_LZ4, &k, sizeof(k), &len);
    file[0x20f] = 1;
    strcpy((char *)file + 0x300, "6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org)");
    EXPECT(strstr(kernel_image_probe(&ki, file, len), "not the cloud flavour"));
    strcpy((char *)file + 0x300, "-cloud-amd64-my-own");
    EXPECT_EQ(kernel_image_probe(&ki, file, len), NULL);
    free(file);
}

TEST(a_plain_and_a_gzipped_elf_load) {
    size_t len;
    uint8_t *gz;

    reset();
    EXPECT_EQ(load_only(&k, sizeof(k)), NULL);
    gz = pack(PACKING_GZIP, &k, sizeof(k), &len);
    EXPECT_EQ(load_only(gz, len), NULL);
    free(gz);
}

TEST(what_is_no_kernel_is_named) {
    struct kernel_image ki;

    EXPECT_STR(kernel_image_probe(&ki, "", 0),
               "is neither a bzImage nor an ELF file: name a Linux kernel (vmlinuz)");
    EXPECT_STR(kernel_image_probe(&ki, "#!/bin/sh", 9),
               "is neither a bzImage nor an ELF file: name a Linux kernel (vmlinuz)");
    EXPECT(strstr(kernel_image_probe(&ki, "\xfd" "7zXZ\0\0\0", 8), "unpack it first"));
    EXPECT(strstr(kernel_image_probe(&ki, "\x1f\x8b", 2), "cut off"));
    EXPECT(strstr(kernel_image_probe(&ki, "\x1f\x8b\x08\xff", 4), "absurd"));
    EXPECT(strstr(kernel_image_probe(&ki, "BZh9", 4), "bzip2"));
}

TEST(bzimages_with_other_payloads_are_named) {
    static const struct {
        const char *magic, *part;
    } others[] = {{"BZh9", "bzip2"}, {"\x5d\0\0\x80", "lzma"}, {"\x89LZO", "lzo"},
                  {"\1\2\3\4", "unknown format"}};
    size_t len;
    uint8_t *file;

    reset();
    file = make_bzimage(PACKING_LZ4, &k, sizeof(k), &len);
    for (unsigned int i = 0; i < ARRAY_LEN(others); i++) {
        memcpy(file + 1024 + 0x30, others[i].magic, 4);
        const char *why = load_only(file, len);
        EXPECT(why && strstr(why, others[i].part));
    }
    free(file);
}

TEST(a_bzimage_header_is_checked) {
    static const struct {
        unsigned int at, bytes;
        uint64_t value;
        const char *part;
    } spoil[] = {
        {0x1fe, 1, 0, "neither"},
        {0x202, 1, 'h', "neither"},
        {0x206, 2, 0x207, "2.08"},
        {0x1f1, 1, 255, "cut off"},
        {0x248, 4, UINT32_MAX, "cut off"},
        {0x24c, 4, UINT32_MAX, "cut off"},
        {0x24c, 4, 0, "unknown format"},
    };
    size_t len;
    uint8_t *file;

    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(spoil); i++) {
        file = make_bzimage(PACKING_XZ, &k, sizeof(k), &len);
        memcpy(file + spoil[i].at, &spoil[i].value, spoil[i].bytes);
        const char *why = load_only(file, len);
        EXPECT(why && strstr(why, spoil[i].part));
        free(file);
    }
}

TEST(the_claimed_length_is_bounded_before_anyone_allocates_it) {
    struct kernel_image ki;
    uint32_t payload_len, huge = KERNEL_UNPACKED_MAX + 1;
    size_t len;
    uint8_t *file;

    reset();
    file = make_bzimage(PACKING_XZ, &k, sizeof(k), &len);
    memcpy(&payload_len, file + 0x24c, 4);
    memcpy(file + 1024 + 0x30 + payload_len - 4, &huge, 4);
    EXPECT(strstr(kernel_image_probe(&ki, file, len), "absurd"));
    free(file);
}

TEST(every_cut_of_a_bzimage_is_an_error) {
    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len;
        uint8_t *file = make_bzimage(kinds[i], &k, sizeof(k), &len);

        for (size_t cut = 0; cut + 100 < len; cut += 1 + noise() % 8) {
            uint8_t *copy = guarded_alloc(cut);

            memcpy(copy, file, cut);
            EXPECT(load_only(copy, cut));
            guarded_free(copy, cut);
        }
        free(file);
    }
}

TEST(a_flipped_bit_anywhere_in_a_bzimage_does_no_harm) {
    reset();
    for (unsigned int i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len, elf_len;
        uint8_t *file = make_bzimage(kinds[i], &k, sizeof(k), &len), *elf;

        for (size_t at = 0; at < len; at += 1 + noise() % 5) {
            uint8_t bit = (uint8_t)(1u << noise() % 8);

            file[at] ^= bit;
            const char *why = load(file, len, &elf, &elf_len);
            /* The legacy lz4 frame has no checksum. */
            EXPECT(why || kinds[i] == PACKING_LZ4 ||
                   (elf_len == sizeof(k) && !memcmp(elf, &k, sizeof(k))));
            free(elf);
            file[at] ^= bit;
        }
        free(file);
    }
}

/* What the description promises, for a file nobody vouches for. */
static void check_promises(const uint8_t *elf, size_t len) {
    EXPECT(pi.virt_base % PAGE_SIZE == 0 && pi.start < pi.end && pi.end <= PV_SPAN_MAX);
    EXPECT(pi.entry - pi.virt_base >= pi.start && pi.entry - pi.virt_base < pi.end);
    for (unsigned int i = 0; i < pi.nr_segments; i++) {
        const struct pv_segment *s = &pi.segment[i];
        uint64_t at = (uint64_t)((const uint8_t *)s->data - elf);

        EXPECT(at <= len && s->file_len <= len - at && s->file_len <= s->mem_len);
        EXPECT(s->offset >= pi.start && s->offset + s->mem_len <= pi.end);
    }
}

TEST(a_spoilt_elf_is_refused_or_safely_described) {
    unsigned int taken = 0;

    for (unsigned int round = 0; round < 100000; round++) {
        static struct toy_kernel bad;

        if (round % 1000 == 0)
            reset();
        memcpy(&bad, &k, sizeof(bad));
        for (unsigned int n = noise() % 4 + 1; n; n--) {
            size_t at = noise() % offsetof(struct toy_kernel, text);

            ((uint8_t *)&bad)[at] = noise() % 4 ? (uint8_t)noise() : (uint8_t)-(noise() % 2);
        }
        size_t len = noise() % 8 ? sizeof(bad) : noise() % sizeof(bad);
        if (kernel_image_parse(&pi, &bad, len))
            continue;
        taken++;
        check_promises((const uint8_t *)&bad, len);
    }
    EXPECT(taken > 1000);
}

/* HOSPES_TEST_KERNEL=/boot/vmlinuz-1:/boot/vmlinuz-2: say what each is. */
TEST(real_kernels_load_or_are_refused_in_words) {
    char *list = getenv("HOSPES_TEST_KERNEL"), *rest = list = list ? strdup(list) : NULL, *path;

    while (rest && (path = strsep(&rest, ":"))) {
        FILE *f = fopen(path, "rb");
        uint8_t *file = malloc(MIB(128)), *elf;
        size_t elf_len;

        REQUIRE(f);
        size_t len = fread(file, 1, MIB(128), f);
        fclose(f);
        const char *why = load(file, len, &elf, &elf_len);
        if (why) {
            printf("# %s %s\n", path, why);
        } else {
            check_promises(elf, elf_len);
            printf("# %s: ELF of %zu bytes, %u segments, %#lx to %#lx from %#lx, entry %#lx\n",
                   path, elf_len, pi.nr_segments, pi.start, pi.end, pi.virt_base, pi.entry);
        }
        free(elf);
        free(file);
    }
    free(list);
}
