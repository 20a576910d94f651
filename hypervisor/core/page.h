/*
 * One struct page per machine frame: who owns it, how often it is referenced, what it is used as.
 *
 * refs  says that the frame exists with this owner: flags and a count. Frame and owner stay
 *       while the count is above zero.
 * type  says what the frame is used as, and how often. The type changes only while the type count
 *       is zero; the one who takes the first count validates. All in one atomic word.
 *
 * Every get has its put in the same function or in the one its comment names.
 */
#ifndef CORE_PAGE_H
#define CORE_PAGE_H

#include "arch/mm.h"
#include "lib/bug.h"
#include "lib/types.h"

struct domain;

/* struct page.refs */
#define PG_ALLOCATED BIT(63) /* the owner's allocation holds one of the counts          */
#define PG_XEN       BIT(62) /* hypervisor memory shown to its owner (shared_info, grant frames): never freed by puts to the domain heap list */
#define PG_DIRTY     BIT(61) /* free page whose content must not be shown to the next owner */
#define PG_COUNT     (BIT(48) - 1)

/* struct page.type, from the top: 3 bits type, flags, progress, count. */
enum page_type {
    PAGE_NONE,
    PAGE_L1,
    PAGE_L2,
    PAGE_L3,
    PAGE_L4,
    PAGE_SEGDESC,
    PAGE_WRITABLE,
};
#define PT_TYPE_SHIFT 61
#define PT_TYPE(w)    ((enum page_type)((w) >> PT_TYPE_SHIFT))
#define PT_WORD(t)    ((uint64_t)(t) << PT_TYPE_SHIFT)
#define PT_VALID      BIT(60) /* contents checked, references of all entries taken            */
#define PT_PINNED     BIT(59) /* MMUEXT_PIN holds one type count and one reference            */
#define PT_PARTIAL    BIT(58) /* entries below the progress index are referenced, the rest not;
                                 the state holds one type count and one reference of its own */
#define PT_BUSY       BIT(57) /* a cpu is validating or invalidating right now                 */
#define PT_PROGRESS_SHIFT 46  /* 10 bits: 0..512 entries done                                 */
#define PT_PROGRESS(w)    ((unsigned int)((w) >> PT_PROGRESS_SHIFT) & 0x3ff)
#define PT_COUNT(w)       ((w) & (BIT(40) - 1))

struct page {
    uint64_t refs;
    uint64_t type;
    uint32_t owner;       /* mfn of the page that holds struct domain; 0: none */
    union {
        uint32_t stamp;   /* epoch (core/tlb.h) when the last typed or writable use ended */
    };
    uint32_t next, prev;  /* list links: frame numbers, PAGE_LIST_END ends (core/page-list.h);
                             free pages: next, prev in the heap's list; order in `type` */
};
_Static_assert(sizeof(struct page) == 32, "frame table: 32 bytes a frame");

static inline mfn_t page_to_mfn(const struct page *pg) {
    return mfn_of((uint64_t)(pg - frame_table));
}
static inline struct page *mfn_to_page(mfn_t mfn) {
    return &frame_table[mfn.n];
}
static inline void *page_to_virt(const struct page *pg) {
    return mfn_to_virt(page_to_mfn(pg));
}
static inline struct page *virt_to_page(const void *va) {
    return mfn_to_page(virt_to_mfn(va));
}
static inline struct domain *page_owner(const struct page *pg) {
    uint32_t owner = READ_ONCE(pg->owner);

    return owner ? mfn_to_virt(mfn_of(owner)) : NULL;
}
void page_set_owner(struct page *pg, struct domain *d); /* NULL: none */

/* The page behind a guest-given frame number, NULL if it is not RAM. Speculation-safe. */
struct page *mfn_lookup(mfn_t mfn);

/*
 * Take / drop a reference of a frame that d owns.
 * Errors: get: false if d does not own it (or nobody does), or the count is full.
 */
MUST_CHECK bool page_get(struct page *pg, const struct domain *d);
/* One more for a caller that already holds one. */
MUST_CHECK bool page_get_again(struct page *pg);
/* Drop; the last one frees the frame (core/page-alloc.c). Locks: below RANK_PAGE_LIST. */
void page_put(struct page *pg);

/*
 * Take / drop a type count. The caller holds a reference for as long as it holds the type count.
 * get: may validate (L1-L4, SEGDESC), by pv's page_validate below.
 * Errors: -EBUSY in another use, or partial in another use; -EINVAL content not acceptable;
 *         -ERESTART preempted: progress is recorded in the page, call again with the same arguments.
 * put_preemptible: -ERESTART: the caller's count is gone, the page is left partial: go on with page_unwind.
 * put: for types whose invalidation is short (WRITABLE, SEGDESC, L1) or where the caller may not be preempted.
 *
 * A partial page (PT_PARTIAL) belongs to nobody but itself: its state holds one type count and one reference,
 * whether a get or a put was cut short, so whoever was cut short owes nothing and may go away. Anyone may go on:
 * a get of the same type completes the validation; page_unwind takes it back. Both inherit what the state held.
 * A get that fails with another error than -ERESTART may leave the page partial too (its undoing was preempted).
 */
MUST_CHECK int page_get_type(struct page *pg, enum page_type want);
void page_put_type(struct page *pg);
MUST_CHECK int page_put_type_preemptible(struct page *pg);
/* Take a partial page back to no type. -ERESTART: call again. 0: done, or pg was not partial. Locks: hold a reference, or know that the state does. */
MUST_CHECK int page_unwind(struct page *pg);

/* Both at once, in the right order on every error path. put_preemptible: the reference is gone as well, even at -ERESTART. */
MUST_CHECK int page_get_and_type(struct page *pg, const struct domain *d, enum page_type want);
void page_put_and_type(struct page *pg);
MUST_CHECK int page_put_and_type_preemptible(struct page *pg);

static inline bool page_type_is(const struct page *pg, enum page_type t) {
    uint64_t w = READ_ONCE(pg->type);

    return PT_TYPE(w) == t && PT_COUNT(w) != 0;
}

/*
 * Upward calls, defined in pv/mmu-validate.c. At any time the entries below *progress hold references and
 * the others do not: validate goes up from *progress to 512, invalidate comes down from it to 0. So
 * either can take up what the other left: undoing a failed validation is an invalidate from where it stopped.
 * Return 0 when *progress is 512 (0); -ERESTART when preempted; another errno on a bad entry (validate only).
 */
MUST_CHECK int page_validate(struct page *pg, enum page_type type, unsigned int *progress);
MUST_CHECK int page_invalidate(struct page *pg, enum page_type type, unsigned int *progress, bool preemptible);

#endif
