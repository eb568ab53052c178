#include "deliver/deliverer_internal.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/alias_keeper.h"
#include "deliver/outbox.h"
#include "net/slots.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
next_turn(struct deliverer *d)
{
	event_active(d->turn, EV_TIMEOUT, 0);
}

struct desk *
deliverer_find_desk(const struct desk_list *list, const char *account)
{
	struct desk *desk;

	TAILQ_FOREACH (desk, list, link)
		if (strcmp(outbox_name(desk->outbox), account) == 0)
			return desk;
	return NULL;
}

/* -- accounts -----------------------------------------------------------------------------------
 */

static void
on_changed(void *arg)
{
	next_turn(arg);
}

/* NULL: none. */
static const char *
alias_path(const struct config *config)
{
	return config->local != NULL ? config->local->aliases : NULL;
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
	struct desk *desk = deliverer_find_desk(&d->desks, account);

	if (desk != NULL) {
		TAILQ_REMOVE(&d->desks, desk, link);
		return desk;
	}
	desk = deliverer_find_desk(&d->retired, account);
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
	alias_keeper_set(d->aliases, alias_path(config), on_changed, d);
	deliverer_warn_of_stranded(d);
	next_turn(d);
}

bool
deliverer_flush(struct deliverer *d, const char *account)
{
	struct desk *desk;

	if (account != NULL) {
		desk = deliverer_find_desk(&d->desks, account);
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
	struct desk *desk = deliverer_find_desk(&d->desks, account);
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
	return !TAILQ_EMPTY(&d->retired) || alias_keeper_is_busy(d->aliases);
}

bool
deliverer_is_busy(const struct deliverer *d)
{
	return any_busy(d) || outqueue_is_busy(d->settings.queue);
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

void
deliverer_abandon_fate(struct deliverer *d)
{
	struct desk *desk;

	TAILQ_FOREACH (desk, &d->desks, link)
		outbox_abandon_fate(desk->outbox);
	TAILQ_FOREACH (desk, &d->retired, link)
		outbox_abandon_fate(desk->outbox);
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
	    .handler = &deliverer_queue_handler,
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
	d->aliases = alias_keeper_new(settings->load_worker, alias_path(config));
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
	alias_keeper_free(&d->aliases);
	event_free(d->turn);
	config_unref(&d->config);
	free(d);
}
