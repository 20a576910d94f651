#include <abi/version.h>

#include "core/boot-info.h"
#include "core/domain.h"
#include "lib/string.h"
#include "pv/hypercall.h"

#define ABI_MAJOR 4 /* the level of the Xen ABI we speak: 4.17 */
#define ABI_MINOR 17

static const uint32_t features_all = BIT(XENFEAT_pae_pgdir_above_4gb) |
                                     BIT(XENFEAT_mmu_pt_update_preserve_ad) |
                                     BIT(XENFEAT_highmem_assist) |
                                     BIT(XENFEAT_gnttab_map_avail_bits) |
                                     BIT(XENFEAT_memory_op_vnode_supported) |
                                     BIT(XENFEAT_direct_mapped);

/* What one sub-op puts into the caller's buffer; zeroed before. The longest text fits, too. */
union version_info {
    struct xen_compile_info compile;
    struct xen_platform_parameters parameters;
    struct xen_feature_info features;
    xen_domain_handle_t handle;
    xen_commandline_t cmdline;
};

static int do_compile_info(struct vcpu *curr, union version_info *out) {
    (void)curr;
    string_copy(out->compile.compiler, __VERSION__, sizeof(out->compile.compiler));
    string_copy(out->compile.compile_by, "hospes", sizeof(out->compile.compile_by));
    return 0;
}

static int do_platform_parameters(struct vcpu *curr, union version_info *out) {
    (void)curr;
    out->parameters.virt_start = HYPERVISOR_VIRT_START;
    return 0;
}

static int do_get_features(struct vcpu *curr, union version_info *out) {
    if (out->features.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -EINVAL;
    out->features.submap = features_all;
    if (curr->domain->hardware)
        out->features.submap |= BIT(XENFEAT_dom0);
    return 0;
}

static int do_guest_handle(struct vcpu *curr, union version_info *out) {
    memcpy(out->handle, curr->domain->handle, sizeof(out->handle));
    return 0;
}

static int do_commandline(struct vcpu *curr, union version_info *out) {
    if (!curr->domain->privileged)
        return -EPERM;
    string_copy(out->cmdline, boot_info.cmdline, sizeof(out->cmdline));
    return 0;
}

static const struct version_cmd {
    int (*run)(struct vcpu *curr, union version_info *out);
    uint16_t size;    /* bytes written back */
    bool in;          /* also read first */
    const char *text; /* the answer, where it is always the same */
} version_cmds[] = {
    [XENVER_extraversion] = {NULL, sizeof(xen_extraversion_t), false, "-hospes"},
    [XENVER_compile_info] = {do_compile_info, sizeof(struct xen_compile_info), false, NULL},
    [XENVER_capabilities] = {NULL, sizeof(xen_capabilities_info_t), false, "xen-3.0-x86_64 "},
    [XENVER_changeset] = {NULL, sizeof(xen_changeset_info_t), false, "unavailable"},
    [XENVER_platform_parameters] = {do_platform_parameters,
                                    sizeof(struct xen_platform_parameters), false, NULL},
    [XENVER_get_features] = {do_get_features, sizeof(struct xen_feature_info), true, NULL},
    [XENVER_guest_handle] = {do_guest_handle, sizeof(xen_domain_handle_t), false, NULL},
    [XENVER_commandline] = {do_commandline, sizeof(xen_commandline_t), false, NULL},
};

static long version_query(struct vcpu *curr, uint64_t cmd, guest_va_t at) {
    union version_info info;
    int rc;

    if (cmd >= ARRAY_LEN(version_cmds))
        return -ENOSYS;
    const struct version_cmd *c = &version_cmds[index_nospec(cmd, ARRAY_LEN(version_cmds))];

    if (!c->size)
        return -ENOSYS;
    memset(&info, 0, sizeof(info));
    rc = c->in ? copy_from_guest(&info, at, c->size) : 0;
    if (!rc && c->text)
        string_copy((char *)&info, c->text, c->size);
    else if (!rc)
        rc = c->run(curr, &info);
    if (!rc)
        rc = copy_to_guest(at, &info, c->size);
    return rc;
}

/*
 * ABI: version.h. XENVER_version is also how a guest asks for its pending events: it issues it
 * right after unmasking them, so it must stay the shortest of all.
 */
long hypercall_xen_version(struct vcpu *curr, uint64_t arg[6]) {
    if (likely(arg[0] == XENVER_version))
        return ABI_MAJOR << 16 | ABI_MINOR;
    switch (arg[0]) {
    case XENVER_pagesize:
        return arg[1] ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_build_id:
        return -ENODATA;
    default:
        return version_query(curr, arg[0], (guest_va_t){arg[1]});
    }
}
