#include <abi/xen.h>

#include "lib/string.h"
#include "pv/hypercall.h"

#define STUB_SIZE 32

static const uint8_t ud2[] = {0x0f, 0x0b};

/* push %rcx; push %r11; mov $nr, %eax; syscall; pop %r11; pop %rcx; ret */
static const uint8_t stub[] = {0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0,
                               0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3};
#define STUB_NR 4

/* push %rcx; push %r11; push %rax; mov $__HYPERVISOR_iret, %eax; syscall: does not come back */
static const uint8_t iret_stub[] = {0x51, 0x41, 0x53, 0x50, 0xb8, __HYPERVISOR_iret, 0, 0, 0,
                                    0x0f, 0x05};

void pv_fill_hypercall_page(void *page) {
    uint8_t *p = page;

    for (unsigned int i = 0; i < PAGE_SIZE; i += sizeof(ud2))
        memcpy(p + i, ud2, sizeof(ud2));
    for (unsigned int nr = 0; nr < PAGE_SIZE / STUB_SIZE; nr++, p += STUB_SIZE) {
        if (nr == __HYPERVISOR_iret) {
            memcpy(p, iret_stub, sizeof(iret_stub));
        } else {
            memcpy(p, stub, sizeof(stub));
            p[STUB_NR] = (uint8_t)nr;
        }
    }
}
