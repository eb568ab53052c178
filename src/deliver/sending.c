#include "deliver/sending_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/events.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/shortcomings.h"
#include "net/address.h"
#include "session/session.h"
#include "store/record.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* -- the end --------------------------------------------------------------------------------- */

static void
ended_cb(evutil_socket_t fd, short what, void *arg)
{
	struct sending *s = arg;

	(void)fd;
	(void)what;
	s->cb(&s->result, s->arg);
}

static void
tell(const struct sending *s, struct happening *happening)
{
	happening->account = s->settings.account->name;
	happening->session = s->id;
	happening->protocol = "smtp";
	happening->server = s->server;
	events_tell(s->settings.events, happening);
}

static void
tell_start(const struct sending *s)
{
	struct happening start = {.kind = HAPPENED_SESSION_START};

	tell(s, &start);
}

static void
tell_end(const struct sending *s)
{
	struct happening end = {
	    .kind = HAPPENED_SESSION_END,
	    .why = &s->result.why,
	    .stopped = s->result.stopped,
	    .sent = s->result.recipients,
	    .octets_in = sending_octets_in(s),
	    .octets_out = sending_octets_out(s),
	    .duration = clock_mono() - s->since_mono,
	};

	tell(s, &end);
}

static void
write_last_lines(struct sending *s)
{
	const struct sending_result *r = &s->result;
	const char *kind = r->stopped ? "stopped" : verdict_kind_name(r->why.kind);
	double seconds = (double)(clock_mono() - s->since_mono) / 1000;
	uint64_t out = sending_octets_out(s);

	if (r->why.kind != FAIL_NONE)
		transcript_note(s->transcript, "%s", r->why.text);
	transcript_note(s->transcript,
	    "closed: %s, %" PRIu64 " sent, %" PRIu64 " octets out, %.3f s", kind, r->recipients,
	    out, seconds);
	if (r->why.kind != FAIL_NONE)
		log_at(r->stale_token != 0 ? LOG_LEVEL_INFO
					   : record_level_of(s->settings.record, &r->why),
		    "account=%s session=%s protocol=smtp result=%s stage=%s sent=%" PRIu64
		    " failures=%u reason=\"%s\"",
		    s->settings.account->name, s->id, kind, r->why.stage, r->recipients,
		    s->settings.record->failures + 1, r->why.text);
	else
		log_info("account=%s session=%s protocol=smtp result=%s messages=%u sent=%" PRIu64
			 " octets=%" PRIu64 " seconds=%.3f",
		    s->settings.account->name, s->id, kind, r->messages, r->recipients, out,
		    seconds);
	tell_end(s);
}

static void
sending_end(struct sending *s)
{
	if (s->ended != NULL)
		return;
	sending_return_all(s, s->result.why.kind != FAIL_NONE ? &s->result.why : NULL);
	write_last_lines(s);
	transcript_close(&s->transcript);
	s->ended = event_new(s->settings.base, -1, 0, ended_cb, s);
	event_active(s->ended, EV_TIMEOUT, 0);
}

static void
note_refused_secret(struct sending *s)
{
	const struct secret_source *source = &s->smtp->endpoint.secret;

	vault_refused(s->settings.vault, source, s->secret);
	if (source->kind == SECRET_TOKEN_COMMAND)
		s->result.stale_token = s->held;
}

static void
on_closed(const struct verdict *why, bool slow, void *arg)
{
	struct sending *s = arg;

	s->session_closed = true;
	s->result.slow = slow;
	s->result.certificate_end = smtp_session_certificate_end(s->session);
	s->result.mechanism = smtp_session_mechanism(s->session);
	s->result.broke_on = smtp_session_broke_on(s->session);
	s->result.declined = smtp_session_declined(s->session);
	if (why->kind == FAIL_AUTH && why->hint != HINT_WEAKER && s->secret != NULL)
		note_refused_secret(s);
	if (s->stopping)
		s->result.stopped = true;
	else
		s->result.why = *why;
	sending_end(s);
}

/* -- the beginning --------------------------------------------------------------------------- */

static const struct smtp_handler smtp_handler = {
    .ready = sending_on_ready,
    .next = sending_on_next,
    .body = sending_on_body,
    .done = sending_on_done,
    .falls_short = sending_on_falls_short,
    .idle = sending_on_idle,
    .closed = on_closed,
};

static void
sending_connect(struct sending *s)
{
	const struct transcript_settings log = {
	    .directory = s->config->log.sessions,
	    .account = s->settings.account->name,
	    .protocol = "smtp",
	    .server = s->server,
	    .id = s->id,
	    .full = s->config->log.full,
	};
	s->transcript = transcript_open(s->settings.base, s->settings.log_worker, &log);
	session_note_left_out(s->transcript, s->settings.without, shortcomings_name);
	const struct smtp_session_settings session = {
	    .base = s->settings.base,
	    .net = s->settings.net,
	    .config = s->smtp,
	    .transcript = s->transcript,
	    .secret = s->secret,
	    .deriver = vault_deriver(s->settings.vault),
	    .helo = s->settings.helo,
	    .served = s->settings.record->mechanism,
	    .shortcomings = s->settings.without,
	    .declined = s->settings.declined,
	};
	s->session = smtp_session_new(&session, &smtp_handler, s);
}

static void
on_secret(struct secret *secret, const struct verdict *why, void *arg)
{
	struct sending *s = arg;

	s->secret_request = NULL;
	s->secret = secret;
	if (secret != NULL) {
		sending_connect(s);
		return;
	}
	s->result.why = *why;
	sending_end(s);
}

struct sending *
sending_new(const struct sending_settings *settings, const struct sending_handler *handler,
    sending_cb *cb, void *arg)
{
	struct sending *s = xcalloc(1, sizeof *s);
	const struct endpoint_config *endpoint = &settings->account->smtp->endpoint;

	s->settings = *settings;
	s->config = config_ref(settings->config);
	s->smtp = settings->account->smtp;
	snprintf(s->id, sizeof s->id, "%s", settings->id);
	address_server_text(s->server, sizeof s->server, endpoint->host, endpoint->port);
	s->handler = handler;
	s->cb = cb;
	s->arg = arg;
	s->since = clock_wall();
	s->since_mono = clock_mono();
	TAILQ_INIT(&s->parcels);
	tell_start(s);
	s->held = vault_generation(settings->vault, &endpoint->secret);
	if (endpoint->user != NULL && endpoint->secret.kind != SECRET_NONE)
		s->secret_request = vault_get(settings->vault, &endpoint->secret, on_secret, s);
	else
		sending_connect(s);
	return s;
}

void
sending_go(struct sending *s)
{
	if (s->session != NULL && !s->session_closed)
		smtp_session_go(s->session);
}

void
sending_stop(struct sending *s)
{
	if (s->stopping || s->session_closed)
		return;
	s->stopping = true;
	vault_cancel(&s->secret_request);
	if (s->session == NULL) {
		s->result.stopped = true;
		sending_end(s);
	} else if (!smtp_session_awaits_fate(s->session)) {
		smtp_session_stop(s->session);
	}
}

void
sending_abandon_fate(struct sending *s)
{
	struct verdict why;

	if (!sending_awaits_fate(s))
		return;
	verdict_fail(&why, FAIL_LOCAL, "dot", "the daemon stopped before the server answered");
	smtp_session_fail(s->session, &why);
}

void
sending_free(struct sending **sending)
{
	struct sending *s = *sending;

	*sending = NULL;
	if (s == NULL)
		return;
	smtp_session_free(&s->session);
	transcript_close(&s->transcript);
	secret_unref(&s->secret);
	if (s->ended != NULL)
		event_free(s->ended);
	config_unref(&s->config);
	free(s);
}

bool
sending_awaits_fate(const struct sending *s)
{
	return s->session != NULL && !s->session_closed && smtp_session_awaits_fate(s->session);
}

const struct account_config *
sending_account(const struct sending *s)
{
	return s->settings.account;
}

const char *
sending_state(const struct sending *s)
{
	return s->session != NULL ? smtp_session_state(s->session) : "resolving";
}

const char *
sending_id(const struct sending *s)
{
	return s->id;
}

int64_t
sending_since(const struct sending *s)
{
	return s->since;
}

uint64_t
sending_octets_in(const struct sending *s)
{
	return s->session != NULL ? smtp_session_octets_in(s->session) : 0;
}

uint64_t
sending_octets_out(const struct sending *s)
{
	return s->session != NULL ? smtp_session_octets_out(s->session) : 0;
}
