#ifndef POSTRIDER_BENCH_WIRE_H
#define POSTRIDER_BENCH_WIRE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { WIRE_RECORD_SIZE = 16 * 1024 }; /* the octets of a TLS record: RFC 8446 section 5.1 */
enum { WIRE_INPUT_SIZE = 16 * 1024 };
enum { WIRE_LINE_MAX = 1024 };

/*
 * A server's end of one connection, in clear or with TLS: lines in, octets out.  What is written
 * is held back until there is nothing more to read, so that answers to a pipelined group leave
 * together.  Blocks.
 */
struct wire {
	SSL *ssl; /* NULL: in clear */
	int fd;
	bool ended; /* the peer is gone, or the session says so */

	char output[WIRE_RECORD_SIZE];
	size_t output_len;
	char input[WIRE_INPUT_SIZE];
	size_t input_start, input_end;
};

/* The descriptor is borrowed, and nonblocking from now on. */
void wire_init(struct wire *w, int fd);
void wire_clear(struct wire *w);

/* The TLS handshake; what was written leaves before it, in clear.  False when it failed. */
bool wire_accept_tls(struct wire *w, SSL_CTX *context);

void wire_put(struct wire *w, const char *data, size_t len);
void wire_reply(struct wire *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void wire_flush(struct wire *w);

/* The next line without its end; NULL when the peer is gone or sends no lines. */
char *wire_line(struct wire *w);

/* So many octets; false when the peer is gone before. */
bool wire_octets(struct wire *w, char *data, size_t len);

#endif
