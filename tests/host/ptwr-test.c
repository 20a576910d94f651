/* links: pv/mmu-validate.c pv/mmu-update.c pv/mmu-walk.c pv/mmuext.c pv/mmu-teardown.c pv/ptwr.c core/page.c core/page-list.c core/tlb.c lib/lock.c tests/host/mmu-fixture.c */
/*
 * Direct page-table writes: what is taken, what is left to the guest, and that registers, flags and
 * memory come out exactly as the processor of this machine has them for the same bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <abi/xen.h>

#include "mmu-fixture.h"

#define RIP   (FX_GUEST + 64)
#define WRITE 7 /* present, write, ring 3 */

static struct fx_tree t;

/* The entry that is written: index 3 of t.l1, which va 0 maps read-only. */
#define SLOT    3
#define SLOT_VA (SLOT * 8)
#define ENTRY   (fx_table(t.l1)[SLOT])

static void begin(void) {
    fx_reset();
    t = fx_live_tree();
    fx_v->arch.regs.rip = RIP;
    fx_v->arch.regs.rflags = 0x202;
}

static bool fault(const void *code, size_t len, uint64_t va) {
    bool done;

    memset(fx_guest, 0xcc, sizeof(fx_guest));
    memcpy(fx_guest + 64, code, len);
    fx_v->arch.regs.rip = RIP;
    done = ptwr_fault(fx_v, va, WRITE);
    EXPECT_CONSISTENT();
    EXPECT_EQ(fx_v->arch.regs.rip, done ? RIP + len : RIP);
    return done;
}
#define FAULT(va, ...) fault((uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}), va)

TEST(mov_xchg_and_bit_clear_of_linux_are_carried_out) {
    begin();
    fx_v->arch.regs.rdi = SLOT_VA;
    fx_v->arch.regs.rsi = fx_pte(t.data, PTE_P | PTE_RW | PTE_D);
    EXPECT(FAULT(SLOT_VA, 0x48, 0x89, 0x37)); /* mov %rsi,(%rdi) */
    EXPECT_EQ(ENTRY, fx_pte(t.data, PTE_P | PTE_RW | PTE_D | PTE_US | PTE_GUEST_KERNEL));
    EXPECT_EQ(PT_COUNT(t.data->type), 2);
    EXPECT(FAULT(SLOT_VA, 0xf0, 0x80, 0x27, 0xfd)); /* lock andb $0xfd,(%rdi) */
    EXPECT_EQ(ENTRY & PTE_RW, 0);
    EXPECT_EQ(PT_COUNT(t.data->type), 1);
    EXPECT(FAULT(SLOT_VA, 0xf0, 0x48, 0x0f, 0xba, 0x37, 0x06)); /* lock btrq $6,(%rdi) */
    EXPECT_EQ(ENTRY & PTE_D, 0);
    EXPECT_EQ(fx_v->arch.regs.rflags & 1, 1);
    fx_v->arch.regs.rsi = 0;
    EXPECT(FAULT(SLOT_VA, 0x48, 0x87, 0x37)); /* xchg %rsi,(%rdi) */
    EXPECT_EQ(ENTRY, 0);
    EXPECT_EQ(fx_v->arch.regs.rsi, fx_pte(t.data, PTE_P | PTE_US | PTE_GUEST_KERNEL));
}

TEST(a_lock_prefix_patched_into_a_segment_prefix_does_not_matter) {
    begin();
    fx_v->arch.regs.rax = SLOT_VA;
    EXPECT(FAULT(SLOT_VA, 0x3e, 0x80, 0x08, 0x40)); /* ds orb $0x40,(%rax) */
    EXPECT_EQ(ENTRY, 0x40);
}

TEST(an_entry_that_is_refused_is_an_ordinary_fault) {
    begin();
    fx_v->arch.regs.rdi = SLOT_VA;
    fx_v->arch.regs.rsi = fx_pte(t.l1, FX_RW);
    EXPECT(!FAULT(SLOT_VA, 0x48, 0x89, 0x37));
    EXPECT_EQ(ENTRY, 0);
    fx_v->arch.regs.rsi = fx_pte(fx_alloc(fx_other), FX_RO);
    EXPECT(!FAULT(SLOT_VA, 0x48, 0x87, 0x37));
    EXPECT_EQ(fx_v->arch.regs.rsi & PTE_P, PTE_P);
}

TEST(only_writes_of_the_guest_kernel_to_its_own_l1_tables_are_taken) {
    static const uint8_t code[] = {0x48, 0x89, 0x37};

    begin();
    fx_v->arch.regs.rdi = SLOT_VA;
    memcpy(fx_guest + 64, code, sizeof(code));
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, 5));     /* a read */
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, 6));     /* not present */
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, 7 | 8)); /* reserved bits */
    fx_v->arch.kernel_mode = false;
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, WRITE));
    fx_v->arch.kernel_mode = true;
    fx_d->vm_assist = 0;
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, WRITE));
    fx_d->vm_assist = BIT(VMASST_TYPE_writable_pagetables);
    EXPECT(ptwr_fault(fx_v, SLOT_VA, WRITE));

    struct page *ro = fx_alloc(fx_d), *foreign = fx_alloc(fx_other);
    struct mmu_update req[] = {
        {page_to_mfn(t.l1).n << PAGE_SHIFT | 5 * 8, fx_pte(t.l2, FX_RO)},
        {page_to_mfn(t.l1).n << PAGE_SHIFT | 6 * 8, fx_pte(ro, FX_RO)},
        {page_to_mfn(t.l1).n << PAGE_SHIFT | 7 * 8, fx_pte(foreign, FX_RO)},
    };
    EXPECT_EQ(mmu_pin(fx_other, page_to_mfn(foreign), PAGE_L1), 0);
    EXPECT_EQ(fx_mmu_update(req, 2, NULL, DOMID_SELF), 0);
    fx_d->privileged = true;
    EXPECT_EQ(fx_mmu_update(req + 2, 1, NULL, fx_other->domid), 0);
    for (uint64_t va = PAGE_SIZE; va < 10 * PAGE_SIZE; va += PAGE_SIZE) {
        fx_v->arch.regs.rdi = va;
        EXPECT(!fault(code, sizeof(code), va));
    }
    fx_v->arch.regs.rdi = UINT64_C(0xffff800000000000);
    EXPECT(!fault(code, sizeof(code), fx_v->arch.regs.rdi));
}

TEST(a_writable_table_mapping_cannot_be_made_by_writing_its_own_table) {
    begin();
    fx_v->arch.regs.rdi = 0;             /* the entry that maps the table itself */
    EXPECT(!FAULT(0, 0x80, 0x0f, 0x02)); /* orb $2,(%rdi): RW */
    EXPECT_EQ(fx_table(t.l1)[0] & PTE_RW, 0);
}

TEST(other_instructions_and_operands_are_left_alone) {
    begin();
    fx_v->arch.regs.rdi = SLOT_VA;
    fx_v->arch.regs.rsi = 0;
    EXPECT(!FAULT(SLOT_VA, 0x48, 0x01, 0x37));       /* add */
    EXPECT(!FAULT(SLOT_VA, 0x48, 0x0f, 0xc7, 0x0f)); /* cmpxchg16b */
    EXPECT(!FAULT(SLOT_VA, 0x0f, 0xc7, 0x0f));       /* cmpxchg8b */
    EXPECT(!FAULT(SLOT_VA, 0x48, 0x89, 0xf7));       /* mov %rsi,%rdi */
    EXPECT(!FAULT(SLOT_VA, 0x65, 0x48, 0x89, 0x37)); /* gs: */
    EXPECT(!FAULT(SLOT_VA, 0x67, 0x48, 0x89, 0x37)); /* 32-bit address */
    EXPECT(!FAULT(SLOT_VA, 0xf3, 0x48, 0xab));       /* rep stos */
    EXPECT(!FAULT(SLOT_VA, 0x80, 0x3f, 0x00));       /* cmpb $0,(%rdi) */
    EXPECT(!FAULT(SLOT_VA, 0x0f, 0xba, 0x27, 0x00)); /* bt */
    EXPECT(!FAULT(SLOT_VA, 0xc6, 0x4f, 0x00, 0x00)); /* c6 /1 */
    EXPECT(!FAULT(SLOT_VA, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                  0x66, 0x66, 0x66));
    fx_v->arch.regs.rdi = SLOT_VA + 1;
    EXPECT(!FAULT(SLOT_VA + 1, 0x48, 0x89, 0x37)); /* not aligned */
    EXPECT(!FAULT(SLOT_VA, 0x48, 0x89, 0x37));     /* not the address that faulted */
}

TEST(instructions_at_the_end_of_what_can_be_read) {
    uint64_t end = FX_GUEST + FX_GUEST_SIZE;

    begin();
    fx_v->arch.regs.rdi = SLOT_VA;
    fx_v->arch.regs.rsi = 0x100;
    memcpy(fx_guest + FX_GUEST_SIZE - 3, (uint8_t[]){0x48, 0x89, 0x37}, 3);
    fx_v->arch.regs.rip = end - 3;
    EXPECT(ptwr_fault(fx_v, SLOT_VA, WRITE));
    EXPECT_EQ(fx_v->arch.regs.rip, end);
    EXPECT_EQ(ENTRY, 0x100);
    fx_v->arch.regs.rip = end - 1;
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, WRITE));
    fx_v->arch.regs.rip = end;
    EXPECT(!ptwr_fault(fx_v, SLOT_VA, WRITE));
}

TEST(a_single_step_goes_on_with_the_next_instruction) {
    begin();
    fx_v->arch.regs.rdi = SLOT_VA;
    fx_v->arch.regs.rflags |= 0x100 | 0x10000;
    EXPECT(FAULT(SLOT_VA, 0x48, 0x89, 0x37));
    EXPECT_EQ(fx_injected, 1);
    EXPECT(fx_v->arch.debugreg[6] & BIT(14));
    EXPECT_EQ(fx_v->arch.regs.rflags & 0x10000, 0);
}

TEST(addresses_are_computed_as_the_processor_does) {
    struct cpu_user_regs *r;

    begin();
    r = &fx_v->arch.regs;
    r->rsi = 0x8;
    r->rbx = 1, r->r12 = SLOT_VA, r->rsp = SLOT_VA, r->rbp = SLOT_VA + 16,
    r->r13 = SLOT_VA - 0x1000, r->r9 = 2;
    EXPECT(FAULT(SLOT_VA + 8, 0x48, 0x89, 0x74, 0xdc, 0x00));         /* mov %rsi,0(%rsp,%rbx,8) */
    EXPECT(FAULT(SLOT_VA, 0x49, 0x89, 0x34, 0x24));                   /* mov %rsi,(%r12) */
    EXPECT(FAULT(SLOT_VA, 0x48, 0x89, 0x75, 0xf0));                   /* mov %rsi,-16(%rbp) */
    EXPECT(FAULT(SLOT_VA, 0x49, 0x89, 0xb5, 0, 0x10, 0, 0));          /* mov %rsi,0x1000(%r13) */
    EXPECT(FAULT(SLOT_VA + 16, 0x4b, 0x89, 0x34, 0xcc));              /* mov %rsi,(%r12,%r9,8) */
    EXPECT(FAULT(SLOT_VA, 0x48, 0x89, 0x34, 0x25, SLOT_VA, 0, 0, 0)); /* mov %rsi,SLOT_VA */
    /* rip-relative: from the end of the instruction, immediate included */
    int32_t disp = (int32_t)(SLOT_VA - (RIP + 7 + 4));
    uint8_t code[11] = {0x48, 0xc7, 0x05};
    memcpy(code + 3, &disp, 4);
    if ((uint64_t)(RIP + 11 + (int64_t)disp) == SLOT_VA)
        EXPECT(fault(code, sizeof(code), SLOT_VA));
    else
        EXPECT(!fault(code, sizeof(code), SLOT_VA));
}

TEST(a_bit_number_in_a_register_reaches_other_entries) {
    struct cpu_user_regs *r;

    begin();
    r = &fx_v->arch.regs;
    r->rdi = SLOT_VA;
    r->rsi = 64 * 5 + 9;
    EXPECT(FAULT(SLOT_VA + 40, 0x48, 0x0f, 0xab, 0x37)); /* bts %rsi,(%rdi) */
    EXPECT_EQ(fx_table(t.l1)[SLOT + 5], BIT(9));
    r->rsi = (uint64_t)-128 + 10;
    EXPECT(FAULT(SLOT_VA - 16, 0x48, 0x0f, 0xab, 0x37));
    r->rsi = 0xffffffe1; /* 32 bits: -31 is bit 1 of the word before */
    EXPECT(FAULT(SLOT_VA - 4, 0x0f, 0xbb, 0x37));
}

/* ---- against the processor ---- */

struct machine_state {
    uint64_t rax, rcx, rdx, rbx, rflags;
};

/* Run `code`, which writes to (%rdi), on this very processor. */
static void run_native(const uint8_t *code, size_t len, struct machine_state *s, uint64_t *mem) {
    static uint8_t *page;

    if (!page)
        page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    memcpy(page, code, len);
    page[len] = 0xc3;
    __asm__ volatile(
        "mov %[s], %%r8\n"
        "mov 0(%%r8), %%rax; mov 8(%%r8), %%rcx; mov 16(%%r8), %%rdx; mov 24(%%r8), %%rbx\n"
        "pushq 32(%%r8); popfq\n"
        "call *%[fn]\n"
        "pushfq; popq 32(%%r8)\n"
        "mov %%rax, 0(%%r8); mov %%rcx, 8(%%r8); mov %%rdx, 16(%%r8); mov %%rbx, 24(%%r8)\n"
        :
        : [s] "r"(s), [fn] "r"((uint64_t)page), "D"(mem)
        : "rax", "rcx", "rdx", "rbx", "r8", "memory", "cc");
}

#define ARITH UINT64_C(0x8d5)

/* Flags an operation leaves undefined are not compared. */
static uint64_t defined_flags(unsigned int kind) {
    return kind == 0 ? ARITH & ~UINT64_C(0x10) : kind == 1 ? UINT64_C(0x41) : ARITH;
}

TEST(results_flags_and_registers_are_those_of_the_processor) {
    static const struct {
        uint8_t op[2];
        uint8_t len;
        bool byte;
        uint8_t reg;  /* fixed reg field of a group; 8: a register */
        uint8_t imm;  /* bytes of immediate; 9: as the operand */
        uint8_t kind; /* of flags: 0 logic, 1 bits, 2 arithmetic or none */
    } forms[] = {
        {{0x88}, 1, true, 8, 0, 2},        {{0x89}, 1, false, 8, 0, 2},
        {{0xc6}, 1, true, 0, 1, 2},        {{0xc7}, 1, false, 0, 9, 2},
        {{0x86}, 1, true, 8, 0, 2},        {{0x87}, 1, false, 8, 0, 2},
        {{0x20}, 1, true, 8, 0, 0},        {{0x21}, 1, false, 8, 0, 0},
        {{0x08}, 1, true, 8, 0, 0},        {{0x09}, 1, false, 8, 0, 0},
        {{0x30}, 1, true, 8, 0, 0},        {{0x31}, 1, false, 8, 0, 0},
        {{0x80}, 1, true, 4, 1, 0},        {{0x81}, 1, false, 1, 9, 0},
        {{0x83}, 1, false, 6, 1, 0},       {{0x0f, 0xba}, 2, false, 5, 1, 1},
        {{0x0f, 0xba}, 2, false, 6, 1, 1}, {{0x0f, 0xba}, 2, false, 7, 1, 1},
        {{0x0f, 0xb0}, 2, true, 8, 0, 2},  {{0x0f, 0xb1}, 2, false, 8, 0, 2},
        {{0x0f, 0xc0}, 2, true, 8, 0, 2},  {{0x0f, 0xc1}, 2, false, 8, 0, 2},
    };
    unsigned int compared = 0;

    srand(1);
    begin();
    for (unsigned int round = 0; round < 20000; round++) {
        unsigned int f = (unsigned int)rand() % ARRAY_LEN(forms), n = 0,
                     size = forms[f].byte ? 1 : 4;
        unsigned int reg =
            forms[f].reg == 8 ? (unsigned int)rand() % (forms[f].byte ? 8 : 4) : forms[f].reg;
        bool locked = rand() & 1 && forms[f].op[0] != 0x88 && forms[f].op[0] != 0x89 &&
                      forms[f].op[0] != 0xc6 && forms[f].op[0] != 0xc7;
        uint8_t code[INT8_MAX];
        struct machine_state s;
        /* Not present, so that any value may be stored; bit 0 stays clear through masks below. */
        uint64_t mem = ((uint64_t)rand() << 33 ^ (uint64_t)rand() << 11) & ~UINT64_C(1),
                 before = mem;

        if (forms[f].byte && reg >= 4 && forms[f].reg == 8)
            locked = false;
        if (locked)
            code[n++] = 0xf0;
        if (!forms[f].byte && rand() % 3 == 0)
            code[n++] = 0x66, size = 2;
        if (!forms[f].byte && size == 4 && rand() & 1)
            code[n++] = 0x48, size = 8;
        memcpy(code + n, forms[f].op, forms[f].len);
        n += forms[f].len;
        code[n++] = (uint8_t)(reg << 3 | 7); /* (%rdi) */
        for (unsigned int i = forms[f].imm == 9 ? MIN(size, 4) : forms[f].imm; i; i--)
            code[n++] = (uint8_t)rand();
        s = (struct machine_state){
            (uint64_t)rand() << 31 ^ (uint64_t)rand(), (uint64_t)rand() << 31 ^ (uint64_t)rand(),
            (uint64_t)rand() << 30 ^ (uint64_t)rand(), (uint64_t)rand() << 32 ^ (uint64_t)rand(),
            0x202 | ((uint64_t)rand() & ARITH)};
        if (rand() & 1)
            s.rax = mem; /* cmpxchg that succeeds */

        fx_table(t.l1)[SLOT] = mem;
        fx_v->arch.regs.rax = s.rax, fx_v->arch.regs.rcx = s.rcx;
        fx_v->arch.regs.rdx = s.rdx, fx_v->arch.regs.rbx = s.rbx;
        fx_v->arch.regs.rdi = SLOT_VA;
        fx_v->arch.regs.rflags = s.rflags;
        run_native(code, n, &s, &mem);
        memcpy(fx_guest + 64, code, n);
        fx_v->arch.regs.rip = RIP;
        if (!ptwr_fault(fx_v, SLOT_VA, WRITE)) {
            EXPECT(mem & PTE_P); /* a present entry made of rubbish */
            EXPECT_EQ(ENTRY, before);
            continue;
        }
        compared++;
        EXPECT_EQ(fx_v->arch.regs.rip, RIP + n);
        if (!(mem & PTE_P))
            EXPECT_EQ(ENTRY, mem);
        fx_table(t.l1)[SLOT] = 0;
        EXPECT_EQ(fx_v->arch.regs.rax, s.rax);
        EXPECT_EQ(fx_v->arch.regs.rcx, s.rcx);
        EXPECT_EQ(fx_v->arch.regs.rdx, s.rdx);
        EXPECT_EQ(fx_v->arch.regs.rbx, s.rbx);
        EXPECT_EQ((fx_v->arch.regs.rflags ^ s.rflags) & defined_flags(forms[f].kind), 0);
    }
    EXPECT(compared > 5000);
    EXPECT_CONSISTENT();
}
