#include "deliver/outbox_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/sending.h"
#include "deliver/settle.h"
#include "proto/dsn.h"
#include "queue/outqueue.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

/* Messages lent at a time; more are asked for when so few are left. */
enum { LENT_MOST = 200, LENT_LEAST = 50 };

/* Messages whose senders are told at a time. */
enum { TOLD_MOST = 50 };
enum { DAY = 24 * 3600 * 1000 };

/* After an answer that helped nobody, ms. */
enum { EMPTY_AGAIN = 1000, FAULT_AGAIN = 30 * 1000 };

static struct outqueue *
queue_of(const struct outbox *o)
{
	return o->settings.deliverer->queue;
}

/* -- settling ---------------------------------------------------------------------------------- */

/* A decision that could not be recorded yet is recorded later; the queue says so in the log. */
static void
on_decided(const struct verdict *why, void *arg)
{
	struct outbox *o = arg;

	o->deciding--;
	o->failed |= why->kind != FAIL_NONE;
	outbox_go(o);
	o->settings.changed(o->settings.arg);
}

static void
count(struct outbox *o, const struct settlement *s)
{
	o->record.messages += s->is_first_sent;
	o->failed |= s->is_put_off || s->deferred + s->refused + s->gave_up + s->unknown > 0;
	/* What is not over comes again: when, the queue knows. */
	o->ask_again |= !s->is_over;
}

/*
 * Finishes what was noted: recorded when there is something to record, else the message waits on as
 * it was.  True when it was recorded.  sending: NULL when it was in no session.
 */
static bool
finish(struct outbox *o, const struct sending *sending, struct outmessage *message,
    struct settlement *settlement, const struct verdict *trouble)
{
	const struct local_config *local = o->config->local;
	uint8_t unique[DSN_UNIQUE_SIZE] = {0};
	const struct settle_context context = {
	    .retry = &o->config->retry,
	    .account = sending != NULL ? sending_account(sending) : o->account,
	    .local_domain = local != NULL ? local->domain : NULL,
	    .trouble = trouble,
	    .now = clock_wall(),
	    .random = outbox_random(),
	    .host = o->settings.helo,
	    .unique = unique,
	};
	bool needed;

	(void)RAND_bytes(unique, sizeof unique);
	settle_finish(settlement, &context);
	count(o, settlement);
	if (sending != NULL)
		outbox_tell_fates(o, settlement, sending_id(sending));
	needed = settlement->is_needed;
	if (needed) {
		o->deciding++;
		outqueue_decide(queue_of(o), &settlement->decision, &message, on_decided, o);
	} else {
		outqueue_return(queue_of(o), &message);
	}
	settle_clear(settlement);
	return needed;
}

void
outbox_settle(struct outbox *o, const struct sending *sending, struct outmessage *message,
    struct settlement *settlement, const struct verdict *trouble)
{
	finish(o, sending, message, settlement, trouble);
}

/* The account's trouble; NULL: none. */
static const struct verdict *
trouble_of(const struct outbox *o)
{
	return o->trouble.kind != FAIL_NONE ? &o->trouble : NULL;
}

/* It was lent and not tried.  True when its sender is told so; without smtp nobody is. */
static bool
give_back(struct outbox *o, struct outmessage *message, const struct verdict *trouble)
{
	struct settlement settlement;

	if (o->account->smtp == NULL) {
		outqueue_return(queue_of(o), &message);
		return false;
	}
	settle_begin(&settlement, message);
	return finish(o, NULL, message, &settlement, trouble);
}

/* Nothing is to be tried now: what was lent goes back. */
static bool
is_at_rest(const struct outbox *o)
{
	return o->stopped || o->account->smtp == NULL ||
	       (outbox_must_wait(o) && o->line_count == 0);
}

static void
end_flush(struct outbox *o)
{
	o->flushing = false;
	o->by_person = o->by_person && o->flush_wanted;
}

void
outbox_return_ready(struct outbox *o)
{
	const struct verdict *trouble = o->stopped ? NULL : trouble_of(o);

	if (is_at_rest(o))
		end_flush(o);
	for (size_t i = 0; i < o->ready_count; i++) {
		if (trouble != NULL)
			outbox_tell_waiting(o, o->ready[i], trouble);
		give_back(o, o->ready[i], trouble);
	}
	o->ready_count = 0;
}

void
outbox_withdraw_ready(struct outbox *o, const char *id)
{
	o->recalled = o->asking;
	for (size_t i = 0; i < o->ready_count; i++) {
		if (strcmp(o->ready[i]->id, id) != 0)
			continue;
		outqueue_return(queue_of(o), &o->ready[i]);
		memmove(o->ready + i, o->ready + i + 1, (--o->ready_count - i) * sizeof *o->ready);
		o->ask_again = true;
		return;
	}
}

/* -- what is due ------------------------------------------------------------------------------- */

static void
make_room(struct outbox *o, size_t count)
{
	if (o->ready_count + count <= o->ready_capacity)
		return;
	o->ready_capacity = o->ready_count + count + LENT_MOST;
	o->ready = xreallocarray(o->ready, o->ready_capacity, sizeof *o->ready);
}

/* A person's word came between the question and its answer; asked again, the queue knows of it. */
static void
recall(struct outbox *o, struct outmessage **messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		outqueue_return(queue_of(o), &messages[i]);
	o->recalled = false;
	o->ask_again = true;
}

/* What became due during a flush has its turn when the last page is there. */
static void
turn_page(struct outbox *o, struct outmessage *const *messages, size_t count, bool more)
{
	if (more && count > 0) {
		snprintf(o->page_end, sizeof o->page_end, "%s", messages[count - 1]->id);
		return;
	}
	end_flush(o);
	o->ask_again = true;
}

static void
take_due(struct outbox *o, struct outmessage **messages, size_t count)
{
	make_room(o, count);
	for (size_t i = 0; i < count; i++)
		o->ready[o->ready_count++] = messages[i];
}

static void
on_due(struct outmessage **messages, size_t count, bool more, int64_t earliest,
    const struct verdict *why, void *arg)
{
	struct outbox *o = arg;

	o->asking = false;
	o->more = more && count > 0;
	o->earliest = earliest;
	if (more && count == 0)
		o->earliest = clock_wall() + EMPTY_AGAIN; /* all of it is in somebody's hands */
	if (why->kind != FAIL_NONE) {
		log_error("account=%s the queue cannot be read: %s", o->name, why->text);
		o->failed = true;
		o->earliest = clock_wall() + FAULT_AGAIN;
	}
	if (o->asked_page && !o->recalled)
		turn_page(o, messages, count, more);
	if (o->recalled)
		recall(o, messages, count);
	else
		take_due(o, messages, count);
	if (is_at_rest(o))
		outbox_return_ready(o);
	outbox_go(o);
	o->settings.changed(o->settings.arg);
}

static void
begin_flush(struct outbox *o)
{
	o->flush_wanted = false;
	o->flushing = true;
	o->page_end[0] = '\0';
}

void
outbox_ask(struct outbox *o)
{
	bool wanted = o->ask_again || o->more || o->flush_wanted || o->flushing;
	size_t room;

	if (o->asking || o->ready_count > LENT_LEAST || !wanted)
		return;
	room = LENT_MOST - o->ready_count;
	if (o->flush_wanted)
		begin_flush(o);
	o->asking = true;
	o->asked_page = o->flushing;
	o->ask_again = o->more = false;
	if (o->flushing)
		outqueue_waiting(
		    queue_of(o), o->name, clock_wall(), o->page_end, room, o->by_person, on_due, o);
	else
		outqueue_due(queue_of(o), o->name, clock_wall(), room, on_due, o);
}

struct outmessage *
outbox_take(struct outbox *o)
{
	struct outmessage *message;

	if (o->stopped || o->ready_count == 0)
		return NULL;
	message = o->ready[0];
	memmove(o->ready, o->ready + 1, --o->ready_count * sizeof *o->ready);
	outbox_ask(o);
	return message;
}

/* -- one message ------------------------------------------------------------------------------- */

/* One that is on its way already, or gone meanwhile, needs nothing. */
static void
on_lent(struct outmessage **messages, size_t count, bool more, int64_t earliest,
    const struct verdict *why, void *arg)
{
	struct outbox *o = arg;

	(void)more;
	(void)earliest;
	(void)why;
	o->lending--;
	if (count > 0) {
		make_room(o, 1);
		memmove(o->ready + 1, o->ready, o->ready_count++ * sizeof *o->ready);
		o->ready[0] = messages[0];
		o->wait_until = 0;
	}
	if (is_at_rest(o))
		outbox_return_ready(o);
	outbox_go(o);
	o->settings.changed(o->settings.arg);
}

void
outbox_flush_message(struct outbox *o, const char *id)
{
	if (o->stopped || o->account->smtp == NULL)
		return;
	outbox_accept_weaker(o);
	o->lending++;
	outqueue_lend(queue_of(o), id, on_lent, o);
}

/* -- notices ----------------------------------------------------------------------------------- */

static void
on_overdue(struct outmessage **messages, size_t count, bool more, int64_t earliest,
    const struct verdict *why, void *arg)
{
	struct outbox *o = arg;
	const struct verdict *trouble = o->stopped ? NULL : trouble_of(o);
	size_t told = 0;

	(void)earliest;
	if (why->kind != FAIL_NONE)
		log_error("account=%s the queue cannot be read: %s", o->name, why->text);
	o->telling = false;
	for (size_t i = 0; i < count; i++)
		told += trouble != NULL && o->account->smtp != NULL
			    ? give_back(o, messages[i], trouble)
			    : (outqueue_return(queue_of(o), &messages[i]), false);
	if (more && told > 0)
		outbox_tell_overdue(o);
	o->settings.changed(o->settings.arg);
}

void
outbox_tell_overdue(struct outbox *o)
{
	const struct retry_config *retry = &o->config->retry;
	int64_t now = clock_wall();
	bool daily;

	if (o->telling || o->stopped || o->account->smtp == NULL || retry->warn_after == 0 ||
	    trouble_of(o) == NULL)
		return;
	/* By mail, one notice that waits with the rest is enough. */
	daily = o->account->smtp->bounce_maildir != NULL;
	o->telling = true;
	outqueue_overdue(queue_of(o), o->name, now - retry->warn_after, daily ? now - DAY : 0,
	    TOLD_MOST, on_overdue, o);
}
