#include "fetch/poll_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "fetch/plan.h"
#include "fetch/pop3_session.h"
#include "fetch/received.h"
#include "fetch/stumbles.h"
#include "net/transcript.h"
#include "store/listing.h"
#include "store/mailbox.h"

#include <inttypes.h>
#include <string.h>
/* A batch is made durable when it holds so much, or when its first message has waited so long. */
enum { BATCH_COUNT = 1000 };
enum { BATCH_OCTETS = 16 * 1024 * 1024 };
enum { BATCH_AGE = 2000 };

/* A message of this size is not waited for by those before it. */
enum { MESSAGE_LARGE = 1024 * 1024 };

/* Reading rests while the disk is behind by more than the first, until it is by the second. */
enum { UNWRITTEN_MOST = 4 * 1024 * 1024, UNWRITTEN_LEAST = 1024 * 1024 };
/* -- messages coming in ---------------------------------------------------------------------- */

/* On which sessions broke before is wanted in a last round of its own, or left for now. */
static bool
is_wanted(struct poll *p, uint32_t number, bool last)
{
	size_t len;
	const char *uid = listing_uid(p->listing, number, &len);

	if (plan_message(p->pop3, p->listing, number, p->by_uid) != PLAN_FETCH)
		return false;
	switch (stumbles_ask(p->settings.stumbles, uid, len)) {
	case STUMBLES_NEVER:
		return !last;
	case STUMBLES_LAST:
		return last;
	case STUMBLES_REST:
		if (!last)
			poll_leave(&p->resting, number);
		break;
	}
	return false;
}

static bool
next_number(struct poll *p)
{
	uint32_t count = listing_count(p->listing);

	if (p->cursor == count && !p->is_last_round) {
		p->is_last_round = true;
		p->cursor = 0;
	}
	if (p->cursor == count)
		return false;
	p->cursor++;
	return true;
}

bool
poll_next(uint32_t *number, void *arg)
{
	struct poll *p = arg;

	if (!p->matched || p->paused || p->stopping || p->settings.purpose != POLL_FETCH)
		return false;
	while (next_number(p)) {
		if (!is_wanted(p, p->cursor, p->is_last_round))
			continue;
		*number = p->cursor;
		return true;
	}
	return false;
}

/* Whole messages do not wait behind a large one that is slow to come. */
static bool
is_worth_committing_first(const struct poll *p, uint32_t number)
{
	return p->batch != NULL && batch_count(p->batch) > 0 &&
	       listing_size(p->listing, number) >= MESSAGE_LARGE;
}

void
poll_on_begin(uint32_t number, void *arg)
{
	struct poll *p = arg;
	char header[RECEIVED_SIZE];

	if (is_worth_committing_first(p, number))
		poll_commit(p);
	if (p->batch == NULL) {
		p->batch = batch_new(p->settings.mailbox);
		p->batch_since = clock_mono();
	}
	batch_begin(p->batch, p->listing, number);
	p->message_open = true;
	if (p->pop3->received_header) {
		received_header(header, &p->pop3->endpoint, p->id, clock_wall());
		batch_preface(p->batch, header, strlen(header));
	}
}

char *
poll_on_reserve(size_t room, void *arg)
{
	struct poll *p = arg;

	return batch_reserve(p->batch, room);
}

static void
on_written(const struct verdict *why, void *arg)
{
	struct poll *p = arg;

	(void)why; /* a failed write comes back with the batch */
	p->pending--;
	p->paused = false;
	if (p->session != NULL && !p->session_closed)
		pop3_session_resume(p->session);
	poll_advance(p);
}

void
poll_on_added(size_t len, void *arg)
{
	struct poll *p = arg;

	batch_added(p->batch, len);
	if (p->paused || mailbox_unwritten(p->settings.mailbox) <= UNWRITTEN_MOST)
		return;
	p->paused = true;
	p->pending++;
	pop3_session_pause(p->session);
	mailbox_when_written(p->settings.mailbox, UNWRITTEN_LEAST, on_written, p);
}

/* -- batches --------------------------------------------------------------------------------- */

static void
log_message(const struct poll *p, const struct batch_item *item)
{
	static const char *const fate[] = {
	    [BATCH_STORED] = "stored", [BATCH_KNOWN] = "known", [BATCH_LOST] = "not-stored"};
	size_t uid_len;
	const char *uid = listing_uid(p->listing, item->number, &uid_len);
	char shown[200];

	transcript_escape(p->transcript, shown, sizeof shown, uid, uid_len);
	log_info("account=%s session=%s message=%" PRIu32 " uid=%s octets=%" PRIu64
		 " fate=%s file=%s",
	    poll_account(p), p->id, item->number, shown, item->octets, fate[item->fate],
	    item->file != NULL ? item->file : "-");
	poll_tell_message(p, item, shown);
}

static void
note_item(struct poll *p, const struct batch_item *item)
{
	log_message(p, item);
	if (item->fate == BATCH_LOST)
		return;
	if (item->fate == BATCH_STORED) {
		p->result.fetched++;
		p->result.fetched_octets += item->octets;
	} else {
		p->result.known++;
	}
	listing_set_match(p->listing, item->number, LISTED_SEEN, item->row, false);
	if (plan_deletes_stored(p->pop3) && !p->session_closed)
		pop3_session_delete(p->session, item->number);
}

static void
on_committed(const struct batch_result *batch, void *arg)
{
	struct poll *p = arg;

	p->pending--;
	for (size_t i = 0; i < batch->count; i++)
		note_item(p, &batch->items[i]);
	if (batch->why->kind != FAIL_NONE)
		poll_abandon(p, batch->why);
	else
		poll_advance(p);
}

void
poll_commit(struct poll *p)
{
	if (p->batch == NULL)
		return;
	if (batch_count(p->batch) == 0) {
		batch_drop(&p->batch);
		return;
	}
	p->pending++;
	batch_commit(&p->batch, on_committed, p);
}

void
poll_on_end(uint32_t number, void *arg)
{
	struct poll *p = arg;

	(void)number;
	batch_end(p->batch);
	p->message_open = false;
	if (batch_count(p->batch) >= BATCH_COUNT || batch_octets(p->batch) >= BATCH_OCTETS ||
	    clock_mono() - p->batch_since >= BATCH_AGE)
		poll_commit(p);
}
