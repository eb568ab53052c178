#include "fetch/poll_internal.h"

#include "base/clock.h"
#include "base/events.h"
#include "store/mailbox.h"

static void
poll_tell(const struct poll *p, struct happening *happening)
{
	happening->account = poll_account(p);
	happening->session = p->id;
	happening->protocol = "pop3";
	happening->server = p->server;
	events_tell(p->settings.events, happening);
}

void
poll_tell_start(const struct poll *p)
{
	struct happening start = {.kind = HAPPENED_SESSION_START};

	poll_tell(p, &start);
}

void
poll_tell_end(const struct poll *p)
{
	struct happening end = {
	    .kind = HAPPENED_SESSION_END,
	    .why = &p->result.why,
	    .stopped = p->result.stopped,
	    .fetched = p->result.fetched,
	    .deleted = p->result.deleted,
	    .octets_in = poll_octets_in(p),
	    .octets_out = poll_octets_out(p),
	    .duration = clock_mono() - p->since_mono,
	};

	poll_tell(p, &end);
}

void
poll_tell_message(const struct poll *p, const struct batch_item *item, const char *uid)
{
	struct happening fetched = {
	    .kind = HAPPENED_MESSAGE_FETCHED,
	    .uid = uid,
	    .octets = item->octets,
	    .file = item->file,
	};

	if (item->fate == BATCH_STORED)
		poll_tell(p, &fetched);
}
