#include "core/time.h"

#include "arch/mm.h"
#include "arch/time.h"
#include "core/domain.h"
#include "core/vcpu.h"

/* Unix time in ns at system time 0; one aligned word, so readers need no lock. */
static uint64_t wallclock_base_ns;

uint64_t time_scale(uint64_t ticks, uint32_t mul_frac, int8_t shift) {
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)((unsigned __int128)ticks * mul_frac >> 32);
}

uint64_t time_now(void) {
    const struct tsc_scale *s = arch_tsc_scale();
    uint64_t ticks = arch_read_tsc() - s->tsc_stamp;

    /* A TSC a little behind the one that made the stamp must not become a huge time. */
    return (int64_t)ticks < 0 ? s->time_ns : s->time_ns + time_scale(ticks, s->mul_frac, s->shift);
}

static struct vcpu_time_info time_info(const struct tsc_scale *s) {
    return (struct vcpu_time_info){
        .tsc_timestamp = s->tsc_stamp,
        .system_time = s->time_ns,
        .tsc_to_system_mul = s->mul_frac,
        .tsc_shift = s->shift,
        .flags = arch_tsc_is_stable() ? XEN_PVCLOCK_TSC_STABLE_BIT : 0,
    };
}

/* The version is ours, odd while we write; what the guest may have stored there does not matter. */
static void write_info(struct vcpu_time_info *to, struct vcpu_time_info *t, uint32_t version) {
    __atomic_store_n(&to->version, version - 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    t->version = version - 1;
    *to = *t;
    __atomic_store_n(&to->version, version, __ATOMIC_RELEASE);
}

int time_write_area(struct vcpu *v, guest_va_t area) {
    struct vcpu_time_info t = time_info(arch_tsc_scale());
    uint32_t even = v->time_version;
    int rc;

    t.version = even - 1;
    rc = copy_to_guest(area, &t.version, sizeof(t.version));
    if (!rc)
        rc = copy_to_guest(area, &t, sizeof(t));
    if (!rc)
        rc = copy_to_guest(area, &even, sizeof(even));
    return rc;
}

void time_update_vcpu(struct vcpu *v) {
    const struct tsc_scale *s = arch_tsc_scale();
    struct vcpu_time_info t;

    if (likely(v->time_version_tsc == s->tsc_stamp))
        return;
    v->time_version_tsc = s->tsc_stamp;
    v->time_version += 2;
    t = time_info(s);
    write_info(&v->info->time, &t, v->time_version);
    if (v->time_area.va) {
        bool user = vcpu_kernel_tables_begin(v);

        /* A guest that took its area away loses only its own clock. */
        (void)!time_write_area(v, v->time_area);
        vcpu_kernel_tables_end(v, user);
    }
}

void time_publish_wallclock(struct domain *d) {
    uint64_t base = __atomic_load_n(&wallclock_base_ns, __ATOMIC_RELAXED);

    lock_acquire(&d->lock);
    if (d->life == DOMAIN_ALIVE && d->shared_info) {
        struct shared_info *si = d->shared_info;
        uint32_t version = (READ_ONCE(si->wc_version) | 1) + 1;

        __atomic_store_n(&si->wc_version, version - 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        si->wc_sec = (uint32_t)(base / SECOND_NS);
        si->wc_sec_hi = (uint32_t)(base / SECOND_NS >> 32);
        si->wc_nsec = (uint32_t)(base % SECOND_NS);
        __atomic_store_n(&si->wc_version, version, __ATOMIC_RELEASE);
    }
    lock_release(&d->lock);
}

void time_set_wallclock(uint64_t secs, uint32_t nsecs, uint64_t system_time_ns) {
    struct domain *d, *next;

    __atomic_store_n(&wallclock_base_ns, secs * SECOND_NS + nsecs - system_time_ns,
                     __ATOMIC_RELAXED);
    for (d = domain_next(0); d; d = next) {
        next = domain_next(d->domid + 1);
        time_publish_wallclock(d);
        domain_put(d);
    }
}

void time_init(void) {
    wallclock_base_ns = arch_wallclock_read() * SECOND_NS - time_now();
}
