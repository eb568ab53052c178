#include "base/clock.h"
#include "base/xalloc.h"
#include "proto/rfc5322_date.h"
#include "proto/rfc5322_envelope.h"
#include "proto/rfc5322_filter.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Shows what the rfc5322 files make of messages, for a comparison with others.  Standard input is
 * any number of messages, each behind a line with its size in octets; standard output is a line
 * of JSON for each: the envelope, every address of every address field, the date, and the header
 * as it would go out.  An argument is the local domain.
 */
enum { PIECE = 7 };

static json_t *
octets(const char *data, size_t len)
{
	json_t *text = json_stringn(data, len);

	return text != NULL ? text : json_null();
}

static json_t *
show_address(const struct rfc5322_address *a)
{
	struct str text = STR_INIT;
	json_t *shown;

	if (a->local == NULL)
		return json_null();
	rfc5322_address_append(a, &text);
	shown = octets(str_text(&text), text.len);
	str_clear(&text);
	return shown;
}

/* [[name, address], ...], and the reason as a last string when the list cannot be read. */
static json_t *
show_list(const struct rfc5322_field *field)
{
	enum rfc5322_address_result result;
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;
	json_t *all = json_array();

	rfc5322_address_begin(&list, field->value, field->value_len);
	while ((result = rfc5322_address_next(&list, &a, &why)) == RFC5322_ADDRESS_GOT) {
		const char *name = a.name != NULL ? a.name : "";

		json_array_append_new(
		    all, json_pack("[o,o]", octets(name, strlen(name)), show_address(&a)));
		rfc5322_address_clear(&a);
	}
	if (result == RFC5322_ADDRESS_BAD)
		json_array_append_new(all, octets(why.text, strlen(why.text)));
	return all;
}

static void
show_field(json_t *fields, const struct rfc5322_field *field)
{
	json_t *shown = json_object();
	int64_t wall;

	json_object_set_new(shown, "name", octets(field->name, field->name_len));
	if (rfc5322_field_has_addresses(field->kind) || field->kind == RFC5322_BCC ||
	    field->kind == RFC5322_RESENT_BCC)
		json_object_set_new(shown, "addresses", show_list(field));
	if (field->kind == RFC5322_DATE)
		json_object_set_new(shown, "date",
		    rfc5322_date_parse(field->value, field->value_len, &wall)
			? json_integer((json_int_t)(wall / 1000))
			: json_null());
	json_array_append_new(fields, shown);
}

static json_t *
show_fields(const char *text, size_t len)
{
	enum rfc5322_read result = RFC5322_READ_FIELD;
	struct rfc5322_reader reader;
	struct verdict why;
	json_t *fields = json_array();

	rfc5322_reader_init(&reader);
	while (result == RFC5322_READ_FIELD) {
		size_t used;

		result = rfc5322_reader_feed(&reader, text, len, &used, &why);
		if (result == RFC5322_READ_FIELD)
			show_field(fields, &reader.field);
		text += used;
		len -= used;
	}
	while (result == RFC5322_READ_MORE || result == RFC5322_READ_FIELD) {
		result = rfc5322_reader_finish(&reader);
		if (result == RFC5322_READ_FIELD)
			show_field(fields, &reader.field);
	}
	rfc5322_reader_clear(&reader);
	return fields;
}

static json_t *
show_envelope(const char *text, size_t len, const char *local)
{
	struct rfc5322_envelope envelope;
	struct envelope_request request;
	struct verdict why;
	json_t *shown, *recipients = json_array();

	rfc5322_envelope_init(&envelope, local);
	for (size_t at = 0; at < len; at += PIECE)
		rfc5322_envelope_feed(&envelope, text + at, at + PIECE < len ? PIECE : len - at);
	if (!rfc5322_envelope_finish(&envelope, &request, &why)) {
		shown = json_pack("{so}", "error", octets(why.text, strlen(why.text)));
		json_decref(recipients);
	} else {
		for (size_t i = 0; i < request.recipient_count; i++)
			json_array_append_new(recipients, show_address(&request.recipients[i]));
		shown = json_pack("{so,so,so,sb}", "from", show_address(&request.from), "sender",
		    show_address(&request.sender), "recipients", recipients, "resent",
		    request.is_resent);
	}
	envelope_request_clear(&request);
	rfc5322_envelope_clear(&envelope);
	return shown;
}

static json_t *
show_output(const char *text, size_t len, const char *local)
{
	const struct rfc5322_rewrite rewrite = {.local_domain = local};
	struct rfc5322_filter filter;
	struct verdict why;
	struct str out = STR_INIT;
	bool good = true;
	json_t *shown;

	rfc5322_filter_init(&filter, &rewrite);
	for (size_t at = 0; good && at < len; at += PIECE)
		good = rfc5322_filter_feed(
		    &filter, text + at, at + PIECE < len ? PIECE : len - at, &out, &why);
	if (good)
		rfc5322_filter_finish(&filter, &out);
	shown = good ? octets(str_text(&out), out.len) : json_null();
	rfc5322_filter_clear(&filter);
	str_clear(&out);
	return shown;
}

static void
show_message(const char *text, size_t len, const char *local)
{
	json_t *shown = json_pack("{so,so,so}", "envelope", show_envelope(text, len, local),
	    "fields", show_fields(text, len), "output", show_output(text, len, local));

	json_dumpf(shown, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(shown);
}

int
main(int argc, char **argv)
{
	char size[32];

	while (fgets(size, sizeof size, stdin) != NULL) {
		size_t len = strtoul(size, NULL, 10);
		char *text = xmalloc(len + 1);

		if (fread(text, 1, len, stdin) != len) {
			fputs("scan_headers: a message is cut\n", stderr);
			free(text);
			return 65;
		}
		show_message(text, len, argc > 1 ? argv[1] : NULL);
		free(text);
	}
	return ferror(stdout) ? 74 : 0;
}
