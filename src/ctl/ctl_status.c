#include "ctl/ctl_status.h"

#include "ctl/ctl_json.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_time.h"

#include <string.h>

/* The loop's lag, ms, from which on a person should know. */
#define LAG_WORTH_SAYING 1000

struct view {
	struct ctl_table *table;
	int64_t now;
	const json_t *sessions; /* NULL: not known */
};

static const char *
or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

static bool
is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (word != NULL && strcmp(word, *list) == 0)
			return true;
	}
	return false;
}

static bool
is_disabled(const json_t *side)
{
	const char *state = ctl_json_text(side, "state");

	return state == NULL || strcmp(state, "disabled") == 0;
}

static bool
is_in_trouble(const json_t *side)
{
	static const char *const waiting[] = {"backoff", "blocked", NULL};

	return json_is_object(json_object_get(side, "last_error")) &&
	       (ctl_json_number(side, "failures") > 0 ||
		   is_one_of(ctl_json_text(side, "state"), waiting));
}

static bool
is_at_rest(const json_t *side)
{
	static const char *const at_rest[] = {"idle", "backoff", "blocked", "disabled", NULL};

	return is_one_of(ctl_json_text(side, "state"), at_rest);
}

static enum ctl_tone
tone_of(const json_t *side)
{
	const char *state = ctl_json_text(side, "state");

	if (state != NULL && strcmp(state, "blocked") == 0)
		return CTL_BAD;
	if (is_in_trouble(side))
		return CTL_WARN;
	return is_disabled(side) ? CTL_PLAIN : CTL_GOOD;
}

static void
add_state(const struct view *v, const json_t *side)
{
	ctl_table_add(
	    v->table, is_disabled(side) ? "-" : ctl_json_text(side, "state"), tone_of(side));
}

static void
add_last(const struct view *v, const json_t *side)
{
	struct str s = STR_INIT;
	int64_t then;

	if (is_disabled(side))
		str_append_char(&s, '-');
	else if (ctl_json_time(side, "last_success", &then))
		ctl_time_append_ago(&s, v->now, then);
	else
		str_append_text(&s, "never");
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_next(const struct view *v, const json_t *side, const char *on_demand)
{
	struct str s = STR_INIT;
	int64_t then;

	if (is_disabled(side))
		str_append_char(&s, '-');
	else if (!is_at_rest(side))
		str_append_text(&s, "running");
	else if (ctl_json_time(side, "next_attempt", &then))
		ctl_time_append_until(&s, v->now, then);
	else
		str_append_text(&s, on_demand);
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_number(const struct view *v, const json_t *object, const char *key)
{
	struct str s = STR_INIT;

	if (json_is_integer(json_object_get(object, key)))
		str_appendf(&s, "%lld", (long long)ctl_json_number(object, key));
	else
		str_append_char(&s, '-');
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_size(const struct view *v, const json_t *object, const char *key)
{
	struct str s = STR_INIT;

	ctl_text_append_size(&s, (uint64_t)ctl_json_number(object, key));
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static const char *
trouble_name(const char *kind)
{
	static const char *const name[][2] = {
	    {"config", "configuration is wrong"},
	    {"network", "network trouble"},
	    {"tls", "TLS trouble"},
	    {"auth", "login refused"},
	    {"protocol", "server does not keep to the protocol"},
	    {"server", "server said no"},
	    {"local", "trouble on this machine"},
	};

	for (size_t i = 0; kind != NULL && i < sizeof name / sizeof name[0]; i++) {
		if (strcmp(kind, name[i][0]) == 0)
			return name[i][1];
	}
	return "trouble";
}

static void
note_trouble(const struct view *v, const json_t *side, const char *doing)
{
	const json_t *error = json_object_get(side, "last_error");
	const char *text = ctl_json_text(error, "text");
	long long failures = ctl_json_number(side, "failures");
	struct str s = STR_INIT;
	int64_t then;

	str_appendf(&s, "%s: %s", doing, trouble_name(ctl_json_text(error, "kind")));
	if (ctl_json_time(error, "time", &then)) {
		str_append_text(&s, ", ");
		ctl_time_append_ago(&s, v->now, then);
	}
	if (failures > 1)
		str_appendf(&s, ", %lld times in a row", failures);
	str_appendf(&s, ": %s", text != NULL ? text : "the daemon does not say more");
	ctl_table_note(v->table, str_text(&s), tone_of(side));
	str_clear(&s);
}

/* What a person does next about an account that no longer tries by itself, or hardly. */
static void
note_next_step(const struct view *v, const char *account, const json_t *side, const char *command)
{
	const char *state = ctl_json_text(side, "state");
	struct str s = STR_INIT;

	if (state == NULL || strcmp(state, "blocked") != 0 || account == NULL)
		return;
	str_appendf(&s, "Once that is mended, try at once: postriderctl %s %s", command, account);
	ctl_table_note(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

/* While it still works, and only when there is little time left. */
static void
note_certificate(const struct view *v, const json_t *side)
{
	const char *server = ctl_json_text(side, "server");
	struct str s = STR_INIT;
	int64_t ends;

	if (!ctl_json_time(side, "certificate_expires", &ends) ||
	    ends - v->now >= CTL_CERTIFICATE_SOON)
		return;
	str_appendf(&s, "The certificate of %s ", server != NULL ? server : "the server");
	if (ends > v->now) {
		str_append_text(&s, "ends ");
		ctl_time_append_until(&s, v->now, ends);
	} else {
		str_append_text(&s, "ended ");
		ctl_time_append_ago(&s, v->now, ends);
	}
	str_append_text(&s, ": tell its administrator");
	ctl_table_note(v->table, str_text(&s), CTL_WARN);
	str_clear(&s);
}

static void
note_side(const struct view *v, const char *account, const json_t *side, const char *doing,
    const char *command)
{
	note_certificate(v, side);
	if (!is_in_trouble(side))
		return;
	note_trouble(v, side, doing);
	note_next_step(v, account, side, command);
}

static void
note_large(const struct view *v, const json_t *pop3)
{
	long long count = ctl_json_number(pop3, "skipped_large");
	struct str s = STR_INIT;

	if (count == 0)
		return;
	str_appendf(&s, "%lld message%s larger than max_size stay%s on the server", count,
	    count == 1 ? "" : "s", count == 1 ? "s" : "");
	ctl_table_note(v->table, str_text(&s), CTL_WARN);
	str_clear(&s);
}

static void
note_expiry(const struct view *v, const json_t *pop3)
{
	long long days = ctl_json_number(pop3, "expires_after");
	struct str s = STR_INIT;

	if (!json_is_integer(json_object_get(pop3, "expires_after")))
		return;
	if (days == 0)
		str_append_text(&s, "The server deletes what was fetched, whatever keep says");
	else
		str_appendf(&s, "The server deletes mail after %lld day%s, sooner than keep says",
		    days, days == 1 ? "" : "s");
	ctl_table_note(v->table, str_text(&s), CTL_WARN);
	str_clear(&s);
}

static void
note_left_out(const struct view *v, const json_t *side)
{
	const json_t *list = json_object_get(side, "left_out"), *item;
	struct str s = STR_INIT;
	size_t i;

	json_array_foreach(list, i, item)
	{
		str_append_text(&s, i == 0 ? "Left out, for the server breaks on it: " : ", ");
		if (json_is_string(item))
			str_append_text(&s, json_string_value(item));
	}
	if (s.len > 0)
		ctl_table_note(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
note_queued(const struct view *v, const json_t *smtp)
{
	long long count = ctl_json_number(smtp, "queued");
	struct str s = STR_INIT;
	int64_t then;

	if (count == 0)
		return;
	str_appendf(&s, "%lld message%s ", count, count == 1 ? "" : "s");
	if (!is_at_rest(smtp)) {
		str_append_text(&s, "in the queue, sending now");
	} else {
		str_append_text(&s, "waiting to be sent");
		if (ctl_json_time(smtp, "next_attempt", &then)) {
			str_append_text(&s, ", next attempt ");
			ctl_time_append_until(&s, v->now, then);
		}
	}
	ctl_table_note(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

/* What is under way for the account, with how far it has come. */
static void
note_sessions(const struct view *v, const char *account)
{
	const json_t *session;
	size_t i;

	json_array_foreach(v->sessions, i, session)
	{
		const char *of = ctl_json_text(session, "account");
		const char *protocol = ctl_json_text(session, "protocol");
		bool fetches = protocol != NULL && strcmp(protocol, "pop3") == 0;
		struct str s = STR_INIT;
		int64_t then;

		if (of == NULL || account == NULL || strcmp(of, account) != 0)
			continue;
		str_appendf(&s, "session %s: %s", or_dash(ctl_json_text(session, "id")),
		    or_dash(ctl_json_text(session, "state")));
		if (ctl_json_time(session, "since", &then) && v->now > then) {
			str_append_text(&s, " for ");
			ctl_time_append_span(&s, v->now - then);
		}
		str_append_text(&s, ", ");
		ctl_text_append_size(
		    &s, (uint64_t)ctl_json_number(session, fetches ? "octets_in" : "octets_out"));
		str_append_text(&s, fetches ? " in" : " out");
		ctl_table_note(v->table, str_text(&s), CTL_GOOD);
		str_clear(&s);
	}
}

static void
add_account(const struct view *v, const json_t *account)
{
	const json_t *pop3 = json_object_get(account, "pop3");
	const json_t *smtp = json_object_get(account, "smtp");
	const json_t *sender = is_disabled(smtp) ? NULL : smtp;
	bool fetches = !is_disabled(pop3);
	const char *name = ctl_json_text(account, "name");

	ctl_table_add(v->table, name, CTL_PLAIN);
	add_state(v, pop3);
	add_last(v, fetches ? pop3 : smtp);
	add_next(v, fetches ? pop3 : smtp, fetches ? "on demand" : "-");
	add_number(v, pop3, "fetched");
	add_size(v, pop3, "fetched_octets");
	add_number(v, pop3, "on_server");
	add_state(v, smtp);
	add_number(v, sender, "sent");
	add_number(v, sender, "queued");
	ctl_table_add(v->table, ctl_json_text(pop3, "server"), CTL_PLAIN);
	ctl_table_add(v->table, ctl_json_text(smtp, "server"), CTL_PLAIN);
	note_sessions(v, name);
	note_side(v, name, pop3, "fetching", "poll");
	note_large(v, pop3);
	note_expiry(v, pop3);
	note_left_out(v, pop3);
	note_side(v, name, smtp, "sending", "flush");
	note_left_out(v, smtp);
	note_queued(v, smtp);
}

static void
append_heading(struct str *s, const json_t *answer, const struct ctl_screen *screen)
{
	const char *version = ctl_json_text(answer, "version");
	const char *state = ctl_json_text(answer, "state");

	str_append_text(s, "postriderd ");
	ctl_text_append(s, version != NULL ? version : "-", screen->ascii);
	str_append_text(s, " is ");
	ctl_text_append(s, state != NULL ? state : "there", screen->ascii);
	str_appendf(s, ", process %lld, up ", (long long)ctl_json_number(answer, "pid"));
	ctl_time_append_span(s, ctl_json_number(answer, "uptime") * 1000);
	str_append_char(s, '\n');
}

static void
append_queue(struct str *s, const json_t *queue)
{
	long long messages = ctl_json_number(queue, "messages"),
		  failed = ctl_json_number(queue, "failed");

	if (messages > 0) {
		str_appendf(s, "queue: %lld message%s, ", messages, messages == 1 ? "" : "s");
		ctl_text_append_size(s, (uint64_t)ctl_json_number(queue, "octets"));
		str_appendf(s, ", %lld deferred, %lld held\n",
		    (long long)ctl_json_number(queue, "deferred"),
		    (long long)ctl_json_number(queue, "held"));
	}
	if (failed > 0)
		str_appendf(s, "failed: %lld message%s\n", failed, failed == 1 ? "" : "s");
}

static void
append_lag(struct str *s, const json_t *loop)
{
	long long lag = ctl_json_number(loop, "lag_max_ms");

	if (lag >= LAG_WORTH_SAYING)
		str_appendf(s, "the daemon was once held up for %.1f s\n", (double)lag / 1000);
}

void
ctl_status_append(struct str *s, const json_t *answer, const struct ctl_screen *screen, int64_t now)
{
	static const struct ctl_column columns[] = {{"ACCOUNT", false}, {"FETCHING", false},
	    {"LAST WORKED", false}, {"NEXT", false}, {"FETCHED", true}, {"SIZE", true},
	    {"LEFT", true}, {"SENDING", false}, {"SENT", true}, {"QUEUED", true},
	    {"POP3 SERVER", false}, {"SMTP SERVER", false}};
	static const unsigned ranks[] = {0, 0, 0, 0, 2, 4, 3, 0, 1, 0, 6, 5};
	struct view v = {ctl_table_new(columns, sizeof columns / sizeof columns[0], screen), now,
	    json_object_get(answer, "sessions")};
	const json_t *accounts = json_object_get(answer, "accounts");
	const json_t *account;
	size_t i;

	for (size_t column = 0; column < sizeof ranks / sizeof ranks[0]; column++)
		ctl_table_spare(v.table, column, ranks[column]);
	append_heading(s, answer, screen);
	json_array_foreach(accounts, i, account) add_account(&v, account);
	if (json_array_size(accounts) > 0)
		ctl_table_append(v.table, s);
	else
		str_append_text(s, "no account is configured\n");
	append_queue(s, json_object_get(answer, "queue"));
	append_lag(s, json_object_get(answer, "loop"));
	ctl_table_free(&v.table);
}

static void
add_session(const struct view *v, const json_t *session)
{
	struct str since = STR_INIT;
	int64_t then;

	ctl_table_add(v->table, ctl_json_text(session, "account"), CTL_PLAIN);
	ctl_table_add(v->table, ctl_json_text(session, "id"), CTL_PLAIN);
	ctl_table_add(v->table, ctl_json_text(session, "protocol"), CTL_PLAIN);
	ctl_table_add(v->table, ctl_json_text(session, "server"), CTL_PLAIN);
	ctl_table_add(v->table, ctl_json_text(session, "state"), CTL_GOOD);
	if (ctl_json_time(session, "since", &then))
		ctl_time_append_span(&since, v->now > then ? v->now - then : 0);
	ctl_table_add(v->table, since.len > 0 ? str_text(&since) : NULL, CTL_PLAIN);
	str_clear(&since);
	add_size(v, session, "octets_in");
	add_size(v, session, "octets_out");
}

void
ctl_status_append_sessions(
    struct str *s, const json_t *answer, const struct ctl_screen *screen, int64_t now)
{
	static const struct ctl_column columns[] = {{"ACCOUNT", false}, {"SESSION", false},
	    {"PROTOCOL", false}, {"SERVER", false}, {"STATE", false}, {"FOR", true}, {"IN", true},
	    {"OUT", true}};
	struct view v = {
	    ctl_table_new(columns, sizeof columns / sizeof columns[0], screen), now, NULL};
	const json_t *sessions = json_object_get(answer, "sessions");
	const json_t *session;
	size_t i;

	json_array_foreach(sessions, i, session) add_session(&v, session);
	if (json_array_size(sessions) > 0)
		ctl_table_append(v.table, s);
	else
		str_append_text(s, "no session is running\n");
	ctl_table_free(&v.table);
}
