/* links: core/sched-policy.c lib/treap.c */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "core/sched-policy.h"

/*
 * A simulator: cpus, and vcpus that run for so long and sleep for so long, for ever. It does what
 * core/sched.c does around the policy, less locks and latencies.
 */
#define MAX_CPUS 8

struct actor {
    struct sched_vcpu s;
    struct sched_domain *share;
    struct treap_node wake;          /* key: when it wakes */
    uint64_t run_ns, sleep_ns;       /* sleep_ns 0: never sleeps */
    uint64_t left_ns;                /* of the present burst */
    uint64_t got_ns;                 /* cpu time received */
    uint64_t woke_ns, worst_ns;      /* wake-up latency */
    uint64_t wakes, late;            /* late: not running within 1 ms */
    bool waking;
};

static struct sim {
    struct policy_cpu cpu[MAX_CPUS];
    uint64_t until[MAX_CPUS], from[MAX_CPUS];
    unsigned int nr_cpus;
    uint64_t now, switches, moves;
    struct treap sleepers;
    cpumask_t idle, online;
    struct actor *actor;
    unsigned int nr;
} sim;

static struct actor *actor_of(struct sched_vcpu *s) {
    return s ? container_of(s, struct actor, s) : NULL;
}

static void sim_init(unsigned int nr_cpus, unsigned int nr_actors) {
    free(sim.actor);
    memset(&sim, 0, sizeof(sim));
    sim.nr_cpus = nr_cpus;
    sim.now = SECOND_NS;
    sim.actor = calloc(nr_actors, sizeof(*sim.actor));
    for (unsigned int c = 0; c < nr_cpus; c++) {
        sim.cpu[c].id = c;
        sim.until[c] = UINT64_MAX;
        cpumask_set(&sim.idle, c);
        cpumask_set(&sim.online, c);
    }
}

static struct actor *add(struct sched_domain *share, uint64_t run_ns, uint64_t sleep_ns) {
    struct actor *a = &sim.actor[sim.nr];

    a->s.share = share;
    a->s.cpu = sim.nr++ % sim.nr_cpus;
    memset(&a->s.hard_affinity, 0xff, sizeof(a->s.hard_affinity));
    a->s.soft_affinity = a->s.hard_affinity;
    a->left_ns = a->run_ns = sleep_ns ? run_ns : UINT64_MAX;
    a->sleep_ns = sleep_ns;
    /* Spread the starts. */
    a->wake.key = sim.now + sim.nr * 7919 % MS_NS;
    treap_insert(&sim.sleepers, &a->wake);
    return a;
}

static void pin(struct actor *a, unsigned int cpu) {
    memset(&a->s.hard_affinity, 0, sizeof(a->s.hard_affinity));
    cpumask_set(&a->s.hard_affinity, cpu);
}

static void poke(unsigned int cpu, uint64_t at) {
    sim.until[cpu] = MIN(sim.until[cpu], MAX(at, sim.now));
}

static void offer(const struct sched_vcpu *s) {
    unsigned int cpu = policy_place(s, &sim.idle, &sim.online);

    if (cpumask_test(&sim.idle, cpu))
        poke(cpu, sim.now);
}

static void enqueue(struct actor *a, bool slept) {
    unsigned int was = a->s.cpu, cpu = policy_place(&a->s, &sim.idle, &sim.online);
    uint64_t at;

    sim.moves += cpu != was;
    a->s.cpu = cpu;
    cpumask_clear(&sim.idle, cpu);
    at = policy_ready(&sim.cpu[cpu], &a->s, &sim.cpu[was], slept, sim.now);
    poke(cpu, at);
    if (at > sim.now && !a->s.parked)
        offer(&a->s);
}

static bool pull(unsigned int self, bool lagging) {
    for (unsigned int i = 1; i < sim.nr_cpus; i++) {
        struct policy_cpu *from = &sim.cpu[(self + i) % sim.nr_cpus];
        struct sched_vcpu *s = NULL;

        if (policy_may_take(from, &sim.cpu[self], lagging))
            s = policy_take(from, &sim.cpu[self], lagging);
        if (s) {
            s->cpu = self;
            sim.moves++;
            poke(self, policy_ready(&sim.cpu[self], s, from, false, sim.now));
            return true;
        }
    }
    return false;
}

static void nudge(unsigned int self) {
    for (unsigned int i = 1; i < sim.nr_cpus; i++) {
        unsigned int cpu = (self + i) % sim.nr_cpus;

        if (!sim.cpu[cpu].nr_ready) {
            poke(cpu, sim.now);
            return;
        }
    }
}

/* What ran until now has run; if its burst is over it sleeps. */
static bool settle(unsigned int cpu) {
    struct actor *a = actor_of(sim.cpu[cpu].curr);
    uint64_t ran = sim.now - sim.from[cpu];

    sim.from[cpu] = sim.now;
    if (!a)
        return false;
    a->got_ns += ran;
    if (a->sleep_ns)
        a->left_ns -= MIN(ran, a->left_ns);
    return a->left_ns > 0;
}

static void schedule_cpu(unsigned int cpu) {
    struct policy_cpu *pc = &sim.cpu[cpu];
    struct actor *prev = actor_of(pc->curr), *next;
    bool keep = settle(cpu) && cpumask_test(&prev->s.hard_affinity, cpu);

    next = actor_of(policy_pick(pc, keep, sim.now, &sim.until[cpu]));
    if (!next) {
        cpumask_set(&sim.idle, cpu);
        if (pull(cpu, false))
            next = actor_of(policy_pick(pc, false, sim.now, &sim.until[cpu]));
        if (next)
            cpumask_clear(&sim.idle, cpu);
    } else if (pc->nr_ready) {
        offer(policy_first(pc));
    }
    if (next && next->waking) {
        uint64_t latency = sim.now - next->woke_ns;

        next->waking = false;
        next->worst_ns = MAX(next->worst_ns, latency);
        next->late += latency > MS_NS;
    }
    if (prev && prev != next && prev->left_ns) {
        enqueue(prev, false);
    } else if (prev && prev != next) {
        prev->wake.key = sim.now + prev->sleep_ns;
        treap_insert(&sim.sleepers, &prev->wake);
    }
    sim.switches += prev != next;
    if (next && policy_balance_due(pc, sim.now)) {
        pull(cpu, true);
        if (pc->nr_ready)
            nudge(cpu);
    }
}

static void wake_due(void) {
    struct treap_node *n;

    while ((n = treap_first(&sim.sleepers)) && n->key <= sim.now) {
        struct actor *a = container_of(n, struct actor, wake);

        treap_remove(&sim.sleepers, n);
        a->left_ns = a->run_ns;
        a->woke_ns = sim.now;
        a->waking = true;
        a->wakes++;
        enqueue(a, true);
    }
}

static uint64_t next_event(void) {
    struct treap_node *n = treap_first(&sim.sleepers);
    uint64_t at = n ? n->key : UINT64_MAX;

    for (unsigned int c = 0; c < sim.nr_cpus; c++) {
        struct actor *a = actor_of(sim.cpu[c].curr);

        if (a && a->left_ns != UINT64_MAX)
            sim.until[c] = MIN(sim.until[c], sim.from[c] + a->left_ns);
        at = MIN(at, sim.until[c]);
    }
    return at;
}

static void sim_run(uint64_t ns) {
    uint64_t end = sim.now + ns, at;

    while ((at = next_event()) < end) {
        sim.now = MAX(at, sim.now);
        wake_due();
        for (unsigned int c = 0; c < sim.nr_cpus; c++)
            if (sim.until[c] <= sim.now ||
                (sim.cpu[c].curr && actor_of(sim.cpu[c].curr)->left_ns <= sim.now - sim.from[c]))
                schedule_cpu(c);
    }
    sim.now = end;
    for (unsigned int c = 0; c < sim.nr_cpus; c++)
        settle(c);
}

/* Forget what was received: measure from here. */
static void sim_measure(void) {
    for (unsigned int i = 0; i < sim.nr; i++)
        sim.actor[i].got_ns = sim.actor[i].worst_ns = sim.actor[i].wakes = sim.actor[i].late = 0;
    sim.switches = sim.moves = 0;
}

static uint64_t total(void) {
    uint64_t sum = 0;

    for (unsigned int i = 0; i < sim.nr; i++)
        sum += sim.actor[i].got_ns;
    return sum;
}

/* Is `got` within `permille` of `want`? */
static void expect_near(uint64_t got, uint64_t want, uint64_t permille, const char *file,
                        int line) {
    uint64_t off = got > want ? got - want : want - got;

    if (off * 1000 > want * permille)
        test_fail(file, line, "got %lu, wanted %lu within %lu permille", got, want, permille);
}
#define EXPECT_NEAR(got, want, permille) expect_near(got, want, permille, __FILE__, __LINE__)

TEST(equal_hogs_share_one_cpu_equally) {
    struct sched_domain d = {.weight = 256};

    sim_init(1, 5);
    for (int i = 0; i < 5; i++)
        add(&d, 0, 0);
    sim_run(10 * SECOND_NS);
    for (int i = 0; i < 5; i++)
        EXPECT_NEAR(sim.actor[i].got_ns, 2 * SECOND_NS, 5);
    EXPECT_NEAR(sim.switches, 10 * SECOND_NS / POLICY_SLICE_NS, 50);
}

TEST(weights_share_one_cpu_within_two_percent) {
    struct sched_domain d[] = {{.weight = 64}, {.weight = 256}, {.weight = 512}, {.weight = 1024}};

    sim_init(1, 4);
    for (int i = 0; i < 4; i++)
        add(&d[i], 0, 0);
    sim_run(60 * SECOND_NS);
    for (int i = 0; i < 4; i++)
        EXPECT_NEAR(sim.actor[i].got_ns, 60 * SECOND_NS * d[i].weight / 1856, 20);
}

TEST(weights_share_four_cpus_within_two_percent) {
    struct sched_domain light = {.weight = 256}, heavy = {.weight = 512};

    sim_init(4, 12);
    for (int i = 0; i < 12; i++)
        add(i % 3 ? &light : &heavy, 0, 0);
    sim_run(2 * SECOND_NS);
    sim_measure();
    sim_run(60 * SECOND_NS);
    for (int i = 0; i < 12; i++)
        EXPECT_NEAR(sim.actor[i].got_ns, 240 * SECOND_NS / (8 + 2 * 4) * (i % 3 ? 1 : 2), 20);
    EXPECT_NEAR(total(), 240 * SECOND_NS, 0);
}

TEST(three_equal_hogs_share_two_cpus_equally) {
    struct sched_domain d = {.weight = 256};

    sim_init(2, 3);
    for (int i = 0; i < 3; i++)
        add(&d, 0, 0);
    sim_run(SECOND_NS);
    sim_measure();
    sim_run(30 * SECOND_NS);
    for (int i = 0; i < 3; i++)
        EXPECT_NEAR(sim.actor[i].got_ns, 20 * SECOND_NS, 20);
    EXPECT(sim.moves < 30 * 200); /* and does not pay for it with a migration each slice */
}

TEST(a_weight_beyond_one_cpu_gets_one_cpu_and_the_rest_is_shared) {
    struct sched_domain giant = {.weight = 65535}, small = {.weight = 1};

    sim_init(2, 4);
    add(&giant, 0, 0);
    for (int i = 0; i < 3; i++)
        add(&small, 0, 0);
    sim_run(5 * SECOND_NS);
    sim_measure();
    sim_run(60 * SECOND_NS);
    EXPECT_NEAR(sim.actor[0].got_ns, 60 * SECOND_NS, 10);
    for (int i = 1; i < 4; i++)
        EXPECT_NEAR(sim.actor[i].got_ns, 20 * SECOND_NS, 50);
}

TEST(caps_hold_within_five_percent_on_an_idle_machine) {
    struct sched_domain a = {.weight = 256, .cap = 25}, b = {.weight = 256, .cap = 150};

    sim_init(4, 5);
    add(&a, 0, 0);
    for (int i = 0; i < 4; i++)
        add(&b, 0, 0);
    sim_run(20 * SECOND_NS);
    EXPECT_NEAR(sim.actor[0].got_ns, 5 * SECOND_NS, 50);
    EXPECT_NEAR(total() - sim.actor[0].got_ns, 30 * SECOND_NS, 50);
}

TEST(a_cap_is_never_exceeded_by_running_in_short_bursts) {
    struct sched_domain a = {.weight = 65535, .cap = 10};

    sim_init(2, 8);
    for (int i = 0; i < 8; i++)
        add(&a, 50 * US_NS + (uint64_t)i, 20 * US_NS);
    sim_run(20 * SECOND_NS);
    EXPECT(total() <= 2 * SECOND_NS + 10 * MS_NS);
    EXPECT_NEAR(total(), 2 * SECOND_NS, 50);
}

TEST(a_capped_domain_among_hogs_gets_its_cap) {
    struct sched_domain capped = {.weight = 256, .cap = 20}, hogs = {.weight = 256};

    sim_init(1, 3);
    add(&capped, 0, 0);
    add(&hogs, 0, 0);
    add(&hogs, 0, 0);
    sim_run(20 * SECOND_NS);
    EXPECT_NEAR(sim.actor[0].got_ns, 4 * SECOND_NS, 50);
    EXPECT_NEAR(sim.actor[1].got_ns, 8 * SECOND_NS, 50);
}

/* The attack on schedulers that charge whoever runs at a tick: sleep just before it. */
TEST(sleeping_before_any_tick_gains_nothing) {
    static const uint64_t period[] = {MS_NS, 3 * MS_NS, 10 * MS_NS, 30 * MS_NS};
    struct sched_domain d = {.weight = 256};

    for (unsigned int p = 0; p < ARRAY_LEN(period); p++) {
        sim_init(1, 4);
        struct actor *thief = add(&d, period[p] * 95 / 100, period[p] * 5 / 100);

        for (int i = 0; i < 3; i++)
            add(&d, 0, 0);
        sim_run(SECOND_NS);
        sim_measure();
        sim_run(20 * SECOND_NS);
        EXPECT(thief->got_ns <= 5 * SECOND_NS * 102 / 100);
        EXPECT(sim.actor[1].got_ns >= 5 * SECOND_NS * 98 / 100);
    }
}

TEST(who_uses_less_than_its_share_runs_at_once_when_it_wakes) {
    struct sched_domain d = {.weight = 256};

    sim_init(2, 12);
    struct actor *io = add(&d, 100 * US_NS, 1900 * US_NS); /* 5 % of a cpu, share 20 % */

    for (int i = 0; i < 10; i++)
        add(&d, 0, 0);
    sim_run(SECOND_NS);
    sim_measure();
    sim_run(20 * SECOND_NS);
    EXPECT_NEAR(io->wakes, 10000, 50);
    EXPECT(io->worst_ns <= POLICY_MIN_RUN_NS + 50 * US_NS);
}

TEST(many_light_sleepers_wake_within_a_bound_among_hogs) {
    struct sched_domain d = {.weight = 256};

    sim_init(4, 48);
    for (int i = 0; i < 40; i++) /* 40 times 1 % */
        add(&d, 100 * US_NS, 9900 * US_NS + (uint64_t)i * 17000);
    for (int i = 0; i < 8; i++)
        add(&d, 0, 0);
    sim_run(20 * SECOND_NS);
    for (int i = 0; i < 40; i++) {
        EXPECT(sim.actor[i].worst_ns < 4 * MS_NS);
        EXPECT(sim.actor[i].late * 100 <= sim.actor[i].wakes);
    }
    EXPECT_NEAR(total(), 80 * SECOND_NS, 1);
}

TEST(an_idle_cpu_takes_waiting_work) {
    struct sched_domain d = {.weight = 256};

    sim_init(4, 4);
    for (int i = 0; i < 4; i++)
        add(&d, 0, 0)->s.cpu = 0;
    sim_run(SECOND_NS);
    for (int i = 0; i < 4; i++)
        EXPECT_NEAR(sim.actor[i].got_ns, SECOND_NS, 5);
}

TEST(hard_affinity_is_never_broken_and_soft_only_for_idle_cpus) {
    struct sched_domain d = {.weight = 256};

    sim_init(2, 3);
    struct actor *a = add(&d, 0, 0), *b = add(&d, 0, 0), *c = add(&d, 700 * US_NS, 400 * US_NS);

    pin(a, 0);
    pin(b, 0);
    memset(&c->s.soft_affinity, 0, sizeof(cpumask_t));
    cpumask_set(&c->s.soft_affinity, 1);
    for (int i = 0; i < 10000; i++) {
        sim_run(MS_NS);
        EXPECT(a->s.cpu == 0 && b->s.cpu == 0 && c->s.cpu == 1);
    }
    EXPECT_NEAR(a->got_ns, 5 * SECOND_NS, 20);
    EXPECT_NEAR(b->got_ns, 5 * SECOND_NS, 20);
    EXPECT_NEAR(c->got_ns, 10 * SECOND_NS * 7 / 11, 20);
}

TEST(who_ran_alone_far_ahead_is_not_starved_when_moved) {
    struct sched_domain d = {.weight = 256};

    sim_init(2, 3);
    struct actor *a = add(&d, 0, 0);

    pin(a, 1);
    sim_run(100 * SECOND_NS); /* its virtual time is now 100 s ahead */
    pin(add(&d, 0, 0), 0);
    pin(add(&d, 0, 0), 0);
    sim_run(SECOND_NS);
    pin(a, 0);
    poke(1, sim.now);
    sim_run(100 * MS_NS);
    sim_measure();
    sim_run(3 * SECOND_NS);
    EXPECT_NEAR(a->got_ns, SECOND_NS, 50);
}

TEST(yielding_lets_the_other_go_first) {
    struct sched_domain d = {.weight = 256};
    uint64_t until;

    sim_init(1, 2);
    add(&d, 0, 0);
    add(&d, 0, 0);
    sim_run(MS_NS + US_NS);
    struct sched_vcpu *first = sim.cpu[0].curr;

    policy_yield(&sim.cpu[0], sim.now);
    EXPECT(policy_pick(&sim.cpu[0], true, sim.now, &until) != first);
}

TEST(ten_thousand_vcpus_on_four_cpus) {
    struct sched_domain d[4] = {
        {.weight = 256}, {.weight = 512}, {.weight = 256, .cap = 50}, {.weight = 128}};

    sim_init(4, 10000);
    for (unsigned int i = 0; i < 10000; i++) {
        if (i % 100 < 96) /* mostly idle: 50 us every ~200 ms, 2.4 cpus in all */
            add(&d[i % 2], 50 * US_NS, 200 * MS_NS + (uint64_t)(i * 7919 % 20000) * US_NS);
        else
            add(&d[i % 4], 0, 0);
    }
    sim_run(10 * SECOND_NS); /* at first each cpu had the hogs of one weight */
    sim_measure();
    sim_run(20 * SECOND_NS);
    EXPECT_NEAR(total(), 80 * SECOND_NS, 1);
    uint64_t wakes = 0, late = 0, capped = 0, light = 0, heavy = 0;

    for (unsigned int i = 0; i < 10000; i++) {
        struct actor *a = &sim.actor[i];

        wakes += a->wakes;
        late += a->late;
        if (!a->sleep_ns && a->s.share == &d[2])
            capped += a->got_ns;
        if (!a->sleep_ns && a->s.share == &d[0])
            light += a->got_ns;
        if (!a->sleep_ns && a->s.share == &d[1])
            heavy += a->got_ns;
    }
    EXPECT(wakes > 800000);
    EXPECT(late * 20 < wakes);
    EXPECT(capped <= 10 * SECOND_NS + 10 * MS_NS);
    EXPECT_NEAR(heavy, 2 * light, 30);
}
