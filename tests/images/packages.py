"""Debian packages, downloaded and unpacked beside the system, never installed.

Everything lives in a cache outside the source tree, keyed by content: a package by its SHA-256,
a built artefact by a hash of all that went into it. The package sources are the machine's own;
only the suite name changes when something comes from backports.
"""
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

RELEASE = "bookworm"
BACKPORTS = RELEASE + "-backports"
LISTS_VALID_S = 24 * 3600               # how long fetched package lists are good for


class Unavailable(Exception):
    """Something could not be had from Debian; the text is one readable line."""


def cache_dir(*parts):
    base = os.environ.get("HOSPES_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                            "hospes")
    path = os.path.join(base, *parts)
    os.makedirs(path, exist_ok=True)
    return path


class locked:
    """Serialises runs that fill the same cache."""

    def __init__(self, name):
        self.path = os.path.join(cache_dir(), name + ".lock")

    def __enter__(self):
        self.file = open(self.path, "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *exc):
        self.file.close()


def key_of(*things):
    """A short key for strings, bytes and the contents of files (given as `open`able paths)."""
    h = hashlib.sha256()
    for t in things:
        if isinstance(t, str) and os.path.isfile(t):
            with open(t, "rb") as f:
                for block in iter(lambda: f.read(1 << 20), b""):
                    h.update(block)
        else:
            h.update(t if isinstance(t, bytes) else repr(t).encode())
        h.update(b"\0")
    return h.hexdigest()[:16]


def built(kind, suffix, key, make):
    """The artefact `kind-key.suffix`, made by make(temporary path) when it is not there yet."""
    path = os.path.join(cache_dir("built"), f"{kind}-{key}{suffix}")
    with locked("built-" + kind):
        if not os.path.exists(path):
            fd, tmp = tempfile.mkstemp(dir=cache_dir("built"), prefix=f".{kind}-", suffix=suffix)
            os.close(fd)
            try:
                make(tmp)
                os.chmod(tmp, 0o644)
                os.rename(tmp, path)
            finally:
                if os.path.exists(tmp):
                    os.unlink(tmp)
    return path


def say(what):
    """Tells whoever waits what takes so long."""
    print(f"  {what} ...", file=sys.stderr, flush=True)


def run(*cmd, **kw):
    """Runs a command; on failure raises with the last lines it printed."""
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if p.returncode != 0:
        tail = "; ".join(p.stdout.strip().splitlines()[-3:])
        raise Unavailable(f"{os.path.basename(cmd[0])} failed ({p.returncode}): {tail}")
    return p.stdout


# ---- package sources -------------------------------------------------------------------------

def _machine_sources():
    """(options, uri, suite, components) of every binary source apt has, in both file formats."""
    files = glob.glob("/etc/apt/sources.list") + sorted(glob.glob("/etc/apt/sources.list.d/*"))
    for path in files:
        with open(path) as f:
            text = f.read()
        if path.endswith(".list"):
            for m in re.finditer(r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)$", text, re.M):
                yield m[1] or "", m[2], m[3], m[4].split("#")[0].strip()
        elif path.endswith(".sources"):
            for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", text, flags=re.M)):
                field = {k.lower(): " ".join(v.split()) for k, v in
                         re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.M)}
                signed = field.get("signed-by", "")
                if "deb" not in field.get("types", "").split() or " " in signed or \
                        field.get("enabled", "yes") == "no":
                    continue
                for uri in field.get("uris", "").split():
                    for suite in field.get("suites", "").split():
                        yield (f"signed-by={signed}" if signed else "", uri, suite,
                               field.get("components", "main"))


def _sources_list():
    lines = []
    backports = None
    for options, uri, suite, components in _machine_sources():
        if not suite.startswith(RELEASE) or "main" not in components.split():
            continue
        options = f"[{options}] " if options else ""
        if suite in (RELEASE, BACKPORTS):
            backports = f"deb {options}{uri} {BACKPORTS} main"
        if suite != BACKPORTS:
            lines.append(f"deb {options}{uri} {suite} main")
    if not backports:
        raise Unavailable(f"apt has no source of Debian {RELEASE}: add one to /etc/apt/sources.list")
    return "\n".join(lines + [backports]) + "\n"


def release_sources():
    """The machine's sources of the release itself, one line each."""
    return [line for line in _sources_list().splitlines() if BACKPORTS not in line]


class Apt:
    """apt with its state in our cache, so that no privilege is needed and nothing is changed."""

    def __init__(self):
        self.root = cache_dir("apt")
        self.etc = cache_dir("apt", "etc")
        for d in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.root, d), exist_ok=True)
        self.ready = False

    def _options(self):
        return ["-o", f"Dir::Etc::sourcelist={self.etc}/sources.list",
                "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::Etc::preferencesparts=-",
                "-o", f"Dir::State::lists={self.root}/state/lists",
                "-o", f"Dir::Cache={self.root}/cache", "-o", "APT::Sandbox::User=",
                "-o", "Acquire::Retries=3", "-o", "Acquire::Languages=none"]

    def call(self, tool, *args, **kw):
        return run(tool, *self._options(), *args, env={**os.environ, "LC_ALL": "C"}, **kw)

    def update(self):
        if self.ready:
            return
        wanted = _sources_list()
        listfile = os.path.join(self.etc, "sources.list")
        stamp = os.path.join(self.root, "updated")
        fresh = (os.path.exists(stamp) and open(listfile).read() == wanted and
                 time.time() - os.path.getmtime(stamp) < LISTS_VALID_S)
        if not fresh:
            with open(listfile, "w") as f:
                f.write(wanted)
            say("fetching the package lists")
            self.call("apt-get", "update", "-q")
            open(stamp, "w").close()
        self.ready = True


_apt = Apt()


def _remembered(name, ask):
    """What ask() says about a package, kept on disk: asked once per list update, good offline too."""
    memo = os.path.join(cache_dir("resolved"), name.replace("/", "@"))
    try:
        _apt.update()
        if not os.path.exists(memo) or \
                os.path.getmtime(memo) < os.path.getmtime(os.path.join(_apt.root, "updated")):
            answer = ask()
            with open(memo, "w") as f:
                json.dump(answer, f)
            return answer
    except Unavailable:
        if not os.path.exists(memo):
            raise
    with open(memo) as f:
        return json.load(f)


def _target(name, suite):
    return f"{name}/{suite}" if suite else name


def resolve(name, suite=None):
    """The SHA-256 of the version apt would take now."""
    def ask():
        out = _apt.call("apt-get", "download", "--print-uris", _target(name, suite), cwd=_apt.root)
        m = re.search(r"^'\S+' \S+ \d+ SHA256:([0-9a-f]{64})", out, re.M)
        if not m:
            raise Unavailable(f"apt does not say where package {name} is")
        return m[1]
    return _remembered(_target(name, suite), ask)


def depends(name, suite=None):
    """The first alternative of each direct dependency."""
    def ask():
        out = _apt.call("apt-cache", "show", "--no-all-versions", _target(name, suite))
        m = re.search(r"^Depends: (.*)$", out, re.M)
        return [re.match(r"[\w.+-]+", d.strip())[0] for d in m[1].split(",")] if m else []
    return _remembered("depends-" + _target(name, suite), ask)


def unpack(name, suite=None):
    """The directory with the unpacked package."""
    with locked("packages"):
        sha256 = resolve(name, suite)
        path = os.path.join(cache_dir("packages"), f"{name}-{sha256[:16]}")
        if os.path.isdir(path):
            return path
        tmp = tempfile.mkdtemp(dir=cache_dir("packages"), prefix=".new-")
        try:
            say(f"fetching {_target(name, suite)}")
            _apt.call("apt-get", "download", "-q", _target(name, suite), cwd=tmp)
            files = glob.glob(os.path.join(tmp, "*.deb"))
            with open(files[0], "rb") as f:
                got = hashlib.sha256(f.read()).hexdigest()
            if got != sha256:
                raise Unavailable(f"package {name} arrived damaged")
            run("dpkg-deb", "-x", files[0], os.path.join(tmp, "root"))
            os.rename(os.path.join(tmp, "root"), path)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
    return path


def with_libraries(name, missing, suite=None):
    """
    The unpacked package and as many of its dependencies, breadth first, as it takes until
    missing(directories) names no library any more.
    """
    dirs, queue, seen = [unpack(name, suite)], [name], {name}
    while missing(dirs):
        if not queue:
            raise Unavailable(f"no dependency of {name} has {', '.join(sorted(missing(dirs)))}")
        for d in depends(queue.pop(0), suite):
            if d.startswith(("lib", "zlib")) and d not in seen and missing(dirs):
                seen.add(d)
                queue.append(d)
                dirs.append(unpack(d))
    return dirs
