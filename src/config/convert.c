#include "config/convert.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "config/guard.h"
#include "config/lists.h"
#include "config/path.h"
#include "config/secrets.h"
#include "config/value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

typedef bool convert_fn(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest);

static bool
in_limits(const struct key *key, int64_t n)
{
	return n >= key->min && n <= key->max;
}

static bool
to_group(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key, (void)dest;
	return raw->kind == RAW_GROUP;
}

/* "()" and "[]" hold nothing, both the same way. */
static bool
to_accounts(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)dest;
	for (size_t i = 0; i < reader_count(raw); i++) {
		struct raw element = reader_element(raw, i);

		if (element.kind != RAW_GROUP)
			reader_wrong(reader, key, &element);
	}
	return raw->kind == RAW_LIST;
}

static bool
to_bool(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	if (raw->kind != RAW_BOOL)
		return false;
	memcpy(dest, &raw->truth, sizeof(bool));
	return true;
}

static bool
is_auto(const struct raw *raw)
{
	return raw->kind == RAW_TEXT && strcmp(raw->text, "auto") == 0;
}

static bool
to_offered(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	bool yes = is_auto(raw) || raw->truth;

	(void)reader, (void)key;
	if (!is_auto(raw) && raw->kind != RAW_BOOL)
		return false;
	memcpy(dest, &yes, sizeof yes);
	return true;
}

static bool
to_pipelining(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	enum pipelining value = raw->truth ? PIPELINING_ON : PIPELINING_OFF;

	(void)reader, (void)key;
	if (is_auto(raw))
		value = PIPELINING_AUTO;
	else if (raw->kind != RAW_BOOL)
		return false;
	memcpy(dest, &value, sizeof value);
	return true;
}

static bool
to_integer(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	unsigned value = (unsigned)raw->integer;

	(void)reader;
	if (raw->kind != RAW_INTEGER || !in_limits(key, raw->integer))
		return false;
	memcpy(dest, &value, sizeof value);
	return true;
}

static bool
to_port(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	uint16_t value = (uint16_t)raw->integer;

	(void)reader;
	if (raw->kind != RAW_INTEGER || !in_limits(key, raw->integer))
		return false;
	memcpy(dest, &value, sizeof value);
	return true;
}

static bool
to_duration(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	int64_t ms;

	(void)reader;
	if (raw->kind == RAW_INTEGER && in_limits(key, raw->integer))
		ms = raw->integer * 1000;
	else if (raw->kind != RAW_TEXT || !value_duration(raw->text, &ms) ||
		 !in_limits(key, ms / 1000))
		return false;
	memcpy(dest, &ms, sizeof ms);
	return true;
}

static bool
to_size(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	uint64_t octets = (uint64_t)raw->integer;

	(void)reader;
	if (raw->kind != RAW_INTEGER && (raw->kind != RAW_TEXT || !value_size(raw->text, &octets)))
		return false;
	if (!in_limits(key, (int64_t)octets))
		return false;
	memcpy(dest, &octets, sizeof octets);
	return true;
}

static bool
to_mode(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	mode_t mode;

	(void)reader;
	if (raw->kind != RAW_TEXT || !value_mode(raw->text, &mode))
		return false;
	if ((mode & key->min) != (mode_t)key->min || (mode & ~(mode_t)key->max) != 0)
		return false;
	memcpy(dest, &mode, sizeof mode);
	return true;
}

static const struct key_choice *
find_choice(const struct key *key, const struct raw *raw)
{
	const struct key_choice *c = key->choices;

	while (c->word != NULL && (raw->kind != RAW_TEXT || strcmp(raw->text, c->word) != 0))
		c++;
	return c->word != NULL ? c : NULL;
}

static bool
to_choice(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	const struct key_choice *choice = find_choice(key, raw);

	(void)reader;
	if (choice != NULL)
		memcpy(dest, &choice->value, sizeof choice->value);
	return choice != NULL;
}

static bool
to_flag(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	const struct key_choice *choice = find_choice(key, raw);
	bool value = choice != NULL && choice->value != 0;

	(void)reader;
	if (choice != NULL)
		memcpy(dest, &value, sizeof value);
	return choice != NULL;
}

static bool
put_text(void *dest, const char *text)
{
	*(char **)dest = xstrdup(text);
	return true;
}

static bool
put_capitals(void *dest, const char *text)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	*(char **)dest = copy;
	return true;
}

static bool
to_word(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	const struct key_choice *choice = find_choice(key, raw);

	(void)reader;
	return choice != NULL && put_capitals(dest, choice->word);
}

static bool
to_notify(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_notify(raw->text) && put_capitals(dest, raw->text);
}

static bool
to_name(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_name(raw->text) && put_text(dest, raw->text);
}

static bool
to_text(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader;
	return raw->kind == RAW_TEXT && value_text(raw->text, (size_t)key->max) &&
	       put_text(dest, raw->text);
}

static bool
to_host(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_host(raw->text) && put_text(dest, raw->text);
}

static bool
to_domain(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_domain(raw->text) && put_text(dest, raw->text);
}

static bool
to_helo(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_helo(raw->text) && put_text(dest, raw->text);
}

static bool
to_mailbox(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_mailbox(raw->text, false) &&
	       put_text(dest, raw->text);
}

static bool
to_ip(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	enum address_family family;

	(void)reader, (void)key;
	return raw->kind == RAW_TEXT && value_ip(raw->text, &family) && put_text(dest, raw->text);
}

char *
convert_path(struct reader *reader, const struct key *key, const struct raw *raw)
{
	char *path, *why;

	if (raw->kind != RAW_TEXT)
		return NULL;
	path = path_expand(raw->text, reader->base, &why);
	if (path == NULL)
		reader_fault(reader, key->name, raw->line, "%s", why);
	if (path == NULL)
		free(why);
	return path;
}

static bool
to_path(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	*(char **)dest = convert_path(reader, key, raw);
	return raw->kind == RAW_TEXT;
}

static bool
to_path_or_nothing(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	if (raw->kind == RAW_TEXT && raw->text[0] == '\0')
		return true;
	return to_path(reader, key, raw, dest);
}

static bool
to_file(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	char *path = convert_path(reader, key, raw);

	*(char **)dest = path;
	if (path != NULL)
		guard_check_readable(reader, key, raw, path);
	return raw->kind == RAW_TEXT;
}

static bool
to_socket(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	char *path = convert_path(reader, key, raw);

	*(char **)dest = path;
	return raw->kind == RAW_TEXT &&
	       (path == NULL || strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path);
}

/* The two words are not durations: KEEP_NO and KEEP_FOREVER have no time with them. */
static bool
to_keep(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct pop3_config *pop3 =
	    (struct pop3_config *)(void *)((char *)dest - offsetof(struct pop3_config, keep));

	if (raw->kind == RAW_TEXT && strcmp(raw->text, "no") == 0) {
		pop3->keep = KEEP_NO;
	} else if (raw->kind == RAW_TEXT && strcmp(raw->text, "forever") == 0) {
		pop3->keep = KEEP_FOREVER;
	} else {
		if (!to_duration(reader, key, raw, &pop3->keep_for))
			return false;
		pop3->keep = KEEP_FOR;
	}
	return true;
}

static bool
to_proxy(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct proxy_config proxy;

	if (raw->kind != RAW_TEXT || !value_proxy(raw->text, &proxy))
		return false;
	*(struct proxy_config **)dest = xcalloc(1, sizeof proxy);
	**(struct proxy_config **)dest = proxy;
	if (proxy.password != NULL)
		guard_check_literal(reader, key, raw);
	return true;
}

bool
convert_value(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	static convert_fn *const by_type[] = {
	    [KEY_GROUP] = to_group,
	    [KEY_ACCOUNTS] = to_accounts,
	    [KEY_BOOL] = to_bool,
	    [KEY_OFFERED] = to_offered,
	    [KEY_PIPELINING] = to_pipelining,
	    [KEY_INTEGER] = to_integer,
	    [KEY_PORT] = to_port,
	    [KEY_DURATION] = to_duration,
	    [KEY_SIZE] = to_size,
	    [KEY_MODE] = to_mode,
	    [KEY_CHOICE] = to_choice,
	    [KEY_FLAG] = to_flag,
	    [KEY_WORD] = to_word,
	    [KEY_NOTIFY] = to_notify,
	    [KEY_NAME] = to_name,
	    [KEY_TEXT] = to_text,
	    [KEY_HOST] = to_host,
	    [KEY_DOMAIN] = to_domain,
	    [KEY_HELO] = to_helo,
	    [KEY_MAILBOX] = to_mailbox,
	    [KEY_MAILBOXES] = lists_read_mailboxes,
	    [KEY_IP] = to_ip,
	    [KEY_PATH] = to_path,
	    [KEY_PATH_OR_NOTHING] = to_path_or_nothing,
	    [KEY_FILE] = to_file,
	    [KEY_SOCKET] = to_socket,
	    [KEY_LISTEN] = lists_read_listen,
	    [KEY_COMMAND] = lists_read_command,
	    [KEY_KEEP] = to_keep,
	    [KEY_AUTH] = lists_read_auth,
	    [KEY_PINS] = lists_read_pins,
	    [KEY_PROXY] = to_proxy,
	    [KEY_PASSWORD] = secrets_read_password,
	    [KEY_PASSWORD_FILE] = secrets_read_file,
	    [KEY_PASSWORD_COMMAND] = secrets_read_command,
	    [KEY_CREDENTIAL] = secrets_read_credential,
	    [KEY_TOKEN_COMMAND] = secrets_read_command,
	};

	return by_type[key->type](reader, key, raw, dest);
}
