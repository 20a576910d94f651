/* Host programs link the host's libraries: user-space code needs nothing special in user space. */
#include "arch/cpu.h"

void arch_libs_begin(void) {
}

void arch_libs_end(void) {
}
