/*
 * Three domains with page tables and grant tables of the real code, on the fake machine, and a
 * recount of everything a grant may hold: references and types of frames, pins, references of
 * domains. Link it with arch/fake/guest.c, or with guest copies of the test's own.
 */
#ifndef GNTTAB_FIXTURE_H
#define GNTTAB_FIXTURE_H

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "core/gnttab-internal.h"
#include "core/page.h"
#include "pv/mmu.h"
#include "test.h"

#define GF_DOMAINS   3 /* domid 0 is dom0 */
#define GF_VCPUS     3 /* vcpu n of each runs on cpu n */
#define GF_FRAMES    4096
#define GF_MAX_GRANT 3 /* frames of grants, pages of handles a domain may have */
#define GF_MAX_TRACK 2
#define GF_ARGS      UINT64_C(0x1000) /* guest address of GF_ARG_PAGES writable pages */
#define GF_ARG_PAGES 4
#define GF_FREE      16 /* first of the guest's pages where nothing is mapped, up to 511 */

extern struct gf_domain {
    struct domain *d; /* NULL: gone */
    struct page *l4, *l3, *l2, *l1, *arg[GF_ARG_PAGES];
} gf[GF_DOMAINS];

/* Fresh domains; the calling thread is vcpu 0 of domain 1. */
void gf_start(void);
/* All domains go: nothing of them is left, all frames are free again. */
void gf_finish(void);
/* This thread runs that vcpu now. */
struct vcpu *gf_run(unsigned int dom, unsigned int vcpu);

/* A frame of a domain; its L1 entry for page n of its guest's memory; that entry's address. */
struct page *gf_page(unsigned int dom);
uint64_t *gf_pte(unsigned int dom, unsigned int n);
uint64_t gf_pte_address(unsigned int dom, unsigned int n);
static inline uint64_t gf_va(unsigned int n) {
    return (uint64_t)n << PAGE_SHIFT;
}
/* update_va_mapping: the current guest writes an entry of its own. */
long gf_set_pte(unsigned int n, uint64_t val);
/* The granter's word. */
struct grant_entry_v1 *gf_entry(unsigned int dom, uint32_t ref);
/* Domain `dom` grants a frame as ref to another. flags: GTF_readonly or 0. */
void gf_grant(unsigned int dom, uint32_t ref, unsigned int to, const struct page *pg,
              uint16_t flags);

/* grant_table_op of the current vcpu on n elements, which come back; until it is done. */
extern unsigned int gf_rounds;
long gf_ops(unsigned int cmd, void *ops, size_t size, unsigned int n);
/* One element; *status is its status afterwards, INT16_MIN if the call failed. */
#define gf_op(cmd, op) (gf_ops(cmd, op, sizeof(*(op)), 1) ? INT16_MIN : (op)->status)
/* Map: status; *handle. */
int gf_map(unsigned int dom, uint32_t ref, uint64_t host_addr, uint32_t flags, uint32_t *handle);
int gf_unmap(uint32_t handle, uint64_t host_addr, uint64_t dev_bus_addr);

/* End a domain as domain_destroy does: it goes with the last reference that others hold. */
void gf_destroy(unsigned int dom);
/* Is that domain's struct freed, now that nobody refers to it any more? Frees it. */
bool gf_gone(unsigned int dom);

/* Count everything anew and compare; true if all is as counted. No thread may be in a hypercall. */
bool gf_consistent(void);
#define EXPECT_CONSISTENT() EXPECT(gf_consistent())

#endif
