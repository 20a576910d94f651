/* What the hypervisor is and can do. */
#ifndef ABI_VERSION_H
#define ABI_VERSION_H

#include <abi/features.h>
#include <abi/xen.h>

/* xen_version(cmd, arg) */
#define XENVER_version             0  /* no arg; returns major << 16 | minor   */
#define XENVER_extraversion        1  /* xen_extraversion_t                    */
#define XENVER_compile_info        2  /* struct xen_compile_info               */
#define XENVER_capabilities        3  /* xen_capabilities_info_t               */
#define XENVER_changeset           4  /* xen_changeset_info_t                  */
#define XENVER_platform_parameters 5  /* struct xen_platform_parameters        */
#define XENVER_get_features        6  /* struct xen_feature_info               */
#define XENVER_pagesize            7  /* no arg; returns 4096                  */
#define XENVER_guest_handle        8  /* xen_domain_handle_t                   */
#define XENVER_commandline         9  /* xen_commandline_t                     */
#define XENVER_build_id            10 /* struct xen_build_id, or NULL for size */

/* All strings end with a NUL inside their array. */
typedef char xen_extraversion_t[16];
typedef char xen_capabilities_info_t[1024]; /* guest types, separated by blanks */
typedef char xen_changeset_info_t[64];
typedef char xen_commandline_t[1024];

#define XEN_EXTRAVERSION_LEN      (sizeof(xen_extraversion_t))
#define XEN_CAPABILITIES_INFO_LEN (sizeof(xen_capabilities_info_t))
#define XEN_CHANGESET_INFO_LEN    (sizeof(xen_changeset_info_t))

struct xen_compile_info {
    char compiler[64];
    char compile_by[16];
    char compile_domain[32];
    char compile_date[32];
};
ABI_SIZE(struct xen_compile_info, 0x90);

struct xen_platform_parameters {
    xen_ulong_t virt_start;         /* HYPERVISOR_VIRT_START                  */
};
ABI_SIZE(struct xen_platform_parameters, 8);

struct xen_feature_info {
    uint32_t submap_idx;
    uint32_t submap;                /* -> bit per XENFEAT_*                   */
};
ABI_SIZE(struct xen_feature_info, 8);

struct xen_build_id {
    uint32_t len;                   /* of buf                                 */
    unsigned char buf[];
};
ABI_SIZE(struct xen_build_id, 4);

#endif
