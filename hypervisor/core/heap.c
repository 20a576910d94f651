/*
 * A free block is 2^order naturally aligned frames. Its first frame carries PG_FREE, and in the
 * type word its order and from which frame on it may be dirty; every free frame known to be zero
 * carries PG_CLEAN. So freeing, merging and splitting touch only first frames, and a frame of
 * unknown content in a large block costs one clear, not the whole block's.
 */
#include "core/heap.h"

#include "core/cpu.h"
#include "core/page-list.h"
#include "core/tlb.h"
#include "lib/lock.h"

#define NR_ZONES  32 /* zone z: frames 2^z .. 2^(z+1) - 1, so that no block crosses zones */
#define NR_ORDERS (HEAP_MAX_ORDER + 1)

/* Frames that one heap_scrub_some() looks at to find one to clear. */
#define SCRUB_LOOK 256

struct zone {
    uint32_t orders[2];                    /* bit o: blocks[.][o] is not empty */
    struct page_list blocks[2][NR_ORDERS]; /* [0] all clean, [1] with a dirty frame */
};

static struct lock heap_lock = LOCK_INIT(RANK_HEAP);

/* Guarded by heap_lock, as are the struct pages of free frames. */
static struct {
    uint32_t zones[2]; /* bit z: zone[z].orders[.] is not 0 */
    uint64_t free, total;
    struct zone zone[NR_ZONES];
} heap;

/* The type word of a block's first frame. */
static inline uint64_t block_word(unsigned int order, uint64_t dirty_from) {
    return dirty_from << 8 | order;
}
static inline unsigned int block_order(const struct page *pg) {
    return pg->type & 0xff;
}
static inline uint64_t block_dirty_from(const struct page *pg) { /* 2^order: all clean */
    return pg->type >> 8;
}
static inline bool block_is_dirty(const struct page *pg) {
    return block_dirty_from(pg) < BIT(block_order(pg));
}

static void block_add(struct page *pg, unsigned int order, uint64_t dirty_from) {
    unsigned int z = bit_highest(page_to_mfn(pg).n);
    struct zone *zone = &heap.zone[z];
    bool dirty = dirty_from < BIT(order);

    pg->type = block_word(order, MIN(dirty_from, BIT(order)));
    pg->refs |= PG_FREE;
    if (!(zone->orders[dirty] & BIT(order)))
        page_list_init(&zone->blocks[dirty][order]);
    page_list_add(&zone->blocks[dirty][order], pg);
    zone->orders[dirty] |= (uint32_t)BIT(order);
    heap.zones[dirty] |= (uint32_t)BIT(z);
}

static void block_del(struct page *pg) {
    unsigned int z = bit_highest(page_to_mfn(pg).n), order = block_order(pg);
    struct zone *zone = &heap.zone[z];
    bool dirty = block_is_dirty(pg);

    page_list_del(&zone->blocks[dirty][order], pg);
    if (page_list_empty(&zone->blocks[dirty][order]))
        zone->orders[dirty] &= ~(uint32_t)BIT(order);
    if (!zone->orders[dirty])
        heap.zones[dirty] &= ~(uint32_t)BIT(z);
    pg->refs &= ~PG_FREE;
}

/* Add a block, united with its neighbours as far as they are free. */
static void block_merge(struct page *pg, unsigned int order, uint64_t dirty_from) {
    for (; order < HEAP_MAX_ORDER; order++) {
        mfn_t buddy_mfn = mfn_of(page_to_mfn(pg).n ^ BIT(order));
        struct page *buddy = mfn_to_page(buddy_mfn), *low = MIN(pg, buddy);

        if (!arch_mfn_is_ram(buddy_mfn) || !(buddy->refs & PG_FREE) || block_order(buddy) != order)
            break;
        block_del(buddy);
        if (low == pg)
            dirty_from =
                dirty_from < BIT(order) ? dirty_from : BIT(order) + block_dirty_from(buddy);
        else
            dirty_from = block_is_dirty(buddy) ? block_dirty_from(buddy) : BIT(order) + dirty_from;
        if ((int32_t)(pg->stamp - buddy->stamp) > 0)
            low->stamp = pg->stamp;
        else
            low->stamp = buddy->stamp;
        pg = low;
    }
    block_add(pg, order, dirty_from);
}

/* Take a block off the lists and cut it down; its upper halves go back. */
static void block_split(struct page *pg, unsigned int order) {
    unsigned int have = block_order(pg);
    uint64_t dirty_from = block_dirty_from(pg);

    block_del(pg);
    while (have > order) {
        struct page *upper = pg + BIT(--have);
        uint64_t half = BIT(have);

        upper->stamp = pg->stamp;
        /* Where the upper half is dirty is known only if the lower is clean. */
        block_add(upper, have, dirty_from < half ? 0 : dirty_from - half);
        dirty_from = MIN(dirty_from, half);
    }
}

/*
 * The smallest sufficient block of the highest zone that has one; clean or dirty as liked if both
 * do.
 */
static struct page *block_find(unsigned int order, unsigned int max_bits, bool like_dirty) {
    uint32_t zones = heap.zones[0] | heap.zones[1];

    if (max_bits)
        zones &=
            (uint32_t)(BIT(MIN(max_bits < PAGE_SHIFT ? 0 : max_bits - PAGE_SHIFT, NR_ZONES)) - 1);
    while (zones) {
        struct zone *zone = &heap.zone[bit_highest(zones)];
        uint32_t orders[2] = {zone->orders[0] >> order, zone->orders[1] >> order};

        if (orders[0] | orders[1]) {
            unsigned int o = bit_lowest(orders[0] | orders[1]);
            bool dirty = (orders[like_dirty] & BIT(o)) ? like_dirty : !like_dirty;

            return page_list_first(&zone->blocks[dirty][o + order]);
        }
        zones &= ~(uint32_t)BIT(bit_highest(zones));
    }
    return NULL;
}

struct page *heap_alloc(unsigned int order, unsigned int max_bits, unsigned int flags) {
    struct page *pg;
    uint64_t irq;

    if (order > HEAP_MAX_ORDER)
        return NULL;
    irq = lock_acquire_irq(&heap_lock);
    pg = block_find(order, max_bits, flags & HEAP_NO_SCRUB);
    if (pg) {
        block_split(pg, order);
        heap.free -= BIT(order);
    }
    lock_release_irq(&heap_lock, irq);
    if (!pg)
        return NULL;

    tlb_flush_stale(&cpus_online, pg->stamp);
    for (struct page *p = pg; p < pg + BIT(order); p++) {
        if (!(p->refs & PG_CLEAN) && !(flags & HEAP_NO_SCRUB))
            arch_page_clear(page_to_virt(p));
        p->refs = p->type = 0; /* some were the first of a block once */
    }
    return pg;
}

static void give(struct page *pg, unsigned int order) {
    uint64_t irq = lock_acquire_irq(&heap_lock);

    heap.free += BIT(order);
    block_merge(pg, order, 0);
    lock_release_irq(&heap_lock, irq);
}

void heap_free(struct page *pg, unsigned int order) {
    for (struct page *p = pg; p < pg + BIT(order); p++) {
        BUG_ON(p->refs & (PG_COUNT | PG_FREE) || p->owner);
        p->refs = 0;
        p->type = 0;
    }
    page_stamp(pg);
    give(pg, order);
}

void heap_add_range(mfn_t start, uint64_t nr_frames) {
    uint64_t at = start.n, end = start.n + nr_frames;

    if (at == 0 && nr_frames)
        at++; /* frame 0 says "none" in struct page.owner */
    heap.total += end - at;
    while (at < end) {
        struct page *pg = mfn_to_page(mfn_of(at));
        unsigned int order = MIN(bit_lowest(at), bit_highest(end - at));

        order = MIN(order, HEAP_MAX_ORDER);
        pg->stamp = tlb_stamp_now() - 2; /* no guest has had it, no cpu needs to flush */
        give(pg, order);
        at += BIT(order);
    }
}

uint64_t heap_free_frames(void) {
    return READ_ONCE(heap.free);
}

uint64_t heap_total_frames(void) {
    return heap.total;
}

/* Clear a frame of a dirty block, and pass over those that are clean. */
static void block_scrub(struct page *pg) {
    unsigned int order = block_order(pg);
    uint64_t i = block_dirty_from(pg), stop = MIN(BIT(order), i + SCRUB_LOOK);

    while (i < stop && pg[i].refs & PG_CLEAN)
        i++;
    if (i < stop) {
        arch_page_clear(page_to_virt(&pg[i]));
        pg[i++].refs |= PG_CLEAN;
    }
    block_del(pg);
    block_add(pg, order, i);
}

/* One idle cpu at a time, a frame at a time, and only while nobody else wants the lock. */
bool heap_scrub_some(void) {
    static uint32_t scrubbing;
    bool more = false;
    uint64_t irq;

    if (!READ_ONCE(heap.zones[1]) || __atomic_exchange_n(&scrubbing, 1, __ATOMIC_ACQUIRE))
        return false;
    irq = irq_save();
    if (lock_try_acquire(&heap_lock)) {
        if (heap.zones[1]) {
            struct zone *zone = &heap.zone[bit_highest(heap.zones[1])];

            block_scrub(page_list_first(&zone->blocks[1][bit_lowest(zone->orders[1])]));
        }
        lock_release(&heap_lock);
    }
    more = READ_ONCE(heap.zones[1]);
    irq_restore(irq);
    __atomic_store_n(&scrubbing, 0, __ATOMIC_RELEASE);
    return more;
}

void *heap_alloc_virt(unsigned int order) {
    struct page *pg = heap_alloc(order, 0, HEAP_ZERO);

    return pg ? page_to_virt(pg) : NULL;
}

void heap_free_virt(void *va, unsigned int order) {
    if (va)
        heap_free(virt_to_page(va), order);
}
