#include "model.h"
#include "../dialogue/paper_conn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- what is told of a recipient --------------------------------------------------------------- */

/*
 * Replies that may be told of recipients who were not named in the command: the server wants no
 * more of this transaction, or of this connection.
 */
static bool
speaks_of_all(const struct smtp_result *result)
{
	return result->code == 421 || result->code == 452 || result->code == 552 ||
	       strstr(result->status, ".3.2") != NULL || strstr(result->status, ".5.3") != NULL;
}

/* What the server says at the end of its replies: "550 5.1.1 m3 RCPT 2". */
struct quote {
	int number;
	char command[16];
	int recipient; /* below 0: none */
};

static struct quote
read_quote(const struct model *m, const struct smtp_result *result)
{
	struct quote quote = {.number = -1, .recipient = -1};
	const char *at = strstr(result->text, " m");

	if (at == NULL || atoi(result->text) != result->code ||
	    sscanf(at, " m%d %15s %d", &quote.number, quote.command, &quote.recipient) < 2)
		model_broken(m, "no such reply was given: %s", result->text);
	return quote;
}

/* RFC 5321 section 4.2.2: that a server does not know BDAT is no refusal of a message. */
static bool
is_about_bdat(const struct quote *quote, const struct smtp_result *result)
{
	return strcmp(quote->command, "BDAT") == 0 && result->code >= 500 && result->code <= 504;
}

/*
 * A quoted reply was said of that very command.  RSET, which names no mail, stands before the MAIL
 * that it is told of.
 */
static void
check_quote(const struct model *m, const struct model_mail *mail, size_t recipient,
    const struct smtp_result *result)
{
	struct quote quote = read_quote(m, result);

	if (quote.number != mail->number && strcmp(quote.command, "RSET") != 0)
		model_broken(m, "m%d has the reply of another: %s", mail->number, result->text);
	if (quote.recipient >= 0 && (size_t)quote.recipient != recipient && !speaks_of_all(result))
		model_broken(m, "m%d: recipient %zu has the reply of another: %s", mail->number,
		    recipient, result->text);
	if (is_about_bdat(&quote, result) && result->fate == SMTP_REFUSED)
		model_broken(
		    m, "m%d is refused for good, for the server does not know BDAT", mail->number);
}

/* Where no reply is quoted, the reason is true all the same. */
static void
check_reason(const struct model *m, const struct model_mail *mail, const struct smtp_result *result)
{
	bool is_put_off = strstr(result->text, "at a time") != NULL;
	size_t len = strlen(result->text);

	if (strstr(result->text, "ended before this message") != NULL && paper_conn_silence() >= 0)
		model_broken(m, "m%d: the connection has not ended", mail->number);
	if (len > 0 && result->text[len - 1] == ' ')
		model_broken(m, "m%d: half a reason: %s", mail->number, result->text);
	/* Whom a limit left out was not asked about; 421 may be held against the whole message. */
	if (is_put_off && mail->has_begun && !m->server.is_lax && !m->server.has_said_421 &&
	    !result->again && result->fate != SMTP_UNTRIED)
		model_broken(m, "m%d is put off, and nobody refused it", mail->number);
}

static void
check_unknown(struct model *m, const struct model_mail *mail)
{
	if (!mail->given_all || smtp_session_octets_out(m->session) < mail->end ||
	    (!m->server.closed && !mail->end_came))
		model_broken(m, "m%d is unknown, and its end had not left", mail->number);
	/* RFC 5321 section 3.8 */
	if (m->server.last_code == 421)
		model_broken(
		    m, "m%d is unknown, and the server looked at nothing behind 421", mail->number);
}

/* Who hangs up behind 421 cannot tell a server that would have stayed from one that closes. */
static bool
is_421_believed(const struct model *m)
{
	return m->owner.has_stopped && m->server.last_code == 421;
}

static void
check_fate(struct model *m, const struct model_mail *mail, size_t recipient,
    const struct smtp_result *result)
{
	bool taken = mail->taken[recipient];

	switch (result->fate) {
	case SMTP_SENT:
		if (!taken)
			model_broken(m, "m%d is sent, and was not taken", mail->number);
		break;
	case SMTP_UNKNOWN:
		check_unknown(m, mail);
		break;
	case SMTP_DEFERRED:
	case SMTP_REFUSED:
	case SMTP_UNTRIED:
		if (taken && !is_421_believed(m))
			model_broken(m, "m%d was taken, and has fate %d: %s", mail->number,
			    (int)result->fate, result->text);
		break;
	}
}

/* Of a text of which nothing has left, nobody has said a thing, not even in error. */
static void
check_text_came(
    const struct model *m, const struct model_mail *mail, const struct smtp_result *result)
{
	bool is_of_text = strcmp(result->stage, "data") == 0 || strcmp(result->stage, "dot") == 0;

	if (is_of_text && result->code > 0 && !mail->text_came && m->server.in.len == 0 &&
	    !m->server.closed)
		model_broken(
		    m, "m%d: nothing of its text has left: %s", mail->number, result->text);
}

/* A recipient that is put off by the server comes again only when another got through. */
static bool
is_anybody_through(const struct model_mail *mail, const struct smtp_result *results)
{
	for (size_t i = 0; i < mail->message.recipient_count; i++)
		if (results[i].fate == SMTP_SENT)
			return true;
	return false;
}

/*
 * Each of them takes something off: a recipient has its fate, or a parameter is left out.  So there
 * is an end.
 */
static void
check_again(const struct model *m, const struct model_mail *mail, const struct smtp_result *results)
{
	bool sent = is_anybody_through(mail, results);

	for (size_t i = 0; i < mail->message.recipient_count; i++) {
		const struct smtp_result *r = &results[i];

		if (r->again && r->fate != SMTP_DEFERRED)
			model_broken(m, "m%d: again, with fate %d", mail->number, (int)r->fate);
		if (r->again && r->code > 0 && !sent && (r->without & ~mail->message.without) == 0)
			model_broken(
			    m, "m%d: again, and nothing is other than before", mail->number);
	}
	if (mail->transactions > mail->recipient_count + 2)
		model_broken(m, "m%d goes round in circles", mail->number);
}

/* Who is told more than was asked cannot tell what is about what: little is sure then. */
static void
check_result(struct model *m, const struct model_mail *mail, size_t recipient,
    const struct smtp_result *result)
{
	if (*result->text == '\0' || result->stage == NULL)
		model_broken(m, "m%d: no reason for fate %d", mail->number, (int)result->fate);
	check_text_came(m, mail, result);
	if (m->server.is_wild)
		return;
	check_fate(m, mail, recipient, result);
	if (result->code > 0)
		check_quote(m, mail, recipient, result);
	else
		check_reason(m, mail, result);
}

void
model_check_results(
    struct model *m, const struct model_mail *mail, const struct smtp_result *results)
{
	check_again(m, mail, results);
	for (size_t i = 0; i < mail->message.recipient_count; i++)
		check_result(m, mail, mail->open[i], &results[i]);
}

/* -- what the server takes --------------------------------------------------------------------- */

static void
check_text(struct model *m, const struct model_mail *mail)
{
	const struct str *text = &m->server.text;

	if (text->len == mail->wire.len &&
	    memcmp(str_text(text), str_text(&mail->wire), text->len) == 0)
		return;
	model_broken(m, "the text of m%d is not what was given: %zu octets arrived, not %zu",
	    mail->number, text->len, mail->wire.len);
}

void
model_check_taken(struct model *m, const struct model_mail *mail)
{
	check_text(m, mail);
	if (mail->withdrawn)
		model_broken(m, "m%d was taken back, and is sent", mail->number);
	for (size_t i = 0; i < mail->recipient_count; i++) {
		if (!m->server.accepted[i])
			continue;
		if (mail->taken[i])
			model_broken(m, "m%d is sent twice to recipient %zu", mail->number, i);
		if (mail->is_told[i] && mail->fate[i] != SMTP_UNKNOWN && !m->server.is_wild)
			model_broken(m, "m%d is sent to recipient %zu, whose fate was told",
			    mail->number, i);
	}
}

/* -- what the owner is asked ------------------------------------------------------------------- */

void
model_check_asked(struct model *m, const struct model_mail *mail)
{
	if (mail->stand != MODEL_UNDER_WAY || m->owner.is_closed)
		model_broken(m, "body() for m%d, which is not under way", mail->number);
	if (mail->asked || mail->given_all)
		model_broken(m, "body() for m%d, of which nothing is missing", mail->number);
	if (mail->turn < m->owner.writing)
		model_broken(m, "body() for m%d, and the next has begun", mail->number);
}

void
model_check_closed(struct model *m)
{
	if (m->owner.is_closed)
		model_broken(m, "closed() twice");
	for (size_t i = 0; i < m->mail_count; i++)
		if (m->mails[i].stand == MODEL_UNDER_WAY)
			model_broken(m, "closed(), and no done() for m%d", m->mails[i].number);
}

/* -- time -------------------------------------------------------------------------------------- */

void
model_check_silence(struct model *m)
{
	const struct model_server *s = &m->server;
	int64_t silence = paper_conn_silence();
	bool awaits = paper_conn_waiting(NULL) > 0 || s->out.len > 0;

	if (silence < 0 || s->closed || s->is_wild)
		return;
	if (awaits && silence == 0)
		model_broken(m, "the server may be silent for ever, in state %s",
		    smtp_session_state(m->session));
	if (!awaits && silence > 0)
		model_broken(m, "the server has %" PRId64 " ms, and nothing to say, in state %s",
		    silence, smtp_session_state(m->session));
}
