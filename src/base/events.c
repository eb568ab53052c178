#include "base/events.h"

void
events_listen(struct events *events, events_cb *cb, void *arg)
{
	events->cb = cb;
	events->arg = arg;
}

bool
events_are_heard(const struct events *events)
{
	return events != NULL && events->cb != NULL;
}

void
events_tell(const struct events *events, const struct happening *happening)
{
	if (events_are_heard(events))
		events->cb(happening, events->arg);
}
