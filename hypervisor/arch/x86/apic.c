#include "arch/x86/apic.h"

#include "arch/time.h"
#include "arch/x86/acpi.h"
#include "arch/x86/clock.h"
#include "arch/x86/entry.h"
#include "arch/x86/paging.h"
#include "arch/x86/processor.h"
#include "arch/x86/smp.h"
#include "arch/x86/tlb-flush.h"
#include "core/console.h"
#include "core/time.h"
#include "lib/bug.h"

/* Register offsets in the page; divided by 16 they are x2APIC MSRs. */
enum {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_EOI = 0xb0,
    REG_SPURIOUS = 0xf0,
    REG_ESR = 0x280,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE    BIT(8)
#define LVT_NMI            0x400
#define LVT_MASKED         BIT(16)
#define LVT_TSC_DEADLINE   BIT(18)
#define ICR_INIT           0x500
#define ICR_STARTUP        0x600
#define ICR_ASSERT         BIT(14)
#define ICR_PENDING        BIT(12)
#define ICR_SELF           (1 << 18)
#define ICR_ALL_BUT_SELF   (3 << 18)
#define DIVIDE_BY_1        0x0b
#define APIC_BASE_ENABLE   BIT(11)
#define APIC_BASE_X2APIC   BIT(10)

static RO_AFTER_INIT volatile uint32_t *xapic; /* NULL: x2APIC mode */
static RO_AFTER_INIT uint64_t timer_counts_per_ns; /* 32.32 fixed point */

static uint32_t apic_read(unsigned int reg) {
    return xapic ? xapic[reg / 4] : (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
}

static void apic_write(unsigned int reg, uint32_t value) {
    if (xapic)
        xapic[reg / 4] = value;
    else
        wrmsr(MSR_X2APIC + reg / 16, value);
}

static void send(uint32_t apic_id, uint32_t command) {
    uint64_t flags;

    if (!xapic) {
        /* Unlike a store to the page, this MSR write does not wait for earlier stores. */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + REG_ICR / 16, (uint64_t)apic_id << 32 | command);
        return;
    }
    flags = irq_save();
    while (apic_read(REG_ICR) & ICR_PENDING)
        cpu_relax();
    apic_write(REG_ICR_HIGH, apic_id << 24);
    apic_write(REG_ICR, command);
    irq_restore(flags);
}

void apic_send_ipi(uint32_t apic_id, uint8_t vector) {
    send(apic_id, ICR_ASSERT | vector);
}

void apic_send_ipi_mask(const cpumask_t *mask, uint8_t vector) {
    unsigned int cpu;

    cpumask_for_each(cpu, mask) {
        apic_send_ipi(cpus[cpu]->arch.apic_id, vector);
    }
}

void apic_send_ipi_others(uint8_t vector) {
    send(0, ICR_ALL_BUT_SELF | ICR_ASSERT | vector);
}

void apic_send_ipi_self(uint8_t vector) {
    apic_write(REG_ICR, ICR_SELF | ICR_ASSERT | vector);
}

void apic_send_init(uint32_t apic_id) {
    send(apic_id, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(uint32_t apic_id, uint8_t page) {
    send(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void apic_eoi(void) {
    apic_write(REG_EOI, 0);
}

/* A masked 8259 can still raise spurious interrupts; those LINT0, which stays shut, keeps out. */
static INIT_TEXT void mask_8259(void) {
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

static INIT_TEXT void choose_mode(void) {
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (!(base & APIC_BASE_ENABLE))
        panic("the local APIC is off: switch it on in the firmware setup");
    if (!cpu_features.x2apic)
        xapic = ioremap(acpi.lapic_base, PAGE_SIZE);
}

INIT_TEXT void apic_init(void) {
    mask_8259();
    choose_mode();
    apic_cpu_init(this_cpu());
    pr_info("local APIC: %s, %s timer\n", xapic ? "xAPIC" : "x2APIC",
            cpu_features.tsc_deadline ? "TSC-deadline" : "count-down");
}

INIT_TEXT void apic_cpu_init(struct cpu *cpu) {
    uint32_t id;

    if (!xapic)
        wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
    id = apic_read(REG_ID);
    cpu->arch.apic_id = xapic ? id >> 24 : id;

    apic_write(REG_TPR, 0);
    apic_write(REG_LVT_LINT0, LVT_MASKED);
    apic_write(REG_LVT_LINT1, cpu->id == 0 ? LVT_NMI : LVT_MASKED);
    apic_write(REG_LVT_ERROR, VECTOR_ERROR);
    apic_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(REG_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
    apic_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(REG_ESR, 0);
    apic_eoi();
}

INIT_TEXT void apic_timer_free_run(void) {
    apic_write(REG_LVT_TIMER, LVT_MASKED);
    apic_write(REG_TIMER_INITIAL, UINT32_MAX);
}

INIT_TEXT uint32_t apic_timer_counted(void) {
    return UINT32_MAX - apic_read(REG_TIMER_CURRENT);
}

INIT_TEXT void apic_timer_set_khz(uint64_t khz) {
    timer_counts_per_ns = (khz << 32) / 1000000;
    apic_write(REG_TIMER_INITIAL, 0);
    apic_write(REG_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_TSC_DEADLINE : 0));
}

/* A count that does not fit fires early, and whoever asked asks again. */
static uint32_t timer_count(uint64_t delta_ns) {
    unsigned __int128 count = (unsigned __int128)delta_ns * timer_counts_per_ns >> 32;

    return count >= UINT32_MAX ? UINT32_MAX : (uint32_t)count + 1;
}

void arch_timer_program(uint64_t deadline_ns) {
    uint64_t now = time_now(), delta = deadline_ns > now ? deadline_ns - now : 0;
    bool never = deadline_ns == UINT64_MAX;

    if (cpu_features.tsc_deadline)
        wrmsr(MSR_TSC_DEADLINE, never ? 0 : rdtsc() + clock_ticks_of(delta) + 1);
    else
        apic_write(REG_TIMER_INITIAL, never ? 0 : timer_count(delta));
}

void arch_cpu_kick(unsigned int cpu) {
    if (cpu != this_cpu()->id)
        apic_send_ipi(cpus[cpu]->arch.apic_id, VECTOR_KICK);
}

void arch_cpu_wait(void) {
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

static void apic_error(void) {
    apic_write(REG_ESR, 0);
    pr_warn("cpu %u: APIC error %02x\n", this_cpu()->id, apic_read(REG_ESR));
}

/* What the interrupt was for is done on the way out, from cpu->work. */
void arch_interrupt(unsigned int vector) {
    switch (vector) {
    case VECTOR_SPURIOUS:
        return;
    case VECTOR_STOP:
        smp_stopped();
    case VECTOR_TIMER:
        cpu_raise(WORK_TIMER);
        break;
    case VECTOR_FLUSH:
        tlb_flush_requested();
        break;
    case VECTOR_ERROR:
        apic_error();
        break;
    case VECTOR_KICK:
        break;
    default:
        irq_dispatch(vector);
        return;
    }
    apic_eoi();
}
