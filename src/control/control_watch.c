#include "control/control_watch.h"

#include "base/clock.h"
#include "base/events.h"
#include "base/xalloc.h"
#include "control/control_event.h"
#include "control/control_private.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Owned by struct control; goes with its client. */
struct control_watcher {
	struct control_client *client;
	char *account; /* NULL: all */
	TAILQ_ENTRY(control_watcher) link;
};

static bool
is_meant(const struct control_watcher *watcher, const char *account)
{
	return watcher->account == NULL || account == NULL ||
	       strcmp(watcher->account, account) == 0;
}

static struct control_watcher *
find_meant(struct control_watcher *from, const char *account)
{
	while (from != NULL && !is_meant(from, account))
		from = TAILQ_NEXT(from, link);
	return from;
}

/* No watcher goes away in here: one that does not read is let go in a later turn. */
static void
on_event(const struct happening *happening, void *arg)
{
	struct control *control = arg;
	struct control_watcher *watcher =
	    find_meant(TAILQ_FIRST(&control->watchers), happening->account);
	json_t *json;
	char *line;

	if (watcher == NULL)
		return;
	json = control_event_json(happening, clock_wall());
	line = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
	/* Only memory that is exhausted keeps it from being text. */
	if (line == NULL)
		exit(EX_OSERR);
	for (; watcher != NULL; watcher = find_meant(TAILQ_NEXT(watcher, link), happening->account))
		control_client_push(watcher->client, line, strlen(line));
	free(line);
	json_decref(json);
}

static struct control_watcher *
find_client(const struct control *control, const struct control_client *client)
{
	struct control_watcher *watcher;

	TAILQ_FOREACH (watcher, &control->watchers, link)
		if (watcher->client == client)
			return watcher;
	return NULL;
}

void
control_watch_start(struct control *control, struct control_client *client, const char *account)
{
	struct control_watcher *watcher = find_client(control, client);

	if (watcher == NULL) {
		watcher = xcalloc(1, sizeof *watcher);
		watcher->client = client;
		TAILQ_INSERT_TAIL(&control->watchers, watcher, link);
	}
	free(watcher->account);
	watcher->account = account != NULL ? xstrdup(account) : NULL;
	control_client_watch(client);
	control_client_answer(client, control_client_ok());
	events_listen(control->settings.events, on_event, control);
}

void
control_watch_forget(struct control *control, const struct control_client *client)
{
	struct control_watcher *watcher = find_client(control, client);

	if (watcher == NULL)
		return;
	TAILQ_REMOVE(&control->watchers, watcher, link);
	free(watcher->account);
	free(watcher);
	if (TAILQ_EMPTY(&control->watchers))
		events_listen(control->settings.events, NULL, NULL);
}
