#include "deliver/outbox_internal.h"

#include "base/clock.h"
#include "base/events.h"
#include "deliver/settle.h"
#include "queue/outqueue.h"

static struct happening
describe(enum happening_kind kind, const struct outbox *o, const struct outmessage *message)
{
	return (struct happening){
	    .kind = kind,
	    .account = o->name,
	    .message = message->id,
	    .name = message->name,
	    .sender = message->sender,
	    .octets = message->size,
	    .attempts = message->attempts,
	};
}

/* What the queue calls each state, and what has just happened to who is in it. */
static const struct {
	const char *name;
	enum happening_kind kind;
} fates[] = {
    [OUTQUEUE_PENDING] = {"pending", HAPPENED_MESSAGE_DEFERRED},
    [OUTQUEUE_SENT] = {"sent", HAPPENED_MESSAGE_SENT},
    [OUTQUEUE_FAILED] = {"failed", HAPPENED_MESSAGE_FAILED},
    [OUTQUEUE_UNKNOWN] = {"unknown", HAPPENED_MESSAGE_DEFERRED},
};

static void
tell_fate(const struct outbox *o, const struct settlement *settlement,
    const struct outqueue_recipient *recipient, const char *session)
{
	const struct outmessage *message = settlement->decision.message;
	struct happening fate = describe(fates[recipient->state].kind, o, message);

	fate.session = session;
	fate.recipients = 1;
	fate.recipient = recipient->address;
	fate.state = fates[recipient->state].name;
	fate.reply = recipient->reply;
	fate.held = settlement->is_held;
	fate.next_attempt = settlement->is_held ? 0 : message->next_attempt;
	events_tell(o->settings.deliverer->events, &fate);
}

/* Wall ms; 0: not known yet, for the session is not over. */
static int64_t
next_attempt(const struct outbox *o, const struct outmessage *message)
{
	int64_t wait = o->wait_until - clock_mono();
	int64_t now = clock_wall();
	int64_t next = wait > 0 ? now + wait : 0;

	return message->next_attempt > now && message->next_attempt > next ? message->next_attempt
									   : next;
}

/* So many recipients wait, for no fault of theirs. */
static void
tell_waiting(const struct outbox *o, const struct outmessage *message, size_t recipients,
    const struct verdict *trouble, const char *session)
{
	struct happening waits = describe(HAPPENED_MESSAGE_DEFERRED, o, message);

	waits.session = session;
	waits.recipients = recipients;
	waits.state = "pending";
	waits.text = trouble->text;
	waits.next_attempt = next_attempt(o, message);
	events_tell(o->settings.deliverer->events, &waits);
}

void
outbox_tell_fates(const struct outbox *o, const struct settlement *settlement, const char *session)
{
	const struct outmessage *message = settlement->decision.message;
	size_t untold = 0;

	if (!events_are_heard(o->settings.deliverer->events))
		return;
	for (size_t i = 0; i < message->recipient_count; i++) {
		if (settle_is_noted(settlement, i))
			tell_fate(o, settlement, &message->recipients[i], session);
		else
			untold += settle_is_open(&message->recipients[i]);
	}
	if (untold > 0 && settlement->trouble != NULL)
		tell_waiting(o, message, untold, settlement->trouble, session);
}

void
outbox_tell_waiting(
    const struct outbox *o, const struct outmessage *message, const struct verdict *trouble)
{
	size_t waiting = 0;

	if (!events_are_heard(o->settings.deliverer->events))
		return;
	for (size_t i = 0; i < message->recipient_count; i++)
		waiting += settle_is_open(&message->recipients[i]);
	if (waiting > 0)
		tell_waiting(o, message, waiting, trouble, NULL);
}
