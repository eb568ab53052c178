#include "proto/rfc5322_recipients.h"

#include "base/xalloc.h"
#include "proto/rfc5322_domain.h"

#include <stdlib.h>
#include <string.h>

void
rfc5322_recipients_clear(struct rfc5322_recipients *recipients)
{
	for (size_t i = 0; i < recipients->count; i++)
		rfc5322_address_clear(&recipients->list[i]);
	free(recipients->list);
	*recipients = (struct rfc5322_recipients){0};
}

static bool
complain(struct rfc5322_recipients *r, const struct rfc5322_field *field, const char *what,
    const char *why)
{
	return verdict_fail(&r->problem, FAIL_LOCAL, "header", "line %u, %.*s: %s%s", field->line,
	    (int)(field->name_len < 64 ? field->name_len : 64), field->name, what, why);
}

/* Takes the address over, or tells why it is none to send to. */
static bool
add_address(struct rfc5322_recipients *r, const struct rfc5322_field *field,
    struct rfc5322_address *a, const char *local_domain)
{
	char shown[160];

	if (a->is_null)
		return complain(r, field, "", "<> is nobody's address");
	if (a->domain == NULL && local_domain == NULL)
		return complain(r, field,
		    str_escape(shown, sizeof shown, a->local, strlen(a->local)), ": has no domain");
	if (r->count == RFC5322_RECIPIENTS_MAX)
		return complain(r, field, "", "more recipients than one message may have");
	if (a->domain == NULL)
		a->domain = xstrdup(local_domain);
	if (r->count == r->capacity) {
		r->capacity = r->capacity > 0 ? 2 * r->capacity : 4;
		r->list = xreallocarray(r->list, r->capacity, sizeof *r->list);
	}
	r->list[r->count++] = *a;
	*a = (struct rfc5322_address){0};
	return true;
}

void
rfc5322_recipients_add(struct rfc5322_recipients *recipients, const struct rfc5322_field *field,
    const char *local_domain)
{
	enum rfc5322_address_result result = RFC5322_ADDRESS_GOT;
	struct rfc5322_address_list list;
	struct rfc5322_address address;
	struct verdict why = VERDICT_OK;
	bool fits = recipients->problem.kind == FAIL_NONE;

	recipients->is_present = true;
	rfc5322_address_begin(&list, field->value, field->value_len);
	while (fits && result == RFC5322_ADDRESS_GOT) {
		result = rfc5322_address_next(&list, &address, &why);
		if (result == RFC5322_ADDRESS_GOT)
			fits = add_address(recipients, field, &address, local_domain);
		else if (result == RFC5322_ADDRESS_BAD)
			complain(recipients, field, "", why.text);
		rfc5322_address_clear(&address);
	}
}

struct sorted {
	char *key;
	size_t index;
};

static int
compare_sorted(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* Two addresses are the same mailbox exactly when their keys are the same octets. */
static char *
make_key(const struct rfc5322_address *a)
{
	char *domain = rfc5322_domain_to_ascii(a->domain), *key;

	for (char *p = domain; p != NULL && *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
	}
	key = xasprintf("%s@%s", a->local, domain != NULL ? domain : a->domain);
	free(domain);
	return key;
}

static void
drop_doubles(struct rfc5322_recipients *r, const struct sorted *sorted)
{
	size_t kept = 0;

	for (size_t i = 1; i < r->count; i++) {
		if (strcmp(sorted[i - 1].key, sorted[i].key) == 0)
			rfc5322_address_clear(&r->list[sorted[i].index]);
	}
	for (size_t i = 0; i < r->count; i++) {
		if (r->list[i].local != NULL)
			r->list[kept++] = r->list[i];
	}
	r->count = kept;
}

void
rfc5322_recipients_unify(struct rfc5322_recipients *recipients)
{
	size_t count = recipients->count;
	struct sorted *sorted;

	if (count < 2)
		return;
	sorted = xcalloc(count, sizeof *sorted);
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct sorted){make_key(&recipients->list[i]), i};
	qsort(sorted, count, sizeof *sorted, compare_sorted);
	drop_doubles(recipients, sorted);
	for (size_t i = 0; i < count; i++)
		free(sorted[i].key);
	free(sorted);
}
