#ifndef POSTRIDER_BENCH_SESSION_H
#define POSTRIDER_BENCH_SESSION_H

#include <openssl/ssl.h>
#include <stdint.h>

/*
 * Holds one POP3 session (RFC 1939, 2449, 5034) over a connection that was accepted and has not
 * begun its TLS handshake; returns when the peer has said QUIT or is gone.  Every user name opens
 * a made-up maildrop of `messages` messages of `size` octets, any password fits, and deletions are
 * forgotten at the end.  Blocks; both are borrowed.
 */
void session_serve(int fd, SSL_CTX *context, uint32_t messages, uint64_t size);

#endif
