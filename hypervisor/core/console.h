/* Messages: to the machine's consoles, and into a log ring that dom0 can read. */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <stdarg.h>

#include "lib/types.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct domain;

/*
 * Print one message; a line that begins with it gets the prefix "(hospes) ".
 * Locks:  takes RANK_CONSOLE, so any other may be held.
 */
void printk(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
#define pr_err(...)   printk(LOG_ERR, __VA_ARGS__)
#define pr_warn(...)  printk(LOG_WARN, __VA_ARGS__)
#define pr_info(...)  printk(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) printk(LOG_DEBUG, __VA_ARGS__)

/* A message a guest can cause: carries its domid, rate-limited for all guests together. */
void printk_guest(const struct domain *d, enum log_level level, const char *fmt, ...) PRINTF(3, 4);

/* Bytes of a guest's console output, as they are (dom0's CONSOLEIO_write). */
void console_write(const char *bytes, size_t len);

/* A byte from the machine's console; arch calls it from its receive interrupt. */
void console_input(char c);
/* Take up to len bytes of input waiting for dom0; returns how many. */
size_t console_read_input(char *buf, size_t len);

/*
 * Copy out of the log ring, from *index on (free-running byte counter, moved to the
 * oldest byte still there if too old, and past what was copied on return).
 */
size_t console_read_log(char *buf, size_t len, uint64_t *index);
void console_clear_log(void);

/* From now on print no more than this level (command line loglvl=). */
void console_set_level(enum log_level level);
/* After a panic: no locks, no limits. */
void console_force_unlock(void);

#endif
