"""
dom0's wall clock and monotonic time go as QEMU's clock does, and a short sleep ends no later than
on Xen.
"""
import json
import os
import time

import images
import packages
from machine import Point
from testing import Test

PPM, SECONDS = 100, 60
WALL_CLOCK_S = 3                        # the CMOS clock tells whole seconds, and reading takes time
OVERRUN_SLACK = 1.1                     # phases of periodic work move the mean by some per cent


def reading(m):
    """(host's time, monotonic, realtime) in seconds: of many answers the one that came quickest."""
    samples = []
    for _ in range(100):
        before = time.monotonic()
        m.send("now")
        told = m.expect(r"clock - (\d+) (\d+)\n", 30)
        after = time.monotonic()
        samples.append((after - before, (before + after) / 2, int(told[1]) / 1e9,
                        int(told[2]) / 1e9))
    return min(samples)[1:]


def keeps_time(r):
    """QEMU's clock is the host's monotonic one."""
    with r.boot(Point(cpus=2)) as m:
        m.expect("shell> ")
        m.send("stty -echo; micro clock")
        first = reading(m)
        wall_clock_off = first[2] - time.time()
        time.sleep(SECONDS)
        last = reading(m)
    passed, monotonic, realtime = (b - a for a, b in zip(first, last))
    for name, guest in ("monotonic time", monotonic), ("the wall clock", realtime):
        ppm = (guest / passed - 1) * 1e6
        r.note(f"{name} goes right within {PPM} ppm ({ppm:+.1f})",
               f"it is {ppm:+.1f} ppm off" if abs(ppm) > PPM else None)
    r.note(f"the wall clock is right ({wall_clock_off:+.1f} s)",
           f"it is {wall_clock_off:+.1f} s off" if abs(wall_clock_off) > WALL_CLOCK_S else None)


def overrun_ns(r, hv=None):
    """Instruction-counted, where the figure does not depend on the host."""
    with r.boot(Point(), hv=hv, log=hv or "", icount=True, cmdline="hospes.checks=overrun") as m:
        return float(m.expect(r"figure - overrun_ns (\S+)\n", 600, 600)[1])


def sleeps_no_longer(r):
    def ask(path):
        with open(path, "w") as f:
            json.dump(overrun_ns(r, "xen"), f)
    key = packages.key_of(images.xen(), images.initramfs(images.Kernel("6.1")),
                          os.path.abspath(__file__))
    with open(packages.built("overrun-xen", ".json", key, ask)) as f:
        xen = json.load(f)
    ours = overrun_ns(r)
    r.note(f"sleeping 1 ms takes {ours:.0f} ns longer, on Xen {xen:.0f} ns",
           "that is later than on Xen" if ours > xen * OVERRUN_SLACK else None)


TESTS = [Test("clock-drift", keeps_time), Test("clock-sleep", sleeps_no_longer)]
