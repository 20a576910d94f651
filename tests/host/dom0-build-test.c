/* links: pv/dom0-build.c pv/hypercall-page.c core/kernel-image.c core/elf.c core/unpack.c */
/* links: core/cmdline.c core/domain-memory.c core/page.c core/heap.c core/page-list.c core/tlb.c */
/* links: lib/lock.c lib/string.c pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c */
/* links: pv/mmu-teardown.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c */
/* links: arch/fake/unpack-libs.c tests/host/kernel-fixture.c */
/* flags: -llzma -lzstd -llz4 -lz */
/*
 * dom0 as its kernel finds it: a toy kernel is built into a domain, then looked at through the page
 * tables it starts with.
 */
#include "pv/dom0-build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <abi/elfnote.h>
#include <abi/features.h>

#include "arch/fake/fake.h"
#include "core/boot-info.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/time.h"
#include "kernel-fixture.h"
#include "pv/mmu.h"
#include "test.h"

#define FRAMES (MIB(96) >> PAGE_SHIFT)
#define INITRD (7 * PAGE_SIZE + 123)
#define P2M_AT UINT64_C(0x8000000000) /* what Debian's notes ask for */

struct boot_info boot_info;
struct domain *dom0, *dom_xen, *dom_io;

static struct domain_config config;
static struct vcpu vcpus[4], *vcpu_list[4];
static struct toy_kernel k;
static uint8_t initrd[INITRD];
static unsigned int started, unpaused, modules_freed;
static int fail_create;
static char said[4096];

/*
 * --- what the builder calls --------------------------------------------------------------------
 */

void printk(enum log_level level, const char *fmt, ...) {
    size_t len = strlen(said);
    va_list args;

    (void)level;
    va_start(args, fmt);
    vsnprintf(said + len, sizeof(said) - len, fmt, args);
    va_end(args);
}
void printk_guest(const struct domain *d, enum log_level level, const char *fmt, ...) {
    (void)d, (void)level, (void)fmt;
}
uint64_t time_now(void) {
    return fake_clock.tsc += MS_NS;
}
struct domain *domain_get(struct domain *d) {
    d->refs++;
    return d;
}
void domain_put(struct domain *d) {
    d->refs--;
}
int domain_lookup_controlled(domid_t domid, struct domain **out) {
    (void)domid, (void)out;
    return -ESRCH;
}
struct vcpu *domain_vcpu(const struct domain *d, uint64_t id) {
    return id < d->max_vcpus ? d->vcpu[id] : NULL;
}
int domain_create(domid_t domid, const struct domain_config *c, struct domain **out) {
    struct domain *d = heap_alloc_virt(0);

    EXPECT_EQ(domid, 0);
    config = *c;
    d->refs = 1;
    d->hardware = c->hardware, d->privileged = c->privileged;
    d->max_pages = c->max_pages;
    d->max_vcpus = c->max_vcpus;
    lock_init(&d->page_lock, RANK_PAGE_LIST);
    page_list_init(&d->pages);
    d->vcpu = vcpu_list;
    d->shared_info = heap_alloc_virt(0);
    *out = d;
    return 0;
}
int vcpu_create(struct domain *d, unsigned int id) {
    REQUIRE(id < ARRAY_LEN(vcpus));
    memset(&vcpus[id], 0, sizeof(vcpus[id]));
    vcpus[id].domain = d;
    vcpus[id].id = id;
    d->vcpu[id] = &vcpus[id];
    return fail_create;
}
void vcpu_start(struct vcpu *v, enum vcpu_stop why) {
    EXPECT(v->id == 0 && v->initialised && why == STOP_DOWN);
    started++;
}
void domain_unpause(struct domain *d) {
    EXPECT(d == dom0 && started == 1);
    unpaused++;
}
void boot_free_module(struct boot_module *m) {
    modules_freed++;
    memset(mfn_to_virt(mfn_of(m->paddr >> PAGE_SHIFT)), 0x11, ROUND_UP(m->len, PAGE_SIZE));
}
bool pv_iomem_allowed(const struct domain *d, mfn_t mfn) {
    (void)d, (void)mfn;
    return false;
}
int pv_validate_segdesc_page(uint64_t *descs) {
    (void)descs;
    return 0;
}
void pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries) {
    (void)v, (void)base, (void)entries;
}
bool arch_mmio_is_ours(mfn_t mfn) {
    (void)mfn;
    return true;
}

/*
 * --- a boot -------------------------------------------------------------------------------------
 */

static unsigned int module_order[2];

static void add_module(const void *bytes, size_t len, const char *cmdline) {
    unsigned int n = boot_info.nr_modules++, order = 0;
    struct page *pg;

    while (PAGE_SIZE << order < len)
        order++;
    module_order[n] = order;
    pg = heap_alloc(order, 0, 0);
    REQUIRE(pg);
    memcpy(page_to_virt(pg), bytes, len);
    boot_info.module[n] = (struct boot_module){page_to_mfn(pg).n << PAGE_SHIFT, len, cmdline};
}

static uint64_t free_at_start;

/* A machine with a kernel (what k holds) and perhaps an initrd. */
static void boot(bool with_initrd, const char *options) {
    fake_machine_init(FRAMES);
    fake_cpu_enter(1);
    fake_cpu_enter(0);
    free_at_start = heap_free_frames();
    started = unpaused = modules_freed = 0;
    fail_create = 0;
    said[0] = '\0';
    memset(&boot_info, 0, sizeof(boot_info));
    add_module(&k, sizeof(k), "root=/dev/sda1 quiet");
    kernel_like_fill(initrd, sizeof(initrd));
    if (with_initrd)
        add_module(initrd, sizeof(initrd), "");
    cmdline_parse(options);
}

/* A kernel as Debian's; and one that needs everything mapped. */
static void modern(void) {
    toy_kernel_init(&k);
    toy_debian_notes(&k);
    toy_note_u64(&k, XEN_ELFNOTE_HYPERCALL_PAGE, TOY_VIRT_BASE + TOY_TEXT + PAGE_SIZE);
}

static void plain(void) {
    static const uint32_t supported = BIT(XENFEAT_dom0);

    toy_kernel_init(&k);
    toy_note(&k, "Xen", XEN_ELFNOTE_GUEST_OS, "mini", 5);
    toy_note(&k, "Xen", XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8);
    toy_note_u64(&k, XEN_ELFNOTE_VIRT_BASE, TOY_VIRT_BASE);
    toy_note_u64(&k, XEN_ELFNOTE_ENTRY, TOY_VIRT_BASE + TOY_TEXT);
    toy_note(&k, "Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, &supported, 4);
}

static void release(struct domain *d) {
    EXPECT_EQ(mmu_drop_bases(d->vcpu[0]), 0);
    d->life = DOMAIN_DYING;
    EXPECT_EQ(mmu_relinquish(d), 0);
    EXPECT_EQ(domain_release_pages(d), 0);
    EXPECT_EQ(d->nr_pages, 0);
    EXPECT_EQ(d->refs, 1);
    heap_free_virt(d->shared_info, 0);
    heap_free_virt(d, 0);
}

/* Everything that was taken is dom0's or given back. */
static void finish(void) {
    uint64_t free_now;

    EXPECT_EQ(started, 1);
    EXPECT_EQ(unpaused, 1);
    EXPECT_EQ(modules_freed, boot_info.nr_modules);
    this_cpu()->current = NULL;
    release(dom0);
    for (unsigned int i = 0; i < boot_info.nr_modules; i++)
        heap_free(mfn_to_page(mfn_of(boot_info.module[i].paddr >> PAGE_SHIFT)), module_order[i]);
    free_now = heap_free_frames();
    EXPECT_EQ(free_now, free_at_start);
}

/*
 * --- dom0's own view
 * ------------------------------------------------------------------------------
 */

static const struct cpu_user_regs *regs(void) {
    return &dom0->vcpu[0]->arch.regs;
}

static void look_from_inside(void) {
    this_cpu()->current = dom0->vcpu[0];
}

static uint64_t peek(uint64_t va) {
    uint64_t word = 0;

    EXPECT_EQ(copy_from_guest(&word, (guest_va_t){va}, sizeof(word)), 0);
    return word;
}

static struct start_info start_info(void) {
    struct start_info si;

    REQUIRE(!copy_from_guest(&si, (guest_va_t){regs()->rsi}, sizeof(si)));
    return si;
}

static void expect_bytes(uint64_t va, const void *want, size_t len) {
    uint8_t *got = malloc(len);

    EXPECT_EQ(copy_from_guest(got, (guest_va_t){va}, len), 0);
    EXPECT_MEM(got, want, len);
    free(got);
}

/* The list at mfn_list and the M2P say the same, of frames that are dom0's. */
static void expect_p2m(const struct start_info *si) {
    uint64_t *p2m = malloc(si->nr_pages * sizeof(*p2m));
    unsigned int bad = 0;

    REQUIRE(!copy_from_guest(p2m, (guest_va_t){si->mfn_list}, si->nr_pages * sizeof(*p2m)));
    for (uint64_t pfn = 0; pfn < si->nr_pages; pfn++)
        bad += p2m[pfn] >= FRAMES || m2p_table[p2m[pfn]] != pfn ||
               page_owner(mfn_to_page(mfn_of(p2m[pfn]))) != dom0;
    EXPECT_EQ(bad, 0);
    EXPECT_EQ(dom0->nr_pages, si->nr_pages);
    free(p2m);
}

static void expect_kernel(void) {
    static const uint8_t zero[64];

    expect_bytes(TOY_VIRT_BASE + TOY_TEXT, k.text, PAGE_SIZE);
    expect_bytes(TOY_VIRT_BASE + TOY_DATA, k.data, sizeof(k.data));
    expect_bytes(TOY_VIRT_BASE + TOY_DATA + sizeof(k.data), zero, sizeof(zero));
    expect_bytes(TOY_VIRT_BASE + TOY_DATA + TOY_DATA_MEM - sizeof(zero), zero, sizeof(zero));
}

/* From VIRT_BASE to a 4 MiB boundary at least half a MiB behind the stack, and not a page more. */
static void expect_mapped_part(const struct start_info *si) {
    uint64_t stack = regs()->rsp, end = ROUND_UP(stack - TOY_VIRT_BASE + KIB(512), MIB(4));
    uint64_t word = 1;

    end += TOY_VIRT_BASE;
    for (uint64_t va = TOY_VIRT_BASE; va < end; va += PAGE_SIZE)
        (void)peek(va);
    EXPECT_EQ(copy_from_guest(&word, (guest_va_t){end}, 8), -EFAULT);
    EXPECT_EQ(copy_to_guest((guest_va_t){stack - 8}, &word, 8), 0);
    /* The tables are where it says, and read-only. */
    for (uint64_t i = 0; i < si->nr_pt_frames; i++)
        EXPECT_EQ(copy_to_guest((guest_va_t){si->pt_base + i * PAGE_SIZE}, &word, 8), -EFAULT);
    EXPECT_EQ(stack, si->pt_base + (si->nr_pt_frames + 1) * PAGE_SIZE);
    EXPECT_EQ(mmu_walk(dom0->vcpu[0]->arch.kernel_l4, si->pt_base) >> PAGE_SHIFT & (FRAMES - 1),
              dom0->vcpu[0]->arch.kernel_l4.n & (FRAMES - 1));
}

TEST(a_modern_kernel_gets_initrd_and_p2m_out_of_its_way) {
    struct start_info si;
    uint64_t word = 1;

    modern();
    boot(true, "dom0_mem=48M dom0_max_vcpus=0");
    dom0_build();
    look_from_inside();
    si = start_info();
    EXPECT_STR(si.magic, "xen-3.0-x86_64p");
    EXPECT_EQ(si.nr_pages, MIB(48) >> PAGE_SHIFT);
    EXPECT_EQ(si.flags, SIF_PRIVILEGED | SIF_INITDOMAIN | SIF_MOD_START_PFN);
    EXPECT_STR((char *)si.cmd_line, "root=/dev/sda1 quiet");
    EXPECT_EQ(si.shared_info, virt_to_mfn(dom0->shared_info).n << PAGE_SHIFT);
    EXPECT_EQ(regs()->rip, TOY_VIRT_BASE + TOY_TEXT + 0x1c0);
    EXPECT_EQ(regs()->rflags, 0x202);
    EXPECT_EQ(regs()->cs, FLAT_RING3_CS64);
    expect_kernel();
    EXPECT_EQ(peek(TOY_VIRT_BASE + TOY_TEXT + PAGE_SIZE + 3) & 0xffff, 0x00b8); /* a call stub */
    expect_mapped_part(&si);
    expect_p2m(&si);
    EXPECT_EQ(si.mfn_list, P2M_AT);
    EXPECT_EQ(si.nr_p2m_frames, si.nr_pages / 512 + 3);
    EXPECT_EQ(copy_to_guest((guest_va_t){P2M_AT}, &word, 8), 0);
    EXPECT_EQ(si.mod_len, INITRD);
    for (uint64_t at = 0; at < INITRD; at += PAGE_SIZE) {
        uint64_t mfn = peek(P2M_AT + (si.mod_start + at / PAGE_SIZE) * 8);

        EXPECT_MEM(mfn_to_virt(mfn_of(mfn)), initrd + at, MIN(INITRD - at, PAGE_SIZE));
    }
    EXPECT_EQ(config.max_vcpus, 2);
    EXPECT_EQ(config.max_pages, si.nr_pages);
    EXPECT(config.privileged && config.hardware);
    finish();
}

TEST(a_plain_kernel_has_all_of_it_mapped) {
    struct start_info si;

    plain();
    boot(true, "dom0_mem=40M,max:80M dom0_max_vcpus=1");
    dom0_build();
    look_from_inside();
    si = start_info();
    EXPECT_EQ(si.flags, SIF_PRIVILEGED | SIF_INITDOMAIN);
    expect_kernel();
    expect_bytes(TOY_VIRT_BASE + TOY_TEXT, k.text, sizeof(k.text)); /* no stubs in it */
    expect_bytes(si.mod_start, initrd, INITRD);
    EXPECT(si.mfn_list > si.mod_start && si.mfn_list < regs()->rsi);
    EXPECT_EQ(si.nr_p2m_frames, 0);
    expect_mapped_part(&si);
    expect_p2m(&si);
    EXPECT_EQ(config.max_vcpus, 1);
    EXPECT_EQ(config.max_pages, MIB(80) >> PAGE_SHIFT);
    finish();
}

TEST(an_initrd_is_not_needed_and_a_kernel_may_be_packed) {
    struct toy_kernel *elf = malloc(sizeof(k));
    size_t len;
    uint8_t *image;
    struct start_info si;

    modern();
    *elf = k;
    image = make_bzimage(PACKING_GZIP, elf, sizeof(*elf), &len);
    boot(false, "dom0_mem=48M");
    boot_info.module[0].len = len;
    REQUIRE(len <= PAGE_SIZE << module_order[0]);
    memcpy(mfn_to_virt(mfn_of(boot_info.module[0].paddr >> PAGE_SHIFT)), image, len);
    dom0_build();
    look_from_inside();
    si = start_info();
    EXPECT_EQ(si.mod_start | si.mod_len, 0);
    EXPECT_EQ(si.flags, SIF_PRIVILEGED | SIF_INITDOMAIN);
    expect_kernel();
    finish();
    free(image);
    free(elf);
}

TEST(the_screen_is_handed_on_as_text) {
    struct dom0_vga_console_info info;
    struct start_info si;

    modern();
    boot(false, "");
    boot_info.video = (struct boot_video){.present = true,
                                          .columns = 80,
                                          .rows = 25,
                                          .cursor_x = 3,
                                          .cursor_y = 7,
                                          .font_height = 16};
    dom0_build();
    look_from_inside();
    si = start_info();
    EXPECT_EQ(si.console.dom0.info_off, sizeof(si));
    EXPECT_EQ(si.console.dom0.info_size, sizeof(info));
    REQUIRE(!copy_from_guest(&info, (guest_va_t){regs()->rsi + sizeof(si)}, sizeof(info)));
    EXPECT_EQ(info.video_type, XEN_VGATYPE_TEXT_MODE_3);
    EXPECT_EQ(info.u.text_mode_3.columns, 80);
    EXPECT_EQ(info.u.text_mode_3.rows, 25);
    EXPECT_EQ(info.u.text_mode_3.cursor_y, 7);
    finish();
}

TEST(or_as_a_framebuffer) {
    struct dom0_vga_console_info info;

    modern();
    boot(false, "");
    boot_info.video = (struct boot_video){.present = true,
                                          .framebuffer = true,
                                          .lfb_base = UINT64_C(0x40e0000000),
                                          .width = 1024,
                                          .height = 768,
                                          .pitch = 4096,
                                          .bits_per_pixel = 32,
                                          .red_pos = 16,
                                          .red_size = 8};
    dom0_build();
    look_from_inside();
    REQUIRE(!copy_from_guest(&info, (guest_va_t){regs()->rsi + sizeof(struct start_info)},
                             sizeof(info)));
    EXPECT_EQ(info.video_type, XEN_VGATYPE_EFI_LFB);
    EXPECT_EQ(info.u.vesa_lfb.lfb_base, 0xe0000000);
    EXPECT_EQ(info.u.vesa_lfb.ext_lfb_base, 0x40);
    EXPECT_EQ(info.u.vesa_lfb.lfb_size, 48);
    EXPECT_EQ(info.u.vesa_lfb.red_pos, 16);
    finish();
}

TEST(a_command_line_that_is_too_long_is_cut_and_told) {
    char line[MAX_GUEST_CMDLINE + 10];

    modern();
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    boot(false, "");
    boot_info.module[0].cmdline = line;
    dom0_build();
    look_from_inside();
    struct start_info si = start_info();
    EXPECT_EQ(strlen((char *)si.cmd_line), MAX_GUEST_CMDLINE - 1);
    EXPECT(strstr(said, "command line is longer"));
    finish();
}

TEST(more_memory_than_there_is_becomes_what_there_is) {
    modern();
    boot(false, "dom0_mem=2G,min:1G");
    dom0_build();
    EXPECT(strstr(said, "more than is free"));
    EXPECT(dom0->nr_pages > MIB(70) >> PAGE_SHIFT && dom0->nr_pages < FRAMES);
    finish();
}

TEST(dom0_mem_takes_sizes_only) {
    said[0] = '\0';
    cmdline_parse("dom0_mem=lots");
    EXPECT(said[0]);
    said[0] = '\0';
    cmdline_parse("dom0_mem=48M,");
    EXPECT(said[0]);
    said[0] = '\0';
    cmdline_parse("dom0_mem=48M;");
    EXPECT(said[0]);
}

/*
 * --- what ends in a line that says what to change; each leaves something allocated
 * ----------------
 */

TEST(without_a_kernel_there_is_no_dom0) {
    modern();
    boot(false, "");
    boot_info.nr_modules = 0;
    EXPECT_BUG(dom0_build());
}

TEST(a_file_that_is_no_kernel_is_refused) {
    modern();
    memset(&k.eh, 0, sizeof(k.eh));
    boot(false, "");
    EXPECT_BUG(dom0_build());
}

TEST(a_kernel_that_cannot_be_dom0_is_refused) {
    static const uint32_t none = 0;

    modern();
    toy_note(&k, "Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, &none, 4);
    boot(false, "");
    EXPECT_BUG(dom0_build());
}

TEST(too_little_memory_for_its_kernel_is_told_first) {
    modern();
    boot(true, "dom0_mem=20M");
    EXPECT_BUG(dom0_build());
}

TEST(vcpus_that_cannot_be_made_are_told) {
    modern();
    boot(true, "dom0_mem=48M");
    fail_create = -ENOMEM;
    EXPECT_BUG(dom0_build());
}

TEST(a_machine_that_is_full_is_told) {
    struct page *pg;

    modern();
    boot(false, "dom0_mem=48M");
    while ((pg = heap_alloc(8, 0, 0)) && heap_free_frames() > MIB(3) >> PAGE_SHIFT)
        ;
    EXPECT_BUG(dom0_build());
}
