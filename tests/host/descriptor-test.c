/* links: pv/descriptor.c core/page.c core/tlb.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/vcpu-fixture.c */
/* Descriptors, GDT and LDT; references of every frame on every path. */
#include <string.h>

#include "core/page.h"
#include "pv/descriptor.h"
#include "pv/mmu.h"
#include "vcpu-fixture.h"

#define CODE64   UINT64_C(0x00af9b000000ffff) /* DPL 0 */
#define DATA     UINT64_C(0x00cf93000000ffff)
#define DPL3     UINT64_C(0x0000600000000000)
#define GATE     UINT64_C(0x00008c0000080000) /* call gate */
#define TSS      UINT64_C(0x0000890000000067)
#define RESERVED UINT64_C(0x0000800000000000) /* system segment of type 0 */

/* page.c's upward calls */
int page_validate(struct page *pg, enum page_type type, unsigned int *progress) {
    int rc = pv_validate_segdesc_page(page_to_virt(pg));

    EXPECT_EQ(type, PAGE_SEGDESC);
    *progress = rc ? 0 : 512;
    return rc;
}
int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                    bool preemptible) {
    (void)pg, (void)type, (void)preemptible;
    *progress = 0;
    return 0;
}
void page_free(struct page *pg) {
    (void)pg;
    test_fail(__FILE__, __LINE__, "a frame was freed");
}

/* The one L1 entry there is. */
static uint64_t l1e;
static unsigned int slots_held;

uint64_t *mmu_get_l1_slot(struct vcpu *v, uint64_t va, struct page **pg) {
    (void)v;
    *pg = NULL;
    if (va != 0x10000)
        return NULL;
    slots_held++;
    return &l1e;
}
void mmu_put_l1_slot(struct page *pg) {
    (void)pg;
    slots_held--;
}

static struct domain *d;

/* Frames 2.. belong to the domain; frame 1 is its struct. */
static void reset(void) {
    vf_reset();
    d = mfn_to_virt(mfn_of(1));
    *d = vf_d;
    vf_v->domain = d;
    for (unsigned int i = 2; i < 32; i++) {
        struct page *pg = mfn_to_page(mfn_of(i));

        *pg = (struct page){.refs = PG_ALLOCATED | 1};
        page_set_owner(pg, d);
        memset(page_to_virt(pg), 0, PAGE_SIZE);
    }
    vf_v->arch.kernel_l4 = mfn_of(0);
    slots_held = 0;
}
static uint64_t *frame(uint64_t mfn) {
    return mfn_to_virt(mfn_of(mfn));
}
static bool unused(uint64_t mfn) {
    const struct page *pg = mfn_to_page(mfn_of(mfn));

    return (pg->refs & PG_COUNT) == 1 && PT_COUNT(pg->type) == 0;
}
static bool all_unused(void) {
    for (unsigned int i = 2; i < 32; i++)
        if (!unused(i))
            return false;
    return slots_held == 0;
}

TEST(code_and_data_are_raised_to_ring_3_and_nothing_else_is_let_in) {
    uint64_t desc = CODE64;

    EXPECT(pv_check_descriptor(&desc) && desc == (CODE64 | DPL3));
    desc = DATA;
    EXPECT(pv_check_descriptor(&desc) && desc == (DATA | DPL3));
    desc = TSS & ~BIT(47);
    EXPECT(pv_check_descriptor(&desc) && desc == (TSS & ~BIT(47))); /* absent */
    desc = RESERVED;
    EXPECT(pv_check_descriptor(&desc) && desc == RESERVED);
    desc = GATE;
    EXPECT(!pv_check_descriptor(&desc));
    desc = TSS;
    EXPECT(!pv_check_descriptor(&desc));
    for (uint64_t type = 1; type < 16; type++) {
        desc = BIT(47) | type << 40;
        EXPECT(!pv_check_descriptor(&desc));
    }
}

TEST(a_page_of_descriptors_is_adjusted_in_place) {
    reset();
    frame(2)[1] = CODE64;
    frame(2)[511] = DATA | DPL3;
    EXPECT_EQ(pv_validate_segdesc_page(frame(2)), 0);
    EXPECT_EQ(frame(2)[1], CODE64 | DPL3);
    EXPECT_EQ(frame(2)[511], DATA | DPL3);
    frame(2)[200] = GATE;
    EXPECT_EQ(pv_validate_segdesc_page(frame(2)), -EINVAL);
}

static long set_gdt(const uint64_t *frames, unsigned int nr, uint64_t entries) {
    uint64_t arg[6] = {vf_put(frames, nr * sizeof(*frames)).va, entries};

    return hypercall_set_gdt(vf_v, arg);
}

TEST(a_gdt_holds_its_frames_until_it_is_replaced) {
    const uint64_t one[] = {2, 3}, two[] = {4};

    reset();
    EXPECT_EQ(set_gdt(one, 2, 513), 0);
    EXPECT(page_type_is(mfn_to_page(mfn_of(2)), PAGE_SEGDESC));
    EXPECT(page_type_is(mfn_to_page(mfn_of(3)), PAGE_SEGDESC));
    EXPECT_EQ(vf_v->arch.gdt_entries, 513);
    EXPECT_EQ(((uint64_t *)vf_v->arch.window)[1] >> PAGE_SHIFT, 3);
    EXPECT_EQ(set_gdt(two, 1, 16), 0);
    EXPECT(unused(2) && unused(3) && !unused(4));
    EXPECT_EQ(((uint64_t *)vf_v->arch.window)[1], 0);
    EXPECT_EQ(set_gdt(two, 1, 16), 0); /* the same again */
    EXPECT_EQ(set_gdt(two, 0, 0), 0);
    EXPECT(all_unused());
}

TEST(a_bad_frame_leaves_the_old_gdt_and_no_reference) {
    const uint64_t good[] = {2}, bad[] = {3, 4, 5}, none[] = {3, 60}, foreign[] = {3, 0};

    reset();
    EXPECT_EQ(set_gdt(good, 1, 16), 0);
    frame(5)[3] = GATE;
    EXPECT_EQ(set_gdt(bad, 3, 1025), -EINVAL);
    EXPECT_EQ(set_gdt(none, 2, 513), -EINVAL);
    EXPECT_EQ(set_gdt(foreign, 2, 513), -EINVAL);
    EXPECT_EQ(vf_v->arch.gdt_mfn[0], 2);
    EXPECT(unused(3) && unused(4) && unused(5) && !unused(2));
    EXPECT_EQ(set_gdt(good, 1, FIRST_RESERVED_GDT_ENTRY + 1), -EINVAL);
    EXPECT_EQ(set_gdt(good, 1, UINT64_C(1) << 32), -EINVAL);
    uint64_t arg[6] = {0x1000, 16};
    EXPECT_EQ(hypercall_set_gdt(vf_v, arg), -EFAULT);
    pv_release_descriptors(vf_v);
    EXPECT(all_unused());
}

static long update(uint64_t at, uint64_t desc) {
    uint64_t arg[6] = {at, desc};

    return hypercall_update_descriptor(vf_v, arg);
}

TEST(descriptors_are_updated_in_tables_and_in_plain_pages) {
    const uint64_t gdt[] = {2};

    reset();
    EXPECT_EQ(set_gdt(gdt, 1, 16), 0);
    EXPECT_EQ(update(2 * PAGE_SIZE + 40, CODE64), 0);
    EXPECT_EQ(frame(2)[5], CODE64 | DPL3);
    EXPECT_EQ(update(3 * PAGE_SIZE, DATA), 0);
    EXPECT_EQ(frame(3)[0], DATA | DPL3);
    EXPECT_EQ(update(2 * PAGE_SIZE + 40, GATE), -EINVAL);
    EXPECT_EQ(update(2 * PAGE_SIZE + 4, DATA), -EINVAL);
    EXPECT_EQ(update(0, DATA), -EINVAL);
    EXPECT_EQ(update(~UINT64_C(7), DATA), -EINVAL);
    EXPECT_EQ(frame(2)[5], CODE64 | DPL3);
    pv_release_descriptors(vf_v);
    EXPECT(all_unused());
}

TEST(descriptors_are_not_updated_in_page_tables) {
    reset();
    mfn_to_page(mfn_of(6))->type = PT_WORD(PAGE_L1) | PT_VALID | 1;
    EXPECT_EQ(update(6 * PAGE_SIZE, DATA), -EBUSY);
    EXPECT_EQ(frame(6)[0], 0);
}

TEST(ldt_pages_are_taken_when_the_processor_asks) {
    reset();
    l1e = 7 << PAGE_SHIFT | PTE_P | PTE_US;
    frame(7)[0] = DATA;
    pv_set_ldt(vf_v, 0x10000, 513);
    EXPECT(unused(7));
    EXPECT(pv_ldt_fault(vf_v, 8));
    EXPECT_EQ(frame(7)[0], DATA | DPL3);
    EXPECT(page_type_is(mfn_to_page(mfn_of(7)), PAGE_SEGDESC));
    EXPECT_EQ(((uint64_t *)vf_v->arch.window)[16] >> PAGE_SHIFT, 7);
    EXPECT(!pv_ldt_fault(vf_v, 16));     /* it is there: the fault is something else */
    EXPECT(!pv_ldt_fault(vf_v, 4096));   /* the second page is not mapped */
    EXPECT(!pv_ldt_fault(vf_v, 513 * 8)); /* beyond the limit */
    pv_set_ldt(vf_v, 0, 0);
    EXPECT_EQ(((uint64_t *)vf_v->arch.window)[16], 0);
    EXPECT(!pv_ldt_fault(vf_v, 0));
    EXPECT(all_unused());
}

TEST(an_ldt_page_must_be_the_domains_and_hold_only_segments) {
    reset();
    pv_set_ldt(vf_v, 0x10000, 16);
    frame(8)[2] = TSS;
    l1e = 8 << PAGE_SHIFT | PTE_P;
    EXPECT(!pv_ldt_fault(vf_v, 0));
    l1e = 0 << PAGE_SHIFT | PTE_P; /* not its frame */
    EXPECT(!pv_ldt_fault(vf_v, 0));
    l1e = 8 << PAGE_SHIFT;
    EXPECT(!pv_ldt_fault(vf_v, 0));
    EXPECT(all_unused());
}

TEST(long_mode_is_in_the_descriptor) {
    const uint64_t gdt[] = {2};

    reset();
    frame(2)[6] = CODE64;
    frame(2)[4] = DATA;
    EXPECT_EQ(set_gdt(gdt, 1, 16), 0);
    EXPECT(pv_selector_is_64bit(vf_v, 0x33));
    EXPECT(pv_selector_is_64bit(vf_v, FLAT_RING3_CS64));
    EXPECT(!pv_selector_is_64bit(vf_v, 0x23));
    EXPECT(!pv_selector_is_64bit(vf_v, 0x37)); /* LDT */
    EXPECT(!pv_selector_is_64bit(vf_v, 0x83)); /* beyond */
    EXPECT(!pv_selector_is_64bit(vf_v, FLAT_RING3_CS32));
    pv_release_descriptors(vf_v);
}
