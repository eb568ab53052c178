#include "probe/probe_side.h"

#include "config/config.h"
#include "proto/pop3.h"
#include "proto/smtp_capability.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * What was sent tells how far the conversation has come: the session says nothing more before it is
 * content with the answer to what it said last.  What was received is kept until then.
 */

static bool
is_pop3(const struct probe_side *side)
{
	return strcmp(side->protocol, "pop3") == 0;
}

static void
heard_line(struct str *s, const char *line)
{
	str_truncate(s, 0);
	str_append_text(s, line);
}

void
probe_heard_clear(struct probe_heard *heard)
{
	str_clear(&heard->greeting);
	str_clear(&heard->farewell);
	str_clear(&heard->reached);
	str_clear(&heard->mechanism);
	str_clear(&heard->declined);
	json_decref(heard->reached_facts);
	json_decref(heard->distrusted);
	json_decref(heard->capabilities);
}

/* -- capabilities ------------------------------------------------------------------------------ */

static void
pass_capabilities(struct probe_side *side)
{
	const json_t *list = side->heard.capabilities;
	struct str text = STR_INIT;
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	    str_appendf(&text, "%s%s", i > 0 ? ", " : "", json_string_value(item));
	if (text.len == 0)
		str_append_text(&text, "the server names none");
	probe_pass(side, PROBE_CAPABILITIES, probe_facts("capabilities", json_deep_copy(list)),
	    "%s", str_text(&text));
	str_clear(&text);
}

/* The words behind "SASL " or "AUTH " (servers from before RFC 2554: "AUTH="). */
static void
add_offered(json_t *offered, const char *capability)
{
	if (strncasecmp(capability, "SASL", 4) != 0 && strncasecmp(capability, "AUTH", 4) != 0)
		return;
	if (strchr(" \t=", capability[4]) == NULL || capability[4] == '\0')
		return;
	for (capability += 5; *capability != '\0';) {
		size_t len = strcspn(capability, " \t");

		if (len > 0)
			json_array_append_new(offered, json_stringn(capability, len));
		capability += len + strspn(capability + len, " \t");
	}
}

static bool
names_capability(const struct probe_side *side, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(side->heard.capabilities, i, item)
	{
		if (strcasecmp(json_string_value(item), name) == 0)
			return true;
	}
	return false;
}

/* A POP3 server need not name USER, and shows APOP by the timestamp in its greeting (RFC 1939). */
static json_t *
list_offered(const struct probe_side *side)
{
	json_t *offered = json_array();
	const json_t *item;
	const char *stamp;
	size_t i, len;

	json_array_foreach(side->heard.capabilities, i, item)
	    add_offered(offered, json_string_value(item));
	if (!is_pop3(side))
		return offered;
	if (names_capability(side, "USER") || json_array_size(offered) == 0)
		json_array_append_new(offered, json_string("USER"));
	if (pop3_parse_timestamp(str_text(&side->heard.greeting), &stamp, &len))
		json_array_append_new(offered, json_string("APOP"));
	return offered;
}

/* -- the login --------------------------------------------------------------------------------- */

/*
 * "SCRAM-SHA-256" of "AUTH SCRAM-SHA-256 ****"; "USER" and "APOP" are commands of their own.  The
 * same one again is bound to the channel in another way.
 */
static void
take_mechanism(struct probe_heard *h, const char *line)
{
	size_t len;

	if (strncmp(line, "AUTH ", 5) == 0)
		line += 5;
	len = strcspn(line, " ");
	if (h->mechanism.len == len && strncmp(str_text(&h->mechanism), line, len) == 0)
		return;
	if (h->mechanism.len > 0)
		str_appendf(&h->declined, " %s", str_text(&h->mechanism));
	str_truncate(&h->mechanism, 0);
	str_append(&h->mechanism, line, len);
}

void
probe_settle_mechanism(struct probe_side *side)
{
	const char *mechanism = str_text(&side->heard.mechanism);
	const struct str *declined = &side->heard.declined;
	struct str list = STR_INIT;
	const json_t *item;
	json_t *offered;
	size_t i;

	if (*mechanism == '\0')
		return;
	offered = list_offered(side);
	json_array_foreach(offered, i, item) str_appendf(&list, " %s", json_string_value(item));
	probe_pass(side, PROBE_MECHANISM,
	    json_pack("{ss so}", "mechanism", mechanism, "offered", offered),
	    "%s: the strongest that %s; the server offers%s%s%s", mechanism,
	    side->endpoint->auth_auto ? "is offered and that the secret allows"
				      : "auth names and the server offers",
	    list.len > 0 ? str_text(&list) : " none",
	    declined->len > 0 ? ", and does not have" : "", str_text(declined));
	str_clear(&list);
}

void
probe_pass_login(struct probe_side *side)
{
	char user[256];

	pass_capabilities(side);
	probe_settle_mechanism(side);
	if (!side->passed[PROBE_MECHANISM]) {
		probe_pass(side, PROBE_MECHANISM, probe_facts("mechanism", json_null()),
		    probe_has_user(side) ? "none is needed" : "none: the account has no user");
		side->passed[PROBE_LOGIN] = true;
		return;
	}
	if (side->endpoint->user == NULL)
		probe_pass(side, PROBE_LOGIN, NULL, "accepted by the certificate");
	else
		probe_pass(side, PROBE_LOGIN, NULL, "accepted as %s",
		    str_escape(
			user, sizeof user, side->endpoint->user, strlen(side->endpoint->user)));
}

/* -- what there is ----------------------------------------------------------------------------- */

static void
pass_maildrop(struct probe_side *side)
{
	const struct probe_heard *h = &side->heard;

	if (!h->counted)
		return;
	probe_pass(side, PROBE_MAILBOX,
	    json_pack(
		"{sI sI}", "messages", (json_int_t)h->messages, "octets", (json_int_t)h->octets),
	    "%" PRIu64 " message%s, %" PRIu64 " octets", h->messages, h->messages == 1 ? "" : "s",
	    h->octets);
}

static const struct {
	const char *name;
	size_t flag;
} extensions[] = {
    {"8BITMIME", offsetof(struct smtp_capabilities, eight_bit)},
    {"SMTPUTF8", offsetof(struct smtp_capabilities, utf8)},
    {"PIPELINING", offsetof(struct smtp_capabilities, pipelining)},
    {"DSN", offsetof(struct smtp_capabilities, dsn)},
    {"CHUNKING", offsetof(struct smtp_capabilities, chunking)},
    {"ENHANCEDSTATUSCODES", offsetof(struct smtp_capabilities, enhanced)},
};

static void
append_extensions(const struct smtp_capabilities *c, bool has, struct str *text)
{
	const char *separator = has ? "; has " : "; lacks ";

	for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
		if (*(const bool *)((const char *)c + extensions[i].flag) != has)
			continue;
		str_appendf(text, "%s%s", separator, extensions[i].name);
		separator = " ";
	}
}

void
probe_pass_smtp(struct probe_side *side)
{
	struct smtp_capabilities c = {0};
	struct str text = STR_INIT;
	const json_t *item;
	size_t i;

	json_array_foreach(side->heard.capabilities, i, item)
	    smtp_capability_parse(&c, json_string_value(item));
	if (c.size_limit > 0)
		str_appendf(&text, "messages of up to %" PRIu64 " octets", c.size_limit);
	else
		str_append_text(&text, "no limit of size is told");
	append_extensions(&c, true, &text);
	append_extensions(&c, false, &text);
	probe_pass(side, PROBE_MAILBOX,
	    probe_facts("size_limit",
		c.size_limit > 0 ? json_integer((json_int_t)c.size_limit) : json_null()),
	    "%s", str_text(&text));
	str_clear(&text);
}

/* Nothing was deleted: a server that closes instead of answering does no harm. */
void
probe_pass_quit(struct probe_side *side)
{
	probe_pass(side, PROBE_QUIT, NULL, "%s",
	    side->heard.farewell.len > 0
		? str_text(&side->heard.farewell)
		: "the server closed without an answer, which does no harm");
}

/* -- lines ------------------------------------------------------------------------------------- */

static void
on_sent(struct probe_side *side, const char *line)
{
	struct probe_heard *h = &side->heard;

	snprintf(h->verb, sizeof h->verb, "%.*s", (int)strcspn(line, " "), line);
	probe_pass(side, PROBE_GREETING, NULL, "%s", str_text(&h->greeting));
	if (strcmp(h->verb, "CAPA") == 0 || strcmp(h->verb, "EHLO") == 0 ||
	    strcmp(h->verb, "HELO") == 0) {
		json_array_clear(h->capabilities);
		h->answer_lines = 0;
	} else if (strcmp(h->verb, "AUTH") == 0 || strcmp(h->verb, "USER") == 0 ||
		   strcmp(h->verb, "APOP") == 0) {
		pass_capabilities(side);
		take_mechanism(h, line);
	} else if (strcmp(h->verb, "STAT") == 0) {
		probe_pass_login(side);
	} else if (strcmp(h->verb, "QUIT") == 0 && is_pop3(side)) {
		pass_maildrop(side);
	}
}

/* The first line is the status in POP3, and names the server in SMTP. */
static void
take_capability(struct probe_side *side, const char *line)
{
	struct probe_heard *h = &side->heard;

	if (h->answer_lines++ == 0)
		return;
	if (!is_pop3(side))
		line = line[0] == '2' && strlen(line) > 4 ? line + 4 : ".";
	if (strcmp(line, ".") != 0)
		json_array_append_new(h->capabilities, json_string(line));
}

static void
take_count(struct probe_heard *h, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	h->counted =
	    reply.status == POP3_OK && pop3_parse_stat(reply.text, &h->messages, &h->octets);
}

static void
on_received(struct probe_side *side, const char *line)
{
	struct probe_heard *h = &side->heard;

	probe_settle_connect(side);
	if (h->verb[0] == '\0')
		heard_line(&h->greeting, line);
	else if (strcmp(h->verb, "CAPA") == 0 || strcmp(h->verb, "EHLO") == 0)
		take_capability(side, line);
	else if (strcmp(h->verb, "STAT") == 0)
		take_count(h, line);
	else if (strcmp(h->verb, "QUIT") == 0)
		heard_line(&h->farewell, line);
}

void
probe_on_line(bool sent, const char *line, void *arg)
{
	if (sent)
		on_sent(arg, line);
	else
		on_received(arg, line);
}
