/* Console devices. console= names those that are on: com1, com2, vga. */
#ifndef ARCH_X86_CONSOLE_H
#define ARCH_X86_CONSOLE_H

#include "core/boot-info.h"

/* After the command line was parsed. Both print what was said before. */
void console_serial_init(void);
/* Needs ioremap(). The screen is used if the loader left it in text mode. */
void console_screen_init(const struct boot_video *video);
/* dom0 owns the screen from here on. */
void vga_release(void);

void serial_init(void);
void serial_write(const char *bytes, size_t len);
/* Hand what the serial ports received to console_input(). */
void serial_receive(void);
/* From now on received bytes raise an interrupt. Returns the ISA irq, or -1 if no port is a console. */
int serial_irq(void);
void serial_enable_interrupt(void);

bool vga_init(const struct boot_video *video);
void vga_write(const char *bytes, size_t len);

extern char opt_console[];
/* Is the device among the words of console=? */
bool console_wanted(const char *device);

#endif
