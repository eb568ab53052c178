#include "queue/spool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/step.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/lease.h"
#include "store/filename.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* At most so much in one turn, and so many files that are known to be unsettled. */
enum {
	TURN_CLAIMS = 200,
	TURN_NAMES = 1000,
	TURN_EVENTS = 2000,
	TURN_RECIPIENTS = 20000,
	WAITING_MAX = 4096
};

/* ms */
enum {
	RESCAN = 300 * 1000,
	RESCAN_NETWORK = 30 * 1000, /* other machines' changes are reported by nobody */
	RESCAN_BLIND = 5000,        /* no inotify */
	RESCAN_TROUBLE = 30 * 1000,
	RESCAN_CROWDED = 1000 /* files that had no place among those waiting */
};
enum { EVENTS_SIZE = 65536 };

#define WATCHED                                                                                    \
	(IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* A file that is not settled yet.  The name comes first: it is the key of the tree. */
struct spool_waiting {
	char *name;
	TAILQ_ENTRY(spool_waiting) link;
	struct spool_sight sight;
	int64_t due;
};

static int
compare_waiting(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct spool_waiting *
find_waiting(struct spool *s, const char *name)
{
	void *found = tfind(&name, &s->waiting_by_name, compare_waiting);

	return found != NULL ? *(struct spool_waiting **)found : NULL;
}

static void
remove_waiting(struct spool *s, struct spool_waiting *w)
{
	tdelete(w, &s->waiting_by_name, compare_waiting);
	TAILQ_REMOVE(&s->waiting, w, link);
	s->waiting_count--;
	free(w->name);
	free(w);
}

static void
rescan_in(struct spool *s, int64_t ms)
{
	int64_t at = clock_mono() + ms;

	if (at < s->rescan_at)
		s->rescan_at = at;
}

/* NULL when there are too many: then the directory is read again soon. */
static struct spool_waiting *
add_waiting(struct spool *s, const char *name)
{
	struct spool_waiting *w = find_waiting(s, name);

	if (w != NULL)
		return w;
	if (s->waiting_count == WAITING_MAX) {
		rescan_in(s, RESCAN_CROWDED);
		return NULL;
	}
	w = xcalloc(1, sizeof *w);
	w->name = xstrdup(name);
	if (tsearch(w, &s->waiting_by_name, compare_waiting) == NULL)
		abort(); /* malloc(3) failed: as xalloc.h has it */
	TAILQ_INSERT_TAIL(&s->waiting, w, link);
	s->waiting_count++;
	return w;
}

static void
watch_directory(struct spool *s)
{
	s->is_new = false;
	if (s->inotify < 0)
		return;
	if (s->watch >= 0)
		inotify_rm_watch(s->inotify, s->watch);
	s->watch = inotify_add_watch(s->inotify, s->path, WATCHED);
	if (s->watch < 0 && !s->is_watch_refused)
		log_warning("spool: inotify cannot watch %s: %s; it is read every %d s instead",
		    s->path, strerror(errno), RESCAN_BLIND / 1000);
	s->is_watch_refused = s->watch < 0;
}

void
spool_watch_open(struct spool *s)
{
	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->inotify < 0)
		log_warning("spool: no inotify: %s; raise fs.inotify.max_user_instances; %s is "
			    "read every %d s instead",
		    strerror(errno), s->path, RESCAN_BLIND / 1000);
	watch_directory(s);
	s->rescan_at = clock_mono();
}

void
spool_watch_close(struct spool *s)
{
	struct spool_waiting *w;

	while ((w = TAILQ_FIRST(&s->waiting)) != NULL)
		remove_waiting(s, w);
	if (s->scan != NULL)
		closedir(s->scan);
	if (s->inotify >= 0)
		close(s->inotify);
	s->scan = NULL;
	s->inotify = -1;
}

/*
 * A link is told from a file that is being written by its second name, when it is looked at.  What
 * was closed by a writer waits from there.
 */
static void
take_event(struct spool *s, const struct inotify_event *event)
{
	struct spool_waiting *w;

	if (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		s->rescan_at = clock_mono();
	if (event->len == 0 || event->name[0] == '.' || (event->mask & IN_ISDIR) ||
	    (w = add_waiting(s, event->name)) == NULL)
		return;
	w->due = clock_mono();
	if (event->mask & IN_MOVED_TO)
		w->sight.is_whole = true;
	if (event->mask & IN_CREATE)
		w->sight = (struct spool_sight){.is_whole = false};
}

/* True when there may be more. */
static bool
read_events(struct spool *s)
{
	_Alignas(struct inotify_event) char buf[EVENTS_SIZE];
	size_t count = 0;
	ssize_t n = 0;

	while (
	    s->inotify >= 0 && count < TURN_EVENTS && (n = read(s->inotify, buf, sizeof buf)) > 0) {
		for (char *p = buf; p < buf + n; count++) {
			const struct inotify_event *event = (const void *)p;

			take_event(s, event);
			p += sizeof *event + event->len;
		}
	}
	return n > 0;
}

static bool
has_room(const struct spool_look *look)
{
	return look->count < look->room && look->count < TURN_CLAIMS &&
	       look->recipients < TURN_RECIPIENTS;
}

static void
add_claim(struct spool_look *look, struct spool_claim *claim)
{
	TAILQ_INSERT_TAIL(&look->claims, claim, link);
	look->count++;
	look->recipients += claim->request.recipient_count;
}

static void
check_waiting(struct spool *s, struct spool_look *look)
{
	struct spool_waiting *w, *next;
	int64_t now = clock_mono();

	TAILQ_FOREACH_SAFE (w, &s->waiting, link, next) {
		struct spool_claim *claim = NULL;

		if (w->due > now && !look->impatient)
			continue;
		if (!has_room(look)) {
			look->more = true;
			return;
		}
		switch (spool_claim_take(
		    s, w->name, &w->sight, look->impatient, look->local_domain, &claim, &w->due)) {
		case SPOOL_CLAIMED:
			add_claim(look, claim);
			remove_waiting(s, w);
			break;
		case SPOOL_IGNORED:
			remove_waiting(s, w);
			break;
		case SPOOL_LATER:
			break;
		}
	}
}

static void
start_scan(struct spool *s)
{
	struct verdict why = VERDICT_OK;
	int fd = -1;

	s->rescan_at = INT64_MAX;
	if (spool_reopen_changed(s, &why) &&
	    (fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		spool_fault(s, &why, errno, "read directory", "", "");
	if (s->is_new || s->watch < 0)
		watch_directory(s);
	if (fd >= 0 && (s->scan = fdopendir(fd)) == NULL) {
		spool_fault(s, &why, errno, "read directory", "", "");
		close(fd);
	}
	if (s->scan != NULL)
		return;
	s->is_troubled = true;
	if (spool_note_once(s, 0, why.code))
		log_error("spool: %s", why.text);
	rescan_in(s, RESCAN_TROUBLE);
}

static void
end_scan(struct spool *s, struct spool_look *look)
{
	closedir(s->scan);
	s->scan = NULL;
	spool_note_sweep(s);
	look->is_over = true;
	rescan_in(s, s->watch < 0 ? RESCAN_BLIND : s->is_network ? RESCAN_NETWORK : RESCAN);
}

static void
look_at_name(struct spool *s, struct spool_look *look, const char *name)
{
	struct spool_sight sight = {.since = 0};
	struct spool_claim *claim = NULL;
	struct spool_waiting *w;
	int64_t due;

	if (find_waiting(s, name) != NULL)
		return;
	switch (
	    spool_claim_take(s, name, &sight, look->impatient, look->local_domain, &claim, &due)) {
	case SPOOL_CLAIMED:
		add_claim(look, claim);
		break;
	case SPOOL_LATER:
		if ((w = add_waiting(s, name)) != NULL) {
			w->sight = sight;
			w->due = due;
		}
		break;
	case SPOOL_IGNORED:
		break;
	}
}

/* Its writer is still there: what it passes on may be silent for days. */
static bool
is_being_written(struct spool *s, const char *name)
{
	int fd = openat(s->dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	bool found = fd >= 0 && lease_take(fd) == LEASE_WRITER;

	if (fd >= 0)
		close(fd);
	return found;
}

/* Of a postrider-sendmail that was killed while it wrote (spool_writer.h): no message yet. */
static void
sweep_name(struct spool *s, const char *name)
{
	char shown[300];

	if (!filename_is_leftover(s->dir, name, 1) || is_being_written(s, name))
		return;
	step("spool-sweep");
	if (unlinkat(s->dir, name, 0) == 0)
		log_info("spool: %s is removed: whoever wrote it was killed 36 h ago or more",
		    str_escape(shown, sizeof shown, name, strlen(name)));
}

static void
continue_scan(struct spool *s, struct spool_look *look)
{
	struct dirent *entry;

	for (size_t names = 0; names < TURN_NAMES; names++) {
		if (!has_room(look)) {
			look->more = true;
			return;
		}
		if ((entry = readdir(s->scan)) == NULL) {
			end_scan(s, look);
			return;
		}
		if (entry->d_name[0] == '.')
			sweep_name(s, entry->d_name);
		else if (entry->d_type != DT_DIR)
			look_at_name(s, look, entry->d_name);
	}
	look->more = true;
}

static void
flush_claims(struct spool *s, struct spool_look *look)
{
	struct verdict why = VERDICT_OK;
	struct spool_claim *claim;

	if (look->count == 0 || spool_flush(s, &why))
		return;
	s->is_troubled = true;
	log_error("spool: %s; what was claimed is put back", why.text);
	while ((claim = TAILQ_FIRST(&look->claims)) != NULL) {
		TAILQ_REMOVE(&look->claims, claim, link);
		spool_claim_undo(s, &claim);
	}
	look->count = 0;
	look->more = false;
	rescan_in(s, RESCAN_TROUBLE);
}

static int64_t
next_due(const struct spool *s)
{
	const struct spool_waiting *w;
	int64_t due = s->rescan_at;

	TAILQ_FOREACH (w, &s->waiting, link)
		if (w->due < due)
			due = w->due;
	return due;
}

void
spool_watch_look(struct spool *s, struct spool_look *look)
{
	TAILQ_INIT(&look->claims);
	look->count = look->recipients = 0;
	look->is_over = false;
	s->is_troubled = false;
	look->more = read_events(s);
	if (look->rescan && s->scan != NULL) {
		closedir(s->scan);
		s->scan = NULL;
	}
	/* Nothing can be claimed into a queue/ that somebody removed. */
	if (s->is_new || spool_is_changed(s))
		s->rescan_at = clock_mono();
	if (s->scan == NULL && (look->rescan || clock_mono() >= s->rescan_at))
		start_scan(s);
	check_waiting(s, look);
	if (s->scan != NULL)
		continue_scan(s, look);
	else if (look->rescan)
		look->is_over = true; /* it cannot be read */
	flush_claims(s, look);
	look->is_troubled = s->is_troubled;
	look->due = next_due(s);
}
