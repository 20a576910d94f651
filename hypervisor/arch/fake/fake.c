/* RAM, cpus, TLB flushes and clocks of the fake machine. */
#include "arch/fake/fake.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cpu.h"
#include "core/page.h"

#define WEAK __attribute__((weak))

_Thread_local struct cpu *fake_cpu;
struct page *frame_table;
uint64_t *m2p_table;
uint8_t *fake_ram;
uint64_t max_mfn;
struct fake_clock fake_clock;

/* Real ones are in core/cpu.c, core/tlb.c and core/heap.c; a test need not link them. */
WEAK struct cpu *cpus[NR_CPUS];
WEAK cpumask_t cpus_online;
WEAK unsigned int nr_cpus_online;
WEAK uint32_t tlb_epoch;
extern WEAK void heap_add_range(mfn_t start, uint64_t nr_frames);
/* In the other files of the fake machine. */
WEAK void fake_guest_reset(void) {
}
WEAK void fake_stubs_reset(void) {
}
WEAK void fake_alloc_reset(void) {
}

static uint64_t hole_start, hole_nr;

static void *map(size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        abort();
    return at;
}

void fake_machine_init(uint64_t nr_frames) {
    bool first = !fake_ram;

    if (first) {
        max_mfn = nr_frames;
        fake_ram = map(nr_frames << PAGE_SHIFT);
        frame_table = map(nr_frames * sizeof(struct page));
        m2p_table = map(nr_frames * sizeof(uint64_t));
        memset(fake_ram, 0xa5, nr_frames << PAGE_SHIFT);
        memset(m2p_table, 0xff, nr_frames * sizeof(uint64_t));
    }
    if (max_mfn != nr_frames)
        abort(); /* one machine a program */
    fake_reset();
    if (first && heap_add_range)
        heap_add_range(mfn_of(0), nr_frames);
}

void fake_cpu_enter(unsigned int id) {
    if (!cpus[id]) {
        struct cpu *cpu = calloc(1, sizeof(*cpu));

        cpu->id = id;
        cpu->holds_guest = true; /* so that tests see who is flushed */
        cpu->online = cpu->arch.irqs_on = true;
        cpu->arch.timer_deadline_ns = UINT64_MAX;
        cpu->flush_epoch = tlb_epoch;
        __atomic_store_n(&cpus[id], cpu, __ATOMIC_RELEASE);
        cpumask_set(&cpus_online, id);
        __atomic_fetch_add(&nr_cpus_online, 1, __ATOMIC_SEQ_CST);
    }
    fake_cpu = cpus[id];
}

void fake_reset(void) {
    unsigned int id;

    fake_cpu_enter(0);
    cpumask_for_each(id, &cpus_online) {
        memset(&cpus[id]->arch, 0, sizeof(cpus[id]->arch));
        cpus[id]->arch.irqs_on = true;
        cpus[id]->arch.timer_deadline_ns = UINT64_MAX;
        cpus[id]->current = NULL;
        cpus[id]->work = 0;
        cpus[id]->lock_rank = 0;
    }
    hole_nr = 0;
    fake_clock = (struct fake_clock){.scale = {.mul_frac = UINT32_C(1) << 31, .shift = 1},
                                     .stable = true,
                                     .khz = 1000000,
                                     .wallclock = 1700000000};
    fake_guest_reset();
    fake_stubs_reset();
    fake_alloc_reset();
}

void fake_set_hole(mfn_t start, uint64_t nr) {
    hole_start = start.n;
    hole_nr = nr;
}

bool arch_mfn_is_ram(mfn_t mfn) {
    return mfn.n < max_mfn && mfn.n - hole_start >= hole_nr;
}

uint64_t irq_save(void) {
    bool was_on = fake_cpu->arch.irqs_on;

    fake_cpu->arch.irqs_on = false;
    return was_on;
}
void irq_restore(uint64_t flags) {
    fake_cpu->arch.irqs_on = flags;
}
void irq_disable(void) {
    fake_cpu->arch.irqs_on = false;
}
void irq_enable(void) {
    fake_cpu->arch.irqs_on = true;
}
bool irq_enabled(void) {
    return fake_cpu->arch.irqs_on;
}
/* Not sched_yield(): core has a function of that name. */
void cpu_relax(void) {
    syscall(SYS_sched_yield);
}

WEAK uint8_t *arch_cpu_lock_rank(void) {
    return &fake_cpu->lock_rank;
}
WEAK void arch_cpu_kick(unsigned int cpu) {
    __atomic_fetch_add(&cpus[cpu]->arch.kicks, 1, __ATOMIC_SEQ_CST);
}

void arch_page_clear(void *page) {
    memset(page, 0, PAGE_SIZE);
}
void arch_page_copy(void *dst, const void *src) {
    memcpy(dst, src, PAGE_SIZE);
}

static void flush(struct cpu *cpu) {
    WRITE_ONCE(cpu->flush_epoch, READ_ONCE(tlb_epoch));
    __atomic_fetch_add(&cpu->arch.flushes, 1, __ATOMIC_SEQ_CST);
}
WEAK void arch_tlb_flush_local(void) {
    flush(fake_cpu);
}
WEAK void arch_tlb_flush_mask(const cpumask_t *mask) {
    unsigned int id;

    cpumask_for_each(id, mask)
        flush(cpus[id]);
}
static void flush_one(struct cpu *cpu, uint64_t va) {
    cpu->arch.flushed_va = va;
    __atomic_fetch_add(&cpu->arch.flushes_one, 1, __ATOMIC_SEQ_CST);
}
WEAK void arch_tlb_flush_one_local(uint64_t va) {
    flush_one(fake_cpu, va);
}
WEAK void arch_tlb_flush_one_mask(const cpumask_t *mask, uint64_t va) {
    unsigned int id;

    cpumask_for_each(id, mask)
        flush_one(cpus[id], va);
}

WEAK uint64_t arch_read_tsc(void) {
    return fake_clock.tsc;
}
WEAK const struct tsc_scale *arch_tsc_scale(void) {
    return &fake_clock.scale;
}
WEAK bool arch_tsc_is_stable(void) {
    return fake_clock.stable;
}
WEAK uint64_t arch_tsc_khz(void) {
    return fake_clock.khz;
}
WEAK void arch_timer_program(uint64_t deadline_ns) {
    fake_cpu->arch.timer_deadline_ns = deadline_ns;
}
WEAK uint64_t arch_wallclock_read(void) {
    return fake_clock.wallclock;
}
