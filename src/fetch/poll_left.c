#include "fetch/poll_internal.h"

#include "base/log.h"
#include "store/record.h"

#include <inttypes.h>
#include <stdio.h>

/* What stays refused poll after poll is told once, and then by the outcome of the poll. */
void
poll_on_refused(uint32_t number, bool retr, const char *text, void *arg)
{
	struct poll *p = arg;
	const char *command = retr ? "RETR" : "DELE";
	bool is_old = p->settings.record->error_kind == FAIL_SERVER;

	log_at(is_old ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
	    "account=%s session=%s message=%" PRIu32 " command=%s reply=\"%s\"", poll_account(p),
	    p->id, number, command, text);
	if (p->refused.count++ == 0)
		snprintf(p->refused.first, sizeof p->refused.first, "%s of message %" PRIu32 ": %s",
		    command, number, text);
}

void
poll_leave(struct poll_left *left, uint32_t number)
{
	if (left->count++ == 0)
		snprintf(left->first, sizeof left->first, "message %" PRIu32, number);
}

static void
judge(struct poll *p, const struct poll_left *left, const char *did, const char *next)
{
	struct verdict *why = &p->result.why;

	if (left->count == 0 || why->kind != FAIL_NONE || p->stopping)
		return;
	verdict_fail(why, FAIL_SERVER, "retr", "%s %s %" PRIu64 " of the messages, %s: %s",
	    p->server, did, left->count, next, left->first);
	why->hint = HINT_MESSAGES;
}

/*
 * A session that went well has not, when messages stay behind that should not.  Those that rested
 * come in the next session, and that at once, unless the server wants a pause between logins.
 */
void
poll_judge_left(struct poll *p)
{
	judge(p, &p->refused, "refused", "which stay there");
	if (p->result.login_delay > 0)
		judge(p, &p->resting, "breaks the session at", "tried again in the next one");
	judge(p, &p->nameless, "gives no unique-id to", "which stay there");
}
