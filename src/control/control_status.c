#include "control/control_status.h"

#include "base/clock.h"
#include "config/config.h"
#include "control/control_client.h"
#include "deliver/deliverer.h"
#include "deliver/shortcomings.h"
#include "fetch/features.h"
#include "fetch/fetcher.h"
#include "queue/outqueue.h"

#include <stdio.h>
#include <string.h>

static json_t *
count_json(uint64_t count)
{
	return json_integer((json_int_t)(count <= INT64_MAX ? count : INT64_MAX));
}

json_t *
control_status_time(int64_t wall)
{
	char stamp[CLOCK_RFC3339_SIZE];

	return wall != 0 ? json_string(clock_rfc3339(wall, stamp)) : json_null();
}

static json_t *
error_json(int64_t time, enum fail kind, const char *text)
{
	if (time == 0 && kind == FAIL_NONE)
		return json_null();
	return json_pack("{s:o, s:s, s:o}", "time", control_status_time(time), "kind",
	    verdict_kind_name(kind), "text", control_client_text(text != NULL ? text : ""));
}

static json_t *
set_json(unsigned set, const char *(*name)(unsigned one))
{
	json_t *list = json_array();

	for (unsigned one = 1; one <= set; one <<= 1)
		if ((set & one) != 0)
			json_array_append_new(list, json_string(name(one)));
	return list;
}

static json_t *
pop3_json(const struct fetcher_view *view)
{
	json_t *pop3 = json_object();

	json_object_set_new(pop3, "state", control_client_text(view->state));
	json_object_set_new(pop3, "server", control_client_text(view->server));
	json_object_set_new(pop3, "last_attempt", control_status_time(view->last_attempt));
	json_object_set_new(pop3, "last_success", control_status_time(view->last_success));
	json_object_set_new(pop3, "next_attempt", control_status_time(view->next_attempt));
	json_object_set_new(pop3, "failures", count_json(view->failures));
	json_object_set_new(pop3, "failing_since", control_status_time(view->failing_since));
	json_object_set_new(
	    pop3, "last_error", error_json(view->error_time, view->error_kind, view->error_text));
	json_object_set_new(pop3, "fetched", count_json(view->fetched));
	json_object_set_new(pop3, "fetched_octets", count_json(view->fetched_octets));
	json_object_set_new(
	    pop3, "on_server", view->on_server >= 0 ? json_integer(view->on_server) : json_null());
	json_object_set_new(pop3, "skipped_large", count_json(view->skipped_large));
	json_object_set_new(pop3, "expires_after",
	    view->expires_after >= 0 ? json_integer(view->expires_after) : json_null());
	json_object_set_new(pop3, "left_out", set_json(view->left_out, features_name));
	json_object_set_new(
	    pop3, "certificate_expires", control_status_time(view->certificate_end));
	return pop3;
}

static json_t *
smtp_json(const struct deliverer_view *view)
{
	json_t *smtp = json_object();

	json_object_set_new(smtp, "state", control_client_text(view->state));
	json_object_set_new(smtp, "server", control_client_text(view->server));
	json_object_set_new(smtp, "last_attempt", control_status_time(view->last_attempt));
	json_object_set_new(smtp, "last_success", control_status_time(view->last_success));
	json_object_set_new(smtp, "next_attempt", control_status_time(view->next_attempt));
	json_object_set_new(smtp, "failures", count_json(view->failures));
	json_object_set_new(smtp, "failing_since", control_status_time(view->failing_since));
	json_object_set_new(
	    smtp, "last_error", error_json(view->error_time, view->error_kind, view->error_text));
	json_object_set_new(smtp, "sent", count_json(view->sent));
	json_object_set_new(smtp, "sent_octets", count_json(view->sent_octets));
	json_object_set_new(smtp, "queued", count_json(view->queued));
	json_object_set_new(smtp, "left_out", set_json(view->left_out, shortcomings_name));
	json_object_set_new(
	    smtp, "certificate_expires", control_status_time(view->certificate_end));
	return smtp;
}

/* The fetcher keeps the configuration's order, but also accounts that are about to end. */
bool
control_status_fetching(
    const struct fetcher *fetcher, const char *name, size_t near, struct fetcher_view *view)
{
	size_t count = fetcher_count(fetcher);

	for (size_t i = 0; i < count; i++) {
		*view = (struct fetcher_view){.on_server = -1};
		fetcher_view(fetcher, (near + i) % count, view);
		if (view->account != NULL && strcmp(view->account, name) == 0)
			return true;
	}
	return false;
}

bool
control_status_sending(
    const struct deliverer *deliverer, const char *name, size_t near, struct deliverer_view *view)
{
	size_t count = deliverer != NULL ? deliverer_count(deliverer) : 0;

	for (size_t i = 0; i < count; i++) {
		*view = (struct deliverer_view){0};
		deliverer_view(deliverer, (near + i) % count, view);
		if (view->account != NULL && strcmp(view->account, name) == 0)
			return true;
	}
	return false;
}

/*
 * As it is where nothing is sent.  A host that is an IPv6 address stands in brackets (RFC 3986
 * section 3.2.2).
 */
static json_t *
unsent_json(const struct smtp_config *smtp)
{
	struct deliverer_view view = {.state = "disabled"};
	char server[512];
	bool bracket;

	if (smtp == NULL)
		return smtp_json(&view);
	bracket = strchr(smtp->endpoint.host, ':') != NULL;
	snprintf(server, sizeof server, "%s%s%s:%u", bracket ? "[" : "", smtp->endpoint.host,
	    bracket ? "]" : "", (unsigned)smtp->endpoint.port);
	view.state = "idle";
	view.server = server;
	return smtp_json(&view);
}

/* near: where the rooms are likely to list it. */
static json_t *
account_json(const struct fetcher *fetcher, const struct deliverer *deliverer,
    const struct account_config *account, size_t near)
{
	struct fetcher_view fetching;
	struct deliverer_view sending;
	json_t *smtp;

	if (!control_status_fetching(fetcher, account->name, near, &fetching))
		fetching = (struct fetcher_view){.state = "disabled", .on_server = -1};
	if (control_status_sending(deliverer, account->name, near, &sending))
		smtp = smtp_json(&sending);
	else
		smtp = unsent_json(account->smtp);
	return json_pack("{s:o, s:o, s:o}", "name", control_client_text(account->name), "pop3",
	    pop3_json(&fetching), "smtp", smtp);
}

json_t *
control_status_accounts(const struct fetcher *fetcher, const struct deliverer *deliverer,
    const struct config *config, const char *only)
{
	json_t *accounts = json_array();

	for (size_t i = 0; i < config->account_count; i++) {
		const struct account_config *account = &config->accounts[i];

		if (only == NULL || strcmp(account->name, only) == 0)
			json_array_append_new(
			    accounts, account_json(fetcher, deliverer, account, i));
	}
	return accounts;
}

json_t *
control_status_queue(struct deliverer *deliverer)
{
	struct outqueue_totals totals = {0};

	if (deliverer != NULL)
		outqueue_totals(deliverer_queue(deliverer), NULL, &totals);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "messages", count_json(totals.messages),
	    "octets", count_json(totals.octets), "deferred", count_json(totals.deferred), "held",
	    count_json(totals.held), "failed", count_json(totals.failed), "oldest",
	    control_status_time(totals.oldest));
}

/* A session of either side. */
static json_t *
session_json(const char *protocol, const struct deliverer_session_view *view)
{
	json_t *session = json_object();

	json_object_set_new(session, "id", control_client_text(view->id));
	json_object_set_new(session, "account", control_client_text(view->account));
	json_object_set_new(session, "protocol", json_string(protocol));
	json_object_set_new(session, "server", control_client_text(view->server));
	json_object_set_new(session, "state", control_client_text(view->state));
	json_object_set_new(session, "since", control_status_time(view->since));
	json_object_set_new(session, "octets_in", count_json(view->octets_in));
	json_object_set_new(session, "octets_out", count_json(view->octets_out));
	return session;
}

static bool
is_meant(const char *account, const char *only)
{
	return only == NULL || strcmp(account, only) == 0;
}

json_t *
control_status_sessions(
    const struct fetcher *fetcher, const struct deliverer *deliverer, const char *only)
{
	size_t sending = deliverer != NULL ? deliverer_session_count(deliverer) : 0;
	json_t *sessions = json_array();

	for (size_t i = 0; i < fetcher_session_count(fetcher); i++) {
		struct fetcher_session_view view = {0};

		fetcher_session_view(fetcher, i, &view);
		if (!is_meant(view.account, only))
			continue;
		json_array_append_new(
		    sessions, session_json("pop3", &(struct deliverer_session_view){.id = view.id,
						       .account = view.account,
						       .server = view.server,
						       .state = view.state,
						       .since = view.since,
						       .octets_in = view.octets_in,
						       .octets_out = view.octets_out}));
	}
	for (size_t i = 0; i < sending; i++) {
		struct deliverer_session_view view = {0};

		deliverer_session_view(deliverer, i, &view);
		if (is_meant(view.account, only))
			json_array_append_new(sessions, session_json("smtp", &view));
	}
	return sessions;
}

static json_t *
recipients_json(const struct outmessage *message)
{
	static const char *const state[] = {[OUTQUEUE_PENDING] = "pending",
	    [OUTQUEUE_SENT] = "sent",
	    [OUTQUEUE_FAILED] = "failed",
	    [OUTQUEUE_UNKNOWN] = "unknown"};
	json_t *recipients = json_array();

	for (size_t i = 0; i < message->recipient_count; i++) {
		const struct outqueue_recipient *r = &message->recipients[i];
		json_t *recipient = json_object();

		json_object_set_new(recipient, "address", control_client_text(r->address));
		json_object_set_new(recipient, "state", json_string(state[r->state]));
		json_object_set_new(recipient, "reply", control_client_text(r->reply));
		json_array_append_new(recipients, recipient);
	}
	return recipients;
}

/* False once every fate is known, and it only waits to leave. */
static bool
is_to_be_tried(const struct outmessage *message)
{
	for (size_t i = 0; i < message->recipient_count; i++) {
		enum outqueue_state state = message->recipients[i].state;

		if (state == OUTQUEUE_PENDING || state == OUTQUEUE_UNKNOWN)
			return true;
	}
	return false;
}

/* False when the account can be tried at any time: then the message has only itself to wait for. */
static bool
find_trouble(const struct deliverer *deliverer, const struct config *config, const char *account,
    struct deliverer_view *view)
{
	for (size_t i = 0; i < config->account_count; i++) {
		if (strcmp(config->accounts[i].name, account) != 0)
			continue;
		return control_status_sending(deliverer, account, i, view) && view->failures > 0 &&
		       (strcmp(view->state, "backoff") == 0 || strcmp(view->state, "blocked") == 0);
	}
	return false;
}

/* Wall ms; 0: none is due. */
static int64_t
next_attempt(const struct outqueue_row *row, const struct deliverer_view *trouble)
{
	const struct outmessage *m = row->message;

	if (row->held || !is_to_be_tried(m))
		return 0;
	if (trouble != NULL && trouble->next_attempt > m->next_attempt)
		return trouble->next_attempt;
	return m->next_attempt;
}

static const char *
last_error(const struct outqueue_row *row, const struct deliverer_view *trouble)
{
	if (row->last_error != NULL || trouble == NULL || next_attempt(row, trouble) == 0)
		return row->last_error;
	return trouble->error_text;
}

json_t *
control_status_message(
    const struct outqueue_row *row, const struct deliverer *deliverer, const struct config *config)
{
	const struct outmessage *m = row->message;
	struct deliverer_view view, *trouble = NULL;
	json_t *message = json_object();

	if (find_trouble(deliverer, config, m->account, &view))
		trouble = &view;
	json_object_set_new(message, "id", control_client_text(m->id));
	json_object_set_new(message, "name", control_client_text(m->name));
	json_object_set_new(message, "account", control_client_text(m->account));
	json_object_set_new(message, "sender", control_client_text(m->sender));
	json_object_set_new(message, "size", count_json(m->size));
	json_object_set_new(message, "queued", control_status_time(m->queued));
	json_object_set_new(message, "attempts", count_json(m->attempts));
	json_object_set_new(
	    message, "next_attempt", control_status_time(next_attempt(row, trouble)));
	json_object_set_new(message, "held", json_boolean(row->held));
	json_object_set_new(message, "last_error", control_client_text(last_error(row, trouble)));
	json_object_set_new(message, "recipients", recipients_json(m));
	return message;
}
