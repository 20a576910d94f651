/* Interrupts, I/O ports and PCI devices of the machine, mostly for dom0. */
#ifndef ABI_PHYSDEV_H
#define ABI_PHYSDEV_H

#include <abi/xen.h>

/* physdev_op(cmd, arg). "->" marks results. */
#define PHYSDEVOP_irq_status_query  5
#define PHYSDEVOP_set_iopl          6
#define PHYSDEVOP_set_iobitmap      7
#define PHYSDEVOP_apic_read         8  /* physdev_apic                         */
#define PHYSDEVOP_apic_write        9  /* physdev_apic                         */
#define PHYSDEVOP_alloc_irq_vector  10 /* physdev_irq                          */
#define PHYSDEVOP_free_irq_vector   11 /* physdev_irq                          */
#define PHYSDEVOP_eoi               12
#define PHYSDEVOP_map_pirq          13
#define PHYSDEVOP_unmap_pirq        14
#define PHYSDEVOP_manage_pci_add    15 /* physdev_manage_pci                   */
#define PHYSDEVOP_manage_pci_remove 16 /* physdev_manage_pci                   */
#define PHYSDEVOP_pirq_eoi_gmfn_v1  17 /* physdev_pirq_eoi_gmfn; eoi then unmasks the port */
#define PHYSDEVOP_restore_msi       19
#define PHYSDEVOP_manage_pci_add_ext 20
#define PHYSDEVOP_setup_gsi         21
#define PHYSDEVOP_get_free_pirq     23
#define PHYSDEVOP_pci_mmcfg_reserved 24
#define PHYSDEVOP_pci_device_add    25
#define PHYSDEVOP_pci_device_remove 26 /* physdev_pci_device                   */
#define PHYSDEVOP_restore_msi_ext   27 /* physdev_pci_device                   */
#define PHYSDEVOP_pirq_eoi_gmfn_v2  28 /* physdev_pirq_eoi_gmfn                */
#define PHYSDEVOP_dbgp_op           29
#define PHYSDEVOP_prepare_msix      30 /* physdev_pci_device                   */
#define PHYSDEVOP_release_msix      31 /* physdev_pci_device                   */

struct physdev_irq_status_query {
    uint32_t irq;
    uint32_t flags;                 /* -> XENIRQSTAT_*                        */
};
ABI_SIZE(struct physdev_irq_status_query, 8);
#define _XENIRQSTAT_needs_eoi 0
#define XENIRQSTAT_needs_eoi  (1u << _XENIRQSTAT_needs_eoi)
#define _XENIRQSTAT_shared    1
#define XENIRQSTAT_shared     (1u << _XENIRQSTAT_shared)

struct physdev_set_iopl {
    uint32_t iopl;                  /* of this vcpu; 1 lets the kernel do port I/O */
};
ABI_SIZE(struct physdev_set_iopl, 4);

struct physdev_set_iobitmap {
    guest_va_t bitmap;              /* bit per port, clear: allowed to user mode */
    uint32_t nr_ports;
};
ABI_SIZE(struct physdev_set_iobitmap, 0x10);

/* One register of an I/O APIC. */
struct physdev_apic {
    uint64_t apic_physbase;
    uint32_t reg;
    uint32_t value;                 /* read: ->                               */
};
ABI_SIZE(struct physdev_apic, 0x10);
ABI_OFFSET(struct physdev_apic, reg, 8);
ABI_OFFSET(struct physdev_apic, value, 0xc);

struct physdev_irq {
    uint32_t irq;
    uint32_t vector;                /* ->                                     */
};
ABI_SIZE(struct physdev_irq, 8);

/* The guest has handled a level-triggered interrupt. */
struct physdev_eoi {
    uint32_t irq;
};
ABI_SIZE(struct physdev_eoi, 4);

/* Give a physical interrupt a number in the domain. */
struct physdev_map_pirq {
    domid_t domid;
    int32_t type;                   /* MAP_PIRQ_TYPE_*                        */
    int32_t index;                  /* the GSI                                */
    int32_t pirq;                   /* wanted, or -1; ->                      */
    int32_t bus;                    /* MSI: bus, MSI_SEG: segment << 16 too   */
    int32_t devfn;
    int32_t entry_nr;               /* MSI-X entry; MULTI_MSI: count          */
    uint64_t table_base;            /* of the MSI-X table; 0: plain MSI       */
};
ABI_SIZE(struct physdev_map_pirq, 0x28);
ABI_OFFSET(struct physdev_map_pirq, type, 4);
ABI_OFFSET(struct physdev_map_pirq, index, 8);
ABI_OFFSET(struct physdev_map_pirq, pirq, 0xc);
ABI_OFFSET(struct physdev_map_pirq, entry_nr, 0x18);
ABI_OFFSET(struct physdev_map_pirq, table_base, 0x20);
#define MAP_PIRQ_TYPE_MSI       0
#define MAP_PIRQ_TYPE_GSI       1
#define MAP_PIRQ_TYPE_UNKNOWN   2
#define MAP_PIRQ_TYPE_MSI_SEG   3
#define MAP_PIRQ_TYPE_MULTI_MSI 4

struct physdev_unmap_pirq {
    domid_t domid;
    int32_t pirq;
};
ABI_SIZE(struct physdev_unmap_pirq, 8);

struct physdev_manage_pci {
    uint8_t bus;
    uint8_t devfn;
};
ABI_SIZE(struct physdev_manage_pci, 2);

/* A page with one bit per pirq that wants an EOI. */
struct physdev_pirq_eoi_gmfn {
    xen_pfn_t gmfn;
};
ABI_SIZE(struct physdev_pirq_eoi_gmfn, 8);

struct physdev_restore_msi {
    uint8_t bus;
    uint8_t devfn;
};
ABI_SIZE(struct physdev_restore_msi, 2);

struct physdev_manage_pci_ext {
    uint8_t bus;
    uint8_t devfn;
    uint32_t is_extfn;
    uint32_t is_virtfn;             /* physfn is valid                        */
    struct {
        uint8_t bus;
        uint8_t devfn;
    } physfn;
};
ABI_SIZE(struct physdev_manage_pci_ext, 0x10);

struct physdev_setup_gsi {
    int32_t gsi;
    uint8_t triggering;             /* 0 edge, 1 level                        */
    uint8_t polarity;               /* 0 active high, 1 active low            */
};
ABI_SIZE(struct physdev_setup_gsi, 8);

struct physdev_get_free_pirq {
    int32_t type;                   /* MAP_PIRQ_TYPE_*                        */
    uint32_t pirq;                  /* ->                                     */
};
ABI_SIZE(struct physdev_get_free_pirq, 8);

/* May this memory-mapped configuration window be used? dom0 has asked ACPI. */
struct physdev_pci_mmcfg_reserved {
    uint64_t address;
    uint16_t segment;
    uint8_t start_bus;
    uint8_t end_bus;
    uint32_t flags;                 /* XEN_PCI_MMCFG_RESERVED                 */
};
ABI_SIZE(struct physdev_pci_mmcfg_reserved, 0x10);
ABI_OFFSET(struct physdev_pci_mmcfg_reserved, start_bus, 0xa);
ABI_OFFSET(struct physdev_pci_mmcfg_reserved, flags, 0xc);
#define XEN_PCI_MMCFG_RESERVED 0x1

struct physdev_pci_device_add {
    uint16_t seg;
    uint8_t bus;
    uint8_t devfn;
    uint32_t flags;                 /* XEN_PCI_DEV_*                          */
    struct {
        uint8_t bus;
        uint8_t devfn;
    } physfn;                       /* with XEN_PCI_DEV_VIRTFN                */
    uint32_t optarr[];              /* [0] proximity domain, with XEN_PCI_DEV_PXM */
};
ABI_SIZE(struct physdev_pci_device_add, 0xc);
ABI_OFFSET(struct physdev_pci_device_add, flags, 4);
ABI_OFFSET(struct physdev_pci_device_add, physfn, 8);
ABI_OFFSET(struct physdev_pci_device_add, optarr, 0xc);
#define XEN_PCI_DEV_EXTFN  0x1
#define XEN_PCI_DEV_VIRTFN 0x2
#define XEN_PCI_DEV_PXM    0x4

struct physdev_pci_device {
    uint16_t seg;
    uint8_t bus;
    uint8_t devfn;
};
ABI_SIZE(struct physdev_pci_device, 4);

/* The USB debug port is about to be reset, or has been. */
struct physdev_dbgp_op {
    uint8_t op;                     /* PHYSDEVOP_DBGP_RESET_*                 */
    uint8_t bus;                    /* PHYSDEVOP_DBGP_BUS_*                   */
    union {
        struct physdev_pci_device pci;
    } u;
};
ABI_SIZE(struct physdev_dbgp_op, 6);
#define PHYSDEVOP_DBGP_RESET_PREPARE 1
#define PHYSDEVOP_DBGP_RESET_DONE    2
#define PHYSDEVOP_DBGP_BUS_UNKNOWN   0
#define PHYSDEVOP_DBGP_BUS_PCI       1

#endif
