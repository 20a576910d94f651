#include "lib/treap.h"

#include "lib/bug.h"

/* Fixed per node and unrelated to its key: that is all a treap's balance needs. */
static uint32_t priority(const struct treap_node *n) {
    uint64_t x = (uintptr_t)n * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)((x ^ x >> 32) * UINT64_C(0xbf58476d1ce4e5b9) >> 32);
}

static bool before(const struct treap_node *a, const struct treap_node *b) {
    return a->key == b->key ? (uintptr_t)a < (uintptr_t)b : key_before(a->key, b->key);
}

void treap_insert(struct treap *t, struct treap_node *n) {
    struct treap_node **at = &t->root, **left = &n->left, **right = &n->right;

    while (*at && priority(*at) >= priority(n))
        at = before(n, *at) ? &(*at)->left : &(*at)->right;

    /* Split what hangs here around n, and hang n in its place. */
    for (struct treap_node *rest = *at; rest;) {
        if (before(rest, n)) {
            *left = rest;
            left = &rest->right;
            rest = rest->right;
        } else {
            *right = rest;
            right = &rest->left;
            rest = rest->left;
        }
    }
    *left = *right = NULL;
    *at = n;
}

void treap_remove(struct treap *t, struct treap_node *n) {
    struct treap_node **at = &t->root, *left = n->left, *right = n->right;

    while (*at != n) {
        BUG_ON(!*at);
        at = before(n, *at) ? &(*at)->left : &(*at)->right;
    }
    while (left && right) {
        if (priority(left) >= priority(right)) {
            *at = left;
            at = &left->right;
            left = left->right;
        } else {
            *at = right;
            at = &right->left;
            right = right->left;
        }
    }
    *at = left ? left : right;
}

struct treap_node *treap_first(const struct treap *t) {
    struct treap_node *n = t->root;

    while (n && n->left)
        n = n->left;
    return n;
}

struct treap_node *treap_next(const struct treap *t, const struct treap_node *n) {
    struct treap_node *next = NULL;

    for (struct treap_node *at = t->root; at;) {
        if (before(n, at)) {
            next = at;
            at = at->left;
        } else {
            at = at->right;
        }
    }
    return next;
}
