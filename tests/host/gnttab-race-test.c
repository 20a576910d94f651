/* links: tests/host/gnttab-fixture.c */
/* flags: -pthread */
/*
 * Three cpus at once: two vcpus of domain 1 map, unmap and copy the same grants by the same
 * handles, while domain 2 revokes, scribbles and gives frames away. Afterwards every reference is
 * where the recount expects it; no lock order is broken (debug locks); and a frame whose grant was
 * taken back is not written any more.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/heap.h"
#include "gnttab-fixture.h"

#define ROUNDS 15000
#define REFS   4
#define REF    8

/* Guest memory is the host's, without the record that arch/fake/guest.c keeps for one thread. */
struct fake_guest fake_guest;
void fake_guest_memory(void *ptr, size_t len) {
    (void)ptr, (void)len;
}
void fake_guest_begin(void) {
}
int copy_from_guest(void *dst, guest_va_t src, size_t len) {
    memcpy(dst, (void *)(uintptr_t)src.va, len);
    return 0;
}
int copy_pair_from_guest(uint64_t dst[2], guest_va_t src) {
    return copy_from_guest(dst, src, 2 * sizeof(*dst));
}
int copy_to_guest(guest_va_t dst, const void *src, size_t len) {
    memcpy((void *)(uintptr_t)dst.va, src, len);
    return 0;
}

struct racer {
    unsigned int dom, cpu;
    void (*step)(uint32_t random);
    pthread_t thread;
};

static struct page *pages[REFS]; /* of domain 2 */

static unsigned int rounds;

static void *race(void *arg) {
    const struct racer *r = arg;
    uint32_t random = r->cpu + 1;

    gf_run(r->dom, r->cpu);
    for (unsigned int i = 0; i < rounds; i++) {
        random = random * 1664525 + 1013904223;
        r->step(random >> 8);
    }
    return NULL;
}

static void run(struct racer *r, unsigned int n) {
    for (unsigned int i = 1; i < n; i++)
        if (pthread_create(&r[i].thread, NULL, race, &r[i]))
            abort();
    race(&r[0]);
    for (unsigned int i = 1; i < n; i++)
        pthread_join(r[i].thread, NULL);
}

static void start(void) {
    rounds = ROUNDS;
    gf_start();
    for (unsigned int i = 0; i < REFS; i++) {
        pages[i] = gf_page(2);
        gf_grant(2, REF + i, 1, pages[i], 0);
    }
}

/* What the guest scribbled into its words tells nothing; the active entries must be right. */
static void finish(void) {
    for (unsigned int i = 0; i < REFS; i++)
        if (!(gf_entry(2, REF + i)->flags & (GTF_reading | GTF_writing)))
            gf_entry(2, REF + i)->flags = 0;
    gf_finish();
}

static int op(unsigned int cmd, void *arg, unsigned int n) {
    uint64_t args[6] = {cmd, (uintptr_t)arg, n};
    long rc;

    do
        rc = hypercall_grant_table_op(current_vcpu(), args);
    while (rc == -ERESTART);
    return (int)rc;
}

/* Any of few handles, addresses and grants, so that the vcpus meet. */
static void use(uint32_t random) {
    unsigned int ref = REF + random % REFS, at = GF_FREE + (random >> 4 & 7);
    uint32_t flags = 1 + (random >> 7 & 7), handle = random >> 10 & 15;
    uint64_t bus = page_to_mfn(pages[ref - REF]).n << PAGE_SHIFT;
    struct gnttab_unmap_grant_ref unmap[3];
    struct gnttab_map_grant_ref map = {gf_va(at), flags, ref, 2, 0, 0, 0};
    struct gnttab_unmap_and_replace replace = {gf_va(at), gf_va(at ^ 1), handle, 0};
    struct gnttab_copy copy = {.source = {.u.ref = ref, .domid = 2},
                               .dest = {.u.gmfn = page_to_mfn(gf[1].arg[0]).n, .domid = DOMID_SELF},
                               .len = 64,
                               .flags = GNTCOPY_source_gref};

    switch (random >> 14 & 7) {
    case 0:
    case 1:
        (void)op(GNTTABOP_map_grant_ref, &map, 1);
        break;
    case 2:
    case 3:
    case 4:
        for (unsigned int i = 0; i < 3; i++)
            unmap[i] = (struct gnttab_unmap_grant_ref){
                random >> 17 & 1 ? gf_va(GF_FREE + ((at + i) & 7)) : 0, random >> 18 & 1 ? bus : 0,
                (handle + i) & 15, 0};
        (void)op(GNTTABOP_unmap_grant_ref, unmap, 3);
        break;
    case 5:
        (void)op(GNTTABOP_copy, &copy, 1);
        break;
    case 6:
        if (random >> 17 & 1)
            (void)gf_set_pte(at, 0);
        else
            (void)op(GNTTABOP_unmap_and_replace, &replace, 1);
        break;
    default:
        copy.dest = (struct gnttab_copy_ptr){.u.ref = ref ^ 1, .domid = 2, .offset = 512};
        copy.flags |= GNTCOPY_dest_gref;
        (void)op(GNTTABOP_copy, &copy, 1);
    }
}

/* As guests do it: the word goes to 0 if the hypervisor does not say that it is in use. */
static bool revoke(unsigned int ref) {
    uint32_t *word = (uint32_t *)gf_entry(2, ref), old = READ_ONCE(*word);

    return !(old & (GTF_reading | GTF_writing)) &&
           __atomic_compare_exchange_n(word, &old, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Write to a frame as long as it is mapped, or by a copy, and no longer. */
static void visit(uint32_t random) {
    unsigned int ref = REF + random % REFS, at = GF_FREE + this_cpu()->id;
    struct gnttab_map_grant_ref map = {gf_va(at), random >> 2 & GNTMAP_device_map, ref, 2, 0, 0, 0};
    struct gnttab_unmap_grant_ref unmap = {gf_va(at), 0, 0, 0};
    struct gnttab_copy copy = {
        .source = {.u.gmfn = page_to_mfn(gf[1].arg[0]).n, .domid = DOMID_SELF},
        .dest = {.u.ref = ref, .domid = 2, .offset = (uint16_t)(random >> 8 & 0x7ff)},
        .len = 1000,
        .flags = GNTCOPY_dest_gref};

    map.flags |= GNTMAP_host_map;
    if (random >> 3 & 1) {
        (void)op(GNTTABOP_copy, &copy, 1);
        return;
    }
    EXPECT_EQ(op(GNTTABOP_map_grant_ref, &map, 1), 0);
    if (map.status)
        return;
    WRITE_ONCE(((uint64_t *)page_to_virt(pages[ref - REF]))[random >> 4 & 511], random);
    unmap.handle = map.handle;
    unmap.dev_bus_addr = map.flags & GNTMAP_device_map ? map.dev_bus_addr : 0;
    EXPECT_EQ(op(GNTTABOP_unmap_grant_ref, &unmap, 1), 0);
    EXPECT_EQ(unmap.status, GNTST_okay);
}

/* What was taken back is ours alone. */
static unsigned int revoked, overwritten;

static void revoke_and_look(uint32_t random) {
    unsigned int ref = REF + random % REFS;
    uint64_t *words = page_to_virt(pages[ref - REF]);

    if (!revoke(ref))
        return;
    revoked++;
    memset(words, 0x77, PAGE_SIZE);
    for (unsigned int i = 0; i < (random >> 2 & 63); i++)
        cpu_relax();
    for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
        overwritten += READ_ONCE(words[i]) != UINT64_C(0x7777777777777777);
    gf_grant(2, ref, 1, pages[ref - REF], 0);
}

/* And as they should not: any word, any time; frames that go and come, or become tables. */
static void misbehave(uint32_t random) {
    unsigned int ref = REF + random % REFS;
    struct page *pg = pages[random >> 2 & (REFS - 1)];
    struct gnttab_swap_grant_ref swap = {ref, REF + (random >> 2 & 3), 0};

    switch (random >> 4 & 7) {
    case 0:
        WRITE_ONCE(*(uint32_t *)gf_entry(2, ref), random & 0x1001f);
        break;
    case 1:
        WRITE_ONCE(gf_entry(2, ref)->frame, random >> 7 & (GF_FRAMES - 1));
        break;
    case 2:
        if (mmu_pin(gf[2].d, page_to_mfn(pg), PAGE_L1) == 0)
            EXPECT_EQ(mmu_unpin(gf[2].d, page_to_mfn(pg)), 0);
        break;
    case 3:
        (void)op(GNTTABOP_swap_grant_ref, &swap, 1);
        break;
    case 4:
        EXPECT_EQ(gnttab_grow(gf[2].d, random >> 7 & 3), 0);
        break;
    default:
        gf_grant(2, ref, random >> 7 & 1, pg, random >> 8 & GTF_readonly);
    }
}

/* Two vcpus meet, then unmap one handle; the first of them maps it again. */
static uint32_t arrived, contested, unmapped;

static void meet(void) {
    uint32_t mine = __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST) / 2;

    for (unsigned int i = 0; __atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < mine * 2 + 2; i++)
        if (i > 1000)
            cpu_relax();
}

static void unmap_together(uint32_t random) {
    struct gnttab_map_grant_ref map = {0, GNTMAP_device_map, REF, 2, 0, 0, 0};
    struct gnttab_unmap_grant_ref unmap = {.dev_bus_addr = page_to_mfn(pages[0]).n << PAGE_SHIFT};

    (void)random;
    if (this_cpu()->id == 0) {
        (void)op(GNTTABOP_map_grant_ref, &map, 1);
        contested = map.handle;
    }
    meet();
    unmap.handle = contested;
    (void)op(GNTTABOP_unmap_grant_ref, &unmap, 1);
    if (unmap.status == GNTST_okay)
        __atomic_fetch_add(&unmapped, 1, __ATOMIC_SEQ_CST);
    meet();
}

TEST(of_two_vcpus_that_unmap_one_handle_one_does) {
    struct racer r[] = {{1, 0, unmap_together, 0}, {1, 1, unmap_together, 0}};

    start();
    arrived = unmapped = 0;
    rounds = 1000;
    run(r, 2);
    EXPECT_EQ(unmapped, rounds);
    finish();
}

TEST(two_vcpus_use_the_same_grants_and_handles) {
    struct racer r[] = {{1, 0, use, 0}, {1, 1, use, 0}};

    start();
    run(r, 2);
    finish();
}

TEST(what_was_revoked_is_not_touched_any_more) {
    struct racer r[] = {{2, 2, revoke_and_look, 0}, {1, 0, visit, 0}, {1, 1, visit, 0}};

    start();
    revoked = overwritten = 0;
    run(r, 3);
    EXPECT(revoked > 0);
    EXPECT_EQ(overwritten, 0);
    finish();
}

TEST(a_granter_that_scribbles_harms_nobody_else) {
    struct racer r[] = {{1, 0, use, 0}, {1, 1, use, 0}, {2, 2, misbehave, 0}};

    start();
    run(r, 3);
    for (unsigned int i = 0; i < REFS; i++)
        gf_entry(2, REF + i)->flags = 0;
    gf_finish();
}

/* Frames go from one domain to the other and back, while others try to map them. */
static void give(uint32_t random) {
    unsigned int dom = current_vcpu()->domain->domid, to = 3 - dom;
    struct page *pg = pages[random % REFS];
    struct gnttab_transfer transfer = {
        .mfn = page_to_mfn(pg).n, .domid = (domid_t)to, .ref = 20 + (random >> 2 & 1)};

    *gf_entry(dom, 20 + (random >> 3 & 1)) =
        (struct grant_entry_v1){GTF_accept_transfer, (domid_t)to, 0};
    if (random >> 4 & 1)
        (void)op(GNTTABOP_transfer, &transfer, 1);
    else if (gf_set_pte(GF_FREE + dom, page_to_mfn(pg).n << PAGE_SHIFT | 7) == 0)
        (void)gf_set_pte(GF_FREE + dom, 0);
}

TEST(frames_go_to_and_fro) {
    struct racer r[] = {{1, 0, give, 0}, {2, 1, give, 0}, {1, 2, use, 0}};

    start();
    run(r, 3);
    finish();
}
