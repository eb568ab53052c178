#ifndef POSTRIDER_BENCH_SERVER_H
#define POSTRIDER_BENCH_SERVER_H

#include <openssl/ssl.h>

/*
 * What the benchmark's servers share: a free port of 127.0.0.1, told to whoever started us, and a
 * thread for each connection.  Never returns; the process ends with its standard input.
 */
_Noreturn void server_run(
    const char *cert, const char *key, void (*serve)(int fd, SSL_CTX *context));

#endif
