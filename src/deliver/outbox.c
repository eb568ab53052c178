#include "deliver/outbox.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/retry.h"
#include "deliver/sending.h"
#include "deliver/settle.h"
#include "net/address.h"
#include "net/session_id.h"
#include "net/slots.h"
#include "proto/dsn.h"
#include "store/outqueue.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages lent at a time; more are asked for when so few are left. */
enum { LENT_MOST = 200, LENT_LEAST = 50 };

/* Another connection is worth its handshakes when each has so many messages to send. */
enum { MESSAGES_A_SESSION = 10 };

/* Refused passwords in a row before the account is blocked, and how long it is. */
enum { AUTH_TRIES = 3 };
enum { DAY = 24 * 3600 * 1000 };

/* A session of this outbox, or the wish for one. */
struct line {
	struct slot slot;
	TAILQ_ENTRY(line) link;
	struct outbox *outbox;
	struct sending *sending; /* NULL while the slot is waited for */
};

TAILQ_HEAD(line_list, line);

struct outbox {
	struct outbox_settings settings;
	char *name;
	char *server;
	struct config *config; /* our reference */
	const struct account_config *account;

	struct line_list lines;
	size_t line_count;
	struct outmessage *ready[LENT_MOST]; /* lent, not yet taken */
	size_t ready_count;
	bool asking;      /* outqueue_due() is under way */
	bool ask_again;   /* something came meanwhile */
	bool forced;      /* flush: the next question is for all that waits */
	bool maybe_more;  /* the last answer was full */
	size_t deciding;  /* decisions whose callback is due */
	int64_t earliest; /* wall ms of the next message not yet due, 0: none */
	struct event *timer;

	bool stopped;
	bool blocked;
	bool failed;        /* a session failed since outbox_flush() */
	int64_t wait_until; /* mono ms; no session before, for the account is in trouble */
	unsigned failures, auth_failures;
	struct verdict trouble; /* of the last session that failed; FAIL_NONE: none */
	int64_t error_time, last_attempt, last_success; /* wall */
	uint64_t sent, sent_octets;
};

static void outbox_go(struct outbox *o);

static double
random_unit(void)
{
	uint32_t n = 0;

	if (RAND_bytes((unsigned char *)&n, sizeof n) != 1)
		n = (uint32_t)clock_mono() * 2654435761u;
	return (double)n / 4294967296.0;
}

/* -- settling ---------------------------------------------------------------------------------- */

static void
on_decided(const struct verdict *why, void *arg)
{
	struct outbox *o = arg;

	o->deciding--;
	if (why->kind != FAIL_NONE)
		log_error("account=%s what became of a message could not be recorded: %s", o->name,
		    why->text);
	o->settings.changed(o->settings.arg);
	outbox_go(o);
}

/* Finishes what was noted: recorded when there is something to record, else the message waits on.
 */
static void
settle_message(struct outbox *o, struct outmessage *message, struct settlement *settlement,
    const struct verdict *trouble)
{
	struct outqueue *queue = o->settings.deliverer->queue;
	uint8_t unique[DSN_UNIQUE_SIZE] = {0};
	const struct settle_context context = {
	    .retry = &o->config->retry,
	    .account = o->account,
	    .trouble = trouble,
	    .now = clock_wall(),
	    .random = random_unit(),
	    .host = o->settings.helo,
	    .unique = unique,
	};

	(void)RAND_bytes(unique, sizeof unique);
	settle_finish(settlement, &context);
	o->sent += settlement->sent;
	o->failed |= settlement->deferred + settlement->refused + settlement->unknown > 0;
	/* What is not over comes again: when, the queue knows. */
	if (!settlement->is_over)
		o->ask_again = true;
	if (settlement->is_needed) {
		o->deciding++;
		outqueue_decide(queue, &settlement->decision, &message, on_decided, o);
	} else {
		outqueue_return(queue, &message);
	}
	settle_clear(settlement);
}

static void
on_settled(struct outmessage *message, struct settlement *settlement, const struct verdict *trouble,
    void *arg)
{
	struct line *line = arg;

	settle_message(line->outbox, message, settlement, trouble);
}

/* What was lent and not tried goes back; its senders may be owed a notice meanwhile. */
static void
return_ready(struct outbox *o, const struct verdict *trouble)
{
	for (size_t i = 0; i < o->ready_count; i++) {
		struct settlement settlement;

		settle_begin(&settlement, o->ready[i]);
		settle_message(o, o->ready[i], &settlement, trouble);
	}
	o->ready_count = 0;
}

/* -- what is due ------------------------------------------------------------------------------- */

static bool
must_wait(const struct outbox *o)
{
	return o->wait_until > clock_mono();
}

static void
arm_timer(struct outbox *o)
{
	int64_t wait = must_wait(o)      ? o->wait_until - clock_mono()
		       : o->earliest > 0 ? o->earliest - clock_wall()
					 : -1;
	struct timeval tv;

	event_del(o->timer);
	if (o->stopped || (wait < 0 && o->earliest == 0))
		return;
	wait = wait > 0 ? wait : 0;
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	event_add(o->timer, &tv);
}

static void
on_due(struct outmessage **messages, size_t count, int64_t earliest, const struct verdict *why,
    void *arg)
{
	struct outbox *o = arg;

	o->asking = false;
	o->forced = false;
	o->earliest = earliest;
	o->maybe_more = count == LENT_MOST - o->ready_count;
	if (why->kind != FAIL_NONE)
		log_error("account=%s the queue cannot be read: %s", o->name, why->text);
	for (size_t i = 0; i < count; i++)
		o->ready[o->ready_count++] = messages[i];
	if (o->stopped)
		return_ready(o, NULL);
	outbox_go(o);
	o->settings.changed(o->settings.arg);
}

static void
ask_for_due(struct outbox *o)
{
	if (o->asking || o->stopped || o->account->smtp == NULL || o->ready_count > LENT_LEAST)
		return;
	o->asking = true;
	o->ask_again = false;
	outqueue_due(o->settings.deliverer->queue, o->name, clock_wall(), o->forced,
	    LENT_MOST - o->ready_count, on_due, o);
}

static struct outmessage *
take_message(void *arg)
{
	struct outbox *o = ((struct line *)arg)->outbox;
	struct outmessage *message;

	if (o->stopped || o->ready_count == 0)
		return NULL;
	message = o->ready[0];
	memmove(o->ready, o->ready + 1, --o->ready_count * sizeof o->ready[0]);
	if (o->maybe_more || o->ask_again)
		ask_for_due(o);
	return message;
}

/* -- sessions ---------------------------------------------------------------------------------- */

static const struct sending_handler handler = {.take = take_message, .settled = on_settled};

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
note_success(struct outbox *o, const struct sending_result *result)
{
	if (o->failures > 0)
		log_info("account=%s sending works again", o->name);
	o->last_success = clock_wall();
	o->failures = o->auth_failures = 0;
	o->blocked = false;
	o->trouble = (struct verdict)VERDICT_OK;
	o->error_time = 0;
	o->wait_until =
	    result->slow ? clock_mono() + retry_delay(&o->config->retry, 1, random_unit()) : 0;
}

static void
note_failure(struct outbox *o, const struct sending_result *result)
{
	int64_t delay;

	o->failures++;
	o->failed = true;
	if (result->why.kind == FAIL_AUTH)
		o->auth_failures++;
	o->trouble = result->why;
	o->error_time = clock_wall();
	delay = retry_delay(&o->config->retry, o->failures, random_unit());
	if (o->auth_failures >= AUTH_TRIES) {
		if (!o->blocked)
			log_error("account=%s is blocked for sending: %s; when it is mended: "
				  "postriderctl flush",
			    o->name, result->why.text);
		o->blocked = true;
		delay = DAY;
	}
	o->wait_until = clock_mono() + delay;
}

static void
on_ended(const struct sending_result *result, void *arg)
{
	struct line *line = arg;
	struct outbox *o = line->outbox;

	o->last_attempt = sending_since(line->sending);
	o->sent_octets += result->octets;
	if (!result->stopped) {
		if (result->why.kind == FAIL_NONE)
			note_success(o, result);
		else
			note_failure(o, result);
	}
	line_free(line);
	if (must_wait(o) && o->line_count == 0)
		return_ready(o, o->trouble.kind != FAIL_NONE ? &o->trouble : NULL);
	outbox_go(o);
	o->settings.changed(o->settings.arg);
}

static void
on_granted(struct slot *slot)
{
	struct line *line = (struct line *)slot; /* its first member */
	struct outbox *o = line->outbox;
	const struct deliverer_settings *d = o->settings.deliverer;
	char id[SESSION_ID_SIZE];
	const struct sending_settings settings = {
	    .base = d->base,
	    .net = d->net,
	    .vault = d->vault,
	    .log_worker = d->log_worker,
	    .queue = d->queue,
	    .config = o->config,
	    .account = o->account,
	    .helo = o->account->smtp->helo != NULL ? o->account->smtp->helo : o->settings.helo,
	    .id = session_id_next(id),
	};

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
	slots_want(o->settings.slots, &line->slot, o->account->smtp->endpoint.host, o->failures > 0,
	    false);
}

/* One session at first; more, up to max_connections, when there is much to send and all is well. */
static size_t
lines_wanted(const struct outbox *o)
{
	size_t most = o->failures > 0 ? 1 : o->account->smtp->max_connections;
	size_t wanted = (o->ready_count + MESSAGES_A_SESSION - 1) / MESSAGES_A_SESSION;

	if (o->ready_count == 0)
		return 0;
	return wanted < most ? wanted : most;
}

static void
outbox_go(struct outbox *o)
{
	struct line *line;

	if (o->stopped || o->account->smtp == NULL)
		return;
	arm_timer(o);
	if (must_wait(o))
		return;
	if (o->ask_again || o->forced)
		ask_for_due(o);
	while (o->line_count < lines_wanted(o))
		open_line(o);
	TAILQ_FOREACH (line, &o->lines, link)
		if (line->sending != NULL && o->ready_count > 0)
			sending_go(line->sending);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;

	(void)fd;
	(void)what;
	o->ask_again = true;
	outbox_go(o);
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
	o->timer = event_new(settings->deliverer->base, -1, 0, timer_cb, o);
	return o;
}

void
outbox_free(struct outbox **outbox)
{
	struct outbox *o = *outbox;

	*outbox = NULL;
	if (o == NULL)
		return;
	event_free(o->timer);
	config_unref(&o->config);
	free(o->server);
	free(o->name);
	free(o);
}

void
outbox_configure(struct outbox *o, struct config *config, const struct account_config *account)
{
	struct config *old = o->config;
	const struct smtp_config *smtp = account->smtp;

	o->config = config_ref(config);
	o->account = account;
	o->stopped = false;
	free(o->server);
	o->server =
	    smtp == NULL ? NULL : address_server_name(smtp->endpoint.host, smtp->endpoint.port);
	config_unref(&old);
	/* Whatever was wrong may be mended now: one attempt tells. */
	o->wait_until = 0;
	o->auth_failures = 0;
	o->blocked = false;
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
	o->wait_until = 0;
	o->forced = true;
	o->failed = false;
	outbox_go(o);
}

void
outbox_stop(struct outbox *o)
{
	struct line *line, *next;

	o->stopped = true;
	event_del(o->timer);
	return_ready(o, NULL);
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
	return o->asking || o->line_count > 0 || o->deciding > 0;
}

bool
outbox_is_drained(const struct outbox *o)
{
	if (o->account->smtp == NULL || o->stopped)
		return !outbox_is_busy(o);
	return !outbox_is_busy(o) && !o->ask_again && !o->forced &&
	       (o->ready_count == 0 || must_wait(o));
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
	return o->failures > 0 ? "backoff" : "idle";
}

void
outbox_view(const struct outbox *o, struct deliverer_view *view)
{
	struct outqueue_totals totals = {0};
	int64_t wait = o->wait_until - clock_mono();

	outqueue_totals(o->settings.deliverer->queue, o->name, &totals);
	*view = (struct deliverer_view){
	    .account = o->name,
	    .state = outbox_state(o),
	    .server = o->server,
	    .last_attempt = o->last_attempt,
	    .last_success = o->last_success,
	    .next_attempt = totals.messages == 0 ? 0
			    : wait > 0           ? clock_wall() + wait
						 : o->earliest,
	    .failures = o->failures,
	    .error_time = o->error_time,
	    .error_kind = o->trouble.kind,
	    .error_text = o->trouble.text,
	    .sent = o->sent,
	    .sent_octets = o->sent_octets,
	    .queued = totals.messages,
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
