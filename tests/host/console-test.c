/* links: core/console.c core/cmdline.c lib/printf.c lib/string.c lib/lock.c arch/fake/fake.c */
#include "core/console.h"

#include "arch/console.h"
#include "arch/fake/fake.h"
#include "core/cmdline.h"
#include "core/domain.h"
#include "core/time.h"
#include "lib/string.h"
#include "test.h"

static char screen[65536];
static size_t screen_len;
static uint64_t now_ns;
static unsigned int virqs;

void arch_console_write(const char *bytes, size_t len) {
    if (len < sizeof(screen) - screen_len) {
        memcpy(screen + screen_len, bytes, len);
        screen_len += len;
    }
    screen[screen_len] = '\0';
}
uint64_t time_now(void) {
    return now_ns;
}
void evtchn_send_global_virq(unsigned int virq) {
    virqs += virq == VIRQ_CONSOLE;
}
void page_free(struct page *pg) {
    (void)pg;
}

static const char *shown(void) {
    screen_len = 0;
    return screen;
}
static void start(void) {
    fake_machine_init(16);
    console_set_level(LOG_INFO);
    console_clear_log();
    shown();
    screen[0] = '\0';
}

TEST(a_line_gets_a_prefix_and_its_continuation_does_not) {
    start();
    pr_info("one ");
    pr_info("two\n");
    pr_info("three\n");
    EXPECT_STR(shown(), "(hospes) one two\n(hospes) three\n");
}

TEST(messages_above_the_level_are_dropped) {
    start();
    pr_debug("quiet\n");
    EXPECT_STR(shown(), "");
    cmdline_parse("loglvl=all");
    pr_debug("loud\n");
    EXPECT_STR(shown(), "(hospes) loud\n");
    cmdline_parse("loglvl=warning/error");
    pr_info("quiet\n");
    EXPECT_STR(shown(), "(hospes) loud\n");
}

TEST(a_message_too_long_is_cut_and_still_ends_its_line) {
    static char text[1000];

    start();
    memset(text, 'x', sizeof(text) - 1);
    pr_info("%s\n", text);
    EXPECT(screen_len < 300);
    EXPECT_EQ(screen[screen_len - 1], '\n');
}

TEST(guests_together_may_say_ten_messages_and_two_more_a_second) {
    static struct domain d = {.domid = 7};
    unsigned int lines = 0;

    start();
    now_ns = 100 * SECOND_NS;
    for (unsigned int i = 0; i < 100; i++)
        printk_guest(&d, LOG_WARN, "bad\n");
    for (const char *s = screen; (s = strchr(s, '\n')); s++)
        lines++;
    EXPECT_EQ(lines, 10);
    EXPECT(!strncmp(shown(), "(hospes) d7: bad\n", 17));
    now_ns += SECOND_NS / 2;
    printk_guest(&d, LOG_WARN, "again\n");
    EXPECT_STR(shown(), "(hospes) 90 messages about guests were dropped\n(hospes) d7: again\n");
    screen[0] = '\0';
    printk_guest(&d, LOG_WARN, "no\n");
    EXPECT_STR(shown(), "");
}

TEST(what_dom0_prints_is_passed_as_it_is_and_our_lines_begin_anew) {
    start();
    console_write("raw \x1b[1m", 8);
    pr_info("mine\n");
    EXPECT_STR(shown(), "raw \x1b[1m\n(hospes) mine\n");
}

TEST(input_waits_for_dom0_and_too_much_is_dropped) {
    char buf[256];

    start();
    virqs = 0;
    for (unsigned int i = 0; i < 200; i++)
        console_input((char)('a' + i % 26));
    EXPECT_EQ(virqs, 200);
    EXPECT_EQ(console_read_input(buf, 3), 3);
    EXPECT_MEM(buf, "abc", 3);
    EXPECT_EQ(console_read_input(buf, sizeof(buf)), 125);
    EXPECT_EQ(console_read_input(buf, sizeof(buf)), 0);
}

TEST(the_log_is_read_in_pieces_and_from_its_oldest_byte) {
    char buf[64];
    uint64_t index = 0, all = 0;
    size_t n;

    start();
    pr_info("first\n");
    EXPECT_EQ(console_read_log(buf, 8, &index), 8);
    EXPECT_EQ(console_read_log(buf, sizeof(buf), &index), 7);
    EXPECT_MEM(buf, " first\n", 7);
    EXPECT_EQ(console_read_log(buf, sizeof(buf), &index), 0);

    for (unsigned int i = 0; i < 4000; i++)
        pr_info("line %4u\n", i);
    for (index = 0; (n = console_read_log(buf, sizeof(buf), &index)); all += n)
        ;
    EXPECT_EQ(all, KIB(16));
    index += 1000000;                /* beyond the end: from the oldest */
    EXPECT_EQ(console_read_log(buf, sizeof(buf), &index), sizeof(buf));
    console_clear_log();
    EXPECT_EQ(console_read_log(buf, sizeof(buf), &index), 0);
    index = 0;
    EXPECT_EQ(console_read_log(buf, sizeof(buf), &index), 0);
}

TEST(a_panic_goes_on_without_the_lock) {
    start();
    pr_info("half a line");
    console_force_unlock();
    pr_err("Hospes panic: x\n");
    EXPECT_STR(shown(), "(hospes) half a line\n(hospes) Hospes panic: x\n");
}
