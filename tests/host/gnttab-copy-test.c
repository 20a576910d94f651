/* links: arch/fake/guest.c tests/host/gnttab-fixture.c */
/* Copying between frames, and giving frames away. Domain 1 acts; 0 and 2 grant and receive. */
#include <string.h>

#include "gnttab-fixture.h"

#define REF  8
#define SELF DOMID_SELF
#define SRC  GNTCOPY_source_gref
#define DST  GNTCOPY_dest_gref

static struct page *own, *theirs;

static char *bytes(const struct page *pg) {
    return page_to_virt(pg);
}

static void start(void) {
    gf_start();
    own = gf_page(1);
    theirs = gf_page(2);
    for (unsigned int i = 0; i < PAGE_SIZE; i++) {
        bytes(own)[i] = (char)i;
        bytes(theirs)[i] = (char)(i * 7 + 1);
    }
    gf_grant(2, REF, 1, theirs, 0);
}

/* --- copy ----------------------------------------------------------------------------------- */

static struct gnttab_copy_ptr granted(unsigned int dom, uint32_t ref, unsigned int offset) {
    return (struct gnttab_copy_ptr){
        .u.ref = ref, .domid = (domid_t)dom, .offset = (uint16_t)offset};
}

static struct gnttab_copy_ptr frame(const struct page *pg, unsigned int offset) {
    return (struct gnttab_copy_ptr){
        .u.gmfn = page_to_mfn(pg).n, .domid = SELF, .offset = (uint16_t)offset};
}

static int copy(struct gnttab_copy_ptr from, struct gnttab_copy_ptr to, unsigned int len,
                unsigned int flags) {
    struct gnttab_copy op = {from, to, (uint16_t)len, (uint16_t)flags, 99};
    int status = gf_op(GNTTABOP_copy, &op);

    EXPECT_CONSISTENT(); /* so nothing is in use when it is over */
    return status;
}

TEST(bytes_go_from_and_to_grants_and_frames) {
    start();
    EXPECT_EQ(copy(granted(2, REF, 10), frame(own, 20), 300, SRC), GNTST_okay);
    EXPECT_MEM(bytes(own) + 20, bytes(theirs) + 10, 300);
    EXPECT_EQ(bytes(own)[19], 19);
    EXPECT_EQ(bytes(own)[320], 64);
    EXPECT_EQ(copy(frame(own, 0), granted(2, REF, 4000), 96, DST), GNTST_okay);
    EXPECT_MEM(bytes(theirs) + 4000, bytes(own), 96);
    EXPECT_EQ(copy(granted(2, REF, 0), frame(own, 0), PAGE_SIZE, SRC), GNTST_okay);
    EXPECT_MEM(bytes(theirs), bytes(own), PAGE_SIZE);
    memset(bytes(own), 3, PAGE_SIZE);
    EXPECT_EQ(copy(frame(own, 0), frame(gf[1].arg[3], 0), PAGE_SIZE, 0), GNTST_okay);
    EXPECT_MEM(bytes(gf[1].arg[3]), bytes(own), PAGE_SIZE);
    gf_grant(1, 5, 1, own, 0); /* a grant to oneself */
    EXPECT_EQ(copy(granted(2, REF, 0), granted(SELF, 5, 0), 8, SRC | DST), GNTST_okay);
    EXPECT_EQ(copy(granted(1, 5, 0), granted(2, REF, 0), 0, SRC | DST), GNTST_okay);
    gf_finish();
}

TEST(source_and_target_may_overlap) {
    char wanted[PAGE_SIZE];

    start();
    memcpy(wanted, bytes(theirs), PAGE_SIZE);
    memcpy(wanted + 1, bytes(theirs), 4000);
    EXPECT_EQ(copy(granted(2, REF, 0), granted(2, REF, 1), 4000, SRC | DST), GNTST_okay);
    EXPECT_MEM(bytes(theirs), wanted, PAGE_SIZE);
    gf_finish();
}

TEST(a_read_only_grant_and_a_page_table_may_be_read) {
    start();
    gf_grant(2, REF, 1, gf[2].l2, GTF_readonly);
    EXPECT_EQ(copy(granted(2, REF, 0), frame(own, 0), PAGE_SIZE, SRC), GNTST_okay);
    EXPECT_MEM(bytes(own), bytes(gf[2].l2), PAGE_SIZE);
    EXPECT_EQ(copy(frame(gf[1].l1, 0), frame(own, 0), PAGE_SIZE, 0), GNTST_okay);
    gf_finish();
}

TEST(a_copy_that_cannot_be_changes_nothing) {
    char before[PAGE_SIZE];

    start();
    memcpy(before, bytes(theirs), PAGE_SIZE);
    EXPECT_EQ(copy(granted(2, REF, 1), frame(own, 0), PAGE_SIZE, SRC), GNTST_bad_copy_arg);
    EXPECT_EQ(copy(frame(own, 0), granted(2, REF, 4095), 2, DST), GNTST_bad_copy_arg);
    EXPECT_EQ(copy(frame(own, 65535), granted(2, REF, 0), 65535, DST), GNTST_bad_copy_arg);
    EXPECT_EQ(copy(frame(own, 4097), granted(2, REF, 0), 0, DST), GNTST_bad_copy_arg);
    /* Frames are named by their owner alone, as DOMID_SELF. */
    struct gnttab_copy_ptr foreign = frame(theirs, 0);
    EXPECT_EQ(copy(foreign, frame(own, 0), 8, 0), GNTST_bad_page);
    foreign.domid = 2;
    EXPECT_EQ(copy(foreign, frame(own, 0), 8, 0), GNTST_permission_denied);
    EXPECT_EQ(copy(frame(own, 0), foreign, 8, 0), GNTST_permission_denied);
    EXPECT_EQ(copy(granted(77, REF, 0), frame(own, 0), 8, SRC), GNTST_bad_domain);
    EXPECT_EQ(copy(frame(own, 0), granted(77, REF, 0), 8, DST), GNTST_bad_domain);
    EXPECT_EQ(copy(granted(2, GRANTS_PER_FRAME, 0), frame(own, 0), 8, SRC), GNTST_bad_gntref);
    EXPECT_EQ(copy(granted(2, REF + 1, 0), frame(own, 0), 8, SRC), GNTST_general_error);
    EXPECT_EQ(copy(granted(2, REF, 0), granted(2, REF + 1, 0), 8, SRC | DST), GNTST_general_error);
    foreign = frame(own, 0);
    foreign.u.gmfn = GF_FRAMES;
    EXPECT_EQ(copy(granted(2, REF, 0), foreign, 8, SRC), GNTST_bad_page);
    foreign.u.gmfn |= UINT64_C(1) << 63;
    EXPECT_EQ(copy(foreign, frame(own, 0), 8, 0), GNTST_bad_page);
    EXPECT_EQ(copy(frame(own, 0), frame(gf[1].l1, 0), 8, 0), GNTST_general_error);
    gf_entry(2, REF)->flags |= GTF_readonly;
    EXPECT_EQ(copy(frame(own, 0), granted(2, REF, 0), 8, DST), GNTST_general_error);
    gf_grant(2, REF, 1, gf[2].l1, 0);
    EXPECT_EQ(copy(frame(own, 0), granted(2, REF, 0), 8, DST), GNTST_general_error);
    EXPECT_MEM(before, bytes(theirs), PAGE_SIZE);
    gf_finish();
}

TEST(a_copy_waits_for_a_frame_that_just_changes_its_use) {
    uint64_t arg[6] = {GNTTABOP_copy, GF_ARGS, 1};
    struct gnttab_copy *op;

    start();
    op = page_to_virt(gf[1].arg[0]);
    *op = (struct gnttab_copy){granted(2, REF, 0), frame(own, 0), 8, SRC, 99};
    own->type = PT_WORD(PAGE_WRITABLE) | PT_BUSY | 1; /* another cpu is at it */
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(hypercall_grant_table_op(current_vcpu(), arg), -ERESTART);
    EXPECT_EQ(arg[2], 1);
    EXPECT_EQ(op->status, 99);
    own->type = 0;
    EXPECT_CONSISTENT();
    this_cpu()->work = 0;
    gf_finish();
}

/* --- transfer ------------------------------------------------------------------------------- */

static int transfer(uint64_t mfn, domid_t to, uint32_t ref) {
    struct gnttab_transfer op = {.mfn = mfn, .domid = to, .ref = ref};
    int status = gf_op(GNTTABOP_transfer, &op);

    EXPECT_CONSISTENT();
    return status;
}

static void accept(unsigned int dom, uint32_t ref, domid_t from) {
    *gf_entry(dom, ref) = (struct grant_entry_v1){GTF_accept_transfer, from, 0};
}

TEST(a_frame_is_given_away_with_its_content) {
    uint64_t mfn, nr_1, nr_2;

    start();
    mfn = page_to_mfn(own).n;
    nr_1 = gf[1].d->nr_pages, nr_2 = gf[2].d->nr_pages;
    m2p_table[mfn] = 17;
    accept(2, REF, 1);
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_okay);
    EXPECT_EQ(gf_entry(2, REF)->flags,
              GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    EXPECT_EQ(gf_entry(2, REF)->frame, mfn);
    EXPECT(page_owner(own) == gf[2].d);
    EXPECT_EQ(own->refs, PG_ALLOCATED | 1);
    EXPECT_EQ(bytes(own)[77], 77);
    EXPECT(m2p_table[mfn] == M2P_INVALID);
    EXPECT_EQ(gf[1].d->nr_pages, nr_1 - 1);
    EXPECT_EQ(gf[2].d->nr_pages, nr_2 + 1);
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_bad_page); /* it is not ours any more */
    gf_run(2, 0);
    EXPECT_EQ(gf_set_pte(GF_FREE, mfn << PAGE_SHIFT | 7), 0);
    gf_finish();
}

TEST(a_frame_that_was_written_to_is_flushed_before_it_goes) {
    unsigned int flushed;

    start();
    EXPECT_EQ(gf_set_pte(GF_FREE, page_to_mfn(own).n << PAGE_SHIFT | 7), 0);
    EXPECT_EQ(gf_set_pte(GF_FREE, 0), 0);
    accept(2, REF, 1);
    flushed = cpus[1]->arch.flushes;
    EXPECT_EQ(transfer(page_to_mfn(own).n, 2, REF), GNTST_okay);
    EXPECT(cpus[1]->arch.flushes > flushed);
    EXPECT_EQ(own->type, 0);
    gf_finish();
}

TEST(a_frame_may_be_given_to_oneself) {
    start();
    accept(1, REF, 1);
    EXPECT_EQ(transfer(page_to_mfn(own).n, 1, REF), GNTST_okay);
    EXPECT(page_owner(own) == gf[1].d);
    gf_finish();
}

TEST(only_a_frame_that_nothing_refers_to_can_be_given_away) {
    uint32_t handle;
    mfn_t table;

    start();
    accept(2, REF, 1);
    table = virt_to_mfn(gf[1].d->gnttab->shared[0]);
    EXPECT_EQ(transfer(page_to_mfn(gf[1].l1).n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(transfer(page_to_mfn(gf[1].l4).n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(transfer(page_to_mfn(gf[1].arg[0]).n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(transfer(page_to_mfn(theirs).n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(transfer(table.n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(transfer(GF_FRAMES, 2, REF), GNTST_bad_page);
    EXPECT_EQ(transfer(UINT64_MAX, 2, REF), GNTST_bad_page);
    EXPECT_EQ(gf_set_pte(GF_FREE, page_to_mfn(own).n << PAGE_SHIFT | 5), 0);
    EXPECT_EQ(transfer(page_to_mfn(own).n, 2, REF), GNTST_bad_page); /* mapped read-only */
    EXPECT_EQ(gf_set_pte(GF_FREE, 0), 0);
    memset(bytes(own), 0, PAGE_SIZE);
    EXPECT_EQ(mmu_pin(gf[1].d, page_to_mfn(own), PAGE_L1), 0);
    EXPECT_EQ(transfer(page_to_mfn(own).n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(mmu_unpin(gf[1].d, page_to_mfn(own)), 0);
    gf_grant(1, 9, 0, own, 0);
    gf_run(0, 0);
    EXPECT_EQ(gf_map(1, 9, gf_va(GF_FREE), GNTMAP_host_map, &handle), GNTST_okay);
    gf_run(1, 0);
    EXPECT_EQ(transfer(page_to_mfn(own).n, 2, REF), GNTST_bad_page);
    EXPECT_EQ(gf_entry(2, REF)->flags, GTF_accept_transfer);
    gf_finish();
}

TEST(a_target_that_does_not_agree_gets_nothing) {
    uint64_t mfn;

    start();
    mfn = page_to_mfn(own).n;
    EXPECT_EQ(transfer(mfn, 77, REF), GNTST_bad_domain);
    EXPECT_EQ(transfer(mfn, DOMID_SELF, REF), GNTST_bad_domain);
    EXPECT_EQ(transfer(mfn, 2, GRANTS_PER_FRAME), GNTST_bad_gntref);
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_general_error); /* permit_access */
    accept(2, REF, 0);
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_general_error);
    accept(2, REF, 1);
    gf_entry(2, REF)->flags |= GTF_transfer_committed;
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_general_error);
    EXPECT(page_owner(own) == gf[1].d);
    EXPECT_EQ(own->refs, PG_ALLOCATED | 1);
    gf_finish();
}

TEST(a_target_without_room_or_life_gets_nothing) {
    uint64_t mfn;

    start();
    mfn = page_to_mfn(own).n;
    accept(2, REF, 1);
    gf[2].d->max_pages = gf[2].d->nr_pages;
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_general_error);
    EXPECT_EQ(gf_entry(2, REF)->flags, GTF_accept_transfer);
    gf[2].d->max_pages++;
    gf[2].d->life = DOMAIN_DYING;
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_general_error);
    EXPECT_EQ(gf_entry(2, REF)->flags, GTF_accept_transfer);
    gf[2].d->life = DOMAIN_ALIVE;
    EXPECT_EQ(transfer(mfn, 2, REF), GNTST_okay);
    gf_finish();
}

TEST(the_last_frame_takes_its_owners_reference_along) {
    struct domain *poor;
    uint64_t others;
    uint32_t refs;

    start();
    poor = gf[1].d;
    refs = poor->refs;
    others = poor->nr_pages - 1;
    poor->nr_pages = 1; /* as if it had no other */
    EXPECT(page_get(own, poor) && page_seize(own) && page_give(own, gf[2].d));
    EXPECT_EQ(poor->refs, refs - 1);
    EXPECT(page_get(own, gf[2].d) && page_seize(own) && page_give(own, poor));
    EXPECT_EQ(poor->refs, refs);
    poor->nr_pages += others;
    gf_finish();
}
