#include "deliver/smtp_session_internal.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/transcript.h"
#include "proto/rfc5322_domain.h"
#include "proto/smtp_address.h"
#include "proto/smtp_command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An IDN domain becomes A-labels; what is beyond ASCII after that needs SMTPUTF8.  free(3) it. */
static char *
to_ascii(const char *address)
{
	char *ascii = rfc5322_domain_address_to_ascii(address);

	return ascii != NULL ? ascii : xstrdup(address);
}

static bool
needs_utf8(const char *address)
{
	char *ascii = to_ascii(address);
	bool needs = !smtp_is_ascii(ascii);

	free(ascii);
	return needs;
}

static bool
message_needs_utf8(const struct smtp_message *m)
{
	bool needs = m->smtputf8 || needs_utf8(m->sender);

	for (size_t i = 0; i < m->recipient_count && !needs; i++)
		needs = needs_utf8(m->recipients[i]);
	return needs;
}

/* As it goes out in this transaction.  free(3) it. */
static char *
wire_address(const struct smtp_transaction *t, const char *address)
{
	return t->utf8 ? xstrdup(address) : to_ascii(address);
}

/* -- what is refused here --------------------------------------------------------------------- */

/* RFC 1870 section 6.1: a client need not offer what is larger than the server takes. */
static void
refuse_size(const struct smtp_session *s, struct smtp_transaction *t)
{
	const struct smtp_message *m = t->message;
	uint64_t limit = s->capabilities.size_limit;
	struct smtp_result result;

	if (limit == 0 || m->size <= limit)
		return;
	smtp_fate_from_text(&result, SMTP_REFUSED, "size", "5.3.4",
	    "the message has %" PRIu64 " octets, and %s takes no more than %" PRIu64, m->size,
	    s->server, limit);
	smtp_fate_decide_open(t, &result);
}

/* RFC 6531 section 3.2: who needs it cannot be reached; everybody, when the sender does. */
static void
refuse_utf8(const struct smtp_session *s, struct smtp_transaction *t)
{
	const struct smtp_message *m = t->message;
	bool sender = needs_utf8(m->sender);
	struct smtp_result result;

	smtp_fate_from_text(&result, SMTP_REFUSED, "smtputf8", "5.6.7",
	    "the %s's address is beyond ASCII, and %s does not offer SMTPUTF8, which carries it; "
	    "use an address in ASCII, or another server",
	    sender ? "sender" : "recipient", s->server);
	for (size_t i = 0; i < m->recipient_count; i++)
		if (t->stands[i] == SMTP_STAND_OPEN && (sender || needs_utf8(m->recipients[i])))
			smtp_fate_decide(t, i, &result);
}

/* RFC 9422 section 3.1: what is behind the limit goes into another transaction. */
static void
put_off_beyond_limit(const struct smtp_session *s, struct smtp_transaction *t)
{
	uint32_t limit = s->capabilities.rcpt_max;
	struct smtp_result result;
	size_t open = 0;

	smtp_fate_from_text(&result, SMTP_DEFERRED, "rcpt", "", "%s takes %u recipients at a time",
	    s->server, (unsigned)limit);
	result.again = true;
	for (size_t i = 0; i < t->message->recipient_count && limit > 0; i++)
		if (t->stands[i] == SMTP_STAND_OPEN && open++ >= limit)
			smtp_fate_decide(t, i, &result);
}

/* Domains that are told apart; a limit above that is kept as this one. */
enum { DOMAINS_MAX = 500 };

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? at + 1 : "";
}

/* True when it is one of them, or there is room for it to be. */
static bool
take_domain(const char *domains[], size_t *count, size_t most, const char *domain)
{
	for (size_t i = 0; i < *count; i++)
		if (strcasecmp(domains[i], domain) == 0)
			return true;
	if (*count == most)
		return false;
	domains[(*count)++] = domain;
	return true;
}

/* RFC 9422 section 3.3: the other domains go into another transaction. */
static void
put_off_other_domains(const struct smtp_session *s, struct smtp_transaction *t)
{
	const char *domains[DOMAINS_MAX];
	const struct smtp_message *m = t->message;
	uint32_t limit = s->capabilities.rcpt_domain_max;
	size_t most = limit < DOMAINS_MAX ? limit : DOMAINS_MAX, count = 0;
	struct smtp_result result;

	smtp_fate_from_text(&result, SMTP_DEFERRED, "rcpt", "",
	    "%s takes recipients in %u domains at a time", s->server, (unsigned)limit);
	result.again = true;
	for (size_t i = 0; i < m->recipient_count && limit > 0; i++)
		if (t->stands[i] == SMTP_STAND_OPEN &&
		    !take_domain(domains, &count, most, domain_of(m->recipients[i])))
			smtp_fate_decide(t, i, &result);
}

/* -- the commands ------------------------------------------------------------------------------ */

struct smtp_envelope_command *
smtp_envelope_add(struct smtp_transaction *t, enum smtp_step step)
{
	struct smtp_envelope_command *command;

	if (t->command_count == t->command_cap) {
		t->command_cap = t->command_cap * 2 + 4;
		t->commands = xreallocarray(t->commands, t->command_cap, sizeof *t->commands);
	}
	command = &t->commands[t->command_count++];
	*command = (struct smtp_envelope_command){.step = step};
	return command;
}

static void
add_line(struct smtp_transaction *t, enum smtp_step step, const char *line)
{
	smtp_envelope_add(t, step)->line = xstrdup(line);
}

/* RFC 3461: a message without a reverse-path asks for no reports. */
static bool
wants_reports(const struct smtp_session *s, const struct smtp_transaction *t)
{
	return *t->message->sender != '\0' &&
	       (s->config->dsn_notify != NULL || s->config->dsn_ret != NULL);
}

static bool
write_mail(const struct smtp_session *s, const struct smtp_transaction *t, struct smtp_mail *mail,
    struct str *line, const char **why)
{
	if (t->asks_reports) {
		mail->ret = s->config->dsn_ret;
		mail->envid = t->message->envid;
	}
	if (smtp_command_mail(line, mail, &t->offered, why))
		return true;
	mail->envid = NULL; /* unfit, perhaps, but nothing depends on it */
	return smtp_command_mail(line, mail, &t->offered, why);
}

static void
add_mail(const struct smtp_session *s, struct smtp_transaction *t)
{
	const struct smtp_message *m = t->message;
	char *sender = wire_address(t, m->sender);
	struct smtp_mail mail = {
	    .sender = sender,
	    .size = m->size,
	    .eight_bit = m->eight_bit,
	    .utf8 = t->utf8,
	};
	struct str line = STR_INIT;
	struct smtp_result result;
	const char *why;

	if (write_mail(s, t, &mail, &line, &why)) {
		add_line(t, SMTP_STEP_MAIL, str_text(&line));
	} else {
		smtp_fate_from_text(
		    &result, SMTP_REFUSED, "mail", "5.1.7", "the sender's address %s", why);
		smtp_fate_decide_open(t, &result);
	}
	str_clear(&line);
	free(sender);
}

static void
add_rcpt(const struct smtp_session *s, struct smtp_transaction *t, size_t i)
{
	const char *address = t->message->recipients[i];
	char *recipient = wire_address(t, address);
	struct smtp_rcpt rcpt = {.recipient = recipient, .utf8 = t->utf8};
	struct str line = STR_INIT;
	struct smtp_result result;
	const char *why;

	if (t->asks_reports) {
		rcpt.notify = s->config->dsn_notify;
		rcpt.original = address;
	}
	if (smtp_command_rcpt(&line, &rcpt, &t->offered, &why)) {
		add_line(t, SMTP_STEP_RCPT, str_text(&line));
		t->commands[t->command_count - 1].recipient = i;
	} else {
		smtp_fate_from_text(
		    &result, SMTP_REFUSED, "rcpt", "5.1.3", "the recipient's address %s", why);
		smtp_fate_decide(t, i, &result);
	}
	str_clear(&line);
	free(recipient);
}

/*
 * RFC 5321 section 4.1.1.4: whatever the final dot is answered with, nothing is left behind it; RFC
 * 3030 section 2: what a refused chunk leaves behind, RSET clears.
 */
static bool
needs_rset(const struct smtp_session *s, const struct smtp_transaction *t)
{
	return t->is_ahead ? smtp_chunks_are_used(s) : s->rset_needed;
}

static void
add_commands(const struct smtp_session *s, struct smtp_transaction *t)
{
	if (needs_rset(s, t))
		add_line(t, SMTP_STEP_RSET, "RSET");
	add_mail(s, t);
	for (size_t i = 0; i < t->message->recipient_count; i++)
		if (t->stands[i] == SMTP_STAND_OPEN)
			add_rcpt(s, t, i);
	if (!smtp_chunks_are_used(s))
		add_line(t, SMTP_STEP_DATA, "DATA");
}

static void
note_shortcomings(const struct smtp_session *s, const struct smtp_transaction *t)
{
	const struct smtp_message *m = t->message;

	if (m->eight_bit && !s->capabilities.eight_bit)
		transcript_note(s->transcript,
		    "the server does not offer 8BITMIME; 8-bit text goes to it as it is");
	if (m->smtputf8 && !t->utf8)
		transcript_note(s->transcript,
		    "the server does not offer SMTPUTF8; a header beyond ASCII goes as it is");
}

/* What the server offers, less what it is known to offer in vain. */
static void
take_offer(const struct smtp_session *s, struct smtp_transaction *t)
{
	unsigned without = s->shortcomings | t->message->without;
	struct smtp_capabilities *c = &t->offered;

	*c = s->capabilities;
	if (without & SMTP_SHORT_PARAMETERS)
		c->size = c->eight_bit = c->dsn = false;
	if (without & SMTP_SHORT_SMTPUTF8)
		c->utf8 = false;
	t->utf8 = c->utf8 && message_needs_utf8(t->message);
	t->asks_reports = c->dsn && wants_reports(s, t);
	t->has_options = t->asks_reports || (c->size && t->message->size > 0) ||
			 (c->eight_bit && t->message->eight_bit);
}

bool
smtp_envelope_prepare(struct smtp_session *s, struct smtp_transaction *t)
{
	take_offer(s, t);
	refuse_size(s, t);
	if (!t->offered.utf8)
		refuse_utf8(s, t);
	put_off_beyond_limit(s, t);
	put_off_other_domains(s, t);
	if (!smtp_fate_is_anybody_open(t))
		return false;
	note_shortcomings(s, t);
	add_commands(s, t);
	return smtp_fate_is_anybody_open(t);
}
