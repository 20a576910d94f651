/*
 * Allocations that fail when told to: the linker turns every call from another file into one of
 * these.
 */
#include <string.h>

#include "arch/fake/fake.h"
#include "core/heap.h"

struct fake_alloc fake_alloc;

void fake_alloc_reset(void);
struct page *__real_heap_alloc(unsigned int order, unsigned int max_bits, unsigned int flags);
void *__real_heap_alloc_virt(unsigned int order);
void *__real_mem_alloc(size_t bytes);
void *__real_mem_alloc_array(size_t n, size_t size);
struct page *__wrap_heap_alloc(unsigned int order, unsigned int max_bits, unsigned int flags);
void *__wrap_heap_alloc_virt(unsigned int order);
void *__wrap_mem_alloc(size_t bytes);
void *__wrap_mem_alloc_array(size_t n, size_t size);

void fake_alloc_reset(void) {
    memset(&fake_alloc, 0, sizeof(fake_alloc));
}

static bool fails(void) {
    unsigned long call = ++fake_alloc.calls;

    return call == fake_alloc.fail_at || (fake_alloc.fail_from && call >= fake_alloc.fail_from);
}

struct page *__wrap_heap_alloc(unsigned int order, unsigned int max_bits, unsigned int flags) {
    return fails() ? NULL : __real_heap_alloc(order, max_bits, flags);
}
void *__wrap_heap_alloc_virt(unsigned int order) {
    return fails() ? NULL : __real_heap_alloc_virt(order);
}
void *__wrap_mem_alloc(size_t bytes) {
    return fails() ? NULL : __real_mem_alloc(bytes);
}
void *__wrap_mem_alloc_array(size_t n, size_t size) {
    return fails() ? NULL : __real_mem_alloc_array(n, size);
}
