#include "control/control_queue.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "control/control_private.h"
#include "control/control_status.h"
#include "deliver/deliverer.h"
#include "queue/outid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/*
 * Messages of a page: few at first.  A page with so many recipients that writing it would hold up
 * the loop is followed by a shorter one.
 */
enum { PAGE_FIRST = 10, PAGE_MAX = 100, PAGE_RECIPIENTS = 1000 };

/*
 * Something the queue was asked for a client.  Lives until the queue has called back or, while a
 * list waits for its client to read, until the client has read or gone.  client is NULL once that
 * one is gone, control after control_free().
 */
struct control_question {
	struct control *control;
	struct control_client *client;
	TAILQ_ENTRY(control_question) link;
	bool asked;          /* the queue will call back */
	char id[OUTID_SIZE]; /* the message; of a list, the last one told */
	size_t limit;
	bool begun; /* the first part of a list is told */
};

/*
 * Those whose struct control is gone.  The queue may still call back; when it is closed before,
 * they stay here, for they cannot know.
 */
static struct control_question_list orphans = TAILQ_HEAD_INITIALIZER(orphans);

static struct control_question *
question_new(struct control *control, struct control_client *client, const char *id)
{
	struct control_question *q = xcalloc(1, sizeof *q);

	q->control = control;
	q->client = client;
	snprintf(q->id, sizeof q->id, "%s", id);
	TAILQ_INSERT_TAIL(&control->questions, q, link);
	return q;
}

static void
question_free(struct control_question *q)
{
	TAILQ_REMOVE(q->control != NULL ? &q->control->questions : &orphans, q, link);
	free(q);
}

static struct outqueue *
queue_of(const struct control_question *q)
{
	return deliverer_queue(q->control->settings.deliverer);
}

static json_t *
refusal_json(const struct verdict *why)
{
	json_t *json = control_client_error(why->text);

	json_object_set_new(json, "kind", json_string(verdict_kind_name(why->kind)));
	return json;
}

/* Nobody may be there any more to hear it.  Takes the reference. */
static void
answer(const struct control_question *q, json_t *json)
{
	if (q->client != NULL)
		control_client_answer(q->client, json);
	else
		json_decref(json);
}

static json_t *
no_message_json(const char *word)
{
	struct str text = STR_INIT;
	char id[128];
	json_t *json;

	str_escape(id, sizeof id, word, strlen(word));
	str_appendf(&text, "no message \"%s\" in the queue; `queue` lists them", id);
	json = control_client_error(str_text(&text));
	str_clear(&text);
	return json;
}

static json_t *
message_json(const struct control_question *q, const struct outqueue_row *row)
{
	return control_status_message(row, q->control->settings.deliverer, q->control->config);
}

static bool
is_id(const char *word)
{
	return outid_begins(word) && strlen(word) == OUTID_LEN;
}

/* -- one message --------------------------------------------------------------------------------
 */

/*
 * Asks for the page that begins with the message, if it is there: IDs are all of one length, so
 * none lies between this one and one whose last octet is less by one.
 */
static void
ask_for_one(
    struct control *control, struct control_client *client, const char *id, outqueue_page_cb *cb)
{
	struct control_question *q;
	char before[OUTID_SIZE];

	if (!is_id(id)) {
		control_client_answer(client, no_message_json(id));
		return;
	}
	q = question_new(control, client, id);
	snprintf(before, sizeof before, "%s", id);
	before[OUTID_LEN - 1]--;
	q->asked = true;
	outqueue_page(queue_of(q), before, 1, cb, q);
}

/* The row of the message; NULL once its client was told why there is none. */
static const struct outqueue_row *
find_row(const struct control_question *q, const struct outqueue_row *rows, size_t count,
    const struct verdict *why)
{
	if (why->kind == FAIL_NONE && count > 0 && strcmp(rows[0].message->id, q->id) == 0)
		return &rows[0];
	answer(q, why->kind != FAIL_NONE ? refusal_json(why) : no_message_json(q->id));
	return NULL;
}

static void
on_shown(const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg)
{
	struct control_question *q = arg;
	const struct outqueue_row *row = find_row(q, rows, count, why);

	if (row != NULL && q->client != NULL)
		answer(q, json_pack("{s:b, s:[o]}", "ok", 1, "messages", message_json(q, row)));
	question_free(q);
}

void
control_queue_show(struct control *control, struct control_client *client, const char *id)
{
	ask_for_one(control, client, id, on_shown);
}

static json_t *
flush_json(struct control *control, const struct outqueue_row *row)
{
	const char *account = row->message->account;
	struct str text = STR_INIT;
	json_t *json;

	if (control->stopping)
		return control_client_error("the daemon is stopping");
	if (row->held)
		str_appendf(&text, "message %s is held; `release %s` sends it", row->message->id,
		    row->message->id);
	else if (!deliverer_flush_message(control->settings.deliverer, account, row->message->id))
		str_appendf(&text,
		    "message %s belongs to account \"%s\", which the configuration does not have, "
		    "or has without smtp; it waits until that one can send again",
		    row->message->id, account);
	if (text.len > 0) {
		json = control_client_error(str_text(&text));
	} else {
		json = control_client_ok();
		json_object_set_new(json, "account", control_client_text(account));
	}
	str_clear(&text);
	return json;
}

static void
on_found(const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg)
{
	struct control_question *q = arg;
	const struct outqueue_row *row = find_row(q, rows, count, why);

	/* What was asked for is done, also for a client that did not wait. */
	if (row != NULL && q->control != NULL)
		answer(q, flush_json(q->control, row));
	question_free(q);
}

void
control_queue_flush(struct control *control, struct control_client *client, const char *id)
{
	ask_for_one(control, client, id, on_found);
}

static void
on_changed(const struct verdict *why, void *arg)
{
	struct control_question *q = arg;

	answer(q, why->kind == FAIL_NONE ? control_client_ok() : refusal_json(why));
	question_free(q);
}

void
control_queue_change(struct control *control, struct control_client *client,
    control_queue_call *call, const char *word)
{
	struct control_question *q;

	if (call != outqueue_retry && !is_id(word)) {
		control_client_answer(client, no_message_json(word));
		return;
	}
	q = question_new(control, client, "");
	q->asked = true;
	if (call == outqueue_hold || call == outqueue_remove)
		deliverer_withdraw(control->settings.deliverer, word);
	call(queue_of(q), word, on_changed, q);
}

/* -- the list -----------------------------------------------------------------------------------
 */

/* error: NULL when the list is whole. */
static void
end_list(struct control_question *q, const char *error)
{
	struct str text = STR_INIT;
	json_t *json = error != NULL ? control_client_text(error) : NULL;
	char *quoted = json != NULL ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

	str_append_text(&text, q->begun ? "]" : "{\"messages\":[]");
	if (error == NULL)
		str_append_text(&text, ",\"ok\":true}");
	else
		str_appendf(&text, ",\"ok\":false,\"error\":%s}",
		    quoted != NULL ? quoted : "\"the queue cannot be listed\"");
	control_client_answer_end(q->client, str_text(&text), text.len);
	free(quoted);
	json_decref(json);
	str_clear(&text);
}

/* Takes the reference. */
static void
append_message(struct str *text, json_t *message)
{
	char *dump = json_dumps(message, JSON_COMPACT);

	/* Only memory that is exhausted keeps it from being text. */
	if (dump == NULL)
		exit(EX_OSERR);
	str_append_text(text, dump);
	free(dump);
	json_decref(message);
}

static void ask_for_page(void *arg);

static void
tell_page(struct control_question *q, const struct outqueue_row *rows, size_t count)
{
	struct str text = STR_INIT;
	size_t recipients = 0;

	for (size_t i = 0; i < count; i++) {
		str_append_text(&text, q->begun ? "," : "{\"messages\":[");
		q->begun = true;
		append_message(&text, message_json(q, &rows[i]));
		recipients += rows[i].message->recipient_count;
	}
	snprintf(q->id, sizeof q->id, "%s", rows[count - 1].message->id);
	if (recipients > PAGE_RECIPIENTS)
		q->limit = q->limit > 1 ? q->limit / 2 : 1;
	else
		q->limit = q->limit < PAGE_MAX / 2 ? q->limit * 2 : PAGE_MAX;
	control_client_answer_part(q->client, str_text(&text), text.len, ask_for_page, q);
	str_clear(&text);
}

/* A page may be short although more follow; an empty one is the end. */
static void
on_page(const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg)
{
	struct control_question *q = arg;

	q->asked = false;
	if (q->client != NULL && why->kind == FAIL_NONE && count > 0) {
		tell_page(q, rows, count);
		return;
	}
	if (q->client != NULL)
		end_list(q, why->kind != FAIL_NONE ? why->text : NULL);
	question_free(q);
}

static void
ask_for_page(void *arg)
{
	struct control_question *q = arg;

	q->asked = true;
	outqueue_page(queue_of(q), q->id, q->limit, on_page, q);
}

void
control_queue_list(struct control *control, struct control_client *client)
{
	struct control_question *q = question_new(control, client, "");

	q->limit = PAGE_FIRST;
	ask_for_page(q);
}

/* -- the end ------------------------------------------------------------------------------------
 */

void
control_queue_forget(struct control *control, const struct control_client *client)
{
	struct control_question *q, *next;

	TAILQ_FOREACH_SAFE (q, &control->questions, link, next) {
		if (q->client != client)
			continue;
		q->client = NULL;
		if (!q->asked)
			question_free(q);
	}
}

static void
answer_stopping(struct control_question *q)
{
	static const char text[] = "the daemon is stopping";

	if (q->client == NULL)
		return;
	if (q->begun)
		end_list(q, text);
	else
		control_client_answer(q->client, control_client_error(text));
	q->client = NULL;
}

void
control_queue_abandon(struct control *control)
{
	struct control_question *q;

	while ((q = TAILQ_FIRST(&control->questions)) != NULL) {
		answer_stopping(q);
		if (!q->asked) {
			question_free(q);
			continue;
		}
		TAILQ_REMOVE(&control->questions, q, link);
		TAILQ_INSERT_TAIL(&orphans, q, link);
		q->control = NULL;
	}
}
