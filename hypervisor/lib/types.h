/* The words every file uses: fixed-width types, frame numbers, a few macros. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abi/errno.h>
#include <abi/guest.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (UINT64_C(1) << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS     UINT64_C(1000000)
#define US_NS     UINT64_C(1000)

/* Numbers that must not be mixed up get a type of their own. */
#define FRAME_KIND(k)                                                                              \
    typedef struct {                                                                               \
        uint64_t n;                                                                                \
    } k##_t;                                                                                       \
    static inline k##_t k##_of(uint64_t n) {                                                       \
        return (k##_t){n};                                                                         \
    }
FRAME_KIND(mfn) /* machine frame */
FRAME_KIND(pfn) /* the guest's own numbering */

#define MFN_INVALID mfn_of(~UINT64_C(0))

typedef uint16_t domid_t;
typedef uint32_t evtchn_port_t;

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NOINLINE     __attribute__((noinline))
#define PACKED       __attribute__((packed))
#define ALIGNED(n)   __attribute__((aligned(n)))
/* Code and data that are freed once dom0 runs. */
#define INIT_TEXT __attribute__((section(".init.text"), cold))
#define INIT_DATA __attribute__((section(".init.data")))
/* Data that nothing writes after boot; mapped read-only once dom0 runs. */
#define RO_AFTER_INIT __attribute__((section(".data.ro_after_init")))

#define ARRAY_LEN(a)       (sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define ROUND_UP(n, to)    (DIV_ROUND_UP(n, to) * (to))
#define ROUND_DOWN(n, to)  ((n) / (to) * (to))
#define MIN(a, b)          ((a) < (b) ? (a) : (b))
#define MAX(a, b)          ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member)                                                            \
    ((type *)((char *)(ptr)-__builtin_offsetof(type, member)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* One access, not repeated and not torn: for words another cpu or a guest changes. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#endif
