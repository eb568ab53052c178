#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One session: prepare, match, fetch what is fresh. */
static struct answer
poll_once(struct fixture *f, const struct served *served, size_t count, struct listing **listing)
{
	struct listing *l = list_served(served, count);
	struct answer a;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	a = fetch_fresh(f, served, l);
	assert_fine(a);
	if (listing != NULL)
		*listing = l;
	else
		listing_free(&l);
	return a;
}

static void
execute(struct fixture *f, const char *sql)
{
	char path[100];
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/state/state.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static const struct served three[] = {{"u1", "one", 0}, {"u2", "two two", 0}, {"u3", "", 0}};

static void
new_messages_are_stored_once(void **state)
{
	struct fixture *f = *state;
	struct answer a = poll_once(f, three, 3, NULL);

	assert_int_equal(a.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(a.items[i].fate, BATCH_STORED);
		assert_int_equal(a.items[i].number, i + 1);
		assert_true(a.items[i].row > 0);
		assert_int_equal(a.items[i].octets, strlen(three[i].text));
	}
	assert_non_null(strstr(a.files[1], ",S=7"));
	assert_int_equal(count_files(f, "new"), 3);
	assert_int_equal(count_files(f, "tmp"), 0);
	a = poll_once(f, three, 3, NULL);
	assert_int_equal(a.count, 0);
	fixture_restart(f);
	a = poll_once(f, three, 3, NULL);
	assert_int_equal(a.count, 0);
	assert_int_equal(count_files(f, "new"), 3);
}

static void
octets_and_mode_are_what_was_given(void **state)
{
	struct fixture *f = *state;
	struct answer a = poll_once(f, three, 3, NULL);
	char path[400], text[32] = "";
	struct stat st;
	FILE *file;

	snprintf(path, sizeof path, "%s/new/%s", f->maildir, a.files[1]);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	file = fopen(path, "r");
	assert_int_equal(fread(text, 1, sizeof text, file), 7);
	fclose(file);
	assert_memory_equal(text, "two two", 7);
}

static uint64_t
digest_file(const char *path, uint64_t *octets)
{
	FILE *file = fopen(path, "r");
	uint64_t h = 14695981039346656037u;
	int c;

	assert_non_null(file);
	for (*octets = 0; (c = getc(file)) != EOF; (*octets)++)
		h = (h ^ (uint64_t)c) * 1099511628211u;
	fclose(file);
	return h;
}

/* A message cut in pieces of every kind, among small ones, arrives whole. */
static void
large_messages_go_in_pieces(void **state)
{
	static const size_t pieces[] = {1, 1000, 8192, 65535, 65536, 65537, 200000};
	enum { BIG = 200003 };
	struct fixture *f = *state;
	struct listing *l = listing_new();
	char *data = xmalloc(BIG);
	struct batch *b;
	struct answer a;

	for (size_t i = 0; i < BIG; i++)
		data[i] = (char)(i * 7 + i / 251);
	for (uint32_t n = 1; n <= 2 * COUNT(pieces); n++) {
		char uid[16];

		snprintf(uid, sizeof uid, "u%u", n);
		listing_set_size(l, n, n);
		listing_set_uid(l, n, uid, strlen(uid));
	}
	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	b = batch_new(f->mailbox);
	for (uint32_t i = 0; i < COUNT(pieces); i++) {
		batch_begin(b, l, 2 * i + 1);
		batch_append(b, "small", 5);
		batch_end(b);
		batch_begin(b, l, 2 * i + 2);
		for (size_t at = 0; at < BIG; at += pieces[i]) {
			size_t len = pieces[i] < BIG - at ? pieces[i] : BIG - at;

			memcpy(batch_reserve(b, pieces[i] + 2), data + at, len);
			batch_added(b, len);
		}
		batch_end(b);
	}
	assert_int_equal(batch_count(b), 2 * COUNT(pieces));
	assert_int_equal(batch_octets(b), COUNT(pieces) * (BIG + 5));
	a = commit(f, &b);
	assert_fine(a);
	assert_int_equal(mailbox_unwritten(f->mailbox), 0);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		uint64_t octets, h = 14695981039346656037u;
		char path[400];

		snprintf(path, sizeof path, "%s/new/%s", f->maildir, a.files[2 * i + 1]);
		for (size_t k = 0; k < BIG; k++)
			h = (h ^ (unsigned char)data[k]) * 1099511628211u;
		assert_true(digest_file(path, &octets) == h);
		assert_int_equal(octets, BIG);
		assert_non_null(strstr(path, ",S=200003"));
	}
	free(data);
	listing_free(&l);
}

static void
aborted_messages_leave_nothing(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	char *big = xcalloc(1, 300000);
	struct batch *b;
	struct answer a;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, "cut sho", 7);
	batch_abort(b);
	batch_begin(b, l, 2);
	batch_append(b, "two two", 7);
	batch_end(b);
	batch_begin(b, l, 3);
	batch_append(b, big, 300000);
	batch_abort(b);
	batch_begin(b, l, 1);
	batch_append(b, big, 300000);
	a = commit(f, &b);
	assert_fine(a);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.items[0].number, 2);
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, big, 300000);
	batch_end(b);
	batch_drop(&b);
	assert_null(b);
	a = poll_once(f, three, 3, NULL);
	assert_int_equal(a.count, 2);
	assert_int_equal(count_files(f, "new"), 3);
	assert_int_equal(count_files(f, "tmp"), 0);
	assert_int_equal(mailbox_unwritten(f->mailbox), 0);
	free(big);
	listing_free(&l);
}

/* A Received field of our own must not make the server's octets unknown. */
static void
preface_is_stored_and_not_compared(void **state)
{
	static const char *const received[] = {"Received: a\n", "Received: longer\n"};
	struct fixture *f = *state;
	struct listing *l = list_served(three, 1);
	struct answer a;

	assert_fine(prepare(f));
	for (int i = 0; i < 2; i++) {
		struct batch *b;

		assert_fine(match_by_number(f, l));
		b = batch_new(f->mailbox);
		batch_begin(b, l, 1);
		batch_preface(b, received[i], strlen(received[i]));
		batch_append(b, "one", 3);
		batch_end(b);
		a = commit(f, &b);
		assert_int_equal(a.items[0].fate, i == 0 ? BATCH_STORED : BATCH_KNOWN);
		if (i == 0)
			assert_non_null(strstr(a.files[0], ",S=15"));
	}
	assert_fine(match_by_number(f, l));
	assert_int_equal(fetch_fresh(f, three, l).items[0].fate, BATCH_KNOWN);
	listing_free(&l);
}

static void
empty_batch_is_answered(void **state)
{
	struct fixture *f = *state;
	struct batch *b;
	struct answer a;

	assert_fine(prepare(f));
	b = batch_new(f->mailbox);
	a = commit(f, &b);
	assert_fine(a);
	assert_int_equal(a.count, 0);
}

static void
writer_reports_back_pressure(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer written = {.arrived = false};
	struct batch *b;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, "some octets", 11);
	assert_int_equal(mailbox_unwritten(f->mailbox), 11);
	mailbox_when_written(f->mailbox, 1, answered, &written);
	wait_for(f, &written);
	assert_int_equal(mailbox_unwritten(f->mailbox), 0);
	written.arrived = false;
	mailbox_when_written(f->mailbox, 1, answered, &written);
	assert_false(written.arrived);
	wait_for(f, &written);
	batch_append(b, " and more", 9);
	batch_end(b);
	assert_int_equal(commit(f, &b).items[0].octets, 20);
	listing_free(&l);
}

static void
unprepared_mailbox_takes_nothing(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a;

	assert_fine(match(f, l, -1));
	a = fetch_fresh(f, three, l);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.items[0].fate, BATCH_LOST);
	listing_free(&l);
}

/* Each row: the first listing, what we delete after it and how QUIT went, the second one. */
enum quit { QUIT_KEEP, QUIT_ANSWERED, QUIT_UNANSWERED };
static const struct {
	const char *name;
	struct served first[3];
	enum quit quit;
	struct served second[3];
	const char *matches; /* S(een) C(ompare) N(ew) of the second */
	const char *fates;   /* S(tored) K(nown) of what was fetched */
	bool migrated;
} rematches[] = {
    {"seen", {{"a", "x", 0}}, QUIT_KEEP, {{"a", "x", 0}}, "S", "", false},
    {"new beside seen", {{"a", "x", 0}}, QUIT_KEEP, {{"a", "x", 0}, {"b", "x", 0}}, "SN", "S",
	false},
    {"size changed, octets not", {{"a", "x", 10}}, QUIT_KEEP, {{"a", "x", 11}}, "C", "K", true},
    {"size and octets changed", {{"a", "x", 0}}, QUIT_KEEP, {{"a", "xy", 0}}, "C", "S", true},
    {"size changed among seen", {{"a", "x", 0}, {"b", "y", 0}}, QUIT_KEEP,
	{{"a", "x", 0}, {"b", "yy", 0}}, "SC", "S", false},
    {"deleted and gone", {{"a", "x", 0}}, QUIT_ANSWERED, {{"b", "x", 0}}, "N", "S", false},
    {"deleted and back, same", {{"a", "x", 0}}, QUIT_ANSWERED, {{"a", "x", 0}}, "C", "K", false},
    {"deleted and back, other", {{"a", "x", 0}}, QUIT_ANSWERED, {{"a", "y", 0}}, "C", "S", false},
    {"deleted and back, other size", {{"a", "x", 5}}, QUIT_ANSWERED, {{"a", "x", 6}}, "C", "K",
	false},
    {"quit unanswered, same", {{"a", "x", 0}}, QUIT_UNANSWERED, {{"a", "x", 0}}, "C", "K", false},
    {"quit unanswered, other", {{"a", "x", 0}}, QUIT_UNANSWERED, {{"a", "y", 0}}, "C", "S", false},
    {"quit unanswered, gone", {{"a", "x", 0}}, QUIT_UNANSWERED, {{"b", "y", 0}}, "N", "S", false},
    {"migrated", {{"a", "x", 0}, {"b", "y", 0}}, QUIT_KEEP,
	{{"1", "y", 0}, {"2", "x", 0}, {"3", "z", 0}}, "CCC", "KKS", true},
    {"migrated, equal twins", {{"a", "x", 0}}, QUIT_KEEP, {{"1", "x", 0}, {"2", "x", 0}}, "CC",
	"KS", true},
    {"equal twins at once", {{"a", "x", 0}, {"b", "x", 0}}, QUIT_KEEP,
	{{"a", "x", 0}, {"b", "x", 0}}, "SS", "", false},
    {"one uid twice", {{"a", "x", 0}, {"a", "x", 0}}, QUIT_KEEP, {{"a", "x", 0}, {"a", "x", 0}},
	"SS", "", false},
    {"one uid twice, then thrice", {{"a", "x", 0}, {"a", "y", 0}}, QUIT_KEEP,
	{{"a", "x", 0}, {"a", "y", 0}, {"a", "z", 0}}, "SSN", "S", false},
};

static size_t
count_served(const struct served served[3])
{
	size_t n = 0;

	while (n < 3 && served[n].uid != NULL)
		n++;
	return n;
}

static void
delete_all(struct fixture *f, const struct answer *a, enum quit quit)
{
	int64_t rows[64];

	for (size_t i = 0; i < a->count; i++)
		rows[i] = a->items[i].row;
	if (quit == QUIT_KEEP)
		return;
	assert_fine(expunging(f, rows, a->count));
	if (quit == QUIT_ANSWERED)
		assert_fine(expunged(f, rows, a->count));
}

static void
check_rematch(struct fixture *f, size_t i)
{
	const struct served *second = rematches[i].second;
	struct listing *l = list_served(second, count_served(second));
	struct answer a = poll_once(f, rematches[i].first, count_served(rematches[i].first), NULL);

	delete_all(f, &a, rematches[i].quit);
	fixture_restart(f);
	assert_fine(prepare(f));
	a = match(f, l, -1);
	assert_fine(a);
	assert_int_equal(a.migrated, rematches[i].migrated);
	assert_int_equal(a.fresh, strlen(rematches[i].fates));
	for (uint32_t n = 1; n <= listing_count(l); n++)
		assert_int_equal("NCS"[listing_match(l, n)], rematches[i].matches[n - 1]);
	a = fetch_fresh(f, second, l);
	assert_fine(a);
	for (size_t k = 0; k < a.count; k++)
		assert_int_equal("SKL"[a.items[k].fate], rematches[i].fates[k]);
	assert_int_equal(count_files(f, "tmp"), 0);
	assert_fine(match(f, l, -1));
	for (uint32_t n = 1; n <= listing_count(l); n++)
		assert_int_equal(listing_match(l, n), LISTED_SEEN);
	listing_free(&l);
}

static void
second_listings_are_judged(void **state)
{
	for (size_t i = 0; i < COUNT(rematches); i++) {
		void *own;

		fixture_setup(&own);
		print_message("  %s\n", rematches[i].name);
		check_rematch(own, i);
		fixture_teardown(&own);
	}
	(void)state;
}

/* An empty listing in between must not make the moved messages new. */
static void
migration_through_an_empty_maildrop_is_compared(void **state)
{
	static const struct served moved[] = {{"x1", "one", 0}, {"x2", "two two", 0}};
	struct fixture *f = *state;
	struct answer a;

	poll_once(f, three, 3, NULL);
	poll_once(f, three, 0, NULL);
	a = poll_once(f, moved, 2, NULL);
	assert_int_equal(a.items[0].fate, BATCH_KNOWN);
	assert_int_equal(a.items[1].fate, BATCH_KNOWN);
	assert_int_equal(count_files(f, "new"), 3);
}

/* A session that ends half-way through a move must not make the rest new. */
static void
migration_cut_off_goes_on(void **state)
{
	static const struct served moved[] = {
	    {"x1", "one", 0}, {"x2", "two two", 0}, {"x3", "", 0}, {"x4", "fresh", 0}};
	struct fixture *f = *state;
	struct listing *l = list_served(moved, 4);
	struct batch *b;
	struct answer a;

	poll_once(f, three, 3, NULL);
	assert_fine(match(f, l, -1));
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, "one", 3);
	batch_end(b);
	assert_int_equal(commit(f, &b).items[0].fate, BATCH_KNOWN);
	listing_free(&l);
	fixture_restart(f);
	a = poll_once(f, moved, 4, NULL);
	assert_int_equal(a.count, 3);
	assert_int_equal(a.items[0].fate, BATCH_KNOWN);
	assert_int_equal(a.items[1].fate, BATCH_KNOWN);
	assert_int_equal(a.items[2].fate, BATCH_STORED);
	assert_int_equal(count_files(f, "new"), 4);
}

static void
vanished_uids_are_remembered_for_a_while(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	poll_once(f, three, 3, NULL);
	poll_once(f, three, 1, NULL);
	move_clocks(89 * DAY_MS);
	a = poll_once(f, three, 2, NULL);
	assert_int_equal(a.count, 0);
	poll_once(f, three, 1, NULL);
	move_clocks(89 * DAY_MS);
	poll_once(f, three, 1, NULL);
	move_clocks(2 * DAY_MS);
	poll_once(f, three, 1, NULL);
	a = poll_once(f, three, 2, NULL);
	assert_int_equal(a.count, 1);
}

static void
leaping_wall_clock_ages_nothing(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);

	poll_once(f, three, 3, NULL);
	assert_fine(match(f, l, 14 * DAY_MS));
	assert_false(listing_expired(l, 1));
	wall_offset += 3650 * DAY_MS;
	assert_fine(match(f, l, 14 * DAY_MS));
	assert_false(listing_expired(l, 1));
	move_clocks(13 * DAY_MS);
	assert_fine(match(f, l, 14 * DAY_MS));
	assert_false(listing_expired(l, 1));
	wall_offset -= 7300 * DAY_MS;
	move_clocks(DAY_MS);
	assert_fine(match(f, l, 14 * DAY_MS));
	assert_false(listing_expired(l, 1));
	move_clocks(DAY_MS);
	assert_fine(match(f, l, 14 * DAY_MS));
	assert_true(listing_expired(l, 1));
	assert_fine(match(f, l, -1));
	assert_false(listing_expired(l, 1));
	assert_fine(match(f, l, 0));
	assert_true(listing_expired(l, 1));
	listing_free(&l);
}

static void
cut_listing_lets_nothing_vanish(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 1);
	struct answer a;

	poll_once(f, three, 3, NULL);
	assert_false(listing_set_size(l, LISTING_MAX + 1, 5));
	assert_fine(match(f, l, -1));
	listing_free(&l);
	move_clocks(100 * DAY_MS);
	l = list_served(three, 1);
	assert_false(listing_set_size(l, LISTING_MAX + 1, 5));
	assert_fine(match(f, l, -1));
	listing_free(&l);
	a = poll_once(f, three, 3, NULL);
	assert_int_equal(a.count, 0);
}

static void
uid_repeated_without_end_is_the_servers_fault(void **state)
{
	struct fixture *f = *state;
	struct listing *l = listing_new();
	struct answer a;

	for (uint32_t n = 1; n <= LISTING_REPEAT_MAX + 1; n++) {
		listing_set_size(l, n, 1);
		listing_set_uid(l, n, "same", 4);
	}
	assert_fine(prepare(f));
	a = match(f, l, -1);
	assert_int_equal(a.why.kind, FAIL_PROTOCOL);
	listing_free(&l);
}

static void
without_uidl_octets_decide(void **state)
{
	static const struct served first[] = {{NULL, "x", 0}, {NULL, "y", 0}, {NULL, "x", 0}};
	static const struct served second[] = {
	    {NULL, "y", 0}, {NULL, "x", 0}, {NULL, "x", 0}, {NULL, "x", 0}};
	static const char fates[] = "KKKS";
	struct fixture *f = *state;
	struct listing *l = list_served(first, 3);
	int64_t rows[4];
	struct answer a;

	assert_fine(prepare(f));
	assert_fine(match_by_number(f, l));
	assert_int_equal(listing_match(l, 2), LISTED_COMPARE);
	a = fetch_fresh(f, first, l);
	assert_int_equal(count_files(f, "new"), 3);
	listing_free(&l);
	l = list_served(second, 4);
	assert_int_equal(match_by_number(f, l).fresh, 4);
	a = fetch_fresh(f, second, l);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal("SKL"[a.items[i].fate], fates[i]);
		rows[i] = a.items[i].row;
	}
	assert_fine(expunging(f, rows, 4));
	assert_fine(expunged(f, rows, 4));
	assert_fine(match_by_number(f, l));
	a = fetch_fresh(f, second, l);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(a.items[i].fate, BATCH_STORED);
	listing_free(&l);
}

static void
adopted_messages_are_seen_and_never_deleted(void **state)
{
	static const struct served grown[] = {{"u1", "one", 99}};
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a = {.arrived = false};
	int64_t row;

	assert_fine(prepare(f));
	mailbox_mark_seen(f->mailbox, l, answered, &a);
	wait_for(f, &a);
	assert_fine(a);
	a = match(f, l, 0);
	assert_int_equal(a.fresh, 0);
	assert_int_equal(listing_match(l, 1), LISTED_ADOPTED);
	assert_false(listing_expired(l, 1));
	row = listing_row(l, 1);
	a = expunging(f, &row, 1);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	listing_free(&l);
	a = poll_once(f, grown, 1, NULL);
	assert_int_equal(a.items[0].fate, BATCH_STORED);
}

static void
adopted_messages_are_not_matched_by_number(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a = {.arrived = false};

	assert_fine(prepare(f));
	mailbox_mark_seen(f->mailbox, l, answered, &a);
	wait_for(f, &a);
	assert_fine(a);
	assert_int_equal(match_by_number(f, l).why.kind, FAIL_SERVER);
	assert_fine(match(f, l, 0));
	assert_int_equal(listing_match(l, 1), LISTED_ADOPTED);
	listing_free(&l);
}

static void
adopting_over_our_deletion_forgets_the_octets(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a = poll_once(f, three, 3, NULL);
	int64_t row;

	delete_all(f, &a, QUIT_ANSWERED);
	a.arrived = false;
	mailbox_mark_seen(f->mailbox, l, answered, &a);
	wait_for(f, &a);
	assert_fine(match(f, l, 0));
	assert_int_equal(listing_match(l, 2), LISTED_ADOPTED);
	row = listing_row(l, 2);
	assert_int_equal(expunging(f, &row, 1).why.kind, FAIL_LOCAL);
	listing_free(&l);
}

static void
record_survives(void **state)
{
	struct fixture *f = *state;
	struct record r = {.last_attempt = 5,
	    .messages = 7,
	    .octets = UINT64_C(1) << 40,
	    .auth_failures = 2,
	    .blocked_until = 9,
	    .fingerprint = "abc",
	    .mechanism = "SCRAM-SHA-256-PLUS",
	    .last_login = 6,
	    .login_delay = 900000,
	    .expire_told = 31,
	    .proven = 3,
	    .lacking = 4,
	    .lacking_since = 8,
	    .error_time = 3,
	    .error_kind = FAIL_AUTH,
	    .error_text = "it said \"no\""};
	struct answer a = {.arrived = false};

	mailbox_load(f->mailbox, record_answered, &a);
	wait_for(f, &a);
	assert_fine(a);
	assert_int_equal(a.record.last_attempt, 0);
	assert_int_equal(a.record.error_kind, FAIL_NONE);
	mailbox_save(f->mailbox, &r, NULL, NULL);
	fixture_restart(f);
	a.arrived = false;
	mailbox_load(f->mailbox, record_answered, &a);
	wait_for(f, &a);
	assert_memory_equal(&a.record, &r, sizeof r);
}

static void
second_holder_is_refused(void **state)
{
	struct fixture *f = *state;
	struct verdict why;
	char dir[80], pid[32];

	snprintf(dir, sizeof dir, "%s/state", f->dir);
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_null(store_open(f->base, dir, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_int_equal(why.code, EWOULDBLOCK);
	assert_non_null(strstr(why.text, pid));
}

static void
closed_mailbox_finishes_silently(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a = {.arrived = false};
	struct batch *b;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, "one", 3);
	batch_end(b);
	batch_commit(&b, batch_answered, &a);
	mailbox_prepare(f->mailbox, answered, &a);
	fixture_restart(f);
	assert_false(a.arrived);
	assert_int_equal(count_files(f, "new"), 1);
	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	assert_int_equal(listing_match(l, 1), LISTED_SEEN);
	assert_int_equal(listing_match(l, 2), LISTED_NEW);
	listing_free(&l);
}

/* The Maildir: made once, then recognised. */

static void
listing_may_be_freed_while_it_is_matched(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a = {.arrived = false};

	mailbox_match(f->mailbox, l, -1, match_answered, &a);
	listing_free(&l);
	wait_for(f, &a);
	assert_fine(a);
	l = list_served(three, 3);
	mailbox_match(f->mailbox, l, -1, match_answered, &a);
	listing_free(&l);
	fixture_restart(f);
}

/* Twins without end must not cost a look at each of them for each of them. */
static void
ten_thousand_twins_move(void **state)
{
	enum { TWINS = 10000 };
	struct fixture *f = *state;
	struct listing *l;
	struct batch *b;

	assert_fine(prepare(f));
	for (int round = 0; round < 2; round++) {
		struct answer a = {.arrived = false};

		l = listing_new();
		for (uint32_t n = 1; n <= TWINS; n++) {
			char uid[32];

			snprintf(uid, sizeof uid, "%d-%u", round, n);
			listing_set_size(l, n, 1);
			listing_set_uid(l, n, uid, strlen(uid));
		}
		assert_int_equal(match(f, l, -1).migrated, round == 1);
		b = batch_new(f->mailbox);
		for (uint32_t n = 1; n <= TWINS; n++) {
			batch_begin(b, l, n);
			batch_append(b, "x", 1);
			batch_end(b);
		}
		batch_commit(&b, NULL, NULL);
		mailbox_prepare(f->mailbox, answered, &a);
		wait_for(f, &a);
		assert_fine(a);
		assert_int_equal(count_files(f, "new"), TWINS);
		listing_free(&l);
	}
}

static void
maildir_is_made_on_first_use_only(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	char moved[200];
	struct stat st;

	assert_fine(prepare(f));
	assert_int_equal(stat(f->maildir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(moved, sizeof moved, "%s.away", f->maildir);
	assert_int_equal(rename(f->maildir, moved), 0);
	a = prepare(f);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.why.hint, HINT_SYS_PERM);
	assert_non_null(strstr(a.why.text, "postriderctl adopt a"));
	assert_int_equal(stat(f->maildir, &st), -1);
	assert_int_equal(mkdir(f->maildir, 0700), 0);
	assert_int_equal(prepare(f).why.hint, HINT_SYS_PERM);
	assert_int_equal(count_files(f, "tmp"), 0);
	assert_int_equal(rmdir(f->maildir), 0);
	assert_int_equal(rename(moved, f->maildir), 0);
	assert_fine(prepare(f));
}

static void
maildir_made_anew_is_another_one(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	poll_once(f, three, 1, NULL);
	remove_tree(f->maildir);
	assert_int_equal(mkdir(f->maildir, 0700), 0);
	a = prepare(f);
	assert_int_equal(a.why.hint, HINT_SYS_PERM);
	fixture_restart(f);
	assert_int_equal(prepare(f).why.hint, HINT_SYS_PERM);
	assert_fine(adopt(f));
	assert_fine(prepare(f));
	fixture_restart(f);
	poll_once(f, three, 3, NULL);
	assert_int_equal(count_files(f, "new"), 2);
}

static void
maildir_without_its_parts_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[200];

	assert_fine(prepare(f));
	snprintf(path, sizeof path, "%s/cur", f->maildir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(prepare(f).why.hint, HINT_SYS_PERM);
	assert_fine(adopt(f));
	assert_fine(prepare(f));
}

static void
maildir_replaced_during_a_session_takes_nothing(void **state)
{
	static const char *const parts[] = {"tmp", "new", "cur"};
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	char path[200];
	struct answer a;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	snprintf(path, sizeof path, "%s.away", f->maildir);
	assert_int_equal(rename(f->maildir, path), 0);
	assert_int_equal(mkdir(f->maildir, 0700), 0);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", f->maildir, parts[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	a = fetch_fresh(f, three, l);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.items[0].fate, BATCH_LOST);
	assert_int_equal(count_files(f, "new") + count_files(f, "tmp"), 0);
	listing_free(&l);
}

/* Recovery: the batch is brought to "intended" by hand, as a kill would leave it. */

static void
unsettle(struct fixture *f, const struct answer *a, int64_t age_ms, const char *folder,
    const char *flags)
{
	char sql[600], from[400], target[600];

	fixture_stop(f);
	snprintf(sql, sizeof sql,
	    "UPDATE message SET state = 0, file = '%s', intended = %lld, fetched = fetched - %lld"
	    "  WHERE id = %lld",
	    a->files[0], (long long)(moved_wall() - age_ms), (long long)age_ms,
	    (long long)a->items[0].row);
	execute(f, sql);
	snprintf(from, sizeof from, "%s/new/%s", f->maildir, a->files[0]);
	if (folder == NULL) {
		assert_int_equal(unlink(from), 0);
	} else {
		snprintf(
		    target, sizeof target, "%s/%s/%s%s", f->maildir, folder, a->files[0], flags);
		assert_int_equal(rename(from, target), 0);
	}
	fixture_start(f);
}

static const struct {
	const char *name;
	int64_t age_ms;
	const char *folder; /* of the file, NULL: nowhere */
	const char *flags;
	bool published; /* by recovery, into new/ */
	bool fetched_again;
} intents[] = {
    {"in tmp", 0, "tmp", "", true, false},
    {"in tmp, old", 37 * 3600 * 1000, "tmp", "", true, false},
    {"in new", 0, "new", "", true, false},
    {"in new, old", 37 * 3600 * 1000, "new", "", true, false},
    {"in cur", 0, "cur", ":2,S", false, false},
    {"in cur, old", 37 * 3600 * 1000, "cur", ":2,S", false, false},
    {"in cur without flags, old", 37 * 3600 * 1000, "cur", "", false, false},
    {"moved to another folder", 0, "..", "", false, false},
    {"moved to another folder, old", 37 * 3600 * 1000, "..", "", false, true},
    {"nowhere", 0, NULL, "", false, false},
    {"nowhere, nearly old", 35 * 3600 * 1000, NULL, "", false, false},
    {"nowhere, old", 37 * 3600 * 1000, NULL, "", false, true},
};

static void
intents_are_rolled_forward(void **state)
{
	for (size_t i = 0; i < COUNT(intents); i++) {
		void *own;
		struct fixture *f;
		struct answer a;

		fixture_setup(&own);
		f = own;
		print_message("  %s\n", intents[i].name);
		a = poll_once(f, three, 1, NULL);
		unsettle(f, &a, intents[i].age_ms, intents[i].folder, intents[i].flags);
		assert_fine(prepare(f));
		assert_int_equal(count_files(f, "new"), intents[i].published);
		assert_int_equal(count_files(f, "tmp"), 0);
		a = poll_once(f, three, 1, NULL);
		assert_int_equal(a.count, intents[i].fetched_again);
		fixture_teardown(&own);
	}
	(void)state;
}

/* Match before recovery must not take an intent for a stored message. */
static void
match_waits_for_recovery(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 1);
	struct answer a = poll_once(f, three, 1, NULL);

	unsettle(f, &a, 0, "tmp", "");
	assert_int_equal(match(f, l, -1).why.kind, FAIL_LOCAL);
	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	assert_int_equal(listing_match(l, 1), LISTED_SEEN);
	listing_free(&l);
}

static void
adopt_finishes_intents_where_they_are(void **state)
{
	struct fixture *f = *state;
	struct answer a = poll_once(f, three, 2, NULL);
	char away[200];

	unsettle(f, &a, 0, "tmp", "");
	snprintf(away, sizeof away, "%s.away", f->maildir);
	assert_int_equal(rename(f->maildir, away), 0);
	assert_fine(adopt(f));
	a = poll_once(f, three, 2, NULL);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.items[0].number, 1);
	assert_int_equal(count_files(f, "new"), 1);
}

static void
changed_path_is_adopted_with_its_intents(void **state)
{
	struct fixture *f = *state;
	struct answer a = poll_once(f, three, 2, NULL);

	unsettle(f, &a, 0, "tmp", "");
	fixture_stop(f);
	strcat(f->maildir, ".other");
	fixture_start(f);
	assert_int_equal(prepare(f).why.hint, HINT_SYS_PERM);
	assert_fine(adopt(f));
	a = poll_once(f, three, 2, NULL);
	assert_int_equal(a.count, 0);
	f->maildir[strlen(f->maildir) - 6] = '\0';
	assert_int_equal(count_files(f, "new"), 2);
}

/* Trouble with the disk. */

static void
readonly_directory_fails_the_batch(void **state)
{
	struct fixture *f = *state;
	struct listing *l;
	char path[200];
	struct answer a;

	if (geteuid() == 0)
		skip();
	l = list_served(three, 3);
	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	snprintf(path, sizeof path, "%s/tmp", f->maildir);
	assert_int_equal(chmod(path, 0500), 0);
	a = fetch_fresh(f, three, l);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.why.code, EACCES);
	assert_int_equal(a.items[0].fate, BATCH_LOST);
	assert_int_equal(chmod(path, 0700), 0);
	listing_free(&l);
	assert_int_equal(poll_once(f, three, 3, NULL).count, 3);
}

static void
failed_rename_is_recovered(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	char path[200];
	struct answer a;
	struct batch *b;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	snprintf(path, sizeof path, "%s/new", f->maildir);
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, "one", 3);
	batch_end(b);
	a.arrived = false;
	mailbox_when_written(f->mailbox, 1, answered, &a);
	wait_for(f, &a);
	/* The open directory is dead now: a rename into it is ENOENT. */
	assert_int_equal(rmdir(path), 0);
	a = commit(f, &b);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.items[0].fate, BATCH_LOST);
	assert_int_equal(mkdir(path, 0700), 0);
	a = fetch_fresh(f, three, l);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	a = poll_once(f, three, 3, NULL);
	assert_int_equal(a.count, 2);
	assert_int_equal(count_files(f, "new"), 3);
	listing_free(&l);
}

static void
limit_files(rlim_t octets)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A write that fails costs that message and what follows, and nothing else. */
static void
failed_write_loses_only_what_it_must(void **state)
{
	enum { BIG = 4000000 };
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	char *big = xcalloc(1, BIG);
	struct batch *b;
	struct answer a;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	limit_files(2000000);
	b = batch_new(f->mailbox);
	batch_begin(b, l, 1);
	batch_append(b, "one", 3);
	batch_end(b);
	batch_begin(b, l, 2);
	batch_append(b, big, BIG);
	batch_end(b);
	batch_begin(b, l, 3);
	batch_end(b);
	a = commit(f, &b);
	limit_files(RLIM_INFINITY);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.why.code, EFBIG);
	assert_int_equal(a.items[0].fate, BATCH_STORED);
	assert_int_equal(a.items[1].fate, BATCH_LOST);
	assert_int_equal(a.items[2].fate, BATCH_LOST);
	assert_int_equal(count_files(f, "tmp"), 0);
	assert_int_equal(poll_once(f, three, 3, NULL).count, 2);
	free(big);
	listing_free(&l);
}

/* A commit that failed may come back after a crash, so its files stay until it cannot any more. */
static void
failed_commit_leaves_files_until_the_next(void **state)
{
	struct fixture *f = *state;
	struct listing *l = list_served(three, 3);
	struct answer a;

	assert_fine(prepare(f));
	assert_fine(match(f, l, -1));
	limit_files(4096);
	a = fetch_fresh(f, three, l);
	limit_files(RLIM_INFINITY);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(a.items[0].fate, BATCH_LOST);
	assert_int_equal(count_files(f, "new"), 0);
	assert_int_equal(count_files(f, "tmp"), 3);
	assert_fine(prepare(f));
	assert_int_equal(count_files(f, "tmp"), 0);
	assert_int_equal(poll_once(f, three, 3, NULL).count, 3);
	assert_int_equal(count_files(f, "new"), 3);
	listing_free(&l);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(new_messages_are_stored_once),
	    TEST(octets_and_mode_are_what_was_given),
	    TEST(large_messages_go_in_pieces),
	    TEST(aborted_messages_leave_nothing),
	    TEST(preface_is_stored_and_not_compared),
	    TEST(empty_batch_is_answered),
	    TEST(writer_reports_back_pressure),
	    TEST(unprepared_mailbox_takes_nothing),
	    cmocka_unit_test(second_listings_are_judged),
	    TEST(migration_through_an_empty_maildrop_is_compared),
	    TEST(migration_cut_off_goes_on),
	    TEST(vanished_uids_are_remembered_for_a_while),
	    TEST(leaping_wall_clock_ages_nothing),
	    TEST(cut_listing_lets_nothing_vanish),
	    TEST(uid_repeated_without_end_is_the_servers_fault),
	    TEST(without_uidl_octets_decide),
	    TEST(adopted_messages_are_seen_and_never_deleted),
	    TEST(adopted_messages_are_not_matched_by_number),
	    TEST(adopting_over_our_deletion_forgets_the_octets),
	    TEST(record_survives),
	    TEST(second_holder_is_refused),
	    TEST(closed_mailbox_finishes_silently),
	    TEST(listing_may_be_freed_while_it_is_matched),
	    TEST(ten_thousand_twins_move),
	    TEST(maildir_is_made_on_first_use_only),
	    TEST(maildir_made_anew_is_another_one),
	    TEST(maildir_without_its_parts_is_refused),
	    TEST(maildir_replaced_during_a_session_takes_nothing),
	    cmocka_unit_test(intents_are_rolled_forward),
	    TEST(match_waits_for_recovery),
	    TEST(adopt_finishes_intents_where_they_are),
	    TEST(changed_path_is_adopted_with_its_intents),
	    TEST(readonly_directory_fails_the_batch),
	    TEST(failed_rename_is_recovered),
	    TEST(failed_write_loses_only_what_it_must),
	    TEST(failed_commit_leaves_files_until_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
