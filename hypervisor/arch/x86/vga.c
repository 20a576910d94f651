/* The text screen, 80x25, until dom0 takes it over. */
#include "arch/x86/console.h"
#include "arch/mm.h"
#include "arch/x86/processor.h"
#include "lib/string.h"

#define COLUMNS 80
#define ROWS    25
#define BLANK   0x0720               /* grey on black */

static uint16_t *screen;
static unsigned int column, row;

static void show_cursor(void) {
    unsigned int at = row * COLUMNS + column;

    outw(0x3d4, (uint16_t)(0x0e | (at & 0xff00)));
    outw(0x3d4, (uint16_t)(0x0f | at << 8));
}

static void new_line(void) {
    column = 0;
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    memmove(screen, screen + COLUMNS, (ROWS - 1) * COLUMNS * sizeof(*screen));
    for (unsigned int i = 0; i < COLUMNS; i++)
        screen[row * COLUMNS + i] = BLANK;
}

/* Start on the line below what the firmware and the loader have written. */
INIT_TEXT bool vga_init(const struct boot_video *video) {
    unsigned int at;

    if (!video->present || video->framebuffer)
        return false;
    screen = phys_to_virt(0xb8000);
    outb(0x3d4, 0x0e);
    at = (unsigned int)inb(0x3d5) << 8;
    outb(0x3d4, 0x0f);
    at |= inb(0x3d5);
    row = MIN(at / COLUMNS, ROWS - 1);
    new_line();
    return true;
}

void vga_write(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            new_line();
        } else if (bytes[i] >= ' ') {
            screen[row * COLUMNS + column++] = 0x0700 | (uint8_t)bytes[i];
            if (column == COLUMNS)
                new_line();
        }
    }
    show_cursor();
}
