/* The end: say what happened, with registers and the way there, then stop or restart. */
#include <stdarg.h>

#include "arch/cpu.h"
#include "arch/x86/entry.h"
#include "arch/x86/processor.h"
#include "arch/x86/sections.h"
#include "arch/x86/smp.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "core/cpu.h"
#include "lib/bug.h"
#include "lib/printf.h"

static bool opt_noreboot;
OPTION_FLAG("noreboot", opt_noreboot, "stop after a fatal error instead of restarting in 5 s");

/* Written by the build (Makefile): functions by address, then their names. */
struct symbol {
    uint32_t offset, name;           /* from IMAGE_BASE; from the start of the table */
};
extern const struct symbol symbols_start[];

#define BACKTRACE_MAX 24

static void print_address(uint64_t address) {
    /* The first entry says where the names begin, so how many functions there are. */
    const char *names = (const char *)symbols_start;
    uint32_t offset = (uint32_t)image_phys((void *)address), low = 0, high;

    if (address < (uintptr_t)image_start || address >= (uintptr_t)init_text_end) {
        pr_err("    %016lx\n", address);
        return;
    }
    for (high = symbols_start[0].name / sizeof(struct symbol); high - low > 1;) {
        uint32_t middle = (low + high) / 2;

        if (symbols_start[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    pr_err("    %016lx %s+0x%x\n", address, names + symbols_start[low].name,
           offset - symbols_start[low].offset);
}

/* Frames on the stack block that rbp points into; each is further up. */
static void print_backtrace(uint64_t rbp) {
    uint64_t block = rbp & ~(uint64_t)(STACK_BLOCK_SIZE - 1), end = block + STACK_MAIN_TOP;

    if (block < STACKS_VA || block >= STACKS_VA + NR_CPUS * (uint64_t)STACK_BLOCK_SIZE)
        return;
    for (unsigned int i = 0; i < BACKTRACE_MAX && rbp % 8 == 0 && rbp + 16 <= end; i++) {
        const uint64_t *frame = (const uint64_t *)rbp;

        if (!frame[1])
            break;
        print_address(frame[1] - 1); /* the call, not what comes after it */
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
}

static void print_registers(const struct cpu_user_regs *r) {
    pr_err("  vector %u error %x  rip %04x:%016lx  rflags %lx\n", r->entry_vector, r->error_code,
           r->cs, r->rip, r->rflags);
    pr_err("  rsp %04x:%016lx  cr2 %016lx  cr3 %016lx\n", r->ss, r->rsp, read_cr2(), read_cr3());
    pr_err("  rax %016lx  rbx %016lx  rcx %016lx\n", r->rax, r->rbx, r->rcx);
    pr_err("  rdx %016lx  rsi %016lx  rdi %016lx\n", r->rdx, r->rsi, r->rdi);
    pr_err("  rbp %016lx  r8  %016lx  r9  %016lx\n", r->rbp, r->r8, r->r9);
    pr_err("  r10 %016lx  r11 %016lx  r12 %016lx\n", r->r10, r->r11, r->r12);
    pr_err("  r13 %016lx  r14 %016lx  r15 %016lx\n", r->r13, r->r14, r->r15);
}

/* Only the first cpu that panics goes on from here. */
static void panic_begin(void) {
    static bool begun;

    irq_disable();
    if (__atomic_exchange_n(&begun, true, __ATOMIC_SEQ_CST))
        for (;;)
            __asm__ volatile("hlt");
    smp_stop_others();
    console_force_unlock();
}

/* Port 0x80 takes about a microsecond on any PC, whatever else is broken. */
static _Noreturn void panic_end(void) {
    if (opt_noreboot) {
        pr_err("Stopped; reset the machine by hand (option noreboot).\n");
        for (;;)
            __asm__ volatile("cli; hlt");
    }
    pr_err("Restarting in 5 seconds (option noreboot prevents it).\n");
    for (unsigned int i = 0; i < 5000000; i++)
        (void)inb(0x80);
    arch_reboot();
}

static void print_reason(const char *fmt, va_list args) {
    char text[200];

    vsnprintf(text, sizeof(text), fmt, args);
    pr_err("Hospes panic: %s\n", text);
}

void panic(const char *fmt, ...) {
    va_list args;

    panic_begin();
    va_start(args, fmt);
    print_reason(fmt, args);
    va_end(args);
    panic_end();
}

void bug(const char *expr, const char *file, int line) {
    panic_begin();
    pr_err("Hospes panic: BUG on cpu %u: %s at %s:%d\n", this_cpu()->id, expr, file, line);
    print_backtrace((uintptr_t)__builtin_frame_address(0));
    panic_end();
}

void panic_regs(const struct cpu_user_regs *regs, const char *fmt, ...) {
    va_list args;

    panic_begin();
    va_start(args, fmt);
    print_reason(fmt, args);
    va_end(args);
    pr_err("  on cpu %u\n", this_cpu()->id);
    print_registers(regs);
    print_address(regs->rip);
    print_backtrace(regs->rbp);
    panic_end();
}
