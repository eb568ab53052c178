#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* -- EHLO, RSET -------------------------------------------------------------------------------- */

static void
offer(struct model *m, bool offers, const char *keyword)
{
	if (offers)
		str_appendf(&m->server.out, "250-%s\r\n", keyword);
}

static void
on_ehlo(struct model *m)
{
	struct model_server *s = &m->server;

	str_append_text(&s->out, "250-model.example\r\n");
	offer(m, s->pipelining, "PIPELINING");
	offer(m, s->chunking, "CHUNKING");
	offer(m, s->eight_bit, "8BITMIME");
	offer(m, s->dsn, "DSN");
	offer(m, s->utf8, "SMTPUTF8");
	if (s->size)
		str_appendf(&s->out, "250-SIZE %" PRIu64 "\r\n", s->size_limit);
	if (s->tells_limits && s->recipients_max > 0)
		str_appendf(&s->out, "250-LIMITS RCPTMAX=%zu\r\n", s->recipients_max);
	str_append_text(&s->out, "250 HELP\r\n");
}

static void
on_rset(struct model *m)
{
	struct model_server *s = &m->server;

	if (model_fails_at(m, "RSET"))
		return;
	if (model_chance(m, s->trouble / 4)) {
		s->is_lax = true;
		MODEL_ANSWER_ONE_OF(m, "RSET", "500 5.5.1", "450 4.0.0", "503");
		return;
	}
	model_end_transaction(s);
	s->needs_rset = false;
	model_answer(m, "250 2.0.0", "RSET");
}

/* -- MAIL, RCPT -------------------------------------------------------------------------------- */

static bool
has_options(const char *line)
{
	return strstr(line, " SIZE=") != NULL || strstr(line, " BODY=") != NULL ||
	       strstr(line, " RET=") != NULL || strstr(line, " ENVID=") != NULL ||
	       strstr(line, " NOTIFY=") != NULL || strstr(line, " ORCPT=") != NULL;
}

/* Nothing that is not offered, nor what the server refused from this message before. */
static void
check_parameters(const struct model *m, const char *line)
{
	const struct model_server *s = &m->server;
	unsigned without = m->mails[s->about].message.without;
	bool dsn = strstr(line, " RET=") != NULL || strstr(line, " NOTIFY=") != NULL;
	bool utf8 = strstr(line, " SMTPUTF8") != NULL;

	if ((dsn && !s->dsn) || (utf8 && !s->utf8) ||
	    (strstr(line, " SIZE=") != NULL && !s->size) ||
	    (strstr(line, " BODY=") != NULL && !s->eight_bit))
		model_broken(m, "a parameter is used that is not offered: %s", line);
	if ((has_options(line) && (without & SMTP_SHORT_PARAMETERS)) ||
	    (utf8 && (without & SMTP_SHORT_SMTPUTF8)))
		model_broken(m, "a parameter is used again: %s", line);
}

/* RFC 5321 section 4.1.1.11: the server does not know what it offers. */
static bool
minds_parameters(struct model *m, const char *line, const char *what)
{
	const struct model_server *s = &m->server;
	bool utf8 = strstr(line, " SMTPUTF8") != NULL;

	if (!(has_options(line) && !s->knows_parameters) && !(utf8 && !s->knows_utf8))
		return false;
	MODEL_ANSWER_ONE_OF(m, what, "555 5.5.4", "501 5.5.4", "501", "504 5.5.4");
	return true;
}

static void
begin_transaction(struct model *m)
{
	struct model_server *s = &m->server;

	s->mail = &m->mails[s->about];
	s->mail->has_begun = true;
	s->accepted_count = 0;
	memset(s->accepted, 0, sizeof s->accepted);
	str_truncate(&s->text, 0);
	model_answer(m, "250 2.1.0", "MAIL");
}

/*
 * False when it is a line of a text: one that is told more than it asked may send that to a server
 * that does not know BDAT.
 */
static bool
read_mail(struct model *m, const char *line)
{
	struct model_server *s = &m->server;
	int number;

	if (sscanf(line, "MAIL FROM:<m%d@", &number) != 1) {
		if (!s->is_wild || s->knows_bdat)
			model_broken(m, "MAIL for no mail of ours: %s", line);
		model_answer(m, "500 5.5.1", "BDAT");
		return false;
	}
	s->about = number;
	if (++s->mails > m->config.max_messages)
		model_broken(m, "more than max_messages on one connection");
	return true;
}

static void
on_mail(struct model *m, const char *line)
{
	struct model_server *s = &m->server;

	if (!read_mail(m, line))
		return;
	check_parameters(m, line);
	if (model_fails_at(m, "MAIL"))
		return;
	if (s->mail != NULL || s->needs_rset) {
		if (!s->is_lax && !s->is_wild)
			model_broken(m, "MAIL of m%d is out of order", s->about);
		model_answer(m, "503 5.5.1", "MAIL");
		model_end_transaction(s);
	} else if (model_is_in_trouble(m)) {
		MODEL_ANSWER_ONE_OF(m, "MAIL", "450 4.2.0", "550 5.7.1", "450 4.3.2", "530 5.7.0",
		    "452 4.5.3", "503 5.5.1", "500 5.5.2", "555 5.5.4", "501 5.1.7");
	} else if (!minds_parameters(m, line, "MAIL")) {
		begin_transaction(m);
	}
}

static void
accept_recipient(struct model *m, int recipient, const char *what)
{
	struct model_server *s = &m->server;

	if (s->recipients_max > 0 && s->accepted_count >= s->recipients_max) {
		if (s->tells_limits)
			model_broken(m, "more recipients than the server takes at a time");
		MODEL_ANSWER_ONE_OF(m, what, "452 4.5.3", "452", "552", "550 5.5.3");
		return;
	}
	s->accepted[recipient] = true;
	s->accepted_count++;
	model_answer(m, "250 2.1.5", what);
}

static void
on_rcpt(struct model *m, const char *line)
{
	struct model_server *s = &m->server;
	int recipient = -1, number = -1;
	char what[16];

	if (sscanf(line, "RCPT TO:<r%d.m%d", &recipient, &number) != 2 || number != s->about)
		model_broken(m, "RCPT is not for m%d: %s", s->about, line);
	snprintf(what, sizeof what, "RCPT %d", recipient);
	check_parameters(m, line);
	if (model_fails_at(m, what))
		return;
	if (s->mail == NULL || s->mail->number != number)
		model_answer(m, "503 5.5.1", what);
	else if (model_chance(m, 2 * s->trouble))
		MODEL_ANSWER_ONE_OF(m, what, "450 4.2.0", "550 5.1.1", "450 4.3.2", "530 5.7.0",
		    "452 4.5.3", "552", "550 5.1.1", "555 5.5.4");
	else if (!minds_parameters(m, line, what))
		accept_recipient(m, recipient, what);
}

/* -- any of them ------------------------------------------------------------------------------- */

void
model_on_command(struct model *m, const char *line)
{
	struct model_server *s = &m->server;

	if (strcmp(line, "DATA") == 0 || strncmp(line, "BDAT ", 5) == 0)
		m->mails[s->about].text_came = true;
	if (strncmp(line, "EHLO ", 5) == 0) {
		on_ehlo(m);
	} else if (strcmp(line, "QUIT") == 0) {
		model_answer(m, "221", "QUIT");
		model_server_close(m, false);
	} else if (strcmp(line, "RSET") == 0) {
		on_rset(m);
	} else if (strncmp(line, "MAIL ", 5) == 0) {
		on_mail(m, line);
	} else if (strncmp(line, "RCPT ", 5) == 0) {
		on_rcpt(m, line);
	} else if (strcmp(line, "DATA") == 0) {
		model_on_data(m);
	} else if (strncmp(line, "BDAT ", 5) == 0 && s->chunking && s->knows_bdat) {
		model_on_bdat(m, line);
	} else {
		model_answer(m, "500 5.5.1", "BDAT"); /* not known, nor the lines of its text */
	}
}
