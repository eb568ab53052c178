#ifndef POSTRIDER_BENCH_SINK_H
#define POSTRIDER_BENCH_SINK_H

#include <openssl/ssl.h>

/*
 * Holds one SMTP session (RFC 5321, 3207, 4954) over a connection that was accepted: TLS from the
 * first octet, or after STARTTLS.  Any password fits, mail is taken only after AUTH and goes to the
 * tally.  Returns when the peer has said QUIT or is gone.  Blocks; both are borrowed.
 */
void sink_serve_tls(int fd, SSL_CTX *context);
void sink_serve_starttls(int fd, SSL_CTX *context);

#endif
