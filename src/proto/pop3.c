#include "proto/pop3.h"

#include "base/str.h"
#include "proto/sasl.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/*
 *	resp-code  = "[" resp-level *("/" resp-level) "]"      (RFC 2449 section 8)
 *
 * A client that does not know a level acts on those before it: names match up to a "/".  Any other
 * code of SYS is trouble of the server's, never of the password, and likely to pass.
 */
static const struct {
	const char *name;
	enum pop3_code code;
} codes[] = {
    {"IN-USE", POP3_CODE_IN_USE},
    {"LOGIN-DELAY", POP3_CODE_LOGIN_DELAY},
    {"SYS/TEMP", POP3_CODE_SYS_TEMP},
    {"SYS/PERM", POP3_CODE_SYS_PERM},
    {"SYS", POP3_CODE_SYS_TEMP},
    {"AUTH", POP3_CODE_AUTH},
    {"UTF8", POP3_CODE_UTF8},
};

static enum pop3_code
find_code(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		size_t n = strlen(codes[i].name);

		if (n <= len && strncasecmp(codes[i].name, name, n) == 0 &&
		    (n == len || name[n] == '/'))
			return codes[i].code;
	}
	return POP3_CODE_OTHER;
}

static void
parse_code(struct pop3_reply *reply)
{
	const char *end;

	if (*reply->text != '[' || (end = strchr(reply->text, ']')) == NULL)
		return;
	reply->code = find_code(reply->text + 1, (size_t)(end - reply->text - 1));
	if (reply->code != POP3_CODE_OTHER)
		reply->text = skip_blanks(end + 1);
}

void
pop3_parse_reply(const char *line, struct pop3_reply *reply)
{
	*reply = (struct pop3_reply){.status = POP3_GARBAGE, .text = line};
	if (strncasecmp(line, "+OK", 3) == 0 && !is_alnum(line[3])) {
		reply->status = POP3_OK;
		reply->text = skip_blanks(line + 3);
	} else if (strncasecmp(line, "-ERR", 4) == 0 && !is_alnum(line[4])) {
		reply->status = POP3_ERR;
		reply->text = skip_blanks(line + 4);
		parse_code(reply);
	} else if (line[0] == '+' && (line[1] == '\0' || is_blank(line[1]))) {
		reply->status = POP3_CONTINUE;
		reply->text = skip_blanks(line + 1);
	}
}

/* Digits up to max; moves *p behind them.  False without digits, and above max. */
static bool
parse_number(const char **p, uint64_t max, uint64_t *number)
{
	const char *digit = *p;

	*number = 0;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		uint64_t d = (uint64_t)(*digit - '0');

		if (*number > (max - d) / 10)
			return false;
		*number = *number * 10 + d;
	}
	if (digit == *p)
		return false;
	*p = digit;
	return true;
}

/* A number that ends in a blank or with the line; moves *p to what follows the blanks. */
static bool
parse_number_word(const char **p, uint64_t max, uint64_t *number)
{
	*p = skip_blanks(*p);
	if (!parse_number(p, max, number) || (**p != '\0' && !is_blank(**p)))
		return false;
	*p = skip_blanks(*p);
	return true;
}

bool
pop3_parse_stat(const char *text, uint64_t *count, uint64_t *octets)
{
	return parse_number_word(&text, UINT64_MAX, count) &&
	       parse_number_word(&text, UINT64_MAX, octets);
}

static bool
parse_message_number(const char **p, struct pop3_listing_item *item)
{
	uint64_t number;

	if (!parse_number_word(p, UINT32_MAX, &number) || number == 0)
		return false;
	*item = (struct pop3_listing_item){.number = (uint32_t)number};
	return true;
}

bool
pop3_parse_list(const char *line, struct pop3_listing_item *item)
{
	return parse_message_number(&line, item) &&
	       parse_number_word(&line, UINT64_MAX, &item->size);
}

static bool
has_control(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return true;
	return false;
}

bool
pop3_parse_uidl(const char *line, struct pop3_listing_item *item)
{
	size_t len;

	if (!parse_message_number(&line, item))
		return false;
	len = strlen(line);
	while (len > 0 && is_blank(line[len - 1]))
		len--;
	if (len > POP3_UID_LIMIT || has_control(line, len))
		return false;
	item->uid = line;
	item->uid_len = len;
	return true;
}

void
pop3_capabilities_init(struct pop3_capabilities *capabilities)
{
	*capabilities = (struct pop3_capabilities){.login_delay = -1, .expire = -1};
}

static void
take_sasl(struct pop3_capabilities *c, const char *list)
{
	c->sasl |= sasl_mechanisms_from_list(list);
}

static bool
says_user(const char *argument)
{
	return strncasecmp(argument, "USER", 4) == 0 && !is_alnum(argument[4]);
}

/* "LOGIN-DELAY minimum [USER]": a number that cannot be read is as good as none. */
static void
take_login_delay(struct pop3_capabilities *c, const char *argument)
{
	uint64_t seconds;

	if (!parse_number_word(&argument, INT64_MAX, &seconds))
		return;
	c->login_delay = (int64_t)seconds;
	c->per_user = c->per_user || says_user(argument);
}

/* "EXPIRE days|NEVER [USER]" */
static void
take_expire(struct pop3_capabilities *c, const char *argument)
{
	uint64_t days;

	if (strncasecmp(argument, "NEVER", 5) == 0 && !is_alnum(argument[5])) {
		c->expire = POP3_EXPIRE_NEVER;
		argument = skip_blanks(argument + 5);
	} else if (parse_number_word(&argument, INT64_MAX - 1, &days)) {
		c->expire = (int64_t)days;
	} else {
		return;
	}
	c->per_user = c->per_user || says_user(argument);
}

/* Cuts where a UTF-8 sequence begins, for the text is shown to people. */
static void
take_implementation(struct pop3_capabilities *c, const char *argument)
{
	size_t len, max = sizeof c->implementation - 1;
	struct str s = STR_INIT;

	str_append_escaped(&s, argument, strlen(argument));
	len = s.len < max ? s.len : max;
	while (len > 0 && len < s.len && ((unsigned char)s.data[len] & 0xc0) == 0x80)
		len--;
	memcpy(c->implementation, str_text(&s), len);
	c->implementation[len] = '\0';
	str_clear(&s);
}

/* A plain flag, or what reads the argument (blanks before it are gone). */
static const struct {
	const char *name;
	size_t flag;
	void (*take)(struct pop3_capabilities *c, const char *argument);
} capability_table[] = {
#define FLAG(name, member)                                                                         \
	{                                                                                          \
		name, offsetof(struct pop3_capabilities, member), NULL                             \
	}
#define TAKE(name, function)                                                                       \
	{                                                                                          \
		name, 0, function                                                                  \
	}
    FLAG("TOP", top),
    FLAG("USER", user),
    FLAG("UIDL", uidl),
    FLAG("STLS", stls),
    FLAG("PIPELINING", pipelining),
    FLAG("RESP-CODES", resp_codes),
    FLAG("AUTH-RESP-CODE", auth_resp_code),
    FLAG("UTF8", utf8),
    TAKE("SASL", take_sasl),
    TAKE("LOGIN-DELAY", take_login_delay),
    TAKE("EXPIRE", take_expire),
    TAKE("IMPLEMENTATION", take_implementation),
#undef FLAG
#undef TAKE
};

void
pop3_parse_capability(struct pop3_capabilities *capabilities, const char *line)
{
	size_t len = strcspn(line, " \t");

	for (size_t i = 0; i < sizeof capability_table / sizeof *capability_table; i++) {
		if (strlen(capability_table[i].name) != len ||
		    strncasecmp(capability_table[i].name, line, len) != 0)
			continue;
		if (capability_table[i].take != NULL)
			capability_table[i].take(capabilities, skip_blanks(line + len));
		else
			*(bool *)((char *)capabilities + capability_table[i].flag) = true;
		return;
	}
}

/*
 *	timestamp = "<" 1*atext-like "@" 1*atext-like ">"      (RFC 1939 section 7, a msg-id)
 *
 * Nothing but printable ASCII without blanks, so that no octets of an attacker's choice get into
 * the digest.
 */
static size_t
measure_timestamp(const char *p)
{
	size_t len = 1, at = 0;

	for (;; len++) {
		if (p[len] == '>')
			return at > 1 && len > at + 1 ? len + 1 : 0;
		if (p[len] <= ' ' || p[len] > '~' || p[len] == '<')
			return 0;
		if (p[len] == '@' && at != 0)
			return 0;
		if (p[len] == '@')
			at = len;
	}
}

bool
pop3_parse_timestamp(const char *greeting, const char **timestamp, size_t *len)
{
	for (const char *p = strchr(greeting, '<'); p != NULL; p = strchr(p + 1, '<')) {
		*len = measure_timestamp(p);
		if (*len == 0)
			continue;
		*timestamp = p;
		return true;
	}
	return false;
}
