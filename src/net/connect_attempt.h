#ifndef POSTRIDER_NET_CONNECT_ATTEMPT_H
#define POSTRIDER_NET_CONNECT_ATTEMPT_H

#include "base/str.h"
#include "net/address.h"

struct event;
struct event_base;
struct attempt;

/* One address of a server and what came of trying it.  Embedded in the connector. */
enum attempt_state {
	ATTEMPT_UNTRIED,
	ATTEMPT_TRYING,
	ATTEMPT_FAILED,
	ATTEMPT_LEFT, /* given up without an answer: another one won, or the time was over */
	ATTEMPT_WON
};

/* The attempt is over: a->error is 0 and a->fd is connected, or a->error says why not. */
typedef void connect_attempt_cb(struct attempt *a, void *arg);

struct attempt {
	struct address address;
	enum attempt_state state;
	int error;          /* errno, once it failed */
	const char *action; /* static: what failed, when it was not connect(2) */
	int fd;
	struct event *event;
	connect_attempt_cb *cb;
	void *arg;
};

void connect_attempt_init(struct attempt *a, const struct address *address);

/*
 * Starts to connect, from the local address when that is not NULL.  False when it failed at once,
 * with a->error.  The callback never runs inside.
 */
bool connect_attempt_start(struct attempt *a, struct event_base *base, const struct address *local,
    connect_attempt_cb *cb, void *arg);

/* Closes the socket, whatever became of it; one that was under way is not any more. */
void connect_attempt_stop(struct attempt *a);

/* Hands the connected socket over. */
int connect_attempt_take(struct attempt *a);

/* "[2001:db8::5]: Connection refused", "192.0.2.1: timed out" while it is under way. */
void connect_attempt_describe(const struct attempt *a, struct str *text);

/* True when this machine's own limits failed it. */
bool connect_attempt_is_local(const struct attempt *a);

#endif
