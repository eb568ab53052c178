#include "outqueue_fixture.h"

#include <errno.h>

struct reading {
	struct fixture *f;
	struct outreader *reader;
	struct str all;
	size_t largest;
	bool over;
	bool closes; /* from inside the callback */
	struct verdict why;
};

static void
on_piece(const char *data, size_t len, bool end, const struct verdict *why, void *arg)
{
	struct reading *r = arg;

	r->why = *why;
	r->largest = len > r->largest ? len : r->largest;
	str_append(&r->all, data, len);
	r->over = end || why->kind != FAIL_NONE;
	if (r->closes) {
		outreader_close(&r->reader);
		r->over = true;
	} else if (!r->over) {
		outreader_next(r->reader, on_piece, r);
	}
}

static struct reading
read_message(struct fixture *f, const struct outmessage *m, bool closes)
{
	struct outreader_rewrite rewrite = {.header_from = NULL};
	struct reading r = {.f = f, .closes = closes};

	r.reader = outreader_open(f->queue, m, &rewrite);
	outreader_next(r.reader, on_piece, &r);
	assert_false(r.over);
	EVENTUALLY(f, r.over);
	outreader_close(&r.reader);
	assert_null(r.reader);
	return r;
}

static struct outmessage *
queue_one(struct fixture *f, const char *text)
{
	struct lent l;

	drop(f, "letter", text);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), true, 1);
	assert_int_equal(l.count, 1);
	return l.messages[0];
}

static void
lines_end_in_crlf(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, "To: a@b.example\nDate: x\nMessage-ID: <x>\nFrom: c\n"
					    "Bcc: d@e.example\n\n.dot\nbare\rcr\r\nlast");
	struct reading r = read_message(f, m, false);

	assert_int_equal(r.why.kind, FAIL_NONE);
	assert_string_equal(str_text(&r.all),
	    "To: a@b.example\r\nDate: x\r\nMessage-ID: <x>\r\nFrom: c\r\n\r\n"
	    ".dot\r\nbarecr\r\nlast\r\n");
	str_clear(&r.all);
	outqueue_return(f->queue, &m);
}

static void
same_message_id_each_time(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct reading one = read_message(f, m, false), two = read_message(f, m, false);

	assert_non_null(strstr(str_text(&one.all), "Message-ID: <"));
	assert_non_null(strstr(str_text(&one.all), "Date: "));
	assert_string_equal(str_text(&one.all), str_text(&two.all));
	str_clear(&one.all);
	str_clear(&two.all);
	outqueue_return(f->queue, &m);
}

static void
large_message_comes_in_pieces(void **state)
{
	enum { LINES = 50000, FIELD = 200000 };
	struct fixture *f = *state;
	struct str text = STR_INIT;
	struct outmessage *m;
	struct reading r;

	str_append_text(&text, "To: a@b.example\nSubject: ");
	for (int i = 0; i < FIELD / 10; i++)
		str_append_text(&text, "123456789\n ");
	str_append_text(&text, "end\n\n");
	for (int i = 0; i < LINES; i++)
		str_append_text(
		    &text, "some line of some sixty octets, more or less, who counts\n");
	m = queue_one(f, str_text(&text));
	r = read_message(f, m, false);
	assert_int_equal(r.why.kind, FAIL_NONE);
	assert_true(r.largest <= 256 * 1024);
	assert_true(r.all.len > text.len + LINES);
	assert_string_equal(str_text(&r.all) + r.all.len - 12, "who counts\r\n");
	str_clear(&r.all);
	str_clear(&text);
	outqueue_return(f->queue, &m);
}

static void
missing_file_is_said(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	char found[300], path[400];
	struct reading r;

	count_files(f, "spool/queue", found);
	path_of(f, path, found);
	unlink(path);
	r = read_message(f, m, false);
	assert_int_equal(r.why.kind, FAIL_LOCAL);
	assert_int_equal(r.why.code, ENOENT);
	assert_int_equal(r.all.len, 0);
	str_clear(&r.all);
	outqueue_return(f->queue, &m);
}

static void
reader_may_be_closed_any_time(void **state)
{
	struct outreader_rewrite rewrite = {.header_from = NULL};
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct reading r = read_message(f, m, true), unread = {.f = f};
	struct outreader *reader;

	str_clear(&r.all);
	reader = outreader_open(f->queue, m, &rewrite);
	outreader_next(reader, on_piece, &unread);
	outreader_close(&reader);
	reader = outreader_open(f->queue, m, &rewrite);
	outreader_close(&reader);
	reader = outreader_open(f->queue, m, &rewrite);
	outreader_next(reader, on_piece, &unread);
	fixture_restart(f);
	outreader_close(&reader);
	assert_int_equal(unread.all.len, 0);
	outmessage_free(&m);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(lines_end_in_crlf),
	    TEST(same_message_id_each_time),
	    TEST(large_message_comes_in_pieces),
	    TEST(missing_file_is_said),
	    TEST(reader_may_be_closed_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
