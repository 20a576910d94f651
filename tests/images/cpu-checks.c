/*
 * What a process may expect of the processor, whoever lies between: exceptions arrive as signals,
 * privileged instructions and other people's memory are out of reach, flags and registers survive
 * faults, and floating point, segments and debug registers stay with their process when the
 * scheduler changes over.
 *
 * Runs in dom0 and on the bare machine: "cpu-checks xen" or "cpu-checks bare".
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define NON_CANONICAL 0x800000000000
#define CS64          0x33
#define HV_CS         0xe008
#define FLAG_TF       0x100
#define FLAG_DF       0x400
#define FLAG_NT       0x4000
#define FLAG_AC       0x40000

static void check(bool good, const char *name, long got) {
    if (good)
        printf("ok - cpu, %s\n", name);
    else
        printf("not ok - cpu, %s: got %#lx\n", name, got);
    fflush(stdout);
}

/* ---- children, and how they end --------------------------------------------------- */

/* The signal that ends a child running f, or 0x1000 and its exit status. */
static int fate_of(void (*f)(void)) {
    pid_t child = fork();
    int status;

    if (!child) {
        f();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0x1000 | WEXITSTATUS(status);
}

/* Several at once, more than there are processors, off when all are there: how many failed. */
static int failures_among(int n, void (*f)(int)) {
    int failed = 0, status, gate[2];
    char none;

    if (pipe(gate))
        return -1;
    for (int i = 0; i < n; i++) {
        if (!fork()) {
            close(gate[1]);
            if (read(gate[0], &none, 1))
                _exit(1);
            f(i);
            _exit(0);
        }
    }
    close(gate[0]);
    close(gate[1]);
    while (wait(&status) > 0)
        failed += status != 0;
    return failed;
}

/* ---- exceptions ------------------------------------------------------------------- */

#define SET(flag) "pushf; orl %[" #flag "], (%%rsp); popf; "

static void divide(void) {
    __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "rax", "rcx", "rdx");
}
static void undefined(void) {
    __asm__ volatile("ud2");
}
static void in(void) {
    __asm__ volatile("in $0x80, %%al" ::: "rax");
}
static void cli(void) {
    __asm__ volatile("cli");
}
static void halt(void) {
    __asm__ volatile("hlt");
}
static void read_msr(void) {
    __asm__ volatile("rdmsr" ::"c"(0x10) : "rax", "rdx");
}
static void read_cr0(void) {
    __asm__ volatile("mov %%cr0, %%rax" ::: "rax");
}
static void int81(void) {
    __asm__ volatile("int $0x81");
}
static void enter_by_sysenter(void) {
    __asm__ volatile("sysenter");
}
static void read_at(uint64_t address) {
    __asm__ volatile("mov (%0), %%al" ::"r"(address) : "rax");
}
static void write_m2p(void) {
    __asm__ volatile("movb $1, (%0)" ::"r"(0xffff800000000000) : "memory");
}
static void read_image(void) {
    read_at(0xffff808000200000);
}
static void read_direct_map(void) {
    read_at(0xffff830000000000);
}
static void read_kernel(void) {
    read_at(0xffffffff81000000);
}
static void read_non_canonical(void) {
    read_at(NON_CANONICAL);
}
static void jump_to_image(void) {
    ((void (*)(void))0xffff808000200000)();
}
static void load_hv_selector(void) {
    __asm__ volatile("mov %0, %%ds" ::"r"(HV_CS));
}
static void load_selector_beyond(void) {
    __asm__ volatile("mov %0, %%ds" ::"r"(0xf803));
}
static void iretq(uint64_t cs, uint64_t rip) {
    __asm__ volatile(
        "mov %%rsp, %%rcx; push $0x2b; push %%rcx; pushf; push %0; push %1; iretq" ::"r"(cs),
        "r"(rip)
        : "rcx");
}
static void iretq_non_canonical(void) {
    iretq(CS64, NON_CANONICAL);
}
static void iretq_hv_cs(void) {
    iretq(HV_CS, (uintptr_t)undefined);
}
static void step_over_syscall(void) {
    __asm__ volatile(SET(tf) "mov $39, %%eax; syscall; nop" ::[tf] "i"(FLAG_TF)
                     : "rax", "rcx", "r11");
}
static void syscall_with_nt(void) {
    __asm__ volatile(SET(nt) "mov $39, %%eax; syscall" ::[nt] "i"(FLAG_NT) : "rax", "rcx", "r11");
}

static void to_non_canonical(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = NON_CANONICAL;
}
static void to_hv_cs(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_CSGSFS] = 0x2b000000000000 | HV_CS | 1;
}
static void raise_into(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}
static void sigreturn_non_canonical(void) {
    raise_into(to_non_canonical);
}
static void sigreturn_hv_cs(void) {
    raise_into(to_hv_cs);
}

static void exceptions(void) {
    static const struct {
        const char *name;
        void (*run)(void);
        int fate;
    } cases[] = {
        {"divide error", divide, SIGFPE},
        {"undefined opcode", undefined, SIGILL},
        {"in", in, SIGSEGV},
        {"cli", cli, SIGSEGV},
        {"hlt", halt, SIGSEGV},
        {"rdmsr", read_msr, SIGSEGV},
        {"mov from cr0", read_cr0, SIGSEGV},
        {"int 0x81", int81, SIGSEGV},
        {"writing the M2P", write_m2p, SIGSEGV},
        {"reading the hypervisor", read_image, SIGSEGV},
        {"reading its direct map", read_direct_map, SIGSEGV},
        {"reading the kernel", read_kernel, SIGSEGV},
        {"reading what is not canonical", read_non_canonical, SIGSEGV},
        {"jumping into the hypervisor", jump_to_image, SIGSEGV},
        {"loading its selector", load_hv_selector, SIGSEGV},
        {"loading a selector behind its last", load_selector_beyond, SIGSEGV},
        {"iretq to what is not canonical", iretq_non_canonical, SIGSEGV},
        {"iretq to its cs", iretq_hv_cs, SIGSEGV},
        {"sigreturn to what is not canonical", sigreturn_non_canonical, SIGSEGV},
        {"sigreturn to its cs", sigreturn_hv_cs, SIGSEGV},
        {"single step over a system call", step_over_syscall, SIGTRAP},
        {"a system call with NT set", syscall_with_nt, 0x1000},
    };

    for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
        int fate = fate_of(cases[i].run);

        check(fate == cases[i].fate, cases[i].name, fate);
    }
    /* By vendor and emulator another signal, but never a way through. */
    check(fate_of(enter_by_sysenter) < 0x1000, "sysenter in 64-bit mode", 0);
}

static volatile sig_atomic_t traps;
static void *volatile fault_address;
static sigjmp_buf after_fault;

static void on_trap(int sig) {
    (void)sig;
    traps++;
}
static void on_fault(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)context;
    fault_address = info->si_addr;
    siglongjmp(after_fault, 1);
}

static void signals(bool is_xen) {
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    uint32_t eax = 20, ebx, ecx, edx;
    uint16_t ss;

    sigaction(SIGSEGV, &fault, NULL);
    if (!sigsetjmp(after_fault, 1))
        read_at(8);
    check(fault_address == (void *)8, "a page fault tells the address", (long)fault_address);
    signal(SIGSEGV, SIG_DFL);

    signal(SIGTRAP, on_trap);
    __asm__ volatile("int3");
    check(traps == 1, "int3", traps);
    traps = 0;
    __asm__ volatile(SET(tf) "nop; nop; nop; pushf; andl %[off], (%%rsp); popf" ::[tf] "i"(FLAG_TF),
                     [off] "i"(~FLAG_TF)
                     : "memory", "cc");
    check(traps >= 3, "the trap flag", traps);
    traps = 0;
    __asm__ volatile("mov %%ss, %0; mov %0, %%ss; int3" : "=r"(ss));
    check(traps == 1, "int3 in the shadow of mov ss", traps);
    signal(SIGTRAP, SIG_DFL);

    __asm__ volatile("int $0x80" : "+a"(eax)::"memory", "r8", "r9", "r10", "r11");
    check((pid_t)eax == getpid(), "int 0x80", eax);
    if (!is_xen)
        return;
    eax = 0x40000000;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    check(ebx == 0x566e6558, "the enlightened cpuid", ebx);
}

/* ---- what a fault leaves alone ---------------------------------------------------- */

/* Fill the registers, touch *page, and count those that changed; rflags, with `flags` set, too. */
static long changed_by_touching(volatile char *page, uint64_t flags) {
    uint64_t after, changed;

    __asm__ volatile("mov %[page], %%rdi\n\t"
                     "push %%rbp; push %[flags]\n\t"
                     ".set i, 1; .irp r, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, "
                     "r14, r15\n\tmov $0x11112222 * i, %%\\r; .set i, i + 1; .endr\n\t"
                     "popf; movb $1, (%%rdi); pushf\n\t"
                     ".set i, 1; .irp r, rax, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, "
                     "r14, r15\n\tpush %%rax; mov $0x11112222 * i, %%rax; .ifnc \\r, rax\n\t"
                     "sub %%rax, %%\\r; .else; sub (%%rsp), %%rax; mov %%rax, (%%rsp); .endif\n\t"
                     "pop %%rax; .set i, i + 1; .endr\n\t"
                     ".irp r, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n\t"
                     "or %%\\r, %%rax; .endr\n\t"
                     "cld; pop %%rcx; push $2; popf; pop %%rbp"
                     : "=a"(changed), "=c"(after)
                     : [page] "r"(page), [flags] "r"(flags)
                     : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
    return (long)(changed | ((after ^ flags) & (FLAG_DF | FLAG_AC | 0x8d5)));
}

static void faults(void) {
    static const struct {
        const char *name;
        uint64_t flags;
    } cases[] = {
        {"registers survive a page fault", 0x202},
        {"so does the direction flag", 0x202 | FLAG_DF},
        {"so do the alignment and arithmetic flags", 0x202 | FLAG_AC | 0x8d5},
    };
    char *fresh = mmap(NULL, ARRAY_LEN(cases) * 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
        long changed = changed_by_touching(fresh + i * 4096, cases[i].flags);

        check(changed == 0, cases[i].name, changed);
    }
}

/* ---- what stays with its process -------------------------------------------------- */

static void keep_vectors(int seed) {
    uint64_t pattern[4] = {(uint64_t)seed + 1, ~(uint64_t)seed, seed * 0x0101010101010101u, 77},
             out[4];
    bool avx = __builtin_cpu_supports("avx");
    double x = 1.0 + seed, y;

    for (int i = 0; i < 10000; i++) {
        if (avx)
            __asm__ volatile("vmovdqu %0, %%ymm15" ::"m"(pattern) : "xmm15");
        else
            __asm__ volatile("movdqu %0, %%xmm15" ::"m"(pattern) : "xmm15");
        __asm__ volatile("fldl %0" ::"m"(x));
        if (i % 64 == 0)
            syscall(SYS_sched_yield);
        __asm__ volatile("fstpl %0" : "=m"(y));
        if (avx)
            __asm__ volatile("vmovdqu %%ymm15, %0" : "=m"(out));
        else
            __asm__ volatile("movdqu %%xmm15, %0" : "=m"(out));
        if (memcmp(pattern, out, avx ? 32 : 16) || x != y)
            _exit(1);
    }
}

static void keep_gs_base(int seed) {
    uint64_t cell = 0x1122 + (uint64_t)seed, seen;

    syscall(SYS_arch_prctl, ARCH_SET_GS, &cell);
    for (int i = 0; i < 500; i++) {
        sched_yield();
        __asm__ volatile("mov %%gs:0, %0" : "=r"(seen));
        if (seen != cell)
            _exit(1);
    }
}

/*
 * A selector of the LDT in GS, or in GS and ES: after each change of process a page of the LDT is
 * used anew, first by the one loaded first.
 */
static void keep_ldt_selector(int seed) {
    uint32_t *low =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct user_desc d = {.entry_number = 3 + (unsigned int)seed * 600,
                          .base_addr = (uint32_t)(uintptr_t)low,
                          .limit = 0xfffff,
                          .seg_32bit = 1,
                          .limit_in_pages = 1,
                          .useable = 1};
    uint32_t selector = d.entry_number << 3 | 7, seen, es;

    low[2] = 0xabcd0000 + (uint32_t)seed;
    if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
        _exit(2);
    __asm__ volatile("mov %0, %%gs; mov %1, %%es" ::"r"(selector), "r"(seed % 2 ? selector : 0));
    for (int i = 0; i < 500; i++) {
        sched_yield();
        __asm__ volatile("mov %%gs:8, %0; mov %%es, %1" : "=r"(seen), "=r"(es));
        if (seen != low[2] || es != (seed % 2 ? selector : 0))
            _exit(1);
    }
}

static void switches(void) {
    int failed = failures_among(4, keep_vectors);

    check(!failed, "floating point and vectors stay with their process", failed);
    failed = failures_among(4, keep_gs_base);
    check(!failed, "GS bases do", failed);
    failed = failures_among(4, keep_ldt_selector);
    check(!failed, "LDT selectors do", failed);
}

/* ---- a debugger's view ------------------------------------------------------------ */

static volatile uint64_t watched;

static _Noreturn void be_traced(void) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (int i = 0; i < 50; i++)
        syscall(SYS_getppid);
    raise(SIGSTOP);
    watched = 1;
    _exit(7);
}

static bool stopped_by(pid_t child, int sig, int *status) {
    waitpid(child, status, 0);
    return WIFSTOPPED(*status) && WSTOPSIG(*status) == sig;
}

static void debugger(void) {
    struct user_regs_struct regs;
    int status, steps = 0;
    pid_t child = fork();
    long rc;

    if (!child)
        be_traced();
    stopped_by(child, SIGSTOP, &status);
    ptrace(PTRACE_GETREGS, child, 0, &regs);
    check(regs.cs == CS64 && regs.ss == 0x2b, "selectors are the kernel's", (long)regs.cs);
    do
        ptrace(PTRACE_SINGLESTEP, child, 0, 0);
    while (stopped_by(child, SIGTRAP, &status) && ++steps < 1000);
    check(steps >= 300, "single steps, system calls among them", steps);

    if (WSTOPSIG(status) == SIGTRAP) {
        ptrace(PTRACE_CONT, child, 0, 0);
        stopped_by(child, SIGSTOP, &status);
    }
    /* eight bytes, on writes */
    rc = ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[0]), &watched);
    rc |= ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[7]), (void *)0x90001);
    ptrace(PTRACE_CONT, child, 0, 0);
    check(stopped_by(child, SIGTRAP, &status) && !rc, "a watchpoint", status);
    while (WIFSTOPPED(status)) {
        ptrace(PTRACE_CONT, child, 0, 0);
        waitpid(child, &status, 0);
    }
    check(WIFEXITED(status) && WEXITSTATUS(status) == 7, "a traced process ends as it would",
          status);
}

int main(int argc, char **argv) {
    exceptions();
    signals(argc > 1 && !strcmp(argv[1], "xen"));
    faults();
    switches();
    debugger();
    return 0;
}
