"""
Debian on a disk, with dom0's own drivers: it boots to a login prompt on hvc0, reaches the network,
keeps 256 MiB intact through copying, re-reading and a reboot, and powers off.
"""
import os
import re
import subprocess
import tempfile

import images
from machine import Point
from testing import Test

AHCI = ["ahci,id=ahci", "ide-hd,drive=root,bus=ahci.0", "e1000,netdev=user"]
VIRTIO = ["virtio-blk-pci,drive=root", "virtio-net-pci,netdev=user"]
DEVICES = {                 # name: (root, QEMU's devices, kernel options, a line of /proc/interrupts)
    "virtio-msix": ("/dev/vda", VIRTIO, "", r"msi-x +virtio\d-req"),
    "ahci-intx": ("/dev/sda", AHCI, "pci=nomsi", r"ioapic-level +ahci"),
    "ahci-msi": ("/dev/sda", AHCI, "", r"msi +ahci"),
}
SLOW_S = 300                            # for what takes a minute or two on an idle host


def overlay(path):
    """A disk of our own above the shared image."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                    "-b", images.debian_root(), path], check=True)


def log_in(m):
    m.expect("testbox login: ", SLOW_S, SLOW_S, "the login prompt")
    m.send("root")
    m.expect("testbox:~# ", SLOW_S, SLOW_S, "root's prompt")
    m.send("stty -echo; PS1=; unset PROMPT_COMMAND; bind 'set enable-bracketed-paste off'")
    m.shell("dmesg -n 1")


def disk(kind):
    root, devices, cmdline, interrupts = DEVICES[kind]

    def run(r):
        with tempfile.TemporaryDirectory(prefix="hospes-disk-") as work:
            path = os.path.join(work, "root.qcow2")
            overlay(path)
            q = ["-drive", f"if=none,id=root,format=qcow2,file={path}", "-netdev", "user,id=user"]
            for d in devices:
                q += ["-device", d]
            with r.boot(Point(cpus=2), devices=q, reboots=True,
                        cmdline=f"{cmdline} hospes.root={root} systemd.show_status=0 quiet") as m:
                exercise(r, m, interrupts)
    return run


def exercise(r, m, interrupts):
    log_in(m)
    r.note("it boots to a login prompt")
    m.shell("n=0; until ping -q -c 3 -W 5 10.0.2.2; do n=$((n+1)); test $n -lt 20 || break; "
            "sleep 1; done; ping -q -c 3 -W 5 10.0.2.2", SLOW_S)
    r.note("the network answers ping")
    m.shell("dd if=/dev/urandom of=/first bs=1M count=256 conv=fsync status=none", SLOW_S)
    m.shell("cp /first /second && sync && echo 3 > /proc/sys/vm/drop_caches", SLOW_S)
    wanted, copied = [line.split()[0] for line in m.shell("md5sum /first /second", SLOW_S)
                      .strip().splitlines()[-2:]]
    r.expect_equal("256 MiB copied and read again are the same", wanted, copied)
    r.note("the disk interrupts as meant", None if re.search(
        interrupts, m.shell("cat /proc/interrupts")) else f"nothing like '{interrupts}'")
    m.send("systemctl reboot")
    log_in(m)
    r.note("it reboots")
    again = m.shell("md5sum /second", SLOW_S).strip().splitlines()[-1].split()[0]
    r.expect_equal("the copy is the same after the reboot", wanted, again)
    bad = m.shell("dmesg | grep -E 'BUG:|WARNING:|Oops|I/O error|EXT4-fs error|nobody cared' || true")
    r.expect_equal("the kernel met no error", "", bad.strip())
    m.send("systemctl poweroff")
    m.wait_for_end("guest-shutdown", SLOW_S)
    r.note("it powers off")


TESTS = [Test(f"disk-{kind}", disk(kind), kind != "ahci-msi") for kind in DEVICES]
