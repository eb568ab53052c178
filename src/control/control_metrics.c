#include "control/control_metrics.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "control/control_private.h"
#include "control/control_status.h"
#include "deliver/deliverer.h"
#include "fetch/fetcher.h"
#include "queue/outqueue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a field of a view holds. */
enum shape {
	COUNT,       /* uint64_t */
	SMALL_COUNT, /* unsigned */
	MAYBE,       /* int64_t, negative: not known, and then there is no sample */
	MOMENT       /* int64_t, wall ms */
};

struct family {
	const char *name; /* of a counter, and of nothing else, it ends in _total */
	enum shape shape;
	size_t offset; /* in the view */
	const char *help;
};

#define FETCHING(field) offsetof(struct fetcher_view, field)
#define SENDING(field)  offsetof(struct deliverer_view, field)

static const struct family fetching_families[] = {
    {"postrider_fetched_messages_total", COUNT, FETCHING(fetched), "Messages stored."},
    {"postrider_fetched_octets_total", COUNT, FETCHING(fetched_octets), "Octets stored."},
    {"postrider_polls_total", COUNT, FETCHING(polls), "Polls since the daemon started."},
    {"postrider_polls_failed_total", COUNT, FETCHING(polls_failed),
	"Polls since the daemon started that failed."},
    {"postrider_poll_failures", SMALL_COUNT, FETCHING(failures),
	"Polls in a row that have failed, up to the last one."},
    {"postrider_poll_last_attempt_timestamp_seconds", MOMENT, FETCHING(last_attempt),
	"When the last poll began, 0 for never."},
    {"postrider_poll_last_success_timestamp_seconds", MOMENT, FETCHING(last_success),
	"When a poll last went well, 0 for never."},
    {"postrider_poll_next_attempt_timestamp_seconds", MOMENT, FETCHING(next_attempt),
	"When the next poll is due, 0 when none is."},
    {"postrider_server_messages", MAYBE, FETCHING(on_server),
	"Messages left on the server after the last poll, where that is known."},
    {"postrider_server_skipped_large_messages", COUNT, FETCHING(skipped_large),
	"Messages that stay on the server because they are larger than max_size."},
};

static const struct family sending_families[] = {
    {"postrider_sent_messages_total", COUNT, SENDING(sent), "Messages sent."},
    {"postrider_sent_octets_total", COUNT, SENDING(sent_octets), "Octets of messages sent."},
    {"postrider_send_sessions_total", COUNT, SENDING(sessions),
	"SMTP sessions that ended since the daemon started."},
    {"postrider_send_sessions_failed_total", COUNT, SENDING(sessions_failed),
	"SMTP sessions since the daemon started that failed."},
    {"postrider_send_failures", SMALL_COUNT, SENDING(failures),
	"SMTP sessions in a row that have failed, up to the last one."},
    {"postrider_send_last_attempt_timestamp_seconds", MOMENT, SENDING(last_attempt),
	"When the last SMTP session began, 0 for never."},
    {"postrider_send_last_success_timestamp_seconds", MOMENT, SENDING(last_success),
	"When an SMTP session last went well, 0 for never."},
    {"postrider_send_next_attempt_timestamp_seconds", MOMENT, SENDING(next_attempt),
	"When the next attempt is due, 0 when none is."},
    {"postrider_send_queued_messages", COUNT, SENDING(queued),
	"Messages that wait for this account."},
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* An account with the sides that it has. */
struct account_row {
	const char *name;
	bool fetches, sends;
	struct fetcher_view fetching;
	struct deliverer_view sending;
};

static bool
is_counter(const char *name)
{
	static const char end[] = "_total";
	size_t len = strlen(name);

	return len >= sizeof end - 1 && strcmp(name + len - (sizeof end - 1), end) == 0;
}

static void
append_head(struct str *s, const char *name, const char *help)
{
	str_appendf(s, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	    is_counter(name) ? "counter" : "gauge");
}

/* name="value" */
static void
append_label(struct str *s, const char *name, const char *value)
{
	str_appendf(s, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			str_append_text(s, "\\n");
		else if (*value == '\\' || *value == '"')
			str_appendf(s, "\\%c", *value);
		else
			str_append_char(s, *value);
	}
	str_append_char(s, '"');
}

/* label: NULL for none. */
static void
append_name(struct str *s, const char *name, const char *label, const char *value)
{
	str_append_text(s, name);
	if (label == NULL)
		return;
	str_append_char(s, '{');
	append_label(s, label, value);
	str_append_char(s, '}');
}

static void
append_seconds(struct str *s, int64_t ms)
{
	str_appendf(s, " %" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

static void
append_count(struct str *s, uint64_t count)
{
	str_appendf(s, " %" PRIu64 "\n", count);
}

/* -- accounts -----------------------------------------------------------------------------------
 */

static void
append_sample(struct str *s, const struct family *family, const char *account, const void *view)
{
	const void *field = (const char *)view + family->offset;

	if (family->shape == MAYBE && *(const int64_t *)field < 0)
		return;
	append_name(s, family->name, "account", account);
	switch (family->shape) {
	case COUNT:
		append_count(s, *(const uint64_t *)field);
		break;
	case SMALL_COUNT:
		append_count(s, *(const unsigned *)field);
		break;
	case MAYBE:
		append_count(s, (uint64_t) * (const int64_t *)field);
		break;
	case MOMENT:
		append_seconds(s, *(const int64_t *)field);
		break;
	}
}

/* name{account="...",label="value"} 1 */
static void
append_fact(
    struct str *s, const char *name, const char *account, const char *label, const char *value)
{
	str_appendf(s, "%s{", name);
	append_label(s, "account", account);
	str_append_char(s, ',');
	append_label(s, label, value);
	str_append_text(s, "} 1\n");
}

static void
append_fetching(struct str *s, const struct account_row *rows, size_t count)
{
	for (size_t f = 0; f < LENGTH(fetching_families); f++) {
		append_head(s, fetching_families[f].name, fetching_families[f].help);
		for (size_t i = 0; i < count; i++)
			if (rows[i].fetches)
				append_sample(
				    s, &fetching_families[f], rows[i].name, &rows[i].fetching);
	}
	append_head(s, "postrider_poll_state", "The state of the fetching side.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].fetches)
			append_fact(s, "postrider_poll_state", rows[i].name, "state",
			    rows[i].fetching.state);
	append_head(s, "postrider_poll_trouble", "The kind of trouble that the last poll met.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].fetches && rows[i].fetching.error_kind != FAIL_NONE)
			append_fact(s, "postrider_poll_trouble", rows[i].name, "kind",
			    verdict_kind_name(rows[i].fetching.error_kind));
}

static void
append_sending(struct str *s, const struct account_row *rows, size_t count)
{
	for (size_t f = 0; f < LENGTH(sending_families); f++) {
		append_head(s, sending_families[f].name, sending_families[f].help);
		for (size_t i = 0; i < count; i++)
			if (rows[i].sends)
				append_sample(
				    s, &sending_families[f], rows[i].name, &rows[i].sending);
	}
	append_head(s, "postrider_send_state", "The state of the sending side.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].sends)
			append_fact(s, "postrider_send_state", rows[i].name, "state",
			    rows[i].sending.state);
	append_head(
	    s, "postrider_send_trouble", "The kind of trouble that the last SMTP session met.");
	for (size_t i = 0; i < count; i++)
		if (rows[i].sends && rows[i].sending.error_kind != FAIL_NONE)
			append_fact(s, "postrider_send_trouble", rows[i].name, "kind",
			    verdict_kind_name(rows[i].sending.error_kind));
}

static void
append_accounts(struct str *s, const struct control *control)
{
	const struct config *config = control->config;
	const struct control_settings *rooms = &control->settings;
	struct account_row *rows = xcalloc(config->account_count + 1, sizeof *rows);

	for (size_t i = 0; i < config->account_count; i++) {
		const struct account_config *account = &config->accounts[i];
		struct account_row *row = &rows[i];

		row->name = account->name;
		row->fetches = account->pop3 != NULL && control_status_fetching(rooms->fetcher,
							    account->name, i, &row->fetching);
		row->sends = account->smtp != NULL && control_status_sending(rooms->deliverer,
							  account->name, i, &row->sending);
	}
	append_fetching(s, rows, config->account_count);
	append_sending(s, rows, config->account_count);
	free(rows);
}

/* -- the rest -----------------------------------------------------------------------------------
 */

static void
append_total(struct str *s, const char *name, const char *help, uint64_t value)
{
	append_head(s, name, help);
	append_name(s, name, NULL, NULL);
	append_count(s, value);
}

static void
append_time(struct str *s, const char *name, const char *help, int64_t ms)
{
	append_head(s, name, help);
	append_name(s, name, NULL, NULL);
	append_seconds(s, ms > 0 ? ms : 0);
}

static void
append_queue(struct str *s, const struct control *control)
{
	struct deliverer *deliverer = control->settings.deliverer;
	struct outqueue_totals t = {0};

	if (deliverer != NULL)
		outqueue_totals(deliverer_queue(deliverer), NULL, &t);
	append_total(s, "postrider_queue_messages", "Messages in the queue.", t.messages);
	append_total(s, "postrider_queue_octets", "Octets of the messages in the queue.", t.octets);
	append_total(s, "postrider_queue_deferred_messages",
	    "Messages in the queue that were tried before and are not held.", t.deferred);
	append_total(
	    s, "postrider_queue_held_messages", "Messages in the queue that are held.", t.held);
	append_total(
	    s, "postrider_failed_messages", "Messages in the spool's failed/ directory.", t.failed);
	append_time(s, "postrider_queue_oldest_age_seconds",
	    "Age of the oldest message in the queue, 0 when there is none.",
	    t.oldest != 0 ? clock_wall() - t.oldest : 0);
}

static void
append_sessions(struct str *s, const struct control *control)
{
	static const char name[] = "postrider_sessions";
	struct deliverer *deliverer = control->settings.deliverer;

	append_head(s, name, "Sessions with servers running now.");
	append_name(s, name, "protocol", "pop3");
	append_count(s, fetcher_session_count(control->settings.fetcher));
	append_name(s, name, "protocol", "smtp");
	append_count(s, deliverer != NULL ? deliverer_session_count(deliverer) : 0);
}

static size_t
count_watchers(const struct control *control)
{
	const struct client_entry *entry;
	size_t count = 0;

	TAILQ_FOREACH (entry, &control->clients, link)
		count += control_client_is_watching(entry->client);
	return count;
}

static void
append_daemon(struct str *s, const struct control *control)
{
	const struct control_settings *settings = &control->settings;

	append_total(s, "postrider_control_clients", "Clients of the control socket.",
	    control->client_count);
	append_total(s, "postrider_control_watchers",
	    "Clients of the control socket that are told of events.", count_watchers(control));
	append_total(
	    s, "postrider_stopping", "1 once the daemon has begun to stop.", control->stopping);
	append_time(s, "postrider_loop_lag_max_seconds",
	    "The longest time that the event loop has been late.",
	    settings->calls->lag_max_ms(settings->arg));
	append_time(
	    s, "postrider_start_time_seconds", "When the daemon was started.", settings->started);
	append_head(s, "postrider_build_info", "The version of the daemon.");
	append_name(s, "postrider_build_info", "version", settings->version);
	append_count(s, 1);
}

void
control_metrics_append(struct str *s, const struct control *control)
{
	append_accounts(s, control);
	append_queue(s, control);
	append_sessions(s, control);
	append_daemon(s, control);
}
