#include "fuzz.h"

#include "proto/smtp_data.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The incremental encoder against one that has the whole message before it, and what holds for all
 * that it writes.  Input: one octet says how many cuts follow, each of them a length of a piece;
 * the rest is the message.
 */
struct text {
	char *data;
	size_t len;
};

/* Line by line: what a LF or the end ends, without CR. */
static struct text
encode_whole(const char *in, size_t len, bool stuffs)
{
	struct text t = {.data = malloc(2 * len + SMTP_DATA_END_SIZE)};
	size_t start = 0;

	CHECK(t.data != NULL);
	for (size_t i = 0; i < len; i++) {
		if (in[i] == '\n') {
			memcpy(t.data + t.len, "\r\n", 2);
			t.len += 2;
			start = t.len;
		} else if (in[i] != '\r') {
			if (stuffs && in[i] == '.' && t.len == start)
				t.data[t.len++] = '.';
			t.data[t.len++] = in[i];
		}
	}
	if (t.len > start) {
		memcpy(t.data + t.len, "\r\n", 2);
		t.len += 2;
	}
	if (stuffs) {
		memcpy(t.data + t.len, ".\r\n", 3);
		t.len += 3;
	}
	return t;
}

/* Both blocks are exactly as large as was promised, so that a sanitizer sees a step beyond. */
static void
encode_piece(struct smtp_data *data, struct text *t, const char *in, size_t len)
{
	char *piece = malloc(len > 0 ? len : 1), *out = malloc(len > 0 ? 2 * len : 1);
	size_t n;

	CHECK(piece != NULL && out != NULL);
	memcpy(piece, in, len);
	n = smtp_data_encode(data, piece, len, out);
	CHECK(n <= 2 * len);
	memcpy(t->data + t->len, out, n);
	t->len += n;
	free(piece);
	free(out);
}

static struct text
encode_cut(const char *in, size_t len, bool stuffs, const uint8_t *cuts, size_t count)
{
	struct text t = {.data = malloc(2 * len + SMTP_DATA_END_SIZE)};
	char end[SMTP_DATA_END_SIZE];
	struct smtp_data data;
	size_t used = 0, n;

	CHECK(t.data != NULL);
	smtp_data_init(&data, stuffs);
	for (size_t i = 0; used < len; i++) {
		n = i < count && cuts[i] < len - used ? cuts[i] : len - used;
		encode_piece(&data, &t, in + used, n);
		used += n;
	}
	n = smtp_data_end(&data, end);
	CHECK(n <= sizeof end);
	memcpy(t.data + t.len, end, n);
	t.len += n;
	CHECK(stuffs ? data.octets + 3 <= t.len : data.octets == t.len);
	return t;
}

/* CR and LF only as CRLF; with dots, nothing ends the message but its end. */
static void
check_wire(const struct text *t, bool stuffs)
{
	for (size_t i = 0; i < t->len; i++) {
		CHECK(t->data[i] != '\n' || (i > 0 && t->data[i - 1] == '\r'));
		CHECK(t->data[i] != '\r' || (i + 1 < t->len && t->data[i + 1] == '\n'));
		if (!stuffs || t->len - i < 3 || memcmp(t->data + i, ".\r\n", 3) != 0)
			continue;
		CHECK(i + 3 == t->len || (i > 0 && t->data[i - 1] != '\n'));
	}
	CHECK(t->len == 0 || t->data[t->len - 1] == '\n');
	CHECK(!stuffs || (t->len >= 3 && memcmp(t->data + t->len - 3, ".\r\n", 3) == 0));
	CHECK(!stuffs || t->len == 3 || t->data[t->len - 4] == '\n');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = size > 0 ? data[0] : 0, head = size > 0 ? 1 : 0;
	const char *in;
	size_t len;

	if (count > size - head)
		count = size - head;
	in = (const char *)data + head + count;
	len = size - head - count;
	for (int stuffs = 0; stuffs < 2; stuffs++) {
		struct text whole = encode_whole(in, len, stuffs != 0);
		struct text cut = encode_cut(in, len, stuffs != 0, data + head, count);

		CHECK(whole.len == cut.len && memcmp(whole.data, cut.data, cut.len) == 0);
		check_wire(&cut, stuffs != 0);
		free(whole.data);
		free(cut.data);
	}
	return 0;
}
