#include "model.h"

#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines that are awkward on the wire: dots, bare LF and CR, and what looks like a command. */
static void
append_line(struct model *m, struct str *text, int number)
{
	switch (model_below(m, 6)) {
	case 0:
		str_append_text(text, ".\r\n");
		break;
	case 1:
		str_appendf(text, "..m%d\n", number);
		break;
	case 2:
		str_append_text(text, "MAIL FROM:<nobody@example.org>\r\n");
		break;
	case 3:
		str_appendf(text, "a CR\rinside %u\r\n", model_below(m, 1000));
		break;
	default:
		str_appendf(text, "a line of m%d that is as long as many lines are\r\n", number);
	}
}

/* Mostly short; a few are more than waits for the kernel at a time (SMTP_BODY_AHEAD). */
static unsigned
choose_lines(struct model *m)
{
	if (model_below(m, 5) > 0)
		return model_below(m, 8);
	return model_below(m, 12) > 0 ? model_below(m, 100) : model_below(m, 7000);
}

static void
write_text(struct model *m, struct model_mail *mail)
{
	struct str text = STR_INIT;
	unsigned lines = choose_lines(m);

	str_appendf(&text, "Subject: message %d", mail->number);
	if (model_below(m, 20) == 0) /* more than a first chunk holds */
		for (unsigned i = 0; i < 60; i++)
			str_append_text(&text, " and so on");
	str_append_text(&text, model_below(m, 2) ? "\r\n" : "\n");
	while (lines-- > 0)
		append_line(m, &text, mail->number);
	if (model_below(m, 3) == 0)
		str_append_text(&text, "a line without an end");
	if (model_below(m, 50) == 0)
		str_truncate(&text, 0);
	mail->len = text.len;
	mail->text = text.data != NULL ? str_take(&text) : xcalloc(1, 1);
}

/* RFC 5321 section 2.3.8: lines end in CRLF, and neither CR nor LF is anywhere else. */
static void
write_wire(struct model_mail *mail)
{
	const char *at = mail->text, *end = at + mail->len;

	while (at < end) {
		size_t n = 0;

		while (at + n < end && at[n] != '\r' && at[n] != '\n')
			n++;
		str_append(&mail->wire, at, n);
		at += n;
		if (at == end || *at == '\n')
			str_append_text(&mail->wire, "\r\n");
		at++;
	}
}

static void
write_addresses(struct model *m, struct model_mail *mail)
{
	const char *utf8 = model_below(m, 12) == 0 ? "\xc3\xbc" : "";

	snprintf(mail->sender, sizeof mail->sender, "m%d@x.example", mail->number);
	mail->recipient_count = 1 + (model_below(m, 2) ? 0 : model_below(m, MODEL_RECIPIENTS_MAX));
	for (size_t i = 0; i < mail->recipient_count; i++) {
		snprintf(mail->addresses[i], sizeof mail->addresses[i], "r%zu.m%d%s@y.example", i,
		    mail->number, i % 2 ? utf8 : "");
		mail->open[i] = i;
	}
}

void
model_mail_prepare(struct model_mail *mail, size_t open_count)
{
	for (size_t i = 0; i < open_count; i++)
		mail->recipients[i] = mail->addresses[mail->open[i]];
	mail->message.recipient_count = open_count;
	mail->stand = open_count > 0 ? MODEL_WAITING : MODEL_OVER;
	mail->asked = mail->given_all = false;
	mail->has_begun = mail->text_came = mail->end_came = false;
	mail->given = 0;
}

static void
make_mail(struct model *m, struct model_mail *mail, int number)
{
	*mail = (struct model_mail){.number = number};
	write_text(m, mail);
	write_wire(mail);
	write_addresses(m, mail);
	mail->message = (struct smtp_message){
	    .sender = mail->sender,
	    .recipients = mail->recipients,
	    .size = model_below(m, 4) ? mail->wire.len : 0,
	    .eight_bit = model_below(m, 4) == 0,
	    .smtputf8 = model_below(m, 10) == 0,
	    .envid = model_below(m, 2) ? "an-envelope" : NULL,
	    .tag = mail,
	};
	model_mail_prepare(mail, mail->recipient_count);
}

void
model_make_mails(struct model *m)
{
	m->mail_count = 1 + model_below(m, model_below(m, 2) ? 6 : MODEL_MAILS_MAX);
	for (size_t i = 0; i < m->mail_count; i++)
		make_mail(m, &m->mails[i], (int)i);
}

void
model_free_mails(struct model *m)
{
	for (size_t i = 0; i < m->mail_count; i++) {
		free(m->mails[i].text);
		str_clear(&m->mails[i].wire);
	}
}
