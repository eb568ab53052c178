#include "reloader.h"

#include "base/worker.h"
#include "base/xalloc.h"

#include <stddef.h>
#include <stdlib.h>

struct waiting {
	control_reload_done *done;
	void *arg;
};

struct reloader {
	struct job job;
	struct worker *worker;
	const char *file;
	const struct reloader_handler *handler;
	void *arg;

	bool running;
	bool again; /* asked for while it ran */
	bool stopped;
	struct config *loaded;
	struct config_faults faults;
	struct waiting now, next; /* of the reading under way, and of the one after it */
};

static struct reloader *
reloader_of(struct job *job)
{
	return (struct reloader *)((char *)job - offsetof(struct reloader, job));
}

static void
run(struct job *job)
{
	struct reloader *r = reloader_of(job);

	r->loaded = config_load(r->file, &r->faults, NULL);
}

static void begin(struct reloader *r);

static void
on_read(struct job *job)
{
	struct reloader *r = reloader_of(job);
	struct config *loaded = r->loaded;
	struct config_faults faults = r->faults; /* whoever is told may begin the next reading */
	struct waiting told = r->now;

	r->running = false;
	r->loaded = NULL;
	r->faults = (struct config_faults){0};
	r->now = (struct waiting){0};
	r->handler->over(loaded, &faults, r->arg);
	if (told.done != NULL)
		told.done(faults.count > 0 ? &faults : NULL, told.arg);
	config_faults_clear(&faults);
	if (r->again)
		begin(r);
}

static void
begin(struct reloader *r)
{
	r->again = r->running;
	if (r->running || r->stopped)
		return;
	r->handler->begun(r->arg);
	r->running = true;
	r->now = r->next;
	r->next = (struct waiting){0};
	r->job = (struct job){.run = run, .done = on_read};
	worker_submit(r->worker, &r->job);
}

void
reloader_start(struct reloader *r, control_reload_done *done, void *done_arg)
{
	if (done != NULL)
		r->next = (struct waiting){.done = done, .arg = done_arg};
	begin(r);
}

void
reloader_stop(struct reloader *r)
{
	r->stopped = true;
}

struct reloader *
reloader_new(
    struct worker *worker, const char *file, const struct reloader_handler *handler, void *arg)
{
	struct reloader *r = xcalloc(1, sizeof *r);

	r->worker = worker;
	r->file = file;
	r->handler = handler;
	r->arg = arg;
	return r;
}

void
reloader_free(struct reloader **reloader)
{
	struct reloader *r = *reloader;

	*reloader = NULL;
	if (r == NULL)
		return;
	config_unref(&r->loaded);
	config_faults_clear(&r->faults);
	free(r);
}
