/* Guest addresses in hypercall arguments, and the checks that keep layouts honest. */
#ifndef ABI_GUEST_H
#define ABI_GUEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * A guest virtual address travelling through a hypercall: what Xen calls XEN_GUEST_HANDLE(type).
 * It is a struct so that nobody can dereference it; only the copy functions look inside.
 */
typedef struct {
    uint64_t va;
} guest_va_t;

/* Layout promises, stated next to each struct and checked by the compiler. */
#define ABI_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
#define ABI_OFFSET(type, field, bytes) \
    _Static_assert(offsetof(type, field) == (bytes), #type "." #field)

ABI_SIZE(guest_va_t, 8);

#endif
