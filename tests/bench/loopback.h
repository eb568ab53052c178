#ifndef POSTRIDER_BENCH_LOOPBACK_H
#define POSTRIDER_BENCH_LOOPBACK_H

#include <stdint.h>

/*
 * What the benchmark's programs share: sockets on 127.0.0.1, option values, and the ways to give
 * up.  These are tools of one person's terminal: an error says what failed and ends the process.
 */

_Noreturn void loopback_die(const char *what); /* with strerror(errno) */
_Noreturn void loopback_die_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The value of an option, a decimal number of at most `max`. */
uint64_t loopback_number(const char *option, const char *value, uint64_t max);

/* A listening socket on a free port, and that port. */
int loopback_listen(uint16_t *port);

/* The next connection, TCP_NODELAY. */
int loopback_accept(int listener);

/* A blocking connection, TCP_NODELAY. */
int loopback_connect(uint16_t port);

/*
 * Tells whoever started us the port: one line on standard output.  From now on the process ends
 * with its standard input, so that it does not outlive its starter.
 */
void loopback_announce(uint16_t port);

#endif
