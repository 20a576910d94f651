/*
 * Build dom0: unpack its kernel, lay out its first memory as the PV boot contract asks, and leave
 * vcpu 0 ready to run.
 *
 * Addresses grow from the kernel's VIRT_BASE, pseudo-physical frames (pfn) with them from 0:
 *
 *   kernel image | [initrd] | [p2m list] | start_info | page tables | stack | slack    <- mapped
 *   initrd | p2m list | the tables that map it | the rest of its memory                 <- not
 *
 * A kernel that can (notes MOD_START_PFN, INIT_P2M) gets its initrd unmapped and its p2m list at an
 * address of its choice; for one that cannot, both lie in the mapped part.
 */
#include <abi/features.h>
#include <abi/xen.h>

#include "core/boot-info.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/kernel-image.h"
#include "core/time.h"
#include "lib/string.h"
#include "pv/dom0-build.h"
#include "pv/mmu.h"
#include "pv/hypercall.h"

#define PTE_TABLE (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define PTE_PAGE  (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

#define LAYOUT_ALIGN MIB(4)   /* the mapped part ends on such a boundary ...         */
#define LAYOUT_SLACK KIB(512) /* ... with at least this much free behind the stack */
#define DOM0_MIN_SLACK MIB(16) /* beyond its image, a kernel does not start with less */

static uint64_t opt_dom0_mem, opt_dom0_mem_max;
static unsigned int opt_dom0_max_vcpus;
struct build {
    struct domain *d;
    struct pv_image img;
    uint64_t nr_pages;      /* all of dom0's memory */
    uint64_t *p2m;          /* the guest's list, through the direct map */
    uint64_t next_pfn;      /* frames below it are allocated */

    /* The layout: pfns, and counts of pages. */
    uint64_t initrd, nr_initrd;
    uint64_t p2m_list, nr_p2m, nr_p2m_tables;
    uint64_t start_info, tables, nr_tables, stack, mapped_end;
    uint64_t next_table;    /* next free one of nr_tables / of the p2m's */
};

/* SIZE[,max:SIZE]; Xen's min: is accepted and does nothing. */
static INIT_TEXT bool set_dom0_mem(const char *value) {
    do {
        uint64_t *into = &opt_dom0_mem, ignored;

        value += *value == ',';
        if (!strncmp(value, "max:", 4))
            into = &opt_dom0_mem_max;
        else if (!strncmp(value, "min:", 4))
            into = &ignored;
        if (into != &opt_dom0_mem)
            value += 4;
        if (!cmdline_size(&value, into))
            return false;
    } while (*value == ',');
    return !*value;
}
OPTION_CALL("dom0_mem", set_dom0_mem, "memory of dom0: SIZE[,max:SIZE], for example 2G");
OPTION_UINT("dom0_max_vcpus", opt_dom0_max_vcpus,
            "virtual cpus of dom0; default: one for each cpu");

static INIT_TEXT void *pfn_virt(const struct build *b, uint64_t pfn) {
    return mfn_to_virt(mfn_of(b->p2m[pfn]));
}

static INIT_TEXT uint64_t pfn_va(const struct build *b, uint64_t pfn) {
    return b->img.virt_base + (pfn << PAGE_SHIFT);
}

/*
 * Memory for dom0: what was asked for, or half a GiB and an eighth of all, within what there is
 * once the unpacked kernel's buffer is free again.
 */
static INIT_TEXT uint64_t choose_nr_pages(uint64_t soon_free) {
    uint64_t free = heap_free_frames() + soon_free, total = heap_total_frames();
    uint64_t keep = (MIB(8) >> PAGE_SHIFT) + total / 64; /* for ourselves, and DMA exchange */
    uint64_t want = opt_dom0_mem >> PAGE_SHIFT;

    if (!want)
        want = MIN((MIB(512) >> PAGE_SHIFT) + total / 8, GIB(4) >> PAGE_SHIFT);
    if (free <= keep)
        panic("too little memory: %lu MiB free; give the machine at least 256 MiB",
              free >> (20 - PAGE_SHIFT));
    if (want > free - keep) {
        if (opt_dom0_mem)
            pr_warn("dom0_mem=%luM is more than is free; dom0 gets %luM\n",
                    want >> (20 - PAGE_SHIFT), (free - keep) >> (20 - PAGE_SHIFT));
        want = free - keep;
    }
    return want;
}

static INIT_TEXT uint64_t pages_of(uint64_t bytes) {
    return DIV_ROUND_UP(bytes, PAGE_SIZE);
}

/* Page-table pages needed to map [start, end) down to 4 KiB, without the L4. */
static INIT_TEXT uint64_t nr_tables_for(uint64_t start, uint64_t end) {
    uint64_t n = 0;

    for (unsigned int level = 1; level < 4; level++) {
        unsigned int shift = PAGE_SHIFT + 9 * level;

        n += ((end - 1) >> shift) - (start >> shift) + 1;
    }
    return n;
}

static INIT_TEXT void plan_layout(struct build *b, uint64_t initrd_bytes) {
    uint64_t pfn = pages_of(b->img.end), end;

    b->nr_initrd = pages_of(initrd_bytes);
    b->nr_p2m = pages_of(b->nr_pages * sizeof(uint64_t));
    if (!b->img.mod_start_pfn) {
        b->initrd = pfn;
        pfn += b->nr_initrd;
    }
    if (b->img.init_p2m == PV_NOWHERE) {
        b->p2m_list = pfn;
        pfn += b->nr_p2m;
    }
    b->start_info = pfn++;
    b->tables = pfn;
    /* The tables map themselves: their number decides the end, the end their number. */
    for (b->nr_tables = 1;; b->nr_tables++) {
        end = pfn_va(b, pfn + b->nr_tables + 1) + LAYOUT_SLACK;
        end = ROUND_UP(end, LAYOUT_ALIGN);
        if (1 + nr_tables_for(b->img.virt_base, end) <= b->nr_tables)
            break;
    }
    b->stack = b->tables + b->nr_tables;
    b->mapped_end = pfn = (end - b->img.virt_base) >> PAGE_SHIFT;
    if (b->img.mod_start_pfn) {
        b->initrd = pfn;
        pfn += b->nr_initrd;
    }
    if (b->img.init_p2m != PV_NOWHERE) {
        b->p2m_list = pfn;
        b->nr_p2m_tables = nr_tables_for(b->img.init_p2m,
                                         b->img.init_p2m + b->nr_p2m * PAGE_SIZE);
        pfn += b->nr_p2m + b->nr_p2m_tables;
    }
    if (pfn + (DOM0_MIN_SLACK >> PAGE_SHIFT) > b->nr_pages)
        panic("too little memory for dom0: %lu MiB, its kernel and initrd need %lu MiB; give the "
              "machine more memory or raise dom0_mem=",
              b->nr_pages >> (20 - PAGE_SHIFT),
              (pfn >> (20 - PAGE_SHIFT)) + (DOM0_MIN_SLACK >> 20));
}

/* Frames for the pfns [next_pfn, upto), in the largest pieces that are free. */
static INIT_TEXT void populate(struct build *b, uint64_t upto) {
    unsigned int order = HEAP_MAX_ORDER;

    while (b->next_pfn < upto) {
        struct page *pg = NULL;

        while ((UINT64_C(1) << order) > upto - b->next_pfn)
            order--;
        while (!(pg = domain_alloc_pages(b->d, order, 0, HEAP_NO_SCRUB)) && order)
            order--;
        if (!pg)
            panic("out of memory while building dom0; lower dom0_mem=");
        for (uint64_t i = 0; i < UINT64_C(1) << order; i++) {
            mfn_t mfn = page_to_mfn(pg + i);

            b->p2m[b->next_pfn] = mfn.n;
            m2p_table[mfn.n] = b->next_pfn++;
        }
    }
}

static INIT_TEXT const void *module_virt(const struct boot_module *m) {
    return (const char *)mfn_to_virt(mfn_of(m->paddr >> PAGE_SHIFT)) + m->paddr % PAGE_SIZE;
}

/* len bytes at offset from pfn 0; src NULL: zeroes. */
static INIT_TEXT void write_guest(const struct build *b, uint64_t offset, const void *src,
                                  uint64_t len) {
    while (len) {
        uint64_t in_page = offset % PAGE_SIZE, n = MIN(len, PAGE_SIZE - in_page);
        char *to = (char *)pfn_virt(b, offset >> PAGE_SHIFT) + in_page;

        if (src) {
            memcpy(to, src, n);
            src = (const char *)src + n;
        } else {
            memset(to, 0, n);
        }
        offset += n;
        len -= n;
    }
}

static INIT_TEXT void place_kernel(const struct build *b) {
    for (unsigned int i = 0; i < b->img.nr_segments; i++) {
        const struct pv_segment *s = &b->img.segment[i];

        write_guest(b, s->offset, s->data, s->file_len);
        write_guest(b, s->offset + s->file_len, NULL, s->mem_len - s->file_len);
    }
    if (b->img.hypercall_page != PV_NOWHERE)
        pv_fill_hypercall_page(
            pfn_virt(b, (b->img.hypercall_page - b->img.virt_base) >> PAGE_SHIFT));
}

/* A buffer of ours for boot work; its order comes back too. Old content is left in it. */
static INIT_TEXT void *buffer_alloc(uint64_t bytes, unsigned int *order) {
    struct page *pg;

    for (*order = 0; (PAGE_SIZE << *order) < bytes;)
        ++*order;
    pg = heap_alloc(*order, 0, HEAP_NO_SCRUB);
    if (!pg)
        panic(
            "too little memory to unpack dom0's kernel (%lu MiB); give the machine 512 MiB or more",
            bytes >> 20);
    return page_to_virt(pg);
}

static INIT_TEXT void buffer_free(void *buf, unsigned int order) {
    heap_free(virt_to_page(buf), order);
}

/* Unpacked by 2^order pages that the caller frees once the segments are placed. */
static INIT_TEXT void *unpack_kernel(struct build *b, const struct boot_module *m,
                                     unsigned int *order) {
    const void *file = module_virt(m);
    struct kernel_image ki;
    const char *why = kernel_image_probe(&ki, file, m->len);
    unsigned int scratch_order;
    void *elf, *scratch;
    uint64_t t0 = time_now();

    if (why)
        panic("dom0 kernel: %s", why);
    elf = buffer_alloc(ki.unpacked_len, order);
    scratch = buffer_alloc(ki.scratch_len, &scratch_order);
    pr_info("dom0 kernel: %s, %lu MiB to unpack ...\n", packing_name(ki.packing),
            ki.unpacked_len >> 20);
    why = kernel_image_unpack(&ki, elf, ki.unpacked_len, scratch, ki.scratch_len);
    if (!why)
        why = kernel_image_parse(&b->img, elf, ki.unpacked_len);
    if (!why && !(b->img.features & BIT(XENFEAT_dom0)))
        why = "lacks CONFIG_XEN_DOM0; use linux-image-amd64, not the cloud flavour";
    if (why)
        panic("dom0 kernel: %s", why);
    buffer_free(scratch, scratch_order);
    pr_info("dom0 kernel: unpacked in %lu ms\n", (time_now() - t0) / MS_NS);
    return elf;
}

/*
 * The entry for va in the table `level` below l4, making tables on the way from pfn next_table on.
 */
static INIT_TEXT uint64_t *table_slot(struct build *b, uint64_t *l4, uint64_t va,
                                      unsigned int level) {
    uint64_t *table = l4;

    for (unsigned int l = 4; l > level; l--) {
        uint64_t *e = &table[pt_index(va, l)];

        if (!*e) {
            uint64_t pfn = b->next_table++;

            memset(pfn_virt(b, pfn), 0, PAGE_SIZE);
            *e = b->p2m[pfn] << PAGE_SHIFT | PTE_TABLE;
        }
        table = mfn_to_virt(pte_mfn(*e));
    }
    return &table[pt_index(va, level)];
}

static INIT_TEXT void build_tables(struct build *b) {
    uint64_t *l4 = pfn_virt(b, b->tables);

    memset(l4, 0, PAGE_SIZE);
    b->next_table = b->tables + 1;
    for (uint64_t pfn = 0; pfn < b->mapped_end; pfn++) {
        bool is_table = pfn >= b->tables && pfn < b->tables + b->nr_tables;

        *table_slot(b, l4, pfn_va(b, pfn), 1) =
            b->p2m[pfn] << PAGE_SHIFT | (is_table ? PTE_PAGE & ~PTE_RW : PTE_PAGE);
    }
    b->next_table = b->p2m_list + b->nr_p2m;
    for (uint64_t i = 0; b->img.init_p2m != PV_NOWHERE && i < b->nr_p2m; i++)
        *table_slot(b, l4, b->img.init_p2m + i * PAGE_SIZE, 1) =
            b->p2m[b->p2m_list + i] << PAGE_SHIFT | PTE_PAGE;
}

static INIT_TEXT void fill_video(struct start_info *si) {
    const struct boot_video *v = &boot_info.video;
    struct dom0_vga_console_info *out = (void *)(si + 1);

    if (!v->present)
        return;
    si->console.dom0.info_off = sizeof(*si);
    si->console.dom0.info_size = sizeof(*out);
    if (!v->framebuffer) {
        out->video_type = XEN_VGATYPE_TEXT_MODE_3;
        out->u.text_mode_3.font_height = v->font_height;
        out->u.text_mode_3.cursor_x = v->cursor_x;
        out->u.text_mode_3.cursor_y = v->cursor_y;
        out->u.text_mode_3.rows = v->rows;
        out->u.text_mode_3.columns = v->columns;
        return;
    }
    out->video_type = XEN_VGATYPE_EFI_LFB;
    out->u.vesa_lfb.width = v->width;
    out->u.vesa_lfb.height = v->height;
    out->u.vesa_lfb.bytes_per_line = v->pitch;
    out->u.vesa_lfb.bits_per_pixel = v->bits_per_pixel;
    out->u.vesa_lfb.lfb_base = (uint32_t)v->lfb_base;
    out->u.vesa_lfb.ext_lfb_base = (uint32_t)(v->lfb_base >> 32);
    out->u.vesa_lfb.lfb_size = (uint32_t)DIV_ROUND_UP((uint64_t)v->pitch * v->height, KIB(64));
    out->u.vesa_lfb.red_pos = v->red_pos;
    out->u.vesa_lfb.red_size = v->red_size;
    out->u.vesa_lfb.green_pos = v->green_pos;
    out->u.vesa_lfb.green_size = v->green_size;
    out->u.vesa_lfb.blue_pos = v->blue_pos;
    out->u.vesa_lfb.blue_size = v->blue_size;
}

static INIT_TEXT void fill_start_info(struct build *b, const char *cmdline, uint64_t initrd_len) {
    struct start_info *si = pfn_virt(b, b->start_info);

    memset(si, 0, PAGE_SIZE);
    string_copy(si->magic, "xen-3.0-x86_64p", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = virt_to_mfn(b->d->shared_info).n << PAGE_SHIFT;
    si->flags = SIF_PRIVILEGED | SIF_INITDOMAIN;
    si->pt_base = pfn_va(b, b->tables);
    si->nr_pt_frames = b->nr_tables;
    si->mfn_list = b->img.init_p2m != PV_NOWHERE ? b->img.init_p2m : pfn_va(b, b->p2m_list);
    if (initrd_len) {
        si->mod_start = b->img.mod_start_pfn ? b->initrd : pfn_va(b, b->initrd);
        si->mod_len = initrd_len;
        si->flags |= b->img.mod_start_pfn ? SIF_MOD_START_PFN : 0;
    }
    if (b->img.init_p2m != PV_NOWHERE) {
        si->first_p2m_pfn = b->p2m_list;
        si->nr_p2m_frames = b->nr_p2m + b->nr_p2m_tables;
    }
    if (!string_copy((char *)si->cmd_line, cmdline, sizeof(si->cmd_line)))
        pr_warn("dom0's command line is longer than %d bytes and was cut\n", MAX_GUEST_CMDLINE);
    fill_video(si);
}

/* Validate the tables by the road every guest's go, and hand them to vcpu 0. */
static INIT_TEXT void start_vcpu0(struct build *b) {
    struct vcpu *v = b->d->vcpu[0];
    mfn_t l4 = mfn_of(b->p2m[b->tables]);
    struct cpu_user_regs *regs = &v->arch.regs;
    int rc;

    do
        rc = mmu_pin(b->d, l4, PAGE_L4);
    while (rc == -ERESTART);
    if (!rc)
        rc = mmu_new_kernel_base(v, l4);
    if (rc)
        panic("dom0's first page tables were refused (%d): a bug, please report it", rc);

    memset(regs, 0, sizeof(*regs));
    regs->rip = b->img.entry;
    regs->rsi = pfn_va(b, b->start_info);
    regs->rsp = pfn_va(b, b->stack + 1);
    regs->rflags = 0x202;
    regs->cs = FLAT_RING3_CS64;
    regs->ss = FLAT_RING3_SS64;
    v->arch.kernel_mode = true;
    v->arch.exit = EXIT_IRET;
    v->initialised = true;
}

static INIT_TEXT struct domain *create_dom0(uint64_t nr_pages) {
    struct domain_config config = {
        .privileged = true,
        .hardware = true,
        .max_vcpus = opt_dom0_max_vcpus ? MIN(opt_dom0_max_vcpus, nr_cpus_online) : nr_cpus_online,
        .max_pages = MAX(nr_pages, opt_dom0_mem_max >> PAGE_SHIFT),
        .max_evtchn_port = EVTCHN_FIFO_NR_CHANNELS - 1,
        .max_grant_frames = 64,
        .max_maptrack_frames = 1024,
    };
    struct domain *d;
    int rc = domain_create(0, &config, &d);

    for (unsigned int i = 0; !rc && i < config.max_vcpus; i++)
        rc = vcpu_create(d, i);
    if (rc)
        panic("cannot create dom0 (%d): too little memory", rc);
    return d;
}

INIT_TEXT void dom0_build(void) {
    struct boot_module *kernel = &boot_info.module[0], *initrd = &boot_info.module[1];
    uint64_t initrd_len = boot_info.nr_modules > 1 ? initrd->len : 0;
    const char *cmdline = kernel->cmdline;
    unsigned int elf_order, list_order;
    struct build b = {0};
    void *elf;

    if (!boot_info.nr_modules)
        panic("no dom0 kernel: add a module2 line with a Linux kernel to the boot entry");
    elf = unpack_kernel(&b, kernel, &elf_order);
    b.nr_pages = choose_nr_pages(UINT64_C(1) << elf_order);
    plan_layout(&b, initrd_len);
    dom0 = b.d = create_dom0(b.nr_pages);
    /* The list is one of dom0's own areas, but is needed before those exist: copied at the end. */
    b.p2m = buffer_alloc(b.nr_pages * sizeof(uint64_t), &list_order);

    populate(&b, b.mapped_end + b.nr_initrd);
    place_kernel(&b);
    buffer_free(elf, elf_order);
    boot_free_module(kernel);
    if (initrd_len) {
        write_guest(&b, b.initrd << PAGE_SHIFT, module_virt(initrd), initrd_len);
        boot_free_module(initrd);
    }
    populate(&b, b.nr_pages);
    build_tables(&b);
    fill_start_info(&b, cmdline, initrd_len);
    write_guest(&b, b.p2m_list << PAGE_SHIFT, b.p2m, b.nr_pages * sizeof(uint64_t));
    start_vcpu0(&b);
    buffer_free(b.p2m, list_order);

    pr_info("dom0: %lu MiB, %u vcpus\n", b.nr_pages >> (20 - PAGE_SHIFT), b.d->max_vcpus);
    vcpu_start(b.d->vcpu[0], STOP_DOWN);
    domain_unpause(b.d);
}
