#ifndef POSTRIDER_FETCH_POLL_H
#define POSTRIDER_FETCH_POLL_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account_config;
struct config;
struct event_base;
struct events;
struct mailbox;
struct record;
struct stumbles;
struct net;
struct poll;
struct vault;
struct worker;

/*
 * One poll of one account: the Maildir is prepared, the secret fetched, a POP3 session held, what
 * it brings is stored in batches, and what may go is deleted, each after the other's promise.
 */
enum poll_purpose {
	POLL_FETCH,
	POLL_MARK_SEEN, /* `adopt ACCOUNT *`: list, note everything as seen, fetch nothing */
};

struct poll_settings {
	struct event_base *base; /* borrowed for the poll's life, as the next five */
	struct net *net;
	struct vault *vault;
	struct worker *log_worker;
	struct events *events;
	struct mailbox *mailbox;
	struct config *config;                /* a reference is taken */
	const struct account_config *account; /* of that configuration, with pop3 */
	enum poll_purpose purpose;
	const struct record *record; /* what earlier polls came to; borrowed for its life */
	unsigned without;            /* a set of enum pop3_feature */
	struct stumbles *stumbles;   /* asked, and added to; borrowed for its life */
	uint32_t declined;           /* standing_declined() */
	const char *id;              /* "000123" */
};

struct poll_result {
	struct verdict why;
	const char *mechanism;     /* the login, by its name, static; NULL: none */
	uint32_t declined;         /* mechanisms that were declined before that one, a set */
	int64_t certificate_end;   /* wall ms, 0: unknown */
	bool stopped;              /* ended by poll_stop(): neither success nor failure */
	unsigned long stale_token; /* of a token held from before, which is refused now; 0: none */
	unsigned proven;           /* a set of enum pop3_feature, see pop3_session_proven() */
	bool has_rested;           /* messages that break sessions were left out */
	unsigned suspect;          /* one of them, or 0, see pop3_session_suspect() */
	bool more;                 /* the listing may have been a window on more */
	uint64_t fetched;          /* stored now */
	uint64_t fetched_octets;
	uint64_t known;   /* retrieved, found to be stored already */
	uint64_t deleted; /* on the server, confirmed by +OK to QUIT */
	uint64_t skipped_large;
	int64_t on_server;   /* left after QUIT; -1: unknown */
	int64_t login_delay; /* ms the server asks for between logins */
	int64_t expire;      /* days, see pop3_session_expire() */
	uint64_t marked;     /* POLL_MARK_SEEN: how many messages were listed */
};

/* The poll is over, in a turn of its own: free it, now or later. */
typedef void poll_cb(const struct poll_result *result, void *arg);

struct poll *poll_new(const struct poll_settings *settings, poll_cb *cb, void *arg);

/*
 * Ends soon: whole messages are still stored, a QUIT under way is waited for, anything else is cut
 * off.  The callback follows.
 */
void poll_stop(struct poll *poll);

/* After the callback only.  Sets the pointer to NULL; NULL inside is fine. */
void poll_free(struct poll **poll);

/* "connecting", "fetching", "committing" ... for status; static. */
const char *poll_state(const struct poll *poll);
const char *poll_id(const struct poll *poll);
int64_t poll_since(const struct poll *poll); /* wall ms */
uint64_t poll_octets_in(const struct poll *poll);
uint64_t poll_octets_out(const struct poll *poll);

#endif
