/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c core/page.c core/page-list.c core/tlb.c lib/lock.c tests/host/mmu-fixture.c */
/* flags: -lpthread */
/* mmu_update and update_va_mapping: one entry at a time, by rule, and against other vcpus. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <abi/xen.h>

#include "mmu-fixture.h"
#include "pv/hypercall.h"

static uint64_t slot_of(const struct page *pg, unsigned int i) {
    return page_to_mfn(pg).n << PAGE_SHIFT | i * sizeof(uint64_t);
}

static long update_by(const struct page *pg, unsigned int i, uint64_t val, unsigned int cmd,
                      domid_t domid) {
    struct mmu_update req = {slot_of(pg, i) | cmd, val};
    unsigned int done = 0;
    long rc = fx_mmu_update(&req, 1, &done, domid);

    EXPECT_EQ(done, rc == 0);
    EXPECT_CONSISTENT();
    return rc;
}

static long update(const struct page *pg, unsigned int i, uint64_t val) {
    return update_by(pg, i, val, MMU_NORMAL_PT_UPDATE, DOMID_SELF);
}

TEST(an_l1_entry_is_set_changed_and_cleared) {
    struct fx_tree t;
    struct page *a, *b;

    fx_reset();
    t = fx_live_tree();
    a = fx_alloc(fx_d), b = fx_alloc(fx_d);
    EXPECT_EQ(update(t.l1, 7, fx_pte(a, PTE_P | PTE_RW)), 0);
    EXPECT_EQ(fx_table(t.l1)[7], fx_pte(a, PTE_P | PTE_RW | PTE_US | PTE_GUEST_KERNEL));
    EXPECT_EQ(update(t.l1, 7, fx_pte(a, PTE_P | PTE_US)), 0);
    EXPECT_EQ(fx_table(t.l1)[7], fx_pte(a, PTE_P | PTE_US | PTE_G));
    EXPECT_EQ(PT_COUNT(a->type), 0);
    EXPECT_EQ(update(t.l1, 7, fx_pte(a, PTE_P | PTE_US | PTE_RW)), 0);
    EXPECT_EQ(update(t.l1, 7, fx_pte(b, PTE_P | PTE_US | PTE_RW)), 0);
    EXPECT_EQ(update(t.l1, 7, 0x1234560), 0);
    EXPECT_EQ(fx_table(t.l1)[7], 0x1234560);
}

TEST(a_bad_entry_changes_nothing) {
    struct fx_tree t;
    uint64_t before;

    fx_reset();
    t = fx_live_tree();
    before = fx_table(t.l1)[1];
    EXPECT_EQ(update(t.l1, 1, fx_pte(t.l1, FX_RW)), -EBUSY);
    EXPECT_EQ(update(t.l1, 1, fx_pte(t.l4, FX_RW)), -EBUSY);
    EXPECT_EQ(update(t.l1, 1, fx_pte(fx_alloc(fx_other), FX_RO)), -EINVAL);
    EXPECT_EQ(update(t.l1, 1, fx_pte(t.data, FX_RW | PTE_PAT)), -EINVAL);
    EXPECT_EQ(update(t.l1, 1, FX_IO.n << PAGE_SHIFT | FX_RO), -EPERM);
    EXPECT_EQ(fx_table(t.l1)[1], before);
    before = fx_table(t.l2)[0];
    EXPECT_EQ(update(t.l2, 0, fx_pte(t.l2, FX_RW)), -EBUSY);
    EXPECT_EQ(update(t.l2, 0, fx_pte(t.l3, FX_RW)), -EBUSY);
    EXPECT_EQ(update(t.l2, 0, fx_pte(t.data, FX_RW)), -EBUSY);
    EXPECT_EQ(update(t.l2, 0, fx_pte(t.l1, FX_RW | PTE_PSE)), -EINVAL);
    EXPECT_EQ(fx_table(t.l2)[0], before);
}

TEST(accessed_and_dirty_bits_change_without_touching_references) {
    struct fx_tree t;
    uint64_t refs;

    fx_reset();
    t = fx_live_tree();
    refs = t.data->refs;
    EXPECT_EQ(update(t.l1, 1, fx_pte(t.data, PTE_P | PTE_RW | PTE_US | PTE_GUEST_KERNEL | PTE_AVL)),
              0);
    EXPECT_EQ(t.data->refs, refs);
    EXPECT_EQ(fx_table(t.l1)[1],
              fx_pte(t.data, PTE_P | PTE_RW | PTE_US | PTE_GUEST_KERNEL | PTE_AVL));
}

TEST(preserve_ad_keeps_the_bits_of_the_old_entry) {
    struct fx_tree t;
    struct page *a;

    fx_reset();
    t = fx_live_tree();
    a = fx_alloc(fx_d);
    EXPECT_EQ(update_by(t.l1, 1, fx_pte(a, PTE_P), MMU_PT_UPDATE_PRESERVE_AD, DOMID_SELF), 0);
    EXPECT_EQ(fx_table(t.l1)[1], fx_pte(a, PTE_P | PTE_US | PTE_GUEST_KERNEL | PTE_A | PTE_D));
    fx_table(t.l2)[0] |= PTE_A;
    EXPECT_EQ(update_by(t.l2, 0, fx_pte(t.l1, PTE_P), MMU_PT_UPDATE_PRESERVE_AD, DOMID_SELF), 0);
    EXPECT_EQ(fx_table(t.l2)[0] & PTE_A, PTE_A);
}

TEST(higher_tables_take_and_drop_whole_trees) {
    struct fx_tree t, u;

    fx_reset();
    t = fx_live_tree();
    u = fx_tree();
    EXPECT_EQ(update(t.l4, 5, fx_pte(u.l3, FX_RW)), 0);
    EXPECT(page_type_is(u.l1, PAGE_L1));
    EXPECT_EQ(update(t.l3, 8, fx_pte(u.l2, FX_RW)), 0);
    EXPECT_EQ(update(t.l4, 5, 0), 0);
    EXPECT(page_type_is(u.l1, PAGE_L1));
    EXPECT_EQ(update(t.l3, 8, 0), 0);
    EXPECT_EQ(PT_COUNT(u.l1->type), 0);
}

TEST(slots_of_the_hypervisor_are_refused) {
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    for (unsigned int i = 250; i < 280; i++)
        EXPECT_EQ(update(t.l4, i, 0), l4_slot_is_ours(i) ? -EINVAL : 0);
}

TEST(pages_that_are_no_tables_are_plainly_stored_to) {
    struct fx_tree t;
    struct page *seg;

    fx_reset();
    t = fx_live_tree();
    EXPECT_EQ(update(t.data, 3, 0x77), 0);
    EXPECT_EQ(fx_table(t.data)[3], 0x77);
    seg = fx_alloc(fx_d);
    EXPECT_EQ(update(seg, 511, fx_pte(t.l4, FX_RW)), 0);
    EXPECT_EQ(fx_table(seg)[511], fx_pte(t.l4, FX_RW));
    EXPECT_EQ(page_get_and_type(seg, fx_d, PAGE_SEGDESC), 0);
    struct mmu_update req = {slot_of(seg, 0), 0};
    EXPECT_EQ(fx_mmu_update(&req, 1, NULL, DOMID_SELF), -EBUSY);
    page_put_and_type(seg);
    EXPECT_EQ(update(fx_alloc(fx_other), 0, 1), -EINVAL);
}

TEST(addresses_that_are_no_entry_are_einval) {
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    EXPECT_EQ(update_by(t.l1, 0, 0, 4, DOMID_SELF), -EINVAL);
    struct mmu_update req = {FX_IO.n << PAGE_SHIFT, 0};
    EXPECT_EQ(fx_mmu_update(&req, 1, NULL, DOMID_SELF), -EINVAL);
    req.ptr = ~UINT64_C(3);
    EXPECT_EQ(fx_mmu_update(&req, 1, NULL, DOMID_SELF), -EINVAL);
}

TEST(the_m2p_is_written_for_frames_one_owns) {
    struct page *pg;

    fx_reset();
    pg = fx_alloc(fx_d);
    EXPECT_EQ(update_by(pg, 0, 99, MMU_MACHPHYS_UPDATE, DOMID_SELF), 0);
    EXPECT_EQ(m2p_table[page_to_mfn(pg).n], 99);
    EXPECT_EQ(update_by(fx_alloc(fx_other), 0, 99, MMU_MACHPHYS_UPDATE, DOMID_SELF), -EINVAL);
}

TEST(a_batch_stops_at_the_first_error_and_counts_the_rest) {
    struct fx_tree t;
    struct mmu_update req[5];
    unsigned int done;

    fx_reset();
    t = fx_live_tree();
    for (unsigned int i = 0; i < 5; i++)
        req[i] = (struct mmu_update){slot_of(t.l1, 10 + i), fx_pte(i == 3 ? t.l1 : t.data, FX_RW)};
    EXPECT_EQ(fx_mmu_update(req, 5, &done, DOMID_SELF), -EBUSY);
    EXPECT_EQ(done, 3);
    EXPECT_EQ(fx_table(t.l1)[14], 0);
    EXPECT_CONSISTENT();
    fx_work(true);
    EXPECT_EQ(fx_mmu_update(req, 5, &done, DOMID_SELF), -EBUSY);
    EXPECT_EQ(done, 3);
    EXPECT_EQ(fx_rounds, 4);
    EXPECT_CONSISTENT();
}

TEST(arguments_that_are_not_there_are_efault) {
    uint64_t arg[6] = {0, 1, 0, DOMID_SELF};

    fx_reset();
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), -EFAULT);
    arg[1] = 0;
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), 0);
    arg[2] = 8;
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), -EFAULT);
    arg[1] = UINT32_C(1) << 31;
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), -EFAULT);
}

TEST(frames_of_another_domain_need_the_right_to_it) {
    struct fx_tree t;
    struct page *foreign;

    fx_reset();
    t = fx_live_tree();
    foreign = fx_alloc(fx_other);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(foreign, FX_RW), 0, fx_other->domid), -EPERM);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(foreign, FX_RW), 0, 1234), -ESRCH);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(foreign, FX_RW), 0, DOMID_IO), -EPERM);
    fx_d->privileged = true;
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(foreign, FX_RW), 0, fx_other->domid), 0);
    EXPECT(foreign->type & PT_FOREIGN);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(t.data, FX_RW), 0, fx_other->domid), -EINVAL);
    EXPECT_EQ(page_get_and_type(foreign, fx_other, PAGE_L1), -EBUSY);
    EXPECT_EQ(update(t.l1, 9, fx_pte(foreign, FX_RO)), 0); /* less than before: no right asked */
    EXPECT_EQ(update(t.l1, 9, fx_pte(foreign, FX_RW)), -EINVAL);
    EXPECT_EQ(update(t.l1, 9, 0), 0);
    EXPECT_EQ(fx_other->refs, 0);
    EXPECT_EQ(fx_d->refs, 0);
}

TEST(hypervisor_frames_are_read_only_and_for_the_privileged) {
    struct fx_tree t;
    struct page *m2p;

    fx_reset();
    t = fx_live_tree();
    m2p = fx_alloc(dom_xen);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(m2p, FX_RO), 0, DOMID_XEN), -EPERM);
    fx_d->privileged = true;
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(m2p, FX_RO), 0, DOMID_XEN), 0);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(m2p, FX_RW), 0, DOMID_XEN), -EPERM);
    EXPECT_EQ(update(t.l1, 9, 0), 0);
}

TEST(io_frames_are_mapped_with_either_name_of_their_owner) {
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    fx_d->hardware = fx_d->privileged = true;
    EXPECT_EQ(update_by(t.l1, 9, FX_IO.n << PAGE_SHIFT | FX_RW, 0, DOMID_IO), 0);
    EXPECT_EQ(update(t.l1, 9, (FX_IO.n + 1) << PAGE_SHIFT | FX_RW), 0);
    EXPECT_EQ(update_by(t.l1, 9, FX_IO.n << PAGE_SHIFT | FX_RW, 0, fx_other->domid), -EPERM);
    EXPECT_EQ(update_by(t.l1, 9, fx_pte(t.data, FX_RW), 0, DOMID_IO), -EINVAL);
    EXPECT_EQ(update(t.l1, 9, (FX_IO.n + 1) << PAGE_SHIFT | FX_RO), 0);
    EXPECT_EQ(update(t.l1, 9, 0), 0);
}

TEST(the_tables_of_another_domain_can_be_named) {
    struct page *l1, *data;

    fx_reset();
    l1 = fx_alloc(fx_other), data = fx_alloc(fx_other);
    struct mmu_update req = {slot_of(l1, 4), fx_pte(data, FX_RW)};
    uint64_t arg[6] = {FX_GUEST, 1, 0, (fx_other->domid + 1) << 16 | fx_other->domid};
    memcpy(fx_guest, &req, sizeof(req));
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), -EPERM);
    fx_d->privileged = true;
    EXPECT_EQ(mmu_pin(fx_other, page_to_mfn(l1), PAGE_L1), 0);
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), 0);
    EXPECT_CONSISTENT();
    EXPECT_EQ(PT_COUNT(data->type), 1);
    EXPECT_EQ(fx_other->refs, 0);
    arg[3] = (DOMID_XEN + 1) << 16 | DOMID_SELF;
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), -ESRCH);
    arg[3] = (fx_d->domid + 1) << 16 | fx_d->domid; /* itself, by its number */
    EXPECT_EQ(hypercall_mmu_update(fx_v, arg), -EINVAL);
    EXPECT_EQ(fx_d->refs, 0);
}

TEST(a_dropped_tree_is_taken_apart_in_steps_and_the_call_goes_on) {
    struct fx_tree t, u;
    struct mmu_update req[3];
    unsigned int done;

    fx_reset();
    t = fx_live_tree();
    u = fx_tree();
    for (unsigned int i = 1; i < 100; i++)
        fx_table(u.l2)[i] = fx_table(u.l3)[i] = 0;
    for (unsigned int i = 1; i < 20; i++) {
        struct page *l1 = fx_alloc(fx_d);

        fx_table(l1)[i] = fx_pte(u.data, FX_RW);
        fx_table(u.l2)[i] = fx_pte(l1, FX_RW);
    }
    fx_work(true);
    req[0] = (struct mmu_update){slot_of(t.l4, 3), fx_pte(u.l3, FX_RW)};
    req[1] = (struct mmu_update){slot_of(t.l4, 3), 0};
    req[2] = (struct mmu_update){slot_of(t.l4, 4), 0};
    EXPECT_EQ(fx_mmu_update(req, 3, &done, DOMID_SELF), 0);
    EXPECT_EQ(done, 3);
    EXPECT(fx_rounds > 38);
    EXPECT_EQ(PT_COUNT(u.data->type), 0);
    EXPECT_CONSISTENT();
}

static long update_va(uint64_t va, uint64_t val, uint64_t flags) {
    uint64_t arg[6] = {va, val, flags};
    long rc = hypercall_update_va_mapping(fx_v, arg);

    EXPECT_CONSISTENT();
    return rc;
}

TEST(update_va_mapping_finds_the_entry_by_address) {
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    EXPECT_EQ(update_va(12 * PAGE_SIZE + 5, fx_pte(t.data, FX_RW), 0), 0);
    EXPECT_EQ(fx_table(t.l1)[12], fx_pte(t.data, FX_RW));
    EXPECT_EQ(update_va(12 * PAGE_SIZE, fx_pte(t.l1, FX_RW), 0), -EBUSY);
    EXPECT_EQ(update_va(MIB(2), 0, 0), -EINVAL);
    EXPECT_EQ(update_va(GIB(1), 0, 0), -EINVAL);
    EXPECT_EQ(update_va(GIB(512), 0, 0), -EINVAL);
    EXPECT_EQ(update_va(UINT64_C(0xffff800000000000), 0, 0), -EINVAL);
    EXPECT_EQ(update_va(UINT64_C(0x0000800000000000), 0, 0), -EINVAL);
    EXPECT_EQ(update_va(UINT64_C(0xffff7fffffffffff), 0, 0), -EINVAL);
}

TEST(update_va_mapping_flushes_what_and_where_it_is_told) {
    uint64_t vcpus = 1 << 2 | UINT64_C(0xff) << 40;

    fx_reset();
    fx_live_tree();
    fx_flushes_all = fx_flushes_one = 0;
    memset(&fx_flushed, 0, sizeof(fx_flushed));
    EXPECT_EQ(update_va(PAGE_SIZE, 0, UVMF_NONE), 0);
    EXPECT_EQ(fx_flushes_all + fx_flushes_one, 0);
    EXPECT_EQ(update_va(PAGE_SIZE, 0, UVMF_TLB_FLUSH | UVMF_LOCAL), 0);
    EXPECT_EQ(fx_flushes_all, 1);
    EXPECT_EQ(update_va(PAGE_SIZE, 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    EXPECT_EQ(fx_flushes_one, 1);
    EXPECT_EQ(cpumask_weight(&fx_flushed), 0);
    EXPECT_EQ(update_va(PAGE_SIZE, 0, UVMF_INVLPG | UVMF_ALL), 0);
    EXPECT_EQ(fx_flushes_one, 2);
    EXPECT_EQ(cpumask_weight(&fx_flushed), FX_CPUS);
    memcpy(fx_guest, &vcpus, sizeof(vcpus));
    EXPECT_EQ(update_va(PAGE_SIZE, 0, UVMF_TLB_FLUSH | FX_GUEST), 0);
    EXPECT_EQ(fx_flushes_all, 2);
    EXPECT_EQ(fx_flushed.bits[0], 1 << 2);
    EXPECT_EQ(update_va(PAGE_SIZE, 0, UVMF_TLB_FLUSH | 0x100), -EFAULT);
}

TEST(asking_the_tables_for_rights) {
    struct fx_tree t;

    fx_reset();
    t = fx_live_tree();
    EXPECT(mmu_access_ok(fx_v, PAGE_SIZE, true, false, true));
    EXPECT(mmu_access_ok(fx_v, 0, false, false, false));
    EXPECT(!mmu_access_ok(fx_v, 0, true, false, false));
    EXPECT(!mmu_access_ok(fx_v, PAGE_SIZE, false, true, false)); /* no user table */
    EXPECT(!mmu_access_ok(fx_v, 2 * PAGE_SIZE, false, false, false));
    EXPECT(!mmu_access_ok(fx_v, UINT64_C(0xffff800000000000), false, false, false));
    fx_table(t.l3)[0] &= ~PTE_RW;
    EXPECT(!mmu_access_ok(fx_v, PAGE_SIZE, true, false, false));
    fx_table(t.l2)[0] |= PTE_NX;
    EXPECT(!mmu_access_ok(fx_v, PAGE_SIZE, false, false, true));
    EXPECT(mmu_access_ok(fx_v, PAGE_SIZE, false, false, false));
    fx_table(t.l2)[0] = FX_IO.n << PAGE_SHIFT | FX_RW; /* rubbish on the way, as in a race */
    EXPECT(!mmu_access_ok(fx_v, PAGE_SIZE, false, false, false));
}

/* ---- everything at once ---- */

#define POOL 24

static struct page *pool[POOL];

/* One mmu_update from an area of the vcpu's own; may be preempted. */
static long update_once(struct vcpu *v, const struct page *pg, unsigned int i, uint64_t val,
                        bool preserve_ad) {
    struct mmu_update req = {slot_of(pg, i) | (preserve_ad ? MMU_PT_UPDATE_PRESERVE_AD : 0), val};
    uint64_t arg[6] = {FX_GUEST + 1024 + v->id * sizeof(req), 1, 0, DOMID_SELF};

    memcpy(fx_guest + 1024 + v->id * sizeof(req), &req, sizeof(req));
    return hypercall_mmu_update(v, arg);
}

/* One random operation on a pool of frames, as vcpu `cpu`. */
static void random_step(unsigned int *seed) {
    struct page *pg = pool[rand_r(seed) % POOL], *target = pool[rand_r(seed) % POOL];
    unsigned int r = rand_r(seed), slot = r >> 8 & 1 ? 0 : 511 - (r >> 9 & 3);
    struct vcpu *v = current_vcpu();
    uint64_t flags = PTE_P | (r & 16 ? PTE_RW : 0) | (r & 32 ? PTE_US : 0) | (r & 64 ? PTE_A : 0);
    int rc = 0;

    fx_work(r & 0x8000);
    switch (r & 15) {
    case 0:
        rc = mmu_pin(fx_d, page_to_mfn(pg), PAGE_L1 + (r >> 12 & 3));
        break;
    case 1:
    case 2:
        rc = mmu_unpin(fx_d, page_to_mfn(pg));
        break;
    case 3:
        rc = mmu_new_kernel_base(v, page_to_mfn(pg));
        break;
    case 4:
        rc = mmu_new_user_base(v, r & 0x400 ? page_to_mfn(pg) : mfn_of(0));
        break;
    default:
        rc = (int)update_once(v, pg, slot, r & 0x10000 ? 0 : fx_pte(target, flags), r & 128);
        break;
    }
    if (rc != -ERESTART || r & 1) /* sometimes nobody comes back */
        rc = mmu_unwind_finish(v);
}

static void settle(unsigned int cpu) {
    fx_become(cpu);
    fx_work(false);
    EXPECT_EQ(mmu_unwind_finish(current_vcpu()), 0);
}

static void make_pool(unsigned int seed) {
    fx_reset();
    for (unsigned int i = 0; i < POOL; i++)
        pool[i] = fx_alloc(fx_d);
    srand(seed);
}

TEST(random_operations_keep_every_count_right) {
    for (unsigned int seed = 1; seed <= 200; seed++) {
        unsigned int s = seed;

        make_pool(seed);
        for (unsigned int i = 0; i < 300; i++) {
            fx_become(rand_r(&s) % FX_CPUS);
            random_step(&s);
            if (!fx_consistent_held(NULL)) {
                test_fail(__FILE__, __LINE__, "seed %u, step %u", seed, i);
                return;
            }
        }
    }
}

static void *racer(void *arg) {
    unsigned int cpu = (unsigned int)(uintptr_t)arg, s = cpu + (unsigned int)rand();

    fx_become(cpu);
    for (unsigned int i = 0; i < 2000; i++)
        random_step(&s);
    return NULL;
}

TEST(vcpus_that_race_on_the_same_tables_keep_every_count_right) {
    for (unsigned int seed = 1; seed <= 20; seed++) {
        pthread_t thread[FX_CPUS];

        make_pool(seed);
        for (uintptr_t i = 0; i < FX_CPUS; i++)
            pthread_create(&thread[i], NULL, racer, (void *)i);
        for (unsigned int i = 0; i < FX_CPUS; i++)
            pthread_join(thread[i], NULL);
        for (unsigned int i = 0; i < FX_CPUS; i++)
            settle(i);
        fx_become(0);
        EXPECT_CONSISTENT();
        for (unsigned int i = 0; i < FX_CPUS; i++)
            EXPECT_EQ(mmu_drop_bases(fx_d->vcpu[i]), 0);
        fx_d->life = DOMAIN_DYING;
        EXPECT_EQ(mmu_relinquish(fx_d), 0);
        EXPECT(fx_all_free());
        EXPECT_CONSISTENT();
    }
}
