/*
 * Exceptions, callbacks, and the ways back from them.
 *
 * The ABI promises (abi/xen.h, abi/arch-x86.h; arch-x86/xen-x86_64.h of Xen):
 *  - an exception arrives on the kernel stack, aligned down to 16, as rcx, r11, [error code], rip,
 *    cs with the event mask in bits 32-39, rflags, rsp, ss; cs has RPL 0 if the kernel was
 *    interrupted; rflags shows IF = !mask; the handler starts with TF, NT, AC clear, masked if its
 *    trap asks so;
 *  - error codes are the processor's, for #PF with U only for user mode; cr2 is in vcpu_info;
 *  - INT n needs the trap's DPL, else #GP(n * 8 + 2);
 *  - the iret hypercall takes any frame: flags that are not the guest's are dropped, selectors and
 *    rip that the processor refuses come back as a fault;
 *  - `syscall` in user mode is the guest kernel's business;
 *  - debug registers do not reach the hypervisor;
 *  - a guest that leaves no way to deliver is crashed.
 * Proof: each is provoked and the frame compared. "crash=NAME" on the command line runs one case
 * that must end the domain (the table at the end); who started the guest looks for that in the
 * console.
 */
#include "lib/pv.h"

#define MASKED_CS(mask) ((FLAT_KERNEL_CS & ~3ul) | (uint64_t)(mask) << 32)
#define TF              0x100ul
#define NT              0x4000ul
#define AC              0x40000ul
#define HV_PRIVATE      0xffff830000000000ul
#define NON_CANONICAL   0x0000800000000000ul

static void expect(const char *name, const struct frame *f, uint64_t vector, uint64_t error) {
    report(f->vector == vector && f->error == error, name,
           "wanted vector %lu error %#lx, got vector %ld error %#lx at %#lx", vector, error,
           (long)f->vector, f->error, f->iret.rip);
}

/* ---- the frame ------------------------------------------------------------------------------ */

static void the_bounce_frame(void) {
    extern char at_ud2[];
    const struct frame *f;
    uint64_t sp;

    f = FAULT(__asm__ volatile("mov %%rsp, %0\n"
                               "mov $0x1234, %%ecx; mov $0x5678, %%r11d\n"
                               "at_ud2: ud2"
                               : "=m"(sp)
                               :
                               : "rcx", "r11"));
    expect("ud2 is vector 6", f, 6, 0);
    CHECK_EQ("rip is that of the instruction", ADDRESS(at_ud2), f->iret.rip);
    CHECK_EQ("cs has RPL 0 and tells that events were masked", MASKED_CS(1), f->cs_slot);
    CHECK_EQ("rflags shows masked events as IF clear", 0, f->iret.rflags & 0x200);
    CHECK_EQ("ss is the kernel's", FLAT_KERNEL_SS, f->iret.ss & 0xffff);
    CHECK("rcx and r11 are in the frame", f->iret.rcx == 0x1234 && f->iret.r11 == 0x5678);
    CHECK_EQ("the mask stays as it was", 1, f->mask);
    CHECK("IOPL is not shown", (f->iret.rflags & 0x3000) == 0);

    struct series s = {.name =
                           "wherever the stack pointer is, the frame ends below it aligned to 16"};

    for (unsigned int skew = 0; skew < 16; skew++) {
        f = FAULT(__asm__ volatile("mov %%rsp, %%r12; sub %0, %%rsp; ud2" ::"r"((uint64_t)skew)
                                   : "r12"));
        series_case(&s,
                    f->vector == 6 && f->sp == (f->iret.rsp & ~15ul) - 7 * 8 &&
                        f->r12 - skew == f->iret.rsp,
                    "skew %u: stack %#lx, frame %#lx", skew, f->iret.rsp, f->sp);
        f = FAULT(__asm__ volatile(
            "mov %%rsp, %%r12; sub %0, %%rsp; mov (%1), %%al" ::"r"((uint64_t)skew),
            "r"(NON_CANONICAL)
            : "r12", "rax"));
        series_case(&s, f->vector == 13 && f->sp == (f->iret.rsp & ~15ul) - 8 * 8,
                    "skew %u with error code: stack %#lx, frame %#lx", skew, f->iret.rsp, f->sp);
    }
    series_end(&s);

    f = FAULT(__asm__ volatile("pushf; orq %0, (%%rsp); popf; ud2" ::"i"(AC | NT)));
    CHECK_EQ("AC and NT are seen in the frame", AC | NT, f->iret.rflags & (AC | NT));
    CHECK_EQ("and are clear in the handler", 0, f->flags & (AC | NT | TF));
}

static void mask_events_on_entry(void) {
    struct trap_info one[2] = {{.vector = 6,
                                .flags = 4,
                                .cs = FLAT_KERNEL_CS,
                                .address = ADDRESS(trap_stubs) + 6 * TRAP_STUB_SIZE}};
    const struct frame *f;

    events_unmask();
    f = FAULT(__asm__ volatile("ud2"));
    CHECK("with events unmasked cs says so and IF is set",
          f->cs_slot == MASKED_CS(0) && (f->iret.rflags & 0x200) && f->mask == 0);
    CHECK_EQ("and iret leaves them unmasked", 0, vcpu_info(0)->evtchn_upcall_mask);
    CHECK_EQ("one trap can be changed alone", 0, set_trap_table(one));
    f = FAULT(__asm__ volatile("ud2"));
    CHECK("a trap with the interrupt flag masks events",
          f->mask == 1 && f->cs_slot == MASKED_CS(0));
    CHECK_EQ("and iret with IF set unmasks them", 0, vcpu_info(0)->evtchn_upcall_mask);
    events_mask();
    traps_init();
}

/* ---- what raises what ----------------------------------------------------------------------- */

static void faults(void) {
    const struct frame *f;

    expect("division by zero is vector 0",
           FAULT(__asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::
                                      : "rax", "rcx", "rdx")),
           0, 0);
    expect("int3 is vector 3", FAULT(__asm__ volatile("int3")), 3, 0);
    expect("a non-canonical address is #GP(0)",
           FAULT(__asm__ volatile("mov (%0), %%al" ::"r"(NON_CANONICAL)
                                  : "rax")),
           13, 0);
    f = FAULT(
        __asm__ volatile("mov %%rbp, %%r12; mov %0, %%rbp; mov (%%rbp), %%al" ::"r"(NON_CANONICAL)
                         : "rax", "r12"));
    CHECK("by the stack pointer it is #SS(0), or #GP(0) on QEMU",
          (f->vector == 12 || f->vector == 13) && f->error == 0);
    expect("a selector outside the GDT is #GP(selector)",
           FAULT(__asm__ volatile("mov %0, %%ds" ::"r"(0xdeb8))), 13, 0xdeb8);
    expect("a selector of the absent LDT is #GP(selector)",
           FAULT(__asm__ volatile("mov %0, %%es" ::"r"(0x17))), 13, 0x14);
    f = FAULT(__asm__ volatile("mov %0, %%fs" ::"r"(0xe010)));
    CHECK("the hypervisor's data segment cannot be loaded", f->vector == 13);
    f = FAULT(__asm__ volatile("jmp *%0" ::"r"(NON_CANONICAL)));
    CHECK("a jump to a non-canonical address is #GP", f->vector == 13);
    f = FAULT(__asm__ volatile("push %0; ret" ::"r"(~0ul << 63)));
    CHECK("and so is a return to one", f->vector == 13);
    f = FAULT(__asm__ volatile("jmp *%0" ::"r"(HV_PRIVATE)));
    CHECK("a jump into the hypervisor is #PF", f->vector == 14 && f->cr2 == HV_PRIVATE);
}

/*
 * QEMU before 8.0 gives the error code of a refused INT n as n * 16 + 2 in 64-bit mode, so that
 * every hypervisor takes it for INT 2n. Where that is so, 2n is what is asked for here.
 */
static unsigned int int_unit(void) {
    return FAULT(__asm__ volatile("int $0x21"))->error == 0x212 ? 2 : 1;
}

extern char int_n[];
__asm__(".pushsection .text\nint_n: int $0x20; ret\n.popsection");

static const struct frame *soft_int(unsigned int n) {
    uint64_t cr2;

    int_n[1] = (char)n;
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2)); /* serialises, as it is emulated */
    return FAULT(__asm__ volatile("call int_n"));
}

static void software_interrupts(void) {
    extern char after_int80[];
    const uint64_t no_error = ADDRESS(trap_stubs) + 0x30 * TRAP_STUB_SIZE;
    struct trap_info soft[3] = {{.vector = 14, .flags = 3, .address = no_error},
                                {.vector = 10, .flags = 3, .address = no_error}};
    struct series s = {.name = "int n without the DPL for it is #GP(n * 8 + 2)"};
    const unsigned int unit = int_unit();
    const struct frame *f;

    for (unsigned int n = 0; n < 256; n++) {
        unsigned int seen = n * unit & 0xff;

        if (n == 3 || n == 4 || n == 0x80 || seen == 3 || seen == 4 || seen == 0x80)
            continue;
        f = soft_int(n);
        series_case(
            &s, f->vector == 13 && f->error == n * unit * 8 + 2 && f->iret.rip == ADDRESS(int_n),
            "int %#x: vector %ld, error %#lx, rip %#lx", n, (long)f->vector, f->error, f->iret.rip);
    }
    series_end(&s);
    f = FAULT(__asm__ volatile("int $0x80; after_int80: nop"));
    expect("int 0x80 with DPL 3 is vector 0x80", f, 0x80, 0);
    CHECK_EQ("and rip is behind it", ADDRESS(after_int80), f->iret.rip);
    expect("int 4 with DPL 3 is vector 4", FAULT(__asm__ volatile("int $4")), 4, 0);

    NEED(set_trap_table(soft) == 0);
    f = soft_int(14 / unit);
    CHECK("int 14, where allowed, comes without an error code, from behind it",
          f->vector == 0x30 && f->sp == (f->iret.rsp & ~15ul) - 7 * 8 &&
              f->iret.rip == ADDRESS(int_n) + 2);
    f = soft_int(10 / unit);
    CHECK("and so does int 10", f->vector == 0x30 && f->sp == (f->iret.rsp & ~15ul) - 7 * 8);
    traps_init();
}

static void page_faults(void) {
    void *page = page_alloc();
    uint64_t hole = window_va(8), read_only = window_va(9), no_exec = window_va(10), cr2;
    const struct frame *f;

    NEED(window_map(9, pte_for(page, RO)) == 0 && window_map(10, pte_for(page, RW | PTE_NX)) == 0);
    f = FAULT((void)*(volatile char *)(hole + 0x123));
    expect("reading what is not mapped is #PF(0)", f, 14, 0);
    CHECK_EQ("and vcpu_info has the address", hole + 0x123, f->cr2);
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    CHECK_EQ("and mov from cr2 gives it too", hole + 0x123, cr2);
    f = FAULT(*(volatile char *)(hole + 5) = 0);
    expect("writing what is not mapped is #PF(2)", f, 14, 2);
    f = FAULT(*(volatile char *)(read_only + 0xfff) = 0);
    expect("writing what is read-only is #PF(3)", f, 14, 3);
    CHECK_EQ("with the address", read_only + 0xfff, f->cr2);
    f = FAULT(__asm__ volatile("call *%0" ::"r"(no_exec)));
    expect("executing what is not for that is #PF(0x11)", f, 14, 0x11);
    CHECK("with address and rip", f->cr2 == no_exec && f->iret.rip == no_exec);
    f = FAULT(*(volatile uint64_t *)(hole - 4) = 0);
    CHECK("a write across into a hole faults at the hole", f->vector == 14);
    f = FAULT((void)*(volatile char *)HV_PRIVATE);
    CHECK("reading the hypervisor is #PF without the user bit",
          f->vector == 14 && (f->error & ~1ul) == 0 && f->cr2 == HV_PRIVATE);
    f = FAULT(*(volatile char *)HV_PRIVATE = 0);
    CHECK("writing the hypervisor is #PF without the user bit",
          f->vector == 14 && (f->error & ~1ul) == 2);
    struct series s = {.name = "no address in the hypervisor's hole can be read but the M2P"};

    for (uint64_t va = MACH2PHYS_VIRT_END; va < HYPERVISOR_VIRT_END; va += 0x0000000fffffd008) {
        f = FAULT((void)*(volatile char *)va);
        series_case(&s, f->vector == 14, "%#lx: vector %ld", va, (long)f->vector);
    }
    series_end(&s);
    f = FAULT(__asm__ volatile("mov %0, %%cr2" ::"r"(0x5555ul)));
    CHECK("cr2 can be written", f->vector == NO_FAULT && vcpu_info(0)->arch.cr2 == 0x5555);
    NEED(window_map(9, 0) == 0 && window_map(10, 0) == 0);
    page_free(page);
}

/* ---- debugging ------------------------------------------------------------------------------ */

static volatile uint64_t watched;

static void single_step(void) {
    extern char step_1[], step_2[];
    const struct frame *f;

    (void)set_debugreg(6, 0xffff0ff0);
    f = FAULT(__asm__ volatile("pushf; orq $0x100, (%rsp); popf; step_1: nop; step_2: nop; nop"));
    expect("a single step is vector 1", f, 1, 0);
    report(f->iret.rip == ADDRESS(step_2) || f->iret.rip == ADDRESS(step_1),
           "at the instruction behind", "rip %#lx, not %#lx", f->iret.rip, ADDRESS(step_2));
    CHECK("TF is seen in the frame and clear in the handler",
          (f->iret.rflags & TF) && !(f->flags & TF));
    CHECK("dr6 says single step", get_debugreg(6) & 0x4000);
    f = FAULT(__asm__ volatile("pushf; orq $0x100, (%%rsp); mov %0, %%eax; xor %%edi, %%edi\n"
                               "popf; syscall; nop; nop" ::"i"(__HYPERVISOR_xen_version)
                               : "rax", "rcx", "r11", "rdi", "rsi"));
    CHECK("a single step over a hypercall is vector 1", f->vector == 1);
    f = FAULT(__asm__ volatile("pushf; orq $0x100, (%rsp); popf; int $0x80; nop"));
    CHECK("a single step into int 0x80 arrives as one of both",
          f->vector == 1 || f->vector == 0x80);
    f = FAULT(__asm__ volatile("pushf; orq $0x100, (%%rsp); popf; mov %%cr2, %%rax; nop; nop" ::
                                   : "rax"));
    CHECK("a single step over an emulated instruction is vector 1", f->vector == 1);
}

static void debug_registers(void) {
    const struct frame *f;
    struct series s = {.name =
                           "a breakpoint on the hypervisor or a non-canonical address is refused"};
    static const uint64_t forbidden[] = {
        HYPERVISOR_VIRT_START,     HYPERVISOR_VIRT_END - 1, HV_PRIVATE,
        HYPERVISOR_VIRT_START - 7, NON_CANONICAL,           0x8000000000000000,
        0xffff7fffffffffff,        MACH2PHYS_VIRT_END};

    for (unsigned int reg = 0; reg < 4; reg++) {
        for (unsigned int i = 0; i < ARRAY_LEN(forbidden); i++) {
            long rc = set_debugreg(reg, forbidden[i]);

            series_case(&s, rc < 0, "dr%u = %#lx: %ld", reg, forbidden[i], rc);
            f = FAULT(__asm__ volatile("mov %0, %%dr0" ::"r"(forbidden[i])));
            series_case(&s, f->vector == 13, "mov %#lx to dr0: vector %ld", forbidden[i],
                        (long)f->vector);
        }
    }
    series_end(&s);
    CHECK("there is no dr8 and beyond", set_debugreg(8, 0) < 0 && set_debugreg(~0u, 0) < 0);
    CHECK("general detect is refused", set_debugreg(7, 0x2400) < 0);
    CHECK("the upper half of dr6 and dr7 is refused or dropped",
          (set_debugreg(7, 1ul << 32) < 0 || get_debugreg(7) == 0x400) &&
              (set_debugreg(6, 1ul << 32) < 0 || get_debugreg(6) == 0xffff0ff0));
    CHECK("an i/o breakpoint is refused", set_debugreg(7, 0x20402) < 0);

    CHECK_EQ("dr0 takes an address of ours", 0, set_debugreg(0, ADDRESS(&watched)));
    CHECK_EQ("and gives it back", ADDRESS(&watched), get_debugreg(0));
    f = FAULT(__asm__ volatile("mov %%dr0, %%rax; mov %%rax, watched_dr0(%%rip)\n"
                               ".pushsection .bss; watched_dr0: .zero 8; .popsection" ::
                                   : "rax"));
    extern uint64_t watched_dr0;
    CHECK("mov from dr0 gives it too", f->vector == NO_FAULT && watched_dr0 == ADDRESS(&watched));
    (void)set_debugreg(6, 0xffff0ff0);
    CHECK_EQ("dr7 takes a write breakpoint of eight bytes", 0, set_debugreg(7, 0x90402));
    f = FAULT(watched = 1);
    expect("which fires as vector 1", f, 1, 0);
    CHECK("and dr6 names it", get_debugreg(6) & 1);
    /* the hypervisor writes to watched memory: it must not be stopped by it */
    struct xen_feature_info info[2] = {{0, 0}};
    (void)set_debugreg(0, ADDRESS(info));
    f = FAULT((void)xen_version(XENVER_get_features, info));
    CHECK("a breakpoint on memory that a hypercall writes harms nobody",
          f->vector == NO_FAULT || f->vector == 1);
    /* the breakpoint's trap is held back by mov ss, and then the processor is in the hypervisor */
    static uint64_t selector = FLAT_KERNEL_SS;
    (void)set_debugreg(0, ADDRESS(&selector));
    NEED(set_debugreg(7, 0xb0402) == 0);
    f = FAULT(__asm__ volatile(
        "mov %0, %%eax; xor %%edi, %%edi; mov %1, %%ss; syscall" ::"i"(__HYPERVISOR_xen_version),
        "m"(selector)
        : "rax", "rcx", "r11", "rdi", "rsi"));
    CHECK("nor one held back into a hypercall", f->vector == NO_FAULT || f->vector == 1);
    f = FAULT(__asm__ volatile("mov %0, %%ss; int $0x80" ::"m"(selector)));
    CHECK("nor one held back into int 0x80", f->vector == 0x80 || f->vector == 1);
    f = FAULT(__asm__ volatile("mov %0, %%ss; ud2" ::"m"(selector)));
    CHECK("nor one held back into a fault", f->vector == 6 || f->vector == 1);
    NEED(set_debugreg(7, 0x400) == 0 && set_debugreg(0, 0) == 0);
}

/* ---- iret ----------------------------------------------------------------------------------- */

/* Goes to rip in kernel mode with these; the fault it ends in. */
static const struct frame *iret_with(uint64_t rip, uint64_t cs, uint64_t ss, uint64_t rflags,
                                     uint64_t flags) {
    static struct frame f;
    uint64_t sp;

    memset(&f, 0, sizeof(f));
    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    f.iret = (struct iret_context){.rax = 0x1a,
                                   .r11 = 0x11,
                                   .rcx = 0x1c,
                                   .flags = flags,
                                   .rip = rip,
                                   .cs = cs,
                                   .rflags = rflags,
                                   .rsp = sp - 0x800,
                                   .ss = ss};
    return FAULT(iret_to(&f));
}

static void iret_frames(void) {
    extern char ends_here[];
    const uint64_t here = ADDRESS(ends_here), cs = FLAT_KERNEL_CS & ~3ul, ss = FLAT_KERNEL_SS;
    static const uint64_t wrong[] = {0,      8,      0x18,   0x33,   0xe000, 0xe008, 0xe010,
                                     0xe018, 0xe038, 0xe040, 0xe048, 0xfff8, 0x4,    0x1ffc};
    const struct frame *f;

    f = iret_with(here, cs, ss, 0x202, 0);
    expect("iret goes where the frame says", f, 6, 0);
    CHECK("with the registers of the frame",
          f->iret.rax == 0x1a && f->iret.r11 == 0x11 && f->iret.rcx == 0x1c);
    CHECK("and unmasks with IF", f->cs_slot == MASKED_CS(0));
    events_mask();
    f = iret_with(here, cs, ss, 0x2, 0);
    CHECK("and masks without", f->cs_slot == MASKED_CS(1));
    f = iret_with(here, cs, ss, 0x2, VGCF_in_syscall);
    expect("iret goes there by the short way too", f, 6, 0);
    CHECK_EQ("with rax as the frame has it", 0x1a, f->iret.rax);
    f = iret_with(here, cs, ss, 0x3 | 0x4000000000ul | 0x3e3000 | 0x10000, 0);
    report(f->vector == 6 && (f->iret.rflags & 0x3023000) == 0, "iret drops IOPL and VM",
           "vector %ld, flags %#lx", (long)f->vector, f->iret.rflags);
    f = iret_with(here, cs, ss, ~0ul & ~TF, 0);
    CHECK("iret survives every flag set", f->vector == 6 || f->vector == 17);
    events_mask();
    f = iret_with(here, cs, ss, ~0ul & ~TF, VGCF_in_syscall);
    CHECK("and so by the short way", f->vector == 6 || f->vector == 17);
    f = iret_with(here, cs, ss, 0x102, 0);
    CHECK("iret with TF takes a step or the fault", f->vector == 1 || f->vector == 6);
    f = iret_with(here, cs, ss, 0x102, VGCF_in_syscall);
    CHECK("and so by the short way with TF", f->vector == 1 || f->vector == 6);
    f = iret_with(here, cs, ss, 0x2, ~0ul);
    CHECK("unknown bits in the frame's flags do not matter", f->vector == 6);
    f = iret_with(here, cs | ~0xfffful, ss | ~0xfffful, 0x2, 0);
    CHECK("nor the upper bits of the selectors", f->vector == 6);
    f = iret_with(NON_CANONICAL, cs, ss, 0x2, 0);
    CHECK("iret to a non-canonical rip comes back as #GP or failsafe",
          f->vector == 13 || f->vector == ENTRY_FAILSAFE);
    f = iret_with(NON_CANONICAL, cs, ss, 0x2, VGCF_in_syscall);
    CHECK("and so by the short way, where sysret would fault inside the hypervisor",
          f->vector == 13 || f->vector == ENTRY_FAILSAFE);
    f = iret_with(0xffff7ffffffffffful, cs, ss, 0x2, VGCF_in_syscall);
    CHECK("and so at the other end", f->vector == 13 || f->vector == ENTRY_FAILSAFE);
    f = iret_with(HV_PRIVATE, cs, ss, 0x2, 0);
    CHECK("iret into the hypervisor is #PF", f->vector == 14 && f->cr2 == HV_PRIVATE);

    struct series s = {.name = "iret with a wrong selector comes back as a fault or failsafe"};

    for (unsigned int i = 0; i < ARRAY_LEN(wrong); i++) {
        f = iret_with(here, wrong[i] & ~3ul, ss, 0x2, 0);
        series_case(&s, (f->vector >= 10 && f->vector <= 14) || f->vector == ENTRY_FAILSAFE,
                    "cs %#lx: vector %ld", wrong[i], (long)f->vector);
        f = iret_with(here, cs, wrong[i], 0x2, 0);
        series_case(&s,
                    (f->vector >= 10 && f->vector <= 14) || f->vector == ENTRY_FAILSAFE ||
                        f->vector == 6,
                    "ss %#lx: vector %ld", wrong[i], (long)f->vector);
        f = iret_with(here, wrong[i] & ~3ul, wrong[ARRAY_LEN(wrong) - 1 - i], 0x2, VGCF_in_syscall);
        series_case(&s,
                    (f->vector >= 10 && f->vector <= 14) || f->vector == ENTRY_FAILSAFE ||
                        f->vector == 6,
                    "cs %#lx by the short way: vector %ld", wrong[i], (long)f->vector);
    }
    series_end(&s);
}
__asm__(".pushsection .text\nends_here: ud2\n.popsection");

/* ---- user mode ------------------------------------------------------------------------------ */

/* Each snippet ends in ud2 or before, if all goes wrong; arguments come in registers. */
__asm__(
    ".pushsection .user, \"awx\"\n"
    "u_ud2:     ud2\n"
    "u_syscall: mov $0x77, %eax; std; syscall\n"
    "u_syscall_end: ud2\n"
    "u_read:    mov (%rdi), %al; ud2\n"
    "u_write:   mov %al, (%rdi); ud2\n"
    "u_jump:    jmp *%rdi\n"
    "u_int80:   int $0x80\n"
    "u_int80_end: ud2\n"
    "u_int82:   int $0x82\n"
    "u_int3:    int3\n"
    "u_step:    pushf; orq $0x100, (%rsp); popf; nop; nop; syscall\n"
    "u_step_syscall: pushf; orq $0x100, (%rsp); popf; syscall; ud2\n"
    "u_movss:   mov (%rdi), %ss; syscall; ud2\n"
    "u_cpuid:   mov $0x40000000, %eax; .byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2; ud2\n"
    "u_cli:     cli; ud2\n"
    "u_sti:     sti; ud2\n"
    "u_hlt:     hlt; ud2\n"
    "u_in:      in $0x80, %al; ud2\n"
    "u_out:     out %al, $0x80; ud2\n"
    "u_rdmsr:   mov $0xc0000080, %ecx; rdmsr; ud2\n"
    "u_wrmsr:   mov $0xc0000101, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr; ud2\n"
    "u_cr0:     mov %cr0, %rax; ud2\n"
    "u_cr3:     mov %rax, %cr3; ud2\n"
    "u_dr:      mov %rax, %dr7; ud2\n"
    "u_clts:    clts; ud2\n"
    "u_wbinvd:  wbinvd; ud2\n"
    "u_xsetbv:  xor %ecx, %ecx; xor %edx, %edx; mov $1, %eax; .byte 0x0f, 0x01, 0xd1; ud2\n"
    "u_iretq:   push %rsi; push %rdi; pushf; push %rdx; lea u_ud2(%rip), %rax; push %rax; iretq\n"
    "u_ds:      mov %edi, %ds; ud2\n"
    ".code32\n"
    "u_syscall32: mov $0x77, %eax; syscall; ud2\n"
    "u_sysenter:  mov $0x77, %eax; sysenter; ud2\n"
    "u_compat80:  int $0x80; ud2\n"
    ".code64\n"
    ".popsection");
extern char u_ud2[], u_syscall[], u_syscall_end[], u_read[], u_write[], u_jump[], u_int80[],
    u_int80_end[], u_int82[], u_int3[], u_step[], u_step_syscall[], u_movss[], u_cpuid[], u_cli[],
    u_sti[], u_hlt[], u_in[], u_out[], u_rdmsr[], u_wrmsr[], u_cr0[], u_cr3[], u_dr[], u_clts[],
    u_wbinvd[], u_xsetbv[], u_iretq[], u_ds[], u_syscall32[], u_sysenter[], u_compat80[];

static struct frame *user(const char *code, uint64_t rdi) {
    static struct frame f;

    user_frame(&f, code);
    f.rdi = rdi;
    user_run(&f);
    return &f;
}

static void user_entry(void) {
    uint64_t top = ADDRESS(this_cpu()) + CPU_ENTRY_STACK;
    struct frame *f = user(u_ud2, 0);

    expect("ud2 in user mode is vector 6", f, 6, 0);
    CHECK("rip, rsp, cs and ss are the user's",
          f->iret.rip == USER_VA(u_ud2) && f->iret.rsp == user_stack() &&
              f->cs_slot == FLAT_USER_CS && (f->iret.ss & 0xffff) == FLAT_USER_SS);
    CHECK_EQ("the frame is on the stack that was asked for", top - 7 * 8, f->sp);
    NEED(stack_switch(FLAT_KERNEL_SS, top - 3) == 0);
    CHECK_EQ("aligned down to 16", top - 16 - 7 * 8, user(u_ud2, 0)->sp);
    NEED(stack_switch(FLAT_KERNEL_SS, top) == 0);

    f = user(u_syscall, 0);
    CHECK_EQ("syscall in user mode is the guest's business", ENTRY_SYSCALL, f->vector);
    CHECK("with rip and rcx behind it",
          f->iret.rip == USER_VA(u_syscall_end) && f->iret.rcx == f->iret.rip);
    CHECK("and rax untouched", f->iret.rax == 0x77);
    CHECK("and the flags in r11", (f->iret.r11 & 0x400) && f->iret.r11 == f->iret.rflags);
    CHECK("the direction flag is clear in the kernel, but for Xen 4.17",
          !(f->flags & 0x400) || is_xen());
    CHECK_EQ("on the same stack", top - 7 * 8, f->sp);
    CHECK_EQ("masked as registered", 1, f->mask);
    NEED(callback_register(CALLBACKTYPE_syscall, syscall_entry, 0) == 0);
    CHECK_EQ("or not, as registered", 0, user(u_syscall, 0)->mask);
    NEED(callback_register(CALLBACKTYPE_syscall, syscall_entry, CALLBACKF_mask_events) == 0);
    events_mask();
    f = user(u_step_syscall, 0);
    CHECK("a single step into syscall arrives as one of both",
          f->vector == ENTRY_SYSCALL || f->vector == 1);
    CHECK("without TF in the handler", !(f->flags & TF));
}

static void user_faults(void) {
    static const struct {
        const char *name, *code;
    } privileged[] = {
        {"cli", u_cli},        {"sti", u_sti},       {"hlt", u_hlt},     {"in", u_in},
        {"out", u_out},        {"rdmsr", u_rdmsr},   {"wrmsr", u_wrmsr}, {"mov from cr0", u_cr0},
        {"mov to cr3", u_cr3}, {"mov to dr7", u_dr}, {"clts", u_clts},   {"wbinvd", u_wbinvd},
        {"xsetbv", u_xsetbv},
    };
    struct series s = {.name = "a privileged instruction in user mode is #GP(0) or #UD"};
    struct frame *f;

    for (unsigned int i = 0; i < ARRAY_LEN(privileged); i++) {
        f = user(privileged[i].code, 0);
        series_case(&s, (f->vector == 13 && f->error == 0) || f->vector == 6, "%s: vector %ld",
                    privileged[i].name, (long)f->vector);
        series_case(&s, f->iret.rip < USER_VA(privileged[i].code) + 12, "%s went through",
                    privileged[i].name);
    }
    series_end(&s);

    f = user(u_read, 0x1000);
    expect("reading what is not mapped is #PF(4)", f, 14, 4);
    CHECK_EQ("with the address", 0x1000, f->cr2);
    expect("writing what is not mapped is #PF(6)", user(u_write, 0x1000), 14, 6);
    f = user(u_read, ADDRESS(&watched));
    expect("the kernel is not mapped for user mode", f, 14, 4);
    f = user(u_write, MACH2PHYS_VIRT_START);
    CHECK("the M2P is not writable for user mode", f->vector == 14 && (f->error & 6) == 6);
    f = user(u_read, HV_PRIVATE);
    CHECK("the hypervisor cannot be read from user mode",
          f->vector == 14 && (f->error & ~1ul) == 4);
    f = user(u_write, HV_PRIVATE);
    CHECK("the hypervisor cannot be written from user mode",
          f->vector == 14 && (f->error & ~1ul) == 6);
    f = user(u_jump, HV_PRIVATE);
    CHECK("nor executed", f->vector == 14 && f->iret.rip == HV_PRIVATE);
    expect("a non-canonical address is #GP(0)", user(u_read, NON_CANONICAL), 13, 0);
    f = user(u_jump, NON_CANONICAL);
    CHECK("a jump to one is #GP", f->vector == 13);
    f = user(u_jump, 0x00007ffffffffffe);
    CHECK("a jump to the end of the low half is a fault", f->vector == 13 || f->vector == 14);
    f = user(u_int80, 0);
    expect("int 0x80 is vector 0x80", f, 0x80, 0);
    CHECK_EQ("and rip is behind it", USER_VA(u_int80_end), f->iret.rip);
    f = user(u_int82, 0);
    CHECK("int 0x82, once the hypercalls' gate, is #GP",
          f->vector == 13 || (int_unit() == 2 && f->vector == 4));
    expect("int3 is vector 3", user(u_int3, 0), 3, 0);
    f = user(u_step, 0);
    CHECK("a single step is vector 1", f->vector == 1 && (f->iret.rflags & TF));
    f = user(u_cpuid, 0);
    CHECK("the enlightened cpuid works in user mode",
          f->vector == 6 && f->rbx == XEN_CPUID_SIGNATURE_EBX);
    f = user(u_ds, 0xe010);
    CHECK("the hypervisor's selectors cannot be loaded", f->vector == 13);
    /* iretq of the processor, without us: to a wrong cs, a wrong ss */
    struct frame g;
    user_frame(&g, u_iretq);
    g.rsi = FLAT_USER_SS;
    g.rdi = user_stack();
    g.rdx = 0xe008;
    user_run(&g);
    CHECK("iretq to the hypervisor's cs is a fault", g.vector == 13);
    user_frame(&g, u_movss);
    g.rdi = user_data();
    *(uint64_t *)user_data_page() = FLAT_USER_SS;
    NEED(set_debugreg(0, user_data()) == 0 && set_debugreg(7, 0xb0402) == 0);
    user_run(&g);
    CHECK("a breakpoint held back into syscall harms nobody",
          g.vector == ENTRY_SYSCALL || g.vector == 1);
    NEED(set_debugreg(7, 0x400) == 0);
}

/* With the assist, IOPL is part of every frame, on whatever road it comes and goes. */
static void user_iopl(void) {
    static const struct {
        const char *name, *code;
    } ways[] = {{"syscall", u_syscall}, {"#PF", u_read}, {"#UD", u_ud2}};
    struct series s = {.name = "with the assist, frames carry IOPL both ways"};
    struct frame f;

    NEED(vm_assist(VMASST_CMD_enable, VMASST_TYPE_architectural_iopl) == 0);
    for (unsigned int i = 0; i < 2 * ARRAY_LEN(ways); i++) {
        uint64_t iopl = i & 1 ? 0 : 0x3000;

        user_frame(&f, ways[i / 2].code);
        f.rdi = 0x1000;
        f.iret.rflags = 0x202 | iopl;
        user_run(&f);
        series_case(&s, (f.iret.rflags & 0x3000) == iopl, "%s: went with %#lx, rflags %#lx",
                    ways[i / 2].name, iopl, f.iret.rflags);
    }
    series_end(&s);
    NEED(vm_assist(VMASST_CMD_disable, VMASST_TYPE_architectural_iopl) == 0);
    (void)user(u_ud2, 0);
}

static void user_iret_frames(void) {
    static const uint64_t wrong[] = {3,      0xb,    0x1b,   0x33,   0xe003,
                                     0xe00b, 0xe013, 0xe03b, 0xfffb, 0x7};
    struct series s = {.name = "iret to user mode with a wrong selector comes back as a fault"};
    struct frame f;

    for (unsigned int i = 0; i < 2 * ARRAY_LEN(wrong); i++) {
        user_frame(&f, u_ud2);
        f.iret.flags = i & 1 ? VGCF_in_syscall : 0;
        f.iret.cs = wrong[i / 2];
        user_run(&f);
        series_case(&s,
                    (f.vector >= 10 && f.vector <= 14) || f.vector == ENTRY_FAILSAFE ||
                        (f.vector == 6 && f.iret.flags == 0),
                    "cs %#lx: vector %ld", wrong[i / 2], (long)f.vector);
    }
    series_end(&s);
    user_frame(&f, u_ud2);
    f.iret.rip = NON_CANONICAL;
    f.iret.flags = VGCF_in_syscall;
    user_run(&f);
    CHECK("iret to user mode at a non-canonical rip comes back as #GP or failsafe",
          f.vector == 13 || f.vector == ENTRY_FAILSAFE);
    user_frame(&f, u_ud2);
    f.iret.rsp = NON_CANONICAL;
    user_run(&f);
    CHECK("a non-canonical user stack pointer is the user's business",
          f.vector == 6 && f.iret.rsp == NON_CANONICAL);
    user_frame(&f, u_syscall);
    f.iret.rflags = 0x202 | AC | NT;
    f.iret.flags = VGCF_in_syscall;
    user_run(&f);
    CHECK("a syscall with AC and NT set arrives", f.vector == ENTRY_SYSCALL && !(f.flags & NT));
}

/* ---- 32-bit code ---------------------------------------------------------------------------- */

static struct frame *compat(const char *code) {
    static struct frame f;

    user_frame(&f, code);
    f.iret.cs = FLAT_USER_CS32;
    f.iret.ss = FLAT_USER_SS32;
    user_run(&f);
    return &f;
}

static void compat_mode(void) {
    struct frame *f = compat(u_compat80);
    long registered;

    expect("int 0x80 in 32-bit user mode is vector 0x80", f, 0x80, 0);
    CHECK_EQ("and cs is the 32-bit one", FLAT_USER_CS32, f->cs_slot & 0xffff);
    registered = callback_register(CALLBACKTYPE_syscall32, syscall32_entry, CALLBACKF_mask_events);
    f = compat(u_syscall32);
    CHECK("syscall in 32-bit user mode is its callback, or #UD where the processor has none",
          f->vector == ENTRY_SYSCALL32 || f->vector == 6);
    CHECK("and where it arrives it could be registered", f->vector == 6 || registered == 0);
    if (f->vector == ENTRY_SYSCALL32)
        CHECK_EQ("with rax untouched", 0x77, f->iret.rax);
    (void)callback_register(CALLBACKTYPE_sysenter, sysenter_entry, CALLBACKF_mask_events);
    f = compat(u_sysenter);
    CHECK("sysenter in 32-bit user mode is its callback, or a fault where the processor has none",
          f->vector == ENTRY_SYSENTER || f->vector == 6 || f->vector == 13);
}

/*
 * 32-bit code in kernel mode. Its stack is not one of ours, so it comes back by its own handler.
 * Not for sysenter, which loses the stack pointer and so the domain.
 */
uint64_t compat_call(uint64_t rip, uint64_t rsp);
extern char compat_back[];
__asm__(".pushsection .text\n"
        "compat_call:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, compat_sp(%rip)\n"
        "push $0xe02b; push %rsi; push $2; push $0xe020; push %rdi; push $0; push $0; push $0; "
        "push $0\n"
        "mov $23, %eax; syscall\n"
        "compat_back:\n"
        "mov compat_sp(%rip), %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        ".popsection\n"
        ".pushsection .bss; .balign 8; compat_sp: .zero 8; .popsection\n");

static void compat_kernel(void) {
    static const struct {
        const char *name, *code;
    } code[] = {{"int 0x80", u_compat80}, {"syscall", u_syscall32}};
    struct series s = {.name = "32-bit code in kernel mode gets an answer or a fault"};
    struct trap_info t[257];

    trap_fill(t);
    for (unsigned int v = 0; v < 256; v++)
        t[v].address = ADDRESS(compat_back);
    NEED(set_trap_table(t) == 0);
    for (unsigned int i = 0; i < ARRAY_LEN(code); i++) {
        (void)compat_call(USER_VA(code[i].code), user_stack());
        series_case(&s, true, "%s", code[i].name);
    }
    traps_init();
    series_end(&s);
}

/* ---- events --------------------------------------------------------------------------------- */

static uint32_t port;
static unsigned int upcalls, depth, deepest, again;
static uint64_t last_cs_slot, last_mask;

static void on_event(struct frame *f) {
    struct evtchn_send send = {port};

    upcalls++;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    last_cs_slot = f->cs_slot;
    last_mask = f->mask;
    vcpu_info(0)->evtchn_upcall_pending = 0;
    vcpu_info(0)->evtchn_pending_sel = 0;
    shared_info->evtchn_pending[port / 64] = 0;
    if (again) {
        again--;
        (void)event_channel_op(EVTCHNOP_send, &send);
        events_unmask(); /* the next upcall comes on top of this one */
        events_mask();
    }
    depth--;
}

static void event_callback(void) {
    struct evtchn_bind_ipi bind = {.vcpu = 0};
    struct evtchn_send send;

    NEED(callback_register(CALLBACKTYPE_event, event_entry, CALLBACKF_mask_events) == 0);
    NEED(event_channel_op(EVTCHNOP_bind_ipi, &bind) == 0);
    port = send.port = bind.port;
    this_cpu()->handler[ENTRY_EVENT] = on_event;
    events_mask();
    CHECK_EQ("an event can be sent to oneself", 0, event_channel_op(EVTCHNOP_send, &send));
    CHECK("it waits while events are masked",
          upcalls == 0 && vcpu_info(0)->evtchn_upcall_pending &&
              (shared_info->evtchn_pending[port / 64] >> port % 64 & 1));
    events_unmask();
    CHECK_EQ("and comes with the next hypercall once they are not", 1, upcalls);
    CHECK("masked, and the frame says that before they were not",
          last_mask == 1 && last_cs_slot == MASKED_CS(0));
    CHECK_EQ("afterwards they are unmasked again", 0, vcpu_info(0)->evtchn_upcall_mask);
    NEED(event_channel_op(EVTCHNOP_send, &send) == 0);
    CHECK_EQ("unmasked, an event comes with the send itself", 2, upcalls);
    again = 10;
    NEED(event_channel_op(EVTCHNOP_send, &send) == 0);
    CHECK("upcalls nest if the handler lets them", upcalls == 13 && deepest == 11);
    events_mask();
    vcpu_info(0)->evtchn_upcall_pending = 1;
    events_unmask();
    CHECK_EQ("pending set by the guest alone gives an upcall", 14, upcalls);
    events_mask();
    NEED(event_channel_op(EVTCHNOP_send, &send) == 0);
    (void)FAULT(__asm__ volatile("ud2"));
    CHECK_EQ("a fault with events masked brings none", 14, upcalls);
    struct frame f;
    user_frame(&f, u_syscall);
    user_run(&f);
    CHECK("an event that waits comes when iret unmasks on the way to user mode, before any of its "
          "code",
          upcalls == 15);
    events_mask();
}

static unsigned int nmis, nmi_depth, nmi_deepest;

static void on_nmi(struct frame *f) {
    (void)f;
    nmis++;
    nmi_depth++;
    nmi_deepest = nmi_depth > nmi_deepest ? nmi_depth : nmi_deepest;
    if (nmis == 1)
        (void)vcpu_op(VCPUOP_send_nmi, 0, NULL); /* waits until we iret */
    nmi_depth--;
}

static void nmi(void) {
    this_cpu()->handler[ENTRY_NMI] = this_cpu()->handler[2] = on_nmi;
    CHECK_EQ("an NMI callback can be registered", 0,
             callback_register(CALLBACKTYPE_nmi, nmi_entry, 0));
    CHECK_EQ("an NMI can be sent to oneself", 0, vcpu_op(VCPUOP_send_nmi, 0, NULL));
    CHECK("it comes at once, and one sent meanwhile after it", nmis == 2 && nmi_deepest == 1);
    this_cpu()->handler[ENTRY_NMI] = this_cpu()->handler[2] = NULL;
}

static void callbacks(void) {
    struct callback_register r = {.type = 99, .address = ADDRESS(event_entry)};

    CHECK_EQ("an unknown callback is -ENOSYS", -ENOSYS, callback_op(CALLBACKOP_register, &r));
    CHECK("a callback at a non-canonical address is refused",
          callback_register(CALLBACKTYPE_event, (void *)NON_CANONICAL, 0) < 0);
    struct trap_info t[2] = {{.vector = 6, .address = NON_CANONICAL}};
    CHECK_EQ("a trap at a non-canonical address is -EINVAL", -EINVAL, set_trap_table(t));
    traps_init();
}

/* ---- what must end the domain --------------------------------------------------------------- */

static void crash_no_handler(void) {
    struct trap_info none[257] = {{.vector = 6, .address = ADDRESS(trap_stubs)}};

    (void)set_trap_table(NULL);
    (void)none;
    __asm__ volatile("ud2");
}

static void crash_stack_in_the_hole(void) {
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(HV_PRIVATE));
}

static void crash_stack_unmapped(void) {
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(window_va(100)));
}

static void crash_stack_not_canonical(void) {
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(NON_CANONICAL + 0x1000));
}

static void crash_stack_read_only(void) {
    void *page = page_alloc();

    NEED(window_map(9, pte_for(page, RO)) == 0);
    __asm__ volatile("mov %0, %%rsp; ud2" ::"r"(window_va(10)));
}

static void crash_iret_frame_unmapped(void) {
    __asm__ volatile("mov %0, %%rsp; mov %1, %%eax; syscall" ::"r"(window_va(100) - 16),
                     "i"(__HYPERVISOR_iret)
                     : "rax");
}

static void crash_iret_frame_in_the_hole(void) {
    __asm__ volatile("mov %0, %%rsp; mov %1, %%eax; syscall" ::"r"(HV_PRIVATE),
                     "i"(__HYPERVISOR_iret)
                     : "rax");
}

static void crash_no_user_tables(void) {
    NEED(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0) == 0);
    (void)user(u_ud2, 0);
}

static void crash_user_stack_unmapped(void) {
    NEED(stack_switch(FLAT_KERNEL_SS, window_va(100)) == 0);
    (void)user(u_syscall, 0);
}

/* With the direction flag set, in which the hypervisor's own code must not run. */
static void crash_user_fault_backwards(void) {
    struct trap_info t[2] = {{.vector = 14, .flags = 4, .cs = FLAT_KERNEL_CS, .address = 1}};
    struct frame f;

    NEED(set_trap_table(t) == 0 && stack_switch(FLAT_KERNEL_SS, window_va(100)) == 0);
    user_frame(&f, u_read);
    f.rdi = 0x1000;
    f.iret.rflags = 0x602;
    user_run(&f);
}

static void crash_user_stack_in_the_hole(void) {
    if (stack_switch(FLAT_KERNEL_SS, HV_PRIVATE) < 0)
        refused(); /* Hospes looks at once, Xen when it is used */
    (void)user(u_ud2, 0);
}

static void crash_user_syscall_stack_in_the_hole(void) {
    if (stack_switch(FLAT_KERNEL_SS, HV_PRIVATE) < 0)
        refused(); /* Hospes looks at once, Xen when it is used */
    (void)user(u_syscall, 0);
}

static void crash_event_on_no_stack(void) {
    vcpu_info(0)->evtchn_upcall_pending = 1;
    vcpu_info(0)->evtchn_upcall_mask = 0;
    __asm__ volatile("mov %0, %%rsp; mov %1, %%eax; xor %%edi, %%edi; syscall" ::"r"(HV_PRIVATE),
                     "i"(__HYPERVISOR_xen_version)
                     : "rax", "rdi");
}

static void crash_kernel_unmapped(void) {
    /* our own code, handlers and stack go away: their L4 slot, then what is cached of it */
    (void)pt_write((mfn_of((void *)start_info->pt_base) << 12) + 511 * 8, 0);
    (void)mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0);
}

static const struct crash crashes[] = {
    {"no-handler", crash_no_handler},
    {"stack-in-the-hole", crash_stack_in_the_hole},
    {"stack-unmapped", crash_stack_unmapped},
    {"stack-not-canonical", crash_stack_not_canonical},
    {"stack-read-only", crash_stack_read_only},
    {"iret-frame-unmapped", crash_iret_frame_unmapped},
    {"iret-frame-in-the-hole", crash_iret_frame_in_the_hole},
    {"no-user-tables", crash_no_user_tables},
    {"user-stack-unmapped", crash_user_stack_unmapped},
    {"user-fault-backwards", crash_user_fault_backwards},
    {"user-stack-in-the-hole", crash_user_stack_in_the_hole},
    {"user-syscall-stack-in-the-hole", crash_user_syscall_stack_in_the_hole},
    {"event-on-no-stack", crash_event_on_no_stack},
    {"kernel-unmapped", crash_kernel_unmapped},
};

void test_main(void) {
    user_init();
    NEED(callback_register(CALLBACKTYPE_failsafe, failsafe_entry, CALLBACKF_mask_events) == 0);
    NEED(callback_register(CALLBACKTYPE_event, event_entry, CALLBACKF_mask_events) == 0);
    crash_if_asked(crashes, ARRAY_LEN(crashes));
    the_bounce_frame();
    mask_events_on_entry();
    faults();
    software_interrupts();
    page_faults();
    single_step();
    debug_registers();
    iret_frames();
    user_entry();
    user_faults();
    user_iret_frames();
    user_iopl();
    compat_mode();
    compat_kernel();
    event_callback();
    nmi();
    callbacks();
}
