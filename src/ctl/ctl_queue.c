#include "ctl/ctl_queue.h"

#include "ctl/ctl_json.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_time.h"

#include <string.h>

/* Recipients shown of a message in a list. */
enum { RECIPIENTS_MAX = 10 };

struct view {
	struct ctl_table *table;
	int64_t now;
	bool whole;
};

/* What a recipient's state means, and how it looks. */
struct fate {
	const char *state;
	const char *words;
	enum ctl_tone tone;
	bool is_final;
};

static const struct fate fates[] = {
    {"pending", "waits", CTL_PLAIN, false},
    {"sent", "sent", CTL_GOOD, true},
    {"failed", "failed", CTL_BAD, true},
    {"unknown",
	"may have been delivered: the connection was lost before the server's answer to the "
	"message",
	CTL_WARN, false},
};

static const struct fate *
fate_of(const json_t *recipient)
{
	static const struct fate other = {"", "state not known", CTL_PLAIN, false};
	const char *state = ctl_json_text(recipient, "state");

	for (size_t i = 0; state != NULL && i < sizeof fates / sizeof fates[0]; i++) {
		if (strcmp(state, fates[i].state) == 0)
			return &fates[i];
	}
	return &other;
}

/* Every fate is known, and only a copy or a report is still to be written. */
static bool
is_decided(const json_t *message)
{
	const json_t *recipients = json_object_get(message, "recipients");
	const json_t *recipient;
	size_t i;

	json_array_foreach(recipients, i, recipient)
	{
		if (!fate_of(recipient)->is_final)
			return false;
	}
	return json_array_size(recipients) > 0;
}

static void
add_sender(const struct view *v, const json_t *message)
{
	const char *sender = ctl_json_text(message, "sender");

	ctl_table_add(v->table, sender != NULL && *sender == '\0' ? "<>" : sender, CTL_PLAIN);
}

static void
add_size(const struct view *v, const json_t *message)
{
	struct str s = STR_INIT;

	ctl_text_append_size(&s, (uint64_t)ctl_json_number(message, "size"));
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_queued(const struct view *v, const json_t *message)
{
	struct str s = STR_INIT;
	int64_t then;

	if (ctl_json_time(message, "queued", &then))
		ctl_time_append_ago(&s, v->now, then);
	ctl_table_add(v->table, s.len > 0 ? str_text(&s) : NULL, CTL_PLAIN);
	str_clear(&s);
}

static void
add_attempts(const struct view *v, const json_t *message)
{
	struct str s = STR_INIT;

	str_appendf(&s, "%lld", (long long)ctl_json_number(message, "attempts"));
	ctl_table_add(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
add_next(const struct view *v, const json_t *message)
{
	enum ctl_tone tone = CTL_PLAIN;
	struct str s = STR_INIT;
	int64_t then;

	if (json_is_true(json_object_get(message, "held"))) {
		str_append_text(&s, "held");
		tone = CTL_WARN;
	} else if (is_decided(message)) {
		str_append_text(&s, "leaving");
	} else if (ctl_json_time(message, "next_attempt", &then)) {
		ctl_time_append_until(&s, v->now, then);
	}
	ctl_table_add(v->table, s.len > 0 ? str_text(&s) : NULL, tone);
	str_clear(&s);
}

static void
note_recipient(const struct view *v, const json_t *recipient)
{
	const char *address = ctl_json_text(recipient, "address");
	const char *reply = ctl_json_text(recipient, "reply");
	const struct fate *fate = fate_of(recipient);
	struct str s = STR_INIT;

	str_appendf(&s, "to %s: %s", address != NULL ? address : "-", fate->words);
	if (reply != NULL && *reply != '\0')
		str_appendf(&s, ": %s", reply);
	ctl_table_note(v->table, str_text(&s), fate->tone);
	str_clear(&s);
}

/* Those not shown, by what became of them. */
static void
note_others(const struct view *v, const char *id, const json_t *recipients)
{
	static const char *const words[] = {"waiting", "sent", "failed", "perhaps delivered"};
	size_t number[sizeof fates / sizeof fates[0]] = {0}, total = 0;
	const char *between = ": ";
	struct str s = STR_INIT;

	for (size_t i = RECIPIENTS_MAX; i < json_array_size(recipients); i++, total++) {
		const struct fate *fate = fate_of(json_array_get(recipients, i));

		for (size_t j = 0; j < sizeof fates / sizeof fates[0]; j++)
			number[j] += fate == &fates[j];
	}
	str_appendf(&s, "and to %zu more", total);
	for (size_t j = 0; j < sizeof fates / sizeof fates[0]; j++) {
		if (number[j] == 0)
			continue;
		str_appendf(&s, "%s%zu %s", between, number[j], words[j]);
		between = ", ";
	}
	str_appendf(&s, "; all of them: postriderctl queue %s", id != NULL ? id : "-");
	ctl_table_note(v->table, str_text(&s), CTL_PLAIN);
	str_clear(&s);
}

static void
note_recipients(const struct view *v, const json_t *message)
{
	const json_t *recipients = json_object_get(message, "recipients");
	bool all = v->whole || json_array_size(recipients) <= RECIPIENTS_MAX;
	const json_t *recipient;
	size_t i;

	json_array_foreach(recipients, i, recipient)
	{
		if (!all && i == RECIPIENTS_MAX)
			break;
		note_recipient(v, recipient);
	}
	if (!all)
		note_others(v, ctl_json_text(message, "id"), recipients);
}

/* The message's own trouble, unless a recipient's reply has told it already. */
static void
note_error(const struct view *v, const json_t *message)
{
	const json_t *recipients = json_object_get(message, "recipients");
	const char *error = ctl_json_text(message, "last_error");
	const json_t *recipient;
	struct str s = STR_INIT;
	size_t i;

	if (error == NULL || *error == '\0')
		return;
	json_array_foreach(recipients, i, recipient)
	{
		const char *reply = ctl_json_text(recipient, "reply");

		if (reply != NULL && strcmp(reply, error) == 0 && (v->whole || i < RECIPIENTS_MAX))
			return;
	}
	str_appendf(&s, "last trouble: %s", error);
	ctl_table_note(v->table, str_text(&s), CTL_WARN);
	str_clear(&s);
}

static void
add_message(const struct view *v, const json_t *message)
{
	add_sender(v, message);
	ctl_table_add(v->table, ctl_json_text(message, "id"), CTL_PLAIN);
	ctl_table_add(v->table, ctl_json_text(message, "account"), CTL_PLAIN);
	add_size(v, message);
	add_queued(v, message);
	add_attempts(v, message);
	add_next(v, message);
	note_recipients(v, message);
	note_error(v, message);
}

void
ctl_queue_append(
    struct str *s, const json_t *answer, bool whole, const struct ctl_screen *screen, int64_t now)
{
	static const struct ctl_column columns[] = {{"FROM", false}, {"ID", false},
	    {"ACCOUNT", false}, {"SIZE", true}, {"QUEUED", false}, {"TRIED", true},
	    {"NEXT", false}};
	struct view v = {
	    ctl_table_new(columns, sizeof columns / sizeof columns[0], screen), now, whole};
	const json_t *messages = json_object_get(answer, "messages");
	const json_t *message;
	size_t i;

	json_array_foreach(messages, i, message) add_message(&v, message);
	if (json_array_size(messages) > 0)
		ctl_table_append(v.table, s);
	else
		str_append_text(s, "the queue is empty\n");
	ctl_table_free(&v.table);
}
