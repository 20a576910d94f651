/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c arch/fake/alloc-fail.c */
/* flags: -Wl,--wrap=heap_alloc,--wrap=heap_alloc_virt,--wrap=mem_alloc,--wrap=mem_alloc_array */
#include "core-fixture.h"

#include <pthread.h>
#include <string.h>

#include <abi/sched.h>

#include "core/page.h"

static const struct domain_config config = {
    .max_vcpus = 2, .max_pages = 64, .max_evtchn_port = 1023};

TEST(a_new_domain_is_paused_and_found_by_its_id) {
    struct domain *d;

    cf_start();
    EXPECT_EQ(domain_create(7, &config, &d), 0);
    EXPECT_EQ(d->domid, 7);
    EXPECT_EQ(d->pause_count, 1);
    EXPECT(domain_lookup(7) == d);
    domain_put(d);
    EXPECT(domain_lookup(8) == NULL);
    EXPECT(domain_lookup(DOMID_SELF) == NULL);
    EXPECT(domain_lookup(0xffff) == NULL);
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        EXPECT_EQ(d->shared_info->vcpu_info[i].evtchn_upcall_mask, 1);
    cf_end(d);
    EXPECT(domain_lookup(7) == NULL);
}

TEST(ids_are_checked_and_given_in_turn) {
    struct domain *d, *e, *f;

    cf_start();
    EXPECT_EQ(domain_create(DOMID_FIRST_RESERVED, &config, &d), -EINVAL);
    EXPECT_EQ(domain_create(DOMID_INVALID, &config, &d), 0);
    EXPECT_EQ(domain_create(DOMID_INVALID, &config, &e), 0);
    EXPECT_EQ(e->domid, d->domid + 1);
    EXPECT_EQ(domain_create(e->domid, &config, &f), -EEXIST);
    domid_t freed = d->domid;

    cf_end(d);
    EXPECT_EQ(domain_create(DOMID_INVALID, &config, &d), 0);
    EXPECT(d->domid != freed); /* not soon again */
    cf_end(d);
    cf_end(e);
}

TEST(domains_are_enumerated_in_order) {
    struct domain *d[3], *at;

    cf_start();
    EXPECT_EQ(domain_create(900, &config, &d[1]), 0);
    EXPECT_EQ(domain_create(30000, &config, &d[2]), 0);
    EXPECT_EQ(domain_create(3, &config, &d[0]), 0);
    at = domain_next(0);
    for (int i = 0; i < 3; i++) {
        EXPECT(at == d[i]);
        unsigned int next = at->domid + 1u;

        domain_put(at);
        at = domain_next(next);
    }
    EXPECT(at == NULL);
    EXPECT(domain_next(DOMID_FIRST_RESERVED) == NULL);
    for (int i = 0; i < 3; i++)
        cf_end(d[i]);
}

TEST(only_a_privileged_domain_controls_others) {
    struct domain *out;

    cf_start();
    struct domain *first = cf_running(1, 1), *second = cf_running(2, 1);

    this_cpu()->current = first->vcpu[0];
    EXPECT_EQ(domain_lookup_controlled(2, &out), -EPERM);
    EXPECT_EQ(domain_lookup_controlled(99, &out), -EPERM);
    EXPECT_EQ(domain_lookup_controlled(DOMID_SELF, &out), 0);
    EXPECT(out == first);
    domain_put(out);
    first->privileged = true;
    EXPECT_EQ(domain_lookup_controlled(2, &out), 0);
    EXPECT(out == second);
    domain_put(out);
    EXPECT_EQ(domain_lookup_controlled(99, &out), -ESRCH);
    this_cpu()->current = NULL;
    cf_end(first);
    cf_end(second);
}

TEST(creation_that_runs_out_of_memory_leaves_nothing) {
    struct domain *d;
    unsigned long fail;
    int rc;

    cf_start();
    cf_end(cf_domain(5, 2)); /* what is kept for ever is there now */
    uint64_t frames = heap_free_frames();

    for (fail = 1;; fail++) {
        fake_alloc.fail_at = fake_alloc.calls + fail;
        rc = domain_create(5, &config, &d);
        fake_alloc.fail_at = 0;
        cf_settle();
        if (!rc)
            break;
        EXPECT_EQ(rc, -ENOMEM);
        EXPECT(domain_lookup(5) == NULL);
        EXPECT_EQ(heap_free_frames(), frames);
    }
    EXPECT(fail > 2);
    cf_end(d);
    cf.fail_init = -EINVAL;
    EXPECT_EQ(domain_create(5, &config, &d), -EINVAL);
    cf_settle();
    EXPECT_EQ(heap_free_frames(), frames);
}

TEST(a_shutdown_is_told_when_the_last_vcpu_is_off_its_cpu) {
    cf_start();
    struct domain *d = cf_running(1, 2);

    cf_settle();
    fake_cpu_enter(0);
    domain_shutdown(d, SHUTDOWN_suspend);
    domain_shutdown(d, SHUTDOWN_crash); /* the first reason stays */
    EXPECT_EQ(d->shutdown_code, SHUTDOWN_suspend);
    EXPECT(d->shutting_down && !d->shut_down);
    cf_run(0);
    EXPECT(!d->shut_down);
    EXPECT_EQ(cf.global_virq[VIRQ_DOM_EXC], 0);
    cf_run(1);
    EXPECT(d->shut_down);
    EXPECT_EQ(cf.global_virq[VIRQ_DOM_EXC], 1);
    domain_resume(d);
    EXPECT(!d->shut_down && !d->shutting_down && d->shutdown_code == SHUTDOWN_NONE);
    cf_settle();
    EXPECT(d->vcpu[0]->sched.running && d->vcpu[1]->sched.running);
    domain_shutdown(d, SHUTDOWN_poweroff);
    cf_settle();
    EXPECT_EQ(cf.global_virq[VIRQ_DOM_EXC], 2);
    cf_end(d);
}

TEST(a_domain_that_does_not_run_is_shut_down_at_once) {
    cf_start();
    struct domain *d = cf_domain(1, 1);

    domain_crash(d, "test %d", 1);
    EXPECT(d->shut_down);
    EXPECT_EQ(d->shutdown_code, SHUTDOWN_crash);
    EXPECT_EQ(cf.global_virq[VIRQ_DOM_EXC], 1);
    cf_end(d);
}

TEST(dom0_takes_the_machine_along) {
    cf_start();
    struct domain *d = cf_domain(0, 1);

    EXPECT_BUG(domain_shutdown(d, SHUTDOWN_poweroff));
    EXPECT_EQ(fake_record.power_offs, 1);
    d->shutdown_code = SHUTDOWN_NONE;
    EXPECT_BUG(domain_shutdown(d, SHUTDOWN_reboot));
    EXPECT_EQ(fake_record.reboots, 1);
    d->shutdown_code = SHUTDOWN_NONE;
    EXPECT_BUG(domain_crash(d, "test"));
    EXPECT_EQ(fake_record.reboots, 2);
    EXPECT_EQ(domain_destroy(d), -EINVAL);
    cf_end(d);
}

TEST(watchdogs_bite_unless_fed) {
    cf_start();
    struct domain *d = cf_domain(1, 1);

    EXPECT_EQ(domain_watchdog(d, 0, 0), -EINVAL);
    EXPECT_EQ(domain_watchdog(d, 3, 1), -EINVAL);
    EXPECT_EQ(domain_watchdog(d, 1, 1), -EINVAL); /* not in use */
    EXPECT_EQ(domain_watchdog(d, 0, 10), 1);
    EXPECT_EQ(domain_watchdog(d, 0, 10), 2);
    EXPECT_EQ(domain_watchdog(d, 0, 10), -ENOSPC);
    EXPECT_EQ(domain_watchdog(d, 2, 0), 0);
    cf_sleep(9 * SECOND_NS);
    cf_settle();
    EXPECT_EQ(domain_watchdog(d, 1, 10), 0);
    cf_sleep(9 * SECOND_NS);
    cf_settle();
    EXPECT(!d->shutting_down);
    cf_sleep(SECOND_NS);
    cf_settle();
    EXPECT(d->shutting_down);
    EXPECT_EQ(d->shutdown_code, SHUTDOWN_watchdog);
    cf_end(d);
}

TEST(destruction_gives_way_and_goes_on_in_a_fixed_order) {
    cf_start();
    uint64_t frames = heap_free_frames();
    struct domain *d = cf_running(1, 2);

    for (int i = 0; i < 64; i++)
        EXPECT(domain_alloc_pages(d, 0, 0, 0));
    vcpu_stop(d->vcpu[0], STOP_DOWN);
    vcpu_stop(d->vcpu[1], STOP_DOWN);
    cf_settle();
    for (int i = 0; i < 3; i++) {
        cf.restarts = 1;
        EXPECT_EQ(domain_destroy(d), -ERESTART);
        EXPECT_EQ(d->life, DOMAIN_DYING);
        EXPECT(domain_alloc_pages(d, 0, 0, 0) == NULL);
    }
    EXPECT_EQ(domain_destroy(d), 0);
    EXPECT_STR(cf.order, "gepmu");
    cf_settle();
    EXPECT(domain_lookup(1) == NULL);
    EXPECT(heap_free_frames() + 2 >= frames); /* the slot page and the domain's own are kept */
}

TEST(a_foreign_reference_keeps_a_dead_domain_visible) {
    cf_start();
    struct domain *d = cf_domain(1, 1), *seen;
    struct page *pg = domain_alloc_pages(d, 0, 0, 0), *si = virt_to_page(d->shared_info);

    REQUIRE(pg && page_get(pg, d) && page_get(si, d));
    EXPECT_EQ(domain_destroy(d), 0);
    cf_settle();
    EXPECT_EQ(d->life, DOMAIN_DEAD);
    EXPECT_EQ(domain_destroy(d), 0);
    page_put(pg);
    cf_settle();
    seen = domain_lookup(1);
    EXPECT(seen == d);
    domain_put(seen);
    unsigned int told = cf.global_virq[VIRQ_DOM_EXC];

    page_put(si);
    cf_settle();
    EXPECT(domain_lookup(1) == NULL);
    EXPECT_EQ(cf.global_virq[VIRQ_DOM_EXC], told + 1);
}

/* One cpu looks domains up while the other creates and ends them. */
static bool done;

static void *look(void *arg) {
    (void)arg;
    fake_cpu_enter(1);
    while (!READ_ONCE(done)) {
        for (domid_t id = 10; id < 14; id++) {
            struct domain *d = domain_lookup(id);

            if (!d)
                continue;
            EXPECT_EQ(d->domid, id);
            domain_put(d);
        }
        cf_run(1);
    }
    return NULL;
}

TEST(lookups_race_with_creation_and_destruction) {
    pthread_t thread;

    cf_start();
    done = false;
    REQUIRE(!pthread_create(&thread, NULL, look, NULL));
    for (int i = 0; i < 2000; i++) {
        struct domain *d;
        int rc = domain_create((domid_t)(10 + i % 4), &config, &d);

        EXPECT(rc == 0 || rc == -EEXIST); /* the last one's end may not be through */
        if (!rc)
            EXPECT_EQ(domain_destroy(d), 0);
        cf_run(0);
    }
    WRITE_ONCE(done, true);
    pthread_join(thread, NULL);
    cf_settle();
    EXPECT(domain_next(0) == NULL);
}
