#ifndef POSTRIDER_BASE_VERDICT_H
#define POSTRIDER_BASE_VERDICT_H

#include <stdarg.h>
#include <stdbool.h>

/* What kind of trouble it was: decides what the caller does, and is shown as "kind". */
enum fail {
	FAIL_NONE,
	FAIL_CONFIG,   /* a setting is wrong: wait for a changed configuration */
	FAIL_NETWORK,  /* name, route, connection, silence: try again later */
	FAIL_TLS,      /* handshake or certificate */
	FAIL_AUTH,     /* the server refused who we are */
	FAIL_PROTOCOL, /* the server said what it must not say */
	FAIL_SERVER,   /* the server said no, in order */
	FAIL_LOCAL,    /* this machine: disk, permission, secret command */
};

/* What a server's response code adds to a refusal (RFC 2449 section 8, RFC 3206), or we do. */
enum fail_hint {
	HINT_NONE,
	HINT_IN_USE,      /* [IN-USE]: another session holds the maildrop */
	HINT_LOGIN_DELAY, /* [LOGIN-DELAY]: too soon */
	HINT_SYS_TEMP,    /* [SYS/TEMP]: likely to pass */
	HINT_SYS_PERM,    /* [SYS/PERM]: needs a person at the server */
	HINT_AUTH,        /* [AUTH]: the credentials themselves are wrong */
	HINT_WEAKER,      /* of our own: only weaker mechanisms than before are offered */
	HINT_MESSAGES,    /* of our own: all went well but for some of the messages */
};

/*
 * The outcome of an attempt: what it means, where it happened, and a text for people.  Filled
 * once where the trouble is seen, switched on in exactly one place.  A plain value, copied freely.
 */
struct verdict {
	enum fail kind;
	enum fail_hint hint;
	int code;          /* errno or an SMTP reply code, 0 when there is none */
	const char *stage; /* static: "resolve", "greeting", "pass"; NULL when kind is FAIL_NONE */
	char text[512];    /* what, where, next step; escaped already, never parsed */
};

#define VERDICT_OK                                                                                 \
	{                                                                                          \
		.kind = FAIL_NONE                                                                  \
	}

/* Fills a verdict.  Returns false, so that a failing function can end with it. */
bool verdict_fail(struct verdict *v, enum fail kind, const char *stage, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool verdict_vfail(struct verdict *v, enum fail kind, const char *stage, const char *format,
    va_list ap) __attribute__((format(printf, 4, 0)));

/* "network", "auth" ...; "ok" for FAIL_NONE.  Static. */
const char *verdict_kind_name(enum fail kind);

#endif
