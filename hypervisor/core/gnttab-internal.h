/* What the grant-table files share: gnttab.c (tables), gnttab-map.c, gnttab-copy.c. */
#ifndef CORE_GNTTAB_INTERNAL_H
#define CORE_GNTTAB_INTERNAL_H

#include "arch/mm.h"
#include "core/domain.h"
#include "lib/bits.h"

#define GRANTS_PER_FRAME (PAGE_SIZE / sizeof(struct grant_entry_v1))

/*
 * Our side of an entry in use: what the guest's word said when it was first pinned. While pinned,
 * this is the truth, whatever the guest writes into its entry.
 */
struct grant_active {
    struct lock lock;          /* RANK_GNTTAB_ENTRY */
    domid_t domid;             /* who uses it; valid while pinned */
    uint16_t readers, writers; /* uses of either kind */
    uint32_t mfn;              /* the frame; valid while pinned */
};
_Static_assert(sizeof(struct grant_active) == 16, "two pages of these for a frame of grants");
#define ACTIVE_ORDER 1

enum maptrack_state { MAPTRACK_FREE, MAPTRACK_BUSY, MAPTRACK_LIVE };

/* One mapping we hold of another's grant. */
struct maptrack {
    struct domain *granter; /* reference held while not free */
    uint32_t ref;
    uint16_t flags; /* GNTMAP_*: with the uses that may still be unmapped */
    uint16_t held;  /* uses not let go yet; atomic. The last frees the handle */
    uint32_t next_free;
    uint32_t state; /* enum maptrack_state; LIVE -> BUSY by compare-and-exchange */
};
#define MAPTRACKS_PER_PAGE (PAGE_SIZE / sizeof(struct maptrack))
#define MAPTRACK_END       UINT32_MAX

struct gnttab {
    struct lock lock;               /* RANK_GNTTAB; guards growth */
    uint32_t nr_frames, max_frames; /* nr_frames is published after the frame's pointers */
    struct grant_entry_v1 **shared; /* max_frames pointers */
    struct grant_active **active;

    struct lock maptrack_lock;  /* RANK_MAPTRACK; guards: the free list, growth */
    struct maptrack **maptrack; /* pages of them */
    uint32_t nr_maptracks, max_maptracks;
    uint32_t free_maptrack;
    uint32_t relinquish_next; /* teardown: handles below it are done */
};

/* A use of a grant that is held: from grant_pin to grant_unpin. */
struct grant_use {
    struct domain *granter;
    uint32_t ref;
    bool writable;
    mfn_t mfn;
};

/*
 * All below return GNTST_*, or -ERESTART: nothing has changed, call again when this cpu has given
 * way. (The frame is just changing its use.)
 */

/* A reference of u->mfn, which must be the granter's, and a writable type count if writable. */
MUST_CHECK int grant_get_frame(const struct grant_use *u);
void grant_put_frame(const struct grant_use *u);
/*
 * Pin ref of u->granter for `user`: checks the entry, marks it as in use for the guest to see,
 * and does grant_get_frame. u->granter, ref, writable are given; mfn comes back.
 */
MUST_CHECK int grant_pin(struct grant_use *u, const struct domain *user);
/* Drop the pin alone: the frame's references may belong to a page-table entry. */
void grant_unpin(const struct grant_use *u);

/*
 * Entry ref of d accepts a frame from that domain: agreed on with d, so that it waits for
 * transfer_end (MFN_INVALID: nothing comes after all).
 */
MUST_CHECK int grant_transfer_begin(struct domain *d, uint32_t ref, domid_t from);
void grant_transfer_end(struct domain *d, uint32_t ref, mfn_t mfn);

/*
 * Make d's table at least nr_frames long. Errors: -EINVAL beyond the limit, -ENOMEM. Locks: takes
 * d's GNTTAB.
 */
MUST_CHECK int gnttab_grow(struct domain *d, uint32_t nr_frames);

/* One element of the array of each sub-op; what they return belongs into its status. */
int gnttab_map_one(struct vcpu *curr, struct gnttab_map_grant_ref *op);
int gnttab_copy_one(struct vcpu *curr, const struct gnttab_copy *op);
int gnttab_transfer_one(struct vcpu *curr, const struct gnttab_transfer *op);
int gnttab_swap_one(struct vcpu *curr, const struct gnttab_swap_grant_ref *op);

/*
 * Unmapping goes in two halves, so that one flush serves a batch: first the entry is cleared, then,
 * after every cpu has flushed, the frame may be let go. finish only if there is something done.
 */
struct gnttab_unmap {
    struct grant_use use;
    uint32_t handle;
    uint16_t done; /* GNTMAP_host_map, GNTMAP_device_map: what ended */
};
int gnttab_unmap_begin(struct vcpu *curr, struct gnttab_unmap *u, uint32_t handle,
                       uint64_t host_addr, uint64_t dev_bus_addr, uint64_t new_addr);
void gnttab_unmap_finish(struct vcpu *curr, const struct gnttab_unmap *u);

/* Look up a handle. NULL: no such. */
struct maptrack *maptrack_of(const struct domain *d, uint32_t handle);

#endif
