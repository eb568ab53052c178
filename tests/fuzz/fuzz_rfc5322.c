#include "fuzz.h"

#include "base/str.h"
#include "proto/rfc5322_address.h"
#include "proto/rfc5322_date.h"
#include "proto/rfc5322_envelope.h"
#include "proto/rfc5322_filter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * A message on its way out, whole and cut.  Input: one octet of options, one that says how many
 * cuts follow, each of them a length of a piece; the rest is the message.
 */
struct input {
	const char *text;
	size_t len;
	const uint8_t *cuts;
	size_t cut_count;
	struct rfc5322_rewrite rewrite;
};

/* The next piece in a block of its own size, so that a sanitizer sees a step beyond. */
static char *
take_piece(const struct input *in, bool whole, size_t i, size_t at, size_t *len)
{
	size_t left = in->len - at;
	size_t n = whole || i >= in->cut_count || in->cuts[i] > left ? left : in->cuts[i];
	char *piece = malloc(n > 0 ? n : 1);

	CHECK(piece != NULL);
	memcpy(piece, in->text + at, n);
	*len = n;
	return piece;
}

static bool
run_filter(const struct input *in, bool whole, struct str *out)
{
	struct rfc5322_filter filter;
	struct verdict why = VERDICT_OK;
	bool good = true;
	size_t at = 0;

	rfc5322_filter_init(&filter, &in->rewrite);
	for (size_t i = 0; good && at < in->len; i++) {
		size_t n;
		char *piece = take_piece(in, whole, i, at, &n);

		good = rfc5322_filter_feed(&filter, piece, n, out, &why);
		at += n;
		free(piece);
	}
	if (good)
		rfc5322_filter_finish(&filter, out);
	CHECK(good == (why.kind == FAIL_NONE));
	CHECK(!good || filter.octets == out->len);
	rfc5322_filter_clear(&filter);
	return good;
}

static void
check_line_ends(const struct str *out)
{
	for (size_t i = 0; i < out->len; i++) {
		CHECK(out->data[i] != '\r' || (i + 1 < out->len && out->data[i + 1] == '\n'));
		CHECK(out->data[i] != '\n' || (i > 0 && out->data[i - 1] == '\r'));
	}
	CHECK(out->len == 0 || out->data[out->len - 1] == '\n');
}

static bool
is_private(const char *line, size_t len)
{
	static const char *const names[] = {"bcc", "resent-bcc", "return-path"};

	if (len >= 12 && strncasecmp(line, "x-postrider-", 12) == 0)
		return true;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t n = strlen(names[i]);

		if (len < n || strncasecmp(line, names[i], n) != 0)
			continue;
		while (n < len && (line[n] == ' ' || line[n] == '\t'))
			n++;
		if (n < len && line[n] == ':')
			return true;
	}
	return false;
}

/* Every line of the header is of a field that may leave the machine; and each is there once. */
static void
check_header(const struct input *in, const struct str *out)
{
	size_t at = 0, dates = 0;

	while (at < out->len && out->data[at] != '\r') {
		const char *line = out->data + at;
		size_t len = (size_t)((char *)memchr(line, '\n', out->len - at) - line) + 1;

		CHECK(!is_private(line, len));
		if (*line != ' ' && *line != '\t')
			CHECK(memchr(line, ':', len) != NULL);
		else
			CHECK(at > 0);
		dates += len > 5 && strncasecmp(line, "date", 4) == 0;
		at += len;
	}
	CHECK(in->rewrite.date == NULL || dates > 0);
}

static bool
run_envelope(const struct input *in, bool whole, struct str *out)
{
	struct rfc5322_envelope envelope;
	struct envelope_request request;
	struct verdict why = VERDICT_OK;
	size_t at = 0;
	bool good = true;

	rfc5322_envelope_init(&envelope, in->rewrite.local_domain);
	for (size_t i = 0; good && at < in->len; i++) {
		size_t n;
		char *piece = take_piece(in, whole, i, at, &n);

		good = rfc5322_envelope_feed(&envelope, piece, n);
		at += n;
		free(piece);
	}
	good = rfc5322_envelope_finish(&envelope, &request, &why);
	CHECK(good == (request.recipient_count > 0) && good == (why.kind == FAIL_NONE));
	rfc5322_address_append(&request.sender, out);
	for (size_t i = 0; i < request.recipient_count; i++) {
		CHECK(request.recipients[i].domain != NULL);
		str_append_char(out, '\n');
		rfc5322_address_append(&request.recipients[i], out);
	}
	str_appendf(out, "\n%zu", request.longest_line);
	envelope_request_clear(&request);
	rfc5322_envelope_clear(&envelope);
	return good;
}

/* What was read from an address is read from what is written of it. */
static void
check_address(const struct rfc5322_address *a)
{
	struct rfc5322_address_list list;
	struct rfc5322_address again;
	struct verdict why;
	struct str text = STR_INIT;

	CHECK(a->local != NULL && (a->is_null ? a->local[0] == '\0' : a->local[0] != '\0'));
	if (a->is_null)
		return;
	rfc5322_address_append(a, &text);
	CHECK(
	    strlen(str_text(&text)) == text.len && memchr(str_text(&text), '\n', text.len) == NULL);
	rfc5322_address_begin(&list, str_text(&text), text.len);
	CHECK(rfc5322_address_next(&list, &again, &why) == RFC5322_ADDRESS_GOT);
	CHECK(strcmp(again.local, a->local) == 0 && rfc5322_address_equal(a, &again));
	rfc5322_address_clear(&again);
	CHECK(rfc5322_address_next(&list, &again, &why) == RFC5322_ADDRESS_END);
	str_clear(&text);
}

static void
check_list(const char *text, size_t len)
{
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;
	int64_t wall;

	rfc5322_address_begin(&list, text, len);
	while (rfc5322_address_next(&list, &a, &why) == RFC5322_ADDRESS_GOT) {
		CHECK(a.local_end <= len && a.name_end <= len);
		check_address(&a);
		rfc5322_address_clear(&a);
	}
	rfc5322_date_parse_any(text, len, &wall);
}

static void
check_lists(const struct input *in)
{
	size_t at = 0;

	while (at < in->len) {
		const char *start = in->text + at;
		const char *lf = memchr(start, '\n', in->len - at);
		const char *colon = memchr(start, ':', in->len - at);
		size_t len = lf != NULL ? (size_t)(lf - start) : in->len - at;

		if (colon != NULL && colon < start + len)
			check_list(colon + 1, len - (size_t)(colon + 1 - start));
		at += len + 1;
	}
}

static struct input
split(const uint8_t *data, size_t size)
{
	struct input in = {0};
	unsigned options = size > 0 ? data[0] : 0;
	size_t head = size < 2 ? size : 2;

	in.cut_count = size > 1 ? data[1] : 0;
	if (in.cut_count > size - head)
		in.cut_count = size - head;
	in.cuts = data + head;
	in.text = (const char *)data + head + in.cut_count;
	in.len = size - head - in.cut_count;
	in.rewrite.date = options & 1 ? "Fri, 20 Nov 2026 10:15:00 +0000" : NULL;
	in.rewrite.message_id = options & 2 ? "<id@host.example>" : NULL;
	in.rewrite.header_from = options & 4 ? "me@host.example" : NULL;
	in.rewrite.local_domain = options & 8 ? "host.example" : NULL;
	in.rewrite.from = options & 16 ? "you@host.example" : NULL;
	return in;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = split(data, size);
	struct str whole = STR_INIT, cut = STR_INIT;
	bool good = run_filter(&in, true, &whole);

	CHECK(good == run_filter(&in, false, &cut));
	if (good) {
		CHECK(whole.len == cut.len);
		CHECK(memcmp(str_text(&whole), str_text(&cut), cut.len) == 0);
		check_line_ends(&whole);
		check_header(&in, &whole);
	}
	str_truncate(&whole, 0);
	str_truncate(&cut, 0);
	CHECK(run_envelope(&in, true, &whole) == run_envelope(&in, false, &cut));
	CHECK(!good || strcmp(str_text(&whole), str_text(&cut)) == 0);
	check_lists(&in);
	str_clear(&whole);
	str_clear(&cut);
	return 0;
}
