#include "ctl/ctl_event.h"

#include "ctl/ctl_json.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_time.h"

#include <string.h>
#include <time.h>

/* An event on its way to a line: the words go to `s`, and are toned as a whole in the end. */
struct line {
	struct str *s;
	const json_t *event;
	const struct ctl_screen *screen;
};

/* The daemon's words; "-" where there are none. */
static void
append_field(const struct line *l, const char *key)
{
	const char *text = ctl_json_text(l->event, key);

	ctl_text_append(l->s, text != NULL ? text : "-", l->screen->ascii);
}

static void
append_address(const struct line *l, const char *key)
{
	const char *address = ctl_json_text(l->event, key);

	if (address != NULL && *address == '\0')
		str_append_text(l->s, "<>");
	else
		append_field(l, key);
}

static void
append_count(const struct line *l, const char *key, const char *noun)
{
	long long count = ctl_json_number(l->event, key);

	str_appendf(l->s, "%lld %s%s", count, noun, count == 1 ? "" : "s");
}

static void
append_size(const struct line *l)
{
	str_append_text(l->s, ", ");
	ctl_text_append_size(l->s, (uint64_t)ctl_json_number(l->event, "octets"));
}

/* ": why", from the first of these that there is. */
static void
append_why(const struct line *l)
{
	const char *why = ctl_json_text(l->event, "reply");

	if (why == NULL)
		why = ctl_json_text(l->event, "text");
	if (why == NULL)
		return;
	str_append_text(l->s, ": ");
	ctl_text_append(l->s, why, l->screen->ascii);
}

static void
append_next(const struct line *l)
{
	int64_t now, next;

	if (json_is_true(json_object_get(l->event, "held")))
		str_append_text(l->s, "; held");
	if (!ctl_json_time(l->event, "time", &now) ||
	    !ctl_json_time(l->event, "next_attempt", &next))
		return;
	str_append_text(l->s, "; next attempt ");
	ctl_time_append_until(l->s, now, next);
}

static void
append_session(const struct line *l)
{
	append_field(l, "protocol");
	str_append_text(l->s, " session ");
	append_field(l, "session");
	str_append_text(l->s, " with ");
	append_field(l, "server");
}

static enum ctl_tone
say_session_start(const struct line *l)
{
	append_session(l);
	str_append_text(l->s, " begins");
	return CTL_PLAIN;
}

static void
append_moved(const struct line *l)
{
	if (json_object_get(l->event, "sent") != NULL) {
		append_count(l, "sent", "recipient");
		str_append_text(l->s, " reached");
	} else {
		str_appendf(l->s, "%lld fetched, %lld deleted",
		    (long long)ctl_json_number(l->event, "fetched"),
		    (long long)ctl_json_number(l->event, "deleted"));
	}
	str_appendf(l->s, ", in %.1f s", json_number_value(json_object_get(l->event, "seconds")));
}

static enum ctl_tone
say_session_end(const struct line *l)
{
	const char *outcome = ctl_json_text(l->event, "outcome");
	bool failed = outcome != NULL && strcmp(outcome, "failed") == 0;

	append_session(l);
	str_append_text(l->s, failed ? " failed: " : " ended: ");
	if (outcome != NULL && strcmp(outcome, "stopped") == 0)
		str_append_text(l->s, "stopped, ");
	append_moved(l);
	append_why(l);
	return failed ? CTL_BAD : CTL_PLAIN;
}

static enum ctl_tone
say_fetched(const struct line *l)
{
	str_append_text(l->s, "fetched ");
	append_field(l, "file");
	append_size(l);
	str_append_text(l->s, ", uid ");
	append_field(l, "uid");
	return CTL_GOOD;
}

static enum ctl_tone
say_queued(const struct line *l)
{
	str_append_text(l->s, "queued ");
	append_field(l, "message");
	str_append_text(l->s, " from ");
	append_address(l, "sender");
	str_append_text(l->s, " to ");
	append_count(l, "recipients", "recipient");
	append_size(l);
	return CTL_PLAIN;
}

/* "ID to ADDRESS: why" */
static void
append_message(const struct line *l)
{
	append_field(l, "message");
	str_append_text(l->s, " to ");
	if (ctl_json_text(l->event, "recipient") != NULL)
		append_field(l, "recipient");
	else
		append_count(l, "recipients", "recipient");
	append_why(l);
}

static enum ctl_tone
say_sent(const struct line *l)
{
	str_append_text(l->s, "sent ");
	append_message(l);
	return CTL_GOOD;
}

static enum ctl_tone
say_deferred(const struct line *l)
{
	const char *state = ctl_json_text(l->event, "state");
	bool unknown = state != NULL && strcmp(state, "unknown") == 0;

	str_append_text(l->s, unknown ? "perhaps sent " : "deferred ");
	append_message(l);
	append_next(l);
	return CTL_WARN;
}

/* What never had a recipient is known by its name in failed/. */
static enum ctl_tone
say_failed(const struct line *l)
{
	str_append_text(l->s, "failed ");
	if (ctl_json_text(l->event, "recipient") != NULL) {
		append_message(l);
	} else {
		append_field(l, "name");
		append_why(l);
	}
	return CTL_BAD;
}

static enum ctl_tone
say_poll_failed(const struct line *l)
{
	const char *state = ctl_json_text(l->event, "state");

	str_appendf(
	    l->s, "poll failed, %lld in a row", (long long)ctl_json_number(l->event, "failures"));
	append_why(l);
	if (state != NULL && strcmp(state, "blocked") == 0)
		str_append_text(l->s, "; blocked");
	append_next(l);
	return CTL_BAD;
}

static enum ctl_tone
say_reloaded(const struct line *l)
{
	str_append_text(l->s, "the configuration was reloaded: ");
	append_count(l, "accounts", "account");
	return CTL_BOLD;
}

static enum ctl_tone
say_name(const struct line *l)
{
	append_field(l, "event");
	return CTL_PLAIN;
}

static const struct {
	const char *name;
	enum ctl_tone (*say)(const struct line *l);
} events[] = {
    {"session-start", say_session_start},
    {"session-end", say_session_end},
    {"message-fetched", say_fetched},
    {"message-queued", say_queued},
    {"message-sent", say_sent},
    {"message-deferred", say_deferred},
    {"message-failed", say_failed},
    {"poll-failed", say_poll_failed},
    {"config-reloaded", say_reloaded},
};

static enum ctl_tone
say(const struct line *l)
{
	const char *name = ctl_json_text(l->event, "event");

	for (size_t i = 0; name != NULL && i < sizeof events / sizeof events[0]; i++)
		if (strcmp(events[i].name, name) == 0)
			return events[i].say(l);
	return say_name(l);
}

/* In the time of the place: "2026-11-20 11:15:00". */
static void
append_time(struct str *s, const json_t *event)
{
	char text[32];
	struct tm tm;
	int64_t wall;
	time_t t;

	if (!ctl_json_time(event, "time", &wall)) {
		str_append_text(s, "-");
		return;
	}
	t = (time_t)(wall / 1000);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
	str_append_text(s, text);
}

void
ctl_event_append(struct str *s, const json_t *event, const struct ctl_screen *screen)
{
	const char *account = ctl_json_text(event, "account");
	struct str words = STR_INIT;
	const struct line l = {.s = &words, .event = event, .screen = screen};
	enum ctl_tone tone = say(&l);

	append_time(s, event);
	str_append_char(s, ' ');
	if (account != NULL) {
		ctl_text_append(s, account, screen->ascii);
		str_append_text(s, ": ");
	}
	ctl_table_append_tone(s, screen, tone, str_text(&words));
	str_append_char(s, '\n');
	str_clear(&words);
}
