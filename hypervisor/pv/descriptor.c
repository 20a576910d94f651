#include "pv/descriptor.h"

#include "arch/mm.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/page.h"
#include "pv/guest-state.h"
#include "pv/hypercall.h"
#include "pv/mmu.h"

#define DESC_PRESENT BIT(47)
#define DESC_DPL     (BIT(45) | BIT(46))
#define DESC_SEGMENT BIT(44) /* code or data; else a gate or system segment */
#define DESC_TYPE    (BIT(40) | BIT(41) | BIT(42) | BIT(43))
#define DESC_LONG    BIT(53)

#define ENTRIES_PER_PAGE 512
#define GUEST_GDT_PAGES  14
#define LDT_SLOT         16
#define LDT_PAGES        16

bool pv_check_descriptor(uint64_t *desc) {
    if (!(*desc & DESC_PRESENT))
        return true; /* faults on use */
    if (!(*desc & DESC_SEGMENT))
        return !(*desc & DESC_TYPE); /* type 0 is reserved: faults, too */
    *desc |= DESC_DPL;
    return true;
}

int pv_validate_segdesc_page(uint64_t *descs) {
    for (unsigned int i = 0; i < ENTRIES_PER_PAGE; i++) {
        uint64_t desc = descs[i], checked = desc;

        if (!pv_check_descriptor(&checked))
            return -EINVAL;
        if (checked != desc)
            descs[i] = checked;
    }
    return 0;
}

/*
 * update_descriptor(machine address, descriptor): in a descriptor page, or any the guest can
 * write.
 */
long hypercall_update_descriptor(struct vcpu *curr, uint64_t arg[6]) {
    uint64_t desc = arg[1];
    struct page *pg = mfn_lookup(mfn_of(arg[0] >> PAGE_SHIFT));
    enum page_type type;
    int rc;

    if (arg[0] % sizeof(desc) || !pg || !pv_check_descriptor(&desc))
        return -EINVAL;
    type = page_type_is(pg, PAGE_SEGDESC) ? PAGE_SEGDESC : PAGE_WRITABLE;
    rc = page_get_and_type(pg, curr->domain, type);
    if (rc)
        return rc;
    WRITE_ONCE(((uint64_t *)page_to_virt(pg))[arg[0] % PAGE_SIZE / sizeof(desc)], desc);
    page_put_and_type(pg);
    return 0;
}

/*
 * The window may be in this cpu's TLB; elsewhere v cannot run, and arriving there reloads the
 * tables.
 */
static void window_changed(struct vcpu *v) {
    if (v == current_vcpu())
        arch_tlb_flush_local();
}

static void put_frames(const uint64_t *mfns, unsigned int n) {
    while (n--)
        page_put_and_type(mfn_to_page(mfn_of(mfns[n])));
}

static unsigned int gdt_pages(unsigned int entries) {
    return DIV_ROUND_UP(entries, ENTRIES_PER_PAGE);
}

/* References move with the frames: the old ones are dropped when no cpu can use them any more. */
static void swap_gdt(struct vcpu *v, const uint64_t *frames, unsigned int entries) {
    uint64_t old[GUEST_GDT_PAGES];
    unsigned int nr_old = gdt_pages(v->arch.gdt_entries);

    for (unsigned int i = 0; i < GUEST_GDT_PAGES; i++) {
        bool used = i < gdt_pages(entries);

        old[i] = v->arch.gdt_mfn[i];
        v->arch.gdt_mfn[i] = used ? frames[i] : 0;
        arch_window_set(v, i, mfn_of(v->arch.gdt_mfn[i]), used);
    }
    v->arch.gdt_entries = entries;
    arch_load_descriptor_tables(v);
    window_changed(v);
    put_frames(old, nr_old);
}

int pv_set_gdt(struct vcpu *v, const uint64_t *frames, unsigned int entries) {
    int rc;

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    for (unsigned int i = 0; i < gdt_pages(entries); i++) {
        struct page *pg = mfn_lookup(mfn_of(frames[i]));

        rc = pg ? page_get_and_type(pg, v->domain, PAGE_SEGDESC) : -EINVAL;
        if (rc) {
            put_frames(frames, i);
            return rc;
        }
    }
    swap_gdt(v, frames, entries);
    return 0;
}

/* set_gdt(frames, entries) */
long hypercall_set_gdt(struct vcpu *curr, uint64_t arg[6]) {
    uint64_t frames[GUEST_GDT_PAGES];

    if (arg[1] > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    if (copy_from_guest(frames, (guest_va_t){arg[0]},
                        gdt_pages((unsigned int)arg[1]) * sizeof(frames[0])))
        return -EFAULT;
    return pv_set_gdt(curr, frames, (unsigned int)arg[1]);
}

/*
 * The frame of LDT page i of v, which ldt_mapped says is in the window, is kept beside the
 * window.
 */
static void unmap_ldt(struct vcpu *v) {
    uint32_t mapped = v->arch.ldt_mapped;

    if (!mapped)
        return;
    v->arch.ldt_mapped = 0;
    for (unsigned int i = 0; i < LDT_PAGES; i++)
        if (mapped >> i & 1)
            arch_window_set(v, LDT_SLOT + i, MFN_INVALID, false);
    window_changed(v);
    for (unsigned int i = 0; i < LDT_PAGES; i++)
        if (mapped >> i & 1)
            page_put_and_type(mfn_to_page(mfn_of(v->arch.ldt_mfn[i])));
}

void pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries) {
    unmap_ldt(v);
    v->arch.ldt_base = entries ? base : 0;
    v->arch.ldt_entries = entries;
    arch_load_descriptor_tables(v);
}

/*
 * The frame the guest kernel has mapped at va, with a reference as descriptor page; NULL if none.
 */
static struct page *get_ldt_page(struct vcpu *v, uint64_t va) {
    struct page *l1, *pg;
    uint64_t *slot = mmu_get_l1_slot(v, va, &l1), e;

    if (!slot)
        return NULL;
    e = READ_ONCE(*slot);
    pg = e & PTE_P ? mfn_lookup(pte_mfn(e)) : NULL;
    if (pg && page_get_and_type(pg, v->domain, PAGE_SEGDESC))
        pg = NULL;
    mmu_put_l1_slot(l1);
    return pg;
}

bool pv_ldt_fault(struct vcpu *v, uint32_t offset) {
    unsigned int i = offset / PAGE_SIZE;
    struct page *pg;

    if (offset / sizeof(uint64_t) >= v->arch.ldt_entries || v->arch.ldt_mapped >> i & 1)
        return false;
    pg = get_ldt_page(v, v->arch.ldt_base + i * PAGE_SIZE);
    if (!pg)
        return false;
    v->arch.ldt_mfn[i] = page_to_mfn(pg).n;
    v->arch.ldt_mapped |= 1u << i;
    arch_window_set(v, LDT_SLOT + i, page_to_mfn(pg), true);
    return true;
}

void pv_release_descriptors(struct vcpu *v) {
    pv_set_ldt(v, 0, 0);
    swap_gdt(v, NULL, 0);
}

bool pv_selector_is_64bit(const struct vcpu *v, uint16_t selector) {
    unsigned int i = selector >> 3;

    if (selector == FLAT_RING3_CS64)
        return true;
    if (selector & 4 || i >= v->arch.gdt_entries)
        return false;
    const uint64_t *page = mfn_to_virt(mfn_of(v->arch.gdt_mfn[i / ENTRIES_PER_PAGE]));
    return READ_ONCE(page[i % ENTRIES_PER_PAGE]) & DESC_LONG;
}
