/* links: pv/platform.c lib/lock.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c */
/* platform_op: every sub-op dom0 uses, every error. */
#include <abi/platform.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/time.h"
#include "pv/hypercall.h"
#include "test.h"

static struct domain d = {.privileged = true};
static struct vcpu v = {.domain = &d};
static struct xen_platform_op op;

static struct {
    uint64_t secs, system_time;
    uint32_t nsecs;
} wallclock;

void time_set_wallclock(uint64_t secs, uint32_t nsecs, uint64_t system_time_ns) {
    wallclock.secs = secs;
    wallclock.nsecs = nsecs;
    wallclock.system_time = system_time_ns;
}

/* A Zen 4: family 0x19, model 0x61, stepping 2. */
void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    static const uint32_t leaves[][4] = {{0x10, 0x68747541, 0x444d4163, 0x69746e65},
                                         {0x00a60f12, 0, 0, 0}};

    (void)subleaf;
    memcpy(regs, leaves[leaf], sizeof(leaves[0]));
}

static void start(uint32_t cmd) {
    fake_machine_init(16);
    fake_guest_memory(&op, sizeof(op));
    d.privileged = true;
    memset(&op, 0, sizeof(op));
    memset(&wallclock, 0, sizeof(wallclock));
    op.cmd = cmd;
    op.interface_version = XENPF_INTERFACE_VERSION;
}

static long call(void) {
    uint64_t arg[6] = {(uintptr_t)&op};

    fake_guest_begin();
    long rc = hypercall_platform_op(&v, arg);

    EXPECT_EQ(fake_guest.double_fetches, 0);
    return rc;
}

TEST(errors_of_the_call_itself) {
    uint64_t nowhere[6] = {8};

    start(XENPF_settime64);
    EXPECT_EQ(hypercall_platform_op(&v, nowhere), -EFAULT);
    op.interface_version++;
    EXPECT_EQ(call(), -EACCES);
    op.interface_version--;
    d.privileged = false;
    EXPECT_EQ(call(), -EPERM);
    d.privileged = true;
    EXPECT_EQ(call(), 0);
}

TEST(what_is_not_offered_is_enosys) {
    static const uint32_t cmds[] = {0,
                                    XENPF_add_memtype,
                                    XENPF_del_memtype,
                                    XENPF_read_memtype,
                                    XENPF_microcode_update,
                                    XENPF_platform_quirk,
                                    XENPF_efi_runtime_call,
                                    XENPF_change_freq,
                                    XENPF_getidletime,
                                    XENPF_set_processor_pminfo,
                                    XENPF_cpu_hotadd,
                                    XENPF_mem_hotadd,
                                    XENPF_core_parking,
                                    XENPF_resource_op,
                                    XENPF_get_symbol,
                                    64,
                                    UINT32_MAX};

    start(0);
    for (unsigned int i = 0; i < ARRAY_LEN(cmds); i++) {
        op.cmd = cmds[i];
        EXPECT_EQ(call(), -ENOSYS);
    }
}

TEST(settime_sets_the_wall_clock) {
    start(XENPF_settime64);
    op.u.settime64 = (struct xenpf_settime64){.secs = BIT(33), .nsecs = 5, .system_time = 77};
    EXPECT_EQ(call(), 0);
    EXPECT(wallclock.secs == BIT(33) && wallclock.nsecs == 5 && wallclock.system_time == 77);
    op.u.settime64.mbz = 1;
    op.u.settime64.secs = 1;
    EXPECT_EQ(call(), -EINVAL);
    EXPECT_EQ(wallclock.secs, BIT(33));

    start(XENPF_settime32);
    op.u.settime32 = (struct xenpf_settime32){.secs = 9, .nsecs = 8, .system_time = 7};
    EXPECT_EQ(call(), 0);
    EXPECT(wallclock.secs == 9 && wallclock.nsecs == 8 && wallclock.system_time == 7);
}

TEST(firmware_lists_are_empty) {
    static const struct {
        uint32_t type, index;
        long rc;
    } cases[] = {{XEN_FW_DISK_INFO, 0, -ESRCH},
                 {XEN_FW_DISK_MBR_SIGNATURE, 0, -ESRCH},
                 {XEN_FW_VBEDDC_INFO, 0, -ESRCH},
                 {XEN_FW_KBD_SHIFT_FLAGS, 0, 0},
                 {XEN_FW_KBD_SHIFT_FLAGS, 1, -ESRCH},
                 {XEN_FW_EFI_INFO, 0, -ENOSYS},
                 {0, 0, -EINVAL},
                 {6, 0, -EINVAL},
                 {UINT32_MAX, 0, -EINVAL}};

    for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
        start(XENPF_firmware_info);
        op.u.firmware_info.type = cases[i].type;
        op.u.firmware_info.index = cases[i].index;
        op.u.firmware_info.u.kbd_shift_flags = 0xff;
        EXPECT_EQ(call(), cases[i].rc);
        if (!cases[i].rc)
            EXPECT_EQ(op.u.firmware_info.u.kbd_shift_flags, 0);
    }
}

TEST(power_off_goes_to_the_machine) {
    start(XENPF_enter_acpi_sleep);
    op.u.enter_acpi_sleep =
        (struct xenpf_enter_acpi_sleep){.val_a = 0x3400, .val_b = 0x12, .sleep_state = 5};
    EXPECT_EQ(call(), 0);
    EXPECT_EQ(fake_record.sleep.pm1a, 0x3400);
    EXPECT_EQ(fake_record.sleep.pm1b, 0x12);
    op.u.enter_acpi_sleep.sleep_state = 3;
    EXPECT_EQ(call(), -EINVAL);
    op.u.enter_acpi_sleep.sleep_state = 5;
    op.u.enter_acpi_sleep.flags = XENPF_ACPI_SLEEP_EXTENDED;
    EXPECT_EQ(call(), -EINVAL);
}

TEST(cpus_are_described) {
    start(XENPF_get_cpuinfo);
    fake_cpu_enter(2);
    fake_cpu_enter(0);
    op.u.pcpu_info.xen_cpuid = 2;
    EXPECT_EQ(call(), 0);
    EXPECT_EQ(op.u.pcpu_info.max_present, 2);
    EXPECT_EQ(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_ONLINE);
    EXPECT_EQ(op.u.pcpu_info.apic_id, 2);
    EXPECT_EQ(op.u.pcpu_info.acpi_id, 3);
    op.u.pcpu_info.xen_cpuid = 1;
    EXPECT_EQ(call(), 0);
    EXPECT_EQ(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_INVALID);
    op.u.pcpu_info.xen_cpuid = UINT32_MAX;
    EXPECT_EQ(call(), 0);
    EXPECT_EQ(op.u.pcpu_info.flags, XEN_PCPU_FLAGS_INVALID);
    cpus[2]->online = false;
    op.u.pcpu_info.xen_cpuid = 2;
    EXPECT_EQ(call(), 0);
    EXPECT_EQ(op.u.pcpu_info.flags, 0);
    cpus[2]->online = true;
}

TEST(cpu_versions_come_from_cpuid) {
    start(XENPF_get_cpu_version);
    EXPECT_EQ(call(), 0);
    EXPECT_MEM(op.u.pcpu_version.vendor_id, "AuthenticAMD", 12);
    EXPECT_EQ(op.u.pcpu_version.family, 0x19);
    EXPECT_EQ(op.u.pcpu_version.model, 0x61);
    EXPECT_EQ(op.u.pcpu_version.stepping, 2);
    op.u.pcpu_version.xen_cpuid = 1;
    EXPECT_EQ(call(), 0);
    EXPECT_EQ(op.u.pcpu_version.family, 0);
    EXPECT_EQ(op.u.pcpu_version.xen_cpuid, 1);
    EXPECT_EQ(op.u.pcpu_version.max_present, 2);
}

TEST(cpus_stay_as_they_are) {
    start(XENPF_cpu_online);
    EXPECT_EQ(call(), 0);
    op.cmd = XENPF_cpu_offline;
    EXPECT_EQ(call(), -EOPNOTSUPP);
    op.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(call(), -EINVAL);
    op.cmd = XENPF_cpu_online;
    EXPECT_EQ(call(), -EINVAL);
    op.u.cpu_ol.cpuid = UINT32_MAX;
    EXPECT_EQ(call(), -EINVAL);
    cpus[2]->online = false;
    op.u.cpu_ol.cpuid = 2;
    EXPECT_EQ(call(), -EOPNOTSUPP);
    op.cmd = XENPF_cpu_offline;
    EXPECT_EQ(call(), 0);
    cpus[2]->online = true;
}

TEST(a_result_that_cannot_be_written_is_efault) {
    start(XENPF_get_cpuinfo);
    fake_guest.fail_at = 2;
    EXPECT_EQ(call(), -EFAULT);
}
