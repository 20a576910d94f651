/* Deferred functions: run soon on this cpu, from cpu_do_work, where any lock may be taken. */
#ifndef CORE_WORK_H
#define CORE_WORK_H

struct task {
    void (*fn)(struct task *t);
    struct task *next;
};

/* Callable with any lock held and from interrupts. t is not queued already; fn may free it. */
void task_raise(struct task *t);
void tasks_run(void);

#endif
