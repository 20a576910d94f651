/* Console devices. console= names those that are on: com1, com2, vga. */
#ifndef ARCH_X86_CONSOLE_H
#define ARCH_X86_CONSOLE_H

#include "core/boot-info.h"

/* After the command line was parsed. The screen is used if the loader left it in text mode. */
void console_devices_init(const struct boot_video *video);
/* dom0 owns the screen from here on. */
void vga_release(void);

void serial_init(void);
void serial_write(const char *bytes, size_t len);
/* Boot, when interrupts work: input by interrupt, and the ports are the hypervisor's alone. */
void serial_start_input(void);

bool vga_init(const struct boot_video *video);
void vga_write(const char *bytes, size_t len);

extern char opt_console[];
/* Is the device among the words of console=? */
bool console_wanted(const char *device);

#endif
