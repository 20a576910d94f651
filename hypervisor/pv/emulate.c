#include "pv/emulate.h"

#include "arch/cpu.h"
#include "arch/mm.h"
#include "arch/time.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "lib/string.h"
#include "pv/descriptor.h"
#include "pv/guest-state.h"
#include "pv/mmu.h"
#include "pv/traps.h"

#define INSN_MAX 15

/* An instruction as far as it has been looked at. */
struct insn {
    uint8_t byte[INSN_MAX];
    unsigned int fetched, len; /* bytes read from the guest / decoded so far */
    uint8_t opcode, rex;       /* opcode: its last byte */
    uint8_t segment;           /* override prefix, 0: none */
    bool is_64bit, opsize16, addr32, rep;
};

enum outcome {
    DONE,  /* skip it */
    FAULT, /* #GP(0) */
    AGAIN, /* unfinished, or an exception was injected: rip is right as it is */
};

/*
 * One more byte. The guest can change its code between our reads, never a byte already read: each
 * is fetched once, up to the end of its page first, so that no byte is needed that the processor
 * did not need.
 */
static bool next_byte(struct vcpu *v, struct insn *in, uint8_t *byte) {
    if (in->len == INSN_MAX)
        return false;
    if (in->len == in->fetched) {
        uint64_t va = v->arch.regs.rip + in->fetched;
        size_t n = MIN((size_t)(INSN_MAX - in->fetched), (size_t)(PAGE_SIZE - va % PAGE_SIZE));

        if (copy_from_guest(in->byte + in->fetched, (guest_va_t){va}, n))
            return false;
        in->fetched += (unsigned int)n;
    }
    *byte = in->byte[in->len++];
    return true;
}

/*
 * Kernels run in 64-bit mode; user code may not. Code segments of 32-bit programs are taken as
 * flat.
 */
static void insn_start(const struct vcpu *v, struct insn *in) {
    in->fetched = in->len = 0;
    in->rex = in->segment = 0;
    in->opsize16 = in->rep = false;
    in->is_64bit = v->arch.kernel_mode || pv_selector_is_64bit(v, v->arch.regs.cs);
    in->addr32 = !in->is_64bit;
}

/* Prefixes; then the first byte of the opcode. */
static bool decode_prefixes(struct vcpu *v, struct insn *in, uint8_t *byte) {
    while (next_byte(v, in, byte)) {
        switch (*byte) {
        case 0x66:
            in->opsize16 = true;
            break;
        case 0x67:
            in->addr32 = in->is_64bit; /* 16-bit addresses are nobody's */
            break;
        case 0xf2:
        case 0xf3:
            in->rep = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
            in->segment = *byte;
            break;
        case 0x40 ... 0x4f:
            if (!in->is_64bit)
                return true;
            in->rex = *byte;
            continue;
        default:
            return true;
        }
        in->rex = 0; /* counts only right before the opcode */
    }
    return false;
}

static uint64_t *reg_of(struct cpu_user_regs *regs, unsigned int n) {
    static const uint8_t offsets[16] = {
#define AT(r) offsetof(struct cpu_user_regs, r)
        AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi),
        AT(r8),  AT(r9),  AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15),
#undef AT
    };
    return (uint64_t *)((char *)regs + offsets[n & 15]);
}

/* For mov to and from control and debug registers: modrm names two registers, mod is ignored. */
static bool decode_modrm(struct vcpu *v, struct insn *in, unsigned int *special, uint64_t **reg) {
    uint8_t modrm;

    if (!next_byte(v, in, &modrm))
        return false;
    *special = (modrm >> 3 & 7) | (in->rex & 4) << 1;
    *reg = reg_of(&v->arch.regs, (modrm & 7) | (in->rex & 1) << 3);
    return true;
}

static uint64_t edx_eax(const struct cpu_user_regs *regs) {
    return (regs->rdx << 32) | (uint32_t)regs->rax;
}
static void set_edx_eax(struct cpu_user_regs *regs, uint64_t value) {
    regs->rax = (uint32_t)value;
    regs->rdx = value >> 32;
}

/* ---- ports ---- */

/* Do all the ports' bits in the bitmap the kernel registered for this vcpu say yes? */
static bool bitmap_allows(struct vcpu *v, unsigned int port, unsigned int size) {
    uint8_t bits[2] = {0xff, 0xff};
    unsigned int last = port + size - 1;
    bool user;
    int rc;

    if (last >= v->arch.iobitmap_ports)
        return false;
    user = vcpu_kernel_tables_begin(v);
    rc = copy_from_guest(bits, (guest_va_t){v->arch.iobitmap.va + port / 8},
                         last / 8 - port / 8 + 1);
    vcpu_kernel_tables_end(v, user);
    return !rc && !((bits[0] | bits[1] << 8) >> port % 8 & ((1u << size) - 1));
}

static bool iopl_allows(const struct vcpu *v) {
    return v->arch.iopl >= (v->arch.kernel_mode ? 1 : 3);
}

static bool port_allowed(struct vcpu *v, uint16_t port, unsigned int size) {
    return iopl_allows(v) || bitmap_allows(v, port, size);
}

static unsigned int port_size(const struct insn *in) {
    return !(in->opcode & 1) ? 1 : in->opsize16 ? 2 : 4;
}

/* in, out: bit 1 of the opcode is the direction, bit 3 says that dx has the port. */
static enum outcome do_in_out(struct vcpu *v, struct insn *in) {
    struct cpu_user_regs *regs = &v->arch.regs;
    unsigned int size = port_size(in);
    uint16_t port = (uint16_t)regs->rdx;
    uint8_t imm;

    if (!(in->opcode & 8)) {
        if (!next_byte(v, in, &imm))
            return FAULT;
        port = imm;
    }
    if (!port_allowed(v, port, size))
        return FAULT;
    if (in->opcode & 2) {
        pv_port_out(v, port, size, (uint32_t)regs->rax);
    } else {
        uint32_t value = pv_port_in(v, port, size);

        if (size == 4)
            regs->rax = value;
        else
            memcpy(&regs->rax, &value, size);
    }
    return DONE;
}

static uint64_t segment_base(struct vcpu *v, uint8_t prefix) {
    if (prefix == 0x64)
        return arch_get_segment_base(v, SEGBASE_FS);
    if (prefix == 0x65)
        return arch_get_segment_base(v, v->arch.kernel_mode ? SEGBASE_GS_KERNEL : SEGBASE_GS_USER);
    return 0;
}

/* One element of ins or outs. */
static bool string_step(struct vcpu *v, const struct insn *in, guest_va_t at, unsigned int size) {
    uint16_t port = (uint16_t)v->arch.regs.rdx;
    uint32_t value = 0;

    if (in->opcode & 2) {
        if (copy_from_guest(&value, at, size))
            return false;
        pv_port_out(v, port, size, value);
        return true;
    }
    /* Reading a port has effects, so the memory must be there first. */
    if (copy_from_guest(&value, at, size) || copy_to_guest(at, &value, size))
        return false;
    value = pv_port_in(v, port, size);
    return !copy_to_guest(at, &value, size);
}

/* ins, outs, with rep: registers move with every element, so it can stop between any two. */
static enum outcome do_string(struct vcpu *v, struct insn *in) {
    struct cpu_user_regs *regs = &v->arch.regs;
    bool out = in->opcode & 2;
    uint64_t *index = out ? &regs->rsi : &regs->rdi, mask = in->addr32 ? UINT32_MAX : UINT64_MAX;
    unsigned int size = port_size(in);
    int64_t step = regs->rflags & RFLAGS_DF ? -(int64_t)size : size;

    if (!port_allowed(v, (uint16_t)regs->rdx, size))
        return FAULT;
    while (!in->rep || regs->rcx & mask) {
        guest_va_t at = {(*index & mask) + (out ? segment_base(v, in->segment) : 0)};

        if (!string_step(v, in, at, size)) {
            pv_inject_page_fault(v, (out ? 0 : 2) | (v->arch.kernel_mode ? 0 : 4), at.va);
            return AGAIN;
        }
        *index = (*index + (uint64_t)step) & mask;
        if (!in->rep)
            break;
        regs->rcx = (regs->rcx - 1) & mask;
        if (regs->rcx && preempt_needed())
            return AGAIN;
    }
    return DONE;
}

/* ---- the rest ---- */

/* Events are masked in vcpu_info; the real interrupt flag stays as it is. */
static enum outcome do_cli_sti(struct vcpu *v, struct insn *in) {
    (void)in;
    return v->arch.kernel_mode || iopl_allows(v) ? DONE : FAULT;
}

static enum outcome do_nothing(struct vcpu *v, struct insn *in) {
    (void)v, (void)in;
    return DONE;
}

static enum outcome do_clts(struct vcpu *v, struct insn *in) {
    (void)in;
    v->arch.ts = false;
    arch_vcpu_update_cr(v);
    return DONE;
}

static enum outcome do_rdmsr(struct vcpu *v, struct insn *in) {
    uint64_t value;

    (void)in;
    if (pv_rdmsr(v, (uint32_t)v->arch.regs.rcx, &value))
        return FAULT;
    set_edx_eax(&v->arch.regs, value);
    return DONE;
}

static enum outcome do_wrmsr(struct vcpu *v, struct insn *in) {
    const struct cpu_user_regs *regs = &v->arch.regs;

    (void)in;
    return pv_wrmsr(v, (uint32_t)regs->rcx, edx_eax(regs)) ? FAULT : DONE;
}

/* Only comes here if CR4.TSD, which the guest kernel sets for its users, not for itself. */
static enum outcome do_rdtsc(struct vcpu *v, struct insn *in) {
    (void)in;
    if (!v->arch.kernel_mode)
        return FAULT;
    set_edx_eax(&v->arch.regs, arch_read_tsc());
    return DONE;
}

static enum outcome do_cpuid(struct vcpu *v, struct insn *in) {
    struct cpu_user_regs *regs = &v->arch.regs;
    uint32_t out[4];

    (void)in;
    pv_cpuid(v->domain, (uint32_t)regs->rax, (uint32_t)regs->rcx, out);
    regs->rax = out[0];
    regs->rbx = out[1];
    regs->rcx = out[2];
    regs->rdx = out[3];
    return DONE;
}

/* 0f 01: the modrm byte is the instruction. */
static enum outcome do_group7(struct vcpu *v, struct insn *in) {
    struct cpu_user_regs *regs = &v->arch.regs;
    uint8_t modrm;

    if (!next_byte(v, in, &modrm))
        return FAULT;
    if (modrm == 0xf9) { /* rdtscp */
        enum outcome o = do_rdtsc(v, in);

        if (o == DONE)
            regs->rcx = v->arch.tsc_aux;
        return o;
    }
    if (modrm != 0xd1 || !v->arch.kernel_mode || (uint32_t)regs->rcx != 0) /* xsetbv */
        return FAULT;
    return arch_vcpu_set_xcr0(v, edx_eax(regs)) ? FAULT : DONE;
}

#define CR0_FIXED UINT64_C(0x80050033)                 /* PG AM WP NE ET MP PE */
#define CR4_SHOWN (BIT(5) | BIT(6) | BIT(9) | BIT(10)) /* PAE MCE OSFXSR OSXMMEXCPT */

static enum outcome do_read_cr(struct vcpu *v, struct insn *in) {
    unsigned int cr;
    uint64_t *reg;

    if (!decode_modrm(v, in, &cr, &reg))
        return FAULT;
    switch (cr) {
    case 0:
        *reg = CR0_FIXED | (v->arch.ts ? CR0_TS : 0);
        return DONE;
    case 2:
        *reg = READ_ONCE(v->info->arch.cr2);
        return DONE;
    case 3:
        *reg = v->arch.kernel_l4.n << PAGE_SHIFT;
        return DONE;
    case 4:
        *reg = CR4_SHOWN | v->arch.cr4;
        return DONE;
    default:
        return FAULT;
    }
}

static enum outcome write_cr3(struct vcpu *v, uint64_t value) {
    int rc = mmu_new_kernel_base(v, mfn_of(value >> PAGE_SHIFT));

    if (rc == -ERESTART)
        return AGAIN;
    arch_tlb_flush_local(); /* user entries are global */
    return rc ? FAULT : DONE;
}

static enum outcome do_write_cr(struct vcpu *v, struct insn *in) {
    unsigned int cr;
    uint64_t *reg;

    if (!decode_modrm(v, in, &cr, &reg))
        return FAULT;
    switch (cr) {
    case 0:
        if ((*reg ^ CR0_FIXED) & ~CR0_TS)
            return FAULT;
        v->arch.ts = *reg & CR0_TS;
        break;
    case 2:
        v->info->arch.cr2 = *reg;
        return DONE;
    case 3:
        return write_cr3(v, *reg);
    case 4:
        v->arch.cr4 = (uint32_t)(*reg & CR4_GUEST);
        break;
    default:
        return FAULT;
    }
    arch_vcpu_update_cr(v);
    return DONE;
}

static enum outcome do_read_dr(struct vcpu *v, struct insn *in) {
    unsigned int dr;
    uint64_t *reg;

    return decode_modrm(v, in, &dr, &reg) && !pv_get_debugreg(v, dr, reg) ? DONE : FAULT;
}

static enum outcome do_write_dr(struct vcpu *v, struct insn *in) {
    unsigned int dr;
    uint64_t *reg;

    return decode_modrm(v, in, &dr, &reg) && !pv_set_debugreg(v, dr, *reg) ? DONE : FAULT;
}

/* Opcodes with 0x0f before them have 0x100 added. */
static const struct emulation {
    uint16_t first, last;
    bool user; /* guest user mode may get it done, too */
    enum outcome (*run)(struct vcpu *v, struct insn *in);
} emulations[] = {
    {0xe4, 0xe7, true, do_in_out},     /* in, out: port in the instruction */
    {0xec, 0xef, true, do_in_out},     /* in, out: port in dx */
    {0x6c, 0x6f, true, do_string},     /* ins, outs */
    {0xfa, 0xfb, true, do_cli_sti},    /* cli, sti */
    {0x101, 0x101, true, do_group7},   /* xsetbv, rdtscp */
    {0x106, 0x106, false, do_clts},    /* clts */
    {0x108, 0x109, false, do_nothing}, /* invd, wbinvd */
    {0x120, 0x120, false, do_read_cr}, /* mov to and from control and debug registers */
    {0x121, 0x121, false, do_read_dr}, /* (the even ones: control) */
    {0x122, 0x122, false, do_write_cr},
    {0x123, 0x123, false, do_write_dr},
    {0x130, 0x130, false, do_wrmsr}, /* wrmsr */
    {0x131, 0x131, true, do_rdtsc},  /* rdtsc */
    {0x132, 0x132, false, do_rdmsr}, /* rdmsr */
    {0x1a2, 0x1a2, true, do_cpuid},  /* cpuid, where it faults */
};

static const struct emulation *find_emulation(const struct vcpu *v, unsigned int opcode) {
    for (unsigned int i = 0; i < ARRAY_LEN(emulations); i++) {
        const struct emulation *e = &emulations[i];

        if (opcode >= e->first && opcode <= e->last)
            return e->user || v->arch.kernel_mode ? e : NULL;
    }
    return NULL;
}

static void skip(struct vcpu *v, const struct insn *in) {
    struct cpu_user_regs *regs = &v->arch.regs;

    regs->rip += in->len;
    if (!in->is_64bit)
        regs->rip &= UINT32_MAX;
    regs->rflags &= ~RFLAGS_RF;
    if (regs->rflags & RFLAGS_TF) {
        v->arch.debugreg[6] |= BIT(14); /* single step */
        pv_inject(v, 1, 0);
    }
}

bool pv_emulate_privileged(struct vcpu *v) {
    const struct emulation *e;
    unsigned int opcode;
    struct insn in;

    insn_start(v, &in);
    if (!decode_prefixes(v, &in, &in.opcode))
        return false;
    opcode = in.opcode;
    if (opcode == 0x0f) {
        if (!next_byte(v, &in, &in.opcode))
            return false;
        opcode = 0x100 + in.opcode;
    }
    e = find_emulation(v, opcode);
    if (!e)
        return false;
    switch (e->run(v, &in)) {
    case DONE:
        skip(v, &in);
        return true;
    case AGAIN:
        return true;
    default:
        return false;
    }
}

bool pv_emulate_forced(struct vcpu *v) {
    static const uint8_t form[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    struct insn in;
    uint8_t byte;

    insn_start(v, &in);
    for (unsigned int i = 0; i < sizeof(form); i++)
        if (!next_byte(v, &in, &byte) || byte != form[i])
            return false;
    (void)do_cpuid(v, &in);
    skip(v, &in);
    return true;
}
