/* What each cpu needs set up before entry.S works on it. */
#include "arch/x86/entry.h"

#include "arch/x86/processor.h"
#include "arch/x86/sections.h"
#include "core/cpu.h"
#include "lib/string.h"

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

/* Flags that `syscall` clears: all that software can set, but the fixed bit 1. */
#define SYSCALL_CLEARS 0x3f7fd5

struct smap_site {
    int32_t at; /* relative to the field itself */
    uint32_t last_byte;
};
extern const struct smap_site smap_sites_start[], smap_sites_end[];

extern char syscall_stubs[], entry_syscall[], entry_syscall_compat[], entry_sysenter[];

/* Write code: the image's text is read-only in every view of it, so for this moment WP is off. */
static INIT_TEXT void patch_text(void *at, const void *bytes, size_t len) {
    uint64_t flags = irq_save(), cr0 = read_cr0();

    write_cr0(cr0 & ~CR0_WP);
    memcpy(at, bytes, len);
    write_cr0(cr0);
    irq_restore(flags);
}

static INIT_TEXT void patch_smap_sites(void) {
    for (const struct smap_site *s = smap_sites_start; s < smap_sites_end; s++) {
        uint8_t insn[3] = {0x0f, 0x01, (uint8_t)s->last_byte}; /* stac or clac */

        patch_text((char *)&s->at + s->at, insn, sizeof(insn));
    }
}

/*
 * At `syscall` no register is free and rsp is the guest's, so the first instructions name this
 * cpu's memory themselves:
 *     mov %rsp, scratch(%rip); mov current(%rip), %rsp; jmp target
 */
static INIT_TEXT void write_stub(char *at, const struct cpu *cpu, const char *target) {
    uint8_t code[] = {0x48, 0x89, 0x25, 0, 0, 0, 0, /* mov %rsp, x(%rip) */
                      0x48, 0x8b, 0x25, 0, 0, 0, 0, /* mov x(%rip), %rsp */
                      0xe9, 0,    0,    0, 0};      /* jmp */
    const void *operands[] = {&cpu->arch.scratch[0], &cpu->current, target};
    static const uint8_t ends[] = {7, 14, 19};

    for (unsigned int i = 0; i < ARRAY_LEN(ends); i++) {
        int32_t distance = (int32_t)((intptr_t)operands[i] - (intptr_t)(at + ends[i]));

        memcpy(&code[ends[i] - 4], &distance, 4);
    }
    patch_text(at, code, sizeof(code));
}

INIT_TEXT void cpu_entry_init(struct cpu *cpu) {
    char *stubs = syscall_stubs + cpu->id * SYSCALL_STUB_SIZE;

    if (cpu->id == 0 && cpu_features.smap)
        patch_smap_sites();
    write_stub(stubs, cpu, entry_syscall);
    write_stub(stubs + SYSCALL_STUB_SIZE / 2, cpu, entry_syscall_compat);

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    /*
     * sysret adds 16 to the upper selector for cs and 8 for ss; syscall takes the lower one and 8
     * more.
     */
    wrmsr(MSR_STAR, (uint64_t)FLAT_RING3_CS32 << 48 | (uint64_t)HV_CS << 32);
    wrmsr(MSR_LSTAR, (uintptr_t)stubs);
    wrmsr(MSR_CSTAR, (uintptr_t)stubs + SYSCALL_STUB_SIZE / 2);
    wrmsr(MSR_SYSCALL_MASK, SYSCALL_CLEARS);
    wrmsr(MSR_SYSENTER_CS, HV_CS);
    wrmsr(MSR_SYSENTER_ESP, (uintptr_t)cpu);
    wrmsr(MSR_SYSENTER_EIP, (uintptr_t)entry_sysenter);
    fpu_cpu_init(cpu);
}
