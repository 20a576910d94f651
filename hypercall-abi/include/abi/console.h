#ifndef ABI_CONSOLE_H
#define ABI_CONSOLE_H

#include <stdint.h>

/* The console page of a domU: two byte rings whose indices run freely and are masked on use. */
typedef uint32_t XENCONS_RING_IDX;

#define MASK_XENCONS_IDX(idx, ring) ((idx) & (sizeof(ring) - 1))

struct xencons_interface {
    char in[1024];                  /* keyboard, backend to frontend          */
    char out[2048];                 /* screen, frontend to backend            */
    XENCONS_RING_IDX in_cons, in_prod;
    XENCONS_RING_IDX out_cons, out_prod;
};

#endif
