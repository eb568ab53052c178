#include "fetch/pop3_session_internal.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/transcript.h"
#include "session/sasl_exchange.h"
#include "store/listing.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pop3_state_row {
	const char *name;
	int64_t silence;
	void (*enter)(struct pop3_session *s);
	enum pop3_state (*line)(struct pop3_session *s, const char *line);
	bool many; /* lines of one answer, up to "." */
};

static const struct pop3_state_row states[POP3_STATE_COUNT];

enum pop3_state
pop3_fail(struct pop3_session *s, enum fail kind, const char *stage, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verdict_vfail(&s->why, kind, stage, format, ap);
	va_end(ap);
	return POP3_CLOSED;
}

enum pop3_state
pop3_garbage(struct pop3_session *s, const char *stage, const char *line)
{
	char shown[160];

	transcript_escape(s->transcript, shown, sizeof shown, line, strlen(line));
	return pop3_fail(s, FAIL_PROTOCOL, stage,
	    "%s: the answer is not POP3: \"%s\"; check host and port", s->server, shown);
}

/* True when a multi-line answer has more lines than it can have. */
bool
pop3_endless(struct pop3_session *s, const char *stage, uint64_t most)
{
	if (++s->lines <= most)
		return false;
	pop3_fail(s, FAIL_PROTOCOL, stage,
	    "%s: the answer to %s does not end after %" PRIu64 " lines", s->server, stage, most);
	return true;
}

enum pop3_state
pop3_refused(struct pop3_session *s, enum fail plain, const char *stage, const char *what,
    const struct pop3_reply *reply)
{
	pop3_refusal(&s->why, s->transcript, plain, stage, s->server, what, reply,
	    sasl_exchange_advice(&s->config->endpoint, NULL));
	return POP3_CLOSED;
}

int64_t
pop3_silence(const struct pop3_session *s, int64_t standard)
{
	return session_silence(&s->config->endpoint, standard);
}

static void
pop3_hang_up(struct pop3_session *s)
{
	pop3_login_free(&s->login); /* a derivation under way must not answer into what is gone */
	session_hang_up(&s->conn, &s->gone);
}

static void
pop3_finish(struct pop3_session *s)
{
	pop3_hang_up(s);
	s->handler->closed(&s->why, s->quit_ok, s->arg);
}

void
pop3_set_state(struct pop3_session *s, enum pop3_state state)
{
	/* CLOSED is final: a handler may have failed the session before it returned another state.
	 */
	if (state == s->state || s->state == POP3_CLOSED)
		return;
	if (state == POP3_CLOSED)
		s->broke_in = s->state;
	s->state = state;
	if (states[state].silence > 0 && s->conn != NULL)
		conn_set_silence(s->conn, pop3_silence(s, states[state].silence));
	if (states[state].enter != NULL)
		states[state].enter(s);
}

/* The order of the rows is the order of enum pop3_state. */
static const struct pop3_state_row states[POP3_STATE_COUNT] = {
    [POP3_RESOLVING] = {"resolving", 0, NULL, NULL, false},
    [POP3_CONNECTING] = {"connecting", 0, NULL, NULL, false},
    [POP3_HANDSHAKE] = {"handshake", SILENCE_SHORT, NULL, NULL, false},
    [POP3_GREETING] = {"connecting", SILENCE_SHORT, NULL, pop3_on_greeting, false},
    [POP3_CAPA] = {"connecting", SILENCE_SHORT, pop3_enter_capa, pop3_on_capa, false},
    [POP3_CAPA_ITEM] = {"connecting", SILENCE_SHORT, NULL, pop3_on_capa_item, true},
    [POP3_STLS] = {"handshake", SILENCE_SHORT, pop3_enter_stls, pop3_on_stls, false},
    [POP3_STLS_HANDSHAKE] = {"handshake", SILENCE_SHORT, NULL, NULL, false},
    [POP3_UTF8] = {"authenticating", SILENCE_SHORT, pop3_enter_utf8, pop3_on_utf8, false},
    [POP3_LOGIN] = {"authenticating", SILENCE_LONG, pop3_enter_login, pop3_on_login, false},
    [POP3_USER_CAPA] = {"listing", SILENCE_SHORT, pop3_enter_user_capa, pop3_on_user_capa, false},
    [POP3_USER_CAPA_ITEM] = {"listing", SILENCE_SHORT, NULL, pop3_on_user_capa_item, true},
    [POP3_STAT] = {"listing", SILENCE_LONG, pop3_enter_stat, pop3_on_stat, false},
    [POP3_UIDL] = {"listing", SILENCE_LONG, pop3_enter_uidl, pop3_on_uidl, false},
    [POP3_UIDL_ITEM] = {"listing", SILENCE_SHORT, NULL, pop3_on_uidl_item, true},
    [POP3_LIST] = {"listing", SILENCE_LONG, pop3_enter_list, pop3_on_list, false},
    [POP3_LIST_ITEM] = {"listing", SILENCE_SHORT, NULL, pop3_on_list_item, true},
    [POP3_TRANSFER] = {"fetching", 0, NULL, pop3_on_transfer, false},
    [POP3_BODY] = {"fetching", SILENCE_SHORT, pop3_enter_body, NULL, false},
    [POP3_QUIT] = {"fetching", SILENCE_LONG, pop3_enter_quit, pop3_on_quit, false},
    [POP3_CLOSED] = {"fetching", 0, NULL, NULL, false},
};

/* -- events of the connection ---------------------------------------------------------------- */

/* Some servers say -ERR to what they do not know, and hang up then. */
static void
note_survived_capa(struct pop3_session *s)
{
	if (!s->capa_refused)
		return;
	s->capa_refused = false;
	s->proven |= POP3_FEATURE_CAPA;
}

static void
on_line(struct pop3_session *s, const struct conn_info *info)
{
	note_survived_capa(s);
	/* A line of a listing completes nothing: a server could send one a minute for ever. */
	if (!states[s->state].many || strcmp(info->data, ".") == 0)
		conn_progress(s->conn);
	if (states[s->state].line == NULL || memchr(info->data, '\0', info->len) != NULL)
		pop3_set_state(s, pop3_garbage(s, states[s->state].name, info->data));
	else
		pop3_set_state(s, states[s->state].line(s, info->data));
}

static void
on_secured(struct pop3_session *s)
{
	pop3_set_state(s, s->state == POP3_STLS_HANDSHAKE ? pop3_ask_capa(s) : POP3_GREETING);
}

/* A server that closes instead of answering QUIT has not told what became of the deletions. */
static void
on_failed(struct pop3_session *s, const struct verdict *why)
{
	s->why = *why;
	if (s->state == POP3_LOGIN)
		pop3_login_explain_end(s->login, &s->why);
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
		s->certificate_end = session_certificate_end(s->conn, &s->config->endpoint);
		on_secured(s);
		break;
	case CONN_LINE:
		on_line(s, info);
		break;
	case CONN_OCTETS:
		used = pop3_on_body_octets(s, info->data, info->len);
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
	if (s->state == POP3_CLOSED && s->failing == NULL)
		pop3_finish(s); /* may free the session: nothing of it is touched after this */
	return used;
}

/* -- what the owner calls -------------------------------------------------------------------- */

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
	s->served = settings->served;
	s->without = settings->without;
	s->known_declined = settings->declined;
	s->handler = handler;
	s->arg = arg;
	s->by_uid = true;
	s->count_only = settings->count_only;
	s->listing = listing_new();
	s->state = POP3_RESOLVING;
	address_server_text(s->server, sizeof s->server, endpoint->host, endpoint->port);
	pop3_capabilities_init(&s->capabilities);
	s->window = pop3_window_new();

	const struct session_connect to = {
	    .net = settings->net,
	    .endpoint = endpoint,
	    .transcript = s->transcript,
	    .line_max = POP3_LINE_MAX,
	    .silence = SILENCE_SHORT,
	    .watch = settings->watch,
	};
	if (s->secret != NULL)
		sasl_exchange_hide_secret(s->transcript, endpoint->user, s->secret);
	s->conn = session_connect(&to, on_conn, s);
	return s;
}

void
pop3_session_free(struct pop3_session **session)
{
	struct pop3_session *s = *session;

	*session = NULL;
	if (s == NULL)
		return;
	pop3_hang_up(s);
	if (s->failing != NULL)
		event_free(s->failing);
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
	pop3_finish(s);
}

void
pop3_session_fail(struct pop3_session *s, const struct verdict *why)
{
	if (s->state == POP3_CLOSED)
		return;
	s->why = *why;
	pop3_set_state(s, POP3_CLOSED);
	pop3_hang_up(s);
	s->failing = event_new(s->base, -1, 0, failing_cb, s);
	event_active(s->failing, EV_TIMEOUT, 0);
}

void
pop3_session_pause(struct pop3_session *s)
{
	if (s->conn != NULL)
		conn_pause(s->conn);
}

void
pop3_session_resume(struct pop3_session *s)
{
	if (s->conn != NULL)
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
	return session_octets(s->conn, &s->gone).in;
}

uint64_t
pop3_session_octets_out(const struct pop3_session *s)
{
	return session_octets(s->conn, &s->gone).out;
}

int64_t
pop3_session_certificate_end(const struct pop3_session *s)
{
	return s->certificate_end;
}

const char *
pop3_session_mechanism(const struct pop3_session *s)
{
	return s->mechanism;
}

uint32_t
pop3_session_declined(const struct pop3_session *s)
{
	return s->declined;
}

/* Whoever asks for more than a day between logins has no mail for anybody. */
enum { LOGIN_DELAY_MOST = 24 * 3600 };

int64_t
pop3_session_login_delay(const struct pop3_session *s)
{
	int64_t seconds = s->capabilities.login_delay;

	if (seconds <= 0)
		return 0;
	return seconds < LOGIN_DELAY_MOST ? seconds * 1000 : LOGIN_DELAY_MOST * INT64_C(1000);
}

int64_t
pop3_session_expire(const struct pop3_session *s)
{
	return s->capabilities.expire;
}
