#include "ctl/ctl_log_list.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "ctl/ctl_log.h"
#include "ctl/ctl_logfile.h"
#include "ctl/ctl_table.h"
#include "ctl/ctl_time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { SHOWN_MAX = 20, COLUMN_SERVER = 3, TOOK_MAX = 1 << 30 /* s */ };

/* -- what a log says of its session ----------------------------------------------------------- */

bool
ctl_log_summarize(const struct ctl_logs *logs, const struct ctl_logs_entry *entry,
    struct ctl_log_summary *summary)
{
	int fd = ctl_logs_open(logs, entry);
	struct ctl_logfile_head head;
	struct ctl_logfile file;
	const char *line;

	*summary = (struct ctl_log_summary){0};
	if (fd < 0)
		return false;
	ctl_logfile_open(&file, fd);
	line = ctl_logfile_next(&file, false);
	ctl_logfile_parse_head(&head, line != NULL ? line : "");
	summary->server = xstrdup(head.server);
	ctl_logfile_clear_head(&head);
	ctl_logfile_tail(&file, &summary->trouble, &summary->end);
	if (summary->end != NULL)
		memmove(summary->end, summary->end + 8, strlen(summary->end + 8) + 1);
	summary->running = ctl_logfile_is_written(&file);
	ctl_logfile_close(&file);
	return true;
}

void
ctl_log_summary_clear(struct ctl_log_summary *summary)
{
	free(summary->server);
	free(summary->trouble);
	free(summary->end);
	*summary = (struct ctl_log_summary){0};
}

/*
 * The first count that is not 0: who sees "24 fetched" need not see "24 deleted".  "3681 octets in"
 * and "0.880 s" are no counts.
 */
static void
append_count(struct str *s, char *items, double *took)
{
	char *item;

	while ((item = strsep(&items, ",")) != NULL) {
		char *unit;
		double number;

		item += strspn(item, " ");
		number = strtod(item, &unit);
		if (unit == item || strstr(unit, " octets ") == unit)
			continue;
		if (strcmp(unit, " s") == 0)
			*took = number >= 0 && number < TOOK_MAX ? number : 0;
		else if (number > 0 && s->len == 0)
			str_append_text(s, item);
	}
}

enum ctl_tone
ctl_log_outcome(const struct ctl_log_summary *summary, struct str *s, double *took)
{
	char *copy, *rest;
	const char *kind;
	bool is_ok, is_stopped;

	*took = 0;
	if (summary->end == NULL) {
		str_append_text(s, summary->running ? "running" : "broken off");
		return summary->running ? CTL_GOOD : CTL_WARN;
	}
	rest = copy = xstrdup(summary->end);
	kind = strsep(&rest, ",");
	is_ok = strcmp(kind, "ok") == 0;
	is_stopped = strcmp(kind, "stopped") == 0;
	append_count(s, rest, took);
	if (is_ok && s->len == 0)
		str_append_text(s, "nothing new");
	if (!is_ok) {
		str_truncate(s, 0);
		str_appendf(s, "%s%s", kind, is_stopped ? "" : " trouble");
	}
	free(copy);
	return is_ok ? CTL_PLAIN : is_stopped ? CTL_WARN : CTL_BAD;
}

/* -- the table -------------------------------------------------------------------------------- */

static void
add_server(struct ctl_table *table, const struct ctl_logs_entry *entry, const char *server)
{
	char *text = xasprintf("%s %s", entry->protocol, server);

	ctl_table_add(table, text, CTL_PLAIN);
	free(text);
}

static void
add_took(struct ctl_table *table, const struct ctl_logs_entry *entry,
    const struct ctl_log_summary *summary, double took)
{
	int64_t ms = (int64_t)(took * 1000);
	struct str s = STR_INIT;

	if (summary->end == NULL && summary->running && clock_wall() > entry->time)
		ms = clock_wall() - entry->time;
	if (ms >= 60000)
		ctl_time_append_span(&s, ms);
	else
		str_appendf(&s, "%.2f s", (double)ms / 1000);
	ctl_table_add(table, ms > 0 || summary->end != NULL ? str_text(&s) : NULL, CTL_PLAIN);
	str_clear(&s);
}

/* "11-20 10:15:00Z": the year can be guessed. */
static void
add_time(struct ctl_table *table, int64_t time)
{
	char stamp[CLOCK_RFC3339_SIZE], text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, stamp);
	snprintf(text, sizeof text, "%.5s %.8sZ", stamp + 5, stamp + 11);
	ctl_table_add(table, text, CTL_PLAIN);
}

static void
add_row(struct ctl_table *table, const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	struct ctl_log_summary summary;
	struct str outcome = STR_INIT;
	bool good = ctl_log_summarize(logs, entry, &summary);
	enum ctl_tone tone = CTL_WARN;
	char id[64];
	double took = 0;

	if (good)
		tone = ctl_log_outcome(&summary, &outcome, &took);
	else
		str_append_text(&outcome, strerror(errno));
	snprintf(id, sizeof id, "%.*s", (int)entry->id_len, entry->id);
	add_time(table, entry->time);
	ctl_table_add(table, id, CTL_PLAIN);
	ctl_table_add(table, entry->account, CTL_PLAIN);
	add_server(table, entry, good ? summary.server : "-");
	ctl_table_add(table, str_text(&outcome), tone);
	add_took(table, entry, &summary, took);
	if (summary.trouble != NULL)
		ctl_table_note(table, summary.trouble, CTL_BAD);
	ctl_log_summary_clear(&summary);
	str_clear(&outcome);
}

static void
print_table(const struct ctl_logs *logs, size_t count)
{
	static const struct ctl_column columns[] = {{"STARTED", false}, {"SESSION", false},
	    {"ACCOUNT", false}, {"SERVER", false}, {"OUTCOME", false}, {"TOOK", true}};
	struct ctl_screen screen;
	struct ctl_table *table;
	struct str s = STR_INIT;

	ctl_text_init_screen(&screen);
	table = ctl_table_new(columns, sizeof columns / sizeof columns[0], &screen);
	ctl_table_give_way(table, COLUMN_SERVER);
	for (size_t i = 0; i < count; i++)
		add_row(table, logs, &logs->list[i]);
	ctl_table_append(table, &s);
	if (logs->count > count)
		str_appendf(&s, "and %zu older in %s\n", logs->count - count, logs->directory);
	fputs(str_text(&s), stdout);
	str_clear(&s);
	ctl_table_free(&table);
}

/* -- for programs ----------------------------------------------------------------------------- */

static json_t *
text_json(const char *text)
{
	struct str s = STR_INIT;
	json_t *json;

	if (text == NULL)
		return json_null();
	ctl_text_append(&s, text, false);
	json = json_string(str_text(&s));
	str_clear(&s);
	return json;
}

/* The first word of the end, else what there is in its place. */
static json_t *
outcome_json(const struct ctl_log_summary *summary)
{
	char *kind;
	json_t *json;

	if (summary->end == NULL)
		return json_string(summary->running ? "running" : "broken-off");
	kind = xstrndup(summary->end, strcspn(summary->end, ","));
	json = text_json(kind);
	free(kind);
	return json;
}

static json_t *
entry_json(const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	struct ctl_log_summary summary;
	bool good = ctl_log_summarize(logs, entry, &summary);
	struct str unused = STR_INIT;
	char stamp[CLOCK_RFC3339_SIZE];
	char *file = xasprintf("%s/%s/%s", logs->directory, entry->account, entry->name);
	double took;
	json_t *json;

	(void)ctl_log_outcome(&summary, &unused, &took);
	json = json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "started",
	    clock_rfc3339(entry->time, stamp), "session", json_stringn(entry->id, entry->id_len),
	    "account", entry->account, "protocol", entry->protocol, "server",
	    text_json(summary.server), "outcome", good ? outcome_json(&summary) : json_null(),
	    "seconds", summary.end != NULL ? json_real(took) : json_null(), "trouble",
	    text_json(summary.trouble), "file", text_json(file));
	ctl_log_summary_clear(&summary);
	str_clear(&unused);
	free(file);
	return json;
}

static void
print_json(const struct ctl_logs *logs, size_t count)
{
	json_t *list = json_array();
	json_t *answer;
	char *text;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, entry_json(logs, &logs->list[i]));
	answer = json_pack("{s:b, s:o}", "ok", 1, "logs", list);
	text = json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	printf("%s\n", text);
	free(text);
	json_decref(answer);
}

int
ctl_log_list(const struct ctl_logs *logs, bool json)
{
	size_t count = logs->count < SHOWN_MAX ? logs->count : SHOWN_MAX;

	if (json)
		print_json(logs, logs->count);
	else if (count > 0)
		print_table(logs, count);
	else
		printf("there is no session log in %s yet\n", logs->directory);
	return EX_OK;
}
