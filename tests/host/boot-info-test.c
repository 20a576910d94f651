/* links: arch/x86/multiboot.c arch/x86/memory-map.c lib/string.c arch/fake/fake.c */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/x86/memory-map.h"
#include "arch/x86/multiboot.h"
#include "core/heap.h"
#include "core/page.h"
#include "test.h"

/* An image of 8 KiB: only its size is looked at. */
__asm__(".pushsection .data; .globl image_start, image_end\n"
        "image_start: .space 8192; image_end: .popsection");

static struct range given[32];
static unsigned int nr_given;

void heap_add_range(mfn_t first, uint64_t nr_frames) {
    given[nr_given++] = (struct range){first.n << PAGE_SHIFT, (first.n + nr_frames) << PAGE_SHIFT};
}
void page_free(struct page *pg) {
    (void)pg;
}

/* What boot loaders write, at addresses of 32 bits. */
static uint8_t *low;
static uint32_t used;

static void start(void) {
    if (!low)
        low = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    REQUIRE(low != MAP_FAILED);
    memset(low, 0xa5, 65536);
    used = 0;
    memset(&boot_info, 0, sizeof(boot_info));
}

static uint32_t put(const void *bytes, size_t len) {
    uint32_t at = used;

    memcpy(low + at, bytes, len);
    used = (uint32_t)ROUND_UP(at + len, 8);
    return (uint32_t)(uintptr_t)low + at;
}
static uint32_t put_string(const char *s) {
    return put(s, strlen(s) + 1);
}

static void put_tag(uint32_t type, const void *bytes, size_t len) {
    uint32_t head[2] = {type, (uint32_t)len + 8};

    memcpy(low + used, head, 8);
    memcpy(low + used + 8, bytes, len);
    used = (uint32_t)ROUND_UP(used + 8 + len, 8);
}

static uint32_t begin_mb2(void) {
    start();
    used = 8;
    return (uint32_t)(uintptr_t)low;
}
static const char *parse_mb2(uint32_t info) {
    put_tag(0, "", 0);
    memcpy(low, (uint32_t[2]){used, 0}, 8);
    return multiboot_parse(&boot_info, MULTIBOOT2_LOADER_MAGIC, info);
}

static const uint64_t mmap_tag[] = {24, 0,          0x9f000, 1, 0x100000, 0x7f00000,
                                    1,  0xfffc0000, 0x40000, 2};

TEST(multiboot_1_of_qemu_puts_file_names_first) {
    struct {
        uint32_t start, end, cmdline, reserved;
    } mods[2] = {{0x300000, 0x300800, 0, 0}, {0x400000, 0x400001, 0, 0}};
    struct PACKED {
        uint32_t size;
        uint64_t start, len;
        uint32_t type;
    } memory[] = {{20, 0, 0x9f000, 1}, {20, 0x100000, 0x7f00000, 1}};
    uint32_t info[22] = {1 << 2 | 1 << 3 | 1 << 6 | 1 << 9};

    start();
    mods[0].cmdline = put_string("/tmp/vmlinuz console=hvc0  quiet");
    mods[1].cmdline = put_string("/tmp/initrd");
    info[4] = put_string("build/hospes loglvl=all noreboot");
    info[5] = 2;
    info[6] = put(mods, sizeof(mods));
    info[11] = sizeof(memory);
    info[12] = put(memory, sizeof(memory));
    info[16] = put_string("qemu");
    EXPECT(!multiboot_parse(&boot_info, MULTIBOOT1_LOADER_MAGIC, put(info, sizeof(info))));
    EXPECT_STR(boot_info.cmdline, "loglvl=all noreboot");
    EXPECT_EQ(boot_info.nr_modules, 2);
    EXPECT_STR(boot_info.module[0].cmdline, "console=hvc0  quiet");
    EXPECT_EQ(boot_info.module[0].len, 0x800);
    EXPECT_STR(boot_info.module[1].cmdline, "");
    EXPECT_EQ(boot_info.nr_memory, 2);
    EXPECT_EQ(boot_info.memory[1].start, 0x100000);
}

TEST(multiboot_2_of_grub_leaves_file_names_out_but_for_debians_placeholder) {
    uint32_t info = begin_mb2();

    put_tag(1, "placeholder loglvl=all", 23);
    put_tag(3, "\0\0\x30\0\0\x10\x30\0placeholder root=/dev/sda1", 8 + 27);
    put_tag(3, "\0\0\x40\0\0\x10\x40\0placeholders stay", 8 + 18);
    put_tag(6, mmap_tag, sizeof(mmap_tag));
    EXPECT(!parse_mb2(info));
    EXPECT_STR(boot_info.cmdline, "loglvl=all");
    EXPECT_STR(boot_info.module[0].cmdline, "root=/dev/sda1");
    EXPECT_STR(boot_info.module[1].cmdline, "placeholders stay");
    EXPECT_EQ(boot_info.module[0].paddr, 0x300000);
    EXPECT_EQ(boot_info.module[0].len, 0x1000);
    EXPECT_EQ(boot_info.nr_memory, 3);
    EXPECT(!boot_info.video.present);
}

TEST(what_is_missing_is_said) {
    uint32_t info = begin_mb2();

    EXPECT(strstr(parse_mb2(info), "memory map") != NULL);
    EXPECT(strstr(multiboot_parse(&boot_info, 0x1234, info), "multiboot2") != NULL);
}

TEST(tags_that_lie_about_their_length_are_refused) {
    uint32_t info = begin_mb2();

    put_tag(6, mmap_tag, sizeof(mmap_tag));
    ((uint32_t *)low)[3] = 0x10000000;
    EXPECT(parse_mb2(info) != NULL);
    info = begin_mb2();
    put_tag(6, mmap_tag, sizeof(mmap_tag));
    ((uint32_t *)low)[3] = 4;
    EXPECT(parse_mb2(info) != NULL);
    info = begin_mb2();
    put_tag(3, "\0\0\x30\0\0\x10\x30\0no end", 14);
    EXPECT(parse_mb2(info) != NULL);
}

TEST(too_many_modules_are_an_error_and_too_much_memory_is_not) {
    uint32_t info = begin_mb2();
    uint64_t many[2 + 3 * 200] = {24, 0};

    for (unsigned int i = 0; i < 200; i++) {
        many[1 + 3 * i] = i * 0x10000;
        many[2 + 3 * i] = 0x1000;
        many[3 + 3 * i] = 1;
    }
    put_tag(6, many, 8 + 24 * 200);
    EXPECT(!parse_mb2(info));
    EXPECT_EQ(boot_info.nr_memory, BOOT_MAX_MEMORY);
    info = begin_mb2();
    put_tag(6, mmap_tag, sizeof(mmap_tag));
    for (unsigned int i = 0; i < BOOT_MAX_MODULES + 1; i++)
        put_tag(3, "\0\0\x30\0\0\x10\x30\0", 9);
    EXPECT(parse_mb2(info) != NULL);
}

/* ---- the memory map ---- */

static struct boot_memory map[BOOT_MAX_MEMORY];
static unsigned int nr;

static void entry(uint64_t start, uint64_t len, uint32_t type) {
    map[nr++] = (struct boot_memory){start, len, type};
}
static void expect_entry(unsigned int i, uint64_t start, uint64_t len, uint32_t type) {
    EXPECT_EQ(map[i].start, start);
    EXPECT_EQ(map[i].len, len);
    EXPECT_EQ(map[i].type, type);
}

TEST(neighbours_are_joined_and_sorted) {
    nr = 0;
    entry(0x3000, 0x1000, 1);
    entry(0x1000, 0x1000, 1);
    entry(0x2000, 0x1000, 1);
    entry(0x9000, 0, 2);
    nr = memory_map_clean(map, nr, BOOT_MAX_MEMORY);
    EXPECT_EQ(nr, 1);
    expect_entry(0, 0x1000, 0x3000, E820_RAM);
}

TEST(where_entries_overlap_the_less_usable_wins) {
    nr = 0;
    entry(0, 0x10000, 1);
    entry(0x4000, 0x2000, 2);
    entry(0x5000, 0x2000, 4);
    entry(0x8000, 0x1000, 77);       /* a type nobody knows */
    nr = memory_map_clean(map, nr, BOOT_MAX_MEMORY);
    EXPECT_EQ(nr, 6);
    expect_entry(0, 0, 0x4000, E820_RAM);
    expect_entry(1, 0x4000, 0x1000, E820_RESERVED);
    expect_entry(2, 0x5000, 0x2000, E820_NVS);
    expect_entry(3, 0x7000, 0x1000, E820_RAM);
    expect_entry(4, 0x8000, 0x1000, E820_RESERVED);
    expect_entry(5, 0x9000, 0x7000, E820_RAM);
}

TEST(what_lies_beyond_all_addresses_is_cut) {
    nr = 0;
    entry(BIT(52) - 0x1000, UINT64_MAX, 1);
    entry(UINT64_MAX - 0xfff, 0x8000, 1);
    entry(0, 0x1000, 1);
    nr = memory_map_clean(map, nr, BOOT_MAX_MEMORY);
    EXPECT_EQ(nr, 2);
    expect_entry(0, 0, 0x1000, E820_RAM);
    expect_entry(1, BIT(52) - 0x1000, 0x1000, E820_RAM);
}

TEST(a_reservation_takes_ram_and_holes_and_changes_nothing_else) {
    start();
    boot_info.memory[0] = (struct boot_memory){0, 0x100000, E820_RAM};
    boot_info.nr_memory = 1;
    boot_info.memory[1] = (struct boot_memory){0x100000, 0x1000, E820_NVS};
    boot_info.nr_memory = 2;
    memory_map_reserve(0xfee00000, 0x1000);
    memory_map_reserve(0xff000, 0x2000);
    EXPECT_EQ(boot_info.nr_memory, 4);
    EXPECT_EQ(boot_info.memory[0].len, 0xff000);
    EXPECT_EQ(boot_info.memory[1].len, 0x1000);
    EXPECT_EQ(boot_info.memory[1].type, E820_RESERVED);
    EXPECT_EQ(boot_info.memory[2].type, E820_NVS);
    EXPECT_EQ(boot_info.memory[3].start, 0xfee00000);
}

/* ---- what is free ---- */

static void expect_given(unsigned int i, uint64_t begin, uint64_t end) {
    EXPECT_EQ(given[i].start, begin);
    EXPECT_EQ(given[i].end, end);
}

TEST(image_modules_and_low_memory_stay_out_of_the_heap) {
    start();
    nr_given = 0;
    boot_info.memory[0] = (struct boot_memory){0, 0x9fc00, E820_RAM};
    boot_info.memory[1] = (struct boot_memory){0x100000, 0x700800, E820_RAM};
    boot_info.nr_memory = 2;
    boot_info.module[0] = (struct boot_module){0x300800, 0x1000, ""};
    boot_info.module[1] = (struct boot_module){0x800000, 0x800, ""};
    boot_info.nr_modules = 2;
    boot_mem_init();
    EXPECT_EQ(low_page, 0x9e000);
    EXPECT_EQ(boot_mem_alloc(0x1001, 0x1000, UINT64_MAX), 0x7fe000);
    EXPECT_EQ(boot_mem_alloc(0x100000, 0x100000, 0x7f0000), 0x600000);
    EXPECT_EQ(boot_mem_alloc(0x1000, 0x1000, 0x201000), 0x1ff000);
    boot_mem_to_heap();
    EXPECT_EQ(nr_given, 4);
    expect_given(0, 0x100000, 0x1ff000);
    expect_given(1, 0x202000, 0x300000);
    expect_given(2, 0x302000, 0x600000);
    expect_given(3, 0x700000, 0x7fe000);
    boot_free_module(&boot_info.module[0]);
    expect_given(4, 0x300000, 0x302000);
    EXPECT_EQ(boot_info.module[0].len, 0);
    EXPECT_BUG(boot_mem_alloc(0x1000, 0x1000, UINT64_MAX));
}
