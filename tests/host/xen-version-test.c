/* links: pv/xen-version.c lib/string.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c */
/* xen_version: what guests and tools are told, and that nothing else is. */
#include <abi/version.h>

#include <stdlib.h>

#include "arch/fake/fake.h"
#include "core/boot-info.h"
#include "core/domain.h"
#include "pv/hypercall.h"
#include "test.h"

struct boot_info boot_info = {.cmdline = "loglvl=all console=com1"};

static struct domain d;
static struct vcpu v = {.domain = &d};
static union {
    char text[2048];
    uint8_t bytes[2048];
    struct xen_compile_info compile;
    struct xen_platform_parameters parameters;
    struct xen_feature_info features;
} buf;

static long ask_at(uint64_t cmd, const void *at) {
    uint64_t arg[6] = {cmd, (uintptr_t)at};

    return hypercall_xen_version(&v, arg);
}

static long ask(uint64_t cmd) {
    fake_machine_init(16);
    fake_guest_memory(&buf, sizeof(buf));
    return ask_at(cmd, &buf);
}

/* Size of the answer, by the bytes that changed; all of it is written. */
static size_t answer_size(uint64_t cmd) {
    size_t n = sizeof(buf);

    for (size_t i = 0; i < sizeof(buf); i++)
        buf.bytes[i] = 0xa5;
    EXPECT_EQ(ask(cmd), 0);
    while (n && buf.bytes[n - 1] == 0xa5)
        n--;
    for (size_t i = 0; i < n; i++)
        EXPECT(buf.bytes[i] != 0xa5);
    return n;
}

TEST(the_version_is_that_of_the_abi) {
    EXPECT_EQ(ask_at(XENVER_version, NULL), 4 << 16 | 17);
    EXPECT_EQ(ask_at(XENVER_pagesize, NULL), PAGE_SIZE);
    EXPECT_EQ(ask_at(XENVER_pagesize, &buf), -EINVAL);
    EXPECT_EQ(ask_at(XENVER_build_id, &buf), -ENODATA);
}

TEST(texts_are_whole_buffers_and_show_nothing_else) {
    EXPECT_EQ(answer_size(XENVER_extraversion), sizeof(xen_extraversion_t));
    EXPECT_EQ(buf.text[0], '-');
    EXPECT_EQ(answer_size(XENVER_compile_info), sizeof(struct xen_compile_info));
    EXPECT(buf.compile.compiler[0]);
    EXPECT_EQ(answer_size(XENVER_changeset), sizeof(xen_changeset_info_t));
    EXPECT_EQ(answer_size(XENVER_capabilities), sizeof(xen_capabilities_info_t));
    EXPECT_STR(buf.text, "xen-3.0-x86_64 ");
}

TEST(the_hypervisors_range_begins_where_it_is) {
    EXPECT_EQ(answer_size(XENVER_platform_parameters), sizeof(struct xen_platform_parameters));
    EXPECT_EQ(buf.parameters.virt_start, HYPERVISOR_VIRT_START);
}

TEST(features_are_those_of_the_one_submap) {
    d.hardware = false;
    buf.features.submap_idx = 0;
    EXPECT_EQ(ask(XENVER_get_features), 0);
    EXPECT_EQ(buf.features.submap >> XENFEAT_mmu_pt_update_preserve_ad & 1, 1);
    EXPECT_EQ(buf.features.submap >> XENFEAT_writable_page_tables & 1, 0);
    EXPECT_EQ(buf.features.submap >> XENFEAT_auto_translated_physmap & 1, 0);
    EXPECT_EQ(buf.features.submap >> XENFEAT_dom0 & 1, 0);
    d.hardware = true;
    EXPECT_EQ(ask(XENVER_get_features), 0);
    EXPECT_EQ(buf.features.submap >> XENFEAT_dom0 & 1, 1);
    buf.features.submap_idx = XENFEAT_NR_SUBMAPS;
    EXPECT_EQ(ask(XENVER_get_features), -EINVAL);
}

TEST(a_domain_learns_its_own_handle) {
    for (unsigned int i = 0; i < sizeof(d.handle); i++)
        d.handle[i] = (uint8_t)(i + 1);
    EXPECT_EQ(answer_size(XENVER_guest_handle), sizeof(xen_domain_handle_t));
    EXPECT_MEM(buf.bytes, d.handle, sizeof(d.handle));
}

TEST(our_command_line_is_for_who_controls) {
    d.privileged = false;
    EXPECT_EQ(ask(XENVER_commandline), -EPERM);
    d.privileged = true;
    EXPECT_EQ(answer_size(XENVER_commandline), sizeof(xen_commandline_t));
    EXPECT_STR(buf.text, boot_info.cmdline);
}

TEST(what_cannot_be_is_told) {
    EXPECT_EQ(ask(11), -ENOSYS);
    EXPECT_EQ(ask(UINT64_MAX), -ENOSYS);
    EXPECT_EQ(ask_at(XENVER_capabilities, NULL), -EFAULT);
    EXPECT_EQ(ask_at(XENVER_get_features, NULL), -EFAULT);
}
