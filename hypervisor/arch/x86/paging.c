#include "arch/x86/paging.h"

#include "arch/mm.h"
#include "arch/x86/memory-map.h"
#include "arch/x86/processor.h"
#include "arch/x86/sections.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/page.h"
#include "lib/bug.h"
#include "lib/string.h"

ALIGNED(4096) uint64_t idle_l4[512];
RO_AFTER_INIT uint64_t max_mfn;

/* One bit a frame, up to max_mfn. */
RO_AFTER_INIT uint64_t *ram_frames;

static RO_AFTER_INIT bool heap_is_up;

/* Physical address of a zeroed page; 0: out of memory. */
static uint64_t new_table(void) {
    uint64_t pa;

    if (heap_is_up) {
        void *table = heap_alloc_virt(0);

        return table ? virt_to_phys(table) : 0;
    }
    pa = boot_mem_alloc(PAGE_SIZE, PAGE_SIZE, GIB(4)); /* what boot.S's tables reach */
    memset(phys_to_virt(pa), 0, PAGE_SIZE);
    return pa;
}

static unsigned int table_index(uint64_t va, unsigned int level) {
    return va >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

static uint64_t page_size_of(unsigned int level) {
    return PAGE_SIZE << 9 * (level - 1);
}

/* The entry for va at `level`, with the tables above it; NULL: out of memory. */
static uint64_t *entry_of(uint64_t va, unsigned int level, uint64_t rights) {
    uint64_t *table = idle_l4;

    for (unsigned int l = 4; l > level; l--) {
        uint64_t *e = &table[table_index(va, l)];

        if (!*e) {
            uint64_t pa = new_table();

            if (!pa)
                return NULL;
            *e = pa | PTE_P | PTE_RW | PTE_A | (rights & PTE_US);
        }
        BUG_ON(*e & PTE_PSE);
        table = phys_to_virt(*e & PTE_MFN_MASK);
    }
    return &table[table_index(va, level)];
}

static unsigned int largest_level(uint64_t va, uint64_t pa, uint64_t len) {
    unsigned int level = cpu_features.page_1g ? 3 : 2;

    while (level > 1 && ((va | pa) % page_size_of(level) || len < page_size_of(level)))
        level--;
    return level;
}

bool map_range(uint64_t va, uint64_t pa, uint64_t len, uint64_t rights) {
    len = ROUND_UP(len, PAGE_SIZE);
    while (len) {
        unsigned int level = largest_level(va, pa, len);
        uint64_t *e = entry_of(va, level, rights);

        if (!e)
            return false;
        BUG_ON(*e);
        WRITE_ONCE(*e, pa | rights | (level > 1 ? PTE_PSE : 0));
        va += page_size_of(level);
        pa += page_size_of(level);
        len -= page_size_of(level);
    }
    return true;
}

static void *map_anywhere(uint64_t pa, uint64_t len, uint64_t rights) {
    static uint64_t next = IOREMAP_VA;
    uint64_t offset = pa % PAGE_SIZE, va = next;

    len = ROUND_UP(len + offset, PAGE_SIZE);
    if (len > IOREMAP_VA + GIB(1) - next)
        return NULL;
    next += len;
    return map_range(va, pa - offset, len, rights) ? (void *)(va + offset) : NULL;
}

void *ioremap(uint64_t pa, uint64_t len) {
    return map_anywhere(pa, len, MAP_DEVICE);
}

const void *map_firmware(uint64_t pa, uint64_t len) {
    return map_anywhere(pa, len, MAP_RO);
}

static INIT_TEXT void map_at_boot(uint64_t va, uint64_t pa, uint64_t len, uint64_t rights) {
    if (!map_range(va, pa, len, rights))
        panic("too little memory for page tables");
}

static INIT_TEXT void map_image_part(const char *start, const char *end, uint64_t rights) {
    map_at_boot((uintptr_t)start, image_phys(start), (uint64_t)(end - start), rights);
}

static INIT_TEXT void map_direct_part(uint64_t start, uint64_t end, uint64_t rights) {
    if (start < end)
        map_at_boot(DIRECTMAP_VA + start, start, end - start, rights);
}

/* All RAM read-write, but our code and constants read-only in this view, too. */
static INIT_TEXT void map_direct(struct range ram) {
    const struct {
        uint64_t end, rights;
    } parts[] = {{LOAD_PHYS, MAP_RW},
                 {image_phys(text_end), MAP_RO},
                 {image_phys(init_end), MAP_RW},
                 {image_phys(rodata_end), MAP_RO},
                 {UINT64_MAX, MAP_RW}};
    uint64_t at = ram.start;

    for (unsigned int i = 0; i < ARRAY_LEN(parts); i++) {
        map_direct_part(at, MIN(ram.end, parts[i].end), parts[i].rights);
        at = MAX(at, MIN(ram.end, parts[i].end));
    }
}

/*
 * Back [va, va + len) with fresh memory filled with a 64-bit pattern, 2 MiB pages where possible;
 * skipping what an earlier range has backed. second_va: a view for guests, or 0.
 */
static INIT_TEXT void back_table(uint64_t va, uint64_t len, uint64_t granule, uint64_t second_va,
                                 int byte) {
    static INIT_DATA uint64_t backed_to;
    uint64_t end = ROUND_UP(va + len, granule), at = MAX(ROUND_DOWN(va, granule), backed_to);

    while (at < end) {
        uint64_t size = at % MIB(2) == 0 && end - at >= MIB(2) ? MIB(2) : PAGE_SIZE;
        uint64_t pa = boot_mem_alloc(size, size, UINT64_MAX);

        map_at_boot(at, pa, size, MAP_RW);
        if (second_va)
            map_at_boot(second_va + (at - M2P_RW_VA), pa, size, MAP_RO | PTE_US);
        memset((void *)at, byte, size);
        at += size;
    }
    backed_to = end;
}

static INIT_TEXT void back_frame_table(struct range ram) {
    back_table(FRAME_TABLE_VA + (ram.start >> PAGE_SHIFT) * sizeof(struct page),
               ((ram.end - ram.start) >> PAGE_SHIFT) * sizeof(struct page), PAGE_SIZE, 0, 0);
}

/* Whole 2 MiB pieces: that is the unit in which tools are told where the M2P is. */
static INIT_TEXT void back_m2p(struct range ram) {
    back_table(M2P_RW_VA + (ram.start >> PAGE_SHIFT) * 8, ((ram.end - ram.start) >> PAGE_SHIFT) * 8,
               MIB(2), M2P_VA, 0xff);
}

static INIT_TEXT void note_ram_frames(struct range ram) {
    for (uint64_t n = MAX(ram.start, DEVICE_LOW) >> PAGE_SHIFT; n < ram.end >> PAGE_SHIFT;) {
        if (n % 64 == 0 && (ram.end >> PAGE_SHIFT) - n >= 64) {
            ram_frames[n / 64] = ~UINT64_C(0);
            n += 64;
        } else {
            ram_frames[n / 64] |= BIT(n % 64);
            n++;
        }
    }
}

mfn_t arch_m2p_frame(unsigned int n) {
    uint64_t va = M2P_VA + n * MIB(2), e = idle_l4[table_index(va, 4)];

    for (unsigned int level = 3; level >= 2 && (e & PTE_P); level--)
        e = ((const uint64_t *)phys_to_virt(e & PTE_MFN_MASK))[table_index(va, level)];
    return e & PTE_P ? mfn_of((e & PTE_MFN_MASK) >> PAGE_SHIFT) : MFN_INVALID;
}

INIT_TEXT void paging_init(void) {
    uint64_t bitmap_len = ROUND_UP(DIV_ROUND_UP(max_mfn, 8), PAGE_SIZE);

    map_image_part(image_start, text_end, MAP_RX);
    map_image_part(text_end, init_text_end, MAP_RX);
    map_image_part(init_text_end, init_end, MAP_RW);
    map_image_part(init_end, rodata_end, MAP_RO);
    map_image_part(rodata_end, image_end, MAP_RW);
    for (unsigned int page = 1; page < STACK_BLOCK_SIZE / PAGE_SIZE; page++)
        if (page != STACK_GUARD_PAGE)
            map_at_boot(STACKS_VA + page * PAGE_SIZE, image_phys(boot_stack) + page * PAGE_SIZE,
                        PAGE_SIZE, MAP_RW);
    memory_map_for_each_ram(map_direct);
    map_direct_part(VGA_START, VGA_END, MAP_DEVICE);
    /* Every L4 gets copies of these slots, so what they point to must never change. */
    for (uint64_t va = M2P_VA; va < WINDOW_VA; va += page_size_of(4))
        entry_of(va, 3, va == M2P_VA ? PTE_US : 0);

    write_cr3(image_phys(idle_l4));

    memory_map_for_each_ram(back_frame_table);
    memory_map_for_each_ram(back_m2p);
    ram_frames = phys_to_virt(boot_mem_alloc(bitmap_len, PAGE_SIZE, UINT64_MAX));
    memset(ram_frames, 0, bitmap_len);
    memory_map_for_each_ram(note_ram_frames);

    boot_mem_to_heap();
    heap_is_up = true;
}

/* Leaves that are writable and executable, in the table of this level and all below. */
static INIT_TEXT unsigned int count_rwx(const uint64_t *table, unsigned int level) {
    unsigned int found = 0;

    for (unsigned int i = 0; i < 512; i++) {
        uint64_t e = table[i];

        if (!(e & PTE_P))
            continue;
        if (level > 1 && !(e & PTE_PSE))
            found += count_rwx(phys_to_virt(e & PTE_MFN_MASK), level - 1);
        else if (e & PTE_RW && !(e & PTE_NX))
            found++;
    }
    return found;
}

INIT_TEXT void paging_seal(void) {
    for (uint64_t va = (uintptr_t)rodata_end; va < (uintptr_t)ro_after_init_end; va += PAGE_SIZE)
        *entry_of(va, 1, 0) &= ~PTE_RW;
    arch_tlb_flush_mask(&cpus_online);
    BUG_ON(count_rwx(idle_l4, 4));
}

void paging_free_init(void) {
    uint64_t start = image_phys(text_end), end = image_phys(init_end);

    for (uint64_t va = (uintptr_t)text_end; va < (uintptr_t)init_end; va += PAGE_SIZE)
        *entry_of(va, 1, 0) = 0;
    arch_tlb_flush_mask(&cpus_online);
    heap_add_range(mfn_of(start >> PAGE_SHIFT), (end - start) >> PAGE_SHIFT);
}

void arch_l4_install(struct domain *d, uint64_t *l4) {
    memcpy(&l4[256], &idle_l4[256], 16 * sizeof(*l4));
    l4[table_index(WINDOW_VA, 4)] = virt_to_phys(d->arch.window_l3) | PTE_P | PTE_RW | PTE_A;
}
