/*
 * memory_op: the frames a domain has, and what there is to know about memory.
 *
 * Calls over a list of extents put where they go on into the bits above the sub-op. Their result
 * is the number of extents done, an error being visible only as a number too small.
 */
#include <abi/memory.h>

#include "core/boot-info.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/heap.h"
#include "lib/string.h"
#include "pv/hypercall.h"
#include "pv/pv-domain.h"

#define START_SHIFT 6
#define CMD_MASK    ((1u << START_SHIFT) - 1)
#define MAX_EXTENTS (UINT32_MAX >> START_SHIFT) /* whose number still fits beside the sub-op */

/* Largest extents: a hypercall clears, or exchanges, that much without giving way. */
#define MAX_ORDER_DOMU       9
#define MAX_ORDER_PRIVILEGED 11

union memory_arg {
    struct xen_memory_reservation reservation;
    struct xen_memory_exchange exchange;
    struct xen_memory_domain domain;
    struct xen_memory_map map;
    struct xen_foreign_memory_map foreign_map;
    struct xen_machphys_mfn_list mfn_list;
    struct xen_machphys_mapping mapping;
    struct xen_mem_acquire_resource resource;
};
ABI_SIZE(struct xen_memory_reservation, 32);
ABI_SIZE(struct xen_memory_exchange, 72);
ABI_SIZE(struct xen_memory_map, 16);
ABI_SIZE(struct xen_foreign_memory_map, 24);
ABI_SIZE(struct xen_machphys_mfn_list, 24);
ABI_SIZE(struct xen_machphys_mapping, 24);
ABI_SIZE(struct xen_mem_acquire_resource, 32);

struct call {
    struct domain *caller;
    guest_va_t at;         /* of the argument */
    uint64_t start, first; /* extents done: now, and when this call began */
};

static guest_va_t element(guest_va_t array, uint64_t i, size_t size) {
    return (guest_va_t){array.va + i * size};
}

static unsigned int max_order(const struct domain *caller) {
    return caller->privileged ? MAX_ORDER_PRIVILEGED : MAX_ORDER_DOMU;
}

/* Give way between two extents, but not before the first: every call gets somewhere. */
static bool give_way(const struct call *c) {
    return c->start != c->first && preempt_needed();
}

/* Reservations. */

static bool increase_extent(struct domain *d, const struct xen_memory_reservation *r,
                            guest_va_t at) {
    struct page *pg =
        domain_alloc_pages(d, r->extent_order, XENMEMF_get_address_bits(r->mem_flags), 0);
    xen_pfn_t mfn;

    if (!pg)
        return false;
    mfn = page_to_mfn(pg).n;
    return !r->extent_start.va || !copy_to_guest(at, &mfn, sizeof(mfn));
}

static bool populate_extent(struct domain *d, const struct xen_memory_reservation *r,
                            guest_va_t at) {
    struct page *pg;
    xen_pfn_t frame;

    if (copy_from_guest(&frame, at, sizeof(frame)))
        return false;
    pg = domain_populate(d, frame, r->extent_order, XENMEMF_get_address_bits(r->mem_flags), 0);
    if (!pg)
        return false;
    frame = page_to_mfn(pg).n;
    return !copy_to_guest(at, &frame, sizeof(frame));
}

/* Frames that are still mapped stay the domain's until they no longer are. */
static bool decrease_extent(struct domain *d, const struct xen_memory_reservation *r,
                            guest_va_t at) {
    xen_pfn_t mfn;

    if (copy_from_guest(&mfn, at, sizeof(mfn)))
        return false;
    for (uint64_t i = 0; i < BIT(r->extent_order); i++) {
        struct page *pg = mfn_lookup(mfn_of(mfn + i));
        bool shared;

        if (!pg || !page_get(pg, d))
            return false;
        shared = READ_ONCE(pg->refs) & PG_XEN; /* not the domain's to give */
        if (!shared)
            page_release_allocation(pg);
        page_put(pg);
        if (shared)
            return false;
    }
    return true;
}

static long each_extent(struct call *c, const struct xen_memory_reservation *r,
                        bool (*one)(struct domain *, const struct xen_memory_reservation *,
                                    guest_va_t)) {
    struct domain *d;
    int rc;

    if (r->nr_extents > MAX_EXTENTS || c->start >= r->nr_extents ||
        r->extent_order > max_order(c->caller))
        return (long)c->start;
    rc = domain_lookup_controlled(r->domid, &d);
    if (rc)
        return rc == -EPERM ? rc : (long)c->start;
    while (c->start < r->nr_extents && !rc) {
        if (give_way(c))
            rc = -ERESTART;
        else if (one(d, r, element(r->extent_start, c->start, sizeof(xen_pfn_t))))
            c->start++;
        else
            break;
    }
    domain_put(d);
    return rc ? rc : (long)c->start;
}

static long do_increase_reservation(struct call *c, union memory_arg *arg) {
    return each_extent(c, &arg->reservation, increase_extent);
}
static long do_decrease_reservation(struct call *c, union memory_arg *arg) {
    return each_extent(c, &arg->reservation, decrease_extent);
}
static long do_populate_physmap(struct call *c, union memory_arg *arg) {
    return each_extent(c, &arg->reservation, populate_extent);
}

/* A claim is checked, not kept: it tells a builder early that it will not succeed. */
static long do_claim_pages(struct call *c, union memory_arg *arg) {
    const struct xen_memory_reservation *r = &arg->reservation;
    struct domain *d;
    int rc;

    if (!c->caller->privileged)
        return -EPERM;
    if (r->extent_start.va || r->extent_order || r->mem_flags)
        return -EINVAL;
    rc = domain_lookup_controlled(r->domid, &d);
    if (rc)
        return rc;
    if (r->nr_extents > d->max_pages)
        rc = -EINVAL;
    else if (r->nr_extents > d->nr_pages && r->nr_extents - d->nr_pages > heap_free_frames())
        rc = -ENOMEM;
    domain_put(d);
    return rc;
}

/*
 * Exchange. One chunk is the larger of an input and an output extent: nr_in inputs become nr_out
 * outputs, one of the two being 1. Until the outputs are there, the inputs are only seized and
 * can go back.
 */
struct chunk {
    struct domain *d;
    unsigned int in_order, out_order;
    uint64_t nr_in, nr_out;
    xen_pfn_t *in;      /* first mfns */
    xen_pfn_t *out;     /* first pfns, then mfns */
    struct page **page; /* outputs */
};

static mfn_t chunk_frame(const struct chunk *k, uint64_t i) {
    return mfn_of(k->in[i >> k->in_order] + (i & (BIT(k->in_order) - 1)));
}

/* Undo seize_inputs() for the first nr frames. */
static void unseize_inputs(const struct chunk *k, uint64_t nr) {
    while (nr--) {
        struct page *pg = mfn_to_page(chunk_frame(k, nr));

        page_unseize(pg);
        page_put(pg);
    }
}

static int seize_inputs(const struct chunk *k) {
    for (uint64_t i = 0; i < k->nr_in << k->in_order; i++) {
        struct page *pg = mfn_lookup(chunk_frame(k, i));
        bool got = pg && page_get(pg, k->d);

        if (got && page_seize(pg))
            continue;
        if (got)
            page_put(pg);
        unseize_inputs(k, i);
        return -EINVAL;
    }
    return 0;
}

static void free_outputs(const struct chunk *k, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; i++)
        heap_free(k->page[i], k->out_order);
}

/*
 * All outputs become the domain's, or (it is dying) the rest goes back; what it got then dies
 * with it.
 */
static int adopt_outputs(const struct chunk *k) {
    for (uint64_t i = 0; i < k->nr_out; i++) {
        if (!domain_adopt_pages(k->d, k->page[i], k->out_order, k->out[i])) {
            free_outputs(k, i, k->nr_out);
            return -EINVAL;
        }
        k->out[i] = page_to_mfn(k->page[i]).n;
    }
    return 0;
}

static int exchange_seized(const struct chunk *k, unsigned int max_bits) {
    for (uint64_t i = 0; i < k->nr_out; i++) {
        k->page[i] = heap_alloc(k->out_order, max_bits, 0);
        if (!k->page[i]) {
            free_outputs(k, 0, i);
            return -ENOMEM;
        }
    }
    return adopt_outputs(k);
}

/* Chunk i of the lists. *done: it is exchanged, whatever is returned. */
static int exchange_chunk(const struct chunk *k, const struct xen_memory_exchange *x, uint64_t i,
                          bool *done) {
    guest_va_t in_at = element(x->in.extent_start, i * k->nr_in, sizeof(*k->in));
    guest_va_t out_at = element(x->out.extent_start, i * k->nr_out, sizeof(*k->out));
    int rc;

    if (copy_from_guest(k->in, in_at, k->nr_in * sizeof(*k->in)) ||
        copy_from_guest(k->out, out_at, k->nr_out * sizeof(*k->out)))
        return -EFAULT;
    rc = seize_inputs(k);
    if (rc)
        return rc;
    rc = exchange_seized(k, XENMEMF_get_address_bits(x->out.mem_flags));
    if (rc) {
        unseize_inputs(k, k->nr_in << k->in_order);
        return rc;
    }
    *done = true;
    for (uint64_t f = 0; f < k->nr_in << k->in_order; f++)
        page_free(mfn_to_page(chunk_frame(k, f)));
    return copy_to_guest(out_at, k->out, k->nr_out * sizeof(*k->out)) ? -EFAULT : 0;
}

static int exchange_all(struct call *c, struct xen_memory_exchange *x, const struct chunk *k) {
    int rc = 0;

    c->start = c->first = x->nr_exchanged;
    while (!rc && x->nr_exchanged < x->in.nr_extents) {
        bool done = false;

        c->start = x->nr_exchanged;
        if (give_way(c))
            return -ERESTART;
        rc = exchange_chunk(k, x, x->nr_exchanged / k->nr_in, &done);
        if (done)
            x->nr_exchanged += k->nr_in;
    }
    return rc;
}

static int check_exchange(const struct domain *caller, const struct xen_memory_exchange *x) {
    if (MAX(x->in.extent_order, x->out.extent_order) > max_order(caller))
        return -EPERM;
    if (x->in.domid != x->out.domid || x->nr_exchanged > x->in.nr_extents ||
        x->in.nr_extents > UINT64_MAX >> x->in.extent_order ||
        x->out.nr_extents > UINT64_MAX >> x->out.extent_order ||
        x->in.nr_extents << x->in.extent_order != x->out.nr_extents << x->out.extent_order)
        return -EINVAL;
    return 0;
}

static int run_exchange(struct call *c, struct xen_memory_exchange *x) {
    struct chunk k = {.in_order = x->in.extent_order, .out_order = x->out.extent_order};
    unsigned int order = MAX(k.in_order, k.out_order);
    int rc = domain_lookup_controlled(x->in.domid, &k.d);

    if (rc)
        return rc;
    k.nr_in = BIT(order - k.in_order);
    k.nr_out = BIT(order - k.out_order);
    k.in = mem_alloc_array(k.nr_in, sizeof(*k.in));
    k.out = mem_alloc_array(k.nr_out, sizeof(*k.out));
    k.page = mem_alloc_array(k.nr_out, sizeof(*k.page));
    if (x->nr_exchanged % k.nr_in || x->in.nr_extents % k.nr_in)
        rc = -EINVAL;
    else if (!k.in || !k.out || !k.page)
        rc = -ENOMEM;
    else
        rc = exchange_all(c, x, &k);
    mem_free(k.page);
    mem_free(k.out);
    mem_free(k.in);
    domain_put(k.d);
    return rc;
}

/* How far it got lives in the argument, where the ABI has it. */
static long do_exchange(struct call *c, union memory_arg *arg) {
    struct xen_memory_exchange *x = &arg->exchange;
    guest_va_t at = {c->at.va + offsetof(struct xen_memory_exchange, nr_exchanged)};
    int rc = check_exchange(c->caller, x);

    if (!rc)
        rc = run_exchange(c, x);
    c->start = 0;
    return copy_to_guest(at, &x->nr_exchanged, sizeof(x->nr_exchanged)) ? -EFAULT : rc;
}

/* What a domain has. */

static long do_maximum_ram_page(struct call *c, union memory_arg *arg) {
    (void)c, (void)arg;
    return (long)max_mfn;
}

static long ask_domain(const union memory_arg *arg, uint64_t (*ask)(const struct domain *)) {
    struct domain *d;
    int rc = domain_lookup_controlled(arg->domain.domid, &d);
    long answer;

    if (rc)
        return rc;
    answer = (long)MIN(ask(d), (uint64_t)INT64_MAX);
    domain_put(d);
    return answer;
}

static uint64_t nr_pages(const struct domain *d) {
    return READ_ONCE(d->nr_pages);
}
static uint64_t max_pages(const struct domain *d) {
    return READ_ONCE(d->max_pages);
}
static uint64_t max_pfn(const struct domain *d) {
    uint64_t nr = READ_ONCE(d->shared_info->arch.max_pfn);

    return nr ? nr - 1 : 0;
}

static long do_current_reservation(struct call *c, union memory_arg *arg) {
    (void)c;
    return ask_domain(arg, nr_pages);
}
static long do_maximum_reservation(struct call *c, union memory_arg *arg) {
    (void)c;
    return ask_domain(arg, max_pages);
}
static long do_maximum_gpfn(struct call *c, union memory_arg *arg) {
    (void)c;
    return ask_domain(arg, max_pfn);
}

/* The machine-to-phys table. */

static long do_machphys_mapping(struct call *c, union memory_arg *arg) {
    (void)c;
    arg->mapping.v_start = MACH2PHYS_VIRT_START;
    arg->mapping.v_end = MACH2PHYS_VIRT_END;
    arg->mapping.max_mfn = max_mfn - 1;
    return 0;
}

static unsigned int nr_m2p_extents(void) {
    return (unsigned int)DIV_ROUND_UP(max_mfn * sizeof(uint64_t), MIB(2));
}

/* Tools map what they are told in one go, so a hole is filled with the piece before it. */
static long do_machphys_mfn_list(struct call *c, union memory_arg *arg) {
    struct xen_machphys_mfn_list *l = &arg->mfn_list;
    unsigned int nr = MIN(l->max_extents, nr_m2p_extents());
    xen_pfn_t last = 0;

    (void)c;
    for (l->nr_extents = 0; l->nr_extents < nr; l->nr_extents++) {
        mfn_t mfn = arch_m2p_frame(l->nr_extents);

        if (mfn.n != MFN_INVALID.n)
            last = mfn.n;
        if (copy_to_guest(element(l->extent_start, l->nr_extents, sizeof(last)), &last,
                          sizeof(last)))
            return -EFAULT;
    }
    return 0;
}

void memory_share_m2p(void) {
    for (unsigned int i = 0; i < nr_m2p_extents(); i++) {
        mfn_t mfn = arch_m2p_frame(i);

        for (unsigned int f = 0; mfn.n != MFN_INVALID.n && f < MIB(2) / PAGE_SIZE; f++)
            domain_share_page(dom_xen, mfn_to_virt(mfn_of(mfn.n + f)), false);
    }
}

/* Memory maps. */

static long do_memory_map(struct call *c, union memory_arg *arg) {
    struct pv_domain *pv = c->caller->pv;
    int rc = -ENOSYS;

    lock_acquire(&c->caller->lock);
    if (pv->nr_memory) {
        arg->map.nr_entries = MIN(arg->map.nr_entries, pv->nr_memory);
        rc =
            copy_to_guest(arg->map.buffer, pv->memory, arg->map.nr_entries * sizeof(pv->memory[0]));
    }
    lock_release(&c->caller->lock);
    return rc;
}

static long do_set_memory_map(struct call *c, union memory_arg *arg) {
    const struct xen_memory_map *map = &arg->foreign_map.map;
    struct domain *d;
    int rc;

    (void)c;
    if (map->nr_entries > PV_MEMORY_MAX)
        return -EINVAL;
    rc = domain_lookup_controlled(arg->foreign_map.domid, &d);
    if (rc)
        return rc;
    lock_acquire(&d->lock);
    rc = copy_from_guest(d->pv->memory, map->buffer, map->nr_entries * sizeof(d->pv->memory[0]));
    d->pv->nr_memory = rc ? 0 : map->nr_entries;
    lock_release(&d->lock);
    domain_put(d);
    return rc;
}

/* The host's. Without a buffer: how many entries there are. */
static long do_machine_memory_map(struct call *c, union memory_arg *arg) {
    if (!c->caller->privileged)
        return -EPERM;
    if (arg->map.buffer.va && arg->map.nr_entries < boot_info.nr_memory)
        return -EINVAL;
    arg->map.nr_entries = boot_info.nr_memory;
    for (unsigned int i = 0; arg->map.buffer.va && i < boot_info.nr_memory; i++) {
        const struct boot_memory *m = &boot_info.memory[i];
        struct e820_entry e = {m->start, m->len, m->type};

        if (copy_to_guest(element(arg->map.buffer, i, sizeof(e)), &e, sizeof(e)))
            return -EFAULT;
    }
    return 0;
}

/* Frames of a domain that are not in its memory: the only kind is its grant table. */

static int resource_frames(struct call *c, struct domain *d,
                           const struct xen_mem_acquire_resource *r) {
    for (; c->start < r->nr_frames; c->start++) {
        uint64_t idx = r->frame + c->start;
        mfn_t mfn;
        int rc;

        if (give_way(c))
            return -ERESTART;
        rc = idx > UINT32_MAX ? -EINVAL : gnttab_get_frame(d, false, (unsigned int)idx, &mfn);
        if (rc)
            return rc;
        if (copy_to_guest(element(r->frame_list, c->start, sizeof(mfn.n)), &mfn.n, sizeof(mfn.n)))
            return -EFAULT;
    }
    return 0;
}

static long do_acquire_resource(struct call *c, union memory_arg *arg) {
    struct xen_mem_acquire_resource *r = &arg->resource;
    struct domain *d;
    int rc;

    if (r->pad || r->nr_frames > MAX_EXTENTS)
        return -EINVAL;
    rc = r->domid == DOMID_SELF ? -EPERM : domain_lookup_controlled(r->domid, &d);
    if (rc)
        return rc;
    if (d == c->caller)
        rc = -EPERM;
    else if (r->type != XENMEM_resource_grant_table ||
             r->id != XENMEM_resource_grant_table_id_shared)
        rc = -EINVAL;
    else if (r->frame_list.va)
        rc = resource_frames(c, d, r);
    else if (r->nr_frames)
        rc = -EINVAL;
    else
        r->nr_frames = gnttab_max_frames(d);
    domain_put(d);
    return rc;
}

/* The table of sub-ops. */

/* The argument is copied in; out, if there was no error; the call may begin above extent 0. */
enum { IN = 1, OUT = 2, EXTENTS = 4 };

static const struct memory_cmd {
    long (*run)(struct call *c, union memory_arg *arg);
    uint8_t size;
    uint8_t how;
} cmds[] = {
    [XENMEM_increase_reservation] = {do_increase_reservation, sizeof(struct xen_memory_reservation),
                                     IN | EXTENTS},
    [XENMEM_decrease_reservation] = {do_decrease_reservation, sizeof(struct xen_memory_reservation),
                                     IN | EXTENTS},
    [XENMEM_populate_physmap] = {do_populate_physmap, sizeof(struct xen_memory_reservation),
                                 IN | EXTENTS},
    [XENMEM_claim_pages] = {do_claim_pages, sizeof(struct xen_memory_reservation), IN},
    [XENMEM_exchange] = {do_exchange, sizeof(struct xen_memory_exchange), IN},
    [XENMEM_maximum_ram_page] = {do_maximum_ram_page, 0, 0},
    [XENMEM_current_reservation] = {do_current_reservation, sizeof(struct xen_memory_domain), IN},
    [XENMEM_maximum_reservation] = {do_maximum_reservation, sizeof(struct xen_memory_domain), IN},
    [XENMEM_maximum_gpfn] = {do_maximum_gpfn, sizeof(struct xen_memory_domain), IN},
    [XENMEM_machphys_mapping] = {do_machphys_mapping, sizeof(struct xen_machphys_mapping), OUT},
    [XENMEM_machphys_mfn_list] = {do_machphys_mfn_list, sizeof(struct xen_machphys_mfn_list),
                                  IN | OUT},
    [XENMEM_memory_map] = {do_memory_map, sizeof(struct xen_memory_map), IN | OUT},
    [XENMEM_machine_memory_map] = {do_machine_memory_map, sizeof(struct xen_memory_map), IN | OUT},
    [XENMEM_set_memory_map] = {do_set_memory_map, sizeof(struct xen_foreign_memory_map), IN},
    [XENMEM_acquire_resource] = {do_acquire_resource, sizeof(struct xen_mem_acquire_resource),
                                 IN | OUT | EXTENTS},
};

static long run_cmd(const struct memory_cmd *cmd, struct call *c) {
    union memory_arg arg;
    long rc;

    memset(&arg, 0, sizeof(arg));
    if (cmd->how & IN && copy_from_guest(&arg, c->at, cmd->size))
        return -EFAULT;
    rc = cmd->run(c, &arg);
    if (rc >= 0 && cmd->how & OUT && copy_to_guest(c->at, &arg, cmd->size))
        rc = -EFAULT;
    return rc;
}

long hypercall_memory_op(struct vcpu *curr, uint64_t arg[6]) {
    unsigned int nr = (unsigned int)arg[0] & CMD_MASK;
    struct call c = {.caller = curr->domain, .at = {arg[1]}};
    const struct memory_cmd *cmd;
    long rc;

    if (nr >= ARRAY_LEN(cmds))
        return -ENOSYS;
    cmd = &cmds[index_nospec(nr, ARRAY_LEN(cmds))];
    c.start = c.first = arg[0] >> START_SHIFT;
    if (!cmd->run)
        return -ENOSYS;
    if (c.start > (cmd->how & EXTENTS ? MAX_EXTENTS : 0))
        return -EINVAL;
    rc = run_cmd(cmd, &c);
    if (rc == -ERESTART)
        arg[0] = nr | c.start << START_SHIFT;
    return rc;
}
