/*
 * The ring of requests and responses that the halves of a split device share. Responses reuse
 * the slots of consumed requests. Indices run freely; a slot is index modulo size, and the size
 * is the largest power of two that fits the pages. A consumer asks to be notified by writing
 * req_event or rsp_event: the producer signals only when its index steps over that one.
 */
#ifndef ABI_RING_H
#define ABI_RING_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned int RING_IDX;

/* Entries that fit sz bytes. */
#define RING_FLOOR_POW2(n) (1u << (31 - __builtin_clz((unsigned int)(n))))
#define __CONST_RING_SIZE(name, sz)                                             \
    RING_FLOOR_POW2(((sz) - offsetof(struct name##_sring, ring)) /              \
                    sizeof(((struct name##_sring *)0)->ring[0]))

/* The shared page, and the private view each side keeps of it. */
#define DEFINE_RING_TYPES(name, req_t, rsp_t)                                   \
    union name##_sring_entry {                                                  \
        req_t req;                                                              \
        rsp_t rsp;                                                              \
    };                                                                          \
    struct name##_sring {                                                       \
        RING_IDX req_prod, req_event;                                           \
        RING_IDX rsp_prod, rsp_event;                                           \
        union {                                                                 \
            uint8_t pvt_pad[4];                                                 \
        } pvt;                                                                  \
        uint8_t __pad[44];                                                      \
        union name##_sring_entry ring[1];                                       \
    };                                                                          \
    struct name##_front_ring {                                                  \
        RING_IDX req_prod_pvt;                                                  \
        RING_IDX rsp_cons;                                                      \
        unsigned int nr_ents;                                                   \
        struct name##_sring *sring;                                             \
    };                                                                          \
    struct name##_back_ring {                                                   \
        RING_IDX rsp_prod_pvt;                                                  \
        RING_IDX req_cons;                                                      \
        unsigned int nr_ents;                                                   \
        struct name##_sring *sring;                                             \
    }

#endif
