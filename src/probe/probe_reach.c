#include "probe/probe_side.h"

#include "config/config.h"
#include "net/connect.h"

#include <inttypes.h>
#include <string.h>

static const char *
outcome_text(const struct connect_course_item *item)
{
	switch (item->outcome) {
	case CONNECT_WON:
		return "connected";
	case CONNECT_REFUSED:
		return strerror(item->error);
	case CONNECT_SILENT:
		return "no answer in time";
	case CONNECT_UNTRIED:
		break;
	}
	return "not tried";
}

static const struct connect_course_item *
find_winner(const struct connect_course *course)
{
	for (size_t i = 0; i < course->count; i++)
		if (course->list[i].outcome == CONNECT_WON)
			return &course->list[i];
	return NULL;
}

/* The first IPv6 address that failed, where IPv4 had to help out; NULL when none did. */
static const struct connect_course_item *
find_broken_ipv6(const struct connect_course *course)
{
	const struct connect_course_item *winner = find_winner(course);

	if (winner == NULL || winner->address.any.sa_family != AF_INET)
		return NULL;
	for (size_t i = 0; i < course->count; i++) {
		const struct connect_course_item *item = &course->list[i];

		if (item->address.any.sa_family == AF_INET6 &&
		    (item->outcome == CONNECT_REFUSED || item->outcome == CONNECT_SILENT))
			return item;
	}
	return NULL;
}

static json_t *
list_addresses(const struct connect_course *course, struct str *text)
{
	json_t *list = json_array();
	char shown[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < course->count; i++) {
		const struct connect_course_item *item = &course->list[i];

		address_format(&item->address, false, shown);
		str_appendf(text, "%s%s", i > 0 ? ", " : "", shown);
		json_array_append_new(
		    list, json_pack("{ss ss}", "address", shown, "result", outcome_text(item)));
	}
	return list;
}

static void
pass_name(struct probe_side *side, const struct connect_course *course)
{
	const struct proxy_config *proxy = side->endpoint->proxy;
	const char *host = proxy != NULL ? proxy->host : side->endpoint->host;
	struct str text = STR_INIT;
	json_t *facts = probe_facts("addresses", list_addresses(course, &text));

	json_object_set_new(facts, "ms", json_integer(course->resolved));
	if (course->literal)
		probe_pass(side, PROBE_NAME, facts, "%s is an address%s", host,
		    proxy != NULL ? " (of the proxy, which asks for the server's)" : "");
	else
		probe_pass(side, PROBE_NAME, facts, "%s is %s%s", host, str_text(&text),
		    proxy != NULL ? " (the proxy, which asks for the server's name)" : "");
	str_clear(&text);
}

/* What a working connection hides: every one waits for IPv6 first. */
static json_t *
describe_broken(const struct connect_course_item *broken)
{
	struct str text = STR_INIT;
	char shown[ADDRESS_TEXT_SIZE];
	json_t *details;

	str_appendf(&text,
	    "IPv6 did not work, IPv4 had to help out: %s: %s; mend it, or set family = \"ipv4\"",
	    address_format(&broken->address, true, shown), outcome_text(broken));
	details = json_pack("[s]", str_text(&text));
	str_clear(&text);
	return details;
}

static json_t *
describe_connect(const struct connect_course *course, const char *address)
{
	const struct connect_course_item *broken = find_broken_ipv6(course);
	json_t *facts = probe_facts("address", json_string(address));

	json_object_set_new(facts, "ms", json_integer(course->tried));
	json_object_set_new(facts, "ipv6_broken", json_boolean(broken != NULL));
	if (broken != NULL)
		json_object_set_new(facts, "details", describe_broken(broken));
	return facts;
}

void
probe_on_reached(const struct connect_course *course, void *arg)
{
	struct probe_side *side = arg;
	const struct connect_course_item *winner = find_winner(course);
	char shown[ADDRESS_TEXT_SIZE];

	if (course->count > 0)
		pass_name(side, course);
	if (winner == NULL)
		return; /* the session tells why */
	address_format(&winner->address, true, shown);
	str_appendf(&side->heard.reached, "%s answered after %" PRId64 " ms", shown, course->tried);
	if (side->endpoint->proxy != NULL)
		str_appendf(
		    &side->heard.reached, "; that SOCKS5 proxy connected to %s", side->server);
	side->heard.reached_facts = describe_connect(course, shown);
	if (side->endpoint->proxy == NULL)
		probe_settle_connect(side);
}

void
probe_settle_connect(struct probe_side *side)
{
	json_t *facts = side->heard.reached_facts;

	if (facts == NULL)
		return;
	side->heard.reached_facts = NULL;
	probe_pass(side, PROBE_CONNECT, facts, "%s", str_text(&side->heard.reached));
	if (side->endpoint->tls == TLS_NONE)
		probe_pass(side, PROBE_TLS, probe_facts("version", json_null()),
		    "none: tls = \"none\", everything goes in clear");
}
