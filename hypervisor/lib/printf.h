/*
 * Formatted output: %c %s %d %i %u %x %X %o %p %%, flags 0 - # +, width, precision (also *),
 * lengths hh h l ll z t j. No floating point.
 */
#ifndef LIB_PRINTF_H
#define LIB_PRINTF_H

#include <stdarg.h>

#include "lib/types.h"

/* As C's: at most size bytes with the final NUL; returns the length it would have had. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

#endif
