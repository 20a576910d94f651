/* links: pv/memory-op.c core/domain-memory.c core/page.c core/heap.c core/slab.c */
/* links: core/page-list.c core/tlb.c lib/lock.c */
/* links: arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c arch/fake/alloc-fail.c */
/* flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array */
#include <abi/memory.h>

#include <stdlib.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "core/boot-info.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "pv/hypercall.h"
#include "pv/pv-domain.h"
#include "test.h"

#define FRAMES  8192
#define RESTART (-ERESTART)

struct boot_info boot_info;
struct domain *dom_xen;

static struct domain *d, *peer; /* the caller, and somebody else */
static struct vcpu vcpu;
static uint64_t free_at_start;
static uint64_t list[1024], out_list[1024];
static struct page *m2p_frames; /* where the M2P is said to be; NULL: frame 1 */
static bool owe_work;           /* each pass of a loop finds that the cpu has to give way */

int page_validate(struct page *pg, enum page_type type, unsigned int *progress) {
    (void)pg, (void)type;
    *progress = 512;
    return 0;
}
int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                    bool preemptible) {
    (void)pg, (void)type, (void)preemptible;
    *progress = 0;
    return 0;
}

struct domain *domain_get(struct domain *of) {
    of->refs++;
    return of;
}
void domain_put(struct domain *of) {
    of->refs--;
}
int domain_lookup_controlled(domid_t domid, struct domain **out) {
    if (domid == DOMID_SELF || domid == d->domid)
        *out = domain_get(d);
    else if (!d->privileged)
        return -EPERM;
    else if (domid == peer->domid)
        *out = domain_get(peer);
    else
        return -ESRCH;
    return 0;
}

mfn_t arch_m2p_frame(unsigned int n) {
    if (n)
        return MFN_INVALID;
    return m2p_frames ? page_to_mfn(m2p_frames) : mfn_of(1);
}

unsigned int gnttab_max_frames(const struct domain *of) {
    (void)of;
    return 32;
}
int gnttab_get_frame(struct domain *of, bool status, unsigned int idx, mfn_t *mfn) {
    (void)of;
    *mfn = mfn_of(7000 + idx);
    return status || idx >= 32 ? -EINVAL : 0;
}

static struct domain *make_domain(domid_t domid) {
    struct domain *made = heap_alloc_virt(0);

    REQUIRE(made);
    lock_init(&made->page_lock, RANK_PAGE_LIST);
    lock_init(&made->lock, RANK_DOMAIN);
    page_list_init(&made->pages);
    made->domid = domid;
    made->refs = 1;
    made->max_pages = 3000;
    made->pv = mem_alloc_struct(struct pv_domain);
    made->shared_info = heap_alloc_virt(0);
    REQUIRE(made->pv && made->shared_info);
    return made;
}

static void start(void) {
    fake_machine_init(FRAMES);
    d = make_domain(1);
    peer = make_domain(2);
    memset(&vcpu, 0, sizeof(vcpu));
    vcpu.domain = d;
    this_cpu()->current = &vcpu;
    fake_guest_memory(list, sizeof(list));
    fake_guest_memory(out_list, sizeof(out_list));
    owe_work = false;
    free_at_start = heap_free_frames();
}

static void drop_domain(struct domain *of) {
    this_cpu()->work = 0;
    EXPECT_EQ(domain_release_pages(of), 0);
    EXPECT_EQ(of->nr_pages, 0);
    EXPECT_EQ(of->refs, 1);
    heap_free_virt(of->shared_info, 0);
    mem_free(of->pv);
    heap_free_virt(of, 0);
}

/* No frame, no reference, no M2P entry is left over, and nothing was read twice. */
static void finish(void) {
    uint64_t free_now;

    EXPECT_EQ(fake_guest.double_fetches, 0);
    this_cpu()->work = 0;
    EXPECT_EQ(domain_release_pages(d), 0);
    EXPECT_EQ(domain_release_pages(peer), 0);
    free_now = heap_free_frames();
    EXPECT_EQ(free_now, free_at_start);
    for (uint64_t i = 0; i < FRAMES; i++)
        EXPECT(m2p_table[i] == M2P_INVALID);
    drop_domain(d);
    drop_domain(peer);
}

/* The hypercall as a guest sees it: continued until it is done. */
static unsigned int continuations;

static long memory_op_from(unsigned int cmd, uint64_t from, void *ptr, size_t size) {
    uint64_t arg[6] = {cmd | from << 6, (uintptr_t)ptr};
    long rc;

    fake_guest_memory(ptr, size);
    continuations = 0;
    do {
        fake_guest_begin();
        this_cpu()->work = owe_work ? WORK_SCHED : 0;
        rc = hypercall_memory_op(&vcpu, arg);
        EXPECT_EQ(arg[0] & 63, cmd);
        EXPECT_EQ(arg[1], (uintptr_t)ptr);
    } while (rc == RESTART && ++continuations < 5000);
    this_cpu()->work = 0;
    return rc;
}
#define MEMORY_OP(cmd, arg) memory_op_from(cmd, 0, arg, sizeof(*(arg)))

static struct xen_memory_reservation extents(uint64_t *at, uint64_t nr, unsigned int order) {
    return (struct xen_memory_reservation){.extent_start = fake_guest_va(at),
                                           .nr_extents = nr,
                                           .extent_order = order,
                                           .domid = DOMID_SELF};
}

static long populate(uint64_t *at, uint64_t nr, unsigned int order) {
    struct xen_memory_reservation r = extents(at, nr, order);

    return MEMORY_OP(XENMEM_populate_physmap, &r);
}

static void pfns_from(uint64_t *at, uint64_t nr, uint64_t pfn, unsigned int order) {
    for (uint64_t i = 0; i < nr; i++)
        at[i] = pfn + (i << order);
}

/* ---- reservations ---- */

TEST(populate_turns_pfns_into_mfns) {
    start();
    pfns_from(list, 10, 500, 2);
    EXPECT_EQ(populate(list, 10, 2), 10);
    EXPECT_EQ(d->nr_pages, 40);
    for (unsigned int i = 0; i < 10; i++)
        for (unsigned int f = 0; f < 4; f++) {
            EXPECT_EQ(m2p_table[list[i] + f], 500 + i * 4 + f);
            EXPECT_EQ(page_owner(mfn_to_page(mfn_of(list[i] + f))), d);
        }
    finish();
}

TEST(populate_stops_at_the_limit_and_says_how_far_it_came) {
    start();
    d->max_pages = 7;
    pfns_from(list, 10, 0, 0);
    EXPECT_EQ(populate(list, 10, 0), 7);
    EXPECT_EQ(list[7], 7); /* untouched */
    finish();
}

TEST(a_list_goes_on_where_it_gave_way) {
    start();
    owe_work = true;
    pfns_from(list, 20, 100, 0);
    EXPECT_EQ(populate(list, 20, 0), 20);
    EXPECT_EQ(continuations, 19);
    EXPECT_EQ(d->nr_pages, 20);
    EXPECT_EQ(m2p_table[list[19]], 119);
    finish();
}

TEST(orders_have_limits) {
    struct xen_memory_reservation r;

    start();
    pfns_from(list, 1, 0, 0);
    EXPECT_EQ(populate(list, 1, 10), 0);
    EXPECT_EQ(populate(list, 1, 64), 0);
    EXPECT_EQ(populate(list, 1, 9), 1);
    d->privileged = true;
    list[0] = 4096;
    EXPECT_EQ(populate(list, 1, 11), 1);
    EXPECT_EQ(populate(list, 1, 12), 0);
    r = extents(list, UINT64_MAX, 0);
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), 0);
    finish();
}

TEST(address_width_is_kept) {
    struct xen_memory_reservation r;

    start();
    list[0] = 9;
    r = extents(list, 1, 0);
    r.mem_flags = XENMEMF_address_bits(22);
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), 1);
    EXPECT(list[0] < 1024);
    r.mem_flags = XENMEMF_address_bits(12);
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), 0);
    finish();
}

TEST(bad_pointers_do_nothing) {
    struct xen_memory_reservation r;
    uint64_t arg[6] = {XENMEM_populate_physmap, 8};

    start();
    EXPECT_EQ(hypercall_memory_op(&vcpu, arg), -EFAULT);
    r = extents((uint64_t *)16, 1, 0);
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), 0);
    EXPECT_EQ(d->nr_pages, 0);
    EXPECT_EQ(MEMORY_OP(XENMEM_decrease_reservation, &r), 0);
    finish();
}

TEST(every_access_may_fault_and_nothing_is_lost) {
    for (unsigned long n = 1; n <= 7; n++) {
        start();
        pfns_from(list, 3, 0, 0);
        fake_guest.fail_at = n;
        EXPECT(populate(list, 3, 0) <= 3);
        finish();
    }
}

TEST(memory_may_run_out_anywhere) {
    for (unsigned long n = 1; n <= 4; n++) {
        start();
        pfns_from(list, 4, 0, 0);
        fake_alloc.calls = 0;
        fake_alloc.fail_at = n;
        EXPECT_EQ(populate(list, 4, 0), n - 1);
        finish();
    }
}

TEST(decrease_gives_frames_back_once) {
    struct xen_memory_reservation r;

    start();
    pfns_from(list, 8, 0, 0);
    EXPECT_EQ(populate(list, 8, 0), 8);
    r = extents(list, 8, 0);
    EXPECT_EQ(MEMORY_OP(XENMEM_decrease_reservation, &r), 8);
    EXPECT_EQ(heap_free_frames(), free_at_start);
    EXPECT_EQ(MEMORY_OP(XENMEM_decrease_reservation, &r), 0);
    finish();
}

TEST(a_mapped_frame_is_given_back_when_it_is_unmapped) {
    struct xen_memory_reservation r;
    struct page *pg;

    start();
    list[0] = 0;
    EXPECT_EQ(populate(list, 1, 0), 1);
    pg = mfn_to_page(mfn_of(list[0]));
    EXPECT_EQ(page_get_and_type(pg, d, PAGE_WRITABLE), 0);
    r = extents(list, 1, 0);
    EXPECT_EQ(MEMORY_OP(XENMEM_decrease_reservation, &r), 1);
    EXPECT_EQ(MEMORY_OP(XENMEM_decrease_reservation, &r), 1); /* harmless */
    EXPECT_EQ(d->nr_pages, 1);
    page_put_and_type(pg);
    EXPECT_EQ(d->nr_pages, 0);
    finish();
}

TEST(only_ones_own_memory_can_be_given_back) {
    struct xen_memory_reservation r;
    struct page *theirs;
    void *shared;

    start();
    REQUIRE((theirs = domain_alloc_pages(peer, 0, 0, 0)) && (shared = heap_alloc_virt(0)));
    domain_share_page(d, shared, true);
    uint64_t bad[] = {page_to_mfn(theirs).n, virt_to_mfn(shared).n, 0, 5, FRAMES, UINT64_MAX};
    for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
        list[0] = bad[i];
        r = extents(list, 1, 0);
        EXPECT_EQ(MEMORY_OP(XENMEM_decrease_reservation, &r), 0);
    }
    EXPECT_EQ(theirs->refs, PG_ALLOCATED | 1);
    domain_unshare_page(shared);
    heap_free_virt(shared, 0);
    finish();
}

TEST(increase_reports_mfns_if_asked) {
    struct xen_memory_reservation r;

    start();
    r = extents(list, 4, 1);
    EXPECT_EQ(MEMORY_OP(XENMEM_increase_reservation, &r), 4);
    EXPECT_EQ(d->nr_pages, 8);
    EXPECT_EQ(page_owner(mfn_to_page(mfn_of(list[3] + 1))), d);
    r.extent_start.va = 0;
    EXPECT_EQ(MEMORY_OP(XENMEM_increase_reservation, &r), 4);
    EXPECT_EQ(d->nr_pages, 16);
    finish();
}

TEST(others_memory_needs_privilege) {
    struct xen_memory_reservation r;

    start();
    pfns_from(list, 2, 0, 0);
    r = extents(list, 2, 0);
    r.domid = 2;
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), -EPERM);
    d->privileged = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), 2);
    EXPECT_EQ(peer->nr_pages, 2);
    r.domid = 77;
    EXPECT_EQ(MEMORY_OP(XENMEM_populate_physmap, &r), 0);
    finish();
}

TEST(claims_are_checked) {
    struct xen_memory_reservation r = {.nr_extents = 100, .domid = 2};

    start();
    EXPECT_EQ(MEMORY_OP(XENMEM_claim_pages, &r), -EPERM);
    d->privileged = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_claim_pages, &r), 0);
    r.nr_extents = 3001;
    EXPECT_EQ(MEMORY_OP(XENMEM_claim_pages, &r), -EINVAL);
    peer->max_pages = 100000;
    r.nr_extents = 10000;
    EXPECT_EQ(MEMORY_OP(XENMEM_claim_pages, &r), -ENOMEM);
    r.nr_extents = 0;
    EXPECT_EQ(MEMORY_OP(XENMEM_claim_pages, &r), 0);
    r.extent_order = 1;
    EXPECT_EQ(MEMORY_OP(XENMEM_claim_pages, &r), -EINVAL);
    finish();
}

/* ---- exchange ---- */

/*
 * nr input extents of order in (populated at pfn 0 on) against extents of order out (pfn 5000
 * on).
 */
static struct xen_memory_exchange exchange(uint64_t nr, unsigned int in, unsigned int out) {
    uint64_t nr_out = nr << in >> out;

    pfns_from(list, nr, 0, in);
    REQUIRE(populate(list, nr, in) == (long)nr);
    pfns_from(out_list, nr_out, 5000, out);
    return (struct xen_memory_exchange){.in = extents(list, nr, in),
                                        .out = extents(out_list, nr_out, out)};
}

static void expect_exchanged(uint64_t nr, unsigned int in, unsigned int out) {
    uint64_t frames = nr << in;

    EXPECT_EQ(d->nr_pages, frames);
    for (uint64_t i = 0; i < frames; i++) {
        uint64_t mfn = out_list[i >> out] + (i & (BIT(out) - 1));

        EXPECT_EQ(m2p_table[mfn], 5000 + i);
        EXPECT_EQ(page_owner(mfn_to_page(mfn_of(mfn))), d);
        EXPECT_EQ(mfn_to_page(mfn_of(mfn))->refs, PG_ALLOCATED | 1);
    }
}

TEST(pages_become_a_contiguous_extent) {
    struct xen_memory_exchange x;

    start();
    x = exchange(64, 0, 6);
    x.out.mem_flags = XENMEMF_address_bits(24);
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    EXPECT_EQ(x.nr_exchanged, 64);
    EXPECT(out_list[0] + 64 <= 4096);
    expect_exchanged(64, 0, 6);
    finish();
}

TEST(an_extent_becomes_pages_and_extents_become_extents) {
    struct xen_memory_exchange x;

    start();
    x = exchange(2, 5, 0);
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    EXPECT_EQ(x.nr_exchanged, 2);
    expect_exchanged(2, 5, 0);
    finish();
    start();
    x = exchange(4, 3, 3);
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    EXPECT_EQ(x.nr_exchanged, 4);
    expect_exchanged(4, 3, 3);
    finish();
}

TEST(a_long_exchange_gives_way_between_chunks) {
    struct xen_memory_exchange x;

    start();
    x = exchange(64, 0, 2);
    owe_work = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    EXPECT_EQ(continuations, 15);
    EXPECT_EQ(x.nr_exchanged, 64);
    expect_exchanged(64, 0, 2);
    finish();
}

/* The protocol: on failure the number says what is done, and everything else is as it was. */
static void expect_refused(struct xen_memory_exchange *x, long rc, uint64_t exchanged) {
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, x), rc);
    EXPECT_EQ(x->nr_exchanged, exchanged);
    EXPECT_EQ(d->nr_pages, x->in.nr_extents << x->in.extent_order);
}

TEST(a_failed_exchange_leaves_everything_as_it_was) {
    struct xen_memory_exchange x;

    start();
    x = exchange(64, 0, 6);
    x.out.mem_flags = XENMEMF_address_bits(15); /* 8 frames */
    expect_refused(&x, -ENOMEM, 0);
    for (unsigned int i = 0; i < 64; i++) {
        EXPECT_EQ(mfn_to_page(mfn_of(list[i]))->refs, PG_ALLOCATED | 1);
        EXPECT_EQ(m2p_table[list[i]], i);
    }
    x.out.mem_flags = 0;
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    finish();
}

TEST(frames_in_use_foreign_doubled_or_missing_are_refused) {
    struct xen_memory_exchange x;
    struct page *pg;
    uint64_t good;

    start();
    x = exchange(8, 0, 3);
    good = list[5];
    pg = mfn_to_page(mfn_of(good));
    EXPECT_EQ(page_get_and_type(pg, d, PAGE_WRITABLE), 0);
    expect_refused(&x, -EINVAL, 0);
    page_put_and_type(pg);
    list[5] = list[2];
    expect_refused(&x, -EINVAL, 0);
    list[5] = FRAMES;
    expect_refused(&x, -EINVAL, 0);
    list[5] = virt_to_mfn(peer).n;
    expect_refused(&x, -EINVAL, 0);
    list[5] = good;
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    finish();
}

TEST(a_later_chunk_may_fail_after_others_are_done) {
    struct xen_memory_exchange x;
    struct page *pg;

    start();
    x = exchange(8, 0, 1);
    pg = mfn_to_page(mfn_of(list[5]));
    EXPECT(page_get(pg, d));
    expect_refused(&x, -EINVAL, 4);
    EXPECT_EQ(m2p_table[list[4]], 4);
    page_put(pg);
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0); /* goes on from there */
    EXPECT_EQ(x.nr_exchanged, 8);
    expect_exchanged(8, 0, 1);
    finish();
}

TEST(an_exchange_must_add_up) {
    struct xen_memory_exchange x, good;

    start();
    good = exchange(8, 0, 3);
#define REFUSED(change, rc)                                                                        \
    do {                                                                                           \
        x = good;                                                                                  \
        change;                                                                                    \
        EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), rc);                                             \
    } while (0)
    REFUSED(x.out.nr_extents = 2, -EINVAL);
    REFUSED(x.in.nr_extents = 9, -EINVAL);
    REFUSED(x.out.domid = 2, -EINVAL);
    REFUSED(x.nr_exchanged = 9, -EINVAL);
    REFUSED(x.nr_exchanged = 3, -EINVAL);
    REFUSED(x.in.extent_order = 10, -EPERM);
    REFUSED(x.out.extent_order = UINT32_MAX, -EPERM);
    REFUSED((x.in.nr_extents = UINT64_C(1) << 63, x.in.extent_order = 1, x.out.nr_extents = 0),
            -EINVAL);
    REFUSED(x.in.domid = x.out.domid = 2, -EPERM);
    REFUSED(x.in.extent_start.va = 64, -EFAULT);
    REFUSED(x.out.extent_start.va = 64, -EFAULT);
    REFUSED(x.nr_exchanged = 8, 0);
    d->privileged = true;
    REFUSED(x.in.domid = x.out.domid = 9, -ESRCH);
    EXPECT_EQ(d->nr_pages, 8);
    finish();
}

TEST(exchange_survives_every_failing_access_and_allocation) {
    for (unsigned long n = 1; n <= 14; n++) {
        struct xen_memory_exchange x;
        long rc;

        start();
        x = exchange(8, 0, 1);
        if (n <= 10)
            fake_guest.fail_at = fake_guest.accesses + n;
        else
            fake_alloc.fail_at = fake_alloc.calls + n - 10;
        rc = MEMORY_OP(XENMEM_exchange, &x);
        EXPECT(rc == -EFAULT || rc == -ENOMEM);
        EXPECT_EQ(d->nr_pages, 8);
        finish();
    }
}

TEST(a_domain_over_its_limit_may_still_exchange) {
    struct xen_memory_exchange x;

    start();
    x = exchange(8, 0, 3);
    d->max_pages = 1;
    EXPECT_EQ(MEMORY_OP(XENMEM_exchange, &x), 0);
    expect_exchanged(8, 0, 3);
    finish();
}

/* ---- questions ---- */

TEST(reservations_can_be_asked) {
    struct xen_memory_domain who = {DOMID_SELF};

    start();
    pfns_from(list, 5, 0, 0);
    EXPECT_EQ(populate(list, 5, 0), 5);
    EXPECT_EQ(MEMORY_OP(XENMEM_current_reservation, &who), 5);
    EXPECT_EQ(MEMORY_OP(XENMEM_maximum_reservation, &who), 3000);
    EXPECT_EQ(MEMORY_OP(XENMEM_maximum_gpfn, &who), 0);
    d->shared_info->arch.max_pfn = 1234;
    EXPECT_EQ(MEMORY_OP(XENMEM_maximum_gpfn, &who), 1233);
    d->shared_info->arch.max_pfn = UINT64_MAX;
    EXPECT(MEMORY_OP(XENMEM_maximum_gpfn, &who) > 0); /* no guest value looks like an error */
    who.domid = 2;
    EXPECT_EQ(MEMORY_OP(XENMEM_current_reservation, &who), -EPERM);
    d->privileged = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_current_reservation, &who), 0);
    EXPECT_EQ(memory_op_from(XENMEM_maximum_ram_page, 0, NULL, 0), FRAMES);
    finish();
}

TEST(the_m2p_can_be_found) {
    struct xen_machphys_mapping m;
    struct xen_machphys_mfn_list l = {.max_extents = 4, .extent_start = fake_guest_va(list)};

    start();
    EXPECT_EQ(MEMORY_OP(XENMEM_machphys_mapping, &m), 0);
    EXPECT_EQ(m.v_start, MACH2PHYS_VIRT_START);
    EXPECT_EQ(m.max_mfn, FRAMES - 1);
    EXPECT_EQ(MEMORY_OP(XENMEM_machphys_mfn_list, &l), 0);
    EXPECT_EQ(l.nr_extents, 1);
    EXPECT_EQ(list[0], 1);
    l.max_extents = 0;
    EXPECT_EQ(MEMORY_OP(XENMEM_machphys_mfn_list, &l), 0);
    EXPECT_EQ(l.nr_extents, 0);
    finish();
}

TEST(memory_maps_are_kept_for_the_guest) {
    struct e820_entry e[3] = {{0, MIB(512), 1}, {GIB(1), MIB(1), 2}, {GIB(2), 1, 1}};
    struct xen_foreign_memory_map set = {.domid = 1, .map = {3, fake_guest_va(e)}};
    struct xen_memory_map get = {.nr_entries = 0, .buffer = fake_guest_va(list)};

    start();
    fake_guest_memory(e, sizeof(e));
    EXPECT_EQ(MEMORY_OP(XENMEM_memory_map, &get), -ENOSYS);
    EXPECT_EQ(MEMORY_OP(XENMEM_set_memory_map, &set), 0);
    get.nr_entries = 128;
    EXPECT_EQ(MEMORY_OP(XENMEM_memory_map, &get), 0);
    EXPECT_EQ(get.nr_entries, 3);
    EXPECT_MEM(list, e, sizeof(e));
    get.nr_entries = 1;
    EXPECT_EQ(MEMORY_OP(XENMEM_memory_map, &get), 0);
    EXPECT_EQ(get.nr_entries, 1);
    set.map.nr_entries = PV_MEMORY_MAX + 1;
    EXPECT_EQ(MEMORY_OP(XENMEM_set_memory_map, &set), -EINVAL);
    set.map.nr_entries = 4; /* longer than what can be read */
    EXPECT_EQ(MEMORY_OP(XENMEM_set_memory_map, &set), -EFAULT);
    EXPECT_EQ(MEMORY_OP(XENMEM_memory_map, &get), -ENOSYS);
    set.domid = 2;
    EXPECT_EQ(MEMORY_OP(XENMEM_set_memory_map, &set), -EPERM);
    EXPECT(!lock_held(&d->lock) && !lock_held(&peer->lock));
    finish();
}

TEST(the_hosts_map_is_for_dom0) {
    struct xen_memory_map get = {.nr_entries = 128, .buffer = fake_guest_va(list)};
    struct e820_entry *e = (struct e820_entry *)list;

    start();
    boot_info.nr_memory = 2;
    boot_info.memory[0] = (struct boot_memory){0, KIB(640), E820_RAM};
    boot_info.memory[1] = (struct boot_memory){MIB(1), MIB(2047), E820_RESERVED};
    EXPECT_EQ(MEMORY_OP(XENMEM_machine_memory_map, &get), -EPERM);
    d->privileged = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_machine_memory_map, &get), 0);
    EXPECT_EQ(get.nr_entries, 2);
    EXPECT_EQ(e[1].start, MIB(1));
    EXPECT_EQ(e[1].type, 2);
    get = (struct xen_memory_map){0};
    EXPECT_EQ(MEMORY_OP(XENMEM_machine_memory_map, &get), 0);
    EXPECT_EQ(get.nr_entries, 2);
    get = (struct xen_memory_map){.nr_entries = 1, .buffer = fake_guest_va(list)};
    EXPECT_EQ(MEMORY_OP(XENMEM_machine_memory_map, &get), -EINVAL);
    finish();
}

TEST(grant_frames_are_for_the_tools) {
    struct xen_mem_acquire_resource r = {.domid = 2, .type = XENMEM_resource_grant_table};

    start();
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EPERM);
    d->privileged = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), 0);
    EXPECT_EQ(r.nr_frames, 32);
    r.nr_frames = 3;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EINVAL);
    r.frame_list = fake_guest_va(list);
    r.frame = 4;
    owe_work = true;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), 0);
    EXPECT_EQ(continuations, 2);
    EXPECT(list[0] == 7004 && list[1] == 7005 && list[2] == 7006);
    owe_work = false;
    r.frame = 30;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EINVAL);
    r.frame = UINT64_MAX;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EINVAL);
    r.frame = 0;
    r.pad = 1;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EINVAL);
    r.pad = 0;
    r.id = XENMEM_resource_grant_table_id_status;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EINVAL);
    r.domid = 1;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EPERM);
    r.domid = DOMID_SELF;
    EXPECT_EQ(MEMORY_OP(XENMEM_acquire_resource, &r), -EPERM);
    finish();
}

TEST(what_is_not_there_is_enosys) {
    uint64_t buf[16] = {0};

    start();
    for (unsigned int cmd = 0; cmd < 64; cmd++) {
        bool known = cmd <= 6 || (cmd >= 9 && cmd <= 14) || cmd == 24 || cmd == 28;

        if (!known)
            EXPECT_EQ(memory_op_from(cmd, 0, buf, sizeof(buf)), -ENOSYS);
    }
    EXPECT_EQ(memory_op_from(XENMEM_exchange, 1, buf, sizeof(buf)), -EINVAL);
    EXPECT_EQ(memory_op_from(XENMEM_populate_physmap, UINT64_C(1) << 40, buf, sizeof(buf)),
              -EINVAL);
    finish();
}

TEST(the_m2p_belongs_to_dom_xen) {
    start();
    dom_xen = make_domain(DOMID_XEN);
    REQUIRE((m2p_frames = heap_alloc(9, 0, 0)));
    memory_share_m2p();
    EXPECT_EQ(dom_xen->nr_xen_pages, 512);
    EXPECT(page_get(m2p_frames + 511, dom_xen));
    page_put(m2p_frames + 511);
    EXPECT_EQ(page_get_and_type(m2p_frames, dom_xen, PAGE_WRITABLE), -EBUSY);
    for (unsigned int i = 0; i < 512; i++)
        domain_unshare_page(page_to_virt(m2p_frames + i));
    for (unsigned int i = 0; i < 512; i++)
        m2p_frames[i].type = 0;
    heap_free(m2p_frames, 9);
    m2p_frames = NULL;
    drop_domain(dom_xen);
    finish();
}

/* ---- hostile guests ---- */

static unsigned int seed;

static unsigned int pick(unsigned int n) {
    return (unsigned int)rand_r(&seed) % n;
}

/* Another vcpu changes what was just read: a word of the lists, or one that is yet to be read. */
static void strike(guest_va_t at, size_t len) {
    (void)at, (void)len;
    if (pick(4) == 0)
        list[pick(16)] = pick(2) ? pick(FRAMES) : list[pick(16)];
    if (pick(4) == 0)
        out_list[pick(16)] = pick(FRAMES);
}

static struct xen_memory_reservation random_extents(uint64_t *at) {
    struct xen_memory_reservation r = extents(at, pick(17), pick(8) ? pick(4) : pick(64));

    if (pick(16) == 0)
        r.nr_extents = UINT64_MAX >> pick(64);
    if (pick(16) == 0)
        r.extent_start.va = pick(2) ? UINT64_MAX - 4 : pick(4096);
    if (pick(4) == 0)
        r.mem_flags = pick(40);
    if (pick(8) == 0)
        r.domid = pick(2) ? 2 : 50;
    return r;
}

static void random_call(void) {
    static const unsigned int cmds[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation,
                                        XENMEM_populate_physmap, XENMEM_exchange};
    unsigned int cmd = cmds[pick(ARRAY_LEN(cmds))];
    struct xen_memory_exchange x = {.in = random_extents(list), .out = random_extents(out_list)};

    if (pick(2)) { /* sizes that add up */
        x.in.extent_order = pick(3);
        x.out.extent_order = pick(3);
        x.in.nr_extents = (uint64_t)(1 + pick(3)) << 2 >> x.in.extent_order << 1;
        x.out.nr_extents = x.in.nr_extents << x.in.extent_order >> x.out.extent_order;
    }
    if (pick(8) == 0)
        x.nr_exchanged = pick(8);
    if (pick(3) == 0)
        fake_guest.fail_at = fake_guest.accesses + 1 + pick(12);
    if (pick(5) == 0)
        fake_alloc.fail_at = fake_alloc.calls + 1 + pick(6);
    owe_work = pick(4) == 0;
    memory_op_from(cmd, pick(16) ? 0 : pick(20), &x, sizeof(x));
    fake_guest.fail_at = fake_alloc.fail_at = 0;
}

static void check_domain(const struct domain *of, uint64_t limit) {
    uint64_t nr = 0;

    for (struct page *pg = page_list_first(&of->pages); pg; pg = page_list_next(pg), nr++) {
        REQUIRE(page_owner(pg) == of);
        REQUIRE(pg->refs == (PG_ALLOCATED | 1));
        REQUIRE(PT_COUNT(pg->type) == 0);
    }
    REQUIRE(nr == of->nr_pages && nr <= limit);
    REQUIRE(of->refs == 1 + (nr != 0));
}

TEST(nothing_a_guest_says_breaks_the_books) {
    start();
    fake_guest.after_read = strike;
    d->max_pages = 500;
    for (seed = 1; seed < 4000; seed++) {
        if (seed == 2000)
            d->privileged = true;
        for (unsigned int i = 0; i < 16 && pick(3) == 0; i++) {
            struct page *own = page_list_first(&d->pages);

            list[i] = own && pick(2) ? page_to_mfn(own + pick(16)).n : pick(FRAMES);
        }
        random_call();
        check_domain(d, 500);
        check_domain(peer, 3000);
        REQUIRE(heap_free_frames() == free_at_start - d->nr_pages - peer->nr_pages);
        EXPECT_EQ(fake_guest.double_fetches, 0);
    }
    finish();
}
