/* links: core/gnttab.c core/gnttab-map.c core/gnttab-copy.c core/domain-memory.c core/page.c */
/* links: core/heap.c core/slab.c core/page-list.c core/tlb.c lib/lock.c pv/mmu-validate.c */
/* links: pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c pv/mmu-grant.c */
/* links: arch/fake/fake.c arch/fake/stubs.c */
#include "gnttab-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/console.h"
#include "core/heap.h"
#include "pv/hypercall.h"

#define RO (PTE_P | PTE_US | PTE_A)
#define RW (RO | PTE_RW | PTE_D)

struct domain *dom0, *dom_xen, *dom_io;
struct gf_domain gf[GF_DOMAINS];
unsigned int gf_rounds;

static struct domain *all[GF_DOMAINS]; /* also those that gf_destroy() has ended */
static bool ended[GF_DOMAINS];
static uint64_t free_at_start;

/* --- what grants and page tables call ------------------------------------------------------- */

struct domain *domain_get(struct domain *d) {
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
    return d;
}
void domain_put(struct domain *d) {
    if (__atomic_fetch_sub(&d->refs, 1, __ATOMIC_SEQ_CST) == 0)
        abort();
}
struct domain *domain_lookup(domid_t domid) {
    struct domain *d = domid < GF_DOMAINS ? all[domid] : NULL;
    uint32_t refs = d ? READ_ONCE(d->refs) : 0;

    while (refs)
        if (__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return d;
    return NULL;
}
int domain_lookup_controlled(domid_t domid, struct domain **out) {
    if (domid != current_vcpu()->domain->domid && !current_vcpu()->domain->privileged)
        return -EPERM;
    *out = domain_lookup(domid);
    return *out ? 0 : -ESRCH;
}
struct vcpu *domain_vcpu(const struct domain *d, uint64_t id) {
    return id < d->max_vcpus ? d->vcpu[id] : NULL;
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
void printk(enum log_level level, const char *fmt, ...) {
    (void)level, (void)fmt;
}
void printk_guest(const struct domain *d, enum log_level level, const char *fmt, ...) {
    (void)d, (void)level, (void)fmt;
}

/* --- domains -------------------------------------------------------------------------------- */

struct page *gf_page(unsigned int dom) {
    struct page *pg = domain_populate(gf[dom].d, M2P_INVALID, 0, 0, HEAP_ZERO);

    REQUIRE(pg);
    return pg;
}

uint64_t *gf_pte(unsigned int dom, unsigned int n) {
    return (uint64_t *)page_to_virt(gf[dom].l1) + n;
}
uint64_t gf_pte_address(unsigned int dom, unsigned int n) {
    return (page_to_mfn(gf[dom].l1).n << PAGE_SHIFT) + n * sizeof(uint64_t);
}

long gf_set_pte(unsigned int n, uint64_t val) {
    uint64_t arg[6] = {gf_va(n), val, UVMF_NONE};

    return hypercall_update_va_mapping(current_vcpu(), arg);
}

static void link_to(struct page *table, unsigned int i, const struct page *pg, uint64_t flags) {
    ((uint64_t *)page_to_virt(table))[i] = page_to_mfn(pg).n << PAGE_SHIFT | flags;
}

struct vcpu *gf_run(unsigned int dom, unsigned int vcpu) {
    fake_cpu_enter(vcpu);
    this_cpu()->current = all[dom]->vcpu[vcpu];
    return this_cpu()->current;
}

static void make_tables(unsigned int dom) {
    struct gf_domain *g = &gf[dom];

    g->l4 = gf_page(dom), g->l3 = gf_page(dom), g->l2 = gf_page(dom), g->l1 = gf_page(dom);
    link_to(g->l4, 0, g->l3, RW);
    link_to(g->l3, 0, g->l2, RW);
    link_to(g->l2, 0, g->l1, RW);
    link_to(g->l1, 0, g->l1, RO);
    for (unsigned int i = 0; i < GF_ARG_PAGES; i++) {
        g->arg[i] = gf_page(dom);
        link_to(g->l1, GF_ARGS / PAGE_SIZE + i, g->arg[i], RW);
    }
    for (unsigned int i = GF_VCPUS; i--;)
        REQUIRE(mmu_new_kernel_base(gf_run(dom, i), page_to_mfn(g->l4)) == 0);
}

static void make_domain(unsigned int dom) {
    struct domain *d = heap_alloc_virt(0);

    REQUIRE(d);
    d->domid = (domid_t)dom;
    d->privileged = d->hardware = dom == 0;
    d->refs = 1;
    lock_init(&d->page_lock, RANK_PAGE_LIST);
    page_list_init(&d->pages);
    d->max_pages = 64;
    d->max_vcpus = GF_VCPUS;
    d->vcpu = calloc(GF_VCPUS, sizeof(*d->vcpu));
    for (unsigned int i = 0; i < GF_VCPUS; i++) {
        d->vcpu[i] = calloc(1, sizeof(*d->vcpu[i]));
        d->vcpu[i]->domain = d;
        d->vcpu[i]->id = d->vcpu[i]->sched.cpu = i;
        d->vcpu[i]->arch.kernel_mode = true;
        cpumask_set(&d->dirty_cpus, i);
    }
    gf[dom].d = all[dom] = d;
    ended[dom] = false;
    REQUIRE(gnttab_domain_init(d, GF_MAX_GRANT, GF_MAX_TRACK) == 0);
    make_tables(dom);
}

void gf_start(void) {
    fake_machine_init(GF_FRAMES);
    for (unsigned int i = GF_VCPUS; i--;)
        fake_cpu_enter(i);
    free_at_start = heap_free_frames();
    for (unsigned int i = 0; i < GF_DOMAINS; i++)
        make_domain(i);
    dom0 = gf[0].d;
    gf_run(1, 0);
}

static void until_done(int (*step)(struct domain *), struct domain *d) {
    unsigned int rounds = 0;

    while (step(d) == -ERESTART)
        REQUIRE(++rounds < 100000);
}

static int drop_bases(struct domain *d) {
    for (unsigned int i = 0; i < GF_VCPUS; i++)
        if (mmu_drop_bases(d->vcpu[i]))
            return -ERESTART;
    return 0;
}

void gf_destroy(unsigned int dom) {
    struct domain *d = gf[dom].d;

    d->life = DOMAIN_DYING;
    until_done(gnttab_domain_relinquish, d);
    EXPECT_CONSISTENT();
    until_done(drop_bases, d);
    until_done(mmu_relinquish, d);
    until_done(domain_release_pages, d);
    gnttab_domain_unshare(d);
    d->life = DOMAIN_DEAD;
    ended[dom] = true;
    gf[dom].d = NULL;
    domain_put(d);
}

bool gf_gone(unsigned int dom) {
    struct domain *d = all[dom];

    if (!d)
        return true;
    if (d->refs)
        return false;
    EXPECT_EQ(d->nr_pages, 0);
    EXPECT_EQ(d->nr_xen_pages, 0);
    gnttab_domain_destroy(d);
    for (unsigned int i = 0; i < GF_VCPUS; i++)
        free(d->vcpu[i]);
    free(d->vcpu);
    heap_free_virt(d, 0);
    all[dom] = NULL;
    return true;
}

void gf_finish(void) {
    struct vcpu nobody = {.domain = dom0};
    uint64_t free_now;

    EXPECT_CONSISTENT();
    fake_cpu_enter(0);
    this_cpu()->current = &nobody; /* the end of domains is nobody's hypercall */
    this_cpu()->work = 0;
    for (unsigned int i = GF_DOMAINS; i--;)
        if (gf[i].d)
            gf_destroy(i);
    for (unsigned int i = 0; i < GF_DOMAINS; i++)
        EXPECT(gf_gone(i));
    free_now = heap_free_frames();
    EXPECT_EQ(free_now, free_at_start);
    EXPECT_EQ(fake_guest.double_fetches, 0);
    this_cpu()->current = NULL;
}

/* --- operations ----------------------------------------------------------------------------- */

struct grant_entry_v1 *gf_entry(unsigned int dom, uint32_t ref) {
    return &all[dom]->gnttab->shared[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
}

void gf_grant(unsigned int dom, uint32_t ref, unsigned int to, const struct page *pg,
              uint16_t flags) {
    *gf_entry(dom, ref) = (struct grant_entry_v1){GTF_permit_access | flags, (domid_t)to,
                                                  (uint32_t)page_to_mfn(pg).n};
}

/* Elements lie in the pages that the guest has at GF_ARGS, not all of which are neighbours. */
static void move(void *ops, size_t len, bool in) {
    const struct gf_domain *g = &gf[current_vcpu()->domain->domid];

    REQUIRE(len <= GF_ARG_PAGES * PAGE_SIZE);
    for (size_t at = 0; at < len; at += PAGE_SIZE) {
        size_t n = MIN(len - at, PAGE_SIZE);
        void *page = page_to_virt(g->arg[at / PAGE_SIZE]);

        memcpy(in ? page : (char *)ops + at, in ? (char *)ops + at : page, n);
    }
}

long gf_ops(unsigned int cmd, void *ops, size_t size, unsigned int n) {
    uint64_t arg[6] = {cmd, GF_ARGS, n};
    long rc;

    move(ops, size * n, true);
    gf_rounds = 0;
    do {
        fake_guest_begin();
        rc = hypercall_grant_table_op(current_vcpu(), arg);
        EXPECT_EQ(arg[0], cmd);
        REQUIRE(++gf_rounds < 10000);
    } while (rc == -ERESTART);
    move(ops, size * n, false);
    return rc;
}

int gf_map(unsigned int dom, uint32_t ref, uint64_t host_addr, uint32_t flags, uint32_t *handle) {
    struct gnttab_map_grant_ref op = {
        .host_addr = host_addr, .flags = flags, .ref = ref, .dom = (domid_t)dom};
    int status = gf_op(GNTTABOP_map_grant_ref, &op);

    *handle = status == GNTST_okay ? op.handle : UINT32_MAX;
    return status;
}

int gf_unmap(uint32_t handle, uint64_t host_addr, uint64_t dev_bus_addr) {
    struct gnttab_unmap_grant_ref op = {host_addr, dev_bus_addr, handle, 0};

    return gf_op(GNTTABOP_unmap_grant_ref, &op);
}

/* --- the recount ---------------------------------------------------------------------------- */

static uint64_t want_refs[GF_FRAMES], want_type[GF_FRAMES];
static uint32_t want_domain[GF_DOMAINS];
static bool consistent;

static void compare(const char *what, uint64_t id, uint64_t have, uint64_t want) {
    if (have == want)
        return;
    fprintf(stderr, "%s %#lx: %#lx, counted %#lx\n", what, (unsigned long)id, (unsigned long)have,
            (unsigned long)want);
    consistent = false;
}

static void count(mfn_t mfn, enum page_type t) {
    REQUIRE(mfn.n < GF_FRAMES);
    want_refs[mfn.n]++;
    if (t == PAGE_NONE)
        return;
    want_type[mfn.n]++;
    compare("type of frame", mfn.n, PT_TYPE(mfn_to_page(mfn)->type), t);
}

static void count_page(const struct page *pg) {
    enum page_type t = PT_TYPE(pg->type);

    if (pg->refs & PG_ALLOCATED)
        count(page_to_mfn(pg), pg->refs & PG_XEN ? PAGE_WRITABLE : PAGE_NONE);
    if (pg->type & PT_PINNED)
        count(page_to_mfn(pg), t);
    if (pg->type & PT_PARTIAL)
        count(page_to_mfn(pg), t);
    if (!page_type_is_table(t) || !PT_COUNT(pg->type))
        return;
    for (unsigned int i = 0; i < PT_ENTRIES; i++) {
        uint64_t e = ((uint64_t *)page_to_virt(pg))[i];

        if (!(e & PTE_P) || (t == PAGE_L4 && l4_slot_is_ours(i)) ||
            (pg->type & PT_PARTIAL && i >= PT_PROGRESS(pg->type)))
            continue;
        count(pte_mfn(e), t > PAGE_L1 ? t - 1 : e & PTE_RW ? PAGE_WRITABLE : PAGE_NONE);
    }
}

/* Each pin of an entry is accounted for by a handle, and the other way round. */
static void count_pins(const struct domain *d, uint32_t ref) {
    const struct grant_active *act =
        &d->gnttab->active[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
    uint16_t flags = gf_entry(d->domid, ref)->flags;
    unsigned int readers = 0, writers = 0;

    for (unsigned int i = 0; i < GF_DOMAINS; i++) {
        for (uint32_t h = 0; all[i] && h < all[i]->gnttab->nr_maptracks; h++) {
            const struct maptrack *mt = maptrack_of(all[i], h);

            if (mt->state != MAPTRACK_LIVE || mt->granter != d || mt->ref != ref)
                continue;
            compare("user of grant", ref, act->domid, i);
            *(mt->flags & GNTMAP_readonly ? &readers : &writers) += 1;
        }
    }
    compare("readers of grant", ref, act->readers, readers);
    compare("writers of grant", ref, act->writers, writers);
    if ((flags & GTF_type_mask) == GTF_permit_access) {
        compare("GTF_reading of grant", ref, !!(flags & GTF_reading), readers || writers);
        compare("GTF_writing of grant", ref, !!(flags & GTF_writing), writers != 0);
    }
}

static void count_handles(const struct domain *d) {
    for (uint32_t h = 0; h < d->gnttab->nr_maptracks; h++) {
        const struct maptrack *mt = maptrack_of(d, h);
        enum page_type t = mt->flags & GNTMAP_readonly ? PAGE_NONE : PAGE_WRITABLE;

        if (mt->state == MAPTRACK_FREE)
            continue;
        compare("state of handle", h, mt->state, MAPTRACK_LIVE);
        compare("uses of handle", h, mt->held, mt->flags & (GNTMAP_host_map | GNTMAP_device_map));
        want_domain[mt->granter->domid]++;
        if (mt->flags & GNTMAP_device_map)
            count(mfn_of(mt->granter->gnttab
                             ->active[mt->ref / GRANTS_PER_FRAME][mt->ref % GRANTS_PER_FRAME]
                             .mfn),
                  t);
    }
}

static void count_domain(const struct domain *d) {
    want_domain[d->domid] += !ended[d->domid] + (d->nr_pages > 0) + (d->nr_xen_pages > 0);
    for (unsigned int i = 0; i < GF_VCPUS; i++)
        if (d->vcpu[i]->arch.kernel_l4.n)
            count(d->vcpu[i]->arch.kernel_l4, PAGE_L4);
    count_handles(d);
    for (uint32_t ref = 0; ref < d->gnttab->nr_frames * GRANTS_PER_FRAME; ref++)
        count_pins(d, ref);
}

bool gf_consistent(void) {
    consistent = true;
    memset(want_refs, 0, sizeof(want_refs));
    memset(want_type, 0, sizeof(want_type));
    memset(want_domain, 0, sizeof(want_domain));
    for (unsigned int i = 0; i < GF_FRAMES; i++)
        if (frame_table[i].owner)
            count_page(&frame_table[i]);
    for (unsigned int i = 0; i < GF_DOMAINS; i++)
        if (all[i])
            count_domain(all[i]);
    for (unsigned int i = 0; i < GF_FRAMES; i++) {
        if (!frame_table[i].owner)
            continue;
        compare("references of frame", i, frame_table[i].refs & PG_COUNT, want_refs[i]);
        compare("type count of frame", i, PT_COUNT(frame_table[i].type), want_type[i]);
    }
    for (unsigned int i = 0; i < GF_DOMAINS; i++)
        if (all[i])
            compare("references of domain", i, all[i]->refs, want_domain[i]);
    return consistent;
}
