/*
 * Floating point and segments: what belongs to a vcpu stays with it.
 *
 * The ABI promises (abi/xen.h: fpu_taskswitch, set_segment_base):
 *  - with TS set, by hypercall or mov to cr0, the next floating-point instruction is #NM; without
 *    it never;
 *  - registers, control words and extended state survive hypercalls, faults, sleep and other vcpus;
 *  - FS and GS bases and selectors are the vcpu's; GS of the kernel and of user mode swap with the
 *    mode;
 *  - a base that is not canonical is refused; a selector that cannot be loaded when the vcpu comes
 *    back leads to the failsafe callback, not to harm.
 * Proof: registers are filled, the vcpu sleeps, takes faults and events, goes to user mode, while
 * vcpu 1, if there is one, does the same with other values; then everything is compared.
 */
#include "lib/pv.h"

#define MS 1000000ul

struct state {
    unsigned char xmm[16][16], ymm_upper[16][16];
    uint64_t x87[8];
    uint32_t mxcsr;
    uint16_t fcw, pad;
} __attribute__((aligned(64)));

void state_load(const struct state *s, uint64_t avx), state_store(struct state *s, uint64_t avx);
__asm__(".pushsection .text\n"
        "state_load:\n"
        "fninit; fldcw 580(%rdi); ldmxcsr 576(%rdi)\n"
        ".set i, 0; .rept 8; fildll 512+8*i(%rdi); .set i, i + 1; .endr\n"
        "test %rsi, %rsi; jz 1f\n"
        ".set i, 0\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "vmovups 256+16*i(%rdi), %xmm\\n; vinsertf128 $1, 256+16*i(%rdi), %ymm\\n, %ymm\\n\n"
        "vinsertf128 $0, 16*i(%rdi), %ymm\\n, %ymm\\n\n"
        ".set i, i + 1; .endr\n"
        "ret\n1: .set i, 0\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "movups 16*i(%rdi), %xmm\\n; .set i, i + 1; .endr\n"
        "ret\n"
        "state_store:\n"
        ".set i, 0\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "movups %xmm\\n, 16*i(%rdi); .set i, i + 1; .endr\n"
        "test %rsi, %rsi; jz 1f\n"
        ".set i, 0\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "vextractf128 $1, %ymm\\n, 256+16*i(%rdi); .set i, i + 1; .endr\n"
        "1: .set i, 7; .rept 8; fistpll 512+8*i(%rdi); .set i, i - 1; .endr\n"
        "stmxcsr 576(%rdi); fnstcw 580(%rdi)\n"
        "ret\n"
        ".popsection");
_Static_assert(offsetof(struct state, x87) == 512 && offsetof(struct state, mxcsr) == 576, "");

static bool have_avx;

static void state_fill(struct state *s, unsigned int seed) {
    memset(s, 0, sizeof(*s));
    for (unsigned int i = 0; i < sizeof(s->xmm); i++)
        ((unsigned char *)s->xmm)[i] = (unsigned char)(seed + i);
    for (unsigned int i = 0; have_avx && i < sizeof(s->ymm_upper); i++)
        ((unsigned char *)s->ymm_upper)[i] = (unsigned char)(seed * 3 + i * 7);
    for (unsigned int i = 0; i < 8; i++)
        s->x87[i] = seed * 1000 + i;
    s->mxcsr = 0x1f80 | (seed & 3) << 13;
    s->fcw = (uint16_t)(0x37f | (seed & 3) << 10);
}

static void sleep_ns(uint64_t ns) {
    struct sched_poll poll = {.timeout = now_ns() + ns};

    (void)sched_op(SCHEDOP_poll, &poll);
}

/* ---- TS ------------------------------------------------------------------------------------- */

static void task_switched(void) {
    struct state in, out = {.pad = 0};
    const struct frame *f;

    NEED(fpu_taskswitch(false) == 0);
    f = FAULT(__asm__ volatile("movups %%xmm0, %%xmm1" ::));
    CHECK("without TS floating point just works", f->vector == NO_FAULT);
    state_fill(&in, 5);
    state_load(&in, have_avx);
    NEED(fpu_taskswitch(true) == 0);
    f = FAULT(__asm__ volatile("movups %%xmm0, %%xmm1" ::));
    CHECK_EQ("with TS it is #NM", 7, f->vector);
    f = FAULT(state_store(&out, have_avx));
    CHECK("which clears TS, and the registers are what they were",
          f->vector == NO_FAULT && memcmp(&in, &out, sizeof(in)) == 0);
    state_load(&in, have_avx);
    NEED(fpu_taskswitch(true) == 0);
    f = FAULT(__asm__ volatile("fldz; fstp %%st" ::));
    CHECK_EQ("for x87 too", 7, f->vector);
    NEED(fpu_taskswitch(true) == 0);
    (void)xen_version(XENVER_version, NULL);
    sleep_ns(2 * MS);
    f = FAULT(__asm__ volatile("movups %%xmm0, %%xmm1" ::));
    CHECK_EQ("TS survives hypercalls and sleep", 7, f->vector);
    NEED(fpu_taskswitch(true) == 0);
    __asm__ volatile("clts");
    f = FAULT(state_store(&out, have_avx));
    CHECK("clts clears it, and the registers are what they were",
          f->vector == NO_FAULT && memcmp(in.xmm, out.xmm, sizeof(in.xmm)) == 0);
}

static void exceptions(void) {
    const struct frame *f;

    static char area[4096] __attribute__((aligned(64)));
    memset(area, 0xff, sizeof(area));
    f = FAULT(__asm__ volatile("mov $-1, %%eax; mov $-1, %%edx; xrstor %0" ::"m"(area)
                               : "rax", "rdx"));
    CHECK("xrstor of nonsense is a fault", f->vector == 13 || f->vector == 6);
    static const uint16_t divide = 0x37b;
    f = FAULT(
        __asm__ volatile("fninit; fldcw %0; fldz; fld1; fdiv %%st(1), %%st; fwait" ::"m"(divide)));
    CHECK_EQ("an unmasked x87 division by zero is #MF", 16, f->vector);
    __asm__ volatile("fnclex; fninit");
}

/* On the vcpu that runs it: CR4 and XCR0 are each vcpu's own. */
static void enable_extended_state(void *unused) {
    uint64_t cr4;
    uint32_t a = 1, b, c = 0, d;

    (void)unused;
    __asm__ volatile("ud2; .byte 0x78, 0x65, 0x6e; cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 26 & 1) || !(c >> 28 & 1))
        return;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 1ul << 18));
    have_avx = FAULT(__asm__ volatile("xsetbv" ::"a"(7), "d"(0), "c"(0)))->vector == NO_FAULT;
}

/* ---- sleep ---------------------------------------------------------------------------------- */

static unsigned int wrong[MAX_VCPUS];

static void keep_state(void *rounds) {
    unsigned int id = this_cpu()->id;
    struct state in, out = {.pad = 0};

    for (uint64_t i = 0; i < ADDRESS(rounds); i++) {
        state_fill(&in, (unsigned int)i * 2 + id);
        state_load(&in, have_avx);
        if (i % 4 == 0)
            sleep_ns(MS);
        else if (i % 4 == 1)
            (void)sched_op(SCHEDOP_yield, NULL);
        else if (i % 4 == 2)
            (void)FAULT(__asm__ volatile("ud2"));
        else
            (void)xen_version(XENVER_version, NULL);
        state_store(&out, have_avx);
        wrong[id] += memcmp(&in, &out, sizeof(in)) != 0;
    }
}

static void state_survives(void) {
    bool two = vcpu_op(VCPUOP_is_up, 1, NULL) >= 0;

    if (two) {
        smp_start(1);
        smp_run(1, enable_extended_state, NULL);
        smp_run(1, keep_state, (void *)200);
    }
    keep_state((void *)200);
    if (two)
        smp_wait(1);
    CHECK_EQ("registers survive sleep, yield, faults and hypercalls", 0, wrong[0]);
    CHECK_EQ("on every vcpu", 0, wrong[1]);
}

/* ---- user mode ------------------------------------------------------------------------------ */

__asm__(".pushsection .user, \"awx\"\n"
        "u_fpu:    movups %xmm0, %xmm1; syscall\n"
        "u_gs:     mov %gs:0, %rax; mov %gs, %ebx; syscall\n"
        "u_fs:     mov %fs:0, %rax; syscall\n"
        "u_wrgs:   wrgsbase %rdi; syscall\n"
        "u_rdgs:   rdgsbase %rax; syscall\n"
        "u_null_gs: xor %eax, %eax; mov %eax, %gs; syscall\n"
        "u_nop:    syscall\n"
        ".popsection");
extern char u_fpu[], u_gs[], u_fs[], u_wrgs[], u_rdgs[], u_null_gs[], u_nop[];

static struct frame *user(const char *code, uint64_t rdi) {
    static struct frame f;

    user_frame(&f, code);
    f.rdi = rdi;
    user_run(&f);
    return &f;
}

static uint64_t gs_word(void) {
    uint64_t v;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(v));
    return v;
}

static uint64_t fs_word(void) {
    uint64_t v;

    __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
    return v;
}

static void floating_point_in_user_mode(void) {
    NEED(fpu_taskswitch(true) == 0);
    CHECK_EQ("#NM reaches the kernel from user mode", 7, user(u_fpu, 0)->vector);
    NEED(fpu_taskswitch(false) == 0);
    CHECK_EQ("and not without TS", ENTRY_SYSCALL, user(u_fpu, 0)->vector);
}

/* ---- bases ---------------------------------------------------------------------------------- */

static void bases(void) {
    static uint64_t kernel_gs = 0x1111, fs = 0x2222;
    uint64_t *user_gs = user_data_page();

    user_gs[0] = 0x3333;
    NEED(set_segment_base(SEGBASE_GS_KERNEL, ADDRESS(&kernel_gs)) == 0);
    NEED(set_segment_base(SEGBASE_GS_USER, user_data()) == 0);
    NEED(set_segment_base(SEGBASE_FS, ADDRESS(&fs)) == 0);
    CHECK("the kernel has its GS and FS base", gs_word() == 0x1111 && fs_word() == 0x2222);
    CHECK_EQ("user mode has its own GS base", 0x3333, user(u_gs, 0)->iret.rax);
    CHECK_EQ("and back in the kernel it is the kernel's", 0x1111, gs_word());
    sleep_ns(2 * MS);
    CHECK("they survive sleep",
          gs_word() == 0x1111 && fs_word() == 0x2222 && user(u_gs, 0)->iret.rax == 0x3333);
    NEED(set_segment_base(SEGBASE_FS, user_data()) == 0);
    CHECK_EQ("FS is the same in both modes", 0x3333, user(u_fs, 0)->iret.rax);
    CHECK_EQ("user mode may clear its selector", ENTRY_SYSCALL, user(u_null_gs, 0)->vector);
    CHECK_EQ("which does not touch the kernel's GS", 0x1111, gs_word());
    CHECK("a base in the hypervisor can be set, and reads nothing",
          set_segment_base(SEGBASE_FS, 0xffff830000000000) < 0 ||
              FAULT((void)fs_word())->vector == 14);
    static const uint64_t bad[] = {1ul << 47, 1ul << 63, 0xffff7fffffffffff};
    struct series s = {.name = "a base that is not canonical is refused"};

    for (unsigned int i = 0; i < ARRAY_LEN(bad); i++)
        for (unsigned int which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++)
            series_case(&s, set_segment_base(which, bad[i]) == -EINVAL, "base %u, %#lx", which,
                        bad[i]);
    series_end(&s);
    NEED(set_segment_base(SEGBASE_FS, 0) == 0);
    NEED(set_segment_base(SEGBASE_GS_USER, user_data()) == 0);

    /* the instructions, where the processor and the hypervisor have them */
    uint64_t cr4;
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    (void)FAULT(__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 1ul << 16)));
    const struct frame *f = FAULT(__asm__ volatile("wrfsbase %0" ::"r"(ADDRESS(&fs))));
    if (f->vector == NO_FAULT) {
        CHECK_EQ("wrfsbase sets the base", 0x2222, fs_word());
        sleep_ns(2 * MS);
        CHECK_EQ("which survives sleep", 0x2222, fs_word());
        CHECK_EQ("user mode sets its GS base", ENTRY_SYSCALL,
                 user(u_wrgs, user_data() + 8)->vector);
        CHECK_EQ("and not the kernel's", 0x1111, gs_word());
        CHECK_EQ("it is as it was set when user mode comes back", user_data() + 8,
                 user(u_rdgs, 0)->iret.rax);
        (void)user(u_wrgs, 0xffff830000000000);
        CHECK_EQ("a user base in the hypervisor changes nothing for the kernel", 0x1111, gs_word());
    } else {
        CHECK_EQ("without FSGSBASE its instructions are #UD", 6, f->vector);
    }
    (void)FAULT(__asm__ volatile("mov %0, %%cr4" ::"r"(cr4)));
    NEED(set_segment_base(SEGBASE_FS, 0) == 0 && set_segment_base(SEGBASE_GS_USER, 0) == 0);
}

/* ---- selectors ------------------------------------------------------------------------------ */

#define DATA(base)                                                                                 \
    (0x00cff2000000fffful | ((uint64_t)(base)&0xffffff) << 16 |                                    \
     ((uint64_t)(base) >> 24 & 0xff) << 56)
#define CODE64      0x00affa000000fffful
#define SELECTOR(n) ((n) << 3 | 3)

static volatile unsigned int failsafes;
static uint64_t failsafe_selectors;

static void on_failsafe(struct frame *f) {
    failsafes++;
    failsafe_selectors = f->ds_es | f->fs_gs << 32;
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" ::"r"(0));
}

static void selectors(void) {
    uint64_t *gdt = page_alloc(), frame[16] = {mfn_of(gdt)}, machine = mfn_of(gdt) << 12;
    uint64_t ds, es, fs;
    struct frame f;

    gdt[1] = DATA(0);
    gdt[2] = CODE64;
    gdt[3] = DATA(user_data());
    *(uint64_t *)user_data_page() = 0x4444;
    NEED(page_protect(gdt, RO) == 0 && set_gdt(frame, 512) == 0);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs" ::"r"(SELECTOR(1)),
                     "r"(SELECTOR(3)));
    CHECK_EQ("a descriptor's base is used", 0x4444, fs_word());
    sleep_ns(3 * MS);
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2" : "=r"(ds), "=r"(es), "=r"(fs));
    CHECK("selectors survive sleep", (ds & 0xffff) == SELECTOR(1) && (es & 0xffff) == SELECTOR(1) &&
                                         (fs & 0xffff) == SELECTOR(3));
    CHECK_EQ("and the base", 0x4444, fs_word());
    CHECK_EQ("user GS takes a selector of the table", 0,
             set_segment_base(SEGBASE_GS_USER_SEL, SELECTOR(3)));
    CHECK_EQ("with its base", 0x4444, user(u_gs, 0)->iret.rax);
    CHECK("but none that is not there",
          set_segment_base(SEGBASE_GS_USER_SEL, SELECTOR(77)) != 0 || user(u_gs, 0)->rbx == 0);
    CHECK("nor one of the hypervisor's",
          set_segment_base(SEGBASE_GS_USER_SEL, 0xe010) != 0 || user(u_gs, 0)->rbx == 0);
    NEED(set_segment_base(SEGBASE_GS_USER_SEL, 0) == 0);

    user_frame(&f, u_nop);
    f.iret.cs = SELECTOR(2);
    user_run(&f);
    CHECK_EQ("user mode runs in a code segment of the guest's", ENTRY_SYSCALL, f.vector);
    NEED(update_descriptor(machine + 2 * 8, 0) == 0);
    user_frame(&f, u_nop);
    f.iret.cs = SELECTOR(2);
    user_run(&f);
    CHECK("and gets a fault once it is gone",
          (f.vector >= 10 && f.vector <= 13) || f.vector == ENTRY_FAILSAFE);

    /* loaded selectors whose descriptors go away: nothing, or failsafe when they are next loaded */
    this_cpu()->handler[ENTRY_FAILSAFE] = on_failsafe;
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs; mov %1, %%gs" ::"r"(SELECTOR(1)),
                     "r"(SELECTOR(3)));
    NEED(update_descriptor(machine + 8, 0) == 0 && update_descriptor(machine + 3 * 8, 0) == 0);
    for (unsigned int i = 0; i < 5; i++)
        sleep_ns(2 * MS);
    (void)user(u_nop, 0);
    report(failsafes <= 5, "descriptors that vanish under loaded selectors end in failsafe at most",
           "%u times", failsafes);
    report(failsafes == 0 || (failsafe_selectors & 0xffff) == SELECTOR(1) ||
               (failsafe_selectors & 0xffff) == 0,
           "which tells them", "%#lx", failsafe_selectors);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs; mov %0, %%gs" ::"r"(0));
    NEED(set_gdt(frame, 0) == 0 && page_protect(gdt, RW) == 0);
    page_free(gdt);
}

void test_main(void) {
    user_init();
    NEED(callback_register(CALLBACKTYPE_failsafe, failsafe_entry, CALLBACKF_mask_events) == 0);
    NEED(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL) == 0);
    enable_extended_state(NULL);
    if (have_avx)
        CHECK("AVX can be enabled", FAULT(__asm__ volatile("vzeroupper"))->vector == NO_FAULT);
    task_switched();
    exceptions();
    state_survives();
    floating_point_in_user_mode();
    bases();
    selectors();
}
