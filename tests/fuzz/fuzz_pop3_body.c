#include "fuzz.h"

#include "proto/pop3.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * The incremental decoder against one that has the whole answer before it.  Input: one octet says
 * how many cuts follow, each of them a length of a piece; the rest is the answer.
 */
struct text {
	char *data;
	size_t len;
	size_t used;
	bool ended;
};

/* Line by line, octet by octet; the last line may be incomplete and its CR is not content yet. */
static struct text
decode_whole(const char *in, size_t len)
{
	struct text t = {.data = malloc(len + 1)};
	size_t start = 0;

	CHECK(t.data != NULL);
	while (start < len) {
		size_t end = start;

		while (end < len && !(in[end] == '\r' && end + 1 < len && in[end + 1] == '\n'))
			end++;
		bool whole = end < len;
		t.ended = whole && end - start == 1 && in[start] == '.';
		t.used = whole ? end + 2 : len;
		if (t.ended)
			return t;
		for (size_t i = start; i < end; i++) {
			bool stuffed = i == start && in[i] == '.';
			bool pending = !whole && i + 1 == len && in[i] == '\r';

			if (!stuffed && !pending)
				t.data[t.len++] = in[i];
		}
		if (whole)
			t.data[t.len++] = '\n';
		start = t.used;
	}
	return t;
}

/* Both blocks are exactly as large as was promised, so that a sanitizer sees a step beyond. */
static void
decode_piece(struct pop3_body *body, struct text *t, const char *in, size_t len)
{
	char *piece = malloc(len > 0 ? len : 1), *out = malloc(len + 2);
	size_t used, out_len;

	CHECK(piece != NULL && out != NULL);
	memcpy(piece, in, len);
	t->ended = pop3_body_decode(body, piece, len, &used, out, &out_len) == POP3_BODY_END;
	CHECK(t->ended ? used <= len : used == len);
	CHECK(out_len <= len + 2);
	memcpy(t->data + t->len, out, out_len);
	t->len += out_len;
	t->used += used;
	free(piece);
	free(out);
}

static struct text
decode_cut(const char *in, size_t len, const uint8_t *cuts, size_t count)
{
	struct text t = {.data = malloc(len + 2)};
	struct pop3_body body;

	CHECK(t.data != NULL);
	pop3_body_init(&body);
	for (size_t i = 0; t.used < len && !t.ended; i++) {
		size_t n = i < count ? cuts[i] : len - t.used;

		decode_piece(&body, &t, in + t.used, n < len - t.used ? n : len - t.used);
	}
	CHECK(body.octets == t.len);
	return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = size > 0 ? data[0] : 0, head = size > 0 ? 1 : 0;
	struct text whole, cut;
	const char *in;
	size_t len;

	if (count > size - head)
		count = size - head;
	in = (const char *)data + head + count;
	len = size - head - count;
	whole = decode_whole(in, len);
	cut = decode_cut(in, len, data + head, count);
	CHECK(whole.ended == cut.ended && whole.used == cut.used && whole.len == cut.len);
	CHECK(memcmp(whole.data, cut.data, cut.len) == 0);
	free(whole.data);
	free(cut.data);
	return 0;
}
