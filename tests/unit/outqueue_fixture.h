#ifndef POSTRIDER_TESTS_OUTQUEUE_FIXTURE_H
#define POSTRIDER_TESTS_OUTQUEUE_FIXTURE_H

#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "proto/rfc5322_envelope.h"
#include "queue/outqueue.h"
#include "store/mailbox.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A queue in a directory of its own, and an owner that admits what has recipients. */
struct fixture {
	char dir[64];
	char spool[80];
	struct event_base *base;
	struct store *store;
	struct outqueue *queue;
	bool idle_owner; /* answers nothing */
	bool recovered;
	size_t claimed, queued, failed;
	char last_id[32];
	char last_name[256];
	char last_reason[600];
	uint64_t last_size;
};

#define EVENTUALLY(f, condition)                                                                   \
	while (!(condition))                                                                       \
	event_base_loop((f)->base, EVLOOP_ONCE)

static inline void
on_claimed(const char *id, const char *name, uint64_t size, const struct envelope_request *request,
    const struct verdict *why, void *arg)
{
	struct fixture *f = arg;
	const char **recipients;
	struct str *texts;
	struct outqueue_admission a = {.id = id, .account = "a", .sender = "me@example.org"};

	f->claimed++;
	snprintf(f->last_id, sizeof f->last_id, "%s", id);
	snprintf(f->last_name, sizeof f->last_name, "%s", name);
	f->last_size = size;
	if (f->idle_owner)
		return;
	if (why->kind != FAIL_NONE) {
		outqueue_reject(f->queue, id, why->text);
		return;
	}
	recipients = xcalloc(request->recipient_count + 1, sizeof *recipients);
	texts = xcalloc(request->recipient_count, sizeof *texts);
	for (size_t i = 0; i < request->recipient_count; i++) {
		rfc5322_address_append(&request->recipients[i], &texts[i]);
		recipients[i] = str_text(&texts[i]);
	}
	a.recipients = recipients;
	a.not_before = request->not_before;
	outqueue_admit(f->queue, &a);
	for (size_t i = 0; i < request->recipient_count; i++)
		str_clear(&texts[i]);
	free(texts);
	free(recipients);
}

static inline void
on_queued(const char *account, const char *id, void *arg)
{
	struct fixture *f = arg;

	(void)account;
	f->queued++;
	snprintf(f->last_id, sizeof f->last_id, "%s", id);
}

static inline void
on_failed(const char *account, const char *id, const char *name, const char *reason, void *arg)
{
	struct fixture *f = arg;

	(void)account;
	(void)id;
	f->failed++;
	snprintf(f->last_name, sizeof f->last_name, "%s", name);
	snprintf(f->last_reason, sizeof f->last_reason, "%s", reason);
}

static inline void
on_recovered(void *arg)
{
	((struct fixture *)arg)->recovered = true;
}

static inline void
fixture_start(struct fixture *f)
{
	static const struct outqueue_handler handler = {.claimed = on_claimed,
	    .queued = on_queued,
	    .freed = on_queued,
	    .recovered = on_recovered,
	    .failed = on_failed};
	struct outqueue_settings settings = {.handler = &handler, .spool = f->spool, .arg = f};
	struct verdict why;
	char state[80];

	snprintf(state, sizeof state, "%.63s/state", f->dir);
	f->base = event_base_new();
	f->store = store_open(f->base, state, &why);
	if (f->store == NULL)
		print_message("%s\n", why.text);
	assert_non_null(f->store);
	settings.store = f->store;
	f->queue = outqueue_open(&settings, &why);
	if (f->queue == NULL)
		print_message("%s\n", why.text);
	assert_non_null(f->queue);
}

static inline void
fixture_stop(struct fixture *f)
{
	outqueue_close(&f->queue);
	store_close(&f->store);
	event_base_free(f->base);
}

static inline void
fixture_restart(struct fixture *f)
{
	fixture_stop(f);
	f->claimed = f->queued = f->failed = 0;
	fixture_start(f);
}

static inline int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int
fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	log_set_level(LOG_LEVEL_ERROR);
	snprintf(f->dir, sizeof f->dir, "/tmp/postrider-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->spool, sizeof f->spool, "%.63s/spool", f->dir);
	fixture_start(f);
	*state = f;
	return 0;
}

static inline int
fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_stop(f);
	nftw(f->dir, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static inline void
path_of(struct fixture *f, char path[400], const char *name)
{
	snprintf(path, 400, "%.63s/%.300s", f->dir, name);
}

static inline void
write_text(struct fixture *f, const char *name, const char *text)
{
	char path[400];
	FILE *file;

	path_of(f, path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
}

/* By rename, so that it is taken at once. */
static inline void
drop(struct fixture *f, const char *name, const char *text)
{
	char from[400], to[400], full[300];

	snprintf(full, sizeof full, "spool/%s", name);
	write_text(f, "dropped", text);
	path_of(f, from, "dropped");
	path_of(f, to, full);
	assert_int_equal(rename(from, to), 0);
}

static inline bool
exists(struct fixture *f, const char *name)
{
	char path[400];
	struct stat st;

	path_of(f, path, name);
	return lstat(path, &st) == 0;
}

static inline char *
read_text(struct fixture *f, const char *name)
{
	char path[400];
	char *text = xcalloc(1, 1 << 20);
	size_t len;
	FILE *file;

	path_of(f, path, name);
	file = fopen(path, "r");
	assert_non_null(file);
	len = fread(text, 1, (1 << 20) - 1, file);
	text[len] = '\0';
	fclose(file);
	return text;
}

/* Regular files, hidden ones too; the last one's name into found. */
static inline size_t
count_files(struct fixture *f, const char *name, char found[300])
{
	char path[400];
	struct dirent *e;
	size_t count = 0;
	DIR *d;

	path_of(f, path, name);
	if ((d = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		if (e->d_type != DT_REG)
			continue;
		count++;
		if (found != NULL)
			snprintf(found, 300, "%s/%s", name, e->d_name);
	}
	closedir(d);
	return count;
}

struct lent {
	bool arrived;
	size_t count;
	struct outmessage *messages[16];
	bool more;
	int64_t earliest;
	struct verdict why;
};

static inline void
on_lent(struct outmessage **messages, size_t count, bool more, int64_t earliest,
    const struct verdict *why, void *arg)
{
	struct lent *l = arg;

	assert_true(count <= 16);
	memcpy(l->messages, messages, count * sizeof *messages);
	l->count = count;
	l->more = more;
	l->earliest = earliest;
	l->why = *why;
	l->arrived = true;
}

static inline struct lent
due(struct fixture *f, int64_t now, bool forced, size_t limit)
{
	struct lent l = {.arrived = false};

	if (forced)
		outqueue_waiting(f->queue, "a", now, "", limit, true, on_lent, &l);
	else
		outqueue_due(f->queue, "a", now, limit, on_lent, &l);
	assert_false(l.arrived);
	EVENTUALLY(f, l.arrived);
	return l;
}

static inline struct lent
overdue(struct fixture *f, int64_t since, int64_t told)
{
	struct lent l = {.arrived = false};

	outqueue_overdue(f->queue, "a", since, told, 10, on_lent, &l);
	EVENTUALLY(f, l.arrived);
	return l;
}

struct idle {
	bool arrived;
	bool clean;
};

static inline void
on_idle(bool clean, void *arg)
{
	struct idle *i = arg;

	i->clean = clean;
	i->arrived = true;
}

struct recorded {
	bool arrived;
	struct record record;
};

static inline void
on_record(const struct verdict *why, const struct record *record, void *arg)
{
	struct recorded *r = arg;

	assert_int_equal(why->kind, FAIL_NONE);
	r->record = *record;
	r->arrived = true;
}

struct asked {
	bool arrived;
	struct verdict why;
};

static inline void
on_answer(const struct verdict *why, void *arg)
{
	struct asked *a = arg;

	a->why = *why;
	a->arrived = true;
}

static inline struct verdict
decide(struct fixture *f, struct outqueue_decision *d, struct outmessage **message)
{
	struct asked a = {.arrived = false};

	d->message = *message;
	outqueue_decide(f->queue, d, message, on_answer, &a);
	assert_null(*message);
	EVENTUALLY(f, a.arrived);
	return a.why;
}

typedef void ask_function(
    struct outqueue *queue, const char *what, outqueue_asked_cb *cb, void *arg);

static inline struct verdict
ask(struct fixture *f, ask_function *function, const char *what)
{
	struct asked a = {.arrived = false};

	function(f->queue, what, on_answer, &a);
	EVENTUALLY(f, a.arrived);
	return a.why;
}

static inline void
set_fates(struct outmessage *m, enum outqueue_state state, const char *reply)
{
	for (size_t i = 0; i < m->recipient_count; i++) {
		m->recipients[i].state = state;
		free(m->recipients[i].reply);
		m->recipients[i].reply = xstrdup(reply);
	}
}

static inline struct outqueue_totals
totals(struct fixture *f)
{
	struct outqueue_totals t;

	outqueue_totals(f->queue, NULL, &t);
	return t;
}

#define MESSAGE "From: me@example.org\nTo: you@example.net\nBcc: her@example.net\n\ntext\n"

#endif
