/*
 * The machine for host programs. Link arch/fake/fake.c (RAM, cpus, TLB, clocks), arch/fake/guest.c
 * (guest memory) and arch/fake/stubs.c (the rest of the seam; every function there is weak, so a
 * test may define its own). Include paths: hypervisor/arch/fake for <machine/...>.
 */
#ifndef ARCH_FAKE_FAKE_H
#define ARCH_FAKE_FAKE_H

#include "arch/cpu.h"
#include "arch/irq.h"
#include "arch/mm.h"
#include "arch/time.h"
#include "lib/types.h"

/*
 * Build the machine: nr_frames of RAM filled with rubbish, all but frame 0 in the heap (if heap.c
 * is linked), and the calling thread as cpu 0. The hypervisor's state is static and outlives a
 * test, so the RAM does, too: later calls only check that the size is the same and do
 * fake_reset().
 */
void fake_machine_init(uint64_t nr_frames);

/*
 * Nothing recorded, nothing injected, no guest memory, interrupts on, no current vcpu; this
 * thread is cpu 0.
 */
void fake_reset(void);

/* The calling thread is cpu `id` from now on; the cpu is made and brought online if need be. */
void fake_cpu_enter(unsigned int id);

/* Frames [start, start + nr) are no RAM: arch_mfn_is_ram() says so. One hole; nr 0: none. */
void fake_set_hole(mfn_t start, uint64_t nr);

/* Clocks: one TSC tick is one nanosecond unless the scale is changed. */
extern struct fake_clock {
    uint64_t tsc;
    struct tsc_scale scale;
    bool stable;
    uint64_t khz, wallclock;
} fake_clock;

/*
 * Guest memory, one of two ways:
 *   page tables     if the current vcpu has a kernel_l4, addresses are walked through its tables in
 *                   fake RAM; entries need P and US, writes RW, in every level
 *   host pointers   else an address is a pointer of the host program, inside a registered region
 */
void fake_guest_memory(void *ptr, size_t len);
static inline guest_va_t fake_guest_va(const void *ptr) {
    return (guest_va_t){(uintptr_t)ptr};
}

/* What can go wrong with guest memory. Every copy_from/to_guest and clear_guest is one access. */
extern struct fake_guest {
    unsigned long accesses; /* so far */
    unsigned long fail_at;  /* the access that returns -EFAULT, having copied half; 0: none */
    void (*after_read)(guest_va_t at, size_t len); /* where another vcpu may strike */
    unsigned long double_fetches; /* reads of a byte read before and not written since (by us) */
    guest_va_t double_fetch;      /* the last of them */
} fake_guest;

/* A hypercall begins: what was read before does not count as fetched. */
void fake_guest_begin(void);

/*
 * Memory that runs out. Link arch/fake/alloc-fail.c, with
 *   flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array
 */
extern struct fake_alloc {
    unsigned long calls;     /* so far */
    unsigned long fail_at;   /* the call with this number fails; 0: none */
    unsigned long fail_from; /* this one and all later ones fail; 0: none */
} fake_alloc;

/* What the stubs were told last, and may be told to answer. */
#define FAKE_MSRS 16
extern struct fake_record {
    unsigned int context_switches, loads, idle_loads, l4_installs, windows, descriptor_loads;
    unsigned int waits, power_offs, reboots;
    uint64_t segment_base[3];
    struct {
        uint32_t msr;
        bool present;
        uint64_t value;
    } msr[FAKE_MSRS];
    struct {
        uint16_t port;
        unsigned int size;
        uint32_t value;
        unsigned int reads, writes;
    } port;
    struct {
        uint16_t pm1a, pm1b;
        unsigned int state;
    } sleep;
    struct {
        bool setup, level, low, enabled;
        unsigned int cpu, eois;
    } irq[NR_IRQS];
    unsigned int msis, msi_restores;
    uint32_t pci[256][64]; /* configuration space of bus 0 by devfn, 0xffffffff: nothing there */
    char console[4096];    /* what arch_console_write() got, wrapping */
    size_t console_len;
} fake_record;

#endif
