/* links: core/cpu.c core/sched.c core/sched-policy.c core/timer.c core/time.c core/work.c core/domain.c core/vcpu.c core/domain-memory.c core/heap.c core/slab.c core/page.c core/page-list.c core/tlb.c lib/treap.c lib/lock.c pv/domain.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c tests/host/core-fixture.c */
#include "core-fixture.h"

#include <pthread.h>
#include <stdlib.h>

static struct timer t[4];
static unsigned int fired[4], fired_on[4];
static void *order[64];
static unsigned int nr_order;

static void count(void *arg) {
    unsigned int i = (unsigned int)((struct timer *)arg - t);

    EXPECT(irq_enabled());
    fired[i]++;
    fired_on[i] = this_cpu()->id;
    order[nr_order++ % ARRAY_LEN(order)] = arg;
}

static void start(void) {
    cf_start();
    for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
        timer_init(&t[i], count, &t[i], 0);
        fired[i] = 0;
    }
    nr_order = 0;
}

TEST(a_timer_fires_once_and_not_before_its_time) {
    start();
    timer_set(&t[0], time_now() + 1000);
    cf_sleep(999);
    cf_settle();
    EXPECT_EQ(fired[0], 0);
    cf_sleep(1);
    cf_settle();
    EXPECT_EQ(fired[0], 1);
    EXPECT(!t[0].set);
    cf_sleep(SECOND_NS);
    cf_settle();
    EXPECT_EQ(fired[0], 1);
}

TEST(timers_fire_in_the_order_of_their_times) {
    start();
    timer_set(&t[1], time_now() + 30);
    timer_set(&t[2], time_now() + 10);
    timer_set(&t[0], time_now() + 20);
    cf_sleep(100);
    cf_settle();
    EXPECT(order[0] == &t[2] && order[1] == &t[0] && order[2] == &t[1]);
}

TEST(setting_again_replaces_the_time) {
    start();
    timer_set(&t[0], time_now() + 10);
    timer_set(&t[0], time_now() + 1000);
    cf_sleep(500);
    cf_settle();
    EXPECT_EQ(fired[0], 0);
    cf_sleep(500);
    cf_settle();
    EXPECT_EQ(fired[0], 1);
}

TEST(a_stopped_timer_does_not_fire) {
    start();
    timer_set(&t[0], time_now() + 10);
    timer_stop(&t[0]);
    timer_stop(&t[0]);
    cf_sleep(100);
    cf_settle();
    EXPECT_EQ(fired[0], 0);
}

TEST(the_hardware_is_programmed_only_for_something_earlier) {
    start();
    uint64_t now = time_now();

    timer_set(&t[0], now + 1000);
    EXPECT_EQ(this_cpu()->arch.timer_deadline_ns, now + 1000);
    timer_set(&t[1], now + 2000);
    timer_set(&t[0], now + 3000);
    EXPECT_EQ(this_cpu()->arch.timer_deadline_ns, now + 1000); /* fires for nothing, once */
    cf_sleep(1000);
    cf_settle();
    EXPECT_EQ(fired[0] + fired[1], 0);
    EXPECT_EQ(this_cpu()->arch.timer_deadline_ns, now + 2000);
    timer_stop(&t[0]);
    timer_stop(&t[1]);
    cf_sleep(5000);
    cf_settle();
    EXPECT_EQ(this_cpu()->arch.timer_deadline_ns, UINT64_MAX);
}

TEST(a_timer_of_another_cpu_fires_there) {
    start();
    timer_migrate(&t[0], 1);
    unsigned int kicks = cpus[1]->arch.kicks;

    timer_set(&t[0], time_now() + 10);
    EXPECT_EQ(cpus[1]->arch.kicks, kicks + 1);
    cf_settle();
    cf_sleep(10);
    cf_settle();
    EXPECT_EQ(fired[0], 1);
    EXPECT_EQ(fired_on[0], 1);
    timer_set_here(&t[0], time_now() + 10);
    EXPECT_EQ(t[0].cpu, 0);
    cf_sleep(10);
    cf_settle();
    EXPECT_EQ(fired_on[0], 0);
}

TEST(a_set_timer_that_moves_keeps_its_time) {
    start();
    timer_set(&t[0], time_now() + 10);
    timer_migrate(&t[0], 1);
    timer_migrate(&t[0], 1);
    EXPECT(t[0].set);
    cf_settle();
    cf_sleep(10);
    cf_settle();
    EXPECT_EQ(fired[0], 1);
    EXPECT_EQ(fired_on[0], 1);
}

static void again(void *arg) {
    count(arg);
    if (fired[0] < 5)
        timer_set(&t[0], time_now() + 10);
    timer_kill(&t[1]); /* on its own cpu it does not wait for itself either */
}

TEST(a_timer_may_set_itself_again) {
    start();
    timer_init(&t[0], again, &t[0], 0);
    timer_set(&t[0], time_now() + 10);
    for (int i = 0; i < 10; i++) {
        cf_sleep(10);
        cf_settle();
    }
    EXPECT_EQ(fired[0], 5);
}

TEST(a_time_beyond_all_times_is_never) {
    start();
    timer_set(&t[0], UINT64_MAX);
    cf_sleep(SECOND_NS);
    cf_settle();
    EXPECT_EQ(fired[0], 0);
    timer_stop(&t[0]);
}

/* Two cpus set, move, stop and run the same timers. */
#define ROUNDS 20000
static struct timer shared[8];
static unsigned long shared_fired;

static void count_shared(void *arg) {
    (void)arg;
    __atomic_fetch_add(&shared_fired, 1, __ATOMIC_SEQ_CST);
}

static void *hammer(void *arg) {
    unsigned int id = (unsigned int)(uintptr_t)arg, seed = id + 1;

    fake_cpu_enter(id);
    for (int i = 0; i < ROUNDS; i++) {
        struct timer *x = &shared[(unsigned int)rand_r(&seed) % ARRAY_LEN(shared)];

        switch (rand_r(&seed) % 5) {
        case 0: timer_stop(x); break;
        case 1: timer_migrate(x, (unsigned int)rand_r(&seed) % 2); break;
        case 2: timer_set_here(x, time_now()); break;
        case 3: timers_run(); break;
        default: timer_set(x, time_now());
        }
        if (i % 100 == 0)
            timer_kill(x);
    }
    return NULL;
}

TEST(two_cpus_at_once_lose_no_timer) {
    pthread_t thread[2];

    start();
    for (unsigned int i = 0; i < ARRAY_LEN(shared); i++)
        timer_init(&shared[i], count_shared, NULL, i % 2);
    for (uintptr_t i = 0; i < 2; i++)
        REQUIRE(!pthread_create(&thread[i], NULL, hammer, (void *)i));
    for (unsigned int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    fake_cpu_enter(0);
    EXPECT(shared_fired > 100);
    for (unsigned int i = 0; i < ARRAY_LEN(shared); i++)
        timer_kill(&shared[i]);
    shared_fired = 0;
    cf_sleep(SECOND_NS);
    for (unsigned int i = 0; i < 2; i++) {
        fake_cpu_enter(i);
        timers_run();
    }
    EXPECT_EQ(shared_fired, 0);
    fake_cpu_enter(0);
}
