#include "deliver/deliverer_internal.h"

#include "config/config.h"
#include "deliver/outbox.h"

bool
deliverer_is_watching(const struct deliverer *d)
{
	return outqueue_is_watching(d->settings.queue);
}

static bool
any_awaits_fate(const struct desk_list *list)
{
	const struct desk *desk;

	TAILQ_FOREACH (desk, list, link)
		if (outbox_awaits_fate(desk->outbox))
			return true;
	return false;
}

bool
deliverer_awaits_fate(const struct deliverer *d)
{
	return any_awaits_fate(&d->desks) || any_awaits_fate(&d->retired);
}

struct outqueue *
deliverer_queue(struct deliverer *d)
{
	return d->settings.queue;
}

size_t
deliverer_count(const struct deliverer *d)
{
	return d->config->account_count;
}

void
deliverer_view(const struct deliverer *d, size_t index, struct deliverer_view *view)
{
	const struct desk *desk = TAILQ_FIRST(&d->desks);

	while (index-- > 0)
		desk = TAILQ_NEXT(desk, link);
	outbox_view(desk->outbox, view);
}

static size_t
count_sessions(const struct desk_list *list)
{
	const struct desk *desk;
	size_t n = 0;

	TAILQ_FOREACH (desk, list, link)
		n += outbox_session_count(desk->outbox);
	return n;
}

size_t
deliverer_session_count(const struct deliverer *d)
{
	return count_sessions(&d->desks) + count_sessions(&d->retired);
}

/* False, with index less the sessions of the list, when it is behind them. */
static bool
view_session(const struct desk_list *list, size_t *index, struct deliverer_session_view *view)
{
	const struct desk *desk;

	TAILQ_FOREACH (desk, list, link) {
		size_t n = outbox_session_count(desk->outbox);

		if (*index < n) {
			outbox_session_view(desk->outbox, *index, view);
			return true;
		}
		*index -= n;
	}
	return false;
}

void
deliverer_session_view(const struct deliverer *d, size_t index, struct deliverer_session_view *view)
{
	if (!view_session(&d->desks, &index, view))
		view_session(&d->retired, &index, view);
}
