/*
 * Every privileged instruction, from guest-kernel mode in ring 3.
 *
 * The ABI promises: the instructions that a PV kernel may use are emulated (control and debug
 * registers, MSRs by an allow list, port i/o with virtual IOPL or for dom0, cli, sti, clts, wbinvd,
 * xsetbv, the enlightened cpuid); all others are #GP or #UD as they are in ring 3. What the guest
 * reads is its own state: interrupts, control registers and descriptor tables of the hypervisor do
 * not show or change.
 * Proof: each is executed; the ones that must work are compared with what they should do, of the
 * rest it is only asked that they fault or do nothing. MSRs are swept: each is read, written back
 * where it could be read, and written with odd values where that must be refused.
 */
#include "lib/pv.h"

uint64_t out[4]; /* written by the instructions below */

#define RUN(code)                                                                                  \
    FAULT(__asm__ volatile(code ::: "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "memory"))
#define WORKS(name, code) CHECK_EQ(name, NO_FAULT, RUN(code)->vector)

static bool fault_of_ring3(const struct frame *f) {
    return f->vector == 13 || f->vector == 6;
}

/* ---- refused -------------------------------------------------------------------------------- */

/* clang-format off */
#define REFUSED(n, code) \
    ".pushsection .text; refused_" #n ": " code "; ret; .popsection\n" \
    ".pushsection .data; .quad refused_" #n "; .popsection\n"
__asm__(".pushsection .data; .balign 8; refused_list: .popsection\n"
        REFUSED(lgdt, "lgdt nothing(%rip)") REFUSED(lidt, "lidt nothing(%rip)")
        REFUSED(lldt, "xor %eax, %eax; lldt %ax") REFUSED(ltr, "mov $0xe040, %eax; ltr %ax")
        REFUSED(lmsw, "mov $1, %eax; lmsw %ax") REFUSED(invlpg, "invlpg nothing(%rip)")
        REFUSED(swapgs, "swapgs") REFUSED(sysretq, "xor %ecx, %ecx; xor %r11d, %r11d; sysretq")
        REFUSED(sysretl, "xor %ecx, %ecx; xor %r11d, %r11d; sysretl")
        REFUSED(sysexit, "xor %ecx, %ecx; xor %edx, %edx; .byte 0x0f, 0x35") REFUSED(hlt, "hlt")
        REFUSED(vmcall, ".byte 0x0f, 0x01, 0xc1") REFUSED(vmlaunch, ".byte 0x0f, 0x01, 0xc2")
        REFUSED(vmresume, ".byte 0x0f, 0x01, 0xc3") REFUSED(vmxoff, ".byte 0x0f, 0x01, 0xc4")
        REFUSED(vmrun, "xor %eax, %eax; .byte 0x0f, 0x01, 0xd8")
        REFUSED(vmmcall, ".byte 0x0f, 0x01, 0xd9") REFUSED(vmload, ".byte 0x0f, 0x01, 0xda")
        REFUSED(vmsave, ".byte 0x0f, 0x01, 0xdb") REFUSED(stgi, ".byte 0x0f, 0x01, 0xdc")
        REFUSED(clgi, ".byte 0x0f, 0x01, 0xdd") REFUSED(skinit, ".byte 0x0f, 0x01, 0xde")
        REFUSED(invlpga, ".byte 0x0f, 0x01, 0xdf") REFUSED(clac, ".byte 0x0f, 0x01, 0xca")
        REFUSED(stac, ".byte 0x0f, 0x01, 0xcb") REFUSED(encls, ".byte 0x0f, 0x01, 0xcf")
        REFUSED(wrpkru, "mov $1, %ecx; xor %eax, %eax; xor %edx, %edx; .byte 0x0f, 0x01, 0xef")
        REFUSED(invept, ".byte 0x66, 0x0f, 0x38, 0x80, 0x07")
        REFUSED(invvpid, ".byte 0x66, 0x0f, 0x38, 0x81, 0x07")
        REFUSED(invpcid, "xor %eax, %eax; .byte 0x66, 0x0f, 0x38, 0x82, 0x05, 0, 0, 0, 0")
        REFUSED(vmread, "vmread %rax, %rcx") REFUSED(vmxon, ".byte 0xf3, 0x0f, 0xc7, 0x37")
        REFUSED(getsec, ".byte 0x0f, 0x37") REFUSED(rsm, ".byte 0x0f, 0xaa")
        REFUSED(xsaves, "xor %eax, %eax; xor %edx, %edx; .byte 0x48, 0x0f, 0xc7, 0x2d, 0, 0, 0, 0")
        REFUSED(monitor, "lea nothing(%rip), %rax; xor %ecx, %ecx; xor %edx, %edx; monitor")
        REFUSED(mwait, "xor %eax, %eax; xor %ecx, %ecx; .byte 0x0f, 0x01, 0xc9")
        REFUSED(cr1, "mov %cr1, %rax") REFUSED(to_cr8, "xor %eax, %eax; mov %rax, %cr8")
        REFUSED(cr8, "mov %cr8, %rax") REFUSED(cr15, ".byte 0x44, 0x0f, 0x20, 0xf8")
        REFUSED(ud0, ".byte 0x0f, 0xff, 0xc0") REFUSED(ud1, ".byte 0x0f, 0xb9, 0xc0")
        REFUSED(ud2, "ud2") REFUSED(lock_ud, ".byte 0xf0, 0x0f, 0x20, 0xc0")
        REFUSED(into, ".byte 0xce") REFUSED(far_call, "lcall *far_pointer(%rip)")
        REFUSED(far_jump, "ljmp *far_pointer(%rip)")
        REFUSED(far_ret, "push $0xe008; lea 1f(%rip), %rax; push %rax; lretq; 1: pop %rax")
        REFUSED(long_ud, ".rept 16; .byte 0x66; .endr; nop")
        REFUSED(prefixes, ".byte 0x2e,0x36,0x3e,0x26,0x64,0x65,0x66,0x67,0xf2,0xf3,0x0f,0x01,0xd8")
        REFUSED(half_xen, "ud2; .byte 0x78, 0x65, 0x6e; ud2")
        ".pushsection .data\nrefused_end:\n.balign 8\nnothing: .zero 64\n"
        "far_pointer: .long 0; .word 0xe008; .popsection\n");
/* clang-format on */
extern void (*const refused_list[])(void), (*const refused_end[])(void);

static void refused_instructions(void) {
    struct series s = {.name =
                           "an instruction that is not for ring 3 is #GP or #UD, or does nothing"};

    for (void (*const *code)(void) = refused_list; code < refused_end; code++) {
        const struct frame *f = FAULT((*code)());

        /* wrong bytes of an instruction may also be read as an access to nowhere */
        series_case(&s,
                    f->vector == NO_FAULT || fault_of_ring3(f) || f->vector == 14 || f->vector == 4,
                    "number %ld: vector %ld", code - refused_list, (long)f->vector);
    }
    series_end(&s);
    CHECK("lgdt, lidt, lldt, ltr, lmsw, invlpg are refused",
          fault_of_ring3(FAULT(refused_list[0]())) && fault_of_ring3(FAULT(refused_list[1]())) &&
              fault_of_ring3(FAULT(refused_list[2]())) &&
              fault_of_ring3(FAULT(refused_list[3]())) && fault_of_ring3(FAULT(refused_list[5]())));
}

/* ---- control and debug registers ------------------------------------------------------------ */

static void control_registers(void) {
    const struct frame *f;

    f = RUN("mov %%cr0, %%rax; mov %%rax, out(%%rip)");
    CHECK("cr0 reads as protected, paged, without TS",
          f->vector == NO_FAULT && (out[0] & 0x80000001) == 0x80000001 && !(out[0] & 8));
    f = RUN("mov %%cr0, %%rax; or $8, %%rax; mov %%rax, %%cr0; mov %%cr0, %%rax; mov %%rax, "
            "out(%%rip)");
    CHECK("TS can be set by mov", f->vector == NO_FAULT && (out[0] & 8));
    f = RUN("clts; mov %%cr0, %%rax; mov %%rax, out(%%rip)");
    CHECK("and cleared by clts", f->vector == NO_FAULT && !(out[0] & 8));
    f = RUN("mov %%cr0, %%rax; btc $16, %%rax; mov %%rax, %%cr0");
    CHECK("write protection is not the guest's", fault_of_ring3(f));
    f = RUN("mov %%cr0, %%rax; btc $31, %%rax; mov %%rax, %%cr0");
    CHECK("nor is paging", fault_of_ring3(f));
    f = RUN("mov %%cr3, %%rax; mov %%rax, out(%%rip)");
    CHECK("cr3 is the base pointer's frame",
          f->vector == NO_FAULT && out[0] >> 12 == mfn_of((void *)start_info->pt_base));
    f = RUN("mov %%cr4, %%rax; mov %%rax, out(%%rip); mov %%rax, %%cr4");
    CHECK("cr4 can be read and written back", f->vector == NO_FAULT && (out[0] & 0x20));
    CHECK("and shows none of VMXE, SMXE, PCIDE, SMEP, SMAP, PKE", (out[0] & 0x726000) == 0);
    uint64_t cr4 = out[0];
    struct series s = {.name = "no bit of cr4 can be changed that is the hypervisor's"};

    for (unsigned int bit = 0; bit < 64; bit++) {
        uint64_t got;

        if (bit == 2 || bit == 3 || bit == 16 || bit == 18) /* TSD, DE, FSGSBASE, OSXSAVE */
            continue;
        f = FAULT(__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ 1ul << bit)));
        series_case(&s, f->vector == NO_FAULT || fault_of_ring3(f), "bit %u: vector %ld", bit,
                    (long)f->vector);
        (void)RUN("mov %%cr4, %%rax; mov %%rax, out(%%rip)");
        got = out[0];
        series_case(&s, got == cr4, "bit %u: %#lx", bit, got);
    }
    series_end(&s);
    (void)FAULT(__asm__ volatile("mov %0, %%cr4" ::"r"(cr4)));
    f = RUN("mov %%dr7, %%rax; mov %%rax, out(%%rip); mov %%dr6, %%rax; mov %%rax, out+8(%%rip)");
    CHECK("dr6 and dr7 can be read", f->vector == NO_FAULT && (out[0] & 0x400));
    f = RUN("mov $0x2400, %%eax; mov %%rax, %%dr7");
    CHECK("general detect is refused", fault_of_ring3(f));
    f = RUN("sgdt out(%%rip); sidt out+16(%%rip)");
    CHECK("sgdt and sidt work or fault", f->vector == NO_FAULT || fault_of_ring3(f));
    f = RUN("smsw %%eax; str %%ecx; sldt %%edx");
    CHECK("smsw, str and sldt work or fault", f->vector == NO_FAULT || fault_of_ring3(f));
}

/* ---- what must work ------------------------------------------------------------------------- */

static void instructions_for_kernels(void) {
    const struct frame *f;
    struct physdev_set_iopl iopl = {.iopl = 1};

    NEED(physdev_op(PHYSDEVOP_set_iopl, &iopl) == 0);
    WORKS("cli is skipped with virtual IOPL 1", "cli");
    WORKS("and sti", "sti");
    CHECK_EQ("neither touches the event mask", 1, vcpu_info(0)->evtchn_upcall_mask);
    f = RUN("pushf; pop %%rax; mov %%rax, out(%%rip)");
    CHECK("interrupts stay on, IOPL 0", (out[0] & 0x3200) == 0x200);
    f = RUN("push $0x3002; popf; pushf; pop %%rax; mov %%rax, out(%%rip); push $0x202; popf");
    CHECK("popf changes neither", f->vector == NO_FAULT && (out[0] & 0x3200) == 0x200);
    WORKS("wbinvd works for dom0", "wbinvd");
    f = RUN("invd");
    CHECK("invd works or faults", f->vector == NO_FAULT || fault_of_ring3(f));
    WORKS("rdtsc works", "rdtsc");
    f = RUN("rdtscp");
    CHECK("rdtscp works where there is one", f->vector == NO_FAULT || f->vector == 6);
    f = RUN("xor %%ecx, %%ecx; rdpmc");
    CHECK("rdpmc works or faults", f->vector == NO_FAULT || fault_of_ring3(f));
    f = RUN("mov $0x40000000, %%eax; xor %%ecx, %%ecx; ud2; .byte 0x78, 0x65, 0x6e; cpuid\n"
            "mov %%ebx, out(%%rip); mov %%ecx, out+4(%%rip); mov %%edx, out+8(%%rip)");
    CHECK("the enlightened cpuid names the hypervisor",
          f->vector == NO_FAULT &&
              out[0] == ((uint64_t)XEN_CPUID_SIGNATURE_ECX << 32 | XEN_CPUID_SIGNATURE_EBX));
    struct series s = {.name = "every leaf can be asked for by it"};

    for (unsigned int i = 0; i < 0x180; i++) {
        uint32_t base = i < 0x80 ? 0 : i < 0x100 ? 0x40000000 : 0x80000000, leaf = base + i % 0x80;
        uint32_t a = leaf, b, c = i % 5, d;

        f = FAULT(__asm__ volatile("ud2; .byte 0x78, 0x65, 0x6e; cpuid"
                                   : "+a"(a), "=b"(b), "+c"(c), "=d"(d)));
        series_case(&s, f->vector == NO_FAULT, "leaf %#x: vector %ld", leaf, (long)f->vector);
    }
    series_end(&s);
    f = RUN(
        "xor %%ecx, %%ecx; .byte 0x0f, 0x01, 0xd0; mov %%eax, out(%%rip); mov %%edx, out+4(%%rip)");
    if (f->vector == NO_FAULT) {
        f = RUN("mov %%cr4, %%rax; bts $18, %%rax; mov %%rax, %%cr4");
        CHECK("cr4 takes OSXSAVE", f->vector == NO_FAULT);
        WORKS("xsetbv takes x87 alone",
              "xor %%ecx, %%ecx; xor %%edx, %%edx; mov $1, %%eax; .byte 0x0f, 0x01, 0xd1");
        WORKS("and x87 with SSE",
              "xor %%ecx, %%ecx; xor %%edx, %%edx; mov $3, %%eax; .byte 0x0f, 0x01, 0xd1");
        f = RUN("xor %%ecx, %%ecx; xor %%edx, %%edx; mov $2, %%eax; .byte 0x0f, 0x01, 0xd1");
        CHECK("but not SSE without x87", fault_of_ring3(f));
        f = RUN("xor %%ecx, %%ecx; mov $-1, %%edx; mov $-1, %%eax; .byte 0x0f, 0x01, 0xd1");
        CHECK("nor everything", fault_of_ring3(f));
        f = RUN("mov $1, %%ecx; xor %%edx, %%edx; mov $3, %%eax; .byte 0x0f, 0x01, 0xd1");
        CHECK("nor another register", fault_of_ring3(f));
        f = RUN("xor %%ecx, %%ecx; mov out(%%rip), %%eax; mov out+4(%%rip), %%edx; .byte 0x0f, "
                "0x01, 0xd1");
        CHECK("what it was can be set again", f->vector == NO_FAULT);
    } else {
        CHECK_EQ("without OSXSAVE xgetbv is #UD", 6, f->vector);
    }
    f = RUN("iretq_test: lea 1f(%%rip), %%rcx; mov %%rsp, %%rdx; push $0xe02b; push %%rdx; pushf\n"
            "push $0xe033; push %%rcx; iretq; 1:");
    CHECK("iretq within ring 3 works by itself", f->vector == NO_FAULT);
    f = RUN("mov %%rsp, %%rdx; lea 1f(%%rip), %%rcx; push $0xe010; push %%rdx; pushf\n"
            "push $0xe008; push %%rcx; iretq; 1: mov %%rdx, %%rsp");
    CHECK("and not to ring 0", f->vector == 13);
}

/* ---- MSRs ----------------------------------------------------------------------------------- */

static bool rdmsr(uint32_t msr, uint64_t *value) {
    uint32_t lo = 0, hi = 0;
    const struct frame *f = FAULT(__asm__ volatile("rdmsr; mov %%eax, %0; mov %%edx, %1"
                                                   : "=m"(lo), "=m"(hi)
                                                   : "c"(msr)
                                                   : "rax", "rdx"));
    *value = (uint64_t)hi << 32 | lo;
    return f->vector == NO_FAULT;
}

static bool wrmsr(uint32_t msr, uint64_t value) {
    return FAULT(__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value),
                                  "d"((uint32_t)(value >> 32))))
               ->vector == NO_FAULT;
}

static void msrs(void) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x6ff},
                  {0x7ff, 0x900},
                  {0xc00, 0xe20},
                  {0x1400, 0x1500},
                  {0x40000000, 0x40000200},
                  {0x4b564d00, 0x4b564d10},
                  {0xc0000000, 0xc0000200},
                  {0xc0010000, 0xc0010300},
                  {0xc0011000, 0xc0011100},
                  {0xc0002000, 0xc0002100},
                  {0xfffffff0, 0xfffffffe}};
    struct series s = {
        .name = "an MSR can be read or gives #GP, and takes back what it gave or gives #GP"};
    unsigned int readable = 0;
    uint64_t value;

    for (unsigned int i = 0; i < ARRAY_LEN(ranges); i++) {
        for (uint32_t msr = ranges[i].first; msr <= ranges[i].last; msr++) {
            if (!rdmsr(msr, &value)) {
                series_case(&s, this_cpu()->caught.vector == 13, "%#x: vector %ld", msr,
                            (long)this_cpu()->caught.vector);
                continue;
            }
            readable++;
            if (!wrmsr(msr, value))
                series_case(&s, this_cpu()->caught.vector == 13, "%#x written: vector %ld", msr,
                            (long)this_cpu()->caught.vector);
        }
    }
    series_end(&s);
    CHECK("some can be read", readable > 3);
    CHECK("EFER can be read and shows long mode and no SVM",
          rdmsr(0xc0000080, &value) && (value & 0x1400) == 0x400);
    CHECK("but not be changed",
          (wrmsr(0xc0000080, value ^ 0x800), rdmsr(0xc0000080, &out[0])) && out[0] == value);
    CHECK("the APIC's base says where, and that this is the boot processor",
          rdmsr(0x1b, &value) && (value & 0xfee00100) == 0xfee00100);
    CHECK("the PAT is the hypervisor's", rdmsr(0x277, &value) && value == 0x050100070406);
    CHECK("and cannot be changed", (wrmsr(0x277, 0), rdmsr(0x277, &out[0])) && out[0] == value);
    struct series entry = {.name = "where system calls enter is not the guest's to say"};
    static const uint32_t entries[] = {0x174,      0x175,      0x176,     0xc0000081,
                                       0xc0000082, 0xc0000083, 0xc0000084};

    for (unsigned int i = 0; i < ARRAY_LEN(entries); i++) {
        bool wrote = wrmsr(entries[i], 0);

        series_case(&entry, !wrote || xen_version(XENVER_version, NULL) > 0, "%#x", entries[i]);
    }
    CHECK("hypercalls still work", xen_version(XENVER_version, NULL) > 0);
    series_end(&entry);
    CHECK("the kernel's GS base can be written", wrmsr(0xc0000101, 0x1234000));
    CHECK("and read", rdmsr(0xc0000101, &value) && value == 0x1234000);
    CHECK("the user's too",
          wrmsr(0xc0000102, 0x5678000) && rdmsr(0xc0000102, &value) && value == 0x5678000);
    CHECK("FS too",
          wrmsr(0xc0000100, 0x9abc000) && rdmsr(0xc0000100, &value) && value == 0x9abc000);
    CHECK("a base that is not canonical is #GP", !wrmsr(0xc0000100, 1ul << 47) &&
                                                     !wrmsr(0xc0000101, 1ul << 63) &&
                                                     !wrmsr(0xc0000102, ~0ul >> 1));
    CHECK_EQ("and -EINVAL by hypercall", -EINVAL, set_segment_base(SEGBASE_FS, 1ul << 47));
    CHECK("an unknown base or selector is refused",
          set_segment_base(99, 0) < 0 && set_segment_base(~0u, 0) < 0);
    NEED(set_segment_base(SEGBASE_FS, 0) == 0 && set_segment_base(SEGBASE_GS_KERNEL, 0) == 0 &&
         set_segment_base(SEGBASE_GS_USER, 0) == 0);
    CHECK("the debug control is refused or harmless", (wrmsr(0x1d9, 3), true));
}

/* ---- ports ---------------------------------------------------------------------------------- */

#define PORT_FORM(code)                                                                            \
    FAULT(__asm__ volatile(code ::"d"((uint64_t)port), "D"(memory), "S"(memory), "c"(1ul)          \
                           : "rax", "memory"))

/* Ports where touching would harm the test: the consoles, resets, power, DMA, the disk. */
static bool leave_alone(unsigned int port) {
    static const struct {
        unsigned short first, last;
    } not [] = {{0x3f8, 0x3ff},   {0x2f8, 0x2ff}, {0x64, 0x64},     {0x92, 0x92},
                {0xcf9, 0xcf9},   {0x600, 0x63f}, {0xb000, 0xb0ff}, {0xb2, 0xb3},
                {0xafe0, 0xaff0}, {0x501, 0x501}, {0xf4, 0xf4}};

    for (unsigned int i = 0; i < ARRAY_LEN(not ); i++)
        if (port + 3 >= not [i].first && port <= not [i].last)
            return true;
    return false;
}

static void ports(void) {
    struct series reads = {.name = "any port can be read in any width, or gives #GP"};
    struct series odd = {.name = "port i/o with odd pointers and counts faults or works"};
    static char memory[64];
    unsigned int port;
    const struct frame *f;

    for (port = 0; port < 0x10000; port += port < 0x400 ? 1 : 0x3fd) {
        if (leave_alone(port))
            continue;
        f = PORT_FORM("in %%dx, %%al");
        series_case(&reads, f->vector == NO_FAULT || f->vector == 13, "%#x: vector %ld", port,
                    (long)f->vector);
        f = PORT_FORM("in %%dx, %%ax; in %%dx, %%eax");
        series_case(&reads, f->vector == NO_FAULT || f->vector == 13, "%#x wide: vector %ld", port,
                    (long)f->vector);
    }
    series_end(&reads);
    for (unsigned int i = 0; i < 8; i++) {
        static const uint64_t at[] = {
            0,    0x0000800000000000, 0xffff830000000000, MACH2PHYS_VIRT_START, 0xffff888000000000,
            ~0ul, 0x7ffffffffffe,     0xffff7fffffffffff};

        f = FAULT(__asm__ volatile("insb" ::"d"(0x80ul), "D"(at[i]) : "memory"));
        series_case(&odd, f->vector == 14 || f->vector == 13, "insb to %#lx: vector %ld", at[i],
                    (long)f->vector);
        f = FAULT(__asm__ volatile("insl" ::"d"(0x80ul), "D"(at[i]) : "memory"));
        series_case(&odd, f->vector == 14 || f->vector == 13, "insl to %#lx: vector %ld", at[i],
                    (long)f->vector);
        f = FAULT(__asm__ volatile("outsb" ::"d"(0x80ul), "S"(at[i]) : "memory"));
        series_case(&odd, f->vector == 14 || f->vector == 13 || at[i] == MACH2PHYS_VIRT_START,
                    "outsb from %#lx: vector %ld", at[i], (long)f->vector);
    }
    port = 0x80;
    series_case(&odd, PORT_FORM("xor %%ecx, %%ecx; rep outsb")->vector == NO_FAULT,
                "rep outsb of none");
    series_case(&odd, PORT_FORM("mov $8, %%ecx; rep outsb")->vector == NO_FAULT, "rep outsb of 8");
    series_case(&odd, PORT_FORM("mov $2, %%ecx; rep insl")->vector == NO_FAULT, "rep insl of 2");
    series_case(&odd, PORT_FORM("std; outsb; cld")->vector == NO_FAULT, "outsb downwards");
    NEED(window_map(1, pte_for(page_alloc(), RW)) == 0 && window_map(2, 0) == 0);
    f = FAULT(__asm__ volatile("rep insb" ::"d"(0x80ul), "D"(window_va(1)), "c"(~0ul) : "memory"));
    series_case(&odd, f->cr2 == window_va(2), "endless rep insb: stopped at %#lx", f->cr2);
    series_case(&odd, f->vector == 14 || f->vector == 13, "endless rep insb: vector %ld",
                (long)f->vector);
    series_end(&odd);
}

static void port_values(void) {
    const struct frame *f;

    f = RUN("mov $0xcf8, %%edx; mov $0x80000000, %%eax; out %%eax, %%dx\n"
            "mov $0xcfc, %%edx; in %%dx, %%eax; mov %%eax, out(%%rip)");
    CHECK("dom0 reads PCI configuration space",
          f->vector == NO_FAULT && (uint32_t)out[0] == 0x12378086);
    f = RUN("xor %%eax, %%eax; xor %%ecx, %%ecx; dec %%rax; in $0x80, %%al; mov %%rax, out(%%rip)");
    CHECK("a byte read leaves the rest of rax", f->vector == NO_FAULT && out[0] >> 8 == ~0ul >> 8);
    f = RUN("mov $-1, %%rax; mov $0xcfc, %%edx; in %%dx, %%eax; mov %%rax, out(%%rip)");
    CHECK("a read of four bytes clears the upper half", f->vector == NO_FAULT && out[0] >> 32 == 0);
    f = RUN("in $0x21, %%al; mov %%al, %%bl; not %%al; out %%al, $0x21; in $0x21, %%al; mov %%al, "
            "out(%%rip)");
    CHECK("the interrupt controllers are not dom0's", f->vector == NO_FAULT || f->vector == 13);
    struct physdev_set_iopl none = {.iopl = 0};

    NEED(physdev_op(PHYSDEVOP_set_iopl, &none) == 0);
    f = RUN("cli");
    CHECK("cli with virtual IOPL 0 is #GP or skipped", f->vector == 13 || f->vector == NO_FAULT);
    struct physdev_set_iopl four = {.iopl = 4};
    CHECK_EQ("there is no IOPL 4", -EINVAL, physdev_op(PHYSDEVOP_set_iopl, &four));
}

/* ---- code that is not what it seems --------------------------------------------------------- */

static void odd_code(void) {
    char *page = page_alloc();
    static const unsigned char wrmsr_bytes[] = {0x0f, 0x30};
    const struct frame *f;

    NEED(window_map(5, pte_for(page, RW)) == 0 && window_map(6, 0) == 0);
    page[PAGE_SIZE - 1] = 0x0f;
    f = FAULT(__asm__ volatile("jmp *%0" ::"r"(window_va(6) - 1)));
    CHECK("an instruction that runs into a hole is #PF there",
          f->vector == 14 && f->cr2 == window_va(6));
    page[PAGE_SIZE - 1] = (char)0xe4; /* in $imm8, with the port in the hole */
    f = FAULT(__asm__ volatile("jmp *%0" ::"r"(window_va(6) - 1)));
    CHECK("and so is one that would be emulated", f->vector == 14 && f->cr2 == window_va(6));
    memcpy(page, wrmsr_bytes, 2);
    page[2] = (char)0xc3;
    NEED(window_map(5, pte_for(page, RW | PTE_NX)) == 0);
    f = FAULT(__asm__ volatile("call *%0" ::"r"(window_va(5))));
    CHECK("nothing is emulated from memory that is not executable",
          f->vector == 14 && f->iret.rip == window_va(5));
    NEED(window_map(5, 0) == 0);
    page_free(page);
}

void test_main(void) {
    refused_instructions();
    control_registers();
    instructions_for_kernels();
    msrs();
    ports();
    port_values();
    odd_code();
}
