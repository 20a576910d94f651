# Helpers of the checks; POSIX sh under busybox.
ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1: $2"; }

# verify NAME COMMAND...: ok when the command succeeds; its last line is the reason when not
verify() {
    _name=$1
    shift
    if _said=$("$@" 2>&1); then ok "$_name"; else not_ok "$_name" "status $?, $(echo "$_said" | tail -n 1)"; fi
}

# equal NAME WANTED GOT
equal() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted '$2', got '$3'"; fi; }

# the value of hospes.NAME=value on the kernel's command line
option() { sed -n "s/.*hospes\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

platform=bare
[ "$(cat /sys/hypervisor/type 2>/dev/null)" = xen ] && platform=xen
