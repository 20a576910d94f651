/* Further vcpus: bringing one up, giving it work, waiting for it. */
#include "pv.h"

static struct {
    volatile unsigned int started, done; /* counts of jobs */
    void (*volatile job)(void *);
    void *volatile arg;
} worker[MAX_VCPUS];

/* Runs on the vcpu, for ever. */
static void work(void) {
    struct cpu *cpu = this_cpu();
    unsigned int seen = 0;

    for (;;) {
        while (worker[cpu->id].started == seen)
            __asm__ volatile("pause" ::: "memory");
        seen++;
        worker[cpu->id].job(worker[cpu->id].arg);
        __atomic_store_n(&worker[cpu->id].done, seen, __ATOMIC_SEQ_CST);
    }
}

void smp_context(struct vcpu_guest_context *c, unsigned int vcpu) {
    extern char start_secondary[];
    static struct trap_info table[257];
    struct cpu *cpu = (struct cpu *)cpu_blocks[vcpu];

    memset(c, 0, sizeof(*c));
    cpu->id = vcpu;
    trap_fill(table);
    memcpy(c->trap_ctxt, table, sizeof(c->trap_ctxt));
    c->flags = VGCF_in_kernel;
    c->user_regs.rip = ADDRESS(start_secondary);
    c->user_regs.rsp = ADDRESS(cpu_blocks[vcpu]) + CPU_BLOCK_SIZE;
    c->user_regs.rdi = ADDRESS(work);
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->user_regs.rflags = 2;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = ADDRESS(cpu_blocks[vcpu]) + CPU_ENTRY_STACK;
    c->ctrlreg[3] = xen_pfn_to_cr3(mfn_of((void *)start_info->pt_base));
    c->event_callback_eip = ADDRESS(event_entry);
    c->failsafe_callback_eip = ADDRESS(failsafe_entry);
    c->syscall_callback_eip = ADDRESS(syscall_entry);
}

void smp_start(unsigned int vcpu) {
    static struct vcpu_guest_context c;

    smp_context(&c, vcpu);
    NEED(vcpu_op(VCPUOP_initialise, vcpu, &c) == 0);
    NEED(vcpu_op(VCPUOP_up, vcpu, NULL) == 0);
}

void smp_run(unsigned int vcpu, void (*job)(void *), void *arg) {
    smp_wait(vcpu);
    worker[vcpu].job = job;
    worker[vcpu].arg = arg;
    __atomic_add_fetch(&worker[vcpu].started, 1, __ATOMIC_SEQ_CST);
}

void smp_wait(unsigned int vcpu) {
    while (__atomic_load_n(&worker[vcpu].done, __ATOMIC_SEQ_CST) != worker[vcpu].started)
        (void)sched_op(SCHEDOP_yield, NULL);
}
