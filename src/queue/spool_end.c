#include "queue/spool.h"

#include "base/log.h"
#include "base/step.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REASON_SIZE = SPOOL_FILE_SIZE + 9 };

struct spool_end *
spool_end_new(enum spool_end_kind kind, const char *id, const char *name)
{
	struct spool_end *end = xcalloc(1, sizeof *end);

	end->kind = kind;
	snprintf(end->id, sizeof end->id, "%s", id);
	end->name = xstrdup(name);
	return end;
}

void
spool_end_free(struct spool_end **end)
{
	free((*end)->name);
	free((*end)->account);
	free((*end)->reason);
	free((*end)->source.name);
	free(*end);
	*end = NULL;
}

static bool
has_entry(int dir, const char *name, struct stat *st)
{
	return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *
reason_name(char buf[REASON_SIZE], const char *name)
{
	snprintf(buf, REASON_SIZE, "%s.reason", name);
	return buf;
}

/* Another file that took its place in the meantime is another message. */
static bool
remove_original(struct spool *s, const struct spool_source *source, struct verdict *why)
{
	struct stat st;

	if (source->name == NULL || !has_entry(s->dir, source->name, &st) ||
	    st.st_ino != source->inode || (uint64_t)st.st_size != source->size ||
	    (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != source->mtime)
		return true;
	step("reveal-remove-original");
	if (unlinkat(s->dir, source->name, 0) < 0 && errno != ENOENT)
		return spool_fault(s, why, errno, "remove", "", source->name);
	s->is_dir_touched = true;
	return true;
}

/* The copy has a row: the original goes, durably, and then the copy gets its proper name. */
static bool
reveal(struct spool *s, const struct spool_end *end, struct verdict *why)
{
	char file[SPOOL_FILE_SIZE], hidden[SPOOL_FILE_SIZE + 1];
	int error;

	if (!remove_original(s, &end->source, why)) {
		/* Claimed by an earlier run, it must not be claimed again. */
		if (!spool_copied_has(s, &end->source))
			spool_copied_add(s, &end->source);
		return false;
	}
	snprintf(hidden, sizeof hidden, ".%s", spool_file(file, end->id, end->name));
	step("reveal-rename");
	error = spool_move(s->queue, hidden, s->queue, file);
	if (error != 0 && error != ENOENT && error != EEXIST)
		return spool_fault(s, why, error, "rename", "queue", hidden);
	s->is_queue_touched = true;
	spool_copied_remove(s, &end->source);
	return true;
}

static bool
remove_entry(struct spool *s, int dir, const char *part, const char *name, struct verdict *why)
{
	step("end-remove");
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return spool_fault(s, why, errno, "remove", part, name);
	return true;
}

static bool
remove_everywhere(struct spool *s, struct spool_end *end, struct verdict *why)
{
	char file[SPOOL_FILE_SIZE], reason[REASON_SIZE];
	struct stat st;

	s->is_queue_touched = true;
	end->is_missing = !has_entry(s->queue, spool_file(file, end->id, end->name), &st);
	if (!remove_entry(s, s->queue, "queue", spool_file(file, end->id, end->name), why))
		return false;
	if (end->failed_name[0] == '\0')
		return true;
	s->is_failed_touched = true;
	return remove_entry(s, s->failed, "failed", end->failed_name, why) &&
	       remove_entry(s, s->failed, "failed", reason_name(reason, end->failed_name), why);
}

static bool
is_taken(struct spool *s, const char *name)
{
	char reason[REASON_SIZE];
	struct stat st;

	return has_entry(s->failed, name, &st) ||
	       has_entry(s->failed, reason_name(reason, name), &st);
}

static void
name_with_id(char buf[SPOOL_FILE_SIZE], const struct spool_end *end)
{
	snprintf(buf, SPOOL_FILE_SIZE, "%.*s.%s", SPOOL_NAME_MAX, end->name, end->id);
}

/* Finds what an earlier try had moved; "" when somebody took it away. */
static void
find_failed(struct spool *s, struct spool_end *end)
{
	struct stat st;

	name_with_id(end->failed_name, end);
	if (has_entry(s->failed, end->failed_name, &st))
		return;
	snprintf(end->failed_name, sizeof end->failed_name, "%s", end->name);
	if (!has_entry(s->failed, end->failed_name, &st) || st.st_ino != end->inode)
		end->failed_name[0] = '\0';
}

static bool
move_to_failed(struct spool *s, struct spool_end *end, struct verdict *why)
{
	char file[SPOOL_FILE_SIZE];
	struct stat st;
	int error;

	spool_file(file, end->id, end->name);
	if (is_taken(s, end->name))
		name_with_id(end->failed_name, end);
	else
		snprintf(end->failed_name, sizeof end->failed_name, "%s", end->name);
	step("fail-rename");
	error = spool_move(s->queue, file, s->failed, end->failed_name);
	/* Or it is failed/ that somebody removed. */
	if (error == ENOENT && has_entry(s->queue, file, &st)) {
		if (!spool_reopen_changed(s, why))
			return false;
		error = spool_move(s->queue, file, s->failed, end->failed_name);
	} else if (error == ENOENT) {
		find_failed(s, end);
		end->is_missing = end->failed_name[0] == '\0';
		return true;
	}
	if (error != 0)
		return spool_fault(s, why, error, "move to failed/ from", "queue", file);
	s->is_queue_touched = s->is_failed_touched = true;
	return true;
}

static bool
write_reason(struct spool *s, const struct spool_end *end, const char *name, struct verdict *why)
{
	const char *reason = end->reason != NULL ? end->reason : "";
	int fd, error;

	step("fail-create-reason");
	fd = openat(s->failed, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return spool_fault(s, why, errno, "create", "failed", name);
	s->is_failed_touched = true;
	error = spool_write(fd, reason, strlen(reason));
	if (error == 0 && *reason != '\0' && reason[strlen(reason) - 1] != '\n')
		error = spool_write(fd, "\n", 1);
	if (error == 0)
		return spool_keep(s, fd, why);
	close(fd);
	return spool_fault(s, why, error, "write", "failed", name);
}

/* Whoever sees it finds all of its text, and the message, too. */
static bool
give_reason(struct spool *s, const struct spool_end *end, struct verdict *why)
{
	char name[REASON_SIZE], hidden[REASON_SIZE];

	reason_name(name, end->failed_name);
	snprintf(hidden, sizeof hidden, ".%s.reason", end->failed_name);
	if (!write_reason(s, end, hidden, why))
		return false;
	step("fail-show-reason");
	return renameat(s->failed, hidden, s->failed, name) == 0 ||
	       spool_fault(s, why, errno, "rename", "failed", hidden);
}

bool
spool_end_run(struct spool *s, struct spool_end *end, struct verdict *why)
{
	if (end->hidden && !reveal(s, end, why))
		return false;
	switch (end->kind) {
	case SPOOL_END_KEEP:
		return true;
	case SPOOL_END_REMOVE:
		return remove_everywhere(s, end, why);
	case SPOOL_END_FAIL:
		return move_to_failed(s, end, why) &&
		       (end->failed_name[0] == '\0' || give_reason(s, end, why));
	}
	return false;
}

bool
spool_end_take_back(
    struct spool *s, const char *name, char id[OUTID_SIZE], const char *base, struct verdict *why)
{
	char file[SPOOL_FILE_SIZE], reason[REASON_SIZE], cut[SPOOL_NAME_SIZE];
	struct stat st;
	int error;

	if (!has_entry(s->failed, name, &st) || !S_ISREG(st.st_mode)) {
		verdict_fail(why, FAIL_LOCAL, "spool", "there is no such message in failed/");
		why->code = ENOENT;
		return false;
	}
	if (id[0] == '\0')
		outid_make(id);
	spool_file(file, id, spool_cut_name(cut, base));
	s->is_queue_touched = s->is_failed_touched = true;
	/* First, for nobody would ever look for it afterwards. */
	if (!remove_entry(s, s->failed, "failed", reason_name(reason, name), why))
		return false;
	step("retry-rename");
	error = spool_move(s->failed, name, s->queue, file);
	return error == 0 || spool_fault(s, why, error, "move back to queue/", "failed", name);
}

void
spool_end_undo_take_back(struct spool *s, const char *name, const char *id, const char *base)
{
	char file[SPOOL_FILE_SIZE], cut[SPOOL_NAME_SIZE];

	step("retry-undo");
	spool_move(s->queue, spool_file(file, id, spool_cut_name(cut, base)), s->failed, name);
}
