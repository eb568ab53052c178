#ifndef POSTRIDER_TESTS_STORE_FIXTURE_H
#define POSTRIDER_TESTS_STORE_FIXTURE_H

#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "store/listing.h"
#include "store/mailbox.h"

#include <dirent.h>
#include <event2/event.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A store in a directory of its own, and calls that wait for their callbacks. */
struct fixture {
	char dir[64];
	char maildir[128];
	struct event_base *base;
	struct store *store;
	struct mailbox *mailbox;
	int64_t forget_ms;
};

struct answer {
	bool arrived;
	struct verdict why;
	struct record record;
	size_t fresh;
	bool migrated;
	size_t count;
	struct batch_item items[64];
	char files[64][200];
};

#define DAY_MS ((int64_t)86400 * 1000)

/* The wall clock and the boot clock, moved together or apart. */
static int64_t wall_offset, boot_offset;

static inline int64_t
read_raw(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline int64_t
moved_wall(void)
{
	return read_raw(CLOCK_REALTIME) + wall_offset;
}

static inline int64_t
moved_boot(void)
{
	return read_raw(CLOCK_BOOTTIME) + boot_offset;
}

static inline int64_t
moved_mono(void)
{
	return read_raw(CLOCK_MONOTONIC);
}

static inline void
move_clocks(int64_t ms)
{
	wall_offset += ms;
	boot_offset += ms;
}

static inline int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
remove_tree(const char *path)
{
	nftw(path, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
fixture_start(struct fixture *f)
{
	struct mailbox_settings settings = {
	    .account = "a", .maildir = f->maildir, .mode = 0600, .forget_ms = f->forget_ms};
	struct verdict why;
	char state[80];

	snprintf(state, sizeof state, "%s/state", f->dir);
	f->base = event_base_new();
	f->store = store_open(f->base, state, &why);
	if (f->store == NULL)
		print_message("%s\n", why.text);
	assert_non_null(f->store);
	f->mailbox = mailbox_open(f->store, &settings);
}

static inline void
fixture_stop(struct fixture *f)
{
	mailbox_close(&f->mailbox);
	store_close(&f->store);
	event_base_free(f->base);
}

static inline void
fixture_restart(struct fixture *f)
{
	fixture_stop(f);
	fixture_start(f);
}

static inline int
fixture_setup(void **state)
{
	static const struct clock_source source = {moved_mono, moved_wall, moved_boot};
	struct fixture *f = xcalloc(1, sizeof *f);

	log_set_level(LOG_LEVEL_ERROR);
	wall_offset = boot_offset = 0;
	clock_set_source(&source);
	snprintf(f->dir, sizeof f->dir, "%s/postrider-test-XXXXXX",
	    getenv("TMPDIR") != NULL && strlen(getenv("TMPDIR")) < 30 ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->maildir, sizeof f->maildir, "%s/mail/a", f->dir);
	f->forget_ms = 90 * DAY_MS;
	fixture_start(f);
	*state = f;
	return 0;
}

static inline int
fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_stop(f);
	remove_tree(f->dir);
	clock_set_source(NULL);
	free(f);
	return 0;
}

static inline void
wait_for(struct fixture *f, struct answer *a)
{
	while (!a->arrived)
		event_base_loop(f->base, EVLOOP_ONCE);
}

static inline void
answered(const struct verdict *why, void *arg)
{
	struct answer *a = arg;

	a->why = *why;
	a->arrived = true;
}

static inline void
record_answered(const struct verdict *why, const struct record *record, void *arg)
{
	((struct answer *)arg)->record = *record;
	answered(why, arg);
}

static inline void
match_answered(const struct mailbox_matched *matched, void *arg)
{
	((struct answer *)arg)->fresh = matched->fresh;
	((struct answer *)arg)->migrated = matched->migrated;
	answered(matched->why, arg);
}

static inline void
batch_answered(const struct batch_result *result, void *arg)
{
	struct answer *a = arg;

	assert_true(result->count <= 64);
	a->count = result->count;
	for (size_t i = 0; i < result->count; i++) {
		a->items[i] = result->items[i];
		if (result->items[i].file != NULL)
			snprintf(a->files[i], sizeof a->files[i], "%s", result->items[i].file);
		a->items[i].file = NULL;
	}
	answered(result->why, arg);
}

static inline struct answer
prepare(struct fixture *f)
{
	struct answer a = {.arrived = false};

	mailbox_prepare(f->mailbox, answered, &a);
	assert_false(a.arrived);
	wait_for(f, &a);
	return a;
}

static inline struct answer
adopt(struct fixture *f)
{
	struct answer a = {.arrived = false};

	mailbox_adopt(f->mailbox, answered, &a);
	wait_for(f, &a);
	return a;
}

static inline void
assert_fine(struct answer a)
{
	if (a.why.kind != FAIL_NONE)
		print_message("%s\n", a.why.text);
	assert_int_equal(a.why.kind, FAIL_NONE);
}

static inline struct answer
match(struct fixture *f, struct listing *listing, int64_t keep_ms)
{
	struct answer a = {.arrived = false};

	mailbox_match(f->mailbox, listing, keep_ms, match_answered, &a);
	wait_for(f, &a);
	return a;
}

static inline struct answer
match_by_number(struct fixture *f, struct listing *listing)
{
	struct answer a = {.arrived = false};

	mailbox_match_by_number(f->mailbox, listing, match_answered, &a);
	wait_for(f, &a);
	return a;
}

static inline struct answer
commit(struct fixture *f, struct batch **batch)
{
	struct answer a = {.arrived = false};

	batch_commit(batch, batch_answered, &a);
	assert_null(*batch);
	wait_for(f, &a);
	return a;
}

static inline struct answer
expunging(struct fixture *f, const int64_t *rows, size_t count)
{
	struct answer a = {.arrived = false};

	mailbox_expunging(f->mailbox, rows, count, answered, &a);
	wait_for(f, &a);
	return a;
}

static inline struct answer
expunged(struct fixture *f, const int64_t *rows, size_t count)
{
	struct answer a = {.arrived = false};

	mailbox_expunged(f->mailbox, rows, count, answered, &a);
	wait_for(f, &a);
	return a;
}

/* What a server has: uid NULL for one without UIDL; the size is the text's unless given. */
struct served {
	const char *uid;
	const char *text;
	uint64_t size;
};

static inline struct listing *
list_served(const struct served *served, size_t count)
{
	struct listing *l = listing_new();

	for (uint32_t i = 0; i < count; i++) {
		uint64_t size =
		    served[i].size != 0 ? served[i].size : (uint64_t)strlen(served[i].text);

		assert_true(listing_set_size(l, i + 1, size));
		if (served[i].uid != NULL)
			assert_true(
			    listing_set_uid(l, i + 1, served[i].uid, strlen(served[i].uid)));
	}
	return l;
}

/* Puts every message that is not SEEN into one batch and commits it. */
static inline struct answer
fetch_fresh(struct fixture *f, const struct served *served, struct listing *listing)
{
	struct batch *b = batch_new(f->mailbox);

	for (uint32_t n = 1; n <= listing_count(listing); n++) {
		if (listing_match(listing, n) == LISTED_SEEN ||
		    listing_match(listing, n) == LISTED_ADOPTED)
			continue;
		batch_begin(b, listing, n);
		batch_append(b, served[n - 1].text, strlen(served[n - 1].text));
		batch_end(b);
	}
	return commit(f, &b);
}

static inline size_t
count_files(struct fixture *f, const char *part)
{
	char path[200];
	struct dirent *e;
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%s/%s", f->maildir, part);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((e = readdir(dir)) != NULL)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

#endif
