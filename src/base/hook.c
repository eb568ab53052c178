#include "base/hook.h"

#include "base/child.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { HOOK_TIMEOUT = 60 * 1000 };
enum { HOOK_OUTPUT_MAX = 64 * 1024 };

/* What a coming run is to be told. */
struct hook_call {
	char **argv; /* NULL: nothing waits */
	uint64_t count;
	char *error;
};

/* One owner: who polls or sends for the account. */
struct hook {
	struct event_base *base;
	char *account;
	hook_idle_cb *idle;
	void *arg;
	struct child *child;
	struct hook_call fetched; /* waits while the child runs */
	struct hook_call failed;
};

static void hook_start(struct hook *h);

static char **
copy_argv(char *const *argv)
{
	size_t count = 0;
	char **copy;

	while (argv[count] != NULL)
		count++;
	copy = xcalloc(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = xstrdup(argv[i]);
	return copy;
}

static void
hook_call_clear(struct hook_call *call)
{
	for (char **arg = call->argv; arg != NULL && *arg != NULL; arg++)
		free(*arg);
	free(call->argv);
	free(call->error);
	*call = (struct hook_call){.argv = NULL};
}

static void
log_result(const struct hook *h, const struct child_result *result)
{
	char errors[300];

	str_escape(errors, sizeof errors, result->errors, strcspn(result->errors, "\n"));
	if (result->status == -1)
		log_warning("account=%s the hook could not be started: %s", h->account,
		    strerror(result->error));
	else if (result->timed_out || result->overflowed)
		log_warning("account=%s the hook was killed: %s", h->account,
		    result->timed_out ? "it ran for a minute" : "it printed too much");
	else if (WIFSIGNALED(result->status))
		log_warning(
		    "account=%s the hook died of signal %d", h->account, WTERMSIG(result->status));
	else if (WEXITSTATUS(result->status) != 0)
		log_warning("account=%s the hook failed with status %d: %s", h->account,
		    WEXITSTATUS(result->status), errors);
}

static void
on_child(const struct child_result *result, void *arg)
{
	struct hook *h = arg;

	h->child = NULL;
	log_result(h, result);
	hook_start(h);
	if (h->child == NULL)
		h->idle(h->arg);
}

static void
hook_run(struct hook *h, struct hook_call *call)
{
	char *environment[] = {xasprintf("POSTRIDER_ACCOUNT=%s", h->account),
	    xasprintf("POSTRIDER_COUNT=%" PRIu64, call->count),
	    xasprintf("POSTRIDER_ERROR=%s", call->error != NULL ? call->error : ""), NULL};
	const struct child_settings settings = {.argv = call->argv,
	    .environment = environment,
	    .timeout = HOOK_TIMEOUT,
	    .output_max = HOOK_OUTPUT_MAX};

	h->child = child_start(h->base, &settings, on_child, h);
	for (char **pair = environment; *pair != NULL; pair++)
		free(*pair);
	hook_call_clear(call);
}

static void
hook_start(struct hook *h)
{
	if (h->child != NULL)
		return;
	if (h->fetched.argv != NULL)
		hook_run(h, &h->fetched);
	else if (h->failed.argv != NULL)
		hook_run(h, &h->failed);
}

struct hook *
hook_new(struct event_base *base, const char *account, hook_idle_cb *idle, void *arg)
{
	struct hook *h = xcalloc(1, sizeof *h);

	h->base = base;
	h->account = xstrdup(account);
	h->idle = idle;
	h->arg = arg;
	return h;
}

bool
hook_is_busy(const struct hook *h)
{
	return h->child != NULL;
}

void
hook_free(struct hook **hook)
{
	struct hook *h = *hook;

	*hook = NULL;
	if (h == NULL)
		return;
	child_cancel(&h->child);
	hook_call_clear(&h->fetched);
	hook_call_clear(&h->failed);
	free(h->account);
	free(h);
}

void
hook_fetched(struct hook *h, char *const *argv, uint64_t count)
{
	uint64_t waiting = h->fetched.count;

	if (argv == NULL || count == 0)
		return;
	hook_call_clear(&h->fetched);
	h->fetched = (struct hook_call){.argv = copy_argv(argv), .count = waiting + count};
	hook_start(h);
}

void
hook_failed(struct hook *h, char *const *argv, unsigned failures, const char *error)
{
	if (argv == NULL)
		return;
	hook_call_clear(&h->failed);
	h->failed =
	    (struct hook_call){.argv = copy_argv(argv), .count = failures, .error = xstrdup(error)};
	hook_start(h);
}
