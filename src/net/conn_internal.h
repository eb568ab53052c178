#ifndef POSTRIDER_NET_CONN_INTERNAL_H
#define POSTRIDER_NET_CONN_INTERNAL_H

#include "net/address.h"
#include "net/conn.h"
#include "net/net_internal.h"
#include "net/sendbuf.h"
#include "net/socks5.h"

/* For conn.c, conn_phase.c and conn_io.c only: one object in three files. */

struct connector;
struct tls;
struct tls_context;
struct tls_request;

enum conn_phase {
	PHASE_CONNECT,   /* resolving and connecting, or waiting to tell of it */
	PHASE_PROXY,     /* talking to the SOCKS5 proxy */
	PHASE_HANDSHAKE, /* TLS: waiting for the context, for a turn, or for the peer */
	PHASE_OPEN,      /* lines and octets */
	PHASE_OVER       /* failed; the owner is told, or will be in the next turn */
};

/* What was received and not yet taken. */
struct conn_inbox {
	char *data;
	size_t off;
	size_t scanned; /* no LF between off and here */
	size_t len;
	size_t cap;
};

/* Owned by whoever called conn_new(), until conn_free() hands it to the reaper. */
struct conn {
	struct net_corpse corpse;
	struct net_step step;
	struct net *net;
	const struct endpoint_config *endpoint;
	struct transcript *transcript;
	conn_cb *cb;
	void *arg;
	const struct conn_watch *watch;
	char *server; /* "host:port", for texts */
	size_t line_max;

	enum conn_phase phase;
	bool dead;    /* freed by its owner: no callback any more */
	bool working; /* conn_io_work() is on the stack and will flush */
	bool tell_connecting;
	bool tell_connected;
	bool tell_failed;
	bool octet_mode;
	bool paused;
	bool starttls_wanted;
	bool secured;
	bool ack_at_once;
	struct verdict why;

	struct connector *connector;
	struct address peer;
	struct socks5 socks5;
	char *proxied; /* the host as the proxy gets it, in A-labels */
	struct tls_request *tls_request;
	struct tls_context *tls_context; /* until struct tls takes it over */
	struct verdict tls_why;          /* why there is none */
	struct tls *tls;

	int fd;
	struct event *read_event;
	struct event *write_event;
	struct event *turn_event; /* the next turn of the loop */
	struct conn_inbox in;
	struct sendbuf out;
	bool read_ended; /* nothing more comes; end_why says why, once the rest is told */
	bool write_ended;
	size_t lost;           /* octets given that cannot leave any more */
	bool write_wants_read; /* TLS */
	bool read_wants_write;
	struct verdict end_why;

	struct event *timer;
	int64_t timer_at; /* the time that the timer is set to, 0: not set */
	int64_t silence;
	int64_t active_at; /* the latest octet either way */
	int64_t deadline;
	int64_t progress_at;
	size_t moved;      /* octets since progress_at */
	int64_t budget_at; /* when connecting, the proxy's part included, must be over */
	uint64_t octets_in;
	uint64_t octets_out;
};

/* -- conn.c */

/* Calls the owner.  False when the owner freed the conn within. */
bool conn_tell(struct conn *c, enum conn_event event);
size_t conn_tell_data(struct conn *c, enum conn_event event, const char *data, size_t len);

/* Has conn_io_work() run in the next turn of the loop. */
void conn_next_turn(struct conn *c);

/* It is over; the owner is told in the next turn.  Later failures do not count. */
void conn_fail(struct conn *c, const struct verdict *why);
void conn_failf(struct conn *c, enum fail kind, const char *stage, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sets the timer to whatever is due first. */
void conn_arm_timer(struct conn *c);

/* Octets moved, either way. */
void conn_count_moved(struct conn *c, size_t octets);

/* -- conn_phase.c: until the connection is open */

void conn_phase_start(struct conn *c, int64_t budget);

/* What became due since the last turn.  False when nothing more may be done in this one. */
bool conn_phase_advance(struct conn *c);

/* TLS begins; what was sent before has left, and nothing was received that waits. */
void conn_phase_begin_tls(struct conn *c);

/* The proxy answered. */
void conn_phase_on_proxy(struct conn *c);
void conn_phase_step(struct net_step *step);

/* -- conn_io.c: octets in and out */

void conn_io_start(struct conn *c);
void conn_io_stop(struct conn *c);
void conn_io_turn_cb(int fd, short what, void *arg);

/* Has the socket tell when it can be read or written. */
void conn_io_await(struct conn *c, bool read, bool write);

#endif
