#include "arch/mm.h"

#include <abi/arch-x86.h>

#include "lib/string.h"

/* usercopy.S */
int guest_copy(void *to, const void *from, size_t len);

/*
 * No byte of [va, va + len) is ours, and the sum does not wrap. What is not canonical just
 * faults.
 */
static bool guest_range_ok(uint64_t va, size_t len) {
    uint64_t last;

    if (__builtin_add_overflow(va, len - 1, &last))
        return false;
    return last < HYPERVISOR_VIRT_START || va >= HYPERVISOR_VIRT_END;
}

int copy_from_guest(void *dst, guest_va_t src, size_t len) {
    if (!len)
        return 0;
    return guest_range_ok(src.va, len) ? guest_copy(dst, (const void *)src.va, len) : -EFAULT;
}

int copy_to_guest(guest_va_t dst, const void *src, size_t len) {
    if (!len)
        return 0;
    return guest_range_ok(dst.va, len) ? guest_copy((void *)dst.va, src, len) : -EFAULT;
}

void arch_page_clear(void *page) {
    memset(page, 0, PAGE_SIZE);
}

void arch_page_copy(void *dst, const void *src) {
    memcpy(dst, src, PAGE_SIZE);
}
