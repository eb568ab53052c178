#include "fetch/poll_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/features.h"
#include "fetch/plan.h"
#include "fetch/pop3_session.h"
#include "fetch/stumbles.h"
#include "net/address.h"
#include "net/transcript.h"
#include "session/session.h"
#include "store/listing.h"
#include "store/mailbox.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
const char *
poll_account(const struct poll *p)
{
	return p->settings.account->name;
}

/* The first trouble is the one that is told. */
void
poll_blame(struct poll *p, const struct verdict *why)
{
	if (p->result.why.kind == FAIL_NONE)
		p->result.why = *why;
}

/* Trouble on our side: the session has no purpose any more. */
void
poll_abandon(struct poll *p, const struct verdict *why)
{
	poll_blame(p, why);
	if (p->session != NULL && !p->session_closed)
		pop3_session_fail(p->session, why);
	else
		poll_end_when_done(p);
}

/* -- the listing ----------------------------------------------------------------------------- */

static void
plan_deletions(struct poll *p)
{
	for (uint32_t n = 1; n <= listing_count(p->listing); n++) {
		switch (plan_message(p->pop3, p->listing, n, p->by_uid)) {
		case PLAN_DELETE:
			pop3_session_delete(p->session, n);
			break;
		case PLAN_TOO_LARGE:
			p->result.skipped_large++;
			break;
		case PLAN_NAMELESS:
			poll_leave(&p->nameless, n);
			break;
		case PLAN_LEAVE:
		case PLAN_FETCH:
			break;
		}
	}
}

static void
on_matched(const struct mailbox_matched *matched, void *arg)
{
	struct poll *p = arg;

	p->pending--;
	if (matched->why->kind != FAIL_NONE) {
		poll_abandon(p, matched->why);
		return;
	}
	if (matched->migrated)
		transcript_note(p->transcript,
		    "nothing of the last listing is left: every message is compared");
	p->matched = true;
	if (!p->session_closed)
		plan_deletions(p);
	poll_advance(p);
}

static void
on_marked(const struct verdict *why, void *arg)
{
	struct poll *p = arg;

	p->pending--;
	if (why->kind != FAIL_NONE)
		poll_abandon(p, why);
	else
		poll_advance(p);
}

static void
poll_without_uidl(struct poll *p)
{
	struct verdict why;

	if (p->pop3->keep == KEEP_NO) {
		mailbox_match_by_number(p->settings.mailbox, p->listing, on_matched, p);
		return;
	}
	p->pending--;
	verdict_fail(&why, FAIL_CONFIG, "uidl",
	    "%s has no UIDL, so messages kept on it cannot be told apart: only keep = \"no\" "
	    "works with this server",
	    p->server);
	poll_abandon(p, &why);
}

static void
on_listed(struct listing *listing, bool by_uid, void *arg)
{
	struct poll *p = arg;
	int64_t keep = p->pop3->keep == KEEP_FOR ? p->pop3->keep_for : -1;

	p->listing = listing;
	p->by_uid = by_uid;
	if (listing_beyond(listing) > 0)
		log_warning("account=%s session=%s the server lists more than %d messages: the "
			    "others wait until these are gone",
		    poll_account(p), p->id, LISTING_MAX);
	p->pending++;
	if (p->settings.purpose == POLL_MARK_SEEN) {
		p->result.marked = listing_count(listing);
		mailbox_mark_seen(p->settings.mailbox, listing, on_marked, p);
	} else if (!by_uid && listing_count(listing) > 0) {
		poll_without_uidl(p);
	} else {
		mailbox_match(p->settings.mailbox, listing, keep, on_matched, p);
	}
}

/* -- deletions and QUIT ---------------------------------------------------------------------- */

static void
on_deleted(uint32_t number, void *arg)
{
	struct poll *p = arg;

	if (p->row_count == p->row_cap) {
		p->row_cap = p->row_cap > 0 ? p->row_cap * 2 : 64;
		p->rows = xreallocarray(p->rows, p->row_cap, sizeof *p->rows);
	}
	p->rows[p->row_count++] = listing_row(p->listing, number);
}

static void
on_expunging(const struct verdict *why, void *arg)
{
	struct poll *p = arg;

	p->pending--;
	if (why->kind != FAIL_NONE)
		poll_abandon(p, why);
	else if (!p->session_closed)
		pop3_session_quit(p->session);
	else
		poll_end_when_done(p);
}

/* An unanswered QUIT must be known after a crash, so the rows are marked before it is sent. */
static void
poll_quit(struct poll *p)
{
	p->expunging = true;
	if (p->row_count == 0) {
		pop3_session_quit(p->session);
		return;
	}
	p->pending++;
	mailbox_expunging(p->settings.mailbox, p->rows, p->row_count, on_expunging, p);
}

/* Goes on as far as possible: retrieve, commit, delete, and, when all that is done, QUIT. */
void
poll_advance(struct poll *p)
{
	if (p->session == NULL || p->session_closed) {
		poll_end_when_done(p);
		return;
	}
	if (p->expunging)
		return;
	pop3_session_go(p->session);
	if (!pop3_session_is_idle(p->session))
		return;
	poll_commit(p);
	if (p->pending == 0)
		poll_quit(p);
}

static void
on_idle(void *arg)
{
	poll_advance(arg);
}

/* -- the end --------------------------------------------------------------------------------- */

static void
on_expunged(const struct verdict *why, void *arg)
{
	struct poll *p = arg;

	p->pending--;
	if (why->kind != FAIL_NONE)
		poll_blame(p, why);
	poll_end_when_done(p);
}

static void
note_refused_secret(struct poll *p)
{
	const struct secret_source *source = &p->pop3->endpoint.secret;

	vault_refused(p->settings.vault, source, p->secret);
	if (source->kind == SECRET_TOKEN_COMMAND)
		p->result.stale_token = p->held;
}

/* A close in place of the answer to QUIT does harm only when there was something to delete. */
static void
judge_session(struct poll *p, const struct verdict *why)
{
	if (why->kind != FAIL_NONE && !p->stopping &&
	    !(p->expunging && p->row_count == 0 && why->kind == FAIL_NETWORK))
		poll_blame(p, why);
	if (why->kind == FAIL_AUTH && why->hint != HINT_WEAKER && p->secret != NULL)
		note_refused_secret(p);
	poll_judge_left(p);
}

/* STAT may have counted fewer messages than were listed. */
static int64_t
count_left(const struct poll *p)
{
	uint64_t count = pop3_session_message_count(p->session);

	return count > p->row_count ? (int64_t)(count - p->row_count) : 0;
}

/* One that was known to break sessions came last: everything else went well. */
static void
note_stumble(struct poll *p, uint32_t number)
{
	size_t len;
	const char *uid;

	if (number == 0 || p->stopping)
		return;
	uid = listing_uid(p->listing, number, &len);
	if (stumbles_add(p->settings.stumbles, uid, len))
		p->result.why.hint = HINT_MESSAGES;
}

static void
on_closed(const struct verdict *why, bool quit_ok, void *arg)
{
	struct poll *p = arg;

	p->session_closed = true;
	p->quit_ok = quit_ok;
	p->result.certificate_end = pop3_session_certificate_end(p->session);
	p->result.mechanism = pop3_session_mechanism(p->session);
	p->result.declined = pop3_session_declined(p->session);
	p->result.login_delay = pop3_session_login_delay(p->session);
	p->result.expire = pop3_session_expire(p->session);
	p->result.proven = pop3_session_proven(p->session);
	p->result.suspect = p->stopping ? 0 : pop3_session_suspect(p->session);
	judge_session(p, why);
	note_stumble(p, pop3_session_stumbled(p->session));
	if (p->message_open) {
		batch_abort(p->batch);
		p->message_open = false;
	}
	poll_commit(p);
	if (quit_ok) {
		p->result.deleted = p->row_count;
		p->result.on_server = count_left(p);
		p->result.more = plan_may_be_window(p->result.fetched);
		p->result.has_rested = p->resting.count > 0;
	}
	if (quit_ok && p->row_count > 0) {
		p->pending++;
		mailbox_expunged(p->settings.mailbox, p->rows, p->row_count, on_expunged, p);
	}
	poll_end_when_done(p);
}

static void
ended_cb(evutil_socket_t fd, short what, void *arg)
{
	struct poll *p = arg;

	(void)fd;
	(void)what;
	p->cb(&p->result, p->arg);
}

void
poll_end_when_done(struct poll *p)
{
	if (p->ended != NULL || p->pending > 0 || p->secret_request != NULL ||
	    (p->session != NULL && !p->session_closed))
		return;
	p->result.stopped = p->stopping && p->result.why.kind == FAIL_NONE && !p->quit_ok;
	poll_write_outcome(p);
	transcript_close(&p->transcript);
	p->ended = event_new(p->settings.base, -1, 0, ended_cb, p);
	event_active(p->ended, EV_TIMEOUT, 0);
}

/* -- the beginning --------------------------------------------------------------------------- */

static const struct pop3_handler handler = {
    .listed = on_listed,
    .next = poll_next,
    .begin = poll_on_begin,
    .reserve = poll_on_reserve,
    .added = poll_on_added,
    .end = poll_on_end,
    .refused = poll_on_refused,
    .deleted = on_deleted,
    .idle = on_idle,
    .closed = on_closed,
};

static void
poll_connect(struct poll *p)
{
	const struct config *config = p->config;

	const struct transcript_settings log = {
	    .directory = config->log.sessions,
	    .account = poll_account(p),
	    .protocol = "pop3",
	    .server = p->server,
	    .id = p->id,
	    .full = config->log.full,
	};
	p->transcript = transcript_open(p->settings.base, p->settings.log_worker, &log);
	session_note_left_out(p->transcript, p->settings.without, features_name);
	const struct pop3_session_settings session = {
	    .base = p->settings.base,
	    .net = p->settings.net,
	    .config = p->pop3,
	    .transcript = p->transcript,
	    .secret = p->secret,
	    .deriver = vault_deriver(p->settings.vault),
	    .served = p->settings.record->mechanism,
	    .without = p->settings.without,
	    .declined = p->settings.declined,
	};
	p->session = pop3_session_new(&session, &handler, p);
}

static void
on_secret(struct secret *secret, const struct verdict *why, void *arg)
{
	struct poll *p = arg;

	p->secret_request = NULL;
	p->secret = secret;
	if (secret == NULL)
		poll_blame(p, why);
	if (secret == NULL || p->stopping)
		poll_end_when_done(p);
	else
		poll_connect(p);
}

static void
on_prepared(const struct verdict *why, void *arg)
{
	struct poll *p = arg;
	const struct endpoint_config *endpoint = &p->pop3->endpoint;

	p->pending--;
	if (why->kind != FAIL_NONE || p->stopping) {
		if (why->kind != FAIL_NONE)
			poll_blame(p, why);
		poll_end_when_done(p);
	} else if (endpoint->user != NULL && endpoint->secret.kind != SECRET_NONE) {
		p->held = vault_generation(p->settings.vault, &endpoint->secret);
		p->secret_request = vault_get(p->settings.vault, &endpoint->secret, on_secret, p);
	} else {
		poll_connect(p);
	}
}

struct poll *
poll_new(const struct poll_settings *settings, poll_cb *cb, void *arg)
{
	struct poll *p = xcalloc(1, sizeof *p);

	p->settings = *settings;
	p->config = config_ref(settings->config);
	p->pop3 = settings->account->pop3;
	snprintf(p->id, sizeof p->id, "%s", settings->id);
	address_server_text(
	    p->server, sizeof p->server, p->pop3->endpoint.host, p->pop3->endpoint.port);
	p->cb = cb;
	p->arg = arg;
	p->since = clock_wall();
	p->since_mono = clock_mono();
	p->result.on_server = -1;
	p->result.expire = -1;
	p->pending = 1;
	poll_tell_start(p);
	mailbox_prepare(settings->mailbox, on_prepared, p);
	return p;
}

void
poll_stop(struct poll *p)
{
	struct verdict why;

	if (p->stopping)
		return;
	p->stopping = true;
	vault_cancel(&p->secret_request);
	if (p->session == NULL || p->session_closed) {
		poll_end_when_done(p);
	} else if (!p->expunging) {
		verdict_fail(&why, FAIL_LOCAL, "stop", "stopped");
		pop3_session_fail(p->session, &why);
	}
}

void
poll_free(struct poll **poll)
{
	struct poll *p = *poll;

	*poll = NULL;
	if (p == NULL)
		return;
	pop3_session_free(&p->session);
	transcript_close(&p->transcript);
	secret_unref(&p->secret);
	if (p->ended != NULL)
		event_free(p->ended);
	free(p->rows);
	config_unref(&p->config);
	free(p);
}

const char *
poll_state(const struct poll *p)
{
	if (p->session == NULL)
		return "resolving";
	if (p->session_closed || p->expunging ||
	    (p->matched && p->pending > 0 && pop3_session_is_idle(p->session)))
		return "committing";
	return pop3_session_state(p->session);
}

const char *
poll_id(const struct poll *p)
{
	return p->id;
}

int64_t
poll_since(const struct poll *p)
{
	return p->since;
}

uint64_t
poll_octets_in(const struct poll *p)
{
	return p->session != NULL ? pop3_session_octets_in(p->session) : 0;
}

uint64_t
poll_octets_out(const struct poll *p)
{
	return p->session != NULL ? pop3_session_octets_out(p->session) : 0;
}
