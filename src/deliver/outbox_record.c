#include "deliver/outbox_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/hook.h"
#include "base/log.h"
#include "base/secret.h"
#include "config/config.h"
#include "deliver/retry.h"
#include "deliver/sending.h"
#include "deliver/shortcomings.h"
#include "queue/outqueue.h"
#include "session/standing.h"

#include <stdio.h>

/* Refused passwords in a row before the account is blocked; then there is one try a day. */
enum { AUTH_TRIES = 3 };
enum { DAY = 24 * 3600 * 1000 };

static void
save(struct outbox *o)
{
	outqueue_save_record(o->settings.deliverer->queue, o->name, &o->record);
}

static void
forgive(struct outbox *o)
{
	o->blocked = false;
	standing_forgive(&o->record);
}

static const struct secret_source *
secret_of(const struct outbox *o)
{
	return &o->account->smtp->endpoint.secret;
}

/* -- what is remembered ------------------------------------------------------------------------ */

static void
take_settings(struct outbox *o, const struct smtp_config *before)
{
	if (!standing_take_settings(
		&o->record, &o->account->smtp->endpoint, before != NULL ? &before->endpoint : NULL))
		return;
	o->trial = (struct shortcomings_trial){0};
	o->declined = (struct standing_declined){0};
	o->blocked = false;
}

/* A flush may have come before this was known. */
static void
wait_while_blocked(struct outbox *o)
{
	int64_t wait = standing_blocked_for(&o->record);

	if (wait == 0 || o->once)
		return;
	o->blocked = true;
	if (!o->flush_wanted)
		o->wait_until = clock_mono() + wait;
}

/* What an earlier run saw of the account's trouble is shown until a session tells more. */
static void
take_trouble(struct outbox *o)
{
	if (o->record.error_time != 0)
		verdict_fail(
		    &o->trouble, o->record.error_kind, "earlier", "%s", o->record.error_text);
}

static void
on_loaded(const struct verdict *why, const struct record *record, void *arg)
{
	struct outbox *o = arg;

	o->loading = false;
	if (why->kind == FAIL_NONE)
		o->record = *record;
	else
		log_error("account=%s reason=what its last session came to cannot be read: %s",
		    o->name, why->text);
	if (o->account->smtp != NULL) {
		take_trouble(o);
		take_settings(o, NULL);
		wait_while_blocked(o);
	}
	outbox_wake(o);
	o->settings.changed(o->settings.arg);
}

void
outbox_load(struct outbox *o)
{
	o->loading = true;
	outqueue_load_record(o->settings.deliverer->queue, o->name, on_loaded, o);
}

void
outbox_accept_weaker(struct outbox *o)
{
	if (o->weaker)
		standing_forget_login(&o->record);
}

/* A secret read by a command, a file or a token helper may have changed without a reload. */
static void
on_probe(struct secret *secret, const struct verdict *why, void *arg)
{
	struct outbox *o = arg;
	unsigned long generation;

	(void)why;
	o->probe = NULL;
	secret_unref(&secret);
	generation = vault_generation(o->settings.deliverer->vault, secret_of(o));
	if (generation != 0 && generation != o->refused_generation && o->blocked) {
		log_info("account=%s the secret has changed: sending is tried again", o->name);
		forgive(o);
		o->wait_until = 0;
		outbox_wake(o);
	}
	o->settings.changed(o->settings.arg);
}

void
outbox_check_settings(struct outbox *o, const struct smtp_config *before)
{
	vault_cancel(&o->probe);
	if (o->loading || o->account->smtp == NULL)
		return;
	take_settings(o, before);
	if (!o->blocked) {
		o->wait_until = 0; /* whatever was wrong may be mended now: one attempt tells */
		return;
	}
	save(o); /* a restart is to know what it is blocked under */
	if (o->refused_generation != 0 && secret_of(o)->kind != SECRET_NONE)
		o->probe = vault_get(o->settings.deliverer->vault, secret_of(o), on_probe, o);
}

/* -- a session's outcome ----------------------------------------------------------------------- */

static void
note_success(struct outbox *o, const struct sending_result *result)
{
	struct record *r = &o->record;

	if (r->failures > 1)
		log_info("account=%s sending works again after %u failures", o->name, r->failures);
	standing_note_success(r);
	o->blocked = false;
	o->trouble = (struct verdict)VERDICT_OK;
	o->wait_until =
	    result->slow ? clock_mono() + retry_delay(&o->config->retry, 1, outbox_random()) : 0;
}

static void
block(struct outbox *o, const struct verdict *why)
{
	if (!o->blocked)
		log_error("account=%s is blocked for sending: %s; when it is mended: postriderctl "
			  "flush %s",
		    o->name, why->text, o->name);
	standing_note_blocked(&o->record, true);
	snprintf(o->trouble.text, sizeof o->trouble.text, "%s", o->record.error_text);
	o->blocked = true;
	o->record.blocked_until = clock_wall() + DAY;
	o->wait_until = clock_mono() + DAY;
}

/* Trouble after mail was sent is not one more failure in a row. */
static void
note_failure(struct outbox *o, const struct sending_result *result)
{
	struct record *r = &o->record;

	if (result->recipients > 0) {
		r->last_success = clock_wall();
		r->failures = 0;
		forgive(o);
	}
	standing_note_failure(r, &result->why);
	standing_doubt_declined(&o->declined, &result->why);
	o->failed = true;
	o->trouble = result->why;
	o->wait_until = clock_mono() + retry_delay(&o->config->retry, r->failures, outbox_random());
	if (result->why.kind != FAIL_AUTH)
		return;
	o->refusals++;
	if (o->account->smtp == NULL)
		return;
	o->refused_generation = vault_generation(o->settings.deliverer->vault, secret_of(o));
	if (r->auth_failures >= AUTH_TRIES)
		block(o, &result->why);
}

/*
 * A person hears of trouble when it begins, and when the account is given up for a day; what ends a
 * session that sent mail is no beginning.
 */
static void
run_hook(struct outbox *o, const struct sending_result *result, bool was_blocked)
{
	bool begins = o->record.failures == 1 && result->recipients == 0;

	if (begins || (o->blocked && !was_blocked))
		hook_failed(
		    o->hook, o->account->on_failure, o->record.failures, o->record.error_text);
}

/* What a session that was stopped came to says nothing, nor does what is noted already. */
static bool
is_news(const struct outbox *o, const struct sending_result *result, unsigned refusals)
{
	bool is_noted = result->why.kind == FAIL_AUTH && refusals != o->refusals;

	return !result->stopped && !is_noted;
}

void
outbox_note_result(
    struct outbox *o, const struct sending_result *result, int64_t since, unsigned refusals)
{
	bool was_blocked = o->blocked, news = is_news(o, result, refusals);

	o->sessions++;
	if (standing_renews_token(&o->renewed, result->stopped ? 0 : result->stale_token)) {
		log_info("account=%s the token has ended: another one is fetched", o->name);
		return;
	}
	o->sessions_failed += !result->stopped && result->why.kind != FAIL_NONE;
	o->record.last_attempt = since;
	standing_note_login(&o->record, result->mechanism);
	standing_note_lacking(&o->record, result->lacking);
	shortcomings_judge(&o->record, &o->trial, o->name, result);
	standing_note_declined(&o->declined, result->declined);
	certificate_note(&o->certificate, o->name, o->server, result->certificate_end);
	o->weaker = result->why.hint == HINT_WEAKER;
	o->record.octets += result->octets;
	if (news && result->why.kind == FAIL_NONE)
		note_success(o, result);
	else if (news)
		note_failure(o, result);
	if (o->record.failures > 0 && news)
		run_hook(o, result, was_blocked);
	save(o);
}
