/*
 * Grant tables: a domain lets another use one of its frames. The granter writes an entry of a
 * table it shares with the hypervisor; the grantee names that entry by its index, the reference.
 */
#ifndef ABI_GRANT_TABLE_H
#define ABI_GRANT_TABLE_H

#include <abi/xen.h>

typedef uint32_t grant_ref_t;
typedef uint32_t grant_handle_t;    /* one established mapping, local to the grantee */
typedef uint16_t grant_status_t;    /* version 2: GTF_reading, GTF_writing           */

struct grant_entry_v1 {
    uint16_t flags;                 /* GTF_*; the hypervisor sets reading and writing */
    domid_t domid;                  /* who may use it                         */
    uint32_t frame;
};
ABI_SIZE(struct grant_entry_v1, 8);

struct grant_entry_header {
    uint16_t flags;
    domid_t domid;
};
ABI_SIZE(struct grant_entry_header, 4);

union grant_entry_v2 {
    struct grant_entry_header hdr;
    struct {
        struct grant_entry_header hdr;
        uint32_t pad0;
        uint64_t frame;
    } full_page;
    struct {
        struct grant_entry_header hdr;
        uint16_t page_off;          /* copy only, within these bytes          */
        uint16_t length;
        uint64_t frame;
    } sub_page;
    struct {
        struct grant_entry_header hdr;
        domid_t trans_domid;        /* stands for a grant made to the granter */
        uint16_t pad0;
        grant_ref_t gref;
    } transitive;
    uint32_t __spacer[4];
};
ABI_SIZE(union grant_entry_v2, 0x10);

/* References the toolstack fills before the domain runs. */
#define GNTTAB_NR_RESERVED_ENTRIES 8
#define GNTTAB_RESERVED_CONSOLE    0
#define GNTTAB_RESERVED_XENSTORE   1

/* Kind of entry, the two low bits of flags. */
#define GTF_invalid         0
#define GTF_permit_access   1
#define GTF_accept_transfer 2
#define GTF_transitive      3
#define GTF_type_mask       3
/* More flags of permit_access. */
#define _GTF_readonly 2
#define GTF_readonly  (1 << _GTF_readonly)
#define _GTF_reading  3             /* mapped or being copied from            */
#define GTF_reading   (1 << _GTF_reading)
#define _GTF_writing  4             /* mapped writable or being copied to     */
#define GTF_writing   (1 << _GTF_writing)
#define _GTF_PWT      5
#define GTF_PWT       (1 << _GTF_PWT)
#define _GTF_PCD      6
#define GTF_PCD       (1 << _GTF_PCD)
#define _GTF_PAT      7
#define GTF_PAT       (1 << _GTF_PAT)
#define _GTF_sub_page 8
#define GTF_sub_page  (1 << _GTF_sub_page)
/* More flags of accept_transfer. */
#define _GTF_transfer_committed 2
#define GTF_transfer_committed  (1 << _GTF_transfer_committed)
#define _GTF_transfer_completed 3
#define GTF_transfer_completed  (1 << _GTF_transfer_completed)

/* grant_table_op(cmd, array, count). "->" marks results; status is a GNTST_*. */
#define GNTTABOP_map_grant_ref     0
#define GNTTABOP_unmap_grant_ref   1
#define GNTTABOP_setup_table       2
#define GNTTABOP_dump_table        3
#define GNTTABOP_transfer          4
#define GNTTABOP_copy              5
#define GNTTABOP_query_size        6
#define GNTTABOP_unmap_and_replace 7
#define GNTTABOP_set_version       8
#define GNTTABOP_get_status_frames 9
#define GNTTABOP_get_version       10
#define GNTTABOP_swap_grant_ref    11
#define GNTTABOP_cache_flush       12

struct gnttab_map_grant_ref {
    uint64_t host_addr;             /* address, or the PTE's machine address (contains_pte) */
    uint32_t flags;                 /* GNTMAP_*                               */
    grant_ref_t ref;
    domid_t dom;                    /* the granter                            */
    int16_t status;                 /* ->                                     */
    grant_handle_t handle;          /* ->                                     */
    uint64_t dev_bus_addr;          /* -> machine address of the frame        */
};
ABI_SIZE(struct gnttab_map_grant_ref, 0x20);
ABI_OFFSET(struct gnttab_map_grant_ref, ref, 0xc);
ABI_OFFSET(struct gnttab_map_grant_ref, dom, 0x10);
ABI_OFFSET(struct gnttab_map_grant_ref, status, 0x12);
ABI_OFFSET(struct gnttab_map_grant_ref, handle, 0x14);
ABI_OFFSET(struct gnttab_map_grant_ref, dev_bus_addr, 0x18);

struct gnttab_unmap_grant_ref {
    uint64_t host_addr;             /* as given to map, or 0                  */
    uint64_t dev_bus_addr;          /* as returned by map, or 0               */
    grant_handle_t handle;
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_unmap_grant_ref, 0x18);
ABI_OFFSET(struct gnttab_unmap_grant_ref, handle, 0x10);
ABI_OFFSET(struct gnttab_unmap_grant_ref, status, 0x14);

/* Make the table at least nr_frames long, and list its frames. */
struct gnttab_setup_table {
    domid_t dom;
    uint32_t nr_frames;
    int16_t status;                 /* ->                                     */
    guest_va_t frame_list;          /* xen_pfn_t[nr_frames]                   */
};
ABI_SIZE(struct gnttab_setup_table, 0x18);
ABI_OFFSET(struct gnttab_setup_table, status, 8);
ABI_OFFSET(struct gnttab_setup_table, frame_list, 0x10);

struct gnttab_dump_table {
    domid_t dom;
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_dump_table, 4);

/* Give a frame away to a domain that has an accept_transfer entry for us. */
struct gnttab_transfer {
    xen_pfn_t mfn;
    domid_t domid;
    grant_ref_t ref;
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_transfer, 0x18);

/* Copy bytes between two frames; each end is a grant or a frame of the domain itself. */
struct gnttab_copy {
    struct gnttab_copy_ptr {
        union {
            grant_ref_t ref;
            xen_pfn_t gmfn;
        } u;
        domid_t domid;
        uint16_t offset;
    } source, dest;
    uint16_t len;
    uint16_t flags;                 /* GNTCOPY_*: which ends are grants       */
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_copy, 0x28);
ABI_OFFSET(struct gnttab_copy, dest, 0x10);
ABI_OFFSET(struct gnttab_copy, len, 0x20);
ABI_OFFSET(struct gnttab_copy, flags, 0x22);
ABI_OFFSET(struct gnttab_copy, status, 0x24);
#define _GNTCOPY_source_gref 0
#define GNTCOPY_source_gref  (1 << _GNTCOPY_source_gref)
#define _GNTCOPY_dest_gref   1
#define GNTCOPY_dest_gref    (1 << _GNTCOPY_dest_gref)

struct gnttab_query_size {
    domid_t dom;
    uint32_t nr_frames;             /* ->                                     */
    uint32_t max_nr_frames;         /* ->                                     */
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_query_size, 0x10);
ABI_OFFSET(struct gnttab_query_size, max_nr_frames, 8);
ABI_OFFSET(struct gnttab_query_size, status, 0xc);

/* Unmap, and move the mapping found at new_addr to host_addr in the same step. */
struct gnttab_unmap_and_replace {
    uint64_t host_addr;
    uint64_t new_addr;
    grant_handle_t handle;
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_unmap_and_replace, 0x18);

struct gnttab_set_version {
    uint32_t version;               /* 1 or 2; -> the one in force            */
};
ABI_SIZE(struct gnttab_set_version, 4);

/* Version 2: list the frames that hold the grant_status_t array. */
struct gnttab_get_status_frames {
    uint32_t nr_frames;
    domid_t dom;
    int16_t status;                 /* ->                                     */
    guest_va_t frame_list;          /* uint64_t[nr_frames]                    */
};
ABI_SIZE(struct gnttab_get_status_frames, 0x10);

struct gnttab_get_version {
    domid_t dom;
    uint16_t pad;
    uint32_t version;               /* ->                                     */
};
ABI_SIZE(struct gnttab_get_version, 8);

struct gnttab_swap_grant_ref {
    grant_ref_t ref_a;
    grant_ref_t ref_b;
    int16_t status;                 /* ->                                     */
};
ABI_SIZE(struct gnttab_swap_grant_ref, 0xc);

struct gnttab_cache_flush {
    union {
        uint64_t dev_bus_addr;
        grant_ref_t ref;
    } a;
    uint16_t offset;
    uint16_t length;
    uint32_t op;                    /* GNTTAB_CACHE_*                         */
};
ABI_SIZE(struct gnttab_cache_flush, 0x10);
#define GNTTAB_CACHE_CLEAN       (1u << 0)
#define GNTTAB_CACHE_INVAL       (1u << 1)
#define GNTTAB_CACHE_SOURCE_GREF (1u << 31)

/* Flags of a mapping. */
#define _GNTMAP_device_map      0   /* for DMA                                */
#define GNTMAP_device_map       (1 << _GNTMAP_device_map)
#define _GNTMAP_host_map        1   /* for the cpu, at host_addr              */
#define GNTMAP_host_map         (1 << _GNTMAP_host_map)
#define _GNTMAP_readonly        2
#define GNTMAP_readonly         (1 << _GNTMAP_readonly)
#define _GNTMAP_application_map 3   /* accessible to guest user mode          */
#define GNTMAP_application_map  (1 << _GNTMAP_application_map)
#define _GNTMAP_contains_pte    4   /* host_addr is a PTE's machine address   */
#define GNTMAP_contains_pte     (1 << _GNTMAP_contains_pte)
#define _GNTMAP_guest_avail0    16  /* from here: software bits 9.. of the PTE */
#define GNTMAP_guest_avail_mask ((uint32_t)~0 << _GNTMAP_guest_avail0)

/* Status of one operation of the array. */
#define GNTST_okay              0
#define GNTST_general_error     (-1)
#define GNTST_bad_domain        (-2)
#define GNTST_bad_gntref        (-3)
#define GNTST_bad_handle        (-4)
#define GNTST_bad_virt_addr     (-5)
#define GNTST_bad_dev_addr      (-6)
#define GNTST_no_device_space   (-7)
#define GNTST_permission_denied (-8)
#define GNTST_bad_page          (-9)
#define GNTST_bad_copy_arg      (-10)
#define GNTST_address_too_big   (-11)
#define GNTST_eagain            (-12) /* try again later                      */
#define GNTST_no_space          (-13)

#endif
