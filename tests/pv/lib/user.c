/* Guest user mode: its address space, going there and coming back; events and time. */
#include "pv.h"

static uint64_t *l4;
static void *data_page;
static uint64_t code_pages;

void user_init(void) {
    uint64_t *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc();
    void *stack_page = page_alloc();

    l4 = page_alloc();
    data_page = page_alloc();
    code_pages = (ADDRESS(user_end) - ADDRESS(user_start)) / PAGE_SIZE;
    for (uint64_t i = 0; i < code_pages; i++)
        l1[i] = pte_for(user_start + i * PAGE_SIZE, RW);
    l1[code_pages] = pte_for(data_page, RW);
    l1[code_pages + 1] = pte_for(stack_page, RW);
    l2[USER_BASE >> 21 & 511] = pte_for(l1, RW);
    l3[0] = pte_for(l2, RW);
    l4[0] = pte_for(l3, RW);
    NEED(page_protect(l1, RO) == 0 && page_protect(l2, RO) == 0);
    NEED(page_protect(l3, RO) == 0 && page_protect(l4, RO) == 0);
    NEED(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0) == 0);
    NEED(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(l4), 0) == 0);
    NEED(pt_write(mfn_of((void *)start_info->pt_base) << 12, pte_for(l3, RW)) == 0);
    NEED(stack_switch(FLAT_KERNEL_SS, ADDRESS(this_cpu()) + CPU_ENTRY_STACK) == 0);
    NEED(callback_register(CALLBACKTYPE_syscall, syscall_entry, CALLBACKF_mask_events) == 0);
}

uint64_t user_l4_mfn(void) {
    return mfn_of(l4);
}

uint64_t user_data(void) {
    return USER_BASE + code_pages * PAGE_SIZE;
}

void *user_data_page(void) {
    return data_page;
}

uint64_t user_stack(void) {
    return user_data() + 2 * PAGE_SIZE;
}

void user_frame(struct frame *f, const char *label) {
    memset(f, 0, sizeof(*f));
    f->iret = (struct iret_context){.rip = USER_VA(label),
                                    .cs = FLAT_USER_CS,
                                    .rflags = 0x202,
                                    .rsp = user_stack(),
                                    .ss = FLAT_USER_SS};
}

void user_run(struct frame *f) {
    struct cpu *cpu = this_cpu();

    cpu->in_user = true;
    if (jump_save(&cpu->user_exit) == 0)
        iret_to(f);
    cpu = this_cpu();
    cpu->in_user = false;
    *f = cpu->user;
}

void events_unmask(void) {
    volatile struct vcpu_info *v = vcpu_info(this_cpu()->id);

    v->evtchn_upcall_mask = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (v->evtchn_upcall_pending)
        (void)xen_version(XENVER_version, NULL);
}

uint64_t now_ns(void) {
    const volatile struct vcpu_time_info *t = &vcpu_info(this_cpu()->id)->time;
    uint32_t version, lo, hi, mul;
    uint64_t base, delta;
    int shift;

    do {
        version = __atomic_load_n(&t->version, __ATOMIC_ACQUIRE);
        __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi));
        delta = ((uint64_t)hi << 32 | lo) - t->tsc_timestamp;
        shift = t->tsc_shift;
        mul = t->tsc_to_system_mul;
        base = t->system_time;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((version & 1) || version != t->version);
    delta = shift < 0 ? delta >> -shift : delta << shift;
    return base + (uint64_t)((unsigned __int128)delta * mul >> 32);
}
