/* Guest memory as the hypervisor sees it, with everything that can go wrong. */
#include <stdlib.h>
#include <string.h>

#include "arch/fake/fake.h"
#include "core/cpu.h"
#include "core/page.h"
#include "core/vcpu.h"

#define MAX_REGIONS 64

struct fake_guest fake_guest;

static struct span { uint64_t start, len; } regions[MAX_REGIONS], *fetched;
static size_t nr_regions, nr_fetched;

void fake_guest_reset(void);

void fake_guest_reset(void) {
    memset(&fake_guest, 0, sizeof(fake_guest));
    nr_regions = 0;
    fake_guest_begin();
}

void fake_guest_begin(void) {
    free(fetched);
    fetched = NULL;
    nr_fetched = 0;
}

void fake_guest_memory(void *ptr, size_t len) {
    for (size_t i = 0; i < nr_regions; i++)
        if (regions[i].start == (uintptr_t)ptr && regions[i].len == len)
            return;
    if (nr_regions == MAX_REGIONS)
        abort();
    regions[nr_regions++] = (struct span){(uintptr_t)ptr, len};
}

static bool overlap(const struct span *s, uint64_t at, size_t len) {
    return s->len && at < s->start + s->len && s->start < at + len;
}

static void note_read(uint64_t at, size_t len) {
    for (size_t i = 0; i < nr_fetched; i++) {
        if (overlap(&fetched[i], at, len)) {
            fake_guest.double_fetches++;
            fake_guest.double_fetch.va = at;
        }
    }
    fetched = realloc(fetched, (nr_fetched + 1) * sizeof(*fetched));
    fetched[nr_fetched++] = (struct span){at, len};
}

/*
 * What we wrote ourselves may be read again; whole spans only, which is enough for arrays of
 * results.
 */
static void note_write(uint64_t at, size_t len) {
    for (size_t i = 0; i < nr_fetched; i++)
        if (at <= fetched[i].start && fetched[i].start + fetched[i].len <= at + len)
            fetched[i].len = 0;
}

#define ENTRY_P  BIT(0)
#define ENTRY_RW BIT(1)
#define ENTRY_US BIT(2)

/* Host address of a guest address through the tables of v, NULL if it faults. */
static uint8_t *walk(const struct vcpu *v, uint64_t va, bool write) {
    uint64_t need = ENTRY_P | ENTRY_US | (write ? ENTRY_RW : 0);
    mfn_t at = v->arch.kernel_l4;

    if ((uint64_t)((int64_t)(va << 16) >> 16) != va || l4_slot_is_ours(va >> 39 & 511))
        return NULL;
    for (unsigned int shift = 39; shift >= PAGE_SHIFT; shift -= 9) {
        uint64_t entry = ((uint64_t *)mfn_to_virt(at))[va >> shift & 511];

        at = mfn_of((entry & (BIT(52) - 1)) >> PAGE_SHIFT);
        if ((entry & need) != need || !arch_mfn_is_ram(at))
            return NULL;
    }
    return (uint8_t *)mfn_to_virt(at) + va % PAGE_SIZE;
}

/* Host address of a guest address and how many bytes follow it there; NULL if it faults. */
static uint8_t *translate(uint64_t va, bool write, size_t *room) {
    const struct vcpu *v = current_vcpu();

    if (v && v->arch.kernel_l4.n) {
        *room = PAGE_SIZE - va % PAGE_SIZE;
        return walk(v, va, write);
    }
    for (size_t i = 0; i < nr_regions; i++) {
        if (va >= regions[i].start && va - regions[i].start < regions[i].len) {
            *room = regions[i].start + regions[i].len - va;
            return (uint8_t *)(uintptr_t)va;
        }
    }
    return NULL;
}

enum how { READ, WRITE };

static int access_guest(enum how how, uint64_t va, void *buf, size_t len) {
    bool fail = ++fake_guest.accesses == fake_guest.fail_at;
    size_t left = fail ? len / 2 : len;
    uint64_t start = va;
    uint8_t *mine = buf;

    while (left) {
        size_t room = 0, n;
        uint8_t *host = translate(va, how != READ, &room);

        if (!host)
            return -EFAULT;
        n = MIN(left, room);
        if (how == READ)
            memcpy(mine, host, n);
        else
            memcpy(host, mine, n);
        va += n;
        left -= n;
        mine += n;
    }
    if (fail)
        return -EFAULT;
    if (how == READ && len) {
        note_read(start, len);
        if (fake_guest.after_read)
            fake_guest.after_read((guest_va_t){start}, len);
    } else if (len) {
        note_write(start, len);
    }
    return 0;
}

int copy_from_guest(void *dst, guest_va_t src, size_t len) {
    return access_guest(READ, src.va, dst, len);
}
int copy_pair_from_guest(uint64_t dst[2], guest_va_t src) {
    return access_guest(READ, src.va, dst, 2 * sizeof(*dst));
}
int copy_to_guest(guest_va_t dst, const void *src, size_t len) {
    return access_guest(WRITE, dst.va, (void *)(uintptr_t)src, len);
}
