/* The ring of a block device. Sectors are 512 bytes here, whatever the disk's own size. */
#ifndef ABI_BLKIF_H
#define ABI_BLKIF_H

#include <abi/grant_table.h>
#include <abi/ring.h>

typedef uint16_t blkif_vdev_t;
typedef uint64_t blkif_sector_t;

#define BLKIF_OP_READ            0
#define BLKIF_OP_WRITE           1
#define BLKIF_OP_WRITE_BARRIER   2
#define BLKIF_OP_FLUSH_DISKCACHE 3
#define BLKIF_OP_RESERVED_1      4
#define BLKIF_OP_DISCARD         5
#define BLKIF_OP_INDIRECT        6

#define BLKIF_MAX_SEGMENTS_PER_REQUEST       11
#define BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST 8

/* Part of one granted page, in sectors of that page, both ends included. */
struct blkif_request_segment {
    grant_ref_t gref;
    uint8_t first_sect, last_sect;
};
ABI_SIZE(struct blkif_request_segment, 8);

struct blkif_request {
    uint8_t operation;              /* BLKIF_OP_*                             */
    uint8_t nr_segments;
    blkif_vdev_t handle;
    uint64_t id;                    /* echoed in the response                 */
    blkif_sector_t sector_number;
    struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};
ABI_SIZE(struct blkif_request, 0x70);
ABI_OFFSET(struct blkif_request, handle, 2);
ABI_OFFSET(struct blkif_request, id, 8);
ABI_OFFSET(struct blkif_request, sector_number, 0x10);
ABI_OFFSET(struct blkif_request, seg, 0x18);

struct blkif_request_discard {
    uint8_t operation;
    uint8_t flag;                   /* BLKIF_DISCARD_SECURE                   */
    blkif_vdev_t handle;
    uint64_t id;
    blkif_sector_t sector_number;
    uint64_t nr_sectors;
};
ABI_SIZE(struct blkif_request_discard, 0x20);
ABI_OFFSET(struct blkif_request_discard, flag, 1);
ABI_OFFSET(struct blkif_request_discard, handle, 2);
ABI_OFFSET(struct blkif_request_discard, nr_sectors, 0x18);
#define BLKIF_DISCARD_SECURE (1 << 0)

/* A request whose segments stand in granted pages of their own. */
struct blkif_request_indirect {
    uint8_t operation;              /* BLKIF_OP_INDIRECT                      */
    uint8_t indirect_op;            /* BLKIF_OP_READ or _WRITE                */
    uint16_t nr_segments;
    uint64_t id;
    blkif_sector_t sector_number;
    blkif_vdev_t handle;
    grant_ref_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};
ABI_SIZE(struct blkif_request_indirect, 0x40);
ABI_OFFSET(struct blkif_request_indirect, nr_segments, 2);
ABI_OFFSET(struct blkif_request_indirect, id, 8);
ABI_OFFSET(struct blkif_request_indirect, handle, 0x18);
ABI_OFFSET(struct blkif_request_indirect, indirect_grefs, 0x1c);

struct blkif_response {
    uint64_t id;
    uint8_t operation;
    int16_t status;                 /* BLKIF_RSP_*                            */
};
ABI_SIZE(struct blkif_response, 0x10);
ABI_OFFSET(struct blkif_response, operation, 8);
ABI_OFFSET(struct blkif_response, status, 0xa);
#define BLKIF_RSP_OKAY       0
#define BLKIF_RSP_ERROR      (-1)
#define BLKIF_RSP_EOPNOTSUPP (-2)

DEFINE_RING_TYPES(blkif, struct blkif_request, struct blkif_response);
ABI_SIZE(union blkif_sring_entry, 0x70);
ABI_OFFSET(struct blkif_sring, ring, 0x40);

/* Bits of the backend's "info" key. */
#define VDISK_CDROM     0x1
#define VDISK_REMOVABLE 0x2
#define VDISK_READONLY  0x4

#endif
