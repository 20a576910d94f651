/*
 * Intrusive ordered tree: a treap whose priorities are hashed addresses. Insert, remove and
 * neighbour are O(log n) expected, nothing is ever allocated, equal keys are fine.
 */
#ifndef LIB_TREAP_H
#define LIB_TREAP_H

#include "lib/types.h"

struct treap_node {
    struct treap_node *left, *right;
    uint64_t key;                /* compared by signed difference, so it may wrap around */
};

struct treap {
    struct treap_node *root;
};

/* n->key is set; n is in no tree. It keeps its key while it is in this one. */
void treap_insert(struct treap *t, struct treap_node *n);
void treap_remove(struct treap *t, struct treap_node *n);
/* The node with the lowest key, and the one after n; NULL if there is none. */
struct treap_node *treap_first(const struct treap *t);
struct treap_node *treap_next(const struct treap *t, const struct treap_node *n);

/* a before b on a scale that wraps around. */
static inline bool key_before(uint64_t a, uint64_t b) {
    return (int64_t)(a - b) < 0;
}

#endif
