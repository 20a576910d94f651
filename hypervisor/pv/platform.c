#include <abi/platform.h>

#include "arch/cpu.h"
#include "arch/mm.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/time.h"
#include "lib/string.h"
#include "pv/hypercall.h"

/* --- clock ----------------------------------------------------------------------------------- */

static int do_settime32(struct xen_platform_op *op) {
    const struct xenpf_settime32 *s = &op->u.settime32;

    time_set_wallclock(s->secs, s->nsecs, s->system_time);
    return 0;
}

static int do_settime64(struct xen_platform_op *op) {
    const struct xenpf_settime64 *s = &op->u.settime64;

    if (s->mbz)
        return -EINVAL;
    time_set_wallclock(s->secs, s->nsecs, s->system_time);
    return 0;
}

/* --- firmware and power ---------------------------------------------------------------------- */

/*
 * What only the BIOS could have told in real mode (disks, monitor), where we have never been, is
 * an empty list.
 */
static int do_firmware_info(struct xen_platform_op *op) {
    struct xenpf_firmware_info *f = &op->u.firmware_info;

    switch (f->type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return -ESRCH;
    case XEN_FW_KBD_SHIFT_FLAGS:
        if (f->index)
            return -ESRCH;
        f->u.kbd_shift_flags = 0;
        return 0;
    case XEN_FW_EFI_INFO:
        return -ENOSYS;
    default:
        return -EINVAL;
    }
}

static int do_enter_acpi_sleep(struct xen_platform_op *op) {
    const struct xenpf_enter_acpi_sleep *s = &op->u.enter_acpi_sleep;

    if (s->flags) /* hardware-reduced ACPI has no PM1 registers */
        return -EINVAL;
    return arch_acpi_sleep(s->sleep_state, s->val_a, s->val_b);
}

/* --- processors ------------------------------------------------------------------------------ */

static bool is_present(uint32_t id) {
    return id < NR_CPUS && cpus[index_nospec(id, NR_CPUS)];
}

static bool is_online(uint32_t id) {
    return is_present(id) && READ_ONCE(cpus[index_nospec(id, NR_CPUS)]->online);
}

static uint32_t highest_cpu(void) {
    uint32_t id = NR_CPUS - 1;

    while (!cpus[id])
        id--;
    return id;
}

static int do_get_cpuinfo(struct xen_platform_op *op) {
    struct xenpf_pcpuinfo *p = &op->u.pcpu_info;

    p->max_present = highest_cpu();
    p->flags = p->apic_id = p->acpi_id = 0;
    if (!is_present(p->xen_cpuid)) {
        p->flags = XEN_PCPU_FLAGS_INVALID;
        return 0;
    }
    arch_cpu_firmware_ids(p->xen_cpuid, &p->apic_id, &p->acpi_id);
    if (is_online(p->xen_cpuid))
        p->flags = XEN_PCPU_FLAGS_ONLINE;
    return 0;
}

/* All processors are alike, so this one can answer for any that is online. */
static int do_get_cpu_version(struct xen_platform_op *op) {
    struct xenpf_pcpu_version *p = &op->u.pcpu_version;
    uint32_t id = p->xen_cpuid, leaf[4];

    memset(p, 0, sizeof(*p));
    p->xen_cpuid = id;
    p->max_present = highest_cpu();
    if (!is_online(id))
        return 0;
    arch_cpuid(0, 0, leaf);
    memcpy(p->vendor_id, &leaf[1], 4);
    memcpy(p->vendor_id + 4, &leaf[3], 4);
    memcpy(p->vendor_id + 8, &leaf[2], 4);
    arch_cpuid(1, 0, leaf);
    p->stepping = leaf[0] & 0xf;
    p->model = (leaf[0] >> 4 & 0xf) | (leaf[0] >> 12 & 0xf0);
    p->family = (leaf[0] >> 8 & 0xf) == 0xf ? 0xf + (leaf[0] >> 20 & 0xff) : leaf[0] >> 8 & 0xf;
    return 0;
}

/* Processors stay as they are after boot. */
static int do_cpu_online(struct xen_platform_op *op) {
    if (!is_present(op->u.cpu_ol.cpuid))
        return -EINVAL;
    return is_online(op->u.cpu_ol.cpuid) ? 0 : -EOPNOTSUPP;
}

static int do_cpu_offline(struct xen_platform_op *op) {
    if (!is_present(op->u.cpu_ol.cpuid))
        return -EINVAL;
    return is_online(op->u.cpu_ol.cpuid) ? -EOPNOTSUPP : 0;
}

static const struct platform_cmd {
    int (*run)(struct xen_platform_op *op);
    bool out;
} platform_cmds[] = {
    [XENPF_settime32] = {do_settime32, false},
    [XENPF_settime64] = {do_settime64, false},
    [XENPF_firmware_info] = {do_firmware_info, true},
    [XENPF_enter_acpi_sleep] = {do_enter_acpi_sleep, false},
    [XENPF_get_cpuinfo] = {do_get_cpuinfo, true},
    [XENPF_get_cpu_version] = {do_get_cpu_version, true},
    [XENPF_cpu_online] = {do_cpu_online, false},
    [XENPF_cpu_offline] = {do_cpu_offline, false},
};

/*
 * ABI:    platform.h, platform_op(op).
 * Note:   sub-ops not in the table are -ENOSYS, which Linux takes in silence: power management
 *         data (set_processor_pminfo), memory types, microcode, hot-plug.
 */
long hypercall_platform_op(struct vcpu *curr, uint64_t arg[6]) {
    guest_va_t at = {arg[0]};
    struct xen_platform_op op;
    int rc;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    if (!curr->domain->privileged)
        return -EPERM;
    if (op.cmd >= ARRAY_LEN(platform_cmds))
        return -ENOSYS;
    const struct platform_cmd *c = &platform_cmds[index_nospec(op.cmd, ARRAY_LEN(platform_cmds))];

    if (!c->run)
        return -ENOSYS;
    rc = c->run(&op);
    if (!rc && c->out)
        rc = copy_to_guest(at, &op, sizeof(op));
    return rc;
}
