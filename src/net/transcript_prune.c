#include "net/transcript_prune.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "config/value.h"
#include "net/transcript_name.h"
#include "net/transcript_oldest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_ENTRIES 128 /* directory entries, or logs removed, a step */
#define TAIL_SIZE    512 /* more than a last line has */
#define DAY          ((int64_t)24 * 60 * 60 * 1000)

/* What the next entry of work is. */
enum phase {
	PHASE_OPEN,    /* the directory of all */
	PHASE_ACCOUNT, /* the next account's directory */
	PHASE_LOG,     /* the next log in it */
	PHASE_OLDEST,  /* the next of the oldest */
	PHASE_END
};

/* Owned by whoever called transcript_prune_new(), and used by one thread at a time. */
struct transcript_prune {
	char *directory;
	int64_t now;
	int64_t keep;
	int64_t keep_idle;
	uint64_t max_total;

	enum phase phase;
	DIR *sessions;
	DIR *account; /* NULL: between two of them */
	char *account_name;
	struct transcript_oldest oldest;
	size_t next;   /* of the oldest */
	size_t weeded; /* of the oldest, since this walk began */
	struct transcript_prune_result result;
};

/* A log that the walk stands on. */
struct found {
	int directory;
	const char *account;
	const char *name;
	int64_t written; /* wall ms of the last write */
	uint64_t size;
};

/* -- what went wrong -------------------------------------------------------------------------- */

/* With errno; an account and a name may be NULL. */
static void
note_trouble(struct transcript_prune *p, const char *verb, const char *account, const char *name)
{
	int error = errno;

	if (p->result.trouble[0] != '\0')
		return;
	snprintf(p->result.trouble, sizeof p->result.trouble, "cannot %s %s%s%s%s%s: %s", verb,
	    p->directory, account != NULL ? "/" : "", account != NULL ? account : "",
	    name != NULL ? "/" : "", name != NULL ? name : "", strerror(error));
}

/* The next entry's name; NULL at the end, and when the directory cannot be read any further. */
static const char *
read_entry(struct transcript_prune *p, DIR *directory, const char *account)
{
	const struct dirent *entry;

	errno = 0;
	entry = readdir(directory);
	if (entry == NULL && errno != 0)
		note_trouble(p, "read", account, NULL);
	return entry != NULL ? entry->d_name : NULL;
}

static void
close_directory(DIR **directory)
{
	if (*directory != NULL)
		closedir(*directory);
	*directory = NULL;
}

/* -- one log ---------------------------------------------------------------------------------- */

static int
open_log(const struct found *f)
{
	return openat(
	    f->directory, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/*
 * Its writer holds a lock on it.  Where there are no locks, and where the log is another user's,
 * the last day's count as being written.
 */
static bool
is_being_written(struct transcript_prune *p, const struct found *f)
{
	bool is_recent = p->now - f->written < DAY;
	int error, fd = open_log(f);

	if (fd < 0 && errno == EACCES)
		return is_recent;
	if (fd < 0) {
		if (errno != ENOENT)
			note_trouble(p, "open", f->account, f->name);
		return true;
	}
	error = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : errno;
	close(fd);
	return error == EWOULDBLOCK || (error != 0 && is_recent);
}

/* True when the log is gone. */
static bool
remove_log(struct transcript_prune *p, const struct found *f)
{
	if (is_being_written(p, f))
		return false;
	if (unlinkat(f->directory, f->name, 0) == 0) {
		p->result.removed++;
		return true;
	}
	if (errno != ENOENT)
		note_trouble(p, "remove", f->account, f->name);
	return errno == ENOENT;
}

/* "3681 octets in", "0.880 s" */
static bool
is_measure(const char *item)
{
	const char *unit = item + strspn(item, "0123456789.");

	return unit > item && (strcmp(unit, " octets in") == 0 ||
				  strcmp(unit, " octets out") == 0 || strcmp(unit, " s") == 0);
}

/* "0 fetched, 0 deleted, 3681 octets in, 0.880 s" */
static bool
are_counts_zero(char *items)
{
	size_t counts = 0;
	char *item;

	while ((item = strsep(&items, ",")) != NULL) {
		item += strspn(item, " ");
		if (is_measure(item))
			continue;
		if (strncmp(item, "0 ", 2) != 0)
			return false;
		counts++;
	}
	return counts > 0;
}

bool
transcript_prune_is_idle(const char *tail, size_t len)
{
	static const char closed[] = " --- closed: ok, ";
	char line[TAIL_SIZE];
	const char *start, *mark;
	size_t line_len;

	if (len < 2 || tail[len - 1] != '\n')
		return false;
	start = memrchr(tail, '\n', len - 1); /* a log's first line is its head */
	if (start == NULL)
		return false;
	line_len = (size_t)(tail + len - 1 - ++start);
	if (line_len >= sizeof line)
		return false;
	memcpy(line, start, line_len);
	line[line_len] = '\0';
	mark = strchr(line, ' ');
	if (mark == NULL || strncmp(mark, closed, sizeof closed - 1) != 0)
		return false;
	return are_counts_zero(line + (mark - line) + sizeof closed - 1);
}

static bool
is_idle(struct transcript_prune *p, const struct found *f)
{
	char tail[TAIL_SIZE];
	off_t at = f->size > sizeof tail ? (off_t)(f->size - sizeof tail) : 0;
	ssize_t len;
	int fd = open_log(f);

	if (fd < 0) {
		if (errno != ENOENT)
			note_trouble(p, "open", f->account, f->name);
		return false;
	}
	len = pread(fd, tail, sizeof tail, at);
	if (len < 0)
		note_trouble(p, "read", f->account, f->name);
	close(fd);
	return len > 0 && transcript_prune_is_idle(tail, (size_t)len);
}

/* False when there is none, or none that is ours. */
static bool
find_log(struct transcript_prune *p, struct found *f)
{
	struct stat st;

	if (fstatat(f->directory, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			note_trouble(p, "look at", f->account, f->name);
		return false;
	}
	f->size = (uint64_t)st.st_size;
	f->written = (int64_t)st.st_mtime * 1000;
	return S_ISREG(st.st_mode);
}

static void
judge_log(struct transcript_prune *p, const char *name)
{
	struct found f = {.directory = dirfd(p->account), .account = p->account_name, .name = name};
	int64_t time, age;

	if (!transcript_name_parse(name, &time) || !find_log(p, &f))
		return;
	age = p->now - time;
	if ((age > p->keep || (age > p->keep_idle && is_idle(p, &f))) && remove_log(p, &f))
		return;
	p->result.left++;
	p->result.left_octets += f.size;
	transcript_oldest_add(&p->oldest, time, f.size, f.account, name);
}

/* -- the walk --------------------------------------------------------------------------------- */

static enum phase
open_sessions(struct transcript_prune *p)
{
	p->result.left = 0;
	p->result.left_octets = 0;
	p->weeded = 0;
	p->next = 0;
	transcript_oldest_clear(&p->oldest);
	close_directory(&p->sessions);
	p->sessions = opendir(p->directory);
	if (p->sessions == NULL && errno != ENOENT)
		note_trouble(p, "open", NULL, NULL);
	return p->sessions != NULL ? PHASE_ACCOUNT : PHASE_END;
}

/* -1 for what is no directory of session logs. */
static int
open_account(struct transcript_prune *p, const char *name, int flags)
{
	int fd = openat(dirfd(p->sessions), name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
		note_trouble(p, "open", name, NULL);
	return fd;
}

static enum phase
next_account(struct transcript_prune *p)
{
	const char *name = read_entry(p, p->sessions, NULL);
	int fd;

	if (name == NULL) {
		transcript_oldest_sort(&p->oldest);
		return PHASE_OLDEST;
	}
	if (!value_name(name) || (fd = open_account(p, name, O_RDONLY)) < 0)
		return PHASE_ACCOUNT;
	p->account = fdopendir(fd);
	if (p->account == NULL) {
		note_trouble(p, "read", name, NULL);
		close(fd);
		return PHASE_ACCOUNT;
	}
	free(p->account_name);
	p->account_name = xstrdup(name);
	return PHASE_LOG;
}

static enum phase
next_log(struct transcript_prune *p)
{
	const char *name = read_entry(p, p->account, p->account_name);

	if (name != NULL) {
		judge_log(p, name);
		return PHASE_LOG;
	}
	close_directory(&p->account);
	return PHASE_ACCOUNT;
}

/* One that is not there any more counts no more. */
static void
remove_oldest(struct transcript_prune *p, const struct transcript_log *log)
{
	struct found f = {.directory = open_account(p, log->account, O_PATH),
	    .account = log->account,
	    .name = log->name};

	bool is_there = f.directory >= 0 && find_log(p, &f);
	bool is_removed = is_there && remove_log(p, &f);

	p->weeded += is_removed;
	if (is_removed || !is_there) {
		p->result.left--;
		p->result.left_octets -= log->size;
	}
	if (f.directory >= 0)
		close(f.directory);
}

/* Walks again when the oldest did not suffice, as long as that leads anywhere. */
static enum phase
next_oldest(struct transcript_prune *p)
{
	if (p->result.left_octets <= p->max_total)
		return PHASE_END;
	if (p->next == p->oldest.count)
		return p->oldest.cut && p->weeded > 0 ? PHASE_OPEN : PHASE_END;
	remove_oldest(p, &p->oldest.logs[p->next++]);
	return PHASE_OLDEST;
}

/* -- the interface ---------------------------------------------------------------------------- */

struct transcript_prune *
transcript_prune_new(const struct log_config *log, int64_t now, size_t at_once)
{
	struct transcript_prune *p = xcalloc(1, sizeof *p);

	p->directory = xstrdup(log->sessions);
	p->now = now;
	p->keep = log->keep;
	p->keep_idle = log->keep_idle;
	p->max_total = log->max_total;
	p->oldest.max = at_once;
	return p;
}

bool
transcript_prune_step(struct transcript_prune *p)
{
	static enum phase (*const phases[])(struct transcript_prune * p) = {
	    [PHASE_OPEN] = open_sessions,
	    [PHASE_ACCOUNT] = next_account,
	    [PHASE_LOG] = next_log,
	    [PHASE_OLDEST] = next_oldest,
	};

	for (size_t i = 0; i < STEP_ENTRIES && p->phase != PHASE_END; i++)
		p->phase = phases[p->phase](p);
	return p->phase != PHASE_END;
}

const struct transcript_prune_result *
transcript_prune_result(const struct transcript_prune *p)
{
	return &p->result;
}

void
transcript_prune_free(struct transcript_prune **prune)
{
	struct transcript_prune *p = *prune;

	*prune = NULL;
	if (p == NULL)
		return;
	close_directory(&p->account);
	close_directory(&p->sessions);
	transcript_oldest_clear(&p->oldest);
	free(p->account_name);
	free(p->directory);
	free(p);
}
