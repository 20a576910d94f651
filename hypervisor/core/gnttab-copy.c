/* Copying between frames of two domains, and giving a frame away. */
#include "core/gnttab-internal.h"
#include "core/heap.h"
#include "lib/string.h"

/* One end of a copy: a grant, or a frame of a domain itself. */
struct copy_end {
    struct grant_use use;
    bool is_grant;
};

static int own_frame(struct copy_end *e, uint64_t gmfn) {
    struct page *pg = mfn_lookup(mfn_of(gmfn));

    if (!pg)
        return GNTST_bad_page;
    e->use.mfn = mfn_of(gmfn);
    if (e->use.writable ? page_get_and_type(pg, e->use.granter, PAGE_WRITABLE) != 0
                        : !page_get(pg, e->use.granter))
        return GNTST_bad_page;
    return GNTST_okay;
}

/* A frame by number is allowed of the caller itself only; a grant of anyone's. Returns GNTST_*. */
static int end_open(struct copy_end *e, struct vcpu *curr, const struct gnttab_copy_ptr *p,
                    bool is_grant, bool writable) {
    struct domain *d = p->domid == DOMID_SELF ? domain_get(curr->domain) : domain_lookup(p->domid);
    int rc;

    if (!d)
        return GNTST_bad_domain;
    e->use = (struct grant_use){d, p->u.ref, writable, MFN_INVALID};
    e->is_grant = is_grant;
    if (is_grant)
        rc = grant_pin(&e->use, curr->domain);
    else
        rc = d == curr->domain ? own_frame(e, p->u.gmfn) : GNTST_permission_denied;
    if (rc != GNTST_okay)
        domain_put(d);
    return rc;
}

static void end_close(struct copy_end *e) {
    grant_put_frame(&e->use);
    if (e->is_grant)
        grant_unpin(&e->use);
    domain_put(e->use.granter);
}

void gnttab_copy_one(struct vcpu *curr, struct gnttab_copy *op) {
    struct copy_end from, to;
    int rc;

    op->status = GNTST_bad_copy_arg;
    if (op->flags & ~(GNTCOPY_source_gref | GNTCOPY_dest_gref) ||
        (uint32_t)op->source.offset + op->len > PAGE_SIZE ||
        (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
        return;
    rc = end_open(&from, curr, &op->source, op->flags & GNTCOPY_source_gref, false);
    if (rc == GNTST_okay) {
        rc = end_open(&to, curr, &op->dest, op->flags & GNTCOPY_dest_gref, true);
        if (rc == GNTST_okay) {
            /* Source and target may be one frame. */
            memmove((char *)mfn_to_virt(to.use.mfn) + op->dest.offset,
                    (const char *)mfn_to_virt(from.use.mfn) + op->source.offset, op->len);
            end_close(&to);
        }
        end_close(&from);
    }
    op->status = (int16_t)rc;
}

/* Transferring frames was for network drivers of another age; copying replaced it everywhere. */
void gnttab_transfer_one(struct vcpu *curr, struct gnttab_transfer *op) {
    (void)curr;
    op->status = GNTST_general_error;
}
