#include "ctl/ctl_command.h"

#include "base/clock.h"
#include "control/control_suggest.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_queue.h"
#include "ctl/ctl_status.h"
#include "ctl/ctl_tool.h"

#include <stdio.h>
#include <string.h>

/* The daemon takes no longer line. */
#define REQUEST_MAX 4096

static void
append_status(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)words;
	ctl_status_append(s, answer, screen, clock_wall());
}

static void
append_sessions(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)words;
	ctl_status_append_sessions(s, answer, screen, clock_wall());
}

static void
append_poll(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	str_append_text(s, "fetching from ");
	ctl_text_append(s, words[0] != NULL ? words[0] : "every account", screen->ascii);
	str_append_text(s, "; `postriderctl status` shows what came of it\n");
}

static void
append_queue(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	ctl_queue_append(s, answer, words[0] != NULL, screen, clock_wall());
}

static void
append_flush(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	const char *account = ctl_json_text(answer, "account");

	str_append_text(s, account != NULL ? "sending message " : "sending what waits");
	if (words[0] != NULL) {
		str_append_text(s, account != NULL ? "" : " for account ");
		ctl_text_append(s, words[0], screen->ascii);
	}
	str_append_text(s, "; `postriderctl queue` shows what is left\n");
}

static void
append_hold(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	str_append_text(s, "message ");
	ctl_text_append(s, words[0], screen->ascii);
	str_append_text(s, " is held until it is released\n");
}

static void
append_release(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	str_append_text(s, "message ");
	ctl_text_append(s, words[0], screen->ascii);
	str_append_text(s, " is released and due now\n");
}

static void
append_remove(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	str_append_text(s, "message ");
	ctl_text_append(s, words[0], screen->ascii);
	str_append_text(s, " is removed\n");
}

static void
append_retry(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	ctl_text_append(s, words[0], screen->ascii);
	str_append_text(s, " is queued again; `postriderctl queue` shows it\n");
}

static void
append_adopt(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	long long marked = json_integer_value(json_object_get(answer, "marked"));

	str_append_text(s, "the Maildir of ");
	ctl_text_append(s, words[0], screen->ascii);
	str_append_text(s, " is accepted as it is");
	if (words[1] != NULL)
		str_appendf(s, "; %lld message%s on the server count%s as fetched", marked,
		    marked == 1 ? "" : "s", marked == 1 ? "s" : "");
	str_append_char(s, '\n');
}

static void
append_reload(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	(void)words;
	(void)screen;
	str_append_text(s, "the configuration was read again and is in force\n");
}

static void
append_stop(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	(void)answer;
	(void)words;
	(void)screen;
	str_append_text(s, "the daemon is stopping\n");
}

static void
append_version(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	const char *version = json_string_value(json_object_get(answer, "version"));

	(void)words;
	str_append_text(s, "postriderd ");
	ctl_text_append(s, version != NULL ? version : "-", screen->ascii);
	str_append_char(s, '\n');
}

/* Line by line as it is, save what a terminal would obey. */
static void
append_metrics(
    struct str *s, const json_t *answer, char *const *words, const struct ctl_screen *screen)
{
	const char *text = ctl_json_text(answer, "text");

	(void)words;
	for (; text != NULL && *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n') {
		struct str line = STR_INIT;

		str_append(&line, text, strcspn(text, "\n"));
		ctl_text_append(s, str_text(&line), screen->ascii);
		str_append_char(s, '\n');
		str_clear(&line);
	}
}

static const struct ctl_command commands[] = {
    {"status", 0, 1, CTL_SOON, false, append_status, "[ACCOUNT]",
	"what the daemon and its accounts do, and what troubles them"},
    {"queue", 0, 1, CTL_SOON, false, append_queue, "[ID]", "the messages that wait to be sent"},
    {"sessions", 0, 0, CTL_SOON, false, append_sessions, "",
	"the sessions with servers running now"},
    {"poll", 0, 1, CTL_SOON, false, append_poll, "[ACCOUNT]",
	"fetch now from this account, or from all"},
    {"flush", 0, 1, CTL_SOON, false, append_flush, "[ID|ACCOUNT]",
	"send now what waits: all, an account's, or one message"},
    {"hold", 1, 1, CTL_PATIENT, false, append_hold, "ID", "keep a message in the queue"},
    {"release", 1, 1, CTL_PATIENT, false, append_release, "ID", "let a held message go"},
    {"remove", 1, 1, CTL_PATIENT, false, append_remove, "ID",
	"delete a message from the queue; its sender is not told"},
    {"retry", 1, 1, CTL_PATIENT, true, append_retry, "NAME", "send a message in failed/ again"},
    {"adopt", 1, 2, CTL_PATIENT, false, append_adopt, "ACCOUNT ['*']",
	"accept the Maildir as it is; with * mark all on the server as fetched"},
    {"reload", 0, 0, CTL_PATIENT, false, append_reload, "", "read the configuration again"},
    {"stop", 0, 0, CTL_SOON, false, append_stop, "", "finish what is under way and end the daemon"},
    {"watch", 0, 1, CTL_ENDLESS, false, NULL, "[ACCOUNT]",
	"a line for each event, until it is interrupted"},
    {"metrics", 0, 0, CTL_SOON, false, append_metrics, "", "counters and gauges for Prometheus"},
    {"version", 0, 0, CTL_SOON, false, append_version, "", "the daemon's version"},
    {"help", 0, 0, CTL_SOON, false, NULL, "", "this text"},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct ctl_command *
find_name(const char *name)
{
	struct control_suggest suggest = CONTROL_SUGGEST(name);
	char shown[128];

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		control_suggest_offer(&suggest, commands[i].name);
	}
	ctl_tool_suggest(&suggest);
	str_escape(shown, sizeof shown, name, strlen(name));
	if (suggest.best != NULL)
		fprintf(stderr, "postriderctl: unknown command \"%s\"; did you mean \"%s\"?\n",
		    shown, suggest.best);
	else
		fprintf(stderr, "postriderctl: unknown command \"%s\"; -h lists them\n", shown);
	return NULL;
}

/* What a blank or a line end would tear apart must not reach the daemon as something else. */
static bool
is_whole(const struct ctl_command *command, const char *word)
{
	size_t len = strlen(word);

	if (len == 0 || len > REQUEST_MAX / 4 || strpbrk(word, "\r\n") != NULL)
		return false;
	if (!command->takes_name)
		return strpbrk(word, " \t") == NULL;
	return strchr(" \t", word[0]) == NULL && strchr(" \t", word[len - 1]) == NULL;
}

static bool
check_word(const struct ctl_command *command, const char *word)
{
	char shown[128];

	str_escape(shown, sizeof shown, word, strlen(word));
	if (word[0] == '-') {
		fprintf(stderr,
		    "postriderctl: \"%s\" is no operand of %s; options stand before the command\n",
		    shown, command->name);
		return false;
	}
	if (is_whole(command, word))
		return true;
	fprintf(stderr, "postriderctl: \"%s\" cannot be an operand of %s\n", shown, command->name);
	return false;
}

const struct ctl_command *
ctl_command_find(const char *name, char *const *words, size_t count)
{
	const struct ctl_command *command = find_name(name);

	for (size_t i = 0; command != NULL && i < count; i++) {
		if (!check_word(command, words[i]))
			return NULL;
	}
	if (command == NULL || (count >= command->min && count <= command->max))
		return command;
	fprintf(stderr, "postriderctl: usage: postriderctl %s%s%s\n", command->name,
	    command->operands[0] != '\0' ? " " : "", command->operands);
	return NULL;
}

void
ctl_command_append_request(struct str *s, const struct ctl_command *command, char *const *words)
{
	str_append_text(s, command->name);
	for (; *words != NULL; words++)
		str_appendf(s, " %s", *words);
}

void
ctl_command_append_help(struct str *s)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		char use[64];

		snprintf(use, sizeof use, "%s %s", commands[i].name, commands[i].operands);
		str_appendf(s, "  %-22s %s\n", use, commands[i].help);
	}
	ctl_tool_append_help(s);
}
