#include "unit.h"

#include "proto/smtp_reply.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

/* Feeds lines parted by "\n", each from a block of its own size, until the reply is over. */
static enum smtp_reply_result
feed_lines(struct smtp_reply *reply, const char *lines, size_t len)
{
	enum smtp_reply_result result;
	const char *end = lines + len;

	do {
		const char *lf = memchr(lines, '\n', (size_t)(end - lines));
		size_t n = (size_t)((lf != NULL ? lf : end) - lines);
		char *line = strndup(lines, n);

		result = smtp_reply_feed(reply, line, n);
		assert_true(result == SMTP_REPLY_BAD || reply->line + reply->line_len == line + n);
		free(line);
		lines += lf != NULL ? n + 1 : n;
	} while (result == SMTP_REPLY_MORE && lines < end);
	return result;
}

static void
reads_replies(void **state)
{
	static const struct {
		const char *lines;
		enum smtp_reply_result result;
		int code;
		struct smtp_status status;
		const char *text;
		const char *described;
	} row[] = {
	    {"220 mx.example.org ESMTP", SMTP_REPLY_DONE, 220, {0}, "mx.example.org ESMTP",
		"220 mx.example.org ESMTP"},
	    {"250", SMTP_REPLY_DONE, 250, {0}, "", "250"},
	    {"250 ", SMTP_REPLY_DONE, 250, {0}, "", "250"},
	    {"250\tok", SMTP_REPLY_DONE, 250, {0}, "ok", "250 ok"},
	    {"250-", SMTP_REPLY_MORE, 250, {0}, "", "250"},
	    {"250-a\n250-b\n250 c", SMTP_REPLY_DONE, 250, {0}, "a b c", "250 a b c"},
	    {"250-a\n250", SMTP_REPLY_DONE, 250, {0}, "a", "250 a"},
	    {"250-a\n250-", SMTP_REPLY_MORE, 250, {0}, "a", "250 a"},
	    {"250 2.1.5 Ok", SMTP_REPLY_DONE, 250, {2, 1, 5}, "Ok", "250 2.1.5 Ok"},
	    {"550-5.1.1 no\n550 5.1.1  such user", SMTP_REPLY_DONE, 550, {5, 1, 1}, "no such user",
		"550 5.1.1 no such user"},
	    {"550-first\n550 5.1.1 second", SMTP_REPLY_DONE, 550, {5, 1, 1}, "first second",
		"550 5.1.1 first second"},
	    {"550-5.1.1 a\n550 5.7.1 b", SMTP_REPLY_DONE, 550, {5, 1, 1}, "a 5.7.1 b",
		"550 5.1.1 a 5.7.1 b"},
	    {"550 4.7.1 other class", SMTP_REPLY_DONE, 550, {0}, "4.7.1 other class",
		"550 4.7.1 other class"},
	    {"354 3.0.0 go", SMTP_REPLY_DONE, 354, {0}, "3.0.0 go", "354 3.0.0 go"},
	    {"421 4.7.500", SMTP_REPLY_DONE, 421, {4, 7, 500}, "", "421 4.7.500"},
	    {"451 4.7.1000 x", SMTP_REPLY_DONE, 451, {0}, "4.7.1000 x", "451 4.7.1000 x"},
	    {"451 4.7 x", SMTP_REPLY_DONE, 451, {0}, "4.7 x", "451 4.7 x"},
	    {"451 4.7. x", SMTP_REPLY_DONE, 451, {0}, "4.7. x", "451 4.7. x"},
	    {"451 4.7.1: x", SMTP_REPLY_DONE, 451, {0}, "4.7.1: x", "451 4.7.1: x"},
	    {"451 44.7.1 x", SMTP_REPLY_DONE, 451, {0}, "44.7.1 x", "451 44.7.1 x"},
	    {"571 beyond the grammar", SMTP_REPLY_DONE, 571, {0}, "beyond the grammar",
		"571 beyond the grammar"},
	    {"250-a\n251 b", SMTP_REPLY_BAD, 250, {0}, "a", NULL},
	    {"250-a\nb", SMTP_REPLY_BAD, 250, {0}, "a", NULL},
	    {"250-a\n", SMTP_REPLY_MORE, 250, {0}, "a", "250 a"},
	    {"250-a\n\n", SMTP_REPLY_BAD, 250, {0}, "a", NULL},
	    {"", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"25", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"2500 x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"250x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {" 250 x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"199 x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"600 x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"2x0 x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"-ERR x", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	    {"HTTP/1.1 400 Bad Request", SMTP_REPLY_BAD, 0, {0}, "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct smtp_reply reply = {0};
		struct str described = STR_INIT;

		assert_int_equal(
		    feed_lines(&reply, row[i].lines, strlen(row[i].lines)), row[i].result);
		assert_int_equal(reply.code, row[i].code);
		assert_true(smtp_status_equal(&reply.status, &row[i].status));
		assert_string_equal(str_text(&reply.text), row[i].text);
		assert_true((reply.fault != NULL) == (row[i].result == SMTP_REPLY_BAD));
		if (row[i].described != NULL) {
			smtp_reply_describe(&reply, &described);
			assert_string_equal(described.data, row[i].described);
		}
		str_clear(&described);
		smtp_reply_clear(&reply);
	}
}

/* Every beginning of a reply is read without harm, and none but the whole is done. */
static void
reads_replies_cut_anywhere(void **state)
{
	static const char whole[] = "550-5.1.1 No such user\n550-5.1.1 here\n550 5.1.1 today";
	const size_t last = (size_t)(strrchr(whole, '\n') - whole) + 1;

	(void)state;
	for (size_t cut = 0; cut < sizeof whole; cut++) {
		struct smtp_reply reply = {0};
		const char *lf = memrchr(whole, '\n', cut);
		size_t start = lf != NULL ? (size_t)(lf - whole) + 1 : 0, line = cut - start;
		enum smtp_reply_result result = SMTP_REPLY_MORE;

		if (cut == 0 || line == 1 || line == 2)
			result = SMTP_REPLY_BAD;
		else if (line == 3 || (start == last && line > 3))
			result = SMTP_REPLY_DONE;
		assert_int_equal(feed_lines(&reply, whole, cut), result);
		smtp_reply_clear(&reply);
	}
}

static void
begins_anew_after_the_end(void **state)
{
	struct smtp_reply reply = {0};

	(void)state;
	assert_int_equal(feed_lines(&reply, "250 2.0.0 one", 13), SMTP_REPLY_DONE);
	assert_int_equal(feed_lines(&reply, "354 two", 7), SMTP_REPLY_DONE);
	assert_int_equal(reply.code, 354);
	assert_int_equal(reply.status.class, 0);
	assert_int_equal(reply.lines, 1);
	assert_string_equal(reply.text.data, "two");
	assert_int_equal(feed_lines(&reply, "garbage", 7), SMTP_REPLY_BAD);
	assert_int_equal(feed_lines(&reply, "250 ok", 6), SMTP_REPLY_BAD);
	smtp_reply_clear(&reply);
	assert_int_equal(feed_lines(&reply, "250 ok", 6), SMTP_REPLY_DONE);
	smtp_reply_clear(&reply);
}

static void
takes_no_more_lines_than_allowed(void **state)
{
	struct smtp_reply reply = {0};

	(void)state;
	for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++)
		assert_int_equal(smtp_reply_feed(&reply, "250-x", 5), SMTP_REPLY_MORE);
	assert_int_equal(smtp_reply_feed(&reply, "250 x", 5), SMTP_REPLY_BAD);
	assert_non_null(reply.fault);
	smtp_reply_clear(&reply);
}

static void
keeps_little_of_a_long_reply(void **state)
{
	struct smtp_reply reply = {0};
	char line[1024] = "250-";
	unsigned lines = 0;

	(void)state;
	for (size_t i = 4; i + 1 < sizeof line; i += 2)
		memcpy(line + i, "\xc3\xa9", 2);
	while (smtp_reply_feed(&reply, line, sizeof line) == SMTP_REPLY_MORE) {
		lines++;
		assert_true(reply.text.len <= SMTP_REPLY_TEXT_MAX);
	}
	assert_int_equal(lines, SMTP_REPLY_OCTETS_MAX / sizeof line);
	assert_true(reply.text.len >= SMTP_REPLY_TEXT_MAX - 1);
	assert_int_equal((unsigned char)reply.text.data[reply.text.len - 1], 0xa9);
	smtp_reply_clear(&reply);
}

static void
keeps_nul_octets(void **state)
{
	struct smtp_reply reply = {0};

	(void)state;
	assert_int_equal(smtp_reply_feed(&reply, "250 a\0b", 7), SMTP_REPLY_DONE);
	assert_int_equal(reply.text.len, 3);
	assert_memory_equal(reply.text.data, "a\0b", 3);
	assert_int_equal(smtp_reply_feed(&reply, "250\0b", 5), SMTP_REPLY_BAD);
	smtp_reply_clear(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_replies),
	    cmocka_unit_test(reads_replies_cut_anywhere),
	    cmocka_unit_test(begins_anew_after_the_end),
	    cmocka_unit_test(takes_no_more_lines_than_allowed),
	    cmocka_unit_test(keeps_little_of_a_long_reply),
	    cmocka_unit_test(keeps_nul_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
