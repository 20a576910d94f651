/*
 * Every hypercall number, every sub-operation, every kind of pointer and count.
 *
 * The ABI promises (public headers; abi: syscall with the number in rax):
 *  - a number that names no hypercall gives -ENOSYS, all 64 bits of it counting;
 *  - rax holds the result, rcx and r11 are lost, all other registers and the flags stay;
 *  - an argument that cannot be read or written, because it is not mapped, not canonical, the
 *    hypervisor's, read-only or crosses into such a page, gives -EFAULT; what came before the bad
 *    element of a list has been done and is counted;
 *  - anything else that is wrong gives an error between -1 and -4095.
 * Proof: the calls are made with each of these; that the last line of this guest appears shows that
 * neither the hypervisor nor the guest's own state took harm.
 * Left out, because they do what they say with any argument: iret (exceptions.c), SCHEDOP_block and
 * SCHEDOP_poll (events-timers.c), the shutdowns, the watchdog, VCPUOP_down of oneself, kexec's
 * exec.
 */
#include "lib/pv.h"

#define IS_RESULT(rc) ((rc) >= -4095)

/* Window pages 0 and 1 are memory, 2 is a hole, 3 is memory that can only be read. */
static void *memory, *readable;

static void map_windows(void) {
    memory = page_alloc();
    readable = page_alloc();
    NEED(window_map(0, pte_for(memory, RW)) == 0);
    NEED(window_map(1, pte_for(memory, RW)) == 0);
    NEED(window_map(3, pte_for(readable, RO)) == 0);
}

struct pointer {
    const char *name;
    uint64_t at;
};
#define BAD_POINTERS 13
static struct pointer bad[BAD_POINTERS] = {
    {"NULL", 0},
    {"unmapped low", 0x10000},
    {"the last bytes of the low half", 0x00007ffffffffffd},
    {"the first non-canonical", 0x0000800000000000},
    {"the middle non-canonical", 0x8000000000000000},
    {"the last non-canonical", 0xffff7ffffffffffc},
    {"the M2P", MACH2PHYS_VIRT_START},
    {"inside the hole", 0xffff830000000000},
    {"the hole's last bytes", HYPERVISOR_VIRT_END - 4},
    {"unmapped high", 0xffff888000000000},
    {"the last byte of all", ~0ul},
    {"an unmapped page", 0}, /* the last two: filled in below */
    {"across into an unmapped page", 0},
};

/* ---- numbers and registers ------------------------------------------------------------------ */

static void unknown_numbers(void) {
    static const uint64_t far[] = {64,
                                   255,
                                   256,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   1ul << 32 | __HYPERVISOR_xen_version,
                                   1ul << 63 | __HYPERVISOR_xen_version,
                                   ~0ul,
                                   -(uint64_t)4095};
    static const unsigned char holes[] = {11, 43, 44, 45, 46, 47, 50, 51, 52, 53, 54, 55, 56, 63};
    struct series s = {.name = "a number without a hypercall gives -ENOSYS"};
    long rc;

    for (unsigned int i = 0; i < ARRAY_LEN(far); i++) {
        rc = hypercall(far[i], far[i], far[i], far[i], far[i], far[i]);
        series_case(&s, rc == -ENOSYS, "number %#lx gave %ld", far[i], rc);
    }
    for (unsigned int i = 0; i < ARRAY_LEN(holes); i++) {
        rc = hypercall(holes[i], 0, 0, 0, 0, 0);
        series_case(&s, rc == -ENOSYS, "number %u gave %ld", holes[i], rc);
    }
    series_end(&s);
}

#define RFLAGS_ODD 0x2406d7 /* ID, AC, DF, OF clear, SF, ZF, AF, PF, CF and IF */

static void registers_stay(void) {
    static uint64_t out[16];
    uint64_t flags = 0;

    __asm__ volatile("push %%rbp; push %%rbx\n"
                     "mov $0x1111, %%ebx; mov $0x2222, %%ebp; mov $0x3333, %%r12d\n"
                     "mov $0x4444, %%r13d; mov $0x5555, %%r14d; mov $0x6666, %%r15d\n"
                     "xor %%edi, %%edi; mov $0, %%esi; mov $0x7777, %%edx; mov $0x8888, %%r10d\n"
                     "mov $0x9999, %%r8d; mov $0xaaaa, %%r9d\n"
                     "push %2; popf\n"
                     "mov %3, %%eax; syscall\n"
                     "pushf; pop %%rcx; cld\n"
                     "push $0x202; popf\n"
                     "mov %%rbx, out0(%%rip); mov %%rbp, out0+8(%%rip); mov %%r12, out0+16(%%rip)\n"
                     "mov %%r13, out0+24(%%rip); mov %%r14, out0+32(%%rip)\n"
                     "mov %%r15, out0+40(%%rip); mov %%rdi, out0+48(%%rip)\n"
                     "mov %%rsi, out0+56(%%rip); mov %%rdx, out0+64(%%rip)\n"
                     "mov %%r10, out0+72(%%rip); mov %%r8, out0+80(%%rip)\n"
                     "mov %%r9, out0+88(%%rip); mov %%rax, out0+96(%%rip)\n"
                     "pop %%rbx; pop %%rbp\n"
                     ".pushsection .bss; .balign 8; out0: .zero 128; .popsection\n"
                     "lea out0(%%rip), %%rsi; mov %1, %%rdi; push %%rcx; mov $13, %%ecx\n"
                     "rep movsq; pop %%rcx; mov %%rcx, %0"
                     : "+m"(flags)
                     : "r"(&out[0]), "i"(RFLAGS_ODD), "i"(__HYPERVISOR_xen_version)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "memory", "cc");
    static const uint64_t wanted[] = {0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666,
                                      0,      0,      0x7777, 0x8888, 0x9999, 0xaaaa};
    struct series s = {.name = "a hypercall keeps every register but rax, rcx and r11"};

    for (unsigned int i = 0; i < ARRAY_LEN(wanted); i++)
        series_case(&s, out[i] == wanted[i], "register %u: wanted %#lx, got %#lx", i, wanted[i],
                    out[i]);
    series_end(&s);
    CHECK("xen_version gives 4.17 or later", out[12] >= (4 << 16 | 17) && out[12] < 5 << 16);
    CHECK_EQ("a hypercall keeps the flags", RFLAGS_ODD, flags);
}

/* ---- every number with every pointer as every argument -------------------------------------- */

static void restore_state(void) {
    traps_init();
    NEED(fpu_taskswitch(false) == 0);
    NEED(stack_switch(FLAT_KERNEL_SS, ADDRESS(this_cpu()) + CPU_ENTRY_STACK) == 0);
    NEED(callback_register(CALLBACKTYPE_event, event_entry, CALLBACKF_mask_events) == 0);
    NEED(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL) == 0);
    events_mask();
}

static void all_bad_everywhere(void) {
    struct series s = {.name = "any number with any bad pointer everywhere gives a result"};

    for (unsigned int nr = 0; nr < 64; nr++) {
        for (unsigned int p = 0; p < BAD_POINTERS; p++) {
            uint64_t a = bad[p].at;
            long rc;

            if (nr == __HYPERVISOR_iret)
                continue;
            rc = hypercall(nr, a, a, a, a, a);
            series_case(&s, IS_RESULT(rc) || nr == __HYPERVISOR_get_debugreg, "number %u, %s: %#lx",
                        nr, bad[p].name, rc);
        }
    }
    series_end(&s);
    restore_state();
}

/* ---- one bad pointer, the rest in order ----------------------------------------------------- */

#define P 0xbadbadbadul /* stands for the pointer in the table below */
static const struct pointer_case {
    const char *name;
    unsigned char nr;
    bool null_is_fine, writes; /* writes: read-only memory is bad as well */
    uint64_t arg[4];
} pointer_cases[] = {
    {"set_trap_table", __HYPERVISOR_set_trap_table, true, false, {P}},
    {"mmu_update", __HYPERVISOR_mmu_update, false, false, {P, 1, 0, DOMID_SELF}},
    {"set_gdt", __HYPERVISOR_set_gdt, false, false, {P, 16}},
    {"platform_op", __HYPERVISOR_platform_op, false, false, {P}},
    {"increase_reservation",
     __HYPERVISOR_memory_op,
     false,
     false,
     {XENMEM_increase_reservation, P}},
    {"decrease_reservation",
     __HYPERVISOR_memory_op,
     false,
     false,
     {XENMEM_decrease_reservation, P}},
    {"current_reservation", __HYPERVISOR_memory_op, false, false, {XENMEM_current_reservation, P}},
    {"machphys_mfn_list", __HYPERVISOR_memory_op, false, false, {XENMEM_machphys_mfn_list, P}},
    {"populate_physmap", __HYPERVISOR_memory_op, false, false, {XENMEM_populate_physmap, P}},
    {"machine_memory_map", __HYPERVISOR_memory_op, false, false, {XENMEM_machine_memory_map, P}},
    {"exchange", __HYPERVISOR_memory_op, false, false, {XENMEM_exchange, P}},
    {"machphys_mapping", __HYPERVISOR_memory_op, false, true, {XENMEM_machphys_mapping, P}},
    {"maximum_gpfn", __HYPERVISOR_memory_op, false, false, {XENMEM_maximum_gpfn, P}},
    {"acquire_resource", __HYPERVISOR_memory_op, false, false, {XENMEM_acquire_resource, P}},
    {"multicall", __HYPERVISOR_multicall, false, true, {P, 1}},
    {"extraversion", __HYPERVISOR_xen_version, false, true, {XENVER_extraversion, P}},
    {"compile_info", __HYPERVISOR_xen_version, false, true, {XENVER_compile_info, P}},
    {"capabilities", __HYPERVISOR_xen_version, false, true, {XENVER_capabilities, P}},
    {"changeset", __HYPERVISOR_xen_version, false, true, {XENVER_changeset, P}},
    {"platform_parameters", __HYPERVISOR_xen_version, false, true, {XENVER_platform_parameters, P}},
    {"get_features", __HYPERVISOR_xen_version, false, false, {XENVER_get_features, P}},
    {"guest_handle", __HYPERVISOR_xen_version, false, true, {XENVER_guest_handle, P}},
    {"commandline", __HYPERVISOR_xen_version, false, true, {XENVER_commandline, P}},
    {"console_io write", __HYPERVISOR_console_io, false, false, {CONSOLEIO_write, 8, P}},
    {"map_grant_ref", __HYPERVISOR_grant_table_op, false, true, {GNTTABOP_map_grant_ref, P, 1}},
    {"unmap_grant_ref", __HYPERVISOR_grant_table_op, false, true, {GNTTABOP_unmap_grant_ref, P, 1}},
    {"setup_table", __HYPERVISOR_grant_table_op, false, true, {GNTTABOP_setup_table, P, 1}},
    {"copy", __HYPERVISOR_grant_table_op, false, true, {GNTTABOP_copy, P, 1}},
    {"query_size", __HYPERVISOR_grant_table_op, false, true, {GNTTABOP_query_size, P, 1}},
    {"set_version", __HYPERVISOR_grant_table_op, false, false, {GNTTABOP_set_version, P, 1}},
    {"get_runstate_info", __HYPERVISOR_vcpu_op, false, true, {VCPUOP_get_runstate_info, 0, P}},
    {"set_periodic_timer", __HYPERVISOR_vcpu_op, false, false, {VCPUOP_set_periodic_timer, 0, P}},
    {"set_singleshot_timer",
     __HYPERVISOR_vcpu_op,
     false,
     false,
     {VCPUOP_set_singleshot_timer, 0, P}},
    {"register_vcpu_info", __HYPERVISOR_vcpu_op, false, false, {VCPUOP_register_vcpu_info, 0, P}},
    {"mmuext_op", __HYPERVISOR_mmuext_op, false, false, {P, 1, 0, DOMID_SELF}},
    {"sched_op shutdown", __HYPERVISOR_sched_op, false, false, {SCHEDOP_shutdown, P}},
    {"sched_op poll", __HYPERVISOR_sched_op, false, false, {SCHEDOP_poll, P}},
    {"sched_op remote_shutdown", __HYPERVISOR_sched_op, false, false, {SCHEDOP_remote_shutdown, P}},
    {"sched_op watchdog", __HYPERVISOR_sched_op, false, false, {SCHEDOP_watchdog, P}},
    {"callback_op register", __HYPERVISOR_callback_op, false, false, {CALLBACKOP_register, P}},
    {"callback_op unregister", __HYPERVISOR_callback_op, false, false, {CALLBACKOP_unregister, P}},
    {"bind_interdomain",
     __HYPERVISOR_event_channel_op,
     false,
     false,
     {EVTCHNOP_bind_interdomain, P}},
    {"bind_virq", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_bind_virq, P}},
    {"bind_pirq", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_bind_pirq, P}},
    {"close", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_close, P}},
    {"send", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_send, P}},
    {"status", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_status, P}},
    {"alloc_unbound", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_alloc_unbound, P}},
    {"bind_ipi", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_bind_ipi, P}},
    {"bind_vcpu", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_bind_vcpu, P}},
    {"unmask", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_unmask, P}},
    {"reset", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_reset, P}},
    {"init_control", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_init_control, P}},
    {"expand_array", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_expand_array, P}},
    {"set_priority", __HYPERVISOR_event_channel_op, false, false, {EVTCHNOP_set_priority, P}},
    {"physdev eoi", __HYPERVISOR_physdev_op, false, false, {PHYSDEVOP_eoi, P}},
    {"physdev irq_status_query",
     __HYPERVISOR_physdev_op,
     false,
     false,
     {PHYSDEVOP_irq_status_query, P}},
    {"physdev set_iopl", __HYPERVISOR_physdev_op, false, false, {PHYSDEVOP_set_iopl, P}},
    {"physdev apic_read", __HYPERVISOR_physdev_op, false, false, {PHYSDEVOP_apic_read, P}},
    {"physdev map_pirq", __HYPERVISOR_physdev_op, false, false, {PHYSDEVOP_map_pirq, P}},
    {"physdev unmap_pirq", __HYPERVISOR_physdev_op, false, false, {PHYSDEVOP_unmap_pirq, P}},
    {"sysctl", __HYPERVISOR_sysctl, false, false, {P}},
    {"domctl", __HYPERVISOR_domctl, false, false, {P}},
};

static long call_with(const struct pointer_case *c, uint64_t at) {
    uint64_t a[4];

    for (unsigned int i = 0; i < 4; i++)
        a[i] = c->arg[i] == P ? at : c->arg[i];
    return hypercall(c->nr, a[0], a[1], a[2], a[3], 0);
}

/* Those that return how many extents were done: Xen answers 0 where it cannot read the argument. */
static bool returns_extents(const struct pointer_case *c) {
    return c->nr == __HYPERVISOR_memory_op &&
           (c->arg[0] == XENMEM_increase_reservation || c->arg[0] == XENMEM_decrease_reservation ||
            c->arg[0] == XENMEM_populate_physmap);
}

/* The control interfaces may be left out of a hypervisor: then they read nothing at all. */
static bool is_absent(const struct pointer_case *c, long rc) {
    return rc == -ENOSYS && (c->nr == __HYPERVISOR_sysctl || c->nr == __HYPERVISOR_domctl);
}

static void each_bad_pointer(void) {
    struct series read = {.name = "a bad pointer to an argument gives -EFAULT"};
    struct series write = {.name = "a read-only page for a result gives -EFAULT"};
    struct series table = {.name = "a page table for a result gives -EFAULT and stays as it is"};
    uint64_t entry = start_info->pt_base + 256 * 8, old = *(volatile uint64_t *)entry;

    for (const struct pointer_case *c = pointer_cases; c < pointer_cases + ARRAY_LEN(pointer_cases);
         c++) {
        for (unsigned int p = 0; p < BAD_POINTERS; p++) {
            long rc;

            if (c->null_is_fine && bad[p].at == 0)
                continue;
            rc = call_with(c, bad[p].at);
            if (is_absent(c, rc) || (rc == 0 && returns_extents(c)))
                continue;
            series_case(&read, rc == -EFAULT, "%s, %s: %ld", c->name, bad[p].name, rc);
        }
        if (c->writes) {
            long rc = call_with(c, window_va(3) + 8);

            series_case(&write, rc == -EFAULT, "%s: %ld", c->name, rc);
            rc = call_with(c, entry);
            series_case(&table, rc == -EFAULT && *(volatile uint64_t *)entry == old, "%s: %ld",
                        c->name, rc);
        }
    }
    series_end(&read);
    series_end(&write);
    series_end(&table);
    restore_state();
}

/* ---- every sub-operation with odd contents -------------------------------------------------- */

static const struct sweep {
    const char *name;
    unsigned char nr, pointer; /* which argument leads to the buffer */
    uint64_t skip;             /* bit per command that is not for this test */
} sweeps[] = {
    {"platform_op", __HYPERVISOR_platform_op, 0, 0},
    {"memory_op", __HYPERVISOR_memory_op, 1, 0},
    {"xen_version", __HYPERVISOR_xen_version, 1, 0},
    {"grant_table_op", __HYPERVISOR_grant_table_op, 1, 0},
    {"vcpu_op", __HYPERVISOR_vcpu_op, 2, 1 << VCPUOP_down},
    {"mmuext_op", __HYPERVISOR_mmuext_op, 0, 0},
    {"xsm_op", __HYPERVISOR_xsm_op, 0, 0},
    {"nmi_op", __HYPERVISOR_nmi_op, 1, 0},
    {"sched_op", __HYPERVISOR_sched_op, 1,
     1 << SCHEDOP_block | 1 << SCHEDOP_shutdown | 1 << SCHEDOP_poll | 1 << SCHEDOP_shutdown_code |
         1 << SCHEDOP_remote_shutdown | 1 << SCHEDOP_watchdog},
    {"callback_op", __HYPERVISOR_callback_op, 1, 0},
    {"event_channel_op", __HYPERVISOR_event_channel_op, 1, 0},
    {"physdev_op", __HYPERVISOR_physdev_op, 1, 0},
    {"hvm_op", __HYPERVISOR_hvm_op, 1, 0},
    {"sysctl", __HYPERVISOR_sysctl, 0, 0},
    {"domctl", __HYPERVISOR_domctl, 0, 0},
    {"kexec_op", __HYPERVISOR_kexec_op, 1, 1 << 2},
    {"argo_op", __HYPERVISOR_argo_op, 1, 0},
    {"xenpmu_op", __HYPERVISOR_xenpmu_op, 1, 0},
    {"hypfs_op", __HYPERVISOR_hypfs_op, 1, 0},
    {"mca", __HYPERVISOR_arch_0, 0, 0},
};

static uint64_t seed = 1;
static uint64_t any(void) {
    seed = seed * 6364136223846793005ul + 1442695040888963407ul;
    return seed >> 16 ^ seed << 40;
}

enum filling { ZEROES, ONES, FIVES, SMALL, RANDOM, ADDRESSES, FILLINGS };

static void fill(enum filling how) {
    uint64_t *word = memory;

    memset(memory, how == ONES ? 0xff : how == FIVES ? 0x5a : 0, PAGE_SIZE);
    for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
        if (how == SMALL)
            word[i] = any() & 0x0000000300000003;
        else if (how == RANDOM)
            word[i] = any();
        else if (how == ADDRESSES)
            word[i] = bad[any() % BAD_POINTERS].at;
    }
}

static void ignore_nmi(struct frame *f) {
    (void)f;
}

static void odd_contents(const struct sweep *w) {
    static const uint64_t far[] = {64,         127,        255,       0x7fffffff,
                                   0x80000000, 0xffffffff, 1ul << 32, ~0ul};
    struct series s = {.name = w->name};

    for (unsigned int how = 0; how < FILLINGS; how++) {
        for (unsigned int i = 0; i < 64 + ARRAY_LEN(far); i++) {
            uint64_t cmd = i < 64 ? i : far[i - 64], buffer = window_va(0);
            long rc;

            if (cmd < 64 && (w->skip >> cmd & 1))
                continue;
            fill(how);
            if (w->pointer == 0)
                *(uint32_t *)memory = (uint32_t)cmd;
            rc = w->pointer == 0   ? hypercall(w->nr, buffer, 1, 0, DOMID_SELF, 0)
                 : w->pointer == 1 ? hypercall(w->nr, cmd, buffer, 1, 0, 0)
                                   : hypercall(w->nr, cmd, 0, buffer, 0, 0);
            series_case(&s, IS_RESULT(rc), "command %#lx, filling %u: %#lx", cmd, how, rc);
        }
    }
    if (s.failures)
        series_end(&s);
    restore_state();
}

static void every_sub_operation(void) {
    this_cpu()->handler[2] = ignore_nmi; /* VCPUOP_send_nmi */
    for (const struct sweep *w = sweeps; w < sweeps + ARRAY_LEN(sweeps); w++)
        if (w->nr != __HYPERVISOR_kexec_op || !is_xen()) /* Xen 4.17 panics over such an image */
            odd_contents(w);
    this_cpu()->handler[2] = NULL;
    report(true, "every sub-operation takes odd contents and gives a result", "-");
}

/* ---- counts --------------------------------------------------------------------------------- */

/* n updates that change nothing, ending where window page 2, a hole, begins. */
static struct mmu_update *updates_before_hole(unsigned int n) {
    struct mmu_update *list = (struct mmu_update *)(window_va(2) - n * sizeof(*list));

    for (unsigned int i = 0; i < n; i++) {
        list[i].ptr = mfn_of(memory) << 12 | MMU_MACHPHYS_UPDATE;
        list[i].val = (ADDRESS(memory) - VIRT_BASE) / PAGE_SIZE;
    }
    return list;
}

static void lists_that_end_early(void) {
    static const uint64_t counts[] = {4, 1000, 0x7ffffffe};
    struct series update = {.name = "mmu_update does and counts what comes before the bad element"};
    struct series ext = {.name = "mmuext_op does and counts what comes before the bad element"};
    struct mmuext_op *op = (struct mmuext_op *)(window_va(2) - 3 * sizeof(*op));
    struct multicall_entry *call = (struct multicall_entry *)(window_va(2) - 3 * sizeof(*call));
    uint32_t done;
    long rc;

    for (unsigned int i = 0; i < ARRAY_LEN(counts); i++) {
        done = 99;
        rc = mmu_update(updates_before_hole(3), counts[i], &done, DOMID_SELF);
        series_case(&update, rc == -EFAULT && done == 3, "count %lu: %ld, %u done", counts[i], rc,
                    done);
        for (unsigned int k = 0; k < 3; k++)
            op[k].cmd = MMUEXT_TLB_FLUSH_LOCAL;
        done = 99;
        rc = mmuext_op(op, counts[i], &done, DOMID_SELF);
        series_case(&ext, rc == -EFAULT && done == 3, "count %lu: %ld, %u done", counts[i], rc,
                    done);
    }
    series_end(&update);
    series_end(&ext);

    for (unsigned int k = 0; k < 3; k++)
        call[k] = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .result = 99};
    CHECK_EQ("a multicall list that runs into a hole gives -EFAULT", -EFAULT,
             multicall(call, 0xffffffff));
    CHECK("and what came before was done", call[2].result >> 16 == 4);
    CHECK_EQ("an empty mmu_update is fine", 0, mmu_update(NULL, 0, NULL, DOMID_SELF));
    CHECK_EQ("an empty mmuext_op is fine", 0, mmuext_op(NULL, 0, NULL, DOMID_SELF));
    CHECK_EQ("an empty multicall is fine", 0, multicall(NULL, 0));
    CHECK("a count with the continuation's bit gives a result",
          IS_RESULT(mmu_update(updates_before_hole(3), 0x80000003, &done, DOMID_SELF)) &&
              IS_RESULT(mmuext_op(op, 0x80000003, &done, DOMID_SELF)) &&
              IS_RESULT(mmu_update(NULL, 0x80000000, NULL, DOMID_SELF)) &&
              IS_RESULT(mmuext_op(NULL, 0x80000000, NULL, DOMID_SELF)));
    /* Xen 4.17 says 0: the updates have been done */
    rc = mmu_update(updates_before_hole(3), 3, (uint32_t *)window_va(2), DOMID_SELF);
    CHECK("a bad place for the number done does no harm", rc == -EFAULT || rc == 0);
}

static void other_counts(void) {
    uint64_t frames[16] = {0};

    CHECK_EQ("set_gdt with more entries than the guest's part is -EINVAL", -EINVAL,
             set_gdt(frames, FIRST_RESERVED_GDT_ENTRY + 1));
    CHECK("set_gdt with a frame that is not ours fails", set_gdt((uint64_t[]){~0ul}, 512) < 0);
    CHECK_EQ("console_io of nothing is fine", 0, console_io(CONSOLEIO_write, 0, NULL));
    CHECK_EQ("console_io beyond the end of a page gives -EFAULT", -EFAULT,
             console_io(CONSOLEIO_write, 0x7fffffff, (char *)window_va(2)));
    CHECK("console_io read of nothing typed gives nothing",
          console_io(CONSOLEIO_read, 16, memory) == 0);
    CHECK_EQ("no grant operations are fine", 0, grant_table_op(GNTTABOP_map_grant_ref, memory, 0));
    CHECK("a huge number of grant operations fails",
          grant_table_op(GNTTABOP_map_grant_ref, (void *)(window_va(2) - 8), 0x7fffffff) < 0);
    CHECK("a negative number of grant operations fails",
          grant_table_op(GNTTABOP_map_grant_ref, (void *)(window_va(2) - 8), 0xffffffff) < 0);
    CHECK("the reserved domains own nothing of ours",
          mmuext_op(memory, 1, NULL, DOMID_INVALID) < 0 &&
              mmu_update(updates_before_hole(1), 1, NULL, 5) < 0 &&
              mmu_update(updates_before_hole(1), 1, NULL, (5 + 1) << 16 | DOMID_SELF) < 0);
}

/* ---- multicalls ----------------------------------------------------------------------------- */

static void nested_multicall(void) {
    struct multicall_entry inner = {.op = __HYPERVISOR_xen_version};
    struct multicall_entry outer[3] = {
        {.op = __HYPERVISOR_xen_version},
        {.op = __HYPERVISOR_multicall, .args = {ADDRESS(&inner), 1}},
        {.op = __HYPERVISOR_xen_version},
    };
    struct multicall_entry unknown[2] = {{.op = 63}, {.op = ~0ul}};

    CHECK_EQ("a multicall with a multicall inside goes through", 0, multicall(outer, 3));
    CHECK("the one inside is refused", (long)outer[1].result < 0 && inner.result == 0);
    CHECK_EQ("and what follows is done", outer[0].result, outer[2].result);
    CHECK("an unknown number inside gives its own -ENOSYS",
          multicall(unknown, 2) == 0 && (long)unknown[0].result == -ENOSYS &&
              (long)unknown[1].result == -ENOSYS);
    /* the list is in the memory that one of its calls writes to */
    struct multicall_entry self = {.op = __HYPERVISOR_xen_version,
                                   .args = {XENVER_compile_info, ADDRESS(&self)}};
    CHECK("a call that writes over its own entry does not matter", multicall(&self, 1) <= 0);
}

static struct multicall_entry ending[2];

/*
 * iret as an element: the frame it takes is the one at our stack pointer, as if we had called it
 * alone. The batch ends there: what would follow must not run with another mode's page tables.
 */
static void iret_in_multicall(void) {
    uint64_t reached;

    ending[0] = (struct multicall_entry){.op = __HYPERVISOR_iret};
    ending[1] = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .result = 77};
    __asm__ volatile(
        "mov %%rsp, %%r12\n"
        "push %[ss]; push %%r12; push $2; push %[cs]; lea 1f(%%rip), %%rax; push %%rax\n"
        "push $0; push $0x222; push $0x111; push $0x333\n"
        "mov $2, %%esi; mov %[nr], %%eax; syscall\n"
        "ud2\n"
        "1: mov %%r12, %%rsp"
        : "=&a"(reached)
        : [ss] "r"((uint64_t)FLAT_KERNEL_SS), [cs] "r"(FLAT_KERNEL_CS & ~3ul),
          [nr] "i"(__HYPERVISOR_multicall), "D"(ending)
        : "rcx", "rsi", "rdx", "r8", "r9", "r10", "r11", "r12", "memory");
    CHECK_EQ("an iret inside a multicall goes where its frame says", 0x333, reached);
    CHECK_EQ("and nothing that follows it is done", 77, ending[1].result);
}

void test_main(void) {
    map_windows();
    bad[BAD_POINTERS - 2].at = window_va(2);
    bad[BAD_POINTERS - 1].at = window_va(2) - 1;
    restore_state();

    unknown_numbers();
    registers_stay();
    all_bad_everywhere();
    each_bad_pointer();
    every_sub_operation();
    lists_that_end_early();
    other_counts();
    nested_multicall();
    iret_in_multicall();
}
