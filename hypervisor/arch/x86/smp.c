#include "arch/x86/smp.h"

#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/clock.h"
#include "arch/x86/entry.h"
#include "arch/x86/memory-map.h"
#include "arch/x86/percpu.h"
#include "arch/x86/processor.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "core/heap.h"
#include "lib/bug.h"
#include "lib/string.h"

static INIT_DATA unsigned int opt_maxcpus = NR_CPUS;
OPTION_UINT("maxcpus", opt_maxcpus, "use no more than this many processors");

/* boot.S: the 16-bit code, and the stack of the processor being started. */
extern const char trampoline_start[], trampoline_end[];
extern uint64_t ap_stack;

#define STARTUP_TIMEOUT_US 100000

/* ---- do the time stamp counters agree? ---- */

/* Two cpus take turns; each must see a counter above what the other has seen. */
#define TSC_ROUNDS 500
static INIT_DATA struct {
    uint64_t last;
    unsigned int arrived;
    uint32_t turn;                   /* ticket of a two-cpu lock */
    bool warp;
} tsc_check;

static INIT_TEXT void tsc_check_run(void) {
    __atomic_add_fetch(&tsc_check.arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&tsc_check.arrived, __ATOMIC_ACQUIRE) % 2)
        cpu_relax();
    for (unsigned int i = 0; i < TSC_ROUNDS; i++) {
        uint64_t now;

        while (__atomic_exchange_n(&tsc_check.turn, 1, __ATOMIC_ACQUIRE))
            cpu_relax();
        now = rdtsc_ordered();
        if (now < tsc_check.last)
            tsc_check.warp = true;
        tsc_check.last = now;
        __atomic_store_n(&tsc_check.turn, 0, __ATOMIC_RELEASE);
    }
}

/* ---- starting them ---- */

void cpu_online(struct cpu *cpu) {
    cpumask_set(&cpus_online, cpu->id);
    __atomic_add_fetch(&nr_cpus_online, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
}

static bool released;

/* Not boot code itself: the boot cpu frees that as soon as all are online. */
static NOINLINE _Noreturn void run(struct cpu *cpu) {
    cpu_online(cpu);
    while (!READ_ONCE(released))
        arch_cpu_wait();
    cpu_do_work();
    enter_guest();
}

/* From boot.S, on the new cpu, on its own stack and the final page tables. */
_Noreturn void ap_main(void);
_Noreturn INIT_TEXT void ap_main(void) {
    struct cpu *cpu = this_cpu();

    cpu_features_enable();
    percpu_load(cpu->arch.gdt);
    apic_cpu_init(cpu);
    cpu_entry_init(cpu);
    cpu->arch.cr4 = cr4_policy;
    tsc_check_run();
    run(cpu);
}

static INIT_TEXT bool wait_online(const struct cpu *cpu, uint64_t us) {
    for (; us && !__atomic_load_n(&tsc_check.arrived, __ATOMIC_ACQUIRE); us--)
        clock_delay_us(1);
    if (!us)
        return false;
    tsc_check_run();
    while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
        cpu_relax();
    return true;
}

static INIT_TEXT bool start_cpu(unsigned int id, uint32_t apic_id, uint8_t page) {
    if (percpu_create(id))
        panic("too little memory for processor %u", id);
    cpus[id]->arch.apic_id = apic_id;
    cpu_core_init(id);
    ap_stack = (uintptr_t)cpus[id];
    tsc_check.arrived = 0;

    apic_send_init(apic_id);
    clock_delay_us(200);
    apic_send_startup(apic_id, page);
    if (wait_online(cpus[id], STARTUP_TIMEOUT_US / 10))
        return true;
    apic_send_startup(apic_id, page);
    return wait_online(cpus[id], STARTUP_TIMEOUT_US);
}

/* The low page that the new processors start in is needed no longer than this. */
INIT_TEXT void smp_init(void) {
    unsigned int most = MIN(MIN(acpi.nr_cpus, NR_CPUS), MAX(opt_maxcpus, 1)), next = 1;
    uint32_t self = this_cpu()->arch.apic_id;

    if (acpi.nr_cpus > NR_CPUS)
        pr_warn("this machine has %u processors, Hospes uses the first %u\n", acpi.nr_cpus,
                NR_CPUS);
    memcpy(phys_to_virt(low_page), trampoline_start, (size_t)(trampoline_end - trampoline_start));
    for (unsigned int i = 0; i < MIN(acpi.nr_cpus, NR_CPUS); i++) {
        if (acpi.cpu[i].apic_id == self) {
            cpus[0]->arch.acpi_id = acpi.cpu[i].acpi_id;
        } else if (next < most) {
            if (!start_cpu(next, acpi.cpu[i].apic_id, (uint8_t)(low_page >> PAGE_SHIFT)))
                panic("processor with APIC id %u does not start; try maxcpus=%u",
                      acpi.cpu[i].apic_id, next);
            cpus[next++]->arch.acpi_id = acpi.cpu[i].acpi_id;
        }
    }
    if (tsc_check.warp)
        clock_mark_unstable("it differs between processors");
    pr_info("%u of %u processors run\n", nr_cpus_online, acpi.nr_cpus);
}

void smp_release(void) {
    WRITE_ONCE(released, true);
    if (nr_cpus_online > 1)
        apic_send_ipi_others(VECTOR_KICK);
}

/* ---- stopping them ---- */

void smp_stop_others(void) {
    if (nr_cpus_online > 1)
        apic_send_ipi_others(VECTOR_STOP);
}

void smp_stopped(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}
