#include "deliver/smtp_session_internal.h"

#include "base/str.h"
#include "config/config.h"
#include "session/sasl_exchange.h"

/* Room for what was refused, for people. */
enum { REFUSED_MAX = 200 };

/*
 * RFC 4954 section 4: an initial response that makes the command longer than RFC 5321 section
 * 4.5.3.1.4 allows, CRLF included, goes on a line of its own.
 */
static const struct sasl_dialect dialect = {
    .service = "smtp", .challenge = "334 ", .line_max = 510};

static enum smtp_state
start_mechanism(struct smtp_session *s, enum auth_mechanism mechanism)
{
	if (mechanism == AUTH_NONE)
		return SMTP_STATE_READY;
	return sasl_exchange_start(s->login, &s->why) ? SMTP_STATE_LOGIN : SMTP_STATE_CLOSED;
}

void
smtp_enter_login(struct smtp_session *s)
{
	const struct sasl_exchange_settings settings = {
	    .conn = s->conn,
	    .transcript = s->transcript,
	    .endpoint = &s->config->endpoint,
	    .secret = s->secret,
	    .deriver = s->deriver,
	    .served = s->served,
	    .declined = s->known_declined,
	};
	enum auth_mechanism mechanism;

	s->login = sasl_exchange_new(&settings, &dialect);
	if (!sasl_exchange_choose(s->login, s->capabilities.mechanisms, &mechanism, &s->why))
		smtp_set_state(s, SMTP_STATE_CLOSED);
	else
		smtp_set_state(s, start_mechanism(s, mechanism));
}

/* RFC 4954 section 6: 454 and 432 pass, but not at once; 421 as ever. */
static enum smtp_state
refused(struct smtp_session *s, enum fail kind, int code)
{
	char what[REFUSED_MAX];

	s->slow = code == 432 || code == 454 || code == 421;
	sasl_exchange_refused_name(s->login, what, sizeof what);
	return smtp_refused(s, kind, "auth", what);
}

/* RFC 4954 section 4: 504 is a mechanism that is not supported; others say it in words. */
static bool
is_declined(const struct smtp_session *s, const struct smtp_reply *reply)
{
	return reply->code / 100 == 5 &&
	       sasl_exchange_is_declined(s->login, reply->code == 504, str_text(&reply->text));
}

static enum smtp_state
on_declined(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum auth_mechanism next;

	if (!sasl_exchange_choose_next(s->login, s->server, str_text(&reply->text), &next, &s->why))
		return SMTP_STATE_CLOSED;
	return start_mechanism(s, next);
}

static enum smtp_state
on_accepted(struct smtp_session *s)
{
	if (!sasl_exchange_accepted(s->login, &s->why))
		return SMTP_STATE_CLOSED;
	s->mechanism = sasl_exchange_login_name(s->login);
	s->declined = sasl_exchange_declined(s->login);
	return SMTP_STATE_READY;
}

enum smtp_state
smtp_on_login(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (reply->code >= 500 && sasl_exchange_rebind(s->login))
		return SMTP_STATE_LOGIN;
	if (sasl_exchange_was_cancelled(s->login, &s->why))
		return SMTP_STATE_CLOSED;
	if (is_declined(s, reply))
		return on_declined(s, reply);
	switch (smtp_outcome_judge(SMTP_STEP_AUTH, reply->code, &reply->status)) {
	case SMTP_ACCEPTED:
		if (sasl_exchange_is_deriving(s->login))
			break;
		return on_accepted(s);
	case SMTP_CHALLENGE:
		if (sasl_exchange_is_deriving(s->login))
			break;
		sasl_exchange_challenge(s->login, reply->line);
		return SMTP_STATE_LOGIN;
	case SMTP_AUTH_REFUSED:
		return refused(s, FAIL_AUTH, reply->code);
	case SMTP_ACCOUNT_TROUBLE:
	case SMTP_SLOW_DOWN:
		return refused(s, FAIL_SERVER, reply->code);
	default:
		break;
	}
	return smtp_fail(s, FAIL_PROTOCOL, "auth",
	    "%s: the answer to AUTH does not belong there; check host and port", s->server);
}
