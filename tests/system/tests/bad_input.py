"""
Whatever is wrong with what the boot loader hands over, Hospes says in one readable line what it is
and what to change, and stops: it never hangs without a word and never resets by a triple fault.
"""
import os
import re
import struct

import images
from machine import Point, Skipped
from testing import Test

BOOT_S = 180


# ---- kernels to refuse -------------------------------------------------------------------------

def packed(compression):
    with open(images.packed_kernel(compression), "rb") as f:
        return f.read()


def truncated(compression):
    image = packed(compression)
    return image[:len(image) * 6 // 10]


def flipped(compression):
    """One bit in every 64 KiB of the payload."""
    image = bytearray(packed(compression))
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    for at in range(start + 0x8000, start + length - 16, 0x10000):
        image[at] ^= 0x10
    return bytes(image)


NOTES = {5: b"xen-3.0\0", 6: b"linux\0", 1: struct.pack("<Q", 0xffffffff81000000),
         3: struct.pack("<Q", 0xffffffff80000000), 2: struct.pack("<Q", 0xffffffff81000000)}


def elf(notes=True, vaddr=0xffffffff81000000, paddr=0x1000000, filesz=4096, memsz=4096,
        phoff=64, phnum=2):
    """A small ELF64 file with one segment to load; the arguments say how it lies."""
    note = b"".join(struct.pack("<III4s", 4, len(d), n, b"Xen\0") + d + b"\0" * (-len(d) % 4)
                    for n, d in NOTES.items()) if notes else b""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0xffffffff81000000,
                         phoff, 0, 0, 64, 56, phnum, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, 4096, vaddr, paddr, filesz, memsz, 4096)
    noted = struct.pack("<IIQQQQQQ", 4, 4, 176, 0, 0, len(note), len(note), 4)
    return (header + load + noted + note).ljust(4096, b"\0") + b"\xcc" * 4096


def cloud():
    with open(images.Kernel("6.1-cloud").vmlinuz, "rb") as f:
        return f.read()


KERNELS = {                             # name: (makes the file, what the one line has to say)
    "text-file": (lambda: b"menuentry 'Debian' {\n" * 400, "neither a bzImage nor an ELF"),
    "no-xen-notes": (lambda: elf(notes=False), "XEN_PV|Xen.*notes"),
    "cloud-kernel": (cloud, "XEN_DOM0.*linux-image-amd64"),
    "elf-segment-past-end": (lambda: elf(filesz=1 << 40, memsz=1 << 40), "cut off|corrupt|absurd"),
    "elf-absurd-address": (lambda: elf(vaddr=0x1000, paddr=1 << 60), "corrupt|absurd|cannot be"),
    "elf-absurd-size": (lambda: elf(memsz=1 << 62), "corrupt|absurd|cannot be|too little memory"),
    "elf-absurd-headers": (lambda: elf(phoff=1 << 63, phnum=65535), "cut off|corrupt|absurd|ELF"),
}
for _c in "xz", "zstd", "gzip", "lz4":
    KERNELS[f"truncated-{_c}"] = (lambda c=_c: truncated(c), "cut off|corrupt")
    KERNELS[f"bit-flipped-{_c}"] = (lambda c=_c: flipped(c), "corrupt|cut off|damaged|does not unpack")


# ---- the tests ---------------------------------------------------------------------------------

def only_hospes(r):
    if r.is_xen or r.is_bare:
        raise Skipped("this is what Hospes promises")


def refuses(m, r, says):
    """Hospes stops with one line that says what is wrong, and the machine stays up after it."""
    line = m.expect(r"Hospes panic: (.*)\n", BOOT_S, what="the line that says what is wrong")[1]
    r.note("it says what is wrong: " + line)
    found = re.search(says, line)
    r.note("it says the right thing", None if found else f"nothing like '{says}' in '{line}'")
    r.note("it is one line of readable length",
           None if 20 <= len(line) <= 200 and line.isprintable() else f"{len(line)} characters")
    m.expect("Stopped; reset the machine", 30)


def bad_kernel(name):
    make, says = KERNELS[name]

    def run(r):
        only_hospes(r)
        path = os.path.join(r.logs, f"{r.name}.kernel")
        try:
            with open(path, "wb") as f:
                f.write(make())
            with r.boot(Point(), kernel=path) as m:
                refuses(m, r, says)
        finally:
            os.unlink(path)
    return run


def bad_machine(says, memory=1024, **boot):
    def run(r):
        only_hospes(r)
        with r.boot(Point(memory=memory), **boot) as m:
            refuses(m, r, says)
    return run


def bad_options(r):
    """Options it does not know are named and ignored."""
    only_hospes(r)
    words = "frobnicate=1 dom0_mem=lots dom0_max_vcpus=-1 =x loglvl= " + "y" * 300
    with r.boot(Point(), options=words) as m:
        m.expect("shell> ")
        for word in "frobnicate", "dom0_mem", "dom0_max_vcpus":
            r.note(f"{word} is named", None if re.search(
                rf'option "{word}".*ignored', m.text) else "no line says so")


def restarts(r):
    """Without noreboot, the machine starts again a few seconds after the line."""
    only_hospes(r)
    with r.boot(Point(), no_module=True, options="noreboot=no") as m:
        m.expect(r"Hospes panic: .*\n", BOOT_S)
        m.wait_for_end("guest-reset", 60)
        r.note("it restarts")


def tests():
    for name in KERNELS:
        yield Test(f"bad-{name}", bad_kernel(name))
    yield Test("bad-no-module", bad_machine("module2", no_module=True))
    yield Test("bad-memory-64M", bad_machine("too little memory", memory=64))
    yield Test("bad-memory-128M", bad_machine("too little memory", memory=128))
    yield Test("bad-no-acpi", bad_machine("ACPI", devices=["-no-acpi"]))
    yield Test("bad-options", bad_options)
    yield Test("bad-restart", restarts)


TESTS = list(tests())
