/* Grant tables: a domain lets another map or copy some of its frames. */
#ifndef CORE_GNTTAB_H
#define CORE_GNTTAB_H

#include <abi/grant_table.h>

#include "lib/lock.h"
#include "lib/types.h"

struct domain;
struct vcpu;
struct gnttab; /* gnttab-internal.h */

MUST_CHECK int gnttab_domain_init(struct domain *d, unsigned int max_frames,
                                  unsigned int max_maptrack);
/* Unmap all that d has mapped of others. Errors: -ERESTART: call again. */
MUST_CHECK int gnttab_domain_relinquish(struct domain *d);
/* The table's frames can no longer be mapped. Once, before the domain's last reference can go. */
void gnttab_domain_unshare(struct domain *d);
void gnttab_domain_destroy(struct domain *d);

/*
 * Frame idx of d's table, growing it as far as allowed (XENMEM_acquire_resource). Errors: -EINVAL,
 * -ENOMEM.
 */
MUST_CHECK int gnttab_get_frame(struct domain *d, bool status, unsigned int idx, mfn_t *mfn);

/* Most frames d's table may have. */
unsigned int gnttab_max_frames(const struct domain *d);

long hypercall_grant_table_op(struct vcpu *curr, uint64_t arg[6]);

/*
 * Upward calls, pv/mmu-grant.c: put a mapping of mfn into curr's page tables, at a linear address
 * whose L1 entry exists, or (GNTMAP_contains_pte) at the machine address of an L1 entry.
 * The caller holds the references of the mapping; on success they belong to the entry
 * (create), or are handed back to it (destroy).
 * flags: GNTMAP_*. Returns GNTST_*.
 */
int pv_grant_map(struct vcpu *curr, uint64_t host_addr, mfn_t mfn, uint32_t flags);
/*
 * Clear the entry at host_addr, which must map mfn with the same permission; new_addr != 0:
 * replace as unmap_and_replace.
 */
int pv_grant_unmap(struct vcpu *curr, uint64_t host_addr, mfn_t mfn, uint32_t flags,
                   uint64_t new_addr);

#endif
