/* Message-signalled interrupts: message and mask are the hypervisor's, the enable bit dom0's. */
#include "arch/cpu.h"
#include "arch/mm.h"
#include "arch/x86/irq.h"
#include "arch/x86/paging.h"
#include "core/heap.h"
#include "lib/bits.h"
#include "lib/list.h"

enum { CAP_MSI = 0x05, CAP_MSIX = 0x11 };
enum { MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_DATA_32 = 8, MSI_DATA_64 = 12 };
enum { MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_END = 12 };

#define CONTROL_ENABLE       0x0001
#define CONTROL_CAPABLE(c)   ((c) >> 1 & 7) /* log2 of the messages it could send      */
#define CONTROL_MESSAGES(n)  ((n) << 4)     /* log2 of those it may                    */
#define CONTROL_MESSAGES_ALL 0x0070
#define CONTROL_64           0x0080
#define CONTROL_MASKABLE     0x0100
#define MSIX_ENTRIES(c)      (((c)&0x7ff) + 1)

#define MESSAGE_ADDRESS 0xfee00000u /* | APIC id << 12: fixed delivery, one destination */

enum { ENTRY_ADDRESS, ENTRY_ADDRESS_HIGH, ENTRY_DATA, ENTRY_CONTROL, ENTRY_WORDS };
#define ENTRY_MASKED 1u

/* By irq; those below nr_gsis stay unused. */
static struct msi {
    bool used, msix, is_64, maskable;
    uint8_t bus, devfn, cap;
    uint16_t entry_nr;        /* MSI-X: in the table; MSI: which of its messages */
    uint8_t log2_count;       /* MSI: messages of the device */
    volatile uint32_t *entry; /* MSI-X: its table entry */
} msis[NR_IRQS];

/* Guards: msis[].used and what device an irq is of, the mapped tables. */
static struct lock msi_lock = LOCK_INIT(RANK_MSI);

/* MSI-X tables seen so far stay mapped: a driver that comes back finds the same one. */
struct msix_table {
    struct list link;
    uint64_t paddr;
    unsigned int nr_entries;
    volatile uint32_t *entries;
};
static struct list msix_tables = LIST_INIT(msix_tables);

/* --- messages -------------------------------------------------------------------------------- */

static uint32_t cap_read(const struct msi *m, unsigned int reg, unsigned int size) {
    return arch_pci_read(m->bus, m->devfn, m->cap + reg, size);
}
static void cap_write(const struct msi *m, unsigned int reg, unsigned int size, uint32_t value) {
    arch_pci_write(m->bus, m->devfn, m->cap + reg, size, value);
}

static unsigned int mask_register(const struct msi *m) {
    return m->is_64 ? MSI_DATA_64 + 4 : MSI_DATA_32 + 4;
}

void msi_write_mask(unsigned int irq) {
    const struct msi *m = &msis[irq];
    bool masked = !irqs[irq].enabled;

    if (!m->used)
        return;
    if (m->msix) {
        m->entry[ENTRY_CONTROL] = masked ? ENTRY_MASKED : 0;
        (void)m->entry[ENTRY_CONTROL]; /* posted writes reach the device before we go on */
    } else if (m->maskable) {
        uint32_t bits = cap_read(m, mask_register(m), 4), bit = 1u << m->entry_nr;

        cap_write(m, mask_register(m), 4, masked ? bits | bit : bits & ~bit);
    }
}

/*
 * All messages of an MSI device have one address: the one moved last decides where they go. The
 * first one's vector comes from ours: the first may have been given back already.
 */
static void write_msi(const struct msi *m, unsigned int irq) {
    uint32_t data = (uint32_t)irqs[irq].vector - m->entry_nr;

    cap_write(m, MSI_ADDRESS, 4, MESSAGE_ADDRESS | (uint32_t)irqs[irq].dest << 12);
    if (m->is_64)
        cap_write(m, MSI_ADDRESS + 4, 4, 0);
    cap_write(m, m->is_64 ? MSI_DATA_64 : MSI_DATA_32, 2, data);
}

void msi_write_message(unsigned int irq) {
    const struct msi *m = &msis[irq];

    if (!m->used)
        return;
    if (m->msix) {
        m->entry[ENTRY_CONTROL] = ENTRY_MASKED;
        m->entry[ENTRY_ADDRESS] = MESSAGE_ADDRESS | (uint32_t)irqs[irq].dest << 12;
        m->entry[ENTRY_ADDRESS_HIGH] = 0;
        m->entry[ENTRY_DATA] = irqs[irq].vector;
    } else {
        write_msi(m, irq);
    }
    msi_write_mask(irq);
}

/* --- allocation ------------------------------------------------------------------------------ */

static bool is_device(const struct msi *m, uint8_t bus, uint8_t devfn) {
    return m->used && m->bus == bus && m->devfn == devfn;
}

/* An irq at or after `irq` of that device, or NR_IRQS. */
static unsigned int next_of_device(uint8_t bus, uint8_t devfn, unsigned int irq) {
    while (irq < NR_IRQS && !is_device(&msis[irq], bus, devfn))
        irq++;
    return irq;
}

/* MSI or MSI-X, not both; each MSI-X entry once. */
static bool is_programmed(const struct msi_where *w) {
    for (unsigned int irq = next_of_device(w->bus, w->devfn, nr_gsis); irq < NR_IRQS;
         irq = next_of_device(w->bus, w->devfn, irq + 1))
        if (!w->msix || !msis[irq].msix || msis[irq].entry_nr == w->entry_nr)
            return true;
    return false;
}

static int find_free_irqs(unsigned int count) {
    for (unsigned int first = nr_gsis, n = 0; first + n < NR_IRQS;) {
        if (msis[first + n].used) {
            first += n + 1;
            n = 0;
        } else if (++n == count) {
            return (int)first;
        }
    }
    return -ENOSPC;
}

/* Errors: NULL: no memory, or that is no device memory. Locks: msi_lock. */
static struct msix_table *map_table(uint64_t paddr, unsigned int nr_entries) {
    uint64_t len = nr_entries * ENTRY_WORDS * sizeof(uint32_t);
    struct msix_table *t;
    void *entries;

    list_for_each(t, &msix_tables, link)
        if (t->paddr == paddr && t->nr_entries >= nr_entries)
            return t;
    for (uint64_t at = paddr & PAGE_MASK; at < paddr + len; at += PAGE_SIZE) {
        mfn_t mfn = mfn_of(at >> PAGE_SHIFT);

        if (at >> arch_cpu_maxphyaddr() || arch_mfn_is_ram(mfn) || arch_mmio_is_ours(mfn))
            return NULL;
    }
    entries = ioremap(paddr, len);
    t = entries ? mem_alloc_struct(struct msix_table) : NULL;
    if (!t)
        return NULL;
    t->paddr = paddr;
    t->nr_entries = nr_entries;
    t->entries = entries;
    list_add(&t->link, &msix_tables);
    return t;
}

static int describe_msix(struct msi *m, const struct msi_where *w) {
    unsigned int nr = MSIX_ENTRIES(cap_read(m, MSIX_CONTROL, 2));
    uint64_t table = w->table_base + (cap_read(m, MSIX_TABLE, 4) & ~7u);
    struct msix_table *t;

    if (w->entry_nr >= nr || w->table_base % 16 || table < w->table_base)
        return -EINVAL;
    t = map_table(table, nr);
    if (!t)
        return -EINVAL;
    m->entry_nr = w->entry_nr;
    m->entry = &t->entries[w->entry_nr * ENTRY_WORDS];
    return 0;
}

static int describe_msi(struct msi *m, unsigned int count) {
    uint32_t control = cap_read(m, MSI_CONTROL, 2);

    m->is_64 = control & CONTROL_64;
    m->maskable = control & CONTROL_MASKABLE;
    if (!count || count & (count - 1) || count > 1u << MIN(CONTROL_CAPABLE(control), 5u))
        return -EINVAL;
    m->log2_count = (uint8_t)bit_lowest(count);
    return 0;
}

/* What is constant for all messages of the request. */
static int describe(struct msi *m, const struct msi_where *w) {
    *m = (struct msi){.used = true, .msix = w->msix, .bus = w->bus, .devfn = w->devfn};
    m->cap =
        w->seg ? 0 : (uint8_t)pci_find_capability(w->bus, w->devfn, w->msix ? CAP_MSIX : CAP_MSI);
    if (!m->cap)
        return -ENODEV;
    if (is_programmed(w))
        return -EEXIST;
    return w->msix ? describe_msix(m, w) : describe_msi(m, w->count);
}

static void set_message_count(const struct msi *m) {
    uint32_t control = cap_read(m, MSI_CONTROL, 2) & ~(CONTROL_ENABLE | CONTROL_MESSAGES_ALL);

    cap_write(m, MSI_CONTROL, 2, control | CONTROL_MESSAGES((uint32_t)m->log2_count));
}

/* Locks: msi_lock. */
static int program(const struct msi *m, unsigned int count) {
    int first = find_free_irqs(count), rc;
    uint64_t flags;

    if (first < 0)
        return first;
    flags = lock_acquire_irq(&irq_lock);
    rc = irq_alloc_vectors((unsigned int)first, count);
    for (unsigned int i = 0; !rc && i < count; i++) {
        unsigned int irq = (unsigned int)first + i;

        msis[irq] = *m;
        if (!m->msix)
            msis[irq].entry_nr = (uint16_t)i;
        irqs[irq].dest = irqs[first].dest;
        irqs[irq].enabled = false;
    }
    if (!rc && !m->msix)
        set_message_count(m);
    for (unsigned int i = 0; !rc && i < count; i++)
        msi_write_message((unsigned int)first + i);
    lock_release_irq(&irq_lock, flags);
    return rc ? rc : first;
}

int arch_msi_alloc(const struct msi_where *w) {
    struct msi m;
    int rc;

    lock_acquire(&msi_lock);
    rc = describe(&m, w);
    if (!rc)
        rc = program(&m, w->msix ? 1 : w->count);
    lock_release(&msi_lock);
    return rc;
}

/* A device that may still send is silenced before its vector can become somebody else's. */
void arch_msi_free(unsigned int irq) {
    struct msi *m = &msis[irq];
    uint64_t flags;

    lock_acquire(&msi_lock);
    if (m->used) {
        flags = lock_acquire_irq(&irq_lock);
        irqs[irq].enabled = false;
        msi_write_mask(irq);
        if (!m->msix)
            cap_write(m, MSI_CONTROL, 2, cap_read(m, MSI_CONTROL, 2) & ~(uint32_t)CONTROL_ENABLE);
        irq_free_vector(irq);
        m->used = false;
        lock_release_irq(&irq_lock, flags);
    }
    lock_release(&msi_lock);
}

int arch_msi_restore(uint16_t seg, uint8_t bus, uint8_t devfn) {
    int rc = -ENODEV;

    lock_acquire(&msi_lock);
    for (unsigned int irq = next_of_device(bus, devfn, nr_gsis); !seg && irq < NR_IRQS;
         irq = next_of_device(bus, devfn, irq + 1)) {
        uint64_t flags = lock_acquire_irq(&irq_lock);

        msi_write_message(irq);
        lock_release_irq(&irq_lock, flags);
        rc = 0;
    }
    lock_release(&msi_lock);
    return rc;
}

/* --- dom0's own accesses --------------------------------------------------------------------- */

/* Bytes of the capability that are more than its two header bytes. */
static unsigned int cap_end(const struct msi *m) {
    return m->msix ? MSIX_END : m->maskable ? mask_register(m) + 8 : mask_register(m);
}

/*
 * The control register is dom0's: it turns the capability on and off. Of the rest nothing is:
 * address, data, how many messages, and the mask bits, which are set for messages nobody has bound.
 */
static bool allow_write(const struct msi *m, unsigned int reg, unsigned int size, uint32_t *value) {
    unsigned int cap = m->cap;

    if (reg + size <= cap || reg >= cap + cap_end(m))
        return true;
    if (reg != cap + MSI_CONTROL || size != 2)
        return false;
    if (!m->msix)
        *value =
            (*value & ~(uint32_t)CONTROL_MESSAGES_ALL) | CONTROL_MESSAGES((uint32_t)m->log2_count);
    return true;
}

bool arch_msi_allow_write(uint8_t bus, uint8_t devfn, unsigned int reg, unsigned int size,
                          uint32_t *value) {
    unsigned int irq;
    bool allowed;

    lock_acquire(&msi_lock);
    irq = next_of_device(bus, devfn, nr_gsis);
    allowed = irq == NR_IRQS || allow_write(&msis[irq], reg, size, value);
    lock_release(&msi_lock);
    return allowed;
}
