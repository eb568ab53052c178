#ifndef POSTRIDER_CONFIG_CONFIG_H
#define POSTRIDER_CONFIG_CONFIG_H

#include "base/log.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The checked settings: immutable, counted references, everything in it is owned by struct config
 * and lives as long as it.  Durations are milliseconds, sizes are octets.  Every path is absolute
 * and expanded.  Where a key may be absent, NULL says so.
 */

enum tls_mode { TLS_IMPLICIT, TLS_STARTTLS, TLS_NONE };
enum address_family { FAMILY_ANY, FAMILY_IPV4, FAMILY_IPV6 };

/* In the order that "auto" prefers, strongest first; the last three never belong to "auto". */
enum auth_mechanism {
	AUTH_EXTERNAL,
	AUTH_SCRAM_SHA_256_PLUS,
	AUTH_SCRAM_SHA_1_PLUS,
	AUTH_SCRAM_SHA_256,
	AUTH_SCRAM_SHA_1,
	AUTH_OAUTHBEARER,
	AUTH_XOAUTH2,
	AUTH_PLAIN,
	AUTH_LOGIN,
	AUTH_USER, /* POP3 USER/PASS */
	AUTH_CRAM_MD5,
	AUTH_APOP,
	AUTH_NONE,
	AUTH_MECHANISM_COUNT
};

enum secret_kind {
	SECRET_NONE,
	SECRET_PASSWORD,         /* value */
	SECRET_PASSWORD_FILE,    /* path */
	SECRET_PASSWORD_COMMAND, /* argv */
	SECRET_CREDENTIAL,       /* value: the name below $CREDENTIALS_DIRECTORY */
	SECRET_TOKEN_COMMAND     /* argv; an OAuth 2 access token */
};

struct secret_source {
	enum secret_kind kind;
	char *value; /* a password lies in locked pages, out of core dumps, as far as can be */
	char *path;
	char *place; /* SECRET_PASSWORD: the file that it is written in */
	char **argv; /* NULL-terminated; a string command is { "/bin/sh", "-c", command, NULL } */
	int64_t timeout; /* of the command */
};

/* True when both would yield the same secret: accounts' protocols share what was fetched. */
bool secret_source_equal(const struct secret_source *a, const struct secret_source *b);

enum pin_kind { PIN_CERTIFICATE, PIN_KEY };

struct tls_pin {
	enum pin_kind kind; /* digest of the DER certificate, or of its SubjectPublicKeyInfo */
	uint8_t sha256[32];
};

struct tls_config {
	bool verify;
	char *ca_file;
	int min_version; /* OpenSSL's TLS1_2_VERSION or TLS1_3_VERSION */
	struct tls_pin *pins;
	size_t pin_count;
	char *cert;
	char *key;         /* the file of cert when not given; NULL without cert */
	char *server_name; /* for SNI and the name check; NULL: the host */
	char *keylog;
};

struct proxy_config {
	char *host;
	uint16_t port;
	char *user; /* NULL: no authentication */
	char *password;
};

/* What pop3 and smtp have in common: how to reach a server and who to be there. */
struct endpoint_config {
	char *host;
	uint16_t port;
	enum tls_mode tls;
	struct tls_config tls_config;
	char *user; /* NULL: no authentication */
	struct secret_source secret;
	uint32_t auth; /* bit set of 1u << enum auth_mechanism, when !auth_auto */
	bool auth_auto;
	bool cleartext_auth;
	char *bind; /* local address */
	enum address_family family;
	struct proxy_config *proxy; /* NULL: direct */
	int64_t timeout;            /* 0: the protocol's own (60 s; the long steps 10 min) */
	int64_t deadline;
};

enum keep_kind { KEEP_NO, KEEP_FOREVER, KEEP_FOR };
enum pipelining { PIPELINING_AUTO, PIPELINING_ON, PIPELINING_OFF };

struct pop3_config {
	struct endpoint_config endpoint;
	int64_t interval; /* 0: only on demand */
	enum keep_kind keep;
	int64_t keep_for;  /* KEEP_FOR */
	uint64_t max_size; /* 0: no limit */
	enum pipelining pipelining;
	bool received_header;
};

struct smtp_config {
	struct endpoint_config endpoint;
	char *from;
	char *header_from;
	char *helo;
	char *sent_maildir;
	char *bounce_maildir; /* the account's maildir when not given; NULL when there is none */
	char *bounce_to;      /* when given, bounce_maildir is NULL */
	char *dsn_notify;     /* "FAILURE,DELAY", as RFC 3461 has it; NULL: not asked for */
	char *dsn_ret;        /* "HDRS" or "FULL"; NULL: not asked for */
	bool chunking;        /* BDAT where the server offers it */
	enum pipelining pipelining;
	unsigned max_connections;
	unsigned max_messages;
	unsigned max_recipients;
};

struct account_config {
	char *name;
	char *maildir; /* NULL only without pop3 */
	mode_t maildir_mode;
	char **addresses; /* NULL-terminated, maybe empty: "me@example.org" or "@example.net" */
	bool is_default;
	char **on_fetch; /* argv, NULL: none */
	char **on_failure;
	struct pop3_config *pop3; /* NULL: disabled */
	struct smtp_config *smtp; /* NULL: disabled */
};

#define NO_GID ((gid_t)-1)

struct control_config {
	char *socket;
	mode_t mode;
	char *group; /* NULL: not changed */
	gid_t gid;   /* its number, as it was when this was read; NO_GID: there is no such group */
};

struct log_config {
	enum log_level level;
	char *sessions; /* NULL: no session logs */
	bool full;      /* detail = "full" */
	int64_t keep;
	int64_t keep_idle;
	uint64_t max_total;
};

struct submission_config {
	/*
	 * NULL-terminated, maybe empty (only sockets that the service manager hands over): a path,
	 * or "127.0.0.1:port" or "[::1]:port", a loopback address.
	 */
	char **listen;
	uint64_t max_size;
};

struct local_config {
	char *domain;
	char *aliases; /* NULL: none */
};

struct retry_config {
	int64_t first;
	int64_t max;
	int64_t warn_after; /* 0: never */
	int64_t give_up;
};

struct config {
	size_t refs;
	char *file; /* as it was named */
	char *spool;
	char *state;
	struct control_config control;
	struct log_config log;
	struct submission_config *submission; /* NULL: off */
	struct local_config *local;           /* NULL: none */
	unsigned sessions;
	unsigned sessions_per_host;
	struct retry_config retry;
	int64_t shutdown_timeout;
	struct account_config *accounts;
	size_t account_count;
};

/*
 * Every fault found, in the order of the file: "FILE:LINE: message", without a line end.
 * Embedded; zeroed memory begins it.
 */
struct config_faults {
	char **text;
	size_t count;
};

void config_faults_clear(struct config_faults *faults);

/*
 * Reads and checks the file completely.  Returns a new reference, or NULL with at least one fault.
 * Blocks on disk: at start, or in a worker.  *unreadable (may be NULL) tells EX_NOINPUT from
 * EX_CONFIG: the file itself could not be opened.
 */
struct config *config_load(const char *file, struct config_faults *faults, bool *unreadable);

/*
 * The same for a client (postriderctl, postrider-sendmail), which need not be the daemon's user:
 * the files that settings name, and who may read them and the configuration, are not checked.
 */
struct config *config_load_client(const char *file, struct config_faults *faults, bool *unreadable);
struct config *config_ref(struct config *config);
void config_unref(struct config **config);

/*
 * The file to read when none is named: the first that exists of $POSTRIDER_CONFIG,
 * $XDG_CONFIG_HOME/postrider/postrider.conf (~/.config/...), /etc/postrider/postrider.conf.
 * Returns a string to free(3); the last candidate when none exists.
 */
char *config_find(void);

const struct account_config *config_account(const struct config *config, const char *name);

/* "SCRAM-SHA-256" and so on.  Static. */
const char *auth_mechanism_name(enum auth_mechanism mechanism);

#endif
