/* Exceptions: collecting the bounce frame, handing it to a handler or to who waits for a fault. */
#include "pv.h"

_Static_assert(sizeof(struct frame) == FRAME_SIZE && FRAME_SIZE % 16 == 0, "layout.h");
_Static_assert(offsetof(struct frame, iret) == FRAME_POPS * 8, "layout.h");
_Static_assert(sizeof(struct cpu) < CPU_ENTRY_STACK / 2, "layout.h");

char cpu_blocks[MAX_VCPUS][CPU_BLOCK_SIZE] __attribute__((aligned(CPU_BLOCK_SIZE)));

/* What trap.S has on the stack: its pushes, the number, then the hypervisor's words. */
struct entered {
    uint64_t rax, r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rdx, rsi, rdi;
    uint64_t flags, number;
    uint64_t rcx, r11;
    uint64_t rest[]; /* [error] or selectors, rip, cs, rflags, rsp, ss */
};

static bool has_error_code(uint64_t vector) {
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

static void collect(const struct entered *e, struct frame *f) {
    const uint64_t *word = e->rest;

    *f = (struct frame){
        .r15 = e->r15,
        .r14 = e->r14,
        .r13 = e->r13,
        .r12 = e->r12,
        .rbp = e->rbp,
        .rbx = e->rbx,
        .r10 = e->r10,
        .r9 = e->r9,
        .r8 = e->r8,
        .rdx = e->rdx,
        .rsi = e->rsi,
        .rdi = e->rdi,
        .vector = e->number,
        .sp = ADDRESS(&e->rcx),
        .flags = e->flags,
    };
    if (e->number == ENTRY_FAILSAFE) {
        f->ds_es = (word[0] & 0xffff) | (word[1] & 0xffff) << 16;
        f->fs_gs = (word[2] & 0xffff) | (word[3] & 0xffff) << 16;
        word += 4;
    } else if (has_error_code(e->number)) {
        f->error = *word++;
    }
    f->cs_slot = word[1];
    f->iret = (struct iret_context){
        .rax = e->rax,
        .r11 = e->r11,
        .rcx = e->rcx,
        .rip = word[0],
        .cs = word[1] & 0xffff,
        .rflags = word[2],
        .rsp = word[3],
        .ss = word[4],
    };
}

#define RFLAGS_FIXED 0x002
#define RFLAGS_IF    0x200

/* Make f go to j with the event mask it was taken with, every other flag at its default. */
static void jump_in(struct frame *f, const struct jump *j) {
    f->rbx = j->rbx;
    f->rbp = j->rbp;
    f->r12 = j->r12;
    f->r13 = j->r13;
    f->r14 = j->r14;
    f->r15 = j->r15;
    f->iret = (struct iret_context){
        .rax = 1,
        .rip = j->rip,
        .rsp = j->rsp,
        .cs = FLAT_KERNEL_CS & ~3,
        .ss = FLAT_KERNEL_SS,
        .rflags = RFLAGS_FIXED | ((f->cs_slot >> 32 & 0xff) ? 0 : RFLAGS_IF),
    };
}

static _Noreturn void unexpected(const struct frame *f) {
    print("unexpected entry %lu error %#lx rip %lx cs %lx rsp %lx rflags %lx cr2 %lx\n", f->vector,
          f->error, f->iret.rip, f->cs_slot, f->iret.rsp, f->iret.rflags, f->cr2);
    give_up("an exception that nothing in the test raises");
}

/* From trap.S. f is the struct frame that is resumed when this returns. */
void trap(const struct entered *e, struct frame *f) {
    struct cpu *cpu = this_cpu();
    bool was_user;

    collect(e, f);
    f->mask = vcpu_info(cpu->id)->evtchn_upcall_mask;
    if (f->vector == 14)
        f->cr2 = vcpu_info(cpu->id)->arch.cr2;
    was_user = (f->iret.cs & 3) == 3;

    if (f->vector < NR_ENTRIES && cpu->handler[f->vector]) {
        cpu->handler[f->vector](f);
    } else if (was_user && cpu->in_user) {
        cpu->user = *f;
        jump_in(f, &cpu->user_exit);
    } else if (cpu->catching) {
        cpu->catching = false;
        cpu->caught = *f;
        jump_in(f, &cpu->fault_exit);
    } else {
        unexpected(f);
    }
}

struct frame *catch_begin(void) {
    struct cpu *cpu = this_cpu();

    cpu->caught.vector = NO_FAULT;
    cpu->catching = true;
    return &cpu->caught;
}

struct frame *catch_end(void) {
    struct cpu *cpu = this_cpu();

    cpu->catching = false;
    return &cpu->caught;
}

void trap_fill(struct trap_info *table) {
    memset(table, 0, 257 * sizeof(*table));
    for (unsigned int v = 0; v < 256; v++) {
        table[v].vector = (uint8_t)v;
        table[v].flags = v == 3 || v == 4 || v == 0x80 ? 3 : 0;
        table[v].cs = FLAT_KERNEL_CS;
        table[v].address = ADDRESS(trap_stubs) + v * TRAP_STUB_SIZE;
    }
}

void traps_init(void) {
    static struct trap_info table[257];

    trap_fill(table);
    NEED(set_trap_table(table) == 0);
}

long callback_register(unsigned int type, const void *entry, unsigned int flags) {
    struct callback_register r = {
        .type = (uint16_t)type, .flags = (uint16_t)flags, .address = ADDRESS(entry)};
    return callback_op(CALLBACKOP_register, &r);
}
