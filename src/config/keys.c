#include "config/keys.h"

#include "config/config.h"

#include <assert.h>
#include <openssl/ssl.h>
#include <string.h>

#define MINUTE          60
#define HOUR            (60 * MINUTE)
#define DAY             (24 * HOUR)
#define YEAR            (365 * DAY)
#define KIB             ((int64_t)1024)
#define SIZE_MAX_OCTETS (KIB * KIB * KIB * KIB * 1024) /* 1 PiB */

static_assert(offsetof(struct pop3_config, endpoint) == 0, "KEYS_SERVER counts from the start");
static_assert(offsetof(struct smtp_config, endpoint) == 0, "KEYS_SERVER counts from the start");
static_assert(sizeof(enum tls_mode) == sizeof(int), "KEY_CHOICE writes an int");

#define AT(type, member)    .offset = offsetof(struct type, member)
#define SERVER(member)      AT(endpoint_config, member)
#define LIMITS(least, most) .min = (least), .max = (most)

static const struct key_choice log_levels[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {NULL, 0},
};

static const struct key_choice log_details[] = {{"commands", 0}, {"full", 1}, {NULL, 0}};

static const struct key_choice tls_modes[] = {
    {"implicit", TLS_IMPLICIT}, {"starttls", TLS_STARTTLS}, {"none", TLS_NONE}, {NULL, 0}};

static const struct key_choice tls_versions[] = {
    {"1.2", TLS1_2_VERSION}, {"1.3", TLS1_3_VERSION}, {NULL, 0}};

static const struct key_choice families[] = {
    {"any", FAMILY_ANY}, {"ipv4", FAMILY_IPV4}, {"ipv6", FAMILY_IPV6}, {NULL, 0}};

static const struct key_choice dsn_returns[] = {{"hdrs", 0}, {"full", 1}, {NULL, 0}};

/* clang-format off */
static const struct key table[] = {
	{KEYS_TOP, KEY_PATH, "spool", AT(config, spool),
	    .help = "the directory that takes messages to send"},
	{KEYS_TOP, KEY_PATH, "state", AT(config, state),
	    .help = "the directory of the daemon's own memory"},
	{KEYS_TOP, KEY_DURATION, "shutdown_timeout", "10s", AT(config, shutdown_timeout),
	    LIMITS(1, 10 * MINUTE),
	    .help = "how long a clean stop may take"},
	{KEYS_TOP, KEY_GROUP, "control", .help = "the control socket"},
	{KEYS_TOP, KEY_GROUP, "log", .help = "the log and the session logs"},
	{KEYS_TOP, KEY_GROUP, "submission", .help = "the SMTP listener for local programs"},
	{KEYS_TOP, KEY_GROUP, "local", .help = "addresses without a domain"},
	{KEYS_TOP, KEY_GROUP, "limits", .help = "how much runs at once"},
	{KEYS_TOP, KEY_GROUP, "retry", .help = "when a deferred message is tried again"},
	{KEYS_TOP, KEY_GROUP, "defaults", .help = "keys that every account's groups begin with"},
	{KEYS_TOP, KEY_ACCOUNTS, "accounts", .required = true, .help = "the accounts"},

	{KEYS_CONTROL, KEY_SOCKET, "socket", AT(control_config, socket),
	    .help = "the socket's path"},
	{KEYS_CONTROL, KEY_MODE, "mode", "0660", AT(control_config, mode), LIMITS(0600, 0666),
	    .help = "the socket's permissions"},
	{KEYS_CONTROL, KEY_TEXT, "group", AT(control_config, group), LIMITS(1, 255),
	    .help = "the socket's group"},

	{KEYS_LOG, KEY_CHOICE, "level", "info", AT(log_config, level), .choices = log_levels,
	    .help = "how much goes to standard error or the journal"},
	{KEYS_LOG, KEY_PATH_OR_NOTHING, "sessions", AT(log_config, sessions),
	    .help = "the directory of the session logs"},
	{KEYS_LOG, KEY_FLAG, "detail", "commands", AT(log_config, full), .choices = log_details,
	    .help = "whether session logs hold message octets"},
	{KEYS_LOG, KEY_DURATION, "keep", "14d", AT(log_config, keep), LIMITS(1, 100 * (int64_t)YEAR),
	    .help = "how long a session log is kept"},
	{KEYS_LOG, KEY_DURATION, "keep_idle", "1d", AT(log_config, keep_idle),
	    LIMITS(0, 100 * (int64_t)YEAR),
	    .help = "the same for a session in which nothing happened"},
	{KEYS_LOG, KEY_SIZE, "max_total", "200M", AT(log_config, max_total),
	    LIMITS(1, SIZE_MAX_OCTETS),
	    .help = "how much all session logs may take"},

	{KEYS_SUBMISSION, KEY_LISTEN, "listen", AT(submission_config, listen),
	    .help = "where programs connect"},
	{KEYS_SUBMISSION, KEY_SIZE, "max_size", "50M", AT(submission_config, max_size),
	    LIMITS(1, SIZE_MAX_OCTETS),
	    .help = "the largest message taken"},

	{KEYS_LOCAL, KEY_DOMAIN, "domain", AT(local_config, domain), .required = true,
	    .help = "what is put behind a bare address"},
	{KEYS_LOCAL, KEY_PATH, "aliases", AT(local_config, aliases),
	    .help = "where local recipients are looked up"},

	{KEYS_LIMITS, KEY_INTEGER, "sessions", "64", AT(config, sessions), LIMITS(1, 4096),
	    .help = "polls at once, and deliveries at once"},
	{KEYS_LIMITS, KEY_INTEGER, "sessions_per_host", "4", AT(config, sessions_per_host),
	    LIMITS(1, 4096),
	    .help = "of these, with one server"},

	{KEYS_RETRY, KEY_DURATION, "first", "1m", AT(retry_config, first), LIMITS(1, DAY),
	    .help = "the wait after the first failed attempt"},
	{KEYS_RETRY, KEY_DURATION, "max", "1h", AT(retry_config, max), LIMITS(1, 7 * DAY),
	    .help = "the longest wait between two attempts"},
	{KEYS_RETRY, KEY_DURATION, "warn_after", "4h", AT(retry_config, warn_after), LIMITS(0, YEAR),
	    .help = "when the sender is told that a message waits"},
	{KEYS_RETRY, KEY_DURATION, "give_up", "5d", AT(retry_config, give_up), LIMITS(1, YEAR),
	    .help = "when a message that waits has failed"},

	{KEYS_DEFAULTS, KEY_GROUP, "pop3", .help = "what every pop3 group begins with"},
	{KEYS_DEFAULTS, KEY_GROUP, "smtp", .help = "what every smtp group begins with"},

	{KEYS_ACCOUNT, KEY_NAME, "name", AT(account_config, name), .required = true,
	    .help = "what the account is called"},
	{KEYS_ACCOUNT, KEY_PATH, "maildir", AT(account_config, maildir),
	    .help = "where fetched mail is stored"},
	{KEYS_ACCOUNT, KEY_MODE, "maildir_mode", "0600", AT(account_config, maildir_mode),
	    LIMITS(0600, 0640),
	    .help = "the permissions of stored messages"},
	{KEYS_ACCOUNT, KEY_MAILBOXES, "addresses", AT(account_config, addresses),
	    .help = "the senders it sends for"},
	{KEYS_ACCOUNT, KEY_BOOL, "default", "false", AT(account_config, is_default),
	    .help = "whether it takes senders that no account claims"},
	{KEYS_ACCOUNT, KEY_COMMAND, "on_fetch", AT(account_config, on_fetch),
	    .help = "a command for after a poll that fetched something"},
	{KEYS_ACCOUNT, KEY_COMMAND, "on_failure", AT(account_config, on_failure),
	    .help = "a command for when the account begins to fail"},
	{KEYS_ACCOUNT, KEY_GROUP, "pop3", .help = "the server that mail is fetched from"},
	{KEYS_ACCOUNT, KEY_GROUP, "smtp", .help = "the server that mail is sent through"},

	{KEYS_SERVER, KEY_HOST, "host", SERVER(host), .required = true,
	    .help = "the server"},
	{KEYS_SERVER, KEY_PORT, "port", SERVER(port), LIMITS(1, 65535),
	    .help = "its port"},
	{KEYS_SERVER, KEY_CHOICE, "tls", SERVER(tls), .choices = tls_modes,
	    .help = "how the connection is secured"},
	{KEYS_SERVER, KEY_TEXT, "user", SERVER(user), LIMITS(1, 1000),
	    .help = "who to be there"},
	{KEYS_SERVER, KEY_PASSWORD, "password", SERVER(secret),
	    .help = "the password itself"},
	{KEYS_SERVER, KEY_PASSWORD_FILE, "password_file", SERVER(secret),
	    .help = "a file that holds the password"},
	{KEYS_SERVER, KEY_PASSWORD_COMMAND, "password_command", SERVER(secret),
	    .help = "a command that prints the password"},
	{KEYS_SERVER, KEY_CREDENTIAL, "credential", SERVER(secret),
	    .help = "a systemd credential that holds the password"},
	{KEYS_SERVER, KEY_TOKEN_COMMAND, "token_command", SERVER(secret),
	    .help = "a command that prints an OAuth 2 access token"},
	{KEYS_SERVER, KEY_DURATION, "secret_timeout", "30s", SERVER(secret.timeout),
	    LIMITS(1, 10 * MINUTE),
	    .help = "how long such a command may run"},
	{KEYS_SERVER, KEY_AUTH, "auth", "auto", SERVER(auth),
	    .help = "the authentication mechanisms that may be used"},
	{KEYS_SERVER, KEY_BOOL, "cleartext_auth", "false", SERVER(cleartext_auth),
	    .help = "whether a secret may be sent without TLS"},
	{KEYS_SERVER, KEY_BOOL, "tls_verify", "true", SERVER(tls_config.verify),
	    .help = "whether the server's certificate is checked"},
	{KEYS_SERVER, KEY_FILE, "tls_ca_file", SERVER(tls_config.ca_file),
	    .help = "the CA certificates to trust"},
	{KEYS_SERVER, KEY_CHOICE, "tls_min", "1.2", SERVER(tls_config.min_version),
	    .choices = tls_versions,
	    .help = "the lowest version of TLS"},
	{KEYS_SERVER, KEY_PINS, "tls_fingerprint", SERVER(tls_config),
	    .help = "the certificates or keys to trust, in place of a CA"},
	{KEYS_SERVER, KEY_FILE, "tls_cert", SERVER(tls_config.cert),
	    .help = "the client certificate"},
	{KEYS_SERVER, KEY_FILE, "tls_key", SERVER(tls_config.key),
	    .help = "the client certificate's key"},
	{KEYS_SERVER, KEY_HOST, "tls_server_name", SERVER(tls_config.server_name),
	    .help = "the name to ask for and to check"},
	{KEYS_SERVER, KEY_PATH, "tls_keylog", SERVER(tls_config.keylog),
	    .help = "where session keys are written, for Wireshark"},
	{KEYS_SERVER, KEY_IP, "bind", SERVER(bind),
	    .help = "the local address to connect from"},
	{KEYS_SERVER, KEY_CHOICE, "family", "any", SERVER(family), .choices = families,
	    .help = "which addresses of the server are used"},
	{KEYS_SERVER, KEY_PROXY, "proxy", SERVER(proxy),
	    .help = "the SOCKS proxy to connect through"},
	{KEYS_SERVER, KEY_DURATION, "timeout", SERVER(timeout), LIMITS(1, DAY),
	    .help = "how long a server may be silent"},
	{KEYS_SERVER, KEY_DURATION, "deadline", "10m", SERVER(deadline), LIMITS(1, DAY),
	    .help = "how long a session may go on without getting on"},

	{KEYS_POP3, KEY_DURATION, "interval", "5m", AT(pop3_config, interval), LIMITS(0, 31 * DAY),
	    .help = "how often the server is polled"},
	{KEYS_POP3, KEY_KEEP, "keep", "forever", AT(pop3_config, keep),
	    LIMITS(1, 100 * (int64_t)YEAR),
	    .help = "how long fetched messages stay on the server"},
	{KEYS_POP3, KEY_SIZE, "max_size", "0", AT(pop3_config, max_size), LIMITS(0, SIZE_MAX_OCTETS),
	    .help = "the largest message fetched"},
	{KEYS_POP3, KEY_PIPELINING, "pipelining", "auto", AT(pop3_config, pipelining),
	    .help = "whether commands are sent ahead of replies"},
	{KEYS_POP3, KEY_BOOL, "received_header", "false", AT(pop3_config, received_header),
	    .help = "whether stored messages get a Received field"},

	{KEYS_SMTP, KEY_MAILBOX, "from", AT(smtp_config, from),
	    .help = "the envelope sender of every message"},
	{KEYS_SMTP, KEY_MAILBOX, "header_from", AT(smtp_config, header_from),
	    .help = "the From address of every message"},
	{KEYS_SMTP, KEY_HELO, "helo", AT(smtp_config, helo),
	    .help = "the name given to the server"},
	{KEYS_SMTP, KEY_PATH, "sent_maildir", AT(smtp_config, sent_maildir),
	    .help = "where a copy of sent mail is stored"},
	{KEYS_SMTP, KEY_PATH, "bounce_maildir", AT(smtp_config, bounce_maildir),
	    .help = "where bounces are stored"},
	{KEYS_SMTP, KEY_MAILBOX, "bounce_to", AT(smtp_config, bounce_to),
	    .help = "where bounces are sent"},
	{KEYS_SMTP, KEY_GROUP, "dsn", .help = "what the server is asked to report"},
	{KEYS_SMTP, KEY_OFFERED, "chunking", "auto", AT(smtp_config, chunking),
	    .help = "whether messages are sent with BDAT"},
	{KEYS_SMTP, KEY_PIPELINING, "pipelining", "auto", AT(smtp_config, pipelining),
	    .help = "whether commands are sent ahead of replies"},
	{KEYS_SMTP, KEY_INTEGER, "max_connections", "1", AT(smtp_config, max_connections),
	    LIMITS(1, 100),
	    .help = "connections at once"},
	{KEYS_SMTP, KEY_INTEGER, "max_messages", "100", AT(smtp_config, max_messages),
	    LIMITS(1, 100000),
	    .help = "messages in one connection"},
	{KEYS_SMTP, KEY_INTEGER, "max_recipients", "100", AT(smtp_config, max_recipients),
	    LIMITS(1, 100000),
	    .help = "recipients in one transaction"},

	{KEYS_DSN, KEY_NOTIFY, "notify", AT(smtp_config, dsn_notify),
	    .help = "the events to report"},
	{KEYS_DSN, KEY_WORD, "ret", AT(smtp_config, dsn_ret), .choices = dsn_returns,
	    .help = "how much of the message a report carries"},
};
/* clang-format on */

const struct key *
keys_next(const struct key *key)
{
	if (key == NULL)
		return table;
	return key + 1 < table + sizeof table / sizeof table[0] ? key + 1 : NULL;
}

bool
keys_stands_in(const struct key *key, enum key_group group)
{
	return key->group == group ||
	       (key->group == KEYS_SERVER && (group == KEYS_POP3 || group == KEYS_SMTP));
}

const struct key *
keys_find(enum key_group group, const char *name)
{
	for (const struct key *key = NULL; (key = keys_next(key)) != NULL;)
		if (keys_stands_in(key, group) && strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

const char *
keys_group_name(enum key_group group)
{
	static const char *const names[KEYS_GROUP_COUNT] = {"", "control", "log", "submission",
	    "local", "limits", "retry", "defaults", "accounts", "server", "pop3", "smtp", "dsn"};

	return names[group];
}

bool
keys_is_secret(const struct key *key)
{
	return key->type >= KEY_PASSWORD && key->type <= KEY_TOKEN_COMMAND;
}

void
keys_append_duration(struct str *out, int64_t seconds)
{
	if (seconds > 0 && seconds % DAY == 0)
		str_appendf(out, "%jdd", (intmax_t)seconds / DAY);
	else if (seconds > 0 && seconds % HOUR == 0)
		str_appendf(out, "%jdh", (intmax_t)seconds / HOUR);
	else if (seconds > 0 && seconds % MINUTE == 0)
		str_appendf(out, "%jdm", (intmax_t)seconds / MINUTE);
	else
		str_appendf(out, "%jds", (intmax_t)seconds);
}

void
keys_append_size(struct str *out, int64_t octets)
{
	static const char units[] = "\0KMG";
	size_t unit = 0;

	while (unit < 3 && octets > 0 && octets % KIB == 0) {
		octets /= KIB;
		unit++;
	}
	str_appendf(out, "%jd%.1s", (intmax_t)octets, units + unit);
}

/* "a", "b" or "c" */
static void
describe_choices(const struct key *key, struct str *out)
{
	for (const struct key_choice *c = key->choices; c->word != NULL; c++) {
		if (c != key->choices)
			str_append_text(out, c[1].word != NULL ? ", " : " or ");
		str_appendf(out, "\"%s\"", c->word);
	}
}

static void
describe_duration(const struct key *key, struct str *out)
{
	str_append_text(out, "a duration from ");
	keys_append_duration(out, key->min);
	str_append_text(out, " to ");
	keys_append_duration(out, key->max);
	str_append_text(
	    out, " (an integer of seconds, or text such as \"90s\" \"5m\" \"2h\" \"14d\")");
}

static void
describe_size(const struct key *key, struct str *out)
{
	str_append_text(out, "a size from ");
	keys_append_size(out, key->min);
	str_append_text(out, " to ");
	keys_append_size(out, key->max);
	str_append_text(out, " (an integer of octets, or text such as \"64K\" \"50M\" \"2G\")");
}

static void
describe_mode(const struct key *key, struct str *out)
{
	str_appendf(out,
	    "octal permissions as text, from \"%04jo\" to \"%04jo\" and never executable",
	    (uintmax_t)key->min, (uintmax_t)key->max);
}

/* Where the type alone says it all. */
static const char *
type_description(enum key_type type)
{
	static const char *const text[] = {
	    [KEY_GROUP] = "a group: { ... }",
	    [KEY_ACCOUNTS] = "a list of groups: ( { ... }, { ... } )",
	    [KEY_BOOL] = "true or false",
	    [KEY_OFFERED] = "\"auto\", true or false",
	    [KEY_PIPELINING] = "\"auto\", true or false",
	    [KEY_NOTIFY] = "\"never\", or of \"success,failure,delay\" each at most once",
	    [KEY_NAME] = "a name of at most 64 octets: [A-Za-z0-9][A-Za-z0-9._-]*",
	    [KEY_TEXT] = "text, not empty, without control characters",
	    [KEY_HOST] = "a host name or an IP address (no port, no brackets)",
	    [KEY_DOMAIN] = "a domain name",
	    [KEY_HELO] = "a domain name or an address literal such as \"[192.0.2.1]\"",
	    [KEY_MAILBOX] = "a mail address such as \"me@example.org\"",
	    [KEY_MAILBOXES] =
		"addresses or domains such as [ \"me@example.org\", \"@example.net\" ]",
	    [KEY_IP] = "an IP address",
	    [KEY_PATH] = "a path",
	    [KEY_PATH_OR_NOTHING] = "a path, or \"\"",
	    [KEY_FILE] = "a path",
	    [KEY_SOCKET] = "a path of at most 107 octets",
	    [KEY_LISTEN] =
		"absolute paths of at most 107 octets, or loopback addresses with a port "
		"such as \"127.0.0.1:2525\" or \"[::1]:2525\"",
	    [KEY_COMMAND] = "a command: text for the shell, or [ \"program\", \"argument\", ... ]",
	    [KEY_PASSWORD_COMMAND] =
		"a command: text for the shell, or [ \"program\", \"argument\", ... ]",
	    [KEY_TOKEN_COMMAND] =
		"a command: text for the shell, or [ \"program\", \"argument\", ... ]",
	    [KEY_AUTH] =
		"\"auto\" or a list of mechanisms such as [ \"SCRAM-SHA-256\", \"PLAIN\" ]",
	    [KEY_PINS] =
		"\"sha256:...\" or \"spki-sha256:...\" with 64 hexadecimal digits, or a list "
		"of these",
	    [KEY_PROXY] = "\"socks5://[user:password@]host:port\"",
	    [KEY_PASSWORD] = "text of 1 to 16384 octets without line ends",
	    [KEY_PASSWORD_FILE] = "a path",
	    [KEY_CREDENTIAL] = "the name of a credential: no path, no control characters",
	};

	return text[type];
}

void
keys_describe(const struct key *key, struct str *out)
{
	switch (key->type) {
	case KEY_INTEGER:
	case KEY_PORT:
		str_appendf(
		    out, "an integer from %jd to %jd", (intmax_t)key->min, (intmax_t)key->max);
		break;
	case KEY_KEEP:
		str_append_text(out, "\"no\", \"forever\" or ");
		describe_duration(key, out);
		break;
	case KEY_DURATION:
		describe_duration(key, out);
		break;
	case KEY_SIZE:
		describe_size(key, out);
		break;
	case KEY_MODE:
		describe_mode(key, out);
		break;
	case KEY_CHOICE:
	case KEY_FLAG:
	case KEY_WORD:
		describe_choices(key, out);
		break;
	default:
		str_append_text(out, type_description(key->type));
		break;
	}
}
