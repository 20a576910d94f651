/* links: pv/hypercall-page.c lib/string.c */
/* The stubs are instructions: compared byte by byte with what an assembler makes of them. */
#include <abi/xen.h>

#include "pv/hypercall.h"
#include "test.h"

static uint8_t page[PAGE_SIZE];

TEST(every_hypercall_has_a_stub_that_keeps_rcx_and_r11) {
    pv_fill_hypercall_page(page);
    for (unsigned int nr = 0; nr < 128; nr++) {
        const uint8_t want[] = {0x51, 0x41, 0x53, 0xb8, (uint8_t)nr, 0,    0,
                                0,    0x0f, 0x05, 0x41, 0x5b,        0x59, 0xc3};

        if (nr != __HYPERVISOR_iret)
            EXPECT_MEM(page + nr * 32, want, sizeof(want));
    }
}

TEST(the_one_of_iret_leaves_rax_too_and_does_not_return) {
    static const uint8_t want[] = {0x51, 0x41, 0x53, 0x50, 0xb8, __HYPERVISOR_iret,
                                   0,    0,    0,    0x0f, 0x05};

    pv_fill_hypercall_page(page);
    EXPECT_MEM(page + __HYPERVISOR_iret * 32, want, sizeof(want));
}

TEST(all_between_is_ud2) {
    pv_fill_hypercall_page(page);
    for (unsigned int i = 0; i < PAGE_SIZE; i += 2)
        if (i % 32 >= 14) {
            EXPECT_EQ(page[i], 0x0f);
            EXPECT_EQ(page[i + 1], 0x0b);
        }
}
