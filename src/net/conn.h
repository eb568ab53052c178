#ifndef POSTRIDER_NET_CONN_H
#define POSTRIDER_NET_CONN_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connect_course;
struct event_base;
struct endpoint_config;
struct ssl_st;
struct transcript;
struct x509_st;
struct net;
struct conn;

/*
 * A client's connection: resolve, connect (RFC 8305), SOCKS5 (RFC 1928), TLS, lines and
 * octets, timeouts, transcript.  The owner sees seven events through one callback.
 *
 * Rules: the callback never runs inside a call of this header; it may call anything here but
 * conn_free() is deferred-safe (after it no callback names the owner again, the memory goes in the
 * next turn of the loop).  After CONN_FAILED only conn_free() makes sense.
 */
enum conn_event {
	CONN_CONNECTING, /* the name is resolved, the first attempt starts */
	CONN_CONNECTED,  /* TCP is up; with implicit TLS the handshake has begun */
	CONN_SECURED,    /* TLS is up and the peer is verified (implicit, or after conn_starttls) */
	CONN_LINE,       /* one line, in line mode */
	CONN_OCTETS,     /* raw octets, in octet mode */
	CONN_DRAINED, /* all that was sent has left for the kernel (only when some was waiting) */
	CONN_FAILED   /* over: why says what; a close by the peer is FAIL_NETWORK, stage "closed" */
};

struct conn_info {
	const char *data; /* LINE: without CRLF, NUL-terminated, may hold NULs; OCTETS: a slice */
	size_t len;
	const struct verdict *why; /* FAILED */
};

/*
 * Returns, for CONN_OCTETS, how many octets were taken: all of them, or fewer when the owner has
 * switched to line mode or paused within this slice.  Ignored for the others.
 */
typedef size_t conn_cb(
    struct conn *conn, enum conn_event event, const struct conn_info *info, void *arg);

/*
 * For whoever shows a person how a connection comes about; each may be NULL.  They only look, and
 * call nothing here.
 */
struct conn_watch {
	/* Resolving and connecting (to the proxy, where there is one) are over, well or not. */
	void (*reached)(const struct connect_course *course, void *arg);
	/* TLS is up and the peer is verified; CONN_SECURED follows. */
	void (*secured)(struct ssl_st *ssl, void *arg);
	/* The handshake failed, with this certificate shown; CONN_FAILED says why. */
	void (*distrusted)(const struct x509_st *certificate, void *arg);
	void *arg;
};

struct conn_settings {
	const struct endpoint_config *endpoint; /* borrowed until the conn is freed */
	struct transcript *transcript;          /* borrowed until the conn is freed; may be NULL */
	size_t line_max;                        /* a longer received line is FAIL_PROTOCOL */
	int64_t silence;                        /* ms; the first timeout, for the greeting */
	int64_t connect_budget;                 /* ms for resolving and connecting, all addresses */
	int64_t deadline;               /* ms without progress, see conn_progress(); 0: none */
	const struct conn_watch *watch; /* borrowed until the conn is freed; NULL: nobody looks */
	/*
	 * For conversations that go on asking before they are answered: a peer that answers in
	 * several small writes holds each back until the one before is acknowledged (RFC 896), and
	 * we, with nothing to send, would put that off by 40 ms.
	 */
	bool ack_at_once;
};

/* Starts resolving and connecting.  net is borrowed until the conn is freed. */
struct conn *conn_new(
    struct net *net, const struct conn_settings *settings, conn_cb *cb, void *arg);

/* Closes at once; sets the caller's pointer to NULL.  NULL inside is fine. */
void conn_free(struct conn **conn);

/*
 * Sends a line and CRLF.  What is sent within one callback leaves together.  The transcript shows
 * the line, or with conn_send_secret() the text given instead.
 */
void conn_send(struct conn *conn, const char *line);
void conn_sendf(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
void conn_send_secret(struct conn *conn, const char *line, const char *shown);

/* Sends octets as they are (message text); not in the transcript unless it is full. */
void conn_send_octets(struct conn *conn, const void *data, size_t len);

/* Octets given to conn_send* that the kernel has not taken: not yet, or never will. */
size_t conn_unsent(const struct conn *conn);

/*
 * Lines (the state at the start) or octets from now on, also for what was received but not told
 * yet.  A line ends with LF; one CR before it is cut.
 */
void conn_expect_lines(struct conn *conn);
void conn_expect_octets(struct conn *conn);

/* Stops and resumes reading (back-pressure); the silence timeout rests while paused. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

/*
 * RFC 2595, RFC 3207: begins TLS in place, after the server's +OK/220 line.  Octets already
 * received behind that line are an injection, and so is the line itself while the question has not
 * left yet: CONN_FAILED with FAIL_TLS.  To be called from the callback that tells that line;
 * whatever is sent after the call waits for CONN_SECURED.
 */
void conn_starttls(struct conn *conn);

/* The silence timeout from now on, ms: time without an octet either way unless paused; 0: none. */
void conn_set_silence(struct conn *conn, int64_t silence);

/*
 * A command was completed.  Without this, and without 64 KiB moved, for the whole deadline the
 * conn fails with FAIL_NETWORK, stage "deadline".
 */
void conn_progress(struct conn *conn);

bool conn_is_secured(const struct conn *conn);

/* True when the peer's address is a loopback one. */
bool conn_is_loopback(const struct conn *conn);

/* Octets on the wire, above TLS. */
uint64_t conn_octets_in(const struct conn *conn);
uint64_t conn_octets_out(const struct conn *conn);

/* The SSL object for channel binding (struct ssl_st *), NULL without TLS.  Borrowed. */
struct ssl_st *conn_ssl(const struct conn *conn);

/* The next connection with these settings makes a whole handshake, with the certificate in it. */
void conn_forget_sessions(struct conn *conn);

#endif
