#ifndef POSTRIDER_FETCH_MAILDROP_INTERNAL_H
#define POSTRIDER_FETCH_MAILDROP_INTERNAL_H

#include "base/verdict.h"
#include "fetch/maildrop.h"
#include "fetch/poll.h"
#include "fetch/stumbles.h"
#include "session/certificate.h"
#include "session/standing.h"
#include "store/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct hook;
struct pop3_config;
struct vault_request;

/*
 * What the files of one account's policy share; nobody else includes this.  maildrop.c has the
 * timer, the slot, polls and adopt; maildrop_record.c what is remembered and what an outcome leads
 * to; maildrop_settings.c what a configuration changes.
 */
enum maildrop_phase {
	MAILDROP_LOADING, /* the record is read from the state database */
	MAILDROP_IDLE,
	MAILDROP_WAITING, /* for a slot */
	MAILDROP_POLLING,
	MAILDROP_ADOPTING, /* the Maildir is being accepted */
};

struct maildrop_adopt {
	bool wanted;
	bool all;
	fetcher_adopt_cb *cb;
	void *arg;
};

/* One owner: the fetcher.  A maildrop is the POP3 word for a user's mailbox on the server. */
struct maildrop {
	struct fetcher_settings settings;
	const struct maildrop_owner *owner;
	void *owner_arg;
	char *name;
	char *server; /* "host:port"; NULL without pop3 */

	struct config *config; /* our reference; NULL before the first maildrop_configure() */
	const struct account_config *account;
	struct config *next_config; /* to be taken when the poll under way has ended */
	const struct account_config *next_account;
	unsigned neighbours;

	enum maildrop_phase phase;
	bool stopped;
	bool once;
	bool again;   /* a person asked while a poll was under way */
	bool resumed; /* came back after maildrop_stop(): is scheduled anew */
	bool marking; /* the poll under way answers the adopt */
	bool blocked;
	struct event *timer;
	int64_t next_attempt; /* wall, 0: none */

	struct mailbox *mailbox;
	struct record record;
	int64_t saved_at; /* mono */
	struct poll *poll;
	struct hook *hook;
	int64_t on_server;
	uint64_t skipped_large;
	uint64_t polls, polls_failed; /* ended since the start */
	unsigned long refused_generation;
	bool weaker; /* refused to log in: HINT_WEAKER */
	struct certificate_watch certificate;
	struct stumbles stumbles;
	unsigned trial;        /* a feature that the next session does without */
	bool learned;          /* the last one has changed what the record knows of them */
	unsigned long renewed; /* standing_renews_token() */
	struct standing_declined declined;
	struct vault_request *probe; /* has a blocked account's secret changed? */
	struct maildrop_adopt adopt;
};

/* maildrop.c; none by itself with a delay below 0, none before the server lets us in again */
double maildrop_random(void);
void maildrop_disarm(struct maildrop *m);
void maildrop_arm(struct maildrop *m, int64_t delay);
void maildrop_want_slot(struct maildrop *m, bool urgent);
void maildrop_settle(struct maildrop *m);

/* maildrop_record.c */
void maildrop_save(struct maildrop *m);
void maildrop_forgive(struct maildrop *m);
void maildrop_probe_secret(struct maildrop *m);
/* Takes the settings, before: those until now, NULL at the start; true when they are others. */
bool maildrop_check_settings(struct maildrop *m, const struct pop3_config *before);
void maildrop_note_failure(struct maildrop *m, const struct verdict *why);
void maildrop_note_fetched(struct maildrop *m, const struct poll_result *result);
void maildrop_note_result(struct maildrop *m, const struct poll_result *result);
void maildrop_schedule_after(struct maildrop *m, const struct poll_result *result);
void maildrop_tell_failure(const struct maildrop *m, const struct verdict *why);

/* maildrop_settings.c */
void maildrop_schedule_first(struct maildrop *m);
void maildrop_take(
    struct maildrop *m, struct config *config, const struct account_config *settings);

#endif
