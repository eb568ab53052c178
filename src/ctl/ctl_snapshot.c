#include "ctl/ctl_snapshot.h"

#include "base/xalloc.h"
#include "ctl/ctl_call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* The head of a write-ahead log, and what says in a database's that it has one. */
enum { WAL_HEAD = 32, VERSION_AT = 18, VERSION_WAL = 2, ATTEMPTS = 20 };

/* What must not change while the files are copied. */
struct mark {
	ssize_t len; /* of the log's head; 0: there is no log, and the database's times count */
	unsigned char head[WAL_HEAD];
	struct timespec changed;
	off_t size;
};

struct paths {
	char *db, *wal;           /* the daemon's */
	char *directory;          /* ours */
	char *copy_db, *copy_wal; /* in it */
};

/* errno says why.  Returns the exit code. */
static int
complain(const char *verb, const char *path, bool is_ours)
{
	int error = errno;
	const char *advice = "";

	if (!is_ours && error == EACCES)
		advice = "; the state is for the daemon's user and root";
	else if (!is_ours && error == ENOENT)
		advice = "; the daemon makes it when it first runs";
	ctl_call_complain("cannot %s %s: %s%s", verb, path, strerror(error), advice);
	if (is_ours)
		return EX_CANTCREAT;
	return error == EACCES ? EX_NOPERM : error == ENOENT ? EX_NOINPUT : EX_IOERR;
}

/* -- copying ---------------------------------------------------------------------------------- */

static ssize_t
read_head(const char *path, unsigned char *head, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = fd >= 0 ? pread(fd, head, size, 0) : -1;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return len;
}

static bool
take_mark(struct mark *m, const struct paths *p)
{
	struct stat st;

	memset(m, 0, sizeof *m);
	m->len = read_head(p->wal, m->head, sizeof m->head);
	if (m->len < 0 && errno != ENOENT)
		return false;
	if (m->len == WAL_HEAD)
		return true;
	m->len = 0;
	memset(m->head, 0, sizeof m->head);
	if (stat(p->db, &st) < 0)
		return false;
	m->changed = st.st_mtim;
	m->size = st.st_size;
	return true;
}

static bool
is_same(const struct mark *a, const struct mark *b)
{
	return a->len == b->len && memcmp(a->head, b->head, sizeof a->head) == 0 &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
	       a->size == b->size;
}

/* A file that is not there is an empty one, when it may be. */
static bool
copy(const char *from, const char *to, bool may_lack)
{
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = 0, written = 0;
	char *piece = xmalloc(1 << 20);
	bool good = out >= 0 && (in >= 0 || (may_lack && errno == ENOENT));

	while (good && in >= 0 && (n = read(in, piece, 1 << 20)) > 0)
		for (ssize_t at = 0; good && at < n; at += written)
			good = (written = write(out, piece + at, (size_t)(n - at))) > 0;
	good = good && n == 0;
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) < 0)
		good = false;
	free(piece);
	return good;
}

/* False with *code set. */
static bool
copy_both(const struct paths *p, int *code)
{
	struct mark before, after;

	for (int i = 0; i < ATTEMPTS; i++) {
		if (!take_mark(&before, p)) {
			*code = complain("read", p->db, false);
			return false;
		}
		if (!copy(p->db, p->copy_db, false) || !copy(p->wal, p->copy_wal, true)) {
			*code = complain("copy", p->db, false);
			return false;
		}
		if (take_mark(&after, p) && is_same(&before, &after))
			return true;
	}
	ctl_call_complain("the daemon changes its state faster than it can be copied; try again "
			  "later, or stop it first");
	*code = EX_TEMPFAIL;
	return false;
}

/* -- opening ---------------------------------------------------------------------------------- */

static int
explain(sqlite3 *db, const char *path)
{
	switch (sqlite3_errcode(db)) {
	case SQLITE_BUSY:
		ctl_call_complain("the daemon holds %s, which has no write-ahead log, so that it "
				  "cannot be read beside it; stop the daemon first",
		    path);
		return EX_TEMPFAIL;
	case SQLITE_READONLY:
		ctl_call_complain("%s is as a crash left it; start the daemon once, which "
				  "brings it in order",
		    path);
		return EX_TEMPFAIL;
	default:
		ctl_call_complain("cannot read %s: %s", path, sqlite3_errmsg(db));
		return EX_DATAERR;
	}
}

/* The first look at the schema makes SQLite read the log. */
static sqlite3 *
open_database(const char *path, int flags, const char *pragma, int *code)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, flags, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, pragma, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL) == SQLITE_OK)
		return db;
	*code = explain(db, path);
	sqlite3_close(db);
	return NULL;
}

/* Once it is open the copy needs no name. */
static void
remove_copy(const struct paths *p)
{
	static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};

	for (size_t i = 0; i < sizeof suffix / sizeof suffix[0]; i++) {
		char *path = xasprintf("%s%s", p->copy_db, suffix[i]);

		unlink(path);
		free(path);
	}
	rmdir(p->directory);
}

/* A signal that comes meanwhile waits, so that no copy stays behind. */
static sqlite3 *
open_copy(struct paths *p, int *code)
{
	const char *tmp = getenv("TMPDIR");
	sigset_t all, old;
	sqlite3 *db = NULL;

	p->directory =
	    xasprintf("%s/postriderctl.XXXXXX", tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if (mkdtemp(p->directory) == NULL) {
		*code = complain("make", p->directory, true);
	} else {
		p->copy_db = xasprintf("%s/state.db", p->directory);
		p->copy_wal = xasprintf("%s/state.db-wal", p->directory);
		if (copy_both(p, code))
			db = open_database(p->copy_db, SQLITE_OPEN_READWRITE,
			    "PRAGMA locking_mode = EXCLUSIVE; BEGIN", code);
		remove_copy(p);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return db;
}

sqlite3 *
ctl_snapshot_open(const char *directory, int *code)
{
	struct paths p = {0};
	unsigned char head[VERSION_AT + 1];
	sqlite3 *db = NULL;
	ssize_t len;

	p.db = xasprintf("%s/state.db", directory);
	p.wal = xasprintf("%s-wal", p.db);
	len = read_head(p.db, head, sizeof head);
	if (len < 0)
		*code = complain("read", p.db, false);
	else if (len == sizeof head && head[VERSION_AT] != VERSION_WAL)
		db = open_database(p.db, SQLITE_OPEN_READONLY, "BEGIN", code);
	else
		db = open_copy(&p, code);
	free(p.db);
	free(p.wal);
	free(p.directory);
	free(p.copy_db);
	free(p.copy_wal);
	return db;
}
