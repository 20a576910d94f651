/*
 * Network device: one ring for each direction, seen from the frontend. A packet takes one or
 * more slots, all but the last with more_data; extra_info slots follow the first.
 */
#ifndef ABI_NETIF_H
#define ABI_NETIF_H

#include <abi/grant_table.h>
#include <abi/ring.h>

#define XEN_NETIF_NR_SLOTS_MIN 18   /* slots of a packet every backend accepts */
#define XEN_NETIF_MAX_TX_SIZE  0xffff

struct netif_tx_request {
    grant_ref_t gref;
    uint16_t offset;                /* in the granted page                    */
    uint16_t flags;                 /* NETTXF_*                               */
    uint16_t id;                    /* echoed in the response                 */
    uint16_t size;                  /* first slot: of the whole packet        */
};
ABI_SIZE(struct netif_tx_request, 0xc);
ABI_OFFSET(struct netif_tx_request, offset, 4);
ABI_OFFSET(struct netif_tx_request, size, 0xa);
#define _NETTXF_csum_blank     0    /* checksum is still to be computed       */
#define NETTXF_csum_blank      (1u << _NETTXF_csum_blank)
#define _NETTXF_data_validated 1    /* checksum is known to be right          */
#define NETTXF_data_validated  (1u << _NETTXF_data_validated)
#define _NETTXF_more_data      2
#define NETTXF_more_data       (1u << _NETTXF_more_data)
#define _NETTXF_extra_info     3
#define NETTXF_extra_info      (1u << _NETTXF_extra_info)

/* Takes the place of a request or response. */
struct netif_extra_info {
    uint8_t type;                   /* XEN_NETIF_EXTRA_TYPE_*                 */
    uint8_t flags;                  /* XEN_NETIF_EXTRA_FLAG_*                 */
    union {
        struct {
            uint16_t size;          /* payload of each segment                */
            uint8_t type;           /* XEN_NETIF_GSO_TYPE_*                   */
            uint8_t pad;
            uint16_t features;
        } gso;
        struct {
            uint8_t addr[6];
        } mcast;
        struct {
            uint8_t type;
            uint8_t algorithm;
            uint8_t value[4];
        } hash;
        uint16_t pad[3];
    } u;
};
ABI_SIZE(struct netif_extra_info, 8);
#define XEN_NETIF_EXTRA_TYPE_NONE      0
#define XEN_NETIF_EXTRA_TYPE_GSO       1
#define XEN_NETIF_EXTRA_TYPE_MCAST_ADD 2
#define XEN_NETIF_EXTRA_TYPE_MCAST_DEL 3
#define XEN_NETIF_EXTRA_TYPE_HASH      4
#define XEN_NETIF_EXTRA_TYPE_MAX       5
#define _XEN_NETIF_EXTRA_FLAG_MORE 0
#define XEN_NETIF_EXTRA_FLAG_MORE  (1u << _XEN_NETIF_EXTRA_FLAG_MORE)
#define XEN_NETIF_GSO_TYPE_NONE  0
#define XEN_NETIF_GSO_TYPE_TCPV4 1
#define XEN_NETIF_GSO_TYPE_TCPV6 2

struct netif_tx_response {
    uint16_t id;
    int16_t status;                 /* NETIF_RSP_*                            */
};
ABI_SIZE(struct netif_tx_response, 4);

/* An empty page for the backend to copy into. */
struct netif_rx_request {
    uint16_t id;
    uint16_t pad;
    grant_ref_t gref;
};
ABI_SIZE(struct netif_rx_request, 8);
ABI_OFFSET(struct netif_rx_request, gref, 4);

struct netif_rx_response {
    uint16_t id;
    uint16_t offset;
    uint16_t flags;                 /* NETRXF_*                               */
    int16_t status;                 /* bytes, or NETIF_RSP_*                  */
};
ABI_SIZE(struct netif_rx_response, 8);
ABI_OFFSET(struct netif_rx_response, status, 6);
#define _NETRXF_data_validated 0
#define NETRXF_data_validated  (1u << _NETRXF_data_validated)
#define _NETRXF_csum_blank     1
#define NETRXF_csum_blank      (1u << _NETRXF_csum_blank)
#define _NETRXF_more_data      2
#define NETRXF_more_data       (1u << _NETRXF_more_data)
#define _NETRXF_extra_info     3
#define NETRXF_extra_info      (1u << _NETRXF_extra_info)
#define _NETRXF_gso_prefix     4
#define NETRXF_gso_prefix      (1u << _NETRXF_gso_prefix)

DEFINE_RING_TYPES(netif_tx, struct netif_tx_request, struct netif_tx_response);
ABI_SIZE(union netif_tx_sring_entry, 0xc);
DEFINE_RING_TYPES(netif_rx, struct netif_rx_request, struct netif_rx_response);
ABI_SIZE(union netif_rx_sring_entry, 8);

#define NETIF_RSP_OKAY    0
#define NETIF_RSP_NULL    1         /* slot belongs to the packet before it   */
#define NETIF_RSP_ERROR   (-1)
#define NETIF_RSP_DROPPED (-2)

#endif
