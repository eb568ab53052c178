#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "store/account.h"
#include "store/ledger.h"
#include "store/recovery.h"
#include "store/state.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * mailbox_prepare() and mailbox_adopt(), in three hops:
 *
 *   load     what Maildir the state knows, and the intents         state thread
 *   inspect  make or recognise the Maildir, finish the renames     writer thread
 *   settle   the Maildir's identity, and what became of intents    state thread
 *
 * It waits for batches of the account that are on their way, so that no intent is anybody else's.
 */
struct prepare {
	TAILQ_ENTRY(prepare) link; /* of the mailbox's waiting list */
	struct job file_job;
	struct state_job load_job, settle_job;
	struct mailbox *mailbox;
	bool adopt;
	mailbox_cb *cb;
	void *arg;

	int64_t account;
	char *known_path; /* NULL: the account's first use */
	struct maildir_identity known;
	bool save_maildir; /* the state does not have it as it is */
	struct maildir_identity identity;
	struct recovery recovery;
	struct recovery everybody; /* intents of all accounts: they may share the Maildir */
	struct name_list doubtful; /* taken from the mailbox */
	bool sweep;
	struct verdict why;
};

#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void
finish(struct prepare *p)
{
	struct mailbox *m = p->mailbox;

	if (p->why.kind == FAIL_NONE) {
		m->prepared = true;
		m->identity = p->identity;
		m->needs_recovery = false;
		m->swept = true;
	} else {
		m->prepared = false;
		for (size_t i = 0; i < p->doubtful.count; i++)
			name_list_add(&m->doubtful, p->doubtful.names[i]);
	}
	if (!m->closed && p->cb != NULL)
		p->cb(&p->why, p->arg);
	mailbox_unref(&p->mailbox);
	recovery_clear(&p->recovery);
	recovery_clear(&p->everybody);
	name_list_clear(&p->doubtful);
	free(p->known_path);
	free(p);
}

static bool
apply_settle(struct state *state, struct state_job *job)
{
	struct prepare *p = CONTAINER(job, struct prepare, settle_job);
	const struct recovery *r = &p->recovery;
	bool ok = true;

	if (p->save_maildir)
		ok = account_save_maildir(
		    state, p->account, p->mailbox->path, &p->identity, &job->why);
	for (size_t i = 0; i < r->count && ok; i++) {
		if (r->intents[i].fate == RECOVERY_STORED)
			ok = ledger_settle(state, r->intents[i].row, &job->why);
		else
			ok = ledger_withdraw(state, r->intents[i].row, &job->why);
	}
	return ok;
}

static void
log_recovery(const struct prepare *p)
{
	const struct recovery *r = &p->recovery;
	size_t stored = 0;

	for (size_t i = 0; i < r->count; i++) {
		if (r->intents[i].fate == RECOVERY_STORED) {
			stored++;
			continue;
		}
		log_warning(
		    "account=%s file=%s reason=the message was begun more than 36 hours ago "
		    "or in another Maildir, and its file is nowhere: it is fetched again",
		    p->mailbox->account, r->intents[i].file);
	}
	if (stored > 0)
		log_info("account=%s recovered=%zu reason=messages whose delivery was interrupted "
			 "are in the Maildir",
		    p->mailbox->account, stored);
}

static void
on_settled(struct job *job)
{
	struct prepare *p = CONTAINER(job, struct prepare, settle_job.job);

	p->why = p->settle_job.why;
	if (p->why.kind == FAIL_NONE)
		log_recovery(p);
	finish(p);
}

static void
on_inspected(struct job *job)
{
	struct prepare *p = CONTAINER(job, struct prepare, file_job);

	if (p->why.kind != FAIL_NONE || (!p->save_maildir && p->recovery.count == 0)) {
		finish(p);
		return;
	}
	p->settle_job.step = "settle-commit";
	p->settle_job.apply = apply_settle;
	store_submit_state(p->mailbox->store, &p->settle_job, on_settled);
}

static bool
refuse(struct prepare *p, const char *how)
{
	char shown[256];

	str_escape(shown, sizeof shown, p->mailbox->path, strlen(p->mailbox->path));
	verdict_fail(&p->why, FAIL_LOCAL, "maildir",
	    "Maildir %s %s; mount or restore it, or accept it as it is with `postriderctl adopt "
	    "%s`; nothing is fetched until then",
	    shown, how, p->mailbox->account);
	p->why.hint = HINT_SYS_PERM;
	return false;
}

/*
 * A Maildir given up by adopt: what still waits in its tmp/ is finished there, if it is there, and
 * else looked for in the new one, where it must be found to count as stored.
 */
static bool
recover_in_old_place(struct prepare *p)
{
	struct verdict ignored = VERDICT_OK;
	struct maildir_identity now;
	struct maildir old;
	bool ok;

	if (p->known_path == NULL || !maildir_identify(p->known_path, &now) ||
	    !maildir_is_same(&now, &p->known) || !maildir_open(&old, p->known_path, &ignored))
		return false;
	ok = recovery_run(&p->recovery, &old, p->known_path, &ignored);
	maildir_close(&old);
	return ok;
}

static bool
is_known_maildir(const struct prepare *p)
{
	return p->known_path != NULL && maildir_is_same(&p->known, &p->identity);
}

static bool
recover(struct prepare *p, struct maildir *m)
{
	if (p->known_path != NULL && !is_known_maildir(p)) {
		if (p->recovery.count > 0 && recover_in_old_place(p))
			return true;
		for (size_t i = 0; i < p->recovery.count; i++)
			p->recovery.intents[i].old = true;
	}
	return recovery_run(&p->recovery, m, p->mailbox->path, &p->why);
}

/* Files of intents whose commit failed.  Another commit has succeeded since: they are nobody's. */
static void
remove_doubtful(struct prepare *p, struct maildir *m)
{
	for (size_t i = 0; i < p->doubtful.count; i++)
		if (!recovery_names(&p->recovery, p->doubtful.names[i]))
			unlinkat(m->tmp, p->doubtful.names[i], 0);
	name_list_clear(&p->doubtful);
}

static bool
is_intended(const char *name, void *arg)
{
	return recovery_names(arg, name);
}

/* Opens the Maildir that there is, or says why it is not the one. */
static bool
open_maildir(struct prepare *p, struct maildir *m)
{
	bool make = p->adopt || p->known_path == NULL;

	if (make && !maildir_create(p->mailbox->path, p->mailbox->mode, &p->why))
		return false;
	if (!make && maildir_identify(p->mailbox->path, &p->identity) && !is_known_maildir(p))
		return refuse(p, "is another directory than before");
	if (!maildir_open(m, p->mailbox->path, &p->why))
		return p->why.hint == HINT_SYS_PERM
			   ? refuse(p, "is gone, or its tmp, new or cur is")
			   : false;
	p->identity = m->identity;
	if (!make && !is_known_maildir(p)) {
		maildir_close(m);
		return refuse(p, "is another directory than before");
	}
	return true;
}

static void
run_inspect(struct job *job)
{
	struct prepare *p = CONTAINER(job, struct prepare, file_job);
	struct maildir m;

	if (!open_maildir(p, &m))
		return;
	p->save_maildir = p->known_path == NULL || strcmp(p->known_path, p->mailbox->path) != 0 ||
			  memcmp(&p->known, &p->identity, sizeof p->known) != 0;
	if (recover(p, &m)) {
		remove_doubtful(p, &m);
		if (p->sweep)
			maildir_sweep(&m, is_intended, &p->everybody);
	}
	maildir_close(&m);
}

static void
on_prepare_loaded(struct job *job)
{
	struct prepare *p = CONTAINER(job, struct prepare, load_job.job);

	p->why = p->load_job.why;
	if (p->why.kind != FAIL_NONE)
		finish(p);
	else
		store_submit_file(
		    p->mailbox->store, p->mailbox->writer, &p->file_job, run_inspect, on_inspected);
}

/* Writes the age clock down: that commit also buries any that failed before. */
static bool
apply_prepare_load(struct state *state, struct state_job *job)
{
	struct prepare *p = CONTAINER(job, struct prepare, load_job);

	return state_save_now(state, &job->why) &&
	       account_find(state, p->mailbox->account, &p->account, &job->why) &&
	       account_load_maildir(state, p->account, &p->known_path, &p->known, &job->why) &&
	       ledger_load_intents(state, p->account, &p->recovery, &job->why) &&
	       (!p->sweep || ledger_load_intents(state, 0, &p->everybody, &job->why));
}

static void
start(struct prepare *p)
{
	struct mailbox *m = p->mailbox;

	p->doubtful = m->doubtful;
	m->doubtful = (struct name_list){NULL, 0};
	p->sweep = !m->swept;
	p->load_job.step = "prepare-commit";
	p->load_job.apply = apply_prepare_load;
	store_submit_state(m->store, &p->load_job, on_prepare_loaded);
}

static void
prepare(struct mailbox *m, bool adopt, mailbox_cb *cb, void *arg)
{
	struct prepare *p = xcalloc(1, sizeof *p);

	p->mailbox = mailbox_ref(m);
	p->adopt = adopt;
	p->cb = cb;
	p->arg = arg;
	if (mailbox_is_committing(m))
		TAILQ_INSERT_TAIL(&m->waiting, p, link);
	else
		start(p);
}

void
mailbox_prepare(struct mailbox *m, mailbox_cb *cb, void *arg)
{
	prepare(m, false, cb, arg);
}

void
mailbox_adopt(struct mailbox *m, mailbox_cb *cb, void *arg)
{
	prepare(m, true, cb, arg);
}

bool
mailbox_is_committing(const struct mailbox *m)
{
	const struct mailbox *other;

	TAILQ_FOREACH (other, &m->store->mailboxes, link)
		if (other->committing > 0 && strcmp(other->account, m->account) == 0)
			return true;
	return false;
}

/* While the store closes, a prepare may run to its end at once and let its mailbox go. */
void
mailbox_end_commit(struct mailbox *m)
{
	struct mailbox *other, *next;
	struct prepare *p;

	m->committing--;
	if (mailbox_is_committing(m))
		return;
	TAILQ_FOREACH_SAFE (other, &m->store->mailboxes, link, next) {
		if (strcmp(other->account, m->account) != 0)
			continue;
		mailbox_ref(other);
		while ((p = TAILQ_FIRST(&other->waiting)) != NULL) {
			TAILQ_REMOVE(&other->waiting, p, link);
			start(p);
		}
		mailbox_unref(&other);
	}
}
