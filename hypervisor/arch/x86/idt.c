#include "arch/x86/entry.h"
#include "arch/x86/percpu.h"

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};

#define GATE_INTERRUPT 0x8e          /* present, 64-bit, interrupts off */
#define GATE_DPL3      0x60

static RO_AFTER_INIT struct gate idt[256];

INIT_TEXT void idt_init(void) {
    for (unsigned int v = 0; v < ARRAY_LEN(idt); v++)
        idt[v] = (struct gate){
            .offset_low = (uint16_t)entry_vectors[v],
            .selector = HV_CS,
            .ist = (uint8_t)entry_ist(v),
            .type = GATE_INTERRUPT | (entry_guest_may_int(v) ? GATE_DPL3 : 0),
            .offset_mid = (uint16_t)(entry_vectors[v] >> 16),
            .offset_high = (uint32_t)(entry_vectors[v] >> 32),
        };
}

void idt_load(void) {
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } idtr = {sizeof(idt) - 1, (uintptr_t)idt};

    __asm__ volatile("lidt %0" ::"m"(idtr));
}
