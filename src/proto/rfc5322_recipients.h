#ifndef POSTRIDER_PROTO_RFC5322_RECIPIENTS_H
#define POSTRIDER_PROTO_RFC5322_RECIPIENTS_H

#include "base/verdict.h"
#include "proto/rfc5322_address.h"
#include "proto/rfc5322_field.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Recipients collected from several fields.  Zeroed memory begins it, rfc5322_recipients_clear()
 * ends it.  The first trouble is kept, not told: whether it matters depends on fields to come.
 */
enum { RFC5322_RECIPIENTS_MAX = 50000 };

struct rfc5322_recipients {
	struct rfc5322_address *list;
	size_t count;
	size_t capacity;
	bool is_present;        /* a field was there, even if it names nobody */
	struct verdict problem; /* FAIL_NONE: every address could be read */
};

void rfc5322_recipients_clear(struct rfc5322_recipients *recipients);

/*
 * Adds the addresses of a field.  A bare one gets the local domain (normalized); when that is NULL
 * it is a problem, as is the null address.
 */
void rfc5322_recipients_add(struct rfc5322_recipients *recipients,
    const struct rfc5322_field *field, const char *local_domain);

/* Leaves each address once, where it was named first (rfc5322_address_equal). */
void rfc5322_recipients_unify(struct rfc5322_recipients *recipients);

#endif
