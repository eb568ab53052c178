#ifndef POSTRIDER_BASE_EVENTS_H
#define POSTRIDER_BASE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct verdict;

/*
 * What happens in the rooms, told to one listener: the rooms that fetch and send say it, and need
 * not know who hears it.  While nobody listens it costs a look at a pointer.  Loop's thread only.
 */
enum happening_kind {
	HAPPENED_SESSION_START,
	HAPPENED_SESSION_END,
	HAPPENED_MESSAGE_FETCHED,
	HAPPENED_MESSAGE_QUEUED,
	HAPPENED_MESSAGE_SENT,
	HAPPENED_MESSAGE_DEFERRED,
	HAPPENED_MESSAGE_FAILED,
	HAPPENED_POLL_FAILED,
	HAPPENED_CONFIG_RELOADED
};

/*
 * Each kind has some of these, in the order of postrider-control(7); the others are not looked at.
 * Texts are NULL for nothing, and escaped where a peer chose them.  All is borrowed for the call.
 */
struct happening {
	enum happening_kind kind;
	const char *account; /* NULL: it concerns none, or all */

	/* a session, and its end */
	const char *session;       /* "000123"; NULL: it happened outside of one */
	const char *protocol;      /* "pop3", "smtp" */
	const char *server;        /* "host:port" */
	const struct verdict *why; /* how it ended; FAIL_NONE: well */
	bool stopped;              /* it was cut short by ourselves */
	uint64_t fetched, deleted; /* pop3: messages */
	uint64_t sent;             /* smtp: recipients whose message was accepted */
	uint64_t octets_in, octets_out;
	int64_t duration; /* ms */

	/* a message that came */
	const char *uid;
	const char *file; /* its name below new/ */

	/* a message that goes; octets are those of one that came, too */
	const char *message; /* its ID in the queue */
	const char *name;    /* of its file in the spool, or in failed/ */
	const char *sender;  /* "": the null sender */
	size_t recipients;
	const char *recipient; /* NULL: so many of them */
	const char *state;     /* the recipient's; of a poll that failed, the account's */
	const char *reply;     /* what was said about the recipient */
	const char *text;      /* why, when no reply says it */
	uint64_t octets;
	unsigned attempts;
	bool held;

	/* what comes next */
	unsigned failures;    /* in a row */
	int64_t next_attempt; /* wall ms, 0: none is due */

	size_t accounts; /* of a configuration */
};

/* Called where it happens: must not call back into the room that says it. */
typedef void events_cb(const struct happening *happening, void *arg);

/* Owned by the daemon, which embeds it.  Zeroed memory begins it; it needs no end. */
struct events {
	events_cb *cb; /* NULL: nobody listens */
	void *arg;
};

/* Takes the place of the listener before; NULL: nobody listens. */
void events_listen(struct events *events, events_cb *cb, void *arg);

/* False: what is costly to tell need not be found out.  events may be NULL, here and below. */
bool events_are_heard(const struct events *events);

void events_tell(const struct events *events, const struct happening *happening);

#endif
