"""
The PV test guests of tests/pv, each booted as dom0. Their own lines are the findings; a case that
must end the domain is judged by the hypervisor's last words: it names the domain that crashed, and
neither panics nor falls silent.
"""
import os
import re
import subprocess
import threading

from machine import Failed, Point
from testing import Test

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SOURCES = os.path.join(TOP, "tests", "pv")
IMAGES = os.path.join(TOP, "build", "pv")

GUEST_S = 120                           # no guest takes longer, however busy the host
TOTALS = r"^(\d+) passed, (\d+) failed$"
CRASHED = r"d0: crashed|Domain 0 .*crashed on cpu"
DOM0_ENDED = r"^.*(dom0 has ended: crash|Hardware Dom0 crashed)"
TROUBLE = re.compile(r"^.*(Hospes panic(?!: noreboot)|Panic on CPU|\bBUG\b|unexpected fault).*$", re.M)

# What a guest needs besides the common machine. Images are those of tests/pv/build.
GUESTS = {
    "start-of-day": {},
    "start-of-day-p2m": {},
    "hypercall-arguments": {},
    "exceptions": {},
    "page-tables": {},
    "privileged-instructions": {},
    "smp": {"cpus": 2},
    "grants": {},
    "events-timers": {},
    "memory-op": {},
    "fpu-segments": {"cpus": 2},
    "races": {"cpus": 2},
}

build_lock = threading.Lock()
built = False


def build():
    global built
    with build_lock:
        if not built:
            p = subprocess.run([os.path.join(SOURCES, "build")], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
            if p.returncode:
                raise Failed("tests/pv/build: " + p.stdout.strip().splitlines()[-1])
        built = True


def crash_cases(guest):
    path = os.path.join(SOURCES, guest + ".c")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return re.findall(r'^    \{"([\w-]+)", crash_\w+\},$', f.read(), re.M)


def boot(r, guest, words="", log="", **point):
    machine = {"cpus": 1, "memory": 512, "dom0_mem": 64, "options": "", **GUESTS[guest]}
    return r.boot(Point(cpus=machine["cpus"], memory=machine["memory"], **point),
                  kernel=os.path.join(IMAGES, guest), no_initrd=True, log=log,
                  cmdline=f"guest={guest} {words}".strip(),
                  options=f"dom0_mem={machine['dom0_mem']}M {machine['options']}".strip())


def wait_for(m, pattern, what):
    """As Machine.expect(), but the hypervisor's words when dom0 has crashed are no panic here."""
    regex = re.compile(pattern, re.M)
    with m.changed:
        m.changed.wait_for(lambda: m.ended or regex.search(m.text) or TROUBLE.search(m.text),
                           GUEST_S)
        trouble, found = TROUBLE.search(m.text), regex.search(m.text)
    if trouble:
        raise Failed(f"the hypervisor: {trouble[0].strip()}")
    if not found:
        raise Failed(f"the machine ended ({m.why_ended()}) before {what}" if m.ended else
                     f"no {what} within {GUEST_S} s")
    return found


def run_guest(guest, **point):
    def run(r):
        build()
        with boot(r, guest, **point) as m:
            found = wait_for(m, f"{TOTALS}|{DOM0_ENDED}", "the guest's totals")
            lines = re.findall(r"^(not ok|ok) - (.*)$", m.text, re.M)
            if found[1] is None:
                raise Failed(f"the domain crashed after '{lines[-1][1] if lines else 'nothing'}'")
            for verdict, text in lines:
                name, _, why = text.partition(": ") if verdict == "not ok" else (text, "", None)
                r.note(name, why)
            r.expect_equal("the totals agree with the lines",
                           (int(found[1]), int(found[2])),
                           (sum(v == "ok" for v, _ in lines), sum(v != "ok" for v, _ in lines)))
            if not r.is_xen:            # Xen halts the processor where it should power off
                m.wait_for_end("guest-shutdown")
                r.note("the machine powers off")
    return run


def run_crashes(guest):
    def run(r):
        build()
        for case in crash_cases(guest):
            name = f"{case} ends the domain and nothing else"
            with boot(r, guest, f"crash={case}", case) as m:
                try:
                    found = wait_for(m, f"{TOTALS}|{DOM0_ENDED}", "the domain's end")
                except Failed as e:
                    r.note(name, str(e))
                    continue
                if found[1] is not None and found[2] != "0":
                    r.note(name, "the domain lives on")
                elif found[1] is None and not re.search(CRASHED, m.text):
                    r.note(name, "the hypervisor does not say why")
                else:
                    r.note(name)
    return run


TESTS = [Test(f"pv-{guest}", run_guest(guest)) for guest in GUESTS]
# The processors differ in what enters the hypervisor how: SMAP and LA57 from QEMU 10 on, sysenter
# and 32-bit syscall by vendor.
TESTS += [Test(f"pv-{guest}-qemu{qemu}-{vendor}", run_guest(guest, qemu=qemu, vendor=vendor), False)
          for guest in GUESTS for qemu, vendor in (("7.2", "GenuineIntel"), ("10", "AuthenticAMD"),
                                                   ("10", "GenuineIntel"))]
TESTS += [Test(f"pv-{guest}-crashes", run_crashes(guest)) for guest in GUESTS if crash_cases(guest)]
