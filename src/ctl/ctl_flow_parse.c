#include "ctl/ctl_flow_parse.h"

#include "base/queue.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A command that was sent and is not answered yet. */
struct command {
	char *text;
	bool piped; /* others waited beside it */
	TAILQ_ENTRY(command) link;
};

TAILQ_HEAD(commands, command);

/* What comes now is not commands and replies, but lines of a listing or of a message. */
struct content {
	bool sent, received;
	size_t lines;
	bool dot; /* its end was there; only a summary may follow */
};

/*
 * The octets of a chunk (RFC 3030) follow its BDAT, when the log has them.  It does or does not as
 * a whole; the first chunk of a session, behind which nothing is sent before its reply, tells.
 */
enum chunk_octets { CHUNKS_UNSEEN, CHUNKS_LOGGED, CHUNKS_BARE };

/* Owned by whoever called ctl_flow_parse_new(). */
struct ctl_flow_parse {
	bool is_smtp;
	ctl_flow_item_cb *cb;
	void *arg;
	struct commands commands;
	struct content content;
	enum chunk_octets chunks;
	unsigned long chunk_left;   /* octets of a chunk that are still to come */
	struct ctl_flow_item *open; /* lines may still join it */
	struct ctl_flow_item *done; /* waits for what comes behind it */
	bool is_continued;          /* the last line of a reply was "250-..." */
};

void
ctl_flow_item_free(struct ctl_flow_item **item)
{
	struct ctl_flow_item *i = *item;

	*item = NULL;
	if (i == NULL)
		return;
	for (size_t n = 0; n < CTL_FLOW_KEPT; n++)
		free(i->lines[n].text);
	free(i->summary.text);
	free(i->label);
	free(i);
}

/* -- items ------------------------------------------------------------------------------------ */

static bool
is_run(const struct ctl_flow_item *item)
{
	return item != NULL && item->kind == CTL_FLOW_SENT;
}

/* What comes next decides on the end of a run, and a bad end on the remark before it. */
static void
hand_out(struct ctl_flow_parse *p, const struct ctl_flow_item *next)
{
	struct ctl_flow_item *item = p->done;

	p->done = NULL;
	if (item == NULL)
		return;
	if (is_run(item) && is_run(next))
		item->place = item->place == CTL_FLOW_AMID ? CTL_FLOW_AMID : CTL_FLOW_FIRST;
	else if (item->place == CTL_FLOW_AMID)
		item->place = CTL_FLOW_LAST;
	if (item->kind == CTL_FLOW_NOTE && next != NULL && next->kind == CTL_FLOW_END &&
	    next->tone == CTL_BAD)
		item->tone = CTL_BAD;
	p->cb(item, p->arg);
}

static void
close_open(struct ctl_flow_parse *p)
{
	struct ctl_flow_item *item = p->open;

	p->open = NULL;
	if (item == NULL)
		return;
	if (is_run(item) && is_run(p->done))
		item->place = CTL_FLOW_AMID;
	hand_out(p, item);
	p->done = item;
}

static void
add_line(struct ctl_flow_item *item, int64_t time, const char *text)
{
	if (item->count < CTL_FLOW_KEPT)
		item->lines[item->count] = (struct ctl_flow_text){time, xstrdup(text)};
	item->count++;
	item->latest = time;
}

static struct ctl_flow_item *
begin(struct ctl_flow_parse *p, enum ctl_flow_kind kind, const struct ctl_logfile_line *line)
{
	close_open(p);
	p->open = xcalloc(1, sizeof *p->open);
	p->open->kind = kind;
	p->open->tone = ctl_logfile_tone(line);
	add_line(p->open, line->time, line->text);
	return p->open;
}

static void __attribute__((format(printf, 2, 3)))
sign(struct ctl_flow_item *item, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(item->sign, sizeof item->sign, format, ap);
	va_end(ap);
}

/* "RCPT" of "RCPT TO:<you@example.org>" */
static int
verb_len(const char *text)
{
	return (int)strcspn(text, " ");
}

/* -- commands that wait ----------------------------------------------------------------------- */

static void
push(struct ctl_flow_parse *p, const char *text)
{
	struct command *command = xcalloc(1, sizeof *command);
	struct command *last = TAILQ_LAST(&p->commands, commands);

	command->text = xstrdup(text);
	if (last != NULL)
		command->piped = last->piped = true;
	TAILQ_INSERT_TAIL(&p->commands, command, link);
}

/* NULL when none waits. */
static struct command *
pop(struct ctl_flow_parse *p)
{
	struct command *command = TAILQ_FIRST(&p->commands);

	if (command != NULL)
		TAILQ_REMOVE(&p->commands, command, link);
	return command;
}

static void
command_free(struct command *command)
{
	if (command != NULL)
		free(command->text);
	free(command);
}

/* RFC 1939, 2449: what is answered with lines up to a dot. */
static bool
is_listing(const char *text)
{
	static const char *const bare[] = {"CAPA", "UIDL", "LIST"};

	for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++)
		if (strcasecmp(text, bare[i]) == 0)
			return true;
	return strncasecmp(text, "RETR ", 5) == 0 || strncasecmp(text, "TOP ", 4) == 0;
}

/* -- lines ------------------------------------------------------------------------------------ */

static bool
is_summary(const char *text)
{
	return strncmp(text, "(message ", 9) == 0;
}

/* A summary behind the dot, or in place of the octets.  The mail itself may hold such a line. */
static bool
ends_content(const struct content *c, const char *text)
{
	return is_summary(text) && (c->lines == 0 || c->dot);
}

/* A line of a listing or a message joins the item of its direction. */
static void
add_content(struct ctl_flow_parse *p, enum ctl_flow_kind kind, const struct ctl_logfile_line *line)
{
	p->content.lines++;
	if (strcmp(line->text, ".") == 0) {
		p->content.dot = true;
		return;
	}
	if (p->open != NULL && p->open->kind == kind) {
		add_line(p->open, line->time, line->text);
		return;
	}
	begin(p, kind, line)->tone = kind == CTL_FLOW_SENT ? CTL_OURS : CTL_PLAIN;
	sign(p->open, "%d content", (int)kind);
}

static void
add_summary(struct ctl_flow_parse *p, enum ctl_flow_kind kind, const struct ctl_logfile_line *line)
{
	if (p->open == NULL || p->open->kind != kind || p->open->summary.text != NULL) {
		begin(p, kind, line);
		sign(p->open, "%d summary", (int)kind);
		return;
	}
	p->open->summary = (struct ctl_flow_text){line->time, xstrdup(line->text)};
	p->open->latest = line->time;
}

/* Octets that a line stands for, with its CRLF. */
static unsigned long
count_octets(const char *text)
{
	unsigned long count = 2;

	while (*text != '\0') {
		bool is_hex =
		    text[0] == '\\' && text[1] == 'x' && text[2] != '\0' && text[3] != '\0';

		text += is_hex ? 4 : text[0] == '\\' && text[1] == '\\' ? 2 : 1;
		count++;
	}
	return count;
}

static void
add_chunk_content(struct ctl_flow_parse *p, const struct ctl_logfile_line *line)
{
	unsigned long octets = count_octets(line->text);

	p->chunks = CHUNKS_LOGGED;
	p->chunk_left -= octets < p->chunk_left ? octets : p->chunk_left;
	add_content(p, CTL_FLOW_SENT, line);
}

static void
begin_chunk(struct ctl_flow_parse *p, const char *text)
{
	if (p->chunks != CHUNKS_BARE && strncasecmp(text, "BDAT ", 5) == 0)
		p->chunk_left = strtoul(text + 5, NULL, 10);
}

static void
on_sent(struct ctl_flow_parse *p, const struct ctl_logfile_line *line)
{
	if (p->chunk_left > 0) {
		add_chunk_content(p, line);
		return;
	}
	if (!p->content.sent && is_summary(line->text)) {
		add_summary(p, CTL_FLOW_SENT, line); /* the reply is to the last chunk */
		return;
	}
	if (!p->content.sent) {
		begin_chunk(p, line->text);
		begin(p, CTL_FLOW_SENT, line);
		sign(p->open, "> %.*s", verb_len(line->text), line->text);
		push(p, line->text);
		return;
	}
	if (!ends_content(&p->content, line->text)) {
		add_content(p, CTL_FLOW_SENT, line);
		return;
	}
	add_summary(p, CTL_FLOW_SENT, line);
	push(p, "the message");
	p->content = (struct content){0};
}

/* "250-SIZE": more lines of the same reply follow. */
static bool
is_continued(const char *text)
{
	return strlen(text) > 3 && text[3] == '-';
}

/* The first line of a reply. */
static void
on_reply(struct ctl_flow_parse *p, const struct ctl_logfile_line *line)
{
	struct command *command = pop(p);
	const char *asked = command != NULL ? command->text : "";
	struct ctl_flow_item *item = begin(p, CTL_FLOW_RECEIVED, line);

	sign(item, "< %.*s %.*s", verb_len(line->text), line->text, verb_len(asked), asked);
	if (command != NULL && command->piped)
		item->label = xstrdup(asked);
	if (p->is_smtp) {
		p->content.sent =
		    strncmp(line->text, "354", 3) == 0 && strcasecmp(asked, "DATA") == 0;
		p->is_continued = is_continued(line->text);
	} else {
		p->content.received = strncmp(line->text, "+OK", 3) == 0 && is_listing(asked);
	}
	p->content.lines = 0;
	p->content.dot = false;
	command_free(command);
}

static void
on_received(struct ctl_flow_parse *p, const struct ctl_logfile_line *line)
{
	if (p->is_smtp && p->is_continued) {
		if (p->open != NULL && p->open->kind == CTL_FLOW_RECEIVED)
			add_line(p->open, line->time, line->text);
		else
			begin(p, CTL_FLOW_RECEIVED, line);
		p->is_continued = is_continued(line->text);
	} else if (p->content.received && !ends_content(&p->content, line->text) &&
		   !p->content.dot) {
		add_content(p, CTL_FLOW_RECEIVED, line);
	} else if (!p->is_smtp && is_summary(line->text)) {
		add_summary(p, CTL_FLOW_RECEIVED, line);
		p->content = (struct content){0};
	} else {
		on_reply(p, line);
	}
}

/* "closed: network, 0 fetched": "network trouble, 0 fetched" */
static char *
end_text(const char *closed, enum ctl_tone tone)
{
	const char *text = closed + strlen("closed: ");
	int kind = (int)strcspn(text, ",");

	return xasprintf("%.*s%s%s", kind, text, tone == CTL_BAD ? " trouble" : "", text + kind);
}

static void
on_note(struct ctl_flow_parse *p, const struct ctl_logfile_line *line)
{
	struct ctl_flow_item *item;

	if (ctl_logfile_is_end(line)) {
		item = begin(p, CTL_FLOW_END, line);
		free(item->lines[0].text);
		item->lines[0].text = end_text(line->text, item->tone);
	} else if (strncmp(line->text, "TLSv", 4) == 0) {
		item = begin(p, CTL_FLOW_TLS, line);
		item->tone = CTL_GOOD;
	} else {
		item = begin(p, CTL_FLOW_NOTE, line);
	}
	sign(item, "- %s", line->text);
	close_open(p);
}

/* -- the interface ---------------------------------------------------------------------------- */

struct ctl_flow_parse *
ctl_flow_parse_new(bool is_smtp, ctl_flow_item_cb *cb, void *arg)
{
	struct ctl_flow_parse *p = xcalloc(1, sizeof *p);

	p->is_smtp = is_smtp;
	p->cb = cb;
	p->arg = arg;
	TAILQ_INIT(&p->commands);
	return p;
}

void
ctl_flow_parse_line(struct ctl_flow_parse *p, const struct ctl_logfile_line *line)
{
	if (p->chunk_left > 0 && p->chunks == CHUNKS_UNSEEN && line->kind != CTL_LOGFILE_SENT) {
		p->chunks = CHUNKS_BARE;
		p->chunk_left = 0;
	}
	switch (line->kind) {
	case CTL_LOGFILE_SENT:
		on_sent(p, line);
		break;
	case CTL_LOGFILE_RECEIVED:
		on_received(p, line);
		break;
	case CTL_LOGFILE_NOTE:
		on_note(p, line);
		break;
	case CTL_LOGFILE_OTHER:
		break; /* the head of the log, or nothing that belongs there */
	}
}

void
ctl_flow_parse_end(struct ctl_flow_parse **parse)
{
	struct ctl_flow_parse *p = *parse;
	struct command *command;

	*parse = NULL;
	close_open(p);
	hand_out(p, NULL);
	while ((command = pop(p)) != NULL)
		command_free(command);
	free(p);
}
