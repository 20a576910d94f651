#include "core/vcpu.h"

#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/page.h"
#include "core/time.h"
#include "lib/string.h"

/* Stands in for the vcpu_info of vcpus beyond the legacy slots until they register one. */
static struct vcpu_info no_info = {.evtchn_upcall_mask = 1};

static struct vcpu_info *legacy_info(const struct vcpu *v) {
    return v->id < XEN_LEGACY_MAX_VCPUS ? &v->domain->shared_info->vcpu_info[v->id] : &no_info;
}

bool vcpu_has_info(const struct vcpu *v) {
    return v->info != &no_info;
}

struct vcpu *domain_vcpu(const struct domain *d, uint64_t id) {
    return id < d->max_vcpus ? READ_ONCE(d->vcpu[index_nospec(id, d->max_vcpus)]) : NULL;
}

static void singleshot_fired(void *arg) {
    evtchn_send_virq(arg, VIRQ_TIMER);
}

static void periodic_fired(void *arg) {
    struct vcpu *v = arg;
    uint64_t period = READ_ONCE(v->periodic_ns);

    if (!period)
        return;
    evtchn_send_virq(v, VIRQ_TIMER);
    timer_set_here(&v->periodic, time_now() + period);
}

void vcpu_set_singleshot(struct vcpu *v, uint64_t timeout_ns) {
    if (timeout_ns > time_now()) {
        timer_set_here(&v->singleshot, timeout_ns);
        return;
    }
    timer_stop(&v->singleshot);
    evtchn_send_virq(v, VIRQ_TIMER);
}

void vcpu_set_periodic(struct vcpu *v, uint64_t period_ns) {
    WRITE_ONCE(v->periodic_ns, period_ns);
    if (period_ns)
        timer_set(&v->periodic, time_now() + period_ns);
    else
        timer_stop(&v->periodic);
}

static int vcpu_init(struct vcpu *v) {
    int rc = sched_vcpu_init(v);

    if (rc)
        return rc;
    evtchn_vcpu_init(v);
    timer_init(&v->singleshot, singleshot_fired, v, v->sched.cpu);
    timer_init(&v->periodic, periodic_fired, v, v->sched.cpu);
    v->info = legacy_info(v);
    v->time_version_tsc = TIME_NEVER_PUBLISHED;
    rc = arch_vcpu_init(v);
    if (rc)
        goto out_sched;
    rc = pv_vcpu_init(v);
    if (rc)
        goto out_arch;
    return 0;

out_arch:
    arch_vcpu_destroy(v);
out_sched:
    sched_vcpu_destroy(v);
    return rc;
}

int vcpu_create(struct domain *d, unsigned int id) {
    struct vcpu *v;
    int rc;

    if (id >= d->max_vcpus)
        return -EINVAL;
    v = mem_alloc_struct(struct vcpu);
    if (!v)
        return -ENOMEM;
    v->domain = d;
    v->id = id;

    lock_acquire(&d->lock);
    rc = d->life != DOMAIN_ALIVE ? -EINVAL : d->vcpu[id] ? -EEXIST : vcpu_init(v);
    if (!rc)
        __atomic_store_n(&d->vcpu[id], v, __ATOMIC_RELEASE);
    lock_release(&d->lock);
    if (rc)
        mem_free(v);
    return rc;
}

void vcpu_destroy(struct vcpu *v) {
    timer_kill(&v->singleshot);
    timer_kill(&v->periodic);
    sched_vcpu_destroy(v);
    vcpu_unregister_info(v);
    pv_vcpu_destroy(v);
    arch_vcpu_destroy(v);
    mem_free(v);
}

static int register_info(struct vcpu *v, struct page *pg, uint32_t offset) {
    struct vcpu_info *new = (struct vcpu_info *)((char *)page_to_virt(pg) + offset);

    if (v->info_page || v->domain->life != DOMAIN_ALIVE)
        return -EINVAL;
    if (v != current_vcpu() && !(READ_ONCE(v->sched.stop) & STOP_DOWN))
        return -EINVAL;
    /* The stand-in is everybody's: nothing of it is this guest's to see. */
    *new = vcpu_has_info(v) ? *v->info : (struct vcpu_info){.evtchn_upcall_mask = 1};
    v->time_version_tsc = TIME_NEVER_PUBLISHED;
    v->info_page = pg;
    __atomic_store_n(&v->info, new, __ATOMIC_SEQ_CST);
    /* A sender may still have written to the old place. */
    evtchn_vcpu_info_moved(v);
    return 0;
}

int vcpu_register_info(struct vcpu *v, mfn_t mfn, uint32_t offset) {
    struct domain *d = v->domain;
    struct page *pg;
    int rc;

    if (offset > PAGE_SIZE - sizeof(struct vcpu_info) || offset % _Alignof(struct vcpu_info))
        return -ENXIO;
    pg = mfn_lookup(mfn);
    if (!pg || page_get_and_type(pg, d, PAGE_WRITABLE))
        return -EINVAL;

    lock_acquire(&d->lock);
    rc = register_info(v, pg, offset);
    lock_release(&d->lock);
    if (rc)
        page_put_and_type(pg);
    else if (v == current_vcpu())
        time_update_vcpu(v);
    return rc;
}

void vcpu_unregister_info(struct vcpu *v) {
    struct page *pg = v->info_page;

    __atomic_store_n(&v->info, &no_info, __ATOMIC_SEQ_CST);
    v->info_page = NULL;
    if (pg)
        page_put_and_type(pg);
}
