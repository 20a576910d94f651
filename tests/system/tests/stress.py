"""
dom0 lives through stress-ng, and its kernel warns of nothing that the same kernel does not warn of
on Debian's Xen 4.17.
"""
import json
import os
import re

import images
import packages
from machine import Point
from testing import Test

STRESSORS = ["cpu", "vm", "fork", "pipe", "mmap", "timer", "signal"]
SECONDS = 120
WARNING = 4                             # the kernel's level; smaller is worse

# What 6.1 warns of on Xen 4.17 in the same QEMU, in the form that normal() gives it. Only when there
# is something else, Xen itself is asked: it may be a message of a newer kernel.
KNOWN = {
    "Grant table initialized",
    "acpi PNPNAN:N: fail to add MMCONFIG information, can't access extended PCI configuration "
    "space under this bridge.",
    "cpu N spinlock event irq N",
    "hpet_acpi_add: no address or irqs in _CRS",
    # the kernel's words for "the host took the cpu away for long"; comes and goes
    "hrtimer: interrupt took N ns",
}


def normal(line):
    """A message without what differs from boot to boot: times, addresses, numbers."""
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", "N", line)


def warnings(r, cpus, stressors, hv=None):
    """The kernel's warnings after the stress: {normal form: line}."""
    initrd = images.concatenated("stress-initramfs", [
        images.initramfs(images.Kernel("6.1")), images.stress_ng()])
    cmdline = f"hospes.checks=stress hospes.seconds={SECONDS} hospes.stress={','.join(stressors)}"
    with r.boot(Point(cpus=cpus, memory=1536), hv=hv, log=hv or "", initrd=initrd,
                cmdline=cmdline) as m:
        r.note_all(m.checks(SECONDS + 420, SECONDS + 240))
        m.expect("shell> ")
        m.send("poweroff -f")
        m.wait_for_end("guest-shutdown")
    log = m.text[m.text.index("\nlog begins\n"):m.text.index("\nlog ends\n")]
    lines = re.findall(r"^<(\d+)>\[ *[\d.]+\] (.*)$", log, re.M)
    return {normal(text): text for level, text in lines if int(level) & 7 <= WARNING}


def on_xen(r, cpus):
    """What Xen's dom0 warns of under all of the stress; kept, as it takes minutes."""
    def ask(path):
        with open(path, "w") as f:
            json.dump(warnings(r, cpus, STRESSORS, hv="xen"), f)
    key = packages.key_of(cpus, images.xen(), images.initramfs(images.Kernel("6.1")),
                          os.path.abspath(__file__))
    with open(packages.built("stress-xen", ".json", key, ask)) as f:
        return json.load(f)


def survives(cpus, stressors):
    def run(r):
        new = {form: text for form, text in warnings(r, cpus, stressors).items()
               if form not in KNOWN}
        if new and not r.is_xen:
            reference = on_xen(r, cpus)
            new = {form: text for form, text in new.items() if form not in reference}
        r.note("the kernel warns of nothing new", "; ".join(new.values()) or None)
    return run


def tests():
    for cpus in 2, 4:
        yield Test(f"stress-{cpus}cpu", survives(cpus, STRESSORS))
        for s in STRESSORS:
            yield Test(f"stress-{cpus}cpu-{s}", survives(cpus, [s]), False)


TESTS = list(tests())
