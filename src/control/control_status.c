#include "control/control_status.h"

#include "base/clock.h"
#include "config/config.h"
#include "control/control_client.h"
#include "fetch/fetcher.h"

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

/* A host that is an IPv6 address stands in brackets (RFC 3986 section 3.2.2). */
static json_t *
server_json(const struct endpoint_config *endpoint)
{
	bool bracket = strchr(endpoint->host, ':') != NULL;
	char server[512];

	snprintf(server, sizeof server, "%s%s%s:%u", bracket ? "[" : "", endpoint->host,
	    bracket ? "]" : "", (unsigned)endpoint->port);
	return control_client_text(server);
}

static json_t *
error_json(const struct fetcher_view *view)
{
	if (view->error_time == 0 && view->error_kind == FAIL_NONE)
		return json_null();
	return json_pack("{s:o, s:s, s:o}", "time", control_status_time(view->error_time), "kind",
	    verdict_kind_name(view->error_kind), "text",
	    control_client_text(view->error_text != NULL ? view->error_text : ""));
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
	json_object_set_new(pop3, "last_error", error_json(view));
	json_object_set_new(pop3, "fetched", count_json(view->fetched));
	json_object_set_new(pop3, "fetched_octets", count_json(view->fetched_octets));
	json_object_set_new(
	    pop3, "on_server", view->on_server >= 0 ? json_integer(view->on_server) : json_null());
	json_object_set_new(pop3, "skipped_large", count_json(view->skipped_large));
	return pop3;
}

static json_t *
smtp_json(const struct account_config *account)
{
	const struct smtp_config *smtp = account->smtp;
	json_t *server = smtp != NULL ? server_json(&smtp->endpoint) : json_null();

	return json_pack("{s:s, s:o, s:n, s:n, s:n, s:i, s:n, s:i, s:i, s:i}", "state",
	    smtp != NULL ? "idle" : "disabled", "server", server, "last_attempt", "last_success",
	    "next_attempt", "failures", 0, "last_error", "sent", 0, "sent_octets", 0, "queued", 0);
}

/* The fetcher keeps the configuration's order, but also accounts that are about to end. */
static bool
find_view(const struct fetcher *fetcher, const char *name, size_t near, struct fetcher_view *view)
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

/* near: where the fetcher is likely to list it. */
static json_t *
account_json(const struct fetcher *fetcher, const struct account_config *account, size_t near)
{
	struct fetcher_view view;

	if (!find_view(fetcher, account->name, near, &view))
		view = (struct fetcher_view){.state = "disabled", .on_server = -1};
	return json_pack("{s:o, s:o, s:o}", "name", control_client_text(account->name), "pop3",
	    pop3_json(&view), "smtp", smtp_json(account));
}

json_t *
control_status_accounts(
    const struct fetcher *fetcher, const struct config *config, const char *only)
{
	json_t *accounts = json_array();

	for (size_t i = 0; i < config->account_count; i++) {
		const struct account_config *account = &config->accounts[i];

		if (only == NULL || strcmp(account->name, only) == 0)
			json_array_append_new(accounts, account_json(fetcher, account, i));
	}
	return accounts;
}

json_t *
control_status_queue(void)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:n}", "messages", 0, "octets", 0, "deferred",
	    0, "held", 0, "failed", 0, "oldest");
}

json_t *
control_status_sessions(const struct fetcher *fetcher)
{
	size_t count = fetcher_session_count(fetcher);
	json_t *sessions = json_array();

	for (size_t i = 0; i < count; i++) {
		struct fetcher_session_view view = {0};
		json_t *session = json_object();

		fetcher_session_view(fetcher, i, &view);
		json_object_set_new(session, "id", control_client_text(view.id));
		json_object_set_new(session, "account", control_client_text(view.account));
		json_object_set_new(session, "protocol", json_string("pop3"));
		json_object_set_new(session, "server", control_client_text(view.server));
		json_object_set_new(session, "state", control_client_text(view.state));
		json_object_set_new(session, "since", control_status_time(view.since));
		json_object_set_new(session, "octets_in", count_json(view.octets_in));
		json_object_set_new(session, "octets_out", count_json(view.octets_out));
		json_array_append_new(sessions, session);
	}
	return sessions;
}
