#ifndef POSTRIDER_FETCH_POLL_INTERNAL_H
#define POSTRIDER_FETCH_POLL_INTERNAL_H

#include "base/verdict.h"
#include "fetch/poll.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct batch_item;
struct event;
struct listing;
struct pop3_config;
struct pop3_session;
struct secret;
struct transcript;
struct vault_request;

/*
 * What the files of a poll share; nobody else includes this.  poll.c has its way from preparing to
 * QUIT, poll_incoming.c the messages that come in and the batches that they are stored in,
 * poll_left.c those that stay behind, poll_events.c what the logs and those who watch are
 * told.
 */

/* Messages that stay on the server, although they are to be fetched or deleted. */
struct poll_left {
	uint64_t count;
	char first[300]; /* of them, for people */
};

/* One owner: the account.  It ends when the session is closed and no store call is pending. */
struct poll {
	struct poll_settings settings;
	struct config *config; /* our reference */
	const struct pop3_config *pop3;
	char id[16];
	char server[320]; /* "host:port" */
	poll_cb *cb;
	void *arg;
	struct event *ended; /* runs the callback in a turn of its own */

	int64_t since; /* wall */
	int64_t since_mono;
	struct vault_request *secret_request;
	struct secret *secret;
	unsigned long held; /* generation of the secret, when it was there before; 0: fetched now */
	struct transcript *transcript;
	struct pop3_session *session;
	bool session_closed;
	bool quit_ok;
	bool stopping;

	struct listing *listing; /* the session's */
	uint32_t cursor;         /* the last number that next() looked at */
	bool is_last_round;      /* it goes over the listing a second time */
	bool by_uid;
	bool matched;

	struct batch *batch; /* the one being filled; NULL: none */
	bool message_open;
	int64_t batch_since; /* mono, of its first message */
	bool paused;
	unsigned pending; /* store calls whose callback is due */
	bool expunging;   /* the rows are being marked, or are marked: QUIT is next */

	int64_t *rows; /* deleted in this session, to take effect at QUIT */
	size_t row_count, row_cap;
	struct poll_left refused, resting, nameless;
	struct poll_result result;
};

/* poll.c */
const char *poll_account(const struct poll *p);
void poll_blame(struct poll *p, const struct verdict *why);
void poll_abandon(struct poll *p, const struct verdict *why);
void poll_advance(struct poll *p);
void poll_end_when_done(struct poll *p);

/* poll_events.c */
void poll_tell_start(const struct poll *p);
void poll_write_outcome(const struct poll *p);
void poll_tell_message(const struct poll *p, const struct batch_item *item, const char *uid);

/* poll_left.c */
void poll_on_refused(uint32_t number, bool retr, const char *text, void *arg);
void poll_leave(struct poll_left *left, uint32_t number);
void poll_judge_left(struct poll *p);

/* poll_incoming.c */
bool poll_next(uint32_t *number, void *arg);
void poll_on_begin(uint32_t number, void *arg);
char *poll_on_reserve(size_t room, void *arg);
void poll_on_added(size_t len, void *arg);
void poll_on_end(uint32_t number, void *arg);
void poll_commit(struct poll *p);

#endif
