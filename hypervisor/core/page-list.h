/* Lists of frames linked inside struct page by frame number. */
#ifndef CORE_PAGE_LIST_H
#define CORE_PAGE_LIST_H

#include "core/page.h"

#define PAGE_LIST_END UINT32_MAX

struct page_list {
    uint32_t head, tail;
};

static inline void page_list_init(struct page_list *l) {
    l->head = l->tail = PAGE_LIST_END;
}
static inline bool page_list_empty(const struct page_list *l) {
    return l->head == PAGE_LIST_END;
}
static inline struct page *page_list_first(const struct page_list *l) {
    return page_list_empty(l) ? NULL : &frame_table[l->head];
}
static inline struct page *page_list_next(const struct page *pg) {
    return pg->next == PAGE_LIST_END ? NULL : &frame_table[pg->next];
}
void page_list_add(struct page_list *l, struct page *pg); /* at the head */
void page_list_add_tail(struct page_list *l, struct page *pg);
void page_list_del(struct page_list *l, struct page *pg);

#endif
