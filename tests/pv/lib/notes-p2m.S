/* Notes of a guest that wants the p2m list away from its image, and no mapping of its ramdisk. */
#include <abi/elfnote.h>

#include "layout.h"

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, XEN_ELFNOTE_INIT_P2M
    .asciz "Xen"
    .quad P2M_BASE
    .long 4, 4, XEN_ELFNOTE_MOD_START_PFN
    .asciz "Xen"
    .long 1

    .section .note.GNU-stack, "", @progbits
