#ifndef POSTRIDER_DELIVER_ROUTE_H
#define POSTRIDER_DELIVER_ROUTE_H

#include "base/str.h"
#include "queue/outqueue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aliases;
struct config;
struct envelope_request;

/*
 * From what a message asks for to who sends it, as whom and to whom: a pure function.
 *
 * Account: X-Postrider-Account; else the one that claims the From address, as a whole before by its
 * domain; else, or without From, the default account.
 *
 * Sender: X-Postrider-Sender, smtp.from, Sender, From, the account's first full address; the first
 * of them that is there.
 *
 * Recipients: those of the request.  With `local`, those in the local domain go through the
 * aliases, and what these lead to as well; each address comes once.  An alias that names itself
 * means the mailbox of that name.
 */

/* Owned; zeroed memory is empty, route_clear() ends it. */
struct route {
	char *account;
	char *sender; /* reverse-path, "" is the null sender */
	char *
	    *recipients; /* NULL-terminated, at least one; domains as they are kept, not A-labels */
	size_t recipient_count;
	int64_t not_before; /* wall ms, 0: now */
};

void route_clear(struct route *route);

/*
 * False with a reason for people appended (escaped, one line without its end), and an empty route:
 * the message is to be rejected.  aliases may be NULL: every address stands for itself.
 *
 * Costs a few microseconds a recipient, the alias's targets included; no more than ROUTE_STEPS_MAX
 * of these are looked at.
 */
enum { ROUTE_STEPS_MAX = 100000 };
bool route_message(const struct config *config, const struct aliases *aliases,
    const struct envelope_request *request, struct route *route, struct str *reason);

/* What outqueue_admit() wants; borrows from the route and the id. */
struct outqueue_admission route_admission(const struct route *route, const char *id);

#endif
