#include "core/cpu.h"

#include "core/heap.h"
#include "core/sched.h"
#include "core/time.h"
#include "core/timer.h"
#include "core/work.h"

struct cpu *cpus[NR_CPUS];
cpumask_t cpus_online;
unsigned int nr_cpus_online;

void cpu_raise_on(unsigned int cpu, enum cpu_work bit) {
    uint32_t old = __atomic_fetch_or(&cpus[cpu]->work, bit, __ATOMIC_SEQ_CST);

    if (!old && cpu != this_cpu()->id)
        arch_cpu_kick(cpu);
}

/* What cannot wait, with interrupts on except around the switch of vcpus. */
static void do_owed(struct cpu *cpu) {
    uint32_t work = __atomic_exchange_n(&cpu->work, 0, __ATOMIC_SEQ_CST);

    irq_enable();
    if (work & WORK_TIMER)
        timers_run();
    if (work & WORK_TASK)
        tasks_run();
    irq_disable();
    if (work & WORK_SCHED)
        schedule();
    if ((work & WORK_TIME) && cpu->current)
        time_update_vcpu(cpu->current);
}

/* Nobody to run: scrub freed memory a little at a time, then sleep until an interrupt. */
static void idle_once(struct cpu *cpu) {
    bool more;

    irq_enable();
    more = heap_scrub_some();
    irq_disable();
    if (more || READ_ONCE(cpu->work))
        return;
    cpu->idle = true;
    arch_cpu_wait();
    cpu->idle = false;
}

void cpu_do_work(void) {
    struct cpu *cpu = this_cpu();

    for (;;) {
        if (READ_ONCE(cpu->work))
            do_owed(cpu);
        else if (cpu->current)
            return;
        else
            idle_once(cpu);
    }
}
