/* links: pv/console-io.c arch/fake/fake.c arch/fake/guest.c arch/fake/stubs.c */
/* console_io: dom0 writes to and reads from the machine's console, others do not. */
#include <string.h>

#include "arch/fake/fake.h"
#include "core/console.h"
#include "core/cpu.h"
#include "core/domain.h"
#include "pv/hypercall.h"
#include "test.h"

static struct domain d;
static struct vcpu v = {.domain = &d};
static char written[4096], input[512], guest[2048];
static size_t nr_written, nr_input, largest;

void console_write(const char *bytes, size_t len) {
    REQUIRE(nr_written + len <= sizeof(written));
    memcpy(written + nr_written, bytes, len);
    nr_written += len;
    largest = MAX(largest, len);
}

size_t console_read_input(char *buf, size_t len) {
    size_t n = MIN(len, nr_input);

    memcpy(buf, input, n);
    nr_input -= n;
    memmove(input, input + n, nr_input);
    return n;
}

static void start(void) {
    fake_machine_init(16);
    fake_guest_memory(guest, sizeof(guest));
    for (unsigned int i = 0; i < sizeof(guest); i++)
        guest[i] = (char)(i * 31 + i / 256);
    d.hardware = true;
    nr_written = nr_input = largest = 0;
}

/* Until it is done; *rounds as well. */
static long io(unsigned int cmd, uint64_t count, const void *at, unsigned int *rounds) {
    uint64_t arg[6] = {cmd, count, (uintptr_t)at};
    long rc;

    *rounds = 0;
    do {
        rc = hypercall_console_io(&v, arg);
        ++*rounds;
    } while (rc == -ERESTART);
    return rc;
}

TEST(dom0_writes_and_gives_way_between_chunks) {
    unsigned int rounds;

    start();
    EXPECT_EQ(io(CONSOLEIO_write, 1000, guest, &rounds), 0);
    EXPECT_EQ(rounds, 1);
    EXPECT_EQ(nr_written, 1000);
    EXPECT_MEM(written, guest, 1000);
    nr_written = 0;
    fake_guest_begin();
    this_cpu()->work = WORK_SCHED;
    EXPECT_EQ(io(CONSOLEIO_write, 1000, guest, &rounds), 0);
    EXPECT_EQ(rounds, DIV_ROUND_UP(1000, largest));
    EXPECT_MEM(written, guest, 1000);
    EXPECT_EQ(fake_guest.double_fetches, 0);
    EXPECT_EQ(io(CONSOLEIO_write, 0, guest, &rounds), 0);
    EXPECT_EQ(nr_written, 1000);
}

TEST(others_write_into_the_void) {
    unsigned int rounds;

    start();
    d.hardware = false;
    EXPECT_EQ(io(CONSOLEIO_write, 1000, guest, &rounds), 0);
    EXPECT_EQ(io(CONSOLEIO_write, INT64_MAX, NULL, &rounds), 0);
    EXPECT_EQ(nr_written, 0);
    EXPECT_EQ(io(CONSOLEIO_read, 10, guest, &rounds), -EPERM);
}

TEST(what_waits_is_read_once) {
    unsigned int rounds;

    start();
    memset(input, 'x', sizeof(input));
    nr_input = 300;
    EXPECT_EQ(io(CONSOLEIO_read, 100, guest, &rounds), 100);
    EXPECT_EQ(guest[99], 'x');
    EXPECT(guest[100] != 'x');
    EXPECT_EQ(io(CONSOLEIO_read, sizeof(guest), guest, &rounds), 200);
    EXPECT_EQ(io(CONSOLEIO_read, sizeof(guest), guest, &rounds), 0);
}

TEST(what_cannot_be_is_told) {
    unsigned int rounds;

    start();
    EXPECT_EQ(io(CONSOLEIO_write, UINT64_MAX, guest, &rounds), -EINVAL);
    EXPECT_EQ(io(CONSOLEIO_write, sizeof(guest) + 1, guest, &rounds), -EFAULT);
    EXPECT_EQ(io(CONSOLEIO_write, 1, NULL, &rounds), -EFAULT);
    nr_input = 5;
    EXPECT_EQ(io(CONSOLEIO_read, 5, NULL, &rounds), -EFAULT);
    EXPECT_EQ(io(2, 5, guest, &rounds), -ENOSYS);
}
