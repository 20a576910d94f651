/* Copying between frames of two domains, and giving a frame away. */
#include "core/gnttab-internal.h"
#include "lib/string.h"

/* One end of a copy: a grant, or a frame of a domain itself. */
struct copy_end {
    struct grant_use use;
    bool is_grant;
};

/* A frame by number is allowed of the caller itself only; a grant of anyone's. */
static int end_open(struct copy_end *e, struct vcpu *curr, const struct gnttab_copy_ptr *p,
                    bool is_grant, bool writable) {
    struct domain *d;
    int rc;

    if (!is_grant && p->domid != DOMID_SELF)
        return GNTST_permission_denied;
    d = p->domid == DOMID_SELF ? domain_get(curr->domain) : domain_lookup(p->domid);
    if (!d)
        return GNTST_bad_domain;
    e->use = (struct grant_use){d, p->u.ref, writable, mfn_of(p->u.gmfn)};
    e->is_grant = is_grant;
    rc = is_grant ? grant_pin(&e->use, curr->domain) : grant_get_frame(&e->use);
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

int gnttab_copy_one(struct vcpu *curr, const struct gnttab_copy *op) {
    struct copy_end from, to;
    int rc;

    if (op->source.offset + op->len > (int)PAGE_SIZE || op->dest.offset + op->len > (int)PAGE_SIZE)
        return GNTST_bad_copy_arg;
    rc = end_open(&from, curr, &op->source, op->flags & GNTCOPY_source_gref, false);
    if (rc != GNTST_okay)
        return rc;
    rc = end_open(&to, curr, &op->dest, op->flags & GNTCOPY_dest_gref, true);
    if (rc == GNTST_okay) {
        /* Source and target may be one frame. */
        memmove((char *)mfn_to_virt(to.use.mfn) + op->dest.offset,
                (const char *)mfn_to_virt(from.use.mfn) + op->source.offset, op->len);
        end_close(&to);
    }
    end_close(&from);
    return rc;
}

/*
 * The target agreed to a frame that is nobody's but curr's; it becomes the target's, or nothing
 * changes.
 */
static int transfer(struct vcpu *curr, struct domain *to, struct page *pg, uint32_t ref) {
    int rc = GNTST_general_error;

    /* The entry of a target that has no room should not even say that a frame is coming. */
    if (READ_ONCE(to->nr_pages) < READ_ONCE(to->max_pages))
        rc = grant_transfer_begin(to, ref, curr->domain->domid);
    if (rc != GNTST_okay)
        return rc;
    rc = page_give(pg, to) ? GNTST_okay : GNTST_general_error;
    grant_transfer_end(to, ref, rc == GNTST_okay ? page_to_mfn(pg) : MFN_INVALID);
    return rc;
}

int gnttab_transfer_one(struct vcpu *curr, const struct gnttab_transfer *op) {
    struct domain *to = domain_lookup(op->domid);
    struct page *pg = mfn_lookup(mfn_of(op->mfn));
    int rc = GNTST_bad_page;

    if (!to)
        return GNTST_bad_domain;
    if (pg && page_get(pg, curr->domain)) {
        if (page_seize(pg)) {
            rc = transfer(curr, to, pg, op->ref);
            if (rc != GNTST_okay)
                page_unseize(pg);
        }
        if (rc != GNTST_okay)
            page_put(pg);
    }
    domain_put(to);
    return rc;
}
