/* The PV part of domains and vcpus: composed of what page tables, descriptors and traps provide. */
#include "core/domain.h"
#include "core/cpu.h"
#include "core/heap.h"
#include "pv/descriptor.h"
#include "pv/mmu.h"
#include "pv/pv-domain.h"

int pv_vcpu_init(struct vcpu *v) {
    /* 256 entries of 16 bytes are exactly a page. */
    v->arch.traps = heap_alloc_virt(0);
    return v->arch.traps ? 0 : -ENOMEM;
}

void pv_vcpu_relinquish(struct vcpu *v) {
    v->runstate_area.va = v->time_area.va = 0;
    pv_release_descriptors(v);
    vcpu_unregister_info(v);
}

void pv_vcpu_destroy(struct vcpu *v) {
    heap_free_virt(v->arch.traps, 0);
    v->arch.traps = NULL;
}

int pv_domain_init(struct domain *d) {
    d->pv = mem_alloc_struct(struct pv_domain);
    return d->pv ? 0 : -ENOMEM;
}

void pv_domain_destroy(struct domain *d) {
    mem_free(d->pv);
    d->pv = NULL;
}

int pv_domain_relinquish(struct domain *d) {
    int rc;

    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];

        rc = v ? mmu_drop_bases(v) : 0;
        if (rc)
            return rc;
        if (v)
            pv_vcpu_relinquish(v);
    }
    rc = mmu_relinquish(d);
    return rc ? rc : domain_release_pages(d);
}
