#include <abi/physdev.h>

#include "arch/mm.h"
#include "core/domain.h"
#include "core/pirq.h"
#include "lib/string.h"
#include "pv/hypercall.h"

#define MAX_MULTI_MSI 32

union physdev_arg {
    struct physdev_eoi eoi;
    struct physdev_irq_status_query irq_status_query;
    struct physdev_set_iopl set_iopl;
    struct physdev_set_iobitmap set_iobitmap;
    struct physdev_apic apic;
    struct physdev_irq irq;
    struct physdev_map_pirq map_pirq;
    struct physdev_unmap_pirq unmap_pirq;
    struct physdev_manage_pci manage_pci;
    struct physdev_manage_pci_ext manage_pci_ext;
    struct physdev_restore_msi restore_msi;
    struct physdev_setup_gsi setup_gsi;
    struct physdev_get_free_pirq get_free_pirq;
    struct physdev_pci_mmcfg_reserved mmcfg_reserved;
    struct physdev_pci_device_add device_add;
    struct physdev_pci_device device;
    struct physdev_pirq_eoi_gmfn eoi_gmfn;
};

/* --- of the calling vcpu --------------------------------------------------------------------- */

static int do_set_iopl(struct vcpu *curr, union physdev_arg *arg) {
    if (arg->set_iopl.iopl > 3)
        return -EINVAL;
    curr->arch.iopl = (uint8_t)arg->set_iopl.iopl;
    arch_vcpu_update_cr(curr);
    return 0;
}

/* Only the address is kept: the bitmap is read when user mode touches a port. */
static int do_set_iobitmap(struct vcpu *curr, union physdev_arg *arg) {
    if (arg->set_iobitmap.nr_ports > 65536)
        return -EINVAL;
    curr->arch.iobitmap = arg->set_iobitmap.bitmap;
    curr->arch.iobitmap_ports = arg->set_iobitmap.nr_ports;
    return 0;
}

/* --- interrupts ------------------------------------------------------------------------------ */

static int do_eoi(struct vcpu *curr, union physdev_arg *arg) {
    return pirq_eoi(curr->domain, arg->eoi.irq);
}

static int do_irq_status_query(struct vcpu *curr, union physdev_arg *arg) {
    if (arg->irq_status_query.irq >= NR_PIRQS)
        return -EINVAL;
    arg->irq_status_query.flags = pirq_status(curr->domain, arg->irq_status_query.irq);
    return 0;
}

static int do_pirq_eoi_gmfn_v1(struct vcpu *curr, union physdev_arg *arg) {
    return pirq_set_eoi_page(curr->domain, mfn_of(arg->eoi_gmfn.gmfn), true);
}

static int do_pirq_eoi_gmfn_v2(struct vcpu *curr, union physdev_arg *arg) {
    return pirq_set_eoi_page(curr->domain, mfn_of(arg->eoi_gmfn.gmfn), false);
}

static int do_apic_read(struct vcpu *curr, union physdev_arg *arg) {
    (void)curr;
    return arch_ioapic_read(arg->apic.apic_physbase, arg->apic.reg, &arg->apic.value);
}

/*
 * Kernels set pins up by setup_gsi; what ones from before it write here is accepted and dropped, as
 * long as it names a register that exists.
 */
static int do_apic_write(struct vcpu *curr, union physdev_arg *arg) {
    uint32_t value;

    (void)curr;
    return arch_ioapic_read(arg->apic.apic_physbase, arg->apic.reg, &value);
}

static int map_gsi(struct domain *d, unsigned int gsi, int want) {
    return gsi < nr_gsis ? pirq_map(d, gsi, 1, want) : -EINVAL;
}

/* The vector is our business; guests get the number back that they gave. */
static int do_alloc_irq_vector(struct vcpu *curr, union physdev_arg *arg) {
    int rc = map_gsi(curr->domain, arg->irq.irq, (int)arg->irq.irq);

    arg->irq.vector = arg->irq.irq;
    return rc < 0 && rc != -EBUSY ? rc : 0;
}

static int do_setup_gsi(struct vcpu *curr, union physdev_arg *arg) {
    const struct physdev_setup_gsi *s = &arg->setup_gsi;

    (void)curr;
    return s->gsi < 0 ? -EINVAL : arch_gsi_setup((unsigned int)s->gsi, s->triggering, s->polarity);
}

/* What map_pirq says about an MSI, in our words. Errors: -EINVAL, -EDOM. */
static int msi_where_of(const struct physdev_map_pirq *m, struct msi_where *w) {
    uint32_t bus = (uint32_t)m->bus;

    *w = (struct msi_where){
        .seg = m->type == MAP_PIRQ_TYPE_MSI ? 0 : (uint16_t)(bus >> 16),
        .bus = (uint8_t)bus,
        .devfn = (uint8_t)m->devfn,
        .count = 1,
        .msix = m->table_base != 0,
        .table_base = m->table_base,
    };
    if (m->type == MAP_PIRQ_TYPE_MULTI_MSI) {
        if (w->msix)
            return -EINVAL;
        if (m->entry_nr <= 0 || m->entry_nr > MAX_MULTI_MSI)
            return -EDOM;
        while (w->count < (unsigned int)m->entry_nr)
            w->count *= 2;
    } else if (w->msix) {
        if (m->entry_nr < 0 || m->entry_nr > (int)UINT16_MAX)
            return -EINVAL;
        w->entry_nr = (uint16_t)m->entry_nr;
    }
    return 0;
}

static int map_msi(struct domain *d, const struct physdev_map_pirq *m) {
    struct msi_where w;
    int irq, pirq, rc = msi_where_of(m, &w);

    if (rc)
        return rc;
    irq = arch_msi_alloc(&w);
    if (irq < 0)
        return irq;
    pirq = pirq_map(d, (unsigned int)irq, w.count, m->pirq);
    for (unsigned int i = 0; pirq < 0 && i < w.count; i++)
        arch_msi_free((unsigned int)irq + i);
    return pirq;
}

/* Whose interrupts: only the hardware domain has any. Errors: -ESRCH, -EPERM. */
static int check_target(const struct domain *curr, domid_t domid) {
    struct domain *d;
    int rc = domid == DOMID_SELF ? 0 : -ESRCH;

    if (rc && (d = domain_lookup(domid))) {
        rc = d == curr ? 0 : -EPERM;
        domain_put(d);
    }
    return rc;
}

static int do_map_pirq(struct vcpu *curr, union physdev_arg *arg) {
    struct physdev_map_pirq *m = &arg->map_pirq;
    int rc = check_target(curr->domain, m->domid);

    if (rc)
        return rc;
    switch (m->type) {
    case MAP_PIRQ_TYPE_GSI:
        rc = m->index < 0 ? -EINVAL : map_gsi(curr->domain, (unsigned int)m->index, m->pirq);
        break;
    case MAP_PIRQ_TYPE_MSI:
    case MAP_PIRQ_TYPE_MSI_SEG:
    case MAP_PIRQ_TYPE_MULTI_MSI:
        rc = map_msi(curr->domain, m);
        break;
    default:
        rc = -EINVAL;
    }
    if (rc < 0)
        return rc;
    m->pirq = rc;
    return 0;
}

static int do_unmap_pirq(struct vcpu *curr, union physdev_arg *arg) {
    int rc = check_target(curr->domain, arg->unmap_pirq.domid);

    return rc ? rc : pirq_unmap(curr->domain, (unsigned int)arg->unmap_pirq.pirq);
}

static int do_get_free_pirq(struct vcpu *curr, union physdev_arg *arg) {
    int rc = pirq_find_free(curr->domain, arg->get_free_pirq.type != MAP_PIRQ_TYPE_GSI);

    if (rc < 0)
        return rc;
    arg->get_free_pirq.pirq = (uint32_t)rc;
    return 0;
}

/* --- PCI devices: we keep no list of them, dom0 drives them all ------------------------------ */

static int do_nothing(struct vcpu *curr, union physdev_arg *arg) {
    (void)curr, (void)arg;
    return 0;
}

static int do_restore_msi(struct vcpu *curr, union physdev_arg *arg) {
    (void)curr;
    return arch_msi_restore(0, arg->restore_msi.bus, arg->restore_msi.devfn);
}

static int do_restore_msi_ext(struct vcpu *curr, union physdev_arg *arg) {
    (void)curr;
    return arch_msi_restore(arg->device.seg, arg->device.bus, arg->device.devfn);
}

enum {
    OUT = 1,    /* also copied back */
    ANYONE = 2, /* else for the hardware domain only */
};

static const struct physdev_cmd {
    int (*run)(struct vcpu *curr, union physdev_arg *arg);
    uint8_t size;
    uint8_t flags;
} physdev_cmds[] = {
    [PHYSDEVOP_irq_status_query] = {do_irq_status_query, sizeof(struct physdev_irq_status_query),
                                    OUT},
    [PHYSDEVOP_set_iopl] = {do_set_iopl, sizeof(struct physdev_set_iopl), ANYONE},
    [PHYSDEVOP_set_iobitmap] = {do_set_iobitmap, sizeof(struct physdev_set_iobitmap), ANYONE},
    [PHYSDEVOP_apic_read] = {do_apic_read, sizeof(struct physdev_apic), OUT},
    [PHYSDEVOP_apic_write] = {do_apic_write, sizeof(struct physdev_apic), 0},
    [PHYSDEVOP_alloc_irq_vector] = {do_alloc_irq_vector, sizeof(struct physdev_irq), OUT},
    [PHYSDEVOP_free_irq_vector] = {do_nothing, sizeof(struct physdev_irq), 0},
    [PHYSDEVOP_eoi] = {do_eoi, sizeof(struct physdev_eoi), ANYONE},
    [PHYSDEVOP_map_pirq] = {do_map_pirq, sizeof(struct physdev_map_pirq), OUT},
    [PHYSDEVOP_unmap_pirq] = {do_unmap_pirq, sizeof(struct physdev_unmap_pirq), 0},
    [PHYSDEVOP_manage_pci_add] = {do_nothing, sizeof(struct physdev_manage_pci), 0},
    [PHYSDEVOP_manage_pci_remove] = {do_nothing, sizeof(struct physdev_manage_pci), 0},
    [PHYSDEVOP_pirq_eoi_gmfn_v1] = {do_pirq_eoi_gmfn_v1, sizeof(struct physdev_pirq_eoi_gmfn), 0},
    [PHYSDEVOP_restore_msi] = {do_restore_msi, sizeof(struct physdev_restore_msi), 0},
    [PHYSDEVOP_manage_pci_add_ext] = {do_nothing, sizeof(struct physdev_manage_pci_ext), 0},
    [PHYSDEVOP_setup_gsi] = {do_setup_gsi, sizeof(struct physdev_setup_gsi), 0},
    [PHYSDEVOP_get_free_pirq] = {do_get_free_pirq, sizeof(struct physdev_get_free_pirq), OUT},
    [PHYSDEVOP_pci_mmcfg_reserved] = {do_nothing, sizeof(struct physdev_pci_mmcfg_reserved), 0},
    [PHYSDEVOP_pci_device_add] = {do_nothing, sizeof(struct physdev_pci_device_add), 0},
    [PHYSDEVOP_pci_device_remove] = {do_nothing, sizeof(struct physdev_pci_device), 0},
    [PHYSDEVOP_restore_msi_ext] = {do_restore_msi_ext, sizeof(struct physdev_pci_device), 0},
    [PHYSDEVOP_pirq_eoi_gmfn_v2] = {do_pirq_eoi_gmfn_v2, sizeof(struct physdev_pirq_eoi_gmfn), 0},
    [PHYSDEVOP_prepare_msix] = {do_nothing, sizeof(struct physdev_pci_device), 0},
    [PHYSDEVOP_release_msix] = {do_nothing, sizeof(struct physdev_pci_device), 0},
};

/* ABI: physdev.h, physdev_op(cmd, arg). */
long hypercall_physdev_op(struct vcpu *curr, uint64_t arg[6]) {
    guest_va_t at = {arg[1]};
    union physdev_arg a;
    int rc;

    if (arg[0] >= ARRAY_LEN(physdev_cmds))
        return -ENOSYS;
    const struct physdev_cmd *c = &physdev_cmds[index_nospec(arg[0], ARRAY_LEN(physdev_cmds))];

    if (!c->run)
        return -ENOSYS;
    if (!(c->flags & ANYONE) && !curr->domain->hardware)
        return -EPERM;
    memset(&a, 0, sizeof(a));
    rc = copy_from_guest(&a, at, c->size);
    if (!rc)
        rc = c->run(curr, &a);
    if (!rc && c->flags & OUT)
        rc = copy_to_guest(at, &a, c->size);
    return rc;
}
