/* The console page of a domU: two byte rings whose indices run freely and are masked on use. */
#ifndef ABI_CONSOLE_H
#define ABI_CONSOLE_H

#include <abi/guest.h>

typedef uint32_t XENCONS_RING_IDX;

#define MASK_XENCONS_IDX(idx, ring) ((idx) & (sizeof(ring) - 1))

struct xencons_interface {
    char in[1024];                  /* keyboard, backend to frontend          */
    char out[2048];                 /* screen, frontend to backend            */
    XENCONS_RING_IDX in_cons, in_prod;
    XENCONS_RING_IDX out_cons, out_prod;
};
ABI_SIZE(struct xencons_interface, 0xc10);
ABI_OFFSET(struct xencons_interface, out, 0x400);
ABI_OFFSET(struct xencons_interface, in_cons, 0xc00);
ABI_OFFSET(struct xencons_interface, out_cons, 0xc08);

#endif
