#include "deliver/settle.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/advice.h"
#include "deliver/report.h"
#include "deliver/retry.h"
#include "net/address.h"

#include <stdlib.h>
#include <string.h>

bool
settle_is_open(const struct outqueue_recipient *recipient)
{
	return recipient->state == OUTQUEUE_PENDING || recipient->state == OUTQUEUE_UNKNOWN;
}

bool
settle_is_due(const struct outmessage *message, const struct outqueue_recipient *recipient)
{
	bool waits =
	    recipient->state == OUTQUEUE_UNKNOWN && message->unknown_until > message->next_attempt;

	return settle_is_open(recipient) && !waits;
}

void
settle_begin(struct settlement *settlement, struct outmessage *message)
{
	*settlement = (struct settlement){.message = message};
	settlement->marks = xcalloc(message->recipient_count + 1, sizeof *settlement->marks);
	for (size_t i = 0; i < message->recipient_count; i++) {
		enum outqueue_state state = message->recipients[i].state;

		settlement->had_sent = settlement->had_sent || state == OUTQUEUE_SENT;
		settlement->marks[i].was_unknown = state == OUTQUEUE_UNKNOWN;
	}
}

void
settle_clear(struct settlement *settlement)
{
	free(settlement->marks);
	free(settlement->put_off);
	free(settlement->last_error);
	str_clear(&settlement->reason);
	str_clear(&settlement->report);
	str_clear(&settlement->report_end);
	*settlement = (struct settlement){0};
}

/* The code stands in for an enhanced one that is not there; a sent message needs none. */
static struct smtp_status
read_status(const struct smtp_result *result)
{
	struct smtp_status status;

	if (smtp_status_parse(result->status, strlen(result->status), &status) > 0)
		return status;
	status = (struct smtp_status){0};
	if (result->code >= 400 && result->code < 600)
		status.class = (unsigned)result->code / 100;
	return status;
}

/* Whether a further word about a recipient in the same attempt makes the earlier one obsolete. */
static bool
is_final(enum smtp_fate earlier, enum smtp_fate later)
{
	if (earlier == SMTP_UNKNOWN)
		return later != SMTP_SENT && later != SMTP_REFUSED;
	return earlier == SMTP_SENT || earlier == SMTP_REFUSED;
}

static enum outqueue_state
state_after(enum outqueue_state before, enum smtp_fate fate)
{
	switch (fate) {
	case SMTP_SENT:
		return OUTQUEUE_SENT;
	case SMTP_REFUSED:
		return OUTQUEUE_FAILED;
	case SMTP_UNKNOWN:
		return OUTQUEUE_UNKNOWN;
	case SMTP_DEFERRED:
	case SMTP_UNTRIED:
		break;
	}
	return before;
}

void
settle_note(struct settlement *settlement, size_t recipient, const struct smtp_result *result)
{
	struct settle_mark *mark = &settlement->marks[recipient];
	struct outqueue_recipient *r = &settlement->message->recipients[recipient];

	if (result->fate == SMTP_UNTRIED || (!mark->is_noted && !settle_is_open(r)))
		return;
	if (mark->is_noted && is_final(mark->fate, result->fate))
		return;
	*mark = (struct settle_mark){
	    .fate = result->fate,
	    .is_noted = true,
	    .again = result->again && result->fate == SMTP_DEFERRED,
	    .was_unknown = mark->was_unknown || r->state == OUTQUEUE_UNKNOWN,
	    .is_local = result->code == 0,
	    .status = read_status(result),
	    .stage = result->stage,
	    .advice = result->code != 0 ? advice_on_result(result) : NULL,
	};
	free(r->reply);
	r->reply = *result->text != '\0' ? xstrdup(result->text) : NULL;
	r->state = state_after(r->state, result->fate);
}

static void
give_up(struct outqueue_recipient *r, struct settle_mark *mark, int64_t after)
{
	struct str reply = STR_INIT;

	str_append_text(&reply, "given up after ");
	report_append_duration(&reply, after);
	if (r->reply != NULL) {
		str_append_text(&reply, ": ");
		mark->words = reply.len;
		str_append_text(&reply, r->reply);
	} else {
		mark->words = reply.len;
	}
	free(r->reply);
	r->reply = str_take(&reply);
	r->state = OUTQUEUE_FAILED;
	mark->gave_up = true;
}

bool
settle_is_noted(const struct settlement *settlement, size_t recipient)
{
	return settlement->marks[recipient].is_noted;
}

void
settle_put_off(struct settlement *settlement, const struct verdict *why)
{
	if (settlement->put_off == NULL)
		settlement->put_off = xmalloc(sizeof *settlement->put_off);
	*settlement->put_off = *why;
	settlement->is_put_off = true;
}

static bool
has_reached_mail(const struct settlement *s)
{
	for (size_t i = 0; i < s->message->recipient_count; i++)
		if (s->marks[i].is_noted)
			return true;
	return false;
}

static size_t
count_open(const struct outmessage *message)
{
	size_t count = 0;

	for (size_t i = 0; i < message->recipient_count; i++)
		count += settle_is_open(&message->recipients[i]);
	return count;
}

static bool
has_fate(const struct settlement *s, enum smtp_fate fate)
{
	for (size_t i = 0; i < s->message->recipient_count; i++)
		if (s->marks[i].is_noted && s->marks[i].fate == fate)
			return true;
	return false;
}

/* Another answer ends the row of those who got it; who waits for the next try has had none. */
static unsigned
count_unknowns(const struct settlement *s)
{
	const struct outmessage *m = s->message;
	bool again = false, waits = false;

	for (size_t i = 0; i < m->recipient_count; i++) {
		const struct settle_mark *mark = &s->marks[i];

		if (mark->is_noted && mark->fate == SMTP_UNKNOWN)
			again |= mark->was_unknown;
		else if (!mark->is_noted)
			waits |= m->recipients[i].state == OUTQUEUE_UNKNOWN;
	}
	if (again)
		return m->unknowns + 1;
	if (waits && m->unknowns > 0)
		return m->unknowns;
	return has_fate(s, SMTP_UNKNOWN) ? 1 : 0;
}

/*
 * The age that ends in giving up begins with the first attempt that reached MAIL: no day that the
 * account was in trouble, or that the message was to wait, is held against a message.
 */
static void
count_attempt(struct settlement *s, const struct settle_context *c)
{
	struct outmessage *m = s->message;

	m->attempts++;
	m->not_before = 0;
	if (m->first_tried == 0)
		m->first_tried = c->now;
	m->unknowns = count_unknowns(s);
}

static void
count_fates(struct settlement *s, const struct settle_context *c)
{
	struct outmessage *m = s->message;
	bool too_old = retry_gives_up(c->retry, m->first_tried, m->attempts, c->now);

	for (size_t i = 0; i < m->recipient_count; i++) {
		struct settle_mark *mark = &s->marks[i];
		bool deferred = mark->is_noted && mark->fate == SMTP_DEFERRED && !mark->again;

		if (deferred && too_old)
			give_up(&m->recipients[i], mark, c->retry->give_up);
		if (!mark->is_noted)
			continue;
		s->sent += mark->fate == SMTP_SENT;
		s->refused += mark->fate == SMTP_REFUSED;
		s->unknown += mark->fate == SMTP_UNKNOWN;
		s->gave_up += mark->gave_up;
		s->deferred += deferred && !mark->gave_up;
	}
	s->is_first_sent = s->sent > 0 && !s->had_sent;
	s->is_over = count_open(m) == 0;
}

/* Since when the message waits. */
static int64_t
find_waiting_since(const struct outmessage *message)
{
	if (message->first_tried != 0)
		return message->first_tried;
	return message->not_before > message->queued ? message->not_before : message->queued;
}

/*
 * Somebody is to be tried again who is not in doubt.  As settle_is_due() has it, not as the answer
 * was: who is put off after a fate that was unknown is in doubt still.
 */
static bool
has_others(const struct outmessage *m)
{
	for (size_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].state == OUTQUEUE_PENDING)
			return true;
	return false;
}

/*
 * Those that were not tried, or are to be tried again at once, do not wait for nothing.  No count
 * of its own tells how long a message that cannot be read is to wait: its age does.
 */
static int64_t
find_delay(const struct settlement *s, const struct settle_context *c)
{
	if (s->deferred > 0)
		return retry_delay(c->retry, s->message->attempts, c->random);
	if (s->is_put_off)
		return retry_bounded(c->retry, c->now - find_waiting_since(s->message));
	return 0;
}

/* Those whose fate is unknown have a pace of their own. */
static void
plan_next_attempt(struct settlement *s, const struct settle_context *c)
{
	struct outmessage *m = s->message;
	bool others = has_others(m);
	int64_t delay;

	if (s->unknown > 0) {
		s->is_held = !retry_unknown_delay(m->unknowns, c->random, &delay);
		m->unknown_until = s->is_held ? 0 : c->now + delay;
	} else if (m->unknowns == 0) {
		m->unknown_until = 0;
	}
	m->next_attempt = c->now + find_delay(s, c);
	if (m->next_attempt < m->not_before)
		m->next_attempt = m->not_before;
	if (m->unknown_until > c->now && (!others || m->unknown_until < m->next_attempt))
		m->next_attempt = m->unknown_until;
}

/* The account's trouble, or NULL. */
static const struct verdict *
find_account_trouble(const struct settle_context *c)
{
	return c->trouble != NULL && c->trouble->kind != FAIL_NONE ? c->trouble : NULL;
}

static const struct verdict *
find_trouble(const struct settlement *s, const struct settle_context *c)
{
	const struct verdict *trouble = find_account_trouble(c);

	return trouble == NULL ? s->put_off : trouble;
}

static bool
is_told(const struct outmessage *message)
{
	return !message->bounce && *message->sender != '\0';
}

/* A notice by mail waits with the rest of the account: one of them is enough. */
bool
settle_owes_notice(const struct outmessage *message, const struct settle_context *context)
{
	bool repeats =
	    find_account_trouble(context) != NULL && context->account->smtp->bounce_maildir != NULL;

	return is_told(message) && count_open(message) > 0 &&
	       retry_warns(context->retry, find_waiting_since(message), message->warned, repeats,
		   context->now);
}

/* Which recipients of this attempt a report tells of, and as what; false: this one not at all. */
static bool
find_report_fate(const struct settlement *s, size_t i, enum report_fate *fate)
{
	const struct settle_mark *mark = &s->marks[i];
	const struct outqueue_recipient *r = &s->message->recipients[i];

	if (mark->is_noted && r->state == OUTQUEUE_FAILED)
		*fate = REPORT_FAILED;
	else if (s->is_held && r->state == OUTQUEUE_UNKNOWN)
		*fate = REPORT_PERHAPS;
	else if ((s->is_held || s->is_warned) && settle_is_open(r))
		*fate = REPORT_DELAYED;
	else
		return false;
	return true;
}

/* RFC 3463 section 3.4: mail system status. */
static struct report_recipient
describe_put_off(const struct settlement *s, size_t i)
{
	return (struct report_recipient){
	    .address = s->message->recipients[i].address,
	    .fate = REPORT_DELAYED,
	    .status = {4, 3, 0},
	    .words = s->put_off->text,
	    .stage = s->put_off->stage,
	    .is_local = true,
	};
}

static struct report_recipient
describe_recipient(const struct settlement *s, size_t i, enum report_fate fate)
{
	const struct settle_mark *mark = &s->marks[i];
	const struct outqueue_recipient *r = &s->message->recipients[i];

	if (s->is_put_off && !mark->is_noted && fate == REPORT_DELAYED)
		return describe_put_off(s, i);
	return (struct report_recipient){
	    .address = r->address,
	    .fate = fate,
	    .status = mark->status,
	    .words = mark->is_noted && r->reply != NULL ? r->reply + mark->words : NULL,
	    .stage = mark->stage,
	    .is_local = mark->is_local,
	    .gave_up = mark->gave_up,
	    .perhaps_before = mark->was_unknown,
	    .is_tried = mark->is_noted,
	};
}

static void
write_report(struct settlement *s, const struct settle_context *c,
    const struct report_recipient *recipients, size_t count)
{
	const struct smtp_config *smtp = c->account->smtp;
	struct outqueue_decision *d = &s->decision;
	const struct verdict *trouble = find_account_trouble(c);
	bool limited =
	    trouble == NULL && !s->is_held && !s->is_put_off && s->message->first_tried != 0;
	struct report report = {
	    .message = s->message,
	    .account = c->account,
	    .recipients = recipients,
	    .recipient_count = count,
	    .trouble = trouble,
	    .now = c->now,
	    .give_up = c->retry->give_up,
	    .retry_until = limited ? s->message->first_tried + c->retry->give_up : 0,
	    .host = c->host,
	    .unique = c->unique,
	};
	enum dsn_original original = report_write(&report, &s->report, &s->report_end);

	d->report = str_text(&s->report);
	d->report_len = s->report.len;
	d->report_end = str_text(&s->report_end);
	d->report_has_original = original == DSN_MESSAGE;
	d->report_has_header = original == DSN_HEADER;
	d->report_maildir = smtp->bounce_maildir;
	d->report_account = s->message->account;
	d->report_recipient = smtp->bounce_to != NULL ? smtp->bounce_to : s->message->sender;
}

static void
tell_sender(struct settlement *s, const struct settle_context *c)
{
	size_t count = 0, all = s->message->recipient_count;
	struct report_recipient *recipients;
	enum report_fate fate;

	if (!is_told(s->message))
		return;
	recipients = xcalloc(all + 1, sizeof *recipients);
	for (size_t i = 0; i < all; i++)
		if (find_report_fate(s, i, &fate))
			recipients[count++] = describe_recipient(s, i, fate);
	if (count > 0)
		write_report(s, c, recipients, count);
	free(recipients);
}

/* The first recipient with that fate, of whom something was said. */
static bool
find_fate(const struct settlement *s, enum smtp_fate fate, size_t *recipient)
{
	for (size_t i = 0; i < s->message->recipient_count; i++) {
		if (!s->marks[i].is_noted || s->marks[i].fate != fate ||
		    s->message->recipients[i].reply == NULL)
			continue;
		*recipient = i;
		return true;
	}
	return false;
}

/* A reply does not say who gave it, nor what follows from it; our own words do. */
static char *
explain_reply(const struct settlement *s, const struct settle_context *c, size_t recipient)
{
	const struct endpoint_config *endpoint = &c->account->smtp->endpoint;
	const struct outqueue_recipient *r = &s->message->recipients[recipient];
	const struct settle_mark *mark = &s->marks[recipient];
	char server[300];

	if (mark->advice == NULL)
		return xstrdup(r->reply);
	address_server_text(server, sizeof server, endpoint->host, endpoint->port);
	return xasprintf("%s, of %s: \"%s\"; %s", server, r->address, r->reply, mark->advice);
}

static void
note_last_error(struct settlement *s, const struct settle_context *c)
{
	static const enum smtp_fate order[] = {SMTP_UNKNOWN, SMTP_DEFERRED, SMTP_REFUSED};
	size_t recipient;

	if (s->trouble != NULL) {
		s->last_error = xstrdup(s->trouble->text);
		return;
	}
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (!find_fate(s, order[i], &recipient))
			continue;
		s->last_error = explain_reply(s, c, recipient);
		return;
	}
}

static void
fill_decision(struct settlement *s, const struct settle_context *c)
{
	struct outqueue_decision *d = &s->decision;
	const struct outmessage *m = s->message;
	const char *sent_maildir = c->account->smtp->sent_maildir;
	bool failed = false;

	for (size_t i = 0; i < m->recipient_count; i++)
		failed = failed || m->recipients[i].state == OUTQUEUE_FAILED;
	note_last_error(s, c);
	if (s->is_over && failed)
		report_append_reason(m, &s->reason);
	d->message = m;
	d->next_attempt = m->next_attempt;
	d->held = s->is_held;
	d->last_error = s->last_error;
	d->reason = s->reason.len > 0 ? str_text(&s->reason) : NULL;
	d->maildir_mode = c->account->maildir_mode;
	d->sent_maildir =
	    s->is_first_sent && !m->bounce && sent_maildir != NULL ? sent_maildir : "";
	d->sent_rewrite = (struct outreader_rewrite){
	    .from = *m->sender != '\0' ? m->sender : NULL,
	    .header_from = c->account->smtp->header_from,
	    .local_domain = c->local_domain,
	};
}

void
settle_finish(struct settlement *settlement, const struct settle_context *context)
{
	struct settlement *s = settlement;
	bool reached = has_reached_mail(s);

	s->trouble = find_trouble(s, context);
	if (reached) {
		count_attempt(s, context);
		count_fates(s, context);
	}
	if (reached || s->is_put_off)
		plan_next_attempt(s, context);
	s->is_over = count_open(s->message) == 0;
	s->is_warned = !s->is_held && settle_owes_notice(s->message, context);
	tell_sender(s, context);
	if (s->is_warned)
		s->message->warned = context->now;
	s->is_needed = reached || s->is_put_off || s->is_warned;
	fill_decision(s, context);
}
