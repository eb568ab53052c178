#include "fetch/maildrop_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/events.h"
#include "base/hook.h"
#include "base/log.h"
#include "base/secret.h"
#include "config/config.h"
#include "fetch/expiry.h"
#include "fetch/poll.h"
#include "fetch/schedule.h"
#include "proto/pop3.h"
#include "session/standing.h"
#include "store/mailbox.h"

#include <string.h>

/* The record of an idle account is written this often; of one whose fate changed, at once. */
enum { SAVE_INTERVAL = 10 * 60 * 1000 };

/* -- what is remembered ---------------------------------------------------------------------- */

void
maildrop_save(struct maildrop *m)
{
	m->saved_at = clock_mono();
	mailbox_save(m->mailbox, &m->record, NULL, NULL);
}

void
maildrop_forgive(struct maildrop *m)
{
	m->blocked = false;
	standing_forgive(&m->record);
}

/* A secret read by a command, a file or a token helper may have changed without a reload. */
static void
on_probe(struct secret *secret, const struct verdict *why, void *arg)
{
	struct maildrop *m = arg;
	unsigned long generation;

	(void)why;
	m->probe = NULL;
	secret_unref(&secret);
	generation = vault_generation(m->settings.vault, &m->account->pop3->endpoint.secret);
	if (generation == 0 || generation == m->refused_generation || !m->blocked)
		return;
	log_info("account=%s the secret has changed: trying again", m->name);
	maildrop_forgive(m);
	if (m->phase == MAILDROP_IDLE && !m->stopped)
		maildrop_arm(m, 0);
}

void
maildrop_probe_secret(struct maildrop *m)
{
	const struct secret_source *source = &m->account->pop3->endpoint.secret;

	if (!m->blocked || m->record.auth_failures == 0 || m->refused_generation == 0 ||
	    m->probe != NULL || source->kind == SECRET_NONE)
		return;
	m->probe = vault_get(m->settings.vault, source, on_probe, m);
}

bool
maildrop_check_settings(struct maildrop *m, const struct pop3_config *before)
{
	if (!standing_take_settings(
		&m->record, &m->account->pop3->endpoint, before != NULL ? &before->endpoint : NULL))
		return false;
	m->declined = (struct standing_declined){0};
	m->blocked = false;
	return true;
}

/* -- a poll's outcome ------------------------------------------------------------------------ */

void
maildrop_note_failure(struct maildrop *m, const struct verdict *why)
{
	standing_note_failure(&m->record, why);
	standing_doubt_declined(&m->declined, why);
	if (why->kind == FAIL_AUTH)
		m->refused_generation =
		    vault_generation(m->settings.vault, &m->account->pop3->endpoint.secret);
}

static void
note_success(struct maildrop *m, const struct poll_result *result)
{
	if (m->record.failures > 1)
		log_info("account=%s fetching works again after %u failures", m->name,
		    m->record.failures);
	standing_note_success(&m->record);
	m->blocked = false;
	memset(&m->stumbles, 0, sizeof m->stumbles);
	if (result->skipped_large > 0 && result->skipped_large != m->skipped_large)
		log_warning(
		    "account=%s %llu messages are larger than max_size and stay on the server",
		    m->name, (unsigned long long)result->skipped_large);
	m->skipped_large = result->skipped_large;
}

/* Whatever becomes of the session that brought it. */
void
maildrop_note_fetched(struct maildrop *m, const struct poll_result *result)
{
	m->record.messages += result->fetched;
	m->record.octets += result->fetched_octets;
	if (!result->stopped)
		hook_fetched(m->hook, m->account->on_fetch, result->fetched);
}

/* A session that was cut off early has not heard what the server asks for. */
static bool
note_demands(struct maildrop *m, const struct poll_result *result)
{
	bool heard = result->mechanism != NULL;
	int64_t days = heard && result->expire < 0 ? POP3_EXPIRE_NEVER : result->expire;
	bool changed = expiry_note(&m->record, m->name, m->account->pop3, days);

	if (heard || result->why.hint == HINT_LOGIN_DELAY)
		m->record.last_login = clock_wall();
	if (!heard || result->login_delay == m->record.login_delay)
		return changed;
	m->record.login_delay = result->login_delay;
	return true;
}

void
maildrop_note_result(struct maildrop *m, const struct poll_result *result)
{
	bool failed = result->why.kind != FAIL_NONE;
	bool changed = failed || m->learned || m->record.failures > 0 || result->fetched > 0;

	certificate_note(&m->certificate, m->name, m->server, result->certificate_end);
	changed = standing_note_login(&m->record, result->mechanism) || changed;
	changed = note_demands(m, result) || changed;
	standing_note_declined(&m->declined, result->declined);
	m->weaker = result->why.hint == HINT_WEAKER;

	m->polls++;
	m->polls_failed += failed;
	m->record.last_attempt = poll_since(m->poll);
	if (result->stopped) {
		maildrop_save(m);
		return;
	}
	m->on_server = result->on_server;
	if (failed)
		maildrop_note_failure(m, &result->why);
	else
		note_success(m, result);
	if (changed || clock_mono() - m->saved_at >= SAVE_INTERVAL)
		maildrop_save(m);
}

static void
maildrop_block(struct maildrop *m, const struct poll_result *result, int64_t delay)
{
	bool for_auth = result->why.kind == FAIL_AUTH;

	if (!m->blocked)
		log_error("account=%s is blocked: %s; when it is mended: postriderctl poll %s",
		    m->name, result->why.text, m->name);
	if (for_auth)
		standing_note_blocked(&m->record, delay > 0);
	m->blocked = true;
	m->record.blocked_until = for_auth && delay > 0 ? clock_wall() + delay : 0;
	if (for_auth)
		maildrop_save(m);
}

void
maildrop_schedule_after(struct maildrop *m, const struct poll_result *result)
{
	const struct schedule_input input = {
	    .interval = m->account->pop3->interval,
	    .why = &result->why,
	    .failures = m->record.failures,
	    .auth_failures = m->record.auth_failures,
	    .login_delay = result->login_delay,
	    .more = result->more,
	    .random = maildrop_random(),
	};
	struct schedule next = schedule_next(&input);

	if (next.blocked)
		maildrop_block(m, result, next.delay);
	else
		m->blocked = false;
	if (result->more && result->why.kind == FAIL_NONE && result->login_delay == 0 && !m->once &&
	    next.delay < 0)
		m->again = true;
	maildrop_arm(m, next.delay);
}

/* After it was scheduled anew: those who watch hear when. */
void
maildrop_tell_failure(const struct maildrop *m, const struct verdict *why)
{
	const struct happening failed = {
	    .kind = HAPPENED_POLL_FAILED,
	    .account = m->name,
	    .session = poll_id(m->poll),
	    .server = m->server,
	    .why = why,
	    .failures = m->record.failures,
	    .state = m->blocked ? "blocked" : "backoff",
	    .next_attempt = m->next_attempt,
	};

	if (why->kind != FAIL_NONE)
		events_tell(m->settings.events, &failed);
}
