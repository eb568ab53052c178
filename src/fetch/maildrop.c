#include "fetch/maildrop_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/hook.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/features.h"
#include "fetch/poll.h"
#include "fetch/schedule.h"
#include "session/standing.h"
#include "store/mailbox.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/* Those who are woken together come within so many ms. */
enum { WAKE_SPREAD = 5000 };

double
maildrop_random(void)
{
	uint32_t n = 0;

	if (RAND_bytes((unsigned char *)&n, sizeof n) != 1)
		n = (uint32_t)clock_mono() * 2654435761u;
	return (double)n / 4294967296.0;
}

/* -- the timer and the slot ------------------------------------------------------------------ */

void
maildrop_disarm(struct maildrop *m)
{
	event_del(m->timer);
	m->next_attempt = 0;
}

void
maildrop_arm(struct maildrop *m, int64_t delay)
{
	int64_t wait = standing_login_wait(&m->record);
	struct timeval tv;

	if (delay < 0 || m->once || m->stopped) {
		maildrop_disarm(m);
		return;
	}
	if (delay < wait)
		delay = wait;
	tv = (struct timeval){delay / 1000, delay % 1000 * 1000};
	m->next_attempt = clock_wall() + delay;
	event_add(m->timer, &tv);
}

void
maildrop_want_slot(struct maildrop *m, bool urgent)
{
	maildrop_disarm(m);
	m->phase = MAILDROP_WAITING;
	m->owner->ready(m, urgent, m->owner_arg);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct maildrop *m = arg;

	(void)fd;
	(void)what;
	if (m->phase == MAILDROP_IDLE && !m->stopped)
		maildrop_want_slot(m, false);
}

/* A person hears of trouble when it begins, and when the account is given up for a day. */
static void
run_hooks(struct maildrop *m, const struct poll_result *result, bool was_blocked)
{
	bool begins = m->record.failures == 1 || (m->blocked && !was_blocked);

	if (result->why.kind != FAIL_NONE && begins)
		hook_failed(m->hook, m->account->on_failure, m->record.failures, result->why.text);
}

static void
on_hooks_done(void *arg)
{
	struct maildrop *m = arg;

	m->owner->hooks_done(m, m->owner_arg);
}

static void
answer_adopt(struct maildrop *m, const struct verdict *why, size_t marked)
{
	struct maildrop_adopt adopt = m->adopt;

	m->adopt = (struct maildrop_adopt){.wanted = false};
	if (adopt.cb != NULL)
		adopt.cb(why, marked, adopt.arg);
}

static void
refuse_adopt(struct maildrop *m, const char *reason)
{
	struct verdict why;

	if (!m->adopt.wanted)
		return;
	verdict_fail(&why, FAIL_LOCAL, "adopt", "%s %s", m->name, reason);
	answer_adopt(m, &why, 0);
}

/* What the poll came to is noted and told, and the next one scheduled. */
static void
conclude(struct maildrop *m, const struct poll_result *result)
{
	bool was_blocked = m->blocked;

	maildrop_note_result(m, result);
	if (result->stopped) {
		maildrop_disarm(m);
	} else {
		maildrop_schedule_after(m, result);
		maildrop_tell_failure(m, &result->why);
		run_hooks(m, result, was_blocked);
	}
	if (m->marking && result->stopped)
		refuse_adopt(m, "was stopped before its messages were marked");
	else if (m->marking)
		answer_adopt(m, &result->why, result->marked);
}

/*
 * True when the session is held again at once, and what it came to is nobody's trouble.  A server
 * that wants a pause between logins is left in peace, though.
 */
static bool
begins_again(struct maildrop *m, const struct poll_result *result)
{
	enum features_step step =
	    features_note(&m->record, m->name, m->account->pop3, &m->trial, result);
	bool renews = standing_renews_token(&m->renewed, result->stopped ? 0 : result->stale_token);

	m->learned = step == FEATURES_CHANGED;
	if (renews)
		log_info("account=%s the token has ended: another one is fetched", m->name);
	if (result->has_rested)
		stumbles_wake(&m->stumbles);
	return renews ||
	       ((step == FEATURES_TRIAL || result->has_rested) && result->login_delay == 0);
}

static void
on_polled(const struct poll_result *result, void *arg)
{
	struct maildrop *m = arg;
	bool failed = result->why.kind != FAIL_NONE;

	maildrop_note_fetched(m, result);
	/* What is being adopted is wanted still, and begins anew. */
	if (begins_again(m, result))
		m->again = m->again || !m->marking;
	else
		conclude(m, result);
	m->marking = false;
	poll_free(&m->poll);
	m->phase = MAILDROP_IDLE;
	maildrop_settle(m);
	m->owner->ended(m, failed, m->owner_arg);
}

void
maildrop_start(struct maildrop *m, const char *id)
{
	bool marking = m->adopt.wanted && m->adopt.all;
	const struct poll_settings settings = {
	    .base = m->settings.base,
	    .net = m->settings.net,
	    .vault = m->settings.vault,
	    .log_worker = m->settings.log_worker,
	    .events = m->settings.events,
	    .mailbox = m->mailbox,
	    .config = m->config,
	    .account = m->account,
	    .purpose = marking ? POLL_MARK_SEEN : POLL_FETCH,
	    .record = &m->record,
	    .without = features_without(&m->record, m->account->pop3, m->trial),
	    .stumbles = &m->stumbles,
	    .declined = standing_declined(&m->declined),
	    .id = id,
	};

	vault_cancel(&m->probe);
	m->phase = MAILDROP_POLLING;
	m->marking = marking;
	m->poll = poll_new(&settings, on_polled, m);
}

/* -- adopt ----------------------------------------------------------------------------------- */

static void
on_adopted(const struct verdict *why, void *arg)
{
	struct maildrop *m = arg;

	m->phase = MAILDROP_IDLE;
	if (why->kind != FAIL_NONE) {
		answer_adopt(m, why, 0);
		if (!m->stopped)
			maildrop_schedule_first(m);
	} else if (!m->stopped) {
		m->blocked = m->record.auth_failures >= SCHEDULE_AUTH_TRIES;
		if (!m->adopt.all)
			answer_adopt(m, why, 0);
		maildrop_want_slot(m, true);
		return;
	}
	maildrop_settle(m);
	m->owner->ended(m, false, m->owner_arg);
}

/* A person was told that the server offers less than it did, and wants it all the same. */
static void
accept_weaker(struct maildrop *m)
{
	if (m->weaker)
		standing_forget_login(&m->record);
}

static void
start_adopting(struct maildrop *m)
{
	accept_weaker(m);
	maildrop_disarm(m);
	m->phase = MAILDROP_ADOPTING;
	mailbox_adopt(m->mailbox, on_adopted, m);
}

enum fetcher_answer
maildrop_adopt(struct maildrop *m, bool all, fetcher_adopt_cb *cb, void *arg)
{
	struct verdict why;

	if (m->account->pop3 == NULL)
		return FETCHER_DISABLED;
	if (m->adopt.wanted || m->stopped) {
		verdict_fail(
		    &why, FAIL_LOCAL, "adopt", "%s is being adopted or removed already", m->name);
		cb(&why, 0, arg);
		return FETCHER_STARTED;
	}
	m->adopt = (struct maildrop_adopt){.wanted = true, .all = all, .cb = cb, .arg = arg};
	maildrop_settle(m);
	return FETCHER_STARTED;
}

/* Whatever had to wait until nothing was under way is done here, one thing at a time. */
void
maildrop_settle(struct maildrop *m)
{
	if (m->phase != MAILDROP_IDLE && m->phase != MAILDROP_WAITING)
		return;
	if (m->next_config != NULL) {
		struct config *config = m->next_config;

		m->next_config = NULL;
		maildrop_take(m, config, m->next_account);
	}
	if (m->phase == MAILDROP_LOADING)
		return;
	if (m->stopped || m->account->pop3 == NULL) {
		refuse_adopt(m, m->stopped ? "is removed, or the daemon stops" : "has no pop3");
	} else if (m->adopt.wanted) {
		if (m->phase == MAILDROP_WAITING)
			m->owner->withdrawn(m, m->owner_arg);
		start_adopting(m);
	} else if (m->again && m->phase == MAILDROP_IDLE) {
		m->again = false;
		maildrop_want_slot(m, true);
	}
}

/* -- what the fetcher calls ------------------------------------------------------------------ */

struct maildrop *
maildrop_new(const struct fetcher_settings *settings, const struct maildrop_owner *owner, void *arg,
    const char *name)
{
	struct maildrop *m = xcalloc(1, sizeof *m);

	m->settings = *settings;
	m->owner = owner;
	m->owner_arg = arg;
	m->name = xstrdup(name);
	m->phase = MAILDROP_IDLE;
	m->on_server = -1;
	m->hook = hook_new(settings->base, name, on_hooks_done, m);
	m->timer = event_new(settings->base, -1, 0, timer_cb, m);
	return m;
}

void
maildrop_free(struct maildrop **maildrop)
{
	struct maildrop *m = *maildrop;

	*maildrop = NULL;
	if (m == NULL)
		return;
	vault_cancel(&m->probe);
	hook_free(&m->hook);
	mailbox_close(&m->mailbox);
	config_unref(&m->next_config);
	config_unref(&m->config);
	event_free(m->timer);
	free(m->server);
	free(m->name);
	free(m);
}

void
maildrop_stop(struct maildrop *m)
{
	if (m->stopped)
		return;
	m->stopped = true;
	maildrop_disarm(m);
	vault_cancel(&m->probe);
	if (m->poll != NULL)
		poll_stop(m->poll);
	else if (m->phase == MAILDROP_WAITING)
		m->phase = MAILDROP_IDLE;
	maildrop_settle(m);
	if (m->mailbox != NULL && m->phase != MAILDROP_LOADING && m->record.last_attempt > 0)
		maildrop_save(m);
}

bool
maildrop_is_busy(const struct maildrop *m)
{
	return m->phase == MAILDROP_LOADING || m->phase == MAILDROP_POLLING ||
	       m->phase == MAILDROP_ADOPTING;
}

bool
maildrop_runs_hooks(const struct maildrop *m)
{
	return hook_is_busy(m->hook);
}

void
maildrop_set_once(struct maildrop *m)
{
	m->once = true;
	maildrop_disarm(m);
}

enum fetcher_answer
maildrop_poll(struct maildrop *m)
{
	if (m->account->pop3 == NULL)
		return FETCHER_DISABLED;
	if (m->stopped)
		return FETCHER_NO_SUCH_ACCOUNT;
	accept_weaker(m);
	switch (m->phase) {
	case MAILDROP_IDLE:
	case MAILDROP_WAITING:
		maildrop_want_slot(m, true);
		break;
	case MAILDROP_LOADING:
	case MAILDROP_POLLING:
	case MAILDROP_ADOPTING:
		m->again = true;
		break;
	}
	return FETCHER_STARTED;
}

void
maildrop_wake(struct maildrop *m, bool resumed)
{
	int64_t delay = (int64_t)(maildrop_random() * WAKE_SPREAD);
	bool waits = m->phase == MAILDROP_IDLE && m->next_attempt != 0;

	if (!waits || m->blocked || m->record.auth_failures > 0)
		return;
	/* A timer that stood still is late, whatever the wall clock says. */
	if (resumed || (m->record.failures > 0 && m->next_attempt > clock_wall() + delay))
		maildrop_arm(m, delay);
}

const char *
maildrop_name(const struct maildrop *m)
{
	return m->name;
}

const char *
maildrop_host(const struct maildrop *m)
{
	return m->account->pop3 != NULL ? m->account->pop3->endpoint.host : "";
}

bool
maildrop_is_failing(const struct maildrop *m)
{
	return m->record.failures > 0;
}

static const char *
maildrop_state(const struct maildrop *m)
{
	if (m->account->pop3 == NULL)
		return "disabled";
	if (m->poll != NULL)
		return poll_state(m->poll);
	if (m->blocked)
		return "blocked";
	return m->record.failures > 0 ? "backoff" : "idle";
}

static unsigned
left_out(const struct maildrop *m)
{
	return m->account->pop3 != NULL ? features_without(&m->record, m->account->pop3, 0) : 0;
}

void
maildrop_view(const struct maildrop *m, struct fetcher_view *view)
{
	const struct record *r = &m->record;

	*view = (struct fetcher_view){
	    .account = m->name,
	    .state = maildrop_state(m),
	    .server = m->server,
	    .last_attempt = m->poll != NULL ? poll_since(m->poll) : r->last_attempt,
	    .last_success = r->last_success,
	    .next_attempt = m->next_attempt,
	    .failures = r->failures,
	    .failing_since = r->failing_since,
	    .error_time = r->error_time,
	    .error_kind = r->error_kind,
	    .error_text = r->error_text,
	    .fetched = r->messages,
	    .fetched_octets = r->octets,
	    .certificate_end = m->certificate.ends,
	    .on_server = m->on_server,
	    .skipped_large = m->skipped_large,
	    .expires_after = r->expire_told - 1,
	    .left_out = left_out(m),
	    .polls = m->polls,
	    .polls_failed = m->polls_failed,
	};
}

bool
maildrop_session_view(const struct maildrop *m, struct fetcher_session_view *view)
{
	if (m->poll == NULL)
		return false;
	*view = (struct fetcher_session_view){
	    .id = poll_id(m->poll),
	    .account = m->name,
	    .server = m->server,
	    .state = poll_state(m->poll),
	    .since = poll_since(m->poll),
	    .octets_in = poll_octets_in(m->poll),
	    .octets_out = poll_octets_out(m->poll),
	};
	return true;
}
