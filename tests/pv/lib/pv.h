/*
 * What every test guest stands on: reports, memory, page tables, exceptions, user mode. No C
 * library; everything below runs in guest-kernel mode of a domain that was started as dom0.
 */
#ifndef LIB_PV_H
#define LIB_PV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypercall.h"
#include "layout.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the guest ------------------------------------------------------------------------------ */

/* Each guest defines it. When it returns, the totals are printed and the domain powers off. */
void test_main(void);

extern struct start_info *start_info;
extern struct shared_info *shared_info; /* mapped before test_main                    */

/* The word behind "name=" on the command line, or NULL; valid until the next call. */
const char *option(const char *name);

void *memset(void *to, int byte, size_t len);
void *memcpy(void *to, const void *from, size_t len);
int memcmp(const void *a, const void *b, size_t len);
bool str_equal(const char *a, const char *b);

/* ---- reports -------------------------------------------------------------------------------- */

/* %c %s %d %u %x %%, each with l, x also with a width of leading zeros. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line per promise: "ok - name", or "not ok - name: why" with the rest formatted. */
void report(bool good, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define CHECK(name, condition) report(condition, name, "not %s", #condition)
#define CHECK_EQ(name, wanted, got)                                                                \
    do {                                                                                           \
        long wanted_ = (long)(wanted), got_ = (long)(got);                                         \
        report(wanted_ == got_, name, "wanted %ld (%#lx), got %ld (%#lx)", wanted_, wanted_, got_, \
               got_);                                                                              \
    } while (0)

/*
 * For what has thousands of cases: the first failure of each series is told, and how many there
 * were; all of them with "cases=all" on the command line.
 */
struct series {
    const char *name;
    unsigned int cases, failures;
    char first[160];
};
void series_case(struct series *s, bool good, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void series_end(struct series *s);

/* Not a promise but a need of the test: tells and ends. */
_Noreturn void give_up(const char *why);
#define NEED(condition)          \
    do {                         \
        if (!(condition))        \
            give_up(#condition); \
    } while (0)

/* Ends a case that was to crash the domain: the hypervisor did not let it come to that. */
_Noreturn void refused(void);

/*
 * The cases that must end the domain: of one guest, the one that "crash=NAME" on the command line
 * names is run instead of everything else. Returns when there is no such word.
 */
struct crash {
    const char *name;
    void (*run)(void);
};
void crash_if_asked(const struct crash *list, size_t n);

/* Is the hypervisor Debian's Xen? For the few places where both may differ and obey the ABI. */
bool is_xen(void);

/* ---- memory --------------------------------------------------------------------------------- */

#define PTE_P    0x001ul
#define PTE_RW   0x002ul
#define PTE_US   0x004ul
#define PTE_PWT  0x008ul
#define PTE_PCD  0x010ul
#define PTE_A    0x020ul
#define PTE_D    0x040ul
#define PTE_PSE  0x080ul                /* L2, L3                                       */
#define PTE_PAT  0x080ul                /* L1                                           */
#define PTE_G    0x100ul
#define PTE_AVL  0xe00ul
#define PTE_NX   (1ul << 63)
#define PTE_ADDR 0x000ffffffffff000ul
#define PTE_KERNEL (1ul << 52)          /* Xen's mark on an entry whose US it has set   */
#define RO       (PTE_P | PTE_US | PTE_A)
#define RW       (RO | PTE_RW | PTE_D)

/* A zeroed page of the image, and back. Its translation is the loader's: 4 KiB, writable. */
void *page_alloc(void);
void page_free(void *page);

/* Frame number of an address of the image, and the address of a frame of the image. */
uint64_t mfn_of(const void *va);
void *va_of_mfn(uint64_t mfn);
static inline uint64_t pte_for(const void *va, uint64_t flags) {
    return mfn_of(va) << 12 | flags;
}

/* The L1 entry that maps an address of the image or the window: to read; its machine address. */
const volatile uint64_t *pte_of(uint64_t va);
uint64_t pte_machine(uint64_t va);

/* Give a page of the image this protection (RO, RW ...), with all its translations flushed. */
long page_protect(void *page, uint64_t flags);

/* One update with everything else at its usual value; the result is the hypercall's. */
long pt_write(uint64_t machine, uint64_t value);
long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2);

/* The window: page i of it, its entry, and mapping it. The tables are made on first use. */
uint64_t window_va(unsigned int i);
uint64_t window_pte_machine(unsigned int i);
uint64_t window_pte(unsigned int i);
long window_map(unsigned int i, uint64_t pte);
uint64_t *window_tables(void);          /* mfns of its L1, L2, L3                       */

/* ---- exceptions ----------------------------------------------------------------------------- */

/* The registers of what was interrupted; a handler may change them and they are gone back to. */
struct frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rdx, rsi, rdi;
    struct iret_context iret;           /* rax, r11, rcx, flags, rip, cs, rflags, rsp, ss */
    uint64_t vector;                    /* or ENTRY_*                                   */
    uint64_t error;
    uint64_t cr2;                       /* #PF: as in vcpu_info                         */
    uint64_t cs_slot;                   /* the whole word: selector, mask               */
    uint64_t ds_es, fs_gs;              /* ENTRY_FAILSAFE: the selectors, 16 bits each, first low */
    uint64_t sp;                        /* where the hypervisor had left the stack pointer */
    uint64_t mask;                      /* the event mask as it was on entry            */
    uint64_t flags;                     /* the handler's own on entry                   */
};

struct jump {
    uint64_t rip, rsp, rbx, rbp, r12, r13, r14, r15;
};

struct cpu {
    unsigned int id;
    bool catching, in_user;
    struct jump fault_exit, user_exit;
    struct frame caught, user;
    void (*handler[NR_ENTRIES])(struct frame *f);
};
static inline struct cpu *this_cpu(void) {
    uint64_t sp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu *)((sp - 1) & ~(uint64_t)(CPU_BLOCK_SIZE - 1));
}
extern char cpu_blocks[MAX_VCPUS][CPU_BLOCK_SIZE];

/* Vectors as the trap table has them after start: all 256, ours, DPL 3 for 3, 4, 0x80. */
void traps_init(void);
extern char trap_stubs[], event_entry[], failsafe_entry[], syscall_entry[], syscall32_entry[],
    sysenter_entry[], nmi_entry[];
#define TRAP_STUB_SIZE 16
void trap_fill(struct trap_info *table);                    /* 257 entries              */

/* Remember where we are; 0 now, 1 when an exception has led back here. */
uint64_t jump_save(struct jump *j) __attribute__((returns_twice));

/*
 * Runs a statement; the result is what it raised, with vector -1 for nothing. Only for statements
 * that keep no lasting state in local variables.
 */
#define NO_FAULT (~0ul)
struct frame *catch_begin(void);
struct frame *catch_end(void);
#define FAULT(statement)                            \
    ({                                              \
        catch_begin();                              \
        if (jump_save(&this_cpu()->fault_exit) == 0) { \
            statement;                              \
        }                                           \
        catch_end();                                \
    })

/* Registers a callback: a failing hypercall is the caller's business. */
long callback_register(unsigned int type, const void *entry, unsigned int flags);

_Noreturn void iret_to(const struct frame *f);  /* the hypercall, with a copy of f      */

/* ---- user mode ------------------------------------------------------------------------------ */

/*
 * A small address space for guest user mode: the image's .user section, then a page of data and one
 * of stack; also mapped in the kernel's tables. user_run starts at f and returns with f as it was
 * when the guest kernel was entered again, for whatever reason.
 */
void user_init(void);
uint64_t user_l4_mfn(void);
extern char user_start[], user_end[];
#define USER_VA(label) (USER_BASE + (ADDRESS(label) - ADDRESS(user_start)))
uint64_t user_data(void), user_stack(void);     /* addresses; of the stack, its top      */
void *user_data_page(void);                     /* the same page in the kernel's image    */
void user_frame(struct frame *f, const char *label);        /* zeroes, and what user code needs */
void user_run(struct frame *f);

/* ---- other vcpus ---------------------------------------------------------------------------- */

/* A context with which `vcpu` starts like ours, with events masked, and does what smp_run asks. */
void smp_context(struct vcpu_guest_context *c, unsigned int vcpu);
void smp_start(unsigned int vcpu);      /* initialise, up                               */
void smp_run(unsigned int vcpu, void (*job)(void *), void *arg);
void smp_wait(unsigned int vcpu);       /* until it has done what it was asked          */

/* ---- events --------------------------------------------------------------------------------- */

static inline struct vcpu_info *vcpu_info(unsigned int vcpu) {
    return &shared_info->vcpu_info[vcpu];
}
static inline void events_mask(void) {
    __atomic_store_n(&vcpu_info(0)->evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST);
}
/* Unmasks, and takes what is due as Linux does. */
void events_unmask(void);

/* Nanoseconds of system time by vcpu 0's time line, and a delay of so many. */
uint64_t now_ns(void);

#endif
