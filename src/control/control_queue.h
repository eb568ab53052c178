#ifndef POSTRIDER_CONTROL_CONTROL_QUEUE_H
#define POSTRIDER_CONTROL_CONTROL_QUEUE_H

#include "queue/outqueue.h"

struct control;
struct control_client;

/*
 * The verbs about queued messages.  Each leads to one answer, later: the queue is on disk.  The
 * daemon must have a deliverer.
 */

/*
 * Lists the queue, oldest first: {"messages":[...],"ok":true}.  However long it is, it is read and
 * sent page by page as the client takes it, so whether all went well stands at the end.
 */
void control_queue_list(struct control *control, struct control_client *client);

/* Lists the one message. */
void control_queue_show(struct control *control, struct control_client *client, const char *id);

/* Has the message sent now; answers with its account. */
void control_queue_flush(struct control *control, struct control_client *client, const char *id);

/* outqueue_hold() and its like.  The word is an ID, or the name of a failed message's file. */
typedef void control_queue_call(
    struct outqueue *queue, const char *word, outqueue_asked_cb *cb, void *arg);
void control_queue_change(struct control *control, struct control_client *client,
    control_queue_call *call, const char *word);

/* The client is gone: its answers go nowhere. */
void control_queue_forget(struct control *control, const struct control_client *client);

/* Ends every answer: the daemon is stopping.  For control_free(). */
void control_queue_abandon(struct control *control);

#endif
