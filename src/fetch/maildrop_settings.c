#include "fetch/maildrop_internal.h"

#include "auth/vault.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/schedule.h"
#include "net/address.h"
#include "session/standing.h"
#include "store/mailbox.h"

#include <stdlib.h>
#include <string.h>

/* How long the uid of a message that vanished from the server is remembered. */
#define FORGET_AFTER (INT64_C(90) * 24 * 3600 * 1000)

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

static bool
same_keep(const struct pop3_config *a, const struct pop3_config *b)
{
	return a->keep == b->keep && a->keep_for == b->keep_for;
}

static bool
same_server(const struct pop3_config *a, const struct pop3_config *b)
{
	return strcmp(a->endpoint.host, b->endpoint.host) == 0 &&
	       a->endpoint.port == b->endpoint.port;
}

/* What was heard of the server, and told of it, under settings that are others now. */
static void
drop_outdated(struct maildrop *m, const struct pop3_config *before)
{
	if (!same_keep(before, m->account->pop3))
		m->record.expire_told = 0;
	if (same_server(before, m->account->pop3))
		return;
	m->record.login_delay = 0;
	memset(&m->stumbles, 0, sizeof m->stumbles);
}

static void
take_server_name(struct maildrop *m)
{
	const struct pop3_config *pop3 = m->account->pop3;

	free(m->server);
	m->server =
	    pop3 == NULL ? NULL : address_server_name(pop3->endpoint.host, pop3->endpoint.port);
}

/* The first poll, or the next one under changed settings. */
void
maildrop_schedule_first(struct maildrop *m)
{
	int64_t interval = m->account->pop3->interval;
	int64_t wait = standing_blocked_for(&m->record);

	if (interval == 0) {
		maildrop_disarm(m);
	} else if (wait > 0) {
		m->blocked = true;
		maildrop_arm(m, wait);
	} else {
		maildrop_arm(m, schedule_first(interval, m->neighbours, maildrop_random()));
	}
}

static void
on_loaded(const struct verdict *why, const struct record *record, void *arg)
{
	struct maildrop *m = arg;

	m->phase = MAILDROP_IDLE;
	if (why->kind == FAIL_NONE)
		m->record = *record;
	else
		maildrop_note_failure(m, why);
	maildrop_check_settings(m, NULL);
	if (!m->stopped && !m->once)
		maildrop_schedule_first(m);
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

void
maildrop_take(struct maildrop *m, struct config *config, const struct account_config *settings)
{
	const struct pop3_config *before = m->account != NULL ? m->account->pop3 : NULL;
	struct config *old = m->config;
	bool changed = m->resumed;

	m->resumed = false;
	vault_cancel(&m->probe);
	m->config = config;
	m->account = settings;
	m->trial = 0;
	take_server_name(m);
	if (settings->pop3 == NULL) {
		maildrop_disable(m);
	} else if (m->mailbox == NULL) {
		take_mailbox(m);
		m->phase = MAILDROP_LOADING;
		mailbox_load(m->mailbox, on_loaded, m);
	} else {
		take_mailbox(m);
		if (before != NULL)
			drop_outdated(m, before);
		if (maildrop_check_settings(m, before) || before == NULL ||
		    !same_polling(before, settings->pop3)) {
			maildrop_forgive(m);
			changed = true;
		}
		if (changed || m->record.error_kind == FAIL_CONFIG)
			maildrop_schedule_first(m);
		maildrop_probe_secret(m);
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
