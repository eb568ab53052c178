#include "deliver/alias_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/verdict.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "deliver/aliases.h"

#include <stdlib.h>
#include <string.h>

/* The file is looked at again when what is known of it is older, ms. */
enum { AGE = 60 * 1000 };

/* A reading; while it is under way the aliases that it compares with stay. */
struct load {
	struct job job;
	char *path;
	const struct aliases *current; /* to be kept when the file has not changed */
	struct aliases *loaded;
	struct verdict why;
};

/* One owner: the deliverer. */
struct alias_keeper {
	struct worker *worker;
	char *path; /* NULL: none are wanted */
	struct aliases *aliases;
	struct load load;
	bool busy;
	int64_t checked; /* mono ms */
	void (*idle)(void *arg);
	void *idle_arg;
};

static void read_again(struct alias_keeper *k);

static void
run_load(struct job *job)
{
	struct load *load = (struct load *)job;

	if (load->current == NULL || aliases_is_stale(load->current, load->path))
		load->loaded = aliases_load(load->path, &load->why);
}

static bool
is_wanted(const struct alias_keeper *k, const char *path)
{
	return k->path != NULL && strcmp(k->path, path) == 0;
}

/* What was read of a file that a reload has replaced meanwhile is of no use. */
static void
take(struct alias_keeper *k, struct load *load)
{
	if (!is_wanted(k, load->path)) {
		aliases_free(&load->loaded);
		return;
	}
	if (load->why.kind != FAIL_NONE)
		log_warning("%s", load->why.text);
	if (load->loaded == NULL)
		return;
	aliases_free(&k->aliases);
	k->aliases = load->loaded;
	load->loaded = NULL;
}

static void
on_load(struct job *job)
{
	struct load *load = (struct load *)job;
	struct alias_keeper *k =
	    (struct alias_keeper *)(void *)((char *)load - offsetof(struct alias_keeper, load));
	bool was_wanted = is_wanted(k, load->path);

	k->busy = false;
	take(k, load);
	free(load->path);
	load->path = NULL;
	if (k->path == NULL)
		aliases_free(&k->aliases);
	else if (!was_wanted)
		read_again(k);
	if (!k->busy && k->idle != NULL)
		k->idle(k->idle_arg);
}

static void
read_again(struct alias_keeper *k)
{
	if (k->busy || k->path == NULL)
		return;
	k->busy = true;
	k->checked = clock_mono();
	k->load = (struct load){.job = {.run = run_load, .done = on_load},
	    .path = xstrdup(k->path),
	    .current = k->aliases};
	worker_submit(k->worker, &k->load.job);
}

struct alias_keeper *
alias_keeper_new(struct worker *worker, const char *path)
{
	struct alias_keeper *k = xcalloc(1, sizeof *k);
	struct verdict why = VERDICT_OK;

	k->worker = worker;
	k->path = xstrdup(path);
	k->checked = clock_mono();
	if (path != NULL)
		k->aliases = aliases_load(path, &why);
	if (why.kind != FAIL_NONE)
		log_warning("%s", why.text);
	return k;
}

void
alias_keeper_free(struct alias_keeper **keeper)
{
	struct alias_keeper *k = *keeper;

	*keeper = NULL;
	if (k == NULL)
		return;
	aliases_free(&k->aliases);
	free(k->path);
	free(k);
}

void
alias_keeper_set(struct alias_keeper *k, const char *path, void (*idle)(void *arg), void *arg)
{
	k->idle = idle;
	k->idle_arg = arg;
	free(k->path);
	k->path = xstrdup(path);
	if (k->busy)
		return; /* it sees, when it comes back, that another is wanted */
	if (path == NULL)
		aliases_free(&k->aliases);
	read_again(k);
}

const struct aliases *
alias_keeper_get(struct alias_keeper *k)
{
	if (clock_mono() - k->checked > AGE)
		read_again(k); /* for the next message: a change takes effect within a minute */
	return k->path != NULL ? k->aliases : NULL;
}

bool
alias_keeper_is_busy(const struct alias_keeper *k)
{
	return k->busy;
}
