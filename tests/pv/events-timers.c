/*
 * Event channels in both forms, timers, sleeping, and the areas where time is published.
 *
 * The ABI promises (abi/event_channel.h, sched.h, vcpu.h):
 *  - ports start at 1, the lowest free one comes first; an operation on a port that is not what it
 *    needs is refused; a closed port is free;
 *  - a send sets the port's bit once, the word's selector bit and the upcall flag, unless masked;
 *    unmask delivers what came meanwhile;
 *  - per-vcpu virqs and IPIs stay with their vcpu; global virqs have one holder;
 *  - block wakes on an event, poll on a port, also a masked one, or at its time;
 *  - a one-shot timer fires at its time, also when that is past; the periodic one repeats;
 *  - system time does not go back, and a second of it is a second;
 *  - FIFO: control block and array pages are checked; words tell the same as the bitmaps did.
 * Proof: each is done, and each refusal provoked.
 */
#include "lib/pv.h"

static bool pending(uint32_t port) {
    return __atomic_load_n(&shared_info->evtchn_pending[port / 64], __ATOMIC_SEQ_CST) >> port % 64 &
           1;
}

static void clear(uint32_t port) {
    __atomic_and_fetch(&shared_info->evtchn_pending[port / 64], ~(1ul << port % 64),
                       __ATOMIC_SEQ_CST);
    vcpu_info(0)->evtchn_pending_sel = 0;
    vcpu_info(0)->evtchn_upcall_pending = 0;
}

static void set_masked(uint32_t port, bool masked) {
    uint64_t bit = 1ul << port % 64;

    if (masked)
        __atomic_or_fetch(&shared_info->evtchn_mask[port / 64], bit, __ATOMIC_SEQ_CST);
    else
        __atomic_and_fetch(&shared_info->evtchn_mask[port / 64], ~bit, __ATOMIC_SEQ_CST);
}

static long port_op(unsigned int cmd, uint32_t port) {
    struct evtchn_send arg = {port};

    return event_channel_op(cmd, &arg);
}

static long bind_ipi(uint32_t vcpu, uint32_t *port) {
    struct evtchn_bind_ipi arg = {.vcpu = vcpu};
    long rc = event_channel_op(EVTCHNOP_bind_ipi, &arg);

    *port = arg.port;
    return rc;
}

static long bind_virq(uint32_t virq, uint32_t vcpu, uint32_t *port) {
    struct evtchn_bind_virq arg = {.virq = virq, .vcpu = vcpu};
    long rc = event_channel_op(EVTCHNOP_bind_virq, &arg);

    *port = arg.port;
    return rc;
}

static unsigned int status_of(uint32_t port) {
    struct evtchn_status arg = {.dom = DOMID_SELF, .port = port};

    return event_channel_op(EVTCHNOP_status, &arg) ? ~0u : arg.status;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static void ports(void) {
    struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    struct evtchn_bind_interdomain inter = {.remote_dom = DOMID_SELF};
    uint32_t one, two;

    CHECK_EQ("a port for an IPI can be had", 0, bind_ipi(0, &one));
    CHECK_EQ("the lowest free one", 0, bind_ipi(0, &two));
    CHECK_EQ("the next is the next", one + 1, two);
    CHECK_EQ("its status is ipi", EVTCHNSTAT_ipi, status_of(one));
    CHECK_EQ("it can be closed", 0, port_op(EVTCHNOP_close, one));
    CHECK_EQ("and is closed", EVTCHNSTAT_closed, status_of(one));
    CHECK_EQ("but not twice", -EINVAL, port_op(EVTCHNOP_close, one));
    CHECK_EQ("a port for somebody else to bind can be had", 0,
             event_channel_op(EVTCHNOP_alloc_unbound, &alloc));
    CHECK_EQ("it is the freed one", one, alloc.port);
    CHECK_EQ("its status is unbound", EVTCHNSTAT_unbound, status_of(one));
    inter.remote_port = alloc.port;
    CHECK_EQ("a domain may bind to itself", 0, event_channel_op(EVTCHNOP_bind_interdomain, &inter));
    CHECK("both ends are interdomain", status_of(one) == EVTCHNSTAT_interdomain &&
                                           status_of(inter.local_port) == EVTCHNSTAT_interdomain);
    clear(one);
    clear(inter.local_port);
    CHECK_EQ("a send on one end", 0, port_op(EVTCHNOP_send, inter.local_port));
    CHECK("is pending at the other", pending(one) && !pending(inter.local_port));
    CHECK_EQ("it cannot be bound again", -EINVAL,
             event_channel_op(EVTCHNOP_bind_interdomain, &inter));
    CHECK_EQ("closing one end", 0, port_op(EVTCHNOP_close, inter.local_port));
    CHECK_EQ("leaves the other unbound", EVTCHNSTAT_unbound, status_of(one));
    NEED(port_op(EVTCHNOP_close, one) == 0 && port_op(EVTCHNOP_close, two) == 0);
}

static void bad_ports(void) {
    static const uint32_t bad[] = {0,      500,        4095,       4096,      131071,
                                   131072, 0x7fffffff, 0x80000000, 0xffffffff};
    static const unsigned int ops[] = {EVTCHNOP_close, EVTCHNOP_send, EVTCHNOP_unmask};
    struct series s = {.name = "an operation on a port that is not open is refused"};

    for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
        struct evtchn_bind_vcpu move = {.port = bad[i], .vcpu = 0};
        struct evtchn_set_priority priority = {.port = bad[i], .priority = 3};

        for (unsigned int k = 0; k < ARRAY_LEN(ops); k++) {
            long rc = port_op(ops[k], bad[i]);

            series_case(&s, rc == -EINVAL || (rc == 0 && bad[i] < 4096 && ops[k] != EVTCHNOP_close),
                        "operation %u, port %#x: %ld", ops[k], bad[i], rc);
        }
        series_case(&s, event_channel_op(EVTCHNOP_bind_vcpu, &move) < 0, "bind_vcpu, port %#x",
                    bad[i]);
        series_case(&s, event_channel_op(EVTCHNOP_set_priority, &priority) < 0,
                    "set_priority, port %#x", bad[i]);
    }
    series_end(&s);

    struct evtchn_alloc_unbound alloc = {.dom = 5, .remote_dom = DOMID_SELF};
    struct evtchn_bind_interdomain inter = {.remote_dom = 5, .remote_port = 1};
    struct evtchn_status status = {.dom = 5, .port = 1};
    struct evtchn_reset reset = {.dom = 5};

    CHECK_EQ("no port in a domain that does not exist", -ESRCH,
             event_channel_op(EVTCHNOP_alloc_unbound, &alloc));
    CHECK_EQ("and none to it", -ESRCH, event_channel_op(EVTCHNOP_bind_interdomain, &inter));
    CHECK_EQ("and no status of it", -ESRCH, event_channel_op(EVTCHNOP_status, &status));
    CHECK_EQ("nor a reset", -ESRCH, event_channel_op(EVTCHNOP_reset, &reset));
    CHECK_EQ("an unknown operation is -ENOSYS", -ENOSYS, event_channel_op(99, &alloc));
}

static void virqs(void) {
    uint32_t port, other;

    CHECK_EQ("the timer can be bound", 0, bind_virq(VIRQ_TIMER, 0, &port));
    CHECK_EQ("its status is virq", EVTCHNSTAT_virq, status_of(port));
    CHECK_EQ("but once", -EEXIST, bind_virq(VIRQ_TIMER, 0, &other));
    CHECK_EQ("a virq cannot be sent by the guest", -EINVAL, port_op(EVTCHNOP_send, port));
    struct evtchn_bind_vcpu move = {.port = port, .vcpu = 0};
    CHECK("a per-vcpu virq stays with its vcpu",
          event_channel_op(EVTCHNOP_bind_vcpu, &move) == -EINVAL);
    CHECK("no timer of a vcpu that does not exist", bind_virq(VIRQ_TIMER, 99, &other) < 0);
    CHECK("there are 24 virqs",
          bind_virq(NR_VIRQS, 0, &other) == -EINVAL && bind_virq(~0u, 0, &other) == -EINVAL);
    NEED(port_op(EVTCHNOP_close, port) == 0);
    CHECK_EQ("a global virq can be bound", 0, bind_virq(VIRQ_DOM_EXC, 0, &port));
    CHECK_EQ("but once", -EEXIST, bind_virq(VIRQ_DOM_EXC, 0, &other));
    NEED(port_op(EVTCHNOP_close, port) == 0);
    struct evtchn_bind_pirq pirq = {.pirq = ~0u};
    CHECK("there is no interrupt 2^32 - 1", event_channel_op(EVTCHNOP_bind_pirq, &pirq) < 0);
    CHECK("an IPI for a vcpu that does not exist is -ENOENT",
          bind_ipi(99, &port) == -ENOENT && bind_ipi(~0u, &port) == -ENOENT);
}

static void bits(void) {
    uint32_t port;

    NEED(bind_ipi(0, &port) == 0);
    clear(port);
    set_masked(port, true);
    NEED(port_op(EVTCHNOP_send, port) == 0);
    CHECK("a masked port becomes pending, nothing more",
          pending(port) && !vcpu_info(0)->evtchn_upcall_pending);
    CHECK_EQ("unmask", 0, port_op(EVTCHNOP_unmask, port));
    CHECK("clears the mask and says that it is pending",
          !(shared_info->evtchn_mask[port / 64] >> port % 64 & 1) &&
              vcpu_info(0)->evtchn_upcall_pending &&
              (vcpu_info(0)->evtchn_pending_sel >> port / 64 & 1));
    clear(port);
    NEED(port_op(EVTCHNOP_send, port) == 0);
    CHECK("an open port becomes pending with selector and upcall",
          pending(port) && vcpu_info(0)->evtchn_upcall_pending &&
              (vcpu_info(0)->evtchn_pending_sel >> port / 64 & 1));
    vcpu_info(0)->evtchn_pending_sel = 0;
    vcpu_info(0)->evtchn_upcall_pending = 0;
    NEED(port_op(EVTCHNOP_send, port) == 0);
    CHECK("a pending port is not told again", !vcpu_info(0)->evtchn_upcall_pending);
    clear(port);
    NEED(port_op(EVTCHNOP_close, port) == 0);
}

/* Every port there is: the number the ABI gives, then -ENOSPC, and all can be closed. */
static void all_ports(void) {
    uint32_t port, last = 0, n = 0;
    long rc;
    unsigned int bad = 0;

    while ((rc = bind_ipi(0, &port)) == 0 && n < 5000) {
        n++;
        last = port;
    }
    report(rc == -ENOSPC || rc == -ENOMEM, "ports run out in order", "%u ports, then %ld", n, rc);
    report(last < EVTCHN_2L_NR_CHANNELS, "below the end of the bitmap", "port %u", last);
    for (port = 1; port <= last; port++)
        bad += port_op(EVTCHNOP_close, port) != 0;
    CHECK_EQ("and all can be closed", 0, bad);
}

/* ---- sleeping and timers -------------------------------------------------------------------- */

static uint32_t timer_port;

static long one_shot(uint64_t at, uint32_t flags) {
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = at, .flags = flags};

    return vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

static bool wait_for_timer(uint64_t ns) {
    uint64_t end = now_ns() + ns;

    while (!pending(timer_port) && now_ns() < end)
        __asm__ volatile("pause");
    return pending(timer_port);
}

static unsigned int timer_upcalls;

static void on_event(struct frame *f) {
    (void)f;
    timer_upcalls++;
    clear(timer_port);
}

#define MS 1000000ul

static void timers(void) {
    struct vcpu_set_periodic_timer period = {.period_ns = 2 * MS};
    uint64_t start, took;

    NEED(bind_virq(VIRQ_TIMER, 0, &timer_port) == 0);
    clear(timer_port);
    set_masked(timer_port, true);
    CHECK_EQ("the periodic timer can be stopped", 0, vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL));
    (void)wait_for_timer(20 * MS);
    clear(timer_port);
    CHECK("then no timer fires", !wait_for_timer(20 * MS));
    CHECK_EQ("a time in the past is taken", 0, one_shot(1, 0));
    CHECK("and fires at once", wait_for_timer(1000 * MS));
    clear(timer_port);
    start = now_ns();
    CHECK_EQ("a time in the future is taken", 0, one_shot(start + 5 * MS, 0));
    CHECK("and fires", wait_for_timer(1000 * MS));
    took = now_ns() - start;
    report(took >= 4900000, "not before its time", "after %lu ns", took);
    clear(timer_port);
    NEED(one_shot(now_ns() + 5 * MS, 0) == 0);
    CHECK_EQ("it can be stopped", 0, vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL));
    CHECK("and then does not fire", !wait_for_timer(20 * MS));
    CHECK_EQ("a time at the end of all is taken", 0, one_shot(~0ul >> 1, 0));
    long rc = one_shot(~0ul, 0);
    CHECK("and one beyond is answered", rc == 0 || rc == -EINVAL);
    NEED(vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL) == 0);
    clear(timer_port);
    CHECK_EQ("the older call works too", 0,
             hypercall(__HYPERVISOR_set_timer_op, now_ns() + 2 * MS, 0, 0, 0, 0));
    CHECK("and fires", wait_for_timer(1000 * MS));
    clear(timer_port);
    CHECK_EQ("and is stopped by zero", 0, hypercall(__HYPERVISOR_set_timer_op, 0, 0, 0, 0, 0));
    CHECK_EQ("a period of two milliseconds is taken", 0,
             vcpu_op(VCPUOP_set_periodic_timer, 0, &period));
    bool first = wait_for_timer(1000 * MS);
    clear(timer_port);
    CHECK("and repeats", first && wait_for_timer(1000 * MS));
    period.period_ns = 1;
    CHECK_EQ("a period of a nanosecond is -EINVAL", -EINVAL,
             vcpu_op(VCPUOP_set_periodic_timer, 0, &period));
    period.period_ns = ~0ul;
    rc = vcpu_op(VCPUOP_set_periodic_timer, 0, &period);
    CHECK("and one of six hundred years is answered", rc == 0 || rc == -EINVAL);
    NEED(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL) == 0);
    struct vcpu_set_singleshot_timer t = {.timeout_abs_ns = 1};
    CHECK("another vcpu's timer cannot be set",
          vcpu_op(VCPUOP_set_singleshot_timer, 77, &t) < 0 &&
              vcpu_op(VCPUOP_stop_singleshot_timer, 77, NULL) < 0);
    (void)wait_for_timer(2 * MS);
    clear(timer_port);
}

static void sleeping(void) {
    struct sched_poll poll = {.nr_ports = 1};
    uint32_t list[2] = {timer_port, 0};
    uint64_t start, took;

    NEED(callback_register(CALLBACKTYPE_event, event_entry, CALLBACKF_mask_events) == 0);
    this_cpu()->handler[ENTRY_EVENT] = on_event;
    set_masked(timer_port, false);
    events_mask();
    start = now_ns();
    NEED(one_shot(start + 5 * MS, 0) == 0);
    CHECK_EQ("block returns when the timer fires", 0, sched_op(SCHEDOP_block, NULL));
    took = now_ns() - start;
    report(took >= 4900000 && timer_upcalls == 1,
           "having unmasked, by an upcall, not before its time", "after %lu ns, %u upcalls", took,
           timer_upcalls);
    CHECK_EQ("and events stay unmasked", 0, vcpu_info(0)->evtchn_upcall_mask);
    events_mask();
    vcpu_info(0)->evtchn_upcall_pending = 1;
    CHECK_EQ("block with an event pending returns at once", 0, sched_op(SCHEDOP_block, NULL));
    events_mask();
    set_masked(timer_port, true);
    clear(timer_port);
    poll.ports.va = ADDRESS(list);
    start = now_ns();
    NEED(one_shot(start + 5 * MS, 0) == 0);
    CHECK_EQ("poll returns when its port is pending, though masked", 0,
             sched_op(SCHEDOP_poll, &poll));
    CHECK("not before", pending(timer_port) && now_ns() - start >= 4900000);
    CHECK_EQ("and at once when it already is", 0, sched_op(SCHEDOP_poll, &poll));
    clear(timer_port);
    start = now_ns();
    poll.timeout = start + 5 * MS;
    CHECK_EQ("poll returns at its time", 0, sched_op(SCHEDOP_poll, &poll));
    CHECK("not before", !pending(timer_port) && now_ns() - start >= 4900000);
    poll.timeout = 1;
    CHECK_EQ("or at once if that is past", 0, sched_op(SCHEDOP_poll, &poll));
    poll.nr_ports = 129;
    CHECK_EQ("129 ports are too many", -EINVAL, sched_op(SCHEDOP_poll, &poll));
    poll.nr_ports = ~0u;
    CHECK_EQ("so are all", -EINVAL, sched_op(SCHEDOP_poll, &poll));
    poll.nr_ports = 1;
    list[0] = 131072;
    CHECK_EQ("a port that cannot be is -EINVAL", -EINVAL, sched_op(SCHEDOP_poll, &poll));
    poll.ports.va = window_va(100);
    CHECK_EQ("a list that cannot be read is -EFAULT", -EFAULT, sched_op(SCHEDOP_poll, &poll));
    poll.ports.va = 0xffff830000000000;
    CHECK_EQ("and so one in the hypervisor", -EFAULT, sched_op(SCHEDOP_poll, &poll));
    CHECK_EQ("yield is fine", 0, sched_op(SCHEDOP_yield, NULL));
    struct sched_watchdog dog = {.id = 77, .timeout = 100};
    CHECK_EQ("there is no watchdog 77", -EINVAL, sched_op(SCHEDOP_watchdog, &dog));
    dog.id = 0;
    long id = sched_op(SCHEDOP_watchdog, &dog);
    CHECK("a watchdog can be had", id > 0);
    dog = (struct sched_watchdog){.id = (uint32_t)id, .timeout = 0};
    CHECK_EQ("and stopped", 0, sched_op(SCHEDOP_watchdog, &dog));
    NEED(port_op(EVTCHNOP_close, timer_port) == 0);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void time_goes_on(void) {
    const volatile struct vcpu_time_info *t = &vcpu_info(0)->time;
    struct series s = {.name = "system time does not go back"};
    uint64_t last = now_ns(), end = last + 50 * MS;

    while (last < end) {
        uint64_t now = now_ns();

        series_case(&s, now >= last, "from %lu to %lu", last, now);
        last = now;
    }
    series_end(&s);
    CHECK_EQ("the time line is not half written when we look", 0, t->version & 1);
}

/* Areas: run state and time, where the guest says. */
static void areas(void) {
    static struct vcpu_runstate_info run;
    static struct vcpu_time_info line;
    struct vcpu_register_runstate_memory_area area = {.addr.h.va = ADDRESS(&run)};
    struct vcpu_register_time_memory_area time_area = {.addr.h.va = ADDRESS(&line)};
    struct vcpu_runstate_info now;
    struct series s = {.name = "an area at a bad address is refused, or nothing is written there"};
    static const uint64_t bad[] = {
        0x0000800000000000, 0xffff830000000000, MACH2PHYS_VIRT_START, ~0ul, 0xffff888000000000, 1};

    CHECK_EQ("a run state area is taken", 0,
             vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area));
    CHECK("and says that we run", run.state == RUNSTATE_running && run.state_entry_time != 0);
    CHECK_EQ("the same can be asked for", 0, vcpu_op(VCPUOP_get_runstate_info, 0, &now));
    CHECK("and is the same", now.state == RUNSTATE_running &&
                                 now.time[RUNSTATE_running] >= run.time[RUNSTATE_running]);
    (void)vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag);
    struct sched_poll poll = {.timeout = now_ns() + 3 * MS};
    (void)sched_op(SCHEDOP_poll, &poll);
    CHECK("having slept, it shows as blocked time", run.time[RUNSTATE_blocked] >= 2 * MS);
    CHECK("and is not left as being written", !(run.state_entry_time & XEN_RUNSTATE_UPDATE));
    for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
        area.addr.h.va = time_area.addr.h.va = bad[i];
        (void)vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
        (void)vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time_area);
        poll.timeout = now_ns() + MS;
        series_case(&s, sched_op(SCHEDOP_poll, &poll) == 0, "%#lx", bad[i]);
    }
    /* in a table: an area there must not be written */
    uint64_t before = ((volatile uint64_t *)start_info->pt_base)[300];
    area.addr.h.va = time_area.addr.h.va = start_info->pt_base + 300 * 8;
    (void)vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    (void)vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time_area);
    poll.timeout = now_ns() + MS;
    (void)sched_op(SCHEDOP_poll, &poll);
    series_case(&s, ((volatile uint64_t *)start_info->pt_base)[300] == before, "in a page table");
    series_end(&s);
    area.addr.h.va = 0;
    time_area.addr.h.va = ADDRESS(&line);
    (void)vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    CHECK_EQ("a time area is taken", 0,
             vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time_area));
    CHECK("and has the time line", line.tsc_to_system_mul == vcpu_info(0)->time.tsc_to_system_mul);
    time_area.addr.h.va = 0;
    CHECK_EQ("and can be taken back", 0,
             vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &time_area));
}

/* ---- the FIFO form -------------------------------------------------------------------------- */

static void fifo(void) {
    void *control = page_alloc(), *array = page_alloc(), *more = page_alloc();
    struct evtchn_init_control init = {.control_gfn = mfn_of(control), .offset = 0, .vcpu = 0};
    struct evtchn_expand_array expand = {.array_gfn = mfn_of(array)};
    struct evtchn_fifo_control_block *block = control;
    volatile event_word_t *word = array;
    struct evtchn_init_control bad;
    uint32_t port;

    CHECK("there is no array before there is a control block",
          event_channel_op(EVTCHNOP_expand_array, &expand) < 0);
    struct series s = {.name = "a control block where it may not be is refused"};
#define BAD(what, assignment)                                                                      \
    bad = init;                                                                                    \
    assignment;                                                                                    \
    series_case(&s, event_channel_op(EVTCHNOP_init_control, &bad) < 0, what)
    BAD("no frame of ours", bad.control_gfn = 0x100);
    BAD("no frame", bad.control_gfn = ~0ul);
    BAD("a page table", bad.control_gfn = mfn_of((void *)start_info->pt_base));
    BAD("out of the page", bad.offset = PAGE_SIZE - 8);
    BAD("far out of the page", bad.offset = ~7u);
    BAD("not aligned", bad.offset = 4);
    BAD("no such vcpu", bad.vcpu = 99);
    series_end(&s);
    CHECK_EQ("a control block is taken", 0, event_channel_op(EVTCHNOP_init_control, &init));
    CHECK_EQ("and has 17 bits of link", EVTCHN_FIFO_LINK_BITS, init.link_bits);
    CHECK("but once", event_channel_op(EVTCHNOP_init_control, &init) < 0);
    CHECK("the page is no table while it is one",
          page_protect(control, RO) == 0 && mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(control), 0) < 0);
    NEED(page_protect(control, RW) == 0);
    expand.array_gfn = 0x100;
    CHECK("an array page that is not ours is refused",
          event_channel_op(EVTCHNOP_expand_array, &expand) < 0);
    expand.array_gfn = mfn_of((void *)start_info->pt_base);
    CHECK("nor a page table", event_channel_op(EVTCHNOP_expand_array, &expand) < 0);
    long rc = bind_ipi(0, &port);
    CHECK("before there is an array a port may be refused", rc == 0 || rc == -ENOSPC);
    if (rc == 0)
        NEED(port_op(EVTCHNOP_close, port) == 0);
    expand.array_gfn = mfn_of(array);
    CHECK_EQ("an array page is taken", 0, event_channel_op(EVTCHNOP_expand_array, &expand));
    for (unsigned int i = 0; i < 1024; i++)
        word[i] = 0;
    NEED(bind_ipi(0, &port) == 0);
    struct evtchn_set_priority priority = {.port = port, .priority = 3};
    CHECK_EQ("a priority is taken", 0, event_channel_op(EVTCHNOP_set_priority, &priority));
    priority.priority = 16;
    CHECK("but none above 15", event_channel_op(EVTCHNOP_set_priority, &priority) < 0);
    vcpu_info(0)->evtchn_upcall_pending = 0;
    CHECK_EQ("a send", 0, port_op(EVTCHNOP_send, port));
    CHECK("sets and links the word",
          (word[port] >> EVTCHN_FIFO_PENDING & 1) && (word[port] >> EVTCHN_FIFO_LINKED & 1));
    CHECK("heads its priority's queue with the port, and says so",
          block->head[3] == port && (block->ready >> 3 & 1) && vcpu_info(0)->evtchn_upcall_pending);
    /* what a hostile guest makes of the words and heads is its own loss */
    struct series odd = {.name = "words and heads full of nonsense stop nothing but themselves"};

    for (unsigned int i = 0; i < 40; i++) {
        uint32_t nonsense = i < 32 ? 1u << i : ~0u >> (i - 32);

        for (unsigned int k = 0; k < 1024; k++)
            word[k] = nonsense;
        memset(control, (int)i * 37, PAGE_SIZE);
        for (unsigned int k = 0; k < 4; k++) {
            rc = port_op(EVTCHNOP_send, port);
            series_case(&odd, rc == 0, "word %#x: send %ld", nonsense, rc);
            rc = port_op(EVTCHNOP_unmask, port);
            series_case(&odd, rc == 0, "word %#x: unmask %ld", nonsense, rc);
        }
    }
    series_end(&odd);
    unsigned int pages = 1;
    expand.array_gfn = mfn_of(more);
    while (pages < 200 && event_channel_op(EVTCHNOP_expand_array, &expand) == 0)
        pages++;
    report(pages <= 128, "the array has an end", "%u pages", pages);
    struct evtchn_reset reset = {.dom = DOMID_SELF};
    CHECK_EQ("reset closes everything", 0, event_channel_op(EVTCHNOP_reset, &reset));
    CHECK_EQ("every port", EVTCHNSTAT_closed, status_of(port));
    memset(array, 0, PAGE_SIZE);
    memset(control, 0, PAGE_SIZE);
    memset((void *)more, 0, PAGE_SIZE);
    NEED(page_protect(array, RO) == 0 && page_protect(control, RO) == 0 &&
         page_protect(more, RO) == 0);
    CHECK("and lets go of the pages: they can be tables",
          mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(array), 0) == 0 &&
              mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(control), 0) == 0 &&
              mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(more), 0) == 0);
    NEED(bind_ipi(0, &port) == 0 && port_op(EVTCHNOP_send, port) == 0);
    CHECK("and goes back to the bitmap", pending(port));
}

/* ---- vcpu_info elsewhere, last because it cannot be taken back ------------------------------ */

static void vcpu_info_elsewhere(void) {
    void *page = page_alloc();
    struct vcpu_register_vcpu_info place = {.mfn = mfn_of(page), .offset = 128}, bad;
    struct series s = {.name = "a vcpu_info where it may not be is refused"};
    uint32_t port;

#undef BAD
#define BAD(what, assignment)                                                                      \
    bad = place;                                                                                   \
    assignment;                                                                                    \
    series_case(&s, vcpu_op(VCPUOP_register_vcpu_info, 0, &bad) < 0, what)
    BAD("no frame of ours", bad.mfn = 0x100);
    BAD("no frame", bad.mfn = ~0ul);
    BAD("a page table", bad.mfn = mfn_of((void *)start_info->pt_base));
    BAD("out of the page", bad.offset = PAGE_SIZE - 32);
    BAD("far out of the page", bad.offset = ~7u);
    series_end(&s);
    NEED(bind_ipi(0, &port) == 0 && port_op(EVTCHNOP_send, port) == 0);
    CHECK_EQ("a place is taken", 0, vcpu_op(VCPUOP_register_vcpu_info, 0, &place));
    struct vcpu_info *info = (struct vcpu_info *)((char *)page + 128);
    CHECK("what was pending is pending there", info->evtchn_upcall_pending);
    CHECK("but once", vcpu_op(VCPUOP_register_vcpu_info, 0, &place) < 0);
    (void)FAULT((void)*(volatile char *)window_va(100));
    CHECK_EQ("faults are told there", window_va(100), info->arch.cr2);
    CHECK("time is told there", info->time.tsc_to_system_mul != 0);
    CHECK("and the page is no table",
          page_protect(page, RO) == 0 && mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0);
}

void test_main(void) {
    memset((void *)shared_info->evtchn_mask, 0, sizeof(shared_info->evtchn_mask));
    NEED(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL) == 0);
    ports();
    bad_ports();
    virqs();
    bits();
    all_ports();
    timers();
    sleeping();
    time_goes_on();
    areas();
    fifo();
    vcpu_info_elsewhere();
}
