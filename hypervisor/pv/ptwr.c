/*
 * Guests that write their page tables directly. Tables are mapped read-only, so the write faults;
 * the few instructions that Linux uses for it are carried out here, by the rules of an L1 entry
 * update.
 */
#include "arch/mm.h"
#include "lib/string.h"
#include "pv/mmu-entry.h"
#include "pv/traps.h"

#define PF_P    (1 << 0)
#define PF_W    (1 << 1)
#define PF_RSVD (1 << 3)

#define FLAG_CF     0x001
#define FLAG_PF     0x004
#define FLAG_AF     0x010
#define FLAG_ZF     0x040
#define FLAG_SF     0x080
#define FLAG_TF     0x100
#define FLAG_OF     0x800
#define FLAG_RF     0x10000
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define VECTOR_DB 1
#define DR6_BS    BIT(14)

#define INSN_MAX 15

enum op {
    OP_NONE,
    OP_MOV,
    OP_XCHG,
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_BTS,
    OP_BTR,
    OP_BTC,
    OP_CMPXCHG,
    OP_XADD,
    OP_GROUP,  /* the reg field of ModRM chooses the operation */
    OP_PREFIX, /* from here on not yet the opcode */
    OP_OPSIZE,
    OP_REX,
};
enum src { SRC_REG, SRC_IMM, SRC_IMM8 };

/* What an opcode means. */
struct form {
    uint8_t op, src;
    bool byte;
    uint8_t group;
};
enum { GROUP_MOV, GROUP_ALU, GROUP_BIT };

static const uint8_t groups[][8] = {
    [GROUP_MOV] = {[0] = OP_MOV},
    [GROUP_ALU] = {[1] = OP_OR, [4] = OP_AND, [6] = OP_XOR},
    [GROUP_BIT] = {[5] = OP_BTS, [6] = OP_BTR, [7] = OP_BTC},
};

static const struct form one_byte[256] = {
    [0x08] = {OP_OR, SRC_REG, true, 0},
    [0x09] = {OP_OR, SRC_REG, false, 0},
    [0x20] = {OP_AND, SRC_REG, true, 0},
    [0x21] = {OP_AND, SRC_REG, false, 0},
    [0x30] = {OP_XOR, SRC_REG, true, 0},
    [0x31] = {OP_XOR, SRC_REG, false, 0},
    [0x80] = {OP_GROUP, SRC_IMM, true, GROUP_ALU},
    [0x81] = {OP_GROUP, SRC_IMM, false, GROUP_ALU},
    [0x83] = {OP_GROUP, SRC_IMM8, false, GROUP_ALU},
    [0x86] = {OP_XCHG, SRC_REG, true, 0},
    [0x87] = {OP_XCHG, SRC_REG, false, 0},
    [0x88] = {OP_MOV, SRC_REG, true, 0},
    [0x89] = {OP_MOV, SRC_REG, false, 0},
    [0xc6] = {OP_GROUP, SRC_IMM, true, GROUP_MOV},
    [0xc7] = {OP_GROUP, SRC_IMM, false, GROUP_MOV},
    /* lock; es, cs, ss, ds (lock patched away for one cpu): nothing to us in 64-bit mode */
    [0xf0] = {.op = OP_PREFIX},
    [0x26] = {.op = OP_PREFIX},
    [0x2e] = {.op = OP_PREFIX},
    [0x36] = {.op = OP_PREFIX},
    [0x3e] = {.op = OP_PREFIX},
    [0x66] = {.op = OP_OPSIZE},
    [0x40 ... 0x4f] = {.op = OP_REX},
};
static const struct form two_byte[256] = {
    [0xab] = {OP_BTS, SRC_REG, false, 0},    [0xb3] = {OP_BTR, SRC_REG, false, 0},
    [0xbb] = {OP_BTC, SRC_REG, false, 0},    [0xba] = {OP_GROUP, SRC_IMM8, false, GROUP_BIT},
    [0xb0] = {OP_CMPXCHG, SRC_REG, true, 0}, [0xb1] = {OP_CMPXCHG, SRC_REG, false, 0},
    [0xc0] = {OP_XADD, SRC_REG, true, 0},    [0xc1] = {OP_XADD, SRC_REG, false, 0},
};

/* A decoded instruction: mem[ea] = mem[ea] op src, size bytes. */
struct insn {
    const uint8_t *at; /* bytes not decoded yet */
    uint8_t rex;
    uint8_t op;
    unsigned int size;
    unsigned int reg; /* the register operand; meaningful for SRC_REG */
    bool src_is_reg;
    uint64_t src;
    uint64_t ea, next_rip;
};

/*
 * The next bytes, sign-extended. They come from a buffer with zeroes behind, longer than any
 * instruction can be: whether the bytes were there is checked once at the end.
 */
static inline int8_t fetch8(struct insn *in) {
    return (int8_t)*in->at++;
}
static inline int32_t fetch32(struct insn *in) {
    int32_t value;

    memcpy(&value, in->at, sizeof(value));
    in->at += sizeof(value);
    return value;
}
static inline uint64_t fetch_imm(struct insn *in, unsigned int size) {
    int16_t value;

    if (size == 1)
        return (uint64_t)fetch8(in);
    if (size != 2)
        return (uint64_t)fetch32(in);
    memcpy(&value, in->at, sizeof(value));
    in->at += sizeof(value);
    return (uint64_t)value;
}

static uint64_t *gpr(struct cpu_user_regs *regs, unsigned int n) {
    static const uint8_t offset[16] = {
        offsetof(struct cpu_user_regs, rax), offsetof(struct cpu_user_regs, rcx),
        offsetof(struct cpu_user_regs, rdx), offsetof(struct cpu_user_regs, rbx),
        offsetof(struct cpu_user_regs, rsp), offsetof(struct cpu_user_regs, rbp),
        offsetof(struct cpu_user_regs, rsi), offsetof(struct cpu_user_regs, rdi),
        offsetof(struct cpu_user_regs, r8),  offsetof(struct cpu_user_regs, r9),
        offsetof(struct cpu_user_regs, r10), offsetof(struct cpu_user_regs, r11),
        offsetof(struct cpu_user_regs, r12), offsetof(struct cpu_user_regs, r13),
        offsetof(struct cpu_user_regs, r14), offsetof(struct cpu_user_regs, r15),
    };

    return (uint64_t *)((char *)regs + offset[n]);
}

static uint64_t size_mask(unsigned int size) {
    return ~UINT64_C(0) >> (64 - 8 * size);
}

/* Without REX, byte registers 4-7 are AH, CH, DH, BH. */
static bool is_high_byte(const struct insn *in, unsigned int n) {
    return in->size == 1 && !in->rex && n >= 4;
}

static uint64_t read_reg(const struct insn *in, struct cpu_user_regs *regs, unsigned int n) {
    uint64_t value = is_high_byte(in, n) ? *gpr(regs, n - 4) >> 8 : *gpr(regs, n);

    return value & size_mask(in->size);
}

static void write_reg(const struct insn *in, struct cpu_user_regs *regs, unsigned int n,
                      uint64_t value) {
    unsigned int shift = is_high_byte(in, n) ? 8 : 0;
    uint64_t *reg = gpr(regs, shift ? n - 4 : n), mask = size_mask(in->size) << shift;

    if (in->size == 4)
        mask = ~UINT64_C(0); /* clears the upper half */
    *reg = (*reg & ~mask) | value << shift;
}

/* The address of the memory operand. rip-relative: the end of the instruction is added later. */
static inline void decode_ea(struct insn *in, struct cpu_user_regs *regs, uint8_t modrm,
                             bool *rip_relative) {
    unsigned int mod = modrm >> 6, base = modrm & 7;
    bool has_base = true;

    in->ea = 0;
    if (base == 4) {
        uint8_t sib = (uint8_t)fetch8(in);
        unsigned int index = (sib >> 3 & 7) | (in->rex & 2) << 2;

        if (index != 4)
            in->ea = *gpr(regs, index) << (sib >> 6);
        base = sib & 7;
        has_base = base != 5 || mod != 0;
    } else if (base == 5 && mod == 0) {
        has_base = false;
        *rip_relative = true;
    }
    if (has_base)
        in->ea += *gpr(regs, base | (in->rex & 1) << 3);
    if (mod == 1)
        in->ea += (uint64_t)fetch8(in);
    else if (mod == 2 || !has_base)
        in->ea += (uint64_t)fetch32(in);
}

static bool op_is_bit(uint8_t op) {
    return op >= OP_BTS && op <= OP_BTC;
}

/* A bit number in a register reaches beyond the operand; the operation itself gets a mask. */
static void decode_bit(struct insn *in) {
    int64_t bit = (int64_t)(in->src << (64 - 8 * in->size)) >> (64 - 8 * in->size);

    if (in->src_is_reg)
        in->ea += (uint64_t)(bit >> (bit_highest(in->size) + 3)) * in->size;
    in->src = BIT(in->src & (in->size * 8 - 1));
}

/* bytes: len of the instruction stream at rip, and zeroes. */
static bool decode(struct insn *in, const uint8_t *bytes, size_t len, struct cpu_user_regs *regs) {
    bool opsize16 = false, rip_relative = false;
    const struct form *form;
    uint8_t modrm;

    in->at = bytes;
    in->rex = 0;
    for (form = &one_byte[*in->at]; form->op >= OP_PREFIX; form = &one_byte[*++in->at]) {
        in->rex = form->op == OP_REX ? *in->at : 0; /* counts only right before the opcode */
        opsize16 |= form->op == OP_OPSIZE;
    }
    if (*in->at++ == 0x0f)
        form = &two_byte[*in->at++];
    modrm = *in->at++;
    in->op = form->op == OP_GROUP ? groups[form->group][modrm >> 3 & 7] : form->op;
    if (in->op == OP_NONE || modrm >> 6 == 3)
        return false;
    in->size = form->byte ? 1 : in->rex & 8 ? 8 : opsize16 ? 2 : 4;
    in->reg = (modrm >> 3 & 7) | (in->rex & 4) << 1;
    in->src_is_reg = form->src == SRC_REG;
    decode_ea(in, regs, modrm, &rip_relative);
    in->src = in->src_is_reg
                  ? read_reg(in, regs, in->reg)
                  : fetch_imm(in, form->src == SRC_IMM8 ? 1 : in->size) & size_mask(in->size);
    in->next_rip = regs->rip + (uint64_t)(in->at - bytes);
    if (rip_relative)
        in->ea += in->next_rip;
    if (op_is_bit(in->op))
        decode_bit(in);
    return in->at <= bytes + len;
}

static uint64_t result_flags(uint64_t r, unsigned int size) {
    return (r == 0 ? FLAG_ZF : 0) | (r >> (size * 8 - 1) & 1 ? FLAG_SF : 0) |
           (__builtin_parity((unsigned int)r & 0xff) ? 0 : FLAG_PF);
}

/* Flags of a + b = r, and (with the roles of a and r exchanged) of r - b = a. */
static uint64_t carry_flags(uint64_t a, uint64_t b, uint64_t r, unsigned int size) {
    return (r < a ? FLAG_CF : 0) | ((a ^ b ^ r) & FLAG_AF) |
           ((~(a ^ b) & (a ^ r)) >> (size * 8 - 1) & 1 ? FLAG_OF : 0);
}

/* What an instruction does once it is known what the memory operand held. */
struct effect {
    bool stores;
    uint64_t store;
    bool sets_reg;
    unsigned int reg;
    uint64_t reg_value;
    uint64_t flags;
};

static struct effect execute(const struct insn *in, const struct cpu_user_regs *regs,
                             uint64_t old) {
    uint64_t mask = size_mask(in->size), other_flags = regs->rflags & ~(uint64_t)FLAGS_ARITH, acc,
             diff;
    struct effect fx = {.stores = true, .reg = in->reg, .reg_value = old, .flags = regs->rflags};

    switch (in->op) {
    case OP_MOV:
    case OP_XCHG:
        fx.store = in->src;
        fx.sets_reg = in->op == OP_XCHG;
        return fx;
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
        fx.store = in->op == OP_BTS   ? old | in->src
                   : in->op == OP_BTR ? old & ~in->src
                                      : old ^ in->src;
        fx.flags = (fx.flags & ~(uint64_t)FLAG_CF) | (old & in->src ? FLAG_CF : 0);
        return fx;
    case OP_CMPXCHG:
        acc = regs->rax & mask;
        diff = (acc - old) & mask;
        fx.stores = diff == 0;
        fx.store = in->src;
        fx.sets_reg = diff != 0;
        fx.reg = 0;
        fx.flags =
            other_flags | result_flags(diff, in->size) | carry_flags(diff, old, acc, in->size);
        return fx;
    case OP_XADD:
        fx.store = (old + in->src) & mask;
        fx.sets_reg = true;
        fx.flags = other_flags | carry_flags(old, in->src, fx.store, in->size);
        break;
    case OP_AND:
        fx.store = old & in->src;
        fx.flags = other_flags;
        break;
    case OP_OR:
        fx.store = old | in->src;
        fx.flags = other_flags;
        break;
    default: /* OP_XOR */
        fx.store = old ^ in->src;
        fx.flags = other_flags;
        break;
    }
    fx.flags |= result_flags(fx.store, in->size);
    return fx;
}

/* Carry it out on a snapshot of the entry, again if the entry was not that any more. */
static int apply(struct vcpu *v, const struct insn *in, uint64_t *slot) {
    unsigned int shift = in->ea % sizeof(uint64_t) * 8;
    uint64_t mask = size_mask(in->size) << shift;
    struct cpu_user_regs *regs = &v->arch.regs;
    struct effect fx;
    int rc;

    do {
        uint64_t entry = READ_ONCE(*slot);

        fx = execute(in, regs, (entry & mask) >> shift);
        rc = fx.stores ? l1e_exchange(v->domain, v->domain, slot, entry,
                                      (entry & ~mask) | fx.store << shift)
                       : 0;
    } while (rc == -EAGAIN);
    if (rc)
        return rc;
    if (fx.sets_reg)
        write_reg(in, regs, fx.reg, fx.reg_value);
    regs->rflags = fx.flags & ~(uint64_t)FLAG_RF;
    regs->rip = in->next_rip;
    return 0;
}

/* The bytes at rip, as many as are there up to the longest instruction; how many. */
static size_t fetch_bytes(uint64_t rip, uint8_t *bytes) {
    size_t in_page = PAGE_SIZE - rip % PAGE_SIZE;

    if (likely(!copy_from_guest(bytes, (guest_va_t){rip}, INSN_MAX)))
        return INSN_MAX;
    if (in_page >= INSN_MAX || copy_from_guest(bytes, (guest_va_t){rip}, in_page))
        return 0;
    memset(bytes + in_page, 0, INSN_MAX - in_page);
    return in_page;
}

bool ptwr_fault(struct vcpu *v, uint64_t va, uint32_t error_code) {
    struct cpu_user_regs *regs = &v->arch.regs;
    uint8_t bytes[INSN_MAX + 17] = {0}; /* prefixes alone can fill INSN_MAX */
    struct insn in;
    struct page *pg;
    uint64_t e;
    int rc;

    if ((error_code & (PF_P | PF_W | PF_RSVD)) != (PF_P | PF_W) || !v->arch.kernel_mode ||
        !(v->domain->vm_assist & BIT(VMASST_TYPE_writable_pagetables)))
        return false;
    e = mmu_walk(v->arch.kernel_l4, va);
    pg = mfn_lookup(pte_mfn(e));
    if (!e || e & PTE_RW || !pg || !page_type_is(pg, PAGE_L1))
        return false;
    if (!decode(&in, bytes, fetch_bytes(regs->rip, bytes), regs) || in.ea != va || va % in.size)
        return false;
    rc = page_get_and_type(pg, v->domain, PAGE_L1);
    if (!rc) {
        rc = apply(v, &in, (uint64_t *)page_to_virt(pg) + va % PAGE_SIZE / sizeof(uint64_t));
        page_put_and_type(pg);
    }
    if (rc)
        return rc == -ERESTART; /* the guest executes it again, and faults again */
    if (unlikely(regs->rflags & FLAG_TF)) {
        v->arch.debugreg[6] |= DR6_BS;
        pv_inject(v, VECTOR_DB, 0);
    }
    return true;
}
