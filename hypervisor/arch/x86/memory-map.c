#include "arch/x86/memory-map.h"

#include "arch/mm.h"
#include "arch/x86/layout.h"
#include "arch/x86/sections.h"
#include "core/heap.h"
#include "lib/bug.h"

/* No processor has more address bits. */
#define ADDRESS_END BIT(52)

static bool worse(uint32_t a, uint32_t b) {
    /* RAM is 1; reserved, ACPI, NVS and unusable follow in order of how little one may do. */
    return a > b;
}

static bool add_type(struct boot_memory *out, unsigned int *nr, unsigned int max,
                     struct boot_memory piece) {
    struct boot_memory *last = *nr ? &out[*nr - 1] : NULL;

    if (last && last->type == piece.type && last->start + last->len == piece.start) {
        last->len += piece.len;
        return true;
    }
    if (*nr == max)
        return false;
    out[(*nr)++] = piece;
    return true;
}

/* The next address above `at` where an entry begins or ends; UINT64_MAX if there is none. */
static uint64_t next_edge(const struct boot_memory *map, unsigned int nr, uint64_t at) {
    uint64_t edge = UINT64_MAX;

    for (unsigned int i = 0; i < nr; i++) {
        uint64_t end = map[i].start + map[i].len;

        if (map[i].start > at)
            edge = MIN(edge, map[i].start);
        else if (end > at)
            edge = MIN(edge, end);
    }
    return edge;
}

INIT_TEXT unsigned int memory_map_clean(struct boot_memory *map, unsigned int nr,
                                        unsigned int max) {
    static INIT_DATA struct boot_memory in[BOOT_MAX_MEMORY];
    unsigned int nr_in = 0, nr_out = 0;
    uint64_t at = 0, edge;

    for (unsigned int i = 0; i < nr; i++) {
        struct boot_memory m = map[i];

        if (m.type < E820_RAM || m.type > E820_UNUSABLE)
            m.type = E820_RESERVED;
        if (!m.len || m.start >= ADDRESS_END)
            continue;
        m.len = MIN(m.len, ADDRESS_END - m.start);
        in[nr_in++] = m;
    }
    for (;; at = edge) {
        uint32_t type = 0;

        edge = next_edge(in, nr_in, at);
        if (edge == UINT64_MAX)
            return nr_out;
        for (unsigned int i = 0; i < nr_in; i++)
            if (in[i].start <= at && at < in[i].start + in[i].len && worse(in[i].type, type))
                type = in[i].type;
        if (type && !add_type(map, &nr_out, max, (struct boot_memory){at, edge - at, type}))
            return nr_out;
    }
}

INIT_TEXT void memory_map_reserve(uint64_t start, uint64_t len) {
    struct boot_info *b = &boot_info;

    if (b->nr_memory < BOOT_MAX_MEMORY)
        b->memory[b->nr_memory++] = (struct boot_memory){start, len, E820_RESERVED};
    b->nr_memory = memory_map_clean(b->memory, b->nr_memory, BOOT_MAX_MEMORY);
}

INIT_TEXT void memory_map_for_each_ram(void (*fn)(struct range ram)) {
    for (unsigned int i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_memory *m = &boot_info.memory[i];
        uint64_t end = MIN(m->start + m->len, DIRECTMAP_END - DIRECTMAP_VA);
        struct range r = {ROUND_UP(m->start, PAGE_SIZE), ROUND_DOWN(end, PAGE_SIZE)};

        if (m->type == E820_RAM && r.start < r.end)
            fn(r);
    }
}

/* Free RAM, sorted. Reserving one thing adds at most one range. */
static INIT_DATA struct range free_ram[BOOT_MAX_MEMORY + BOOT_MAX_MODULES + 16];
static INIT_DATA unsigned int nr_free;
INIT_DATA uint64_t low_page;

static INIT_TEXT void free_ram_add(struct range r) {
    free_ram[nr_free++] = r;
    max_mfn = MAX(max_mfn, r.end >> PAGE_SHIFT);
}

/* Replace range i by what is left of it before and after `taken`. */
static INIT_TEXT void free_ram_cut(unsigned int i, struct range taken) {
    struct range r = free_ram[i], before = {r.start, MIN(r.end, taken.start)},
                 after = {MAX(r.start, taken.end), r.end};
    unsigned int nr_left = (before.start < before.end) + (after.start < after.end);

    if (nr_free + nr_left > ARRAY_LEN(free_ram))
        panic("the memory map has too many pieces");
    if (nr_left == 2)
        for (unsigned int j = nr_free; j > i + 1; j--)
            free_ram[j] = free_ram[j - 1];
    else if (nr_left == 0)
        for (unsigned int j = i; j + 1 < nr_free; j++)
            free_ram[j] = free_ram[j + 1];
    nr_free += nr_left - 1;
    if (before.start < before.end)
        free_ram[i++] = before;
    if (after.start < after.end)
        free_ram[i] = after;
}

static INIT_TEXT void free_ram_remove(struct range taken) {
    taken.start = ROUND_DOWN(taken.start, PAGE_SIZE);
    taken.end = ROUND_UP(taken.end, PAGE_SIZE);
    for (unsigned int i = nr_free; i-- > 0;)
        if (taken.start < free_ram[i].end && free_ram[i].start < taken.end)
            free_ram_cut(i, taken);
}

INIT_TEXT void boot_mem_init(void) {
    memory_map_for_each_ram(free_ram_add);
    free_ram_remove((struct range){LOAD_PHYS, LOAD_PHYS + (uint64_t)(image_end - image_start)});
    for (unsigned int i = 0; i < boot_info.nr_modules; i++) {
        const struct boot_module *m = &boot_info.module[i];

        free_ram_remove((struct range){m->paddr, m->paddr + m->len});
    }
    low_page = boot_mem_alloc(PAGE_SIZE, PAGE_SIZE, DEVICE_LOW);
    free_ram_remove((struct range){0, DEVICE_LOW});
}

INIT_TEXT uint64_t boot_mem_alloc(uint64_t len, uint64_t align, uint64_t below) {
    len = ROUND_UP(len, PAGE_SIZE);
    for (unsigned int i = nr_free; i-- > 0;) {
        uint64_t end = MIN(free_ram[i].end, below), start;

        if (end < len || end <= free_ram[i].start)
            continue;
        start = ROUND_DOWN(end - len, align);
        if (start >= free_ram[i].start) {
            free_ram_cut(i, (struct range){start, start + len});
            return start;
        }
    }
    panic("too little memory: no %lu KiB free for Hospes itself; give the machine more",
          len / 1024);
}

INIT_TEXT void boot_mem_to_heap(void) {
    for (unsigned int i = 0; i < nr_free; i++)
        heap_add_range(mfn_of(free_ram[i].start >> PAGE_SHIFT),
                       (free_ram[i].end - free_ram[i].start) >> PAGE_SHIFT);
    nr_free = 0;
}

void boot_free_module(struct boot_module *m) {
    uint64_t start = ROUND_DOWN(m->paddr, PAGE_SIZE), end = ROUND_UP(m->paddr + m->len, PAGE_SIZE);

    start = MAX(start, DEVICE_LOW);
    if (start < end)
        heap_add_range(mfn_of(start >> PAGE_SHIFT), (end - start) >> PAGE_SHIFT);
    *m = (struct boot_module){.cmdline = ""};
}
