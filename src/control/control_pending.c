#include "control/control_pending.h"

#include "base/xalloc.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>

static struct control_pending *
pending_new(
    struct control *control, struct control_client *client, struct control_pending_list *list)
{
	struct control_pending *pending = xcalloc(1, sizeof *pending);

	pending->control = control;
	pending->client = client;
	TAILQ_INSERT_TAIL(list, pending, link);
	return pending;
}

static json_t *
adopt_json(const struct verdict *why, size_t marked)
{
	json_t *answer;

	if (why != NULL && why->kind != FAIL_NONE) {
		answer = control_client_error(why->text);
		json_object_set_new(answer, "kind", json_string(verdict_kind_name(why->kind)));
		return answer;
	}
	answer = control_client_ok();
	json_object_set_new(answer, "marked", json_integer((json_int_t)marked));
	return answer;
}

static void
on_adopted(const struct verdict *why, size_t marked, void *arg)
{
	struct control_pending *pending = arg;

	if (pending->control != NULL)
		TAILQ_REMOVE(&pending->control->adopting, pending, link);
	if (pending->client != NULL)
		control_client_answer(pending->client, adopt_json(why, marked));
	free(pending);
}

enum fetcher_answer
control_pending_adopt(
    struct control *control, struct control_client *client, const char *account, bool all)
{
	struct control_pending *pending = pending_new(control, client, &control->adopting);
	enum fetcher_answer answer;

	answer = fetcher_adopt(control->settings.fetcher, account, all, on_adopted, pending);
	if (answer == FETCHER_STARTED)
		return answer; /* on_adopted() has the rest, and has pending */
	TAILQ_REMOVE(&control->adopting, pending, link);
	free(pending);
	return answer;
}

static json_t *
reload_json(const struct config_faults *faults)
{
	json_t *answer, *list;
	char text[96];

	if (faults == NULL || faults->count == 0)
		return control_client_ok();
	snprintf(text, sizeof text, "the configuration has %zu fault%s; the old one stays in force",
	    faults->count, faults->count == 1 ? "" : "s");
	answer = control_client_error(text);
	list = json_array();
	for (size_t i = 0; i < faults->count; i++)
		json_array_append_new(list, control_client_text(faults->text[i]));
	json_object_set_new(answer, "faults", list);
	return answer;
}

static void start_reload(struct control *control);

static void
on_reloaded(const struct config_faults *faults, void *arg)
{
	struct control_reload *reload = arg;
	struct control *control = reload->control;
	struct control_pending *pending;

	free(reload);
	if (control == NULL)
		return;
	control->reload = NULL;
	while ((pending = TAILQ_FIRST(&control->reloading)) != NULL) {
		TAILQ_REMOVE(&control->reloading, pending, link);
		if (pending->client != NULL)
			control_client_answer(pending->client, reload_json(faults));
		free(pending);
	}
	if (!TAILQ_EMPTY(&control->reload_next))
		start_reload(control);
}

/* Reads for everybody who has asked so far. */
static void
start_reload(struct control *control)
{
	struct control_reload *reload = xcalloc(1, sizeof *reload);

	reload->control = control;
	control->reload = reload;
	TAILQ_CONCAT(&control->reloading, &control->reload_next, link);
	control->settings.calls->reload(on_reloaded, reload, control->settings.arg);
}

void
control_pending_reload(struct control *control, struct control_client *client)
{
	pending_new(control, client, &control->reload_next);
	if (control->reload == NULL)
		start_reload(control);
}

static void
forget_in(struct control_pending_list *list, const struct control_client *client)
{
	struct control_pending *pending;

	TAILQ_FOREACH (pending, list, link) {
		if (pending->client == client)
			pending->client = NULL;
	}
}

void
control_pending_forget(struct control *control, const struct control_client *client)
{
	forget_in(&control->adopting, client);
	forget_in(&control->reloading, client);
	forget_in(&control->reload_next, client);
}

static void
answer_stopping(struct control_pending *pending)
{
	if (pending->client != NULL)
		control_client_answer(
		    pending->client, control_client_error("the daemon is stopping"));
	pending->client = NULL;
	pending->control = NULL;
}

static void
abandon_reloads(struct control_pending_list *list)
{
	struct control_pending *pending;

	while ((pending = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, pending, link);
		answer_stopping(pending);
		free(pending);
	}
}

void
control_pending_abandon(struct control *control)
{
	struct control_pending *pending;

	TAILQ_FOREACH (pending, &control->adopting, link)
		answer_stopping(pending);
	TAILQ_INIT(&control->adopting); /* on_adopted() frees them */
	abandon_reloads(&control->reloading);
	abandon_reloads(&control->reload_next);
	if (control->reload != NULL)
		control->reload->control = NULL;
}
