#include "fetch/pop3_session.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/pop3_login.h"
#include "fetch/pop3_window.h"
#include "net/conn.h"
#include "net/transcript.h"
#include "proto/pop3.h"
#include "store/listing.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pop3_state {
	POP3_RESOLVING,
	POP3_CONNECTING,
	POP3_HANDSHAKE,
	POP3_GREETING,
	POP3_CAPA,
	POP3_CAPA_ITEM,
	POP3_STLS,
	POP3_STLS_HANDSHAKE,
	POP3_LOGIN,
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

enum { SILENCE_SHORT = 60 * 1000, SILENCE_LONG = 10 * 60 * 1000 };
enum { CONNECT_BUDGET = 60 * 1000 };

/*
 * Multi-line answers end: CAPA after a screenful, UIDL and LIST after what STAT counted, with room
 * for a server that counts badly.
 */
enum { CAPA_LINES = 1000, LISTING_LINES_SLACK = 10000 };

/* A message may grow to this before it is called endless; LIST's sizes may be estimates. */
enum { BODY_SLACK = 1024 * 1024 };

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
	struct pop3_login *login;

	struct listing *listing;
	struct pop3_window *window;
	struct pop3_body body;
	uint32_t body_number;
	uint64_t body_limit;
	uint64_t maildrop_count; /* STAT */
	uint64_t lines;          /* of the multi-line answer under way */
	bool by_uid;
	bool dispatching; /* inside on_conn(): its end moves on to QUIT */
	bool quit_wanted;
	bool quit_ok;
	uint64_t octets_in, octets_out; /* once the connection is gone */
	struct event *failing;          /* pop3_session_fail(): closed() in the next turn */
};

struct pop3_state_row {
	const char *name;
	int64_t silence;
	void (*enter)(struct pop3_session *s);
	enum pop3_state (*line)(struct pop3_session *s, const char *line);
};

static const struct pop3_state_row states[POP3_STATE_COUNT];

__attribute__((format(printf, 4, 5))) static enum pop3_state
pop3_fail(struct pop3_session *s, enum fail kind, const char *stage, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verdict_vfail(&s->why, kind, stage, format, ap);
	va_end(ap);
	return POP3_CLOSED;
}

static enum pop3_state
pop3_garbage(struct pop3_session *s, const char *stage, const char *line)
{
	char shown[160];

	transcript_escape(s->transcript, shown, sizeof shown, line, strlen(line));
	return pop3_fail(s, FAIL_PROTOCOL, stage,
	    "%s: the answer is not POP3: \"%s\"; check host and port", s->server, shown);
}

/* True when a multi-line answer has more lines than it can have. */
static bool
pop3_endless(struct pop3_session *s, const char *stage, uint64_t most)
{
	if (++s->lines <= most)
		return false;
	pop3_fail(s, FAIL_PROTOCOL, stage,
	    "%s: the answer to %s does not end after %" PRIu64 " lines", s->server, stage, most);
	return true;
}

static enum pop3_state
pop3_refused(struct pop3_session *s, enum fail plain, const char *stage, const char *what,
    const struct pop3_reply *reply)
{
	pop3_refusal(&s->why, s->transcript, plain, stage, s->server, what, reply);
	return POP3_CLOSED;
}

static int64_t
silence_of(const struct pop3_session *s, int64_t standard)
{
	return s->config->endpoint.timeout > 0 ? s->config->endpoint.timeout : standard;
}

/* The connection goes, its figures stay for the last line of the log. */
static void
pop3_hang_up(struct pop3_session *s)
{
	if (s->conn == NULL)
		return;
	s->octets_in = conn_octets_in(s->conn);
	s->octets_out = conn_octets_out(s->conn);
	conn_free(&s->conn);
}

static void
pop3_finish(struct pop3_session *s)
{
	pop3_hang_up(s);
	s->handler->closed(&s->why, s->quit_ok, s->arg);
}

static void
pop3_set_state(struct pop3_session *s, enum pop3_state state)
{
	if (state == s->state)
		return;
	s->state = state;
	if (states[state].silence > 0 && s->conn != NULL)
		conn_set_silence(s->conn, silence_of(s, states[state].silence));
	if (states[state].enter != NULL)
		states[state].enter(s);
}

/* -- greeting, capabilities, STLS ------------------------------------------------------------ */

static enum pop3_state
on_greeting(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	snprintf(s->greeting, sizeof s->greeting, "%s", line);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_SERVER, "greeting", "the connection", &reply);
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "greeting", line);
	return POP3_CAPA;
}

static void
enter_capa(struct pop3_session *s)
{
	pop3_capabilities_init(&s->capabilities);
	conn_send(s->conn, "CAPA");
}

/* RFC 2595 section 4: STLS, then everything learned in clear is asked again. */
static enum pop3_state
after_capa(struct pop3_session *s)
{
	if (s->config->endpoint.tls != TLS_STARTTLS || conn_is_secured(s->conn))
		return s->config->endpoint.user != NULL ? POP3_LOGIN : POP3_STAT;
	if (s->capabilities.known && !s->capabilities.stls)
		return pop3_fail(s, FAIL_TLS, "stls",
		    "%s does not offer STLS, and tls = \"starttls\" never goes on in clear: use "
		    "port 995 with tls = \"implicit\", or find out who strips it",
		    s->server);
	return POP3_STLS;
}

static enum pop3_state
on_capa(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return after_capa(s); /* a server from before RFC 2449 */
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "capa", line);
	s->capabilities.known = true;
	s->lines = 0;
	return POP3_CAPA_ITEM;
}

static enum pop3_state
on_capa_item(struct pop3_session *s, const char *line)
{
	if (strcmp(line, ".") == 0)
		return after_capa(s);
	if (pop3_endless(s, "capa", CAPA_LINES))
		return POP3_CLOSED;
	pop3_parse_capability(&s->capabilities, line);
	return POP3_CAPA_ITEM;
}

static void
enter_stls(struct pop3_session *s)
{
	conn_send(s->conn, "STLS");
}

static enum pop3_state
on_stls(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_TLS, "stls", "STLS", &reply);
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "stls", line);
	conn_starttls(s->conn);
	return POP3_STLS_HANDSHAKE;
}

/* -- login ----------------------------------------------------------------------------------- */

static enum pop3_state
after_login_step(enum pop3_login_step step)
{
	switch (step) {
	case POP3_LOGIN_MORE:
		return POP3_LOGIN;
	case POP3_LOGIN_DONE:
		return POP3_STAT;
	case POP3_LOGIN_FAILED:
		break;
	}
	return POP3_CLOSED;
}

static void
enter_login(struct pop3_session *s)
{
	const struct pop3_login_settings settings = {
	    .conn = s->conn,
	    .transcript = s->transcript,
	    .endpoint = &s->config->endpoint,
	    .capabilities = &s->capabilities,
	    .greeting = s->greeting,
	    .secret = s->secret,
	    .deriver = s->deriver,
	};

	s->login = pop3_login_new(&settings);
	pop3_set_state(s, after_login_step(pop3_login_start(s->login, &s->why)));
}

static enum pop3_state
on_login(struct pop3_session *s, const char *line)
{
	return after_login_step(pop3_login_reply(s->login, line, &s->why));
}

/* -- the maildrop listing -------------------------------------------------------------------- */

static void
enter_stat(struct pop3_session *s)
{
	conn_send(s->conn, "STAT");
}

static bool
pop3_pipelines(const struct pop3_session *s)
{
	switch (s->config->pipelining) {
	case PIPELINING_ON:
		return true;
	case PIPELINING_OFF:
		return false;
	case PIPELINING_AUTO:
		break;
	}
	return s->capabilities.pipelining;
}

static enum pop3_state
pop3_listed(struct pop3_session *s)
{
	pop3_window_allow_pipelining(s->window, pop3_pipelines(s));
	conn_set_silence(s->conn, 0);
	s->handler->listed(s->listing, s->by_uid, s->arg);
	return POP3_TRANSFER;
}

static enum pop3_state
on_stat(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;
	uint64_t octets;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_SERVER, "stat", "STAT", &reply);
	if (reply.status != POP3_OK || !pop3_parse_stat(reply.text, &s->maildrop_count, &octets))
		return pop3_garbage(s, "stat", line);
	if (s->maildrop_count == 0)
		return pop3_listed(s);
	return POP3_UIDL;
}

static void
enter_uidl(struct pop3_session *s)
{
	conn_send(s->conn, "UIDL");
	if (pop3_pipelines(s))
		conn_send(s->conn, "LIST");
}

static enum pop3_state
on_uidl(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	s->lines = 0;
	if (reply.status == POP3_OK)
		return POP3_UIDL_ITEM;
	if (reply.status != POP3_ERR)
		return pop3_garbage(s, "uidl", line);
	if (s->capabilities.uidl || reply.code == POP3_CODE_SYS_TEMP)
		return pop3_refused(s, FAIL_SERVER, "uidl", "UIDL", &reply);
	s->by_uid = false;
	return POP3_LIST;
}

static enum pop3_state
on_uidl_item(struct pop3_session *s, const char *line)
{
	struct pop3_listing_item item;

	if (strcmp(line, ".") == 0)
		return POP3_LIST;
	if (pop3_endless(s, "uidl", s->maildrop_count + LISTING_LINES_SLACK))
		return POP3_CLOSED;
	if (!pop3_parse_uidl(line, &item))
		return pop3_garbage(s, "uidl", line);
	if (!listing_set_uid(s->listing, item.number, item.uid, item.uid_len) &&
	    item.number <= LISTING_MAX)
		return pop3_garbage(s, "uidl", line);
	return POP3_UIDL_ITEM;
}

static void
enter_list(struct pop3_session *s)
{
	if (!pop3_pipelines(s))
		conn_send(s->conn, "LIST");
}

static enum pop3_state
on_list(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_SERVER, "list", "LIST", &reply);
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "list", line);
	s->lines = 0;
	return POP3_LIST_ITEM;
}

static enum pop3_state
on_list_item(struct pop3_session *s, const char *line)
{
	struct pop3_listing_item item;

	if (strcmp(line, ".") == 0)
		return pop3_listed(s);
	if (pop3_endless(s, "list", s->maildrop_count + LISTING_LINES_SLACK))
		return POP3_CLOSED;
	if (!pop3_parse_list(line, &item))
		return pop3_garbage(s, "list", line);
	if (!listing_set_size(s->listing, item.number, item.size) && item.number <= LISTING_MAX)
		return pop3_garbage(s, "list", line);
	return POP3_LIST_ITEM;
}

/* -- RETR and DELE --------------------------------------------------------------------------- */

/* Sends what the window allows: deletions first, for they are small and free the server. */
static void
pop3_fill_window(struct pop3_session *s)
{
	uint32_t number;

	while (pop3_window_has_room(s->window) && pop3_window_next_delete(s->window, &number))
		conn_sendf(s->conn, "DELE %" PRIu32, number);
	while (pop3_window_has_room(s->window) && s->handler->next(&number, s->arg)) {
		pop3_window_add_retr(s->window, number, listing_size(s->listing, number));
		conn_sendf(s->conn, "RETR %" PRIu32, number);
	}
	/* While nothing is awaited from the server, its silence is no fault. */
	conn_set_silence(s->conn, pop3_window_empty(s->window) ? 0 : silence_of(s, SILENCE_SHORT));
}

static enum pop3_state
pop3_after_reply(struct pop3_session *s)
{
	pop3_window_done(s->window);
	pop3_fill_window(s);
	if (pop3_window_empty(s->window))
		s->handler->idle(s->arg);
	return POP3_TRANSFER;
}

static uint64_t
endless_limit(const struct pop3_session *s, uint64_t listed)
{
	uint64_t limit = 2 * listed + BODY_SLACK;

	return limit > s->config->max_size ? limit : s->config->max_size;
}

static enum pop3_state
on_transfer(struct pop3_session *s, const char *line)
{
	struct pop3_command command;
	struct pop3_reply reply;
	char shown[256];

	if (!pop3_window_first(s->window, &command))
		return pop3_garbage(s, "transfer", line);
	pop3_parse_reply(line, &reply);
	if (reply.status != POP3_OK && reply.status != POP3_ERR)
		return pop3_garbage(s, command.retr ? "retr" : "dele", line);
	if (reply.status == POP3_ERR) {
		transcript_escape(s->transcript, shown, sizeof shown, line, strlen(line));
		s->handler->refused(command.number, command.retr, shown, s->arg);
		return pop3_after_reply(s);
	}
	if (!command.retr) {
		s->handler->deleted(command.number, s->arg);
		return pop3_after_reply(s);
	}
	s->body_number = command.number;
	s->body_limit = endless_limit(s, listing_size(s->listing, command.number));
	return POP3_BODY;
}

static void
enter_body(struct pop3_session *s)
{
	pop3_body_init(&s->body);
	conn_expect_octets(s->conn);
	s->handler->begin(s->body_number, s->arg);
}

static enum pop3_state
pop3_body_ended(struct pop3_session *s)
{
	transcript_received_summary(s->transcript, "(message %" PRIu32 ": %" PRIu64 " octets)",
	    s->body_number, s->body.octets);
	conn_expect_lines(s->conn);
	conn_progress(s->conn);
	s->handler->end(s->body_number, s->arg);
	pop3_set_state(s, POP3_TRANSFER);
	return pop3_after_reply(s);
}

/* Decodes a slice straight into the owner's buffer.  Returns how much of it was the message's. */
static size_t
on_body_octets(struct pop3_session *s, const char *data, size_t len)
{
	size_t used, out_len;
	enum pop3_body_result result;
	char *out = s->handler->reserve(len + 2, s->arg);

	result = pop3_body_decode(&s->body, data, len, &used, out, &out_len);
	s->handler->added(out_len, s->arg);
	if (s->body.octets > s->body_limit)
		pop3_set_state(s, pop3_fail(s, FAIL_PROTOCOL, "retr",
				      "%s: message %" PRIu32 " does not end: %" PRIu64
				      " octets came where LIST said %" PRIu64,
				      s->server, s->body_number, s->body.octets,
				      listing_size(s->listing, s->body_number)));
	else if (result == POP3_BODY_END)
		pop3_set_state(s, pop3_body_ended(s));
	return used;
}

/* -- QUIT ------------------------------------------------------------------------------------ */

static void
enter_quit(struct pop3_session *s)
{
	conn_send(s->conn, "QUIT");
}

static enum pop3_state
on_quit(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	s->quit_ok = reply.status == POP3_OK;
	if (!s->quit_ok)
		return pop3_refused(s, FAIL_SERVER, "quit", "QUIT", &reply);
	return POP3_CLOSED;
}

/* The order of the rows is the order of enum pop3_state. */
static const struct pop3_state_row states[POP3_STATE_COUNT] = {
    [POP3_RESOLVING] = {"resolving", 0, NULL, NULL},
    [POP3_CONNECTING] = {"connecting", 0, NULL, NULL},
    [POP3_HANDSHAKE] = {"handshake", SILENCE_SHORT, NULL, NULL},
    [POP3_GREETING] = {"connecting", SILENCE_SHORT, NULL, on_greeting},
    [POP3_CAPA] = {"connecting", SILENCE_SHORT, enter_capa, on_capa},
    [POP3_CAPA_ITEM] = {"connecting", SILENCE_SHORT, NULL, on_capa_item},
    [POP3_STLS] = {"handshake", SILENCE_SHORT, enter_stls, on_stls},
    [POP3_STLS_HANDSHAKE] = {"handshake", SILENCE_SHORT, NULL, NULL},
    [POP3_LOGIN] = {"authenticating", SILENCE_LONG, enter_login, on_login},
    [POP3_STAT] = {"listing", SILENCE_LONG, enter_stat, on_stat},
    [POP3_UIDL] = {"listing", SILENCE_LONG, enter_uidl, on_uidl},
    [POP3_UIDL_ITEM] = {"listing", SILENCE_SHORT, NULL, on_uidl_item},
    [POP3_LIST] = {"listing", SILENCE_LONG, enter_list, on_list},
    [POP3_LIST_ITEM] = {"listing", SILENCE_SHORT, NULL, on_list_item},
    [POP3_TRANSFER] = {"fetching", 0, NULL, on_transfer},
    [POP3_BODY] = {"fetching", SILENCE_SHORT, enter_body, NULL},
    [POP3_QUIT] = {"fetching", SILENCE_LONG, enter_quit, on_quit},
    [POP3_CLOSED] = {"fetching", 0, NULL, NULL},
};

/* -- events of the connection ---------------------------------------------------------------- */

static void
on_line(struct pop3_session *s, const struct conn_info *info)
{
	conn_progress(s->conn);
	if (states[s->state].line == NULL)
		pop3_set_state(s, pop3_garbage(s, states[s->state].name, info->data));
	else
		pop3_set_state(s, states[s->state].line(s, info->data));
}

static void
on_secured(struct pop3_session *s)
{
	pop3_set_state(s, s->state == POP3_STLS_HANDSHAKE ? POP3_CAPA : POP3_GREETING);
}

/* A server that closes instead of answering QUIT has not told what became of the deletions. */
static void
on_failed(struct pop3_session *s, const struct verdict *why)
{
	s->why = *why;
	pop3_set_state(s, POP3_CLOSED);
}

static size_t
on_conn(struct conn *conn, enum conn_event event, const struct conn_info *info, void *arg)
{
	struct pop3_session *s = arg;
	size_t used = 0;

	(void)conn;
	s->dispatching = true;
	switch (event) {
	case CONN_CONNECTING:
		pop3_set_state(s, POP3_CONNECTING);
		break;
	case CONN_CONNECTED:
		pop3_set_state(
		    s, s->config->endpoint.tls == TLS_IMPLICIT ? POP3_HANDSHAKE : POP3_GREETING);
		break;
	case CONN_SECURED:
		on_secured(s);
		break;
	case CONN_LINE:
		on_line(s, info);
		break;
	case CONN_OCTETS:
		used = on_body_octets(s, info->data, info->len);
		break;
	case CONN_DRAINED:
		break;
	case CONN_FAILED:
		on_failed(s, info->why);
		break;
	}
	s->dispatching = false;
	if (s->quit_wanted && s->state == POP3_TRANSFER)
		pop3_set_state(s, POP3_QUIT);
	if (s->state == POP3_CLOSED)
		pop3_finish(s); /* may free the session: nothing of it is touched after this */
	return used;
}

/* -- what the owner calls -------------------------------------------------------------------- */

/*
 * From the first line on, for a server may say it in its greeting; and in the form of SASL PLAIN
 * (RFC 4616) too, whatever the mechanism will be.
 */
static void
hide_secret(struct pop3_session *s)
{
	const char *secret = secret_text(s->secret);
	const char *user = s->config->endpoint.user != NULL ? s->config->endpoint.user : "";
	struct str plain = STR_INIT;

	str_append(&plain, "", 1);
	str_append_text(&plain, user);
	str_append(&plain, "", 1);
	str_append(&plain, secret, secret_len(s->secret));
	transcript_hide(s->transcript, plain.data, plain.len);
	transcript_hide(s->transcript, secret, secret_len(s->secret));
	secret_wipe(plain.data, plain.cap);
	str_clear(&plain);
}

struct pop3_session *
pop3_session_new(
    const struct pop3_session_settings *settings, const struct pop3_handler *handler, void *arg)
{
	struct pop3_session *s = xcalloc(1, sizeof *s);
	const struct endpoint_config *endpoint = &settings->config->endpoint;

	s->base = settings->base;
	s->config = settings->config;
	s->transcript = settings->transcript;
	s->secret = settings->secret != NULL ? secret_ref(settings->secret) : NULL;
	s->deriver = settings->deriver;
	s->handler = handler;
	s->arg = arg;
	s->by_uid = true;
	s->listing = listing_new();
	s->state = POP3_RESOLVING;
	snprintf(s->server, sizeof s->server, "%s:%u", endpoint->host, endpoint->port);
	pop3_capabilities_init(&s->capabilities);
	s->window = pop3_window_new();

	const struct conn_settings conn = {
	    .endpoint = endpoint,
	    .transcript = s->transcript,
	    .line_max = POP3_LINE_MAX,
	    .silence = silence_of(s, SILENCE_SHORT),
	    .connect_budget = silence_of(s, CONNECT_BUDGET),
	    .deadline = endpoint->deadline,
	};
	if (s->secret != NULL)
		hide_secret(s);
	s->conn = conn_new(settings->net, &conn, on_conn, s);
	return s;
}

void
pop3_session_free(struct pop3_session **session)
{
	struct pop3_session *s = *session;

	*session = NULL;
	if (s == NULL)
		return;
	conn_free(&s->conn);
	if (s->failing != NULL)
		event_free(s->failing);
	pop3_login_free(&s->login);
	pop3_window_free(&s->window);
	listing_free(&s->listing);
	secret_unref(&s->secret);
	free(s);
}

void
pop3_session_go(struct pop3_session *s)
{
	if (s->state == POP3_TRANSFER || s->state == POP3_BODY)
		pop3_fill_window(s);
}

void
pop3_session_delete(struct pop3_session *s, uint32_t number)
{
	pop3_window_want_delete(s->window, number);
}

void
pop3_session_quit(struct pop3_session *s)
{
	s->quit_wanted = true;
	if (!s->dispatching && s->state == POP3_TRANSFER)
		pop3_set_state(s, POP3_QUIT);
}

static void
failing_cb(evutil_socket_t fd, short what, void *arg)
{
	struct pop3_session *s = arg;

	(void)fd;
	(void)what;
	pop3_set_state(s, POP3_CLOSED);
	pop3_finish(s);
}

void
pop3_session_fail(struct pop3_session *s, const struct verdict *why)
{
	if (s->failing != NULL || s->state == POP3_CLOSED)
		return;
	s->why = *why;
	pop3_hang_up(s);
	s->failing = event_new(s->base, -1, 0, failing_cb, s);
	event_active(s->failing, EV_TIMEOUT, 0);
}

void
pop3_session_pause(struct pop3_session *s)
{
	conn_pause(s->conn);
}

void
pop3_session_resume(struct pop3_session *s)
{
	conn_resume(s->conn);
}

bool
pop3_session_is_idle(const struct pop3_session *s)
{
	return s->state == POP3_TRANSFER && pop3_window_empty(s->window);
}

uint64_t
pop3_session_message_count(const struct pop3_session *s)
{
	return s->maildrop_count;
}

const char *
pop3_session_state(const struct pop3_session *s)
{
	return states[s->state].name;
}

uint64_t
pop3_session_octets_in(const struct pop3_session *s)
{
	return s->conn != NULL ? conn_octets_in(s->conn) : s->octets_in;
}

uint64_t
pop3_session_octets_out(const struct pop3_session *s)
{
	return s->conn != NULL ? conn_octets_out(s->conn) : s->octets_out;
}

int64_t
pop3_session_login_delay(const struct pop3_session *s)
{
	return s->capabilities.login_delay > 0 ? s->capabilities.login_delay * 1000 : 0;
}
