/* 16550 serial ports, written by polling. */
#include "arch/x86/console.h"
#include "arch/x86/irq.h"
#include "arch/x86/processor.h"
#include "core/cmdline.h"
#include "core/console.h"
#include "pv/emulate.h"

enum { DATA, INTERRUPTS, FIFO, LINE, MODEM, LINE_STATUS, SCRATCH = 7 };
enum { DIVISOR_LOW = 0, DIVISOR_HIGH = 1, LINE_DIVISOR = 0x80 };
enum { STATUS_RECEIVED = 0x01, STATUS_CAN_SEND = 0x20 };

#define CLOCK 115200
/* Longer than a full FIFO takes at 1200 baud, in reads of the status port (about 1 us each). */
#define PATIENCE 200000

static struct port {
    uint16_t base;
    uint8_t irq, line;
    uint32_t baud;
    bool present;
} ports[] = {{.base = 0x3f8, .irq = 4, .line = 3, .baud = CLOCK},
             {.base = 0x2f8, .irq = 3, .line = 3, .baud = CLOCK}};

/* "115200,8n1[,port[,irq]]"; "auto" keeps the rate. */
static INIT_TEXT bool parse_port(struct port *p, const char *s) {
    uint64_t n;

    if (cmdline_number(&s, &n)) {
        if (n < 50 || n > CLOCK)
            return false;
        p->baud = (uint32_t)n;
    }
    if (s[0] == ',' && s[1] >= '5' && s[1] <= '8' && s[2] && s[3]) {
        static const char parities[] = "noems";
        uint8_t parity = 0;

        while (parity < 5 && parities[parity] != s[2])
            parity++;
        if (parity == 5 || s[3] < '1' || s[3] > '2')
            return false;
        p->line = (uint8_t)(s[1] - '5') | (s[3] == '2') << 2 | (parity ? 2 * parity - 1 : 0) << 3;
        s += 4;
    }
    if (*s == ',' && s++ && cmdline_number(&s, &n) && n <= 0xfff8)
        p->base = (uint16_t)n;
    if (*s == ',' && s++ && cmdline_number(&s, &n) && n < 16)
        p->irq = (uint8_t)n;
    return !*s;
}
static INIT_TEXT bool parse_com1(const char *s) {
    return parse_port(&ports[0], s);
}
static INIT_TEXT bool parse_com2(const char *s) {
    return parse_port(&ports[1], s);
}
OPTION_CALL("com1", parse_com1, "rate,bits-parity-stop[,port[,irq]], as in 115200,8n1");
OPTION_CALL("com2", parse_com2, "as com1");

static INIT_TEXT void port_init(struct port *p) {
    uint16_t divisor = (uint16_t)(CLOCK / p->baud);

    outb(p->base + SCRATCH, 0x5a);
    if (inb(p->base + SCRATCH) != 0x5a)
        return;
    outb(p->base + INTERRUPTS, 0);
    outb(p->base + LINE, p->line | LINE_DIVISOR);
    outb(p->base + DIVISOR_LOW, (uint8_t)divisor);
    outb(p->base + DIVISOR_HIGH, (uint8_t)(divisor >> 8));
    outb(p->base + LINE, p->line);
    outb(p->base + FIFO, 0x07);      /* on, emptied */
    outb(p->base + MODEM, 0x0b);     /* DTR, RTS, interrupt line connected */
    p->present = true;
}

INIT_TEXT void serial_init(void) {
    if (console_wanted("com1"))
        port_init(&ports[0]);
    if (console_wanted("com2"))
        port_init(&ports[1]);
}

static void port_put(struct port *p, char c) {
    for (unsigned int i = 0; !(inb(p->base + LINE_STATUS) & STATUS_CAN_SEND); i++)
        if (i == PATIENCE) {
            p->present = false;      /* stuck: better mute than to wait for ever */
            return;
        }
    outb(p->base + DATA, (uint8_t)c);
}

void serial_write(const char *bytes, size_t len) {
    for (unsigned int i = 0; i < ARRAY_LEN(ports); i++)
        for (size_t j = 0; j < len && ports[i].present; j++) {
            if (bytes[j] == '\n')
                port_put(&ports[i], '\r');
            port_put(&ports[i], bytes[j]);
        }
}

static void serial_receive(void) {
    for (unsigned int i = 0; i < ARRAY_LEN(ports); i++)
        while (ports[i].present && inb(ports[i].base + LINE_STATUS) & STATUS_RECEIVED)
            console_input((char)inb(ports[i].base + DATA));
}

INIT_TEXT void serial_start_input(void) {
    for (unsigned int i = 0; i < ARRAY_LEN(ports); i++) {
        if (!ports[i].present)
            continue;
        irq_claim_isa(ports[i].irq, serial_receive);
        outb(ports[i].base + INTERRUPTS, 1);
        pv_port_reserve(ports[i].base, ports[i].base + SCRATCH);
    }
}
