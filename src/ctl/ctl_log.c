#include "ctl/ctl_log.h"

#include "base/clock.h"
#include "config/config.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_log_follow.h"
#include "ctl/ctl_log_list.h"
#include "ctl/ctl_logfile.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct request {
	const char *word; /* an account or a session; NULL: none was named */
	bool follow;
	bool json;
};

static int
parse(int argc, char **argv, struct request *r)
{
	static const struct option list[] = {
	    {"follow", no_argument, NULL, 'f'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "f", list, NULL)) != -1) {
		if (option != 'f')
			return ctl_call_usage("log", CTL_LOG_OPERANDS);
		r->follow = true;
	}
	if (argc - optind > 1)
		return ctl_call_usage("log", CTL_LOG_OPERANDS);
	r->word = argv[optind];
	return EX_OK;
}

/* -- finding ---------------------------------------------------------------------------------- */

const char *
ctl_log_directory(const struct config *config, int *code)
{
	if (config->log.sessions != NULL)
		return config->log.sessions;
	ctl_call_complain("no session logs are written: log.sessions is \"\" in %s; name a "
			  "directory there and reload",
	    config->file);
	*code = EX_NOINPUT;
	return NULL;
}

bool
ctl_log_is_account(const struct ctl_logs *logs, const struct config *config, const char *word)
{
	for (size_t i = 0; i < logs->count; i++)
		if (strcmp(logs->list[i].account, word) == 0)
			return true;
	return config_account(config, word) != NULL;
}

static const struct ctl_logs_entry *
newest_of(const struct ctl_logs *logs, const char *account)
{
	for (size_t i = 0; i < logs->count; i++)
		if (strcmp(logs->list[i].account, account) == 0)
			return &logs->list[i];
	return NULL;
}

/* IDs begin anew with each start of the daemon. */
static void
say_if_ambiguous(const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	size_t count = ctl_logs_count_id(logs, entry);

	if (count > 1)
		ctl_call_complain("%zu sessions have had the ID %.*s, this is the newest; the "
				  "names of all are in %s",
		    count, (int)entry->id_len, entry->id, logs->directory);
}

const struct ctl_logs_entry *
ctl_log_find(
    struct ctl_logs *logs, const struct config *config, const char *word, bool must, int *code)
{
	const char *directory = ctl_log_directory(config, code);
	const struct ctl_logs_entry *entry;

	if (directory == NULL || !ctl_logs_read(logs, directory, NULL, code))
		return NULL;
	if (ctl_log_is_account(logs, config, word)) {
		entry = newest_of(logs, word);
		if (entry == NULL && must) {
			ctl_call_complain("there is no session log of account %s yet", word);
			*code = EX_NOINPUT;
		}
		return entry;
	}
	entry = ctl_logs_find(logs, word);
	if (entry == NULL) {
		ctl_call_complain("no session and no account is called %s; "
				  "`postriderctl log` lists the newest sessions",
		    word);
		*code = EX_NOINPUT;
		return NULL;
	}
	if (word[strspn(word, "0123456789")] == '\0')
		say_if_ambiguous(logs, entry);
	return entry;
}

int
ctl_log_complain(const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	int error = errno;

	ctl_call_complain("cannot read %s/%s/%s: %s%s", logs->directory, entry->account,
	    entry->name, error == EINVAL ? "it is no regular file" : strerror(error),
	    error == EACCES ? "; session logs are for the daemon's user and root" : "");
	return error == EACCES ? EX_NOPERM : EX_NOINPUT;
}

/* -- showing ---------------------------------------------------------------------------------- */

/* For people, escaped, with its end. */
static void
append_line(struct str *s, const char *line, const struct ctl_screen *screen)
{
	struct ctl_logfile_line parsed;
	struct str stamp = STR_INIT, text = STR_INIT;

	ctl_logfile_parse(&parsed, line);
	if (parsed.kind != CTL_LOGFILE_OTHER) {
		const char *mark = strchr(line, ' ');

		str_append(&stamp, line, (size_t)(mark - line) + 1);
		line = mark + 1;
	}
	ctl_text_append(&text, line, screen->ascii);
	ctl_table_append_tone(s, screen, CTL_DIM, str_text(&stamp));
	ctl_table_append_tone(s, screen, ctl_logfile_tone(&parsed), str_text(&text));
	str_append_char(s, '\n');
	str_clear(&stamp);
	str_clear(&text);
}

static void
append_json(struct str *s, const char *line)
{
	static const char *const kinds[] = {[CTL_LOGFILE_SENT] = "sent",
	    [CTL_LOGFILE_RECEIVED] = "received",
	    [CTL_LOGFILE_NOTE] = "remark",
	    [CTL_LOGFILE_OTHER] = "other"};
	struct ctl_logfile_line parsed;
	char stamp[CLOCK_RFC3339_SIZE];
	struct str text = STR_INIT;
	json_t *json;
	char *object;

	ctl_logfile_parse(&parsed, line);
	ctl_text_append(&text, parsed.text, false);
	json = json_pack("{s:o, s:s, s:s}", "time",
	    parsed.time != 0 ? json_string(clock_rfc3339(parsed.time, stamp)) : json_null(), "kind",
	    kinds[parsed.kind], "text", str_text(&text));
	object = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
	str_appendf(s, "%s\n", object);
	free(object);
	json_decref(json);
	str_clear(&text);
}

void
ctl_log_print(struct ctl_logfile *file, bool rest, const struct ctl_screen *screen)
{
	struct str s = STR_INIT;
	const char *line;

	while ((line = ctl_logfile_next(file, rest)) != NULL) {
		str_truncate(&s, 0);
		if (screen != NULL)
			append_line(&s, line, screen);
		else
			append_json(&s, line);
		fputs(str_text(&s), stdout);
	}
	str_clear(&s);
}

int
ctl_log_show(const struct ctl_logs *logs, const struct ctl_logs_entry *entry, bool json)
{
	struct ctl_screen screen;
	struct ctl_logfile file;
	int fd = ctl_logs_open(logs, entry);
	int code = EX_OK;

	if (fd < 0)
		return ctl_log_complain(logs, entry);
	ctl_logfile_open(&file, fd);
	ctl_text_init_screen(&screen);
	ctl_log_print(&file, true, json ? NULL : &screen);
	if (file.error != 0) {
		errno = file.error;
		code = ctl_log_complain(logs, entry);
	}
	ctl_logfile_close(&file);
	return code;
}

static int
answer(const struct config *config, const struct request *r)
{
	const struct ctl_logs_entry *entry = NULL;
	struct ctl_logs logs = {0};
	const char *directory;
	int code = EX_OK;

	if (r->word != NULL)
		entry = ctl_log_find(&logs, config, r->word, !r->follow, &code);
	else if ((directory = ctl_log_directory(config, &code)) != NULL)
		(void)ctl_logs_read(&logs, directory, NULL, &code);
	if (code == EX_OK && r->follow)
		code = ctl_log_follow(&logs, r->word, entry, r->json);
	else if (code == EX_OK && entry != NULL)
		code = ctl_log_show(&logs, entry, r->json);
	else if (code == EX_OK)
		code = ctl_log_list(&logs, r->json);
	ctl_logs_clear(&logs);
	return code;
}

int
ctl_log_run(const struct ctl_call *call, int argc, char **argv)
{
	struct request r = {.json = call->json};
	int code = parse(argc, argv, &r);
	struct config *config = NULL;

	if (code == EX_OK)
		config = ctl_call_config(call, "log", &code);
	if (config != NULL)
		code = answer(config, &r);
	config_unref(&config);
	return code;
}
