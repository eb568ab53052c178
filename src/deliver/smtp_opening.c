#include "deliver/smtp_session_internal.h"

#include "base/str.h"
#include "config/config.h"
#include "net/conn.h"
#include "proto/smtp_command.h"

/* What is not accepted, in the steps before MAIL, is the account's trouble. */
static enum smtp_state
not_accepted(struct smtp_session *s, enum fail kind, enum smtp_step step, const char *what)
{
	const struct smtp_reply *reply = &s->reply;
	const char *stage = smtp_step_name(step);

	switch (smtp_outcome_judge(step, reply->code, &reply->status)) {
	case SMTP_SLOW_DOWN:
		return smtp_slowed(s, stage);
	case SMTP_ACCOUNT_TROUBLE:
	case SMTP_AUTH_REFUSED:
		return smtp_refused(s, kind, stage, what);
	default:
		return smtp_disorder(s, stage, "an answer that does not belong there");
	}
}

static bool
is_accepted(enum smtp_step step, const struct smtp_reply *reply)
{
	return smtp_outcome_judge(step, reply->code, &reply->status) == SMTP_ACCEPTED;
}

enum smtp_state
smtp_on_greeting(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (!is_accepted(SMTP_STEP_GREETING, reply))
		return not_accepted(s, FAIL_SERVER, SMTP_STEP_GREETING, "the connection");
	return SMTP_STATE_EHLO;
}

/* -- EHLO, HELO -------------------------------------------------------------------------------- */

static void
send_hello(
    struct smtp_session *s, bool (*write)(struct str *out, const char *name, const char **why))
{
	struct str line = STR_INIT;
	const char *why;

	/* RFC 3207 section 4.2: what was learned in clear does not count. */
	s->capabilities = (struct smtp_capabilities){0};
	if (write(&line, s->helo, &why))
		conn_send(s->conn, str_text(&line));
	else
		smtp_set_state(s,
		    smtp_fail(s, FAIL_CONFIG, "helo",
			"the name for EHLO %s; set helo to a domain or an address literal", why));
	str_clear(&line);
}

void
smtp_enter_ehlo(struct smtp_session *s)
{
	send_hello(s, smtp_command_ehlo);
}

void
smtp_enter_helo(struct smtp_session *s)
{
	send_hello(s, smtp_command_helo);
}

static enum smtp_state
after_hello(struct smtp_session *s)
{
	if (s->config->endpoint.tls != TLS_STARTTLS || conn_is_secured(s->conn))
		return SMTP_STATE_LOGIN;
	if (!s->capabilities.starttls)
		return smtp_fail(s, FAIL_TLS, "starttls",
		    "%s does not offer STARTTLS, and tls = \"starttls\" never goes on in clear: "
		    "use port 465 with tls = \"implicit\", or find out who strips it",
		    s->server);
	return SMTP_STATE_STARTTLS;
}

enum smtp_state
smtp_on_ehlo(struct smtp_session *s, const struct smtp_reply *reply)
{
	switch (smtp_outcome_judge(SMTP_STEP_EHLO, reply->code, &reply->status)) {
	case SMTP_ACCEPTED:
		return after_hello(s);
	case SMTP_TRY_HELO:
		return SMTP_STATE_HELO;
	default:
		return not_accepted(s, FAIL_SERVER, SMTP_STEP_EHLO, "EHLO");
	}
}

enum smtp_state
smtp_on_helo(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (!is_accepted(SMTP_STEP_HELO, reply))
		return not_accepted(s, FAIL_SERVER, SMTP_STEP_HELO, "HELO");
	return after_hello(s);
}

/* -- STARTTLS (RFC 3207) ----------------------------------------------------------------------- */

void
smtp_enter_starttls(struct smtp_session *s)
{
	conn_send(s->conn, "STARTTLS");
}

enum smtp_state
smtp_on_starttls(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (!is_accepted(SMTP_STEP_STARTTLS, reply))
		return not_accepted(s, FAIL_TLS, SMTP_STEP_STARTTLS, "STARTTLS");
	conn_starttls(s->conn);
	return SMTP_STATE_STARTTLS_HANDSHAKE;
}
