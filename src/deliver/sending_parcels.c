#include "deliver/sending_internal.h"

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/advice.h"
#include "deliver/shortcomings.h"
#include "net/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages read ahead of their turn. */
enum { AHEAD_MAX = 4 };

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
		if (settle_is_due(message, &message->recipients[i]))
			parcel_add_open(p, i);
	TAILQ_INSERT_TAIL(&s->parcels, p, link);
	s->ahead_count++;
	parcel_read(p);
}

/* The message goes back to the owner, with what is known by now. */
static void
parcel_finish(struct parcel *p, const struct verdict *trouble)
{
	struct sending *s = p->sending;

	TAILQ_REMOVE(&s->parcels, p, link);
	s->ahead_count -= p->state != PARCEL_SENT;
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
	log_error("account=%s session=%s message=%s fate=deferred result=%s reason=\"%s\"",
	    p->message->account, p->sending->id, p->message->id, verdict_kind_name(why->kind),
	    why->text);
	settle_put_off(&p->settlement, why);
	parcel_finish(p, NULL);
}

static void
on_piece(const char *data, size_t len, bool end, const struct verdict *why, void *arg)
{
	struct parcel *p = arg;
	struct sending *s = p->sending;

	/* Nothing more is wanted of it, while many messages may wait for their fate. */
	if (end)
		outreader_close(&p->reader);
	if (p->state == PARCEL_SENT) {
		if (why->kind != FAIL_NONE)
			smtp_session_body_failed(s->session, &p->smtp, why);
		else
			smtp_session_body(s->session, &p->smtp, data, len, end);
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
	while (!s->stopping && s->ahead_count < AHEAD_MAX && s->taken < s->smtp->max_messages &&
	       (message = s->handler->take(s->arg)) != NULL) {
		s->taken++;
		parcel_new(s, message);
	}
}

/* -- what the session asks and tells ----------------------------------------------------------- */

void
sending_on_ready(void *arg)
{
	take_parcels(arg);
}

/* In order, so that one message that is slow to read does not let others starve it. */
bool
sending_on_next(const struct smtp_message **message, void *arg)
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
	s->ahead_count--;
	s->result.messages++;
	*message = &p->smtp;
	return true;
}

void
sending_on_body(const struct smtp_message *message, void *arg)
{
	struct sending *s = arg;
	struct parcel *p = message->tag;
	char *piece = p->piece;

	if (piece == NULL) {
		outreader_next(p->reader, on_piece, p);
		return;
	}
	p->piece = NULL;
	smtp_session_body(s->session, message, piece, p->piece_len, p->piece_is_last);
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

/* Whoever only waits for the next transaction has no fate yet. */
static void
note_result(struct parcel *p, size_t recipient, const struct smtp_result *result)
{
	settle_note(&p->settlement, recipient, result);
	p->sending->result.recipients += result->fate == SMTP_SENT;
	if (result->again)
		parcel_add_open(p, recipient);
	else
		log_recipient(p, p->message->recipients[recipient].address, result);
}

static void
note_results(struct parcel *p, const struct smtp_result *results)
{
	struct sending *s = p->sending;
	size_t open = p->open_count;
	bool accepted = false;

	for (size_t i = 0; i < p->count; i++) {
		note_result(p, p->open[p->first + i], &results[i]);
		accepted |= results[i].fate == SMTP_SENT;
		p->smtp.without |= results[i].without;
	}
	if (p->open_count > open)
		log_debug(
		    "account=%s session=%s message=%s %zu recipients follow in another transaction",
		    p->message->account, s->id, p->message->id, p->open_count - open);
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

void
sending_on_done(const struct smtp_message *message, const struct smtp_result *results, void *arg)
{
	struct parcel *p = message->tag;
	struct sending *s = arg;

	note_results(p, results);
	p->first += p->count;
	if (p->first < p->open_count) {
		s->ahead_count++;
		parcel_read(p);
	} else
		parcel_finish(p, NULL);
	/* The fate that was waited for is here; the next envelope left before the stop. */
	if (s->stopping && has_sent(s) && !sending_awaits_fate(s))
		smtp_session_stop(s->session);
}

void
sending_on_falls_short(enum smtp_shortcoming what, const struct smtp_result *result, void *arg)
{
	struct sending *s = arg;

	s->result.lacking |= what;
	log_warning("account=%s session=%s the server offers %s and cannot do it: \"%s\"; it is "
		    "gone on without",
	    s->settings.account->name, s->id, shortcomings_name(what), result->text);
}

void
sending_on_idle(void *arg)
{
	struct sending *s = arg;

	take_parcels(s);
	if (TAILQ_EMPTY(&s->parcels) || s->stopping)
		smtp_session_quit(s->session);
}

/* -- taken back -------------------------------------------------------------------------------- */

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
sending_return_all(struct sending *s, const struct verdict *trouble)
{
	struct parcel *p;

	while ((p = TAILQ_FIRST(&s->parcels)) != NULL)
		parcel_finish(p, trouble);
}
