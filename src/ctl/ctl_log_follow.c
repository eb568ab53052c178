#include "ctl/ctl_log_follow.h"

#include "base/xalloc.h"
#include "ctl/ctl_log.h"
#include "ctl/ctl_logfile.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE  1000 /* ms; for file systems that tell of nothing */
#define LOOKED_AT 20   /* how many are asked whether they still run */

/*
 * A session's first lines may come into its file later than those of one that began after it: as
 * long as this (ms) one that is older than the latest may still be shown.  So many are remembered.
 */
#define LATE      5000
#define SHOWN_MAX 64

struct follow {
	struct ctl_logs *logs;
	char *account; /* NULL: all */
	struct ctl_screen screen;
	bool json;
	struct ctl_logs_entry current; /* our own strings; name NULL: none so far */
	struct ctl_logfile file;       /* while there is a current one */
	char *shown[SHOWN_MAX];        /* names; the latest replace the oldest */
	size_t shown_count;
	int64_t began, latest; /* wall ms: of the first that was shown, of the newest */
	int inotify;           /* -1: not to be had */
};

static void
forget_current(struct follow *f)
{
	if (f->current.name == NULL)
		return;
	ctl_logfile_close(&f->file);
	free(f->current.name);
	free(f->current.account);
	f->current = (struct ctl_logs_entry){0};
}

static void
remember(struct follow *f, const struct ctl_logs_entry *entry)
{
	char **place = &f->shown[f->shown_count % SHOWN_MAX];

	free(*place);
	*place = xasprintf("%s/%s", entry->account, entry->name);
	if (f->shown_count++ == 0)
		f->began = entry->time;
	f->latest = entry->time > f->latest ? entry->time : f->latest;
}

static bool
was_shown(const struct follow *f, const struct ctl_logs_entry *entry)
{
	char *name = xasprintf("%s/%s", entry->account, entry->name);
	bool found = false;

	for (size_t i = 0; i < SHOWN_MAX && f->shown[i] != NULL && !found; i++)
		found = strcmp(f->shown[i], name) == 0;
	free(name);
	return found;
}

/* False with *code set. */
static bool
begin(struct follow *f, const struct ctl_logs_entry *entry, int *code)
{
	int fd = ctl_logs_open(f->logs, entry);

	if (fd < 0) {
		*code = ctl_log_complain(f->logs, entry);
		return false;
	}
	if (f->current.name != NULL && !f->json)
		putchar('\n');
	forget_current(f);
	remember(f, entry);
	ctl_logs_parse_name(xstrdup(entry->name), &f->current);
	f->current.account = xstrdup(entry->account);
	ctl_logfile_open(&f->file, fd);
	return true;
}

static void
print_new(struct follow *f, bool rest)
{
	ctl_log_print(&f->file, rest, f->json ? NULL : &f->screen);
	fflush(stdout);
}

/* What was written before its writer let go of it is printed, too. */
static bool
is_over(struct follow *f)
{
	if (f->current.name == NULL)
		return true;
	print_new(f, false);
	if (ctl_logfile_is_written(&f->file))
		return false;
	print_new(f, true);
	return true;
}

/* -- waiting ---------------------------------------------------------------------------------- */

static void
watch(const struct follow *f)
{
	const char *last = NULL;
	char *path;

	inotify_add_watch(f->inotify, f->logs->directory, IN_CREATE | IN_MOVED_TO);
	for (size_t i = 0; i < f->logs->count; i++) {
		const char *account = f->logs->list[i].account;

		if (last != NULL && strcmp(last, account) == 0)
			continue;
		last = account;
		path = xasprintf("%s/%s", f->logs->directory, account);
		inotify_add_watch(f->inotify, path, IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE);
		free(path);
	}
}

/* False when nobody reads what is printed any more. */
static bool
wait_for_more(const struct follow *f)
{
	struct pollfd fds[] = {{.fd = STDOUT_FILENO}, {.fd = f->inotify, .events = POLLIN}};
	char events[4096];

	if (poll(fds, 2, PATIENCE) > 0 && (fds[1].revents & POLLIN) != 0)
		while (read(f->inotify, events, sizeof events) > 0)
			;
	return (fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)) == 0 && !ferror(stdout);
}

/* -- which ------------------------------------------------------------------------------------ */

/* The newest that still runs, else the newest. */
static const struct ctl_logs_entry *
find_first(const struct ctl_logs *logs)
{
	for (size_t i = 0; i < logs->count && i < LOOKED_AT; i++) {
		int fd = ctl_logs_open(logs, &logs->list[i]);
		struct ctl_logfile file;
		bool runs;

		if (fd < 0)
			continue;
		ctl_logfile_open(&file, fd);
		runs = ctl_logfile_is_written(&file);
		ctl_logfile_close(&file);
		if (runs)
			return &logs->list[i];
	}
	return logs->count > 0 ? &logs->list[0] : NULL;
}

/* The oldest that was not shown yet and did not begin before the first that was. */
static const struct ctl_logs_entry *
find_next(const struct follow *f)
{
	for (size_t i = f->logs->count; i-- > 0;) {
		const struct ctl_logs_entry *entry = &f->logs->list[i];

		if (entry->time >= f->began && entry->time > f->latest - LATE &&
		    !was_shown(f, entry))
			return entry;
	}
	return NULL;
}

/* Reads the directory anew.  True when it went on to the next session; *code says of trouble. */
static bool
go_on(struct follow *f, int *code)
{
	char *directory = xstrdup(f->logs->directory);
	const struct ctl_logs_entry *next;
	bool good = ctl_logs_read(f->logs, directory, f->account, code);

	free(directory);
	if (!good)
		return false;
	watch(f);
	next = f->current.name != NULL ? find_next(f) : find_first(f->logs);
	return next != NULL && begin(f, next, code);
}

static int
run(struct follow *f)
{
	int code = EX_OK;

	do {
		while (is_over(f) && go_on(f, &code))
			;
	} while (code == EX_OK && wait_for_more(f));
	return code;
}

int
ctl_log_follow(
    struct ctl_logs *logs, const char *word, const struct ctl_logs_entry *first, bool json)
{
	struct follow f = {
	    .logs = logs, .json = json, .inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
	int code = EX_OK;

	ctl_text_init_screen(&f.screen);
	watch(&f);
	if (word != NULL)
		f.account = xstrdup(first != NULL ? first->account : word);
	if (first == NULL && word == NULL)
		first = find_first(logs);
	if (first == NULL || begin(&f, first, &code))
		code = run(&f);
	forget_current(&f);
	if (f.inotify >= 0)
		close(f.inotify);
	for (size_t i = 0; i < SHOWN_MAX; i++)
		free(f.shown[i]);
	free(f.account);
	return code;
}
