/* links: lib/treap.c */
#include "test.h"

#include <stdlib.h>

#include "lib/treap.h"

#define N 2000

static struct treap_node node[N];
static bool in[N];

/* In order, complete, and reachable from each neighbour. */
static void check(const struct treap *t) {
    unsigned int count = 0, want = 0;
    const struct treap_node *prev = NULL;

    for (struct treap_node *n = treap_first(t); n; n = treap_next(t, n), count++) {
        EXPECT(in[n - node]);
        EXPECT(!prev || !key_before(n->key, prev->key));
        prev = n;
    }
    for (unsigned int i = 0; i < N; i++)
        want += in[i];
    EXPECT_EQ(count, want);
}

static unsigned int depth(const struct treap_node *n) {
    unsigned int l = n ? depth(n->left) : 0, r = n ? depth(n->right) : 0;

    return n ? 1 + (l > r ? l : r) : 0;
}

TEST(an_empty_tree_has_no_first) {
    struct treap t = {NULL};

    EXPECT(!treap_first(&t));
}

TEST(random_inserts_and_removes_keep_the_order) {
    struct treap t = {NULL};

    srand(1);
    for (unsigned int step = 0; step < 20000; step++) {
        unsigned int i = (unsigned int)rand() % N;

        if (in[i])
            treap_remove(&t, &node[i]);
        else {
            node[i].key =
                (uint64_t)(rand() % 500) - 250; /* many equal ones, and wrapping around 0 */
            treap_insert(&t, &node[i]);
        }
        in[i] = !in[i];
        if (step % 1000 == 0)
            check(&t);
    }
    check(&t);
    for (unsigned int i = 0; i < N; i++)
        if (in[i])
            treap_remove(&t, &node[i]);
    EXPECT(!t.root);
}

TEST(keys_that_come_in_order_make_no_list) {
    struct treap t = {NULL};

    for (unsigned int i = 0; i < N; i++) {
        node[i].key = i;
        treap_insert(&t, &node[i]);
    }
    EXPECT(depth(t.root) < 50);
}

TEST(removing_what_is_not_there_is_a_bug) {
    struct treap t = {NULL};

    node[0].key = 1;
    EXPECT_BUG(treap_remove(&t, &node[0]));
}
