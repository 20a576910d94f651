/*
 * Two vcpus: how the second starts, and what one can do behind the other's back.
 *
 * The ABI promises (abi/vcpu.h: VCPUOP_*; abi/xen.h):
 *  - VCPUOP_initialise takes a context once, and refuses one that no vcpu could run with; up, down
 *    and is_up say and do what they are called;
 *  - an argument has one value: the hypervisor reads it once, whatever another vcpu makes of it
 *    meanwhile, and so for page-table entries, descriptors and lists;
 *  - after a flush of all vcpus none of them uses an old translation, and a page that has become a
 *    table is out of reach of every vcpu without a flush of the guest's.
 * Proof: vcpu 1 rewrites arguments, entries and descriptors between a good and a forbidden value
 * while vcpu 0 has them used a few thousand times; what came through is looked at each time. Stale
 * translations are tried out by the vcpu that has them.
 * Needs two vcpus on two processors.
 */
#include "lib/pv.h"

#define FORBIDDEN (mfn_of((void *)start_info->pt_base) << 12 | RW)

/* ---- starting ------------------------------------------------------------------------------- */

static void contexts(void) {
    static struct vcpu_guest_context good, c;
    struct series s = {.name = "a context that no vcpu could run with is refused"};
    long rc;

    smp_context(&good, 1);
    CHECK_EQ("vcpu 1 exists and is down", 0, vcpu_op(VCPUOP_is_up, 1, NULL));
    CHECK_EQ("it cannot be brought up before it has a context", -EINVAL,
             vcpu_op(VCPUOP_up, 1, NULL));
    CHECK("nor can one be that does not exist",
          vcpu_op(VCPUOP_up, 77, NULL) == -ENOENT &&
              vcpu_op(VCPUOP_initialise, 77, &good) == -ENOENT);
    CHECK("we have a context already", vcpu_op(VCPUOP_initialise, 0, &good) < 0);
    CHECK_EQ("a context that cannot be read is -EFAULT", -EFAULT,
             vcpu_op(VCPUOP_initialise, 1, (void *)window_va(100)));
#define BAD(what, assignment)                                                                      \
    c = good;                                                                                      \
    assignment;                                                                                    \
    rc = vcpu_op(VCPUOP_initialise, 1, &c);                                                        \
    series_case(&s, rc < 0 && rc != -EEXIST, "%s: %ld", what, rc);
    BAD("no base", c.ctrlreg[3] = 0)
    BAD("a base that is nobody's", c.ctrlreg[3] = xen_pfn_to_cr3(0x100))
    BAD("a base beyond memory", c.ctrlreg[3] = ~0ul)
    BAD("a base that is an L1", c.ctrlreg[3] = xen_pfn_to_cr3(window_tables()[0]))
    BAD("a base mapped writable", c.ctrlreg[3] = xen_pfn_to_cr3(mfn_of(start_info)))
    BAD("a GDT that is nobody's", (c.gdt_ents = 512, c.gdt_frames[0] = 0x100))
    BAD("a GDT mapped writable", (c.gdt_ents = 512, c.gdt_frames[0] = mfn_of(start_info)))
    BAD("a GDT that is too long", c.gdt_ents = 8193)
    BAD("an LDT that is too long", (c.ldt_base = ADDRESS(start_info), c.ldt_ents = 8193))
    BAD("an LDT not on a page", (c.ldt_base = ADDRESS(start_info) + 8, c.ldt_ents = 8))
    BAD("a non-canonical FS base", c.fs_base = 1ul << 47)
    BAD("a non-canonical GS base", c.gs_base_kernel = 1ul << 63)
    BAD("a non-canonical user GS base", c.gs_base_user = 1ul << 62)
    BAD("a non-canonical rip", c.user_regs.rip = 1ul << 47)
    BAD("a non-canonical event callback", c.event_callback_eip = 1ul << 47)
    BAD("a non-canonical failsafe callback", c.failsafe_callback_eip = 1ul << 47)
    BAD("a non-canonical syscall callback", c.syscall_callback_eip = 1ul << 47)
    BAD("a non-canonical trap", c.trap_ctxt[6].address = 1ul << 47)
    series_end(&s);
    CHECK("afterwards the L1 is still one", window_map(20, window_tables()[0] << 12 | RW) < 0);
    CHECK_EQ("a good context is taken", 0, vcpu_op(VCPUOP_initialise, 1, &good));
    CHECK_EQ("but once", -EEXIST, vcpu_op(VCPUOP_initialise, 1, &good));
    CHECK_EQ("it is still down", 0, vcpu_op(VCPUOP_is_up, 1, NULL));
    CHECK_EQ("and can be brought up", 0, vcpu_op(VCPUOP_up, 1, NULL));
    CHECK_EQ("then it is up", 1, vcpu_op(VCPUOP_is_up, 1, NULL));
}

static volatile uint64_t seen_id, seen_mask;

static void look_around(void *unused) {
    (void)unused;
    seen_id = this_cpu()->id;
    seen_mask = vcpu_info(1)->evtchn_upcall_mask;
}

static void first_steps(void) {
    smp_run(1, look_around, NULL);
    smp_wait(1);
    CHECK_EQ("vcpu 1 runs what it is given", 1, seen_id);
    CHECK_EQ("with events masked", 1, seen_mask);
}

/* ---- a value that changes ------------------------------------------------------------------- */

struct flicker {
    volatile uint64_t *at;
    uint64_t good, bad;
    volatile bool stop;
};

static void flicker(void *arg) {
    struct flicker *f = arg;

    while (!f->stop) {
        *f->at = f->bad;
        *f->at = f->good;
    }
}

static void flicker_begin(struct flicker *f) {
    f->stop = false;
    smp_run(1, flicker, f);
}

static void flicker_end(struct flicker *f) {
    f->stop = true;
    smp_wait(1);
}

#define ROUNDS 3000

static void entries_that_change(void) {
    void *page = page_alloc();
    static struct mmu_update u;
    static struct multicall_entry call;
    struct flicker f = {.at = &u.val, .good = pte_for(page, RW), .bad = FORBIDDEN};
    struct series s = {.name =
                           "an entry that changes while mmu_update reads it is one or the other"};

    u.ptr = window_pte_machine(40);
    u.val = f.good;
    flicker_begin(&f);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint64_t pte;

        (void)mmu_update(&u, 1, NULL, DOMID_SELF);
        pte = window_pte(40);
        series_case(&s, (pte & PTE_ADDR) == (f.good & PTE_ADDR) || pte == 0, "entry %#lx", pte);
    }
    flicker_end(&f);
    series_end(&s);

    struct series c = {.name = "and so for the arguments of a multicall"};

    call = (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping,
                                    .args = {window_va(40), f.good, UVMF_INVLPG}};
    f.at = &call.args[1];
    flicker_begin(&f);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint64_t pte;

        (void)multicall(&call, 1);
        pte = window_pte(40);
        series_case(&c, (pte & PTE_ADDR) == (f.good & PTE_ADDR) || pte == 0, "entry %#lx", pte);
    }
    flicker_end(&f);
    series_end(&c);
    NEED(window_map(40, 0) == 0);
    page_free(page);
}

/* vcpu 1 makes and unmakes a writable mapping while vcpu 0 makes the page a table and not. */
struct mapper {
    uint64_t pte;
    volatile bool stop;
    volatile unsigned int mapped;
};

static void map_and_unmap(void *arg) {
    struct mapper *m = arg;

    while (!m->stop) {
        if (window_map(41, m->pte) == 0)
            m->mapped++;
        (void)window_map(41, 0);
    }
}

static void one_use_at_a_time(void) {
    uint64_t *page = page_alloc();
    struct mapper m = {.pte = pte_for(page, RW)};
    struct series s = {.name = "a page is never a table and mapped writable at once"};
    unsigned int pinned = 0;

    NEED(page_protect(page, RO) == 0);
    smp_run(1, map_and_unmap, &m);
    for (unsigned int i = 0; i < ROUNDS || (i < 100 * ROUNDS && (!pinned || !m.mapped)); i++) {
        if (mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0))
            continue;
        pinned++;
        series_case(&s, !(window_pte(41) & PTE_P), "entry %#lx while it is a table",
                    window_pte(41));
        NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0) == 0);
    }
    m.stop = true;
    smp_wait(1);
    series_case(&s, pinned > 0 && m.mapped > 0, "pinned %u times, mapped %u times", pinned,
                m.mapped);
    series_end(&s);
    NEED(window_map(41, 0) == 0 && page_protect(page, RW) == 0);
    page_free(page);
}

/* Entries in memory that vcpu 1 still writes to through its own, stale translation. */
static void contents_that_change(void) {
    uint64_t *page = page_alloc();
    void *target = page_alloc();
    struct flicker f = {.at = page + 9, .good = 0, .bad = FORBIDDEN};
    struct series s = {
        .name = "a table is what it was checked as, even if another vcpu could write to it"};
    unsigned int pinned = 0;

    for (unsigned int i = 0; i < 200; i++) {
        /* vcpu 1 will fault once the page is read-only for it: it leaves its loop by that */
        f.stop = false;
        NEED(page_protect(page, RW) == 0);
        memset(page, 0, PAGE_SIZE);
        page[3] = pte_for(target, RW);
        struct cpu *other = (struct cpu *)cpu_blocks[1];
        extern void flicker_until_fault(void *arg);
        smp_run(1, flicker_until_fault, &f);
        while (!other->catching)
            __asm__ volatile("pause");
        NEED(update_va_mapping(ADDRESS(page), pte_for(page, RO), UVMF_NONE) == 0);
        if (mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) == 0) {
            pinned++;
            series_case(&s, page[9] == 0, "round %u: entry %#lx", i, page[9]);
            flicker_end(&f);
            series_case(&s, page[9] == 0, "round %u: entry %#lx after", i, page[9]);
            NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0) == 0);
        } else {
            flicker_end(&f);
        }
    }
    series_case(&s, pinned > 0, "it was never accepted");
    series_end(&s);
    NEED(page_protect(page, RW) == 0);
    page_free(page);
    page_free(target);
}

void flicker_until_fault(void *arg) {
    (void)FAULT(flicker(arg));
}

static void descriptors_that_change(void) {
    uint64_t *table = page_alloc(), frame[16] = {mfn_of(table)};
    static struct multicall_entry call;
    const uint64_t good = 0x00cff2000000fffful, gate = 0x00008e0000000000ul | 0xe0080000;
    struct flicker f = {.at = &call.args[1], .good = good, .bad = gate};
    struct series s = {.name = "a descriptor that changes while it is read is good or refused"};

    NEED(page_protect(table, RO) == 0 && set_gdt(frame, 512) == 0);
    call = (struct multicall_entry){.op = __HYPERVISOR_update_descriptor,
                                    .args = {(mfn_of(table) << 12) + 8, good}};
    flicker_begin(&f);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        (void)multicall(&call, 1);
        series_case(&s, table[1] == good || table[1] == (good | 1ul << 40) || table[1] == 0,
                    "descriptor %#lx", table[1]);
    }
    flicker_end(&f);
    series_end(&s);
    NEED(set_gdt(frame, 0) == 0 && page_protect(table, RW) == 0);
    page_free(table);
}

/*
 * Code that vcpu 1 rewrites while it is emulated for vcpu 0, between reading an MSR of the system
 * call entry and writing it.
 */
static void code_that_changes(void) {
    extern char changing_code[];
    volatile uint64_t *at = (uint64_t *)changing_code;
    const uint64_t rdmsr = *at, wrmsr = (rdmsr & ~0xff00ul) | 0x3000;
    struct flicker f = {.at = at, .good = rdmsr, .bad = wrmsr};
    struct series s = {.name = "code that changes while it is emulated does one or the other"};

    flicker_begin(&f);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        const struct frame *fault =
            FAULT(__asm__ volatile("call changing_code" ::"c"(0xc0000081), "a"(0), "d"(0)
                                   : "memory"));

        series_case(&s, fault->vector == NO_FAULT || fault->vector == 13 || fault->vector == 6,
                    "vector %ld", (long)fault->vector);
    }
    flicker_end(&f);
    series_end(&s);
    CHECK("system calls still enter where they did", xen_version(XENVER_version, NULL) > 0);
}
__asm__(".pushsection .data\n.balign 64\nchanging_code: rdmsr; ret; .zero 8\n.popsection");

static void strings_that_change(void) {
    static struct evtchn_status status;
    static struct flicker f;
    struct series s = {.name = "event channel arguments that change are one or the other"};

    f = (struct flicker){.at = (uint64_t *)&status,
                         .good = (uint64_t)1 << 32 | DOMID_SELF,
                         .bad = 0xfffffffffffffffful};
    status.dom = DOMID_SELF;
    flicker_begin(&f);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        long rc = event_channel_op(EVTCHNOP_status, &status);

        series_case(&s, rc == 0 || rc == -EINVAL || rc == -ESRCH, "%ld", rc);
    }
    flicker_end(&f);
    series_end(&s);
}

/* Grant entries and requests that change while they are used. */
static void grants_that_change(void) {
    static struct gnttab_map_grant_ref map;
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};
    uint64_t frame;
    void *page = page_alloc();
    struct grant_entry_v1 *table;
    struct series s = {.name =
                           "a grant that changes while it is mapped is mapped as one or the other"};
    union {
        struct grant_entry_v1 entry;
        uint64_t word;
    } good = {.entry = {.flags = GTF_permit_access, .domid = 0, .frame = (uint32_t)mfn_of(page)}},
      bad = {.entry = {.flags = GTF_permit_access,
                       .domid = 0,
                       .frame = (uint32_t)mfn_of((void *)start_info->pt_base)}};
    struct flicker f;

    setup.frame_list.va = ADDRESS(&frame);
    NEED(grant_table_op(GNTTABOP_setup_table, &setup, 1) == 0 && setup.status == GNTST_okay);
    NEED(window_map(50, frame << 12 | RW) == 0 && window_map(51, 0) == 0);
    table = (struct grant_entry_v1 *)window_va(50);
    f = (struct flicker){.at = (uint64_t *)&table[9], .good = good.word, .bad = bad.word};
    table[9] = good.entry;
    flicker_begin(&f);
    for (unsigned int i = 0; i < ROUNDS / 3; i++) {
        map = (struct gnttab_map_grant_ref){
            .host_addr = window_va(51), .flags = GNTMAP_host_map, .ref = 9, .dom = 0};
        NEED(grant_table_op(GNTTABOP_map_grant_ref, &map, 1) == 0);
        if (map.status != GNTST_okay)
            continue;
        series_case(&s, (window_pte(51) & PTE_ADDR) == mfn_of(page) << 12, "entry %#lx",
                    window_pte(51));
        struct gnttab_unmap_grant_ref unmap = {.host_addr = window_va(51), .handle = map.handle};
        NEED(grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1) == 0 && unmap.status == 0);
    }
    flicker_end(&f);
    series_end(&s);
    NEED(window_map(50, 0) == 0);
}

/* ---- translations --------------------------------------------------------------------------- */

static volatile uint64_t *far_va;
static volatile uint64_t far_vector, far_value;

static void far_read(void *unused) {
    (void)unused;
    const struct frame *f = FAULT(far_value = *far_va);
    far_vector = f->vector;
}

static void far_write(void *unused) {
    (void)unused;
    const struct frame *f = FAULT(*far_va = 0x666);
    far_vector = f->vector;
}

static uint64_t far(void (*how)(void *)) {
    smp_run(1, how, NULL);
    smp_wait(1);
    return far_vector;
}

static void translations(void) {
    static const struct {
        const char *name;
        unsigned int cmd, flags;
    } ways[] = {
        {"update_va_mapping, INVLPG of all", 0, UVMF_INVLPG | UVMF_ALL},
        {"update_va_mapping, TLB_FLUSH of all", 0, UVMF_TLB_FLUSH | UVMF_ALL},
        {"TLB_FLUSH_ALL", MMUEXT_TLB_FLUSH_ALL, 0},
        {"INVLPG_ALL", MMUEXT_INVLPG_ALL, 0},
        {"TLB_FLUSH_MULTI", MMUEXT_TLB_FLUSH_MULTI, 0},
        {"INVLPG_MULTI", MMUEXT_INVLPG_MULTI, 0},
    };
    uint64_t *one = page_alloc(), *two = page_alloc(), mask = 2;
    struct series s = {.name = "after a flush of all vcpus no old translation is used"};

    one[0] = 1;
    two[0] = 2;
    far_va = (uint64_t *)window_va(60);
    for (unsigned int round = 0; round < 20; round++) {
        for (unsigned int i = 0; i < ARRAY_LEN(ways); i++) {
            NEED(window_map(60, pte_for(one, RW)) == 0);
            series_case(&s, far(far_read) == NO_FAULT && far_value == 1, "%s: %lu before",
                        ways[i].name, far_value);
            NEED(update_va_mapping(window_va(60), pte_for(two, RW), ways[i].flags) == 0);
            if (ways[i].cmd)
                NEED(mmuext(ways[i].cmd, window_va(60), ADDRESS(&mask)) == 0);
            series_case(&s, far(far_read) == NO_FAULT && far_value == 2, "%s: %lu after",
                        ways[i].name, far_value);
        }
    }
    series_end(&s);

    struct series t = {.name =
                           "a page that became a table is out of the other vcpu's reach unflushed"};

    for (unsigned int round = 0; round < 20; round++) {
        memset(one, 0, PAGE_SIZE);
        NEED(page_protect(one, RO) == 0 && window_map(60, pte_for(one, RW)) == 0);
        series_case(&t, far(far_write) == NO_FAULT && one[0] == 0x666, "cannot be written before");
        one = va_of_mfn(mfn_of(one));
        NEED(far(far_read) == NO_FAULT);
        far_va[0] = 0;
        NEED(update_va_mapping(window_va(60), 0, UVMF_NONE) == 0);
        NEED(mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(one), 0) == 0);
        series_case(&t, far(far_write) == 14, "vector %ld", (long)far_vector);
        series_case(&t, one[0] == 0, "entry %#lx", one[0]);
        NEED(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(one), 0) == 0 && page_protect(one, RW) == 0);
    }
    series_end(&t);
    page_free(one);
    page_free(two);
}

/* ---- events between vcpus ------------------------------------------------------------------- */

static volatile unsigned int ipis;
static uint32_t ipi_port;

static void on_ipi(struct frame *f) {
    (void)f;
    vcpu_info(1)->evtchn_upcall_pending = 0;
    vcpu_info(1)->evtchn_pending_sel = 0;
    shared_info->evtchn_pending[ipi_port / 64] = 0;
    ipis++;
}

static void take_ipis(void *wanted) {
    struct cpu *cpu = this_cpu();

    cpu->handler[ENTRY_EVENT] = on_ipi;
    events_unmask();
    while (ipis < ADDRESS(wanted))
        (void)sched_op(SCHEDOP_block, NULL);
    vcpu_info(1)->evtchn_upcall_mask = 1;
}

static void interrupts_between_vcpus(void) {
    struct evtchn_bind_ipi bind = {.vcpu = 1}, nobody = {.vcpu = 77};
    struct evtchn_send send;
    uint64_t deadline = now_ns() + 5000000000ul;

    CHECK_EQ("no port for a vcpu that does not exist", -ENOENT,
             event_channel_op(EVTCHNOP_bind_ipi, &nobody));
    NEED(event_channel_op(EVTCHNOP_bind_ipi, &bind) == 0);
    ipi_port = send.port = bind.port;
    smp_run(1, take_ipis, (void *)50);
    for (unsigned int i = 0; i < 50; i++) {
        NEED(event_channel_op(EVTCHNOP_send, &send) == 0);
        while (ipis <= i && now_ns() < deadline)
            (void)sched_op(SCHEDOP_yield, NULL);
    }
    CHECK_EQ("fifty interrupts wake the other vcpu fifty times", 50, ipis);
    smp_wait(1);
}

/* ---- down and up again ---------------------------------------------------------------------- */

static volatile unsigned int woken;

static void go_down(void *unused) {
    (void)unused;
    (void)vcpu_op(VCPUOP_down, 1, NULL);
    woken++;
}

static void down_and_up(void) {
    smp_run(1, go_down, NULL);
    for (unsigned int i = 0; i < 1000000 && vcpu_op(VCPUOP_is_up, 1, NULL) == 1; i++)
        (void)sched_op(SCHEDOP_yield, NULL);
    CHECK_EQ("a vcpu that goes down is down", 0, vcpu_op(VCPUOP_is_up, 1, NULL));
    CHECK_EQ("and stands still", 0, woken);
    CHECK_EQ("until it is brought up", 0, vcpu_op(VCPUOP_up, 1, NULL));
    smp_wait(1);
    CHECK_EQ("and goes on where it was", 1, woken);
    CHECK_EQ("bringing up what is up does nothing", 0, vcpu_op(VCPUOP_up, 1, NULL));
}

void test_main(void) {
    (void)window_tables();
    NEED(vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables) == 0);
    contexts();
    first_steps();
    entries_that_change();
    one_use_at_a_time();
    contents_that_change();
    descriptors_that_change();
    code_that_changes();
    strings_that_change();
    grants_that_change();
    translations();
    interrupts_between_vcpus();
    down_and_up();
}
