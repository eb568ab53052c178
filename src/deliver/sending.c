#include "deliver/sending.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/events.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/advice.h"
#include "deliver/settle.h"
#include "deliver/smtp_session.h"
#include "net/address.h"
#include "net/transcript.h"
#include "queue/outqueue.h"
#include "store/record.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages in hand: the one on its way, and those read ahead of their turn. */
enum { PARCELS_MAX = 4 };

enum parcel_state {
	PARCEL_READING, /* its first piece is being read */
	PARCEL_READY,
	PARCEL_SENT /* given to the session; two at most, one behind the other */
};

/* A message in hand.  Owned by the sending. */
struct parcel {
	TAILQ_ENTRY(parcel) link;
	struct sending *sending;
	struct outmessage *message;
	struct settlement settlement;
	enum parcel_state state;

	size_t *open; /* recipients to be tried, by index; those to be tried again come behind */
	size_t open_count, open_cap;
	size_t first, count; /* of `open`: the transaction under way */
	const char **addresses;
	struct smtp_message smtp;

	struct outreader *reader;
	char *piece; /* the first one, NULL once it is given away */
	size_t piece_len;
	bool piece_is_last;
};

TAILQ_HEAD(parcel_list, parcel);

/* One owner: the outbox. */
struct sending {
	struct sending_settings settings;
	struct config *config; /* our reference */
	const struct smtp_config *smtp;
	char id[16];
	char server[300]; /* "host:port" */
	const struct sending_handler *handler;
	sending_cb *cb;
	void *arg;
	struct event *ended;

	int64_t since, since_mono;
	struct vault_request *secret_request;
	struct secret *secret;
	unsigned long held; /* generation of the secret, when it was there before; 0: fetched now */
	struct transcript *transcript;
	struct smtp_session *session;
	bool session_closed;
	bool stopping;
	struct parcel_list parcels;
	size_t parcel_count;
	unsigned taken; /* messages, since the beginning */
	struct sending_result result;
};

/* -- parcels ----------------------------------------------------------------------------------- */

static void
parcel_add_open(struct parcel *p, size_t recipient)
{
	if (p->open_count == p->open_cap) {
		p->open_cap = p->open_cap * 2 + 8;
		p->open = xreallocarray(p->open, p->open_cap, sizeof *p->open);
	}
	p->open[p->open_count++] = recipient;
}

static void on_piece(const char *data, size_t len, bool end, const struct verdict *why, void *arg);

static void
parcel_read(struct parcel *p)
{
	const struct local_config *local = p->sending->config->local;
	const struct outreader_rewrite rewrite = {
	    .from = p->message->sender[0] != '\0' ? p->message->sender : NULL,
	    .header_from = p->sending->smtp->header_from,
	    .local_domain = local != NULL ? local->domain : NULL,
	};

	p->state = PARCEL_READING;
	outreader_close(&p->reader);
	p->reader = outreader_open(p->sending->settings.queue, p->message, &rewrite);
	outreader_next(p->reader, on_piece, p);
}

static void
parcel_new(struct sending *s, struct outmessage *message)
{
	struct parcel *p = xcalloc(1, sizeof *p);

	p->sending = s;
	p->message = message;
	p->addresses = xcalloc(message->recipient_count, sizeof *p->addresses);
	settle_begin(&p->settlement, message);
	for (size_t i = 0; i < message->recipient_count; i++)
		if (settle_is_open(&message->recipients[i]))
			parcel_add_open(p, i);
	TAILQ_INSERT_TAIL(&s->parcels, p, link);
	s->parcel_count++;
	parcel_read(p);
}

/* The message goes back to the owner, with what is known by now. */
static void
parcel_finish(struct parcel *p, const struct verdict *trouble)
{
	struct sending *s = p->sending;

	TAILQ_REMOVE(&s->parcels, p, link);
	s->parcel_count--;
	outreader_close(&p->reader);
	s->handler->settled(p->message, &p->settlement, trouble, s->arg);
	free(p->piece);
	free(p->addresses);
	free(p->open);
	free(p);
}

/* The next transaction: as many of the open recipients as one takes. */
static void
parcel_prepare(struct parcel *p)
{
	size_t most = p->sending->smtp->max_recipients;

	p->count = p->open_count - p->first < most ? p->open_count - p->first : most;
	for (size_t i = 0; i < p->count; i++)
		p->addresses[i] = p->message->recipients[p->open[p->first + i]].address;
	p->smtp.sender = p->message->sender;
	p->smtp.recipients = p->addresses;
	p->smtp.recipient_count = p->count;
	p->smtp.size = p->piece_is_last ? p->piece_len : p->message->wire_size;
	p->smtp.eight_bit = p->message->is_8bit;
	p->smtp.smtputf8 = p->message->has_utf8_header;
	p->smtp.envid = p->message->id;
	p->smtp.tag = p;
	p->state = PARCEL_READY;
}

/* The message cannot be read here: it waits, and the daemon's log says why. */
static void
parcel_unreadable(struct parcel *p, const struct verdict *why)
{
	struct smtp_result result = {.fate = SMTP_DEFERRED, .stage = "read"};

	log_error("account=%s message=%s cannot be read: %s", p->message->account, p->message->id,
	    why->text);
	snprintf(result.text, sizeof result.text, "%s", why->text);
	for (size_t i = p->first; i < p->open_count; i++)
		settle_note(&p->settlement, p->open[i], &result);
	parcel_finish(p, NULL);
}

static void
on_piece(const char *data, size_t len, bool end, const struct verdict *why, void *arg)
{
	struct parcel *p = arg;
	struct sending *s = p->sending;

	if (p->state == PARCEL_SENT) {
		if (why->kind != FAIL_NONE)
			smtp_session_body_failed(s->session, why);
		else
			smtp_session_body(s->session, data, len, end);
		return;
	}
	if (why->kind != FAIL_NONE) {
		parcel_unreadable(p, why);
	} else {
		free(p->piece);
		p->piece = xmalloc(len + 1);
		memcpy(p->piece, data, len);
		p->piece_len = len;
		p->piece_is_last = end;
		parcel_prepare(p);
	}
	if (s->session != NULL && !s->session_closed)
		smtp_session_go(s->session);
}

static void
take_parcels(struct sending *s)
{
	struct outmessage *message;

	/* What this connection will not send is left for the next one. */
	while (!s->stopping && s->parcel_count < PARCELS_MAX && s->taken < s->smtp->max_messages &&
	       (message = s->handler->take(s->arg)) != NULL) {
		s->taken++;
		parcel_new(s, message);
	}
}

/* -- what the session asks and tells ------------------------------------------------------------
 */

static void
on_ready(void *arg)
{
	take_parcels(arg);
}

/* In order, so that one message that is slow to read does not let others starve it. */
static bool
on_next(const struct smtp_message **message, void *arg)
{
	struct sending *s = arg;
	struct parcel *p;

	take_parcels(s);
	p = TAILQ_FIRST(&s->parcels);
	while (p != NULL && p->state == PARCEL_SENT)
		p = TAILQ_NEXT(p, link);
	if (p == NULL || p->state != PARCEL_READY || s->stopping)
		return false;
	p->state = PARCEL_SENT;
	s->result.messages++;
	*message = &p->smtp;
	return true;
}

static void
on_body(const struct smtp_message *message, void *arg)
{
	struct sending *s = arg;
	struct parcel *p = message->tag;
	char *piece = p->piece;

	if (piece == NULL) {
		outreader_next(p->reader, on_piece, p);
		return;
	}
	p->piece = NULL;
	smtp_session_body(s->session, piece, p->piece_len, p->piece_is_last);
	free(piece);
}

static void
log_recipient(const struct parcel *p, const char *address, const struct smtp_result *result)
{
	static const char *const fates[] = {[SMTP_SENT] = "sent",
	    [SMTP_DEFERRED] = "deferred",
	    [SMTP_REFUSED] = "failed",
	    [SMTP_UNKNOWN] = "unknown",
	    [SMTP_UNTRIED] = "untried"};
	const struct endpoint_config *endpoint = &p->sending->smtp->endpoint;
	bool is_no = result->code >= 400;
	char server[300], shown[700];

	str_escape(shown, sizeof shown, address, strlen(address));
	address_server_text(server, sizeof server, endpoint->host, endpoint->port);
	log_info("account=%s session=%s message=%s sender=<%s> recipient=<%s> fate=%s reply=\"%s\" "
		 "server=%s%s%s%s",
	    p->message->account, p->sending->id, p->message->id, p->message->sender, shown,
	    fates[result->fate], result->text, server, is_no ? " advice=\"" : "",
	    is_no ? advice_on_result(result) : "", is_no ? "\"" : "");
}

static void
note_results(struct parcel *p, const struct smtp_result *results)
{
	struct sending *s = p->sending;
	bool accepted = false;

	for (size_t i = 0; i < p->count; i++) {
		size_t recipient = p->open[p->first + i];

		log_recipient(p, p->message->recipients[recipient].address, &results[i]);
		settle_note(&p->settlement, recipient, &results[i]);
		accepted |= results[i].fate == SMTP_SENT;
		s->result.recipients += results[i].fate == SMTP_SENT;
		if (results[i].again)
			parcel_add_open(p, recipient);
	}
	if (accepted)
		s->result.octets += p->smtp.size;
}

static bool
has_sent(const struct sending *s)
{
	const struct parcel *p;

	TAILQ_FOREACH (p, &s->parcels, link)
		if (p->state == PARCEL_SENT)
			return true;
	return false;
}

static void
on_done(const struct smtp_message *message, const struct smtp_result *results, void *arg)
{
	struct parcel *p = message->tag;
	struct sending *s = arg;

	note_results(p, results);
	p->first += p->count;
	if (p->first < p->open_count)
		parcel_read(p);
	else
		parcel_finish(p, NULL);
	/* The fate that was waited for is here; the next envelope left before the stop. */
	if (s->stopping && has_sent(s) && !sending_awaits_fate(s))
		smtp_session_stop(s->session);
}

static void
on_idle(void *arg)
{
	struct sending *s = arg;

	take_parcels(s);
	if (TAILQ_EMPTY(&s->parcels) || s->stopping)
		smtp_session_quit(s->session);
}

/* -- the end ------------------------------------------------------------------------------------
 */

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
	const struct verdict *trouble = s->result.why.kind != FAIL_NONE ? &s->result.why : NULL;
	struct parcel *p;

	if (s->ended != NULL)
		return;
	while ((p = TAILQ_FIRST(&s->parcels)) != NULL)
		parcel_finish(p, trouble);
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
	if (why->kind == FAIL_AUTH && why->hint != HINT_WEAKER && s->secret != NULL)
		note_refused_secret(s);
	if (s->stopping)
		s->result.stopped = true;
	else
		s->result.why = *why;
	sending_end(s);
}

/* -- the beginning ------------------------------------------------------------------------------
 */

static const struct smtp_handler smtp_handler = {
    .ready = on_ready,
    .next = on_next,
    .body = on_body,
    .done = on_done,
    .idle = on_idle,
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
	const struct smtp_session_settings session = {
	    .base = s->settings.base,
	    .net = s->settings.net,
	    .config = s->smtp,
	    .transcript = s->transcript,
	    .secret = s->secret,
	    .deriver = vault_deriver(s->settings.vault),
	    .helo = s->settings.helo,
	    .served = s->settings.record->mechanism,
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

/* False when its text may be on its way. */
static bool
parcel_take_back(struct parcel *p)
{
	return p->state != PARCEL_SENT || smtp_session_withdraw(p->sending->session, &p->smtp);
}

void
sending_withdraw(struct sending *s, const char *id)
{
	struct parcel *p, *next;

	TAILQ_FOREACH_SAFE (p, &s->parcels, link, next)
		if (strcmp(p->message->id, id) == 0 && p->first == 0 && parcel_take_back(p))
			parcel_finish(p, NULL);
	sending_go(s); /* those behind it may have waited for it */
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
