/* The bits of a page-table entry, the guests' and ours. */
#ifndef PV_PTE_H
#define PV_PTE_H

#include "lib/bits.h"

#define PTE_P            BIT(0)
#define PTE_RW           BIT(1)
#define PTE_US           BIT(2)
#define PTE_PWT          BIT(3)
#define PTE_PCD          BIT(4)
#define PTE_A            BIT(5)
#define PTE_D            BIT(6)
#define PTE_AD           (PTE_A | PTE_D)
#define PTE_PSE          BIT(7)
#define PTE_PAT          BIT(7)
#define PTE_G            BIT(8)
#define PTE_AVL          (BIT(9) | BIT(10) | BIT(11))
#define PTE_GUEST_KERNEL BIT(52)
#define PTE_AVL_HIGH     (BIT(59) - BIT(53))
#define PTE_NX           BIT(63)
#define PTE_MFN_MASK     (((BIT(52) - 1)) & PAGE_MASK)

#endif
