#ifndef POSTRIDER_PROBE_PROBE_SIDE_H
#define POSTRIDER_PROBE_PROBE_SIDE_H

#include "base/str.h"
#include "base/verdict.h"
#include "net/conn.h"
#include "probe/probe.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What the files of this room share; nobody else includes this.  probe.c has the loop and the two
 * sessions, probe_side.c the record of steps, probe_dialogue.c reads what goes over the wire,
 * probe_reach.c tells of names and addresses, probe_tls.c of TLS and certificates.
 */
enum probe_step {
	PROBE_SECRET,
	PROBE_NAME,
	PROBE_CONNECT,
	PROBE_GREETING,
	PROBE_TLS, /* before the greeting, when it is implicit */
	PROBE_CAPABILITIES,
	PROBE_MECHANISM,
	PROBE_LOGIN,
	PROBE_MAILBOX,
	PROBE_QUIT,
	PROBE_STEP_COUNT
};

struct account_config;
struct endpoint_config;
struct net;
struct pop3_session;
struct secret;
struct smtp_session;
struct transcript;
struct vault;
struct vault_request;

/* What the server said that a step will tell, once the conversation goes on. */
struct probe_heard {
	struct str greeting;
	struct str farewell;   /* the answer to QUIT */
	struct str reached;    /* the text of CONNECT, while a proxy may still fail it */
	json_t *reached_facts; /* NULL: none */
	json_t *distrusted;    /* facts of a certificate that was refused; NULL: none */
	json_t *capabilities;  /* strings */
	unsigned answer_lines; /* of CAPA or EHLO */
	struct str mechanism;  /* that was asked for last */
	struct str declined;   /* those before it, which the server turned out not to have */
	bool counted;          /* STAT */
	uint64_t messages, octets;
	char verb[16]; /* what was sent last */
};

/* One server of the account.  Embedded in the probe. */
struct probe_side {
	const struct probe_handler *handler;
	const char *protocol;
	const struct account_config *account;
	const struct endpoint_config *endpoint; /* NULL: the account does not have it */
	char server[320];                       /* "host:port" */
	json_t *steps;
	bool passed[PROBE_STEP_COUNT];
	bool failed;
	bool over;
	int64_t step_since; /* mono, of the step under way */

	struct conn_watch watch;
	struct vault *vault;
	struct vault_request *secret_request;
	struct secret *secret;
	struct transcript *transcript;
	struct pop3_session *pop3;
	struct smtp_session *smtp;
	struct probe_heard heard;
};

/* -- probe_side.c */

/* A step went well; facts (may be NULL) is taken.  A step that was passed already stays as it is.
 */
void probe_pass(struct probe_side *side, enum probe_step step, json_t *facts, const char *format,
    ...) __attribute__((format(printf, 4, 5)));

/* The side ends with this trouble; which step it belongs to is found from how far it came. */
void probe_fail(struct probe_side *side, const struct verdict *why);

/* True when the account logs in. */
bool probe_has_user(const struct probe_side *side);

/* A string, escaped if it is not UTF-8 (only the configuration can bring such a thing). */
json_t *probe_text(const char *text);

/* {"key": [...]} and so on: the value is taken. */
json_t *probe_facts(const char *key, json_t *value);

/* -- probe_dialogue.c */

/* Every line, see transcript_settings.tap. */
void probe_on_line(bool sent, const char *line, void *arg);

/* The server let us in (or did not want to know who we are). */
void probe_pass_login(struct probe_side *side);

/* Whatever comes of it, this is the mechanism: there is no other try. */
void probe_settle_mechanism(struct probe_side *side);
void probe_pass_smtp(struct probe_side *side);
void probe_pass_quit(struct probe_side *side);
void probe_heard_clear(struct probe_heard *heard);

/* -- probe_reach.c */
void probe_on_reached(const struct connect_course *course, void *arg);

/* Through a proxy the server is reached only when more than the proxy has answered. */
void probe_settle_connect(struct probe_side *side);

/* -- probe_tls.c */
void probe_on_secured(struct ssl_st *ssl, void *arg);
void probe_on_distrusted(const struct x509_st *certificate, void *arg);

#endif
