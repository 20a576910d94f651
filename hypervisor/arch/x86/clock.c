/* The TSC is the clock; at boot it is measured against a timer of known frequency. */
#include "arch/x86/clock.h"

#include "arch/cpu.h"
#include "arch/time.h"
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/paging.h"
#include "arch/x86/processor.h"
#include "core/console.h"
#include "lib/bug.h"

static RO_AFTER_INIT struct tsc_scale scale;
static RO_AFTER_INIT uint64_t tsc_khz;
static RO_AFTER_INIT uint64_t ticks_per_ns; /* 32.32 fixed point */
static RO_AFTER_INIT bool tsc_stable;

/* A free-running counter that counts up (init returns its frequency, 0 if it is not there). */
struct reference {
    const char *name;
    uint64_t (*init)(void);
    uint32_t (*read)(void);
    uint32_t mask;
};

#define PM_TIMER_HZ 3579545
#define HPET_PERIOD   1              /* 32-bit register numbers */
#define HPET_CONFIG   4
#define HPET_COUNTER  60
#define FEMTOSECONDS  UINT64_C(1000000000000000)

static INIT_DATA volatile uint32_t *hpet;

static INIT_TEXT uint64_t pm_timer_init(void) {
    return acpi.pm_timer_port ? PM_TIMER_HZ : 0;
}
static INIT_TEXT uint32_t pm_timer_read(void) {
    return inl((uint16_t)acpi.pm_timer_port);
}

static INIT_TEXT uint64_t hpet_init(void) {
    if (!acpi.hpet_base)
        return 0;
    hpet = ioremap(acpi.hpet_base, 1024);
    if (hpet[HPET_PERIOD] == 0 || hpet[HPET_PERIOD] > 100000000)
        return 0;
    hpet[HPET_CONFIG] |= 1;          /* count */
    return FEMTOSECONDS / hpet[HPET_PERIOD];
}
static INIT_TEXT uint32_t hpet_read(void) {
    return hpet[HPET_COUNTER];
}

static INIT_DATA struct reference references[] = {
    {"PM timer", pm_timer_init, pm_timer_read, 0xffffff},
    {"HPET", hpet_init, hpet_read, UINT32_MAX},
};

#define WINDOW_US 5000               /* each of two measurements, which must agree */
#define TRIES     3

struct sample {
    uint64_t tsc;
    uint32_t reference, apic;
};

/* All three at one moment: the closest of a few readings, as any may be interrupted (SMI, host). */
static INIT_TEXT struct sample take_sample(const struct reference *r) {
    struct sample best = {0};
    uint64_t best_width = UINT64_MAX;

    for (unsigned int i = 0; i < 5; i++) {
        uint64_t before = rdtsc_ordered(), after;
        struct sample s = {before, r->read(), apic_timer_counted()};

        after = rdtsc_ordered();
        if (after - before < best_width) {
            best_width = after - before;
            best = s;
        }
    }
    return best;
}

struct rates {
    uint64_t tsc_khz, apic_khz;
};

/* false: the reference stands still. */
static INIT_TEXT bool measure(const struct reference *r, uint64_t hz, struct rates *rates) {
    struct sample start = take_sample(r), end = start;
    uint32_t window = (uint32_t)(hz * WINDOW_US / 1000000), elapsed;

    for (unsigned int reads = 0; ((r->read() - start.reference) & r->mask) < window; reads++)
        if (reads > 1000 && r->read() == start.reference)
            return false;
    end = take_sample(r);
    elapsed = (end.reference - start.reference) & r->mask;
    rates->tsc_khz = (end.tsc - start.tsc) * hz / (elapsed * UINT64_C(1000));
    rates->apic_khz = (end.apic - start.apic) * hz / (elapsed * UINT64_C(1000));
    return true;
}

static INIT_TEXT bool agree(uint64_t a, uint64_t b) {
    return MAX(a, b) - MIN(a, b) <= MAX(a, b) / 500;
}

static INIT_TEXT bool calibrate(const struct reference *r, struct rates *out) {
    uint64_t hz = r->init();
    struct rates a, b;

    if (!hz)
        return false;
    for (unsigned int i = 0; i < TRIES; i++) {
        if (!measure(r, hz, &a) || !measure(r, hz, &b))
            return false;
        if (a.tsc_khz && a.apic_khz && agree(a.tsc_khz, b.tsc_khz) &&
            agree(a.apic_khz, b.apic_khz)) {
            *out = (struct rates){(a.tsc_khz + b.tsc_khz) / 2, (a.apic_khz + b.apic_khz) / 2};
            return true;
        }
    }
    pr_warn("the TSC and the %s do not run evenly\n", r->name);
    return false;
}

/* ns = (ticks << shift) * mul_frac >> 32, with as many bits in mul_frac as fit. */
static INIT_TEXT void set_scale(void) {
    uint64_t hz = tsc_khz * 1000;

    for (; hz > 2 * SECOND_NS; hz >>= 1)
        scale.shift--;
    for (; hz <= SECOND_NS; hz <<= 1)
        scale.shift++;
    scale.mul_frac = (uint32_t)((SECOND_NS << 32) / hz);
    ticks_per_ns = (tsc_khz << 32) / 1000000;
    scale.tsc_stamp = rdtsc_ordered();
}

INIT_TEXT void clock_init(void) {
    const struct reference *r = references;
    struct rates rates;

    apic_timer_free_run();
    while (!calibrate(r, &rates))
        if (++r == references + ARRAY_LEN(references))
            panic("no timer to measure the TSC with (PM timer or HPET)");
    apic_timer_set_khz(rates.apic_khz);
    tsc_khz = rates.tsc_khz;
    set_scale();
    /* Hypervisors below us that do not promise an even TSC still give one; hardware does not. */
    tsc_stable = cpu_features.tsc_invariant || cpu_features.hypervisor;
    pr_info("TSC at %lu.%03lu MHz by the %s%s\n", tsc_khz / 1000, tsc_khz % 1000, r->name,
            tsc_stable ? "" : "; not invariant");
}

uint64_t clock_ticks_of(uint64_t ns) {
    return (uint64_t)((unsigned __int128)ns * ticks_per_ns >> 32);
}

void clock_delay_us(uint64_t us) {
    uint64_t start = rdtsc(), ticks = clock_ticks_of(us * US_NS);

    while (rdtsc() - start < ticks)
        cpu_relax();
}

INIT_TEXT void clock_mark_unstable(const char *why) {
    if (tsc_stable)
        pr_warn("guests are not told that the TSC is stable: %s\n", why);
    tsc_stable = false;
}

uint64_t arch_read_tsc(void) {
    return rdtsc_ordered();
}

const struct tsc_scale *arch_tsc_scale(void) {
    return &scale;
}

bool arch_tsc_is_stable(void) {
    return tsc_stable;
}

uint64_t arch_tsc_khz(void) {
    return tsc_khz;
}
