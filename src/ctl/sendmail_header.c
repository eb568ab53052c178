#include "ctl/sendmail_header.h"

#include "base/xalloc.h"
#include "proto/dsn_text.h"
#include "proto/rfc5322_address.h"
#include "proto/rfc5322_envelope.h"
#include "proto/rfc5322_token.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_OCTETS = 200 };

static bool
is_null_sender(const char *text)
{
	text += strspn(text, " \t");
	return *text == '\0' ||
	       (strncmp(text, "<>", 2) == 0 && text[2 + strspn(text + 2, " \t")] == '\0');
}

static bool
refuse(struct verdict *why, const char *what, const char *text, const char *reason)
{
	char shown[200];

	return verdict_fail(why, FAIL_LOCAL, "arguments", "the %s \"%s\": %s", what,
	    str_escape(shown, sizeof shown, text, strlen(text)), reason);
}

/* A quoted local part can hold anything; a field cannot. */
static bool
has_controls(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

/* Exactly one address, which the caller clears. */
static bool
read_sender(const char *text, struct rfc5322_address *a, struct verdict *why)
{
	struct rfc5322_address_list list;
	struct rfc5322_address second = {0};
	struct verdict problem = VERDICT_OK;
	enum rfc5322_address_result result;

	*a = (struct rfc5322_address){0};
	if (has_controls(text))
		return refuse(why, "sender", text, "a control character");
	rfc5322_address_begin(&list, text, strlen(text));
	result = rfc5322_address_next(&list, a, &problem);
	if (result == RFC5322_ADDRESS_END || a->is_null)
		return refuse(why, "sender", text, "no address; the null sender is <>");
	if (result == RFC5322_ADDRESS_GOT)
		result = rfc5322_address_next(&list, &second, &problem);
	rfc5322_address_clear(&second);
	if (result == RFC5322_ADDRESS_GOT)
		return refuse(why, "sender", text, "more than one address");
	return result == RFC5322_ADDRESS_END ||
	       verdict_fail(why, FAIL_LOCAL, "arguments", "the sender %s", problem.text);
}

/*
 * A sender without a domain that cannot be completed steers nothing: the daemon would refuse it,
 * and the From of the message, or the account, says who sends.
 */
static void
append_sender(struct sendmail_header *h, const struct rfc5322_address *a)
{
	if (a->domain == NULL)
		return;
	str_append_text(&h->text, "X-Postrider-Sender: <");
	rfc5322_address_append(a, &h->text);
	str_append_text(&h->text, ">\n");
}

static bool
append_recipients(struct sendmail_header *h, const char *text, struct verdict *why)
{
	enum rfc5322_address_result result;
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict problem = VERDICT_OK;
	size_t count = 0;

	if (has_controls(text))
		return refuse(why, "recipient", text, "a control character");
	rfc5322_address_begin(&list, text, strlen(text));
	while ((result = rfc5322_address_next(&list, &a, &problem)) == RFC5322_ADDRESS_GOT) {
		if (!a.is_null) {
			str_append_text(&h->text, "X-Postrider-Recipient: <");
			rfc5322_address_append(&a, &h->text);
			str_append_text(&h->text, ">\n");
			count++;
		}
		rfc5322_address_clear(&a);
	}
	if (result == RFC5322_ADDRESS_BAD)
		return verdict_fail(why, FAIL_LOCAL, "arguments", "the recipient %s", problem.text);
	return count > 0 || refuse(why, "recipient", text, "no address");
}

/* A user's name as a local part (RFC 5322 section 3.4.1), quoted where it has to be. */
static void
append_local_part(struct str *out, const char *login)
{
	bool is_plain = *login != '\0';

	for (const char *p = login; *p != '\0'; p++)
		is_plain = is_plain && (rfc5322_is_atext(*p) ||
					   (*p == '.' && p > login && p[1] != '.' && p[1] != '\0'));
	if (is_plain) {
		str_append_text(out, login);
		return;
	}
	str_append_char(out, '"');
	for (const char *p = login; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			str_append_char(out, '\\');
		if ((unsigned char)*p >= ' ' && *p != 0x7f)
			str_append_char(out, *p);
	}
	str_append_char(out, '"');
}

/* A display name (RFC 5322 section 3.4) of ASCII without control characters. */
static void
append_phrase(struct str *out, const char *name)
{
	bool is_plain = true;

	for (const char *p = name; *p != '\0'; p++)
		is_plain = is_plain && (rfc5322_is_atext(*p) || *p == ' ');
	if (is_plain) {
		str_append_text(out, name);
		return;
	}
	str_append_char(out, '"');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			str_append_char(out, '\\');
		str_append_char(out, *p);
	}
	str_append_char(out, '"');
}

static bool
is_ascii_text(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* On one line, without blanks around it, and of a sane length; free(3) it. */
static char *
tidy_name(const char *name)
{
	char *tidy = xstrndup(name + strspn(name, " \t"), NAME_MAX_OCTETS);
	size_t len;

	str_trim_partial(tidy);
	for (char *p = tidy; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	for (len = strlen(tidy); len > 0 && tidy[len - 1] == ' '; len--)
		tidy[len - 1] = '\0';
	return tidy;
}

static void
make_from(struct str *out, const char *name, const char *address)
{
	char *tidy = name != NULL ? tidy_name(name) : xstrdup("");

	if (*tidy == '\0') {
		str_appendf(out, "From: %s\n", address);
	} else if (is_ascii_text(tidy)) {
		str_append_text(out, "From: ");
		append_phrase(out, tidy);
		str_appendf(out, " <%s>\n", address);
	} else {
		dsn_text_append_encoded(out, "From", tidy);
		str_appendf(out, " <%s>\n", address);
	}
	free(tidy);
}

/*
 * The From of a message that has none: the sender; else the caller, with the local domain, else in
 * the name of the default account, else bare.
 */
static void
choose_from(struct sendmail_header *h, const struct sendmail_origin *o,
    const struct rfc5322_address *sender)
{
	const char *name = o->name != NULL ? o->name : sender->local == NULL ? o->login_name : NULL;
	struct str address = STR_INIT;

	if (sender->local != NULL)
		rfc5322_address_append(sender, &address);
	else
		append_local_part(&address, o->login);
	if (sender->domain == NULL && o->local_domain != NULL)
		str_appendf(&address, "@%s", o->local_domain);
	else if (sender->domain == NULL && o->own_address != NULL) {
		str_truncate(&address, 0);
		str_append_text(&address, o->own_address);
	}
	make_from(&h->from, name, str_text(&address));
	str_clear(&address);
}

static bool
begin_sender(struct sendmail_header *h, const struct sendmail_origin *o, struct verdict *why)
{
	struct rfc5322_address sender = {0};
	bool good = true;

	h->has_sender = o->sender != NULL;
	if (h->has_sender && is_null_sender(o->sender))
		str_append_text(&h->text, "X-Postrider-Sender: <>\n");
	else if (h->has_sender)
		good = read_sender(o->sender, &sender, why);
	if (good && sender.local != NULL && sender.domain == NULL)
		sender.domain = xstrdup(o->local_domain);
	if (good) {
		append_sender(h, &sender);
		choose_from(h, o, &sender);
	}
	rfc5322_address_clear(&sender);
	return good;
}

bool
sendmail_header_begin(
    struct sendmail_header *h, const struct sendmail_origin *o, struct verdict *why)
{
	bool good;

	*h = (struct sendmail_header){.has_recipients = o->operand_count > 0};
	rfc5322_reader_init(&h->reader);
	good = begin_sender(h, o, why);
	for (size_t i = 0; i < o->operand_count && good; i++)
		good = append_recipients(h, o->operands[i], why);
	return good;
}

void
sendmail_header_clear(struct sendmail_header *h)
{
	rfc5322_reader_clear(&h->reader);
	str_clear(&h->text);
	str_clear(&h->from);
	*h = (struct sendmail_header){0};
}

/* What stands below a trace field steers nothing, and may stay. */
static bool
is_overruled(const struct sendmail_header *h, enum rfc5322_field_kind kind)
{
	return !h->is_below_trace && ((kind == RFC5322_STEER_SENDER && h->has_sender) ||
					 (kind == RFC5322_STEER_RECIPIENT && h->has_recipients));
}

static void
pass_field(struct sendmail_header *h)
{
	const struct rfc5322_field *field = &h->reader.field;

	h->is_below_trace = h->is_below_trace || rfc5322_field_is_trace(field->kind);
	h->has_from = h->has_from || field->kind == RFC5322_FROM;
	if (!is_overruled(h, field->kind))
		str_append(&h->text, field->raw, field->raw_len);
}

static void
end_header(struct sendmail_header *h)
{
	h->is_over = true;
	if (!h->has_from)
		str_append(&h->text, str_text(&h->from), h->from.len);
	str_append_char(&h->text, '\n');
	str_append(&h->text, str_text(&h->reader.rest), h->reader.rest.len);
}

bool
sendmail_header_feed(
    struct sendmail_header *h, const char *in, size_t len, size_t *used, struct verdict *why)
{
	*used = 0;
	while (*used < len && !h->is_over) {
		size_t n;
		enum rfc5322_read result =
		    rfc5322_reader_feed(&h->reader, in + *used, len - *used, &n, why);

		*used += n;
		if (result == RFC5322_READ_FIELD)
			pass_field(h);
		else if (result == RFC5322_READ_END)
			end_header(h);
		else if (result == RFC5322_READ_BAD)
			return false;
	}
	return true;
}

bool
sendmail_header_finish(struct sendmail_header *h, struct verdict *why)
{
	enum rfc5322_read result = RFC5322_READ_FIELD;

	while (!h->is_over && result == RFC5322_READ_FIELD) {
		result = rfc5322_reader_finish(&h->reader);
		if (result == RFC5322_READ_FIELD)
			pass_field(h);
		else if (result == RFC5322_READ_END)
			end_header(h);
	}
	return h->is_over ||
	       verdict_fail(why, FAIL_LOCAL, "header", "this cannot be read as a message");
}

bool
sendmail_header_check(const struct sendmail_header *h, struct verdict *why)
{
	struct rfc5322_envelope envelope;
	struct envelope_request request;
	bool good;

	rfc5322_envelope_init(&envelope, "localhost");
	rfc5322_envelope_feed(&envelope, str_text(&h->text), h->text.len);
	good = rfc5322_envelope_finish(&envelope, &request, why);
	envelope_request_clear(&request);
	rfc5322_envelope_clear(&envelope);
	return good;
}
