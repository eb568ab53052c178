#include "unit.h"

#include "net/sendbuf.h"

#include <stdlib.h>
#include <string.h>

/* Appends and consumes uneven pieces; what comes out must be what went in, in order. */
static void
octets_come_out_in_order(void **state)
{
	struct sendbuf o = {0};
	unsigned char in = 0, out = 0;
	unsigned char piece[4000];
	size_t len;

	(void)state;
	for (size_t turn = 0; turn < 3000; turn++) {
		size_t n = turn * 7 % sizeof piece;

		for (size_t i = 0; i < n; i++)
			piece[i] = in++;
		sendbuf_append(&o, piece, n, turn % 5 == 0);
		n = turn % 11 == 0 ? sendbuf_len(&o) : turn * 13 % 3900;
		if (n > sendbuf_len(&o))
			n = sendbuf_len(&o);
		if (n == 0)
			continue;
		const unsigned char *data = (const unsigned char *)sendbuf_peek(&o, &len);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(data[i], out++);
		sendbuf_consume(&o, n);
	}
	sendbuf_clear(&o);
	assert_int_equal(sendbuf_len(&o), 0);
}

static void
a_secret_is_gone_once_it_left(void **state)
{
	struct sendbuf o = {0};
	size_t len;

	(void)state;
	sendbuf_append(&o, "PASS hunter2\r\n", 14, true);
	assert_memory_equal(sendbuf_peek(&o, &len), "PASS hunter2\r\n", 14);
	sendbuf_consume(&o, 5);
	sendbuf_append(&o, "STAT\r\n", 6, false);
	sendbuf_consume(&o, sendbuf_len(&o));
	assert_null(memmem(o.data, o.cap, "hunter2", 7));
	sendbuf_clear(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(octets_come_out_in_order),
	    cmocka_unit_test(a_secret_is_gone_once_it_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
