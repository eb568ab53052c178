#include "deliver/outbox_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/hook.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/sending.h"
#include "net/address.h"
#include "net/session_id.h"
#include "queue/outqueue.h"
#include "session/standing.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sysexits.h>

/* Another connection is worth its handshakes when each has so many messages to send. */
enum { MESSAGES_A_SESSION = 10 };

/*
 * However long there is to wait, a look is taken this often: for senders who are owed a notice, and
 * for a wall clock that leapt.
 */
enum { LOOK_AGAIN = 10 * 60 * 1000 };

/* Those who are woken together come within so many ms. */
enum { WAKE_SPREAD = 5000 };

double
outbox_random(void)
{
	uint32_t n = 0;

	if (RAND_bytes((unsigned char *)&n, sizeof n) != 1)
		n = (uint32_t)clock_mono() * 2654435761u;
	return (double)n / 4294967296.0;
}

/* -- sessions ---------------------------------------------------------------------------------- */

static struct outmessage *
on_take(void *arg)
{
	return outbox_take(((struct line *)arg)->outbox);
}

static void
on_settled(struct outmessage *message, struct settlement *settlement, const struct verdict *trouble,
    void *arg)
{
	const struct line *line = arg;

	outbox_settle(line->outbox, line->sending, message, settlement, trouble);
}

static const struct sending_handler handler = {.take = on_take, .settled = on_settled};

static void
line_free(struct line *line)
{
	struct outbox *o = line->outbox;

	slots_leave(o->settings.slots, &line->slot);
	TAILQ_REMOVE(&o->lines, line, link);
	o->line_count--;
	sending_free(&line->sending);
	free(line);
}

static void
on_ended(const struct sending_result *result, void *arg)
{
	struct line *line = arg;
	struct outbox *o = line->outbox;

	outbox_note_result(o, result, sending_since(line->sending), line->refusals);
	line_free(line);
	if (outbox_must_wait(o) && o->line_count == 0) {
		outbox_return_ready(o);
		outbox_tell_overdue(o);
	}
	outbox_go(o);
	o->settings.changed(o->settings.arg);
}

static void
on_granted(struct slot *slot)
{
	struct line *line = (struct line *)slot;
	struct outbox *o = line->outbox;
	const struct deliverer_settings *d = o->settings.deliverer;
	char id[SESSION_ID_SIZE];

	if (o->ready_count == 0 || outbox_must_wait(o)) {
		line_free(line); /* others were faster, or found that it is of no use */
		if (o->line_count == 0)
			outbox_return_ready(o);
		o->settings.changed(o->settings.arg);
		return;
	}
	const struct sending_settings settings = {
	    .base = d->base,
	    .net = d->net,
	    .vault = d->vault,
	    .log_worker = d->log_worker,
	    .events = d->events,
	    .queue = d->queue,
	    .config = o->config,
	    .account = o->account,
	    .helo = o->account->smtp->helo != NULL ? o->account->smtp->helo : o->settings.helo,
	    .record = &o->record,
	    .without = standing_lacking(&o->record) | o->trial.without,
	    .declined = standing_declined(&o->declined),
	    .id = session_id_next(id),
	};

	line->refusals = o->refusals;
	line->sending = sending_new(&settings, &handler, on_ended, line);
}

static void
open_line(struct outbox *o)
{
	struct line *line = xcalloc(1, sizeof *line);

	slot_init(&line->slot, on_granted);
	line->outbox = o;
	TAILQ_INSERT_TAIL(&o->lines, line, link);
	o->line_count++;
	slots_want(o->settings.slots, &line->slot, o->account->smtp->endpoint.host,
	    o->record.failures > 0, false);
}

/* One session at first; more, up to max_connections, when there is much to send and all is well. */
static size_t
lines_wanted(const struct outbox *o)
{
	size_t most = o->record.failures > 0 ? 1 : o->account->smtp->max_connections;
	size_t wanted = (o->ready_count + MESSAGES_A_SESSION - 1) / MESSAGES_A_SESSION;

	return wanted < most ? wanted : most;
}

/* -- waiting ----------------------------------------------------------------------------------- */

bool
outbox_must_wait(const struct outbox *o)
{
	return o->wait_until > clock_mono();
}

static void
arm_timer(struct outbox *o)
{
	bool waits = outbox_must_wait(o);
	int64_t wait = waits ? o->wait_until - clock_mono() : o->earliest - clock_wall();
	int64_t most = LOOK_AGAIN;
	struct timeval tv;

	if (!waits && o->earliest == 0) {
		event_del(o->timer);
		return;
	}
	if (waits && o->config->retry.warn_after > 0 && o->config->retry.warn_after < most)
		most = o->config->retry.warn_after;
	wait = wait < 0 ? 0 : wait < most ? wait : most;
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	event_add(o->timer, &tv);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;

	(void)fd;
	(void)what;
	if (outbox_must_wait(o))
		outbox_tell_overdue(o);
	o->earliest = 0; /* the answer tells anew */
	o->ask_again = true;
	outbox_go(o);
}

void
outbox_go(struct outbox *o)
{
	struct line *line;

	if (o->stopped || o->loading || o->on_hold || o->account->smtp == NULL)
		return;
	arm_timer(o);
	if (outbox_must_wait(o))
		return;
	outbox_ask(o);
	while (o->line_count < lines_wanted(o))
		open_line(o);
	TAILQ_FOREACH (line, &o->lines, link)
		if (line->sending != NULL && o->ready_count > 0)
			sending_go(line->sending);
}

/* -- what the deliverer calls -------------------------------------------------------------------
 */

struct outbox *
outbox_new(const struct outbox_settings *settings, const char *name)
{
	struct outbox *o = xcalloc(1, sizeof *o);

	o->settings = *settings;
	o->name = xstrdup(name);
	TAILQ_INIT(&o->lines);
	o->hook = hook_new(settings->deliverer->base, name, settings->changed, settings->arg);
	o->timer = event_new(settings->deliverer->base, -1, 0, timer_cb, o);
	if (o->timer == NULL)
		exit(EX_OSERR);
	return o;
}

void
outbox_free(struct outbox **outbox)
{
	struct outbox *o = *outbox;

	*outbox = NULL;
	if (o == NULL)
		return;
	vault_cancel(&o->probe);
	hook_free(&o->hook);
	event_free(o->timer);
	config_unref(&o->config);
	free(o->ready);
	free(o->server);
	free(o->name);
	free(o);
}

void
outbox_configure(struct outbox *o, struct config *config, const struct account_config *account)
{
	struct config *old = o->config;
	const struct smtp_config *before = old != NULL ? o->account->smtp : NULL;
	const struct smtp_config *smtp = account->smtp;

	o->config = config_ref(config);
	o->account = account;
	o->stopped = false;
	free(o->server);
	o->server =
	    smtp == NULL ? NULL : address_server_name(smtp->endpoint.host, smtp->endpoint.port);
	if (old == NULL)
		outbox_load(o);
	else
		outbox_check_settings(o, before);
	config_unref(&old);
	if (smtp == NULL) {
		event_del(o->timer);
		outbox_return_ready(o);
	}
	outbox_wake(o);
}

void
outbox_wake(struct outbox *o)
{
	o->ask_again = true;
	outbox_go(o);
}

void
outbox_flush(struct outbox *o)
{
	outbox_accept_weaker(o);
	o->wait_until = 0;
	o->flush_wanted = o->by_person = true;
	outbox_go(o);
}

void
outbox_retry_soon(struct outbox *o)
{
	int64_t soon = clock_mono() + (int64_t)(outbox_random() * WAKE_SPREAD);

	if (o->blocked || o->record.auth_failures > 0 || o->record.failures == 0)
		return;
	if (o->wait_until > soon)
		o->wait_until = soon;
	o->flush_wanted = true;
	outbox_go(o);
}

void
outbox_withdraw(struct outbox *o, const char *id)
{
	struct line *line;

	outbox_withdraw_ready(o, id);
	TAILQ_FOREACH (line, &o->lines, link)
		if (line->sending != NULL)
			sending_withdraw(line->sending, id);
}

void
outbox_hold_once(struct outbox *o)
{
	o->once = true;
	o->on_hold = true;
}

void
outbox_begin_once(struct outbox *o)
{
	o->on_hold = false;
	o->failed = false;
	o->wait_until = 0;
	outbox_wake(o);
}

void
outbox_stop(struct outbox *o)
{
	struct line *line, *next;

	o->stopped = true;
	event_del(o->timer);
	vault_cancel(&o->probe);
	outbox_return_ready(o);
	TAILQ_FOREACH_SAFE (line, &o->lines, link, next) {
		if (line->sending == NULL)
			line_free(line);
		else
			sending_stop(line->sending);
	}
}

bool
outbox_is_busy(const struct outbox *o)
{
	return o->loading || o->asking || o->lending > 0 || o->telling || o->line_count > 0 ||
	       o->deciding > 0;
}

/* What waits with an account in trouble is as drained as it can be. */
bool
outbox_is_drained(const struct outbox *o)
{
	if (outbox_is_busy(o) || hook_is_busy(o->hook))
		return false;
	return o->stopped || o->account->smtp == NULL || outbox_must_wait(o) ||
	       (!o->ask_again && !o->flush_wanted && !o->flushing && !o->more &&
		   o->ready_count == 0);
}

bool
outbox_has_failed(const struct outbox *o)
{
	return o->failed;
}

bool
outbox_awaits_fate(const struct outbox *o)
{
	const struct line *line;

	TAILQ_FOREACH (line, &o->lines, link)
		if (line->sending != NULL && sending_awaits_fate(line->sending))
			return true;
	return false;
}

void
outbox_abandon_fate(struct outbox *o)
{
	struct line *line;

	TAILQ_FOREACH (line, &o->lines, link)
		if (line->sending != NULL)
			sending_abandon_fate(line->sending);
}

const char *
outbox_name(const struct outbox *o)
{
	return o->name;
}

static const char *
outbox_state(const struct outbox *o)
{
	const struct line *line;

	if (o->account->smtp == NULL)
		return "disabled";
	TAILQ_FOREACH (line, &o->lines, link)
		if (line->sending != NULL)
			return sending_state(line->sending);
	if (o->blocked)
		return "blocked";
	return o->record.failures > 0 ? "backoff" : "idle";
}

void
outbox_view(const struct outbox *o, struct deliverer_view *view)
{
	const struct record *r = &o->record;
	struct outqueue_totals totals = {0};
	int64_t wait = o->wait_until - clock_mono();

	outqueue_totals(o->settings.deliverer->queue, o->name, &totals);
	*view = (struct deliverer_view){
	    .account = o->name,
	    .state = outbox_state(o),
	    .server = o->server,
	    .last_attempt = r->last_attempt,
	    .last_success = r->last_success,
	    .next_attempt = totals.messages == 0 ? 0
			    : wait > 0           ? clock_wall() + wait
						 : o->earliest,
	    .failures = r->failures,
	    .failing_since = r->failing_since,
	    .error_time = r->error_time,
	    .error_kind = o->trouble.kind,
	    .error_text = o->trouble.text,
	    .certificate_end = o->certificate.ends,
	    .left_out = standing_lacking(r),
	    .sent = r->messages,
	    .sent_octets = r->octets,
	    .queued = totals.messages,
	    .sessions = o->sessions,
	    .sessions_failed = o->sessions_failed,
	};
}

size_t
outbox_session_count(const struct outbox *o)
{
	const struct line *line;
	size_t n = 0;

	TAILQ_FOREACH (line, &o->lines, link)
		n += line->sending != NULL;
	return n;
}

void
outbox_session_view(const struct outbox *o, size_t index, struct deliverer_session_view *view)
{
	const struct line *line;

	TAILQ_FOREACH (line, &o->lines, link) {
		if (line->sending == NULL || index-- > 0)
			continue;
		*view = (struct deliverer_session_view){
		    .id = sending_id(line->sending),
		    .account = o->name,
		    .server = o->server,
		    .state = sending_state(line->sending),
		    .since = sending_since(line->sending),
		    .octets_in = sending_octets_in(line->sending),
		    .octets_out = sending_octets_out(line->sending),
		};
		return;
	}
}
