#include "unit.h"

#include "proto/pop3.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

struct decoded {
	char text[256];
	size_t len;
	size_t used;
	enum pop3_body_result result;
	uint64_t octets;
};

/* Feeds one piece from a block of its own size into a block of exactly the room that is promised.
 */
static void
feed(struct pop3_body *body, struct decoded *d, const char *in, size_t len)
{
	char *piece = malloc(len + 1), *out = malloc(len + 2);
	size_t used, out_len;

	piece = realloc(piece, len > 0 ? len : 1);
	memcpy(piece, in, len);
	d->result = pop3_body_decode(body, piece, len, &used, out, &out_len);
	assert_true(used <= len && out_len <= len + 2);
	assert_true(d->result == POP3_BODY_END || used == len);
	memcpy(d->text + d->len, out, out_len);
	d->len += out_len;
	d->used += used;
	d->octets = body->octets;
	free(piece);
	free(out);
}

/* In three pieces, cut at a and at b. */
static struct decoded
decode(const char *in, size_t len, size_t a, size_t b)
{
	struct decoded d = {.result = POP3_BODY_MORE};
	size_t cuts[] = {0, a, b, len};
	struct pop3_body body;

	pop3_body_init(&body);
	for (int i = 0; i < 3 && d.result == POP3_BODY_MORE; i++)
		feed(&body, &d, in + cuts[i], cuts[i + 1] - cuts[i]);
	assert_true(d.octets == d.len);
	return d;
}

#define OCTETS(text) text, sizeof(text) - 1

static const struct {
	const char *in;
	size_t len;
	const char *out;
	size_t out_len;
	size_t left; /* octets behind the end; -1: it does not end */
} row[] = {
    {OCTETS(".\r\n"), OCTETS(""), 0},
    {OCTETS("hello\r\n.\r\n"), OCTETS("hello\n"), 0},
    {OCTETS("hello\r\n.\r\n+OK next\r\n"), OCTETS("hello\n"), 10},
    {OCTETS("\r\n\r\n.\r\n"), OCTETS("\n\n"), 0},
    {OCTETS("..\r\n...\r\n.\r\n"), OCTETS(".\n..\n"), 0},
    {OCTETS(".x\r\n.\r\n"), OCTETS("x\n"), 0},
    {OCTETS(".\rx\r\n.\r\n"), OCTETS("\rx\n"), 0},
    {OCTETS(".\r\r\n.\r\n"), OCTETS("\r\n"), 0},
    {OCTETS(".\n.\r\n"), OCTETS("\n.\n"), (size_t)-1},
    {OCTETS(".\n\r\n.\r\n"), OCTETS("\n\n"), 0},
    {OCTETS("a\n.\r\nb\r\n.\r\n"), OCTETS("a\n.\nb\n"), 0},
    {OCTETS("a\n.\n\r\n.\r\n"), OCTETS("a\n.\n\n"), 0},
    {OCTETS("a\r.\r\n.\r\n"), OCTETS("a\r.\n"), 0},
    {OCTETS("a\r\r\n.\r\n"), OCTETS("a\r\n"), 0},
    {OCTETS("a\r\r\r\n\r\r\n.\r\n"), OCTETS("a\r\r\n\r\n"), 0},
    {OCTETS("a\0b\r\n\0\r\n.\r\n"), OCTETS("a\0b\n\0\n"), 0},
    {OCTETS("a.\r\nb .\r\n.\r\n"), OCTETS("a.\nb .\n"), 0},
    {OCTETS("\xff\xfe\r\n.\r\n"), OCTETS("\xff\xfe\n"), 0},
    {OCTETS("no end"), OCTETS("no end"), (size_t)-1},
    {OCTETS("no end\r"), OCTETS("no end"), (size_t)-1},
    {OCTETS("no end\r\n"), OCTETS("no end\n"), (size_t)-1},
    {OCTETS("no end\r\n."), OCTETS("no end\n"), (size_t)-1},
    {OCTETS("no end\r\n.\r"), OCTETS("no end\n"), (size_t)-1},
    {OCTETS("no end\r\n.\n"), OCTETS("no end\n\n"), (size_t)-1},
    {OCTETS(""), OCTETS(""), (size_t)-1},
};

static void
decodes_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t a = 0; a <= row[i].len; a++) {
			for (size_t b = a; b <= row[i].len; b++) {
				struct decoded d = decode(row[i].in, row[i].len, a, b);
				bool ends = row[i].left != (size_t)-1;

				assert_int_equal(d.len, row[i].out_len);
				assert_memory_equal(d.text, row[i].out, d.len);
				assert_int_equal(d.result == POP3_BODY_END, ends);
				assert_int_equal(d.used, row[i].len - (ends ? row[i].left : 0));
			}
		}
	}
}

static void
decodes_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct decoded d = {.result = POP3_BODY_MORE};
		struct pop3_body body;

		pop3_body_init(&body);
		for (size_t n = 0; n < row[i].len && d.result == POP3_BODY_MORE; n++)
			feed(&body, &d, row[i].in + n, 1);
		assert_int_equal(d.result == POP3_BODY_END, row[i].left != (size_t)-1);
		assert_int_equal(d.len, row[i].out_len);
		assert_memory_equal(d.text, row[i].out, d.len);
	}
}

static void
takes_nothing_behind_the_end(void **state)
{
	struct decoded d = {.result = POP3_BODY_MORE};
	struct pop3_body body;

	(void)state;
	pop3_body_init(&body);
	feed(&body, &d, OCTETS("x\r\n.\r\n"));
	assert_int_equal(d.result, POP3_BODY_END);
	feed(&body, &d, OCTETS("more\r\n"));
	assert_int_equal(d.result, POP3_BODY_END);
	assert_int_equal(d.used, 6);
	assert_int_equal(d.len, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decodes_cut_anywhere),
	    cmocka_unit_test(decodes_octet_by_octet),
	    cmocka_unit_test(takes_nothing_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
