/* Single instructions that pv asks for on behalf of guests. */
#include "arch/cpu.h"
#include "arch/x86/asm.h"
#include "arch/x86/processor.h"

int arch_rdmsr_safe(uint32_t msr, uint64_t *value) {
    uint32_t lo = 0, hi = 0;
    int rc = -EFAULT;

    __asm__ volatile("1: rdmsr; xor %[rc], %[rc]\n"
                     "2:\n" EXTABLE(1b, 2b)
                     : "+a"(lo), "+d"(hi), [rc] "+r"(rc)
                     : "c"(msr));
    *value = (uint64_t)hi << 32 | lo;
    return rc;
}

int arch_wrmsr_safe(uint32_t msr, uint64_t value) {
    int rc = -EFAULT;

    __asm__ volatile("1: wrmsr; xor %[rc], %[rc]\n"
                     "2:\n" EXTABLE(1b, 2b)
                     : [rc] "+r"(rc)
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return rc;
}

void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]) {
    cpuid(leaf, subleaf, regs);
}

uint32_t arch_port_in(uint16_t port, unsigned int size) {
    return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void arch_port_out(uint16_t port, unsigned int size, uint32_t value) {
    if (size == 1)
        outb(port, (uint8_t)value);
    else if (size == 2)
        outw(port, (uint16_t)value);
    else
        outl(port, value);
}
