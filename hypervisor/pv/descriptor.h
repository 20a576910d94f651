/* Segment descriptors, and the tables a guest puts them in. */
#ifndef PV_DESCRIPTOR_H
#define PV_DESCRIPTOR_H

#include "core/vcpu.h"
#include "lib/types.h"

/*
 * May a guest have this descriptor? Absent ones, and code and data of any kind; their DPL is
 * raised to 3 in place. No gates, no system segments.
 */
MUST_CHECK bool pv_check_descriptor(uint64_t *desc);

/*
 * The content check of PAGE_SEGDESC: all 512 descriptors of a page that the guest cannot write now.
 * Errors: -EINVAL: one is not acceptable; those before it may have been adjusted.
 */
MUST_CHECK int pv_validate_segdesc_page(uint64_t *descs);

/*
 * Replace v's GDT: frames of v's domain, which become PAGE_SEGDESC; the old ones are released.
 * Trust:  frames is a private copy, with room for what entries says.
 * Locks:  as page_get_type. v is current or cannot run.
 * Errors: -EINVAL too many entries or not d's frame; those of page_get_type.
 */
MUST_CHECK int pv_set_gdt(struct vcpu *v, const uint64_t *frames, unsigned int entries);

/*
 * Replace v's LDT; its pages are looked at when first used. v is current or cannot run.
 * Trust:  the caller has checked: base on a page boundary, at most LDT_MAX_ENTRIES.
 */
#define LDT_MAX_ENTRIES 8192
void pv_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries);

/*
 * The processor found no LDT page at this offset of the table: map it. False: there is none to
 * map.
 */
bool pv_ldt_fault(struct vcpu *v, uint32_t offset);

/* Drop GDT and LDT (v is off its cpu for good). */
void pv_release_descriptors(struct vcpu *v);

/* Does this code selector mean 64-bit mode for v? */
bool pv_selector_is_64bit(const struct vcpu *v, uint16_t selector);

#endif
