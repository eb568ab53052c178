#ifndef POSTRIDER_PROBE_PROBE_H
#define POSTRIDER_PROBE_PROBE_H

#include <jansson.h>

struct account_config;

/*
 * A look at the servers of one account: logs in to both, one after the other, with the daemon's
 * own conversations, and tells step by step what was found.  No mail moves: never RETR, DELE or
 * MAIL.  The first step that fails ends its side.  For postriderctl; the daemon does not use it.
 *
 * A step is an object with "step" (its name), "ok", "text" (for people; of a failure: what, where,
 * and the next step), "ms" (it took so long), maybe "details" (further lines for people), with a
 * failure "kind" as in status, and what belongs to the step, for programs.  Whatever a server said
 * is escaped in all of it, and no secret is in it.
 */
struct probe_handler {
	/* A side begins: "pop3" or "smtp"; server is NULL when the account does not have it. */
	void (*side)(const char *protocol, const char *server, void *arg);
	/* The step is borrowed for the call. */
	void (*step)(const json_t *step, void *arg);
	void *arg;
};

/*
 * Blocks, in a loop of its own, until both sides are over.  Returns a new reference:
 * {"ok","account","pop3":{"ok","server","steps":[...]},"smtp":{...}}; a side that the account does
 * not have is ok, its server null, and has no steps.
 */
json_t *probe_account(const struct account_config *account, const struct probe_handler *handler);

#endif
