#include "core/work.h"

#include "core/cpu.h"

void task_raise(struct task *t) {
    struct cpu *cpu = this_cpu();
    uint64_t flags = irq_save();

    t->next = cpu->tasks;
    cpu->tasks = t;
    irq_restore(flags);
    cpu_raise(WORK_TASK);
}

void tasks_run(void) {
    struct cpu *cpu = this_cpu();
    uint64_t flags = irq_save();
    struct task *t = cpu->tasks;

    cpu->tasks = NULL;
    irq_restore(flags);
    while (t) {
        struct task *next = t->next;

        t->fn(t);
        t = next;
    }
}
