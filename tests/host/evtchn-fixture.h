/*
 * Three domains with event channels and nothing else around them: what evtchn and pirq call of the
 * rest of core is here and counts.
 */
#ifndef EVTCHN_FIXTURE_H
#define EVTCHN_FIXTURE_H

#include <abi/event_channel.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "test.h"

#define EV_DOMAINS 3
#define EV_VCPUS   4
#define EV_FRAMES  96

/* Domain 0 owns the machine. All have ports up to 131071 and their vcpu_info in shared_info. */
extern struct domain *ev_d[EV_DOMAINS];
extern unsigned int ev_kicks[EV_DOMAINS][EV_VCPUS];

void ev_reset(void);

/*
 * A hypercall of vcpu 0 of that domain, as a guest issues it: a copy of *arg goes in, and comes
 * back.
 */
long ev_hypercall(long (*fn)(struct vcpu *curr, uint64_t arg[6]), unsigned int dom,
                  unsigned int cmd, void *arg, size_t size);
#define ev_op(dom, cmd, arg) ev_hypercall(hypercall_event_channel_op, dom, cmd, arg, sizeof(*(arg)))
/* The same with an argument that cannot be read. */
long ev_hypercall_bad(long (*fn)(struct vcpu *curr, uint64_t arg[6]), unsigned int dom,
                      unsigned int cmd);

/* Ports, or an errno. */
int ev_unbound(unsigned int dom, domid_t remote);
int ev_interdomain(unsigned int dom, domid_t remote, evtchn_port_t port);
int ev_virq(unsigned int dom, uint32_t virq, uint32_t vcpu);
int ev_ipi(unsigned int dom, uint32_t vcpu);
int ev_pirq(unsigned int dom, uint32_t pirq, uint32_t flags);
int ev_close(unsigned int dom, evtchn_port_t port);
int ev_send(unsigned int dom, evtchn_port_t port);
int ev_unmask(unsigned int dom, evtchn_port_t port);
struct evtchn_status ev_status(unsigned int dom, evtchn_port_t port);

/* 2-level bits, and the upcall, of a domain; ev_take clears what it returns. */
bool ev_pending(unsigned int dom, evtchn_port_t port);
void ev_mask(unsigned int dom, evtchn_port_t port, bool masked);
bool ev_take_upcall(unsigned int dom, unsigned int vcpu);

/* A frame of that domain for its own use; and how many references evtchn holds of it. */
mfn_t ev_frame(unsigned int dom);
unsigned int ev_frame_refs(mfn_t mfn);
/* References of a domain beyond the first. */
unsigned int ev_refs(unsigned int dom);

#endif
