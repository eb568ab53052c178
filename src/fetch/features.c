#include "fetch/features.h"

#include "base/log.h"
#include "config/config.h"
#include "fetch/poll.h"
#include "fetch/pop3_session.h"
#include "session/standing.h"
#include "store/record.h"

enum { FAILURES_THAT_TELL = 3 };

const char *
features_name(unsigned feature)
{
	switch (feature) {
	case POP3_FEATURE_CAPA:
		return "CAPA";
	case POP3_FEATURE_UTF8:
		return "UTF8";
	case POP3_FEATURE_UIDL:
		return "UIDL";
	case POP3_FEATURE_USER_CAPA:
		return "CAPA behind the login";
	case POP3_FEATURE_PIPELINED_TRANSFER:
		return "PIPELINING of RETR and DELE";
	default:
		return "PIPELINING";
	}
}

unsigned
features_without(const struct record *r, const struct pop3_config *config, unsigned trial)
{
	unsigned without = standing_lacking(r) | trial;

	return config->keep == KEEP_NO ? without : without & ~(unsigned)POP3_FEATURE_UIDL;
}

/*
 * The server may still hold the maildrop for the session that broke, or want a pause; a token may
 * have ended; or the message was left out that the session may have broken on.
 */
static bool
tells_nothing(const struct poll_result *result)
{
	enum fail_hint hint = result->why.hint;

	return result->stopped || result->stale_token != 0 || result->has_rested ||
	       hint == HINT_IN_USE || hint == HINT_LOGIN_DELAY || hint == HINT_SYS_TEMP;
}

/* The session came to QUIT. */
static bool
is_up_to_messages(const struct verdict *why)
{
	return why->kind == FAIL_SERVER && why->hint == HINT_MESSAGES;
}

static enum features_step
end_trial(struct record *r, const char *account, unsigned *trial, const struct poll_result *result)
{
	unsigned feature = *trial;

	if (tells_nothing(result))
		return FEATURES_SAME;
	*trial = 0;
	if (result->why.kind != FAIL_NONE && !is_up_to_messages(&result->why))
		return FEATURES_SAME;
	log_warning("account=%s the server breaks on %s: it is gone on without for 30 days",
	    account, features_name(feature));
	standing_note_lacking(r, feature);
	r->proven &= ~feature;
	return FEATURES_CHANGED;
}

static bool
is_suspect(const struct record *r, const struct pop3_config *config, unsigned feature)
{
	const unsigned pipelining = POP3_FEATURE_PIPELINING | POP3_FEATURE_PIPELINED_TRANSFER;
	bool is_proven = (r->proven & feature) != 0;

	if (feature == 0 || (feature == POP3_FEATURE_UIDL && config->keep != KEEP_NO))
		return false;
	if (is_proven && (feature & pipelining) == 0)
		return false;
	return !is_proven || r->failures + 1 >= FAILURES_THAT_TELL;
}

/* Without CAPA there is only USER, which not every server or setting allows. */
static bool
may_need_capa(const struct record *r, const struct poll_result *result)
{
	return (r->lacking & POP3_FEATURE_CAPA) != 0 &&
	       (result->why.kind == FAIL_AUTH || result->why.kind == FAIL_CONFIG);
}

static enum features_step
note_proven(struct record *r, const struct poll_result *result)
{
	unsigned proven = r->proven | result->proven;
	unsigned lacking = r->lacking & ~result->proven;

	if (may_need_capa(r, result))
		lacking &= ~(unsigned)POP3_FEATURE_CAPA;
	if (proven == r->proven && lacking == r->lacking)
		return FEATURES_SAME;
	r->proven = proven;
	r->lacking = lacking;
	return FEATURES_CHANGED;
}

enum features_step
features_note(struct record *r, const char *account, const struct pop3_config *config,
    unsigned *trial, const struct poll_result *result)
{
	enum features_step step = note_proven(r, result);

	if (*trial != 0)
		return end_trial(r, account, trial, result) == FEATURES_SAME ? step
									     : FEATURES_CHANGED;
	if (result->stopped || !is_suspect(r, config, result->suspect))
		return step;
	*trial = result->suspect;
	log_info("account=%s the session broke on %s: it is tried without", account,
	    features_name(*trial));
	return FEATURES_TRIAL;
}
