#include "proto/rfc5322_rewrite.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "proto/rfc5322_address.h"
#include "proto/rfc5322_domain.h"
#include "proto/rfc5322_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void
append_without_cr(const char *p, const char *end, struct str *out)
{
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));
		const char *stop = cr != NULL ? cr : end;

		str_append(out, p, (size_t)(stop - p));
		p = cr != NULL ? cr + 1 : end;
	}
}

void
rfc5322_rewrite_lines(const char *in, size_t len, struct str *out)
{
	const char *p = in, *end = in + len;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf != NULL ? lf : end;

		append_without_cr(p, stop, out);
		if (lf != NULL)
			str_append(out, "\r\n", 2);
		p = lf != NULL ? lf + 1 : end;
	}
}

/*
 * Puts "@domain" behind each address that lacks one.  False, with nothing in out, when the list
 * cannot be read to its end, or would become larger than a header may be.
 */
static bool
complete_addresses(const struct rfc5322_field *field, const char *domain, struct str *out)
{
	enum rfc5322_address_result result;
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;
	size_t done = 0;

	rfc5322_address_begin(&list, field->value, field->value_len);
	while ((result = rfc5322_address_next(&list, &a, &why)) == RFC5322_ADDRESS_GOT) {
		if (a.domain == NULL && !a.is_null) {
			str_append(out, field->value + done, a.local_end - done);
			str_appendf(out, "@%s", domain);
			done = a.local_end;
		}
		rfc5322_address_clear(&a);
		if (out->len > RFC5322_HEADER_MAX)
			break;
	}
	if (result == RFC5322_ADDRESS_END && out->len <= RFC5322_HEADER_MAX) {
		str_append(out, field->value + done, field->value_len - done);
		return true;
	}
	str_truncate(out, 0);
	return false;
}

/* True when the one mailbox of the list is the wanted one already. */
static bool
is_only_mailbox(
    struct rfc5322_address_list *list, const struct rfc5322_address *first, const char *wanted)
{
	struct str is = STR_INIT;
	struct rfc5322_address second = {0};
	struct verdict why;
	bool same;

	rfc5322_address_append(first, &is);
	same = strcasecmp(str_text(&is), wanted) == 0 &&
	       rfc5322_address_next(list, &second, &why) == RFC5322_ADDRESS_END;
	rfc5322_address_clear(&second);
	str_clear(&is);
	return same;
}

/* One mailbox with the given address: the display name of the first there was is kept. */
static void
replace_from(const struct rfc5322_field *field, const char *address, struct str *out)
{
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;

	rfc5322_address_begin(&list, field->value, field->value_len);
	if (rfc5322_address_next(&list, &a, &why) != RFC5322_ADDRESS_GOT)
		str_appendf(out, " %s", address);
	else if (is_only_mailbox(&list, &a, address))
		str_append(out, field->value, field->value_len);
	else if (a.name_end > a.name_start) {
		str_append_char(out, ' ');
		str_append(out, field->value + a.name_start, a.name_end - a.name_start);
		str_appendf(out, " <%s>", address);
	} else {
		str_appendf(out, " %s", address);
	}
	rfc5322_address_clear(&a);
}

static bool
change_value(
    const struct rfc5322_rewrite *rewrite, const struct rfc5322_field *field, struct str *value)
{
	if (field->kind == RFC5322_FROM && rewrite->header_from != NULL) {
		replace_from(field, rewrite->header_from, value);
		return true;
	}
	return rewrite->local_domain != NULL && rfc5322_field_has_addresses(field->kind) &&
	       complete_addresses(field, rewrite->local_domain, value);
}

void
rfc5322_rewrite_field(
    const struct rfc5322_rewrite *rewrite, const struct rfc5322_field *field, struct str *out)
{
	struct str value = STR_INIT;

	if (rfc5322_field_is_private(field->kind))
		return;
	if (change_value(rewrite, field, &value)) {
		str_append(out, field->raw, (size_t)(field->value - field->raw));
		rfc5322_rewrite_lines(str_text(&value), value.len, out);
		str_append(out, "\r\n", 2);
	} else {
		rfc5322_rewrite_lines(field->raw, field->raw_len, out);
	}
	str_clear(&value);
}

char *
rfc5322_rewrite_message_id(int64_t wall, uint64_t random, const char *host)
{
	char stamp[CLOCK_RFC3339_SIZE];
	struct str normal = STR_INIT;
	char *domain = NULL, *id;

	if (host != NULL && rfc5322_domain_normalize(host, &normal) == NULL)
		domain = rfc5322_domain_to_ascii(str_text(&normal));
	clock_compact(wall, stamp);
	id = xasprintf("<%.8s%.6s.%016" PRIx64 "@%s>", stamp, stamp + 9, random,
	    domain != NULL ? domain : "localhost");
	free(domain);
	str_clear(&normal);
	return id;
}
