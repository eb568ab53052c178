#include "ctl/ctl_logs.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "config/value.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define STAMP_LEN 20 /* of "20261120T101500.123Z" */

/* -- names ------------------------------------------------------------------------------------ */

static bool
parse_stamp(const char *name, int64_t *time)
{
	char text[32];

	if (strnlen(name, STAMP_LEN) < STAMP_LEN || name[8] != 'T' || name[15] != '.' ||
	    name[19] != 'Z')
		return false;
	snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s.%.3sZ", name, name + 4, name + 6,
	    name + 9, name + 11, name + 13, name + 16);
	return ctl_time_parse(text, time);
}

bool
ctl_logs_parse_name(char *name, struct ctl_logs_entry *entry)
{
	static const char *const protocols[] = {"pop3", "smtp"};
	static const char alnum[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *p = name + STAMP_LEN;

	if (!parse_stamp(name, &entry->time))
		return false;
	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
		char part[16];
		int len = snprintf(part, sizeof part, "-%s-", protocols[i]);

		if (strncmp(p, part, (size_t)len) != 0)
			continue;
		snprintf(entry->protocol, sizeof entry->protocol, "%s", protocols[i]);
		entry->name = name;
		entry->id = p + len;
		entry->id_len = strspn(entry->id, alnum);
		return entry->id_len > 0 && strcmp(entry->id + entry->id_len, ".log") == 0;
	}
	return false;
}

/* -- directories ------------------------------------------------------------------------------ */

/* errno says why.  What is not there, or no directory, is no trouble. */
static bool
complain(const char *directory, const char *account, int *code)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return true;
	ctl_call_complain("cannot read the session logs in %s%s%s: %s%s", directory,
	    account != NULL ? "/" : "", account != NULL ? account : "", strerror(errno),
	    errno == EACCES ? "; they are for the daemon's user and root" : "");
	*code = errno == EACCES ? EX_NOPERM : EX_NOINPUT;
	return false;
}

static void
add(struct ctl_logs *logs, const char *account, const char *file)
{
	struct ctl_logs_entry entry = {0};
	char *name = xstrdup(file);

	if (!ctl_logs_parse_name(name, &entry)) {
		free(name);
		return;
	}
	entry.account = xstrdup(account);
	/* Doubled whenever the count is a power of two. */
	if ((logs->count & (logs->count - 1)) == 0)
		logs->list = xreallocarray(
		    logs->list, logs->count > 0 ? 2 * logs->count : 1, sizeof *logs->list);
	logs->list[logs->count++] = entry;
}

static bool
read_account(struct ctl_logs *logs, int sessions, const char *account, int *code)
{
	int fd = openat(sessions, account, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (directory == NULL)
		return complain(logs->directory, account, code);
	while ((entry = readdir(directory)) != NULL)
		add(logs, account, entry->d_name);
	closedir(directory);
	return true;
}

static bool
read_accounts(struct ctl_logs *logs, int sessions, int *code)
{
	int fd = dup(sessions);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	bool good = true;

	if (directory == NULL)
		return complain(logs->directory, NULL, code);
	while (good && (entry = readdir(directory)) != NULL)
		if (value_name(entry->d_name))
			good = read_account(logs, sessions, entry->d_name, code);
	closedir(directory);
	return good;
}

/* -- the interface ---------------------------------------------------------------------------- */

int
ctl_logs_compare(const struct ctl_logs_entry *a, const struct ctl_logs_entry *b)
{
	if (a->time != b->time)
		return a->time < b->time ? 1 : -1;
	return -strcmp(a->name, b->name);
}

static int
newest_first(const void *a, const void *b)
{
	return ctl_logs_compare(a, b);
}

bool
ctl_logs_read(struct ctl_logs *logs, const char *directory, const char *account, int *code)
{
	int sessions = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good;

	ctl_logs_clear(logs);
	logs->directory = xstrdup(directory);
	if (sessions < 0)
		return complain(directory, NULL, code);
	good = account != NULL ? read_account(logs, sessions, account, code)
			       : read_accounts(logs, sessions, code);
	close(sessions);
	if (logs->count > 0)
		qsort(logs->list, logs->count, sizeof *logs->list, newest_first);
	return good;
}

void
ctl_logs_clear(struct ctl_logs *logs)
{
	for (size_t i = 0; i < logs->count; i++) {
		free(logs->list[i].account);
		free(logs->list[i].name);
	}
	free(logs->list);
	free(logs->directory);
	*logs = (struct ctl_logs){0};
}

static void
skip_zeros(const char **id, size_t *len)
{
	while (*len > 1 && **id == '0') {
		(*id)++;
		(*len)--;
	}
}

static bool
is_same_id(const char *a, size_t a_len, const char *b, size_t b_len)
{
	skip_zeros(&a, &a_len);
	skip_zeros(&b, &b_len);
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool
is_named(const struct ctl_logs_entry *entry, const char *word)
{
	size_t len = strlen(entry->name), stem = len - strlen(".log");

	return strcmp(entry->name, word) == 0 ||
	       (strlen(word) == stem && strncmp(entry->name, word, stem) == 0) ||
	       is_same_id(entry->id, entry->id_len, word, strlen(word));
}

const struct ctl_logs_entry *
ctl_logs_find(const struct ctl_logs *logs, const char *word)
{
	for (size_t i = 0; i < logs->count; i++)
		if (is_named(&logs->list[i], word))
			return &logs->list[i];
	return NULL;
}

size_t
ctl_logs_count_id(const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	size_t count = 0;

	for (size_t i = 0; i < logs->count; i++)
		count +=
		    is_same_id(logs->list[i].id, logs->list[i].id_len, entry->id, entry->id_len);
	return count;
}

int
ctl_logs_open(const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	char *path = xasprintf("%s/%s/%s", logs->directory, entry->account, entry->name);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	free(path);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}
