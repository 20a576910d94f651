/*
 * The FIFO ABI: one word per event in pages of the guest, linked into a queue for each priority of
 * each vcpu. The guest consumes from the head in its control block, we append at the tail. Every
 * word is guest memory: a hostile guest can break its own queues, so nothing here trusts a link,
 * and each loop is bounded.
 */
#include "core/console.h"
#include "core/evtchn-internal.h"
#include "core/heap.h"
#include "lib/bits.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES    (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

#define WORD_PENDING (1u << EVTCHN_FIFO_PENDING)
#define WORD_MASKED  (1u << EVTCHN_FIFO_MASKED)
#define WORD_LINKED  (1u << EVTCHN_FIFO_LINKED)
#define WORD_BUSY    (1u << EVTCHN_FIFO_BUSY)

struct fifo_queue {
    struct lock lock;   /* RANK_EVTCHN_QUEUE, _irq */
    evtchn_port_t tail; /* last one linked, 0: none yet */
};

struct evtchn_fifo_vcpu {
    struct evtchn_fifo_control_block *control; /* guest memory */
    struct page *page;                         /* its page; reference and writable type held */
    struct evtchn_fifo_vcpu *next;             /* while being destroyed */
    struct fifo_queue queue[EVTCHN_FIFO_MAX_QUEUES];
};

struct evtchn_fifo_domain {
    event_word_t *array[ARRAY_PAGES]; /* guest memory; each page referenced and writable-typed */
    uint32_t nr_words;                /* backed; published after the page pointer */
};

static event_word_t *word_of(const struct domain *d, evtchn_port_t port) {
    const struct evtchn_fifo_domain *f = d->evtchn.fifo;
    uint32_t nr = __atomic_load_n(&f->nr_words, __ATOMIC_ACQUIRE);

    if (port >= nr)
        return NULL;
    port = (evtchn_port_t)index_nospec(port, nr);
    return &f->array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

/* One attempt: 1 linked; 0 the tail is on no queue any more; -EAGAIN it changed, to *w. */
static int try_link(event_word_t *tail, event_word_t *w, evtchn_port_t port) {
    if (!(*w & WORD_LINKED))
        return 0;
    return __atomic_compare_exchange_n(tail, w, (*w & ~(WORD_BUSY | EVTCHN_FIFO_LINK_MASK)) | port,
                                       false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
               ? 1
               : -EAGAIN;
}

/*
 * Make the word of the tail point to port. True if done; false: the guest has taken the tail off,
 * so the queue is empty and the head must be set. BUSY keeps an honest guest from changing the
 * word while we try again; one that ignores it gets a few tries and then loses the event.
 */
static bool link_after(struct domain *d, event_word_t *tail, evtchn_port_t port) {
    event_word_t w = READ_ONCE(*tail);
    int rc = try_link(tail, &w, port);

    if (rc >= 0)
        return rc;
    w = __atomic_fetch_or(tail, WORD_BUSY, __ATOMIC_SEQ_CST) | WORD_BUSY;
    for (unsigned int tries = 0; tries < 4; tries++) {
        rc = try_link(tail, &w, port);
        if (rc > 0)
            return true;
        if (!rc)
            break;
    }
    __atomic_fetch_and(tail, ~WORD_BUSY, __ATOMIC_SEQ_CST);
    if (rc)
        printk_guest(d, LOG_WARN, "event queue changes under us; event %u lost\n", port);
    return rc;
}

/*
 * The queue on which the port may be on now is where it was linked last: both that and the new
 * queue must not be worked on by two. Returns the old queue locked; NULL: there is none, or a guest
 * that ignores LINKED moves the event all the time.
 */
static struct fifo_queue *lock_old_queue(const struct domain *d, const struct evtchn *c,
                                         uint64_t *flags) {
    for (unsigned int tries = 0; tries < 8; tries++) {
        uint16_t vcpu = READ_ONCE(c->last_vcpu);
        uint8_t priority = READ_ONCE(c->last_priority);
        struct evtchn_fifo_vcpu *f = d->vcpu[vcpu]->evtchn.fifo;

        if (!f)
            return NULL;
        struct fifo_queue *q = &f->queue[priority];

        *flags = lock_acquire_irq(&q->lock);
        if (READ_ONCE(c->last_vcpu) == vcpu && READ_ONCE(c->last_priority) == priority)
            return q;
        lock_release_irq(&q->lock, *flags);
    }
    printk_guest(d, LOG_WARN, "event moves between queues too fast; lost\n");
    return NULL;
}

/* Append to q, whose lock is held; true if it was empty, so that the guest must be told. */
static bool append(struct domain *d, struct evtchn_fifo_vcpu *f, struct fifo_queue *q,
                   unsigned int priority, evtchn_port_t port) {
    event_word_t *tail = q->tail && q->tail != port ? word_of(d, q->tail) : NULL;
    bool linked = tail && link_after(d, tail, port);

    if (!linked)
        WRITE_ONCE(f->control->head[priority], port);
    q->tail = port;
    return !linked &&
           !(__atomic_fetch_or(&f->control->ready, 1u << priority, __ATOMIC_SEQ_CST) >> priority &
             1);
}

/* Put a pending, unmasked event on its queue unless it is on one. */
static void link_event(struct domain *d, struct evtchn *c, evtchn_port_t port, event_word_t *word) {
    uint64_t flags;
    struct fifo_queue *q = lock_old_queue(d, c, &flags);
    struct vcpu *v = d->vcpu[READ_ONCE(c->vcpu)];
    uint8_t priority = READ_ONCE(c->priority);
    bool tell = false;

    if (!q)
        return;
    if (__atomic_fetch_or(word, WORD_LINKED, __ATOMIC_SEQ_CST) & WORD_LINKED) {
        lock_release_irq(&q->lock, flags);
        return;
    }
    struct evtchn_fifo_vcpu *f = v->evtchn.fifo;

    if (!f) { /* its vcpu has no control block yet: stays pending, unlinked */
        __atomic_fetch_and(word, ~WORD_LINKED, __ATOMIC_SEQ_CST);
        lock_release_irq(&q->lock, flags);
        return;
    }
    /*
     * It was on no queue. If it was the tail of the old one and moves, the old queue is empty as
     * far as we know; then change queues, one lock at a time: LINKED keeps others off the port.
     */
    if (q != &f->queue[priority]) {
        if (q->tail == port)
            q->tail = 0;
        WRITE_ONCE(c->last_vcpu, (uint16_t)v->id);
        WRITE_ONCE(c->last_priority, priority);
        lock_release_irq(&q->lock, flags);
        q = &f->queue[priority];
        flags = lock_acquire_irq(&q->lock);
    }
    tell = append(d, f, q, priority, port);
    lock_release_irq(&q->lock, flags);
    if (tell)
        evtchn_raise_upcall(v);
}

/* Take what was raised before the event word came. */
static bool take_saved(struct evtchn *c) {
    return __atomic_exchange_n(&c->saved_pending, false, __ATOMIC_SEQ_CST);
}

void evtchn_fifo_set_pending(struct domain *d, struct evtchn *c, evtchn_port_t port) {
    event_word_t *word = word_of(d, port);
    event_word_t was;

    if (!word) {
        __atomic_store_n(&c->saved_pending, true, __ATOMIC_SEQ_CST);
        word = word_of(d, port);
        if (!word || !take_saved(c)) /* else it came just now, and nobody has looked at the note */
            return;
    }
    was = __atomic_fetch_or(word, WORD_PENDING, __ATOMIC_SEQ_CST);
    if (!(was & (WORD_MASKED | WORD_LINKED)))
        link_event(d, c, port, word);
}

void evtchn_fifo_clear_pending(struct domain *d, evtchn_port_t port) {
    event_word_t *word = word_of(d, port);

    if (word)
        __atomic_fetch_and(word, ~WORD_PENDING, __ATOMIC_SEQ_CST);
}

void evtchn_fifo_unmask(struct domain *d, struct evtchn *c, evtchn_port_t port) {
    event_word_t *word = word_of(d, port);

    if (!word)
        return;
    __atomic_fetch_and(word, ~WORD_MASKED, __ATOMIC_SEQ_CST);
    if (READ_ONCE(*word) & WORD_PENDING)
        evtchn_fifo_set_pending(d, c, port);
}

bool evtchn_fifo_is_pending(const struct domain *d, evtchn_port_t port) {
    const event_word_t *word = word_of(d, port);

    return word && READ_ONCE(*word) & WORD_PENDING;
}

/* The guest's frame, writable and kept so until put_guest_page. */
static struct page *get_guest_page(struct domain *d, uint64_t gfn) {
    struct page *pg = mfn_lookup(mfn_of(gfn));

    return pg && !page_get_and_type(pg, d, PAGE_WRITABLE) ? pg : NULL;
}

static void put_guest_page(struct page *pg) {
    page_put_and_type(pg);
}

/*
 * The first control block, v's, switches the domain over: what was pending by the old ABI is
 * remembered in each port until its event word comes. Each port starts on v's queue: it exists.
 * Locks:  the domain's; senders do not take it, so they look at d->evtchn.fifo again.
 */
static void switch_to_fifo(struct domain *d, const struct vcpu *v, struct evtchn_fifo_domain *f) {
    evtchn_port_t end = MIN(d->evtchn.nr_ports, (uint32_t)EVTCHN_2L_NR_CHANNELS);

    for (evtchn_port_t port = 1; port < d->evtchn.nr_ports; port++)
        evtchn_of(d, port)->last_vcpu = (uint16_t)v->id;
    __atomic_store_n(&d->evtchn.fifo, f, __ATOMIC_SEQ_CST);
    for (evtchn_port_t port = 1; port < end; port++)
        if (evtchn_2l_is_pending(d, port))
            __atomic_store_n(&evtchn_of(d, port)->saved_pending, true, __ATOMIC_SEQ_CST);
}

static struct evtchn_fifo_vcpu *make_control(struct domain *d,
                                             const struct evtchn_init_control *ic) {
    struct evtchn_fifo_vcpu *f = mem_alloc_struct(struct evtchn_fifo_vcpu);
    struct page *pg = f ? get_guest_page(d, ic->control_gfn) : NULL;

    if (!pg) {
        mem_free(f);
        return NULL;
    }
    f->page = pg;
    f->control = (void *)((char *)page_to_virt(pg) + ic->offset);
    for (unsigned int i = 0; i < EVTCHN_FIFO_MAX_QUEUES; i++)
        lock_init(&f->queue[i].lock, RANK_EVTCHN_QUEUE);
    return f;
}

int evtchn_fifo_init_control(struct domain *d, struct evtchn_init_control *ic) {
    struct evtchn_fifo_domain *fd = NULL;
    struct evtchn_fifo_vcpu *fv;
    uint64_t flags;
    struct vcpu *v;
    int rc = 0;

    if (ic->vcpu >= d->max_vcpus || !(v = d->vcpu[index_nospec(ic->vcpu, d->max_vcpus)]))
        return -ENOENT;
    if (ic->offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) || ic->offset % 8)
        return -EINVAL;
    fv = make_control(d, ic);
    if (!fv)
        return -EINVAL;
    if (!READ_ONCE(d->evtchn.fifo) && !(fd = mem_alloc_struct(struct evtchn_fifo_domain)))
        rc = -ENOMEM;

    flags = lock_acquire_irq(&d->evtchn.lock);
    if (!rc && (v->evtchn.fifo || (!d->evtchn.fifo && !fd)))
        rc = -EINVAL;
    if (!rc)
        __atomic_store_n(&v->evtchn.fifo, fv, __ATOMIC_RELEASE);
    if (!rc && !d->evtchn.fifo) {
        switch_to_fifo(d, v, fd);
        fd = NULL;
    }
    lock_release_irq(&d->evtchn.lock, flags);

    mem_free(fd);
    if (rc) {
        put_guest_page(fv->page);
        mem_free(fv);
        return rc;
    }
    ic->link_bits = EVTCHN_FIFO_LINK_BITS;
    return 0;
}

/* Ports of a new array page that were raised before it came. Locks: the domain's. */
static void replay_saved(struct domain *d, evtchn_port_t first) {
    for (evtchn_port_t port = first; port < first + WORDS_PER_PAGE; port++) {
        struct evtchn *c = evtchn_of(d, port);

        if (!c)
            return;
        if (take_saved(c))
            evtchn_fifo_set_pending(d, c, port);
    }
}

int evtchn_fifo_expand_array(struct domain *d, const struct evtchn_expand_array *ea) {
    struct evtchn_fifo_domain *f;
    struct page *pg;
    uint64_t flags;
    int rc = 0;

    if (!READ_ONCE(d->evtchn.fifo))
        return -EOPNOTSUPP;
    pg = get_guest_page(d, ea->array_gfn);
    if (!pg)
        return -EINVAL;
    flags = lock_acquire_irq(&d->evtchn.lock);
    f = d->evtchn.fifo;
    if (!f)
        rc = -EOPNOTSUPP;
    else if (f->nr_words >=
             ROUND_UP(MIN(d->evtchn.max_port + UINT64_C(1), (uint64_t)EVTCHN_FIFO_NR_CHANNELS),
                      WORDS_PER_PAGE))
        rc = -ENOSPC;
    if (!rc) {
        uint32_t first = f->nr_words;

        f->array[first / WORDS_PER_PAGE] = page_to_virt(pg);
        __atomic_store_n(&f->nr_words, first + WORDS_PER_PAGE, __ATOMIC_SEQ_CST);
        replay_saved(d, first);
    }
    lock_release_irq(&d->evtchn.lock, flags);
    if (rc)
        put_guest_page(pg);
    return rc;
}

int evtchn_fifo_destroy(struct domain *d) {
    struct evtchn_fifo_vcpu *detached = NULL;
    uint64_t flags = lock_acquire_irq(&d->evtchn.lock);
    struct evtchn_fifo_domain *f = d->evtchn.fifo;

    if (d->evtchn.nr_open) {
        lock_release_irq(&d->evtchn.lock, flags);
        return -ERESTART;
    }
    d->evtchn.fifo = NULL;
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct evtchn_fifo_vcpu *fv = d->vcpu[i] ? d->vcpu[i]->evtchn.fifo : NULL;

        if (fv) {
            d->vcpu[i]->evtchn.fifo = NULL;
            fv->next = detached;
            detached = fv;
        }
    }
    lock_release_irq(&d->evtchn.lock, flags);

    while (detached) {
        struct evtchn_fifo_vcpu *fv = detached;

        detached = fv->next;
        put_guest_page(fv->page);
        mem_free(fv);
    }
    for (uint32_t i = 0; f && i < f->nr_words / WORDS_PER_PAGE; i++)
        put_guest_page(virt_to_page(f->array[i]));
    mem_free(f);
    return 0;
}
