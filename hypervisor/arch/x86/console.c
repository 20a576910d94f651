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

INIT_TEXT void console_devices_init(const struct boot_video *video) {
    uint64_t index = 0;
    char said_before[128];
    size_t len;

    serial_init();
    vga_on = console_wanted("vga") && vga_init(video);
    while ((len = console_read_log(said_before, sizeof(said_before), &index)))
        arch_console_write(said_before, len);
}

void vga_release(void) {
    vga_on = false;
}

void arch_console_write(const char *bytes, size_t len) {
    serial_write(bytes, len);
    if (vga_on)
        vga_write(bytes, len);
}
