/* Hypercalls by bare `syscall`: number in rax, arguments in rdi, rsi, rdx, r10, r8, r9. */
#ifndef LIB_HYPERCALL_H
#define LIB_HYPERCALL_H

#include <abi/callback.h>
#include <abi/errno.h>
#include <abi/event_channel.h>
#include <abi/grant_table.h>
#include <abi/memory.h>
#include <abi/physdev.h>
#include <abi/sched.h>
#include <abi/vcpu.h>
#include <abi/version.h>
#include <abi/xen.h>

static inline long hypercall(uint64_t nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                             uint64_t a5) {
    register uint64_t r10 __asm__("r10") = a4;
    register uint64_t r8 __asm__("r8") = a5;
    long rc = (long)nr;

    __asm__ volatile("syscall"
                     : "+a"(rc), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     :
                     : "rcx", "r11", "memory");
    return rc;
}

#define ADDRESS(p) ((uint64_t)(uintptr_t)(p))

static inline long mmu_update(const struct mmu_update *list, uint64_t count, uint32_t *done,
                              uint32_t domids) {
    return hypercall(__HYPERVISOR_mmu_update, ADDRESS(list), count, ADDRESS(done), domids, 0);
}

static inline long mmuext_op(const struct mmuext_op *list, uint64_t count, uint32_t *done,
                             uint32_t domid) {
    return hypercall(__HYPERVISOR_mmuext_op, ADDRESS(list), count, ADDRESS(done), domid, 0);
}

static inline long update_va_mapping(uint64_t va, uint64_t pte, uint64_t flags) {
    return hypercall(__HYPERVISOR_update_va_mapping, va, pte, flags, 0, 0);
}

static inline long update_descriptor(uint64_t machine, uint64_t descriptor) {
    return hypercall(__HYPERVISOR_update_descriptor, machine, descriptor, 0, 0, 0);
}

static inline long set_gdt(const uint64_t *frames, unsigned int entries) {
    return hypercall(__HYPERVISOR_set_gdt, ADDRESS(frames), entries, 0, 0, 0);
}

static inline long set_trap_table(const struct trap_info *table) {
    return hypercall(__HYPERVISOR_set_trap_table, ADDRESS(table), 0, 0, 0, 0);
}

static inline long stack_switch(uint64_t ss, uint64_t rsp) {
    return hypercall(__HYPERVISOR_stack_switch, ss, rsp, 0, 0, 0);
}

static inline long fpu_taskswitch(bool set) {
    return hypercall(__HYPERVISOR_fpu_taskswitch, set, 0, 0, 0, 0);
}

static inline long set_debugreg(unsigned int reg, uint64_t value) {
    return hypercall(__HYPERVISOR_set_debugreg, reg, value, 0, 0, 0);
}

static inline uint64_t get_debugreg(unsigned int reg) {
    return (uint64_t)hypercall(__HYPERVISOR_get_debugreg, reg, 0, 0, 0, 0);
}

static inline long set_segment_base(unsigned int which, uint64_t base) {
    return hypercall(__HYPERVISOR_set_segment_base, which, base, 0, 0, 0);
}

static inline long memory_op(unsigned int cmd, void *arg) {
    return hypercall(__HYPERVISOR_memory_op, cmd, ADDRESS(arg), 0, 0, 0);
}

static inline long multicall(struct multicall_entry *list, uint64_t count) {
    return hypercall(__HYPERVISOR_multicall, ADDRESS(list), count, 0, 0, 0);
}

static inline long xen_version(unsigned int cmd, void *arg) {
    return hypercall(__HYPERVISOR_xen_version, cmd, ADDRESS(arg), 0, 0, 0);
}

static inline long console_io(unsigned int cmd, uint64_t count, const void *buffer) {
    return hypercall(__HYPERVISOR_console_io, cmd, count, ADDRESS(buffer), 0, 0);
}

static inline long grant_table_op(unsigned int cmd, void *list, unsigned int count) {
    return hypercall(__HYPERVISOR_grant_table_op, cmd, ADDRESS(list), count, 0, 0);
}

static inline long vm_assist(unsigned int cmd, unsigned int type) {
    return hypercall(__HYPERVISOR_vm_assist, cmd, type, 0, 0, 0);
}

static inline long vcpu_op(unsigned int cmd, unsigned int vcpu, void *arg) {
    return hypercall(__HYPERVISOR_vcpu_op, cmd, vcpu, ADDRESS(arg), 0, 0);
}

static inline long sched_op(unsigned int cmd, const void *arg) {
    return hypercall(__HYPERVISOR_sched_op, cmd, ADDRESS(arg), 0, 0, 0);
}

static inline long callback_op(unsigned int cmd, void *arg) {
    return hypercall(__HYPERVISOR_callback_op, cmd, ADDRESS(arg), 0, 0, 0);
}

static inline long event_channel_op(unsigned int cmd, void *arg) {
    return hypercall(__HYPERVISOR_event_channel_op, cmd, ADDRESS(arg), 0, 0, 0);
}

static inline long physdev_op(unsigned int cmd, void *arg) {
    return hypercall(__HYPERVISOR_physdev_op, cmd, ADDRESS(arg), 0, 0, 0);
}

#endif
