/* Intrusive doubly linked list with a sentinel head. */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list *head) {
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head) {
    return head->next == head;
}

static inline void list_insert_between(struct list *e, struct list *prev, struct list *next) {
    e->prev = prev;
    e->next = next;
    prev->next = e;
    next->prev = e;
}

static inline void list_add(struct list *e, struct list *head) {
    list_insert_between(e, head, head->next);
}

static inline void list_add_tail(struct list *e, struct list *head) {
    list_insert_between(e, head->prev, head);
}

/* Remove and leave e pointing at itself, so that a second removal is harmless. */
static inline void list_del(struct list *e) {
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(pos, head, member)                                                           \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);         \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))

#endif
