#ifndef POSTRIDER_DELIVER_ROUTE_RECIPIENTS_H
#define POSTRIDER_DELIVER_ROUTE_RECIPIENTS_H

#include "base/str.h"
#include "proto/rfc5322_recipients.h"

#include <stdbool.h>
#include <stddef.h>

struct aliases;

/*
 * Appends to `out` what the recipients, none of them named twice, lead to, each address once.
 * local_domain: bare addresses get it, and those in it go through the aliases; NULL: there is none,
 * and a bare address is an error.  aliases may be NULL.  False with a reason for people appended;
 * `out` is to be cleared either way.
 */
bool route_recipients_expand(const struct aliases *aliases, const char *local_domain,
    const struct rfc5322_address *list, size_t count, struct rfc5322_recipients *out,
    struct str *reason);

#endif
