#include "control/control_event.h"

#include "base/events.h"
#include "base/verdict.h"
#include "control/control_client.h"
#include "control/control_status.h"

#include <string.h>

/* The fields, in the order in which they are told. */
enum field {
	SESSION = 1 << 0,
	PROTOCOL = 1 << 1,
	SERVER = 1 << 2,
	OUTCOME = 1 << 3,
	TROUBLE = 1 << 4, /* kind, text */
	TRAFFIC = 1 << 5, /* fetched, deleted or sent; octets_in, octets_out, seconds */
	UID = 1 << 6,
	MESSAGE = 1 << 7, /* message, name, sender */
	RECIPIENTS = 1 << 8,
	FATE = 1 << 9, /* recipient, reply */
	STATE = 1 << 10,
	TEXT = 1 << 11,
	OCTETS = 1 << 12,
	FILE_NAME = 1 << 13,
	ATTEMPTS = 1 << 14,
	HELD = 1 << 15,
	FAILURES = 1 << 16,
	NEXT_ATTEMPT = 1 << 17,
	ACCOUNTS = 1 << 18
};

static const struct {
	const char *name;
	unsigned fields;
} kinds[] = {
    [HAPPENED_SESSION_START] = {"session-start", SESSION | PROTOCOL | SERVER},
    [HAPPENED_SESSION_END] = {"session-end",
	SESSION | PROTOCOL | SERVER | OUTCOME | TROUBLE | TRAFFIC},
    [HAPPENED_MESSAGE_FETCHED] = {"message-fetched", SESSION | UID | OCTETS | FILE_NAME},
    [HAPPENED_MESSAGE_QUEUED] = {"message-queued", MESSAGE | RECIPIENTS | OCTETS},
    [HAPPENED_MESSAGE_SENT] = {"message-sent",
	SESSION | MESSAGE | RECIPIENTS | FATE | OCTETS | ATTEMPTS},
    [HAPPENED_MESSAGE_DEFERRED] = {"message-deferred", SESSION | MESSAGE | RECIPIENTS | FATE |
							   STATE | TEXT | OCTETS | ATTEMPTS | HELD |
							   NEXT_ATTEMPT},
    [HAPPENED_MESSAGE_FAILED] = {"message-failed",
	SESSION | MESSAGE | RECIPIENTS | FATE | TEXT | OCTETS | ATTEMPTS},
    [HAPPENED_POLL_FAILED] = {"poll-failed",
	SESSION | SERVER | TROUBLE | STATE | FAILURES | NEXT_ATTEMPT},
    [HAPPENED_CONFIG_RELOADED] = {"config-reloaded", ACCOUNTS},
};

static void
set_text(json_t *json, const char *name, const char *text)
{
	json_object_set_new(json, name, control_client_text(text));
}

static void
set_count(json_t *json, const char *name, uint64_t count)
{
	json_object_set_new(json, name, json_integer((json_int_t)count));
}

static const char *
outcome(const struct happening *h)
{
	if (h->stopped)
		return "stopped";
	return h->why->kind == FAIL_NONE ? "ok" : "failed";
}

static void
add_trouble(json_t *json, const struct verdict *why)
{
	bool failed = why->kind != FAIL_NONE;

	set_text(json, "kind", failed ? verdict_kind_name(why->kind) : NULL);
	set_text(json, "text", failed ? why->text : NULL);
}

static void
add_traffic(json_t *json, const struct happening *h)
{
	if (strcmp(h->protocol, "pop3") == 0) {
		set_count(json, "fetched", h->fetched);
		set_count(json, "deleted", h->deleted);
	} else {
		set_count(json, "sent", h->sent);
	}
	set_count(json, "octets_in", h->octets_in);
	set_count(json, "octets_out", h->octets_out);
	json_object_set_new(json, "seconds", json_real((double)h->duration / 1000));
}

static void
add_session(json_t *json, unsigned fields, const struct happening *h)
{
	if ((fields & SESSION) != 0)
		set_text(json, "session", h->session);
	if ((fields & PROTOCOL) != 0)
		set_text(json, "protocol", h->protocol);
	if ((fields & SERVER) != 0)
		set_text(json, "server", h->server);
	if ((fields & OUTCOME) != 0)
		set_text(json, "outcome", outcome(h));
	if ((fields & TROUBLE) != 0)
		add_trouble(json, h->why);
	if ((fields & TRAFFIC) != 0)
		add_traffic(json, h);
	if ((fields & UID) != 0)
		set_text(json, "uid", h->uid);
}

static void
add_message(json_t *json, unsigned fields, const struct happening *h)
{
	if ((fields & MESSAGE) != 0) {
		set_text(json, "message", h->message);
		set_text(json, "name", h->name);
		set_text(json, "sender", h->sender);
	}
	if ((fields & RECIPIENTS) != 0)
		set_count(json, "recipients", h->recipients);
	if ((fields & FATE) != 0) {
		set_text(json, "recipient", h->recipient);
		set_text(json, "reply", h->reply);
	}
	if ((fields & STATE) != 0)
		set_text(json, "state", h->state);
	if ((fields & TEXT) != 0)
		set_text(json, "text", h->text);
	if ((fields & OCTETS) != 0)
		set_count(json, "octets", h->octets);
	if ((fields & FILE_NAME) != 0)
		set_text(json, "file", h->file);
}

static void
add_future(json_t *json, unsigned fields, const struct happening *h)
{
	if ((fields & ATTEMPTS) != 0)
		set_count(json, "attempts", h->attempts);
	if ((fields & HELD) != 0)
		json_object_set_new(json, "held", json_boolean(h->held));
	if ((fields & FAILURES) != 0)
		set_count(json, "failures", h->failures);
	if ((fields & NEXT_ATTEMPT) != 0)
		json_object_set_new(json, "next_attempt", control_status_time(h->next_attempt));
	if ((fields & ACCOUNTS) != 0)
		set_count(json, "accounts", h->accounts);
}

json_t *
control_event_json(const struct happening *h, int64_t now)
{
	unsigned fields = kinds[h->kind].fields;
	json_t *json = json_object();

	json_object_set_new(json, "time", control_status_time(now));
	set_text(json, "event", kinds[h->kind].name);
	set_text(json, "account", h->account);
	add_session(json, fields, h);
	add_message(json, fields, h);
	add_future(json, fields, h);
	return json;
}
