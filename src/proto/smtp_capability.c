#include "proto/smtp_capability.h"

#include "proto/sasl.h"

#include <string.h>
#include <strings.h>

/*
 *	ehlo-line    = ehlo-keyword *( SP ehlo-param )          (RFC 5321 section 4.1.1.1)
 *	ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")   case does not matter
 */

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* Digits and nothing else up to a blank or the end.  False above max. */
static bool
parse_number(const char *p, uint64_t max, uint64_t *number)
{
	size_t len = strcspn(p, " \t");

	if (len == 0 || strspn(p, "0123456789") != len)
		return false;
	*number = 0;
	for (size_t i = 0; i < len; i++) {
		uint64_t d = (uint64_t)(p[i] - '0');

		if (*number > (max - d) / 10)
			return false;
		*number = *number * 10 + d;
	}
	return true;
}

/* RFC 1870 section 4: no number, or 0, is no fixed limit. */
static void
take_size(struct smtp_capabilities *c, const char *arguments)
{
	uint64_t limit;

	c->size = true;
	if (parse_number(arguments, UINT64_MAX, &limit))
		c->size_limit = limit;
}

static void
take_auth(struct smtp_capabilities *c, const char *arguments)
{
	c->auth = true;
	c->mechanisms |= sasl_mechanisms_from_list(arguments);
}

/*
 *	limit = name "=" value          (RFC 9422 section 4)
 *
 * All three that are registered have %x31-39 0*5DIGIT for a value.
 */
static const struct {
	const char *name;
	size_t member;
} limits[] = {
    {"RCPTMAX=", offsetof(struct smtp_capabilities, rcpt_max)},
    {"MAILMAX=", offsetof(struct smtp_capabilities, mail_max)},
    {"RCPTDOMAINMAX=", offsetof(struct smtp_capabilities, rcpt_domain_max)},
};

static void
take_limit(struct smtp_capabilities *c, const char *limit)
{
	uint64_t value;

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		size_t len = strlen(limits[i].name);

		if (strncasecmp(limit, limits[i].name, len) == 0 && limit[len] != '0' &&
		    parse_number(limit + len, 999999, &value))
			*(uint32_t *)(void *)((char *)c + limits[i].member) = (uint32_t)value;
	}
}

static void
take_limits(struct smtp_capabilities *c, const char *arguments)
{
	while (*arguments != '\0') {
		take_limit(c, arguments);
		arguments = skip_blanks(arguments + strcspn(arguments, " \t"));
	}
}

/* A plain flag, or what reads the arguments (blanks before them are gone). */
static const struct {
	const char *keyword;
	size_t flag;
	void (*take)(struct smtp_capabilities *c, const char *arguments);
} table[] = {
#define FLAG(keyword, member)                                                                      \
	{                                                                                          \
		keyword, offsetof(struct smtp_capabilities, member), NULL                          \
	}
#define TAKE(keyword, function)                                                                    \
	{                                                                                          \
		keyword, 0, function                                                               \
	}
    FLAG("8BITMIME", eight_bit),
    FLAG("SMTPUTF8", utf8),
    FLAG("ENHANCEDSTATUSCODES", enhanced),
    FLAG("DSN", dsn),
    FLAG("PIPELINING", pipelining),
    FLAG("STARTTLS", starttls),
    FLAG("CHUNKING", chunking),
    FLAG("REQUIRETLS", require_tls),
    TAKE("SIZE", take_size),
    TAKE("AUTH", take_auth),
    TAKE("LIMITS", take_limits),
#undef FLAG
#undef TAKE
};

/* Servers from before RFC 2554 say "AUTH=LOGIN", some in a line of its own beside the proper one.
 */
static size_t
measure_keyword(const char *line)
{
	if (strncasecmp(line, "AUTH=", 5) == 0)
		return 4;
	return strcspn(line, " \t");
}

void
smtp_capability_parse(struct smtp_capabilities *capabilities, const char *line)
{
	size_t len;

	line = skip_blanks(line);
	len = measure_keyword(line);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (strlen(table[i].keyword) != len ||
		    strncasecmp(table[i].keyword, line, len) != 0)
			continue;
		line += len;
		if (table[i].take == NULL)
			*(bool *)((char *)capabilities + table[i].flag) = true;
		else
			table[i].take(capabilities, skip_blanks(*line == '=' ? line + 1 : line));
		return;
	}
}

void
smtp_capability_take(struct smtp_capabilities *capabilities, const struct smtp_reply *reply)
{
	if (reply->fault == NULL && reply->code / 100 == 2 && reply->lines > 1)
		smtp_capability_parse(capabilities, reply->line);
}
