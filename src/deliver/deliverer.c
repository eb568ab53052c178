#include "deliver/deliverer.h"

#include "base/clock.h"
#include "base/events.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/str.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/aliases.h"
#include "deliver/outbox.h"
#include "deliver/route.h"
#include "net/slots.h"
#include "proto/rfc5322_envelope.h"
#include "store/outqueue.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The aliases are looked at again when they are older, ms. */
enum { ALIASES_AGE = 60 * 1000 };

/* An account's outbox, in the order of the configuration; or retired, with sessions to end. */
struct desk {
	struct outbox *outbox;
	TAILQ_ENTRY(desk) link;
};

TAILQ_HEAD(desk_list, desk);

/* The aliases are read in a worker, before the first message is routed and after each change. */
struct alias_load {
	struct job job;
	struct deliverer *deliverer;
	char *path;
	struct aliases *current; /* to be kept when the file has not changed */
	struct aliases *loaded;
	bool is_fresh;
	struct verdict why;
};

/* One owner: the daemon. */
struct deliverer {
	struct deliverer_settings settings;
	struct config *config; /* our reference */
	struct slots *slots;
	struct desk_list desks;
	struct desk_list retired;
	struct aliases *aliases; /* NULL: none */
	bool aliases_busy;       /* a worker reads, and looks at the current ones */
	int64_t aliases_checked; /* mono ms */
	struct event *turn;      /* frees the retired, tells of the end */
	char host[256];

	bool stopping;
	deliverer_stopped_cb *stopped_cb;
	void *stopped_arg;
	size_t rejected; /* messages that were none */
	bool draining; /* --once: the spool is still being claimed */
	bool settling; /* --once: copies, reports and files are on their way */
	deliverer_once_cb *once_cb;
	void *once_arg;
};

static void
next_turn(struct deliverer *d)
{
	event_active(d->turn, EV_TIMEOUT, 0);
}

static struct desk *
find_in(const struct desk_list *list, const char *account)
{
	struct desk *desk;

	TAILQ_FOREACH (desk, list, link)
		if (strcmp(outbox_name(desk->outbox), account) == 0)
			return desk;
	return NULL;
}

/* -- aliases ------------------------------------------------------------------------------------
 */

static void
run_alias_load(struct job *job)
{
	struct alias_load *load = (struct alias_load *)job;

	load->is_fresh = load->current != NULL && !aliases_is_stale(load->current, load->path);
	if (!load->is_fresh)
		load->loaded = aliases_load(load->path, &load->why);
}

static void
on_alias_load(struct job *job)
{
	struct alias_load *load = (struct alias_load *)job;
	struct deliverer *d = load->deliverer;

	d->aliases_busy = false;
	if (load->why.kind != FAIL_NONE)
		log_warning("%s", load->why.text);
	if (load->loaded != NULL) {
		aliases_free(&d->aliases);
		d->aliases = load->loaded;
	}
	free(load->path);
	free(load);
	next_turn(d);
}

/* Before the first message can be claimed: blocks, at start. */
static void
load_first_aliases(struct deliverer *d)
{
	const struct local_config *local = d->config->local;
	struct verdict why = VERDICT_OK;

	if (local == NULL || local->aliases == NULL)
		return;
	d->aliases = aliases_load(local->aliases, &why);
	d->aliases_checked = clock_mono();
	if (why.kind != FAIL_NONE)
		log_warning("%s", why.text);
}

static void
load_aliases(struct deliverer *d)
{
	const struct local_config *local = d->config->local;
	struct alias_load *load;

	if (d->aliases_busy)
		return;
	if (local == NULL || local->aliases == NULL) {
		aliases_free(&d->aliases);
		return;
	}
	load = xcalloc(1, sizeof *load);
	load->job = (struct job){.run = run_alias_load, .done = on_alias_load};
	load->deliverer = d;
	load->path = xstrdup(local->aliases);
	load->current = d->aliases;
	d->aliases_busy = true;
	d->aliases_checked = clock_mono();
	worker_submit(d->settings.load_worker, &load->job);
}

/* -- what the queue tells -----------------------------------------------------------------------
 */

static void
reject(struct deliverer *d, const char *id, const char *name, const char *reason)
{
	log_warning("message=%s name=%s fate=failed reason=\"%s\"", id, name, reason);
	d->rejected++;
	outqueue_reject(d->settings.queue, id, reason);
}

static void
admit(struct deliverer *d, const char *id, const char *name, const struct route *route)
{
	struct outqueue_admission admission = route_admission(route, id);

	log_info("account=%s message=%s name=%s sender=<%s> recipients=%zu fate=queued",
	    route->account, id, name, route->sender, route->recipient_count);
	outqueue_admit(d->settings.queue, &admission);
}

static void
tell_queued(const struct deliverer *d, const char *id, const char *name, uint64_t size,
    const struct route *route)
{
	const struct happening queued = {
	    .kind = HAPPENED_MESSAGE_QUEUED,
	    .account = route->account,
	    .message = id,
	    .name = name,
	    .sender = route->sender,
	    .recipients = route->recipient_count,
	    .octets = size,
	};

	events_tell(d->settings.events, &queued);
}

/* What a message asks for and does not get must not pass in silence. */
static void
note_oddities(const char *id, const char *name, const struct envelope_request *request)
{
	if (request->unknown_steering != NULL)
		log_warning("message=%s name=%s reason=its field %s means nothing here; it is "
			    "removed (see postrider-spool(7))",
		    id, name, request->unknown_steering);
	if (request->body_has_nul)
		log_warning("message=%s name=%s reason=its text holds NUL octets; they go as they "
			    "are, and some servers refuse them",
		    id, name);
}

static void
on_claimed(const char *id, const char *name, uint64_t size, const struct envelope_request *request,
    const struct verdict *why, void *arg)
{
	struct deliverer *d = arg;
	struct route route = {0};
	struct str reason = STR_INIT;
	char shown[300];

	if (clock_mono() - d->aliases_checked > ALIASES_AGE)
		load_aliases(d); /* for the next message: a change takes effect within a minute */
	str_escape(shown, sizeof shown, name, strlen(name));
	if (why->kind != FAIL_NONE) {
		reject(d, id, shown, why->text);
	} else if (route_message(d->config, d->aliases, request, &route, &reason)) {
		note_oddities(id, shown, request);
		admit(d, id, shown, &route);
		tell_queued(d, id, name, size, &route);
	} else {
		reject(d, id, shown, str_text(&reason));
	}
	route_clear(&route);
	str_clear(&reason);
}

static void
on_queued(const char *account, const char *id, void *arg)
{
	struct deliverer *d = arg;
	struct desk *desk = find_in(&d->desks, account);

	(void)id;
	if (desk != NULL && !d->stopping)
		outbox_wake(desk->outbox);
}

/* One that never had an account; of the others, each recipient's fate was told. */
static void
tell_rejected(const struct deliverer *d, const char *id, const char *name, const char *reason)
{
	const struct happening failed = {
	    .kind = HAPPENED_MESSAGE_FAILED,
	    .message = id,
	    .name = name,
	    .text = reason,
	};

	events_tell(d->settings.events, &failed);
}

static void
on_failed(const char *account, const char *id, const char *name, const char *reason, void *arg)
{
	char line[512], shown[300];

	str_escape(shown, sizeof shown, name, strlen(name));
	snprintf(line, sizeof line, "%.*s", (int)strcspn(reason, "\n"), reason);
	log_warning("account=%s message=%s is in failed/%s: %s", str_empty(account) ? "-" : account,
	    id, shown, line);
	if (str_empty(account))
		tell_rejected(arg, id, name, line);
}

/* Mail of an account that the configuration has no more, or that does not send, must not wait unsaid.
 */
static void
warn_of_stranded(const char *account, void *arg)
{
	const struct deliverer *d = arg;
	const struct account_config *config = config_account(d->config, account);
	struct outqueue_totals totals;

	outqueue_totals(d->settings.queue, account, &totals);
	if (totals.messages == 0 || (config != NULL && config->smtp != NULL))
		return;
	log_warning("account=%s has %llu messages in the queue, and %s: they wait until it can "
		    "send again, or `postriderctl remove`",
	    account, (unsigned long long)totals.messages,
	    config == NULL ? "the configuration does not have it" : "no smtp group");
}

static void
on_recovered(void *arg)
{
	struct deliverer *d = arg;

	outqueue_each_account(d->settings.queue, warn_of_stranded, d);
}

static const struct outqueue_handler queue_handler = {.claimed = on_claimed,
    .queued = on_queued,
    .recovered = on_recovered,
    .failed = on_failed};

/* -- accounts -----------------------------------------------------------------------------------
 */

static void
on_changed(void *arg)
{
	next_turn(arg);
}

static struct desk *
desk_new(struct deliverer *d, const char *account)
{
	const struct outbox_settings settings = {
	    .deliverer = &d->settings,
	    .slots = d->slots,
	    .helo = d->host,
	    .changed = on_changed,
	    .arg = d,
	};
	struct desk *desk = xcalloc(1, sizeof *desk);

	desk->outbox = outbox_new(&settings, account);
	return desk;
}

/* The account's desk, taken from its list; a retired one comes back with its sessions. */
static struct desk *
take_desk(struct deliverer *d, const char *account)
{
	struct desk *desk = find_in(&d->desks, account);

	if (desk != NULL) {
		TAILQ_REMOVE(&d->desks, desk, link);
		return desk;
	}
	desk = find_in(&d->retired, account);
	if (desk == NULL)
		return desk_new(d, account);
	TAILQ_REMOVE(&d->retired, desk, link);
	return desk;
}

void
deliverer_configure(struct deliverer *d, struct config *config)
{
	struct desk_list wanted = TAILQ_HEAD_INITIALIZER(wanted);
	struct config *old = d->config;
	struct desk *desk;

	d->config = config_ref(config);
	slots_configure(d->slots, config->sessions, config->sessions_per_host);
	outqueue_set_local_domain(
	    d->settings.queue, config->local != NULL ? config->local->domain : NULL);
	for (size_t i = 0; i < config->account_count; i++) {
		desk = take_desk(d, config->accounts[i].name);
		TAILQ_INSERT_TAIL(&wanted, desk, link);
	}
	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_stop(desk->outbox);
	TAILQ_CONCAT(&d->retired, &d->desks, link);
	TAILQ_CONCAT(&d->desks, &wanted, link);
	desk = TAILQ_FIRST(&d->desks);
	for (size_t i = 0; i < config->account_count; i++, desk = TAILQ_NEXT(desk, link))
		outbox_configure(desk->outbox, config, &config->accounts[i]);
	config_unref(&old);
	load_aliases(d);
	outqueue_each_account(d->settings.queue, warn_of_stranded, d);
	next_turn(d);
}

bool
deliverer_flush(struct deliverer *d, const char *account)
{
	struct desk *desk;

	if (account != NULL) {
		desk = find_in(&d->desks, account);
		if (desk != NULL)
			outbox_flush(desk->outbox);
		return desk != NULL;
	}
	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_flush(desk->outbox);
	return true;
}

bool
deliverer_flush_message(struct deliverer *d, const char *account, const char *id)
{
	struct desk *desk = find_in(&d->desks, account);
	const struct account_config *config = config_account(d->config, account);

	if (desk == NULL || config == NULL || config->smtp == NULL)
		return false;
	outbox_flush_message(desk->outbox, id);
	return true;
}

void
deliverer_wake(struct deliverer *d)
{
	struct desk *desk;

	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_retry_soon(desk->outbox);
}

void
deliverer_withdraw(struct deliverer *d, const char *id)
{
	struct desk *desk;

	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_withdraw(desk->outbox, id);
}

/* -- the end of things --------------------------------------------------------------------------
 */

static void
desk_free(struct desk *desk)
{
	outbox_free(&desk->outbox);
	free(desk);
}

static void
sweep_retired(struct deliverer *d)
{
	struct desk *desk, *next;

	TAILQ_FOREACH_SAFE (desk, &d->retired, link, next) {
		if (outbox_is_busy(desk->outbox))
			continue;
		TAILQ_REMOVE(&d->retired, desk, link);
		desk_free(desk);
	}
}

static bool
any_busy(const struct deliverer *d)
{
	const struct desk *desk;

	TAILQ_FOREACH (desk, &d->desks, link)
		if (outbox_is_busy(desk->outbox))
			return true;
	return !TAILQ_EMPTY(&d->retired) || d->aliases_busy;
}

static bool
is_drained(const struct deliverer *d)
{
	const struct desk *desk;

	TAILQ_FOREACH (desk, &d->desks, link)
		if (!outbox_is_drained(desk->outbox))
			return false;
	return true;
}

/* A report that is sent by mail may have come into the queue meanwhile. */
static void
on_idle(bool clean, void *arg)
{
	struct deliverer *d = arg;
	deliverer_once_cb *cb = d->once_cb;
	const struct desk *desk;
	size_t failed = !clean;

	d->settling = false;
	if (cb == NULL || !is_drained(d)) {
		next_turn(d);
		return;
	}
	TAILQ_FOREACH (desk, &d->desks, link)
		failed += outbox_has_failed(desk->outbox);
	d->once_cb = NULL;
	cb(failed + d->rejected, d->once_arg);
}

/* --once: when nothing is to be sent any more, what that led to is waited for. */
static void
settle_once(struct deliverer *d)
{
	if (d->once_cb == NULL || d->draining || d->settling || !is_drained(d))
		return;
	d->settling = true;
	outqueue_when_idle(d->settings.queue, on_idle, d);
}

static void
turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct deliverer *d = arg;
	deliverer_stopped_cb *cb = d->stopped_cb;

	(void)fd;
	(void)what;
	sweep_retired(d);
	if (d->stopping && cb != NULL && !any_busy(d)) {
		d->stopped_cb = NULL;
		cb(d->stopped_arg);
		return;
	}
	settle_once(d);
}

static void
on_drained(void *arg)
{
	struct deliverer *d = arg;
	struct desk *desk;

	d->draining = false;
	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_begin_once(desk->outbox);
	next_turn(d);
}

void
deliverer_once(struct deliverer *d, deliverer_once_cb *cb, void *arg)
{
	struct desk *desk;

	d->once_cb = cb;
	d->once_arg = arg;
	d->draining = true;
	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_hold_once(desk->outbox);
	outqueue_drain(d->settings.queue, on_drained, d);
}

void
deliverer_stop(struct deliverer *d, deliverer_stopped_cb *cb, void *arg)
{
	struct desk *desk;

	d->stopping = true;
	d->stopped_cb = cb;
	d->stopped_arg = arg;
	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_stop(desk->outbox);
	next_turn(d);
}

/* -- life ---------------------------------------------------------------------------------------
 */

struct deliverer *
deliverer_new(const struct deliverer_settings *settings, struct config *config, struct verdict *why)
{
	struct deliverer *d = xcalloc(1, sizeof *d);
	const struct outqueue_settings queue = {
	    .store = settings->store,
	    .spool = config->spool,
	    .local_domain = config->local != NULL ? config->local->domain : NULL,
	    .handler = &queue_handler,
	    .arg = d,
	};

	d->settings = *settings;
	TAILQ_INIT(&d->desks);
	TAILQ_INIT(&d->retired);
	if (gethostname(d->host, sizeof d->host - 1) < 0)
		snprintf(d->host, sizeof d->host, "localhost");
	d->config = config_ref(config);
	d->slots = slots_new(settings->base);
	d->turn = event_new(settings->base, -1, 0, turn_cb, d);
	load_first_aliases(d);
	d->settings.queue = outqueue_open(&queue, why);
	if (d->settings.queue == NULL)
		deliverer_free(&d);
	return d;
}

void
deliverer_free(struct deliverer **deliverer)
{
	struct deliverer *d = *deliverer;
	struct desk *desk;

	*deliverer = NULL;
	if (d == NULL)
		return;
	while ((desk = TAILQ_FIRST(&d->desks)) != NULL) {
		TAILQ_REMOVE(&d->desks, desk, link);
		desk_free(desk);
	}
	outqueue_close(&d->settings.queue);
	slots_free(&d->slots);
	aliases_free(&d->aliases);
	event_free(d->turn);
	config_unref(&d->config);
	free(d);
}

/* -- views --------------------------------------------------------------------------------------
 */

bool
deliverer_is_watching(const struct deliverer *d)
{
	return outqueue_is_watching(d->settings.queue);
}

bool
deliverer_is_busy(const struct deliverer *d)
{
	return any_busy(d) || outqueue_is_busy(d->settings.queue);
}

static bool
any_awaits_fate(const struct desk_list *list)
{
	const struct desk *desk;

	TAILQ_FOREACH (desk, list, link)
		if (outbox_awaits_fate(desk->outbox))
			return true;
	return false;
}

bool
deliverer_awaits_fate(const struct deliverer *d)
{
	return any_awaits_fate(&d->desks) || any_awaits_fate(&d->retired);
}

void
deliverer_abandon_fate(struct deliverer *d)
{
	struct desk *desk;

	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_abandon_fate(desk->outbox);
	TAILQ_FOREACH (desk, &d->retired, link)
		outbox_abandon_fate(desk->outbox);
}

struct outqueue *
deliverer_queue(struct deliverer *d)
{
	return d->settings.queue;
}

size_t
deliverer_count(const struct deliverer *d)
{
	return d->config->account_count;
}

void
deliverer_view(const struct deliverer *d, size_t index, struct deliverer_view *view)
{
	const struct desk *desk = TAILQ_FIRST(&d->desks);

	while (index-- > 0)
		desk = TAILQ_NEXT(desk, link);
	outbox_view(desk->outbox, view);
}

static size_t
count_sessions(const struct desk_list *list)
{
	const struct desk *desk;
	size_t n = 0;

	TAILQ_FOREACH (desk, list, link)
		n += outbox_session_count(desk->outbox);
	return n;
}

size_t
deliverer_session_count(const struct deliverer *d)
{
	return count_sessions(&d->desks) + count_sessions(&d->retired);
}

/* False, with index less the sessions of the list, when it is behind them. */
static bool
view_session(const struct desk_list *list, size_t *index, struct deliverer_session_view *view)
{
	const struct desk *desk;

	TAILQ_FOREACH (desk, list, link) {
		size_t n = outbox_session_count(desk->outbox);

		if (*index < n) {
			outbox_session_view(desk->outbox, *index, view);
			return true;
		}
		*index -= n;
	}
	return false;
}

void
deliverer_session_view(const struct deliverer *d, size_t index, struct deliverer_session_view *view)
{
	if (!view_session(&d->desks, &index, view))
		view_session(&d->retired, &index, view);
}
