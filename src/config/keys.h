#ifndef POSTRIDER_CONFIG_KEYS_H
#define POSTRIDER_CONFIG_KEYS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a key stands.  The keys of KEYS_SERVER stand in pop3 and smtp both. */
enum key_group {
	KEYS_TOP,
	KEYS_CONTROL,
	KEYS_LOG,
	KEYS_SUBMISSION,
	KEYS_LOCAL,
	KEYS_LIMITS,
	KEYS_RETRY,
	KEYS_DEFAULTS,
	KEYS_ACCOUNT,
	KEYS_SERVER,
	KEYS_POP3,
	KEYS_SMTP,
	KEYS_DSN,
	KEYS_GROUP_COUNT
};

/* What a value may be, and what it becomes; the member of the settings is named behind each. */
enum key_type {
	KEY_GROUP,           /* { ... } */
	KEY_ACCOUNTS,        /* ( { ... }, ... ) */
	KEY_BOOL,            /* bool */
	KEY_OFFERED,         /* "auto" or a bool; bool: may be used where it is offered */
	KEY_PIPELINING,      /* "auto" or a bool; enum pipelining */
	KEY_INTEGER,         /* unsigned, from min to max */
	KEY_PORT,            /* uint16_t */
	KEY_DURATION,        /* int64_t milliseconds, from min to max seconds */
	KEY_SIZE,            /* uint64_t, from min to max octets */
	KEY_MODE,            /* mode_t; has the bits of min and none but those of max */
	KEY_CHOICE,          /* an enum or int, one of choices */
	KEY_FLAG,            /* bool, one of two choices: the value of the choice */
	KEY_WORD,            /* char *, one of choices in capitals */
	KEY_NOTIFY,          /* char *, RFC 3461 NOTIFY in capitals */
	KEY_NAME,            /* char *, an account's name */
	KEY_TEXT,            /* char * of at most max octets, without control characters */
	KEY_HOST,            /* char *, a name or an address */
	KEY_DOMAIN,          /* char * */
	KEY_HELO,            /* char *, a domain or an address literal */
	KEY_MAILBOX,         /* char *, an address */
	KEY_MAILBOXES,       /* char **, addresses or @domains */
	KEY_IP,              /* char *, a literal address */
	KEY_PATH,            /* char * */
	KEY_PATH_OR_NOTHING, /* char *; "" is NULL */
	KEY_FILE,            /* char *, a file that can be read */
	KEY_SOCKET,          /* char *, a path that fits into a socket's address */
	KEY_LISTEN,          /* char **, such paths or loopback addresses with a port */
	KEY_COMMAND,         /* char ** */
	KEY_KEEP,            /* pop3_config.keep and .keep_for */
	KEY_AUTH,            /* endpoint_config.auth and .auth_auto */
	KEY_PINS,            /* tls_config.pins */
	KEY_PROXY,           /* struct proxy_config * */
	KEY_PASSWORD,        /* struct secret_source, as the following */
	KEY_PASSWORD_FILE,
	KEY_PASSWORD_COMMAND,
	KEY_CREDENTIAL,
	KEY_TOKEN_COMMAND
};

struct key_choice {
	const char *word;
	int value;
};

/* One key of the configuration file.  Static. */
struct key {
	enum key_group group;
	enum key_type type;
	const char *name;
	const char *preset; /* what an absent key means, as it would be written; NULL: nothing */
	size_t offset;      /* of the member, in the struct that holds the group's settings */
	int64_t min;
	int64_t max;
	const struct key_choice *choices; /* ends with a NULL word */
	bool required;
	const char *help; /* one line */
};

/* The keys in the order of the man page: NULL gives the first, and is given after the last. */
const struct key *keys_next(const struct key *key);

/* True when the key may stand in the group: KEYS_SERVER's in KEYS_POP3 and KEYS_SMTP too. */
bool keys_stands_in(const struct key *key, enum key_group group);

/* NULL when the group has no such key.  Letter case counts. */
const struct key *keys_find(enum key_group group, const char *name);

/* "log", "pop3", "accounts"; "" for the top of the file. */
const char *keys_group_name(enum key_group group);

/* One of the keys that say where a secret comes from: only one of them may stand in a group. */
bool keys_is_secret(const struct key *key);

/* Appends what the key wants to see: "an integer from 1 to 65535". */
void keys_describe(const struct key *key, struct str *out);

/* Appends a duration in the largest unit that divides it: "90s", "5m", "0s". */
void keys_append_duration(struct str *out, int64_t seconds);

/* The same for a size: "64K", "50M", "1000". */
void keys_append_size(struct str *out, int64_t octets);

#endif
