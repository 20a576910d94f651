/* The first domain. */
#ifndef PV_DOM0_BUILD_H
#define PV_DOM0_BUILD_H

/*
 * Build dom0 from boot_info's modules (kernel, initrd) and make its vcpu 0 runnable.
 * Note:   boot only; whatever is wrong ends in a panic line that says what to change.
 */
void dom0_build(void);

#endif
