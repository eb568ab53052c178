#include "deliver/smtp_session_internal.h"

#include "base/str.h"
#include "config/config.h"
#include "net/transcript.h"
#include "session/sasl_exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum smtp_state
smtp_fail(struct smtp_session *s, enum fail kind, const char *stage, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	verdict_vfail(&s->why, kind, stage, format, ap);
	va_end(ap);
	return SMTP_STATE_CLOSED;
}

enum smtp_state
smtp_disorder(struct smtp_session *s, const char *stage, const char *what)
{
	struct str line = STR_INIT;
	char shown[160];
	int code = s->reply.code;

	smtp_reply_describe(&s->reply, &line);
	transcript_escape(s->transcript, shown, sizeof shown, str_text(&line), line.len);
	str_clear(&line);
	smtp_fail(s, FAIL_PROTOCOL, stage, "%s sent %s: \"%s\"; it is tried again", s->server, what,
	    shown);
	s->why.code = code;
	return SMTP_STATE_CLOSED;
}

static const char *
next_step(const struct smtp_session *s, enum fail kind, int code)
{
	enum secret_kind secret = s->config->endpoint.secret.kind;

	if (kind == FAIL_AUTH && (secret == SECRET_TOKEN_COMMAND || secret == SECRET_NONE ||
				     sasl_exchange_is_binding_refused(s->login)))
		return sasl_exchange_advice(&s->config->endpoint, s->login);
	if (kind == FAIL_AUTH)
		return "check user and password; some providers want a password made for "
		       "this application";
	if (code / 100 == 4)
		return "trouble at the server that should pass; it is tried again";
	if (code == 530 || code == 538)
		return "the server wants encryption or authentication first: check tls, user "
		       "and auth; mail waits";
	return "check host, port and tls, or ask the server's administrator; mail waits";
}

enum smtp_state
smtp_refused(struct smtp_session *s, enum fail kind, const char *stage, const char *what)
{
	struct str line = STR_INIT;
	char shown[256];
	int code = s->reply.code;

	smtp_reply_describe(&s->reply, &line);
	transcript_escape(s->transcript, shown, sizeof shown, str_text(&line), line.len);
	str_clear(&line);
	smtp_fail(s, kind, stage, "%s refused %s: \"%s\"; %s", s->server, what, shown,
	    next_step(s, kind, code));
	s->why.code = code;
	return SMTP_STATE_CLOSED;
}

enum smtp_state
smtp_slowed(struct smtp_session *s, const char *stage)
{
	s->slow = true;
	return smtp_refused(s, FAIL_SERVER, stage, "to go on for now");
}

/* -- the connection is lost -------------------------------------------------------------------- */

/*
 * What a server may break on that offers it in vain, as long as nothing got through.  With BDAT
 * also behind that: one that takes few messages a connection, and closes without a word, leaves all
 * that has followed unknown.
 */
unsigned
smtp_suspect(const struct smtp_session *s)
{
	if (smtp_flight_first(s) == NULL)
		return 0;
	if (s->state == SMTP_STATE_CHUNKS)
		return !s->has_taken || s->flight_count > 1 ? SMTP_SHORT_CHUNKING : 0;
	if (s->state == SMTP_STATE_ENVELOPE && smtp_is_pipelining(s) && !s->has_taken)
		return SMTP_SHORT_PIPELINING;
	return 0;
}

static bool
is_between_messages(const struct smtp_session *s)
{
	const struct smtp_transaction *t = smtp_flight_first(s);

	if (t == NULL)
		return s->state == SMTP_STATE_READY;
	return (s->state == SMTP_STATE_ENVELOPE || s->state == SMTP_STATE_CHUNKS) &&
	       t->answered == 0 && !smtp_flight_may_be_taken(s, t);
}

/*
 * Some servers take a message or a few a connection, and close without the word that RFC 5321
 * section 3.8 asks for.  Who has taken one and says nothing of the next has refused nothing.
 */
bool
smtp_is_mere_end(const struct smtp_session *s, const struct verdict *why)
{
	bool closed =
	    why->code == ECONNRESET || why->code == EPIPE || strcmp(why->stage, "closed") == 0;

	return why->kind == FAIL_NETWORK && closed && s->has_taken && is_between_messages(s);
}
