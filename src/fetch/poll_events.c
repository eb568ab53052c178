#include "fetch/poll_internal.h"

#include "base/clock.h"
#include "base/events.h"
#include "base/log.h"
#include "net/transcript.h"
#include "store/mailbox.h"

#include <inttypes.h>

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

static void
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

/* The last lines of the session log, the line of the log, and the event. */
void
poll_write_outcome(const struct poll *p)
{
	const struct poll_result *r = &p->result;
	const char *kind = r->stopped ? "stopped" : verdict_kind_name(r->why.kind);
	double seconds = (double)(clock_mono() - p->since_mono) / 1000;
	uint64_t octets = poll_octets_in(p);

	if (r->why.kind != FAIL_NONE)
		transcript_note(p->transcript, "%s", r->why.text);
	transcript_note(p->transcript,
	    "closed: %s, %" PRIu64 " fetched, %" PRIu64 " deleted, %" PRIu64 " octets in, %.3f s",
	    kind, r->fetched, r->deleted, octets, seconds);
	if (r->why.kind != FAIL_NONE)
		log_at(r->stale_token != 0 ? LOG_LEVEL_INFO
					   : record_level_of(p->settings.record, &r->why),
		    "account=%s session=%s protocol=pop3 result=%s stage=%s fetched=%" PRIu64
		    " failures=%u reason=\"%s\"",
		    poll_account(p), p->id, kind, r->why.stage, r->fetched,
		    p->settings.record->failures + 1, r->why.text);
	else
		log_info("account=%s session=%s protocol=pop3 result=%s fetched=%" PRIu64
			 " deleted=%" PRIu64 " known=%" PRIu64 " too_large=%" PRIu64
			 " octets=%" PRIu64 " seconds=%.3f",
		    poll_account(p), p->id, kind, r->fetched, r->deleted, r->known,
		    r->skipped_large, octets, seconds);
	poll_tell_end(p);
}
