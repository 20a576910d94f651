/* mmuext_op: pinning, page-table bases, TLB flushes, LDT. */
#include <abi/xen.h>

#include "core/cpu.h"
#include "lib/string.h"
#include "pv/hypercall.h"
#include "pv/mmu-batch.h"
#include "pv/mmu.h"

#define LDT_MAX_ENTRIES 8192

struct mmuext_batch {
    struct domain *owner; /* whose frames: the caller, or a domain it builds */
    struct mmu_flush flush;
};

void mmu_flush_add(struct mmu_flush *f, const cpumask_t *cpus, bool all, uint64_t va) {
    if (all || (f->what != MMU_FLUSH_NONE && (f->what == MMU_FLUSH_ALL || f->va != va)))
        f->what = MMU_FLUSH_ALL;
    else
        f->what = MMU_FLUSH_ONE;
    f->va = va;
    for (unsigned int i = 0; i < ARRAY_LEN(f->cpus.bits); i++)
        f->cpus.bits[i] |= READ_ONCE(cpus->bits[i]);
}

void mmu_flush_add_local(struct mmu_flush *f, bool all, uint64_t va) {
    cpumask_t self = {{0}};

    self.bits[this_cpu()->id / BITS_PER_WORD] = BIT(this_cpu()->id % BITS_PER_WORD);
    mmu_flush_add(f, &self, all, va);
}

int mmu_flush_cpus(struct domain *d, guest_va_t vcpu_bitmap, cpumask_t *cpus) {
    uint64_t vcpus[BIT_WORDS(NR_CPUS * 4)] = {0};
    unsigned int n = MIN(d->max_vcpus, sizeof(vcpus) * 8), id;

    if (copy_from_guest(vcpus, vcpu_bitmap, DIV_ROUND_UP(n, 8)))
        return -EFAULT;
    memset(cpus, 0, sizeof(*cpus));
    for (id = bit_next(vcpus, n, 0); id < n; id = bit_next(vcpus, n, id + 1)) {
        struct vcpu *v = d->vcpu[id];

        if (v)
            cpumask_set(cpus, READ_ONCE(v->sched.cpu));
    }
    *cpus = cpumask_and(cpus, &d->dirty_cpus);
    return 0;
}

void mmu_flush_issue(const struct mmu_flush *f) {
    cpumask_t others = f->cpus;
    bool self = cpumask_test(&others, this_cpu()->id);

    if (f->what == MMU_FLUSH_NONE)
        return;
    cpumask_clear(&others, this_cpu()->id);
    if (self && cpumask_empty(&others)) {
        if (f->what == MMU_FLUSH_ALL)
            arch_tlb_flush_local();
        else
            arch_tlb_flush_one_local(f->va);
    } else if (f->what == MMU_FLUSH_ALL) {
        arch_tlb_flush_mask(&f->cpus);
    } else {
        arch_tlb_flush_one_mask(&f->cpus, f->va);
    }
}

int mmu_pin(struct domain *d, mfn_t mfn, enum page_type type) {
    struct page *pg = mfn_to_page(mfn);
    int rc = mmu_get_table(current_vcpu(), d, mfn, type);

    if (rc)
        return rc;
    if (__atomic_fetch_or(&pg->type, PT_PINNED, __ATOMIC_SEQ_CST) & PT_PINNED) {
        mmu_drop(current_vcpu(), pg);
        return -EINVAL;
    }
    /* The pins of a dying domain are being taken away: if this one came too late to be seen, undo
     * it. */
    if (unlikely(READ_ONCE(d->life) != DOMAIN_ALIVE) &&
        __atomic_fetch_and(&pg->type, ~PT_PINNED, __ATOMIC_SEQ_CST) & PT_PINNED)
        mmu_drop(current_vcpu(), pg);
    return 0;
}

int mmu_unpin(struct domain *d, mfn_t mfn) {
    struct page *pg = mfn_lookup(mfn);
    int rc = -EINVAL;

    if (!pg || !page_get(pg, d))
        return -EINVAL;
    if (__atomic_fetch_and(&pg->type, ~PT_PINNED, __ATOMIC_SEQ_CST) & PT_PINNED) {
        mmu_drop(current_vcpu(), pg);
        rc = 0;
    }
    page_put(pg);
    return rc;
}

static int new_base(struct vcpu *v, mfn_t *base, uint64_t *cr3, mfn_t mfn) {
    bool is_kernel = base == &v->arch.kernel_l4;
    mfn_t old = *base;
    int rc = mmu_unwind_finish(v);

    if (!rc && mfn.n && old.n != mfn.n)
        rc = mmu_get_table(v, v->domain, mfn, PAGE_L4);
    if (rc)
        return rc;
    *base = mfn;
    *cr3 = mfn.n << PAGE_SHIFT;
    if (is_kernel && v == current_vcpu()) {
        arch_load_page_table(v); /* no cpu walks the old one from here on */
        arch_tlb_flush_local();  /* entries of guest user mode are global */
    }
    if (old.n && old.n != mfn.n)
        mmu_drop(v, mfn_to_page(old));
    return mmu_unwind_finish(v);
}

int mmu_new_kernel_base(struct vcpu *v, mfn_t mfn) {
    return mfn.n ? new_base(v, &v->arch.kernel_l4, &v->arch.kernel_cr3, mfn) : -EINVAL;
}

int mmu_new_user_base(struct vcpu *v, mfn_t mfn) {
    return new_base(v, &v->arch.user_l4, &v->arch.user_cr3, mfn);
}

typedef int (*mmuext_fn)(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op);

static int do_pin(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    (void)curr;
    return mmu_pin(b->owner, mfn_of(op->arg1.mfn), PAGE_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE));
}

static int do_unpin(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    (void)curr;
    return mmu_unpin(b->owner, mfn_of(op->arg1.mfn));
}

static int do_new_base(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    mfn_t mfn = mfn_of(op->arg1.mfn);

    (void)b;
    return op->cmd == MMUEXT_NEW_BASEPTR ? mmu_new_kernel_base(curr, mfn)
                                         : mmu_new_user_base(curr, mfn);
}

static int do_flush_local(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    (void)curr;
    mmu_flush_add_local(&b->flush, op->cmd == MMUEXT_TLB_FLUSH_LOCAL, op->arg1.linear_addr);
    return 0;
}

static int do_flush_multi(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    cpumask_t cpus;
    int rc = mmu_flush_cpus(curr->domain, op->arg2.vcpumask, &cpus);

    if (!rc)
        mmu_flush_add(&b->flush, &cpus, op->cmd == MMUEXT_TLB_FLUSH_MULTI, op->arg1.linear_addr);
    return rc;
}

static int do_flush_all(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    mmu_flush_add(&b->flush, &curr->domain->dirty_cpus, op->cmd == MMUEXT_TLB_FLUSH_ALL,
                  op->arg1.linear_addr);
    return 0;
}

static int do_set_ldt(struct vcpu *curr, struct mmuext_batch *b, const struct mmuext_op *op) {
    uint64_t base = op->arg1.linear_addr;
    uint32_t entries = op->arg2.nr_ents;

    (void)b;
    if (base & ~PAGE_MASK || entries > LDT_MAX_ENTRIES)
        return -EINVAL;
    if (curr->arch.ldt_base != base || curr->arch.ldt_entries != entries)
        pv_set_ldt(curr, base, entries);
    return 0;
}

static const struct mmuext_cmd {
    mmuext_fn run;
    bool foreign; /* may act on another domain's frames */
} mmuext_cmds[] = {
    [MMUEXT_PIN_L1_TABLE] = {do_pin, true},
    [MMUEXT_PIN_L2_TABLE] = {do_pin, true},
    [MMUEXT_PIN_L3_TABLE] = {do_pin, true},
    [MMUEXT_PIN_L4_TABLE] = {do_pin, true},
    [MMUEXT_UNPIN_TABLE] = {do_unpin, true},
    [MMUEXT_NEW_BASEPTR] = {do_new_base, false},
    [MMUEXT_TLB_FLUSH_LOCAL] = {do_flush_local, false},
    [MMUEXT_INVLPG_LOCAL] = {do_flush_local, false},
    [MMUEXT_TLB_FLUSH_MULTI] = {do_flush_multi, false},
    [MMUEXT_INVLPG_MULTI] = {do_flush_multi, false},
    [MMUEXT_TLB_FLUSH_ALL] = {do_flush_all, false},
    [MMUEXT_INVLPG_ALL] = {do_flush_all, false},
    [MMUEXT_SET_LDT] = {do_set_ldt, false},
    [MMUEXT_NEW_USER_BASEPTR] = {do_new_base, false},
};

static int mmuext_one(struct vcpu *curr, void *context, const void *request) {
    struct mmuext_batch *b = context;
    const struct mmuext_op *op = request;
    const struct mmuext_cmd *cmd;

    if (op->cmd >= ARRAY_LEN(mmuext_cmds))
        return op->cmd <= MMUEXT_UNMARK_SUPER ? -EOPNOTSUPP : -ENOSYS;
    cmd = &mmuext_cmds[index_nospec(op->cmd, ARRAY_LEN(mmuext_cmds))];
    if (!cmd->run)
        return -EOPNOTSUPP;
    if (!cmd->foreign && b->owner != curr->domain)
        return -EPERM;
    return cmd->run(curr, b, op);
}

static NOINLINE long mmuext_batch(struct vcpu *curr, uint64_t arg[6]) {
    struct mmuext_batch b = {.flush.what = MMU_FLUSH_NONE};
    struct mmuext_op op;
    long rc = mmu_get_owner(curr, (domid_t)arg[3], false, &b.owner);

    if (rc)
        return rc;
    rc = mmu_batch_run(curr, arg, &op, sizeof(op), mmuext_one, &b);
    mmu_flush_issue(&b.flush);
    mmu_put_owner(curr, b.owner);
    return rc;
}

static NOINLINE long mmuext_plain(struct vcpu *curr, uint64_t arg[6], const struct mmuext_op *op) {
    struct mmuext_batch b = {.owner = curr->domain, .flush.what = MMU_FLUSH_NONE};
    int rc = mmu_unwind_finish(curr);

    if (!rc)
        rc = mmuext_one(curr, &b, op);
    mmu_flush_issue(&b.flush);
    return mmu_batch_plain_end(curr, arg, rc);
}

long hypercall_mmuext_op(struct vcpu *curr, uint64_t arg[6]) {
    struct mmuext_op op;

    if (!mmu_batch_is_plain(arg))
        return mmuext_batch(curr, arg);
    if (copy_pair_from_guest((uint64_t *)&op, (guest_va_t){arg[0]}))
        return -EFAULT;
    /* A flush of this cpu alone: what a guest asks for most, and it has no second operand. */
    if (likely(op.cmd == MMUEXT_INVLPG_LOCAL))
        arch_tlb_flush_one_local(op.arg1.linear_addr);
    else if (op.cmd == MMUEXT_TLB_FLUSH_LOCAL)
        arch_tlb_flush_local();
    else if (copy_from_guest(&op.arg2, (guest_va_t){arg[0] + offsetof(struct mmuext_op, arg2)},
                             sizeof(op.arg2)))
        return -EFAULT;
    else
        return mmuext_plain(curr, arg, &op);
    return 0;
}
