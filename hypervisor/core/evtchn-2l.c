/* The 2-level ABI: a bit per port in shared_info, a selector word in each vcpu_info. */
#include "core/evtchn-internal.h"
#include "lib/bits.h"

static void select_port(struct domain *d, const struct evtchn *c, evtchn_port_t port) {
    struct vcpu *v = d->vcpu[READ_ONCE(c->vcpu)];

    if (!bit_test_and_set(&v->info->evtchn_pending_sel, port / BITS_PER_WORD))
        evtchn_raise_upcall(v);
}

void evtchn_2l_set_pending(struct domain *d, struct evtchn *c, evtchn_port_t port) {
    struct shared_info *s = d->shared_info;

    if (!bit_test_and_set(s->evtchn_pending, port) && !bit_test(s->evtchn_mask, port))
        select_port(d, c, port);
}

void evtchn_2l_clear_pending(struct domain *d, evtchn_port_t port) {
    (void)bit_test_and_clear(d->shared_info->evtchn_pending, port);
}

void evtchn_2l_unmask(struct domain *d, struct evtchn *c, evtchn_port_t port) {
    struct shared_info *s = d->shared_info;

    if (bit_test_and_clear(s->evtchn_mask, port) && bit_test(s->evtchn_pending, port))
        select_port(d, c, port);
}

bool evtchn_2l_is_pending(const struct domain *d, evtchn_port_t port) {
    return bit_test(d->shared_info->evtchn_pending, port);
}
