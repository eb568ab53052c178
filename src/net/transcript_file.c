#include "net/transcript_file.h"

#include "base/log.h"
#include "base/worker.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Owned by its transcript until it is closed, then by its last piece.  fd and error belong to the
 * worker's thread while a piece is under way.
 */
struct transcript_file {
	struct worker *worker;
	char *directory;
	char *account;
	char *name;
	size_t waiting; /* loop's thread */
	int fd;         /* -1: not made yet */
	int error;      /* errno of what failed first; nothing is tried after it */
};

/* What one hand-over writes.  Owned by the worker, freed when it comes back. */
struct piece {
	struct job job;
	struct transcript_file *file;
	struct str text;
	bool last;
};

/* Whether the trouble was said already.  Loop's thread. */
static bool complained;

/* Who is told what was written.  Loop's thread. */
static transcript_file_watch_cb *watch_cb;
static void *watch_arg;

/* Octets of all files that the workers have not written yet.  Loop's thread. */
static size_t all_waiting;

/* -- in the worker's thread ------------------------------------------------------------------- */

/* Makes the directory and those above it. */
static int
make_directories(const char *path)
{
	char *copy = xstrdup(path);
	int error = 0;

	for (char *p = copy + 1; error == 0; p++) {
		char end = *p;

		if (end != '/' && end != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			error = errno;
		*p = end;
		if (end == '\0')
			break;
	}
	free(copy);
	return error;
}

static int
open_below(int directory, const char *name)
{
	struct stat st;
	int fd = openat(directory, name,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EEXIST;
	return -1;
}

static void
open_file(struct transcript_file *f)
{
	char *path = xasprintf("%s/%s", f->directory, f->account);
	int directory;

	f->error = make_directories(path);
	directory = f->error == 0 ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (directory >= 0)
		f->fd = open_below(directory, f->name);
	if (f->fd >= 0)
		flock(f->fd, LOCK_EX | LOCK_NB); /* not everywhere to be had */
	if (f->error == 0 && f->fd < 0)
		f->error = errno;
	if (directory >= 0)
		close(directory);
	free(path);
}

static void
write_all(struct transcript_file *f, const char *data, size_t len)
{
	ssize_t n;

	while (len > 0 && f->error == 0) {
		n = write(f->fd, data, len);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno != EINTR) {
			f->error = errno;
		}
	}
}

static void
piece_run(struct job *job)
{
	struct piece *p = (struct piece *)((char *)job - offsetof(struct piece, job));
	struct transcript_file *f = p->file;

	if (f->fd < 0 && f->error == 0)
		open_file(f);
	write_all(f, p->text.data, p->text.len);
	if (p->last && f->fd >= 0 && close(f->fd) != 0 && f->error == 0)
		f->error = errno;
}

/* -- in the loop's thread --------------------------------------------------------------------- */

/* Once for all files, until one is written again. */
static void
complain(const struct transcript_file *f)
{
	if (f->error != 0 && !complained)
		log_warning("session log %s/%s/%s: %s; sessions go on without a log", f->directory,
		    f->account, f->name, strerror(f->error));
	complained = f->error != 0;
}

static void
file_free(struct transcript_file *f)
{
	free(f->directory);
	free(f->account);
	free(f->name);
	free(f);
}

static void
piece_done(struct job *job)
{
	struct piece *p = (struct piece *)((char *)job - offsetof(struct piece, job));

	p->file->waiting -= p->text.len;
	if (watch_cb != NULL)
		watch_cb(p->text.len, watch_arg);
	all_waiting -= p->text.len;
	if (p->last) {
		complain(p->file);
		file_free(p->file);
	}
	str_clear(&p->text);
	free(p);
}

static void
submit(struct transcript_file *f, struct str *text, bool last)
{
	struct piece *p = xcalloc(1, sizeof *p);

	p->job = (struct job){.run = piece_run, .done = piece_done};
	p->file = f;
	p->text = *text;
	p->last = last;
	*text = (struct str)STR_INIT;
	f->waiting += p->text.len;
	all_waiting += p->text.len;
	worker_submit(f->worker, &p->job);
}

struct transcript_file *
transcript_file_new(
    struct worker *worker, const char *directory, const char *account, const char *name)
{
	struct transcript_file *f = xcalloc(1, sizeof *f);

	f->worker = worker;
	f->directory = xstrdup(directory);
	f->account = xstrdup(account);
	f->name = xstrdup(name);
	f->fd = -1;
	return f;
}

void
transcript_file_write(struct transcript_file *f, struct str *text)
{
	if (text->len > 0)
		submit(f, text, false);
}

void
transcript_file_close(struct transcript_file **file)
{
	struct str none = STR_INIT;

	if (*file != NULL)
		submit(*file, &none, true);
	*file = NULL;
}

bool
transcript_file_is_behind(const struct transcript_file *f)
{
	return f->waiting > TRANSCRIPT_BEHIND || all_waiting > 4 * (size_t)TRANSCRIPT_BEHIND;
}

void
transcript_file_watch(transcript_file_watch_cb *cb, void *arg)
{
	watch_cb = cb;
	watch_arg = arg;
}
