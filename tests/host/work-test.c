/* links: core/work.c arch/fake/fake.c arch/fake/stubs.c */
/* Deferred functions: each runs once, on the cpu that asked. */
#include "core/work.h"

#include <stdlib.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "test.h"

static unsigned int runs;

static void count(struct task *t) {
    (void)t;
    EXPECT(irq_enabled());
    runs++;
}

static void free_itself(struct task *t) {
    free(t);
    runs++;
}

static void raise_itself(struct task *t) {
    if (++runs < 3)
        task_raise(t);
}

static void start(void) {
    fake_machine_init(16);
    runs = 0;
}

TEST(a_task_is_owed_work_until_it_has_run) {
    struct task t = {.fn = count};

    start();
    task_raise(&t);
    EXPECT_EQ(this_cpu()->work, WORK_TASK);
    EXPECT_EQ(runs, 0);
    tasks_run();
    EXPECT_EQ(runs, 1);
    tasks_run();
    EXPECT_EQ(runs, 1);
}

TEST(several_run_and_each_may_free_itself) {
    struct task t = {.fn = count};

    start();
    for (unsigned int i = 0; i < 3; i++) {
        struct task *own = malloc(sizeof(*own));

        own->fn = free_itself;
        task_raise(own);
    }
    task_raise(&t);
    tasks_run();
    EXPECT_EQ(runs, 4);
}

TEST(one_that_is_raised_by_itself_waits_for_the_next_time) {
    struct task t = {.fn = raise_itself};

    start();
    task_raise(&t);
    tasks_run();
    EXPECT_EQ(runs, 1);
    tasks_run();
    tasks_run();
    tasks_run();
    EXPECT_EQ(runs, 3);
}

TEST(every_cpu_has_its_own) {
    struct task t = {.fn = count};

    start();
    task_raise(&t);
    fake_cpu_enter(1);
    tasks_run();
    EXPECT_EQ(runs, 0);
    fake_cpu_enter(0);
    tasks_run();
    EXPECT_EQ(runs, 1);
}
