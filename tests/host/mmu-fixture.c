#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/tlb.h"
#include "mmu-fixture.h"
#include "pv/hypercall.h"
#include "pv/traps.h"

struct page *frame_table;
uint64_t *m2p_table;
uint8_t *fake_ram;
uint64_t max_mfn = FX_FRAMES + 64;
_Thread_local struct cpu *fake_cpu;
struct cpu *cpus[NR_CPUS];
cpumask_t cpus_online;
struct domain *dom0, *dom_xen, *dom_io;

struct domain *fx_d, *fx_other;
struct vcpu *fx_v;
uint8_t fx_guest[FX_GUEST_SIZE];
unsigned int fx_flushes_all, fx_flushes_one, fx_loads, fx_injected, fx_freed, fx_preempt_in,
    fx_rounds;
cpumask_t fx_flushed;

static struct cpu all_cpus[FX_CPUS];
static struct vcpu all_vcpus[FX_CPUS];
static struct vcpu *vcpu_ptrs[FX_CPUS];
static unsigned int next_frame;

/* ---- the machine ---- */

bool arch_mfn_is_ram(mfn_t mfn) {
    if (fx_preempt_in && --fx_preempt_in == 0)
        fx_work(true);
    return mfn.n < FX_FRAMES;
}
void page_free(struct page *pg) {
    (void)pg;
    fx_freed++;
}
static void *guest_at(guest_va_t at, size_t len) {
    uint64_t off = at.va - FX_GUEST;

    return off < FX_GUEST_SIZE && len <= FX_GUEST_SIZE - off ? fx_guest + off : NULL;
}
int copy_from_guest(void *dst, guest_va_t src, size_t len) {
    void *at = guest_at(src, len);

    if (!at)
        return -EFAULT;
    memcpy(dst, at, len);
    return 0;
}

int copy_pair_from_guest(uint64_t dst[2], guest_va_t src) {
    return copy_from_guest(dst, src, 2 * sizeof(*dst));
}
int copy_to_guest(guest_va_t dst, const void *src, size_t len) {
    void *at = guest_at(dst, len);

    if (!at)
        return -EFAULT;
    memcpy(at, src, len);
    return 0;
}
void arch_page_clear(void *page) {
    memset(page, 0, PAGE_SIZE);
}
void arch_page_copy(void *dst, const void *src) {
    memcpy(dst, src, PAGE_SIZE);
}
static void flushed(unsigned int *counter) {
    __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}
void arch_tlb_flush_local(void) {
    this_cpu()->flush_epoch = tlb_stamp_now();
    flushed(&fx_flushes_all);
}
void arch_tlb_flush_one_local(uint64_t va) {
    (void)va;
    flushed(&fx_flushes_one);
}
void arch_tlb_flush_mask(const cpumask_t *mask) {
    unsigned int cpu;

    cpumask_for_each(cpu, mask)
        cpus[cpu]->flush_epoch = tlb_stamp_now();
    fx_flushed = *mask;
    flushed(&fx_flushes_all);
}
void arch_tlb_flush_one_mask(const cpumask_t *mask, uint64_t va) {
    (void)va;
    fx_flushed = *mask;
    flushed(&fx_flushes_one);
}
void arch_l4_install(struct domain *d, uint64_t *l4) {
    (void)d;
    for (unsigned int i = 256; i < 272; i++)
        l4[i] = UINT64_C(0xdead000) | PTE_P;
}
void arch_load_page_table(struct vcpu *v) {
    (void)v;
    fx_loads++;
}
uint8_t *arch_cpu_lock_rank(void) {
    return &this_cpu()->lock_rank;
}
void cpu_relax(void) {
}
uint64_t irq_save(void) {
    return 0;
}
void irq_restore(uint64_t flags) {
    (void)flags;
}
bool irq_enabled(void) {
    return true;
}

/* ---- neighbours ---- */

void pv_inject(struct vcpu *v, unsigned int vector, uint32_t error_code) {
    (void)v, (void)vector, (void)error_code;
    fx_injected++;
}
bool pv_iomem_allowed(const struct domain *d, mfn_t mfn) {
    return d->hardware && mfn.n < max_mfn;
}
int pv_validate_segdesc_page(uint64_t *descs) {
    return descs[0] == ~UINT64_C(0) ? -EINVAL : 0;
}
void pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries) {
    v->arch.ldt_base = base;
    v->arch.ldt_entries = entries;
}
int domain_lookup_controlled(domid_t domid, struct domain **out) {
    *out = domid == fx_other->domid ? fx_other : domid == fx_d->domid ? fx_d : NULL;
    if (!*out)
        return -ESRCH;
    if (!current_vcpu()->domain->privileged)
        return -EPERM;
    __atomic_fetch_add(&(*out)->refs, 1, __ATOMIC_SEQ_CST);
    return 0;
}
struct domain *domain_get(struct domain *d) {
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
    return d;
}
void domain_put(struct domain *d) {
    __atomic_fetch_sub(&d->refs, 1, __ATOMIC_SEQ_CST);
}

/* ---- set-up ---- */

static struct domain *make_domain(domid_t domid) {
    struct domain *d = mfn_to_virt(mfn_of(next_frame++));

    d->domid = domid;
    lock_init(&d->page_lock, RANK_PAGE_LIST);
    page_list_init(&d->pages);
    return d;
}

struct page *fx_alloc(struct domain *d) {
    struct page *pg = mfn_to_page(mfn_of(next_frame++));

    REQUIRE(next_frame <= FX_FRAMES);
    memset(page_to_virt(pg), 0, PAGE_SIZE);
    pg->refs = PG_ALLOCATED | 1;
    pg->type = 0;
    pg->owner = (uint32_t)virt_to_mfn(d).n;
    page_list_add_tail(&d->pages, pg);
    return pg;
}

void fx_become(unsigned int cpu) {
    fake_cpu = &all_cpus[cpu];
    fake_cpu->current = &all_vcpus[cpu];
}

void fx_reset(void) {
    if (!fake_ram) {
        fake_ram = aligned_alloc(PAGE_SIZE, FX_FRAMES * PAGE_SIZE);
        frame_table = calloc(FX_FRAMES, sizeof(*frame_table));
        m2p_table = calloc(FX_FRAMES, sizeof(*m2p_table));
    }
    memset(fake_ram, 0, FX_FRAMES * PAGE_SIZE);
    memset(frame_table, 0, FX_FRAMES * sizeof(*frame_table));
    memset(all_cpus, 0, sizeof(all_cpus));
    memset(all_vcpus, 0, sizeof(all_vcpus));
    memset(&cpus_online, 0, sizeof(cpus_online));
    next_frame = 1;
    fx_d = make_domain(5);
    fx_other = make_domain(6);
    dom0 = make_domain(0);
    dom_xen = make_domain(DOMID_XEN);
    dom_io = make_domain(DOMID_IO);
    fx_d->max_vcpus = FX_CPUS;
    fx_d->vcpu = vcpu_ptrs;
    fx_d->vm_assist = BIT(VMASST_TYPE_writable_pagetables);
    for (unsigned int i = 0; i < FX_CPUS; i++) {
        all_cpus[i].id = i;
        all_cpus[i].holds_guest = true;
        cpus[i] = &all_cpus[i];
        cpumask_set(&cpus_online, i);
        cpumask_set(&fx_d->dirty_cpus, i);
        vcpu_ptrs[i] = &all_vcpus[i];
        all_vcpus[i].domain = fx_d;
        all_vcpus[i].id = i;
        all_vcpus[i].sched.cpu = i;
        all_vcpus[i].arch.kernel_mode = true;
    }
    fx_v = &all_vcpus[0];
    fx_become(0);
    fx_flushes_all = fx_flushes_one = fx_loads = fx_injected = fx_freed = fx_preempt_in = 0;
}

struct fx_tree fx_tree(void) {
    struct fx_tree t = {fx_alloc(fx_d), fx_alloc(fx_d), fx_alloc(fx_d), fx_alloc(fx_d),
                        fx_alloc(fx_d)};

    fx_table(t.l4)[0] = fx_pte(t.l3, FX_RW);
    fx_table(t.l3)[0] = fx_pte(t.l2, FX_RW);
    fx_table(t.l2)[0] = fx_pte(t.l1, FX_RW);
    fx_table(t.l1)[0] = fx_pte(t.l1, FX_RO);
    fx_table(t.l1)[1] = fx_pte(t.data, FX_RW);
    return t;
}

struct fx_tree fx_live_tree(void) {
    struct fx_tree t = fx_tree();

    REQUIRE(mmu_pin(fx_d, page_to_mfn(t.l4), PAGE_L4) == 0);
    REQUIRE(mmu_new_kernel_base(fx_v, page_to_mfn(t.l4)) == 0);
    return t;
}

typedef long (*hypercall)(struct vcpu *curr, uint64_t arg[6]);

static long run(hypercall call, const void *ops, size_t len, unsigned int n, unsigned int *done,
                domid_t domid) {
    uint64_t arg[6] = {FX_GUEST + 64, n, done ? FX_GUEST : 0, domid};
    long rc;

    memset(fx_guest, 0, sizeof(*done));
    memcpy(fx_guest + 64, ops, len * n);
    fx_rounds = 0;
    do {
        rc = call(current_vcpu(), arg);
        REQUIRE(++fx_rounds < 100000);
    } while (rc == -ERESTART);
    if (done)
        memcpy(done, fx_guest, sizeof(*done));
    return rc;
}
long fx_mmu_update(const void *reqs, unsigned int n, unsigned int *done, domid_t domid) {
    return run(hypercall_mmu_update, reqs, sizeof(struct mmu_update), n, done, domid);
}
long fx_mmuext(const void *ops, unsigned int n, unsigned int *done, domid_t domid) {
    return run(hypercall_mmuext_op, ops, sizeof(struct mmuext_op), n, done, domid);
}

/* ---- the oracle ---- */

static uint64_t want_refs[FX_FRAMES], want_type[FX_FRAMES];
static bool consistent;

static void complain(const struct page *pg, const char *what, uint64_t have, uint64_t want) {
    fprintf(stderr, "frame %#lx: %s %#lx, counted %#lx (type word %#lx)\n",
            (unsigned long)page_to_mfn(pg).n, what, (unsigned long)have, (unsigned long)want,
            (unsigned long)pg->type);
    consistent = false;
}

/* One holder of a reference and of a count of type t (PAGE_NONE: of a reference alone). */
static void count(mfn_t mfn, enum page_type t) {
    const struct page *pg;

    if (mfn.n >= FX_FRAMES)
        return;
    pg = mfn_to_page(mfn);
    want_refs[mfn.n]++;
    if (t == PAGE_NONE)
        return;
    want_type[mfn.n]++;
    if (PT_TYPE(pg->type) != t || !(pg->type & PT_VALID))
        complain(pg, "held as another type", PT_TYPE(pg->type), t);
}

static void count_entries(const struct page *pg, enum page_type t, unsigned int n) {
    for (unsigned int i = 0; i < n; i++) {
        uint64_t e = fx_table(pg)[i];

        if (!(e & PTE_P) || (t == PAGE_L4 && l4_slot_is_ours(i)))
            continue;
        if (t == PAGE_L1)
            count(pte_mfn(e), e & PTE_RW ? PAGE_WRITABLE : PAGE_NONE);
        else
            count(pte_mfn(e), t - 1);
        if (!(e & PTE_US))
            complain(pg, "entry without US", e, i);
    }
}

static void count_holders(const struct page *pg) {
    uint64_t w = pg->type;
    enum page_type t = PT_TYPE(w);

    if (pg->refs & PG_ALLOCATED)
        want_refs[page_to_mfn(pg).n]++;
    if (w & PT_BUSY)
        complain(pg, "busy", w, 0);
    if (w & PT_PINNED)
        count(page_to_mfn(pg), t);
    if (w & PT_PARTIAL) {
        want_refs[page_to_mfn(pg).n]++;
        want_type[page_to_mfn(pg).n]++;
        count_entries(pg, t, PT_PROGRESS(w));
    } else if ((w & PT_VALID) && PT_COUNT(w) && page_type_is_table(t)) {
        count_entries(pg, t, PT_ENTRIES);
    }
}

bool fx_consistent_held(const struct page *held) {
    consistent = true;
    memset(want_refs, 0, sizeof(want_refs));
    memset(want_type, 0, sizeof(want_type));
    if (held)
        want_refs[page_to_mfn(held).n]++;
    for (unsigned int i = 0; i < FX_FRAMES; i++)
        count_holders(&frame_table[i]);
    for (unsigned int i = 0; i < FX_CPUS; i++) {
        const struct arch_vcpu *a = &all_vcpus[i].arch;

        if (a->kernel_l4.n)
            count(a->kernel_l4, PAGE_L4);
        if (a->user_l4.n)
            count(a->user_l4, PAGE_L4);
        for (unsigned int j = 0; j < ARRAY_LEN(a->unwinding); j++)
            if (a->unwinding[j].n)
                count(a->unwinding[j], PAGE_NONE);
    }
    for (unsigned int i = 0; i < FX_FRAMES; i++) {
        const struct page *pg = &frame_table[i];

        if ((pg->refs & PG_COUNT) != want_refs[i])
            complain(pg, "references", pg->refs & PG_COUNT, want_refs[i]);
        if (PT_COUNT(pg->type) != want_type[i])
            complain(pg, "type count", PT_COUNT(pg->type), want_type[i]);
    }
    return consistent;
}

bool fx_all_free(void) {
    for (unsigned int i = 0; i < FX_FRAMES; i++) {
        const struct page *pg = &frame_table[i];

        if (PT_COUNT(pg->type) || pg->type & (PT_PINNED | PT_PARTIAL) ||
            (pg->refs & PG_COUNT) != (pg->refs & PG_ALLOCATED ? 1 : 0))
            return false;
    }
    return true;
}
