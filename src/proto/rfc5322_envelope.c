#include "proto/rfc5322_envelope.h"

#include "base/utf8.h"
#include "base/xalloc.h"
#include "proto/rfc5322_date.h"
#include "proto/rfc5322_domain.h"
#include "proto/rfc5322_token.h"

#include <stdlib.h>
#include <string.h>

/* The topmost block of Resent- fields is the one that counts (RFC 5322 section 3.6.6). */
enum block { BLOCK_NONE, BLOCK_OPEN, BLOCK_OVER };

void
envelope_request_clear(struct envelope_request *request)
{
	free(request->account);
	free(request->unknown_steering);
	rfc5322_address_clear(&request->from);
	rfc5322_address_clear(&request->sender);
	for (size_t i = 0; i < request->recipient_count; i++)
		rfc5322_address_clear(&request->recipients[i]);
	free(request->recipients);
	*request = (struct envelope_request){0};
}

void
rfc5322_envelope_init(struct rfc5322_envelope *envelope, const char *local_domain)
{
	struct str domain = STR_INIT;

	*envelope = (struct rfc5322_envelope){0};
	rfc5322_reader_init(&envelope->reader);
	if (local_domain == NULL)
		return;
	if (rfc5322_domain_normalize(local_domain, &domain) != NULL)
		str_append_text(&domain, local_domain);
	envelope->local_domain = str_take(&domain);
}

void
rfc5322_envelope_clear(struct rfc5322_envelope *envelope)
{
	envelope_request_clear(&envelope->request);
	rfc5322_reader_clear(&envelope->reader);
	free(envelope->local_domain);
	rfc5322_address_clear(&envelope->from.address);
	rfc5322_address_clear(&envelope->sender.address);
	rfc5322_address_clear(&envelope->resent_from.address);
	rfc5322_address_clear(&envelope->resent_sender.address);
	rfc5322_recipients_clear(&envelope->header);
	rfc5322_recipients_clear(&envelope->resent);
	rfc5322_recipients_clear(&envelope->steered);
	*envelope = (struct rfc5322_envelope){0};
}

static void
complain(struct verdict *problem, const struct rfc5322_field *field, const char *why)
{
	if (problem->kind == FAIL_NONE)
		verdict_fail(problem, FAIL_LOCAL, "header", "line %u, %.*s: %s", field->line,
		    (int)(field->name_len < 64 ? field->name_len : 64), field->name, why);
}

/* The field's text on one line, without blanks around it; free(3) it. */
static char *
unfold(const struct rfc5322_field *field)
{
	const char *p = field->value, *end = p + field->value_len;
	struct str text = STR_INIT;

	while (p < end && (rfc5322_is_wsp(*p) || *p == '\n'))
		p++;
	while (end > p && (rfc5322_is_wsp(end[-1]) || end[-1] == '\n'))
		end--;
	for (; p < end; p++) {
		if (*p != '\n')
			str_append_char(&text, *p);
	}
	return str_take(&text);
}

/* The first address that is not null; fields after the first that has one do not count. */
static void
read_author(struct rfc5322_envelope *e, struct rfc5322_envelope_author *author,
    const struct rfc5322_field *field)
{
	enum rfc5322_address_result result;
	struct rfc5322_address *a = &author->address;
	struct rfc5322_address_list list;
	struct verdict why = VERDICT_OK;

	if (a->local != NULL)
		return;
	rfc5322_address_begin(&list, field->value, field->value_len);
	do {
		rfc5322_address_clear(a);
		result = rfc5322_address_next(&list, a, &why);
	} while (result == RFC5322_ADDRESS_GOT && a->is_null);
	if (result == RFC5322_ADDRESS_BAD)
		complain(&author->problem, field, why.text);
	if (a->local != NULL && a->domain == NULL)
		a->domain = xstrdup(e->local_domain);
	if (a->domain == NULL)
		rfc5322_address_clear(a);
}

/* X-Postrider-Sender: exactly one address, or "<>". */
static void
read_steered_sender(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	struct rfc5322_address *a = &e->request.sender, second;
	struct rfc5322_address_list list;
	struct verdict why = VERDICT_OK;
	enum rfc5322_address_result result;

	if (e->request.sender_is_steered)
		return;
	e->request.sender_is_steered = true;
	rfc5322_address_begin(&list, field->value, field->value_len);
	result = rfc5322_address_next(&list, a, &why);
	if (result == RFC5322_ADDRESS_GOT) {
		result = rfc5322_address_next(&list, &second, &why);
		if (result == RFC5322_ADDRESS_GOT)
			complain(&e->problem, field, "more than one address");
		rfc5322_address_clear(&second);
	} else if (result == RFC5322_ADDRESS_END) {
		complain(&e->problem, field, "no address; the null sender is <>");
	}
	if (result == RFC5322_ADDRESS_BAD)
		complain(&e->problem, field, why.text);
	if (a->local != NULL && a->domain == NULL && !a->is_null)
		a->domain = xstrdup(e->local_domain);
	if (a->domain == NULL && !a->is_null)
		complain(&e->problem, field, "an address without a domain");
}

static void
read_not_before(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	int64_t wall;

	if (!rfc5322_date_parse_any(field->value, field->value_len, &wall))
		complain(&e->problem, field, "no date of RFC 5322 or RFC 3339, with a zone");
	else if (e->request.not_before == 0)
		e->request.not_before = wall > 0 ? wall : 0;
}

static void
read_steering(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	char name[80];

	if (field->kind == RFC5322_STEER_ACCOUNT && e->request.account == NULL)
		e->request.account = unfold(field);
	else if (field->kind == RFC5322_STEER_SENDER)
		read_steered_sender(e, field);
	else if (field->kind == RFC5322_STEER_RECIPIENT)
		rfc5322_recipients_add(&e->steered, field, e->local_domain);
	else if (field->kind == RFC5322_STEER_NOT_BEFORE)
		read_not_before(e, field);
	else if (field->kind == RFC5322_STEER_OTHER && e->request.unknown_steering == NULL)
		e->request.unknown_steering =
		    xstrdup(str_escape(name, sizeof name, field->name, field->name_len));
}

static bool
is_recipients(enum rfc5322_field_kind kind)
{
	return kind == RFC5322_RESENT_TO || kind == RFC5322_RESENT_CC || kind == RFC5322_RESENT_BCC;
}

/*
 * A block ends at a field that is not of it, and at one that it has already: each resending puts
 * its own block on top.  Recipients named in several lines, one right after another, are one.
 */
static bool
is_in_block(struct rfc5322_envelope *e, enum rfc5322_field_kind kind)
{
	uint64_t bit = kind == RFC5322_RESENT_OTHER ? 0 : UINT64_C(1) << kind;

	if (rfc5322_field_is_steering(kind))
		return false;
	if (e->block == BLOCK_OPEN && (!rfc5322_field_is_resent(kind) || e->is_below_trace))
		e->block = BLOCK_OVER;
	if (!rfc5322_field_is_resent(kind) || e->is_below_trace || e->block == BLOCK_OVER)
		return false;
	if ((e->block_seen & bit) != 0 && !(kind == e->block_last && is_recipients(kind))) {
		e->block = BLOCK_OVER;
		return false;
	}
	e->block = BLOCK_OPEN;
	e->block_seen |= bit;
	e->block_last = kind;
	return true;
}

static void
read_resent(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	if (is_recipients(field->kind))
		rfc5322_recipients_add(&e->resent, field, e->local_domain);
	else if (field->kind == RFC5322_RESENT_FROM)
		read_author(e, &e->resent_from, field);
	else if (field->kind == RFC5322_RESENT_SENDER)
		read_author(e, &e->resent_sender, field);
}

static void
read_ordinary(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	switch (field->kind) {
	case RFC5322_FROM:
		e->request.has_from = true;
		read_author(e, &e->from, field);
		break;
	case RFC5322_SENDER:
		read_author(e, &e->sender, field);
		break;
	case RFC5322_TO:
	case RFC5322_CC:
	case RFC5322_BCC:
		rfc5322_recipients_add(&e->header, field, e->local_domain);
		break;
	case RFC5322_DATE:
		e->request.has_date = true;
		break;
	case RFC5322_MESSAGE_ID:
		e->request.has_message_id = true;
		break;
	default:
		break;
	}
}

/* Lines as they go out: LF ends them, CR is not there. */
static void
note_lines(struct rfc5322_envelope *e, const char *p, const char *end)
{
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf != NULL ? lf : end;

		e->line_len += (size_t)(stop - p);
		while ((p = memchr(p, '\r', (size_t)(stop - p))) != NULL) {
			e->line_len--;
			p++;
		}
		if (e->line_len > e->request.longest_line)
			e->request.longest_line = e->line_len;
		if (lf != NULL)
			e->line_len = 0;
		p = lf != NULL ? lf + 1 : end;
	}
}

static void
note_field(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	struct envelope_request *r = &e->request;

	if (rfc5322_field_is_private(field->kind))
		return;
	note_lines(e, field->raw, field->raw + field->raw_len);
	if (!rfc5322_is_8bit(field->raw, field->raw_len))
		return;
	r->header_is_utf8 =
	    (r->header_is_utf8 || !r->header_is_8bit) && utf8_is_valid(field->raw, field->raw_len);
	r->header_is_8bit = true;
}

static void
read_field(struct rfc5322_envelope *e, const struct rfc5322_field *field)
{
	bool in_block;

	if (rfc5322_field_is_trace(field->kind))
		e->is_below_trace = true;
	in_block = is_in_block(e, field->kind);
	if (rfc5322_field_is_steering(field->kind) && !e->is_below_trace)
		read_steering(e, field);
	else if (in_block)
		read_resent(e, field);
	else
		read_ordinary(e, field);
	note_field(e, field);
}

static void
note_body(struct rfc5322_envelope *e, const char *in, size_t len)
{
	struct envelope_request *r = &e->request;

	r->body_is_8bit = r->body_is_8bit || rfc5322_is_8bit(in, len);
	r->body_has_nul = r->body_has_nul || memchr(in, '\0', len) != NULL;
	note_lines(e, in, in + len);
}

static void
end_header(struct rfc5322_envelope *e)
{
	e->is_header_over = true;
	e->request.ending = e->reader.ending;
	e->request.header_lines = e->reader.line;
	note_body(e, str_text(&e->reader.rest), e->reader.rest.len);
}

bool
rfc5322_envelope_feed(struct rfc5322_envelope *envelope, const char *in, size_t len)
{
	while (len > 0 && !envelope->is_header_over) {
		struct verdict why = VERDICT_OK;
		size_t used;
		enum rfc5322_read result =
		    rfc5322_reader_feed(&envelope->reader, in, len, &used, &why);

		in += used;
		len -= used;
		if (result == RFC5322_READ_FIELD)
			read_field(envelope, &envelope->reader.field);
		else if (result == RFC5322_READ_END)
			end_header(envelope);
		else if (result == RFC5322_READ_BAD) {
			if (envelope->problem.kind == FAIL_NONE)
				envelope->problem = why;
			return false;
		}
	}
	if (len > 0)
		note_body(envelope, in, len);
	return true;
}

/*
 * The trouble with From or Sender, NULL when there is none that matters: it does not where
 * X-Postrider-Sender, or Sender and X-Postrider-Account, say what they are needed for.
 */
static const struct verdict *
find_author_problem(const struct rfc5322_envelope *e, bool resent)
{
	const struct rfc5322_envelope_author *from = resent ? &e->resent_from : &e->from;
	const struct rfc5322_envelope_author *sender = resent ? &e->resent_sender : &e->sender;
	bool has_sender = sender->address.local != NULL;

	if (e->request.sender_is_steered)
		return NULL;
	if (!has_sender && sender->problem.kind != FAIL_NONE)
		return &sender->problem;
	if (from->address.local != NULL || from->problem.kind == FAIL_NONE)
		return NULL;
	return has_sender && e->request.account != NULL ? NULL : &from->problem;
}

static void
choose_authors(struct rfc5322_envelope *e, bool resent)
{
	struct rfc5322_envelope_author *from = resent ? &e->resent_from : &e->from;
	struct rfc5322_envelope_author *sender = resent ? &e->resent_sender : &e->sender;
	struct rfc5322_envelope_author *chosen = sender->address.local != NULL ? sender : from;

	rfc5322_address_copy(&e->request.from, &from->address);
	e->request.from_is_unreadable =
	    from->address.local == NULL && from->problem.kind != FAIL_NONE;
	if (!e->request.sender_is_steered)
		rfc5322_address_copy(&e->request.sender, &chosen->address);
}

static bool
check_message(const struct rfc5322_envelope *e, struct verdict *why)
{
	if (e->problem.kind != FAIL_NONE) {
		*why = e->problem;
		return false;
	}
	if (e->reader.fields > 0)
		return true;
	if (e->request.ending == RFC5322_ENDING_NO_FIELD)
		return verdict_fail(why, FAIL_LOCAL, "header",
		    "line %u: begins no header field: this is no message", e->reader.line + 1);
	return verdict_fail(why, FAIL_LOCAL, "header", "no header: this is no message");
}

static bool
check_recipients(const struct rfc5322_recipients *chosen, const char *fields, struct verdict *why)
{
	if (chosen->problem.kind != FAIL_NONE) {
		*why = chosen->problem;
		return false;
	}
	if (chosen->count == 0)
		return verdict_fail(why, FAIL_LOCAL, "header", "no recipients in %s", fields);
	return true;
}

static bool
choose(struct rfc5322_envelope *e, struct verdict *why)
{
	bool resent = e->block != BLOCK_NONE, steered = e->steered.is_present;
	struct rfc5322_recipients *chosen = steered  ? &e->steered
					    : resent ? &e->resent
						     : &e->header;
	const char *fields = steered  ? "X-Postrider-Recipient"
			     : resent ? "Resent-To, Resent-Cc or Resent-Bcc"
				      : "To, Cc or Bcc";
	const struct verdict *problem = find_author_problem(e, resent);

	if (!check_message(e, why) || !check_recipients(chosen, fields, why))
		return false;
	if (problem != NULL) {
		*why = *problem;
		return false;
	}
	choose_authors(e, resent);
	rfc5322_recipients_unify(chosen);
	e->request.is_resent = resent;
	e->request.recipients_are_steered = steered;
	e->request.recipients = chosen->list;
	e->request.recipient_count = chosen->count;
	chosen->list = NULL;
	chosen->count = 0;
	return true;
}

bool
rfc5322_envelope_finish(
    struct rfc5322_envelope *envelope, struct envelope_request *request, struct verdict *why)
{
	enum rfc5322_read result = RFC5322_READ_FIELD;

	*request = (struct envelope_request){0};
	while (!envelope->is_header_over && result == RFC5322_READ_FIELD) {
		result = rfc5322_reader_finish(&envelope->reader);
		if (result == RFC5322_READ_FIELD)
			read_field(envelope, &envelope->reader.field);
		else if (result == RFC5322_READ_END)
			end_header(envelope);
	}
	if (!choose(envelope, why))
		return false;
	*request = envelope->request;
	envelope->request = (struct envelope_request){0};
	return true;
}
