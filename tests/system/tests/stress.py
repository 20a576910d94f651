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

STRESSORS = {
    "cpu": "--cpu 1", "vm": "--vm 1 --vm-bytes 96M", "fork": "--fork 1", "pipe": "--pipe 1",
    "mmap": "--mmap 1 --mmap-bytes 48M", "timer": "--timer 1", "signal": "--signal 1",
}
SECONDS = 120
WARNING = 4                             # the kernel's level; smaller is worse
# The kernel's words for "the host took the cpu away for long"; on Xen it comes and goes as well.
HOST_IS_SLOW = re.compile(r"hrtimer: interrupt took \d+ ns")


def normal(line):
    """A message without what differs from boot to boot: times, addresses, numbers."""
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", "N", line)


def stress(r, cpus, stressors, hv=None):
    """Warnings of the kernel's log after the stress: {normal form: line}."""
    initrd = images.concatenated("stress-initramfs", [
        images.initramfs(images.Kernel("6.1")), images.stress_ng()])
    with r.boot(Point(cpus=cpus, memory=1536), hv=hv, log=hv or "", initrd=initrd) as m:
        m.expect("shell> ")
        m.shell("stty -echo; PS1=")
        said = m.shell(f"stress-ng --timeout {SECONDS}s --temp-path /tmp --metrics-brief "
                       + " ".join(STRESSORS[s] for s in stressors) + " 2>&1", SECONDS + 240)
        r.note("stress-ng ends in time and content",
               None if "successful run completed" in said else said.strip().split("\n")[-1])
        log = m.shell("dmesg -r")
        m.send("poweroff -f")
        m.wait_for_end("guest-shutdown")
    lines = re.findall(r"^<(\d+)>\[ *[\d.]+\] (.*)$", log, re.M)
    return {normal(text): text for level, text in lines
            if int(level) & 7 <= WARNING and not HOST_IS_SLOW.fullmatch(text)}


def reference(r, cpus, stressors):
    """What Xen's dom0 warns of under the same stress; kept, as it takes minutes."""
    def ask(path):
        with open(path, "w") as f:
            json.dump(stress(r, cpus, stressors, hv="xen"), f)
    key = packages.key_of(cpus, sorted(stressors), images.xen(),
                          images.initramfs(images.Kernel("6.1")), os.path.abspath(__file__))
    with open(packages.built(f"stress-xen-{cpus}", ".json", key, ask)) as f:
        return json.load(f)


def survives(cpus, stressors):
    def run(r):
        ours = stress(r, cpus, stressors)
        known = reference(r, cpus, list(STRESSORS)) if ours else {}
        new = [text for form, text in ours.items() if form not in known]
        r.note("the kernel warns of nothing new", "; ".join(new) or None)
    return run


def tests():
    for cpus in 2, 4:
        yield Test(f"stress-{cpus}cpu", survives(cpus, list(STRESSORS)))
        for s in STRESSORS:
            yield Test(f"stress-{cpus}cpu-{s}", survives(cpus, [s]), False)


TESTS = list(tests())
