#include "proto/rfc5322_address.h"

#include "base/utf8.h"
#include "base/xalloc.h"
#include "proto/rfc5322_domain.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
rfc5322_address_clear(struct rfc5322_address *address)
{
	free(address->local);
	free(address->domain);
	free(address->name);
	*address = (struct rfc5322_address){0};
}

void
rfc5322_address_copy(struct rfc5322_address *to, const struct rfc5322_address *from)
{
	*to = *from;
	to->local = xstrdup(from->local);
	to->domain = xstrdup(from->domain);
	to->name = xstrdup(from->name);
}

void
rfc5322_address_append(const struct rfc5322_address *address, struct str *out)
{
	if (address->local != NULL)
		str_append_text(out, address->local);
	if (address->domain != NULL)
		str_appendf(out, "@%s", address->domain);
}

static bool
is_same_domain(const char *a, const char *b)
{
	char *x, *y;
	bool same;

	if (a == NULL || b == NULL)
		return a == b;
	x = rfc5322_domain_to_ascii(a);
	y = rfc5322_domain_to_ascii(b);
	same = x != NULL && y != NULL && strcasecmp(x, y) == 0;
	free(x);
	free(y);
	return same;
}

bool
rfc5322_address_equal(const struct rfc5322_address *a, const struct rfc5322_address *b)
{
	if (a->local == NULL || b->local == NULL)
		return a->local == b->local;
	return strcmp(a->local, b->local) == 0 && is_same_domain(a->domain, b->domain);
}

static void
advance(struct rfc5322_address_list *list)
{
	list->token = rfc5322_token_next(&list->tokens);
}

void
rfc5322_address_begin(struct rfc5322_address_list *list, const char *value, size_t len)
{
	*list = (struct rfc5322_address_list){.value = value, .len = len};
	rfc5322_token_begin(&list->tokens, value, len);
	list->element = value;
	list->run_end.start = value;
	advance(list);
}

/* Quotes the address, as far as the next comma or a few words, and gives the reason. */
static bool
refuse(struct rfc5322_address_list *list, struct verdict *why, const char *reason)
{
	const char *start = list->element, *seen = list->token.start;
	const char *end = list->value + list->len, *comma;
	char shown[160];

	comma = seen < end ? memchr(seen, ',', (size_t)(end - seen)) : NULL;
	if (comma != NULL && comma > start)
		end = comma;
	while (end > start && (rfc5322_is_wsp(end[-1]) || end[-1] == '\n'))
		end--;
	str_escape(shown, sizeof shown, start, (size_t)(end - start));
	return verdict_fail(why, FAIL_LOCAL, "header", "%s: %s", shown, reason);
}

static bool
is_delimiter(enum rfc5322_token_kind kind)
{
	return kind == RFC5322_TOKEN_COMMA || kind == RFC5322_TOKEN_SEMICOLON ||
	       kind == RFC5322_TOKEN_END;
}

/*
 * Looks ahead to what ends the words that stand here: only that tells a display name from an
 * address.  Once for each run of words, so that a long one costs no more than its length.
 */
static void
survey_run(struct rfc5322_address_list *list)
{
	struct rfc5322_tokens tokens = list->tokens;
	struct rfc5322_token token = list->token;

	if (token.start < list->run_end.start)
		return;
	list->run_ats = 0;
	while (!is_delimiter(token.kind) && token.kind != RFC5322_TOKEN_COLON &&
	       token.kind != RFC5322_TOKEN_LESS && token.kind != RFC5322_TOKEN_GREATER &&
	       token.kind != RFC5322_TOKEN_BAD) {
		list->run_ats += token.kind == RFC5322_TOKEN_AT;
		token = rfc5322_token_next(&tokens);
	}
	list->run_end = token;
}

static bool
is_dot_atom(const struct str *s)
{
	bool dot = true;

	for (size_t i = 0; i < s->len; i++) {
		bool is_dot = s->data[i] == '.';

		if ((is_dot && dot) || (!is_dot && !rfc5322_is_atext(s->data[i])))
			return false;
		dot = is_dot;
	}
	return !dot;
}

static char *
quote_local_part(const struct str *s)
{
	struct str out = STR_INIT;

	str_append_char(&out, '"');
	for (size_t i = 0; i < s->len; i++) {
		if (s->data[i] == '"' || s->data[i] == '\\')
			str_append_char(&out, '\\');
		str_append_char(&out, s->data[i]);
	}
	str_append_char(&out, '"');
	return str_take(&out);
}

/* NULL, or why the wire has no form for it (RFC 5321 section 4.1.2, RFC 6531 section 3.3). */
static const char *
check_local_part(const struct str *s)
{
	if (s->len > RFC5322_LOCAL_PART_MAX)
		return "its local part is too long";
	for (size_t i = 0; i < s->len; i++) {
		if ((unsigned char)s->data[i] < ' ' || s->data[i] == 0x7f)
			return "its local part holds a control character";
	}
	if (!utf8_is_valid(str_text(s), s->len))
		return "its local part is not in UTF-8";
	return NULL;
}

struct local_part {
	struct str text;
	size_t words;
	bool is_spaced; /* CFWS stands between its words and dots (RFC 5322 section 4.4) */
};

/* word *("." word), with dots anywhere; stands behind it. */
static void
read_local_part(
    struct rfc5322_address_list *list, struct rfc5322_address *a, struct local_part *part)
{
	bool after_word = false;

	for (;; advance(list)) {
		enum rfc5322_token_kind kind = list->token.kind;
		bool is_word = kind == RFC5322_TOKEN_ATOM || kind == RFC5322_TOKEN_QUOTED;

		if ((!is_word && kind != RFC5322_TOKEN_DOT) || (is_word && after_word))
			return;
		part->is_spaced = part->is_spaced || (part->text.len > 0 && list->token.gap);
		rfc5322_token_append(&list->token, &part->text);
		a->local_end = (size_t)(list->token.start + list->token.len - list->value);
		part->words += is_word;
		after_word = is_word;
	}
}

static bool
parse_local_part(struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	struct local_part part = {0};
	const char *problem;

	read_local_part(list, a, &part);
	problem = part.words == 0 ? "no local part" : check_local_part(&part.text);
	/* "Dr. Smith" may be a name whose comma was not quoted, but no local user. */
	if (problem == NULL && part.is_spaced && list->token.kind != RFC5322_TOKEN_AT)
		problem = "no address, or a comma is missing";
	if (problem == NULL) {
		a->is_utf8 = rfc5322_is_8bit(str_text(&part.text), part.text.len);
		a->local =
		    is_dot_atom(&part.text) ? str_take(&part.text) : quote_local_part(&part.text);
	}
	str_clear(&part.text);
	return problem == NULL || refuse(list, why, problem);
}

/* dot-atom with CFWS around its dots, perhaps a final dot; or a literal. */
static void
read_domain(struct rfc5322_address_list *list, struct str *out)
{
	bool after_label = false;

	if (list->token.kind == RFC5322_TOKEN_LITERAL) {
		rfc5322_token_append(&list->token, out);
		advance(list);
		return;
	}
	for (;; advance(list)) {
		bool is_label = list->token.kind == RFC5322_TOKEN_ATOM;

		if ((!is_label && list->token.kind != RFC5322_TOKEN_DOT) ||
		    (is_label && after_label))
			return;
		rfc5322_token_append(&list->token, out);
		after_label = is_label;
	}
}

static bool
parse_domain(struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	struct str domain = STR_INIT, normal = STR_INIT;
	const char *problem;

	read_domain(list, &domain);
	problem = domain.len == 0 ? "no domain behind its \"@\""
				  : rfc5322_domain_normalize(str_text(&domain), &normal);
	if (problem == NULL)
		a->domain = str_take(&normal);
	str_clear(&domain);
	str_clear(&normal);
	return problem == NULL || refuse(list, why, problem);
}

static bool
parse_addr_spec(struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	if (!parse_local_part(list, a, why))
		return false;
	if (list->token.kind != RFC5322_TOKEN_AT)
		return true;
	advance(list);
	if (!parse_domain(list, a, why))
		return false;
	if (list->token.kind == RFC5322_TOKEN_AT)
		return refuse(list, why, "more than one \"@\"");
	return true;
}

/* obs-route = obs-domain-list ":"  is read over (RFC 5322 section 4.4, RFC 5321 appendix C). */
static bool
skip_route(struct rfc5322_address_list *list, struct verdict *why)
{
	while (list->token.kind == RFC5322_TOKEN_AT || list->token.kind == RFC5322_TOKEN_COMMA ||
	       list->token.kind == RFC5322_TOKEN_ATOM || list->token.kind == RFC5322_TOKEN_DOT ||
	       list->token.kind == RFC5322_TOKEN_LITERAL)
		advance(list);
	if (list->token.kind != RFC5322_TOKEN_COLON)
		return refuse(list, why, "a route without its \":\"");
	advance(list);
	return true;
}

static bool
parse_angle_addr(struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	advance(list);
	if (list->token.kind == RFC5322_TOKEN_GREATER) {
		a->is_null = true;
		a->local = xstrdup("");
		advance(list);
		return true;
	}
	if (list->token.kind == RFC5322_TOKEN_AT || list->token.kind == RFC5322_TOKEN_COMMA) {
		if (!skip_route(list, why))
			return false;
	}
	if (!parse_addr_spec(list, a, why))
		return false;
	if (list->token.kind != RFC5322_TOKEN_GREATER)
		return refuse(list, why,
		    list->token.kind == RFC5322_TOKEN_BAD ? list->token.why
							  : "no \">\" where it should end");
	advance(list);
	return true;
}

/* The words before "<".  Two "@" among them may be an address whose comma is missing. */
static bool
parse_display_name(
    struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	struct str name = STR_INIT;

	if (list->run_ats > 1)
		return refuse(list, why, "a comma seems to be missing");
	a->name_start = a->name_end = (size_t)(list->token.start - list->value);
	for (; list->token.kind != RFC5322_TOKEN_LESS; advance(list)) {
		if (list->token.gap && name.len > 0)
			str_append_char(&name, ' ');
		rfc5322_token_append(&list->token, &name);
		a->name_end = (size_t)(list->token.start + list->token.len - list->value);
	}
	if (name.len > 0)
		a->name = str_take(&name);
	str_clear(&name);
	return true;
}

/* An addr-spec without brackets; what follows may be the next one without a comma between. */
static bool
parse_plain_addr(struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	if (!parse_addr_spec(list, a, why))
		return false;
	if (list->token.kind == RFC5322_TOKEN_GREATER)
		return refuse(list, why, "a \">\" without its \"<\"");
	if (a->domain == NULL && !is_delimiter(list->token.kind))
		return refuse(list, why, "no address, or a comma is missing");
	if (a->domain == NULL && list->is_glued)
		return refuse(list, why, "neither a comma before it nor a domain");
	return true;
}

static bool
parse_mailbox(struct rfc5322_address_list *list, struct rfc5322_address *a, struct verdict *why)
{
	bool parsed;

	if (list->run_end.kind == RFC5322_TOKEN_BAD)
		return refuse(list, why, list->run_end.why);
	if (list->run_end.kind == RFC5322_TOKEN_LESS)
		parsed = parse_display_name(list, a, why) && parse_angle_addr(list, a, why);
	else
		parsed = parse_plain_addr(list, a, why);
	list->is_glued = true;
	return parsed;
}

static bool
enter_group(struct rfc5322_address_list *list, struct verdict *why)
{
	if (list->in_group)
		return refuse(list, why, "a group within a group");
	if (list->run_ats > 0 || list->token.kind == RFC5322_TOKEN_COLON)
		return refuse(list, why, "a \":\" in a place where none may be");
	while (list->token.kind != RFC5322_TOKEN_COLON)
		advance(list);
	advance(list);
	list->in_group = true;
	list->is_glued = false;
	return true;
}

/* Goes over separators and names of groups to the next mailbox; END and BAD as they are found. */
static enum rfc5322_address_result
find_mailbox(struct rfc5322_address_list *list, struct verdict *why)
{
	for (;;) {
		list->element = list->token.start;
		if (list->token.kind == RFC5322_TOKEN_END)
			return RFC5322_ADDRESS_END;
		if (is_delimiter(list->token.kind)) {
			if (list->token.kind == RFC5322_TOKEN_SEMICOLON)
				list->in_group = false;
			list->is_glued = false;
			advance(list);
			continue;
		}
		survey_run(list);
		if (list->run_end.kind != RFC5322_TOKEN_COLON)
			return RFC5322_ADDRESS_GOT;
		if (!enter_group(list, why))
			return RFC5322_ADDRESS_BAD;
	}
}

enum rfc5322_address_result
rfc5322_address_next(
    struct rfc5322_address_list *list, struct rfc5322_address *address, struct verdict *why)
{
	enum rfc5322_address_result result;

	*address = (struct rfc5322_address){0};
	result = find_mailbox(list, why);
	if (result == RFC5322_ADDRESS_GOT && !parse_mailbox(list, address, why)) {
		rfc5322_address_clear(address);
		result = RFC5322_ADDRESS_BAD;
	}
	if (result != RFC5322_ADDRESS_GOT)
		list->token.kind = RFC5322_TOKEN_END;
	return result;
}
