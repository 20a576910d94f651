/* Event channels: the interrupts of a virtual machine. */
#ifndef ABI_EVENT_CHANNEL_H
#define ABI_EVENT_CHANNEL_H

#include <abi/xen.h>

/* event_channel_op(cmd, arg): a port is one end of a one-bit wire. "->" marks results. */
#define EVTCHNOP_bind_interdomain 0
#define EVTCHNOP_bind_virq        1
#define EVTCHNOP_bind_pirq        2
#define EVTCHNOP_close            3
#define EVTCHNOP_send             4
#define EVTCHNOP_status           5
#define EVTCHNOP_alloc_unbound    6
#define EVTCHNOP_bind_ipi         7
#define EVTCHNOP_bind_vcpu        8
#define EVTCHNOP_unmask           9
#define EVTCHNOP_reset            10
#define EVTCHNOP_init_control     11
#define EVTCHNOP_expand_array     12
#define EVTCHNOP_set_priority     13

typedef uint32_t evtchn_port_t;

/* Open a port in dom that only remote_dom may bind to. */
struct evtchn_alloc_unbound {
    domid_t dom, remote_dom;
    evtchn_port_t port;             /* ->                                     */
};
ABI_SIZE(struct evtchn_alloc_unbound, 8);

/* Connect a new local port to an unbound port of another domain. */
struct evtchn_bind_interdomain {
    domid_t remote_dom;
    evtchn_port_t remote_port;
    evtchn_port_t local_port;       /* ->                                     */
};
ABI_SIZE(struct evtchn_bind_interdomain, 0xc);
ABI_OFFSET(struct evtchn_bind_interdomain, remote_port, 4);
ABI_OFFSET(struct evtchn_bind_interdomain, local_port, 8);

/* One port per VIRQ_*, and per vcpu for the per-vcpu ones. */
struct evtchn_bind_virq {
    uint32_t virq;
    uint32_t vcpu;
    evtchn_port_t port;             /* ->                                     */
};
ABI_SIZE(struct evtchn_bind_virq, 0xc);

/* Receive a physical interrupt. */
struct evtchn_bind_pirq {
    uint32_t pirq;
    uint32_t flags;                 /* BIND_PIRQ__*                           */
    evtchn_port_t port;             /* ->                                     */
};
ABI_SIZE(struct evtchn_bind_pirq, 0xc);
#define BIND_PIRQ__WILL_SHARE 1

struct evtchn_bind_ipi {
    uint32_t vcpu;
    evtchn_port_t port;             /* ->                                     */
};
ABI_SIZE(struct evtchn_bind_ipi, 8);

/* Closing the local end leaves the remote end unbound, reserved for us. */
struct evtchn_close {
    evtchn_port_t port;
};
ABI_SIZE(struct evtchn_close, 4);

struct evtchn_send {
    evtchn_port_t port;
};
ABI_SIZE(struct evtchn_send, 4);

struct evtchn_status {
    domid_t dom;                    /* DOMID_SELF, or a domain one controls   */
    evtchn_port_t port;
    uint32_t status;                /* -> EVTCHNSTAT_*                        */
    uint32_t vcpu;                  /* -> which vcpu is notified              */
    union {
        struct {
            domid_t dom;
        } unbound;
        struct {
            domid_t dom;
            evtchn_port_t port;
        } interdomain;
        uint32_t pirq;
        uint32_t virq;
    } u;                            /* -> by status                           */
};
ABI_SIZE(struct evtchn_status, 0x18);
ABI_OFFSET(struct evtchn_status, status, 8);
ABI_OFFSET(struct evtchn_status, vcpu, 0xc);
ABI_OFFSET(struct evtchn_status, u, 0x10);
#define EVTCHNSTAT_closed      0
#define EVTCHNSTAT_unbound     1
#define EVTCHNSTAT_interdomain 2
#define EVTCHNSTAT_pirq        3
#define EVTCHNSTAT_virq        4
#define EVTCHNSTAT_ipi         5

/* Notify another vcpu from now on. Not for IPIs and per-vcpu virqs. */
struct evtchn_bind_vcpu {
    evtchn_port_t port;
    uint32_t vcpu;
};
ABI_SIZE(struct evtchn_bind_vcpu, 8);

/* Clear the mask, and deliver if the port is pending. */
struct evtchn_unmask {
    evtchn_port_t port;
};
ABI_SIZE(struct evtchn_unmask, 4);

/* Close every port, and leave the FIFO ABI. */
struct evtchn_reset {
    domid_t dom;
};
ABI_SIZE(struct evtchn_reset, 2);

/* FIFO ABI: give the vcpu's control block. */
struct evtchn_init_control {
    uint64_t control_gfn;
    uint32_t offset;                /* of the block in that page              */
    uint32_t vcpu;
    uint8_t link_bits;              /* -> EVTCHN_FIFO_LINK_BITS               */
    uint8_t _pad[7];
};
ABI_SIZE(struct evtchn_init_control, 0x18);
ABI_OFFSET(struct evtchn_init_control, link_bits, 0x10);

/* FIFO ABI: give one more page of event words. */
struct evtchn_expand_array {
    uint64_t array_gfn;
};
ABI_SIZE(struct evtchn_expand_array, 8);

struct evtchn_set_priority {
    evtchn_port_t port;
    uint32_t priority;              /* 0 highest .. 15 lowest                 */
};
ABI_SIZE(struct evtchn_set_priority, 8);

/* Two-level ABI: bits of shared_info.evtchn_pending. */
#define EVTCHN_2L_NR_CHANNELS (64 * 64)

/* FIFO ABI: one word per event, linked into one queue per priority of each vcpu. */
typedef uint32_t event_word_t;
#define EVTCHN_FIFO_PRIORITY_MAX     0
#define EVTCHN_FIFO_PRIORITY_DEFAULT 7
#define EVTCHN_FIFO_PRIORITY_MIN     15
#define EVTCHN_FIFO_MAX_QUEUES       (EVTCHN_FIFO_PRIORITY_MIN + 1)
#define EVTCHN_FIFO_PENDING          31 /* bit numbers in the word             */
#define EVTCHN_FIFO_MASKED           30
#define EVTCHN_FIFO_LINKED           29 /* on some queue                       */
#define EVTCHN_FIFO_BUSY             28 /* the link field is being updated     */
#define EVTCHN_FIFO_LINK_BITS        17 /* low bits: port of the next event    */
#define EVTCHN_FIFO_LINK_MASK        ((1 << EVTCHN_FIFO_LINK_BITS) - 1)
#define EVTCHN_FIFO_NR_CHANNELS      (1 << EVTCHN_FIFO_LINK_BITS)

struct evtchn_fifo_control_block {
    uint32_t ready;                 /* bit per priority with a non-empty queue */
    uint32_t _rsvd;
    event_word_t head[EVTCHN_FIFO_MAX_QUEUES]; /* first port of each queue     */
};
ABI_SIZE(struct evtchn_fifo_control_block, 0x48);

#endif
