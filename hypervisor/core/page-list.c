#include "core/page-list.h"

static uint32_t frame(const struct page *pg) {
    return (uint32_t)page_to_mfn(pg).n;
}

void page_list_add(struct page_list *l, struct page *pg) {
    pg->prev = PAGE_LIST_END;
    pg->next = l->head;
    if (page_list_empty(l))
        l->tail = frame(pg);
    else
        frame_table[l->head].prev = frame(pg);
    l->head = frame(pg);
}

void page_list_add_tail(struct page_list *l, struct page *pg) {
    pg->next = PAGE_LIST_END;
    pg->prev = l->tail;
    if (page_list_empty(l))
        l->head = frame(pg);
    else
        frame_table[l->tail].next = frame(pg);
    l->tail = frame(pg);
}

void page_list_del(struct page_list *l, struct page *pg) {
    *(pg->next == PAGE_LIST_END ? &l->tail : &frame_table[pg->next].prev) = pg->prev;
    *(pg->prev == PAGE_LIST_END ? &l->head : &frame_table[pg->prev].next) = pg->next;
}
