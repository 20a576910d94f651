#include "core-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/console.h"
#include "core/page.h"
#include "core/work.h"
#include "pv/descriptor.h"
#include "pv/mmu.h"

#define FRAMES 8192

struct cf_record cf;

/* Events. */

int evtchn_domain_init(struct domain *d, uint32_t max_port) {
    d->evtchn.max_port = max_port;
    return 0;
}
static void note(char what) {
    size_t at = strlen(cf.order);

    if (at + 1 < sizeof(cf.order))
        cf.order[at] = what;
}

static int relinquish(char what) {
    if (cf.restarts) {
        cf.restarts--;
        return -ERESTART;
    }
    note(what);
    return 0;
}
int evtchn_domain_relinquish(struct domain *d) {
    (void)d;
    return relinquish('e');
}
void evtchn_domain_destroy(struct domain *d) {
    (void)d;
}
void evtchn_vcpu_init(struct vcpu *v) {
    (void)v;
}
void evtchn_send_virq(struct vcpu *v, unsigned int virq) {
    cf.virq[virq]++;
    cf.virq_vcpu = v;
    v->info->evtchn_upcall_pending = 1;
    vcpu_kick(v);
}
void evtchn_send_global_virq(unsigned int virq) {
    cf.global_virq[virq]++;
}
int evtchn_port_pending(struct domain *d, evtchn_port_t port) {
    (void)d;
    return port < ARRAY_LEN(cf.pending) ? cf.pending[port] : -EINVAL;
}
void evtchn_vcpu_info_moved(struct vcpu *v) {
    (void)v;
    cf.info_moved++;
}

/* Grants and devices. */

int gnttab_domain_init(struct domain *d, unsigned int max_frames, unsigned int max_maptrack) {
    (void)d, (void)max_frames, (void)max_maptrack;
    return cf.fail_init;
}
int gnttab_domain_relinquish(struct domain *d) {
    (void)d;
    return relinquish('g');
}
void gnttab_domain_unshare(struct domain *d) {
    (void)d;
    note('u');
}
void gnttab_domain_destroy(struct domain *d) {
    (void)d;
}
int pirq_domain_init(struct domain *d) {
    (void)d;
    return 0;
}
void pirq_domain_destroy(struct domain *d) {
    if (d->destroy_stage)
        note('p');
}

/* Page tables. */

int mmu_drop_bases(struct vcpu *v) {
    (void)v;
    return 0;
}
int mmu_relinquish(struct domain *d) {
    (void)d;
    return relinquish('m');
}
void pv_release_descriptors(struct vcpu *v) {
    (void)v;
}
int page_validate(struct page *pg, enum page_type type, unsigned int *progress) {
    (void)pg, (void)type, (void)progress;
    return -EINVAL;
}
int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress,
                    bool preemptible) {
    (void)pg, (void)type, (void)progress, (void)preemptible;
    abort();
}

void printk(enum log_level level, const char *fmt, ...) {
    (void)level, (void)fmt;
}
void printk_guest(const struct domain *d, enum log_level level, const char *fmt, ...) {
    (void)d, (void)level, (void)fmt;
}

/* The machine. */

void arch_context_switch(struct vcpu *prev, struct vcpu *next) {
    EXPECT(!irq_enabled());
    EXPECT(prev != next);
    EXPECT(!prev || prev->sched.running);
    if (next)
        EXPECT(next->sched.running && next->sched.cpu == this_cpu()->id && !next->sched.queued);
    cf.switches[cf.nr_switches % ARRAY_LEN(cf.switches)].prev = prev;
    cf.switches[cf.nr_switches++ % ARRAY_LEN(cf.switches)].next = next;
    if (cf.on_switch) {
        void (*hook)(struct vcpu *) = cf.on_switch;

        cf.on_switch = NULL;
        hook(cf.on_switch_vcpu);
    }
}
void arch_toggle_guest_mode(struct vcpu *v) {
    v->arch.kernel_mode = !v->arch.kernel_mode;
    cf.toggles++;
}
/* A cpu that would sleep has nothing left to do: back to cf_run(). */
static _Thread_local jmp_buf idle;

void arch_cpu_wait(void) {
    EXPECT(!irq_enabled() && !this_cpu()->current);
    fake_record.waits++;
    longjmp(idle, 1);
}

struct vcpu *cf_run(unsigned int id) {
    fake_cpu_enter(id);
    irq_disable();
    if (!setjmp(idle)) {
        cpu_do_work();
        EXPECT(!irq_enabled() && this_cpu()->current);
    }
    this_cpu()->idle = false;
    irq_enable();
    return this_cpu()->current;
}

void cf_settle(void) {
    unsigned int was = this_cpu()->id;
    bool busy;

    do {
        busy = false;
        for (unsigned int i = 0; i < CF_CPUS; i++) {
            busy |= cpus[i]->work != 0;
            if (cpus[i]->work)
                cf_run(i);
        }
    } while (busy);
    fake_cpu_enter(was);
}

void cf_start(void) {
    static uint64_t now; /* time never goes back, nor do those who remember it */
    bool first = !now;

    now = MAX(now, fake_clock.tsc) + SECOND_NS;
    fake_machine_init(FRAMES);
    memset(&cf, 0, sizeof(cf));
    fake_clock.tsc = now;
    for (unsigned int i = 0; i < CF_CPUS; i++) {
        fake_cpu_enter(i);
        if (first)
            REQUIRE(!timers_cpu_init(i) && !sched_cpu_init(i));
        cpu_raise(WORK_TIMER);
        cpu_raise(WORK_SCHED);
    }
    if (first)
        domains_init();
    cf_settle();
    cf.nr_switches = 0;
    fake_record.waits = 0;
    fake_cpu_enter(0);
}

struct domain *cf_domain(domid_t domid, unsigned int nr_vcpus) {
    struct domain_config c = {
        .privileged = domid == 0,
        .hardware = domid == 0,
        .max_vcpus = nr_vcpus,
        .max_pages = 1024,
        .max_evtchn_port = 1023,
    };
    struct domain *d;

    REQUIRE(!domain_create(domid, &c, &d));
    for (unsigned int i = 0; i < nr_vcpus; i++) {
        REQUIRE(!vcpu_create(d, i));
        d->vcpu[i]->arch.kernel_mode = true;
    }
    domain_unpause(d);
    return d;
}

struct domain *cf_running(domid_t domid, unsigned int nr_vcpus) {
    struct domain *d = cf_domain(domid, nr_vcpus);

    for (unsigned int i = 0; i < nr_vcpus; i++) {
        d->vcpu[i]->initialised = true;
        vcpu_start(d->vcpu[i], STOP_DOWN);
    }
    return d;
}

void cf_end(struct domain *d) {
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            vcpu_stop(d->vcpu[i], STOP_SHUTDOWN);
    cf_settle();
    d->hardware = false; /* dom0 goes, too, in a test */
    cf.restarts = 0;
    REQUIRE(!domain_destroy(d));
    cf_settle();
}

void cf_sleep(uint64_t ns) {
    unsigned int id;

    fake_clock.tsc += ns;
    cpumask_for_each(id, &cpus_online) {
        if (cpus[id]->arch.timer_deadline_ns > time_now())
            continue;
        cpus[id]->arch.timer_deadline_ns = UINT64_MAX;
        __atomic_fetch_or(&cpus[id]->work, WORK_TIMER, __ATOMIC_SEQ_CST);
    }
}
