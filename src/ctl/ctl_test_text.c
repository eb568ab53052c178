#include "ctl/ctl_test_text.h"

#include "ctl/ctl_json.h"
#include "ctl/ctl_table.h"

#include <string.h>
#include <strings.h>

/* "  XX name          ": marks are two columns wide, and no name is longer than capabilities. */
#define INDENT                    "                   "
#define NAME_WIDTH                14
#define MILLISECONDS_WORTH_SAYING 1000

static const char *
mark(bool ok, bool ascii)
{
	if (ascii)
		return ok ? "ok" : "NO";
	return ok ? "\u2713 " : "\u2717 ";
}

static const char *
title(const char *protocol)
{
	return strcmp(protocol, "pop3") == 0 ? "POP3" : "SMTP";
}

void
ctl_test_text_append_side(
    struct str *s, const char *protocol, const char *server, const struct ctl_screen *screen)
{
	struct str line = STR_INIT;

	str_append_text(&line, title(protocol));
	if (server != NULL) {
		str_append_text(&line, " at ");
		ctl_text_append(&line, server, screen->ascii);
	} else {
		str_append_text(&line, " is not configured");
	}
	ctl_table_append_tone(s, screen, CTL_BOLD, str_text(&line));
	str_append_char(s, '\n');
	str_clear(&line);
}

/* The first line's indent gives way to what stands there. */
static void
append_text(struct str *s, const char *text, bool first, const struct ctl_screen *screen)
{
	struct str safe = STR_INIT, wrapped = STR_INIT;

	ctl_text_append(&safe, text != NULL ? text : "-", screen->ascii);
	ctl_text_append_wrapped(&wrapped, str_text(&safe), INDENT, screen->width);
	str_append_text(s, str_text(&wrapped) + (first ? strlen(INDENT) : 0));
	str_clear(&safe);
	str_clear(&wrapped);
}

/* How long a step took is worth a word when a person had to wait for it. */
static void
append_text_and_time(struct str *s, const json_t *step, const struct ctl_screen *screen)
{
	const char *text = ctl_json_text(step, "text");
	double ms = (double)ctl_json_number(step, "ms");
	struct str line = STR_INIT;

	str_append_text(&line, text != NULL ? text : "-");
	if (ms >= MILLISECONDS_WORTH_SAYING)
		str_appendf(&line, " (after %.1f s)", ms / 1000);
	append_text(s, str_text(&line), true, screen);
	str_clear(&line);
}

void
ctl_test_text_append_step(struct str *s, const json_t *step, const struct ctl_screen *screen)
{
	bool ok = json_is_true(json_object_get(step, "ok"));
	const char *name = ctl_json_text(step, "step");
	const json_t *detail;
	size_t i;

	str_append_text(s, "  ");
	ctl_table_append_tone(s, screen, ok ? CTL_GOOD : CTL_BAD, mark(ok, screen->ascii));
	str_appendf(s, " %-*s", NAME_WIDTH, name != NULL ? name : "-");
	append_text_and_time(s, step, screen);
	json_array_foreach(json_object_get(step, "details"), i, detail)
	    append_text(s, json_string_value(detail), false, screen);
}

static const char *
outcome(const json_t *side)
{
	if (json_array_size(json_object_get(side, "steps")) == 0)
		return "is not configured";
	return json_is_true(json_object_get(side, "ok")) ? "works" : "does not work";
}

void
ctl_test_text_append_end(struct str *s, const json_t *result, const struct ctl_screen *screen)
{
	bool ok = json_is_true(json_object_get(result, "ok"));
	const char *account = ctl_json_text(result, "account");
	struct str line = STR_INIT;

	ctl_text_append(&line, account != NULL ? account : "-", screen->ascii);
	str_appendf(&line, ": fetching %s, sending %s", outcome(json_object_get(result, "pop3")),
	    outcome(json_object_get(result, "smtp")));
	ctl_table_append_tone(s, screen, ok ? CTL_GOOD : CTL_BAD, str_text(&line));
	str_append_char(s, '\n');
	str_clear(&line);
}
