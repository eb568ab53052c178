#include "store/recovery.h"

#include "base/step.h"
#include "base/xalloc.h"
#include "store/delivery.h"
#include "store/fault.h"
#include "store/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
recovery_add(struct recovery *r, int64_t row, const char *file, bool old)
{
	r->intents = xreallocarray(r->intents, r->count + 1, sizeof *r->intents);
	r->intents[r->count++] =
	    (struct recovery_intent){.row = row, .file = xstrdup(file), .old = old};
}

void
recovery_clear(struct recovery *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->intents[i].file);
	free(r->intents);
	memset(r, 0, sizeof *r);
}

bool
recovery_names(const struct recovery *r, const char *file)
{
	for (size_t i = 0; i < r->count; i++)
		if (strcmp(r->intents[i].file, file) == 0)
			return true;
	return false;
}

/* Whether a directory has the name. */
static bool
find_entry(int dir, const char *name, bool *found, struct verdict *why)
{
	struct stat st;

	*found = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*found && errno != ENOENT)
		return fault_errno(why, "recovery", errno, "look for", name);
	return true;
}

/*
 * A name in tmp/ and in new/ both: the names are unique, so it was published; what is in tmp/ came
 * from a backup or a link, and stays where it is.
 */
static bool
publish_one(struct maildir *m, struct recovery_intent *intent, struct verdict *why)
{
	bool waits;
	int error;

	if (!find_entry(m->tmp, intent->file, &waits, why))
		return false;
	if (!waits)
		return find_entry(m->new, intent->file, &intent->here, why);
	step("recover-rename");
	error = delivery_move(m->tmp, m->new, intent->file);
	if (error != 0 && error != EEXIST)
		return fault_errno(
		    why, "recovery", error, "rename from tmp/ to new/", intent->file);
	intent->here = true;
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	const struct recovery_intent *const *x = a, *const *y = b;

	return strcmp((*x)->file, (*y)->file);
}

/*
 * A reader puts its flags behind the name, ":2,S", with another mark on some file systems, and
 * perhaps the size with CRLF, ",W=", before them.
 */
static void
note_reader_name(struct recovery_intent **wanted, size_t count, const char *entry)
{
	char name[NAME_MAX + 1], *wide;
	struct recovery_intent key = {.file = name}, *pointer = &key, **found;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(entry, ":;!"), entry);
	if ((wide = strstr(name, ",W=")) != NULL)
		*wide = '\0';
	found = bsearch(&pointer, wanted, count, sizeof *wanted, compare_names);
	if (found != NULL)
		(*found)->here = true;
}

static bool
search_cur(struct maildir *m, struct recovery_intent **wanted, size_t count, struct verdict *why)
{
	int fd = openat(m->cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return fault_errno(why, "recovery", error, "read directory", "cur");
	}
	qsort(wanted, count, sizeof *wanted, compare_names);
	for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0)
		note_reader_name(wanted, count, entry->d_name);
	if (errno != 0)
		fault_errno(why, "recovery", errno, "read directory", "cur");
	closedir(dir);
	return why->kind == FAIL_NONE;
}

/* Only the old ones that are not in new/ are worth a look through cur/. */
static bool
judge(struct recovery *r, struct maildir *m, struct verdict *why)
{
	struct recovery_intent **wanted = xcalloc(r->count, sizeof *wanted);
	size_t count = 0;
	bool ok;

	for (size_t i = 0; i < r->count; i++) {
		r->intents[i].fate = RECOVERY_STORED;
		if (r->intents[i].old && !r->intents[i].here)
			wanted[count++] = &r->intents[i];
	}
	ok = count == 0 || search_cur(m, wanted, count, why);
	for (size_t i = 0; i < count; i++)
		if (!wanted[i]->here)
			wanted[i]->fate = RECOVERY_LOST;
	free(wanted);
	return ok;
}

bool
recovery_run(struct recovery *r, struct maildir *m, const char *path, struct verdict *why)
{
	if (r->count == 0)
		return true;
	for (size_t i = 0; i < r->count; i++)
		if (!publish_one(m, &r->intents[i], why))
			return false;
	return judge(r, m, why) && maildir_flush(m, path, why);
}
