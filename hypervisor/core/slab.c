/*
 * Small objects: classes of powers of two, each with a list of pages that have a free object. What
 * is known of such a page is kept in its struct page, which is the heap's business for free
 * frames only: type word = class, objects in use, and the first free object; free objects are
 * chained through their first word. Larger objects are blocks of pages; the type word holds the
 * order.
 */
#include "core/heap.h"
#include "core/page-list.h"
#include "lib/lock.h"
#include "lib/string.h"

#define MIN_SHIFT  4
#define NR_CLASSES 8 /* 16 .. 2048 bytes */
#define MAX_SMALL  BIT(MIN_SHIFT + NR_CLASSES - 1)
#define MAX_ORDER  4 /* 64 KiB */

#define WORD_BLOCK    BIT(63) /* a block of pages; the low byte is its order */
#define CLASS(w)      ((unsigned int)(w)&0xff)
#define IN_USE(w)     ((unsigned int)((w) >> 8) & 0xffff)
#define ONE_IN_USE    BIT(8)
#define FREE_SHIFT    32
#define FIRST_FREE(w) ((unsigned int)((w) >> FREE_SHIFT) & 0xffff)
#define NO_FREE       0xffff

static struct {
    struct lock lock;        /* guards all: lists, and the words of pages in classes */
    bool listed[NR_CLASSES]; /* the list is not empty */
    struct page_list pages[NR_CLASSES];
} slab = {.lock = LOCK_INIT(RANK_SLAB)};

static unsigned int class_of(size_t bytes) {
    return bytes <= BIT(MIN_SHIFT) ? 0 : bit_highest(bytes - 1) + 1 - MIN_SHIFT;
}
static unsigned int class_objects(unsigned int class) {
    return (unsigned int)(PAGE_SIZE >> (MIN_SHIFT + class));
}

static uint16_t *object(struct page *pg, unsigned int index) {
    return (uint16_t *)((uint8_t *)page_to_virt(pg) +
                        ((size_t)index << (MIN_SHIFT + CLASS(pg->type))));
}

static void list_page(struct page *pg) {
    unsigned int class = CLASS(pg->type);

    if (!slab.listed[class])
        page_list_init(&slab.pages[class]);
    page_list_add(&slab.pages[class], pg);
    slab.listed[class] = true;
}

static void unlist_page(struct page *pg) {
    unsigned int class = CLASS(pg->type);

    page_list_del(&slab.pages[class], pg);
    slab.listed[class] = !page_list_empty(&slab.pages[class]);
}

/* A new page of a class, every object in the chain, not yet on the list. */
static struct page *new_page(unsigned int class) {
    void *va = heap_alloc_virt(0);
    struct page *pg = va ? virt_to_page(va) : NULL;

    if (!pg)
        return NULL;
    pg->type = class;
    for (unsigned int i = 0; i < class_objects(class); i++)
        *object(pg, i) = (uint16_t)(i + 1 < class_objects(class) ? i + 1 : NO_FREE);
    return pg;
}

static void *take_object(struct page *pg) {
    unsigned int first = FIRST_FREE(pg->type);
    uint16_t *obj = object(pg, first);

    pg->type =
        CLASS(pg->type) | (pg->type & (UINT64_C(0xffff) << 8)) | (uint64_t)*obj << FREE_SHIFT;
    pg->type += ONE_IN_USE;
    if (FIRST_FREE(pg->type) == NO_FREE)
        unlist_page(pg);
    return obj;
}

static void *alloc_small(unsigned int class) {
    uint64_t irq = lock_acquire_irq(&slab.lock);
    void *obj;

    if (!slab.listed[class]) {
        struct page *pg;

        lock_release_irq(&slab.lock, irq);
        pg = new_page(class);
        if (!pg)
            return NULL;
        irq = lock_acquire_irq(&slab.lock);
        list_page(pg);
    }
    obj = take_object(page_list_first(&slab.pages[class]));
    lock_release_irq(&slab.lock, irq);
    return memset(obj, 0, BIT(MIN_SHIFT + class));
}

static void *alloc_block(unsigned int order) {
    void *va = heap_alloc_virt(order);

    if (va)
        virt_to_page(va)->type = WORD_BLOCK | order;
    return va;
}

void *mem_alloc(size_t bytes) {
    if (bytes <= MAX_SMALL)
        return alloc_small(class_of(bytes));
    if (bytes > PAGE_SIZE << MAX_ORDER)
        return NULL;
    return alloc_block(bytes <= PAGE_SIZE ? 0 : bit_highest((bytes - 1) >> PAGE_SHIFT) + 1);
}

/* True if that was the page's last object: the page is off the list and the caller's. */
static bool return_object(struct page *pg, void *p) {
    unsigned int index =
        (unsigned int)(((uintptr_t)p & (PAGE_SIZE - 1)) >> (MIN_SHIFT + CLASS(pg->type)));
    unsigned int first = FIRST_FREE(pg->type);

    BUG_ON(IN_USE(pg->type) == 0 || p != object(pg, index));
    *object(pg, index) = (uint16_t)first;
    pg->type =
        CLASS(pg->type) | (pg->type & (UINT64_C(0xffff) << 8)) | (uint64_t)index << FREE_SHIFT;
    pg->type -= ONE_IN_USE;
    if (first == NO_FREE)
        list_page(pg);
    if (IN_USE(pg->type))
        return false;
    unlist_page(pg);
    return true;
}

void mem_free(void *p) {
    struct page *pg = p ? virt_to_page(p) : NULL;
    unsigned int order = 0;
    bool whole = true;

    if (!pg)
        return;
    if (READ_ONCE(pg->type) & WORD_BLOCK) {
        order = CLASS(pg->type);
    } else {
        uint64_t irq = lock_acquire_irq(&slab.lock);

        whole = return_object(pg, p);
        lock_release_irq(&slab.lock, irq);
    }
    if (whole)
        heap_free(pg, order);
}

void *mem_alloc_array(size_t n, size_t size) {
    size_t bytes;

    return __builtin_mul_overflow(n, size, &bytes) ? NULL : mem_alloc(bytes);
}
