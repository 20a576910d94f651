/* Bringing virtual CPUs up and down, their timers, and where their state is published. */
#ifndef ABI_VCPU_H
#define ABI_VCPU_H

#include <abi/xen.h>

/* vcpu_op(cmd, vcpu, arg) */
#define VCPUOP_initialise                    0  /* struct vcpu_guest_context    */
#define VCPUOP_up                            1
#define VCPUOP_down                          2
#define VCPUOP_is_up                         3  /* 1, 0, or -ENOENT: no such vcpu */
#define VCPUOP_get_runstate_info             4  /* vcpu_runstate_info           */
#define VCPUOP_register_runstate_memory_area 5
#define VCPUOP_set_periodic_timer            6
#define VCPUOP_stop_periodic_timer           7
#define VCPUOP_set_singleshot_timer          8  /* own vcpu only                */
#define VCPUOP_stop_singleshot_timer         9
#define VCPUOP_register_vcpu_info            10 /* once per vcpu                */
#define VCPUOP_send_nmi                      11
#define VCPUOP_get_physid                    12
#define VCPUOP_register_vcpu_time_memory_area 13

struct vcpu_runstate_info {
    int32_t state;                  /* RUNSTATE_*                             */
    uint64_t state_entry_time;      /* ns; with XEN_RUNSTATE_UPDATE while being written */
    uint64_t time[4];               /* ns spent in each state                 */
};
ABI_SIZE(struct vcpu_runstate_info, 0x30);
ABI_OFFSET(struct vcpu_runstate_info, state_entry_time, 8);
ABI_OFFSET(struct vcpu_runstate_info, time, 0x10);
#define XEN_RUNSTATE_UPDATE (1ull << 63)

#define RUNSTATE_running  0
#define RUNSTATE_runnable 1         /* wants a cpu, has none: stolen time     */
#define RUNSTATE_blocked  2
#define RUNSTATE_offline  3         /* down or paused                         */

/* Keep a copy of the runstate at this address, in the vcpu's own address space. */
struct vcpu_register_runstate_memory_area {
    union {
        guest_va_t h;
        uint64_t p;
    } addr;
};
ABI_SIZE(struct vcpu_register_runstate_memory_area, 8);

struct vcpu_set_periodic_timer {
    uint64_t period_ns;
};
ABI_SIZE(struct vcpu_set_periodic_timer, 8);

struct vcpu_set_singleshot_timer {
    uint64_t timeout_abs_ns;        /* system time                            */
    uint32_t flags;                 /* VCPU_SSHOTTMR_*                        */
};
ABI_SIZE(struct vcpu_set_singleshot_timer, 0x10);
#define _VCPU_SSHOTTMR_future 0
#define VCPU_SSHOTTMR_future  (1u << _VCPU_SSHOTTMR_future) /* asks for -ETIME if already past */

/* Move the vcpu_info out of shared_info to this place. */
struct vcpu_register_vcpu_info {
    uint64_t mfn;
    uint32_t offset;
    uint32_t rsvd;
};
ABI_SIZE(struct vcpu_register_vcpu_info, 0x10);
ABI_OFFSET(struct vcpu_register_vcpu_info, offset, 8);

struct vcpu_get_physid {
    uint64_t phys_id;               /* -> APIC id, ACPI id << 32              */
};
ABI_SIZE(struct vcpu_get_physid, 8);
#define xen_vcpu_physid_to_x86_apicid(physid) ((uint32_t)(physid))
#define xen_vcpu_physid_to_x86_acpiid(physid) ((uint32_t)((physid) >> 32))

/* Keep a copy of vcpu_time_info here, for user space to read. NULL ends it. */
struct vcpu_register_time_memory_area {
    union {
        guest_va_t h;
        uint64_t p;
    } addr;
};
ABI_SIZE(struct vcpu_register_time_memory_area, 8);

#endif
