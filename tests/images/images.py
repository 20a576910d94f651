"""What the machines under test boot: kernels, initramfs archives, GRUB images, disks."""
import glob
import gzip
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile

import packages
from packages import Unavailable, built, key_of, run

HERE = os.path.dirname(os.path.abspath(__file__))

# ---- kernels ---------------------------------------------------------------------------------

KERNELS = {                             # name: (Debian's meta package, suite)
    "6.1": ("linux-image-amd64", None),
    "6.12": ("linux-image-amd64", packages.BACKPORTS),
    "6.1-cloud": ("linux-image-cloud-amd64", None),
    "6.12-cloud": ("linux-image-cloud-amd64", packages.BACKPORTS),
}


class Kernel:
    """A kernel of Debian's, straight from its package."""

    def __init__(self, name):
        meta, suite = KERNELS[name]
        image = next(d for d in packages.depends(meta, suite) if d.startswith("linux-image-"))
        self.root = packages.unpack(image, suite)
        self.name = name
        self.version = image[len("linux-image-"):]
        self.vmlinuz = os.path.join(self.root, "boot", "vmlinuz-" + self.version)
        self.modules = os.path.join(self.root, "lib", "modules", self.version)
        with packages.locked("depmod"):
            if not os.path.exists(os.path.join(self.modules, "modules.dep")):
                run("depmod", "-b", self.root, self.version)

    def payload(self):
        """The compressed ELF inside the bzImage, without the size that trails it."""
        with open(self.vmlinuz, "rb") as f:
            image = f.read()
        setup_sects = image[0x1f1]
        offset, length = struct.unpack_from("<II", image, 0x248)
        start = (setup_sects + 1) * 512 + offset
        return image[start:start + length - 4]

    def vmlinux(self):
        """Path of the unpacked ELF."""
        def make(tmp):
            data = self.payload()
            if data[:6] == b"\xfd7zXZ\0":
                elf = lzma.decompress(data)
            elif data[:4] == b"\x28\xb5\x2f\xfd":
                elf = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE,
                                     check=True).stdout
            else:
                raise Unavailable(f"{self.vmlinuz}: payload of an unknown format")
            with open(tmp, "wb") as f:
                f.write(elf)
        return built("vmlinux", "", key_of(self.vmlinuz), make)

    def module_files(self, names):
        """Paths (relative to self.modules) of the named modules and all they depend on, in order."""
        deps = {}
        with open(os.path.join(self.modules, "modules.dep")) as f:
            for line in f:
                path, _, needs = line.partition(":")
                deps[path] = needs.split()
        found = {}
        for name in names:
            stem = name.replace("-", "_")
            for path in deps:
                if os.path.basename(path).split(".")[0].replace("-", "_") == stem:
                    for p in [path] + deps[path]:
                        found[p] = deps[p]
        return found


def packed_kernel(compression):
    """A bzImage that runs as dom0, of each compression: as Debian ships it, or Debian's repacked."""
    debian = {"xz": "6.1", "zstd": "6.12"}
    if compression in debian:
        return Kernel(debian[compression]).vmlinuz
    kernel = Kernel("6.1")
    vmlinux = kernel.vmlinux()

    def make(tmp):
        with open(kernel.vmlinuz, "rb") as f:
            image = f.read()
        with open(vmlinux, "rb") as f:
            elf = f.read()
        if compression == "gzip":
            payload = gzip.compress(elf, 6, mtime=0)
        else:                           # the legacy frame, followed by the length as in a kernel build
            payload = subprocess.run(["lz4", "-lqc", vmlinux], stdout=subprocess.PIPE,
                                     check=True).stdout + struct.pack("<I", len(elf))
        offset, = struct.unpack_from("<I", image, 0x248)
        setup = bytearray(image[:(image[0x1f1] + 1) * 512 + offset])
        struct.pack_into("<I", setup, 0x24c, len(payload))
        with open(tmp, "wb") as f:
            f.write(setup + payload)
    return built(f"bzimage-{compression}", "", key_of(vmlinux, "1"), make)


def elf_note(path, owner, number):
    """The descriptor of an ELF64 file's note, or None."""
    with open(path, "rb") as f:
        elf = f.read()
    phoff, = struct.unpack_from("<Q", elf, 32)
    phnum, = struct.unpack_from("<H", elf, 56)
    for i in range(phnum):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", elf, phoff + i * 56)
        at = offset
        while kind == 4 and at + 12 <= offset + size:
            namesz, descsz, typ = struct.unpack_from("<III", elf, at)
            name = elf[at + 12:at + 12 + namesz].rstrip(b"\0")
            desc = at + 12 + (namesz + 3 & ~3)
            if name == owner.encode() and typ == number:
                return elf[desc:desc + descsz]
            at = desc + (descsz + 3 & ~3)
    return None


# ---- hypervisors -----------------------------------------------------------------------------

def xen():
    """Debian's Xen 4.17 as a plain ELF: QEMU's -kernel does not unpack it."""
    def make(tmp):
        with open(tmp, "wb") as f:
            subprocess.run(["gzip", "-dc", image], stdout=f, check=True)
    image, = glob.glob(os.path.join(packages.unpack("xen-hypervisor-4.17-amd64"),
                                    "boot/xen-4.17-amd64.gz"))
    return built("xen", "", key_of(image), make)


# ---- cpio archives ---------------------------------------------------------------------------

class Cpio:
    """A newc archive, written without privilege and the same each time."""

    def __init__(self):
        self.entries = {}

    def _add(self, path, mode, data=b"", rdev=(0, 0)):
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.dir(parent)
        self.entries[path] = (mode, data, rdev)

    def dir(self, path, mode=0o755):
        self._add(path, 0o40000 | mode)

    def link(self, path, target):
        self._add(path, 0o120777, target.encode())

    def chardev(self, path, major, minor):
        self._add(path, 0o20600, rdev=(major, minor))

    def text(self, path, text, mode=0o644):
        self._add(path, 0o100000 | mode, text.encode() if isinstance(text, str) else text)

    def file(self, path, source, mode=0o755):
        with open(source, "rb") as f:
            self.text(path, f.read(), mode)

    def write(self, out):
        with open(out, "wb") as f:
            for ino, (path, (mode, data, rdev)) in enumerate(
                    [*self.entries.items(), ("TRAILER!!!", (0, b"", (0, 0)))], 1):
                name = path.encode() + b"\0"
                f.write(b"070701" + b"".join(b"%08x" % n for n in (
                    ino, mode, 0, 0, 1, 1, len(data), 0, 0, *rdev, len(name), 0)))
                f.write(name + b"\0" * (-(110 + len(name)) % 4))
                f.write(data + b"\0" * (-len(data) % 4))
            f.write(b"\0" * (-f.tell() % 512))


def concatenated(name, parts):
    """Archives one after the other: the kernel unpacks them all, the later over the earlier."""
    def make(tmp):
        with open(tmp, "wb") as out:
            for p in parts:
                with open(p, "rb") as f:
                    shutil.copyfileobj(f, out)
    return built(name, ".cpio", key_of(*parts), make)


def add_modules(cpio, kernel, names):
    files = kernel.module_files(names)
    plain = {path: re.sub(r"\.(xz|zst)$", "", path) for path in files}
    base = f"lib/modules/{kernel.version}"
    for path in files:
        with open(os.path.join(kernel.modules, path), "rb") as f:
            data = f.read()
        cpio.text(f"{base}/{plain[path]}", lzma.decompress(data) if path.endswith(".xz") else data)
    cpio.text(f"{base}/modules.dep", "".join(
        f"{plain[p]}: {' '.join(plain[n] for n in needs if n in plain)}\n"
        for p, needs in files.items()))


# ---- the initramfs of dom0 -------------------------------------------------------------------

MODULES = ("xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs virtio_pci virtio_blk virtio_net "
           "ahci sd_mod e1000 crc32c_generic ext4").split()


def compiled(source, *flags):
    """A static program for the guest."""
    return built(os.path.basename(source).split(".")[0], "", key_of(source, flags),
                 lambda tmp: run("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-static", *flags,
                                 "-o", tmp, source))


def initramfs(kernel):
    """Busybox, the modules dom0 needs, /init and the checks it can run; see dom0/init."""
    busybox = os.path.join(packages.unpack("busybox-static"), "bin/busybox")
    compat32 = compiled(os.path.join(HERE, "compat32.S"), "-m32", "-nostdlib", "-no-pie")
    cpu_checks = compiled(os.path.join(HERE, "cpu-checks.c"), "-mno-red-zone")
    micro = compiled(os.path.join(HERE, "..", "bench", "micro.c"))
    scripts = sorted(glob.glob(os.path.join(HERE, "dom0", "**", "*"), recursive=True))

    def make(tmp):
        c = Cpio()
        for d in ("proc", "sys", "run", "tmp", "root", "mnt", "var/log", "usr/bin", "usr/sbin"):
            c.dir(d)
        c.dir("dev")
        c.chardev("dev/console", 5, 1)
        c.chardev("dev/null", 1, 3)
        c.file("bin/busybox", busybox)
        for applet in run(busybox, "--list").split():
            if applet not in ("busybox", "init"):
                c.link("bin/" + applet, "busybox")
        c.link("sbin", "bin")
        c.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        c.text("etc/group", "root:x:0:\n")
        c.file("bin/compat32", compat32)
        c.file("bin/cpu-checks", cpu_checks)
        c.file("bin/micro", micro)
        for path in scripts:
            if os.path.isfile(path):
                c.file(os.path.relpath(path, os.path.join(HERE, "dom0")), path)
        add_modules(c, kernel, MODULES)
        c.write(tmp)
    key = key_of(busybox, compat32, cpu_checks, micro, *scripts, kernel.vmlinuz, MODULES,
                 os.path.abspath(__file__))
    return built("initramfs", ".cpio", key, make)


# ---- GRUB ------------------------------------------------------------------------------------

def grub_image(out, hypervisor, options, kernel, cmdline, initrd):
    """Writes the disk image `out`, which GRUB boots from BIOS and from UEFI, by multiboot2."""
    config = f"""\
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry test {{
    multiboot2 /boot/hypervisor {options}
    module2 /boot/vmlinuz {cmdline}
    module2 --nounzip /boot/initrd
}}
"""
    tree = tempfile.mkdtemp(dir=os.path.dirname(out))
    try:
        boot = os.path.join(tree, "boot")
        os.makedirs(os.path.join(boot, "grub"))
        shutil.copy(hypervisor, os.path.join(boot, "hypervisor"))
        shutil.copy(kernel, os.path.join(boot, "vmlinuz"))
        shutil.copy(initrd, os.path.join(boot, "initrd"))
        with open(os.path.join(boot, "grub", "grub.cfg"), "w") as f:
            f.write(config)
        run("grub-mkrescue", "-o", out, tree)
    finally:
        shutil.rmtree(tree)


# ---- a Debian root file system ---------------------------------------------------------------

ROOT_PACKAGES = "systemd-sysv udev dbus iproute2 iputils-ping kmod login"
ROOT_LABEL = "hospes-root"
ROOT_MIB = 2048
ROOT_SETUP = f"""
set -eu
root=$1 image=$2
chroot "$root" passwd -d root >/dev/null
echo testbox > "$root/etc/hostname"
echo "LABEL={ROOT_LABEL} / ext4 errors=remount-ro 0 1" > "$root/etc/fstab"
printf '[Match]\\nName=e*\\n[Network]\\nDHCP=ipv4\\n' > "$root/etc/systemd/network/user.network"
chroot "$root" systemctl -q enable systemd-networkd
chroot "$root" systemctl -q disable systemd-networkd-wait-online
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    chroot "$root" systemctl -q mask $timer.timer
done
cp -ax "$root" "$image.d"               # without the /proc that mmdebstrap has mounted there
mke2fs -q -F -t ext4 -L {ROOT_LABEL} -d "$image.d" "$image" {ROOT_MIB}M
rm -rf "$image.d"
"""


def debian_root():
    """An ext4 file system with Debian 12 on it: root logs in without a password."""
    def make(tmp):
        # mmdebstrap may work under another user id than ours, hence the open directory
        work = tempfile.mkdtemp(prefix="hospes-root-")
        try:
            os.chmod(work, 0o777)
            image, setup = os.path.join(work, "image"), os.path.join(work, "setup")
            with open(setup, "w") as f:
                f.write(ROOT_SETUP)
            run("mmdebstrap", "--variant=minbase", "--format=null", "--include=" +
                ROOT_PACKAGES.replace(" ", ","), f'--customize-hook=sh {setup} "$1" {image}',
                packages.RELEASE, "/dev/null", *packages.release_sources(),
                env={**os.environ, "LC_ALL": "C", "TMPDIR": "/tmp",
                     "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
            run("cp", "--sparse=always", image, tmp)
        finally:
            run("rm", "-rf", work)
    key = key_of(ROOT_SETUP, ROOT_PACKAGES, *(packages.resolve(p) for p in
                                             ("base-files", "libc6", *ROOT_PACKAGES.split())))
    return built("debian-root", ".img", key, make)


# ---- stress-ng for the initramfs -------------------------------------------------------------

def needed_libraries(path):
    return re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", path))


def find_file(dirs, name, *folders):
    for d in dirs:
        for folder in folders:
            path = os.path.join(d, folder, name)
            if os.path.exists(path):
                return path
    return None


def stress_ng():
    """An archive with stress-ng and its libraries, to go behind the initramfs."""
    folders = [top + sub for top in ("lib", "usr/lib") for sub in ("/x86_64-linux-gnu", "")]

    def collect(dirs):
        """({path in the archive: file}, missing sonames) for the packages unpacked so far."""
        program = find_file(dirs, "stress-ng", "usr/bin")
        have, missing, queue = {"bin/stress-ng": program}, set(), needed_libraries(program)
        while queue:
            name = queue.pop()
            target = ("lib64/" if name.startswith("ld-linux") else "lib/x86_64-linux-gnu/") + name
            if target in have:
                continue
            path = find_file(dirs, name, *folders, "lib64")
            if path:
                have[target] = path
                queue += needed_libraries(path)
            else:
                missing.add(name)
        return have, missing

    def make(tmp):
        c = Cpio()
        for target, path in files.items():
            c.file(target, path)
        c.write(tmp)
    files, _ = collect(packages.with_libraries("stress-ng", lambda dirs: collect(dirs)[1]))
    return built("stress-ng", ".cpio", key_of(*sorted(files.values())), make)
