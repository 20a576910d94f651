#include "core/console.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "pv/hypercall.h"

#define CHUNK 256

/*
 * Guest output in chunks; giving way between them keeps a long message from holding the cpu.
 * Only the hardware domain's reaches the machine's console: others have a console of their own,
 * and what they say here before it works is dropped.
 */
static long console_output(struct vcpu *curr, uint64_t arg[6]) {
    char buf[CHUNK];

    if (!curr->domain->hardware)
        return 0;
    while (arg[1]) {
        size_t n = MIN(arg[1], sizeof(buf));

        if (copy_from_guest(buf, (guest_va_t){arg[2]}, n))
            return -EFAULT;
        console_write(buf, n);
        arg[1] -= n;
        arg[2] += n;
        if (arg[1] && preempt_needed())
            return -ERESTART;
    }
    return 0;
}

static long console_take_input(struct vcpu *curr, uint64_t count, guest_va_t at) {
    char buf[CHUNK];
    size_t n;

    if (!curr->domain->hardware)
        return -EPERM;
    n = console_read_input(buf, MIN(count, sizeof(buf)));
    return copy_to_guest(at, buf, n) ? -EFAULT : (long)n;
}

/* ABI: xen.h, console_io(cmd, count, buffer). */
long hypercall_console_io(struct vcpu *curr, uint64_t arg[6]) {
    if ((int64_t)arg[1] < 0)
        return -EINVAL;
    switch (arg[0]) {
    case CONSOLEIO_write:
        return console_output(curr, arg);
    case CONSOLEIO_read:
        return console_take_input(curr, arg[1], (guest_va_t){arg[2]});
    default:
        return -ENOSYS;
    }
}
