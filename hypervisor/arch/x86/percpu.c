#include "arch/x86/percpu.h"

#include <abi/arch-x86.h>

#include "arch/mm.h"
#include "arch/x86/paging.h"
#include "arch/x86/sections.h"
#include "core/heap.h"

_Static_assert(sizeof(struct cpu) <= CPU_AREA_SIZE, "layout.h: CPU_AREA_SIZE");

/* The GDT page holds the last page's worth of descriptors; the TSS lives in its unused half. */
#define TSS_OFFSET (GDT_LIMIT + 1 - GDT_HV_FIRST)

/* Type and rights byte, and the long / 32-bit flags, of flat segments. */
#define DESC_FLAT   UINT64_C(0x00cf92000000ffff)
#define DESC_CODE   UINT64_C(0x0000080000000000)
#define DESC_DPL3   UINT64_C(0x0000600000000000)
#define DESC_LONG   UINT64_C(0x0020000000000000)
#define DESC_32BIT  UINT64_C(0x0040000000000000)
#define DESC_TSS    UINT64_C(0x0000890000000000)

static ALIGNED(4096) uint8_t boot_gdt_page[PAGE_SIZE];

struct PACKED table_pointer {
    uint16_t limit;
    uint64_t base;
};

static uint64_t *gdt_entry(uint64_t *page, unsigned int selector) {
    return &page[(selector - FIRST_RESERVED_GDT_BYTE) / 8];
}

static void fill_gdt(uint64_t *page, const struct tss64 *tss) {
    uint64_t base = (uintptr_t)tss, code_long = (DESC_FLAT | DESC_CODE | DESC_LONG) & ~DESC_32BIT;

    *gdt_entry(page, HV_CS) = code_long;
    *gdt_entry(page, HV_DS) = DESC_FLAT;
    *gdt_entry(page, FLAT_RING3_CS32) = DESC_FLAT | DESC_CODE | DESC_DPL3;
    *gdt_entry(page, FLAT_RING3_DS32) = DESC_FLAT | DESC_DPL3;
    *gdt_entry(page, FLAT_RING3_CS64) = code_long | DESC_DPL3;
    gdt_entry(page, HV_TSS)[0] = DESC_TSS | (sizeof(*tss) - 1) | (base & 0xffffff) << 16 |
                                 (base >> 24 & 0xff) << 56;
    gdt_entry(page, HV_TSS)[1] = base >> 32;
}

static void fill(struct cpu *cpu, unsigned int id, void *gdt_page) {
    struct tss64 *tss = (void *)((uint8_t *)gdt_page + TSS_OFFSET);
    uint64_t block = STACKS_VA + id * (uint64_t)STACK_BLOCK_SIZE;

    *tss = (struct tss64){.rsp0 = block + STACK_MAIN_TOP,
                          .ist = {block + STACK_IST_NMI, block + STACK_IST_MC,
                                  block + STACK_IST_DF},
                          .iomap_base = sizeof(*tss)};
    cpu->id = id;
    cpu->arch.tss = tss;
    cpu->arch.gdt = gdt_page;
    fill_gdt(gdt_page, tss);
    cpus[id] = cpu;
}

INIT_TEXT void percpu_init_boot(void) {
    struct cpu *cpu = cpu_area(0);

    /* By image address until the direct map is there, so always load by that one here. */
    fill(cpu, 0, boot_gdt_page);
    percpu_load(boot_gdt_page);
    cpu->arch.gdt = phys_to_virt(image_phys(boot_gdt_page));
}

static int map_stack_page(uint64_t at) {
    void *page = heap_alloc_virt(0);

    return page && map_range(at, virt_to_phys(page), PAGE_SIZE, MAP_RW) ? 0 : -ENOMEM;
}

/* Boot only, and without memory there is no going on: what is mapped already stays. */
INIT_TEXT int percpu_create(unsigned int id) {
    uint64_t block = STACKS_VA + id * (uint64_t)STACK_BLOCK_SIZE;
    void *gdt_page = heap_alloc_virt(0);
    int rc = gdt_page ? 0 : -ENOMEM;

    for (unsigned int page = 1; !rc && page < STACK_BLOCK_SIZE / PAGE_SIZE; page++)
        if (page != STACK_GUARD_PAGE)
            rc = map_stack_page(block + page * PAGE_SIZE);
    if (!rc)
        fill(cpu_area(id), id, gdt_page);
    return rc;
}

void percpu_load(const void *gdt_page) {
    struct table_pointer gdtr = {GDT_LIMIT, (uintptr_t)gdt_page - FIRST_RESERVED_GDT_BYTE};

    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%eax\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "lldt %%ax\n\t"
                     "movl %3, %%eax\n\t"
                     "ltr %%ax"
                     :
                     : "m"(gdtr), "i"(HV_CS), "i"(HV_DS), "i"(HV_TSS)
                     : "rax", "memory");
    idt_load();
}

uint8_t *arch_cpu_lock_rank(void) {
    return &this_cpu()->lock_rank;
}
