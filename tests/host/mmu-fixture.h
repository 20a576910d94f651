/*
 * A machine of a few hundred frames and two domains for the tests of pv/mmu-*.c, and an oracle that
 * counts every reference anew.
 */
#ifndef MMU_FIXTURE_H
#define MMU_FIXTURE_H

#include "core/cpu.h"
#include "core/domain.h"
#include "core/page.h"
#include "pv/mmu.h"
#include "test.h"

#define FX_FRAMES     768 /* RAM; the 64 frames above are I/O */
#define FX_IO         (mfn_of(FX_FRAMES + 1))
#define FX_CPUS       4
#define FX_GUEST      UINT64_C(0x7f0000000000) /* guest addresses FX_GUEST.. are fx_guest[] */
#define FX_GUEST_SIZE 16384

extern struct domain *fx_d, *fx_other; /* a plain guest with FX_CPUS vcpus; another domain */
extern struct vcpu *fx_v;              /* fx_d's vcpu 0, current on cpu 0 */
extern uint8_t fx_guest[FX_GUEST_SIZE];
extern unsigned int fx_flushes_all, fx_flushes_one, fx_loads, fx_injected, fx_freed;
extern cpumask_t fx_flushed; /* cpus of the last _mask call */
extern unsigned int
    fx_preempt_in; /* work turns up at the n-th frame looked up from now; 0: never */

/* A fresh machine. */
void fx_reset(void);
/* Run on this cpu as fx_d's vcpu of that number. */
void fx_become(unsigned int cpu);

/* A zeroed frame of a domain. */
struct page *fx_alloc(struct domain *d);
static inline uint64_t fx_pte(const struct page *pg, uint64_t flags) {
    return page_to_mfn(pg).n << PAGE_SHIFT | flags;
}
static inline uint64_t *fx_table(const struct page *pg) {
    return page_to_virt(pg);
}
#define FX_RO (PTE_P | PTE_US | PTE_A | PTE_GUEST_KERNEL)
#define FX_RW (FX_RO | PTE_RW | PTE_D)

/* L4 -> L3 -> L2 -> L1 -> data, all through entry 0, of fx_d; nothing typed yet. */
struct fx_tree {
    struct page *l4, *l3, *l2, *l1, *data;
};
struct fx_tree fx_tree(void);
/*
 * The same, pinned and loaded as kernel base of fx_v, L1 and data mapped read-only/read-write at va
 * 0, 4096.
 */
struct fx_tree fx_live_tree(void);

/*
 * Count all references and types anew and compare. `held`: a page the test holds a reference of, or
 * NULL.
 */
bool fx_consistent_held(const struct page *held);
#define EXPECT_CONSISTENT() EXPECT(fx_consistent_held(NULL))
/* No table, no mapping, no pin is left: every frame has its allocation reference alone. */
bool fx_all_free(void);

/* Say yes to preemption always / never. */
static inline void fx_work(bool on) {
    this_cpu()->work = on;
}

/* Hypercalls, until they no longer ask to be called again; *rounds counts. */
long fx_mmu_update(const void *reqs, unsigned int n, unsigned int *done, domid_t domid);
long fx_mmuext(const void *ops, unsigned int n, unsigned int *done, domid_t domid);
extern unsigned int fx_rounds;

#endif
