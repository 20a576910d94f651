/* Sleeping, waking and stopping. */
#ifndef ABI_SCHED_H
#define ABI_SCHED_H

#include <abi/event_channel.h>

/* sched_op(cmd, arg) */
#define SCHEDOP_yield           0   /* no arg                                 */
#define SCHEDOP_block           1   /* no arg: unmask events and sleep until one is due */
#define SCHEDOP_shutdown        2   /* sched_shutdown: the whole calling domain */
#define SCHEDOP_poll            3   /* sched_poll: sleep until a port is pending */
#define SCHEDOP_remote_shutdown 4   /* sched_remote_shutdown: privileged      */
#define SCHEDOP_shutdown_code   5   /* sched_shutdown: say why, do not stop   */
#define SCHEDOP_watchdog        6   /* sched_watchdog: returns the id of a new timer */
#define SCHEDOP_pin_override    7   /* sched_pin_override: dom0               */

struct sched_shutdown {
    uint32_t reason;                /* SHUTDOWN_*                             */
};
ABI_SIZE(struct sched_shutdown, 4);

struct sched_poll {
    guest_va_t ports;               /* evtchn_port_t[nr_ports]                */
    uint32_t nr_ports;
    uint64_t timeout;               /* absolute system time, ns; 0: none      */
};
ABI_SIZE(struct sched_poll, 0x18);
ABI_OFFSET(struct sched_poll, nr_ports, 8);
ABI_OFFSET(struct sched_poll, timeout, 0x10);

struct sched_remote_shutdown {
    domid_t domain_id;
    uint32_t reason;                /* SHUTDOWN_*                             */
};
ABI_SIZE(struct sched_remote_shutdown, 8);

struct sched_watchdog {
    uint32_t id;                    /* 0: a new one                           */
    uint32_t timeout;               /* seconds; 0: disable                    */
};
ABI_SIZE(struct sched_watchdog, 8);

struct sched_pin_override {
    int32_t pcpu;                   /* negative: back to the normal affinity  */
};
ABI_SIZE(struct sched_pin_override, 4);

#define SHUTDOWN_poweroff   0
#define SHUTDOWN_reboot     1
#define SHUTDOWN_suspend    2
#define SHUTDOWN_crash      3
#define SHUTDOWN_watchdog   4
#define SHUTDOWN_soft_reset 5
#define SHUTDOWN_MAX        5

#endif
