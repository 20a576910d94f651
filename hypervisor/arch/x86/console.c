#include "arch/x86/console.h"

#include "arch/console.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "lib/string.h"

char opt_console[32] = "com1,vga";
OPTION_STRING("console", opt_console, "any of com1, com2, vga, with commas between");

static bool vga_on;

bool console_wanted(const char *device) {
    size_t len = strlen(device);

    for (const char *s = opt_console; s; s = strchr(s, ',')) {
        s += *s == ',';
        if (!strncmp(s, device, len) && (!s[len] || s[len] == ','))
            return true;
    }
    return false;
}

/* What was said before the device was ready. */
static INIT_TEXT void replay_log(void (*write)(const char *bytes, size_t len)) {
    uint64_t index = 0;
    char buf[128];
    size_t len;

    while ((len = console_read_log(buf, sizeof(buf), &index)))
        write(buf, len);
}

INIT_TEXT void console_serial_init(void) {
    serial_init();
    replay_log(serial_write);
}

INIT_TEXT void console_screen_init(const struct boot_video *video) {
    if (!console_wanted("vga") || !vga_init(video))
        return;
    replay_log(vga_write);
    vga_on = true;
}

void vga_release(void) {
    vga_on = false;
}

void arch_console_write(const char *bytes, size_t len) {
    serial_write(bytes, len);
    if (vga_on)
        vga_write(bytes, len);
}
