/*
 * The first domain's kernel, from the file as a distribution ships it to what a builder places:
 *
 * - kernel_image_probe(): bzImage, ELF or gzipped ELF? where is the packed part, how long unpacked?
 * - kernel_image_unpack(): into memory the caller allocated.
 * - kernel_image_parse(): PT_LOAD segments and the Xen ELF notes, all checked.
 *
 * Each returns NULL, or one sentence to be printed after the file's name: what is wrong and what
 * to change. The file is hostile (a cut or rotten disk is enough): any bytes are answered with a
 * sentence or a description that is safe to follow. Boot time only.
 */
#ifndef CORE_KERNEL_IMAGE_H
#define CORE_KERNEL_IMAGE_H

#include "core/unpack.h"
#include "lib/types.h"

struct kernel_image {
    enum packing packing;
    const uint8_t *data; /* the packed (or plain) ELF within the file */
    size_t len, unpacked_len;
    size_t scratch_len; /* what kernel_image_unpack() wants */
    char version[48];   /* "6.1.0-56-amd64", for a message; empty if the file does not say */
};

/* No kernel packed into more than this is believed to be one. */
#define KERNEL_UNPACKED_MAX MIB(512)

MUST_CHECK const char *kernel_image_probe(struct kernel_image *ki, const void *file, size_t len);

/* Note: PACKING_ELF is copied; ki->data itself is just as good for kernel_image_parse(). */
MUST_CHECK const char *kernel_image_unpack(const struct kernel_image *ki, void *dst, size_t dst_len,
                                           void *scratch, size_t scratch_len);

#define PV_NR_SEGMENTS 16
/* No such address: the kernel did not say. */
#define PV_NOWHERE UINT64_MAX
/* Beyond this the kernel does not reach from its virt_base. */
#define PV_SPAN_MAX GIB(1)

/* file_len bytes of data go to virt_base + offset, the guest's physical `offset`; the rest is 0. */
struct pv_segment {
    const void *data;
    uint64_t offset, file_len, mem_len;
};

struct pv_image {
    uint64_t virt_base;      /* maps pfn 0; page aligned */
    uint64_t start, end;     /* what the segments cover, from virt_base; whole pages */
    uint64_t entry;          /* inside a segment */
    uint64_t hypercall_page; /* to be filled with stubs, inside the image; or PV_NOWHERE */
    uint64_t init_p2m;       /* where the p2m list is mapped, page aligned; or PV_NOWHERE */
    bool mod_start_pfn;      /* takes its ramdisk unmapped, by pfn */
    uint32_t features;       /* bit per XENFEAT_*: what the kernel can do */
    unsigned int nr_segments;
    struct pv_segment segment[PV_NR_SEGMENTS]; /* no two overlap */
};

/*
 * Describe an ELF kernel; pi->segment[].data points into it.
 * ABI:    ELF notes of owner "Xen", xen/include/public/elfnote.h. As Xen's loader: from program
 *         headers, else from sections; segments are placed by p_paddr, never by p_vaddr (Linux'
 *         per-cpu segment has p_vaddr 0).
 * Note:   with pfn 0 at virt_base, [virt_base, virt_base + end) is canonical and clear of the
 *         hypervisor's range, as is the first page at init_p2m.
 */
MUST_CHECK const char *kernel_image_parse(struct pv_image *pi, const void *elf, size_t len);

#endif
