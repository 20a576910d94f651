"""
Debian's kernel, straight from its package, reaches a shell as dom0: every loader, number of cpus,
QEMU and SMAP setting, memory size and board.
"""
import images
from machine import Point, Skipped
from testing import Test, every, pairwise

FACTORS = {
    "loader": ["kernel", "grub-bios", "grub-uefi"],
    "cpus": [1, 2, 4],
    "qemu": ["7.2", "10"],
    "memory": [512, 2048, 8192],
    "board": ["pc", "q35"],
}


def reaches_a_shell(point, compression=None):
    def run(r):
        if r.is_xen and point.vendor:
            raise Skipped("Debian's Xen 4.17 double-faults at a 32-bit sysenter under QEMU")
        if r.is_bare and point.loader != "kernel":
            raise Skipped("only QEMU loads the bare kernel")
        kernel = images.packed_kernel(compression) if compression else None
        checks = "compat32" if r.is_bare else "dom0,compat32"
        with r.boot(point, kernel=kernel, cmdline=f"hospes.checks={checks} hospes.cpus={point.cpus}") as m:
            r.note_all(m.checks())
            m.expect("shell> ", 60, what="the shell's prompt")
            r.expect_equal("the shell answers", "42", m.shell("echo $((6 * 7))").split("\n")[-2])
            m.send("poweroff -f")
            m.wait_for_end("guest-shutdown")
            r.note("it powers off")
    return run


def tests():
    chosen = [Point(**row) for row in pairwise(**FACTORS)]
    yield Test("boot-smoke", reaches_a_shell(Point()))
    for point in [Point(**row) for row in every(**FACTORS)]:
        yield Test(f"boot-{point}", reaches_a_shell(point), point in chosen)
    # once each: the newer kernel with its zstd payload, other payloads, and the other vendor's cpu
    yield Test("boot-6.12", reaches_a_shell(Point(kernel="6.12", cpus=2)))
    for compression in "gzip", "lz4":
        yield Test(f"boot-{compression}", reaches_a_shell(Point(), compression))
    yield Test("boot-intel", reaches_a_shell(Point(vendor="GenuineIntel", cpus=2)))


TESTS = list(tests())
