#include <abi/mca.h>

#include "arch/cpu.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "lib/string.h"
#include "pv/hypercall.h"

/* Which processors there are, as far as dom0's machine-check log needs to tell them apart. */
static long do_physcpuinfo(struct xen_mc_physcpuinfo *p) {
    uint32_t room = p->ncpus, n = 0, acpi_id;
    unsigned int cpu;

    cpumask_for_each(cpu, &cpus_online) {
        struct mcinfo_logical_cpu info = {.mc_cpunr = cpu};

        if (p->info.va && n < room) {
            arch_cpu_firmware_ids(cpu, &info.mc_apicid, &acpi_id);
            if (copy_to_guest((guest_va_t){p->info.va + n * sizeof(info)}, &info, sizeof(info)))
                return -EFAULT;
        }
        n++;
    }
    p->ncpus = p->info.va ? MIN(n, room) : n;
    return 0;
}

/* ABI: mca.h. A machine check stops the machine, so there is never a record to fetch. */
long hypercall_mca(struct vcpu *curr, uint64_t arg[6]) {
    guest_va_t at = {arg[0]};
    struct xen_mc op;
    long rc = 0;

    if (!curr->domain->hardware)
        return -EPERM;
    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_MCA_INTERFACE_VERSION)
        return -EACCES;
    switch (op.cmd) {
    case XEN_MC_fetch:
        op.u.mc_fetch.flags = XEN_MC_NODATA;
        break;
    case XEN_MC_physcpuinfo:
        rc = do_physcpuinfo(&op.u.mc_physcpuinfo);
        break;
    default:
        rc = -EINVAL;
    }
    if (!rc && copy_to_guest(at, &op, sizeof(op)))
        rc = -EFAULT;
    return rc;
}
