/* The battery clock. */
#include "arch/time.h"
#include "arch/x86/processor.h"
#include "lib/string.h"

enum { SECONDS = 0, MINUTES = 2, HOURS = 4, DAY = 7, MONTH = 8, YEAR = 9 };
enum { STATUS_A = 10, STATUS_B = 11 };
#define UPDATING  0x80               /* status A */
#define BINARY    0x04               /* status B */
#define HOURS_24  0x02
#define PM        0x80               /* hours */

struct fields {
    uint8_t second, minute, hour, day, month, year;
};

static INIT_TEXT uint8_t cmos_read(uint8_t reg) {
    outb(0x70, reg);
    return inb(0x71);
}

static INIT_TEXT struct fields read_fields(void) {
    for (unsigned int i = 0; i < 10000 && cmos_read(STATUS_A) & UPDATING; i++)
        ;
    return (struct fields){cmos_read(SECONDS), cmos_read(MINUTES), cmos_read(HOURS),
                           cmos_read(DAY),     cmos_read(MONTH),   cmos_read(YEAR)};
}

static INIT_TEXT uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day) {
    /* Years that begin in March have their leap day last. */
    uint64_t y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

INIT_TEXT uint64_t arch_wallclock_read(void) {
    struct fields f = read_fields(), again;
    uint8_t status = cmos_read(STATUS_B), *byte = (uint8_t *)&f;
    bool pm;

    for (unsigned int i = 0; i < 10; i++) {
        again = read_fields();
        if (!memcmp(&f, &again, sizeof(f)))
            break;
        f = again;
    }
    pm = f.hour & PM;
    f.hour &= (uint8_t)~PM;
    if (!(status & BINARY))
        for (unsigned int i = 0; i < sizeof(f); i++)
            byte[i] = (uint8_t)((byte[i] >> 4) * 10 + (byte[i] & 15));
    if (!(status & HOURS_24))
        f.hour = (uint8_t)(f.hour % 12 + (pm ? 12 : 0));
    return ((days_since_1970(f.year + (f.year < 70 ? 2000 : 1900), f.month, f.day) * 24 + f.hour) *
                60 + f.minute) * 60 + f.second;
}
