/* The way from boot.S to dom0's first instruction. */
#include "arch/x86/acpi.h"
#include "arch/x86/apic.h"
#include "arch/x86/clock.h"
#include "arch/x86/console.h"
#include "arch/x86/entry.h"
#include "arch/x86/irq.h"
#include "arch/x86/memory-map.h"
#include "arch/x86/multiboot.h"
#include "arch/x86/paging.h"
#include "arch/x86/percpu.h"
#include "arch/x86/power.h"
#include "arch/x86/processor.h"
#include "arch/x86/sections.h"
#include "arch/x86/smp.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "core/domain.h"
#include "core/heap.h"
#include "core/sched.h"
#include "core/time.h"
#include "core/timer.h"
#include "lib/bug.h"
#include "lib/printf.h"
#include "pv/dom0-build.h"
#include "pv/hypercall.h"

static INIT_TEXT void print_memory_map(void) {
    static const char *const types[] = {"", "RAM", "reserved", "ACPI", "NVS", "unusable"};

    for (unsigned int i = 0; i < boot_info.nr_memory; i++) {
        const struct boot_memory *m = &boot_info.memory[i];

        pr_debug("memory %012lx-%012lx %s\n", m->start, m->start + m->len - 1, types[m->type]);
    }
}

static INIT_TEXT void check_modules(void) {
    pr_info("command line: %s\n", boot_info.cmdline);
    for (unsigned int i = 0; i < boot_info.nr_modules; i++)
        pr_info("module %u: %lu KiB, %s\n", i, boot_info.module[i].len / 1024,
                boot_info.module[i].cmdline);
    if (!boot_info.nr_modules)
        panic("no kernel for dom0: add a \"module2 /boot/vmlinuz ...\" line in GRUB, or give "
              "QEMU -initrd \"vmlinuz ...,initrd\"");
}

/* dom0 must not take the interrupt controllers' addresses for free. */
static INIT_TEXT void reserve_device_memory(void) {
    memory_map_reserve(acpi.lapic_base, PAGE_SIZE);
    for (unsigned int i = 0; i < acpi.nr_ioapics; i++)
        memory_map_reserve(acpi.ioapic[i].base, PAGE_SIZE);
}

/*
 * Linux looks for the RSDP where a BIOS puts it, or asks UEFI. Neither helps where UEFI started us,
 * so it is told, unless its command line says something else further on.
 */
static INIT_TEXT void tell_dom0_rsdp(void) {
    static INIT_DATA char cmdline[1024];
    struct boot_module *kernel = &boot_info.module[0];
    int len = snprintf(cmdline, sizeof(cmdline), "acpi_rsdp=%#lx %s", boot_info.rsdp,
                       kernel->cmdline);

    if (boot_info.rsdp >= MIB(1) && len < (int)sizeof(cmdline))
        kernel->cmdline = cmdline;
}

/* What every cpu needs of core before it may run anything. */
INIT_TEXT void cpu_core_init(unsigned int cpu) {
    if (timers_cpu_init(cpu) || sched_cpu_init(cpu))
        panic("too little memory for cpu %u", cpu);
}

/* Not boot code itself, which is gone after the first line. */
static NOINLINE _Noreturn void leave_boot(void) {
    vga_release();
    paging_free_init();
    smp_release();
    irq_disable();
    cpu_do_work();
    enter_guest();
}

/* From boot.S, on the boot cpu's stack, with boot.S's page tables. */
_Noreturn void boot_main(uint32_t magic, uint32_t info);
_Noreturn INIT_TEXT void boot_main(uint32_t magic, uint32_t info) {
    const char *error = multiboot_parse(&boot_info, magic, info);

    pr_info("Hospes " HOSPES_VERSION ", built with " HOSPES_COMPILER "\n");
    cmdline_parse(boot_info.cmdline ? boot_info.cmdline : "");
    console_devices_init(&boot_info.video);
    idt_init();
    percpu_init_boot();
    if (error)
        panic("%s", error);

    cpu_features_detect();
    cpu_features_enable();
    this_cpu()->arch.cr4 = cr4_policy;
    memory_map_reserve(VGA_START, VGA_END - VGA_START);
    print_memory_map();
    boot_mem_init();
    paging_init();
    percpu_init_boot();
    pr_info("%lu MiB of memory, %lu MiB free\n", heap_total_frames() >> 8, heap_free_frames() >> 8);
    check_modules();

    acpi_init();
    tell_dom0_rsdp();
    power_init();
    apic_init();
    clock_init();
    time_init();
    irq_init();
    cpu_online(this_cpu());
    cpu_entry_init(this_cpu());
    cpu_core_init(0);
    domains_init();
    memory_share_m2p();
    serial_start_input();
    irq_enable();
    smp_init();
    reserve_device_memory();
    paging_seal();

    dom0_build();
    leave_boot();
}
