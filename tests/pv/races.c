/*
 * Two vcpus that do anything to the same few pages, at random, and an account of it afterwards.
 *
 * The ABI promises: whatever is asked in whatever order by any number of vcpus, a page has one use
 * at a time and every use ends with its last reference.
 * Proof: each vcpu draws some thousand operations: map, protect, pin, unpin, install in an L2,
 * store to an L1 in use, write garbage into pages, use them as GDT, LDT, grant, event array or new
 * base, give memory back and take other, bind and close ports, flush. Then everything is taken
 * down. If then each page can be mapped writable, and after that be a table, no reference was lost
 * or kept; if the hypervisor is still there, nothing worse happened.
 * "seed=N" on the command line draws differently, "rounds=N" longer, "without=N" leaves out the
 * operations whose bits are set in N. Needs two vcpus.
 */
#include "lib/pv.h"

#define PAGES       12
#define SLOTS       24 /* of the window, anyone's; behind them those of grants */
#define GRANT_SLOTS 8
#define L2_SLOTS    4
#define TABLE_SLOT  500 /* the grant table */
#define POOL        16  /* pfns that nothing maps, for memory_op */
#define POOL_PFN    0x2000ul
#define PORTS       64

static uint64_t *page[PAGES];
static uint64_t page_mfn[PAGES];
static uint64_t *other_l4;
static struct grant_entry_v1 *grants;
static volatile uint32_t handle[GRANT_SLOTS];
static volatile unsigned int succeeded[MAX_VCPUS][32], tried[MAX_VCPUS][32];
static uint64_t rounds = 6000;

static uint64_t draw(uint64_t *seed, uint64_t n) {
    *seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
    return (*seed >> 33) % n;
}
#define DRAW(n) draw(seed, n)

/* An entry for some table, good or bad. */
static uint64_t any_entry(uint64_t *seed) {
    static const uint64_t flags[] = {0, RO, RW, RO, RW, PTE_P, PTE_P | PTE_RW, RW | PTE_PSE};
    uint64_t mfn = page_mfn[DRAW(PAGES)];

    switch (DRAW(12)) {
    case 0:
        mfn = mfn_of((void *)start_info->pt_base);
        break;
    case 1:
        mfn = window_tables()[1 + DRAW(2)]; /* its L1 could be stored to, anywhere in it */
        break;
    case 2:
        mfn = 0x100 + DRAW(0x8000);
        break;
    case 3:
        return 0;
    }
    return mfn << 12 | flags[DRAW(ARRAY_LEN(flags))];
}

static long map_slot(uint64_t *seed) {
    return update_va_mapping(window_va((unsigned int)DRAW(SLOTS)), any_entry(seed), DRAW(8));
}

static long update_slot(uint64_t *seed) {
    struct mmu_update u[3];

    for (unsigned int i = 0; i < 3; i++) {
        u[i].ptr = window_pte_machine((unsigned int)DRAW(SLOTS)) | (DRAW(2) ? 2 : 0);
        u[i].val = any_entry(seed);
    }
    return mmu_update(u, 1 + DRAW(3), NULL, DOMID_SELF);
}

static long store_to_l1(uint64_t *seed) {
    volatile uint64_t *l1 = va_of_mfn(window_tables()[0]);
    uint64_t slot = DRAW(SLOTS), entry = any_entry(seed), how = DRAW(4);
    const struct frame *f;

    if (how == 0)
        f = FAULT(l1[slot] = entry);
    else if (how == 1)
        f = FAULT((void)__atomic_exchange_n(&l1[slot], entry, __ATOMIC_SEQ_CST));
    else if (how == 2)
        f = FAULT((void)__atomic_fetch_and(&l1[slot], ~PTE_RW, __ATOMIC_SEQ_CST));
    else
        f = FAULT((void)__atomic_fetch_or(&l1[slot], PTE_RW, __ATOMIC_SEQ_CST));
    return f->vector == NO_FAULT ? 0 : -1;
}

static long protect(uint64_t *seed) {
    uint64_t p = DRAW(PAGES);

    return update_va_mapping(ADDRESS(page[p]), page_mfn[p] << 12 | (DRAW(2) ? RO : RW), DRAW(8));
}

static long pin(uint64_t *seed) {
    static const unsigned char level[] = {0, 0, 0, 1, 1, 2, 3};

    return mmuext(MMUEXT_PIN_L1_TABLE + level[DRAW(ARRAY_LEN(level))], page_mfn[DRAW(PAGES)], 0);
}

static long unpin(uint64_t *seed) {
    return mmuext(MMUEXT_UNPIN_TABLE, page_mfn[DRAW(PAGES)], 0);
}

static long install(uint64_t *seed) {
    uint64_t table = window_tables()[1 + DRAW(2)];

    return pt_write((table << 12) + (1 + DRAW(L2_SLOTS)) * 8,
                    DRAW(2) ? 0 : page_mfn[DRAW(PAGES)] << 12 | (DRAW(3) ? RW : RO));
}

/* Through an address of the image, the window or what was installed: wherever it still leads. */
static long touch(uint64_t *seed) {
    uint64_t word = DRAW(512), value = any_entry(seed);
    volatile uint64_t *at;
    const struct frame *f;

    switch (DRAW(3)) {
    case 0:
        at = page[DRAW(PAGES)];
        break;
    case 1:
        at = (uint64_t *)window_va((unsigned int)DRAW(SLOTS + GRANT_SLOTS));
        break;
    default:
        at = (uint64_t *)(WINDOW + (1 + DRAW(L2_SLOTS)) * 0x200000 + DRAW(8) * PAGE_SIZE);
    }
    /* mostly few words, so that pages stay acceptable as tables now and then */
    if (DRAW(4))
        value = 0;
    f = DRAW(3) ? FAULT(at[word] = value) : FAULT((void)at[word]);
    return f->vector == NO_FAULT ? 0 : -1;
}

static long wipe(uint64_t *seed) {
    uint64_t *p = page[DRAW(PAGES)];

    return FAULT(memset(p, 0, PAGE_SIZE))->vector == NO_FAULT ? 0 : -1;
}

static long descriptors(uint64_t *seed) {
    uint64_t frames[16] = {page_mfn[DRAW(PAGES)]}, p = DRAW(PAGES);

    switch (DRAW(5)) {
    case 0:
        return set_gdt(frames, 512);
    case 1:
        return set_gdt(frames, 0);
    case 2:
        return mmuext(MMUEXT_SET_LDT, ADDRESS(page[p]), (uint64_t)DRAW(513));
    case 3:
        return update_descriptor((page_mfn[p] << 12) + DRAW(512) * 8,
                                 DRAW(2) ? 0x00cff2000000fffful : 0);
    default:
        return FAULT(__asm__ volatile("mov %0, %%es" ::"r"(DRAW(64) << 3 | (DRAW(2) ? 7 : 3))))
                           ->vector == NO_FAULT
                   ? 0
                   : -1;
    }
}

/*
 * Each vcpu has slots of its own for grants, and maps where nothing is: over something else the
 * first mapping's handle would be good for nothing and hold the page for ever.
 */
static unsigned int grant_slot(uint64_t *seed) {
    return (unsigned int)DRAW(GRANT_SLOTS / 2) * 2 + (this_cpu()->id & 1);
}

static long grant_map(uint64_t *seed) {
    unsigned int slot = grant_slot(seed), ref = 8 + (unsigned int)DRAW(16);
    struct gnttab_map_grant_ref m = {.host_addr = window_va(SLOTS + slot),
                                     .flags = GNTMAP_host_map | (DRAW(2) ? GNTMAP_readonly : 0),
                                     .ref = ref};

    if (DRAW(3) == 0) {
        grants[ref].frame = (uint32_t)(any_entry(seed) >> 12);
        __atomic_store_n(&grants[ref].flags,
                         (uint16_t)(GTF_permit_access | (DRAW(3) ? 0 : GTF_readonly)),
                         __ATOMIC_SEQ_CST);
    }
    if (window_pte(SLOTS + slot) & PTE_P)
        return -1;
    if (grant_table_op(GNTTABOP_map_grant_ref, &m, 1) || m.status)
        return -1;
    handle[slot] = m.handle;
    return 0;
}

static long grant_unmap(uint64_t *seed) {
    unsigned int slot = grant_slot(seed);
    struct gnttab_unmap_grant_ref u = {.host_addr = window_va(SLOTS + slot),
                                       .handle = handle[slot]};

    return grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1) || u.status ? -1 : 0;
}

static long grant_copy(uint64_t *seed) {
    struct gnttab_copy c = {.len = (uint16_t)DRAW(64), .flags = (uint16_t)DRAW(4)};

    c.source.domid = c.dest.domid = DOMID_SELF;
    c.source.offset = c.dest.offset = (uint16_t)(DRAW(64) * 64);
    if (c.flags & GNTCOPY_source_gref)
        c.source.u.ref = 8 + (uint32_t)DRAW(16);
    else
        c.source.u.gmfn = page_mfn[DRAW(PAGES)];
    if (c.flags & GNTCOPY_dest_gref)
        c.dest.u.ref = 8 + (uint32_t)DRAW(16);
    else
        c.dest.u.gmfn = page_mfn[DRAW(PAGES)];
    return grant_table_op(GNTTABOP_copy, &c, 1) || c.status ? -1 : 0;
}

static long base(uint64_t *seed) {
    uint64_t mfn = DRAW(2) ? mfn_of(other_l4) : mfn_of((void *)start_info->pt_base);

    if (DRAW(3) == 0)
        return mmuext(MMUEXT_NEW_USER_BASEPTR, DRAW(2) ? 0 : page_mfn[DRAW(PAGES)], 0);
    return mmuext(MMUEXT_NEW_BASEPTR, mfn, 0);
}

static long flush(uint64_t *seed) {
    uint64_t mask = DRAW(4);

    return mmuext(MMUEXT_TLB_FLUSH_LOCAL + (unsigned int)DRAW(6),
                  window_va((unsigned int)DRAW(SLOTS)), ADDRESS(&mask));
}

/* ---- memory_op, on pages of its own --------------------------------------------------------- */

static volatile uint64_t *pool(uint64_t i) {
    return (volatile uint64_t *)start_info->mfn_list + POOL_PFN + i;
}

static long memory(uint64_t *seed) {
    uint64_t i = DRAW(POOL), list[4], out[4];
    struct xen_memory_reservation r = {
        .extent_start.va = ADDRESS(list), .nr_extents = 1, .domid = DOMID_SELF};
    long rc;

    list[0] = *pool(i);
    switch (DRAW(4)) {
    case 0:
        return memory_op(XENMEM_decrease_reservation, &r) == 1 ? 0 : -1;
    case 1:
        list[0] = POOL_PFN + i;
        rc = memory_op(XENMEM_populate_physmap, &r);
        if (rc == 1)
            *pool(i) = list[0];
        return rc == 1 ? 0 : -1;
    case 2:
        return update_va_mapping(window_va(SLOTS + GRANT_SLOTS + (unsigned int)i),
                                 DRAW(2) ? 0 : list[0] << 12 | RW, UVMF_INVLPG | UVMF_ALL);
    default:
        break;
    }
    i &= ~3ul;
    for (unsigned int k = 0; k < 4; k++) {
        list[k] = *pool(i + k);
        out[k] = POOL_PFN + i + k;
    }
    struct xen_memory_exchange x = {
        .in = {.extent_start.va = ADDRESS(list), .nr_extents = 4, .domid = DOMID_SELF},
        .out = {.extent_start.va = ADDRESS(out), .nr_extents = 4, .domid = DOMID_SELF}};
    if (DRAW(2)) {
        x.out.nr_extents = 1;
        x.out.extent_order = 2;
    }
    rc = memory_op(XENMEM_exchange, &x);
    for (unsigned int k = 0; rc == 0 && k < 4; k++)
        *pool(i + k) = x.out.extent_order ? out[0] + k : out[k];
    return rc;
}

/* ---- events --------------------------------------------------------------------------------- */

static long events(uint64_t *seed) {
    union {
        struct evtchn_bind_ipi ipi;
        struct evtchn_send port;
        struct evtchn_alloc_unbound alloc;
        struct evtchn_bind_interdomain inter;
        struct evtchn_bind_vcpu vcpu;
        struct evtchn_status status;
        struct evtchn_expand_array expand;
        struct evtchn_init_control control;
        struct evtchn_set_priority priority;
    } a;
    uint32_t port = 1 + (uint32_t)DRAW(PORTS);

    memset(&a, 0, sizeof(a));
    switch (DRAW(12)) {
    case 0:
        a.ipi.vcpu = (uint32_t)DRAW(2);
        return event_channel_op(EVTCHNOP_bind_ipi, &a);
    case 1:
        a.alloc.dom = a.alloc.remote_dom = DOMID_SELF;
        return event_channel_op(EVTCHNOP_alloc_unbound, &a);
    case 2:
        a.inter.remote_dom = DOMID_SELF;
        a.inter.remote_port = port;
        return event_channel_op(EVTCHNOP_bind_interdomain, &a);
    case 3:
    case 4:
        a.port.port = port;
        return event_channel_op(EVTCHNOP_close, &a);
    case 5:
        a.vcpu.port = port;
        a.vcpu.vcpu = (uint32_t)DRAW(2);
        return event_channel_op(EVTCHNOP_bind_vcpu, &a);
    case 6:
        a.port.port = port;
        return event_channel_op(EVTCHNOP_unmask, &a);
    case 7:
        a.status.dom = DOMID_SELF;
        a.status.port = port;
        return event_channel_op(EVTCHNOP_status, &a);
    case 8:
        if (DRAW(16))
            return -1;
        a.control.control_gfn = page_mfn[DRAW(PAGES)];
        a.control.vcpu = (uint32_t)DRAW(2);
        return event_channel_op(EVTCHNOP_init_control, &a);
    case 9:
        a.expand.array_gfn = page_mfn[DRAW(PAGES)];
        return DRAW(16) ? -1 : event_channel_op(EVTCHNOP_expand_array, &a);
    case 10:
        a.priority.port = port;
        a.priority.priority = (uint32_t)DRAW(17);
        return event_channel_op(EVTCHNOP_set_priority, &a);
    default:
        a.port.port = port;
        return event_channel_op(EVTCHNOP_send, &a);
    }
}

static long event_reset(uint64_t *seed) {
    struct evtchn_reset r = {.dom = DOMID_SELF};

    return DRAW(30) ? -1 : event_channel_op(EVTCHNOP_reset, &r);
}

/* ---- the draw ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    long (*run)(uint64_t *seed);
    unsigned int weight;
} operations[] = {
    {"map", map_slot, 6},
    {"update", update_slot, 6},
    {"store to an L1", store_to_l1, 6},
    {"protect", protect, 10},
    {"pin", pin, 10},
    {"unpin", unpin, 10},
    {"install", install, 8},
    {"touch", touch, 10},
    {"wipe", wipe, 10},
    {"descriptors", descriptors, 5},
    {"grant map", grant_map, 5},
    {"grant unmap", grant_unmap, 5},
    {"grant copy", grant_copy, 3},
    {"base", base, 3},
    {"flush", flush, 3},
    {"memory", memory, 4},
    {"events", events, 8},
    {"event reset", event_reset, 1},
};
_Static_assert(ARRAY_LEN(operations) <= ARRAY_LEN(tried[0]), "");

static uint64_t first_seed = 1, without;

static void race(void *unused) {
    unsigned int id = this_cpu()->id, sum = 0;
    uint64_t seed = first_seed * 1000003 + id * 7919;

    (void)unused;
    for (unsigned int i = 0; i < ARRAY_LEN(operations); i++)
        sum += operations[i].weight;
    for (uint64_t n = 0; n < rounds; n++) {
        uint64_t pick = draw(&seed, sum);
        unsigned int i = 0;

        while (pick >= operations[i].weight)
            pick -= operations[i++].weight;
        if (without >> i & 1)
            continue;
        tried[id][i]++;
        succeeded[id][i] += operations[i].run(&seed) >= 0;
    }
    /* what only this vcpu can let go of */
    uint64_t none[16] = {0};
    __asm__ volatile("mov %0, %%es" ::"r"(0));
    (void)mmuext(MMUEXT_NEW_BASEPTR, mfn_of((void *)start_info->pt_base), 0);
    (void)mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    (void)set_gdt(none, 0);
    (void)mmuext(MMUEXT_SET_LDT, 0, 0);
}

/* ---- taking it down ------------------------------------------------------------------------- */

static void take_down(void) {
    struct evtchn_reset reset = {.dom = DOMID_SELF};
    struct series s = {.name = "what was set up can be taken down"};

    for (unsigned int slot = 0; slot < SLOTS; slot++)
        series_case(&s, window_map(slot, 0) == 0, "slot %u", slot);
    for (unsigned int i = 1; i <= L2_SLOTS; i++) {
        series_case(&s, pt_write((window_tables()[1] << 12) + i * 8, 0) == 0, "L2 entry %u", i);
        series_case(&s, pt_write((window_tables()[2] << 12) + i * 8, 0) == 0, "L3 entry %u", i);
    }
    for (unsigned int slot = 0; slot < GRANT_SLOTS; slot++) {
        struct gnttab_unmap_grant_ref u = {.host_addr = window_va(SLOTS + slot),
                                           .handle = handle[slot]};
        uint64_t pte = window_pte(SLOTS + slot);

        if (!(pte & PTE_P))
            continue;
        (void)grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1);
        series_case(&s, u.status == 0 && !(window_pte(SLOTS + slot) & PTE_P),
                    "grant in slot %u, entry %#lx: %d", slot, pte, u.status);
    }
    for (unsigned int i = 0; i < POOL; i++)
        series_case(&s, window_map(SLOTS + GRANT_SLOTS + i, 0) == 0, "pool %u", i);
    series_case(&s, event_channel_op(EVTCHNOP_reset, &reset) == 0, "event channels");
    for (unsigned int i = 0; i < PAGES; i++)
        (void)mmuext(MMUEXT_UNPIN_TABLE, page_mfn[i], 0);
    series_end(&s);
}

/* An L4 that the user base or a pin still holds keeps what it names: twice for what hangs below. */
static void account(void) {
    struct series w = {.name = "each page can be mapped writable: nothing holds it as a table"};
    struct series t = {.name = "each page can be a table: nothing holds it writable"};

    for (unsigned int i = 0; i < PAGES; i++) {
        long rc = page_protect(page[i], RW);

        series_case(&w, rc == 0, "page %u: %ld", i, rc);
        if (rc == 0)
            memset(page[i], 0, PAGE_SIZE);
    }
    series_end(&w);
    for (unsigned int i = 0; i < PAGES; i++) {
        long rc = page_protect(page[i], RO);

        if (rc == 0)
            rc = mmuext(MMUEXT_PIN_L1_TABLE, page_mfn[i], 0);
        series_case(&t, rc == 0, "page %u: %ld", i, rc);
        if (rc == 0)
            (void)mmuext(MMUEXT_UNPIN_TABLE, page_mfn[i], 0);
    }
    series_end(&t);
}

static void was_it_a_test(void) {
    struct series s = {.name = "every operation succeeded now and then, and failed now and then"};

    for (unsigned int i = 0; i < ARRAY_LEN(operations); i++) {
        unsigned int good = succeeded[0][i] + succeeded[1][i], all = tried[0][i] + tried[1][i];

        if (option("cases"))
            print("  %s: %u of %u\n", operations[i].name, good, all);
        series_case(&s, all < 50 || good > 0, "%s: %u of %u", operations[i].name, good, all);
    }
    series_end(&s);
}

static uint64_t number(const char *text) {
    uint64_t n = 0;

    for (; text && *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (uint64_t)(*text - '0');
    return n;
}

void test_main(void) {
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};
    uint64_t frame;

    if (option("seed"))
        first_seed = number(option("seed"));
    without = number(option("without"));
    if (option("rounds"))
        rounds = number(option("rounds"));
    setup.frame_list.va = ADDRESS(&frame);
    NEED(grant_table_op(GNTTABOP_setup_table, &setup, 1) == 0 && setup.status == 0);
    NEED(window_map(TABLE_SLOT, frame << 12 | RW) == 0);
    grants = (struct grant_entry_v1 *)window_va(TABLE_SLOT);
    for (unsigned int i = 0; i < PAGES; i++) {
        page[i] = page_alloc();
        page_mfn[i] = mfn_of(page[i]);
    }
    other_l4 = page_alloc();
    (void)window_tables();
    memcpy(other_l4, (void *)start_info->pt_base, PAGE_SIZE);
    NEED(page_protect(other_l4, RO) == 0);
    NEED(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(other_l4), 0) == 0);
    NEED(vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables) == 0);
    smp_start(1);
    smp_run(1, race, NULL);
    race(NULL);
    smp_wait(1);
    take_down();
    account();
    was_it_a_test();
}
