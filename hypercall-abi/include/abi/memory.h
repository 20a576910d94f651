/* Memory reservations, memory maps and the machine-to-physical table. */
#ifndef ABI_MEMORY_H
#define ABI_MEMORY_H

#include <abi/xen.h>

/* memory_op(cmd, arg). "->" marks results; domid is DOMID_SELF or a domain one controls. */
#define XENMEM_increase_reservation     0  /* xen_memory_reservation; returns extents done */
#define XENMEM_decrease_reservation     1  /* xen_memory_reservation; returns extents done */
#define XENMEM_maximum_ram_page         2  /* no arg; returns the highest mfn + 1          */
#define XENMEM_current_reservation      3  /* xen_memory_domain; returns pages             */
#define XENMEM_maximum_reservation      4  /* xen_memory_domain; returns pages             */
#define XENMEM_machphys_mfn_list        5  /* xen_machphys_mfn_list                        */
#define XENMEM_populate_physmap         6  /* xen_memory_reservation; returns extents done */
#define XENMEM_add_to_physmap           7  /* xen_add_to_physmap                           */
#define XENMEM_memory_map               9  /* xen_memory_map: the caller's own             */
#define XENMEM_machine_memory_map       10 /* xen_memory_map: the host's, dom0 only        */
#define XENMEM_exchange                 11 /* xen_memory_exchange                          */
#define XENMEM_machphys_mapping         12 /* xen_machphys_mapping                         */
#define XENMEM_set_memory_map           13 /* xen_foreign_memory_map                       */
#define XENMEM_maximum_gpfn             14 /* xen_memory_domain; returns the highest pfn   */
#define XENMEM_remove_from_physmap      15 /* xen_remove_from_physmap                      */
#define XENMEM_set_pod_target           16
#define XENMEM_get_pod_target           17
#define XENMEM_get_sharing_freed_pages  18 /* no arg                                       */
#define XENMEM_get_sharing_shared_pages 19 /* no arg                                       */
#define XENMEM_paging_op                20
#define XENMEM_access_op                21
#define XENMEM_sharing_op               22
#define XENMEM_add_to_physmap_batch     23
#define XENMEM_claim_pages              24 /* xen_memory_reservation: set memory aside     */
#define XENMEM_machphys_compat_mfn_list 25 /* xen_machphys_mfn_list                        */
#define XENMEM_get_vnumainfo            26
#define XENMEM_reserved_device_memory_map 27
#define XENMEM_acquire_resource         28 /* xen_mem_acquire_resource                     */

/* xen_memory_reservation.mem_flags: widest address allowed, then node + 1, then bits. */
#define XENMEMF_address_bits(x)     (x)
#define XENMEMF_get_address_bits(x) ((x) & 0xffu)
#define XENMEMF_node(x)             (((x) + 1) << 8)
#define XENMEMF_get_node(x)         ((((x) >> 8) - 1) & 0xffu)
#define XENMEMF_populate_on_demand  (1 << 16)
#define XENMEMF_exact_node_request  (1 << 17)
#define XENMEMF_exact_node(n)       (XENMEMF_node(n) | XENMEMF_exact_node_request)
#define XENMEMF_vnode               (1 << 18)

/* A list of extents, each of 2^extent_order frames. */
struct xen_memory_reservation {
    guest_va_t extent_start;        /* xen_pfn_t[nr_extents]; populate: pfn in, mfn out */
    xen_ulong_t nr_extents;
    uint32_t extent_order;
    uint32_t mem_flags;             /* XENMEMF_*                              */
    domid_t domid;
};
ABI_SIZE(struct xen_memory_reservation, 0x20);
ABI_OFFSET(struct xen_memory_reservation, nr_extents, 8);
ABI_OFFSET(struct xen_memory_reservation, extent_order, 0x10);
ABI_OFFSET(struct xen_memory_reservation, mem_flags, 0x14);
ABI_OFFSET(struct xen_memory_reservation, domid, 0x18);

/* Trade frames for others of the same total size, say one contiguous extent for many pages. */
struct xen_memory_exchange {
    struct xen_memory_reservation in;
    struct xen_memory_reservation out;
    xen_ulong_t nr_exchanged;       /* 0 in; -> extents of in that are gone   */
};
ABI_SIZE(struct xen_memory_exchange, 0x48);
ABI_OFFSET(struct xen_memory_exchange, out, 0x20);
ABI_OFFSET(struct xen_memory_exchange, nr_exchanged, 0x40);

struct xen_memory_domain {
    domid_t domid;
};
ABI_SIZE(struct xen_memory_domain, 2);

/* Frames that hold the M2P, one per 2 MiB of it. */
struct xen_machphys_mfn_list {
    uint32_t max_extents;
    guest_va_t extent_start;        /* -> xen_pfn_t[nr_extents]               */
    uint32_t nr_extents;            /* ->                                     */
};
ABI_SIZE(struct xen_machphys_mfn_list, 0x18);
ABI_OFFSET(struct xen_machphys_mfn_list, extent_start, 8);
ABI_OFFSET(struct xen_machphys_mfn_list, nr_extents, 0x10);

/* Where the M2P is mapped in every address space. */
struct xen_machphys_mapping {
    xen_ulong_t v_start, v_end;     /* ->                                     */
    xen_ulong_t max_mfn;            /* -> last entry that can be read         */
};
ABI_SIZE(struct xen_machphys_mapping, 0x18);

/* Place something at a pfn of an auto-translated guest; PV guests have no use for it. */
struct xen_add_to_physmap {
    domid_t domid;
    uint16_t size;                  /* gmfn_range: number of pages            */
    uint32_t space;                 /* XENMAPSPACE_*                          */
    xen_ulong_t idx;
    xen_pfn_t gpfn;
};
ABI_SIZE(struct xen_add_to_physmap, 0x18);
ABI_OFFSET(struct xen_add_to_physmap, space, 4);
ABI_OFFSET(struct xen_add_to_physmap, idx, 8);
ABI_OFFSET(struct xen_add_to_physmap, gpfn, 0x10);
#define XENMAPSPACE_shared_info  0
#define XENMAPSPACE_grant_table  1
#define XENMAPSPACE_gmfn         2
#define XENMAPSPACE_gmfn_range   3
#define XENMAPSPACE_gmfn_foreign 4
#define XENMAPSPACE_dev_mmio     5
#define XENMAPIDX_grant_table_status 0x80000000

struct xen_remove_from_physmap {
    domid_t domid;
    xen_pfn_t gpfn;
};
ABI_SIZE(struct xen_remove_from_physmap, 0x10);

/* E820 entries as the firmware gives them: 20 bytes, packed {base, length, type}. */
struct xen_memory_map {
    uint32_t nr_entries;            /* room; -> entries written               */
    guest_va_t buffer;
};
ABI_SIZE(struct xen_memory_map, 0x10);
ABI_OFFSET(struct xen_memory_map, buffer, 8);

struct xen_foreign_memory_map {
    domid_t domid;
    struct xen_memory_map map;
};
ABI_SIZE(struct xen_foreign_memory_map, 0x18);
ABI_OFFSET(struct xen_foreign_memory_map, map, 8);

/* Obtain frames that belong to a domain but are not in its memory. */
struct xen_mem_acquire_resource {
    domid_t domid;
    uint16_t type;                  /* XENMEM_resource_*                      */
    uint32_t id;                    /* of that type                           */
    uint32_t nr_frames;             /* 0: -> ask for the size                 */
    uint32_t pad;
    uint64_t frame;                 /* first frame wanted                     */
    guest_va_t frame_list;          /* -> xen_pfn_t[nr_frames]                */
};
ABI_SIZE(struct xen_mem_acquire_resource, 0x20);
ABI_OFFSET(struct xen_mem_acquire_resource, id, 4);
ABI_OFFSET(struct xen_mem_acquire_resource, nr_frames, 8);
ABI_OFFSET(struct xen_mem_acquire_resource, frame, 0x10);
ABI_OFFSET(struct xen_mem_acquire_resource, frame_list, 0x18);
#define XENMEM_resource_ioreq_server 0
#define XENMEM_resource_grant_table  1
#define XENMEM_resource_vmtrace_buf  2
#define XENMEM_resource_grant_table_id_shared 0
#define XENMEM_resource_grant_table_id_status 1

#endif
