#include "queue/spool_writer.h"

#include "base/step.h"
#include "base/str.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 10, FILE_MODE = 0640 };

/* Owned by the caller of spool_writer_open(). */
struct spool_writer {
	char *path;
	int dir; /* O_PATH: the directory may be one that we may not read */
	int file;
	int entry;            /* what is flushed for the directory's sake; -1 until the commit */
	bool entry_is_a_file; /* the directory itself could not be opened */
	char hidden[FILENAME_SIZE + 1];
	char name[FILENAME_SIZE]; /* "" until it has it */
};

static bool
fault(const struct spool_writer *w, struct verdict *why, int error, const char *what)
{
	char reason[128], shown[256];

	verdict_fail(why, FAIL_LOCAL, "spool", "cannot %s %s: %s", what,
	    str_escape(shown, sizeof shown, w->path, strlen(w->path)),
	    strerror_r(error, reason, sizeof reason));
	why->code = error;
	return false;
}

static int
close_fd(int *fd)
{
	int was = *fd;

	*fd = -1;
	return was < 0 || close(was) == 0 ? 0 : errno;
}

static void
free_writer(struct spool_writer **writer)
{
	struct spool_writer *w = *writer;

	*writer = NULL;
	close_fd(&w->file);
	close_fd(&w->entry);
	close_fd(&w->dir);
	free(w->path);
	free(w);
}

/* 0 or an errno. */
static int
create_hidden(struct spool_writer *w)
{
	char name[FILENAME_SIZE];

	for (int tries = 0; tries < NAME_TRIES && w->file < 0; tries++) {
		snprintf(w->hidden, sizeof w->hidden, ".%s", filename_make(name));
		step("spool-writer-create");
		w->file = openat(
		    w->dir, w->hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (w->file < 0 && errno != EEXIST)
			break;
	}
	if (w->file >= 0)
		return 0;
	w->hidden[0] = '\0';
	return errno;
}

/* The daemon must be able to read it.  A file server may not let root give files away. */
static int
give_away(struct spool_writer *w)
{
	struct stat st;

	if (geteuid() == 0 && fstat(w->dir, &st) == 0 && st.st_uid != 0 &&
	    fchown(w->file, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		return errno;
	return fchmod(w->file, FILE_MODE) == 0 ? 0 : errno;
}

struct spool_writer *
spool_writer_open(const char *spool, struct verdict *why)
{
	struct spool_writer *w = xcalloc(1, sizeof *w);
	int error;

	*why = (struct verdict)VERDICT_OK;
	w->path = xstrdup(spool);
	w->file = w->entry = -1;
	w->dir = open(spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->dir < 0) {
		fault(w, why, errno, "open the spool");
		free_writer(&w);
		return NULL;
	}
	error = create_hidden(w);
	if (error == 0)
		error = give_away(w);
	if (error == 0)
		return w;
	fault(w, why, error, "create a file in the spool");
	spool_writer_cancel(&w);
	return NULL;
}

bool
spool_writer_append(struct spool_writer *w, const void *data, size_t len, struct verdict *why)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n;

		step("spool-writer-write");
		n = write(w->file, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fault(w, why, n < 0 ? errno : EIO, "write into the spool");
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/*
 * The octets; and the file is closed, so that nobody who finds it under its name sees a writer.
 */
static int
flush_file(struct spool_writer *w)
{
	step("spool-writer-flush-file");
	if (fsync(w->file) < 0)
		return errno;
	return close_fd(&w->file);
}

/*
 * Before the rename: syncfs(2) reports only errors since its descriptor was opened.  A directory
 * that may not be read cannot be opened but by O_PATH, which no flush takes; then the file stands
 * in, and its whole file system is flushed.
 */
static int
open_entry(struct spool_writer *w)
{
	w->entry = openat(w->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->entry < 0) {
		w->entry = openat(w->dir, w->hidden, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		w->entry_is_a_file = true;
	}
	return w->entry >= 0 ? 0 : errno;
}

static int
flush_entry(const struct spool_writer *w)
{
	step("spool-writer-flush-entry");
	if (!w->entry_is_a_file && fsync(w->entry) == 0)
		return 0;
	if (!w->entry_is_a_file && errno != EINVAL)
		return errno;
	return syncfs(w->entry) == 0 ? 0 : errno;
}

/* From the hidden name to the other, never replacing.  0 or an errno. */
static int
move(const struct spool_writer *w, const char *name)
{
	step("spool-writer-rename");
	if (renameat2(w->dir, w->hidden, w->dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return errno;
	if (linkat(w->dir, w->hidden, w->dir, name, 0) < 0)
		return errno;
	unlinkat(w->dir, w->hidden, 0);
	return 0;
}

static int
publish(struct spool_writer *w)
{
	char name[FILENAME_SIZE];
	int error = EEXIST;

	for (int tries = 0; tries < NAME_TRIES && error == EEXIST; tries++)
		error = move(w, filename_make(name));
	if (error != 0)
		return error;
	memcpy(w->name, name, sizeof w->name);
	w->hidden[0] = '\0';
	return 0;
}

static int
commit(struct spool_writer *w)
{
	int error = flush_file(w);

	if (error == 0)
		error = open_entry(w);
	if (error == 0)
		error = publish(w);
	if (error == 0)
		error = flush_entry(w);
	return error;
}

bool
spool_writer_commit(struct spool_writer **writer, char name[FILENAME_SIZE], struct verdict *why)
{
	struct spool_writer *w = *writer;
	int error = commit(w);

	if (error != 0) {
		fault(w, why, error, "store the message durably in the spool");
		spool_writer_cancel(writer);
		return false;
	}
	if (name != NULL)
		memcpy(name, w->name, sizeof w->name);
	free_writer(writer);
	return true;
}

void
spool_writer_cancel(struct spool_writer **writer)
{
	struct spool_writer *w = *writer;

	if (w == NULL)
		return;
	step("spool-writer-remove");
	if (w->hidden[0] != '\0')
		unlinkat(w->dir, w->hidden, 0);
	if (w->name[0] != '\0')
		unlinkat(w->dir, w->name, 0);
	free_writer(writer);
}
