#include "deliver/deliverer_internal.h"

#include "base/events.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "deliver/alias_keeper.h"
#include "deliver/outbox.h"
#include "deliver/route.h"
#include "proto/rfc5322_envelope.h"

#include <stdio.h>
#include <string.h>

static void
reject(struct deliverer *d, const char *id, const char *name, const char *reason)
{
	log_warning("message=%s name=%s fate=failed reason=\"%s\"", id, name, reason);
	d->rejected++;
	outqueue_reject(d->settings.queue, id, reason);
}

static void
admit(struct deliverer *d, const char *id, const char *name, const struct route *route)
{
	struct outqueue_admission admission = route_admission(route, id);

	log_info("account=%s message=%s name=%s sender=<%s> recipients=%zu fate=queued",
	    route->account, id, name, route->sender, route->recipient_count);
	outqueue_admit(d->settings.queue, &admission);
}

/* What a message asks for and does not get must not pass in silence. */
static void
note_oddities(const char *id, const char *name, const struct envelope_request *request)
{
	if (request->unknown_steering != NULL)
		log_warning("message=%s name=%s reason=its field %s means nothing here; it is "
			    "removed (see postrider-spool(7))",
		    id, name, request->unknown_steering);
	if (request->body_has_nul)
		log_warning("message=%s name=%s reason=its text holds NUL octets; they go as they "
			    "are, and some servers refuse them",
		    id, name);
}

static void
on_claimed(const char *id, const char *name, uint64_t size, const struct envelope_request *request,
    const struct verdict *why, void *arg)
{
	struct deliverer *d = arg;
	struct route route = {0};
	struct str reason = STR_INIT;
	char shown[300];

	(void)size;
	str_escape(shown, sizeof shown, name, strlen(name));
	if (why->kind != FAIL_NONE) {
		reject(d, id, shown, why->text);
	} else if (route_message(
		       d->config, alias_keeper_get(d->aliases), request, &route, &reason)) {
		note_oddities(id, shown, request);
		admit(d, id, shown, &route);
	} else {
		reject(d, id, shown, str_text(&reason));
	}
	route_clear(&route);
	str_clear(&reason);
}

/* Of one that was sent to some before, those count who wait. */
static void
tell_queued(const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg)
{
	const struct deliverer *d = arg;
	const struct outmessage *m = count > 0 ? rows[0].message : NULL;
	struct happening queued = {.kind = HAPPENED_MESSAGE_QUEUED};

	(void)why;
	if (m == NULL)
		return;
	queued.account = m->account;
	queued.message = m->id;
	queued.name = m->name;
	queued.sender = m->sender;
	queued.octets = m->size;
	for (size_t i = 0; i < m->recipient_count; i++)
		queued.recipients += m->recipients[i].state == OUTQUEUE_PENDING;
	events_tell(d->settings.events, &queued);
}

static void
on_freed(const char *account, const char *id, void *arg)
{
	struct deliverer *d = arg;
	struct desk *desk = deliverer_find_desk(&d->desks, account);

	(void)id;
	if (desk != NULL && !d->stopping)
		outbox_wake(desk->outbox);
}

/* Those who watch are told first: what is asked before is answered before it can be lent. */
static void
on_queued(const char *account, const char *id, void *arg)
{
	struct deliverer *d = arg;

	if (events_are_heard(d->settings.events))
		outqueue_find(d->settings.queue, id, tell_queued, d);
	on_freed(account, id, d);
}

/* One that never had an account; of the others, each recipient's fate was told. */
static void
tell_rejected(const struct deliverer *d, const char *id, const char *name, const char *reason)
{
	const struct happening failed = {
	    .kind = HAPPENED_MESSAGE_FAILED,
	    .message = id,
	    .name = name,
	    .text = reason,
	};

	events_tell(d->settings.events, &failed);
}

static void
on_failed(const char *account, const char *id, const char *name, const char *reason, void *arg)
{
	char line[512], shown[300];

	str_escape(shown, sizeof shown, name, strlen(name));
	snprintf(line, sizeof line, "%.*s", (int)strcspn(reason, "\n"), reason);
	log_warning("account=%s message=%s is in failed/%s: %s", str_empty(account) ? "-" : account,
	    id, shown, line);
	if (str_empty(account))
		tell_rejected(arg, id, name, line);
}

/* Mail of an account that the configuration has no more, or that does not send, must not wait
 * unsaid.
 */
static void
warn_of_stranded(const char *account, void *arg)
{
	const struct deliverer *d = arg;
	const struct account_config *config = config_account(d->config, account);
	struct outqueue_totals totals;

	outqueue_totals(d->settings.queue, account, &totals);
	if (totals.messages == 0 || (config != NULL && config->smtp != NULL))
		return;
	log_warning("account=%s has %llu messages in the queue, and %s: they wait until it can "
		    "send again, or `postriderctl remove`",
	    account, (unsigned long long)totals.messages,
	    config == NULL ? "the configuration does not have it" : "no smtp group");
}

void
deliverer_warn_of_stranded(struct deliverer *d)
{
	outqueue_each_account(d->settings.queue, warn_of_stranded, d);
}

static void
on_recovered(void *arg)
{
	deliverer_warn_of_stranded(arg);
}

const struct outqueue_handler deliverer_queue_handler = {
    .claimed = on_claimed,
    .queued = on_queued,
    .freed = on_freed,
    .recovered = on_recovered,
    .failed = on_failed,
};
