/*
 * The state a guest starts in.
 *
 * The ABI promises (public headers: xen.h, struct start_info and the text above it; elfnote.h):
 *  - rsi leads to a start_info with magic, counts, addresses; its command line is the module's;
 *  - the p2m list names the frame of every page, the M2P takes each back;
 *  - everything up to the end of the boot area is mapped with 4 KiB pages, writable but for the
 *    page tables; with INIT_P2M the list is where the note says and not in that area;
 *  - events are masked, selectors are the flat ones, the first vcpu is up.
 * Proof: everything is read and compared; the same source runs as two images, with and without
 * INIT_P2M and MOD_START_PFN.
 */
#include "lib/pv.h"

static void the_start_info(void) {
    static const char magic[] = "xen-3.0-x86_64";

    CHECK("the magic begins with xen-3.0-x86_64",
          memcmp(start_info->magic, magic, sizeof(magic) - 1) == 0);
    CHECK("dom0 is told that it is privileged and initial",
          (start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) ==
              (SIF_PRIVILEGED | SIF_INITDOMAIN));
    report(option("guest") != NULL, "the command line is the module's", "\"%s\"",
           (const char *)start_info->cmd_line);
    CHECK("there are pages", start_info->nr_pages > 1024);
    CHECK("without a ramdisk there is none announced", start_info->mod_len == 0);
    CHECK("dom0 has no store and no console ring",
          start_info->store_mfn == 0 && start_info->store_evtchn == 0);
    CHECK("start_info is page aligned", (ADDRESS(start_info) & (PAGE_SIZE - 1)) == 0);
    CHECK_EQ("shared_info is a page's machine address", 0,
             start_info->shared_info & (PAGE_SIZE - 1));
}

static void p2m_and_m2p(void) {
    const uint64_t *p2m = (const uint64_t *)start_info->mfn_list;
    const uint64_t *m2p = (const uint64_t *)MACH2PHYS_VIRT_START;
    struct series s = {.name = "each pfn's frame leads back to it through the M2P"};

    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++)
        series_case(&s, m2p[p2m[pfn]] == pfn, "pfn %#lx, mfn %#lx, back %#lx", pfn, p2m[pfn],
                    m2p[p2m[pfn]]);
    series_end(&s);
    if (start_info->mfn_list == P2M_BASE) {
        CHECK("with INIT_P2M the list's own pages are named",
              start_info->first_p2m_pfn != 0 && start_info->nr_p2m_frames != 0);
    } else {
        CHECK("without INIT_P2M the list is in the image's area", start_info->mfn_list > VIRT_BASE);
    }
    CHECK_EQ("the M2P is not writable", 14,
             FAULT(*(volatile uint64_t *)MACH2PHYS_VIRT_START = 0)->vector);
}

static bool is_table(uint64_t va) {
    return va >= start_info->pt_base &&
           va < start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE;
}

static void boot_area(void) {
    extern char image_end[];
    struct series s = {.name = "the boot area is mapped as promised, page tables read-only"};

    for (uint64_t va = VIRT_BASE; va < ADDRESS(image_end) + 0x80000; va += PAGE_SIZE) {
        uint64_t pte = *pte_of(va);
        bool rw = pte & PTE_RW;

        if (va == ADDRESS(shared_info))
            continue; /* ours by now */
        series_case(&s,
                    (pte & PTE_P) && (pte & PTE_ADDR) == mfn_of((void *)va) << 12 &&
                        rw != is_table(va) && !(pte & PTE_NX),
                    "va %#lx, pte %#lx", va, pte);
    }
    series_end(&s);
    CHECK_EQ("a boot page table cannot be written", 14,
             FAULT(*(volatile uint64_t *)start_info->pt_base = 0)->vector);
    CHECK_EQ("the boot L4 is pinned: it can be unpinned", 0,
             mmuext(MMUEXT_UNPIN_TABLE, mfn_of((void *)start_info->pt_base), 0));
    CHECK_EQ("and pinned again", 0,
             mmuext(MMUEXT_PIN_L4_TABLE, mfn_of((void *)start_info->pt_base), 0));
}

static void processor_state(void) {
    uint64_t cs, ss, ds, es, fs, gs, flags;

    __asm__ volatile("mov %%cs, %0; mov %%ss, %1; mov %%ds, %2; mov %%es, %3; mov %%fs, %4; "
                     "mov %%gs, %5; pushf; pop %6"
                     : "=r"(cs), "=r"(ss), "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs), "=r"(flags));
    CHECK_EQ("cs is the flat ring 3 code segment", FLAT_KERNEL_CS, cs);
    CHECK_EQ("ss is the flat ring 3 stack segment", FLAT_KERNEL_SS, ss);
    CHECK_EQ("the data segments are null", 0, ds | es | fs | gs);
    CHECK("interrupts are on and nothing odd is", (flags & ~0x8d5ul) == 0x202);
    CHECK_EQ("events are masked on vcpu 0", 1, vcpu_info(0)->evtchn_upcall_mask);
    CHECK_EQ("vcpu 0 is up", 1, vcpu_op(VCPUOP_is_up, 0, NULL));
    CHECK_EQ("a vcpu that never was is not there", -ENOENT, vcpu_op(VCPUOP_is_up, 8191, NULL));
}

static void time_at_once(void) {
    const volatile struct vcpu_time_info *t = &vcpu_info(0)->time;

    CHECK("the time line is there before anything was asked for",
          t->tsc_to_system_mul != 0 && now_ns() != 0);
    CHECK("the wall clock is in this century", shared_info->wc_sec > 946684800);
}

void test_main(void) {
    the_start_info();
    p2m_and_m2p();
    boot_area();
    processor_state();
    time_at_once();
}
