#include "unit.h"

#include "proto/smtp_data.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row)   (sizeof(row) / sizeof((row)[0]))
#define OCTETS(text) text, sizeof(text) - 1

static const struct {
	const char *in;
	size_t len;
	const char *out; /* without dots added */
	size_t out_len;
	const char *wire; /* as DATA, with the end */
	size_t wire_len;
	uint64_t longest;
} row[] = {
    {OCTETS(""), OCTETS(""), OCTETS(".\r\n"), 0},
    {OCTETS("a\r\n"), OCTETS("a\r\n"), OCTETS("a\r\n.\r\n"), 1},
    {OCTETS("a\n"), OCTETS("a\r\n"), OCTETS("a\r\n.\r\n"), 1},
    {OCTETS("a"), OCTETS("a\r\n"), OCTETS("a\r\n.\r\n"), 1},
    {OCTETS("a\r"), OCTETS("a\r\n"), OCTETS("a\r\n.\r\n"), 1},
    {OCTETS("\r"), OCTETS(""), OCTETS(".\r\n"), 0},
    {OCTETS("\n"), OCTETS("\r\n"), OCTETS("\r\n.\r\n"), 0},
    {OCTETS("\r\n\r\n"), OCTETS("\r\n\r\n"), OCTETS("\r\n\r\n.\r\n"), 0},
    {OCTETS("."), OCTETS(".\r\n"), OCTETS("..\r\n.\r\n"), 1},
    {OCTETS(".\r\n"), OCTETS(".\r\n"), OCTETS("..\r\n.\r\n"), 1},
    {OCTETS(".\n.\n"), OCTETS(".\r\n.\r\n"), OCTETS("..\r\n..\r\n.\r\n"), 1},
    {OCTETS("..\r\n"), OCTETS("..\r\n"), OCTETS("...\r\n.\r\n"), 2},
    {OCTETS("a.\r\n.b\r\n"), OCTETS("a.\r\n.b\r\n"), OCTETS("a.\r\n..b\r\n.\r\n"), 2},
    {OCTETS("a\r.\r\n"), OCTETS("a.\r\n"), OCTETS("a.\r\n.\r\n"), 2},
    {OCTETS("a\n\r.\n"), OCTETS("a\r\n.\r\n"), OCTETS("a\r\n..\r\n.\r\n"), 1},
    {OCTETS("a\r\n\r\r.\r\r\nb"), OCTETS("a\r\n.\r\nb\r\n"), OCTETS("a\r\n..\r\nb\r\n.\r\n"), 1},
    {OCTETS("a\n.\r\nMAIL\n"), OCTETS("a\r\n.\r\nMAIL\r\n"), OCTETS("a\r\n..\r\nMAIL\r\n.\r\n"), 4},
    {OCTETS("a\rb\r\r\nc\n\rd"), OCTETS("ab\r\nc\r\nd\r\n"), OCTETS("ab\r\nc\r\nd\r\n.\r\n"), 2},
    {OCTETS("\0.\0\n.\0"), OCTETS("\0.\0\r\n.\0\r\n"), OCTETS("\0.\0\r\n..\0\r\n.\r\n"), 3},
    {OCTETS("\xff\xfe\n"), OCTETS("\xff\xfe\r\n"), OCTETS("\xff\xfe\r\n.\r\n"), 2},
};

struct encoded {
	char text[256];
	size_t len;
};

/* From a block of its own size into one of exactly the room that is promised. */
static void
feed(struct smtp_data *data, struct encoded *e, const char *in, size_t len)
{
	char *piece = malloc(len > 0 ? len : 1), *out = malloc(2 * len > 0 ? 2 * len : 1);
	size_t n;

	memcpy(piece, in, len);
	n = smtp_data_encode(data, piece, len, out);
	assert_true(n <= 2 * len);
	memcpy(e->text + e->len, out, n);
	e->len += n;
	free(piece);
	free(out);
}

static void
end(struct smtp_data *data, struct encoded *e)
{
	char out[SMTP_DATA_END_SIZE];
	size_t n = smtp_data_end(data, out);

	assert_true(n <= sizeof out);
	memcpy(e->text + e->len, out, n);
	e->len += n;
}

static void
check(size_t i, bool stuffs, size_t a, size_t b)
{
	size_t cuts[] = {0, a, b, row[i].len};
	struct encoded e = {.len = 0};
	struct smtp_data data;

	smtp_data_init(&data, stuffs);
	for (int n = 0; n < 3; n++)
		feed(&data, &e, row[i].in + cuts[n], cuts[n + 1] - cuts[n]);
	end(&data, &e);
	assert_int_equal(e.len, stuffs ? row[i].wire_len : row[i].out_len);
	assert_memory_equal(e.text, stuffs ? row[i].wire : row[i].out, e.len);
	assert_true(data.octets == row[i].out_len);
	assert_true(data.longest == row[i].longest);
}

static void
encodes_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t a = 0; a <= row[i].len; a++) {
			for (size_t b = a; b <= row[i].len; b++) {
				check(i, true, a, b);
				check(i, false, a, b);
			}
		}
	}
}

static void
encodes_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct encoded e = {.len = 0};
		struct smtp_data data;

		smtp_data_init(&data, true);
		for (size_t n = 0; n < row[i].len; n++)
			feed(&data, &e, row[i].in + n, 1);
		end(&data, &e);
		assert_int_equal(e.len, row[i].wire_len);
		assert_memory_equal(e.text, row[i].wire, e.len);
	}
}

/* Cut off anywhere, what is on the wire is complete lines and nothing that ends a message early. */
static void
ends_well_wherever_the_input_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t len = 0; len <= row[i].len; len++) {
			struct encoded e = {.len = 0};
			struct smtp_data data;
			char *dot;

			smtp_data_init(&data, true);
			feed(&data, &e, row[i].in, len);
			end(&data, &e);
			assert_memory_equal(e.text + e.len - 3, ".\r\n", 3);
			dot = memmem(e.text, e.len, "\r\n.\r\n", 5);
			assert_true(dot == NULL || dot + 5 == e.text + e.len);
			assert_true(e.len == 3 || dot != NULL);
			assert_true(data.octets + 3 <= e.len);
		}
	}
}

/* Long lines count across pieces; many CRs in a row cost no more than others. */
static void
measures_long_lines(void **state)
{
	enum { SIZE = 1 << 20 };
	char *in = malloc(SIZE), *out = malloc(2 * SIZE);
	struct smtp_data data;

	(void)state;
	memset(in, 'x', SIZE);
	smtp_data_init(&data, true);
	assert_int_equal(smtp_data_encode(&data, in, SIZE, out), SIZE);
	assert_int_equal(smtp_data_encode(&data, in, 998, out), 998);
	assert_true(data.longest == SIZE + 998 && data.octets == SIZE + 998);
	memset(in, '\r', SIZE);
	assert_int_equal(smtp_data_encode(&data, in, SIZE, out), 0);
	memset(in, '\n', SIZE);
	assert_int_equal(smtp_data_encode(&data, in, SIZE, out), 2 * SIZE);
	assert_true(data.longest == SIZE + 998);
	free(in);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(encodes_cut_anywhere),
	    cmocka_unit_test(encodes_octet_by_octet),
	    cmocka_unit_test(ends_well_wherever_the_input_ends),
	    cmocka_unit_test(measures_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
