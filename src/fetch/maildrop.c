#include "fetch/maildrop.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/fingerprint.h"
#include "fetch/hook.h"
#include "fetch/poll.h"
#include "fetch/schedule.h"
#include "store/mailbox.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The record of an idle account is written this often; of one whose fate changed, at once. */
enum { SAVE_INTERVAL = 10 * 60 * 1000 };

/* The one try a day of a blocked account, whatever a wall clock that leapt says. */
enum { BLOCKED_MOST = 24 * 3600 * 1000 };

/* How long the uid of a message that vanished from the server is remembered. */
#define FORGET_AFTER (INT64_C(90) * 24 * 3600 * 1000)

enum maildrop_phase {
	MAILDROP_LOADING, /* the record is read from the state database */
	MAILDROP_IDLE,
	MAILDROP_WAITING, /* for a slot */
	MAILDROP_POLLING,
	MAILDROP_ADOPTING, /* the Maildir is being accepted */
};

struct maildrop_adopt {
	bool wanted;
	bool all;
	fetcher_adopt_cb *cb;
	void *arg;
};

/* One owner: the fetcher.  A maildrop is the POP3 word for a user's mailbox on the server. */
struct maildrop {
	struct fetcher_settings settings;
	const struct maildrop_owner *owner;
	void *owner_arg;
	char *name;
	char *server; /* "host:port"; NULL without pop3 */

	struct config *config; /* our reference; NULL before the first maildrop_configure() */
	const struct account_config *account;
	struct config *next_config; /* to be taken when the poll under way has ended */
	const struct account_config *next_account;
	unsigned neighbours;

	enum maildrop_phase phase;
	bool stopped;
	bool once;
	bool again;   /* a person asked while a poll was under way */
	bool resumed; /* came back after maildrop_stop(): is scheduled anew */
	bool marking; /* the poll under way answers the adopt */
	bool blocked;
	struct event *timer;
	int64_t next_attempt; /* wall, 0: none */

	struct mailbox *mailbox;
	struct mailbox_record record;
	int64_t saved_at; /* mono */
	struct poll *poll;
	struct hook *hook;
	int64_t on_server;
	uint64_t skipped_large;
	unsigned long refused_generation;
	struct vault_request *probe; /* has a blocked account's secret changed? */
	struct maildrop_adopt adopt;
};

static void maildrop_settle(struct maildrop *m);
static void schedule_first_poll(struct maildrop *m);

static double
random_unit(void)
{
	uint32_t n = 0;

	if (RAND_bytes((unsigned char *)&n, sizeof n) != 1)
		n = (uint32_t)clock_mono() * 2654435761u;
	return (double)n / 4294967296.0;
}

/* -- the timer and the slot ------------------------------------------------------------------ */

static void
maildrop_disarm(struct maildrop *m)
{
	event_del(m->timer);
	m->next_attempt = 0;
}

static void
maildrop_arm(struct maildrop *m, int64_t delay)
{
	struct timeval tv = {delay / 1000, delay % 1000 * 1000};

	if (delay < 0 || m->once || m->stopped) {
		maildrop_disarm(m);
		return;
	}
	m->next_attempt = clock_wall() + delay;
	event_add(m->timer, &tv);
}

static void
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

/* -- what is remembered ---------------------------------------------------------------------- */

static void
maildrop_save(struct maildrop *m)
{
	m->saved_at = clock_mono();
	mailbox_save(m->mailbox, &m->record, NULL, NULL);
}

static void
forgive_auth_failures(struct maildrop *m)
{
	m->blocked = false;
	m->record.auth_failures = 0;
	m->record.blocked_until = 0;
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
	forgive_auth_failures(m);
	if (m->phase == MAILDROP_IDLE && !m->stopped)
		maildrop_arm(m, 0);
}

static void
probe_secret(struct maildrop *m)
{
	const struct secret_source *source = &m->account->pop3->endpoint.secret;

	if (!m->blocked || m->record.auth_failures == 0 || m->refused_generation == 0 ||
	    m->probe != NULL || source->kind == SECRET_NONE)
		return;
	m->probe = vault_get(m->settings.vault, source, on_probe, m);
}

/* A fingerprint of other settings: what was refused then says nothing about now. */
static bool
maildrop_check_fingerprint(struct maildrop *m)
{
	char now[FINGERPRINT_SIZE];

	fingerprint_account(m->config, m->account, now);
	if (strcmp(now, m->record.fingerprint) == 0)
		return false;
	snprintf(m->record.fingerprint, sizeof m->record.fingerprint, "%s", now);
	forgive_auth_failures(m);
	return true;
}

/* -- a poll's outcome ------------------------------------------------------------------------ */

static void
note_failure(struct maildrop *m, const struct verdict *why)
{
	struct mailbox_record *r = &m->record;

	r->failures++;
	if (why->kind == FAIL_AUTH) {
		r->auth_failures++;
		m->refused_generation =
		    vault_generation(m->settings.vault, &m->account->pop3->endpoint.secret);
	}
	r->error_time = clock_wall();
	r->error_kind = why->kind;
	snprintf(r->error_text, sizeof r->error_text, "%s", why->text);
}

static void
note_success(struct maildrop *m, const struct poll_result *result)
{
	struct mailbox_record *r = &m->record;

	r->last_success = clock_wall();
	r->failures = 0;
	forgive_auth_failures(m);
	r->error_time = 0;
	r->error_kind = FAIL_NONE;
	r->error_text[0] = '\0';
	m->on_server = result->on_server;
	m->skipped_large = result->skipped_large;
	if (result->skipped_large > 0)
		log_warning(
		    "account=%s %llu messages are larger than max_size and stay on the server",
		    m->name, (unsigned long long)result->skipped_large);
}

static void
note_result(struct maildrop *m, const struct poll_result *result)
{
	bool failed = result->why.kind != FAIL_NONE;
	bool changed = failed || m->record.failures > 0 || result->fetched > 0;

	m->record.last_attempt = poll_since(m->poll);
	m->record.fetched += result->fetched;
	m->record.fetched_octets += result->fetched_octets;
	if (result->stopped) {
		maildrop_save(m);
		return;
	}
	m->on_server = -1;
	if (failed)
		note_failure(m, &result->why);
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
	m->blocked = true;
	m->record.blocked_until = for_auth && delay > 0 ? clock_wall() + delay : 0;
	if (for_auth)
		maildrop_save(m);
}

static void
schedule_after(struct maildrop *m, const struct poll_result *result)
{
	const struct schedule_input input = {
	    .interval = m->account->pop3->interval,
	    .why = &result->why,
	    .failures = m->record.failures,
	    .auth_failures = m->record.auth_failures,
	    .login_delay = result->login_delay,
	    .more = result->more,
	    .random = random_unit(),
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

static void
run_hooks(struct maildrop *m, const struct poll_result *result)
{
	hook_fetched(m->hook, m->account->on_fetch, result->fetched);
	if (result->why.kind != FAIL_NONE)
		hook_failed(m->hook, m->account->on_failure, result->why.text);
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

static void
on_polled(const struct poll_result *result, void *arg)
{
	struct maildrop *m = arg;
	bool failed = result->why.kind != FAIL_NONE;

	note_result(m, result);
	if (result->stopped) {
		maildrop_disarm(m);
	} else {
		schedule_after(m, result);
		run_hooks(m, result);
	}
	if (m->marking && result->stopped)
		refuse_adopt(m, "was stopped before its messages were marked");
	else if (m->marking)
		answer_adopt(m, &result->why, result->marked);
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
	    .mailbox = m->mailbox,
	    .config = m->config,
	    .account = m->account,
	    .purpose = marking ? POLL_MARK_SEEN : POLL_FETCH,
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
			schedule_first_poll(m);
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

static void
start_adopting(struct maildrop *m)
{
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

/* -- settings -------------------------------------------------------------------------------- */

static void
take_mailbox(struct maildrop *m)
{
	const struct pop3_config *pop3 = m->account->pop3;
	const struct mailbox_settings settings = {
	    .account = m->name,
	    .maildir = m->account->maildir,
	    .mode = m->account->maildir_mode,
	    .forget_ms = pop3->keep == KEEP_FOR && pop3->keep_for > FORGET_AFTER ? pop3->keep_for
										 : FORGET_AFTER,
	};

	mailbox_close(&m->mailbox);
	m->mailbox = mailbox_open(m->settings.store, &settings);
}

static bool
same_polling(const struct pop3_config *a, const struct pop3_config *b)
{
	return a->interval == b->interval &&
	       secret_source_equal(&a->endpoint.secret, &b->endpoint.secret);
}

static void
take_server_name(struct maildrop *m)
{
	const struct pop3_config *pop3 = m->account->pop3;

	free(m->server);
	m->server =
	    pop3 == NULL ? NULL : xasprintf("%s:%u", pop3->endpoint.host, pop3->endpoint.port);
}

/* The first poll, or the next one under changed settings. */
static void
schedule_first_poll(struct maildrop *m)
{
	int64_t interval = m->account->pop3->interval;
	int64_t wait = m->record.blocked_until - clock_wall();

	if (interval == 0) {
		maildrop_disarm(m);
	} else if (m->record.blocked_until > 0 && wait > 0) {
		m->blocked = true;
		maildrop_arm(m, wait < BLOCKED_MOST ? wait : BLOCKED_MOST);
	} else {
		maildrop_arm(m, schedule_first(interval, m->neighbours, random_unit()));
	}
}

static void
on_loaded(const struct verdict *why, const struct mailbox_record *record, void *arg)
{
	struct maildrop *m = arg;

	m->phase = MAILDROP_IDLE;
	if (why->kind == FAIL_NONE)
		m->record = *record;
	else
		note_failure(m, why);
	maildrop_check_fingerprint(m);
	if (!m->stopped && !m->once)
		schedule_first_poll(m);
	maildrop_settle(m);
	m->owner->ended(m, false, m->owner_arg);
}

/* Nothing is to be done for it any more, until it has pop3 again. */
static void
maildrop_disable(struct maildrop *m)
{
	maildrop_disarm(m);
	m->again = false;
	if (m->phase == MAILDROP_WAITING) {
		m->phase = MAILDROP_IDLE;
		m->owner->withdrawn(m, m->owner_arg);
	}
}

static void
maildrop_take(struct maildrop *m, struct config *config, const struct account_config *settings)
{
	const struct pop3_config *before = m->account != NULL ? m->account->pop3 : NULL;
	struct config *old = m->config;
	bool changed = m->resumed;

	m->resumed = false;
	vault_cancel(&m->probe);
	m->config = config;
	m->account = settings;
	take_server_name(m);
	if (settings->pop3 == NULL) {
		maildrop_disable(m);
	} else if (m->mailbox == NULL) {
		take_mailbox(m);
		m->phase = MAILDROP_LOADING;
		mailbox_load(m->mailbox, on_loaded, m);
	} else {
		take_mailbox(m);
		if (maildrop_check_fingerprint(m) || before == NULL ||
		    !same_polling(before, settings->pop3)) {
			forgive_auth_failures(m);
			changed = true;
		}
		if (changed || m->record.error_kind == FAIL_CONFIG)
			schedule_first_poll(m);
		probe_secret(m);
	}
	config_unref(&old);
}

void
maildrop_configure(struct maildrop *m, struct config *config, const struct account_config *settings,
    unsigned accounts)
{
	config_unref(&m->next_config);
	m->next_config = config_ref(config);
	m->next_account = settings;
	m->neighbours = accounts;
	m->resumed = m->resumed || m->stopped;
	m->stopped = false;
	maildrop_settle(m);
}

/* Whatever had to wait until nothing was under way is done here, one thing at a time. */
static void
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

bool
maildrop_is_stopped(const struct maildrop *m)
{
	return m->stopped;
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

void
maildrop_view(const struct maildrop *m, struct fetcher_view *view)
{
	const struct mailbox_record *r = &m->record;

	*view = (struct fetcher_view){
	    .account = m->name,
	    .state = maildrop_state(m),
	    .server = m->server,
	    .last_attempt = m->poll != NULL ? poll_since(m->poll) : r->last_attempt,
	    .last_success = r->last_success,
	    .next_attempt = m->next_attempt,
	    .failures = r->failures,
	    .error_time = r->error_time,
	    .error_kind = r->error_kind,
	    .error_text = r->error_text,
	    .fetched = r->fetched,
	    .fetched_octets = r->fetched_octets,
	    .on_server = m->on_server,
	    .skipped_large = m->skipped_large,
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
