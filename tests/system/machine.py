"""One QEMU under test: how it is started, what its console said, what one may ask of it."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "images"))
import images                                               # noqa: E402
import packages                                             # noqa: E402

BOOT_S = 300                            # no boot takes longer, however busy the host
SILENCE_S = 120                         # a console that says nothing for so long has hung
PANICS = re.compile(r"(?:Hospes panic|Panic on CPU|Kernel panic - not syncing).*\n")
OVMF = "/usr/share/OVMF"


class Failed(Exception):
    """A test has failed; the text is one readable line."""


class Skipped(Exception):
    """A test cannot run here; the text says why."""


@dataclass(frozen=True)
class Point:
    """A point in the matrix of machines."""
    loader: str = "kernel"              # kernel (QEMU's -kernel, multiboot1), grub-bios, grub-uefi
    cpus: int = 1
    qemu: str = "7.2"                   # 7.2: SMAP off; 10: SMAP and LA57 on
    memory: int = 1024                  # MiB
    board: str = "pc"                   # pc, q35
    kernel: str = "6.1"                 # a key of images.KERNELS
    vendor: str = ""                    # of the cpu; empty: QEMU's own choice

    def __str__(self):
        words = [self.loader, f"{self.cpus}cpu", f"qemu{self.qemu}", f"{self.memory}M", self.board]
        words += [self.kernel] if self.kernel != "6.1" else []
        return "-".join(words + [self.vendor] if self.vendor else words)


@dataclass
class Boot:
    """What is booted, and how, besides the matrix point."""
    hypervisor: str = None              # path of an ELF; None: the bare kernel
    cpu: str = None                     # QEMU's -cpu; None: the point's
    options: str = ""                   # more of the hypervisor's options
    cmdline: str = ""                   # more of the kernel's
    kernel: str = None                  # path; None: the point's, straight from its package
    initrd: str = None
    devices: list = field(default_factory=list)             # more arguments for QEMU
    reboots: bool = False               # let the machine start again when it resets
    icount: bool = False                # one instruction is one nanosecond of the guest's time
    no_module: bool = False             # start the hypervisor alone
    no_initrd: bool = False             # the kernel is the only module


def qemu_binary(version):
    """QEMU's command: the installed 7.2, or 10 from backports, unpacked beside it."""
    if version == "7.2":
        return ["qemu-system-x86_64"]
    root = packages.unpack("qemu-system-x86", packages.BACKPORTS)
    data = packages.unpack("qemu-system-data", packages.BACKPORTS)
    bios = packages.unpack("seabios", packages.BACKPORTS)
    return [os.path.join(root, "usr/bin/qemu-system-x86_64"),
            "-L", os.path.join(data, "usr/share/qemu"), "-L", os.path.join(bios, "usr/share/seabios"),
            "-L", "/usr/share/qemu", "-L", "/usr/share/seabios"]


XEN_CPU = "max,smap=off,la57=off,monitor=off"               # what Xen 4.17 survives under QEMU 7.2


def cpu_model(point):
    model = "max" + (",smap=off" if point.qemu == "7.2" else "")
    return model + (f",vendor={point.vendor}" if point.vendor else "")


def need_host_memory(mib):
    """Skips where a guest of this size would push the host into swap or worse."""
    with open("/proc/meminfo") as f:
        available = int(re.search(r"MemAvailable:\s+(\d+)", f.read())[1]) // 1024
    if mib >= 4096 and available < mib + 1024:
        raise Skipped(f"a guest of {mib} MiB needs more memory than the {available} MiB free here")


def command(point, boot, work):
    """The whole command line of QEMU; files that only this boot needs go below `work`."""
    kernel = boot.kernel or images.Kernel(point.kernel).vmlinuz
    initrd = boot.initrd
    if not initrd and not boot.no_initrd:
        initrd = images.initramfs(images.Kernel(point.kernel))
    console = "console=hvc0 earlyprintk=xen" if boot.hypervisor else "console=ttyS0"
    cmdline = f"{console} loglevel=7 panic=1 {boot.cmdline}".strip()
    options = f"console=com1 com1=115200,8n1 loglvl=all noreboot {boot.options}".strip()
    q = qemu_binary(point.qemu)
    q += ["-nodefaults", "-no-user-config", "-display", "none", "-machine", point.board,
          "-cpu", boot.cpu or cpu_model(point), "-m", str(point.memory), "-smp", str(point.cpus)]
    q += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1",
          "-rtc", "base=2026-01-01,clock=vm"] if boot.icount else ["-accel", "tcg"]
    q += [] if boot.reboots else ["-no-reboot"]
    if not boot.hypervisor:
        q += ["-kernel", kernel, "-initrd", initrd, "-append", cmdline]
    elif point.loader == "kernel":
        q += ["-kernel", boot.hypervisor, "-append", options]
        if not boot.no_module:          # QEMU splits modules at commas: one inside is doubled
            modules = [f"{kernel} {cmdline.replace(',', ',,')}", *([initrd] if initrd else [])]
            q += ["-initrd", ",".join(modules)]
    else:
        image = os.path.join(work, "grub.img")
        images.grub_image(image, boot.hypervisor, options, kernel, cmdline, initrd)
        q += ["-drive", f"if=none,id=grub,format=raw,readonly=on,file={image}",
              "-device", "virtio-blk-pci,drive=grub,bootindex=0"]
    if point.loader == "grub-uefi":
        shutil.copy(f"{OVMF}/OVMF_VARS_4M.fd", work)
        q += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
              "-drive", f"if=pflash,format=raw,file={work}/OVMF_VARS_4M.fd"]
    return q + boot.devices


class Machine:
    """
    A running QEMU. Its console is kept whole, stamped with the host's time, in `log`; expect()
    moves a cursor through it. Used as a context manager: QEMU is gone when the block ends.
    """

    def __init__(self, point, boot, log):
        need_host_memory(point.memory)
        self.work = tempfile.mkdtemp(prefix="hospes-")
        self.log_path = log
        self.text = ""
        self.cursor = 0
        self.ended = False              # the console has closed: QEMU is gone
        self.events = []                # what QMP reported
        self.changed = threading.Condition()
        self.started = self.spoke = time.monotonic()
        try:
            argv = command(point, boot, self.work) + [
                "-serial", "stdio", "-qmp", f"unix:{self.work}/qmp,server=on,wait=off"]
            with open(log, "w") as f:
                f.write(" ".join(argv) + "\n")
            # QEMU must not outlive us, however we end
            self.qemu = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *argv],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, start_new_session=True)
        except BaseException:
            shutil.rmtree(self.work)
            raise
        self.reader = threading.Thread(target=self._read_console, daemon=True)
        self.reader.start()
        self.qmp = self._connect_qmp()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.qemu.poll() is None:
            self.qemu.send_signal(signal.SIGTERM)
            try:
                self.qemu.wait(10)
            except subprocess.TimeoutExpired:
                self.qemu.kill()
        self.qemu.wait()
        self.reader.join(10)
        if self.qmp:
            self.qmp.close()
        shutil.rmtree(self.work, ignore_errors=True)

    # ---- console --------------------------------------------------------------------------

    def _read_console(self):
        at_line_start = True
        with open(self.log_path, "a") as log:
            while True:
                data = os.read(self.qemu.stdout.fileno(), 65536)
                with self.changed:
                    self.spoke = time.monotonic()
                    text = data.decode("latin-1").replace("\r", "")
                    self.text += text
                    self.ended = not data
                    self.changed.notify_all()
                for piece in text.splitlines(keepends=True):
                    stamp = f"[{self.spoke - self.started:8.3f}] " if at_line_start else ""
                    log.write(stamp + piece)
                    at_line_start = piece.endswith("\n")
                log.flush()
                if not data:
                    return

    def expect(self, pattern, timeout=BOOT_S, silence=SILENCE_S, what=None):
        """
        Waits until the console says `pattern` (a regular expression) after what was matched
        last. Fails at a panic, when QEMU ends, after `timeout` or `silence` seconds.
        """
        what = what or f"'{pattern}'"
        regex = re.compile(pattern, re.M)
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                m = regex.search(self.text, self.cursor)
                if m:
                    self.cursor = m.end()
                    return m
                panic = PANICS.search(self.text, self.cursor)
                if panic:
                    self.changed.wait(1)                    # for the lines that follow
                    line = panic[0].strip()
                    raise Failed(f"panic while waiting for {what}: {line}")
                if self.ended:
                    raise Failed(f"the machine ended ({self.why_ended()}) before {what}")
                now = time.monotonic()
                if now > deadline:
                    raise Failed(f"no {what} within {timeout} s")
                if now - self.spoke > silence:
                    raise Failed(f"the console is silent for {silence} s; waited for {what}")
                self.changed.wait(1)

    def send(self, line):
        """Types the line as fast as a 16-byte serial port takes it when its driver is slow."""
        data = line.encode() + b"\n"
        for at in range(0, len(data), 16):
            time.sleep(0.02 if at else 0)
            self.qemu.stdin.write(data[at:at + 16])
            self.qemu.stdin.flush()

    def tail(self, lines=30):
        return self.text.rstrip("\n").split("\n")[-lines:]

    # ---- the shell of the test initramfs ----------------------------------------------------

    def checks(self, timeout=BOOT_S, silence=SILENCE_S):
        """The reports of the guest's checks up to "checks done": list of (name, why or None)."""
        found = []
        while True:
            m = self.expect(r"(?<!\w)(?:(checks done)|(not ok|ok) - ([^\n]*))\n", timeout, silence,
                            "the end of the checks")
            if m[1]:
                return found
            name, _, why = m[3].partition(": ") if m[2] == "not ok" else (m[3], "", None)
            found.append((name, why))

    def shell(self, line, timeout=60):
        """Runs one line in the guest's shell; its output. The shell must be up."""
        mark = f"end{time.monotonic_ns()}"
        start = self.cursor
        self.send(f"{line}; echo {mark[:3]}''{mark[3:]}=$?")
        m = self.expect(mark + r"=(\d+)\n", timeout, timeout, f"the end of '{line}'")
        out = self.text[start:m.start()]
        if m[1] != "0":
            raise Failed(f"'{line}' ended with status {m[1]}: {out.strip()[-200:]}")
        return out

    # ---- the machine ------------------------------------------------------------------------

    def _connect_qmp(self):
        s = socket.socket(socket.AF_UNIX)
        for _ in range(600):
            try:
                s.connect(os.path.join(self.work, "qmp"))
                break
            except OSError:
                if self.qemu.poll() is not None:
                    self.reader.join(10)
                    raise Failed("QEMU does not start: " + self.text.strip().split("\n")[-1])
                time.sleep(0.05)
        self.qmp_lines = s.makefile("rw")
        self.replies = []
        threading.Thread(target=self._read_qmp, daemon=True).start()
        self.qmp_command("qmp_capabilities")
        return s

    def _read_qmp(self):
        try:
            for line in self.qmp_lines:
                message = json.loads(line)
                with self.changed:
                    if "event" in message:
                        self.events.append(message)
                    elif "QMP" not in message:
                        self.replies.append(message)
                    self.changed.notify_all()
        except (OSError, ValueError):
            pass

    def qmp_command(self, name, **arguments):
        with self.changed:
            self.replies.clear()
            self.qmp_lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            self.qmp_lines.flush()
            if not self.changed.wait_for(lambda: self.replies, 60):
                raise Failed(f"QEMU does not answer {name}")
            return self.replies[0].get("return")

    def monitor(self, line):
        return self.qmp_command("human-monitor-command", **{"command-line": line})

    def why_ended(self):
        for e in self.events:
            if e["event"] == "SHUTDOWN":
                return {"guest-shutdown": "it powered off", "guest-reset": "it reset",
                        "guest-panic": "it panicked"}.get(e["data"]["reason"], e["data"]["reason"])
        return f"QEMU's status is {self.qemu.poll()}"

    def wait_for_end(self, reason, timeout=60):
        """Waits until the machine ends by itself, and for this reason (a QMP shutdown reason)."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not self.ended and time.monotonic() < deadline:
                self.changed.wait(1)
        if not self.ended:
            raise Failed(f"the machine still runs {timeout} s after it was told to end")
        def got():
            return [e["data"]["reason"] for e in self.events if e["event"] == "SHUTDOWN"]
        with self.changed:              # the console may close before QMP's last word is read
            self.changed.wait_for(got, 5)
        if reason not in got():
            raise Failed(f"the machine ended by {got() or self.qemu.wait()}, not by {reason}")
