#include "ctl/ctl_status.h"

#include "ctl/ctl_table.h"
#include "ctl/ctl_time.h"

#include <string.h>

/* The loop's lag, ms, from which on a person should know. */
#define LAG_WORTH_SAYING 1000

struct view {
	struct ctl_table *table;
	int64_t now;
};

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_int_t
number_of(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? number : 0;
}

static bool
time_of(const json_t *object, const char *key, int64_t *wall)
{
	const char *text = text_of(object, key);

	return text != NULL && ctl_time_parse(text, wall);
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
	const char *state = text_of(side, "state");

	return state == NULL || strcmp(state, "disabled") == 0;
}

static bool
is_in_trouble(const json_t *side)
{
	static const char *const waiting[] = {"backoff", "blocked", NULL};

	return json_is_object(json_object_get(side, "last_error")) &&
	       (number_of(side, "failures") > 0 || is_one_of(text_of(side, "state"), waiting));
}

static enum ctl_tone
tone_of(const json_t *side)
{
	const char *state = text_of(side, "state");

	if (state != NULL && strcmp(state, "blocked") == 0)
		return CTL_BAD;
	if (is_in_trouble(side))
		return CTL_WARN;
	return is_disabled(side) ? CTL_PLAIN : CTL_GOOD;
}

static void
add_state(const struct view *v, const json_t *pop3, const json_t *smtp)
{
	const char *state = text_of(pop3, "state");

	if (is_disabled(pop3))
		state = is_disabled(smtp) ? "disabled" : "sends only";
	ctl_table_add(v->table, state, tone_of(pop3));
}

static void
add_last(const struct view *v, const json_t *pop3)
{
	struct str s = STR_INIT;
	int64_t then;

	if (is_disabled(pop3))
		str_append_char(&s, '-');
	else if (time_of(pop3, "last_success", &then))
		ctl_time_append_ago(&s, v->now, then);
	else
		str_append_text(&s, "never");
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_next(const struct view *v, const json_t *pop3)
{
	static const char *const at_rest[] = {"idle", "backoff", "blocked", NULL};
	struct str s = STR_INIT;
	int64_t then;

	if (is_disabled(pop3))
		str_append_char(&s, '-');
	else if (!is_one_of(text_of(pop3, "state"), at_rest))
		str_append_text(&s, "running");
	else if (time_of(pop3, "next_attempt", &then))
		ctl_time_append_until(&s, v->now, then);
	else
		str_append_text(&s, "on demand");
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_number(const struct view *v, const json_t *object, const char *key)
{
	struct str s = STR_INIT;

	if (json_is_integer(json_object_get(object, key)))
		str_appendf(&s, "%lld", (long long)number_of(object, key));
	else
		str_append_char(&s, '-');
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_size(const struct view *v, const json_t *object, const char *key)
{
	struct str s = STR_INIT;

	ctl_text_append_size(&s, (uint64_t)number_of(object, key));
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
	const char *text = text_of(error, "text");
	long long failures = number_of(side, "failures");
	struct str s = STR_INIT;
	int64_t then;

	str_appendf(&s, "%s: %s", doing, trouble_name(text_of(error, "kind")));
	if (time_of(error, "time", &then)) {
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
note_next_step(const struct view *v, const char *account, const json_t *side)
{
	const char *state = text_of(side, "state");
	struct str s = STR_INIT;

	if (state == NULL || strcmp(state, "blocked") != 0 || account == NULL)
		return;
	str_appendf(&s, "Once that is mended, try at once: postriderctl poll %s", account);
	ctl_table_note(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
note_large(const struct view *v, const json_t *pop3)
{
	long long count = number_of(pop3, "skipped_large");
	struct str s = STR_INIT;

	if (count == 0)
		return;
	str_appendf(&s, "%lld message%s larger than max_size stay%s on the server", count,
	    count == 1 ? "" : "s", count == 1 ? "s" : "");
	ctl_table_note(v->table, str_text(&s), CTL_WARN);
	str_clear(&s);
}

static void
note_queued(const struct view *v, const json_t *smtp)
{
	long long count = number_of(smtp, "queued");
	struct str s = STR_INIT;

	if (count == 0)
		return;
	str_appendf(&s, "%lld message%s waiting to be sent", count, count == 1 ? "" : "s");
	ctl_table_note(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_account(const struct view *v, const json_t *account)
{
	const json_t *pop3 = json_object_get(account, "pop3");
	const json_t *smtp = json_object_get(account, "smtp");
	const char *name = text_of(account, "name");

	ctl_table_add(v->table, name, CTL_PLAIN);
	add_state(v, pop3, smtp);
	add_last(v, pop3);
	add_next(v, pop3);
	add_number(v, pop3, "fetched");
	add_size(v, pop3, "fetched_octets");
	add_number(v, pop3, "on_server");
	if (is_in_trouble(pop3)) {
		note_trouble(v, pop3, "fetching");
		note_next_step(v, name, pop3);
	}
	note_large(v, pop3);
	if (is_in_trouble(smtp))
		note_trouble(v, smtp, "sending");
	note_queued(v, smtp);
}

static void
append_heading(struct str *s, const json_t *answer, const struct ctl_screen *screen)
{
	const char *version = text_of(answer, "version");
	const char *state = text_of(answer, "state");

	str_append_text(s, "postriderd ");
	ctl_text_append(s, version != NULL ? version : "-", screen->ascii);
	str_append_text(s, " is ");
	ctl_text_append(s, state != NULL ? state : "there", screen->ascii);
	str_appendf(s, ", process %lld, up ", (long long)number_of(answer, "pid"));
	ctl_time_append_span(s, number_of(answer, "uptime") * 1000);
	str_append_char(s, '\n');
}

static void
append_queue(struct str *s, const json_t *queue)
{
	long long messages = number_of(queue, "messages"), failed = number_of(queue, "failed");

	if (messages > 0) {
		str_appendf(s, "queue: %lld message%s, ", messages, messages == 1 ? "" : "s");
		ctl_text_append_size(s, (uint64_t)number_of(queue, "octets"));
		str_appendf(s, ", %lld deferred, %lld held\n",
		    (long long)number_of(queue, "deferred"), (long long)number_of(queue, "held"));
	}
	if (failed > 0)
		str_appendf(s, "failed: %lld message%s\n", failed, failed == 1 ? "" : "s");
}

static void
append_lag(struct str *s, const json_t *loop)
{
	long long lag = number_of(loop, "lag_max_ms");

	if (lag >= LAG_WORTH_SAYING)
		str_appendf(s, "the daemon was once held up for %.1f s\n", (double)lag / 1000);
}

void
ctl_status_append(struct str *s, const json_t *answer, const struct ctl_screen *screen, int64_t now)
{
	static const struct ctl_column columns[] = {{"ACCOUNT", false}, {"STATE", false},
	    {"LAST WORKED", false}, {"NEXT", false}, {"FETCHED", true}, {"SIZE", true},
	    {"ON SERVER", true}};
	struct view v = {ctl_table_new(columns, sizeof columns / sizeof columns[0], screen), now};
	const json_t *accounts = json_object_get(answer, "accounts");
	const json_t *account;
	size_t i;

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

	ctl_table_add(v->table, text_of(session, "account"), CTL_PLAIN);
	ctl_table_add(v->table, text_of(session, "id"), CTL_PLAIN);
	ctl_table_add(v->table, text_of(session, "protocol"), CTL_PLAIN);
	ctl_table_add(v->table, text_of(session, "server"), CTL_PLAIN);
	ctl_table_add(v->table, text_of(session, "state"), CTL_GOOD);
	if (time_of(session, "since", &then))
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
	struct view v = {ctl_table_new(columns, sizeof columns / sizeof columns[0], screen), now};
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
