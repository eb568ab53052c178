#include "queue/spool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/step.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/lease.h"
#include "store/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Times in ms.  Without a lease nothing tells whether a writer is still there, so it takes longer.
 */
enum {
	SETTLED = 1000,
	SETTLED_UNLEASED = 60 * 1000,
	LONG_AGO = 3600 * 1000, /* by any file server's clock */
	WRITER_AGAIN = 5000,
	TROUBLE_AGAIN = 60 * 1000
};
enum { COPY_SIZE = 65536, ID_TRIES = 10 };

/* A look at one file of the spool; embedded in the caller. */
struct look {
	struct spool *spool;
	const char *name;
	struct spool_sight *sight;
	bool impatient;
	struct stat st;
	int fd;
	int64_t now; /* mono */
	int64_t *due;
};

void
spool_claim_free(struct spool_claim **claim)
{
	struct spool_claim *c = *claim;

	*claim = NULL;
	if (c == NULL)
		return;
	envelope_request_clear(&c->request);
	free(c->source.name);
	free(c->name);
	free(c);
}

static int64_t
nanoseconds(struct timespec ts)
{
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static enum spool_judged
look_later(struct look *l, int64_t ms)
{
	*l->due = l->now + ms;
	return SPOOL_LATER;
}

static bool
is_first_word(struct look *l)
{
	return spool_note_once(l->spool, l->st.st_ino, nanoseconds(l->st.st_ctim));
}

/* Says it once for each state of the file. */
static enum spool_judged
complain(struct look *l, int error, const char *what)
{
	struct verdict why = VERDICT_OK;

	l->spool->is_troubled = true;
	if (is_first_word(l)) {
		spool_fault(l->spool, &why, error, what, "", l->name);
		log_warning("spool: %s", why.text);
	}
	return look_later(l, TROUBLE_AGAIN);
}

static enum spool_judged
ignore_special(struct look *l)
{
	char shown[256];
	const char *kind = S_ISLNK(l->st.st_mode)    ? "a symbolic link"
			   : S_ISFIFO(l->st.st_mode) ? "a FIFO"
			   : S_ISSOCK(l->st.st_mode) ? "a socket"
						     : "a device";

	if (!S_ISDIR(l->st.st_mode) && is_first_word(l))
		log_warning("spool: %s is %s: left alone; only regular files are messages",
		    str_escape(shown, sizeof shown, l->name, strlen(l->name)), kind);
	return SPOOL_IGNORED;
}

static void
note_sight(struct look *l)
{
	struct spool_sight *s = l->sight;

	if (s->since != 0 && s->inode == l->st.st_ino && s->size == (uint64_t)l->st.st_size &&
	    s->mtime == nanoseconds(l->st.st_mtim) && s->ctime == nanoseconds(l->st.st_ctim))
		return;
	s->inode = l->st.st_ino;
	s->size = (uint64_t)l->st.st_size;
	s->mtime = nanoseconds(l->st.st_mtim);
	s->ctime = nanoseconds(l->st.st_ctim);
	s->since = l->now;
}

/* How long ago the file last changed in any way, by the wall clock; -1 when that is in the future.
 */
static int64_t
age_of(const struct look *l)
{
	int64_t age = clock_wall() - nanoseconds(l->st.st_ctim) / 1000000;

	return age < 0 ? -1 : age;
}

/* 0, or for how many ms it must stay as it is; nobody has it open for writing. */
static int64_t
unsettled_for(const struct look *l)
{
	int64_t age = age_of(l), seen = l->now - l->sight->since;

	if (l->impatient || l->sight->is_whole || l->st.st_nlink > 1 || age >= SETTLED ||
	    seen >= SETTLED)
		return 0;
	return SETTLED - (age > seen ? age : seen);
}

static int64_t
unsettled_unleased_for(const struct look *l)
{
	int64_t age = age_of(l), seen = l->now - l->sight->since;

	if (l->sight->is_whole || age >= LONG_AGO || seen >= SETTLED_UNLEASED ||
	    (l->impatient && age >= SETTLED_UNLEASED))
		return 0;
	return SETTLED_UNLEASED - seen;
}

static struct spool_claim *
claim_new(const struct look *l)
{
	struct spool_claim *c = xcalloc(1, sizeof *c);
	char name[SPOOL_NAME_SIZE];

	c->name = xstrdup(spool_cut_name(name, l->name));
	c->size = (uint64_t)l->st.st_size;
	c->inode = l->st.st_ino;
	return c;
}

/* 0 or an errno. */
static int
move_to_queue(struct look *l, struct spool_claim *c)
{
	char file[SPOOL_FILE_SIZE];
	int error = EEXIST;

	for (int tries = 0; tries < ID_TRIES && error == EEXIST; tries++) {
		spool_file(file, outid_make(c->id), c->name);
		step("claim-rename");
		error = spool_move(l->spool->dir, l->name, l->spool->queue, file);
	}
	if (error == 0)
		l->spool->is_dir_touched = l->spool->is_queue_touched = true;
	return error;
}

static int
copy_octets(int from, int to)
{
	char *buf = xmalloc(COPY_SIZE);
	off_t offset = 0;
	int error = 0;
	ssize_t n;

	while (error == 0 && (n = pread(from, buf, COPY_SIZE, offset)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		error = n < 0 ? errno : spool_write(to, buf, (size_t)n);
		offset += n > 0 ? n : 0;
	}
	free(buf);
	return error;
}

static bool
is_unchanged(const struct look *l)
{
	struct stat st;

	return fstat(l->fd, &st) == 0 && st.st_size == l->st.st_size &&
	       nanoseconds(st.st_mtim) == nanoseconds(l->st.st_mtim);
}

static void
remove_hidden(struct spool *s, const struct spool_claim *c)
{
	char file[SPOOL_FILE_SIZE], hidden[SPOOL_FILE_SIZE + 1];

	snprintf(hidden, sizeof hidden, ".%s", spool_file(file, c->id, c->name));
	step("claim-remove-copy");
	unlinkat(s->queue, hidden, 0);
}

static struct spool_source
source_of(const struct look *l)
{
	return (struct spool_source){.name = xstrdup(l->name),
	    .inode = l->st.st_ino,
	    .size = (uint64_t)l->st.st_size,
	    .mtime = nanoseconds(l->st.st_mtim)};
}

/* Its copy is claimed already, but has no row yet. */
static bool
is_copied(const struct look *l)
{
	struct spool_source source = source_of(l);
	bool copied = spool_copied_has(l->spool, &source);

	free(source.name);
	return copied;
}

/* 0 or an errno; EAGAIN when the original was changed meanwhile. */
static int
copy_to_queue(struct look *l, struct spool_claim *c)
{
	char file[SPOOL_FILE_SIZE], hidden[SPOOL_FILE_SIZE + 1];
	struct verdict why = VERDICT_OK;
	struct stat st;
	int fd, error;

	snprintf(hidden, sizeof hidden, ".%s", spool_file(file, outid_make(c->id), c->name));
	step("claim-create-copy");
	fd = openat(l->spool->queue, hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	l->spool->is_queue_touched = true;
	error = copy_octets(l->fd, fd);
	if (error == 0 && !is_unchanged(l))
		error = EAGAIN;
	if (error == 0 && fstat(fd, &st) < 0)
		error = errno;
	if (error != 0)
		close(fd);
	else if (!spool_keep(l->spool, fd, &why))
		error = why.code != 0 ? why.code : EIO;
	if (error != 0) {
		remove_hidden(l->spool, c);
		return error;
	}
	c->inode = st.st_ino;
	c->hidden = true;
	c->source = source_of(l);
	spool_copied_add(l->spool, &c->source);
	return 0;
}

/* With its name taken meanwhile, as ID.NAME: in queue/ nothing would look at it. */
static void
move_back(struct spool *s, const struct spool_claim *c, const char *name)
{
	char file[SPOOL_FILE_SIZE];

	step("claim-undo");
	if (spool_move(s->queue, spool_file(file, c->id, c->name), s->dir, name) == EEXIST)
		spool_move(s->queue, file, s->dir, file);
}

void
spool_claim_undo(struct spool *s, struct spool_claim **claim)
{
	if ((*claim)->hidden) {
		remove_hidden(s, *claim);
		spool_copied_remove(s, &(*claim)->source);
	} else {
		move_back(s, *claim, (*claim)->name);
	}
	spool_claim_free(claim);
}

/* Else it is queue/ that is not there. */
static bool
has_gone(const struct look *l, int error)
{
	struct stat st;

	return error == ENOENT && fstatat(l->spool->dir, l->name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

/* A file that cannot be opened is moved all the same: then people find it in failed/. */
static enum spool_judged
take_unreadable(struct look *l, struct spool_claim **claim)
{
	int64_t wait = unsettled_unleased_for(l);
	struct spool_claim *c;
	int error;

	if (wait > 0 && !l->impatient)
		return look_later(l, wait);
	c = claim_new(l);
	spool_unreadable_explain(&l->st, &c->why);
	error = move_to_queue(l, c);
	if (error == 0) {
		*claim = c;
		return SPOOL_CLAIMED;
	}
	if (has_gone(l, error)) {
		spool_claim_free(&c);
		return SPOOL_IGNORED;
	}
	l->spool->is_troubled = true;
	if (is_first_word(l))
		log_warning("spool: %s: %s", c->name, c->why.text);
	spool_claim_free(&c);
	return look_later(l, TROUBLE_AGAIN);
}

/* Where everybody may rename, another file may have taken the name since it was opened. */
static bool
is_in_queue(const struct look *l, const struct spool_claim *c)
{
	char file[SPOOL_FILE_SIZE];
	struct stat st;

	return fstatat(l->spool->queue, spool_file(file, c->id, c->name), &st,
		   AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == l->st.st_ino && st.st_dev == l->st.st_dev;
}

/* Somebody who waited for the lease to write gets the file back. */
static enum spool_judged
keep_moved(struct look *l, struct spool_claim *c, enum lease lease, struct spool_claim **claim)
{
	struct verdict why = VERDICT_OK;

	if ((lease == LEASE_HELD && !lease_is_undisturbed(l->fd)) || !is_in_queue(l, c)) {
		move_back(l->spool, c, l->name);
		spool_claim_free(&c);
		return look_later(l, SETTLED);
	}
	lease_drop(l->fd);
	if (!spool_keep(l->spool, l->fd, &why)) {
		l->fd = -1;
		move_back(l->spool, c, l->name);
		spool_claim_free(&c);
		return complain(l, why.code, "make durable");
	}
	l->fd = -1;
	*claim = c;
	return SPOOL_CLAIMED;
}

/*
 * An original that could not be removed would be sent again and again: in a directory of somebody
 * else's with the sticky bit, only the file's owner may.
 */
static bool
may_remove(const struct look *l)
{
	struct stat st;

	if (faccessat(l->spool->dir, ".", W_OK | X_OK, AT_EACCESS) < 0 ||
	    fstat(l->spool->dir, &st) < 0)
		return false;
	return (st.st_mode & S_ISVTX) == 0 || geteuid() == 0 || st.st_uid == geteuid() ||
	       l->st.st_uid == geteuid();
}

/* Ours with this one name: it moves, else it is copied and the original goes later. */
static enum spool_judged
take_settled(struct look *l, enum lease lease, const char *local_domain, struct spool_claim **claim)
{
	bool moves = l->st.st_uid == geteuid() && l->st.st_nlink == 1;
	struct spool_claim *c;
	int error;

	if (!moves && is_copied(l))
		return SPOOL_IGNORED;
	if (!moves && !may_remove(l))
		return complain(l, EPERM, "remove from the spool after claiming");
	c = claim_new(l);
	error = spool_header_read(l->fd, local_domain, c);
	if (error == 0)
		error = moves ? move_to_queue(l, c) : copy_to_queue(l, c);
	if (error == 0 && moves)
		return keep_moved(l, c, lease, claim);
	if (error == 0) {
		*claim = c;
		return SPOOL_CLAIMED;
	}
	spool_claim_free(&c);
	if (has_gone(l, error))
		return SPOOL_IGNORED;
	return error == EAGAIN ? look_later(l, SETTLED) : complain(l, error, "claim");
}

static enum spool_judged
judge_opened(struct look *l, const char *local_domain, struct spool_claim **claim)
{
	enum lease lease;
	int64_t wait;

	if (fstat(l->fd, &l->st) < 0)
		return complain(l, errno, "look at");
	if (!S_ISREG(l->st.st_mode))
		return ignore_special(l);
	lease = lease_take(l->fd);
	if (lease == LEASE_WRITER)
		return look_later(l, WRITER_AGAIN);
	if (fstat(l->fd, &l->st) < 0)
		return complain(l, errno, "look at");
	note_sight(l);
	wait = lease == LEASE_HELD ? unsettled_for(l) : unsettled_unleased_for(l);
	if (wait > 0)
		return look_later(l, wait);
	return take_settled(l, lease, local_domain, claim);
}

/* The file is opened only when it may be settled, so that waiting for thousands is cheap. */
enum spool_judged
spool_claim_take(struct spool *s, const char *name, struct spool_sight *sight, bool impatient,
    const char *local_domain, struct spool_claim **claim, int64_t *due)
{
	struct look l = {.spool = s,
	    .name = name,
	    .sight = sight,
	    .impatient = impatient,
	    .fd = -1,
	    .now = clock_mono(),
	    .due = due};
	enum spool_judged judged;
	int64_t wait;

	if (fstatat(s->dir, name, &l.st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? SPOOL_IGNORED : complain(&l, errno, "look at");
	if (!S_ISREG(l.st.st_mode))
		return ignore_special(&l);
	note_sight(&l);
	if ((wait = unsettled_for(&l)) > 0)
		return look_later(&l, wait);
	l.fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (l.fd >= 0)
		judged = judge_opened(&l, local_domain, claim);
	else if (errno == EACCES || errno == EPERM)
		judged = take_unreadable(&l, claim);
	else if (errno == EAGAIN) /* somebody's write lease */
		judged = look_later(&l, WRITER_AGAIN);
	else
		judged = errno == ENOENT ? SPOOL_IGNORED : complain(&l, errno, "open");
	if (l.fd >= 0)
		close(l.fd);
	return judged;
}

struct spool_claim *
spool_claim_found(struct spool *s, const char *file, const char *local_domain, struct verdict *why)
{
	struct look l = {.spool = s, .fd = -1};
	char id[OUTID_SIZE];
	struct spool_claim *c;
	int error;

	if (!spool_split(file, id, &l.name) ||
	    fstatat(s->queue, file, &l.st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(l.st.st_mode))
		return NULL;
	c = claim_new(&l);
	memcpy(c->id, id, sizeof c->id);
	l.fd = openat(s->queue, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	error = l.fd < 0 ? errno : spool_header_read(l.fd, local_domain, c);
	if (error == EACCES || error == EPERM)
		spool_unreadable_explain(&l.st, &c->why);
	else if (error != 0)
		spool_fault(s, &c->why, error, "read", "queue", file);
	s->is_dir_touched = s->is_queue_touched = true;
	if (l.fd >= 0 && !spool_keep(s, l.fd, why))
		spool_claim_free(&c);
	return c;
}
