#ifndef POSTRIDER_FETCH_POP3_SESSION_INTERNAL_H
#define POSTRIDER_FETCH_POP3_SESSION_INTERNAL_H

#include "fetch/pop3_login.h"
#include "fetch/pop3_session.h"
#include "fetch/pop3_window.h"
#include "proto/pop3.h"
#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct event;

/*
 * What the files of the conversation share; nobody else includes this.  pop3_session.c has the
 * table of states and the events, the others the states of one part each: pop3_authorization.c
 * (greeting, CAPA, STLS, UTF8, login, CAPA again), pop3_listing.c (STAT, UIDL, LIST),
 * pop3_transfer.c (RETR, DELE, QUIT).  A handler of a line returns the next state.  pop3_suspect.c
 * says what a session may have broken on.
 */
enum pop3_state {
	POP3_RESOLVING,
	POP3_CONNECTING,
	POP3_HANDSHAKE,
	POP3_GREETING,
	POP3_CAPA,
	POP3_CAPA_ITEM,
	POP3_STLS,
	POP3_STLS_HANDSHAKE,
	POP3_UTF8,
	POP3_LOGIN,
	POP3_USER_CAPA,
	POP3_USER_CAPA_ITEM,
	POP3_STAT,
	POP3_UIDL,
	POP3_UIDL_ITEM,
	POP3_LIST,
	POP3_LIST_ITEM,
	POP3_TRANSFER,
	POP3_BODY,
	POP3_QUIT,
	POP3_CLOSED,
	POP3_STATE_COUNT
};

/* One owner: the poll.  The secret is a reference of ours. */
struct pop3_session {
	const struct pop3_config *config;
	struct transcript *transcript;
	struct secret *secret;
	struct deriver *deriver;
	const struct pop3_handler *handler;
	void *arg;

	struct conn *conn;
	struct event_base *base;
	enum pop3_state state;
	struct verdict why;
	char server[320]; /* "host:port" */
	char greeting[256];
	struct pop3_capabilities capabilities;
	struct pop3_capabilities for_user; /* CAPA behind the login, as far as it was read */
	struct pop3_login *login;
	const char *served;      /* borrowed */
	const char *mechanism;   /* the login, by its name, static; NULL: none */
	uint32_t known_declined; /* mechanisms, by earlier sessions */
	uint32_t declined;       /* by this one */
	int64_t certificate_end; /* wall ms, 0: unknown */

	struct listing *listing;
	struct pop3_window *window;
	struct pop3_body body;
	uint32_t body_number;
	uint64_t body_limit;
	uint64_t maildrop_count;  /* STAT */
	uint64_t lines;           /* of the multi-line answer under way */
	unsigned without, proven; /* enum pop3_feature */
	bool capa_refused;        /* -ERR to CAPA, and nothing was heard since */
	enum pop3_state broke_in; /* where it was when it was closed */
	bool by_uid;
	bool count_only;
	bool dispatching; /* inside on_conn(): its end moves on to QUIT */
	bool quit_wanted;
	bool quit_ok;
	struct session_octets gone; /* of the connection */
	struct event *failing;      /* pop3_session_fail(): closed() in the next turn */
};

/* The one place that assigns the state; runs what its entry does. */
void pop3_set_state(struct pop3_session *s, enum pop3_state state);

/* Fill the verdict and return POP3_CLOSED. */
enum pop3_state pop3_fail(struct pop3_session *s, enum fail kind, const char *stage,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
enum pop3_state pop3_garbage(struct pop3_session *s, const char *stage, const char *line);
enum pop3_state pop3_refused(struct pop3_session *s, enum fail plain, const char *stage,
    const char *what, const struct pop3_reply *reply);

/* True, with the verdict filled, when a multi-line answer has more lines than it can have. */
bool pop3_endless(struct pop3_session *s, const char *stage, uint64_t most);

/* The silence timeout to use: the configured one, else the standard one of the step; ms. */
enum { SILENCE_SHORT = 60 * 1000, SILENCE_LONG = 10 * 60 * 1000 };
int64_t pop3_silence(const struct pop3_session *s, int64_t standard);

/* pop3_authorization.c */
enum pop3_state pop3_ask_capa(struct pop3_session *s);
enum pop3_state pop3_on_greeting(struct pop3_session *s, const char *line);
void pop3_enter_capa(struct pop3_session *s);
enum pop3_state pop3_on_capa(struct pop3_session *s, const char *line);
enum pop3_state pop3_on_capa_item(struct pop3_session *s, const char *line);
void pop3_enter_stls(struct pop3_session *s);
enum pop3_state pop3_on_stls(struct pop3_session *s, const char *line);
void pop3_enter_utf8(struct pop3_session *s);
enum pop3_state pop3_on_utf8(struct pop3_session *s, const char *line);
void pop3_enter_login(struct pop3_session *s);
enum pop3_state pop3_on_login(struct pop3_session *s, const char *line);
void pop3_enter_user_capa(struct pop3_session *s);
enum pop3_state pop3_on_user_capa(struct pop3_session *s, const char *line);
enum pop3_state pop3_on_user_capa_item(struct pop3_session *s, const char *line);

/* pop3_suspect.c; true when the session goes without the feature */
bool pop3_lacks(const struct pop3_session *s, enum pop3_feature feature);

/* pop3_listing.c */
bool pop3_pipelines(const struct pop3_session *s);
void pop3_enter_stat(struct pop3_session *s);
enum pop3_state pop3_on_stat(struct pop3_session *s, const char *line);
void pop3_enter_uidl(struct pop3_session *s);
enum pop3_state pop3_on_uidl(struct pop3_session *s, const char *line);
enum pop3_state pop3_on_uidl_item(struct pop3_session *s, const char *line);
void pop3_enter_list(struct pop3_session *s);
enum pop3_state pop3_on_list(struct pop3_session *s, const char *line);
enum pop3_state pop3_on_list_item(struct pop3_session *s, const char *line);

/* pop3_transfer.c */
void pop3_fill_window(struct pop3_session *s);
enum pop3_state pop3_on_transfer(struct pop3_session *s, const char *line);
void pop3_enter_body(struct pop3_session *s);
size_t pop3_on_body_octets(struct pop3_session *s, const char *data, size_t len);
void pop3_enter_quit(struct pop3_session *s);
enum pop3_state pop3_on_quit(struct pop3_session *s, const char *line);

#endif
