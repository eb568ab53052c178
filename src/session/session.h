#ifndef POSTRIDER_SESSION_SESSION_H
#define POSTRIDER_SESSION_SESSION_H

#include "net/conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str;

/* What both conversations do with their connection. */

/* The silence timeout to use: the configured one, else the standard one of the step; ms. */
int64_t session_silence(const struct endpoint_config *endpoint, int64_t standard);

struct session_connect {
	struct net *net; /* borrowed until the conn is freed, as all of these */
	const struct endpoint_config *endpoint;
	struct transcript *transcript;
	size_t line_max;                /* of the protocol */
	int64_t silence;                /* the standard one before the first line, ms */
	const struct conn_watch *watch; /* NULL: nobody looks */
	bool ack_at_once;
};

/* Starts connecting: conn_new() with what the endpoint says of time. */
struct conn *session_connect(const struct session_connect *to, conn_cb *cb, void *arg);

/* When the server's certificate ends, wall ms; 0: there is none, or its date does not matter. */
int64_t session_certificate_end(const struct conn *conn, const struct endpoint_config *endpoint);

/* The names of a set of features, bit by bit, for people: "CAPA, UTF8".  name() returns static
 * text. */
void session_append_names(struct str *s, unsigned set, const char *(*name)(unsigned one));

/* The session log says what the server is not asked for, as it breaks on it; nothing for no set. */
void session_note_left_out(
    struct transcript *transcript, unsigned set, const char *(*name)(unsigned one));

/* Octets on the wire, above TLS. */
struct session_octets {
	uint64_t in, out;
};

/* The connection goes, its figures stay for the last line of the log.  NULL inside is fine. */
void session_hang_up(struct conn **conn, struct session_octets *gone);

/* The figures of the connection, or, where it is gone, what stayed of them. */
struct session_octets session_octets(const struct conn *conn, const struct session_octets *gone);

#endif
