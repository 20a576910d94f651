/* The seam, part 6: the machine's consoles. */
#ifndef ARCH_CONSOLE_H
#define ARCH_CONSOLE_H

#include "lib/types.h"

/*
 * Bytes to every console that is on; a newline goes out as CR LF where the device wants that.
 * Locks:  the caller serialises (RANK_CONSOLE), except in a panic.
 */
void arch_console_write(const char *bytes, size_t len);

#endif
