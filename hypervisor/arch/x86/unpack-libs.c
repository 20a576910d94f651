/*
 * A place for liblzma, libzstd, liblz4 and zlib to run in. They come as Debian's static archives,
 * compiled for user space, and are linked into init memory; beside memcpy and its kin they refer
 * to what is below. Their memory comes from core/unpack.c's scratch area, so malloc() has none.
 */
#include "arch/cpu.h"
#include "arch/x86/processor.h"
#include "lib/bug.h"

/* The archives' .init_array (liblzma chooses a CRC-64 by CPUID there); hospes.lds.S. */
typedef void constructor_t(void);
extern constructor_t *const unpack_libs_init_start[], *const unpack_libs_init_end[];

/* What %fs points at: the stack protector compares with the word at 0x28. */
static uint64_t thread_block[8] INIT_DATA;
static uint64_t irq_flags INIT_DATA;
static bool constructed INIT_DATA;

INIT_TEXT void arch_libs_begin(void) {
    irq_flags = irq_save();
    write_cr0(read_cr0() & ~CR0_TS);
    wrmsr(MSR_FS_BASE, (uintptr_t)thread_block);
    if (constructed)
        return;
    for (constructor_t *const *c = unpack_libs_init_start; c < unpack_libs_init_end; c++)
        (*c)();
    constructed = true;
}

INIT_TEXT void arch_libs_end(void) {
    wrmsr(MSR_FS_BASE, 0);
    irq_restore(irq_flags);
}

void *malloc(size_t len);
void *calloc(size_t count, size_t len);
void free(void *p);
_Noreturn void __stack_chk_fail(void);
unsigned long long ZSTD_trace_decompress_begin(const void *ctx);
void ZSTD_trace_decompress_end(unsigned long long trace, const void *what);

INIT_TEXT void *malloc(size_t len) {
    (void)len;
    return NULL;
}

INIT_TEXT void *calloc(size_t count, size_t len) {
    (void)count, (void)len;
    return NULL;
}

INIT_TEXT void free(void *p) {
    (void)p;
}

INIT_TEXT void __stack_chk_fail(void) {
    panic("dom0 kernel: a decompressor overran its stack; use another kernel");
}

/*
 * libzstd's weak hooks. Left undefined they would be calls to address 0, which is out of a call's
 * reach from where the hypervisor is. 0: no trace is wanted.
 */
INIT_TEXT unsigned long long ZSTD_trace_decompress_begin(const void *ctx) {
    (void)ctx;
    return 0;
}

INIT_TEXT void ZSTD_trace_decompress_end(unsigned long long trace, const void *what) {
    (void)trace, (void)what;
}
