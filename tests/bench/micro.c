/*
 * Measures what the operations of a process cost, in ticks of the time stamp counter. Under
 * QEMU's -icount shift=0 a tick is one instruction. The same static binary runs on the bare machine
 * and in dom0.
 *
 *   micro bench      one line per operation: "figure - NAME TICKS"
 *   micro overrun    by how much sleeping one millisecond takes longer, in nanoseconds
 *   micro clock      answers each line with "clock - MONOTONIC_NS REALTIME_NS", ends at "q"
 *   micro nothing    exits at once: what the exec benchmark runs
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
enum { PAGE = 4096, MIB = 1 << 20 };

static void require(int cond, const char *what) {
    if (!cond) {
        perror(what);
        exit(1);
    }
}

static uint64_t ticks(void) {
    uint32_t lo, hi;

    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

static uint64_t clock_ns(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* An anonymous mapping without huge pages, so that every touch is a fault of its own. */
static volatile char *map_pages(size_t bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    require(p != MAP_FAILED, "mmap");
    madvise(p, bytes, MADV_NOHUGEPAGE);
    return p;
}

static void touch(volatile char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += PAGE)
        p[i] = 1;
}

/*
 * ---- operations: each runs n times and returns the ticks that count ---------------------------
 */

static uint64_t null_system_call(unsigned int n) {
    uint64_t start = ticks();

    while (n--)
        syscall(SYS_getppid);
    return ticks() - start;
}

static uint64_t page_fault(unsigned int n) {
    volatile char *p = map_pages((size_t)n * PAGE);
    uint64_t start = ticks();

    touch(p, (size_t)n * PAGE);
    start = ticks() - start;
    munmap((void *)p, (size_t)n * PAGE);
    return start;
}

static uint64_t mprotect_and_write(unsigned int n) {
    volatile char *p = map_pages(PAGE);
    uint64_t start;

    *p = 1;
    start = ticks();
    while (n--) {
        mprotect((void *)p, PAGE, PROT_READ);
        mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE);
        *p = 1;
    }
    start = ticks() - start;
    munmap((void *)p, PAGE);
    return start;
}

static void on_signal(int number) {
    (void)number;
}

static uint64_t signal_to_self(unsigned int n) {
    pid_t self = getpid();
    uint64_t start;

    signal(SIGUSR1, on_signal);
    start = ticks();
    while (n--)
        kill(self, SIGUSR1);
    return ticks() - start;
}

/* There and back between two processes: two context switches. */
static uint64_t pipe_round_trip(unsigned int n) {
    int there[2], back[2];
    char c = 0;
    uint64_t start;
    pid_t child;

    require(!pipe(there) && !pipe(back), "pipe");
    child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1)
            require(write(back[1], &c, 1) == 1, "write");
        _exit(0);
    }
    start = ticks();
    while (n--)
        require(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "round trip");
    start = ticks() - start;
    close(there[1]);
    waitpid(child, NULL, 0);
    close(there[0]);
    close(back[0]);
    close(back[1]);
    return start;
}

static uint64_t fork_and(unsigned int n, int exec) {
    uint64_t start = ticks();

    while (n--) {
        pid_t child = fork();

        require(child >= 0, "fork");
        if (child == 0) {
            if (exec)
                execl("/proc/self/exe", "micro", "nothing", (char *)NULL);
            _exit(exec);
        }
        waitpid(child, NULL, 0);
    }
    return ticks() - start;
}

static uint64_t fork_and_exit(unsigned int n) {
    return fork_and(n, 0);
}

static uint64_t fork_and_exec(unsigned int n) {
    return fork_and(n, 1);
}

static uint64_t mmap_touch_unmap(unsigned int n) {
    uint64_t start = ticks();

    while (n--) {
        volatile char *p = map_pages(MIB);

        touch(p, MIB);
        munmap((void *)p, MIB);
    }
    return ticks() - start;
}

/* Through the privcmd device: the ioctl that hypercalls, less one that the driver refuses. */
struct privcmd_hypercall {
    uint64_t op, arg[5];
};
#define PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))
#define PRIVCMD_UNKNOWN   _IOC(_IOC_NONE, 'P', 200, 0)
enum { HYPERVISOR_XEN_VERSION = 17 };   /* sub-op 0: XENVER_version, no argument */

static int privcmd = -1;

static uint64_t hypercall(unsigned int n) {
    struct privcmd_hypercall call = {.op = HYPERVISOR_XEN_VERSION};
    uint64_t start = ticks(), with, without;

    for (unsigned int i = 0; i < n; i++)
        require(ioctl(privcmd, PRIVCMD_HYPERCALL, &call) >= 0, "privcmd");
    with = ticks() - start;
    start = ticks();
    for (unsigned int i = 0; i < n; i++)
        ioctl(privcmd, PRIVCMD_UNKNOWN, 0);
    without = ticks() - start;
    return with > without ? with - without : 0;
}

/*
 * ---- the table ---------------------------------------------------------------------------------
 */

static const struct operation {
    const char *name;
    uint64_t (*run)(unsigned int n);
    unsigned int times;
    const int *needs;                   /* a descriptor that has to be open, or NULL */
} operations[] = {
    {"null_system_call", null_system_call, 100000, NULL},
    {"page_fault", page_fault, 8192, NULL},
    {"mprotect_and_write", mprotect_and_write, 5000, NULL},
    {"signal", signal_to_self, 10000, NULL},
    {"pipe_round_trip", pipe_round_trip, 5000, NULL},
    {"fork_and_exit", fork_and_exit, 200, NULL},
    {"fork_and_exec", fork_and_exec, 100, NULL},
    {"mmap_touch_unmap_1MiB", mmap_touch_unmap, 50, NULL},
    {"hypercall", hypercall, 50000, &privcmd},
};

static void bench(void) {
    privcmd = open("/dev/xen/privcmd", O_RDWR);
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        const struct operation *o = &operations[i];

        if (o->needs && *o->needs < 0)
            continue;
        o->run(o->times / 20 + 1);      /* warm */
        printf("figure - %s %.1f\n", o->name, (double)o->run(o->times) / o->times);
        fflush(stdout);
    }
}

static void overrun(void) {
    enum { TIMES = 200, ASKED_NS = 1000000 };
    struct timespec asked = {0, ASKED_NS};
    uint64_t start = clock_ns(CLOCK_MONOTONIC);

    for (int i = 0; i < TIMES; i++)
        nanosleep(&asked, NULL);
    printf("figure - overrun_ns %.0f\n",
           (double)(clock_ns(CLOCK_MONOTONIC) - start) / TIMES - ASKED_NS);
}

/* Line for line, so that the host can take the reading with the quickest answer. */
static void answer_clock(void) {
    char line[80];

    while (fgets(line, sizeof(line), stdin) && line[0] != 'q') {
        printf("clock - %llu %llu\n", (unsigned long long)clock_ns(CLOCK_MONOTONIC),
               (unsigned long long)clock_ns(CLOCK_REALTIME));
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "";

    if (!strcmp(what, "nothing"))
        return 0;
    if (!strcmp(what, "bench"))
        bench();
    else if (!strcmp(what, "overrun"))
        overrun();
    else if (!strcmp(what, "clock"))
        answer_clock();
    else {
        fprintf(stderr, "usage: micro bench|overrun|clock|nothing\n");
        return 2;
    }
    return 0;
}
